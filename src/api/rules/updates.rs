//! The CEL rules of AuroraUpdate, and of `spec.update` of an AuroraService.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::{FORBIDDEN, INVALID, Rule, Rules, flapping, one_of, said, say, tell, told};

/// Rules of AuroraUpdate: what may not change, and what may not be asked for once it has ended, or before.
pub(in crate::api) fn record() -> Rules {
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

/// How a service is updated.
pub(super) fn update() -> Vec<Rule> {
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
pub(super) fn scope() -> Vec<Rule> {
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
