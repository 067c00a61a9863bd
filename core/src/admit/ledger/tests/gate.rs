//! What a job's plan is told, by how it stands.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    admit::ledger::{Admission, Shortage, Verdict, plan_admitted},
    model::{
        ConditionType, Flapping, Grant, History, Partition, Revision, Service, ServiceStatus, Uid,
        UpdateSettings, Upstream, Work, reasons,
    },
    plan::{Plan, Problem, ServiceView},
};

use super::{cpu, granted, share};

/// What a plan was told: the config, how many instances, and the problem with whether it blocks.
type Told = (u64, u32, Option<(&'static str, bool)>);

fn service(revision: u64, instances: u32) -> Service {
    Service {
        uid: Uid::new(1),
        generation: 1,
        deleting: false,
        instances,
        revision: Revision::v1(revision),
        update: UpdateSettings::default(),
        hold_updates: false,
        queue_updates: false,
        flapping: Flapping { threshold_seconds: 300, initial_delay_seconds: 60, max_delay_seconds: 300 },
        partition: Partition { reschedule: true, delay_seconds: 0 },
        history: History { failed: 0, ended: 0, ttl_seconds: 60 },
        work: Work::default(),
        batch: None,
    }
}

fn status(revision: u64, count: u32, admitted: Option<Grant>) -> ServiceStatus {
    ServiceStatus {
        observed_revision: Some(Revision::v1(revision)),
        observed_count: Some(count),
        admitted,
        ..ServiceStatus::default()
    }
}

/// What the plan of this service is told, and what its status is to record.
fn told(
    service: &Service,
    status: Option<&ServiceStatus>,
    verdict: Verdict,
    grant: Option<Grant>,
    obstacle: Option<&Problem>,
) -> Option<(Told, Option<Grant>)> {
    let mut seen = None;
    let plan = with_view(service, status, |view| {
        plan_admitted(view, &Admission { grant, verdict }, obstacle, |view| {
            let problem = view.problem.map(|problem| (problem.reason, problem.blocks));
            let revisions = (1..9).find(|one| Revision::v1(*one) == view.service.revision);
            seen = Some((revisions.unwrap(), view.service.instances, problem));
            Plan { status: Some(ServiceStatus::default()), ..Plan::default() }
        })
    });
    assert_eq!(seen.is_none(), plan.status.is_none());
    Some((seen?, plan.status.and_then(|status| status.admitted)))
}

fn with_view(
    service: &Service,
    status: Option<&ServiceStatus>,
    plan: impl FnOnce(&ServiceView<'_>) -> Plan,
) -> Plan {
    let (runs, nodes) = (BTreeMap::new(), BTreeMap::new());
    let view = ServiceView {
        service,
        tasks: &[],
        seen_runs: &runs,
        revisions: &[],
        update: None,
        past_updates: &[],
        status,
        measurements: &[],
        pending: &[],
        upstream: Upstream::default(),
        lost_nodes: &nodes,
        keep_allowed: true,
        frozen: false,
        problem: None,
    };
    plan(&view)
}

fn held() -> Verdict {
    let none = cpu(0);
    let short =
        Shortage { asked: cpu(9), has: none.clone(), used: none.clone(), quota: none, missing: cpu(9) };
    Verdict::Held(Box::new(short))
}

#[test]
fn a_plan_is_told_what_was_recorded() {
    let (first, more) = (granted(1, share(1, 4, 100), None), granted(2, share(1, 9, 100), None));
    let other = granted(2, share(2, 4, 100), Some(share(1, 4, 100)));
    let exceeded = Problem { reason: reasons::QUOTA_EXCEEDED, message: String::new(), blocks: false };
    let problem = Some(&exceeded);
    let shown = |blocks| Some((reasons::QUOTA_EXCEEDED, blocks));
    let there = |grant: &Grant| status(1, 4, Some(grant.clone()));
    let ungranted = status(1, 4, None);
    for (what, spec, status, verdict, grant, obstacle, expected) in [
        ("new, not decided", (1, 4), None, Verdict::Unknown, None, None, None),
        ("new, in doubt", (1, 4), None, Verdict::Limited, None, None, None),
        ("new, held", (1, 4), None, held(), None, problem, Some((1, 4, shown(true)))),
        ("new, granted", (1, 4), None, Verdict::Limited, Some(&first), None, Some((1, 4, None))),
        ("new, not limited", (1, 4), None, Verdict::Free, None, None, Some((1, 4, None))),
        (
            "granted and recorded",
            (1, 4),
            Some(there(&first)),
            Verdict::Limited,
            Some(&first),
            None,
            Some((1, 4, None)),
        ),
        ("fewer", (1, 2), Some(there(&first)), Verdict::Limited, Some(&first), None, Some((1, 2, None))),
        (
            "more, granted, not recorded",
            (1, 9),
            Some(there(&first)),
            Verdict::Limited,
            Some(&more),
            None,
            Some((1, 4, None)),
        ),
        (
            "more, recorded",
            (1, 9),
            Some(there(&more)),
            Verdict::Limited,
            Some(&more),
            None,
            Some((1, 9, None)),
        ),
        (
            "more, held",
            (1, 9),
            Some(there(&first)),
            held(),
            Some(&first),
            problem,
            Some((1, 4, shown(false))),
        ),
        (
            "another, granted, not recorded",
            (2, 4),
            Some(there(&first)),
            Verdict::Limited,
            Some(&other),
            None,
            Some((1, 4, None)),
        ),
        (
            "another, recorded",
            (2, 4),
            Some(there(&other)),
            Verdict::Limited,
            Some(&other),
            None,
            Some((2, 4, None)),
        ),
        (
            "another and more, held",
            (3, 9),
            Some(there(&other)),
            held(),
            Some(&other),
            problem,
            Some((1, 4, shown(false))),
        ),
        (
            "there before quota was",
            (1, 4),
            Some(ungranted.clone()),
            Verdict::Limited,
            None,
            None,
            Some((1, 4, None)),
        ),
        (
            "there, and another is held",
            (2, 9),
            Some(ungranted),
            held(),
            None,
            problem,
            Some((1, 4, shown(false))),
        ),
    ] {
        let (spec, status) = (service(spec.0, spec.1), status.as_ref());
        let got = told(&spec, status, verdict, grant.cloned(), obstacle);
        assert_eq!(got, expected.map(|told| (told, grant.cloned())), "{what}");
    }
}

#[test]
fn what_is_recorded_stays_while_nothing_is_known() {
    let first = granted(1, share(1, 4, 100), None);
    let there = status(1, 4, Some(first.clone()));
    let got = told(&service(1, 4), Some(&there), Verdict::Unknown, None, None);
    assert_eq!(got, Some(((1, 4, None), Some(first.clone()))));
    let got = told(&service(1, 9), Some(&there), Verdict::Unknown, None, None);
    assert_eq!(got, Some(((1, 4, None), Some(first.clone()))), "and no more than that");
    let got = told(&service(1, 4), Some(&there), Verdict::Free, None, None);
    assert_eq!(got, Some(((1, 4, None), None)), "what is not limited gives it back");
    let refused = Problem { reason: reasons::TIER_NOT_ALLOWED, message: String::new(), blocks: false };
    let got = told(&service(2, 4), Some(&there), Verdict::Limited, Some(first.clone()), Some(&refused));
    let problem = Some((reasons::TIER_NOT_ALLOWED, false));
    assert_eq!(
        got,
        Some(((1, 4, problem), Some(first))),
        "what may not be is not done, whatever was granted"
    );
}

#[test]
fn what_waits_from_the_start_is_told_how_many_have_no_place() {
    let exceeded = Problem { reason: reasons::QUOTA_EXCEEDED, message: "m".into(), blocks: false };
    let refused = Problem { reason: reasons::TEMPLATE_REFUSED, message: "m".into(), blocks: false };
    let invalid = Problem { reason: reasons::INVALID_SPEC, message: "m".into(), blocks: true };
    for (problem, told, desired) in
        [(None, "QuotaExceeded", 4), (Some(&refused), "QuotaExceeded", 4), (Some(&invalid), "InvalidSpec", 0)]
    {
        let plan = with_view(&service(1, 4), None, |view| {
            let view = ServiceView { problem, ..view.clone() };
            let admission = Admission { grant: None, verdict: held() };
            plan_admitted(&view, &admission, Some(&exceeded), |view| {
                crate::plan::plan(view, Timestamp::UNIX_EPOCH)
            })
        });
        let status = plan.status.unwrap();
        assert!(plan.actions.is_empty() && status.observed_revision.is_none(), "{told}: it was let through");
        assert_eq!(status.counts.desired, desired, "{told}");
        let placed = status.condition(ConditionType::Placed).unwrap();
        let words = format!("{desired} of {desired} instances have no place: instances 0-3: Held by {told}");
        let expected = if desired == 0 { String::new() } else { words };
        assert_eq!(placed.message, expected);
        assert_eq!(status.condition(ConditionType::Stalled).unwrap().reason, told);
    }
}
