//! Merge patches (RFC 7386), JSON patches (RFC 6902, on object members), strategic ones (of conditions) and those of
//! server-side apply, as the API server applies them.

use serde_json::Value;

use super::Answer;

/// The media type of server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";

/// Applies the patch of this media type.
pub(super) fn apply(content: &str, target: &mut Value, patch: &Value) -> Result<(), Answer> {
    match content {
        "application/merge-patch+json" => {
            merge(target, patch);
            Ok(())
        }
        "application/json-patch+json" => json_patch(target, patch),
        // Applied by one manager of fields of several: what it does not name stays.
        "application/strategic-merge-patch+json" | APPLY => {
            strategic(target, patch);
            Ok(())
        }
        other => Err(Answer::new(415, "UnsupportedMediaType", other)),
    }
}

pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (key, value) in members {
        if value.is_null() {
            if let Some(target) = target.as_object_mut() {
                target.remove(key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// As a merge patch, but that conditions are merged by their types.
fn strategic(target: &mut Value, patch: &Value) {
    let mut rest = patch.clone();
    let merged = rest.pointer_mut("/status/conditions").map(Value::take);
    let mut conditions = target["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for one in merged.iter().filter_map(Value::as_array).flatten() {
        match conditions.iter_mut().find(|condition| condition["type"] == one["type"]) {
            Some(condition) => merge(condition, one),
            None => conditions.push(one.clone()),
        }
    }
    merge(target, &rest);
    if merged.is_some() {
        target["status"]["conditions"] = Value::Array(conditions);
    }
}

fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Answer> {
    let refuse = |why: String| Answer::new(422, "Invalid", &why);
    for operation in patch.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default();
        let (parent, member) = path.rsplit_once('/').ok_or_else(|| refuse(format!("no path {path}")))?;
        let value = &operation["value"];
        match operation["op"].as_str().unwrap_or_default() {
            "test" if target.pointer(path) != Some(value) => {
                return Err(refuse(format!("testing value {path} failed")));
            }
            "test" => {}
            "add" | "replace" => match target.pointer_mut(parent) {
                Some(Value::Object(members)) => {
                    members.insert(member.to_owned(), value.clone());
                }
                Some(_) | None => return Err(refuse(format!("missing path {parent}"))),
            },
            "remove" => {
                let members = target.pointer_mut(parent).and_then(Value::as_object_mut);
                if members.and_then(|members| members.remove(member)).is_none() {
                    return Err(refuse(format!("missing path {path}")));
                }
            }
            other => return Err(refuse(format!("operation {other}"))),
        }
    }
    Ok(())
}
