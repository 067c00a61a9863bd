//! The fence of terms: what the API server lets the operator's account make, whatever the operator itself thinks.
//!
//! A replica that was suspended also fences itself, so only asking in its name shows that the policy works.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{
    runner::Scenario,
    scene::Scene,
    service::Service,
    wait::{self, Look},
};

/// The operator's account, as `deploy/` makes it.
const ACCOUNT: &str = "--as=system:serviceaccount:borealis-system:borealis";
/// The policy's name, which stands in its refusals.
const POLICY: &str = "borealis-term";

pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario::new(
        "term-fence",
        "the API server refuses what the operator makes or changes in another term",
        |s| Box::pin(term_fence(s)),
    )]
}

async fn term_fence(scene: Scene) -> Result<()> {
    // The leader may change meanwhile, and a new namespace lacks for a moment what Pods need.
    let term =
        wait::until("a Pod of the present term to be let through", Duration::from_secs(60), || async {
            let (_, term) = scene.world.operators.holder(Duration::from_secs(40)).await?;
            let refused = ask(&scene, Some(term), &[ACCOUNT]).await;
            Ok(refused.map_or(Look::Done(term), Look::NotYet))
        })
        .await?;
    for wrong in [Some(term - 1), None] {
        let refused = ask(&scene, wrong, &[ACCOUNT]).await;
        let said = refused.with_context(|| format!("a Pod of term {wrong:?} was let through"))?;
        ensure!(said.contains(POLICY), "a Pod of term {wrong:?} was refused by something else: {said}");
    }
    // It binds nobody else: whoever else labels a Pod like this is refused for that.
    let said = ask(&scene, None, &[]).await.context("the administrator's Pod was let through")?;
    ensure!(said.contains("only Borealis itself writes") && !said.contains(POLICY), "{said}");
    changes(&scene).await
}

/// A Pod that is there becomes another config in the present term only; all else of it may be changed in any.
async fn changes(scene: &Scene) -> Result<()> {
    scene.apply(&Service::new("web", 1)).await?;
    scene.running("web", 1).await?;
    let (_, term) = scene.world.operators.holder(Duration::from_secs(40)).await?;
    let (config, other) = (Some("v1-00000000000000ff"), None);
    for (term, config, passes) in [(term, config, true), (term - 1, config, false), (term - 1, other, true)] {
        let mut labels = vec![format!("borealis.dev/term={term}")];
        labels.extend(config.map(|config| format!("borealis.dev/revision={config}")));
        let mut args = vec!["label", "pod", "web-0-1", "--overwrite", "--dry-run=server", ACCOUNT];
        args.extend(labels.iter().map(String::as_str));
        let said = scene.kubectl(&args).await.err().map(|error| format!("{error:#}"));
        let is_fenced = said.as_ref().is_some_and(|said| said.contains(POLICY));
        ensure!(said.is_none() == passes && is_fenced != passes, "{labels:?}: {said:?}");
    }
    Ok(())
}

/// Asks for a Pod of a term as a dry run, and says what the API server said when it refused.
async fn ask(scene: &Scene, term: Option<i32>, account: &[&str]) -> Option<String> {
    let term = term.map_or(String::new(), |term| format!(",borealis.dev/term={term}"));
    let labels = format!("--labels=borealis.dev/service=late,borealis.dev/instance=0{term}");
    let mut args = vec!["run", "late", "--image=example.test/late:1", "--dry-run=server", &labels];
    args.extend(account);
    scene.kubectl(&args).await.err().map(|error| format!("{error:#}"))
}
