//! In what portions actions of one kind are sent.
//!
//! Creates of one service begin with one and double while all goes well: a template that the API server refuses
//! costs one call, not thousands. Pure; called by `executor`, which stops at the first portion with a failure.

/// Cuts the actions into rounds: 1, 2, 4 … up to `most` when they ramp up, otherwise eight times that many.
///
/// Rounds are bounded, since what is to be sent takes memory from when its round begins.
pub(super) fn rounds<T>(actions: &[T], ramp: bool, most: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = actions;
    let most = most.max(1);
    let (mut size, most) = if ramp { (1, most) } else { (most * 8, most * 8) };
    std::iter::from_fn(move || {
        let (round, left) = rest.split_at(size.min(rest.len()));
        rest = left;
        size = size.saturating_mul(2).min(most);
        (!round.is_empty()).then_some(round)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_double_up_to_the_limit() {
        let sizes = |count, ramp, most| -> Vec<usize> {
            rounds(&vec![(); count], ramp, most).map(<[()]>::len).collect()
        };
        assert_eq!(sizes(20, true, 8), [1, 2, 4, 8, 5]);
        assert_eq!(sizes(1, true, 8), [1]);
        assert_eq!(sizes(5, true, 1), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(5, true, 0), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(20, false, 8), [20]);
        assert_eq!(sizes(20, false, 2), [16, 4]);
        assert!(sizes(0, true, 8).is_empty());
        assert!(sizes(0, false, 8).is_empty());
    }
}
