//! What a ConfigMap or a Secret holds, as a hash, and the copy of it that the Pods of one config use.
//!
//! A copy is immutable, and belongs to the ControllerRevision of its config: with that it is removed. Pure; called by
//! the index, which compares, and by the executor, which makes the copies.

use std::fmt;

use borealis_core::model::Revision;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::ControllerRevision,
        core::v1::{ConfigMap, Secret},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    labels,
    references::{ConfigSource, SourceKind},
    revision::controller_revision_name,
};

/// Characters of an object's name at most.
const MAX_NAME: usize = 253;

/// What an object holds, by its hash. Part of the stored format, as the hash of a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(u64);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A kind whose contents can be part of a config.
pub trait Content: Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    /// Which.
    const KIND: SourceKind;

    /// The hash of what it holds: whatever a container could see of it, and for a Secret its type.
    ///
    /// # Errors
    /// When it can't be written as JSON, which nothing decoded does.
    fn content(&self) -> Result<ContentHash, serde_json::Error>;

    /// An immutable object of another name that holds the same.
    #[must_use]
    fn copied(&self, metadata: ObjectMeta) -> Self;
}

impl Content for ConfigMap {
    const KIND: SourceKind = SourceKind::ConfigMap;

    fn content(&self) -> Result<ContentHash, serde_json::Error> {
        hash(vec![
            ("binaryData", serde_json::to_value(&self.binary_data)?),
            ("data", serde_json::to_value(&self.data)?),
        ])
    }

    fn copied(&self, metadata: ObjectMeta) -> Self {
        let Self { data, binary_data, immutable: _, metadata: _ } = self.clone();
        Self { metadata, data, binary_data, immutable: Some(true) }
    }
}

impl Content for Secret {
    const KIND: SourceKind = SourceKind::Secret;

    fn content(&self) -> Result<ContentHash, serde_json::Error> {
        hash(vec![("data", serde_json::to_value(&self.data)?), ("type", serde_json::to_value(&self.type_)?)])
    }

    fn copied(&self, metadata: ObjectMeta) -> Self {
        let Self { data, type_, immutable: _, metadata: _, string_data: _ } = self.clone();
        Self { metadata, data, type_, immutable: Some(true), string_data: None }
    }
}

/// The hash of the fields that hold something, in this order, each with sorted keys.
fn hash(fields: Vec<(&str, Value)>) -> Result<ContentHash, serde_json::Error> {
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let held = fields.into_iter().filter(|(_, value)| !empty(value));
    let held: Map<String, Value> = held.map(|(field, value)| (field.to_owned(), value)).collect();
    let digest = Sha256::digest(serde_json::to_vec(&held)?);
    Ok(ContentHash(digest.iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))))
}

/// Name of the copy of an object for a config of a service: `<original>-<service>-<16 hex>`.
///
/// Where that would be too long for a name, the original's is cut, and a hash of it takes the place of the rest.
#[must_use]
pub fn snapshot_name(original: &ConfigSource, service: &str, revision: Revision) -> String {
    let end = controller_revision_name(service, revision);
    let name = &*original.name;
    if name.len() + 1 + end.len() <= MAX_NAME {
        return format!("{name}-{end}");
    }
    let digest = Sha256::digest(name);
    let mark: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let room = MAX_NAME.saturating_sub(mark.len() + end.len() + 2);
    let start: String = name.chars().take(room).collect();
    // A part of a name may not end so.
    let start = start.trim_end_matches(['-', '.']);
    format!("{start}-{mark}-{end}")
}

/// The metadata of such a copy. It belongs to the ControllerRevision of this uid, which stores the config.
#[must_use]
pub fn snapshot_metadata(
    original: &ConfigSource,
    namespace: &str,
    service: &str,
    revision: Revision,
    stored: &str,
) -> ObjectMeta {
    let labels = [
        (labels::SERVICE, service.to_owned()),
        (labels::REVISION, revision.to_string()),
        (labels::MANAGED_BY, labels::MANAGED_BY_VALUE.to_owned()),
    ];
    ObjectMeta {
        name: Some(snapshot_name(original, service, revision)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
        annotations: Some([(labels::SNAPSHOT_OF.to_owned(), original.name.to_string())].into()),
        owner_references: Some(vec![OwnerReference {
            api_version: ControllerRevision::api_version(&()).into_owned(),
            kind: ControllerRevision::kind(&()).into_owned(),
            name: controller_revision_name(service, revision),
            uid: stored.to_owned(),
            controller: Some(true),
            // A stored config is not to wait for its copies when it goes.
            block_owner_deletion: Some(false),
        }]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> ConfigMap {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn secret(value: &Value) -> Secret {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn source(name: &str) -> ConfigSource {
        ConfigSource { kind: SourceKind::ConfigMap, name: name.into() }
    }

    #[test]
    fn the_hash_of_contents_never_changes() {
        // As with configs: another hash would update every service that names one.
        let web = map(&json!({"data": {"b": "2", "a": "1"}, "binaryData": {"c": "AAH/"}}));
        assert_eq!(web.content().unwrap().to_string(), "0cb4b106f9c3cb07");
        let key = secret(&json!({"type": "kubernetes.io/tls", "data": {"tls.key": "AAH/"}}));
        assert_eq!(key.content().unwrap().to_string(), "f6d01491d317dd0a");
    }

    #[test]
    fn what_a_container_sees_counts_and_nothing_else() {
        let one = json!({"data": {"a": "1", "b": "2"}});
        let hash = |value: Value| map(&value).content().unwrap();
        assert_eq!(
            hash(json!({"data": {"b": "2", "a": "1"}, "metadata": {"labels": {"x": "y"}}, "immutable": true,
            "binaryData": {}})),
            hash(one.clone())
        );
        for other in [
            json!({"data": {"a": "1"}}),
            json!({"data": {"a": "1", "b": "3"}}),
            json!({"data": {"a": "1", "c": "2"}}),
            json!({"binaryData": {"a": "MQ==", "b": "Mg=="}}),
            json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": ""}}),
            json!({}),
        ] {
            assert_ne!(hash(other.clone()), hash(one.clone()), "{other}");
        }
        let opaque = secret(&json!({"type": "Opaque", "data": {"a": "MQ=="}})).content().unwrap();
        let other = secret(&json!({"type": "example.com/own", "data": {"a": "MQ=="}})).content().unwrap();
        assert_ne!(opaque, other, "of another type");
    }

    #[test]
    fn a_copy_holds_the_same_and_is_immutable() {
        let metadata = snapshot_metadata(&source("web"), "prod", "site", Revision::v1(0xab), "uid-of-stored");
        let labels = metadata.labels.clone().unwrap();
        assert_eq!(labels[labels::SERVICE], "site");
        assert_eq!(labels[labels::REVISION], "v1-00000000000000ab");
        let owner = &metadata.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.name.as_str()),
            ("ControllerRevision", "site-00000000000000ab")
        );
        assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(false)));

        let web = map(
            &json!({"metadata": {"name": "web", "uid": "u"}, "data": {"a": "1"}, "binaryData": {"b": "AA=="}}),
        );
        let copy = web.copied(metadata.clone());
        assert_eq!(copy.content().unwrap(), web.content().unwrap());
        assert_eq!((copy.immutable, copy.metadata.uid), (Some(true), None));
        assert_eq!(copy.metadata.name.as_deref(), Some("web-site-00000000000000ab"));

        let key = secret(&json!({"type": "kubernetes.io/tls", "data": {"tls.key": "AA=="}}));
        let copy = key.copied(metadata);
        assert_eq!(copy.content().unwrap(), key.content().unwrap());
        assert_eq!((copy.immutable, copy.type_.as_deref()), (Some(true), Some("kubernetes.io/tls")));
    }

    #[test]
    fn a_name_that_would_be_too_long_is_cut_and_stays_its_own() {
        let service = "s".repeat(45);
        let name = |original: &str| snapshot_name(&source(original), &service, Revision::v1(1));
        let fits = "a".repeat(MAX_NAME - 1 - 45 - 1 - 16);
        assert_eq!(name(&fits), format!("{fits}-{service}-0000000000000001"));
        let (one, other) = (format!("{fits}.b"), format!("{fits}.c"));
        assert!(name(&one).len() <= MAX_NAME);
        assert_ne!(name(&one), name(&other), "alike but for their ends");
        assert_eq!(name(&one), name(&one));
        // It is cut behind a dot here, which may stand before nothing but a letter or digit.
        let dots = format!("{}..{}", "a".repeat(MAX_NAME - 2 - 16 - 62 - 1), "b".repeat(40));
        assert!(!name(&dots).contains(".-"), "{}", name(&dots));
    }
}
