//! How long slots are kept, a freeze left out: nobody could do anything for them meanwhile.
//!
//! Only what this process has seen of a freeze counts. Decides nothing. Asked by the loop before each pass.

use borealis_core::admit::slots::Bounds;
use jiff::{SignedDuration, Timestamp};

/// The freeze that lasts, and the last that is over.
#[derive(Debug, Default)]
pub(super) struct Hold {
    frozen_since: Option<Timestamp>,
    /// By how much slots are kept longer, and until when there may be some from before.
    longer: Option<(SignedDuration, Timestamp)>,
}

impl Hold {
    /// What slots keep to now. Those that begin soon after a freeze are kept longer, too, since all go by the same.
    pub(super) fn bounds(&mut self, usual: &Bounds, frozen: bool, now: Timestamp) -> Bounds {
        if frozen {
            self.frozen_since.get_or_insert(now);
            return *usual;
        }
        if let Some(since) = self.frozen_since.take() {
            let before = self.longer.take().filter(|(_, until)| *until > since);
            let longer =
                now.duration_since(since) + before.map_or(SignedDuration::ZERO, |(longer, _)| longer);
            self.longer = now.checked_add(usual.hold).ok().map(|until| (longer, until));
        }
        self.longer = self.longer.take().filter(|(_, until)| *until > now);
        let longer = self.longer.map_or(SignedDuration::ZERO, |(longer, _)| longer);
        Bounds { hold: usual.hold.saturating_add(longer), ..*usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_takes_nothing_of_the_time_a_slot_has() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let usual = Bounds { hold: SignedDuration::from_secs(300), ..Bounds::default() };
        let mut hold = Hold::default();
        for (second, frozen, expected) in [
            (0, false, 300),
            (100, true, 300),
            (900, true, 300),
            (1_000, false, 1_200),
            (1_299, false, 1_200),
            // No slot from before the freeze can stand any more.
            (1_300, false, 300),
            (2_000, true, 300),
            (2_010, false, 310),
            (2_100, true, 300),
            (2_120, false, 330),
        ] {
            let bounds = hold.bounds(&usual, frozen, at(second));
            assert_eq!(bounds.hold.as_secs(), expected, "at {second}");
        }
    }
}
