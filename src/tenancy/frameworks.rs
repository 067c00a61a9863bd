//! Frameworks as admission policies: the API server itself ranks the Pods that foreign systems make.
//!
//! A class, its value and its policy of preemption are set together, since the API server has filled in those of a Pod
//! without a class before any policy sees it. Whether the role may use the tier is not asked here: where it may not, the
//! policy of `deploy/` refuses the Pod in words.

use std::{collections::BTreeMap, sync::Arc};

use borealis_core::model::Tier;
use k8s_openapi::{
    api::admissionregistration::v1::{
        ApplyConfiguration, MatchCondition, MatchResources, MutatingAdmissionPolicy,
        MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, MutatingAdmissionPolicySpec,
        Mutation, NamedRuleWithOperations, Variable,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::{
    cel::{selects, text, texts},
    classes::policy,
    owned_by,
};
use crate::{
    api::{Framework, framework::FrameworkSpec, labels, tier::class_name},
    index::{Object, Tenancy},
};

/// What the names of the policies begin with.
const PREFIX: &str = "borealis-framework-";
/// The label by which a namespace is selected by its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// Name of a framework's policy and of its binding.
#[must_use]
pub fn policy_name(framework: &str) -> String {
    format!("{PREFIX}{framework}")
}

/// A framework's policy and what binds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The policy.
    pub policy: MutatingAdmissionPolicy,
    /// Its binding.
    pub binding: MutatingAdmissionPolicyBinding,
}

/// Why a framework can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrenderable {
    /// A tier that it gives is not there.
    #[error("there is no usable Tier {0}; make it, or name another")]
    TierMissing(String),
    /// A selector can't be read.
    #[error("{field}: the selector has an operator that is none; use In, NotIn, Exists or DoesNotExist")]
    Selector {
        /// Which.
        field: String,
    },
}

/// The tiers that a framework gives to Pods, each once: those of its entries, and its own.
#[must_use]
pub fn tiers(spec: &FrameworkSpec, tenancy: &Tenancy) -> Vec<String> {
    let own = own_tier(spec, tenancy);
    let mut all: Vec<String> =
        spec.pods.iter().map(|kind| kind.tier.clone().unwrap_or_else(|| own.clone())).collect();
    all.push(own);
    all.sort();
    all.dedup();
    all
}

/// The tier of Pods that no entry is about.
fn own_tier(spec: &FrameworkSpec, tenancy: &Tenancy) -> String {
    let default = || tenancy.role_named(&spec.role).default_tier.to_string();
    spec.tier.clone().unwrap_or_else(default)
}

/// The policy and the binding of a framework; `operator` is the account whose Pods it leaves alone.
///
/// # Errors
/// When a tier is missing, or a selector can't be read.
pub fn render(
    object: &Object,
    spec: &FrameworkSpec,
    tenancy: &Tenancy,
    operator: &str,
) -> Result<Rendered, Unrenderable> {
    let own = own_tier(spec, tenancy);
    let find = |name: &str| tenancy.tier(name).ok_or_else(|| Unrenderable::TierMissing(name.to_owned()));
    let (mut ranks, mut kind) = (Vec::new(), String::new());
    for (nth, entry) in spec.pods.iter().enumerate() {
        let field = || format!("spec.pods[{nth}].selector");
        let test = selects(&entry.selector, "variables.labels")
            .ok_or_else(|| Unrenderable::Selector { field: field() })?;
        kind.push_str(&format!("({test}) ? {nth} : "));
        ranks.push((find(entry.tier.as_deref().unwrap_or(&own))?, entry.priority.unwrap_or(spec.priority)));
    }
    kind.push_str(&ranks.len().to_string());
    ranks.push((find(&own)?, spec.priority));

    let name = policy_name(&object.name);
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        labels: Some([(labels::MANAGED_BY.to_owned(), labels::MANAGED_BY_VALUE.to_owned())].into()),
        owner_references: Some(vec![owned_by::<Framework>(object)]),
        ..ObjectMeta::default()
    };
    let is_claimed = tenancy.roles().any(|row| *row.object.name == *spec.role);
    let variable = |name: &str, expression: String| Variable { name: name.to_owned(), expression };
    let policy = MutatingAdmissionPolicy {
        metadata: metadata.clone(),
        spec: Some(MutatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            reinvocation_policy: Some("IfNeeded".to_owned()),
            match_constraints: Some(constraints(spec)),
            match_conditions: Some(conditions(spec, operator)),
            variables: Some(vec![
                variable("labels", "object.metadata.?labels.orValue({})".to_owned()),
                variable("role", role_of_namespace(is_claimed)),
                variable("kind", kind),
            ]),
            mutations: Some(vec![Mutation {
                patch_type: "ApplyConfiguration".to_owned(),
                apply_configuration: Some(ApplyConfiguration {
                    expression: Some(mutation(&object.name, &spec.role, &ranks)),
                }),
                json_patch: None,
            }]),
            ..MutatingAdmissionPolicySpec::default()
        }),
    };
    let binding = MutatingAdmissionPolicyBinding {
        metadata,
        spec: Some(MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(name),
            ..MutatingAdmissionPolicyBindingSpec::default()
        }),
    };
    Ok(Rendered { policy, binding })
}

/// The role that the Pod's namespace belongs to, as the operator has written it there. Without that it is its own name's,
/// but for an AuroraRole of that name: a namespace that merely has its name is not its own.
fn role_of_namespace(is_claimed: bool) -> String {
    let own = if is_claimed { "''" } else { "namespaceObject.metadata.name" };
    format!("namespaceObject.metadata.?annotations[?{}].orValue({own})", text(labels::ROLE))
}

/// Which requests it is about at all.
fn constraints(spec: &FrameworkSpec) -> MatchResources {
    let of_names = |names: &[String]| LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: NAME.to_owned(),
            operator: "In".to_owned(),
            values: Some(names.to_vec()),
        }]),
    };
    MatchResources {
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(match spec.namespaces.as_slice() {
            [] => LabelSelector::default(),
            names => of_names(names),
        }),
        object_selector: Some(spec.pod_selector.clone().unwrap_or_default()),
        resource_rules: Some(vec![NamedRuleWithOperations {
            api_groups: Some(vec![String::new()]),
            api_versions: Some(vec!["v1".to_owned()]),
            operations: Some(vec!["CREATE".to_owned()]),
            resources: Some(vec!["pods".to_owned()]),
            scope: Some("Namespaced".to_owned()),
            resource_names: None,
        }]),
        exclude_resource_rules: None,
    }
}

fn conditions(spec: &FrameworkSpec, operator: &str) -> Vec<MatchCondition> {
    let condition = |name: &str, expression: String| MatchCondition { name: name.to_owned(), expression };
    let user = "request.userInfo.username";
    let mut all = vec![
        condition("not-of-borealis", format!("{user} != {}", text(operator))),
        // A kubelet shows its static Pods as they are.
        condition("not-of-a-node", format!("!{user}.startsWith('system:node:')")),
    ];
    if !spec.service_accounts.is_empty() {
        let users: Vec<String> = spec
            .service_accounts
            .iter()
            .map(|account| format!("system:serviceaccount:{}:{}", account.namespace, account.name))
            .collect();
        let users = texts(users.iter().map(String::as_str));
        all.push(condition("of-its-accounts", format!("{user} in {users}")));
    }
    all
}

/// How a kind of Pods ranks: its tier, and its priority in the role.
type Rank = (Arc<Tier>, i32);

/// What is set, by the kind of the Pod.
fn mutation(framework: &str, role: &str, ranks: &[Rank]) -> String {
    let of = |show: &dyn Fn(&Rank) -> String| {
        let all: Vec<String> = ranks.iter().map(show).collect();
        format!("[{}][variables.kind]", all.join(", "))
    };
    let set: BTreeMap<&str, String> = [
        (labels::FRAMEWORK, text(framework)),
        (labels::ROLE, text(role)),
        (labels::TIER, of(&|(tier, _)| text(&tier.name))),
        (labels::PRIORITY, of(&|(_, priority)| text(&priority.to_string()))),
    ]
    .into();
    let set: Vec<String> = set.iter().map(|(key, value)| format!("{}: {value}", text(key))).collect();
    let class = of(&|(tier, _)| text(&class_name(&tier.name, tier.band)));
    let value = of(&|(tier, _)| tier.band.to_string());
    let preemption = of(&|(tier, _)| text(policy(tier)));
    format!(
        "variables.role == {} ? Object{{metadata: Object.metadata{{labels: {{{}}}}}, spec: Object.spec{{\
         priorityClassName: {class}, priority: {value}, preemptionPolicy: {preemption}}}}} : Object{{}}",
        text(role),
        set.join(", "),
    )
}
