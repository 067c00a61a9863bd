//! Which ConfigMaps and Secrets a Pod template names, and putting other names in their places.
//!
//! One walk over the Pod finds them and renames them, so that what is part of a config is what its Pods use. Pure;
//! called by the index, which follows them, and by the executor, which stores configs and builds Pods.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};

/// A kind of object that a container's configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

/// One object that a container's configuration comes from, in the namespace of its Pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigSource {
    /// Its kind.
    pub kind: SourceKind,
    /// Its name.
    pub name: Box<str>,
}

impl ConfigSource {
    /// How a stored config names it: `ConfigMap/web`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The object that a stored config names so.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let (kind, name) = key.split_once('/')?;
        let kind =
            [SourceKind::ConfigMap, SourceKind::Secret].into_iter().find(|it| it.to_string() == kind)?;
        Some(Self { kind, name: name.into() })
    }
}

/// For people: `ConfigMap web`.
impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// That a Pod template names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Which.
    pub source: ConfigSource,
    /// The Pod starts without it, too. One place that needs it is enough for this to be false.
    pub optional: bool,
}

/// All that a Pod names of these kinds, each once, sorted.
#[must_use]
pub fn references(spec: &PodSpec, wanted: impl Fn(SourceKind) -> bool) -> Vec<Reference> {
    let mut found = BTreeMap::<ConfigSource, bool>::new();
    // The walk is the one that renames, and wants a Pod it may change.
    walk(&mut spec.clone(), &mut |kind, name, optional| {
        if wanted(kind) && !name.is_empty() {
            let source = ConfigSource { kind, name: name.as_str().into() };
            *found.entry(source).or_insert(true) &= optional.unwrap_or(false);
        }
    });
    found.into_iter().map(|(source, optional)| Reference { source, optional }).collect()
}

/// Puts other names in the places of those for which there is one.
pub fn rename(spec: &mut PodSpec, other: impl Fn(&ConfigSource) -> Option<String>) {
    walk(spec, &mut |kind, name, _| {
        if let Some(other) = other(&ConfigSource { kind, name: name.as_str().into() }) {
            *name = other;
        }
    });
}

/// Told of each name: its kind, itself, whether the Pod can do without.
type See<'a> = dyn FnMut(SourceKind, &mut String, Option<bool>) + 'a;

fn walk(spec: &mut PodSpec, see: &mut See<'_>) {
    let inits = spec.init_containers.iter_mut().flatten();
    spec.containers.iter_mut().chain(inits).for_each(|container| walk_container(container, see));
    spec.volumes.iter_mut().flatten().for_each(|volume| walk_volume(volume, see));
}

fn walk_container(container: &mut Container, see: &mut See<'_>) {
    for from in container.env.iter_mut().flatten().filter_map(|variable| variable.value_from.as_mut()) {
        if let Some(key) = &mut from.config_map_key_ref {
            see(SourceKind::ConfigMap, &mut key.name, key.optional);
        }
        if let Some(key) = &mut from.secret_key_ref {
            see(SourceKind::Secret, &mut key.name, key.optional);
        }
    }
    for from in container.env_from.iter_mut().flatten() {
        if let Some(map) = &mut from.config_map_ref {
            see(SourceKind::ConfigMap, &mut map.name, map.optional);
        }
        if let Some(secret) = &mut from.secret_ref {
            see(SourceKind::Secret, &mut secret.name, secret.optional);
        }
    }
}

fn walk_volume(volume: &mut Volume, see: &mut See<'_>) {
    if let Some(map) = &mut volume.config_map {
        see(SourceKind::ConfigMap, &mut map.name, map.optional);
    }
    if let Some(secret) = &mut volume.secret
        && let Some(name) = &mut secret.secret_name
    {
        see(SourceKind::Secret, name, secret.optional);
    }
    let projected = volume.projected.as_mut().and_then(|projected| projected.sources.as_mut());
    for source in projected.into_iter().flatten() {
        if let Some(map) = &mut source.config_map {
            see(SourceKind::ConfigMap, &mut map.name, map.optional);
        }
        if let Some(secret) = &mut source.secret {
            see(SourceKind::Secret, &mut secret.name, secret.optional);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Pod that names something in each place there is.
    fn everywhere() -> PodSpec {
        let env = |prefix: &str| {
            json!({
                "name": prefix,
                "env": [
                    {"name": "PLAIN", "value": "1"},
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": format!("{prefix}-key"), "key": "k"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": format!("{prefix}-key"), "key": "k"}}},
                    {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [
                    {"configMapRef": {"name": format!("{prefix}-from"), "optional": true}},
                    {"secretRef": {"name": format!("{prefix}-from")}},
                ],
            })
        };
        serde_json::from_value(json!({
            "containers": [env("main"), env("side")],
            "initContainers": [env("init")],
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "a", "configMap": {"name": "volume"}},
                {"name": "b", "secret": {"secretName": "volume", "optional": true}},
                {"name": "c", "projected": {"sources": [
                    {"configMap": {"name": "projected", "optional": true}},
                    {"secret": {"name": "projected"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]}},
                {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
                {"name": "e", "emptyDir": {}},
            ],
        }))
        .unwrap()
    }

    fn lines(spec: &PodSpec, wanted: impl Fn(SourceKind) -> bool) -> Vec<String> {
        let line = |it: &Reference| format!("{}{}", it.source.key(), if it.optional { "?" } else { "" });
        references(spec, wanted).iter().map(line).collect()
    }

    #[test]
    fn every_place_counts_and_nothing_else() {
        assert_eq!(
            lines(&everywhere(), |_| true),
            [
                "ConfigMap/init-from?",
                "ConfigMap/init-key",
                "ConfigMap/main-from?",
                "ConfigMap/main-key",
                "ConfigMap/projected?",
                "ConfigMap/side-from?",
                "ConfigMap/side-key",
                "ConfigMap/volume",
                "Secret/init-from",
                "Secret/init-key",
                "Secret/main-from",
                "Secret/main-key",
                "Secret/projected",
                "Secret/side-from",
                "Secret/side-key",
                "Secret/volume?",
            ]
        );
        let maps = lines(&everywhere(), |kind| kind == SourceKind::ConfigMap);
        assert_eq!(maps.len(), 8, "{maps:?}");
        assert!(lines(&everywhere(), |_| false).is_empty());
    }

    #[test]
    fn what_is_needed_in_one_place_is_needed() {
        let twice = |first: bool, second: bool| {
            serde_json::from_value(json!({"containers": [{"name": "main"}], "volumes": [
                {"name": "a", "configMap": {"name": "web", "optional": first}},
                {"name": "b", "configMap": {"name": "web", "optional": second}},
            ]}))
            .unwrap()
        };
        assert_eq!(lines(&twice(true, true), |_| true), ["ConfigMap/web?"]);
        assert_eq!(lines(&twice(true, false), |_| true), ["ConfigMap/web"]);
        assert_eq!(lines(&twice(false, true), |_| true), ["ConfigMap/web"]);
    }

    #[test]
    fn what_is_found_is_what_is_renamed() {
        let mut spec = everywhere();
        rename(&mut spec, |source| Some(format!("new-{}", source.name)));
        let renamed: Vec<_> = references(&spec, |_| true);
        assert_eq!(renamed.len(), 16);
        assert!(renamed.iter().all(|it| it.source.name.starts_with("new-")), "{renamed:?}");
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "pull");

        let mut some = everywhere();
        rename(&mut some, |source| (source.key() == "Secret/volume").then(|| "other".to_owned()));
        let volumes = some.volumes.as_ref().unwrap();
        assert_eq!(volumes[1].secret.as_ref().unwrap().secret_name.as_deref(), Some("other"));
        assert_eq!(volumes[0].config_map.as_ref().unwrap().name, "volume", "of the same name, another kind");
    }

    #[test]
    fn a_key_is_read_back() {
        for key in ["ConfigMap/web.example", "Secret/a"] {
            assert_eq!(ConfigSource::from_key(key).unwrap().key(), key);
        }
        assert_eq!([ConfigSource::from_key("Pod/web"), ConfigSource::from_key("web")], [None, None]);
    }
}
