//! A program that is measured: an HTTP server of this machine whose share of errors a scenario sets.
//!
//! It tells the share as JSON for checks by HTTP, and as metrics for a Prometheus. Started by scenarios about checks.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use axum::{Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};

/// The gauge it tells: a sample for each of its two shards.
pub const METRIC: &str = "web_error_ratio";

/// The program, until it is dropped.
pub struct Measured {
    /// Where it listens.
    pub address: SocketAddr,
    /// Errors in a thousand.
    errors: Arc<AtomicU32>,
    serving: JoinHandle<()>,
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Measured {
    /// A program without errors.
    ///
    /// # Errors
    /// When it can't listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port to be measured at")?;
        let address = listener.local_addr()?;
        let errors = Arc::<AtomicU32>::default();
        let (of_status, of_metrics) = (Arc::clone(&errors), Arc::clone(&errors));
        let status = move || async move { format!("{{\"errors\": {{\"rate\": {}}}}}", share(&of_status)) };
        let metrics = move || async move {
            let share = share(&of_metrics);
            format!("# TYPE {METRIC} gauge\n{METRIC}{{shard=\"a\"}} 0\n{METRIC}{{shard=\"b\"}} {share}\n")
        };
        let router = Router::new().route("/status", get(status)).route("/metrics", get(metrics));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                println!("the measured program ended: {error}");
            }
        });
        Ok(Self { address, errors, serving })
    }

    /// From now on so many of a thousand requests fail.
    pub fn errors_in_a_thousand(&self, errors: u32) {
        self.errors.store(errors, Ordering::SeqCst);
    }
}

fn share(errors: &AtomicU32) -> f64 {
    f64::from(errors.load(Ordering::SeqCst)) / 1_000.0
}
