//! Reads all clocks and counters at one moment; two readings make a phase.
//!
//! Called by `ground` around each step.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use http::Uri;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Of the cluster's administrator, which components take.
    config: Config,
    record: PathBuf,
    /// The programs by name, and their processes.
    programs: BTreeMap<String, u32>,
    /// Those that count their own calls.
    callers: BTreeMap<String, Client>,
}

/// What was read.
pub(super) struct Reading {
    busy: f64,
    own: f64,
    programs: BTreeMap<String, Usage>,
    api_writes: Counts,
    calls: BTreeMap<String, Counts>,
}

/// What one program used in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of CPU.
    #[serde(rename = "cpuSeconds")]
    pub cpu: f64,
    /// The most KiB that were resident in it.
    #[serde(rename = "peakKiB")]
    pub peak: u64,
    /// KiB resident at its end.
    #[serde(rename = "residentKiB")]
    pub resident: u64,
}

/// One step of a benchmark as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// The program whose work it was; none for the bare loop.
    pub by: Option<String>,
    /// Seconds from the request until the object's own status said that it was done.
    #[serde(rename = "wallSeconds")]
    pub wall: f64,
    /// What each program used from the request until the rest after it was over.
    pub programs: BTreeMap<String, Cost>,
    /// Seconds of CPU that neither the cluster, nor the controller, nor the benchmark used in that time.
    #[serde(rename = "othersCpuSeconds")]
    pub others: f64,
    /// Changes of objects by verb and resource in that time, whoever made them.
    pub api_writes: Counts,
    /// Calls of the one whose work it was; none where it does not count them.
    #[serde(rename = "ownCalls")]
    pub calls: Option<Counts>,
}

impl Probe {
    /// A probe of a cluster that runs, by its administrator's kubeconfig.
    ///
    /// # Errors
    /// When the cluster's record can't be read.
    pub(super) async fn new(kubeconfig: &Path) -> Result<Self> {
        let record = kubeconfig.with_file_name("state.json");
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let api = Client::try_from(config.clone())?;
        let mut probe = Self { api, config, record, programs: BTreeMap::new(), callers: BTreeMap::new() };
        let state = probe.state()?;
        let components = state["components"].as_object().context("the cluster records no components")?;
        for name in components.keys() {
            probe.component_is_back(name)?;
        }
        Ok(probe)
    }

    fn state(&self) -> Result<Value> {
        let text = fs::read_to_string(&self.record).with_context(|| self.record.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// From now on a program is read, too: this process, which serves its metrics there.
    ///
    /// # Errors
    /// When there can't be a client for it.
    pub(super) fn program_is(&mut self, name: &str, pid: u32, metrics: Option<Uri>) -> Result<()> {
        if let Some(metrics) = metrics {
            self.callers.insert(name.to_owned(), Client::try_from(Config::new(metrics))?);
        }
        self.programs.insert(name.to_owned(), pid);
        Ok(())
    }

    /// From now on a component of the cluster is read, whose process may be a new one.
    ///
    /// # Errors
    /// When the cluster's record does not have it.
    pub(super) fn component_is_back(&mut self, name: &str) -> Result<()> {
        let state = self.state()?;
        let pid = state["components"][name]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let Some(pid) = pid else { return Ok(()) };
        self.programs.insert(name.to_owned(), pid);
        if name == CONTROLLERS {
            let port = state["ports"][name].as_u64().context("the controller manager has no port")?;
            let mut config = self.config.clone();
            config.cluster_url = format!("https://127.0.0.1:{port}/").parse()?;
            self.callers.insert(name.to_owned(), Client::try_from(config)?);
        }
        Ok(())
    }

    /// From now on there is no such program.
    pub(super) fn is_gone(&mut self, name: &str) {
        self.programs.remove(name);
        self.callers.remove(name);
    }

    /// Whether a program is read.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.programs.contains_key(name)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When any of the programs does not answer, or is gone.
    pub(super) async fn read(&self) -> Result<Reading> {
        let usage = |(name, pid): (&String, &u32)| Ok((name.clone(), process::usage(*pid)?));
        let mut calls = BTreeMap::new();
        for (name, client) in &self.callers {
            calls.insert(name.clone(), counters::calls(&metrics(client).await.context(name.clone())?));
        }
        Ok(Reading {
            api_writes: counters::api_writes(&metrics(&self.api).await.context("the API server")?),
            calls,
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
    /// What lies between two readings. A program that was started in between has used all of its own.
    pub(super) fn between(
        name: &str,
        by: Option<&str>,
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
        let none = Counts::new();
        let calls = by
            .and_then(|by| Some((by, after.calls.get(by)?)))
            .map(|(by, after)| added(before.calls.get(by).unwrap_or(&none), after));
        Self {
            name: name.to_owned(),
            by: by.map(str::to_owned),
            wall: wall.as_secs_f64(),
            programs,
            others: (after.busy - before.busy - known).max(0.0),
            api_writes: added(&before.api_writes, &after.api_writes),
            calls,
        }
    }

    /// What the one used whose work it was.
    pub fn own_cost(&self) -> Option<Cost> {
        self.programs.get(self.by.as_ref()?).copied()
    }

    /// How often the one changed something whose work it was.
    pub fn own_writes(&self) -> Option<u64> {
        self.calls.as_ref().map(counters::writes)
    }

    /// How often anybody changed something.
    pub fn all_writes(&self) -> u64 {
        self.api_writes.values().sum()
    }
}
