//! Which configs a Pod can change between in place, and the note that such a change leaves on the Pod.
//!
//! Decides by the configs alone: what else stands in the way is the API server's and the kubelet's to say. Used by
//! `apply`, which changes Pods, and the index, which reads how far that has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TaskConfig, labels};

/// The resources a kubelet can change of a container that runs.
pub const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// What a change in place leaves on a Pod, as the JSON of [`labels::IN_PLACE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The number of the update it was made for.
    pub update: u32,
    /// When, to the millisecond; no two changes of a Pod have the same.
    pub at: Timestamp,
    /// How often the containers had been started again whose image was changed, by name: they are as they shall be once
    /// that has grown. What the runtime calls their image says nothing, since an image may have several names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<String, i32>,
    /// CPU or memory were changed as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resized: bool,
}

impl Note {
    /// The note on a Pod, if it has one that can be read.
    #[must_use]
    pub fn read(annotation: &str) -> Option<Self> {
        serde_json::from_str(annotation).ok()
    }
}

/// Whether a Pod of one config can become one of the other in place, and back: they differ in images, labels,
/// annotations, and how much CPU and memory containers ask for, and nothing else follows from those. Where a config has
/// copies of what ConfigMaps and Secrets hold, its Pods name them, and names can't be changed.
///
/// Any two configs that can change into a third can change into each other.
///
/// # Errors
/// As [`TaskConfig::canonical`].
pub fn is_between(one: &TaskConfig, other: &TaskConfig) -> Result<bool, serde_json::Error> {
    Ok(one.tracked.is_empty() && rest(one)? == rest(other)?)
}

/// A config without what can be changed in place.
fn rest(config: &TaskConfig) -> Result<Value, serde_json::Error> {
    let mut whole = config.canonical()?;
    let Some(template) = whole.get_mut("template").and_then(Value::as_object_mut) else { return Ok(whole) };
    let spec = template.get("spec").unwrap_or(&Value::Null);
    // Variables are set when a container starts: what they are made of can't change under it.
    let (by_labels, by_resources) = (reads(spec, is_of_metadata), reads(spec, is_of_resources));
    if !by_labels && let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("labels");
        metadata.remove("annotations");
        if metadata.is_empty() {
            template.remove("metadata");
        }
    }
    let containers = template.get_mut("spec").and_then(|spec| spec.get_mut("containers"));
    for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(image) = container.get("image") {
            // Where nothing is said of pulling, the image says it when the Pod is made.
            let pulled = container.get("imagePullPolicy").is_none() && is_latest(image);
            container["image"] = Value::Bool(pulled);
        }
        if by_resources {
            continue;
        }
        for side in ["requests", "limits"] {
            // What is not limited or asked for can't be later, nor the other way round: the names stay.
            for name in RESIZABLE {
                if let Some(amount) = container.pointer_mut(&format!("/resources/{side}/{name}")) {
                    *amount = Value::Null;
                }
            }
        }
    }
    Ok(whole)
}

/// Whether a variable of any container is made of something.
fn reads(spec: &Value, is: fn(&Value) -> bool) -> bool {
    let of = |list: &str| spec.get(list).and_then(Value::as_array).into_iter().flatten();
    let mut variables = of("containers")
        .chain(of("initContainers"))
        .filter_map(|container| container.get("env")?.as_array())
        .flatten();
    variables.any(|variable| variable.get("valueFrom").is_some_and(is))
}

fn is_of_metadata(source: &Value) -> bool {
    let path = source.pointer("/fieldRef/fieldPath").and_then(Value::as_str).unwrap_or_default();
    path.starts_with("metadata.labels") || path.starts_with("metadata.annotations")
}

fn is_of_resources(source: &Value) -> bool {
    source.get("resourceFieldRef").is_some()
}

/// Whether an image is one that Kubernetes always pulls where nothing else is said: its tag is `latest`, or it has
/// neither tag nor digest.
fn is_latest(image: &Value) -> bool {
    let image = image.as_str().unwrap_or_default();
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none(),
    }
}

/// Labels, or annotations, of a Pod that changes between two configs: those of others stay.
#[must_use]
pub fn changed_map(
    live: Option<&BTreeMap<String, String>>,
    from: Option<&BTreeMap<String, String>>,
    to: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut all = live.cloned().unwrap_or_default();
    for key in from.into_iter().flatten().map(|(key, _)| key) {
        if !key.starts_with(labels::PREFIX) {
            all.remove(key);
        }
    }
    all.extend(to.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> TaskConfig {
        let mut config = json!({"tier": "preemptible", "template": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "1"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}],
                     "resources": {"requests": {"cpu": "1", "memory": "1Gi", "x/gpu": "1"}, "limits": {"memory": "2Gi"}}},
                    {"name": "log", "image": "log:1", "imagePullPolicy": "IfNotPresent"},
                ],
                "initContainers": [{"name": "init", "image": "init:1"}],
            },
        }});
        change(&mut config);
        serde_json::from_value(config).unwrap()
    }

    fn at(config: &mut Value, pointer: &str, value: Value) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = config.pointer_mut(parent).unwrap();
        match value {
            Value::Null => drop(parent.as_object_mut().unwrap().remove(key)),
            value => parent[key] = value,
        }
    }

    #[test]
    fn only_what_a_kubelet_can_change_may_differ() {
        let web = "/template/spec/containers/0";
        let log = "/template/spec/containers/1";
        for (pointer, value, expected) in [
            ("/template/metadata/labels", json!({"team": "b", "more": "x"}), true),
            ("/template/metadata/annotations", Value::Null, true),
            ("/template/metadata", Value::Null, true),
            (&format!("{web}/image"), json!("web:2"), true),
            (&format!("{web}/image"), json!("other.example:5000/web@sha256:00"), true),
            // These would be pulled always, from a new Pod's first start on.
            (&format!("{web}/image"), json!("web:latest"), false),
            (&format!("{web}/image"), json!("other.example:5000/web"), false),
            (&format!("{log}/image"), json!("log:latest"), true),
            (&format!("{web}/resources/requests/cpu"), json!("500m"), true),
            (&format!("{web}/resources/limits/memory"), json!("3Gi"), true),
            (&format!("{web}/resources/limits/memory"), Value::Null, false),
            (&format!("{web}/resources/limits/cpu"), json!("1"), false),
            (&format!("{web}/resources/requests/x~1gpu"), json!("2"), false),
            (&format!("{web}/env/0/value"), json!("2"), false),
            (&format!("{web}/name"), json!("www"), false),
            ("/template/spec/initContainers/0/image", json!("init:2"), false),
            ("/template/spec/nodeSelector", json!({"a": "b"}), false),
            ("/tier", json!("preferred"), false),
            ("/priority", json!(7), false),
            ("/health", json!({"http": {}}), false),
            ("/tracked", json!({"ConfigMap/web": "0"}), false),
        ] {
            let pointer: &str = pointer;
            let other = config(|config| at(config, pointer, value.clone()));
            assert_eq!(is_between(&config(|_| {}), &other).unwrap(), expected, "{pointer}: {value}");
            assert_eq!(is_between(&other, &config(|_| {})).unwrap(), expected, "{pointer} back");
            assert_eq!(is_between(&other, &other).unwrap(), other.tracked.is_empty());
        }
    }

    #[test]
    fn a_pod_goes_on_naming_the_copies_of_its_first_config() {
        let of = |image: &str| {
            config(|config| {
                at(config, "/tracked", json!({"ConfigMap/web": "0"}));
                at(config, "/template/spec/containers/0/image", json!(image));
            })
        };
        assert!(!is_between(&of("web:1"), &of("web:2")).unwrap());
    }

    #[test]
    fn what_a_variable_is_made_of_does_not_change_under_it() {
        let of = |source: Value, pointer: &'static str, value: Value| {
            let env = json!([{"name": "A", "valueFrom": source}]);
            let before = config(|config| at(config, "/template/spec/containers/1/env", env.clone()));
            let after = config(|config| {
                at(config, "/template/spec/containers/1/env", env.clone());
                at(config, pointer, value);
            });
            is_between(&before, &after).unwrap()
        };
        let label = json!({"fieldRef": {"fieldPath": "metadata.labels['team']"}});
        let cpu = json!({"resourceFieldRef": {"resource": "limits.cpu"}});
        let (labels, amount) =
            ("/template/metadata/labels/team", "/template/spec/containers/0/resources/requests/cpu");
        assert!(!of(label.clone(), labels, json!("b")));
        assert!(of(label, amount, json!("2")));
        assert!(!of(cpu.clone(), amount, json!("2")));
        assert!(of(cpu, labels, json!("b")));
    }

    #[test]
    fn labels_of_others_stay() {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let live = map(&[("a", "1"), ("b", "1"), ("mesh", "x"), ("borealis.dev/run", "3")]);
        let changed =
            changed_map(Some(&live), Some(&map(&[("a", "1"), ("b", "1")])), Some(&map(&[("a", "2")])));
        assert_eq!(changed, map(&[("a", "2"), ("mesh", "x"), ("borealis.dev/run", "3")]));
    }

    #[test]
    fn a_note_is_read_back() {
        let at: Timestamp = "2026-07-01T10:00:00.123Z".parse().unwrap();
        let note = Note { update: 3, at, restarts: [("web".to_owned(), 2)].into(), resized: true };
        assert_eq!(Note::read(&serde_json::to_string(&note).unwrap()), Some(note));
        assert_eq!(Note::read("{}"), None);
    }
}
