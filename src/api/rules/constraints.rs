//! The CEL rules of `spec.constraints` and `spec.dedicated`. What they can't compare, the template's own spreads, the
//! conversion refuses.

use super::{FORBIDDEN, INVALID, Rule, say, tell};

/// The name of a label, with or without a prefix.
const LABEL: &str = "([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
/// What a label can have as its value, beside nothing.
const VALUE: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?";
/// A role, as far as it can own dedicated nodes.
const ROLE: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// What the constraints ask for can be asked of nodes.
pub(super) fn constraints() -> Vec<Rule> {
    // What is wrong with a constraint `c`, and what to do.
    let rows = [
        ("has(c.values) == has(c.limit)".to_owned(), "must hold exactly one of values, limit"),
        ("has(c.negated) && c.negated && !has(c.values)".to_owned(), "negated goes with values; remove it"),
        (
            format!("!c.attribute.matches('^{LABEL}$')"),
            "the attribute is no name of a label; use one such as topology.kubernetes.io/zone, or host",
        ),
        (
            format!("has(c.values) && !c.values.all(v, v.matches('^({VALUE})?$'))"),
            "holds values no label can have; use letters, digits, dashes, dots and underscores, a letter or digit at each end",
        ),
        (
            "c.attribute in ['dedicated', 'borealis.dev/dedicated']".to_owned(),
            "dedicated nodes are asked for by spec.dedicated; use that",
        ),
    ];
    let rule = |(wrong, remedy): (String, &str)| {
        tell(
            "constraints",
            &format!("!self.exists(c, {wrong})"),
            &format!("constraint of %s: {remedy}"),
            &[&format!("self.filter(c, {wrong}).map(c, c.attribute)")],
            INVALID,
        )
    };
    let label = |c: &str| format!("({c}.attribute == 'host' ? 'kubernetes.io/hostname' : {c}.attribute)");
    let twice = format!(
        "has(c.limit) && self.filter(d, has(d.limit) && {} == {}).size() > 1",
        label("c"),
        label("d")
    );
    let mut rules: Vec<_> = rows.into_iter().map(rule).collect();
    rules.extend([
        rule((twice, "is limited more than once; leave the smallest limit")),
        tell(
            "dedicated",
            &format!("self.matches('^({ROLE}|{ROLE}/{VALUE}|[*]/{VALUE})$')"),
            "\"%s\" names no pool of dedicated nodes; use a role, role/pool, or */pool for one of every role",
            &["self"],
            INVALID,
        ),
        say(
            "template.spec.tolerations",
            "!self.exists(t, has(t.key) && t.key == 'borealis.dev/dedicated')",
            "holds one of borealis.dev/dedicated; remove it: spec.dedicated is what asks for dedicated nodes",
            FORBIDDEN,
        ),
    ]);
    rules
}
