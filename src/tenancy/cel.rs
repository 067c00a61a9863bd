//! Label selectors as CEL, for policies that tell Pods apart.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// A text of CEL.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A list of texts.
pub(super) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", values.into_iter().map(text).collect::<Vec<_>>().join(", "))
}

/// Whether a map of labels is selected; `None` where the selector is none.
pub(super) fn selects(selector: &LabelSelector, labels: &str) -> Option<String> {
    let is = |key: &str, test: String| format!("({0} in {labels} && {labels}[{0}] {test})", text(key));
    let mut all: Vec<String> = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        all.push(is(key, format!("== {}", text(value))));
    }
    for one in selector.match_expressions.iter().flatten() {
        let values = one.values.iter().flatten().map(String::as_str);
        let among = is(&one.key, format!("in {}", texts(values)));
        all.push(match one.operator.as_str() {
            "In" => among,
            "NotIn" => format!("!{among}"),
            "Exists" => format!("({} in {labels})", text(&one.key)),
            "DoesNotExist" => format!("!({} in {labels})", text(&one.key)),
            _ => return None,
        });
    }
    Some(if all.is_empty() { "true".to_owned() } else { all.join(" && ") })
}
