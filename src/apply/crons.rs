//! Carries the plans of crons out: the status first, on the very version the plan was made from, then what rests on it.
//!
//! A run's object is made by its exact name, so that two writers meet, and of the spec that the plan was made of. What may
//! have been applied is not tried again here: the cron is read live before it is planned anew. Called by the controller of
//! crons.

use std::sync::Arc;

use borealis_core::{
    model::{CronStatus, KillReason, Uid, reasons},
    plan::{
        Problem,
        cron::{CronAction, CronPlan},
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::{PatchParams, PostParams},
};
use serde_json::{Value, json};
use tracing::{debug, info};

use super::{
    Announcer, Outcome,
    calls::{Calls, Failed},
    run::{Undone, delete, merge, replace_status},
};
use crate::{
    CronKey, JobKey,
    api::{AnyJob, AuroraJob, RunTemplate, convert, labels},
    index::{AnyCron, CronFacts, Index},
    metrics::{Metrics, Verb},
};

/// Carries plans of crons out. One for the process.
pub struct CronExecutor {
    client: Client,
    calls: Arc<Calls>,
    index: Arc<Index>,
    announcer: Announcer,
    metrics: Metrics,
}

impl CronExecutor {
    pub(super) fn new(
        client: Client,
        calls: Arc<Calls>,
        index: Arc<Index>,
        announcer: Announcer,
        metrics: Metrics,
    ) -> Self {
        Self { client, calls, index, announcer, metrics }
    }

    /// Does what the plan says. Never called for one cron twice at a time.
    pub async fn execute(&self, key: &CronKey, facts: &CronFacts, plan: CronPlan) -> Outcome {
        if self.calls.term().is_none() {
            return Outcome::Fenced;
        }
        self.carry_out(key, facts, plan).await.into()
    }

    async fn carry_out(&self, key: &CronKey, facts: &CronFacts, plan: CronPlan) -> Result<bool, Undone> {
        let CronPlan { status, verify, actions, events, .. } = plan;
        let mut wrote = false;
        if let Some(status) = &status {
            wrote |= self.write_status(key, facts, status, verify).await?;
        }
        for event in events {
            self.metrics.cron_event(event.reason);
            self.announcer.announce_of_cron(key, facts.uid, event);
        }
        let mut failed: Option<Undone> = None;
        for action in actions {
            let done = match action {
                CronAction::CreateRun { name, time } => self.create_run(key, facts, &name, time).await,
                CronAction::KillRun { name, uid, reason } => self.kill_run(key, &name, uid, reason).await,
                CronAction::RemoveRun { name, uid } => self.remove_run(key, &name, uid).await,
            };
            match done {
                Ok(()) => wrote = true,
                Err(Undone::Fenced) => return Err(Undone::Fenced),
                // What else there is to do may be what helps: a namespace may hold only so many jobs.
                Err(undone) => failed = failed.into_iter().chain([undone]).reduce(Undone::worse),
            }
        }
        failed.map_or(Ok(wrote), Err)
    }

    /// Writes the status where it says something new, or where what follows rests on its being the newest; whether it did.
    async fn write_status(
        &self,
        key: &CronKey,
        facts: &CronFacts,
        status: &CronStatus,
        verify: bool,
    ) -> Result<bool, Undone> {
        let wanted = convert::cron_status_object(status, &key.name);
        let recorded = facts.recorded.as_deref().map(|it| convert::cron_status_object(it, &key.name));
        if !verify && recorded.as_ref() == Some(&wanted) {
            return Ok(false);
        }
        let crons: Api<AnyCron> = Api::namespaced(self.client.clone(), &key.namespace);
        let what = "writing the status";
        let value = serde_json::to_value(&wanted).map_err(|error| Undone::stale(error.to_string()))?;
        let patch = replace_status(&facts.uid.to_string(), &facts.resource_version, &value)
            .map_err(|failed| self.undone(key, what, &failed))?;
        let parameters = PatchParams::default();
        let patched =
            self.calls.write(Verb::patch, |_| crons.patch_status(&key.name, &parameters, &patch)).await;
        match patched {
            Ok(cron) => {
                self.index.learn_cron(&cron);
                Ok(true)
            }
            Err(failed) => {
                if let Failed::Refused(_) = failed {
                    // The version is another: what others know is read before the next plan.
                    self.index.unsettle_cron(key);
                }
                Err(self.undone(key, what, &failed))
            }
        }
    }

    /// The run of a time, made of the spec that the plan is of.
    fn run(key: &CronKey, facts: &CronFacts, time: Timestamp) -> Result<AuroraJob, Undone> {
        let cron = ObjectMeta {
            namespace: Some(key.namespace.to_string()),
            name: Some(key.name.to_string()),
            uid: Some(facts.uid.to_string()),
            ..ObjectMeta::default()
        };
        let template = facts.template.as_deref().ok_or_else(|| Undone::stale("its spec was never usable"))?;
        let template: RunTemplate =
            serde_json::from_str(template).map_err(|error| Undone::stale(error.to_string()))?;
        Ok(convert::run_object(&cron, &template, time))
    }

    async fn create_run(
        &self,
        key: &CronKey,
        facts: &CronFacts,
        name: &str,
        time: Timestamp,
    ) -> Result<(), Undone> {
        let job = Self::run(key, facts, time)?;
        let _awaited = self.index.await_answers(&JobKey::job(&key.namespace, name));
        let jobs: Api<AnyJob> = Api::namespaced(self.client.clone(), &key.namespace);
        let made: Api<AuroraJob> = Api::namespaced(self.client.clone(), &key.namespace);
        let created =
            self.calls.write(Verb::create, |_| async { made.create(&PostParams::default(), &job).await });
        match created.await {
            Ok(job) => {
                info!(cron = %key, run = name, "made a run");
                self.index.learn_run(&job.into());
                Ok(())
            }
            // Made by a predecessor, or by a request without an answer, or foreign: the planner sees which.
            Err(Failed::Exists(_)) => match self.calls.read(Verb::get, jobs.get(name)).await {
                Ok(job) => {
                    self.index.learn_run(&job);
                    Ok(())
                }
                Err(failed) => {
                    self.index.unsettle_cron(key);
                    Err(self.undone(key, "reading a run, which exists", &failed))
                }
            },
            Err(Failed::Refused(words)) => {
                let message = format!(
                    "The API server refuses the AuroraJob {name}: {words}; is spec.job at fault, change that"
                );
                Err(Undone::Refused(Problem { reason: reasons::TEMPLATE_REFUSED, message, blocks: false }))
            }
            Err(failed) => Err(self.undone(key, "making a run", &failed)),
        }
    }

    async fn kill_run(&self, key: &CronKey, name: &str, uid: Uid, reason: KillReason) -> Result<(), Undone> {
        let run = JobKey::job(&key.namespace, name);
        let _awaited = self.index.await_answers(&run);
        let word = convert::kill_word(reason);
        let body: Value = json!({"metadata": {"annotations": {labels::KILL: word}}});
        let patch = merge(&uid.to_string(), body);
        let jobs: Api<AnyJob> = Api::namespaced(self.client.clone(), &key.namespace);
        let parameters = PatchParams::default();
        match self.calls.write(Verb::patch, |_| jobs.patch(name, &parameters, &patch)).await {
            Ok(job) => {
                self.index.learn_run(&job);
                Ok(())
            }
            Err(Failed::Missing(_)) => {
                self.index.learn_run_gone(&run, uid);
                Ok(())
            }
            Err(failed) => Err(self.undone(key, "ending a run", &failed)),
        }
    }

    async fn remove_run(&self, key: &CronKey, name: &str, uid: Uid) -> Result<(), Undone> {
        let jobs: Api<AuroraJob> = Api::namespaced(self.client.clone(), &key.namespace);
        let parameters = delete(uid.to_string());
        match self.calls.write(Verb::delete, |_| async { jobs.delete(name, &parameters).await }).await {
            Ok(_) | Err(Failed::Missing(_)) => {
                debug!(cron = %key, run = name, "removed a run");
                self.index.learn_run_gone(&JobKey::job(&key.namespace, name), uid);
                Ok(())
            }
            Err(failed) => Err(self.undone(key, "removing a run", &failed)),
        }
    }

    /// What a failure means. Where the outcome is not known the cron is read live before it is planned again.
    fn undone(&self, key: &CronKey, what: &str, failed: &Failed) -> Undone {
        if let Failed::Unknown(_) | Failed::Conflict(_) | Failed::Missing(_) = failed {
            self.index.unsettle_cron(key);
        }
        Undone::of(&self.calls, key, what, failed)
    }
}
