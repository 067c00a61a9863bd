//! What is logged is changed while the operator runs.

use anyhow::Result;

use crate::{
    errors::joined,
    operator::NAMESPACE,
    runner::Scenario,
    scene::Scene,
    wait::{self, Look},
};

/// Lines of each replica's log that are looked through.
const LINES: usize = 20_000;
/// The replicas that have a log.
const REPLICAS: usize = 2;
const MAP: &str = "borealis-log";

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new(
        "log-changed",
        "a ConfigMap says what all replicas log; a wrong one changes nothing and is told of",
        |s| Box::pin(changed(s)),
    )]
}

async fn changed(scene: Scene) -> Result<()> {
    let result = told_by_all(&scene).await;
    joined([result, kubectl(&scene, &["delete", "configmap", MAP, "--ignore-not-found"]).await])
}

async fn told_by_all(scene: &Scene) -> Result<()> {
    let from_now_on = format!("is said by ConfigMap {MAP} from now on");
    let told = [
        (
            from_now_on.as_str(),
            &["create", "configmap", MAP, "--from-literal=filter=info,borealis=debug,kube=warn"][..],
        ),
        (
            "data.filter can't be read",
            &["patch", "configmap", MAP, "--patch", r#"{"data":{"filter":"kube=loud"}}"#],
        ),
        ("is gone: the log is what it was", &["delete", "configmap", MAP]),
    ];
    for (words, command) in told {
        let before = count(scene, words).await;
        kubectl(scene, command).await?;
        wait::until(&format!("{words:?} in all logs"), super::LONG, || async {
            let now = count(scene, words).await;
            Ok(if now >= before + REPLICAS { Look::Done(()) } else { Look::NotYet(format!("{now} times")) })
        })
        .await?;
    }
    Ok(())
}

async fn kubectl(scene: &Scene, command: &[&str]) -> Result<()> {
    scene.world.cluster.kubectl(&[&["--namespace", NAMESPACE], command].concat()).await.map(|_| ())
}

async fn count(scene: &Scene, words: &str) -> usize {
    scene.world.operators.log_tails(LINES).await.matches(words).count()
}
