//! The CEL rules of AuroraJob, and of the AuroraJobs that an AuroraCron makes.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::{
    FORBIDDEN, INVALID, Rule, Rules, constraints, flapping, health, job_name, owned_fields, reserved, said,
    say, tell, tier_name, told,
};

/// What the Pod fields that a service has another remedy for are to a job.
const OWNED: [(&str, &str, &str); 2] = [
    ("subdomain", "\"%s\"", "the instances of a job have no DNS names"),
    ("activeDeadlineSeconds", "%d", "set spec.timeoutSeconds, which also counts the failure"),
];

/// The fields that stay as they were made, and whether they are always there.
const KEPT: [(&str, bool); 7] = [
    ("template", true),
    ("priority", true),
    ("tier", false),
    ("health", false),
    ("constraints", false),
    ("dedicated", false),
    ("parents", false),
];

/// Rules of AuroraJob.
pub(in crate::api) fn job() -> Rules {
    let mut spec = task();
    spec.push(enough(true));
    spec.extend(KEPT.map(|(field, _)| kept(field)));
    spec.extend(KEPT.iter().filter(|(_, always)| !always).map(|(field, _)| stays(field)));
    Rules { root: vec![job_name("job", 45)], spec }
}

/// Rules of the spec of the jobs that a cron makes.
pub(super) fn of_cron() -> Vec<Rule> {
    let mut spec = task();
    spec.push(enough(false));
    spec.push(say(
        "parents",
        "self.size() == 0",
        "a run waits for what its AuroraCron waits for; use spec.parents of that",
        FORBIDDEN,
    ));
    spec
}

fn task() -> Vec<Rule> {
    let mut spec = owned_fields(&OWNED);
    spec.extend([
        tier_name(),
        reserved("template.metadata.labels"),
        reserved("template.metadata.annotations"),
        say(
            "template.spec.restartPolicy",
            "self != 'Always'",
            "Always never lets an instance end; use Never, or OnFailure to have the kubelet try again on the same node",
            INVALID,
        ),
        say(
            "maxTaskFailures",
            "self != 0",
            "0 would let no instance run; use 1 for one try, more for several, or -1 for tries without end",
            INVALID,
        ),
        flapping(),
    ]);
    spec.extend(health());
    spec.extend(constraints::constraints());
    spec.extend(parents());
    spec
}

/// Not more must succeed than there are. Scaling a job down must not be refused for it.
fn enough(changes: bool) -> Rule {
    let unchanged = " || (oldSelf.hasValue() && has(oldSelf.value().minSucceeded) && \
                     oldSelf.value().minSucceeded == self.minSucceeded)";
    let rule = told(
        &format!(
            "!has(self.minSucceeded) || self.minSucceeded <= self.instances || self.instances == 0{}",
            if changes { unchanged } else { "" }
        ),
        "%d of %d instances cannot succeed; use at most spec.instances, or remove it for all",
        &["self.minSucceeded", "self.instances"],
        ".minSucceeded",
        INVALID,
    );
    ValidationRule { optional_old_self: changes.then_some(true), ..rule }.into()
}

/// What the refusal of another value says.
fn refusal(field: &str) -> String {
    format!(
        "{field} cannot be changed: instances may have run by it; make another AuroraJob, or change the AuroraCron that \
         makes them"
    )
}

fn kept(field: &str) -> Rule {
    say(field, "self == oldSelf", &refusal(field), FORBIDDEN)
}

/// It neither comes nor goes, of which the rule on its place does not hear.
fn stays(field: &str) -> Rule {
    let rule = format!("has(self.{field}) == has(oldSelf.{field})");
    said(&rule, &refusal(field), &format!(".{field}"), FORBIDDEN).into()
}

/// Parents are named as jobs and crons are.
pub(super) fn parents() -> Vec<Rule> {
    let wrong = "p, !p.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')";
    vec![tell(
        "parents",
        &format!("!self.exists({wrong})"),
        "%s can be the name of no job or cron; use the metadata.name of one in the same namespace",
        &[&format!("self.filter({wrong}).map(p, p.name)")],
        INVALID,
    )]
}
