//! Parsers of the operator, taken from its sources by themselves: built for fuzzing, all that the operator depends on takes
//! many minutes.
#![allow(dead_code, missing_docs)]

#[path = "."]
pub mod api {
    #[path = "../../src/api/amounts.rs"]
    pub mod amounts;
    #[path = "../../src/api/json_path.rs"]
    pub(crate) mod json_path;
    #[path = "../../src/api/quantity.rs"]
    pub mod quantity;
}

#[path = "."]
pub mod checks {
    use borealis_core::model::{Must, NoData};

    #[path = "../../src/checks/answer.rs"]
    mod answer;
    #[path = "../../src/checks/hosts.rs"]
    mod hosts;

    pub use hosts::Hosts;

    /// What the part has in its place that asks.
    mod ask {
        pub(in crate::checks) struct Answer {
            pub(in crate::checks) status: http::StatusCode,
            pub(in crate::checks) body: Vec<u8>,
        }
    }

    /// What an answer of status 200 comes to, as is told: of a document, and of a query.
    pub fn told(body: &[u8], path: &str, must: &Must) -> [String; 2] {
        let answer = || ask::Answer { status: http::StatusCode::OK, body: body.to_vec() };
        let readings =
            [answer::of_document(answer(), path, must), answer::of_query(answer(), NoData::Fail, must)];
        readings.map(|reading| {
            assert!(!reading.holds() || reading.kind == answer::Kind::Holds);
            format!("{}{}", reading.value, reading.message)
        })
    }

    /// Whether these hosts may be asked at this URL.
    pub fn may_ask(hosts: &Hosts, url: &str) -> bool {
        hosts.refuse(url).is_none()
    }
}
