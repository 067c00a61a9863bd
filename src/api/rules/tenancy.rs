//! The CEL rules of Tier, AuroraRole and Framework.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::{FORBIDDEN, INVALID, Rule, Rules, said, tell, told};

/// Rules of Tier: what a PriorityClass can't change, and what a tier can't be.
pub(in crate::api) fn tier() -> Rules {
    let kept = |field: &str, print: &str| -> Rule {
        told(
            &format!("self.{field} == oldSelf.{field}"),
            &format!(
                "cannot be changed from {print} to {print}: Pods keep the rank they were made with; make another Tier"
            ),
            &[&format!("oldSelf.{field}"), &format!("self.{field}")],
            &format!(".{field}"),
            FORBIDDEN,
        )
        .into()
    };
    Rules {
        root: vec![name("tier", 40)],
        spec: vec![
            said(
                "!self.revocable || self.preemptible",
                "a revocable tier lives on what others leave unused, so it must be preemptible; set preemptible to true",
                ".preemptible",
                INVALID,
            )
            .into(),
            kept("band", "%d"),
            kept("preemption", "%s"),
        ],
    }
}

/// Rules of AuroraRole.
pub(in crate::api) fn role() -> Rules {
    let default = "(has(self.defaultTier) ? self.defaultTier : 'preemptible')";
    // A quantity may be written as a number.
    let negative = "q, type(self[q]) == int ? int(self[q]) < 0 : string(self[q]).startsWith('-')";
    let unknown = "q, !(q in ['cpu', 'memory', 'ephemeral-storage']) && !q.contains('/')";
    Rules {
        root: vec![name("role", 50)],
        spec: vec![
            said(
                "(has(self.namespaces.matchLabels) && self.namespaces.matchLabels.size() > 0) || \
                 (has(self.namespaces.matchExpressions) && self.namespaces.matchExpressions.size() > 0)",
                "would claim every namespace, those of Kubernetes as well; name at least one label, such as \
                 matchLabels: {team: web}",
                ".namespaces",
                INVALID,
            )
            .into(),
            told(
                &format!("!has(self.tiers) || self.tiers.size() == 0 || {default} in self.tiers"),
                "\"%s\" is none of spec.tiers, %s; add it there, or choose another default",
                &[default, "self.tiers"],
                ".defaultTier",
                INVALID,
            )
            .into(),
            tell(
                "quota",
                &format!("!self.exists({negative})"),
                "%s is negative; use 0 or more, or leave it out for nothing",
                &[&format!("self.filter({negative})")],
                INVALID,
            ),
            tell(
                "quota",
                &format!("!self.exists({unknown})"),
                "%s is no resource; use cpu, memory, ephemeral-storage, or the full name of another, such as \
                 nvidia.com/gpu",
                &[&format!("self.filter({unknown})")],
                INVALID,
            ),
        ],
    }
}

/// Rules of Framework.
pub(in crate::api) fn framework() -> Rules {
    Rules {
        root: vec![name("framework", 63)],
        spec: vec![
            said(
            "!has(self.pods) || self.pods.all(p, \
             (has(p.selector.matchLabels) && p.selector.matchLabels.size() > 0) || \
             (has(p.selector.matchExpressions) && p.selector.matchExpressions.size() > 0))",
            "holds an entry that is about every Pod; name at least one label in its selector, or set spec.tier and \
             spec.priority, which are for all others",
            ".pods",
            INVALID,
        )
        .into()],
    }
}

/// The name becomes the value of a label, and part of other names.
fn name(kind: &str, most: u32) -> ValidationRule {
    told(
        &format!(
            "self.metadata.name.size() <= {most} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
        ),
        &format!(
            "\"%s\" cannot name a {kind}; use at most {most} characters: lower-case letters, digits and dashes, no dash at \
             the ends"
        ),
        &["self.metadata.name"],
        ".metadata.name",
        INVALID,
    )
}
