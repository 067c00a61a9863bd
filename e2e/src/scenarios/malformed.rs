//! Each file of `e2e/malformed` is refused with the message that stands in its first line, or the object says it.
//!
//! What the schema, CEL or kubectl can catch is refused at apply; the rest becomes a condition. Either way no Pod is
//! made, and a service beside it goes on.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use serde_json::Value;

use crate::{
    kube_api::condition,
    paths,
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// Fewer files than this means that they were not found.
const LEAST: usize = 20;

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new("malformed", "malformed specs are refused in words that help", |s| {
        Box::pin(malformed(s))
    })]
}

async fn malformed(scene: Scene) -> Result<()> {
    scene.apply(&Service::new("calm", 2)).await?;
    scene.running("calm", 2).await?;
    let mark = scene.mark();
    let folder = paths::repository().join("e2e/malformed");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("could not read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    ensure!(files.len() >= LEAST, "{} files in {}", files.len(), folder.display());
    scene.note(format!("{} files", files.len()));
    let wrong: Vec<String> = stream::iter(files)
        .map(|file| {
            let scene = &scene;
            async move { one(scene, &file).await.err().map(|error| format!("{}: {error:#}", file.display())) }
        })
        .buffer_unordered(3)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    scene.running("calm", 2).await?;
    scene.untouched_since(mark)
}

async fn one(scene: &Scene, file: &PathBuf) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let expected = text
        .lines()
        .find_map(|line| line.strip_prefix("# expect: "))
        .context("the file has no line `# expect: …`")?
        .trim();
    let path = file.to_string_lossy();
    let args = ["--namespace", &scene.namespace, "apply", "--filename", &path];
    let ended = scene.world.cluster.kubectl_ended(&args).await?;
    if !ended.success {
        ensure!(
            ended.stderr.contains(expected),
            "refused, but not with {expected:?}: {}",
            ended.stderr.trim()
        );
        return Ok(());
    }
    let look = ["--namespace", &scene.namespace, "get", "--filename", &path, "--output", "json"];
    wait::until(&format!("{expected:?} in a condition"), Duration::from_secs(30), || async {
        let found = scene.world.cluster.kubectl_ended(&look).await?;
        let object: Value = serde_json::from_str(&found.stdout).unwrap_or_default();
        let said = condition(&object, "Stalled").filter(|(status, ..)| *status == "True");
        Ok(match said {
            Some((.., message)) if message.contains(expected) => Look::Done(()),
            said => Look::NotYet(format!("accepted; Stalled is {said:?}")),
        })
    })
    .await
}
