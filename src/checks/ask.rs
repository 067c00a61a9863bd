//! Asking a server: one GET, bounded in time and size, that follows no redirect and sends no credentials.
//!
//! A connection serves one question: checks are rare, and what is closed costs no memory. Certificates are verified
//! against the roots of the system (SSL_CERT_FILE names others). No proxy is used, whatever the environment says.

use std::{sync::OnceLock, time::Duration};

use borealis_core::model::{Check, Source};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::answer::{Reading, of_document, of_query};
use crate::outbound::{causes, verified};

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 128 * 1024;
/// The most bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;

/// The body of a question: none.
type Nothing = String;
type Tls = Client<HttpsConnector<HttpConnector>, Nothing>;

/// Asks servers. One for the process.
pub(super) struct Asker {
    plain: Client<HttpConnector, Nothing>,
    /// Made when it is first needed: the roots are some hundred KiB.
    tls: OnceLock<Result<Tls, String>>,
}

impl Default for Asker {
    fn default() -> Self {
        Self { plain: client(HttpConnector::new()), tls: OnceLock::new() }
    }
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Asker {
    /// Measures a check once.
    pub(super) async fn measure(&self, check: &Check) -> Reading {
        let seconds = check.timeout_seconds;
        let measured = async {
            Ok::<_, String>(match &check.source {
                Source::Http { url, json_path } => of_document(self.get(url).await?, json_path, &check.must),
                Source::Prometheus { address, query, when_no_data } => {
                    let answer = self.get(&question(address, query, seconds)).await?;
                    of_query(answer, *when_no_data, &check.must)
                }
            })
        };
        match timeout(Duration::from_secs(seconds.into()), measured).await {
            Ok(Ok(reading)) => reading,
            Ok(Err(why)) => Reading::unanswered(&why),
            Err(_) => Reading::unanswered(&format!("no answer within {seconds} s")),
        }
    }

    async fn get(&self, url: &str) -> Result<Answer, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        let is_tls = uri.scheme_str() == Some("https");
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("borealis/", env!("CARGO_PKG_VERSION")))
            .body(Nothing::new())
            .map_err(|error| error.to_string())?;
        let asked = if is_tls { self.tls()?.request(request) } else { self.plain.request(request) };
        let answer = asked.await.map_err(|error| format!("no answer: {}", causes(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return format!("the answer has more than {} KiB", MAX_ANSWER / 1024);
            }
            format!("the answer breaks off: {}", causes(&*error))
        })?;
        Ok(Answer { status: head.status, body: body.to_bytes().to_vec() })
    }

    fn tls(&self) -> Result<&Tls, String> {
        self.tls.get_or_init(|| verified().map(client)).as_ref().map_err(Clone::clone)
    }
}

fn client<C>(connector: C) -> Client<C, Nothing>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .http1_max_buf_size(MAX_HEAD)
        .build(connector)
}

/// The URL of an instant query that the server gives up when we do.
fn question(address: &str, query: &str, seconds: u32) -> String {
    let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
    format!("{}/api/v1/query?query={query}&timeout={seconds}s", address.trim_end_matches('/'))
}
