//! What is counted of calls to the API server.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::Metrics;

/// What a call to the API server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(missing_docs, reason = "the API's own verbs")]
#[allow(non_camel_case_types, reason = "a label value is spelled as its variant")]
pub enum Verb {
    get,
    list,
    create,
    update,
    patch,
    delete,
}

impl Verb {
    const ALL: [Self; 6] = [Self::get, Self::list, Self::create, Self::update, Self::patch, Self::delete];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: Verb,
    code: String,
}

/// What counts of calls.
#[derive(Default)]
pub(super) struct Calls {
    calls: Family<Call, Counter>,
    fenced: Counter,
    term_refusals: Counter,
    conflicts: Counter,
}

impl Calls {
    pub(super) fn register(&self, r: &mut Registry) {
        let calls = "Calls to the API server but for watches, by verb and answer";
        r.register("api_calls", calls, self.calls.clone());
        r.register("fenced_writes", "Writes held back because the lease was not ours", self.fenced.clone());
        let refused = "Writes that the API server refused by the policy borealis-term";
        r.register("term_refusals", refused, self.term_refusals.clone());
        r.register("conflicts", "Writes refused because the object had changed", self.conflicts.clone());
    }

    pub(super) fn start_at_zero(&self) {
        for verb in Verb::ALL {
            for code in ["200", "409", "429", "500", "timeout", "broken"] {
                let _ = self.calls.get_or_create(&Call { verb, code: code.to_owned() });
            }
        }
    }
}

impl Metrics {
    /// A call was answered: an HTTP status code, `timeout` or `broken`.
    pub fn call(&self, verb: Verb, code: &str) {
        self.0.calls.calls.get_or_create(&Call { verb, code: code.to_owned() }).inc();
    }

    /// A call was answered so.
    pub fn answered<T>(&self, verb: Verb, answer: &kube::Result<T>) {
        match answer {
            Ok(_) => self.call(verb, "200"),
            Err(kube::Error::Api(status)) => self.call(verb, &status.code.to_string()),
            // Kube's own enum: the connection broke, or the answer can't be read.
            Err(_) => self.call(verb, "broken"),
        }
    }

    /// A write was held back by the fence.
    pub fn fenced(&self) {
        self.0.calls.fenced.inc();
    }

    /// A write was refused by the policy that fences terms.
    pub fn term_refused(&self) {
        self.0.calls.term_refusals.inc();
    }

    /// A write was refused because the object had changed.
    pub fn conflict(&self) {
        self.0.calls.conflicts.inc();
    }
}
