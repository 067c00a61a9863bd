//! Running other programs to their end, with a deadline and with what they said in the error; and being told to end.
//!
//! Called by `cluster` (localcluster, kubectl) and `operator` (kill), and by the binaries. Programs that stay are in
//! `operator`.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// What a program that ended left behind.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Whether it ended with status 0.
    pub success: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// One call of a program.
pub struct Call<'a> {
    program: &'a Path,
    args: Vec<String>,
    env: Vec<(&'static str, &'a OsStr)>,
    directory: Option<&'a Path>,
    limit: Duration,
}

impl<'a> Call<'a> {
    /// A call with these arguments, which may take two minutes.
    pub fn new<S: AsRef<str>>(program: &'a Path, args: &[S]) -> Self {
        let args = args.iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { program, args, env: Vec::new(), directory: None, limit: Duration::from_secs(120) }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &'a OsStr) -> Self {
        self.env.push((name, value));
        self
    }

    /// Where it runs, if not where this program does.
    #[must_use]
    pub fn directory(mut self, directory: &'a Path) -> Self {
        self.directory = Some(directory);
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        // A group of its own: Ctrl-C at the terminal is for us, and taking a cluster down must not be cut short by it.
        command.args(&self.args).kill_on_drop(true).process_group(0);
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    fn says(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} {}", self.args.join(" "))
    }

    /// Runs it and returns what it said, however it ended.
    ///
    /// # Errors
    /// When it can't be started or takes too long.
    pub async fn ended(self) -> Result<Ended> {
        let says = self.says();
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("could not start {says}"))?;
        let output = timeout(self.limit, child.wait_with_output())
            .await
            .with_context(|| format!("{says} took more than {:?}", self.limit))?
            .with_context(|| format!("could not wait for {says}"))?;
        Ok(Ended {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it and returns its standard output.
    ///
    /// # Errors
    /// When it fails; the error holds what it wrote to standard error.
    pub async fn output(self) -> Result<String> {
        let says = self.says();
        let ended = self.ended().await?;
        if !ended.success {
            bail!("{says} failed: {}{}", ended.stderr.trim(), ended.stdout.trim());
        }
        Ok(ended.stdout)
    }

    /// Runs it with its output going to ours, for programs that tell how far they are.
    ///
    /// # Errors
    /// When it fails.
    pub async fn shown(self) -> Result<()> {
        let says = self.says();
        let mut child =
            self.command().stdin(Stdio::null()).spawn().with_context(|| format!("could not start {says}"))?;
        let status = timeout(self.limit, child.wait())
            .await
            .with_context(|| format!("{says} took more than {:?}", self.limit))?
            .with_context(|| format!("could not wait for {says}"))?;
        if !status.success() {
            bail!("{says} failed with {status}");
        }
        Ok(())
    }
}

/// Waits for Ctrl-C or SIGTERM, and says which it was.
///
/// # Errors
/// When signals can't be received.
pub async fn interrupted() -> Result<&'static str> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = int.recv() => "SIGINT",
        _ = term.recv() => "SIGTERM",
    })
}
