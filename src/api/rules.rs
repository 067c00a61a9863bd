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

pub(super) use crons::{cron, jobs_of_cron};
pub(super) use jobs::job;
pub(super) use tenancy::{framework, role, tier};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

/// Rules on the whole object and on its `spec`.
pub(super) struct Rules {
    /// `self` is the object; only its metadata.name and spec may be read.
    pub root: Vec<ValidationRule>,
    /// `self` is the spec.
    pub spec: Vec<ValidationRule>,
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
    spec.extend([reserved("labels"), reserved("annotations")]);
    spec.extend(health());
    spec.extend(update());
    spec.extend(scope());
    spec.extend(checks::checks());
    spec.extend(constraints::constraints());
    spec.push(one_of("self.sla", "sla", &["count", "percentage"]));
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

fn tier_name() -> ValidationRule {
    told(
        "!has(self.tier) || self.tier.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "\"%s\" cannot name a tier; use lower-case letters, digits and dashes, such as preemptible",
        &["self.tier"],
        ".tier",
        INVALID,
    )
}

fn flapping() -> ValidationRule {
    told(
        "self.flapping.maxDelaySeconds >= self.flapping.initialDelaySeconds",
        "%d is less than initialDelaySeconds, %d; use at least that",
        &["self.flapping.maxDelaySeconds", "self.flapping.initialDelaySeconds"],
        ".flapping.maxDelaySeconds",
        INVALID,
    )
}

/// Rules of AuroraUpdate: what may not change, and what may not be asked for once it has ended, or before.
pub(super) fn update_record() -> Rules {
    let kept = |field: &str| {
        said(
            &format!("self.{field} == oldSelf.{field}"),
            &format!(
                "{field} cannot be changed: change the AuroraService instead, which makes a new AuroraUpdate"
            ),
            &format!(".{field}"),
            FORBIDDEN,
        )
    };
    let stays = |control: &str| {
        said(
            &format!("!has(oldSelf.controls.{control}) || has(self.controls.{control})"),
            &format!(
                "{control} cannot be taken back: it may have been acted upon; change the AuroraService to go on"
            ),
            ".controls",
            FORBIDDEN,
        )
    };
    let kept_if_there = |field: &str| ValidationRule {
        rule: format!(
            "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
        ),
        ..kept(field)
    };
    const ENDED: [&str; 5] = ["ROLLED_FORWARD", "ROLLED_BACK", "ABORTED", "ERROR", "FAILED"];
    const GOES_ON: [&str; 6] = [
        "ROLLING_FORWARD",
        "ROLLING_BACK",
        "ROLL_FORWARD_PAUSED",
        "ROLL_BACK_PAUSED",
        "ROLL_FORWARD_AWAITING_PULSE",
        "ROLL_BACK_AWAITING_PULSE",
    ];
    let early: Vec<&str> = GOES_ON.into_iter().chain(["ROLLED_FORWARD"]).collect();
    let over = "the update has ended; change the AuroraService to go on";
    Rules {
        root: vec![
            untimely("abort", "has(self.spec.controls.abort)", &ENDED[..2], over),
            untimely("abort", "has(self.spec.controls.abort)", &ENDED[3..], over),
            untimely(
                "rollback",
                "has(self.spec.controls.rollback)",
                &["ROLLED_BACK", "ABORTED", "ERROR"],
                over,
            ),
            untimely("paused", "self.spec.controls.paused", &ENDED, over),
            untimely(
                "retry",
                "has(self.spec.controls.retry)",
                &early,
                "only what has not come about can be retried",
            ),
        ],
        spec: vec![
            kept("service"),
            kept("number"),
            kept("instructions"),
            kept_if_there("message"),
            kept_if_there("author"),
            kept_if_there("changes"),
            stays("abort"),
            stays("rollback"),
        ],
    }
}

/// A wish that may not be made in these states; one that was made before stands.
fn untimely(control: &str, wish: &str, states: &[&str], remedy: &str) -> ValidationRule {
    let words: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
    let before = wish.replace("self.", "oldSelf.");
    told(
        &format!(
            "!({wish}) || ({before}) || !has(self.status) || !has(self.status.state) || \
             !(self.status.state in [{}])",
            words.join(", ")
        ),
        &format!("{control} cannot be asked for in state %s: {remedy}"),
        &["self.status.state"],
        &format!(".spec.controls.{control}"),
        FORBIDDEN,
    )
}

fn health() -> Vec<ValidationRule> {
    let mut rules = vec![
        one_of("self.health", "health", &["http", "tcp", "exec"]),
        told(
            "!has(self.health) || !has(self.health.container) || \
             self.template.spec.containers.exists(c, c.name == self.health.container)",
            "\"%s\" is no container of spec.template; use one of %s",
            &["self.health.container", "self.template.spec.containers.map(c, c.name)"],
            ".health.container",
            INVALID,
        ),
        told(
            "!has(self.health) || !has(self.health.http) || self.health.http.path.startsWith('/')",
            "\"%s\" is no path of a URL; begin it with a slash",
            &["self.health.http.path"],
            ".health.http.path",
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
        let path = format!(".health.{way}.port");
        rules.push(told(
            &format!(
                "{unset} || type({port}) != string || \
                 self.template.spec.containers.all(c, !({checked}) || ({named}))"
            ),
            "\"%s\" is no port of the checked container; give one of its ports this name, or use a port number",
            &[&port],
            &path,
            INVALID,
        ));
        rules.push(told(
            &format!("{unset} || type({port}) != int || (int({port}) >= 1 && int({port}) <= 65535)"),
            "%d is no port; use a number from 1 to 65535, or the name of a port of the checked container",
            &[&port],
            &path,
            INVALID,
        ));
    }
    rules
}

fn update() -> Vec<ValidationRule> {
    let mut failed = told(
        // Only when the bound itself is set or changed: scaling down must not be refused for it.
        "self.instances == 0 || type(self.update.maxFailedInstances) != int || \
         int(self.update.maxFailedInstances) < self.instances || \
         (oldSelf.hasValue() && oldSelf.value().update.maxFailedInstances == self.update.maxFailedInstances)",
        "%s of %d instances may fail, so that no update could; use less than spec.instances",
        &["self.update.maxFailedInstances", "self.instances"],
        ".update.maxFailedInstances",
        INVALID,
    );
    failed.optional_old_self = Some(true);
    vec![
        strategy(),
        failed,
        told(
            &format!(
                "!({}) && self.update.maxFailedInstances != '100%'",
                is_no_amount("self.update.maxFailedInstances", 0)
            ),
            "%s is no number of failed instances; use 0 to tolerate none, a whole number up to 10000, or a percentage \
             from \"1%%\" to \"99%%\"",
            &["self.update.maxFailedInstances"],
            ".update.maxFailedInstances",
            INVALID,
        ),
        group_size("queue"),
        group_size("batch"),
        told(
            &format!("!has(self.update.maxSurge) || !({})", is_no_amount("self.update.maxSurge", 0)),
            "%s is no number of instances; use 0 for none, a whole number up to 10000, or a percentage from \"1%%\" to \"100%%\"",
            &["self.update.maxSurge"],
            ".update.maxSurge",
            INVALID,
        ),
        said(
            "!has(self.update.strategy) || !has(self.update.strategy.variableBatch) || \
             (has(self.update.strategy.variableBatch.groupSizes) && \
             self.update.strategy.variableBatch.groupSizes.size() > 0)",
            "is empty; name the size of at least one group, such as [1, \"10%\"]",
            ".update.strategy.variableBatch.groupSizes",
            INVALID,
        ),
        told(
            &format!(
                "!has(self.update.strategy) || !has(self.update.strategy.variableBatch) || \
                 !has(self.update.strategy.variableBatch.groupSizes) || \
                 !self.update.strategy.variableBatch.groupSizes.exists(g, {})",
                is_no_amount("g", 1)
            ),
            "%s holds a size of no group; use whole numbers from 1 to 10000, or percentages from \"1%%\" to \"100%%\"",
            &["self.update.strategy.variableBatch.groupSizes"],
            ".update.strategy.variableBatch.groupSizes",
            INVALID,
        ),
        flapping(),
    ]
}

/// Whether a number or percentage is out of its range; what is a percentage at all its pattern says, which is cheaper.
fn is_no_amount(path: &str, min: u32) -> String {
    format!("type({path}) == int ? (int({path}) < {min} || int({path}) > 10000) : {path} == '0%'")
}

/// One way to group instances; `inPlace` alone leaves the default.
fn strategy() -> ValidationRule {
    let rule = one_of("self.update.strategy", "update.strategy", &["queue", "batch", "variableBatch"]);
    let alone = "has(self.update.strategy.inPlace) && !has(self.update.strategy.queue) && \
                 !has(self.update.strategy.batch) && !has(self.update.strategy.variableBatch)";
    ValidationRule { rule: format!("{} || ({alone})", rule.rule), ..rule }
}

/// The group of a strategy is no group of none.
fn group_size(strategy: &str) -> ValidationRule {
    let path = format!("self.update.strategy.{strategy}.groupSize");
    told(
        &format!(
            "!has(self.update.strategy) || !has(self.update.strategy.{strategy}) || !({})",
            is_no_amount(&path, 1)
        ),
        "%s is no size of a group; use a whole number from 1 to 10000, or a percentage from \"1%%\" to \"100%%\"",
        &[&path],
        &format!(".update.strategy.{strategy}.groupSize"),
        INVALID,
    )
}

/// Which instances may be updated: some, in order, and such as there are.
fn scope() -> Vec<ValidationRule> {
    let unset = "!has(self.update.instances) || self.update.instances == ''";
    let first = "int(r.split('-')[0])";
    let last = "int(r.split('-')[r.split('-').size() - 1])";
    // What is no list of ranges the field's pattern has refused already.
    let ranges = "self.update.instances.split(',').filter(r, r.matches('^[0-9]{1,5}(-[0-9]{1,5})?$'))";
    // A scale-down must not be refused for it, and what an edit removes may be named in it.
    let unchanged = "oldSelf.hasValue() && has(oldSelf.value().update.instances) && \
                     oldSelf.value().update.instances == self.update.instances";
    let was = "(oldSelf.hasValue() ? oldSelf.value().instances : 0)";
    let mut known = told(
        &format!("{unset} || ({unchanged}) || {ranges}.all(r, {last} < self.instances || {last} < {was})"),
        "\"%s\" names instances that are not there: the service has %d, numbered from 0; leave them out",
        &["self.update.instances", "self.instances"],
        ".update.instances",
        INVALID,
    );
    known.optional_old_self = Some(true);
    vec![
        said(
            "!has(self.update.instances) || self.update.instances != ''",
            "is empty, so that no instance could be updated; remove it to update all, or name some, such as 0-4,17",
            ".update.instances",
            INVALID,
        ),
        told(
            &format!("{unset} || {ranges}.all(r, {first} <= {last})"),
            "\"%s\" holds a range that runs backwards; write the smaller instance first, such as 0-4",
            &["self.update.instances"],
            ".update.instances",
            INVALID,
        ),
        known,
    ]
}

/// None of the fields that are the operator's is set; some are a kind's own.
fn owned_fields(own: &[(&str, &str, &str)]) -> Vec<ValidationRule> {
    OWNED.iter().chain(own).map(|(field, print, remedy)| owned(field, print, remedy)).collect()
}

/// The field is the operator's and may not be set.
fn owned(field: &str, print: &str, remedy: &str) -> ValidationRule {
    let path = format!("self.template.spec.{field}");
    let rule = format!("!has({path})");
    let place = format!(".template.spec.{field}");
    if print.is_empty() {
        return said(&rule, &format!("{field} cannot be set; remove it: {remedy}"), &place, FORBIDDEN);
    }
    told(
        &rule,
        &format!("{field} cannot be set, but is {print}; remove it: {remedy}"),
        &[&path],
        &place,
        FORBIDDEN,
    )
}

/// No key of ours in the template's labels or annotations.
fn reserved(map: &str) -> ValidationRule {
    let path = format!("self.template.metadata.{map}");
    let ours = "k, k.startsWith('borealis.dev/')";
    told(
        &format!("!has(self.template.metadata) || !has({path}) || !{path}.exists({ours})"),
        "holds %s; remove every key that begins with borealis.dev/, since the operator writes them",
        &[&format!("{path}.filter({ours})")],
        &format!(".template.metadata.{map}"),
        FORBIDDEN,
    )
}

/// Exactly one member of the union is set, if the union is there.
fn one_of(path: &str, field: &str, members: &[&str]) -> ValidationRule {
    let parts: Vec<_> = path.split('.').collect();
    let absent: Vec<_> = (2..=parts.len()).map(|n| format!("!has({})", parts[..n].join("."))).collect();
    let set: Vec<_> = members.iter().map(|m| format!("has({path}.{m})")).collect();
    let is: Vec<_> = members.iter().map(|m| format!("(m == '{m}' && has({path}.{m}))")).collect();
    let all: Vec<_> = members.iter().map(|m| format!("'{m}'")).collect();
    told(
        &format!("{} || [{}].filter(x, x).size() == 1", absent.join(" || "), set.join(", ")),
        &format!(
            "must hold exactly one of {}, but holds %s; set one and remove the rest",
            members.join(", ")
        ),
        &[&format!("[{}].filter(m, {})", all.join(", "), is.join(" || "))],
        &format!(".{field}"),
        INVALID,
    )
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
