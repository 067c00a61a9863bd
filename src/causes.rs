//! Errors told with what they come from. Called wherever hyper's own words would say too little.

use std::error::Error;

/// An error and what it comes from: hyper's own say little.
#[must_use]
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
