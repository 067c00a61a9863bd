//! What stands between the operator and the API server where a test wants it: it passes calls on in the operator's name, but
//! for those that it spoils.
//!
//! It speaks HTTP on the loopback interface and asks nobody who they are: as long as it stands there, whoever is on this
//! machine may do what the operator may. With the API server it speaks TLS as the operator does, and sends each call once.
//! Started and told what goes wrong by the scenarios of `spoiled` and by the chaos run.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use kube::Client;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::kube_api::KubeApi;

/// One of so many calls is spoiled.
const OF: u64 = 3;
/// How late each piece of news is.
const LATE: Duration = Duration::from_millis(200);
/// What concerns one connection, of which there are two.
const OF_THE_CONNECTION: [HeaderName; 3] = [header::CONNECTION, header::TRANSFER_ENCODING, header::HOST];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The API server has too much to do: 429.
    TooManyRequests,
    /// It fails: 500.
    InternalError,
    /// What is changed was changed by another: 409.
    Conflict,
    /// What was to be changed is changed, but the answer is lost on the way: 504.
    AnswerLost,
    /// News of watches comes late.
    SlowWatch,
}

impl Trouble {
    /// Whether a call of this method can have it.
    fn befalls(self, method: &Method) -> bool {
        match self {
            Self::TooManyRequests | Self::InternalError => true,
            // Two who make the same object are told otherwise.
            Self::Conflict => matches!(*method, Method::PUT | Method::PATCH),
            Self::AnswerLost => *method != Method::GET,
            Self::SlowWatch => false,
        }
    }

    /// What the API server would say.
    fn answer(self) -> Response {
        let (code, reason) = match self {
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::InternalError => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Self::Conflict => (StatusCode::CONFLICT, "Conflict"),
            Self::AnswerLost | Self::SlowWatch => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "spoiled on the way", "reason": reason, "code": code.as_u16(),
        });
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::RETRY_AFTER, "1")];
        (code, headers, status.to_string()).into_response()
    }
}

/// It, until it is dropped.
#[derive(Debug)]
pub struct Between {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<Spoiling>>,
    serving: JoinHandle<()>,
}

/// What goes wrong now, and what has.
#[derive(Debug, Default)]
struct Spoiling {
    trouble: Option<Trouble>,
    /// Calls that could have had it.
    calls: u64,
    spoiled: BTreeMap<Trouble, usize>,
}

impl Spoiling {
    /// What spoils this call, if anything does.
    fn of_call(&mut self, method: &Method) -> Option<Trouble> {
        let trouble = self.trouble.filter(|trouble| trouble.befalls(method))?;
        self.calls += 1;
        is_hit(self.calls).then(|| self.counted(trouble))
    }

    /// Whether this piece of news is late.
    fn is_late(&mut self) -> bool {
        let late = self.trouble.filter(|trouble| *trouble == Trouble::SlowWatch);
        late.map(|trouble| self.counted(trouble)).is_some()
    }

    fn counted(&mut self, trouble: Trouble) -> Trouble {
        *self.spoiled.entry(trouble).or_default() += 1;
        trouble
    }
}

/// Whether the call of this number is spoiled: one of so many, at irregular distances. At regular ones callers that keep
/// time with each other would be hit always or never.
fn is_hit(call: u64) -> bool {
    (call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(OF)
}

impl Drop for Between {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Between {
    /// Begins to pass on what arrives, as whoever this kubeconfig is of.
    ///
    /// # Errors
    /// When the kubeconfig is not usable, or no port is free.
    pub async fn start(kubeconfig: &Path) -> Result<Self> {
        let client = KubeApi::that_sends_once(kubeconfig).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port to stand between at")?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<Spoiling>>::default();
        let router = Router::new().fallback(pass).with_state((client, Arc::clone(&state)));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                println!("what stands before the API server ended: {error}");
            }
        });
        Ok(Self { address, state, serving })
    }

    /// From now on this goes wrong, or nothing.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        lock(&self.state).trouble = trouble;
    }

    /// How many calls each trouble has spoiled so far; of slow watches, pieces of news.
    pub fn spoiled(&self) -> BTreeMap<Trouble, usize> {
        lock(&self.state).spoiled.clone()
    }
}

fn lock(state: &Mutex<Spoiling>) -> MutexGuard<'_, Spoiling> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes one call on.
async fn pass(State((client, state)): State<(Client, Arc<Mutex<Spoiling>>)>, request: Request) -> Response {
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let trouble = lock(&state).of_call(request.method());
    if let Some(trouble) = trouble.filter(|trouble| *trouble != Trouble::AnswerLost) {
        return trouble.answer();
    }
    match passed_on(&client, request).await {
        Ok(_) if trouble.is_some() => Trouble::AnswerLost.answer(),
        Ok(answer) if is_watch => slowed(answer, state),
        Ok(answer) => answer,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn passed_on(client: &Client, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    // Its own, which the client gives it again.
    parts.headers.remove(header::AUTHORIZATION);
    for name in &OF_THE_CONNECTION {
        parts.headers.remove(name);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    let answer = client.send(http::Request::from_parts(parts, body.to_vec().into())).await?;
    let (mut parts, body) = answer.into_parts();
    for name in &OF_THE_CONNECTION {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// The same answer, each piece of it late while watches are slow.
fn slowed(answer: Response, state: Arc<Mutex<Spoiling>>) -> Response {
    let (parts, body) = answer.into_parts();
    let pieces = body.into_data_stream().then(move |piece| {
        let late = lock(&state).is_late();
        async move {
            if late {
                tokio::time::sleep(LATE).await;
            }
            piece
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
