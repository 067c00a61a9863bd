//! A scheduler, kubelet and garbage collector in one, as far as Pods notice: binds, starts, stops, removes.
//!
//! It acts on every change and at once, unless a script says that Pods of an image fail or stay as they are. Time is
//! the wall clock's in what it writes; it waits for nothing.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::FakeApi;
use crate::api::labels;

/// What becomes of Pods by their first container's image.
pub(crate) struct Kubelet {
    task: JoinHandle<()>,
}

/// What a Pod does once it runs.
#[derive(PartialEq, Eq)]
enum Script {
    /// It becomes ready.
    Run,
    /// It never does.
    Hang,
    /// It exits with this code at once.
    Exit(i32),
}

/// What an image does: `fail…` exits with 1 as soon as it runs, `try:3` too, but with 0 in its instance's third run and
/// after, `hang…` never becomes ready, others run.
fn script(pod: &Value) -> Script {
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    if let Some(tries) = image.strip_prefix("try:").and_then(|tries| tries.parse::<u32>().ok()) {
        let run = pod["metadata"]["labels"][labels::RUN].as_str().and_then(|run| run.parse().ok());
        return Script::Exit(i32::from(run.unwrap_or(0) < tries));
    }
    match image {
        image if image.starts_with("fail") => Script::Exit(1),
        image if image.starts_with("hang") => Script::Hang,
        _ => Script::Run,
    }
}

impl Kubelet {
    /// Looks after all Pods of the API server until dropped.
    pub(crate) fn start(api: &FakeApi) -> Self {
        let conditions = json!([{"type": "Ready", "status": "True", "lastTransitionTime": now()}]);
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
            "status": {"conditions": conditions}});
        api.create("nodes", node);
        let api = api.clone();
        let task = tokio::spawn(async move {
            loop {
                if !api.all("pods").iter().any(|pod| step(&api, pod)) {
                    api.changed().await;
                }
                // Others get to see each state.
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        });
        Self { task }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Does the next thing for one Pod; false when there is nothing to do.
fn step(api: &FakeApi, pod: &Value) -> bool {
    let (meta, spec) = (&pod["metadata"], &pod["spec"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&meta["namespace"]), text(&meta["name"]));
    let phase = text(&pod["status"]["phase"]);
    let set = |body: Value| drop(api.merge("pods", &namespace, &name, &body));
    if orphaned(api, meta) || (meta["deletionTimestamp"].is_string() && meta.get("finalizers").is_none()) {
        api.remove("pods", &namespace, &name);
        return true;
    }
    match phase.as_str() {
        "Pending" if spec.get("nodeName").is_none() => set(json!({"spec": {"nodeName": "n1"}})),
        "Pending" => set(json!({"status": {
            "phase": "Running", "startTime": now(),
            "containerStatuses": [container(&json!({"running": {"startedAt": now()}}), false)],
        }})),
        "Running" if !spec["activeDeadlineSeconds"].is_null() => set(json!({"status": {
            "phase": "Failed", "reason": "DeadlineExceeded", "conditions": [ready(false)],
            "containerStatuses": [container(&terminated(137), false)],
        }})),
        "Running" => match script(pod) {
            Script::Exit(code) => set(json!({"status": {
                "phase": if code == 0 { "Succeeded" } else { "Failed" }, "conditions": [ready(false)],
                "containerStatuses": [container(&terminated(code), false)],
            }})),
            Script::Run if pod["status"].get("conditions").is_none() => {
                let running = container(&json!({"running": {"startedAt": now()}}), true);
                set(json!({"status": {"conditions": [ready(true)], "containerStatuses": [running]}}));
            }
            Script::Run | Script::Hang => return false,
        },
        _ => return false,
    }
    true
}

/// Whether its controller is gone.
fn orphaned(api: &FakeApi, meta: &Value) -> bool {
    let owner = &meta["ownerReferences"][0];
    let all = match owner["kind"].as_str() {
        Some("AuroraService") => api.all("auroraservices"),
        Some("AuroraJob") => api.all("aurorajobs"),
        _ => return false,
    };
    !all.iter().any(|object| object["metadata"]["uid"] == owner["uid"])
}

fn container(state: &Value, ready: bool) -> Value {
    json!({"name": "main", "image": "", "imageID": "", "restartCount": 0, "ready": ready, "state": state})
}

fn terminated(code: i32) -> Value {
    json!({"terminated": {"exitCode": code, "reason": "Error", "startedAt": now(), "finishedAt": now()}})
}

fn ready(status: bool) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": "Ready", "status": status, "lastTransitionTime": now()})
}

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}
