//! Quota in words for people: what was asked for, what is used, and what would have to shrink.

use borealis_core::{
    admit::ledger::Shortage,
    model::{Resources, reasons},
    plan::Problem,
};

use crate::api::amounts::{amount, amounts_of, text};

/// That a job waits for quota.
#[must_use]
pub fn exceeded(role: &str, shortage: &Shortage) -> Problem {
    let Shortage { asked, has, used, quota, missing } = shortage;
    let lacking: Vec<String> = amounts_of(missing)
        .filter(|(_, over)| *over > 0)
        .map(|(name, over)| {
            let told = |all: &Resources| text(name, amount(all, name));
            let (asked, used, quota, missing) = (told(asked), told(used), told(quota), text(name, over));
            let own = match amount(has, name) {
                0 => String::new(),
                has => format!(" ({} of it by this job)", text(name, has)),
            };
            format!("{name}: asked {asked}, used {used}{own} of {quota}, {missing} too much")
        })
        .collect();
    let message = format!(
        "insufficient quota of role {role}: {}; ask for less (spec.instances, or the requests of spec.template), shrink \
         or remove other production services of the role, or have spec.quota of AuroraRole {role} raised; until then \
         what was admitted before runs on",
        lacking.join("; ")
    );
    Problem { reason: reasons::QUOTA_EXCEEDED, message, blocks: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_what_of() {
        let of = |cpu_milli, memory| Resources { cpu_milli, memory, ..Resources::NONE };
        let shortage = Shortage {
            asked: of(3_000, 4 << 30),
            has: of(500, 4 << 30),
            used: of(4_000, 8 << 30),
            quota: of(5_000, 64 << 30),
            missing: of(1_500, 0),
        };
        let problem = exceeded("ads", &shortage);
        let words = "insufficient quota of role ads: cpu: asked 3, used 4 (500m of it by this job) of 5, 1500m too much; \
                     ask for less (spec.instances, or the requests of spec.template), shrink";
        assert!(problem.message.starts_with(words), "{}", problem.message);
        assert_eq!((problem.reason, problem.blocks), ("QuotaExceeded", false));
    }
}
