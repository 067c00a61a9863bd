//! The task config: what shapes a Pod, its canonical form, its versioned hash, and how it is stored
//! in a `ControllerRevision`.
//!
//! A stored config and its hash must mean the same for ever: another hash for an unchanged config
//! would restart every instance of every service on an upgrade. Hence the rules of
//! [`TaskConfig::canonical`] and the goldens below. Used by the service controller and `apply`.

use std::collections::BTreeMap;

use borealis_core::model::Revision;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::constraints::Constraint;
use super::health::HealthCheck;
use super::labels;

/// The field of a stored config that holds what its ConfigMaps and Secrets hold.
const TRACKED: &str = "tracked";

/// What shapes a Pod: equality of this is what "unchanged" means to an update (Aurora: TaskConfig).
///
/// A field added later must be left out of the JSON while it has its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskConfig {
    /// The Pod template as the user wrote it.
    pub template: PodTemplateSpec,
    /// How health is checked; becomes probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// Name of the tier.
    pub tier: String,
    /// Importance within the role.
    #[serde(default)]
    pub priority: i32,
    /// Whether the Pods get stable DNS names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub discovery: bool,
    /// On which nodes the Pods may be, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// The pool of dedicated nodes that they run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<String>,
    /// What the ConfigMaps and Secrets hold that the template names, as far as they are part of the config:
    /// `ConfigMap/web` to the hash of its contents. The Pods use the copies made for this config.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracked: BTreeMap<String, String>,
}

/// Why a ControllerRevision is not a stored task config.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is none of ours, or its label was edited.
    #[error("ControllerRevision {name} has no label {} of the form v1-<16 hex>", labels::REVISION)]
    Label {
        /// Name of the object.
        name: String,
    },
    /// It has no data.
    #[error("ControllerRevision {name} has no data")]
    Empty {
        /// Name of the object.
        name: String,
    },
    /// Its data is no task config.
    #[error("ControllerRevision {name} does not hold a task config: {source}")]
    Data {
        /// Name of the object.
        name: String,
        /// What the data lacks.
        source: serde_json::Error,
    },
}

impl TaskConfig {
    /// The form that is hashed and stored: JSON with sorted keys, without nulls and empty lists.
    ///
    /// Empty objects stay, since they mean something in a Pod (`emptyDir: {}`, a selector `{}` that
    /// matches everything); an empty list never means anything else than no list.
    ///
    /// # Errors
    /// When the template cannot be written as JSON, which no decoded template does.
    pub fn canonical(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        drop_absent(&mut value);
        Ok(value)
    }

    /// The name of this config: the versioned hash of its canonical form, with the contents it names.
    ///
    /// # Errors
    /// As [`TaskConfig::canonical`].
    pub fn revision(&self) -> Result<Revision, serde_json::Error> {
        let mut bare = self.canonical()?;
        if let Some(bare) = bare.as_object_mut() {
            bare.remove(TRACKED);
        }
        Ok(with_contents(hash(&bare)?, &self.tracked))
    }

    /// The `ControllerRevision` that stores this config for its service.
    ///
    /// `number` orders the revisions of a service for people; nothing is decided by it.
    ///
    /// # Errors
    /// As [`TaskConfig::canonical`].
    pub fn to_controller_revision(
        &self,
        namespace: &str,
        service: &str,
        owner: OwnerReference,
        number: i64,
    ) -> Result<ControllerRevision, serde_json::Error> {
        let data = self.canonical()?;
        let revision = self.revision()?;
        Ok(ControllerRevision {
            metadata: ObjectMeta {
                name: Some(controller_revision_name(service, revision)),
                namespace: Some(namespace.to_owned()),
                labels: Some(
                    [
                        (labels::SERVICE.to_owned(), service.to_owned()),
                        (labels::REVISION.to_owned(), revision.to_string()),
                        (labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned()),
                    ]
                    .into(),
                ),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some(RawExtension(data)),
            revision: number,
        })
    }

    /// Reads a stored config and its name.
    ///
    /// The name is the label's, not a new hash: what was hashed once by an older way keeps its name.
    ///
    /// # Errors
    /// When the object is not a stored task config.
    pub fn from_controller_revision(stored: &ControllerRevision) -> Result<(Revision, Self), Unreadable> {
        let name = || stored.metadata.name.clone().unwrap_or_default();
        let revision = revision_of(stored).ok_or_else(|| Unreadable::Label { name: name() })?;
        let data = stored.data.as_ref().ok_or_else(|| Unreadable::Empty { name: name() })?;
        let config =
            Self::deserialize(&data.0).map_err(|source| Unreadable::Data { name: name(), source })?;
        Ok((revision, config))
    }
}

/// Name of the `ControllerRevision` of a config: `<service>-<16 hex>`.
#[must_use]
pub fn controller_revision_name(service: &str, revision: Revision) -> String {
    let text = revision.to_string();
    let hash = text.split_once('-').map_or(text.as_str(), |(_, hash)| hash);
    format!("{service}-{hash}")
}

/// The config a `ControllerRevision` or Pod names in its label, if it does.
#[must_use]
pub fn revision_of<K: kube::Resource>(object: &K) -> Option<Revision> {
    object.meta().labels.as_ref()?.get(labels::REVISION)?.parse().ok()
}

/// The name of a config of these contents, from its name without any: the index need not keep the config itself.
#[must_use]
pub fn with_contents(bare: Revision, tracked: &BTreeMap<String, String>) -> Revision {
    if tracked.is_empty() {
        return bare;
    }
    let lines = tracked.iter().map(|(key, content)| format!("\n{key}={content}"));
    let text: String = std::iter::once(bare.to_string()).chain(lines).collect();
    named_by(text.as_bytes())
}

fn hash(canonical: &Value) -> Result<Revision, serde_json::Error> {
    Ok(named_by(&serde_json::to_vec(canonical)?))
}

fn named_by(text: &[u8]) -> Revision {
    let digest = Sha256::digest(text);
    Revision::v1(digest.iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)))
}

fn drop_absent(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // Sorted here, since a dependency may switch serde_json to keeping the order of insertion.
            let mut entries: Vec<_> = std::mem::take(map).into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (key, mut entry) in entries {
                drop_absent(&mut entry);
                if !(entry.is_null() || entry.as_array().is_some_and(Vec::is_empty)) {
                    map.insert(key, entry);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_absent),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A config with one of everything that has a say in the canonical form.
    fn sample() -> TaskConfig {
        serde_json::from_value(json!({
            "tier": "preferred",
            "priority": 7,
            "discovery": true,
            "health": {"http": {"port": 8080}, "maxConsecutiveFailures": 2},
            "template": {
                "metadata": {"labels": {"team": "web"}},
                "spec": {
                    "containers": [{
                        "name": "main", "image": "registry.example/web:1", "args": [],
                        "env": [{"name": "A", "value": ""}],
                        "resources": {"requests": {"cpu": "100m"}},
                    }],
                    "volumes": [{"name": "scratch", "emptyDir": {}}],
                    "tolerations": null,
                },
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_hash_of_a_stored_config_never_changes() {
        // If this fails, an upgrade would restart every instance everywhere: don't edit, find out why.
        assert_eq!(sample().revision().unwrap().to_string(), "v1-ebfa671f8a148537");
        let stored = concat!(
            r#"{"discovery":true,"health":{"http":{"path":"/health","port":8080,"scheme":"HTTP"},"#,
            r#""initialIntervalSeconds":15,"intervalSeconds":10,"maxConsecutiveFailures":2,"#,
            r#""minConsecutiveSuccesses":1,"timeoutSeconds":1},"priority":7,"template":{"metadata":"#,
            r#"{"labels":{"team":"web"}},"spec":{"containers":[{"env":[{"name":"A","value":""}],"#,
            r#""image":"registry.example/web:1","name":"main","resources":{"requests":{"cpu":"100m"}}}],"#,
            r#""volumes":[{"emptyDir":{},"name":"scratch"}]}},"tier":"preferred"}"#,
        );
        assert_eq!(serde_json::to_string(&sample().canonical().unwrap()).unwrap(), stored);
        let read: TaskConfig = serde_json::from_str(stored).unwrap();
        assert_eq!(read.revision().unwrap(), sample().revision().unwrap());
    }

    fn constraints() -> Vec<Constraint> {
        let all = json!([{"attribute": "host", "limit": 2}, {"attribute": "zone", "values": ["a"], "negated": true}]);
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn the_hash_of_a_config_with_constraints_never_changes() {
        let config = TaskConfig { constraints: constraints(), dedicated: Some("ads".to_owned()), ..sample() };
        assert_eq!(config.revision().unwrap().to_string(), "v1-1c4363badbf972ed");
        let stored = config.canonical().unwrap();
        let words = r#"[{"attribute":"host","limit":2},{"attribute":"zone","negated":true,"values":["a"]}]"#;
        assert_eq!(
            (stored["constraints"].to_string().as_str(), stored["dedicated"].as_str()),
            (words, Some("ads"))
        );
        let read: TaskConfig = serde_json::from_value(stored).unwrap();
        assert_eq!((read.constraints, read.dedicated), (config.constraints, config.dedicated));
    }

    fn contents(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(key, hash)| ((*key).to_owned(), (*hash).to_owned())).collect()
    }

    #[test]
    fn contents_are_part_of_the_name() {
        let of = |all: &[(&str, &str)]| TaskConfig { tracked: contents(all), ..sample() };
        let base = of(&[("ConfigMap/web", "1"), ("Secret/web", "2")]);
        // As above: what is stored under this name must be found under it for ever.
        assert_eq!(base.revision().unwrap().to_string(), "v1-7ec200a696042092");
        for other in [
            of(&[]),
            of(&[("ConfigMap/web", "1")]),
            of(&[("ConfigMap/web", "2"), ("Secret/web", "1")]),
            of(&[("ConfigMap/other", "1"), ("Secret/web", "2")]),
        ] {
            assert_ne!(other.revision().unwrap(), base.revision().unwrap(), "{:?}", other.tracked);
        }
        let bare = sample().revision().unwrap();
        assert_eq!(with_contents(bare, &base.tracked), base.revision().unwrap());
        let stored = base.to_controller_revision("prod", "web", OwnerReference::default(), 1).unwrap();
        let (name, read) = TaskConfig::from_controller_revision(&stored).unwrap();
        assert_eq!((name, read.tracked.len()), (base.revision().unwrap(), 2));
        assert_eq!(read.revision().unwrap(), name);
    }

    #[test]
    fn what_is_absent_does_not_count_and_what_is_empty_may() {
        let mut other = sample();
        let spec = other.template.spec.as_mut().unwrap();
        spec.tolerations = Some(Vec::new());
        spec.containers[0].args = None;
        assert_eq!(other.revision().unwrap(), sample().revision().unwrap());

        other.template.spec.as_mut().unwrap().volumes.as_mut().unwrap()[0].empty_dir = None;
        assert_ne!(other.revision().unwrap(), sample().revision().unwrap());
    }

    #[test]
    fn every_part_of_the_config_counts() {
        let base = sample();
        let changed = [
            TaskConfig { tier: "production".to_owned(), ..base.clone() },
            TaskConfig { priority: 8, ..base.clone() },
            TaskConfig { discovery: false, ..base.clone() },
            TaskConfig { constraints: constraints(), ..base.clone() },
            TaskConfig { dedicated: Some("ads/gpu".to_owned()), ..base.clone() },
            TaskConfig { health: None, ..base.clone() },
            TaskConfig { template: PodTemplateSpec::default(), ..base.clone() },
            TaskConfig { tracked: contents(&[("ConfigMap/web", "1")]), ..base.clone() },
        ];
        for config in changed {
            assert_ne!(config.revision().unwrap(), base.revision().unwrap(), "{config:?}");
        }
    }

    #[test]
    fn a_stored_config_is_read_back() {
        let owner = OwnerReference { name: "web".to_owned(), ..OwnerReference::default() };
        let stored = sample().to_controller_revision("prod", "web", owner, 3).unwrap();
        let revision = sample().revision().unwrap();
        assert_eq!(stored.metadata.name, Some(controller_revision_name("web", revision)));
        let (read, config) = TaskConfig::from_controller_revision(&stored).unwrap();
        assert_eq!(read, revision);
        assert_eq!(config.revision().unwrap(), revision);
        assert_eq!(config.template.spec.unwrap().containers[0].name, "main");
    }

    #[test]
    fn foreign_objects_are_refused() {
        let owner = OwnerReference::default();
        let stored = sample().to_controller_revision("prod", "web", owner, 1).unwrap();
        let mut unlabelled = stored.clone();
        unlabelled.metadata.labels = None;
        let empty = ControllerRevision { data: None, ..stored.clone() };
        let other = ControllerRevision { data: Some(RawExtension(json!({"spec": {}}))), ..stored };
        assert!(matches!(TaskConfig::from_controller_revision(&unlabelled), Err(Unreadable::Label { .. })));
        assert!(matches!(TaskConfig::from_controller_revision(&empty), Err(Unreadable::Empty { .. })));
        assert!(matches!(TaskConfig::from_controller_revision(&other), Err(Unreadable::Data { .. })));
    }
}
