//! Crons as their users see them: each time that is due runs once, whatever becomes of writes, leaders and others' objects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::*;

/// The next whole second at least this far away.
fn soon(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + 1 + seconds).unwrap()
}

/// A rule that is due at this time only.
fn once(at: Timestamp) -> String {
    format!("R1/{at}/PT1M")
}

impl World {
    /// Cron `name` in namespace `prod`, whose runs are one instance of this image.
    fn cron(&self, name: &str, image: &str, times: &[Timestamp], spec: &Value) {
        let mut all = json!({
            "schedules": times.iter().map(|at| once(*at)).collect::<Vec<_>>(),
            "job": {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}},
        });
        json_patch::merge(&mut all, spec);
        self.api.create(
            "auroracrons",
            json!({"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraCron",
                   "metadata": {"name": name, "namespace": "prod"}, "spec": all}),
        );
    }

    fn cron_status(&self, name: &str) -> Value {
        self.api.get("auroracrons", "prod", name).unwrap_or_default()["status"].clone()
    }

    /// What its status says became of each time, in seconds.
    fn outcomes(&self, name: &str) -> BTreeMap<i64, String> {
        let records = self.cron_status(name)["runs"].as_array().cloned().unwrap_or_default();
        let read = |record: &Value| {
            let at: Timestamp = record["scheduledTime"].as_str()?.parse().ok()?;
            Some((at.as_second(), record["outcome"].as_str()?.to_owned()))
        };
        records.iter().filter_map(read).collect()
    }

    async fn cron_until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        self.until_of(&["auroracrons", "aurorajobs", "pods"], what, so).await;
    }

    async fn has_outcomes(&self, name: &str, wanted: &[(Timestamp, &str)]) {
        let wanted: BTreeMap<i64, String> =
            wanted.iter().map(|(at, what)| (at.as_second(), (*what).to_owned())).collect();
        self.cron_until(&format!("{name}: {wanted:?}"), |world| world.outcomes(name) == wanted).await;
    }

    async fn is_seen(&self, name: &str) {
        self.cron_until(&format!("{name} is seen"), |world| {
            world.cron_status(name)["observedGeneration"].as_i64() > Some(0)
        })
        .await;
    }
}

fn run(cron: &str, at: Timestamp) -> String {
    format!("{cron}-{}", at.as_second())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_is_due_is_claimed_made_and_confirmed_before_anything_starts() {
    let mut world = World::new();
    world.start().await;
    let due = soon(1);
    world.cron("report", "try:1", &[due], &json!({}));
    world.has_outcomes("report", &[(due, "Succeeded")]).await;
    let calls = world.api.take_calls();
    let run = run("report", due);
    let at = |what: &str, is: &dyn Fn(&Call) -> bool| {
        calls.iter().position(is).unwrap_or_else(|| panic!("no {what} in {calls:?}"))
    };
    let created = at("run", &|call| call.verb == "create" && call.place.name == run);
    let started = at("Pod", &|call| call.verb == "create" && call.place.resource == "pods");
    let statuses = |calls: &[Call]| -> Vec<Value> {
        let written =
            calls.iter().filter(|it| it.place.resource == "auroracrons" && it.subresource == "status");
        let replaced = written.filter_map(|call| {
            let steps = call.body.as_array()?;
            steps.iter().find(|step| step["path"] == "/status").map(|step| step["value"].clone())
        });
        replaced.collect()
    };
    let (first, then) = (statuses(&calls[..created]), statuses(&calls[created..started]));
    let claim = first.last().expect("a claim");
    assert_eq!(claim["pendingRun"]["scheduledTime"], due.to_string(), "{first:?}");
    assert_eq!(then.len(), 1, "the confirmation: {then:?}");
    assert_eq!((&then[0]["pendingRun"], &then[0]["runs"][0]["name"]), (&Value::Null, &json!(run)));
    let job = world.api.get("aurorajobs", "prod", &run).unwrap();
    let (meta, owner) = (&job["metadata"], &job["metadata"]["ownerReferences"][0]);
    assert_eq!(meta["labels"]["borealis.dev/cron"], "report");
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("AuroraCron"), &json!(true)));
    let status = world.cron_status("report");
    assert_eq!((&status["lastOutcome"], &status["active"]), (&json!("Succeeded"), &json!(0)));
    world.comes_to_rest().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_collision_policy_is_followed_at_once() {
    let mut world = World::new();
    world.start().await;
    let first = soon(1);
    let times = [0, 2, 4].map(|after| first + SignedDuration::from_secs(after));
    for (name, policy) in [("killed", "KillExisting"), ("left-out", "CancelNew"), ("waits", "Queue")] {
        world.cron(name, "hang", &times, &json!({"collisionPolicy": policy}));
    }
    // The Pods hang: without what the policy does, nothing would ever change.
    let [one, two, three] = times;
    world.has_outcomes("killed", &[(one, "Killed"), (two, "Killed"), (three, "Active")]).await;
    world
        .has_outcomes("left-out", &[(one, "Active"), (two, "SkippedCollision"), (three, "SkippedCollision")])
        .await;
    world.has_outcomes("waits", &[(one, "Active"), (three, "SkippedAnotherWaits")]).await;
    assert_eq!(world.cron_status("waits")["pendingRun"]["scheduledTime"], two.to_string());
    world.exit(&format!("{}-0-1", run("waits", one)), 0);
    let waits = [(one, "Succeeded"), (two, "Active"), (three, "SkippedAnotherWaits")];
    world.has_outcomes("waits", &waits).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_neither_lose_a_run_nor_double_it() {
    let mut world = World::new();
    let broken = || Effect::DoneBut(Answer::new(504, "Timeout", "the request timed out"));
    let refused = || Effect::Refuse(Answer::new(500, "InternalError", "etcd leader changed"));
    let busy = || Effect::Refuse(Answer::new(429, "TooManyRequests", "later"));
    let (verbs, mut at) = ([("create", "aurorajobs"), ("patch", "auroracrons"), ("delete", "aurorajobs")], 0);
    for effect in [broken, refused, busy] as [fn() -> Effect; 3] {
        for (verb, resource) in verbs {
            world.api.inject(Fault::once(verb, resource, effect()).after(at));
        }
        at += 1;
    }
    world.start().await;
    let first = soon(1);
    let times = [0, 1, 2, 3].map(|after| first + SignedDuration::from_secs(after));
    let spec = json!({"collisionPolicy": "Queue", "catchUp": {"policy": "All", "windowSeconds": 600},
                      "history": {"succeeded": 1, "failed": 1}});
    world.cron("report", "try:1", &times, &spec);
    let all: Vec<_> = times.iter().map(|at| (*at, "Succeeded")).collect();
    world.has_outcomes("report", &all).await;
    world.cron_until("one ended run is kept", |world| world.api.all("aurorajobs").len() == 1).await;
    world.comes_to_rest().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_predecessor_claimed_is_made_once_and_what_it_makes_too_late_never_starts() {
    let mut world = World::new();
    let ago = |seconds| Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap();
    let (claimed, late) = (ago(5), ago(300));
    world.cron("report", "try:1", &[claimed], &json!({}));
    world.start().await;
    world.is_seen("report").await;
    for (stop, task) in world.replicas.drain(..) {
        stop.cancel();
        task.await.unwrap().unwrap();
    }
    // It recorded the claim, and was killed before it made the run, or before it heard that it had.
    let pending = json!({"pendingRun": {"scheduledTime": claimed, "cause": "Schedule"}});
    world.api.merge("auroracrons", "prod", "report", &json!({"status": pending}));
    world.start().await;
    world.has_outcomes("report", &[(claimed, "Succeeded")]).await;
    world.comes_to_rest().await;

    // A create of its own that was long under way arrives: nothing in the status speaks of it.
    let cron = world.api.get("auroracrons", "prod", "report").unwrap();
    let mut stale = world.api.get("aurorajobs", "prod", &run("report", claimed)).unwrap();
    json_patch::merge(
        &mut stale,
        &json!({"status": null, "metadata": {"name": run("report", late), "uid": null, "resourceVersion": null,
            "creationTimestamp": null, "generation": null}}),
    );
    assert_eq!(stale["metadata"]["ownerReferences"][0]["uid"], cron["metadata"]["uid"]);
    let time = stale["metadata"]["annotations"]["borealis.dev/scheduled-time"].clone();
    assert_eq!(time, claimed.to_string(), "where a run says its time");
    stale["metadata"]["annotations"]["borealis.dev/scheduled-time"] = json!(late);
    world.api.take_calls();
    world.api.create("aurorajobs", stale);
    let gone = run("report", late);
    world
        .cron_until("the late one is removed", |world| world.api.get("aurorajobs", "prod", &gone).is_none())
        .await;
    world.comes_to_rest().await;
    assert_eq!(world.outcomes("report").len(), 1);
    assert!(made(&world.api.take_calls(), "pods").is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_somebody_else_wrote_is_read_before_anything_rests_on_it() {
    let mut world = World::new();
    world.start().await;
    let due = soon(3);
    world.cron("report", "try:1", &[due], &json!({}));
    world.is_seen("report").await;
    // Another leader claims the time and makes the run, unseen by this one: its watches stand still, its writes conflict.
    world.api.inject(Fault::once(
        "patch",
        "auroracrons",
        Effect::Refuse(Answer::new(409, "Conflict", "newer")),
    ));
    world.has_outcomes("report", &[(due, "Succeeded")]).await;
    let calls = world.api.take_calls();
    let refused = calls.iter().position(|call| call.verb == "patch" && call.code == 409).unwrap();
    let read = |call: &&Call| call.verb == "list" && call.place.resource == "auroracrons";
    let created = calls.iter().position(|call| call.verb == "create" && call.place.resource == "aurorajobs");
    let created = created.unwrap();
    assert!(refused < created, "{calls:?}");
    assert_eq!(calls[refused..created].iter().filter(read).count(), 1, "{calls:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_s_job_under_the_name_of_a_run_is_left_alone_and_said() {
    let mut world = World::new();
    world.start().await;
    let due = soon(2);
    let foreign = run("report", due);
    world.job(&foreign, "hang", &json!({}));
    world.cron("report", "try:1", &[due], &json!({}));
    world.cron_until("it is said", |world| world.cron_status("report").to_string().contains(&foreign)).await;
    assert!(
        world.api.get("aurorajobs", "prod", &foreign).unwrap()["metadata"]["deletionTimestamp"].is_null()
    );
    // Its owner removes it: the time is still to have its run.
    world.api.remove("aurorajobs", "prod", &foreign);
    world.has_outcomes("report", &[(due, "Succeeded")]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_that_are_due_at_once_run_once_each_while_leaders_change() {
    const CRONS: usize = 400;
    let mut world = World::new();
    // What becomes of the Pods does not matter here.
    world.kubelet = None;
    world.start().await;
    let due = soon(10);
    for nth in 0..CRONS {
        world.cron(&format!("c{nth}"), "web", &[due], &json!({}));
    }
    let seen = |world: &World| {
        let crons = world.api.all("auroracrons");
        crons.iter().filter(|cron| cron["status"]["observedGeneration"].as_i64() > Some(0)).count()
    };
    world.cron_until("all are seen", |world| seen(world) == CRONS).await;
    world.start().await;
    world.cron_until("some run", |world| world.api.all("aurorajobs").len() > CRONS / 20).await;
    let (_, leader) = world.replicas.remove(0);
    leader.abort();
    world.cron_until("all have a Pod", |world| world.api.all("pods").len() >= CRONS).await;
    let calls = world.api.take_calls();
    let (runs, pods) = (made(&calls, "aurorajobs"), made(&calls, "pods"));
    let names = |all: &[String]| all.iter().cloned().collect::<BTreeSet<_>>().len();
    assert_eq!((runs.len(), names(&runs)), (CRONS, CRONS));
    assert_eq!((pods.len(), names(&pods)), (CRONS, CRONS));
    world.stop().await;
}
