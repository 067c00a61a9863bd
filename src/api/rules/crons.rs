//! The CEL rules of AuroraCron. Whether a schedule and a zone can be read, the conversion finds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::{FORBIDDEN, INVALID, Rules, job_name, jobs, said, told};

/// Rules of AuroraCron.
pub(in crate::api) fn cron() -> Rules {
    let mut spec = vec![
        said(
            "(has(self.schedules) && self.schedules.size() > 0) || (has(self.parents) && self.parents.size() > 0)",
            "is empty, and spec.parents names nothing, so that no run would ever be due; give a schedule, such as \
             \"0 3 * * *\", or a parent",
            ".schedules",
            INVALID,
        ),
        reserved("labels"),
        reserved("annotations"),
    ];
    spec.extend(jobs::parents());
    // A run's name ends with a dash and the seconds since the epoch of its time.
    Rules { root: vec![job_name("cron", 34)], spec }
}

/// Rules of the spec of its jobs, whose `self` is that spec.
pub(in crate::api) fn jobs_of_cron() -> Vec<ValidationRule> {
    jobs::of_cron()
}

/// No key of ours in the labels or annotations of its jobs.
fn reserved(map: &str) -> ValidationRule {
    let path = format!("self.job.metadata.{map}");
    let ours = "k, k.startsWith('borealis.dev/')";
    told(
        &format!("!has(self.job.metadata) || !has({path}) || !{path}.exists({ours})"),
        "holds %s; remove every key that begins with borealis.dev/, since the operator writes them",
        &[&format!("{path}.filter({ours})")],
        &format!(".job.metadata.{map}"),
        FORBIDDEN,
    )
}
