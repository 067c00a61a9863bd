//! One object of very many instances: made, at rest, updated; and a bad update, where the controller takes it back.
//!
//! Called by `workloads`.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams};

use super::{reaches, rest};
use crate::{
    bench::{
        Sizes,
        adapter::{Adapter, Ask, Stage},
        ground::Ground,
        report::Round,
    },
    kube_api::FIELD_MANAGER,
};

/// How long it is looked at what a controller costs when nothing happens.
const REST: Duration = Duration::from_secs(20);

pub(super) async fn run(
    ground: &mut Ground,
    adapter: &Adapter,
    sizes: Sizes,
    round: &mut Round,
) -> Result<()> {
    let ask = |version, is_bad| {
        let batch = sizes.batch();
        Ask { batch, version, is_bad, ..Ask::new("web", sizes.instances) }
    };
    step(ground, adapter, "comes up", &ask(1, false), Stage::Ready, round).await?;
    rest(ground, adapter, REST, round).await?;
    step(ground, adapter, "rolling update", &ask(2, false), Stage::Updated, round).await?;
    if adapter.rolls_back() {
        step(ground, adapter, "bad update, rolled back", &ask(3, true), Stage::RolledBack, round).await?;
    }
    Ok(())
}

/// Applies the object and waits until it is so far.
async fn step(
    ground: &mut Ground,
    adapter: &Adapter,
    name: &str,
    ask: &Ask,
    stage: Stage,
    round: &mut Round,
) -> Result<()> {
    let api = adapter.api(&ground.kube.client);
    let work = async {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let object = adapter.object(ask)?;
        api.patch(&ask.name, &params, &Patch::Apply(&object)).await.context("could not apply it")?;
        reaches(&api, adapter, ask, stage).await
    };
    let phase = ground.measure(name, Some(adapter.program()), work).await?;
    round.phases.push(phase);
    Ok(())
}
