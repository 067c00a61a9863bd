//! One process of the operator.
//!
//! Each start is a new identity, since no two processes may share one. A pid file per replica lets a later run end
//! what an interrupted one left. Called by `operator` only.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{LEASE, Launch, NAMESPACE};
use crate::command::Call;

/// What a replica can be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    /// End now.
    Kill,
    /// Be suspended.
    Stop,
    /// Go on.
    Continue,
}

/// A process of the operator, or the place of one.
#[derive(Debug)]
pub(super) struct Replica {
    index: usize,
    starts: u32,
    child: Option<Child>,
    /// It is to run: it was started, and neither stopped nor killed since.
    wanted: bool,
    /// Its clock, where it is not this machine's.
    pub(super) clock: Option<Clock>,
    /// Where its kubeconfig is, where it is not the one of all.
    pub(super) kubeconfig: Option<PathBuf>,
}

/// A clock that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// The library that has a program see it.
    pub(super) library: PathBuf,
    /// Seconds it is ahead, or behind where this is negative.
    pub(super) ahead: i64,
}

impl Clock {
    /// What time it is moves; how long something takes does not.
    fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME", format!("{:+}s", self.ahead).into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}

impl Replica {
    pub(super) fn new(index: usize) -> Self {
        Self { index, starts: 0, child: None, wanted: false, clock: None, kubeconfig: None }
    }

    pub(super) fn name(&self) -> String {
        format!("replica-{}", self.index)
    }

    /// What it calls itself in the lease.
    pub(super) fn identity(&self) -> String {
        format!("{}-{}", self.name(), self.starts)
    }

    pub(super) fn start(&mut self, launch: &Launch) -> Result<()> {
        self.starts += 1;
        let log = File::options()
            .create(true)
            .append(true)
            .open(launch.folder.join(format!("{}.log", self.name())))
            .context("could not open the operator's log")?;
        let child = Command::new(&launch.program)
            .args(arguments(launch, &self.identity()))
            .env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&launch.kubeconfig))
            .envs(self.clock.iter().flat_map(Clock::environment))
            // As in `deploy/`.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .env("MIMALLOC_ALLOW_THP", "0")
            .env("RUST_LOG", std::env::var("BOREALIS_LOG").unwrap_or_else(|_| "info,borealis=debug".into()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C at the terminal is for us; we end the replicas in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", launch.program.display()))?;
        let record = format!("{} {}", child.id().unwrap_or_default(), launch.program.display());
        fs::write(launch.folder.join(format!("{}.pid", self.name())), record)?;
        self.child = Some(child);
        self.wanted = true;
        Ok(())
    }

    /// Whether its process exists, suspended or not.
    pub(super) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether it ended by itself although it is to run.
    pub(super) fn is_wanting(&mut self) -> bool {
        self.wanted && !self.is_running()
    }

    pub(super) fn starts(&self) -> u32 {
        self.starts
    }

    /// Its process; none before it was started.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(super) async fn signal(&mut self, signal: Signal) -> Result<()> {
        let child = self.child.as_mut().context("this replica was never started")?;
        match signal {
            Signal::Kill => {
                self.wanted = false;
                child.kill().await.context("could not kill the replica")
            }
            Signal::Stop => send("STOP", child.id()).await,
            Signal::Continue => send("CONT", child.id()).await,
        }
    }

    /// Lets its process outlive this program.
    pub(super) fn leave(&mut self) {
        self.wanted = false;
        if let Some(child) = self.child.take() {
            // Dropping it would kill it.
            std::mem::forget(child);
        }
    }

    /// Ends it, and says whether it ended by itself in time.
    pub(super) async fn stop(&mut self) -> bool {
        self.wanted = false;
        let Some(mut child) = self.child.take() else { return true };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        let _ = send("CONT", child.id()).await;
        end(&mut child).await
    }

    /// How long its last barrier took, as its log says: none when it never passed one.
    pub(super) fn barrier(&self, folder: &Path) -> Result<Option<Duration>> {
        let log = fs::read_to_string(folder.join(format!("{}.log", self.name())))?;
        let passed = log.lines().rev().find(|line| line.contains("planning begins"));
        Ok(passed.and_then(|line| duration(line.split("took=").nth(1)?.split_whitespace().next()?)))
    }

    /// Where it serves its probes and what it shows, as its log says.
    pub(super) fn address(&self, folder: &Path) -> Result<String> {
        let log = fs::read_to_string(folder.join(format!("{}.log", self.name())))?;
        let served = log.lines().rev().find(|line| line.contains("/debug are served"));
        let address = served.and_then(|line| line.split("address=").nth(1)?.split_whitespace().next());
        Ok(address
            .with_context(|| format!("the log of {} does not say where it serves", self.name()))?
            .to_owned())
    }

    pub(super) fn log_tail(&self, folder: &Path, lines: usize) -> String {
        let text = fs::read_to_string(folder.join(format!("{}.log", self.name()))).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        let tail = all[all.len().saturating_sub(lines)..].join("\n");
        format!("--- {} ({} starts), last lines ---\n{tail}\n", self.name(), self.starts)
    }
}

/// The operator's arguments: its defaults but for the lease and the age of Secrets, which a test can't wait for.
fn arguments(launch: &Launch, identity: &str) -> Vec<String> {
    let lease = launch.lease_seconds;
    [
        "--namespace".to_owned(),
        NAMESPACE.to_owned(),
        "--lease-name".to_owned(),
        LEASE.to_owned(),
        "--identity".to_owned(),
        identity.to_owned(),
        format!("--lease-duration={lease}s"),
        format!("--lease-renew-deadline={}s", lease - 1),
        "--lease-retry-period=500ms".to_owned(),
        "--secret-interval=2s".to_owned(),
        format!("--listen={}", launch.listen),
        // Where scenarios have their checks measured.
        "--check-hosts=127.0.0.1".to_owned(),
    ]
    .into()
}

/// A duration as Rust prints it: "1.5s", "12.3ms", "80µs".
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

/// Ends a process as a kubelet does, SIGTERM and after ten seconds SIGKILL, and says whether it ended by itself.
pub async fn end(child: &mut Child) -> bool {
    let _ = send("TERM", child.id()).await;
    let ended = timeout(Duration::from_secs(10), child.wait()).await.is_ok();
    if !ended {
        let _ = child.kill().await;
    }
    ended
}

async fn send(signal: &str, pid: Option<u32>) -> Result<()> {
    let Some(pid) = pid else { return Ok(()) };
    let call = format!("kill -{signal} {pid}");
    Call::new(Path::new("/bin/sh"), &["-c", &call]).output().await.map(|_| ())
}

/// Ends operators that an interrupted run left, by the pid files in its folder.
///
/// A pid that now belongs to another program is left alone.
///
/// # Errors
/// When the folder can't be read.
pub async fn end_leftovers(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "pid") {
            continue;
        }
        let record = fs::read_to_string(&path).unwrap_or_default();
        let Some((pid, program)) = record.split_once(' ') else { continue };
        let runs = fs::read_link(format!("/proc/{pid}/exe"));
        // A program that was rebuilt since shows as deleted.
        if runs.is_ok_and(|exe| exe.to_string_lossy().trim_end_matches(" (deleted)") == program.trim()) {
            send("KILL", pid.parse().ok()).await?;
        }
        let _ = fs::remove_file(&path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_printed() {
        for time in [Duration::from_millis(1500), Duration::from_micros(12_300), Duration::from_micros(80)] {
            assert_eq!(duration(&format!("{time:?}")), Some(time));
        }
        assert_eq!([duration("soon"), duration("5 h"), duration("")], [None; 3]);
    }
}
