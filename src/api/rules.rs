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
    spec.extend(update());
    spec.extend(scope());
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

/// Rules of AuroraUpdate: what may not change, and what may not be asked for once it has ended, or before.
pub(super) fn update_record() -> Rules {
    let kept = |field: &str| {
        say(
            field,
            "self == oldSelf",
            &format!(
                "{field} cannot be changed: change the AuroraService instead, which makes a new AuroraUpdate"
            ),
            FORBIDDEN,
        )
    };
    let stays = |control: &str| -> Rule {
        said(
            &format!("!has(oldSelf.controls.{control}) || has(self.controls.{control})"),
            &format!(
                "{control} cannot be taken back: it may have been acted upon; change the AuroraService to go on"
            ),
            ".controls",
            FORBIDDEN,
        )
        .into()
    };
    let kept_if_there = |field: &str| -> Rule {
        let Rule { rule, .. } = kept(field);
        ValidationRule {
            rule: format!(
                "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
            ),
            field_path: Some(format!(".{field}")),
            ..rule
        }
        .into()
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

fn update() -> Vec<Rule> {
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
        failed.into(),
        tell(
            "update.maxFailedInstances",
            &format!("!({}) && self != '100%'", is_no_amount("self", 0)),
            "%s is no number of failed instances; use 0 to tolerate none, a whole number up to 10000, or a percentage \
             from \"1%%\" to \"99%%\"",
            &["self"],
            INVALID,
        ),
        group_size("queue"),
        group_size("batch"),
        tell(
            "update.maxSurge",
            &format!("!({})", is_no_amount("self", 0)),
            "%s is no number of instances; use 0 for none, a whole number up to 10000, or a percentage from \"1%%\" to \"100%%\"",
            &["self"],
            INVALID,
        ),
        Rule {
            place: "update.strategy.variableBatch".into(),
            rule: said(
                "has(self.groupSizes) && self.groupSizes.size() > 0",
                "is empty; name the size of at least one group, such as [1, \"10%\"]",
                ".groupSizes",
                INVALID,
            ),
        },
        tell(
            "update.strategy.variableBatch.groupSizes",
            &format!("!self.exists(g, {})", is_no_amount("g", 1)),
            "%s holds a size of no group; use whole numbers from 1 to 10000, or percentages from \"1%%\" to \"100%%\"",
            &["self"],
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
fn strategy() -> Rule {
    let Rule { place, rule } = one_of("update.strategy", &["queue", "batch", "variableBatch"]);
    let alone = "has(self.inPlace) && !has(self.queue) && !has(self.batch) && !has(self.variableBatch)";
    Rule { place, rule: ValidationRule { rule: format!("{} || ({alone})", rule.rule), ..rule } }
}

/// The group of a strategy is no group of none.
fn group_size(strategy: &str) -> Rule {
    tell(
        &format!("update.strategy.{strategy}.groupSize"),
        &format!("!({})", is_no_amount("self", 1)),
        "%s is no size of a group; use a whole number from 1 to 10000, or a percentage from \"1%%\" to \"100%%\"",
        &["self"],
        INVALID,
    )
}

/// Which instances may be updated: some, in order, and such as there are.
fn scope() -> Vec<Rule> {
    let first = "int(r.split('-')[0])";
    let last = "int(r.split('-')[r.split('-').size() - 1])";
    // What is no list of ranges the field's pattern has refused already.
    let ranges =
        |field: &str| format!("{field}.split(',').filter(r, r.matches('^[0-9]{{1,5}}(-[0-9]{{1,5}})?$'))");
    // A scale-down must not be refused for it, and what an edit removes may be named in it.
    let unchanged = "oldSelf.hasValue() && has(oldSelf.value().update.instances) && \
                     oldSelf.value().update.instances == self.update.instances";
    let was = "(oldSelf.hasValue() ? oldSelf.value().instances : 0)";
    let mut known = told(
        &format!(
            "!has(self.update.instances) || self.update.instances == '' || ({unchanged}) || \
             {}.all(r, {last} < self.instances || {last} < {was})",
            ranges("self.update.instances")
        ),
        "\"%s\" names instances that are not there: the service has %d, numbered from 0; leave them out",
        &["self.update.instances", "self.instances"],
        ".update.instances",
        INVALID,
    );
    known.optional_old_self = Some(true);
    let backwards = told(
        &format!(
            "!has(self.instances) || self.instances == '' || {}.all(r, {first} <= {last})",
            ranges("self.instances")
        ),
        "\"%s\" holds a range that runs backwards; write the smaller instance first, such as 0-4",
        &["self.instances"],
        ".instances",
        INVALID,
    );
    vec![
        say(
            "update.instances",
            "self != ''",
            "is empty, so that no instance could be updated; remove it to update all, or name some, such as 0-4,17",
            INVALID,
        ),
        // On the field itself the API server reckons more for it than it allows.
        Rule { place: "update".into(), rule: backwards },
        known.into(),
    ]
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
