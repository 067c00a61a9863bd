//! What is said of instances that have no place.

use super::job::{GOOD, Job};
use crate::{
    model::*,
    plan::{Action, Problem},
};

/// A job of so many instances whose Pods the scheduler has found no node for.
fn waiting(instances: u32) -> Job {
    let mut job = Job::new(instances);
    job.step();
    job.step();
    for task in &mut job.tasks {
        (task.node, task.waiting) = (None, Some(Waiting::Unschedulable));
    }
    job
}

fn pending(topic: &str, detail: &str, instances: &str) -> Pending {
    Pending {
        reason: PendingReason::InsufficientResources,
        topic: topic.to_owned(),
        detail: detail.to_owned(),
        instances: instances.parse().unwrap(),
    }
}

fn placed(job: &Job) -> (bool, &'static str, String) {
    let status = job.status.as_ref().unwrap();
    let placed = status.condition(ConditionType::Placed).unwrap();
    (placed.holds, placed.reason, placed.message.clone())
}

/// Plans once, and says what people are told of Pods without a place.
fn told(job: &mut Job) -> Vec<String> {
    let plan = job.plan();
    job.step();
    plan.events.into_iter().filter(|event| event.reason == "Pending").map(|event| event.message).collect()
}

#[test]
fn what_is_on_its_way_to_a_node_is_not_without_a_place() {
    let mut job = Job::new(3);
    job.step();
    job.step();
    for task in &mut job.tasks {
        task.node = None;
    }
    job.step();
    assert_eq!(placed(&job), (true, "AllPlaced", String::new()), "the scheduler has not looked at them");
    let mut job = Job::running(3);
    job.step();
    assert_eq!(placed(&job), (true, "AllPlaced", String::new()));
    job.tasks.retain(|task| task.instance != 1);
    assert!(job.plan().actions.iter().any(|action| matches!(action, Action::Create { .. })));
    job.step();
    assert!(placed(&job).0, "its next Pod is made at once");
}

#[test]
fn instances_are_grouped_by_why_they_have_no_place() {
    let mut job = waiting(6);
    job.step();
    let unknown = "6 of 6 instances have no place: instances 0-5: The scheduler has found no node";
    assert_eq!(placed(&job), (false, "Pending", unknown.to_owned()));
    job.pending =
        vec![pending("Host is dedicated", " on 4 of 4 nodes", "5"), pending("Insufficient cpu", "", "0-3")];
    job.step();
    let words = "6 of 6 instances have no place: instances 0-3: Insufficient cpu; instance 5: Host is dedicated on 4 of 4 \
                 nodes; instance 4: The scheduler has found no node";
    assert_eq!(placed(&job).2, words);
    // What was found may be older than what became of the Pods.
    let uids: Vec<Uid> = job.tasks.iter().filter(|task| task.instance < 3).map(|task| task.uid).collect();
    for uid in uids {
        let task = job.task_mut(uid);
        (task.node, task.waiting) = (Some(NodeId(1)), None);
    }
    job.step();
    let words = placed(&job).2;
    assert!(words.starts_with("3 of 6 ") && words.contains("; instance 3: Insufficient cpu; "), "{words}");
    job.tasks.clear();
    job.service.instances = 0;
    job.step();
    assert_eq!(placed(&job), (true, "AllPlaced", String::new()));
}

#[test]
fn each_reason_is_told_when_it_is_new() {
    let mut job = waiting(4);
    assert!(told(&mut job).is_empty(), "nobody knows why yet");
    job.pending = vec![pending("Insufficient cpu", " on 3 of 4 nodes", "0-3")];
    assert_eq!(told(&mut job), ["instances 0-3: Insufficient cpu on 3 of 4 nodes"]);
    job.pending = vec![pending("Insufficient cpu", " on 4 of 4 nodes", "0-3")];
    assert!(told(&mut job).is_empty(), "only numbers have changed");
    assert!(placed(&job).2.contains("4 of 4 nodes"));
    job.pending = vec![pending("Insufficient cpu", "", "0-2"), pending("Limit not satisfied: zone", "", "3")];
    assert_eq!(told(&mut job), ["instance 3: Limit not satisfied: zone"]);
    assert!(told(&mut job).is_empty());
}

#[test]
fn many_reasons_stay_short() {
    let mut job = waiting(40);
    job.pending = (0..10).map(|at| pending(&format!("Reason {at}"), "", &at.to_string())).collect();
    assert_eq!(told(&mut job).len(), 8);
    let words = placed(&job).2;
    assert!(words.ends_with("; and 3 more reasons"), "{words}");
    let mut job = waiting(400);
    let even: Ranges = (0..400).filter(|instance| instance % 2 == 0).collect();
    job.pending = vec![Pending { instances: even, ..pending("Insufficient cpu", "", "0") }];
    job.step();
    let words = placed(&job).2;
    assert!(words.contains(",… (200 of them): Insufficient cpu; "), "{words}");
    assert!(words.len() < 600, "{words}");
}

#[test]
fn flapping_says_until_when() {
    let mut job = Job::running(2);
    for _ in 0..3 {
        job.fail(1);
        job.step();
        job.step();
        if let Some(task) = job.live(1) {
            let (uid, now) = (task.uid, job.now);
            let task = job.task_mut(uid);
            (task.state, task.before, task.started) = (TaskState::Starting, TaskState::Starting, Some(now));
        }
    }
    let until = job.now + jiff::SignedDuration::from_secs(60);
    let words = format!("1 of 2 instances have no place: instance 1: Flapping until {until}");
    assert_eq!(placed(&job), (false, "Pending", words));
    assert_eq!(job.events.iter().filter(|reason| **reason == "Pending").count(), 1);
}

#[test]
fn what_keeps_pods_from_being_made_is_named() {
    let mut job = Job::running(3);
    job.tasks.retain(|task| task.instance == 0);
    job.problem = Some(Problem { reason: reasons::TEMPLATE_REFUSED, message: "m".to_owned(), blocks: false });
    assert!(told(&mut job).is_empty(), "it is told as what it is");
    let words = "2 of 3 instances have no place: instances 1-2: Held by TemplateRefused";
    assert_eq!(placed(&job).2, words);
    job.problem = Some(Problem { reason: reasons::INVALID_SPEC, message: "m".to_owned(), blocks: true });
    job.tasks.retain(|task| task.instance == 0);
    job.step();
    let words = "2 of 3 instances have no place: instances 1-2: Held by InvalidSpec";
    assert_eq!(placed(&job).2, words);
    job.problem = None;
    job.revisions.retain(|record| record.revision != GOOD);
    job.step();
    let words = "2 of 3 instances have no place: instances 1-2: Its config is not stored any more";
    assert_eq!(placed(&job).2, words);
}
