//! The calls that write, and which of them carry a plan out.
//!
//! Two of them may make one action: a Pod that is given up is told so, then deleted. Called by `operator` and `verdict`.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::{
    model::*,
    plan::{Action, Ended, NewUpdate, Plan},
};

use super::{cache::Snapshot, objects::Kind, server::whole_status};

/// One call that writes.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Progress {
        uid: Uid,
        version: u64,
        progress: Box<Progress>,
    },
    Adopt {
        kind: Kind,
        uid: Uid,
        service: Uid,
    },
    Record {
        service: Uid,
        revision: Revision,
        last_good: bool,
        number: i64,
    },
    Mark {
        revision: Revision,
        last_good: bool,
        failed: bool,
    },
    Start {
        service: Uid,
        generation: i64,
        new: Box<NewUpdate>,
    },
    /// Says on a Pod why it is ended; with `stop`, stops it and keeps it.
    Tell {
        uid: Uid,
        intent: Intent,
        at: Timestamp,
        stop: bool,
    },
    Retire {
        uid: Uid,
    },
    Gate {
        uid: Uid,
        open: bool,
        at: Timestamp,
    },
    /// Changes a Pod in place, or ends it so where that is refused.
    Change {
        uid: Uid,
        term: u64,
        from: Revision,
        revision: Revision,
        update: u32,
        at: Timestamp,
        instead: Ended,
    },
    Delete {
        kind: Kind,
        uid: Uid,
    },
    Create {
        service: Uid,
        term: u64,
        instance: Instance,
        run: Run,
        revision: Revision,
        flaps: u16,
        failures: u16,
    },
    Status {
        uid: Uid,
        version: u64,
        status: Box<ServiceStatus>,
    },
}

impl Request {
    /// Whether it makes a Pod of this config.
    pub(super) fn creates(&self, of: Revision) -> bool {
        matches!(self, Self::Create { revision, .. } if *revision == of)
    }

    /// Whether what comes after it in a plan builds on it.
    pub(super) fn is_record(&self) -> bool {
        match self {
            Self::Progress { .. } | Self::Adopt { .. } | Self::Record { .. } | Self::Mark { .. } => true,
            Self::Start { .. } => true,
            Self::Tell { .. } | Self::Retire { .. } | Self::Delete { .. } | Self::Create { .. } => false,
            Self::Gate { .. } | Self::Change { .. } | Self::Status { .. } => false,
        }
    }
}

/// The requests that carry a plan out, in the executor's order.
pub(super) fn requests(plan: Plan, snapshot: &Snapshot, local: Timestamp, term: u64) -> VecDeque<Request> {
    let service = snapshot.object.meta.uid;
    let mut all = VecDeque::new();
    if let Some((uid, progress)) = plan.progress {
        all.push_back(Request::Progress {
            uid,
            version: snapshot.update_version,
            progress: Box::new(progress),
        });
    }
    for action in plan.actions {
        match action {
            Action::AdoptTask { uid, .. } => all.push_back(Request::Adopt { kind: Kind::Pod, uid, service }),
            Action::AdoptRevision { uid, .. } => {
                all.push_back(Request::Adopt { kind: Kind::Revision, uid, service });
            }
            Action::AdoptUpdate { uid, .. } => {
                all.push_back(Request::Adopt { kind: Kind::Update, uid, service });
            }
            Action::RecordRevision { revision, last_good } => {
                let highest = snapshot.revisions.iter().map(|record| record.number).max();
                let number = highest.unwrap_or(0) + 1;
                all.push_back(Request::Record { service, revision, last_good, number });
            }
            Action::MarkRevision { revision, last_good, failed } => {
                all.push_back(Request::Mark { revision, last_good, failed });
            }
            Action::PruneRevision { uid, .. } => all.push_back(Request::Delete { kind: Kind::Revision, uid }),
            Action::PruneUpdate { uid, .. } => all.push_back(Request::Delete { kind: Kind::Update, uid }),
            Action::StartUpdate(new) => {
                let generation = snapshot.object.service.generation;
                all.push_back(Request::Start { service, generation, new });
            }
            Action::End { uid, intent, how, .. } => {
                if how != Ended::Deleted {
                    let stop = how == Ended::Kept;
                    all.push_back(Request::Tell { uid, intent, at: local, stop });
                }
                if how != Ended::Kept {
                    all.push_back(Request::Delete { kind: Kind::Pod, uid });
                }
            }
            Action::SetGate { uid, open, .. } => all.push_back(Request::Gate { uid, open, at: local }),
            Action::ChangeInPlace { uid, from, revision, update, instead, .. } => {
                all.push_back(Request::Change { uid, term, from, revision, update, at: local, instead });
            }
            Action::Retire { uid, .. } => all.push_back(Request::Retire { uid }),
            Action::Prune { uid, .. } => all.push_back(Request::Delete { kind: Kind::Pod, uid }),
            Action::Create { instance, run, revision, flaps, failures } => {
                all.push_back(Request::Create { service, term, instance, run, revision, flaps, failures });
            }
            Action::RemoveJob { uid } => all.push_back(Request::Delete { kind: Kind::Service, uid }),
        }
    }
    if let Some(status) = plan.status.map(whole_status)
        && snapshot.object.status.as_ref() != Some(&status)
    {
        let (uid, version) = (service, snapshot.object.meta.version);
        all.push_back(Request::Status { uid, version, status: Box::new(status) });
    }
    all
}

/// A request in few words, for the trace.
pub(super) fn brief(request: &Request) -> String {
    match request {
        Request::Progress { .. } => "progress".to_owned(),
        Request::Status { .. } => "status".to_owned(),
        Request::Start { new, .. } => format!("start of update {}", new.number),
        other => format!("{other:?}"),
    }
}
