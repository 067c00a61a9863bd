//! What a benchmark has to know of a controller, from a file: what it is asked for, when that is done, and which process
//! does it.
//!
//! Pure but for reading the file. Borealis and the Deployment are such files, too (`e2e/bench`), so that what a peer can
//! say is enough. Called by the workloads.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, ensure};
use jsonpath_rust::{JsonPath, parser::parse_json_path};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LIMIT, NAMESPACE, make::object};
use crate::{
    kube_api::{self, number, text},
    service::Service,
};

/// A controller that is measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Adapter {
    /// Its name in the tables.
    pub name: String,
    /// The kind's name in URLs.
    plural: String,
    /// The object, with `$(…)` where a workload fills something in.
    manifest: Value,
    /// What holds when all instances run.
    ready: Vec<Check>,
    /// What holds besides when an update has ended well.
    #[serde(default)]
    updated: Vec<Check>,
    /// What holds besides when a bad update was taken back; none where the controller does no such thing.
    #[serde(default)]
    rolled_back: Vec<Check>,
    /// Files for `kubectl apply`, before the controller is started.
    #[serde(default)]
    pub(super) install: Vec<String>,
    /// Which process does the work.
    pub(super) process: Process,
}

/// What is found in an object at a path, and what it has to be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    path: String,
    is: Value,
}

/// A process to measure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Process {
    /// Borealis's operator.
    Operator,
    /// A component of the cluster, which runs all the time.
    Component(String),
    /// A program that is started for it.
    Start(Start),
}

/// A program that is started to be measured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// Program and arguments; `$(kubeconfig)` is the administrator's, which KUBECONFIG names, too.
    pub(super) command: Vec<String>,
    /// Where it serves its metrics, if its own calls are to be counted.
    pub(super) metrics: Option<String>,
}

/// What is asked of a controller.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// The name of the object, and the label `app` of its Pods.
    pub(super) name: String,
    pub(super) instances: u32,
    /// How many are changed at a time.
    pub(super) batch: u32,
    pub(super) version: u32,
    /// Its Pods never become Ready, and fail after a second.
    pub(super) is_bad: bool,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Ready,
    Updated,
    RolledBack,
}

impl Adapter {
    /// Borealis.
    ///
    /// # Errors
    /// When its file is not one.
    pub fn borealis() -> Result<Self> {
        Self::parse(include_str!("../../bench/borealis.yaml"))
    }

    /// The Deployment of Kubernetes.
    ///
    /// # Errors
    /// When its file is not one.
    pub fn deployment() -> Result<Self> {
        Self::parse(include_str!("../../bench/deployment.yaml"))
    }

    /// A peer from a file.
    ///
    /// # Errors
    /// When it can't be read, or is no adapter.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        // By way of JSON, where an enum needs no tag of YAML's.
        let document: Value = serde_yaml_ng::from_str(text)?;
        let adapter: Self = serde_json::from_value(document)?;
        ensure!(!adapter.ready.is_empty(), "nothing says when it is ready");
        let manifest = adapter.manifest(&Ask::new("web", 1))?;
        for field in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
            ensure!(!kube_api::text(&manifest, field).is_empty(), "the manifest has no {field}");
        }
        let Self { ready, updated, rolled_back, .. } = &adapter;
        for check in [ready, updated, rolled_back].into_iter().flatten() {
            parse_json_path(&check.path).with_context(|| check.path.clone())?;
            render(&check.is, &variables(&Ask::new("web", 1), &manifest))?;
        }
        Ok(adapter)
    }

    /// Whether it takes bad updates back by itself.
    pub(super) fn rolls_back(&self) -> bool {
        !self.rolled_back.is_empty()
    }

    /// The program by which its process stands in the figures.
    pub(super) fn program(&self) -> &str {
        match &self.process {
            Process::Operator => super::probe::OPERATOR,
            Process::Component(name) => name,
            Process::Start(_) => &self.name,
        }
    }

    /// Its objects in the benchmark's namespace.
    pub(super) fn api(&self, client: &Client) -> Api<DynamicObject> {
        let (version, kind) = (text(&self.manifest, "/apiVersion"), text(&self.manifest, "/kind"));
        let (group, version_alone) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource {
            group: group.to_owned(),
            version: version_alone.to_owned(),
            api_version: version.to_owned(),
            kind: kind.to_owned(),
            plural: self.plural.clone(),
        };
        Api::namespaced_with(client.clone(), NAMESPACE, &resource)
    }

    /// The object for an ask.
    pub(super) fn object(&self, ask: &Ask) -> Result<DynamicObject> {
        object(self.manifest(ask)?)
    }

    fn manifest(&self, ask: &Ask) -> Result<Value> {
        render(&self.manifest, &variables(ask, &Value::Null))
    }

    /// Whether an object is so far.
    pub(super) fn is(&self, stage: Stage, ask: &Ask, object: &Value) -> Result<bool> {
        let besides = match stage {
            Stage::Ready => &[][..],
            Stage::Updated => &self.updated,
            Stage::RolledBack => &self.rolled_back,
        };
        let variables = variables(ask, object);
        for Check { path, is } in self.ready.iter().chain(besides) {
            let (found, wanted) = (object.query(path)?, render(is, &variables)?);
            // Zeroes are left out of what the API server says.
            let holds =
                if found.is_empty() { wanted == 0 } else { found.iter().all(|found| **found == wanted) };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Ask {
    /// A first version, changed one at a time.
    pub(super) fn new(name: &str, instances: u32) -> Self {
        Self { name: name.to_owned(), instances, batch: 1, version: 1, is_bad: false }
    }

    /// The Pods, which are the same whoever makes them.
    pub(super) fn template(&self) -> Value {
        let mut pods = Service::new(&self.name, 1).label("app", &self.name).version(self.version);
        if self.is_bad {
            pods = pods.simulate("never-ready", "true").simulate("fail-after-seconds", "1");
        }
        pods.spec()["template"].take()
    }

    /// How long it may take: what a slow machine needs for so many.
    pub(super) fn limit(instances: u32) -> std::time::Duration {
        LIMIT.max(std::time::Duration::from_secs(u64::from(instances / 8)))
    }
}

type Variables = BTreeMap<&'static str, Value>;

fn variables(ask: &Ask, object: &Value) -> Variables {
    [
        ("name", json!(ask.name)),
        ("namespace", json!(NAMESPACE)),
        ("instances", json!(ask.instances)),
        ("batch", json!(ask.batch)),
        ("version", json!(ask.version)),
        ("template", ask.template()),
        ("generation", json!(number(object, "/metadata/generation"))),
    ]
    .into()
}

/// Fills in: a text that is nothing but `$(x)` becomes the value itself, in others its text stands.
fn render(value: &Value, variables: &Variables) -> Result<Value> {
    Ok(match value {
        Value::String(text) => fill(text, variables)?,
        Value::Array(all) => all.iter().map(|value| render(value, variables)).collect::<Result<_>>()?,
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| Ok((name.clone(), render(value, variables)?)))
            .collect::<Result<_>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn fill(text: &str, variables: &Variables) -> Result<Value> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, after) = after.split_once(')').with_context(|| format!("{text:?} has no )"))?;
        let value = variables.get(name).with_context(|| format!("there is no $({name}) to fill in"))?;
        if before.is_empty() && after.is_empty() && out.is_empty() {
            return Ok(value.clone());
        }
        out.push_str(before);
        out.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "
name: Peer
plural: clonesets
manifest:
  apiVersion: apps.example.dev/v1
  kind: CloneSet
  metadata: { name: $(name), namespace: $(namespace), labels: { about: '$(name) of $(instances)' } }
  spec: { replicas: $(instances), template: $(template) }
ready: [{ path: $.status.ready, is: $(instances) }, { path: $.status.failed, is: 0 }]
process: { start: { command: [peer, --kubeconfig=$(kubeconfig)], metrics: 'http://127.0.0.1:1/metrics' } }
";

    #[test]
    fn a_peer_is_one_file() {
        let peer = Adapter::parse(PEER).unwrap();
        let ask = Ask { version: 7, ..Ask::new("web-3", 5) };
        let made = serde_json::to_value(peer.object(&ask).unwrap()).unwrap();
        assert_eq!((&made["kind"], &made["spec"]["replicas"]), (&json!("CloneSet"), &json!(5)));
        assert_eq!(made["metadata"]["labels"]["about"], "web-3 of 5");
        assert_eq!(made["spec"]["template"]["metadata"]["labels"]["app"], "web-3");
        assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], "7");
        let Process::Start(start) = &peer.process else { panic!("{peer:?}") };
        assert_eq!(start.command, ["peer", "--kubeconfig=$(kubeconfig)"]);
        assert!(!peer.rolls_back());
        let is = |status| peer.is(Stage::Ready, &ask, &json!({ "status": status })).unwrap();
        assert_eq!(
            [json!({"ready": 5}), json!({"ready": 4}), json!({}), json!({"ready": 5, "failed": 1})].map(is),
            [true, false, false, false]
        );
    }

    #[test]
    fn the_peer_of_the_docs_is_one() {
        let docs = include_str!("../../../docs/benchmarks.md");
        let block = docs.split("```yaml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let peer = Adapter::parse(block).unwrap();
        assert_eq!((peer.name.as_str(), peer.install.len()), ("CloneSet", 2));
    }

    #[test]
    fn what_is_no_adapter_says_why() {
        for (from, to, why) in [
            ("$(instances) }, { path", "$(replicas) }, { path", "there is no $(replicas)"),
            ("$.status.failed", "status..", "status.."),
            ("plural: clonesets", "plurals: clonesets", "plurals"),
            ("kind: CloneSet", "sort: CloneSet", "no /kind"),
            ("start:", "begin:", "begin"),
        ] {
            assert!(PEER.contains(from), "{from}");
            let error = format!("{:#}", Adapter::parse(&PEER.replace(from, to)).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn borealis_and_the_deployment_say_when_they_are_done() {
        let ask = Ask::new("web", 3);
        let service = |seen: i64, ready: &str, state: &str| {
            let conditions =
                json!([{ "type": "Stalled", "status": "False" }, { "type": "Ready", "status": ready }]);
            json!({ "metadata": { "generation": 2 }, "status": {
                "observedGeneration": seen, "conditions": conditions, "update": { "state": state },
                "counts": { "running": 3, "updated": 3 },
            } })
        };
        let borealis = Adapter::borealis().unwrap();
        let is = |stage, object: &Value| borealis.is(stage, &ask, object).unwrap();
        assert!(is(Stage::Ready, &service(2, "True", "")));
        assert!(!is(Stage::Ready, &service(1, "True", "")));
        assert!(!is(Stage::Ready, &service(2, "False", "")));
        assert!(is(Stage::Updated, &service(2, "True", "ROLLED_FORWARD")));
        assert!(!is(Stage::Updated, &service(2, "True", "ROLLED_BACK")));
        assert!(is(Stage::RolledBack, &service(2, "True", "ROLLED_BACK")));
        assert!(borealis.rolls_back() && borealis.program() == "borealis");

        let deployment = Adapter::deployment().unwrap();
        let status = |updated: u32| {
            json!({ "metadata": { "generation": 4 }, "status": {
                "observedGeneration": 4, "replicas": 3, "updatedReplicas": updated, "availableReplicas": 3,
            } })
        };
        let is = |updated| deployment.is(Stage::Updated, &ask, &status(updated)).unwrap();
        assert_eq!([2, 3].map(is), [false, true]);
        assert!(!deployment.rolls_back() && deployment.program() == "kube-controller-manager");
    }
}
