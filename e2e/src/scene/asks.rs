//! What scenarios wait for and ask most often, each with an error that says what was seen instead.
//!
//! Methods of `Scene`; called by the scenarios.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::Value;

use super::Scene;
use crate::{
    kube_api::{at, condition, number, text},
    observer::Mark,
    wait::{self, Look},
};

/// How long the usual thing may take on a busy machine of two cores.
pub(super) const USUAL: Duration = Duration::from_secs(90);
/// How long nothing happens before it is taken for rest.
const CALM: Duration = Duration::from_secs(2);

impl Scene {
    /// Waits until the service satisfies this.
    ///
    /// # Errors
    /// When it does not in time; the error has its status.
    pub async fn service_until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(&format!("{name}: {what}"), USUAL, || async {
            let service = self.service(name).await?;
            Ok(if holds(&service) { Look::Done(service) } else { Look::NotYet(brief(&service)) })
        })
        .await
    }

    /// Waits for an Event of this reason about an object, whose note has these words: what was said stays there, where a
    /// condition may be over before anybody looks.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn told(&self, about: &str, reason: &str, words: &str) -> Result<()> {
        wait::until(&format!("an Event {reason} about {about} with {words:?}"), USUAL, || async {
            let all = self.world.kube.events(&self.namespace).list(&ListParams::default()).await?.items;
            let found = all.iter().any(|event| {
                let regarding = event.regarding.as_ref().and_then(|object| object.name.as_deref());
                let note = event.note.as_deref().unwrap_or_default();
                event.reason.as_deref() == Some(reason) && regarding == Some(about) && note.contains(words)
            });
            Ok(wait::when(found, format!("{} Events", all.len())))
        })
        .await
    }

    /// Waits until the operator has seen the newest spec, all instances run its config and it says so.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn running(&self, name: &str, instances: u32) -> Result<Value> {
        let count = i64::from(instances);
        self.service_until(name, &format!("all {instances} instances to run"), |service| {
            is_current(service)
                && number(service, "/status/counts/running") == count
                && condition(service, "Ready").is_some_and(|(status, ..)| status == "True")
                && condition(service, "Reconciling").is_none_or(|(status, ..)| status == "False")
        })
        .await
    }

    /// Waits until a condition of the service has this status and reason, and returns its message.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn says(&self, name: &str, kind: &str, status: &str, reason: &str) -> Result<String> {
        let wanted = format!("{kind}={status} with reason {reason}");
        let service = self
            .service_until(name, &wanted, |service| {
                is_current(service)
                    && condition(service, kind).is_some_and(|(s, r, _)| (s, r) == (status, reason))
            })
            .await?;
        Ok(condition(&service, kind).map(|(.., message)| message.to_owned()).unwrap_or_default())
    }

    /// Waits until an update of a service is in this state.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn update_in(&self, service: &str, number: u32, state: &str) -> Result<Value> {
        self.update_until(service, number, state, |update| text(update, "/status/state") == state).await
    }

    /// Waits until an update of a service satisfies this.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn update_until(
        &self,
        service: &str,
        number: u32,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(&format!("update {service}-{number}: {what}"), USUAL, || async {
            let update = self.update(service, number).await?;
            let seen = format!("status {}", at(&update, "/status"));
            Ok(if holds(&update) { Look::Done(update) } else { Look::NotYet(seen) })
        })
        .await
    }

    /// Waits until no Pod of the namespace is touched any more, and says where the witness's record stands then.
    ///
    /// # Errors
    /// When it never comes to rest.
    pub async fn calm(&self) -> Result<Mark> {
        wait::until("the Pods to be left alone", USUAL, || async {
            let mark = self.mark();
            Ok(match self.stays_untouched(mark, CALM).await {
                Ok(()) => Look::Done(mark),
                Err(touched) => Look::NotYet(format!("{touched:#}")),
            })
        })
        .await
    }

    /// Looks on for a while, and fails when a Pod of the namespace was touched since the mark.
    ///
    /// # Errors
    /// When one was.
    pub async fn stays_untouched(&self, mark: Mark, period: Duration) -> Result<()> {
        wait::holds("leaving the Pods alone", period, || async {
            self.untouched_since(mark)?;
            Ok(Look::Done(()))
        })
        .await
    }

    /// How many updates the namespace has.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn updates_count(&self) -> Result<usize> {
        Ok(self.world.kube.updates(&self.namespace).list(&ListParams::default()).await?.items.len())
    }

    /// The config that the service runs when all is well.
    ///
    /// # Errors
    /// When its status names none.
    pub async fn current_revision(&self, name: &str) -> Result<String> {
        let service = self.service(name).await?;
        let revision = text(&service, "/status/currentRevision").to_owned();
        ensure!(!revision.is_empty(), "the status names no current revision: {}", brief(&service));
        Ok(revision)
    }

    /// Fails unless every instance has exactly one live Pod and all have this config.
    ///
    /// # Errors
    /// When it is otherwise.
    pub fn all_run(&self, service: &str, instances: u32, revision: &str) -> Result<()> {
        let live = self.live(service);
        let numbers: Vec<u32> = live.iter().map(|pod| pod.key.instance).collect();
        ensure!(
            numbers.iter().copied().eq(0..instances),
            "live instances are {numbers:?}, not 0..{instances}"
        );
        let other = live.iter().find(|pod| pod.revision != revision);
        ensure!(
            other.is_none(),
            "not all run {revision}: {}",
            other.map(ToString::to_string).unwrap_or_default()
        );
        Ok(())
    }

    /// The uid of an instance's live Pod.
    ///
    /// # Errors
    /// When it has none, or several.
    pub fn uid_of(&self, service: &str, instance: u32) -> Result<String> {
        let live = self.live(service);
        let mut of_instance = live.iter().filter(|pod| pod.key.instance == instance);
        let first = of_instance.next().with_context(|| format!("instance {instance} has no live Pod"))?;
        ensure!(of_instance.next().is_none(), "instance {instance} has several live Pods");
        Ok(first.uid.clone())
    }
}

/// Whether the status speaks of the newest spec.
pub(super) fn is_current(service: &Value) -> bool {
    let generation = number(service, "/metadata/generation");
    generation != 0 && generation == number(service, "/status/observedGeneration")
}

/// The status in few words, for errors.
fn brief(service: &Value) -> String {
    let mut out = format!(
        "generation {} observed {} counts {}",
        at(service, "/metadata/generation"),
        at(service, "/status/observedGeneration"),
        at(service, "/status/counts")
    );
    for kind in ["Ready", "Reconciling", "Stalled", "Placed"] {
        if let Some((status, reason, message)) = condition(service, kind) {
            out.push_str(&format!("; {kind}={status} {reason}: {message}"));
        }
    }
    if !at(service, "/status/update").is_null() {
        out.push_str(&format!("; update {}", at(service, "/status/update")));
    }
    out
}
