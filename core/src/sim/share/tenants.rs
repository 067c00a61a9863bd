//! What tenants do: they bring work and take it away, and replace what was ended.

use std::sync::Arc;

use super::{
    Trouble,
    world::{Job, World},
};
use crate::{
    model::{Demand, JobKind, Labels, NodeId, Owner, Resources, Uid},
    sim::draw::Draw,
};

/// The roles.
const ROLES: [&str; 3] = ["a", "b", "c"];
/// How many Pods there are at the most, more or less: what waits in vain is no use.
const MOST: usize = 40;
/// The rank of rivals that nobody preempts: above all tiers.
const RIVAL: i32 = 1_000;

/// Something happens, or nothing.
pub(super) fn act(world: &mut World, draw: &mut Draw) {
    if draw.chance(10) && world.pods.len() < MOST {
        bring(world, draw);
    }
    let may_go = world.trouble != Trouble::Arrivals || world.is_at_rest();
    if may_go && (draw.chance(3) || world.pods.len() >= MOST) {
        take_away(world, draw);
    }
    if world.trouble == Trouble::All {
        if draw.chance(2) {
            rival(world, draw);
        }
        if draw.chance(1) && world.hosts.len() > 2 {
            let all: Vec<NodeId> = world.hosts.keys().copied().collect();
            world.remove_host(draw.pick(&all));
        }
        if draw.chance(1) {
            let next = world.hosts.keys().next_back().map_or(0, |id| id.0 + 1);
            world.add_host(next.max(100));
        }
    }
}

fn bring(world: &mut World, draw: &mut Draw) {
    let (tier, role) = (draw.pick(&[0, 0, 1, 1, 1, 2, 2]), draw.pick(&[0, 1, 2]));
    let tier = Arc::clone(&world.tiers[tier]);
    let name: Arc<str> = ROLES[role].into();
    let owner = Owner {
        namespace: Arc::clone(&name),
        role: name,
        job: format!("j{}", world.jobs.len()).into(),
        ours: Some(JobKind::Service),
        rank: tier.band,
        tier: Some(tier),
        priority: i32::try_from(draw.below(3)).unwrap_or(0),
        preempts_natively: draw.chance(3),
        labels: Arc::new(Labels::new()),
    };
    let requests = Resources {
        cpu_milli: draw.pick(&[500, 1_000, 2_000, 3_000]),
        memory: draw.pick(&[1, 1, 2, 4]),
        ..Resources::NONE
    };
    let budget = draw.chance(30).then(|| u32::try_from(role).unwrap_or(0));
    let job = Job {
        owner: Arc::new(owner),
        demand: Arc::new(Demand { requests, ..Demand::default() }),
        count: draw.small(1, 8),
        grace: draw.pick(&[0, 1, 10, 90]),
        budget,
    };
    begin(world, job);
}

/// Work of a class above all, which takes whatever is free.
fn rival(world: &mut World, draw: &mut Draw) {
    let owner = Owner {
        namespace: "system".into(),
        role: "system".into(),
        job: "rival".into(),
        ours: None,
        tier: None,
        priority: 0,
        rank: RIVAL,
        preempts_natively: true,
        labels: Arc::new(Labels::new()),
    };
    let requests = Resources { cpu_milli: draw.pick(&[500, 1_000]), memory: 1, ..Resources::NONE };
    let job = Job {
        owner: Arc::new(owner),
        demand: Arc::new(Demand { requests, ..Demand::default() }),
        count: 1,
        grace: 5,
        budget: None,
    };
    begin(world, job);
}

fn begin(world: &mut World, job: Job) {
    let number = world.jobs.keys().next_back().map_or(0, |last| last + 1);
    let Job { owner, demand, count, grace, budget } = &job;
    world.say(&format!(
        "{count} of role {} rank {} priority {} with {} mCPU and {} memory, grace {grace}, budget {budget:?}",
        owner.role, owner.rank, owner.priority, demand.requests.cpu_milli, demand.requests.memory
    ));
    world.jobs.insert(number, job);
}

fn take_away(world: &mut World, draw: &mut Draw) {
    let all: Vec<u64> = world.jobs.keys().copied().collect();
    if all.is_empty() {
        return;
    }
    let job = draw.pick(&all);
    world.jobs.remove(&job);
    world.say(&format!("job {job} is taken away"));
    let its: Vec<Uid> =
        world.pods.values().filter(|pod| pod.job == Some(job)).map(|pod| pod.claim.uid).collect();
    its.into_iter().for_each(|uid| world.take_away(uid));
}

/// Each job gets as many Pods as it wants; one that is ending has its successor once it is gone.
pub(super) fn replace(world: &mut World) {
    for (number, job) in world.jobs.clone() {
        let have = world.pods.values().filter(|pod| pod.job == Some(number)).count();
        for _ in have..job.count as usize {
            world.add(number, &job);
        }
    }
}
