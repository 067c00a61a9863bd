//! Reads all clocks and counters at one moment; two readings make a phase.
//!
//! Called by `ground` around each step.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::{
    counters::{self, Counts, added},
    process::{self, Usage},
};

/// The operator among the programs.
pub(super) const OPERATOR: &str = "borealis";
/// The Deployment's controllers among the programs.
pub(super) const CONTROLLERS: &str = "kube-controller-manager";

/// Where to read.
pub(super) struct Probe {
    api: Client,
    controllers: Client,
    operator: Option<Client>,
    /// The programs by name, and their processes.
    programs: BTreeMap<String, u32>,
}

/// What was read.
pub(super) struct Reading {
    busy: f64,
    own: f64,
    programs: BTreeMap<String, Usage>,
    api_writes: Counts,
    operator_calls: Counts,
    controllers_calls: Counts,
}

/// What one program used in a phase.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Seconds of CPU.
    pub cpu: f64,
    /// The most KiB that were resident in it.
    pub peak: u64,
    /// KiB resident at its end.
    pub resident: u64,
}

/// One step of the benchmark as it was measured.
#[derive(Debug, Clone)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// The program whose work it was; none for the bare loop.
    pub by: Option<&'static str>,
    /// From the request until the object's own status said that it was done.
    pub wall: Duration,
    /// What each program used from the request until the rest after it was over.
    pub programs: BTreeMap<String, Cost>,
    /// Seconds of CPU that neither the cluster, nor the operator, nor the benchmark used in that time.
    pub others: f64,
    /// Changes of objects by verb and resource in that time, whoever made them.
    pub api_writes: Counts,
    /// Calls of the one whose work it was.
    pub calls: Counts,
}

impl Probe {
    /// A probe of a cluster that runs, by its administrator's kubeconfig.
    ///
    /// # Errors
    /// When the cluster's record can't be read.
    pub(super) async fn new(kubeconfig: &Path) -> Result<Self> {
        let record = kubeconfig.with_file_name("state.json");
        let record = fs::read_to_string(&record).with_context(|| format!("{}", record.display()))?;
        let record: Value = serde_json::from_str(&record)?;
        let components = record["components"].as_object().context("the cluster records no components")?;
        let pid_of = |component: &Value| component["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let programs: BTreeMap<String, u32> = components
            .iter()
            .filter_map(|(name, component)| Some((name.clone(), pid_of(component)?)))
            .collect();
        let port = record["ports"][CONTROLLERS].as_u64().context("the controller manager has no port")?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let mut of_controllers = config.clone();
        of_controllers.cluster_url = format!("https://127.0.0.1:{port}/").parse()?;
        Ok(Self {
            api: Client::try_from(config)?,
            controllers: Client::try_from(of_controllers)?,
            operator: None,
            programs,
        })
    }

    /// From now on the operator is read, too: this process, which serves there.
    ///
    /// # Errors
    /// When there can't be a client for it.
    pub(super) fn operator_is(&mut self, pid: u32, address: SocketAddr) -> Result<()> {
        self.operator = Some(Client::try_from(Config::new(format!("http://{address}/").parse()?))?);
        self.programs.insert(OPERATOR.to_owned(), pid);
        Ok(())
    }

    /// From now on there is no operator.
    pub(super) fn operator_is_gone(&mut self) {
        self.operator = None;
        self.programs.remove(OPERATOR);
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When any of the programs does not answer, or is gone.
    pub(super) async fn read(&self) -> Result<Reading> {
        let usage = |(name, pid): (&String, &u32)| Ok((name.clone(), process::usage(*pid)?));
        Ok(Reading {
            api_writes: counters::api_writes(&metrics(&self.api).await.context("the API server")?),
            operator_calls: match &self.operator {
                Some(operator) => counters::operator_calls(&metrics(operator).await.context("the operator")?),
                None => Counts::new(),
            },
            controllers_calls: counters::component_calls(
                &metrics(&self.controllers).await.context("the controller manager")?,
            ),
            busy: process::busy()?,
            own: process::usage(std::process::id())?.cpu,
            programs: self.programs.iter().map(usage).collect::<Result<_>>()?,
        })
    }

    /// Starts all peaks of memory anew.
    ///
    /// # Errors
    /// When a program is gone.
    pub(super) fn forget_peaks(&self) -> Result<()> {
        self.programs.values().try_for_each(|pid| process::forget_peak(*pid))
    }
}

async fn metrics(client: &Client) -> Result<String> {
    Ok(client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?)
}

impl Phase {
    /// What lies between two readings.
    pub(super) fn between(
        name: &'static str,
        by: Option<&'static str>,
        wall: Duration,
        before: &Reading,
        after: &Reading,
    ) -> Self {
        let cost = |(name, usage): (&String, &Usage)| {
            let cpu = usage.cpu - before.programs.get(name).map_or(0.0, |usage| usage.cpu);
            (name.clone(), Cost { cpu, peak: usage.peak, resident: usage.resident })
        };
        let programs: BTreeMap<String, Cost> = after.programs.iter().map(cost).collect();
        let known = programs.values().map(|cost| cost.cpu).sum::<f64>() + after.own - before.own;
        let calls = match by {
            Some(OPERATOR) => added(&before.operator_calls, &after.operator_calls),
            Some(_) => added(&before.controllers_calls, &after.controllers_calls),
            None => Counts::new(),
        };
        Self {
            name,
            by,
            wall,
            programs,
            others: (after.busy - before.busy - known).max(0.0),
            api_writes: added(&before.api_writes, &after.api_writes),
            calls,
        }
    }

    /// What the one used whose work it was.
    pub fn own_cost(&self) -> Option<Cost> {
        self.programs.get(self.by?).copied()
    }

    /// How often the one changed something whose work it was.
    pub fn own_writes(&self) -> Option<u64> {
        self.by.map(|_| counters::writes(&self.calls))
    }

    /// How often anybody changed something.
    pub fn all_writes(&self) -> u64 {
        self.api_writes.values().sum()
    }

    /// For the report.
    pub fn json(&self) -> Value {
        let programs: BTreeMap<&String, Value> = self
            .programs
            .iter()
            .map(|(name, cost)| {
                let cost =
                    json!({ "cpuSeconds": cost.cpu, "peakKiB": cost.peak, "residentKiB": cost.resident });
                (name, cost)
            })
            .collect();
        json!({
            "name": self.name,
            "by": self.by,
            "wallSeconds": self.wall.as_secs_f64(),
            "programs": programs,
            "othersCpuSeconds": self.others,
            "apiWrites": self.api_writes,
            "ownCalls": self.calls,
        })
    }
}
