//! Spreading what is due at the same time.

use jiff::SignedDuration;

/// How long after its scheduled time a run of this object starts: from zero to `bound` seconds, evenly over objects, and
/// for ever the same for one. The run keeps its scheduled time as its name.
pub fn jitter(object: &str, bound: u32) -> SignedDuration {
    // FNV-1a: the same in all versions of the operator, which std's hashes don't promise.
    let hash = object.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Its low bits say little about the first letters: fold the high ones in.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    SignedDuration::from_secs(((mixed * (u64::from(bound) + 1)) >> 32).cast_signed())
}
