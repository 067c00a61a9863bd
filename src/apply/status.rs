//! Writing what was found: the progress of an update, and the status of a service.
//!
//! Both are the operator's memory, so both are written whole, on the very version they were planned from: a
//! conflict means that somebody knows more. Nothing is written that says what is recorded already, and mere counts
//! not more than about once a second. Called by `executor`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use borealis_core::model::{JobKind, Progress, ServiceStatus, Uid};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Facts, UpdateFacts,
    calls::Failed,
    run::{Run, Undone, merge, replace_status},
};
use crate::{
    api::{Any, JobObject, convert, labels, update::update_name},
    metrics::Verb,
};

/// How often mere counts are written for one service.
const PACE: Duration = Duration::from_secs(1);

/// When each service's status was last written, of those written within the pace.
#[derive(Default)]
pub(super) struct Pace(Mutex<HashMap<Uid, Instant>>);

impl Pace {
    /// How long the service has to wait, if it does.
    fn wait(&self, service: Uid) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&service)?;
        Some((last + PACE).saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    fn written(&self, service: Uid) {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is older than the pace says nothing; swept now and then, not at every write.
        if last.len() >= 1024 {
            last.retain(|_, at| *at + PACE > now);
        }
        last.insert(service, now);
    }
}

impl Run<'_> {
    /// Writes how far the update has come: what the actions build on.
    pub(super) async fn write_progress(&self, uid: Uid, progress: &Progress) -> Result<(), Undone> {
        let Some(facts) = self.facts.update.as_ref().filter(|facts| facts.uid == uid) else {
            return Err(Undone::stale("the plan is for another update than the one at hand"));
        };
        let mut version = facts.resource_version.clone();
        if facts.marked_ended && !progress.state.is_terminal() {
            // First, so that whoever watches updates that go on sees this one before it does.
            version = self.mark_ended(facts, false).await?;
        }
        let name = update_name(&self.key.name, facts.number);
        let what = format!("writing the progress of AuroraUpdate {name}");
        let status = convert::update_status_object(progress, facts.generation, facts.takes_back);
        let patch = serde_json::to_value(&status)
            .map_err(|error| Undone::stale(error.to_string()))
            .and_then(|status| {
                replace_status(&uid.to_string(), &version, &status)
                    .map_err(|failed| self.undone(&what, &failed))
            })?;
        let parameters = PatchParams::default();
        let patched =
            self.calls.write(Verb::patch, |_| self.updates.patch_status(&name, &parameters, &patch)).await;
        let update = patched.map_err(|failed| self.undone(&what, &failed))?;
        self.note_write();
        self.index.learn_update(&update);
        if progress.state.is_terminal() && !facts.ended {
            self.calls.note_update_end(progress.state);
        }
        if progress.state.is_terminal() && !facts.marked_ended {
            self.mark_ended(facts, true).await?;
        }
        Ok(())
    }

    /// Sets the label of an ended update that lacks it: its writer did not come that far.
    pub(super) async fn repair_ended_mark(&self) -> Result<(), Undone> {
        match &self.facts.update {
            Some(facts) if facts.ended && !facts.marked_ended => self.mark_ended(facts, true).await.map(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// Says by a label whether the update has ended; answers its resourceVersion after that.
    async fn mark_ended(&self, facts: &UpdateFacts, ended: bool) -> Result<String, Undone> {
        let name = update_name(&self.key.name, facts.number);
        let mark = if ended { Value::from(labels::TRUE) } else { Value::Null };
        let patch = merge(&facts.uid.to_string(), json!({"metadata": {"labels": {labels::ENDED: mark}}}));
        let parameters = PatchParams::default();
        let patched = self.calls.write(Verb::patch, |_| self.updates.patch(&name, &parameters, &patch)).await;
        let update =
            patched.map_err(|failed| self.undone(&format!("marking AuroraUpdate {name}"), &failed))?;
        self.note_write();
        self.index.learn_update(&update);
        Ok(update.metadata.resource_version.unwrap_or_default())
    }

    /// Writes the status of the service or job where it says something new.
    pub(super) async fn write_status(&self, pace: &Pace, status: &ServiceStatus) -> Result<(), Undone> {
        let recorded = self.facts.recorded.as_ref();
        let wanted = self.status_object(status)?;
        // As objects, since those round times and bound texts: what differs only in that would be written for ever.
        let is_told = self.facts.told.as_ref() == Some(&self.facts.job_key);
        if is_told
            && recorded.map(|recorded| self.status_object(recorded)).transpose()?.as_ref() == Some(&wanted)
        {
            return Ok(());
        }
        if let Some(after) = pace.wait(self.facts.uid).filter(|_| can_wait(recorded, status)) {
            return Err(Undone::Retry { after: Some(after), why: "only counts have changed".to_owned() });
        }
        let what = "writing the status";
        let patch = replace_status(&self.uid, &self.facts.resource_version, &wanted);
        let patch = patch.map_err(|failed| self.undone(what, &failed))?;
        let patched = match self.key.kind {
            JobKind::Service => self.patch_status(&patch, |it| self.index.learn_service(it)).await,
            JobKind::Job => self.patch_status(&patch, |it| self.index.learn_job(it)).await,
        };
        patched.map_err(|failed| self.undone(what, &failed))?;
        pace.written(self.facts.uid);
        Ok(())
    }

    /// Sends the status; `learn` takes the object as it then is.
    async fn patch_status<K: JobObject>(
        &self,
        patch: &Patch<Value>,
        learn: impl Fn(&Any<K>),
    ) -> Result<(), Failed> {
        let (objects, name, parameters) = (self.objects::<K>(), &*self.key.name, PatchParams::default());
        match self.calls.write(Verb::patch, |_| objects.patch_status(name, &parameters, patch)).await {
            Ok(object) => {
                self.note_write();
                learn(&object);
                Ok(())
            }
            Err(failed) => {
                // One that can't be written here may be one of another version, or of an object made anew.
                if let Failed::Conflict(_) | Failed::Refused(_) = failed
                    && let Ok(object) = self.calls.read(Verb::get, objects.get(name)).await
                {
                    learn(&object);
                }
                Err(failed)
            }
        }
    }

    fn status_object(&self, status: &ServiceStatus) -> Result<Value, Undone> {
        let Facts { job_key, role, revision, .. } = self.facts;
        let identity = convert::Identity { name: &self.key.name, job_key, role };
        let object = match self.key.kind {
            JobKind::Service => {
                serde_json::to_value(convert::service_status_object(status, *revision, &identity))
            }
            JobKind::Job => serde_json::to_value(convert::job_status_object(status, &identity)),
        };
        object.map_err(|error| Undone::stale(error.to_string()))
    }
}

/// Whether nothing has changed that people wait for, or that a successor has to know.
fn can_wait(recorded: Option<&ServiceStatus>, status: &ServiceStatus) -> bool {
    let Some(recorded) = recorded else { return false };
    let ServiceStatus {
        observed_generation,
        observed_revision,
        observed_scope,
        observed_restart,
        observed_count,
        last_good,
        // A floor only: the Pods themselves say more until they are all gone.
        highest_run: _,
        counts: _,
        revisions: _,
        lost: _,
        update,
        failure,
        admitted,
        batch,
        conditions,
    } = status;
    let truths = |status: &ServiceStatus| -> Vec<_> {
        status
            .conditions
            .iter()
            .map(|condition| (condition.kind, condition.holds, condition.reason))
            .collect()
    };
    *observed_generation == recorded.observed_generation
        && *observed_revision == recorded.observed_revision
        && *observed_scope == recorded.observed_scope
        && *observed_restart == recorded.observed_restart
        && *observed_count == recorded.observed_count
        && *last_good == recorded.last_good
        && *update == recorded.update
        && *failure == recorded.failure
        && *admitted == recorded.admitted
        && *batch == recorded.batch
        && conditions.len() == recorded.conditions.len()
        && truths(status) == truths(recorded)
}
