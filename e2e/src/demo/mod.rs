//! The demo: a story in seven steps on a real API server, each step checked, with what was seen in a summary.
//!
//! `story` tells it, `frame` reads what is shown, `view` draws it. Called by the binary `borealis-demo`.

mod each_minute;
mod frame;
mod share;
mod story;
mod view;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    cluster::{Cluster, Shape},
    operator, paths,
    world::{Plan, World},
};

pub use self::{
    frame::NAMESPACE,
    story::{Seen, Story},
    view::View,
};

/// The demo's cluster.
pub const CLUSTER: &str = "demo";
/// How many simulated nodes it has.
pub const NODES: u32 = 50;

/// The folder of the demo's own files; `Cluster`'s are in its own.
pub fn folder() -> PathBuf {
    paths::repository().join(".run").join(format!("{CLUSTER}-files"))
}

/// Starts the cluster and the operator.
///
/// # Errors
/// When either does not come up.
pub async fn set_up(cluster: &mut Cluster, folder: &Path) -> Result<World> {
    let shape = Shape { nodes: NODES, real_node: true, audited: None };
    cluster.up(shape).await?;
    World::set_up(cluster.clone(), folder, Plan { shape, reserved: 0, replicas: 2, image: None }).await
}

/// Ends whatever a demo left: operators by their pid files, the cluster by its folder.
///
/// # Errors
/// When something stays behind.
pub async fn take_down(cluster: &Cluster) -> Result<()> {
    operator::end_leftovers(&folder()).await?;
    cluster.down().await
}
