//! Whether the operator's rights are what it needs: what it asked of the API server in a run, against what its roles allow.
//!
//! What it asked is what the API server recorded, refusals as well; what it may is what is installed. Called by the binary
//! `borealis-e2e` at the end of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{BufRead, BufReader},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use serde::Deserialize;

use crate::{
    operator::{ACCOUNT, NAMESPACE},
    report::{Line, Outcome},
    world::World,
};

/// The operator, as the API server calls it.
pub const OPERATOR: &str = "system:serviceaccount:borealis-system:borealis";

/// Rights that no call shows: an admission plugin of some clusters asks for them when an owner is named.
const OF_OWNERS: &str = "/finalizers";
/// Rights that the API server asks for where an apply makes the object, of which it records the patch alone.
const OF_APPLIES: [&str; 2] = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];
/// What a namespace may grant or not: scenarios are about both.
const OF_NAMESPACES: &str = "secrets";

/// A way to use the API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    /// With its subresource, if it has one.
    resource: String,
    verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

impl Right {
    /// Whether no call shows that it was used.
    fn leaves_no_trace(&self) -> bool {
        self.resource.ends_with(OF_OWNERS) || self.verb == "create" && OF_APPLIES.contains(&&*self.resource)
    }
}

/// A call as the API server records it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    verb: String,
    /// None of what is no object, such as the API's own description.
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    granted: BTreeSet<Right>,
    refused: BTreeSet<Right>,
}

/// The verdict, as that of a scenario. `whole` is a run of everything: what it did not use, nobody needs.
pub async fn line(world: &World, whole: bool) -> Line {
    let begin = Instant::now();
    let (outcome, notes) = match judge(world, whole).await {
        Ok(note) => (Outcome::Passed, vec![note]),
        Err(error) => (Outcome::Failed(format!("{error:#}")), Vec::new()),
    };
    Line { name: "rights", outcome, took: begin.elapsed(), notes }
}

async fn judge(world: &World, whole: bool) -> Result<String> {
    let client = &world.kube.client;
    let everywhere: Api<ClusterRole> = Api::all(client.clone());
    let at_home: Api<Role> = Api::namespaced(client.clone(), NAMESPACE);
    let rules = [everywhere.get(ACCOUNT).await?.rules, at_home.get(ACCOUNT).await?.rules];
    let given = given(rules.into_iter().flatten().flatten());
    let asked = read(&world.cluster.audit())?;
    if asked.granted.is_empty() {
        bail!("nothing of {OPERATOR} is recorded in {}", world.cluster.audit().display());
    }
    // An API server that has just begun refuses what it will allow.
    let missing: Vec<_> =
        asked.refused.difference(&asked.granted).filter(|right| right.resource != OF_NAMESPACES).collect();
    let unused: Vec<_> = given.difference(&asked.granted).filter(|right| !right.leaves_no_trace()).collect();
    let list = |rights: &[&Right]| rights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        bail!("the operator asked for what it may not do: {}", list(&missing));
    }
    if whole && !unused.is_empty() {
        bail!("the operator may do what it never did: {}", list(&unused));
    }
    Ok(format!("{} rights, {} of them used", given.len(), given.intersection(&asked.granted).count()))
}

fn given(rules: impl Iterator<Item = PolicyRule>) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let right = |verb: &String| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                };
                all.extend(rule.verbs.iter().map(right));
            }
        }
    }
    all
}

fn read(path: &Path) -> Result<Asked> {
    let file =
        std::fs::File::open(path).with_context(|| format!("no calls are recorded in {}", path.display()))?;
    let mut asked = Asked::default();
    for line in BufReader::new(file).lines() {
        asked.add(serde_json::from_str(&line?).context("a recorded call can't be read")?);
    }
    Ok(asked)
}

impl Asked {
    fn add(&mut self, call: Call) {
        let Some(ObjectRef { api_group, resource, subresource }) = call.object_ref else { return };
        let slash = if subresource.is_empty() { "" } else { "/" };
        let right =
            Right { group: api_group, resource: format!("{resource}{slash}{subresource}"), verb: call.verb };
        let decision = call.annotations.get("authorization.k8s.io/decision").map(String::as_str);
        let place = if decision == Some("allow") { &mut self.granted } else { &mut self.refused };
        place.insert(right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_call_is_a_right_that_was_used_or_refused() {
        let call = |text: &str| serde_json::from_str::<Call>(text).unwrap();
        let mut asked = Asked::default();
        asked.add(call(
            r#"{"verb":"patch","objectRef":{"resource":"pods","subresource":"status","namespace":"a","name":"b"},
                "responseStatus":{"code":409},"annotations":{"authorization.k8s.io/decision":"allow"}}"#,
        ));
        asked.add(call(
            r#"{"verb":"get","objectRef":{"resource":"tiers","apiGroup":"borealis.dev"},
                "annotations":{"authorization.k8s.io/decision":"forbid","authorization.k8s.io/reason":""}}"#,
        ));
        asked.add(call(r#"{"verb":"get","requestURI":"/version"}"#));
        let words = |rights: &BTreeSet<Right>| rights.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words(&asked.granted), ["patch pods/status"]);
        assert_eq!(words(&asked.refused), ["get tiers.borealis.dev"]);
    }

    #[test]
    fn a_rule_gives_each_verb_on_each_of_its_resources() {
        let rule = PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["pods".into(), "services".into()]),
            verbs: vec!["get".into(), "list".into()],
            ..PolicyRule::default()
        };
        let all: Vec<_> = given([rule].into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(all, ["get pods", "list pods", "get services", "list services"]);
    }
}
