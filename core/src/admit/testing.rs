//! Plain Pods, nodes and tiers for tests, to be changed where it matters.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Claim, Demand, Host, JobKind, Labels, NodeId, Owner, Preemption, Resources, Tier, Uid};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A tier that lets its Pods run for a minute.
pub(crate) fn tier(preemptible: bool, revocable: bool) -> Tier {
    let band = if revocable {
        10_000
    } else if preemptible {
        20_000
    } else {
        30_000
    };
    Tier {
        name: format!("tier-{band}").into(),
        preemptible,
        revocable,
        band,
        preemption: Preemption::Borealis,
        preemption_delay_seconds: 5,
        min_runtime_seconds: 60,
        grace_seconds: None,
    }
}

/// An owner of a role, in the namespace of the same name.
pub(crate) fn owner(tier: &Tier, role: &str, priority: i32) -> Owner {
    Owner {
        namespace: role.into(),
        role: role.into(),
        job: "job".into(),
        ours: Some(JobKind::Service),
        tier: Some(Arc::new(tier.clone())),
        priority,
        rank: tier.band,
        preempts_natively: false,
        labels: Arc::new(Labels::new()),
    }
}

/// What so many thousandths of a CPU demand.
pub(crate) fn demand(cpu_milli: i64) -> Demand {
    Demand { requests: Resources { cpu_milli, ..Resources::NONE }, ..Demand::default() }
}

/// A Pod that has no node and that the scheduler found no place for.
pub(crate) fn pending(uid: u128, owner: &Arc<Owner>, demand: &Arc<Demand>) -> Claim {
    Claim {
        uid: Uid::new(uid),
        name: format!("p{uid}").into(),
        version: 1,
        demand: Arc::clone(demand),
        owner: Arc::clone(owner),
        created: NOW - SignedDuration::from_hours(1),
        started: None,
        node: None,
        nominated: None,
        unschedulable: Some(NOW - SignedDuration::from_mins(1)),
        ends: None,
        slot: None,
    }
}

/// A Pod that has run on a node for half an hour.
pub(crate) fn running(uid: u128, owner: &Arc<Owner>, demand: &Arc<Demand>, node: u32) -> Claim {
    Claim {
        started: Some(NOW - SignedDuration::from_mins(30)),
        node: Some(NodeId(node)),
        unschedulable: None,
        ..pending(uid, owner, demand)
    }
}

/// A node with so many thousandths of a CPU, plenty of all else, and its name as a label.
pub(crate) fn host(id: u32, cpu_milli: i64) -> Host {
    let name: Arc<str> = format!("n{id}").into();
    Host {
        id: NodeId(id),
        name: Arc::clone(&name),
        labels: Arc::new(Labels::from([("kubernetes.io/hostname".into(), name)])),
        taints: Arc::new([]),
        allocatable: Resources { cpu_milli, memory: 1 << 40, ephemeral: 1 << 40, ..Resources::NONE },
        pods: 110,
    }
}
