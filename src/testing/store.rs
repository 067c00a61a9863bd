//! The objects, their versions, and the rules of changing them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::patch;
use crate::api::{labels, observed};

/// The resources of ours that it serves.
pub(super) const KINDS: [&str; 7] =
    ["auroraservices", "auroraupdates", "aurorajobs", "auroracrons", "tiers", "auroraroles", "frameworks"];

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self { resource: resource.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn of(resource: &str, object: &Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Self::new(resource, text("namespace"), text("name"))
    }
}

/// An answer that is no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn new(code: u16, reason: &str, message: &str) -> Self {
        Self { code, reason: reason.to_owned(), message: message.to_owned() }
    }

    pub(super) fn missing(place: &Place) -> Self {
        Self::new(404, "NotFound", &format!("{} {:?} not found", place.resource, place.name))
    }

    fn conflict(why: &str) -> Self {
        Self::new(409, "Conflict", &format!("Operation cannot be fulfilled: {why}"))
    }

    pub(super) fn object(&self) -> Value {
        let Self { code, reason, message } = self;
        let status = if *code < 400 { "Success" } else { "Failure" };
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status,
               "message": message, "reason": reason, "code": code})
    }
}

/// A change, as watches tell it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) place: Place,
    pub(super) before: Option<Value>,
    /// The object after it; of a removed one the last state, with the version of its removal.
    pub(super) after: Value,
    pub(super) removed: bool,
}

/// What the API server keeps.
#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<Place, Value>,
    version: u64,
    history: Vec<Change>,
    /// Versions up to this one are forgotten.
    compacted: u64,
    uids: u64,
    /// The Lease whose term Pods must carry.
    pub(super) fence: Option<Place>,
}

/// What a deletion must meet, and how long it takes.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) grace: Option<i64>,
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.version;
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Value> {
        self.objects.get(place)
    }

    pub(super) fn all(&self, resource: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |(place, _)| place.resource == resource).map(|(_, object)| object)
    }

    pub(super) fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        self.history.iter().filter(move |change| change.version > version)
    }

    /// Whether it could be created.
    pub(super) fn check_create(&self, resource: &str, object: &Value) -> Result<(), Answer> {
        let place = Place::of(resource, object);
        if self.objects.contains_key(&place) {
            let message = format!("{resource} {:?} already exists", place.name);
            return Err(Answer::new(409, "AlreadyExists", &message));
        }
        self.check_term(resource, object)
    }

    pub(super) fn create(&mut self, resource: &str, mut object: Value) -> Result<Value, Answer> {
        self.check_create(resource, &object)?;
        let place = Place::of(resource, &object);
        self.uids += 1;
        let meta = &mut object["metadata"];
        meta["uid"] = json!(format!("00000000-0000-4000-8000-{:012x}", self.uids));
        meta["creationTimestamp"] = json!(now());
        meta["generation"] = json!(1);
        match resource {
            "pods" => {
                object["status"] = json!({"phase": "Pending"});
                if object["spec"].get("terminationGracePeriodSeconds").is_none() {
                    object["spec"]["terminationGracePeriodSeconds"] = json!(30);
                }
            }
            ours if KINDS.contains(&ours) => {
                drop(object.as_object_mut().map(|o| o.remove("status")));
            }
            _ => {}
        }
        Ok(self.put(place, object))
    }

    fn check_term(&self, resource: &str, object: &Value) -> Result<(), Answer> {
        let Some(lease) = self.fence.as_ref().filter(|_| resource == "pods") else { return Ok(()) };
        let term = self.get(lease).and_then(|lease| lease["spec"]["leaseTransitions"].as_u64());
        if object["metadata"]["labels"][labels::TERM]
            == term.map_or(Value::Null, |term| json!(term.to_string()))
        {
            return Ok(());
        }
        let policy = crate::apply::TERM_POLICY;
        let message = format!(
            "pods {} is forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: \
             the term is {term:?}",
            object["metadata"]["name"]
        );
        Err(Answer::new(403, "Forbidden", &message))
    }

    /// Puts a changed object in the place of the present one. `status` says which half counts.
    pub(super) fn update(&mut self, place: &Place, mut new: Value, status: bool) -> Result<Value, Answer> {
        let present = self.objects.get(place).ok_or_else(|| Answer::missing(place))?;
        let asked = &new["metadata"];
        let differs = |field: &str| !asked[field].is_null() && asked[field] != present["metadata"][field];
        if differs("resourceVersion") {
            return Err(Answer::conflict("the object has been modified"));
        }
        if differs("uid") {
            return Err(Answer::new(422, "Invalid", "metadata.uid: Invalid value: field is immutable"));
        }
        if status {
            // Of Pods it takes labels and annotations, too.
            let asked = if place.resource == "pods" { &new["metadata"] } else { &present["metadata"] };
            let (metadata, status) = (asked.clone(), new["status"].take());
            new = present.clone();
            new["metadata"] = metadata;
            new["status"] = status;
        } else if let Some(status) = present.get("status") {
            new["status"] = status.clone();
        }
        for field in ["uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp"] {
            new["metadata"][field] = present["metadata"][field].clone();
        }
        let grown = new["spec"] != present["spec"];
        if *present == new {
            return Ok(new);
        }
        if grown {
            new["metadata"]["generation"] =
                json!(present["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        if is_deleted(&new) && !has_finalizers(&new) && place.resource != "pods" {
            self.remove(place);
            return Ok(new);
        }
        Ok(self.put(place.clone(), new))
    }

    pub(super) fn patch(
        &mut self,
        place: &Place,
        content: &str,
        body: &Value,
        status: bool,
    ) -> Result<Value, Answer> {
        if content == patch::APPLY && !status && !self.objects.contains_key(place) {
            return self.create(&place.resource, body.clone());
        }
        let mut new = self.objects.get(place).ok_or_else(|| Answer::missing(place))?.clone();
        patch::apply(content, &mut new, body)?;
        let (old, lower) = (&self.objects[place]["spec"], &new["spec"]);
        if let (Some(had), Some(deadline)) =
            (old["activeDeadlineSeconds"].as_i64(), lower["activeDeadlineSeconds"].as_i64())
            && deadline > had
        {
            return Err(Answer::new(
                422,
                "Invalid",
                "spec.activeDeadlineSeconds: must be less than or equal",
            ));
        }
        let config = |object: &Value| object["metadata"]["labels"][labels::REVISION].clone();
        if config(&self.objects[place]) != config(&new) {
            self.check_term(&place.resource, &new)?;
        }
        self.update(place, new, status)
    }

    /// Merges into all of an object, its status too.
    pub(super) fn force(&mut self, place: &Place, body: &Value) -> Result<Value, Answer> {
        let mut new = self.objects.get(place).ok_or_else(|| Answer::missing(place))?.clone();
        let generation = new["metadata"]["generation"].as_i64().unwrap_or(0);
        let spec = new["spec"].clone();
        patch::merge(&mut new, body);
        if new["spec"] != spec {
            new["metadata"]["generation"] = json!(generation + 1);
        }
        Ok(self.put(place.clone(), new))
    }

    /// Deletes as far as grace and finalizers let it. `None` when the object is gone with that.
    pub(super) fn delete(&mut self, place: &Place, deletion: &Deletion) -> Result<(Value, bool), Answer> {
        let present = self.objects.get(place).ok_or_else(|| Answer::missing(place))?;
        let meta = &present["metadata"];
        let differs =
            |asked: &Option<String>, field: &str| asked.as_ref().is_some_and(|text| meta[field] != **text);
        if differs(&deletion.uid, "uid") {
            return Err(Answer::conflict("the UID in the precondition does not match the UID in record"));
        }
        if differs(&deletion.resource_version, "resourceVersion") {
            return Err(Answer::conflict("the ResourceVersion in the precondition does not match"));
        }
        let grace = if place.resource == "pods"
            && present["spec"].get("nodeName").is_some()
            && !has_ended(present)
        {
            deletion.grace.or_else(|| present["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0)
        } else {
            0
        };
        if grace == 0 && !has_finalizers(present) {
            let last = present.clone();
            self.remove(place);
            return Ok((last, true));
        }
        let mut new = present.clone();
        if !is_deleted(present) {
            new["metadata"]["deletionTimestamp"] = json!(now());
        }
        new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        Ok((self.put(place.clone(), new), false))
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let Some(before) = self.objects.remove(place) else { return };
        self.version += 1;
        let mut after = before.clone();
        after["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let place = place.clone();
        self.history.push(Change {
            version: self.version,
            place,
            before: Some(before),
            after,
            removed: true,
        });
    }

    fn put(&mut self, place: Place, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        // The real one fills this in at each reading, which is the same to whoever reads.
        if KINDS.contains(&&*place.resource) && object["status"].is_null() {
            object["status"] = observed::unwritten();
        }
        let before = self.objects.insert(place.clone(), object.clone());
        let after = object.clone();
        self.history.push(Change { version: self.version, place, before, after, removed: false });
        object
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
