//! The operator's own kubeconfig: its ServiceAccount's token, with exactly the rights that `deploy/` gives it.
//!
//! Called by `operator` when the replicas are set up. Never the administrator's: a right that is missing in
//! `deploy/` has to show here.

use std::{
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// The namespace that `deploy/` installs the operator in.
pub const NAMESPACE: &str = "borealis-system";
/// The operator's ServiceAccount.
pub(super) const ACCOUNT: &str = "borealis";

/// Writes a kubeconfig with a token of the operator's account.
///
/// # Errors
/// When there is no such account, or the file can't be written.
pub(super) async fn write(cluster: &Cluster, folder: &Path) -> Result<PathBuf> {
    let token = cluster
        .kubectl(&["create", "token", ACCOUNT, "--namespace", NAMESPACE, "--duration", "12h"])
        .await
        .context("no token for the operator's account; does deploy/ make it?")?;
    let admin = std::fs::read_to_string(&cluster.kubeconfig)?;
    let admin: Value =
        serde_yaml_ng::from_str(&admin).context("the administrator's kubeconfig is no YAML")?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": admin["clusters"],
        "users": [{ "name": ACCOUNT, "user": { "token": token.trim() } }],
        "contexts": [{
            "name": ACCOUNT,
            "context": { "cluster": admin["clusters"][0]["name"], "user": ACCOUNT, "namespace": NAMESPACE },
        }],
        "current-context": ACCOUNT,
    });
    let path = folder.join("operator.kubeconfig");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, serde_yaml_ng::to_string(&config)?.as_bytes())?;
    Ok(path)
}
