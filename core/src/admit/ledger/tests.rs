//! The ledger by examples: one line a case. Properties over any history are in `world`.

mod gate;
mod world;

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Bucket, Grant, JobKind, Resources, Revision, Share, Uid};

use super::*;

pub(super) const NOW: Timestamp = Timestamp::constant(1_000, 0);

pub(super) fn cpu(cpu_milli: i64) -> Resources {
    Resources { cpu_milli, ..Resources::NONE }
}

pub(super) fn share(revision: u64, instances: u32, each: i64) -> Share {
    Share { revision: Revision::v1(revision), instances, each: cpu(each) }
}

pub(super) fn granted(number: u32, share: Share, previous: Option<Share>) -> Grant {
    Grant { number, share, previous, time: NOW }
}

fn named(name: &str) -> JobName {
    JobName { kind: JobKind::Service, namespace: "prod".into(), name: name.into() }
}

/// A job of role `ads` that was never granted anything, made at this second.
fn job(number: u8, ask: Share) -> Job {
    Job {
        uid: Uid::new(number.into()),
        created: Timestamp::from_second(number.into()).unwrap(),
        role: "ads".into(),
        bucket: Bucket::Production,
        ask: Some(ask),
        recorded: None,
        runs: 0,
        settled: None,
    }
}

/// A ledger whose only role has so much CPU.
fn ledger(quota: i64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.set_role(&"ads".into(), cpu(quota), Vec::new());
    ledger
}

/// Decides and writes until there is nothing more to grant; the jobs granted, in order.
fn settle(ledger: &mut Ledger) -> Vec<String> {
    let role: Arc<str> = "ads".into();
    let mut all = Vec::new();
    while let Some(decision) = ledger.decide(&role, NOW) {
        all.extend(decision.granted.iter().map(|job| job.name.to_string()));
        if !decision.changed {
            break;
        }
        let quota = ledger.report(&role).unwrap().quota.unwrap().clone();
        ledger.set_role(&role, quota, decision.pending);
    }
    all
}

#[test]
fn the_older_ask_first_and_who_does_not_fit_keeps_nobody_from_it() {
    let mut ledger = ledger(1_000);
    for (name, number, each) in [("young", 9, 300), ("old", 1, 600), ("big", 2, 700), ("small", 3, 100)] {
        ledger.set_job(&named(name), job(number, share(1, 1, each)));
    }
    assert_eq!(settle(&mut ledger), ["old", "small", "young"]);
    let Verdict::Held(short) = ledger.admission(&named("big")).verdict else { panic!("it does not fit") };
    assert_eq!((short.asked, short.has), (cpu(700), cpu(0)));
    assert_eq!((short.used, short.quota, short.missing), (cpu(1_000), cpu(1_000), cpu(700)));
    assert_eq!(settle(&mut ledger), [""; 0], "nothing was freed");
    ledger.remove_job(&named("old"));
    assert_eq!(settle(&mut ledger), [""; 0], "600 are not enough");
    ledger.remove_job(&named("young"));
    assert_eq!(settle(&mut ledger), ["big"]);
}

#[test]
fn what_is_freed_goes_to_the_oldest_that_waits() {
    let mut ledger = ledger(500);
    for (name, number) in [("first", 1), ("third", 3), ("second", 2)] {
        ledger.set_job(&named(name), job(number, share(1, 5, 100)));
    }
    assert_eq!(settle(&mut ledger), ["first"]);
    assert_eq!(ledger.held("ads").map(|job| &*job.name).collect::<Vec<_>>(), ["second", "third"]);
    ledger.remove_job(&named("first"));
    assert_eq!(settle(&mut ledger), ["second"]);
    ledger.set_role(&"ads".into(), cpu(1_000), Vec::new());
    assert_eq!(ledger.report("ads").unwrap().usage.production, cpu(0), "nothing of it was recorded");
}

/// What the job of a grant is charged and would be granted for another ask; `settled` is what it has become since.
#[test]
fn what_an_ask_makes_of_a_grant() {
    let (small, big) = (share(1, 4, 100), share(2, 4, 300));
    let of = |grant: &Grant, settled: Option<(u64, u32)>, ask: &Share| {
        let settled = settled.map(|(revision, pods)| (Revision::v1(revision), pods));
        let job = Job { recorded: Some(grant.clone()), settled, ..job(1, ask.clone()) };
        next::next(&job, Some(grant), NOW)
            .map(|next| (next.grant.previous.clone(), next.grant.charge().cpu_milli))
    };
    let first = granted(1, small.clone(), None);
    assert_eq!(of(&first, None, &small), None, "it has that");
    assert_eq!(of(&first, None, &share(1, 3, 100)), None, "and less");
    assert_eq!(of(&first, Some((1, 4)), &share(1, 6, 100)), Some((None, 600)), "more of the same");
    assert_eq!(of(&first, Some((1, 4)), &big), Some((Some(small.clone()), 1_200)), "the new one is greater");
    let smaller = share(3, 4, 10);
    assert_eq!(of(&first, Some((1, 4)), &smaller), Some((Some(small.clone()), 400)), "the old one is");
    let second = granted(2, big.clone(), Some(small.clone()));
    let chain = Share { instances: 4, ..share(1, 4, 300) };
    assert_eq!(of(&second, None, &smaller), Some((Some(chain), 1_200)), "any of both may run");
    assert_eq!(of(&second, Some((1, 4)), &smaller), Some((Some(small.clone()), 400)), "it was rolled back");
    assert_eq!(of(&second, Some((2, 4)), &smaller), Some((Some(big.clone()), 1_200)), "it went well");
    assert_eq!(of(&second, Some((1, 4)), &small), Some((None, 400)), "back to where it came from");
    assert_eq!(of(&second, None, &small), Some((Some(big), 1_200)), "on the way back the other may run yet");
}

#[test]
fn what_a_job_gives_back_is_free_once_it_has_recorded_that() {
    let (old, new) = (share(1, 4, 100), share(2, 2, 300));
    let grant = granted(2, new.clone(), Some(old.clone()));
    for (what, ask, settled, bucket, left) in [
        ("under way", new.clone(), None, Bucket::Production, Some((2, Some(old.clone())))),
        (
            "rolled back, and still asked for",
            new.clone(),
            Some((1, 4)),
            Bucket::Production,
            Some((2, Some(old))),
        ),
        ("done", new.clone(), Some((2, 2)), Bucket::Production, Some((2, None))),
        (
            "done, but for a Pod that ends",
            new,
            Some((2, 3)),
            Bucket::Production,
            Some((2, Some(share(1, 4, 100)))),
        ),
        (
            "fewer, not yet ended",
            share(2, 1, 300),
            Some((2, 2)),
            Bucket::Production,
            Some((2, Some(share(1, 4, 100)))),
        ),
        ("fewer", share(2, 1, 300), Some((2, 1)), Bucket::Production, Some((1, None))),
        ("another is asked for", share(3, 9, 300), Some((2, 2)), Bucket::Production, Some((2, None))),
        (
            "not limited any more, not yet there",
            share(3, 9, 1),
            Some((2, 2)),
            Bucket::NonProduction,
            Some((2, Some(share(1, 4, 100)))),
        ),
        ("not limited any more", share(3, 9, 1), Some((3, 9)), Bucket::NonProduction, None),
        ("on dedicated nodes now", share(3, 9, 1), Some((3, 9)), Bucket::Dedicated, None),
    ] {
        let settled = settled.map(|(revision, pods)| (Revision::v1(revision), pods));
        let job = Job { settled, bucket, recorded: Some(grant.clone()), ..job(1, ask) };
        let reduced = next::reduced(&job, &grant).map(|grant| (grant.share.instances, grant.previous));
        assert_eq!(reduced, left, "{what}");
    }
}

#[test]
fn an_update_is_charged_by_the_greater_and_refused_as_a_whole() {
    let mut ledger = ledger(1_000);
    let old = granted(1, share(1, 5, 100), None);
    let at_rest = Some((Revision::v1(1), 5));
    let with = |ask| Job { recorded: Some(old.clone()), settled: at_rest, ..job(1, ask) };
    ledger.set_job(&named("web"), with(share(2, 5, 201)));
    ledger.set_job(&named("other"), job(2, share(1, 5, 100)));
    assert_eq!(settle(&mut ledger), ["other"], "1005 are too much");
    let Verdict::Held(short) = ledger.admission(&named("web")).verdict else { panic!("it does not fit") };
    assert_eq!((short.asked, short.has, short.missing), (cpu(1_005), cpu(500), cpu(505)));
    ledger.set_job(&named("web"), with(share(3, 1, 100)));
    assert_eq!(settle(&mut ledger), ["web"], "what takes no more is granted");
    assert_eq!(
        ledger.report("ads").unwrap().usage.production,
        cpu(1_000),
        "the old one is charged meanwhile"
    );
}

#[test]
fn a_lower_quota_takes_nothing_back_and_gives_nothing() {
    let mut ledger = ledger(1_000);
    ledger.set_job(&named("web"), job(1, share(1, 8, 100)));
    assert_eq!(settle(&mut ledger), ["web"]);
    let grant = ledger.admission(&named("web")).grant.unwrap();
    let web = |ask| Job { recorded: Some(grant.clone()), settled: Some((Revision::v1(1), 8)), ..job(1, ask) };
    ledger.set_job(&named("web"), web(share(1, 8, 100)));
    ledger.set_role(&"ads".into(), cpu(300), Vec::new());
    assert_eq!(ledger.report("ads").unwrap().over, cpu(500));
    assert_eq!(
        ledger.admission(&named("web")),
        Admission { grant: Some(grant.clone()), verdict: Verdict::Limited }
    );
    ledger.set_job(&named("web"), web(share(2, 8, 100)));
    assert_eq!(settle(&mut ledger), ["web"], "another config that takes no more");
    ledger.set_job(&named("more"), job(2, share(1, 1, 1)));
    assert_eq!(settle(&mut ledger), [""; 0]);
}

#[test]
fn only_what_is_asked_more_of_counts() {
    let mut ledger = Ledger::default();
    let memory = |memory| Resources { memory, ..Resources::NONE };
    ledger.set_role(&"ads".into(), memory(10), Vec::new());
    let each = Resources { memory: 5, ..cpu(100) };
    let ask = |instances| Share { revision: Revision::v1(1), instances, each: each.clone() };
    ledger.set_job(&named("web"), Job { runs: 2, ..job(1, ask(2)) });
    assert_eq!(settle(&mut ledger), ["web"], "it was there before, whatever the quota says");
    assert_eq!(ledger.report("ads").unwrap().over, cpu(200));
    ledger.set_job(&named("batch"), job(2, Share { each: memory(1), ..ask(1) }));
    let Verdict::Held(short) = ledger.admission(&named("batch")).verdict else { panic!("memory is used up") };
    assert_eq!(short.missing, memory(1), "nobody asks it for CPU");
    ledger.set_job(
        &named("gpu"),
        job(3, Share { each: Resources { extended: [("gpu".into(), 1)].into(), ..cpu(0) }, ..ask(1) }),
    );
    assert_eq!(settle(&mut ledger), [""; 0], "what a quota does not name is none");
}

#[test]
fn what_runs_without_a_grant_is_written_down_before_anything_is_given() {
    let mut ledger = ledger(800);
    ledger.set_job(&named("new"), job(1, share(1, 6, 100)));
    ledger.set_job(&named("there"), Job { runs: 7, ..job(2, share(1, 9, 100)) });
    assert_eq!(settle(&mut ledger), ["there"]);
    let grant = ledger.admission(&named("there")).grant.unwrap();
    assert_eq!(grant.share.instances, 7, "the rest has to ask");
    assert!(matches!(ledger.admission(&named("there")).verdict, Verdict::Held(_)));
}

#[test]
fn the_sums_are_kept_apart() {
    let mut ledger = ledger(1_000);
    ledger.set_job(&named("web"), job(1, share(1, 2, 100)));
    ledger.set_job(&named("own"), Job { bucket: Bucket::Dedicated, ..job(2, share(1, 3, 1_000)) });
    let other = JobName { kind: JobKind::Job, namespace: "test".into(), name: "batch".into() };
    ledger.set_job(&other, Job { bucket: Bucket::NonProduction, ..job(3, share(1, 9, 1_000)) });
    ledger.set_foreign(&"ads".into(), cpu(750));
    assert_eq!(settle(&mut ledger), ["web"]);
    let report = ledger.report("ads").unwrap();
    let usage = Usage { production: cpu(200), dedicated: cpu(3_000), non_production: cpu(9_000) };
    assert_eq!((report.usage, report.foreign), (&usage, &cpu(750)));
    assert_eq!(report.namespaces["test"].1.non_production, cpu(9_000));
    assert_eq!(report.namespaces["prod"], (2, Usage { non_production: cpu(0), ..usage }));
    assert_eq!(ledger.admission(&other).verdict, Verdict::Free);
    ledger.set_job(&named("late"), job(4, share(1, 1, 60)));
    assert_eq!(settle(&mut ledger), [""; 0], "Pods of others count as well");
    ledger.set_foreign(&"ads".into(), cpu(740));
    assert_eq!(settle(&mut ledger), ["late"]);
    ledger.set_foreign(&"ads".into(), cpu(900));
    assert_eq!(ledger.report("ads").unwrap().over, cpu(160));
}

#[test]
fn a_job_goes_where_its_namespace_goes() {
    let mut ledger = ledger(100);
    let (ads, web) = (Arc::<str>::from("ads"), named("web"));
    let grant = granted(1, share(1, 1, 900), None);
    let of =
        |role: &str| Job { role: role.into(), recorded: Some(grant.clone()), ..job(1, share(1, 1, 900)) };
    ledger.set_job(&web, of("other"));
    assert_eq!(ledger.report("other").unwrap().quota, None);
    assert_eq!(ledger.decide("other", NOW), None, "who is no AuroraRole gives nothing");
    let touched = ledger.set_job(&web, of("ads"));
    assert_eq!(touched, ["other".into(), Arc::clone(&ads)]);
    assert!(ledger.report("other").is_none(), "nothing is left behind");
    assert_eq!(ledger.report("ads").unwrap().over, cpu(800));
    assert_eq!(ledger.set_job(&web, of("ads")), [], "nothing has changed");
    assert_eq!(ledger.remove_job(&web), Some(ads));
    assert_eq!(ledger.remove_job(&web), None);
}

#[test]
fn a_grant_stands_in_the_roles_status_until_it_is_taken_up() {
    let (ads, web) = (Arc::<str>::from("ads"), named("web"));
    let mut ledger = ledger(1_000);
    ledger.set_job(&web, job(1, share(1, 5, 100)));
    let decision = ledger.decide("ads", NOW).unwrap();
    assert_eq!(ledger.admission(&web).grant, None, "it was not written yet");
    assert_eq!(ledger.decide("ads", NOW), Some(decision.clone()), "the write was lost: the same again");
    ledger.set_role(&ads, cpu(1_000), decision.pending.clone());
    let grant = ledger.admission(&web).grant.unwrap();
    assert_eq!(grant, granted(1, share(1, 5, 100), None));
    let mut successor = Ledger::default();
    successor.set_job(&web, job(1, share(1, 5, 100)));
    successor.set_job(&named("rival"), job(0, share(1, 6, 100)));
    successor.set_role(&ads, cpu(1_000), decision.pending.clone());
    let next = successor.decide("ads", NOW).unwrap();
    assert_eq!((next.granted, next.changed), (Vec::new(), false), "a successor keeps to it");

    ledger.set_job(&web, Job { recorded: Some(grant), ..job(1, share(1, 5, 100)) });
    let next = ledger.decide("ads", NOW).unwrap();
    assert_eq!((next.pending.len(), next.changed), (0, true), "it was taken up");
    // Made anew under its name: what the one before it was granted is not its own.
    ledger.set_role(&ads, cpu(1_000), decision.pending);
    ledger.set_job(&web, job(7, share(1, 2, 100)));
    let next = ledger.decide("ads", NOW).unwrap();
    assert_eq!(next.pending.iter().map(|one| one.uid).collect::<Vec<_>>(), [Uid::new(7)]);
    assert_eq!(ledger.report("ads").unwrap().usage.production, cpu(0));
}

#[test]
fn no_more_stand_there_than_there_is_room_for() {
    let mut ledger = ledger(1_000_000);
    for number in 0..200_u8 {
        ledger.set_job(
            &named(&format!("web{number:03}")),
            Job { runs: u32::from(number % 2), ..job(number, share(1, 1, 1)) },
        );
    }
    let first = ledger.decide("ads", NOW).unwrap();
    assert_eq!(first.pending.len(), MAX_PENDING);
    let there = |name: &JobName| name.name[3..].parse::<u32>().unwrap() % 2 == 1;
    assert!(first.granted[..100].iter().all(there), "those that run come first");
    assert!(first.granted[100..].iter().all(|name| !there(name)));
    ledger.set_role(&"ads".into(), cpu(1_000_000), first.pending.clone());
    for Pending { job: name, uid, grant } in first.pending {
        let number = u8::try_from(name.name[3..].parse::<u32>().unwrap()).unwrap();
        ledger.set_job(&name, Job { uid, recorded: Some(grant), ..job(number, share(1, 1, 1)) });
    }
    assert_eq!(settle(&mut ledger).len(), 200 - MAX_PENDING);
}
