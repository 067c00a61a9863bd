//! The CEL rules of AuroraCron. Whether a schedule and a zone can be read, the conversion finds.

use super::{INVALID, Rule, Rules, job_name, jobs, reserved, said};

/// Rules of AuroraCron.
pub(in crate::api) fn cron() -> Rules {
    let mut spec = vec![
        said(
            "(has(self.schedules) && self.schedules.size() > 0) || (has(self.parents) && self.parents.size() > 0)",
            "is empty, and spec.parents names nothing, so that no run would ever be due; give a schedule, such as \
             \"0 3 * * *\", or a parent",
            ".schedules",
            INVALID,
        )
        .into(),
        reserved("job.metadata.labels"),
        reserved("job.metadata.annotations"),
    ];
    spec.extend(jobs::parents());
    // A run's name ends with a dash and the seconds since the epoch of its time.
    Rules { root: vec![job_name("cron", 34)], spec }
}

/// Rules of the spec of its jobs, whose `self` is that spec.
pub(in crate::api) fn jobs_of_cron() -> Vec<Rule> {
    jobs::of_cron()
}
