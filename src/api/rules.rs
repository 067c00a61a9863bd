//! The CEL rules of the kinds: what a single field's schema cannot say, and the words of the refusal.
//!
//! Each message names the value and the remedy; the field is the rule's `fieldPath`, which the API
//! server prints first. Rules only run over bounded lists and strings (the bounds are set in
//! `schema`), or the API server would refuse the CRD as too costly. Only `schema` reads this.

mod checks;
mod constraints;
mod crons;
mod jobs;
mod tenancy;
mod updates;

pub(super) use crons::{cron, jobs_of_cron};
pub(super) use jobs::job;
pub(super) use tenancy::{framework, role, tier};
pub(super) use updates::record as update_record;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

/// Rules on the whole object and on its `spec`.
pub(super) struct Rules {
    /// `self` is the object; only its metadata.name and spec may be read.
    pub root: Vec<ValidationRule>,
    /// On the spec, and on what is in it.
    pub spec: Vec<Rule>,
}

/// A rule and where it stands.
///
/// The API server runs all of them at every write, also of a status, and only those whose place holds something. For each name
/// that a rule reads it lists all fields that might be beside it, some forty in a Pod's spec. So a rule stands as near as can be
/// to what it reads.
pub(super) struct Rule {
    /// What `self` is: the names on the way there from the spec, with dots between them; nothing for the spec.
    pub place: String,
    /// What holds there.
    pub rule: ValidationRule,
}

impl From<ValidationRule> for Rule {
    fn from(rule: ValidationRule) -> Self {
        Self { place: String::new(), rule }
    }
}

/// The Pod fields that are the operator's, how a value is printed, and what to do instead.
const OWNED: [(&str, &str, &str); 7] = [
    ("hostname", "\"%s\"", "the operator names each instance <name>-<instance>"),
    ("hostnameOverride", "\"%s\"", "the operator names each instance <name>-<instance>"),
    ("priorityClassName", "\"%s\"", "name a tier in spec.tier, which has a class of priority"),
    ("priority", "%d", "the tier in spec.tier says it; spec.priority ranks within the role"),
    ("preemptionPolicy", "\"%s\"", "the tier in spec.tier says who makes room"),
    ("nodeName", "\"%s\"", "use nodeSelector or affinity, so that the scheduler sees the Pod"),
    ("ephemeralContainers", "", "add ephemeral containers to a running Pod by kubectl debug"),
];
/// Those of a service that a job has another remedy for.
const OWNED_OF_SERVICES: [(&str, &str, &str); 2] = [
    ("subdomain", "\"%s\"", "set spec.discovery to {} for stable DNS names"),
    ("activeDeadlineSeconds", "%d", "a service runs for ever, and the operator ends Pods by this field"),
];

const INVALID: &str = "FieldValueInvalid";
const FORBIDDEN: &str = "FieldValueForbidden";

/// Rules of AuroraService.
pub(super) fn service() -> Rules {
    let mut spec = owned_fields(&OWNED_OF_SERVICES);
    spec.push(tier_name());
    spec.extend([reserved("template.metadata.labels"), reserved("template.metadata.annotations")]);
    spec.extend(health());
    spec.extend(updates::update());
    spec.extend(updates::scope());
    spec.extend(checks::checks());
    spec.extend(constraints::constraints());
    spec.push(one_of("sla", &["count", "percentage"]));
    Rules { root: vec![job_name("service", 45)], spec }
}

/// What a job of a kind may be called: its Pods and host names are named after it.
fn job_name(kind: &str, most: u32) -> ValidationRule {
    told(
        &format!(
            "self.metadata.name.size() <= {most} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
        ),
        &format!(
            "\"%s\" cannot name a {kind}; use at most {most} characters: a lower-case letter, then lower-case letters, \
             digits and dashes, no dash at the end"
        ),
        &["self.metadata.name"],
        ".metadata.name",
        INVALID,
    )
}

fn tier_name() -> Rule {
    tell(
        "tier",
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "\"%s\" cannot name a tier; use lower-case letters, digits and dashes, such as preemptible",
        &["self"],
        INVALID,
    )
}

fn flapping() -> Rule {
    let rule = told(
        "self.maxDelaySeconds >= self.initialDelaySeconds",
        "%d is less than initialDelaySeconds, %d; use at least that",
        &["self.maxDelaySeconds", "self.initialDelaySeconds"],
        ".maxDelaySeconds",
        INVALID,
    );
    Rule { place: "flapping".into(), rule }
}

fn health() -> Vec<Rule> {
    let mut rules = vec![
        one_of("health", &["http", "tcp", "exec"]),
        told(
            "!has(self.health) || !has(self.health.container) || \
             self.template.spec.containers.exists(c, c.name == self.health.container)",
            "\"%s\" is no container of spec.template; use one of %s",
            &["self.health.container", "self.template.spec.containers.map(c, c.name)"],
            ".health.container",
            INVALID,
        )
        .into(),
        tell(
            "health.http.path",
            "self.startsWith('/')",
            "\"%s\" is no path of a URL; begin it with a slash",
            &["self"],
            INVALID,
        ),
    ];
    for way in ["http", "tcp"] {
        let port = format!("self.health.{way}.port");
        let unset = format!("!has(self.health) || !has(self.health.{way})");
        // Names are compared, not containers: comparing those would be too costly.
        let checked = "c.name == (has(self.health.container) ? self.health.container : \
                       self.template.spec.containers[0].name)";
        let named = format!("has(c.ports) && c.ports.exists(p, has(p.name) && p.name == {port})");
        rules.push(
            told(
                &format!(
                    "{unset} || type({port}) != string || \
                     self.template.spec.containers.all(c, !({checked}) || ({named}))"
                ),
                "\"%s\" is no port of the checked container; give one of its ports this name, or use a port number",
                &[&port],
                &format!(".health.{way}.port"),
                INVALID,
            )
            .into(),
        );
        rules.push(tell(
            &format!("health.{way}.port"),
            "type(self) != int || (int(self) >= 1 && int(self) <= 65535)",
            "%d is no port; use a number from 1 to 65535, or the name of a port of the checked container",
            &["self"],
            INVALID,
        ));
    }
    rules
}

/// None of the fields that are the operator's is set; some are a kind's own.
fn owned_fields(own: &[(&str, &str, &str)]) -> Vec<Rule> {
    OWNED.iter().chain(own).map(|(field, print, remedy)| owned(field, print, remedy)).collect()
}

/// The field is the operator's and may not be set.
fn owned(field: &str, print: &str, remedy: &str) -> Rule {
    let place = format!("template.spec.{field}");
    if print.is_empty() {
        return say(&place, "false", &format!("{field} cannot be set; remove it: {remedy}"), FORBIDDEN);
    }
    let text = format!("{field} cannot be set, but is {print}; remove it: {remedy}");
    tell(&place, "false", &text, &["self"], FORBIDDEN)
}

/// No key of ours in these labels or annotations.
fn reserved(place: &str) -> Rule {
    let ours = "k, k.startsWith('borealis.dev/')";
    tell(
        place,
        &format!("!self.exists({ours})"),
        "holds %s; remove every key that begins with borealis.dev/, since the operator writes them",
        &[&format!("self.filter({ours})")],
        FORBIDDEN,
    )
}

/// Exactly one member of the union is set, if the union is there.
fn one_of(place: &str, members: &[&str]) -> Rule {
    let set: Vec<_> = members.iter().map(|m| format!("has(self.{m})")).collect();
    let is: Vec<_> = members.iter().map(|m| format!("(m == '{m}' && has(self.{m}))")).collect();
    let all: Vec<_> = members.iter().map(|m| format!("'{m}'")).collect();
    tell(
        place,
        &format!("[{}].filter(x, x).size() == 1", set.join(", ")),
        &format!(
            "must hold exactly one of {}, but holds %s; set one and remove the rest",
            members.join(", ")
        ),
        &[&format!("[{}].filter(m, {})", all.join(", "), is.join(" || "))],
        INVALID,
    )
}

/// A rule on what is at a place.
fn say(place: &str, rule: &str, message: &str, reason: &str) -> Rule {
    let rule = ValidationRule { field_path: None, ..said(rule, message, "", reason) };
    Rule { place: place.to_owned(), rule }
}

/// The same as [`told`], on what is at a place.
fn tell(place: &str, rule: &str, text: &str, values: &[&str], reason: &str) -> Rule {
    let rule = ValidationRule { field_path: None, ..told(rule, text, values, "", reason) };
    Rule { place: place.to_owned(), rule }
}

fn said(rule: &str, message: &str, path: &str, reason: &str) -> ValidationRule {
    ValidationRule {
        rule: rule.to_owned(),
        message: Some(message.to_owned()),
        field_path: Some(path.to_owned()),
        reason: Some(reason.to_owned()),
        ..ValidationRule::default()
    }
}

/// A rule whose message shows `values` in the places of `text` that `%` marks. The values go through
/// `format` because a sum of texts of unknown length is too costly to the API server.
fn told(rule: &str, text: &str, values: &[&str], path: &str, reason: &str) -> ValidationRule {
    ValidationRule {
        message: None,
        message_expression: Some(format!("'{text}'.format([{}])", values.join(", "))),
        ..said(rule, "", path, reason)
    }
}
