//! Reading what is asked: verb, place, subresource and parameters, from a request's method and path.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use super::{Answer, Place};

/// One call.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) verb: &'static str,
    pub(super) place: Place,
    pub(super) subresource: String,
    pub(super) parameters: BTreeMap<String, String>,
    /// Only metadata is wanted.
    pub(super) partial: bool,
    /// The media type of a patch.
    pub(super) content: String,
    pub(super) body: Value,
}

impl Request {
    pub(super) fn read(parts: &http::request::Parts, body: &[u8]) -> Result<Self, Answer> {
        let header = |name: http::HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let parameters: BTreeMap<_, _> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), unescape(value)))
            .collect();
        let (place, subresource) = place(parts.uri.path());
        let watching = parameters.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
        let verb = match (&parts.method, place.name.is_empty()) {
            (&Method::GET, _) if watching => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) if parameters.contains_key("dryRun") => "dry-run",
            (&Method::POST, _) if subresource == "eviction" => "evict",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            (method, _) => return Err(Answer::new(405, "MethodNotAllowed", method.as_str())),
        };
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body)
                .map_err(|error| Answer::new(400, "BadRequest", &error.to_string()))?
        };
        Ok(Self {
            verb,
            place,
            subresource,
            parameters,
            partial: header(http::header::ACCEPT).contains("as=PartialObjectMetadata"),
            content: header(http::header::CONTENT_TYPE),
            body,
        })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// `/api/v1/…` or `/apis/<group>/<version>/…`, then `namespaces/<ns>/<resource>/<name>/<sub>` or without namespace.
fn place(path: &str) -> (Place, String) {
    if path == "/version" {
        return (Place::new("version", "", ""), String::new());
    }
    let mut parts = path.trim_matches('/').split('/');
    let skip = if parts.next() == Some("api") { 1 } else { 2 };
    let rest: Vec<&str> = parts.skip(skip).collect();
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let at = |index: usize| rest.get(index).copied().unwrap_or_default();
    (Place::new(at(0), namespace, at(1)), at(2).to_owned())
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let code: Vec<u8> = bytes.by_ref().take(2).collect();
                let code = std::str::from_utf8(&code).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
                out.push(code.unwrap_or(b'?'));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        for (path, resource, namespace, name, subresource) in [
            ("/api/v1/namespaces/prod/pods/web-0-1/status", "pods", "prod", "web-0-1", "status"),
            ("/api/v1/pods", "pods", "", "", ""),
            ("/api/v1/namespaces/prod", "namespaces", "", "prod", ""),
            ("/api/v1/nodes/n1", "nodes", "", "n1", ""),
            ("/apis/borealis.dev/v1alpha1/namespaces/prod/auroraservices", "auroraservices", "prod", "", ""),
        ] {
            assert_eq!(
                place(path),
                (Place::new(resource, namespace, name), subresource.to_owned()),
                "{path}"
            );
        }
        assert_eq!(unescape("a%3Db%2Cc+d"), "a=b,c d");
    }
}
