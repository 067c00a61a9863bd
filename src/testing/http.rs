//! From a request of kube's client to the store, and back.

use std::convert::Infallible;

use axum::body::Body;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{
    Answer, Call, Effect, FakeApi,
    faults::strike,
    lock,
    request::Request,
    selector::Selector,
    store::Deletion,
    store::KINDS,
    watch::{hang, watch},
};

impl FakeApi {
    pub(super) async fn answer(
        self,
        request: http::Request<kube::client::Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        // A task that is dropped while it waits must not have done its call, as little as after a lost connection.
        tokio::task::yield_now().await;
        let request = match Request::read(&parts, &body) {
            Ok(request) => request,
            Err(answer) => return Ok(respond(Err(answer))),
        };
        let effect = strike(&mut lock(&self.0.faults), &request);
        Ok(match effect {
            None => self.serve(&request),
            Some(Effect::Refuse(answer)) => {
                self.log(&request, answer.code);
                respond(Err(answer))
            }
            Some(Effect::DoneBut(answer)) => {
                drop(self.serve(&request));
                respond(Err(answer))
            }
            Some(Effect::Hang) => {
                hang().await;
                respond(Err(Answer::new(504, "Timeout", "hung")))
            }
            Some(Effect::DoneAndHang) => {
                drop(self.serve(&request));
                hang().await;
                respond(Err(Answer::new(504, "Timeout", "hung")))
            }
        })
    }

    fn serve(&self, request: &Request) -> Response<Body> {
        let selector = Selector::new(request.parameter("labelSelector"), request.parameter("fieldSelector"));
        if request.verb == "watch" {
            self.log(request, 200);
            return Response::new(watch(self, request, selector));
        }
        let answer = self.act(request, &selector);
        self.log(request, answer.as_ref().err().map_or(200, |answer| answer.code));
        respond(answer)
    }

    fn act(&self, request: &Request, selector: &Selector) -> Result<Value, Answer> {
        let place = &request.place;
        let status = request.subresource == "status";
        let mut store = lock(&self.0.store);
        let answer = match request.verb {
            "list" if place.resource == "version" => {
                Ok(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3"}))
            }
            "get" => store
                .get(place)
                .map(|object| shown(object, request.partial))
                .ok_or_else(|| Answer::missing(place)),
            // Discovery: which kinds of a group are served.
            "list" if place.resource.is_empty() => {
                let kinds = KINDS.map(|name| {
                    json!({
                        "name": name, "singularName": "", "namespaced": true, "kind": name, "verbs": ["get"],
                    })
                });
                Ok(
                    json!({"kind": "APIResourceList", "groupVersion": "borealis.dev/v1alpha1", "resources": kinds}),
                )
            }
            "list" => {
                let about = |object: &&Value| {
                    (place.namespace.is_empty() || object["metadata"]["namespace"] == *place.namespace)
                        && selector.matches(object)
                };
                let items: Vec<_> = store
                    .all(&place.resource)
                    .filter(about)
                    .map(|object| shown(object, request.partial))
                    .collect();
                Ok(json!({"kind": "List", "apiVersion": "v1", "items": items,
                          "metadata": {"resourceVersion": store.version().to_string()}}))
            }
            "evict" => {
                let uid = request.body["deleteOptions"]["preconditions"]["uid"].as_str().map(str::to_owned);
                let deletion = Deletion { uid, ..Deletion::default() };
                store.delete(place, &deletion).map(|_| Answer::new(201, "", "").object())
            }
            "create" | "dry-run" => {
                let mut object = request.body.clone();
                object["metadata"]["namespace"] = json!(place.namespace);
                match request.verb {
                    "create" => store.create(&place.resource, object),
                    _ => store.check_create(&place.resource, &object).map(|()| object),
                }
            }
            "update" => store.update(place, request.body.clone(), status),
            "patch" => store.patch(place, &request.content, &request.body, status),
            "delete" => {
                let preconditions = &request.body["preconditions"];
                let text = |field: &str| preconditions[field].as_str().map(str::to_owned);
                let deletion = Deletion {
                    uid: text("uid"),
                    resource_version: text("resourceVersion"),
                    grace: request.body["gracePeriodSeconds"].as_i64(),
                };
                store.delete(place, &deletion).map(|(object, _)| object)
            }
            verb => Err(Answer::new(405, "MethodNotAllowed", verb)),
        };
        self.0.changed.send_replace(store.version());
        answer
    }

    fn log(&self, request: &Request, code: u16) {
        let mut place = request.place.clone();
        if place.name.is_empty()
            && let Some(name) = request.body["metadata"]["name"].as_str()
        {
            name.clone_into(&mut place.name);
        }
        let (verb, subresource, body) = (request.verb, request.subresource.clone(), request.body.clone());
        lock(&self.0.calls).push(Call { verb, place, subresource, body, code });
    }
}

/// An object as it is shown: whole, or its metadata only.
pub(super) fn shown(object: &Value, partial: bool) -> Value {
    if !partial {
        return object.clone();
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn respond(answer: Result<Value, Answer>) -> Response<Body> {
    let (code, body) = match answer {
        Ok(object) => (200, object),
        Err(answer) => (answer.code, answer.object()),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
