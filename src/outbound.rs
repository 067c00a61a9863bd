//! What connections to others than the API server have in common: certificates are verified, and an error says why.
//!
//! Called by `checks` and `traces`.

use std::error::Error;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;

/// Connects by TLS alone, and verifies by the roots of the system (SSL_CERT_FILE names others).
///
/// # Errors
/// When these can't be read.
pub(crate) fn verified() -> Result<HttpsConnector<HttpConnector>, String> {
    let builder = HttpsConnectorBuilder::new().try_with_platform_verifier();
    let builder =
        builder.map_err(|error| format!("the system's root certificates can't be read: {error}"))?;
    Ok(builder.https_only().enable_http1().build())
}

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
