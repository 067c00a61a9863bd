//! Thousands of crons that are due in the same minute: once AuroraCrons, once the CronJobs of Kubernetes, with the same
//! Pods on the same cluster, and as many AuroraJobs made by a bare loop.
//!
//! `witness` sees what becomes of each run, `figures` says it. Called by the binary `borealis-crons`.

mod figures;
mod witness;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams},
};
use serde_json::{Value, json};

pub use self::figures::{Round, markdown};
use self::witness::Witness;
use super::{
    LIMIT,
    ground::{Ground, none_left},
    make::{make, object},
    probe::{CONTROLLERS, OPERATOR, Phase},
};
use crate::{
    cron::{Cron, quick},
    kube_api::{KubeApi, text},
    wait,
};

/// Crons that are made in a second at least, on a machine of two cores that does nothing else.
const RATE: u32 = 80;
/// How many runs end in a second at least.
const PACE: u32 = 4;
/// How long before the time all is at rest.
const REST: Duration = Duration::from_secs(45);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Crons {
    /// How many are due at once.
    pub crons: u32,
    /// Simulated nodes.
    pub nodes: u32,
}

/// Whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// AuroraCrons.
    Borealis,
    /// The CronJobs of Kubernetes.
    CronJobs,
    /// AuroraJobs that a bare loop makes, without anybody who runs them.
    Loop,
}

impl By {
    /// Its name, also that of its namespace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Borealis => "auroracrons",
            Self::CronJobs => "cronjobs",
            Self::Loop => "loop",
        }
    }

    fn controller(self) -> Option<&'static str> {
        match self {
            Self::Borealis => Some(OPERATOR),
            Self::CronJobs => Some(CONTROLLERS),
            Self::Loop => None,
        }
    }
}

impl Crons {
    /// One round, after which the cluster is empty again.
    ///
    /// # Errors
    /// When not all runs succeed in the end.
    pub async fn round(self, ground: &mut Ground, by: By) -> Result<Round> {
        ground.make_namespace(by.name()).await?;
        let kube = ground.kube.clone();
        match by {
            By::Borealis => {
                let crons = kube.crons(by.name());
                ground.with_operator(async |ground| self.runs(ground, by, &crons).await).await
            }
            By::CronJobs => self.runs(ground, by, &cron_jobs(&kube, by.name())).await,
            By::Loop => self.bare(ground).await,
        }
    }

    /// Makes the crons, waits until they are due, and sees their runs end.
    async fn runs(self, ground: &mut Ground, by: By, crons: &Api<DynamicObject>) -> Result<Round> {
        let kube = ground.kube.clone();
        let due = self.due()?;
        let rule = jiff::tz::TimeZone::UTC.to_datetime(due);
        let rule = format!("{} {} {} {} *", rule.minute(), rule.hour(), rule.day(), rule.month());
        make(crons, (0..self.crons).map(|at| object(manifest(by, at, &rule)))).await?;
        seen(crons, by).await?;
        anyhow::ensure!(Timestamp::now() < due, "making the crons took until they were due; ask for fewer");
        let witness = Witness::start(&kube, by).await?;
        let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
        tokio::time::sleep(left.saturating_sub(Duration::from_secs(2))).await;
        let all = self.crons as usize;
        let limit = LIMIT.max(Duration::from_secs(u64::from(self.crons / PACE)));
        let phase = ground
            .measure(by.name(), by.controller(), async {
                wait::until("all runs to succeed", limit, || async {
                    let ended = witness.ended()?;
                    Ok(wait::when(ended == all, format!("{ended} of {all} have")))
                })
                .await
            })
            .await?;
        let seen = witness.seen();
        clear(crons).await?;
        none_left(&kube, by.name(), "the namespace to be empty", ListParams::default()).await?;
        Ok(Round::new(by, self, phase, due, &seen))
    }

    /// What making as many AuroraJobs takes, which nobody runs.
    async fn bare(self, ground: &mut Ground) -> Result<Round> {
        let jobs = ground.kube.jobs(By::Loop.name());
        let job = |at: u32| {
            let mut job = quick(1).named(&format!("job-{at}")).manifest(By::Loop.name());
            job["spec"]["suspend"] = json!(true);
            object(job)
        };
        let phase: Phase = ground
            .measure(By::Loop.name(), None, async { make(&jobs, (0..self.crons).map(job)).await })
            .await?;
        clear(&jobs).await?;
        Ok(Round::of_loop(phase))
    }

    /// The minute by which all are made and at rest.
    fn due(self) -> Result<Timestamp> {
        let time = Duration::from_secs(u64::from(self.crons / RATE)) + REST;
        let earliest = Timestamp::now() + time;
        Timestamp::from_second((earliest.as_second() / 60 + 1) * 60).context("the clock is at its end")
    }
}

fn cron_jobs(kube: &KubeApi, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "batch".into(),
        version: "v1".into(),
        api_version: "batch/v1".into(),
        kind: "CronJob".into(),
        plural: "cronjobs".into(),
    };
    Api::namespaced_with(kube.client.clone(), namespace, &resource)
}

/// A cron of one run of a second, of the same Pod whoever runs it.
fn manifest(by: By, at: u32, rule: &str) -> Value {
    let (name, job) = (format!("cron-{at}"), quick(1));
    if by == By::Borealis {
        return Cron::new(&name, &[rule.to_owned()], &job).manifest(by.name());
    }
    let mut template = job.spec()["template"].take();
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": { "name": name, "namespace": by.name() },
        "spec": {
            "schedule": rule,
            "timeZone": "Etc/UTC",
            "jobTemplate": { "spec": { "backoffLimit": 0, "template": template } },
        },
    })
}

/// Removes them all. A request for very many ends without an answer after a minute, with some of them gone.
async fn clear(api: &Api<DynamicObject>) -> Result<()> {
    wait::until("all to be removed", LIMIT, || async {
        let asked = api.delete_collection(&DeleteParams::background(), &ListParams::default()).await;
        let left = api.list_metadata(&ListParams::default().limit(1)).await?.items.len();
        Ok(wait::when(left == 0, format!("some are left; the last request: {:?}", asked.err())))
    })
    .await
}

/// Waits until the operator has said of each when it is due; CronJobs say nothing before.
async fn seen(crons: &Api<DynamicObject>, by: By) -> Result<()> {
    if by != By::Borealis {
        return Ok(());
    }
    wait::until("the operator to have seen every cron", LIMIT, || async {
        let all = crons.list(&ListParams::default().match_any()).await?.items;
        let unseen = all.iter().filter(|cron| text(&cron.data, "/status/nextRunTime").is_empty()).count();
        Ok(wait::when(unseen == 0, format!("{unseen} of {} it has not", all.len())))
    })
    .await
}
