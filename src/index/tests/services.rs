//! Services: specs that can't be used, whose Pods are whose, which runs are remembered.

use super::*;
use crate::api::AnyJob;

fn guarded(value: Value) -> AnyService {
    object(value)
}

#[test]
fn a_spec_that_cannot_be_used_is_a_problem_and_not_the_end() {
    let fixture = Fixture::new();
    let mut broken = service(9, 1, 3);
    broken["spec"]["instances"] = json!("three");
    broken["status"] = json!({"observedGeneration": 7});
    fixture.index.feed(Kind::Service, &apply(guarded(broken)));
    let look = |view: ServiceView<'_>, _: Facts| {
        (view.service.uid, view.service.instances, view.service.generation, view.problem.cloned())
    };
    let Viewed::Of((id, instances, generation, Some(problem))) = fixture.index.view(&key("web"), look) else {
        panic!("no problem is shown")
    };
    assert_eq!((id, instances, generation, problem.blocks), (Uid::new(9), 0, 1, true));
    assert!(problem.message.contains("three"), "{}", problem.message);
    let said = |view: ServiceView<'_>, facts: Facts| {
        (view.status.map(|status| status.observed_generation), facts.recorded.is_some(), facts.blocked)
    };
    assert_eq!(
        fixture.index.view(&key("web"), said),
        Viewed::Of((Some(7), true, true)),
        "its status is known"
    );

    fixture.index.feed(Kind::Service, &apply(guarded(service(9, 2, 3))));
    assert_eq!(fixture.index.view(&key("web"), look), Viewed::Of((Uid::new(9), 3, 2, None)));

    fixture.index.feed(Kind::Service, &apply(guarded(service(9, 3, 10_001))));
    let Viewed::Of((_, instances, generation, Some(problem))) = fixture.index.view(&key("web"), look) else {
        panic!("no problem is shown")
    };
    assert_eq!((instances, generation), (3, 3), "what was last usable stays");
    assert!(problem.message.contains("spec.instances"), "{}", problem.message);
    assert_eq!(fixture.dirty(), ["prod/web"]);
}

#[test]
fn pods_belong_to_the_service_of_their_owner() {
    let fixture = Fixture::new();
    fixture.index.learn_pod(&object(owned_by(pod(0, 1, 1, 10), 9)));
    fixture.index.learn_pod(&object(owned_by(pod(1, 1, 2, 10), 8)));
    fixture.index.learn_pod(&object(pod(2, 1, 3, 10)));
    let owned = || fixture.tasks("web").iter().map(|task| task.owned).collect::<Vec<_>>();
    assert_eq!(owned(), [false, false, false], "there is no service yet");
    fixture.relist(Kind::Service, vec![guarded(service(9, 1, 3))]);
    assert_eq!(owned(), [true, false, false]);
    fixture.index.learn_pod(&object(owned_by(pod(2, 1, 3, 11), 9)));
    assert_eq!(owned(), [true, false, true], "adopted");
    fixture.index.feed(Kind::Service, &apply(guarded(service(8, 5, 3))));
    assert_eq!(owned(), [false, true, false], "another service of that name");
    fixture.relist(Kind::Service, Vec::<AnyService>::new());
    assert_eq!(fixture.index.view(&key("web"), |_, _| ()), Viewed::Absent);
    assert_eq!(fixture.tasks("web").len(), 3, "its Pods are still there");
}

#[test]
fn runs_are_remembered_as_long_as_the_instance_is_wanted_or_there() {
    let fixture = Fixture::new();
    fixture.index.learn_service(&object(service(9, 1, 2)));
    for (instance, run, id) in [(0, 4, 1), (1, 7, 2), (5, 2, 3)] {
        fixture.index.learn_pod(&object(pod(instance, run, id, 10)));
    }
    let runs = || match fixture.index.view(&key("web"), |view, _| view.seen_runs.clone()) {
        Viewed::Of(runs) => runs.into_iter().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(runs(), [(0, 4), (1, 7), (5, 2)]);
    for id in 1..=3 {
        fixture.index.learn_pod_gone(&key("web"), Uid::new(id));
    }
    assert_eq!(runs(), [(0, 4), (1, 7)], "5 is neither");
    fixture.index.learn_pod(&object(pod(0, 3, 4, 20)));
    assert_eq!(runs()[0], (0, 4), "the greatest counts");
    fixture.index.feed(Kind::Service, &apply(guarded(service(9, 30, 1))));
    assert_eq!(runs(), [(0, 4)]);
}

#[test]
fn children_and_numbers_reach_the_executor() {
    let fixture = Fixture::new();
    fixture.index.learn_service(&object(service(9, 7, 2)));
    let child = |name: &str, owner: u128| {
        let value = json!({"metadata": {"name": name, "namespace": "prod", "uid": uid(50), "resourceVersion": "3",
                "labels": {"borealis.dev/service": "web"}, "annotations": {"borealis.dev/content": "abc"}}});
        object::<lean::Budget>(owned_by(value, owner))
    };
    let facts = || match fixture.index.view(&key("web"), |_, facts| facts) {
        Viewed::Of(facts) => facts,
        other => panic!("{other:?}"),
    };
    fixture.relist(Kind::Budget, vec![child("other", 9)]);
    assert_eq!(facts().budget, None, "of another name");
    fixture.relist(Kind::Budget, vec![child("web", 8)]);
    assert_eq!(facts().budget, None, "somebody else's");
    fixture.dirty();
    fixture.relist(Kind::Budget, vec![child("web", 9)]);
    fixture.index.feed(Kind::Budget, &Event::Delete(child("web", 9)));
    assert_eq!(fixture.dirty(), ["prod/web"]);
    fixture.relist(Kind::Budget, vec![child("web", 9)]);
    let revision = |number: i64, id: u128, hash: &str| {
        object::<lean::StoredRevision>(json!({"revision": number, "data": {"big": true},
            "metadata": {"name": hash, "namespace": "prod", "uid": uid(id), "resourceVersion": "5", "labels": {
                "borealis.dev/service": "web", "borealis.dev/revision": hash, "borealis.dev/last-good": "true"}}}))
    };
    fixture.relist(
        Kind::Revision,
        vec![revision(2, 61, "v1-00000000000000bb"), revision(1, 62, "v1-00000000000000aa")],
    );
    let seen = facts();
    assert_eq!(
        (seen.budget.as_deref(), seen.highest_revision, seen.resource_version.as_str()),
        (Some("abc"), 2, "7")
    );
    assert_eq!((seen.uid, seen.generation, seen.headless), (Uid::new(9), 7, None));
    fixture.index.learn_revision_gone(&key("web"), Uid::new(61));
    assert_eq!(facts().highest_revision, 1);
}

#[test]
fn a_service_and_a_job_of_the_same_name_have_their_own_pods() {
    let fixture = Fixture::new();
    let of_job = |id: u128, version: u64, owner: &str| {
        let mut value = owned_by(pod(0, 1, id, version), 9);
        let labels = value["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("borealis.dev/service");
        labels.insert("borealis.dev/job".to_owned(), json!("web"));
        value["metadata"]["ownerReferences"][0]["kind"] = json!(owner);
        object::<Pod>(value)
    };
    fixture.index.learn_pod(&object(pod(0, 1, 1, 10)));
    fixture.index.learn_pod(&of_job(2, 11, "AuroraJob"));
    let pods = |key: &JobKey| {
        let slot = fixture.index.find(key);
        slot.map(|slot| slot.lock().tasks())
            .unwrap_or_default()
            .iter()
            .map(|task| task.uid)
            .collect::<Vec<_>>()
    };
    assert_eq!(pods(&key("web")), [Uid::new(1)]);
    assert_eq!(pods(&JobKey::job("prod", "web")), [Uid::new(2)]);
    fixture.index.learn_pod(&of_job(2, 12, "AuroraService"));
    assert_eq!(pods(&JobKey::job("prod", "web")), [Uid::new(2)], "of another controller: left alone");

    fixture.index.learn_pod_gone(&key("web"), Uid::new(2));
    assert_eq!(pods(&JobKey::job("prod", "web")), [Uid::new(2)], "that is not the service's to lose");
    fixture.index.feed(Kind::Pod, &Event::Delete(of_job(2, 13, "AuroraJob")));
    assert_eq!((fixture.index.len(), pods(&key("web"))), (1, vec![Uid::new(1)]));
    fixture.index.feed(Kind::Pod, &Event::Delete(object::<Pod>(pod(0, 1, 1, 14))));
    assert!(fixture.index.read_jobs().is_empty());
}

/// Job `web`, made at this second.
fn job(id: u128, version: u64, second: u32) -> AnyJob {
    let mut value = service(id, version, 2);
    value["kind"] = json!("AuroraJob");
    value["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
    object(value)
}

#[test]
fn of_a_service_and_a_job_of_a_name_the_younger_is_blocked_until_it_is_alone() {
    let fixture = Fixture::new();
    let (web, sum) = (key("web"), JobKey::job("prod", "web"));
    let service = |second: u32, instances: Value| {
        let mut value = service(5, 1, 3);
        value["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
        value["spec"]["instances"] = instances;
        object::<AnyService>(value)
    };
    let held =
        |key: &JobKey| match fixture.index.view(key, |view, facts| (view.problem.cloned(), facts.blocked)) {
            Viewed::Of((problem, blocked)) => problem.filter(|_| blocked).map(|problem| problem.reason),
            other => panic!("{other:?}"),
        };
    let asks = |key: &JobKey| fixture.index.job(key, |view| view.revision.is_some());
    fixture.index.feed(Kind::Service, &apply(service(7, json!(3))));
    fixture.index.feed(Kind::Job, &apply(job(9, 2, 8)));
    assert_eq!((held(&web), held(&sum)), (None, Some("NameConflict")));
    assert_eq!((asks(&web), asks(&sum)), (Some(true), Some(false)), "it asks for no quota");

    // The same second: the uid says it. And who can't be read has the name all the same.
    fixture.index.feed(Kind::Job, &apply(job(9, 3, 7)));
    assert_eq!((held(&web), held(&sum)), (None, Some("NameConflict")));
    fixture.index.feed(Kind::Job, &Event::Delete(job(9, 4, 7)));
    fixture.index.feed(Kind::Job, &apply(job(4, 5, 7)));
    assert_eq!((held(&web), held(&sum)), (Some("NameConflict"), None));
    fixture.index.feed(Kind::Job, &Event::Delete(job(4, 6, 7)));
    assert_eq!(held(&web), None);
    fixture.index.feed(Kind::Service, &Event::Delete(service(7, json!(3))));
    fixture.index.feed(Kind::Service, &apply(service(8, json!("three"))));
    fixture.index.feed(Kind::Job, &apply(job(10, 7, 9)));
    assert_eq!((held(&web), held(&sum)), (Some("InvalidSpec"), Some("NameConflict")));
    fixture.index.feed(Kind::Job, &Event::Delete(job(10, 8, 9)));
    fixture.index.feed(Kind::Job, &apply(job(11, 9, 7)));
    assert_eq!((held(&web), held(&sum)), (Some("NameConflict"), None));
}

#[test]
fn a_relist_of_one_kind_says_nothing_of_the_other() {
    let fixture = Fixture::new();
    fixture.relist(Kind::Job, vec![job(9, 2, 8)]);
    fixture.relist(Kind::Service, vec![guarded(service(5, 1, 3))]);
    fixture.relist(Kind::Job, vec![job(9, 2, 8)]);
    assert_eq!(fixture.index.keys().len(), 2);
    fixture.relist(Kind::Service, Vec::<AnyService>::new());
    assert_eq!(fixture.index.keys(), [JobKey::job("prod", "web")]);
    fixture.relist(Kind::Job, Vec::<AnyJob>::new());
    assert!(fixture.index.keys().is_empty());
}

#[test]
fn jobs_are_counted_by_their_phase() {
    let fixture = Fixture::new();
    let mut value = service(9, 1, 2);
    value["status"] = json!({"observedGeneration": 1, "phase": "Running"});
    fixture.index.feed(Kind::Job, &apply(object::<AnyJob>(value)));
    fixture.index.feed(Kind::Service, &apply(guarded(service(5, 1, 3))));
    assert_eq!(fixture.index.census().jobs, [(Phase::Running, 1)].into());
}
