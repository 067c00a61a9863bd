//! Counters as programs print them for Prometheus, added up by what the benchmark asks about.
//!
//! Pure. Called by `probe`.

use std::collections::BTreeMap;

/// How often, by what.
pub(super) type Counts = BTreeMap<String, u64>;

/// Requests that change an object, as the API server counts them: "PATCH pods/status". What the cluster does for
/// itself whatever runs on it, heartbeats of nodes and leases, is left out, and so are questions that are POSTs.
pub(super) fn api_writes(text: &str) -> Counts {
    let mut counts = Counts::new();
    for (labels, value) in samples(text, "apiserver_request_total") {
        let label = |name| labels.get(name).copied().unwrap_or_default();
        let (verb, group, resource) = (label("verb"), label("group"), label("resource"));
        let is_write = matches!(verb, "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION");
        let is_question = matches!(group, "authentication.k8s.io" | "authorization.k8s.io");
        let refused = !label("code").starts_with('2');
        if !is_write || is_question || refused || matches!(resource, "" | "leases" | "nodes") {
            continue;
        }
        let key = match label("subresource") {
            "" => format!("{verb} {resource}"),
            subresource => format!("{verb} {resource}/{subresource}"),
        };
        *counts.entry(key).or_default() += value;
    }
    counts
}

/// A program's own calls: "create 201" of the operator, "POST 201" of those that are made with client-go.
pub(super) fn calls(text: &str) -> Counts {
    let mut counts = by(text, "borealis_api_calls_total", "verb", "code");
    counts.append(&mut by(text, "rest_client_requests_total", "method", "code"));
    counts
}

/// How many of these calls change something.
pub(super) fn writes(calls: &Counts) -> u64 {
    let is_write = |call: &str| {
        let verb = call.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        matches!(verb.as_str(), "create" | "update" | "patch" | "delete" | "post" | "put")
    };
    calls.iter().filter(|(call, _)| is_write(call)).map(|(_, count)| count).sum()
}

/// What was added; what did not change is left out.
pub(super) fn added(before: &Counts, after: &Counts) -> Counts {
    let since = |key: &String, count: u64| count.saturating_sub(before.get(key).copied().unwrap_or_default());
    after
        .iter()
        .map(|(key, count)| (key.clone(), since(key, *count)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn by(text: &str, name: &str, first: &str, second: &str) -> Counts {
    let mut counts = Counts::new();
    for (labels, value) in samples(text, name) {
        let label = |name| labels.get(name).copied().unwrap_or_default();
        *counts.entry(format!("{} {}", label(first), label(second))).or_default() += value;
    }
    counts
}

/// The samples of a counter. None of the labels asked for has a quotation mark or a comma in its value.
fn samples<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (BTreeMap<&'a str, &'a str>, u64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let value: f64 = value.split_whitespace().next()?.parse().ok()?;
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let value = value as u64;
        Some((labels.map(|(name, value)| (name, value.trim_matches('"'))).collect(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_changes_objects() {
        let text = r#"# HELP apiserver_request_total Counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 40
apiserver_request_total{code="201",group="",resource="pods",subresource="binding",verb="POST",version="v1"} 39
apiserver_request_total{code="200",group="",resource="pods",subresource="status",verb="PATCH",version="v1"} 1.2e+02
apiserver_request_total{code="409",group="",resource="pods",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="200",group="",resource="pods",subresource="",verb="LIST",version="v1"} 7
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",subresource="",verb="PUT",version="v1"} 9
apiserver_request_total{code="201",group="authorization.k8s.io",resource="subjectaccessreviews",subresource="",verb="POST",version="v1"} 9
apiserver_request_total_other{verb="POST"} 1
"#;
        let mut before = api_writes(text);
        let expected = [("PATCH pods/status", 120), ("POST pods", 40), ("POST pods/binding", 39)];
        assert_eq!(before, expected.map(|(key, count)| (key.to_owned(), count)).into());
        let after = before.clone();
        before.insert("POST pods".to_owned(), 30);
        assert_eq!(added(&before, &after), [("POST pods".to_owned(), 10)].into());
    }

    #[test]
    fn counts_own_calls() {
        let text = "borealis_api_calls_total{verb=\"create\",code=\"201\"} 5\n\
                    borealis_api_calls_total{verb=\"get\",code=\"200\"} 4\n\
                    rest_client_requests_total{code=\"201\",host=\"127.0.0.1:1\",method=\"POST\"} 6\n";
        let expected = [("POST 201", 6), ("create 201", 5), ("get 200", 4)];
        assert_eq!(calls(text), expected.map(|(key, count)| (key.to_owned(), count)).into());
        assert_eq!(writes(&calls(text)), 11);
    }
}
