//! Building the manifests of services and jobs: what differs between scenarios is said, the rest is small and quick.
//!
//! Called by scenarios, and by `cron`. The fields are written as a user writes them in YAML.

use serde_json::{Map, Value, json};

/// Label of simulated nodes.
pub const SIMULATED: &str = "borealis.dev/simulated";
/// Label and taint of the real node.
pub const REAL: &str = "borealis.dev/real";
/// The image of the real node's containers: an HTTP server that fails as its environment says.
pub const TEST_IMAGE: &str = "borealis.test/app:1";
/// Prefix of the annotations that tell a simulated kubelet what to do.
const SIM: &str = "sim.borealis.dev/";

/// A service or job in the making.
#[derive(Debug, Clone)]
pub struct Service {
    kind: &'static str,
    name: String,
    spec: Map<String, Value>,
    annotations: Map<String, Value>,
    labels: Map<String, Value>,
    pod: Map<String, Value>,
    env: Vec<Value>,
}

impl Service {
    /// A service on simulated nodes whose updates watch for one second.
    pub fn new(name: &str, instances: u32) -> Self {
        let update = json!({ "watchSeconds": 1, "strategy": { "queue": { "groupSize": 1 } } });
        Self::of("AuroraService", name, instances).set("/update", update)
    }

    /// A job on simulated nodes, whose instances run until they are told to end.
    pub fn job(name: &str, instances: u32) -> Self {
        Self::of("AuroraJob", name, instances)
    }

    fn of(kind: &'static str, name: &str, instances: u32) -> Self {
        let spec = json!({ "instances": instances });
        let pod = json!({
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": { SIMULATED: "true" },
            "tolerations": [{ "key": SIMULATED, "operator": "Exists" }],
            "containers": [{
                "name": "main",
                "image": "example.test/web:1",
                "resources": { "requests": { "cpu": "1m", "memory": "1Mi" } },
            }],
        });
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        Self {
            kind,
            name: name.to_owned(),
            spec: map(spec),
            annotations: Map::new(),
            labels: Map::new(),
            pod: map(pod),
            env: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets a field of the spec by its JSON pointer; missing objects on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.spec, pointer, value);
        self
    }

    /// Sets a field of the Pod's spec by its JSON pointer.
    #[must_use]
    pub fn pod(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.pod, pointer, value);
        self
    }

    /// How many instances it has.
    #[must_use]
    pub fn instances(self, instances: u32) -> Self {
        self.set("/instances", json!(instances))
    }

    /// Tells the simulated kubelet what its Pods do: `start-seconds`, `fail-after-seconds` and the like.
    #[must_use]
    pub fn simulate(mut self, option: &str, value: &str) -> Self {
        self.annotations.insert(format!("{SIM}{option}"), json!(value));
        self
    }

    /// Labels its Pods.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), json!(value));
        self
    }

    /// Makes its config differ from others: another version of the same program.
    #[must_use]
    pub fn version(self, version: u32) -> Self {
        self.env_var("VERSION", &version.to_string())
    }

    /// Sets an environment variable of the first container.
    #[must_use]
    pub fn env_var(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|entry| entry["name"] != name);
        self.env.push(json!({ "name": name, "value": value }));
        self
    }

    /// Updates change this many instances at a time, one group after the other.
    #[must_use]
    pub fn batch(self, size: u32) -> Self {
        self.set("/update/strategy", json!({ "batch": { "groupSize": size } }))
    }

    /// Updates change up to this many instances at a time, in a sliding window.
    #[must_use]
    pub fn queue(self, size: u32) -> Self {
        self.set("/update/strategy", json!({ "queue": { "groupSize": size } }))
    }

    /// Its Pods run on the nodes that are reserved for this scenario.
    #[must_use]
    pub fn on_claimed_nodes(self, claim: &str) -> Self {
        self.pod("/nodeSelector", json!({ crate::world::CLAIM: claim })).pod(
            "/tolerations",
            json!([
                { "key": SIMULATED, "operator": "Exists" },
                { "key": crate::world::RESERVED, "operator": "Exists" },
            ]),
        )
    }

    /// Its Pods run on the real node: real containers of the test image.
    #[must_use]
    pub fn on_real_node(self) -> Self {
        self.pod("/nodeSelector", json!({ REAL: "true" }))
            .pod("/tolerations", json!([{ "key": REAL, "operator": "Exists" }]))
            .container_field("image", json!(TEST_IMAGE))
            .container_field("ports", json!([{ "name": "health", "containerPort": 8080 }]))
    }

    /// Sets a field of the first container.
    #[must_use]
    pub fn container_field(mut self, field: &str, value: Value) -> Self {
        if let Some(container) = self.pod.get_mut("containers").and_then(|all| all.get_mut(0)) {
            container[field] = value;
        }
        self
    }

    /// Adds another container.
    #[must_use]
    pub fn container(mut self, container: Value) -> Self {
        if let Some(all) = self.pod.get_mut("containers").and_then(Value::as_array_mut) {
            all.push(container);
        }
        self
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The object as it is applied.
    pub fn manifest(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "borealis.dev/v1alpha1",
            "kind": self.kind,
            "metadata": { "name": self.name, "namespace": namespace },
            "spec": self.spec(),
        })
    }

    /// Its spec as it is applied.
    pub fn spec(&self) -> Value {
        let mut pod = Value::Object(self.pod.clone());
        if !self.env.is_empty() {
            pod["containers"][0]["env"] = json!(self.env);
        }
        let mut spec = self.spec.clone();
        let mut template = json!({ "spec": pod });
        // An empty map that is applied where there was a full one arrives as null, which no schema takes.
        if !self.annotations.is_empty() {
            template["metadata"]["annotations"] = json!(self.annotations);
        }
        if !self.labels.is_empty() {
            template["metadata"]["labels"] = json!(self.labels);
        }
        spec.insert("template".into(), template);
        Value::Object(spec)
    }
}

pub(crate) fn put(object: &mut Map<String, Value>, pointer: &str, value: Value) {
    let path = pointer.trim_start_matches('/');
    match path.split_once('/') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first.to_owned()).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}
