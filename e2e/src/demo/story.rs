//! The steps of the demo. Each does something to the cluster, shows what follows, and ends only when it is true.
//!
//! The last ones are in `share` and `each_minute`. Called by the binary `borealis-demo`; any step that does not come true is an error, and the demo fails.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    frame::{Frame, NAMESPACE},
    view::View,
};
use crate::{
    kube_api::{condition, number, text},
    observer::{Facts, Mark},
    paths,
    world::World,
};

/// How long any step may take.
const LIMIT: Duration = Duration::from_secs(150);
/// The service on simulated nodes.
const WEB: &str = "web";
/// The service on the real node, where there is one, and how many instances it has.
const REAL: (&str, u32) = ("real", 2);
/// How many instances it has.
const INSTANCES: u32 = 200;
/// How many are changed at a time.
const BATCH: u32 = 40;
/// How many Pods are deleted.
const DELETED: usize = 12;

/// What was seen: what happened, and how long it took.
pub type Seen = Vec<(String, Duration)>;

/// The story, as far as it was told.
pub struct Story<'a> {
    pub(super) world: &'a World,
    pub(super) view: &'a mut View,
    begin: Instant,
    seen: Seen,
    /// The services and how many instances each has.
    services: Vec<(&'static str, u32)>,
}

impl<'a> Story<'a> {
    /// The story of this world.
    pub fn new(world: &'a World, view: &'a mut View, begin: Instant) -> Self {
        let real = world.real_node.as_ref().map(|_| REAL);
        let services = std::iter::once((WEB, INSTANCES)).chain(real).collect();
        Self { world, view, begin, seen: Vec::new(), services }
    }

    /// Tells it from beginning to end.
    ///
    /// # Errors
    /// When anything in it does not come true.
    pub async fn tell(mut self) -> Result<Seen> {
        self.seen.push(("cluster and operator are up".into(), self.begin.elapsed()));
        let started = self.world.observer.mark();
        self.world.kube.make_namespace(NAMESPACE).await?;
        let since = self.start_cron().await?;
        self.start().await?;
        self.heal().await?;
        self.update().await?;
        self.roll_back().await?;
        self.share().await?;
        self.has_run_each_minute(since, started).await?;
        let violations = self.world.observer.ledger().violations(NAMESPACE);
        ensure!(violations.is_empty(), "the witness saw: {}", violations.join("; "));
        let ended = self.world.observer.ledger().of_namespace(started, NAMESPACE).count();
        self.view
            .say(&format!("\nThe witness saw {ended} Pod events, and never two live Pods of one instance."));
        Ok(self.seen)
    }

    async fn start(&mut self) -> Result<()> {
        self.apply("", "A service of 200 instances starts.").await?;
        let services = self.services.clone();
        self.until("200 instances start", "200 instances started", |frame| {
            frame.all_run(&services, "Running")
        })
        .await
    }

    async fn heal(&mut self) -> Result<()> {
        let live = self.live();
        let node = live[0].node.clone().context("a Pod without a node runs")?;
        let on_node: Vec<&Facts> = live.iter().filter(|pod| pod.node.as_ref() == Some(&node)).collect();
        let deleted: Vec<&Facts> =
            live.iter().filter(|pod| pod.node.as_ref() != Some(&node)).take(DELETED).collect();
        let names: Vec<&str> = deleted.iter().map(|pod| pod.name.as_str()).collect();
        self.view.say(&format!(
            "\n(1) {DELETED} Pods are deleted, and node {node} is lost with {} more.",
            on_node.len()
        ));
        let delete = ["--namespace", NAMESPACE, "delete", "pod", "--wait=false"];
        let args: Vec<&str> = delete.into_iter().chain(names).collect();
        let begin = Instant::now();
        self.world.cluster.kubectl(&args).await?;
        self.world.lose_node(&node).await?;
        let hit: BTreeSet<&str> = on_node.iter().chain(&deleted).map(|pod| pod.uid.as_str()).collect();
        let world = self.world;
        let healed = |frame: &Frame| {
            let live = up(world);
            let replaced = live.iter().filter(|pod| !hit.contains(pod.uid.as_str())).count();
            frame.runs(WEB, INSTANCES, "Running") && replaced == INSTANCES as usize
        };
        self.until_since(begin, "the service heals", &format!("{} instances healed", hit.len()), healed)
            .await?;
        let same = live.iter().filter(|pod| !hit.contains(pod.uid.as_str()));
        let uids: BTreeSet<String> = up(world).into_iter().map(|pod| pod.uid).collect();
        let touched = same.filter(|pod| !uids.contains(&pod.uid)).count();
        ensure!(touched == 0, "{touched} instances that nothing had happened to were replaced");
        self.world.restore_node(&node).await?;
        self.view.say(&format!(
            "    Node {node} is back; what it still ran was ended there, its successors stay."
        ));
        Ok(())
    }

    async fn update(&mut self) -> Result<()> {
        let mark = self.world.observer.mark();
        let old = self.current().await?;
        self.apply("-good", &format!("(2) A good version, {BATCH} instances at a time.")).await?;
        let services = self.services.clone();
        self.until("update to a good version", "200 instances updated in batches", |frame| {
            frame.updates_are(&services, "ROLLED_FORWARD") && frame.all_run(&services, "Running")
        })
        .await?;
        let new = self.current().await?;
        ensure!(new != old, "the config did not change");
        self.all_have(&new)?;
        self.bounded(mark)
    }

    async fn roll_back(&mut self) -> Result<()> {
        let mark = self.world.observer.mark();
        let good = self.current().await?;
        self.apply("-bad", "(3) A version whose health fails.").await?;
        let services = self.services.clone();
        self.until("update to a bad version", "bad version rolled back by itself", |frame| {
            frame.updates_are(&services, "ROLLED_BACK") && frame.all_run(&services, "RolledBack")
        })
        .await?;
        self.all_have(&good)?;
        self.bounded(mark)?;
        let service = self.world.kube.services(NAMESPACE).get(WEB).await?;
        let service = serde_json::to_value(service)?;
        let failed = text(&service, "/status/failure/revision");
        ensure!(!failed.is_empty() && failed != good, "the status does not name the config that failed");
        ensure!(number(&service, "/status/failure/exitCode") == 137, "the status does not say how it failed");
        let message =
            condition(&service, "Stalled").map(|(.., message)| message.to_owned()).unwrap_or_default();
        self.view.say(&format!("    The service says: {message}"));
        if let Some((real, _)) = self.services.get(1) {
            let service = serde_json::to_value(self.world.kube.services(NAMESPACE).get(real).await?)?;
            let code = number(&service, "/status/failure/exitCode");
            ensure!(code == 3, "the real container's exit code 3 is not told, but {code}");
            self.view.say("    On the real node a real probe failed, and the kubelet ended the container (exit code 3).");
        }
        Ok(())
    }

    /// Applies each service's manifest of this variant as a person would.
    async fn apply(&mut self, variant: &str, why: &str) -> Result<()> {
        self.view.say(&format!("\n{why}"));
        for (service, _) in self.services.clone() {
            self.kubectl("apply", &format!("{service}{variant}.yaml")).await?;
        }
        Ok(())
    }

    /// Does this with a manifest of the demo, as a person would.
    pub(super) async fn kubectl(&mut self, verb: &str, file: &str) -> Result<()> {
        self.view.say(&format!("    $ kubectl {verb} -f e2e/demo/{file}"));
        let path = paths::repository().join("e2e/demo").join(file);
        self.world.cluster.kubectl(&[verb, "--filename", &path.to_string_lossy()]).await?;
        Ok(())
    }

    pub(super) async fn until(
        &mut self,
        step: &str,
        done: &str,
        holds: impl Fn(&Frame) -> bool,
    ) -> Result<()> {
        self.until_since(Instant::now(), step, done, holds).await
    }

    /// Shows frame after frame until one holds, and remembers how long it took.
    async fn until_since(
        &mut self,
        begin: Instant,
        step: &str,
        done: &str,
        holds: impl Fn(&Frame) -> bool,
    ) -> Result<()> {
        let mut last = Frame::default();
        while begin.elapsed() < LIMIT {
            // A read that fails is shown by the clock standing still; the deadline ends it.
            if let Ok(frame) = Frame::read(self.world, step, self.begin.elapsed()).await {
                self.view.show(&frame);
                if holds(&frame) {
                    let took = begin.elapsed();
                    self.view.say(&format!("    {done} in {:.1} s", took.as_secs_f64()));
                    self.seen.push((done.to_owned(), took));
                    return Ok(());
                }
                last = frame;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let status = last.service(WEB).map(|service| service["status"].clone()).unwrap_or_default();
        bail!("{step}: not true after {LIMIT:?}; the service's status is {status:#}")
    }

    fn live(&self) -> Vec<Facts> {
        up(self.world)
    }

    async fn current(&self) -> Result<String> {
        let service = self.world.kube.services(NAMESPACE).get(WEB).await?;
        Ok(text(&serde_json::to_value(service)?, "/status/currentRevision").to_owned())
    }

    fn all_have(&self, revision: &str) -> Result<()> {
        let live = self.live();
        let other = live.iter().filter(|pod| pod.revision != revision).count();
        ensure!(
            live.len() == INSTANCES as usize && other == 0,
            "{other} of {} run another config",
            live.len()
        );
        Ok(())
    }

    /// The witness's word on the strategy: never more instances down than a batch has.
    fn bounded(&mut self, mark: Mark) -> Result<()> {
        let down = self.world.observer.ledger().most_down(mark, NAMESPACE, WEB, INSTANCES);
        let mut said = String::new();
        write!(said, "    At most {down} of {INSTANCES} instances were down at once.")?;
        self.view.say(&said);
        ensure!(down <= BATCH, "{down} instances were down at once, a batch has {BATCH}");
        Ok(())
    }
}

/// The Pods that serve, as the witness has them.
fn up(world: &World) -> Vec<Facts> {
    let ledger = world.observer.ledger();
    ledger.pods(NAMESPACE).into_iter().filter(|pod| pod.key.service == WEB && pod.is_up()).cloned().collect()
}
