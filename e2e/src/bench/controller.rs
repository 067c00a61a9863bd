//! Starting and stopping the process whose work is measured, whichever it is.
//!
//! Called by the workloads.

use std::{fs::File, process::Stdio};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{
    LIMIT,
    adapter::{Adapter, Process, Start},
    ground::Ground,
};
use crate::{
    operator,
    wait::{self, Look},
};

impl Ground {
    /// Brings about what the adapter needs on this cluster.
    pub(super) async fn install(&self, adapter: &Adapter) -> Result<()> {
        for file in &adapter.install {
            self.cluster.kubectl(&["apply", "--server-side", "--filename", file]).await?;
            let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
            self.cluster.kubectl(&wait).await?;
        }
        Ok(())
    }

    /// Starts the process, unless it runs.
    pub(super) async fn start(&mut self, adapter: &Adapter) -> Result<()> {
        let name = adapter.program();
        if self.probe.knows(name) {
            return Ok(());
        }
        match &adapter.process {
            Process::Operator => self.start_operator().await.map(drop),
            Process::Component(component) => {
                self.cluster.component("start", component).await?;
                self.probe.component_is_back(component)
            }
            Process::Start(start) => self.start_peer(name, start).await,
        }
    }

    /// Stops it.
    pub(super) async fn stop(&mut self, adapter: &Adapter) -> Result<()> {
        self.probe.is_gone(adapter.program());
        match &adapter.process {
            Process::Operator => self.stop_operator().await,
            Process::Component(component) => self.cluster.component("stop", component).await,
            Process::Start(_) => {
                if let Some(mut peer) = self.peer.take() {
                    operator::end(&mut peer).await;
                }
                Ok(())
            }
        }
    }

    async fn start_peer(&mut self, name: &str, start: &Start) -> Result<()> {
        let kubeconfig = self.cluster.kubeconfig.display().to_string();
        let mut command = start.command.iter().map(|word| word.replace("$(kubeconfig)", &kubeconfig));
        let program = command.next().context("the command is empty")?;
        let log = File::options().create(true).append(true).open(self.folder.join("peer.log"))?;
        let peer = Command::new(&program)
            .args(command)
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {program}"))?;
        let pid = peer.id().context("it has ended at once")?;
        let metrics = start.metrics.as_deref().map(str::parse).transpose()?;
        self.peer = Some(peer);
        self.probe.program_is(name, pid, metrics)?;
        wait::until("its metrics", LIMIT, || async { self.probe.read().await.map(|_| Look::Done(())) }).await
    }
}
