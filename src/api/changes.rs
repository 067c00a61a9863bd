//! What differs between two configs, in lines for people: part of the history that AuroraUpdates are.

use std::collections::{BTreeMap, BTreeSet};

use json_patch::{PatchOperation, diff};
use serde_json::Value;

use super::{TaskConfig, references::ConfigSource};

/// Lines at most; what is beyond is counted.
const MAX_LINES: usize = 32;
/// Characters of a line at most.
const MAX_LINE: usize = 256;

/// The differences, each by its path from `spec` of the service.
///
/// # Errors
/// As [`TaskConfig::canonical`].
pub fn changes(from: &TaskConfig, to: &TaskConfig) -> Result<Vec<String>, serde_json::Error> {
    let contents = contents(from, to);
    let bare = |config: &TaskConfig| TaskConfig { tracked: BTreeMap::new(), ..config.clone() }.canonical();
    let (from, to) = (bare(from)?, bare(to)?);
    let operations = diff(&from, &to).0;
    let mut lines: Vec<String> = operations.iter().filter_map(|change| line(&from, change)).collect();
    lines.extend(contents);
    if lines.len() > MAX_LINES {
        let more = lines.len() - (MAX_LINES - 1);
        lines.truncate(MAX_LINES - 1);
        lines.push(format!("and {more} more"));
    }
    Ok(lines)
}

/// What became of the contents of the ConfigMaps and Secrets that either names.
fn contents(from: &TaskConfig, to: &TaskConfig) -> Vec<String> {
    let all: BTreeSet<_> = from.tracked.keys().chain(to.tracked.keys()).collect();
    let words = |key: &String| {
        Some(match (from.tracked.get(key), to.tracked.get(key)) {
            (Some(before), Some(after)) if before == after => return None,
            // Not even a hash of them: of a short Secret it would tell too much.
            (Some(_), Some(_)) => "contents changed",
            (None, Some(_)) => "contents became part of the config",
            (Some(_), None) => "contents are no longer part of the config",
            (None, None) => return None,
        })
    };
    let name = |key: &str| ConfigSource::from_key(key).map_or_else(|| key.to_owned(), |it| it.to_string());
    all.into_iter().filter_map(|key| Some(shortened(&format!("{}: {}", name(key), words(key)?)))).collect()
}

fn line(from: &Value, change: &PatchOperation) -> Option<String> {
    let (path, words) = match change {
        PatchOperation::Replace(replace) => {
            let before = from.pointer(replace.path.as_str()).unwrap_or(&Value::Null);
            (replace.path.as_str(), format!("{before} -> {}", replace.value))
        }
        PatchOperation::Add(add) => (add.path.as_str(), format!("added {}", add.value)),
        PatchOperation::Remove(remove) => {
            let before = from.pointer(remove.path.as_str()).unwrap_or(&Value::Null);
            (remove.path.as_str(), format!("removed {before}"))
        }
        // A diff consists of the others.
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => return None,
    };
    let path = path.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
    Some(shortened(&format!("{path}: {words}")))
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= MAX_LINE {
        return line.to_owned();
    }
    line.chars().take(MAX_LINE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(pod: &Value, tier: &str) -> TaskConfig {
        serde_json::from_value(json!({"template": {"spec": pod}, "tier": tier})).unwrap()
    }

    #[test]
    fn each_difference_is_a_line() {
        let old = json!({"containers": [{"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]}],
            "nodeSelector": {"example.com/pool": "a"}});
        let new = json!({"containers": [{"name": "web", "image": "web:2",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]});
        let mut lines = changes(&config(&old, "preferred"), &config(&new, "preferred")).unwrap();
        lines.sort();
        assert_eq!(
            lines,
            [
                r#"template.spec.containers.0.env.1: added {"name":"B","value":"2"}"#,
                r#"template.spec.containers.0.image: "web:1" -> "web:2""#,
                r#"template.spec.nodeSelector: removed {"example.com/pool":"a"}"#,
            ]
        );
        assert!(changes(&config(&old, "a"), &config(&old, "a")).unwrap().is_empty());
        let tier = changes(&config(&old, "a"), &config(&old, "b")).unwrap();
        assert_eq!(tier, [r#"tier: "a" -> "b""#]);
    }

    #[test]
    fn contents_are_named_by_their_object() {
        let with = |tracked: Value| {
            let config = json!({"template": {"spec": {"containers": []}}, "tier": "a", "tracked": tracked});
            serde_json::from_value::<TaskConfig>(config).unwrap()
        };
        let old = with(json!({"ConfigMap/a": "1", "ConfigMap/b": "2", "Secret/a": "3"}));
        let new = with(json!({"ConfigMap/a": "4", "ConfigMap/b": "2", "ConfigMap/c": "5"}));
        assert_eq!(
            changes(&old, &new).unwrap(),
            [
                "ConfigMap a: contents changed",
                "ConfigMap c: contents became part of the config",
                "Secret a: contents are no longer part of the config",
            ]
        );
        let from_none = changes(&with(json!({})), &with(json!({"ConfigMap/a": "1"}))).unwrap();
        assert_eq!(from_none, ["ConfigMap a: contents became part of the config"]);
    }

    #[test]
    fn it_stays_short() {
        let many = |value: &str| {
            let env: Vec<Value> =
                (0..50).map(|at| json!({"name": format!("V{at}"), "value": value})).collect();
            config(&json!({"containers": [{"name": "web", "env": env}]}), "")
        };
        let lines = changes(&many("old"), &many(&"new".repeat(200))).unwrap();
        assert_eq!((lines.len(), lines[MAX_LINES - 1].as_str()), (MAX_LINES, "and 19 more"));
        assert!(lines.iter().all(|line| line.chars().count() <= MAX_LINE));
    }
}
