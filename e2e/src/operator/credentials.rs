//! Kubeconfigs of accounts of the cluster: a ServiceAccount's token, with exactly the rights that it was given.
//!
//! Called by `operator` when the replicas are set up, and for other programs that have an account. Never the
//! administrator's: a right that is missing in `deploy/` has to show here.

use std::{
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// The namespace that `deploy/` installs the operator in.
pub const NAMESPACE: &str = "borealis-system";
/// The operator's ServiceAccount.
pub const ACCOUNT: &str = "borealis";

/// Writes a kubeconfig with a token of an account.
///
/// # Errors
/// When there is no such account, or the file can't be written.
pub async fn account_kubeconfig(
    cluster: &Cluster,
    folder: &Path,
    namespace: &str,
    account: &str,
) -> Result<PathBuf> {
    let token = cluster
        .kubectl(&["create", "token", account, "--namespace", namespace, "--duration", "12h"])
        .await
        .with_context(|| format!("no token for the account {namespace}/{account}"))?;
    let admin = std::fs::read_to_string(&cluster.kubeconfig)?;
    let admin: Value =
        serde_yaml_ng::from_str(&admin).context("the administrator's kubeconfig is no YAML")?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": admin["clusters"],
        "users": [{ "name": account, "user": { "token": token.trim() } }],
        "contexts": [{
            "name": account,
            "context": { "cluster": admin["clusters"][0]["name"], "user": account, "namespace": namespace },
        }],
        "current-context": account,
    });
    let path = folder.join(format!("{account}.kubeconfig"));
    write(&path, &config)?;
    Ok(path)
}

/// The same kubeconfig for another way to the API server, beside it.
///
/// # Errors
/// When a file can't be read or written.
pub(super) fn by_way_of(kubeconfig: &Path, server: SocketAddr) -> Result<PathBuf> {
    let mut config: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(kubeconfig)?)?;
    config["clusters"][0]["cluster"] = json!({ "server": format!("http://{server}") });
    let path = kubeconfig.with_extension("detour");
    write(&path, &config)?;
    Ok(path)
}

fn write(path: &Path, config: &Value) -> Result<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, serde_yaml_ng::to_string(config)?.as_bytes())?;
    Ok(())
}
