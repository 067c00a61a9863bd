//! The JSONPath (RFC 9535) that checks may use, and what it finds in a document.
//!
//! Parsed by a library, walked here: users write the path, and whoever answers writes the document, so what one
//! search may cost has to be bounded by the size of the document. Names, indexes and `*` go from a value to its
//! children, and one `..` visits each value once; filters, slices and several selectors at a time are refused.

use jsonpath_rust::parser::{
    model::{Segment, Selector},
    parse_json_path,
};
use serde_json::Value;

/// A path into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Looked for in each value below as well.
    deep: bool,
    step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(i64),
    All,
}

impl JsonPath {
    /// The path of this text; the error says what is wrong with it, after the text.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let parsed = parse_json_path(text).map_err(|_| "is no JSONPath; write one such as $.errors.rate")?;
        let parts = parsed.segments.into_iter().map(part).collect::<Option<Vec<_>>>();
        let parts = parts.ok_or("holds a filter, a slice or a list; use names, indexes and *")?;
        if parts.iter().filter(|part| part.deep).count() > 1 {
            return Err("holds several `..`; use one at most");
        }
        Ok(Self(parts))
    }

    /// Everything at the path, in the order of the document.
    pub(crate) fn find<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![document];
        for Part { deep, step } in &self.0 {
            let mut next = Vec::new();
            for value in found {
                if *deep {
                    each(value, &mut |value| step.take(value, &mut next));
                } else {
                    step.take(value, &mut next);
                }
            }
            found = next;
        }
        found
    }
}

fn part(segment: Segment) -> Option<Part> {
    let step = |selector| match selector {
        Selector::Name(name) => Some(Step::Name(name)),
        Selector::Index(index) => Some(Step::Index(index)),
        Selector::Wildcard => Some(Step::All),
        Selector::Slice(..) | Selector::Filter(_) => None,
    };
    match segment {
        Segment::Selector(selector) => Some(Part { deep: false, step: step(selector)? }),
        Segment::Descendant(inner) => match *inner {
            Segment::Selector(selector) => Some(Part { deep: true, step: step(selector)? }),
            Segment::Descendant(_) | Segment::Selectors(_) => None,
        },
        Segment::Selectors(_) => None,
    }
}

impl Step {
    fn take<'a>(&self, value: &'a Value, found: &mut Vec<&'a Value>) {
        match (self, value) {
            (Self::Name(name), Value::Object(map)) => found.extend(map.get(name)),
            (Self::Index(index), Value::Array(items)) => {
                let from_end = || {
                    usize::try_from(index.unsigned_abs()).ok().and_then(|back| items.len().checked_sub(back))
                };
                let at = if *index < 0 { from_end() } else { usize::try_from(*index).ok() };
                found.extend(at.and_then(|at| items.get(at)));
            }
            (Self::All, Value::Object(map)) => found.extend(map.values()),
            (Self::All, Value::Array(items)) => found.extend(items),
            (_, _) => {}
        }
    }
}

/// Calls `visit` with a value and all that is below it, which the reader of JSON keeps from being too deep.
fn each<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| each(value, visit)),
        Value::Array(items) => items.iter().for_each(|value| each(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_finds_what_the_library_finds() {
        let document = json!({
            "errors": {"rate": 0.5, "a b": 1, "it's": 2},
            "shards": [{"lag": 1}, {"lag": 2, "errors": {"rate": 7}}, 3],
            "": null,
        });
        for (path, count) in [
            ("$", 1),
            ("$.errors.rate", 1),
            ("$['errors']['a b']", 1),
            ("$.errors[\"it's\"]", 1),
            ("$.errors['it\\'s']", 1),
            ("$.shards[0].lag", 1),
            ("$.shards[-1]", 1),
            ("$.shards[3]", 0),
            ("$.shards[-4]", 0),
            ("$.shards[*].lag", 2),
            ("$.shards.*", 3),
            ("$..rate", 2),
            ("$.shards..rate", 1),
            ("$..errors.rate", 2),
            ("$..[0]", 1),
            ("$..*", 13),
            ("$.missing", 0),
            ("$.errors.rate.deeper", 0),
            ("$['']", 1),
        ] {
            let found = JsonPath::parse(path).unwrap_or_else(|why| panic!("{path} {why}")).find(&document);
            assert_eq!(found.len(), count, "{path}");
            let words = |found: Vec<&Value>| -> Vec<String> {
                let mut words: Vec<String> = found.into_iter().map(Value::to_string).collect();
                words.sort();
                words
            };
            let theirs = jsonpath_rust::JsonPath::query(&document, path).unwrap();
            assert_eq!(words(found), words(theirs), "{path}");
        }
    }

    #[test]
    fn what_it_does_not_take_is_said() {
        for (path, why) in [
            ("", "is no JSONPath"),
            ("errors.rate", "is no JSONPath"),
            ("$.", "is no JSONPath"),
            ("$.a[", "is no JSONPath"),
            ("$[?@.a > 1]", "filter"),
            ("$.a[0:2]", "slice"),
            ("$['a','b']", "list"),
            ("$..['a','b']", "list"),
            ("$..a..b", "several"),
        ] {
            let error = JsonPath::parse(path).unwrap_err();
            assert!(error.contains(why), "{path}: {error}");
        }
    }
}
