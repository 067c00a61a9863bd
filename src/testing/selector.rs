//! Label and field selectors, as lists and watches take them.

use serde_json::Value;

/// Which objects a list or watch is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    terms: Vec<Term>,
    name: Option<String>,
}

#[derive(Debug, Clone)]
enum Term {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Has(String),
    Lacks(String),
}

impl Selector {
    /// From `labelSelector` and `fieldSelector`; of fields only metadata.name is known.
    pub(super) fn new(labels: Option<&str>, fields: Option<&str>) -> Self {
        let name = fields.and_then(|fields| fields.strip_prefix("metadata.name=")).map(str::to_owned);
        let terms = split(labels.unwrap_or_default()).into_iter().map(|text| term(&text)).collect();
        Self { terms, name }
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let meta = &object["metadata"];
        let label = |key: &str| meta["labels"].get(key).and_then(Value::as_str);
        self.name.as_ref().is_none_or(|name| meta["name"] == **name)
            && self.terms.iter().all(|term| match term {
                Term::In(key, values) => label(key).is_some_and(|value| values.iter().any(|v| v == value)),
                Term::NotIn(key, values) => label(key).is_none_or(|value| values.iter().all(|v| v != value)),
                Term::Has(key) => label(key).is_some(),
                Term::Lacks(key) => label(key).is_none(),
            })
    }
}

/// Splits at the commas that are not within parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn term(text: &str) -> Term {
    let text = text.trim();
    let list = |values: &str| -> Vec<String> {
        values.trim_matches(['(', ')', ' ']).split(',').map(|value| value.trim().to_owned()).collect()
    };
    if let Some((key, values)) = text.split_once(" notin ") {
        Term::NotIn(key.trim().to_owned(), list(values))
    } else if let Some((key, values)) = text.split_once(" in ") {
        Term::In(key.trim().to_owned(), list(values))
    } else if let Some((key, value)) = text.split_once("!=") {
        Term::NotIn(key.to_owned(), vec![value.to_owned()])
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Term::In(key.to_owned(), vec![value.to_owned()])
    } else if let Some(key) = text.strip_prefix('!') {
        Term::Lacks(key.to_owned())
    } else {
        Term::Has(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects() {
        let object = json!({"metadata": {"name": "x", "labels": {"a": "1", "b": "2"}}});
        for (labels, expected) in [
            ("", true),
            ("a=1", true),
            ("a==1,b!=3", true),
            ("a=2", false),
            ("a in (1,2),b", true),
            ("a notin (1,2)", false),
            ("!c", true),
            ("!a", false),
            ("c", false),
            ("c!=1", true),
        ] {
            assert_eq!(Selector::new(Some(labels), None).matches(&object), expected, "{labels}");
        }
        assert!(!Selector::new(None, Some("metadata.name=y")).matches(&object));
    }
}
