//! Whether what people watch the operator by has something to show: a real Prometheus scrapes its Pods during a run, and at
//! its end every query of the dashboard and every series that an alert goes by must have been there.
//!
//! It reaches the Pods through the API server, for they are in a network of their own. Debian's Prometheus can't find Pods by
//! itself, so it is told which there are.
//! Called by `runner` while the operator is a Deployment.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    operator::{NAMESPACE, OPERATOR},
    paths,
    prometheus::Prometheus,
    world::World,
};

/// What stands in a dashboard for the time that a person looks at.
const SPANS: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$__range", "10m")];

/// A Prometheus that scrapes the operator's Pods.
pub struct Monitored {
    prometheus: Prometheus,
    since: Timestamp,
}

impl Monitored {
    /// Starts it and waits until it knows the Pods.
    ///
    /// # Errors
    /// When it can't be started, or does not come to know them.
    pub async fn start(world: &World) -> Result<Self> {
        let since = Timestamp::now();
        let server = world.kube.address.authority().context("the API server has no address")?.to_string();
        let tls = credentials(&world.cluster.kubeconfig, &world.folder)?;
        let pods = world.kube.pods(NAMESPACE).list(&ListParams::default().labels(OPERATOR)).await?.items;
        let names: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
        let target = |pod: &String| {
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics");
            let labels = json!({ "pod": pod, "instance": pod, "__metrics_path__": path });
            json!({ "targets": [&server], "labels": labels })
        };
        let targets: Vec<Value> = names.iter().map(target).collect();
        let scrape = json!({ "job_name": "borealis", "scheme": "https", "tls_config": tls, "static_configs": targets });
        let prometheus =
            Prometheus::scraping(&world.folder, "monitoring", "5s", scrape, "borealis_is_leader").await?;
        Ok(Self { prometheus, since })
    }

    /// Asks all that the dashboard and the alerts ask, and says how much that was.
    ///
    /// # Errors
    /// With what Prometheus found wrong, and what had no data at any time of the run.
    pub async fn verdict(&self) -> Result<String> {
        let files = paths::repository().join("charts/borealis/files");
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(files.join("dashboard.json"))?)?;
        let alerts: Value = serde_yaml_ng::from_str(&fs::read_to_string(files.join("alerts.yaml"))?)?;
        let (panels, rules) = (expressions(&dashboard["panels"]), expressions(&alerts["groups"]));
        ensure!(!panels.is_empty() && !rules.is_empty(), "there are no queries in {}", files.display());
        let mut wrong = Vec::new();
        for panel in &panels {
            match self.prometheus.series_since(panel, self.since).await {
                Ok(0) => wrong.push(format!("nothing to show: {panel}")),
                Ok(_) => {}
                Err(error) => wrong.push(format!("{panel}: {error:#}")),
            }
        }
        // An alert is silent where all is well: what it goes by must be there.
        let mut series = BTreeSet::new();
        for rule in &rules {
            if let Err(error) = self.prometheus.series_since(rule, self.since).await {
                wrong.push(format!("{rule}: {error:#}"));
            }
            series.extend(names(rule));
        }
        for name in &series {
            if self.prometheus.series_since(name, self.since).await? == 0 {
                wrong.push(format!("an alert goes by {name}, which nobody tells"));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        let counts = (panels.len(), rules.len(), series.len());
        Ok(format!("{} queries of the dashboard; {} alerts by {} metrics", counts.0, counts.1, counts.2))
    }
}

/// All texts under a key `expr`, as they are asked.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(expressions).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "expr" => {
                    vec![SPANS.iter().fold(text.clone(), |text, (what, span)| text.replace(what, span))]
                }
                other => expressions(other),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The metrics of ours that an expression names.
fn names(expression: &str) -> Vec<String> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("borealis_"))
        .map(str::to_owned)
        .collect()
}

/// The administrator's certificates as files, as Prometheus wants them.
fn credentials(kubeconfig: &Path, folder: &Path) -> Result<Value> {
    let config: Value = serde_yaml_ng::from_str(&fs::read_to_string(kubeconfig)?)?;
    let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let mut tls = json!({});
    for (key, of, field) in [
        ("ca_file", cluster, "certificate-authority-data"),
        ("cert_file", user, "client-certificate-data"),
        ("key_file", user, "client-key-data"),
    ] {
        let data = of[field].as_str().with_context(|| format!("no {field} in {}", kubeconfig.display()))?;
        let data: k8s_openapi::ByteString = serde_json::from_value(json!(data))?;
        let file = folder.join(format!("{key}.pem"));
        fs::write(&file, data.0)?;
        tls[key] = json!(file);
    }
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_is_found_and_asked_for_a_span() {
        let found =
            expressions(&json!([{"targets": [{"expr": "rate(a_total[$__rate_interval])"}], "expr": "b"}]));
        assert_eq!(
            found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            ["rate(a_total[1m])", "b"].into()
        );
    }

    #[test]
    fn metrics_are_told_from_functions_and_labels() {
        let found =
            names(r#"sum by (state) (increase(borealis_a_total{state="X"}[5m])) > borealis_b offset 5m"#);
        assert_eq!(found, ["borealis_a_total", "borealis_b"]);
    }
}
