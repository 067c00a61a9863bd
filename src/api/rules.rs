//! The CEL rules of the kinds: what a single field's schema cannot say, and the words of the refusal.
//!
//! Each message names the value and the remedy; the field is the rule's `fieldPath`, which the API
//! server prints first. Rules only run over bounded lists and strings (the bounds are set in
//! `schema`), or the API server would refuse the CRD as too costly. Only `schema` reads this.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

/// Rules on the whole object and on its `spec`.
pub(super) struct Rules {
    /// `self` is the object; only its metadata.name and spec may be read.
    pub root: Vec<ValidationRule>,
    /// `self` is the spec.
    pub spec: Vec<ValidationRule>,
}

/// The Pod fields that are the operator's, with a bound-free way to print each and why it is refused.
const OWNED: [(&str, &str, &str); 9] = [
    ("hostname", QUOTED, "remove it: the operator names each instance <service>-<instance>"),
    ("subdomain", QUOTED, "remove it: set spec.discovery to {} for stable DNS names"),
    ("hostnameOverride", QUOTED, "remove it: the operator names each instance <service>-<instance>"),
    (
        "activeDeadlineSeconds",
        NUMBER,
        "remove it: a service runs for ever, and the operator ends Pods with this field",
    ),
    ("priorityClassName", QUOTED, "remove it: set spec.tier, which decides the priority class"),
    ("priority", NUMBER, "remove it: set spec.tier and spec.priority"),
    ("preemptionPolicy", QUOTED, "remove it: set spec.tier, which decides who preempts whom"),
    ("nodeName", QUOTED, "remove it: use nodeSelector or affinity, so that the scheduler sees the Pod"),
    (
        "ephemeralContainers",
        "'given'",
        "remove it: add ephemeral containers to a running Pod with kubectl debug",
    ),
];
const QUOTED: &str = "'\"' + FIELD + '\"'";
const NUMBER: &str = "string(FIELD)";

const INVALID: &str = "FieldValueInvalid";
const FORBIDDEN: &str = "FieldValueForbidden";

/// Rules of AuroraService.
pub(super) fn service() -> Rules {
    let name = told(
        "self.metadata.name.size() <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "'\"' + self.metadata.name + '\" cannot name a service: use at most 45 characters, first a lower-case \
         letter, then lower-case letters, digits and \"-\", the last no \"-\"'",
        ".metadata.name",
        INVALID,
    );
    let mut spec: Vec<_> = OWNED.iter().map(|(field, print, remedy)| owned(field, print, remedy)).collect();
    spec.extend([reserved("labels"), reserved("annotations")]);
    spec.extend(health());
    spec.extend(update());
    spec.push(one_of("self.sla", "sla", &["count", "percentage"]));
    Rules { root: vec![name], spec }
}

/// Rules of AuroraUpdate: all are about what may not change.
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
    Rules {
        root: Vec::new(),
        spec: vec![kept("service"), kept("number"), kept("instructions"), stays("abort"), stays("rollback")],
    }
}

fn health() -> Vec<ValidationRule> {
    let checked = "(has(self.health.container) \
                   ? self.template.spec.containers.filter(c, c.name == self.health.container) \
                   : [self.template.spec.containers[0]])";
    let mut rules = vec![
        one_of("self.health", "health", &["http", "tcp", "exec"]),
        told(
            "!has(self.health) || !has(self.health.container) || \
             self.template.spec.containers.exists(c, c.name == self.health.container)",
            "'\"' + self.health.container + '\" is no container of spec.template; use one of: ' + \
             self.template.spec.containers.map(c, c.name).join(', ')",
            ".health.container",
            INVALID,
        ),
    ];
    for way in ["http", "tcp"] {
        let port = format!("self.health.{way}.port");
        let unset = format!("!has(self.health) || !has(self.health.{way})");
        rules.push(told(
            &format!(
                "{unset} || type({port}) != string || \
                 {checked}.all(c, has(c.ports) && c.ports.exists(p, has(p.name) && p.name == {port}))"
            ),
            &format!(
                "'\"' + string({port}) + '\" is no port of the checked container; name one of its ports so, \
                 or give a port number'"
            ),
            &format!(".health.{way}.port"),
            INVALID,
        ));
        rules.push(told(
            &format!("{unset} || type({port}) != int || (int({port}) >= 1 && int({port}) <= 65535)"),
            &format!("string({port}) + ' is no port: use a number from 1 to 65535, or the name of a container port'"),
            &format!(".health.{way}.port"),
            INVALID,
        ));
    }
    rules
}

fn update() -> Vec<ValidationRule> {
    let mut failed = told(
        // Only when the bound itself is set or changed: scaling down must not be refused for it.
        "self.instances == 0 || self.update.maxFailedInstances <= self.instances || \
         (oldSelf.hasValue() && oldSelf.value().update.maxFailedInstances == self.update.maxFailedInstances)",
        "string(self.update.maxFailedInstances) + ' is more than all ' + string(self.instances) + \
         ' instances, so no update could fail: use a number up to spec.instances'",
        ".update.maxFailedInstances",
        INVALID,
    );
    failed.optional_old_self = Some(true);
    vec![
        one_of("self.update.strategy", "update.strategy", &["queue", "batch"]),
        failed,
        told(
            "self.flapping.maxDelaySeconds >= self.flapping.initialDelaySeconds",
            "string(self.flapping.maxDelaySeconds) + ' is less than initialDelaySeconds (' + \
             string(self.flapping.initialDelaySeconds) + '): use that or more'",
            ".flapping.maxDelaySeconds",
            INVALID,
        ),
    ]
}

/// The field is the operator's and may not be set.
fn owned(field: &str, print: &str, remedy: &str) -> ValidationRule {
    let path = format!("self.template.spec.{field}");
    told(
        &format!("!has({path})"),
        &format!("'is ' + {} + '; {remedy}'", print.replace("FIELD", &path)),
        &format!(".template.spec.{field}"),
        FORBIDDEN,
    )
}

/// No key of ours in the template's labels or annotations.
fn reserved(map: &str) -> ValidationRule {
    let path = format!("self.template.metadata.{map}");
    told(
        &format!(
            "!has(self.template.metadata) || !has({path}) || {path}.all(k, !k.startsWith('borealis.dev/'))"
        ),
        &format!(
            "'has ' + {path}.filter(k, k.startsWith('borealis.dev/')).join(', ') + \
             '; remove every key that begins with borealis.dev/, they are written by the operator'"
        ),
        &format!(".template.metadata.{map}"),
        FORBIDDEN,
    )
}

/// Exactly one member of the union is set, if the union is there.
fn one_of(path: &str, field: &str, members: &[&str]) -> ValidationRule {
    let parts: Vec<_> = path.split('.').collect();
    let there: Vec<_> = (2..=parts.len()).map(|n| format!("!has({})", parts[..n].join("."))).collect();
    let set: Vec<_> = members.iter().map(|m| format!("has({path}.{m})")).collect();
    let names: Vec<_> = members.iter().map(|m| format!("has({path}.{m}) ? ['{m}'] : []")).collect();
    let found = names.iter().map(|n| format!("({n})")).collect::<Vec<_>>().join(" + ");
    let choices = members.join(", ");
    told(
        &format!("{} || [{}].filter(x, x).size() == 1", there.join(" || "), set.join(", ")),
        &format!(
            "'must hold exactly one of {choices}, but holds ' + \
             (({found}).size() == 0 ? 'none' : ({found}).join(' and ')) + '; keep one'"
        ),
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

fn told(rule: &str, message: &str, path: &str, reason: &str) -> ValidationRule {
    ValidationRule {
        rule: rule.to_owned(),
        message_expression: Some(message.to_owned()),
        field_path: Some(path.to_owned()),
        reason: Some(reason.to_owned()),
        ..ValidationRule::default()
    }
}
