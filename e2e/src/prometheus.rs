//! A real Prometheus as a process of this machine.
//!
//! It is Debian's, or BOREALIS_PROMETHEUS names one. Started by scenarios about checks for one program, and
//! by `monitored` for the operator.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kube::{Client, Config};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::{
    debian,
    wait::{self, Look},
};

/// How long it may take to start and to scrape for the first time.
const START: Duration = Duration::from_secs(60);

/// A running Prometheus, until it is dropped.
pub struct Prometheus {
    /// Its address, as a check names it.
    pub address: String,
    client: Client,
    _process: Child,
}

impl Prometheus {
    /// Starts one that scrapes this program, its files in a folder of its own, and waits until it knows the
    /// metric.
    ///
    /// # Errors
    /// When there is no Prometheus, or it does not come to know the metric.
    pub async fn start(folder: &Path, program: SocketAddr, metric: &str) -> Result<Self> {
        let scrape = json!({ "job_name": "web", "static_configs": [{ "targets": [program.to_string()] }] });
        Self::scraping(folder, "prometheus", "1s", scrape, metric).await
    }

    /// Starts one of this name that scrapes so often what this job says, and waits until it knows the metric.
    ///
    /// # Errors
    /// When there is no Prometheus, or it does not come to know the metric.
    pub async fn scraping(
        folder: &Path,
        name: &str,
        every: &str,
        scrape: Value,
        metric: &str,
    ) -> Result<Self> {
        let prometheus = debian::file("prometheus", "usr/bin/prometheus", "BOREALIS_PROMETHEUS").await?;
        let data = folder.join(name);
        fs::create_dir_all(&data)?;
        let config = json!({ "global": { "scrape_interval": every }, "scrape_configs": [scrape] });
        let file = data.join("prometheus.yaml");
        fs::write(&file, serde_yaml_ng::to_string(&config)?)?;
        let listen = free_port().await?;
        let log = File::create(data.join("log")).context("could not open the log of Prometheus")?;
        let process = Command::new(&prometheus)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.join("data").display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", prometheus.display()))?;
        // A later run ends by it what this one was killed beside.
        let record = format!("{} {}", process.id().unwrap_or_default(), prometheus.display());
        fs::write(folder.join(format!("{name}.pid")), record)?;
        let address = format!("http://{listen}");
        let client = Client::try_from(Config::new(address.parse()?))?;
        let this = Self { address, client, _process: process };
        wait::until(&format!("Prometheus to know {metric}"), START, || async {
            let values = this.values(metric).await?;
            Ok(if values.is_empty() { Look::NotYet("no sample".to_owned()) } else { Look::Done(()) })
        })
        .await
        .with_context(|| format!("see {}", data.join("log").display()))?;
        Ok(this)
    }

    /// How many series a query had at any time since this one, looked at every five seconds.
    ///
    /// # Errors
    /// When it does not answer, or finds the query wrong.
    pub async fn series_since(&self, query: &str, since: Timestamp) -> Result<usize> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let parameters = format!("query={query}&start={since}&end={}&step=5", Timestamp::now());
        let request = http::Request::get(format!("/api/v1/query_range?{parameters}")).body(Vec::new())?;
        let answer: Value = serde_json::from_str(&self.client.request_text(request).await?)?;
        answer["data"]["result"].as_array().map(Vec::len).with_context(|| format!("{answer}"))
    }

    /// The values of a metric, as it has them now.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn values(&self, metric: &str) -> Result<Vec<String>> {
        let request = http::Request::get(format!("/api/v1/query?query={metric}")).body(Vec::new())?;
        let answer: Value = serde_json::from_str(&self.client.request_text(request).await?)?;
        let samples = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(samples.iter().filter_map(|sample| sample["value"][1].as_str().map(str::to_owned)).collect())
    }
}

/// A port of this machine that was free a moment ago.
async fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}
