//! What the API server must bring: a version we know, our kinds, and the fence of terms.
//!
//! Asked at the start, before anything is watched. What is missing is said and waited for, since an installer may be
//! at it; a version that is too old ends the program. The admission policies are applied by whoever installs
//! (`deploy/`): the operator needs no right to change them. Whether the fence binds it is looked at once a term.

use std::time::Duration;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::version::Info};
use kube::{Api, Client, Resource, api::PostParams};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::{
    api::{
        AuroraCron, AuroraJob, AuroraRole, AuroraService, AuroraUpdate, Framework, GROUP, Tier, VERSION,
        labels,
    },
    apply::TERM_POLICY,
};

/// Between two looks at what is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The oldest minor version of Kubernetes 1 that brings what we need: resourceVersions that may be compared.
const OLDEST: u32 = 35;
/// The one that all tests run on.
const TESTED: u32 = 36;

/// The API server can't be worked with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kubernetes {found} is too old: use 1.{TESTED}; 1.{OLDEST} is the oldest with what is needed")]
pub struct TooOld {
    pub(crate) found: String,
}

/// Whether a version can be worked with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// All tests run on it.
    Tested,
    /// It brings what is needed; nobody has tried.
    Untested,
    /// It lacks what is needed.
    None,
}

/// Waits for an API server that answers, and judges its version.
///
/// # Errors
/// When it is too old.
pub async fn check_version(client: &Client) -> Result<(), TooOld> {
    let version = loop {
        match client.apiserver_version().await {
            Ok(version) => break version,
            Err(error) => warn!(%error, "the API server does not say its version; asking again"),
        }
        sleep(LOOK_AGAIN).await;
    };
    let found = format!("{}.{}", version.major, version.minor);
    match judge(&version) {
        Support::Tested => info!(version = found, "the API server brings all that is needed"),
        Support::Untested => {
            warn!(version = found, "this Kubernetes should do, but is not tested; 1.{TESTED} is");
        }
        Support::None => return Err(TooOld { found }),
    }
    Ok(())
}

pub(crate) fn judge(version: &Info) -> Support {
    // Some distributions write "36+".
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>();
    match (number(&version.major), number(&version.minor)) {
        (Ok(1), Ok(TESTED)) => Support::Tested,
        (Ok(1), Ok(OLDEST..)) | (Ok(2..), Ok(_)) => Support::Untested,
        _ => Support::None,
    }
}

/// Waits until our kinds are served.
pub async fn wait_for_kinds(client: &Client) {
    let mut said = String::new();
    loop {
        let unknown = |error| vec![format!("whatever the API server does not tell: {error}")];
        let missing = missing_kinds(client).await.unwrap_or_else(unknown);
        if missing.is_empty() {
            return;
        }
        let missing = missing.join(", ");
        if missing != said {
            warn!(missing, "custom resource definitions are missing; apply those in crds/. Waiting for them");
            said = missing;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Which of our kinds the API server does not serve.
///
/// # Errors
/// When it does not tell.
pub(crate) async fn missing_kinds(client: &Client) -> kube::Result<Vec<String>> {
    match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(served) => {
            let has = |plural: &str| served.resources.iter().any(|resource| resource.name == plural);
            let plurals = [
                AuroraService::plural(&()),
                AuroraUpdate::plural(&()),
                AuroraJob::plural(&()),
                AuroraCron::plural(&()),
                Tier::plural(&()),
                AuroraRole::plural(&()),
                Framework::plural(&()),
            ];
            let missing = plurals.iter().filter(|plural| !has(plural));
            Ok(missing.map(|plural| format!("{plural}.{GROUP}")).collect())
        }
        // What is no object is answered in plain text, which leaves the error without a reason.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(vec![format!("all of {GROUP}/{VERSION}")]),
        Err(error) => Err(error),
    }
}

/// Whether the API server keeps this process from making Pods of another term.
#[derive(Debug, PartialEq, Eq)]
enum Fenced {
    Yes,
    No,
    /// It answered otherwise.
    Unknown(String),
}

/// Looks whether the term fence binds this process, and says what to do if it does not. Nothing is made by it.
pub async fn check_fence(client: Client, namespace: String) {
    match try_fence(&client, &namespace).await {
        Fenced::Yes => debug!("the API server refuses Pods of another term"),
        Fenced::No => warn!(
            "the API server lets this account make Pods of another term: should this replica lose the lease \
             unnoticed, an instance may run twice. Apply deploy/20-access.yaml and deploy/30-term-fence.yaml, and \
             run as the account they name"
        ),
        Fenced::Unknown(why) => info!(why, "whether Pods of another term are refused could not be found out"),
    }
}

/// Asks to make a Pod of a term that cannot be, without having it made.
async fn try_fence(client: &Client, namespace: &str) -> Fenced {
    let pod = json!({
        "metadata": {"name": "borealis-term-fence", "labels": {labels::INSTANCE: "none", labels::TERM: "none"}},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "none", "image": "none.invalid/none",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let made = async {
        let pod: Pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let asked = timeout(LOOK_AGAIN, pods.create(&parameters, &pod)).await;
        asked.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())
    };
    match made.await {
        Ok(_) => Fenced::No,
        Err(why) if why.contains(&format!("'{TERM_POLICY}'")) => Fenced::Yes,
        Err(why) => Fenced::Unknown(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_judged() {
        let judge = |major: &str, minor: &str| {
            judge(&Info { major: major.to_owned(), minor: minor.to_owned(), ..Info::default() })
        };
        for (major, minor, expected) in [
            ("1", "36", Support::Tested),
            ("1", "36+", Support::Tested),
            ("1", "37", Support::Untested),
            ("2", "0", Support::Untested),
            ("1", "35", Support::Untested),
            ("1", "35+", Support::Untested),
            ("1", "34", Support::None),
            ("0", "36", Support::None),
            ("", "", Support::None),
            ("1", "x", Support::None),
        ] {
            assert_eq!(judge(major, minor), expected, "{major}.{minor}");
        }
        assert!(TooOld { found: "1.30".to_owned() }.to_string().contains("1.35"));
    }

    #[tokio::test(start_paused = true)]
    async fn whether_the_fence_binds_is_found_out_without_making_anything() {
        let api = crate::testing::FakeApi::new();
        assert_eq!(try_fence(&api.client(), "b").await, Fenced::No);
        let lease = json!({"metadata": {"name": "l", "namespace": "b"}, "spec": {"leaseTransitions": 2}});
        api.create("leases", lease);
        api.fence_terms("b", "l");
        assert_eq!(try_fence(&api.client(), "b").await, Fenced::Yes);
        let refusal = crate::testing::Answer::new(403, "Forbidden", "exceeded quota");
        let refusal = crate::testing::Effect::Refuse(refusal);
        api.inject(crate::testing::Fault::once("dry-run", "pods", refusal));
        assert!(matches!(try_fence(&api.client(), "b").await, Fenced::Unknown(why) if why.contains("quota")));
        assert!(api.all("pods").is_empty());
    }

    /// What is installed and what the operator goes by are written down twice: they must say the same.
    #[test]
    fn the_installed_fence_is_the_one_we_know() {
        use clap::Parser;
        use serde::Deserialize;
        use serde_yaml_ng::{Deserializer, Value};

        let documents = |text| Deserializer::from_str(text).map(|one| Value::deserialize(one).unwrap());
        let fence: Vec<Value> = documents(include_str!("../deploy/30-term-fence.yaml")).collect();
        let [policy, binding] = fence.as_slice() else { panic!("a policy and its binding") };
        assert_eq!(policy["metadata"]["name"], crate::apply::TERM_POLICY);
        assert_eq!(binding["spec"]["policyName"], crate::apply::TERM_POLICY);
        let account = documents(include_str!("../deploy/20-access.yaml")).next().unwrap();
        let name = |field: &str| account["metadata"][field].as_str().unwrap().to_owned();
        let user = format!("'system:serviceaccount:{}:{}'", name("namespace"), name("name"));
        let condition = policy["spec"]["matchConditions"][0]["expression"].as_str().unwrap();
        assert!(condition.ends_with(&user), "{condition}");
        // Without the Lease the policy refuses, before it asks who it is: so it must only ever see our Pods.
        let selector = &policy["spec"]["matchConstraints"]["objectSelector"]["matchExpressions"];
        assert_eq!(selector.as_sequence().map(Vec::len), Some(1));
        assert_eq!(selector[0]["key"], crate::api::labels::INSTANCE);
        assert_eq!(selector[0]["operator"], "Exists");
        let term = policy["spec"]["variables"][0]["expression"].as_str().unwrap();
        assert!(term.contains(crate::api::labels::TERM), "{term}");
        let given_up = policy["spec"]["variables"][3]["expression"].as_str().unwrap();
        let lose = crate::api::convert::word(&borealis_core::model::Intent::Lose);
        assert!(given_up.contains(&format!("[?'{}']", crate::api::labels::END_REASON)), "{given_up}");
        assert!(given_up.ends_with(&format!("== '{lose}'")), "{given_up}");

        // Who else is bound by the policies of tenancy is everybody but the same account.
        let policies: Vec<Value> = documents(include_str!("../deploy/35-tenancy.yaml")).collect();
        let text = serde_yaml_ng::to_string(&policies).unwrap();
        assert!(
            text.matches("system:serviceaccount:borealis-system").count()
                == text.matches(user.trim_matches('\'')).count()
        );
        for (policy, binding) in policies.iter().step_by(2).zip(policies.iter().skip(1).step_by(2)) {
            assert_eq!(policy["spec"]["failurePolicy"], "Fail");
            assert_eq!(policy["metadata"]["name"], binding["spec"]["policyName"]);
            assert_eq!(binding["spec"]["validationActions"][0], "Deny");
        }
        let of_pods = [labels::ROLE, labels::TIER, labels::PRIORITY, labels::FRAMEWORK];
        for key in of_pods.into_iter().chain(labels::OF_NAMESPACES) {
            assert!(text.contains(&format!("'{key}'")) || text.contains(&format!("''{key}''")), "{key}");
        }
        for key in [labels::CRON, labels::SCHEDULED_TIME, labels::KILL] {
            assert!(text.contains(&format!("'{key}'")) || text.contains(&format!("''{key}''")), "{key}");
        }
        let early = include_str!("../deploy/36-quota.yaml");
        for key in [labels::ROLE, labels::QUOTA, labels::PRODUCTION] {
            assert!(early.contains(&format!("'{key}'")), "{key}");
        }

        let defaults = crate::Settings::parse_from(["borealis"]);
        let lease = &binding["spec"]["paramRef"];
        assert_eq!(
            (&lease["name"], &lease["namespace"]),
            (&defaults.lease_name.into(), &name("namespace").into())
        );
    }
}
