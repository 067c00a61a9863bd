//! Jobs as their users see them: to their end, through failures, lost answers, changes of leaders and others' mistakes.

use std::collections::BTreeMap;

use super::*;

impl World {
    /// Job `name` in namespace `prod`: `spec` beside a template of this image, and no flapping.
    pub(super) fn job(&self, name: &str, image: &str, spec: &Value) {
        let mut all = json!({
            "flapping": {"thresholdSeconds": 0, "initialDelaySeconds": 0, "maxDelaySeconds": 0},
            "template": {"spec": {"containers": [{"name": "main", "image": image}]}},
        });
        json_patch::merge(&mut all, spec);
        self.api.create(
            "aurorajobs",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraJob",
                   "metadata": {"name": name, "namespace": "prod"}, "spec": all}),
        );
    }

    fn job_status(&self, name: &str) -> Value {
        self.api.get("aurorajobs", "prod", name).unwrap_or_default()["status"].clone()
    }

    /// Status and message of a condition of a job.
    pub(super) fn of_job(&self, name: &str, kind: &str) -> (String, String, String) {
        let status = self.job_status(name);
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    pub(super) async fn job_until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        self.until_of(&["aurorajobs", "pods"], what, so).await;
    }

    pub(super) async fn job_is(&self, name: &str, phase: &str) {
        self.job_until(&format!("{name} is {phase}"), |world| world.job_status(name)["phase"] == phase).await;
    }

    /// The Pods of a job that have not ended, by instance: their runs.
    pub(super) fn live(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::<String, Vec<String>>::new();
        for pod in self.api.all("pods") {
            let labels = &pod["metadata"]["labels"];
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            if labels["borealis.dev/job"] == name && !["Succeeded", "Failed"].contains(&phase) {
                let text = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
                all.entry(text("borealis.dev/instance")).or_default().push(text("borealis.dev/run"));
            }
        }
        all
    }

    /// A Pod ends with this code.
    pub(super) fn exit(&self, pod: &str, code: i32) {
        let end = json!({"exitCode": code, "reason": "Completed",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"});
        let container = json!({"name": "main", "image": "", "imageID": "", "restartCount": 0, "ready": false,
            "state": {"running": null, "terminated": end}});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({"phase": phase, "containerStatuses": [container]});
        self.api.merge("pods", "prod", pod, &json!({"status": status}));
    }

    /// The Pods of a job that were made, and made for certain, since this was last asked.
    fn made(&self, name: &str) -> Vec<String> {
        let mut made = made(&self.api.take_calls(), "pods");
        made.retain(|pod| pod.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')));
        made
    }

    /// How many Pods were made of each instance of a job.
    fn made_by_instance(&self, name: &str) -> Vec<usize> {
        let mut made = BTreeMap::<String, usize>::new();
        for pod in self.made(name) {
            let (instance, _) = pod.rsplit_once('-').unwrap();
            *made.entry(instance.to_owned()).or_default() += 1;
        }
        made.into_values().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_each_instance_to_success_and_is_complete() {
    let mut world = World::new();
    world.start().await;
    world.job("sum", "try:1", &json!({"instances": 3}));
    world.job_is("sum", "Complete").await;
    world.job_until("it is Ready", |world| world.of_job("sum", "Ready").0 == "True").await;
    assert_eq!(world.of_job("sum", "Complete").0, "True");
    assert_eq!(world.of_job("sum", "Failed").0, "", "there is no such condition");
    let status = world.job_status("sum");
    assert_eq!((&status["succeededCount"], &status["succeeded"]), (&json!(3), &json!("0-2")));
    assert_eq!(
        (&status["failedCount"], &status["failures"], &status["replicas"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(status["selector"], "borealis.dev/job=sum,borealis.dev/live=true");
    world.comes_to_rest().await;
    // One that succeeded is kept, and nothing is made that only services have.
    assert_eq!(world.api.all("pods").len(), 1);
    for kind in ["controllerrevisions", "poddisruptionbudgets", "services", "auroraupdates"] {
        assert!(world.api.all(kind).is_empty(), "{kind}");
    }
    let pod = &world.api.all("pods")[0];
    let owner = &pod["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"], &owner["controller"]),
        (&json!("AuroraJob"), &json!("sum"), &json!(true))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_as_often_as_the_job_says() {
    let mut world = World::new();
    world.start().await;
    world.job("once", "fail:1", &json!({"instances": 2}));
    world.job("thrice", "try:3", &json!({"maxTaskFailures": 3}));
    world.job("short", "try:4", &json!({"maxTaskFailures": 3}));
    world.job("ever", "try:6", &json!({"maxTaskFailures": -1}));
    world.job_is("once", "Failed").await;
    world.job_is("thrice", "Complete").await;
    world.job_is("short", "Failed").await;
    world.job_is("ever", "Complete").await;
    let failures = |name: &str| world.job_status(name)["failures"].clone();
    assert_eq!(["once", "thrice", "short", "ever"].map(failures), [2, 2, 3, 5].map(|count| json!(count)));
    let first = world.job_status("short")["firstFailure"].clone();
    assert_eq!((&first["instance"], &first["run"], &first["exitCode"]), (&json!(0), &json!(3), &json!(1)));
    let (failed, _, message) = world.of_job("short", "Failed");
    assert_eq!(failed, "True");
    assert!(
        message.contains("instance 0") && message.contains("kubectl -n prod logs short-0-3"),
        "{message}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_is_removed_by_others_is_made_anew_and_has_not_failed() {
    let mut world = World::new();
    world.start().await;
    world.job("sum", "run:1", &json!({}));
    let live = |world: &World, run: &str| world.live("sum").get("0").is_some_and(|runs| runs == &[run]);
    world.job_until("it runs", |world| world.job_status("sum")["counts"]["running"] == 1).await;
    world.api.remove("pods", "prod", "sum-0-1");
    world.job_until("it runs again", |world| live(world, "2")).await;
    world.exit("sum-0-2", 0);
    world.job_is("sum", "Complete").await;
    assert_eq!(world.job_status("sum")["failures"], 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_arrives_through_trouble_and_makes_each_pod_once() {
    let mut world = World::new();
    let broken = || Effect::DoneBut(Answer::new(504, "Timeout", "the request timed out"));
    let refused = || Effect::Refuse(Answer::new(500, "InternalError", "etcd leader changed"));
    for (verb, resource) in [
        ("create", "pods"),
        ("patch", "pods"),
        ("delete", "pods"),
        ("patch", "aurorajobs"),
        ("get", "aurorajobs"),
    ] {
        for (at, effect) in [broken(), refused(), broken()].into_iter().enumerate() {
            world.api.inject(Fault::once(verb, resource, effect).after(at));
        }
    }
    world.start().await;
    world.job("sum", "try:1", &json!({"instances": 4, "parallelism": 2}));
    world.job_until("two have run", |world| world.job_status("sum")["succeededCount"] != 0).await;
    world.api.break_watches();
    world.api.compact();
    world.job_is("sum", "Complete").await;
    assert_eq!(world.job_status("sum")["failures"], 0);
    assert_eq!(world.made_by_instance("sum"), [1, 1, 1, 1]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_runs_nothing_twice() {
    let mut world = World::new();
    world.start().await;
    world.job(
        "sum",
        "run:1",
        &json!({"instances": 6, "parallelism": 3, "history": {"failed": 0, "ended": 0}}),
    );
    world.job_until("three run", |world| world.live("sum").len() == 3).await;
    world.exit("sum-0-1", 0);
    world.job_until("its end is recorded", |world| world.job_status("sum")["succeeded"] == "0").await;
    world.start().await;
    world.exit("sum-1-1", 0);
    let (_, leader) = world.replicas.remove(0);
    leader.abort();
    world.exit("sum-2-1", 0);
    world.job_until("the rest runs", |world| world.live("sum").keys().eq(["3", "4", "5"])).await;
    for (instance, runs) in world.live("sum") {
        world.exit(&format!("sum-{instance}-{}", runs[0]), 0);
    }
    world.job_is("sum", "Complete").await;
    assert_eq!(world.made_by_instance("sum"), [1; 6], "each once, whoever led");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_be_read_stops_no_other() {
    let mut world = World::new();
    world.start().await;
    world.job("bad", "try:1", &json!({"instances": "three"}));
    world.job("odd", "try:1", &json!({"maxTaskFailures": 0}));
    world.job("good", "try:1", &json!({}));
    world.job_is("good", "Complete").await;
    for (name, words) in [("bad", "three"), ("odd", "spec.maxTaskFailures: 0")] {
        world.job_until("it is said", |world| world.of_job(name, "Stalled").0 == "True").await;
        let (_, reason, message) = world.of_job(name, "Stalled");
        assert!(reason == "InvalidSpec" && message.contains(words), "{reason}: {message}");
        assert!(world.live(name).is_empty());
    }
    world.api.merge("aurorajobs", "prod", "bad", &json!({"spec": {"instances": 3}}));
    world.job_is("bad", "Complete").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_of_a_name_the_younger_waits() {
    let mut world = World::new();
    world.start().await;
    world.apply("web", 1, "web:1");
    world.settled("web:1", 1).await;
    world.job("web", "try:1", &json!({}));
    world.job_until("the job is held", |world| world.of_job("web", "Stalled").1 == "NameConflict").await;
    assert!(world.of_job("web", "Stalled").2.contains("AuroraService prod/web"));
    assert!(world.made("web") == ["web-0-1"], "it touches nothing");
    world.settled("web:1", 1).await;
    world.api.remove("auroraservices", "prod", "web");
    world.job_is("web", "Complete").await;
    // What garbage collection does.
    for kind in ["controllerrevisions", "poddisruptionbudgets"] {
        for left in world.api.all(kind) {
            world.api.remove(kind, "prod", left["metadata"]["name"].as_str().unwrap());
        }
    }

    world.apply("web", 1, "web:1");
    world.until("the service is held", |world| world.condition("Stalled").1 == "NameConflict").await;
    world.api.remove("aurorajobs", "prod", "web");
    world.settled("web:1", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_ended_long_enough_ago_is_removed() {
    let mut world = World::new();
    world.start().await;
    world.job("sum", "try:1", &json!({"ttlSecondsAfterFinished": 0, "instances": 2}));
    world.job("kept", "try:1", &json!({}));
    world.job_until("it is gone", |world| world.api.get("aurorajobs", "prod", "sum").is_none()).await;
    world.job_until("its Pods are, too", |world| world.live("sum").is_empty()).await;
    world.job_is("kept", "Complete").await;
    assert_eq!(world.made_by_instance("sum"), [1, 1]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_its_cron_does_not_know_starts_nothing() {
    let mut world = World::new();
    world.start().await;
    world.api.create(
        "aurorajobs",
        json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraJob",
               "metadata": {"name": "nightly-60", "namespace": "prod", "labels": {"borealis.dev/cron": "nightly"},
                            "annotations": {"borealis.dev/scheduled-time": "1970-01-01T00:01:00Z"}},
               "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "try:1"}]}}}}),
    );
    world.job("sum", "try:1", &json!({}));
    world.job_is("sum", "Complete").await;
    assert!(world.made("nightly-60").is_empty());
    assert_eq!(
        world.job_status("nightly-60"),
        crate::api::observed::unwritten(),
        "there is nothing to say of it"
    );
    world.stop().await;
}
