//! The API server: what a request does, on which conditions, and what it answers.
//!
//! The conditions are those the operator writes under: a uid on everything that changes or removes a Pod, the exact name on
//! everything that is made, the version read on progress and status, the lease's term on new Pods, and the service
//! read live before what lasts is written. Faults of the way there are `operator`'s.

use crate::{
    model::*,
    plan::{Ended, NewUpdate},
    state::{ContainerFacts, ContainerState, Phase},
};

use super::{
    objects::{Kind, Object, Pod, RevisionObject, UpdateObject},
    request::Request,
    setting::{Quality, Setting, are_alike},
    store::{Change, Store},
    time::{Millis, clock, whole},
};

/// What the API server says to it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Done; this has changed.
    Done(Vec<Change>),
    /// There is no object of that uid.
    Missing,
    /// Something is not as the request supposed.
    Conflict,
    /// An object of that name is there: this one.
    Exists(Box<Object>),
    /// It won't have a Pod of this config.
    Refused,
    /// The term is not the lease's.
    Term,
    /// Not now.
    Busy,
    /// No answer came: it may have been done.
    Unknown,
}

/// Does what a request asks for, if its conditions hold.
pub(super) fn apply(store: &mut Store, request: &Request, now: Millis, setting: &Setting) -> Answer {
    match request {
        Request::Progress { uid, version, progress } => set_progress(store, *uid, *version, progress),
        Request::Adopt { kind, uid, service } => adopt(store, *kind, *uid, *service),
        Request::Record { service, revision, last_good, number } => {
            record(store, *service, *revision, *last_good, *number)
        }
        Request::Mark { revision, last_good, failed } => {
            let Some(mut object) = store.revisions.get(revision).copied() else { return Answer::Missing };
            (object.last_good, object.failed) = (*last_good, *failed);
            done(store.put(object))
        }
        Request::Start { service, generation, new } => start(store, *service, *generation, new),
        Request::Tell { uid, intent, at, stop } => edit_pod(store, *uid, |pod| {
            pod.intent = Some((*intent, whole(*at)));
            if *stop {
                (pod.deadline, pod.live_label) = (true, false);
            }
        }),
        Request::Gate { uid, open, at } => edit_pod(store, *uid, |pod| {
            if let Some(gate) = &mut pod.in_place {
                (gate.open, gate.since) = (*open, Some(whole(*at)));
            }
        }),
        Request::Change { term, .. }
            if setting.guards.fence && store.term_seen(now, setting.term_lag) != *term =>
        {
            Answer::Term
        }
        Request::Change { uid, term: _, from, revision, update, at, instead } => {
            let change = crate::model::Change { update: *update, at: *at, stage: Stage::Pending };
            change_pod(store, *uid, *from, *revision, change, *instead, (now, setting))
        }
        Request::Retire { uid } => edit_pod(store, *uid, |pod| pod.live_label = false),
        Request::Delete { kind: Kind::Pod, uid } => delete_pod(store, *uid, now),
        Request::Delete { kind, uid } => {
            if !store.list_now(*kind).iter().any(|object| object.meta().uid == *uid) {
                return Answer::Missing;
            }
            Answer::Done(vec![store.remove(*kind, *uid)])
        }
        Request::Create { service, term, instance, run, revision, flaps, failures } => {
            if setting.guards.fence && store.term_seen(now, setting.term_lag) != *term {
                return Answer::Term;
            }
            if setting.quality(*revision) == Quality::Refused {
                return Answer::Refused;
            }
            if let Some(pod) = store.pods.get(&(*instance, *run)) {
                return Answer::Exists(Box::new(pod.clone().into()));
            }
            let meta = store.new_meta(Some(*service));
            let gated = store.service.as_ref().is_some_and(|object| object.service.update.in_place);
            done(store.put(Pod {
                meta,
                instance: *instance,
                run: *run,
                revision: *revision,
                grace_seconds: setting.grace_seconds(*revision),
                flaps: *flaps,
                failures: *failures,
                created: whole(clock(now, 0)),
                live_label: true,
                intent: None,
                deadline: false,
                deleting: None,
                node: None,
                phase: Phase::Pending,
                reason: None,
                ready_since: None,
                unready_since: None,
                disrupted: false,
                containers: Vec::new(),
                in_place: gated.then_some(InPlace { open: false, since: None, change: None }),
            }))
        }
        Request::Status { uid, version, status } => {
            let Some(mut object) = store.service.clone() else { return Answer::Missing };
            if object.meta.uid != *uid || object.meta.version != *version {
                return Answer::Conflict;
            }
            object.status = Some(whole_status((**status).clone()));
            done(store.put(object))
        }
    }
}

fn done(object: Object) -> Answer {
    Answer::Done(vec![Change::Put(object)])
}

fn edit_pod(store: &mut Store, uid: Uid, edit: impl FnOnce(&mut Pod)) -> Answer {
    store.edit_pod(uid, edit);
    store.pod(uid).cloned().map_or(Answer::Missing, |pod| Answer::Done(vec![Change::Put(pod.into())]))
}

/// Changes a Pod in place that is as the request supposes; where the API server won't have that, it is ended.
fn change_pod(
    store: &mut Store,
    uid: Uid,
    from: Revision,
    revision: Revision,
    change: crate::model::Change,
    instead: Ended,
    (now, setting): (Millis, &Setting),
) -> Answer {
    let Some(pod) = store.pod(uid) else { return Answer::Missing };
    let is_shut = pod.in_place.is_some_and(|gate| !gate.open) && pod.ready_since.is_none();
    let is_ending = pod.intent.is_some() || pod.deleting.is_some() || pod.has_ended();
    if pod.revision != from || !is_shut || is_ending {
        return Answer::Conflict;
    }
    let has_ended = |it: &ContainerFacts| matches!(it.state, ContainerState::Terminated { .. });
    let is_half = pod.containers.iter().any(has_ended);
    if is_half || setting.quality(revision) == Quality::Refused {
        if instead != Ended::Kept {
            return delete_pod(store, uid, now);
        }
        return edit_pod(store, uid, |pod| {
            pod.intent = Some((Intent::Kill, whole(change.at)));
            (pod.deadline, pod.live_label) = (true, false);
        });
    }
    edit_pod(store, uid, |pod| {
        pod.revision = revision;
        if let Some(gate) = &mut pod.in_place {
            gate.change = Some(change);
        }
    })
}

/// Deletes a Pod with its own grace: at once where nothing runs that a kubelet would have to stop.
pub(super) fn delete_pod(store: &mut Store, uid: Uid, now: Millis) -> Answer {
    let Some(pod) = store.pod(uid) else { return Answer::Missing };
    if pod.node.is_none() || pod.has_ended() {
        return Answer::Done(vec![store.remove(Kind::Pod, uid)]);
    }
    edit_pod(store, uid, |pod| {
        pod.deleting.get_or_insert(whole(clock(now, 0)));
    })
}

fn set_progress(store: &mut Store, uid: Uid, version: u64, progress: &Progress) -> Answer {
    let Some(mut object) = store.updates.values().find(|object| object.meta.uid == uid).cloned() else {
        return Answer::Missing;
    };
    if object.meta.version != version {
        return Answer::Conflict;
    }
    object.progress = Some(whole_progress(progress.clone()));
    done(store.put(object))
}

/// Whether the service is there as the request supposes.
fn is_service(store: &Store, uid: Uid) -> bool {
    store.service.as_ref().is_some_and(|object| object.meta.uid == uid && !object.service.deleting)
}

fn adopt(store: &mut Store, kind: Kind, uid: Uid, service: Uid) -> Answer {
    if !is_service(store, service) {
        return Answer::Conflict;
    }
    let Some(mut object) = store.list_now(kind).into_iter().find(|object| object.meta().uid == uid) else {
        return Answer::Missing;
    };
    if object.meta().owner.is_some_and(|owner| owner != service) {
        return Answer::Conflict;
    }
    object.meta_mut().owner = Some(service);
    done(store.put(object))
}

fn record(store: &mut Store, service: Uid, revision: Revision, last_good: bool, number: i64) -> Answer {
    let spec = store.service.as_ref().map(|object| object.service.revision);
    if !is_service(store, service) || spec != Some(revision) {
        return Answer::Conflict;
    }
    if let Some(object) = store.revisions.get(&revision) {
        return Answer::Exists(Box::new(Object::Revision(*object)));
    }
    let meta = store.new_meta(Some(service));
    done(store.put(RevisionObject { meta, revision, number, last_good, failed: false }))
}

fn start(store: &mut Store, service: Uid, generation: i64, new: &NewUpdate) -> Answer {
    let live = store.service.as_ref().map(|object| object.service.generation);
    if !is_service(store, service) || live != Some(generation) {
        return Answer::Conflict;
    }
    if let Some(object) = store.updates.get(&new.number) {
        return Answer::Exists(Box::new(object.clone().into()));
    }
    let meta = store.new_meta(Some(service));
    let NewUpdate { number, mut instructions, settings, request: _ } = new.clone();
    if let (true, Some((to, _))) = (settings.in_place, &instructions.to) {
        let sides = instructions.from.iter().chain(&instructions.base);
        let alike = sides.map(|(revision, _)| *revision).filter(|it| it != to && are_alike(*it, *to));
        instructions.in_place = alike.collect();
    }
    done(store.put(UpdateObject {
        meta,
        number,
        instructions,
        settings,
        controls: Controls::default(),
        progress: None,
    }))
}

/// Progress as it is read back.
pub(super) fn whole_progress(mut progress: Progress) -> Progress {
    progress.started = whole(progress.started);
    progress.finished = progress.finished.map(whole);
    progress.advanced = whole(progress.advanced);
    progress.failures.values_mut().for_each(|failures| failures.at = whole(failures.at));
    if let Some((_, failures)) = &mut progress.cause {
        failures.at = whole(failures.at);
    }
    if let Some(pulse) = &mut progress.pulse {
        pulse.from = whole(pulse.from);
    }
    progress.checks.iter_mut().for_each(|record| record.at = whole(record.at));
    progress
}

/// A status as it is read back.
pub(super) fn whole_status(mut status: ServiceStatus) -> ServiceStatus {
    status.conditions.iter_mut().for_each(|condition| condition.since = whole(condition.since));
    if let Some(failure) = &mut status.failure {
        failure.at = whole(failure.at);
    }
    if let Some(batch) = &mut status.batch {
        (batch.started, batch.ended) = (batch.started.map(whole), batch.ended.map(whole));
        if let Some(first) = &mut batch.first_failure {
            first.at = whole(first.at);
        }
    }
    status
}
