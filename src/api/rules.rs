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

/// The Pod fields that are the operator's, how a value is printed, and what to do instead.
const OWNED: [(&str, &str, &str); 9] = [
    ("hostname", "\"%s\"", "the operator names each instance <service>-<instance>"),
    ("subdomain", "\"%s\"", "set spec.discovery to {} for stable DNS names"),
    ("hostnameOverride", "\"%s\"", "the operator names each instance <service>-<instance>"),
    ("activeDeadlineSeconds", "%d", "a service runs for ever, and the operator ends Pods by this field"),
    ("priorityClassName", "\"%s\"", "classes of priority are not supported yet"),
    ("priority", "%d", "priorities of Pods are not supported yet"),
    ("preemptionPolicy", "\"%s\"", "preemption is not supported yet"),
    ("nodeName", "\"%s\"", "use nodeSelector or affinity, so that the scheduler sees the Pod"),
    ("ephemeralContainers", "", "add ephemeral containers to a running Pod by kubectl debug"),
];

const INVALID: &str = "FieldValueInvalid";
const FORBIDDEN: &str = "FieldValueForbidden";

/// Rules of AuroraService.
pub(super) fn service() -> Rules {
    let name = told(
        "self.metadata.name.size() <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "\"%s\" cannot name a service; use at most 45 characters: a lower-case letter, then lower-case letters, \
         digits and dashes, no dash at the end",
        &["self.metadata.name"],
        ".metadata.name",
        INVALID,
    );
    let mut spec: Vec<_> = OWNED.iter().map(|(field, print, remedy)| owned(field, print, remedy)).collect();
    spec.push(told(
        "self.tier.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "\"%s\" cannot name a tier; use lower-case letters, digits and dashes, such as preemptible",
        &["self.tier"],
        ".tier",
        INVALID,
    ));
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
        "self.instances == 0 || self.update.maxFailedInstances <= self.instances || \
         (oldSelf.hasValue() && oldSelf.value().update.maxFailedInstances == self.update.maxFailedInstances)",
        "%d is more than all %d instances, so that no update could fail; use a number up to spec.instances",
        &["self.update.maxFailedInstances", "self.instances"],
        ".update.maxFailedInstances",
        INVALID,
    );
    failed.optional_old_self = Some(true);
    vec![
        one_of("self.update.strategy", "update.strategy", &["queue", "batch"]),
        failed,
        told(
            "self.flapping.maxDelaySeconds >= self.flapping.initialDelaySeconds",
            "%d is less than initialDelaySeconds, %d; use at least that",
            &["self.flapping.maxDelaySeconds", "self.flapping.initialDelaySeconds"],
            ".flapping.maxDelaySeconds",
            INVALID,
        ),
    ]
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
