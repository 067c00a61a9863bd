//! `status.observedGeneration` of a status that nobody has written yet.
//!
//! Of an object without a status kstatus says that it is done, and so do Flux and whoever else waits by it. So the schema
//! has the API server answer the generation -1 there, which none is: what is to come is then in progress. The operator
//! reads it as no generation at all.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// The generation of a status that nobody has written.
const NONE: i64 = -1;

/// The status that the API server answers where none was written, before the schema fills in the rest.
#[must_use]
pub fn unwritten() -> Value {
    json!({"observedGeneration": NONE})
}

/// Reads the generation that a status speaks of.
///
/// # Errors
/// When it is no number.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let generation = Option::<i64>::deserialize(deserializer)?;
    Ok(generation.filter(|generation| *generation != NONE))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::api::{
        AuroraCronStatus, AuroraJobStatus, AuroraServiceStatus, convert, framework::FrameworkStatus,
        role::AuroraRoleStatus, tier::TierStatus, update::AuroraUpdateStatus,
    };

    fn status<S: DeserializeOwned>(value: Value) -> S {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_status_that_nobody_has_written_is_none_to_go_by() {
        assert_eq!(convert::service_status(&status(unwritten())), None);
        assert_eq!(convert::job_status(&status(unwritten())), None);
        assert_eq!(convert::cron_status(&status(unwritten())), None);
        assert_eq!(convert::progress(&status(unwritten())), None);
    }

    #[test]
    fn every_kind_reads_its_generation_alike() {
        for (written, read) in
            [(unwritten(), None), (json!({}), None), (json!({"observedGeneration": 7}), Some(7))]
        {
            let all = [
                status::<AuroraServiceStatus>(written.clone()).observed_generation,
                status::<AuroraJobStatus>(written.clone()).observed_generation,
                status::<AuroraCronStatus>(written.clone()).observed_generation,
                status::<AuroraUpdateStatus>(written.clone()).observed_generation,
                status::<AuroraRoleStatus>(written.clone()).observed_generation,
                status::<TierStatus>(written.clone()).observed_generation,
                status::<FrameworkStatus>(written).observed_generation,
            ];
            assert_eq!(all, [read; 7]);
        }
    }
}
