//! The freeze switch: while a ConfigMap `borealis-freeze` stands in the operator's namespace, nothing voluntary is
//! done in the whole cluster. Its `data.reason` is for people.
//!
//! An object, since it must survive the operator, and one that anybody can see and the right people can make:
//! `kubectl -n borealis-system create configmap borealis-freeze --from-literal=reason=…`. Decides nothing: the planner
//! knows what is voluntary. Nothing is planned before the switch was read once. Run by `operator`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    followed::{Reader, follow},
    settings::FREEZE,
};

/// The switch as it was last seen.
#[derive(Debug, Clone)]
pub struct Freeze {
    /// What the controller reads.
    pub frozen: Arc<AtomicBool>,
    seen: watch::Receiver<bool>,
}

impl Freeze {
    /// Watches the switch until `stop`; `changed` is called after each change, but not for what is found first.
    pub fn watch<F: Fn() + Send + 'static>(
        client: Client,
        namespace: &str,
        stop: CancellationToken,
        changed: F,
    ) -> (Self, impl Future<Output = ()> + Send + use<F>) {
        let frozen = Arc::new(AtomicBool::new(false));
        let (sender, seen) = watch::channel(false);
        let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
        let switch = Switch { frozen: Arc::clone(&frozen), seen: sender, changed };
        let task = async move {
            stop.run_until_cancelled(follow(maps, switch)).await;
        };
        (Self { frozen, seen }, task)
    }

    /// Whether it was read at all.
    pub fn is_known(&self) -> bool {
        *self.seen.borrow()
    }

    /// Waits until it was.
    pub async fn known(&mut self) {
        // An error means that nobody reads it any more, which the caller notices otherwise.
        let _ = self.seen.wait_for(|seen| *seen).await;
    }
}

/// The writing end.
struct Switch<F> {
    frozen: Arc<AtomicBool>,
    seen: watch::Sender<bool>,
    changed: F,
}

impl<F: Fn()> Reader for Switch<F> {
    const NAME: &'static str = FREEZE;

    fn set(&mut self, switch: Option<&ConfigMap>) {
        let was = self.frozen.swap(switch.is_some(), Ordering::Relaxed);
        let known = self.seen.send_replace(true);
        if was == switch.is_some() {
            return;
        }
        match switch {
            Some(map) => {
                let reason = map.data.as_ref().and_then(|data| data.get("reason")).map_or("", String::as_str);
                warn!(reason, "frozen: nothing voluntary is done until ConfigMap {FREEZE} is removed");
            }
            None => warn!("no longer frozen"),
        }
        if known {
            (self.changed)();
        }
    }

    fn meanwhile(&self) -> &'static str {
        if *self.seen.borrow() { "the freeze stays as it is" } else { "nothing is planned before it was" }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU32, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::testing::{Effect, FakeApi, Fault};

    #[tokio::test(start_paused = true)]
    async fn the_switch_is_followed() {
        let api = FakeApi::new();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FREEZE, "namespace": "b"},
            "data": {"reason": "the data centre is on fire"}});
        api.create("configmaps", map.clone());
        let changes = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&changes);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let (mut freeze, task) = Freeze::watch(api.client(), "b", CancellationToken::new(), count);
        assert!(!freeze.is_known());
        tokio::spawn(task);
        freeze.known().await;
        let frozen = || freeze.frozen.load(Ordering::Relaxed);
        let seen = async || tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(frozen());
        assert_eq!(changes.load(Ordering::Relaxed), 0);

        api.remove("configmaps", "b", FREEZE);
        seen().await;
        assert!(!frozen());
        api.create("configmaps", map);
        seen().await;
        assert!(frozen());

        // Removed while nobody was told: the next list says so.
        api.break_watches();
        api.remove("configmaps", "b", FREEZE);
        api.compact();
        seen().await;
        assert!(!frozen());
        assert_eq!(changes.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_is_given_up() {
        let api = FakeApi::new();
        api.inject(Fault::once("list", "configmaps", Effect::Hang));
        api.inject(Fault::once("watch", "configmaps", Effect::Hang));
        let (mut freeze, task) = Freeze::watch(api.client(), "b", CancellationToken::new(), || ());
        tokio::spawn(task);
        tokio::time::timeout(Duration::from_secs(120), freeze.known()).await.unwrap();
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FREEZE, "namespace": "b"}});
        api.create("configmaps", map);
        tokio::time::sleep(Duration::from_secs(400)).await;
        assert!(freeze.frozen.load(Ordering::Relaxed));
    }
}
