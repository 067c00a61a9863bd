//! Templates that the API server refuses: its words are in the condition, what runs goes on, and it recovers.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{kube_api::number, runner::Scenario, scene::Scene, service::Service};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "refused-by-quota",
            "a quota that is too small is told in its own words, and recovered from",
            |s| Box::pin(quota(s)),
        ),
        Scenario::new(
            "refused-by-policy",
            "an update that PodSecurity refuses leaves the running Pods alone",
            |s| Box::pin(policy(s)),
        ),
    ]
}

async fn quota(scene: Scene) -> Result<()> {
    scene.kubectl(&["create", "quota", "small", "--hard=pods=3"]).await?;
    scene.apply(&Service::new("web", 5)).await?;
    let message = scene.says("web", "Stalled", "True", "TemplateRefused").await?;
    ensure!(message.contains("exceeded quota: small"), "not in the API server's words: {message}");
    scene.service_until("web", "three to run", |s| number(s, "/status/counts/running") == 3).await?;
    // Others go on undisturbed.
    scene.kubectl(&["patch", "quota", "small", "--patch", r#"{"spec":{"hard":{"pods":"8"}}}"#]).await?;
    scene.running("web", 5).await?;
    scene.apply(&Service::new("other", 2)).await?;
    scene.running("other", 2).await.map(|_| ())
}

async fn policy(scene: Scene) -> Result<()> {
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    let namespace = scene.namespace.clone();
    let strict = Service::new("web", 3)
        .pod(
            "/securityContext",
            json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }),
        )
        .container_field(
            "securityContext",
            json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } }),
        );
    scene.world.cluster.kubectl(&["label", "namespace", &namespace, enforce]).await?;
    scene.apply(&strict).await?;
    scene.running("web", 3).await?;
    let before: Vec<String> = (1..3).map(|instance| scene.uid_of("web", instance)).collect::<Result<_>>()?;

    scene.apply(&strict.clone().pod("/hostNetwork", json!(true))).await?;
    let message = scene.says("web", "Stalled", "True", "TemplateRefused").await?;
    ensure!(message.contains("violates PodSecurity"), "not in the API server's words: {message}");
    let after: Vec<String> = (1..3).map(|instance| scene.uid_of("web", instance)).collect::<Result<_>>()?;
    ensure!(before == after, "instances that the update has not reached were touched");
    scene.apply(&strict).await?;
    scene.running("web", 3).await?;
    let revision = scene.current_revision("web").await?;
    scene.all_run("web", 3, &revision)
}
