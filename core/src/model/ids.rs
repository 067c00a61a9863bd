//! Identities: short, ordered, cheap to copy, and equal to what the API says when printed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a job is: Aurora's services and ad-hoc jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// An AuroraService: instances are replaced whenever they end.
    Service,
    /// An AuroraJob: instances run to their end, once each.
    Job,
}

/// Number of an instance, `0..N`, stable for the life of the job (Aurora: instance id).
pub type Instance = u32;

/// The most instances a job can have.
pub const MAX_INSTANCES: u32 = 10_000;

/// How many Pods an instance has had, counted from 1; part of the Pod's name.
pub type Run = u32;

/// Why a text is not the identity it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseError {
    /// What was read.
    pub text: String,
    /// What it should have been, with its form.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// The uid of an API object. The API server makes UUIDs, so sixteen bytes hold one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(u128);

impl Uid {
    /// A uid from its number, for tests and the simulation.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

impl FromStr for Uid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a UUID (8-4-4-4-12 hexadecimal digits)");
        let groups: Vec<&str> = text.split('-').collect();
        if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
            return Err(wrong());
        }
        // `from_str_radix` takes a sign, which a UUID has not.
        if !groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(wrong());
        }
        u128::from_str_radix(&groups.concat(), 16).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xffff,
            (n >> 64) & 0xffff,
            (n >> 48) & 0xffff,
            n & 0xffff_ffff_ffff
        )
    }
}

/// A task config by the hash of its canonical form, with the version of the way it was hashed: `v1-<16 hex>`.
///
/// The version travels with the hash, so that a later way of hashing never mistakes an old config for a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    version: u8,
    hash: u64,
}

impl Revision {
    /// The revision of a config hashed in the first way.
    pub const fn v1(hash: u64) -> Self {
        Self { version: 1, hash }
    }
}

impl FromStr for Revision {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a revision (v1-<16 lower-case hexadecimal digits>)");
        let (version, hash) = text.strip_prefix('v').and_then(|t| t.split_once('-')).ok_or_else(wrong)?;
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hash.len() != 16 || !hash.bytes().all(digits) {
            return Err(wrong());
        }
        let hash = u64::from_str_radix(hash, 16).map_err(|_| wrong())?;
        Ok(Self { version: version.parse().map_err(|_| wrong())?, hash })
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}-{:016x}", self.version, self.hash)
    }
}

impl Serialize for Revision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_print_as_they_were_read() {
        let uid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert_eq!(uid.parse::<Uid>().unwrap().to_string(), uid);
        let revision = "v1-00ab45cd67ef8901";
        assert_eq!(revision.parse::<Revision>().unwrap().to_string(), revision);
        assert_eq!(Revision::v1(0x00ab_45cd_67ef_8901).to_string(), revision);
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in ["", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "+a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"] {
            assert!(text.parse::<Uid>().is_err(), "{text}");
        }
        for text in ["", "v1", "1-00ab45cd67ef8901", "v1-00AB45CD67EF8901", "vx-00ab45cd67ef8901", "v1-0"] {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }
}
