//! What must be in the end: some time after the last disturbance everything is as the spec, or the last update's
//! outcome, says, and nothing is left to do.

use std::collections::BTreeSet;

use crate::{model::*, plan::plan};

use super::{
    cache::Snapshot,
    jobs,
    objects::{Pod, UpdateObject},
    request::{Request, requests},
    setting::{FINAL, Quality},
    world::World,
};

/// Whether the world has come to rest as it should, and if not, why not.
pub(super) fn rest(world: &World) -> Result<(), String> {
    let Some(leader) = world.leader() else { return Err("nobody leads".to_owned()) };
    let Some(snapshot) = world.snapshot(leader) else { return Err("the leader sees no service".to_owned()) };
    let Some(object) = &world.store.service else { return Err("there is no service".to_owned()) };
    if snapshot.object != *object {
        return Err("the leader is behind".to_owned());
    }
    let Some(status) = &object.status else { return Err("there is no status".to_owned()) };
    if object.service.batch.is_some() {
        return jobs::rest(world, leader, &snapshot);
    }
    let restless = restless(world);
    nothing_to_do(world, leader, &snapshot, &restless)?;
    let newest = world.store.updates.values().next_back();
    let state = newest.and_then(|update| update.progress.as_ref()).map(|progress| progress.state);
    if newest.is_some() && state.is_none() {
        return Err("the newest update has no progress".to_owned());
    }
    if let (Some(state), Some(update)) = (state, newest)
        && !state.is_terminal()
    {
        if update.controls.paused {
            return Ok(());
        }
        return Err(format!("update {} is {state:?}", update.number));
    }
    if world.setting.steady && world.tally.pods != 2 * u64::from(object.service.instances) {
        return Err(format!("{} Pods were made", world.tally.pods));
    }
    let count = count(world, &object.service, status, newest, state);
    instances(world, count, &restless)?;
    configs(world, &object.service, count, newest, &restless)?;
    history(world, count, &object.service)
}

/// Instances whose config keeps them from coming to rest.
fn restless(world: &World) -> BTreeSet<Instance> {
    let spec = world.store.service.as_ref().map(|object| object.service.revision);
    let status = world.store.service.as_ref().and_then(|object| object.status.as_ref());
    let last_good = status.and_then(|status| status.last_good);
    if last_good.is_some_and(|good| Some(good) != spec && !world.store.revisions.contains_key(&good)) {
        // Somebody has removed what they would run.
        return (0..100).collect();
    }
    let bad = |revision: Revision| world.setting.quality(revision) != Quality::Good;
    let live = world.store.pods.values().filter(|pod| pod.is_live() && bad(pod.revision));
    // What is refused, or was held back, has no live Pod.
    let meant = status.iter().flat_map(|status| &status.revisions).filter(|(revision, _)| bad(*revision));
    live.map(|pod| pod.instance).chain(meant.flat_map(|(_, ranges)| ranges.iter())).collect()
}

fn nothing_to_do(
    world: &World,
    leader: usize,
    snapshot: &Snapshot,
    restless: &BTreeSet<Instance>,
) -> Result<(), String> {
    let local = world.local(leader);
    let plan = plan(&snapshot.view(), local);
    let instance_of = |uid: Uid| world.store.pod(uid).map(|pod| pod.instance);
    let mut left = requests(plan, snapshot, local, 0);
    left.retain(|request| match request {
        Request::Create { instance, .. } => !restless.contains(instance),
        Request::Tell { uid, .. }
        | Request::Retire { uid }
        | Request::Gate { uid, .. }
        | Request::Change { uid, .. }
        | Request::Delete { uid, .. } => {
            instance_of(*uid).is_none_or(|instance| !restless.contains(&instance))
        }
        Request::Status { .. } => restless.is_empty(),
        Request::Progress { .. }
        | Request::Adopt { .. }
        | Request::Record { .. }
        | Request::Mark { .. }
        | Request::Start { .. } => true,
    });
    if left.is_empty() { Ok(()) } else { Err(format!("still to do: {left:?}")) }
}

/// How many instances there shall be.
fn count(
    world: &World,
    service: &Service,
    status: &ServiceStatus,
    newest: Option<&UpdateObject>,
    state: Option<UpdateState>,
) -> u32 {
    let asked = service.instances;
    // What a scope keeps from coming and going hangs on all scopes there were.
    if world.oracle.meddled || world.is_scoped {
        return status.counts.desired;
    }
    match newest {
        // What failed is taken back as a whole, the count with it.
        Some(update) if state == Some(UpdateState::RolledBack) && update.instructions.asked == asked => {
            if is_as_it_was(world, update) {
                update.instructions.previous_instances
            } else {
                status.counts.desired
            }
        }
        _ => asked,
    }
}

fn instances(world: &World, count: u32, restless: &BTreeSet<Instance>) -> Result<(), String> {
    let live = || world.store.pods.values().filter(|pod| pod.is_live());
    for instance in (0..count).filter(|instance| !restless.contains(instance)) {
        let pod = live().find(|pod| pod.instance == instance);
        let Some(pod) = pod else { return Err(format!("instance {instance} has no Pod")) };
        if pod.ready_since.is_none() || pod.deleting.is_some() || pod.intent.is_some() {
            return Err(format!("instance {instance} is not Ready"));
        }
    }
    match live().find(|pod| pod.instance >= count) {
        Some(pod) => Err(format!("instance {} is one too many", pod.instance)),
        None => Ok(()),
    }
}

fn configs(
    world: &World,
    service: &Service,
    count: u32,
    newest: Option<&UpdateObject>,
    restless: &BTreeSet<Instance>,
) -> Result<(), String> {
    let spec = service.revision;
    let state = newest.and_then(|update| update.progress.as_ref()).map(|progress| progress.state);
    let all_run = |revision: Revision| {
        let other =
            |instance: &Instance| stands_for(world, *instance).is_none_or(|pod| pod.revision != revision);
        let scope = (0..count).filter(|it| service.update.allows(*it) && !is_borne(newest, *it));
        match scope.into_iter().filter(|instance| !restless.contains(instance)).find(other) {
            Some(instance) => Err(format!("instance {instance} doesn't run {revision}")),
            None => Ok(()),
        }
    };
    let adopted = world.oracle.adopted.map(|(revision, _)| revision);
    if world.setting.finale && adopted != Some(FINAL) {
        if spec != FINAL {
            return Err("the last change got lost".to_owned());
        }
        return all_run(FINAL);
    }
    let to = newest.and_then(|update| update.instructions.to.as_ref().map(|(to, _)| *to));
    match (newest, state) {
        (None, _) if !world.oracle.meddled => all_run(spec),
        (Some(_), Some(UpdateState::RolledForward)) if to == Some(spec) && !world.oracle.meddled => {
            all_run(spec)
        }
        // Given up for a config that needed no update of its own.
        (Some(update), Some(UpdateState::Aborted))
            if update.controls.abort.is_none() && !world.oracle.meddled =>
        {
            all_run(spec)
        }
        (Some(update), Some(UpdateState::RolledBack)) => restored(world, update),
        _ => Ok(()),
    }
}

/// Whether nobody has changed the spec since the update began.
fn is_as_it_was(world: &World, update: &UpdateObject) -> bool {
    let generation = world.store.service.as_ref().map(|object| object.service.generation);
    let before = world.oracle.before(update.number);
    before.is_some_and(|before| Some(before.generation) == generation)
}

/// The Pod of an instance that lives, or else the newest: a later run beside one that stays may have come and gone.
fn stands_for(world: &World, instance: Instance) -> Option<&Pod> {
    let pods = || world.store.pods.values().rev().filter(|pod| pod.instance == instance);
    pods().find(|pod| pod.is_live()).or_else(|| pods().next())
}

/// Whether an instance has failed in an update that leaves what served beside its next run.
fn is_borne(update: Option<&UpdateObject>, instance: Instance) -> bool {
    let surges = |update: &&UpdateObject| update.settings.surge(update.instructions.all()) > 0;
    let progress = update.filter(surges).and_then(|update| update.progress.as_ref());
    progress.is_some_and(|it| {
        it.failed_back.contains(instance) || (!it.state.is_back() && it.failed.contains(instance))
    })
}

/// A rollback has restored every instance: its config, and whether it is there at all.
fn restored(world: &World, update: &UpdateObject) -> Result<(), String> {
    let Some(before) = world.oracle.before(update.number) else { return Ok(()) };
    if !is_as_it_was(world, update) {
        return Ok(());
    }
    for (instance, revision) in before.instances.range(..before.count) {
        let pod = stands_for(world, *instance);
        let stored = world.store.revisions.contains_key(revision);
        if stored && !is_borne(Some(update), *instance) && pod.is_none_or(|pod| pod.revision != *revision) {
            return Err(format!("the rollback has not restored instance {instance} to {revision}"));
        }
    }
    let live = world.store.pods.values().filter(|pod| pod.is_live());
    match live.into_iter().find(|pod| pod.instance >= before.count) {
        Some(pod) => Err(format!("the rollback has left instance {}", pod.instance)),
        None => Ok(()),
    }
}

/// What is kept is bounded.
fn history(world: &World, count: u32, service: &Service) -> Result<(), String> {
    let kept = world.store.pods.values().filter(|pod| !pod.is_live()).count();
    let bound = service.history.failed + service.history.ended + count;
    if kept > bound as usize {
        return Err(format!("{kept} ended Pods are kept, more than {bound}"));
    }
    if world.store.updates.len() > 10 || world.store.revisions.len() > 20 {
        return Err("too many updates or stored configs are kept".to_owned());
    }
    Ok(())
}
