//! How many actions of one kind are under way at a time.
//!
//! Creates of one config begin with one, and each that goes well makes room for one more: a template that the API
//! server refuses costs one call, not thousands. Pure; called by `executor`, which begins nothing after a failure.

/// Room for actions that are under way.
#[derive(Debug)]
pub(super) struct Window {
    room: usize,
    most: usize,
}

impl Window {
    /// All the room there may be at once, or one to begin with where it ramps up.
    pub(super) fn new(ramp: bool, most: usize) -> Self {
        let most = most.max(1);
        Self { room: if ramp { 1 } else { most }, most }
    }

    /// Whether one more may begin beside so many.
    pub(super) fn has_room(&self, under_way: usize) -> bool {
        under_way < self.room
    }

    /// One went well.
    pub(super) fn widen(&mut self) {
        self.room = (self.room + 1).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_with_each_round_that_goes_well() {
        let rounds = |ramp, most| {
            let mut window = Window::new(ramp, most);
            std::array::from_fn::<usize, 5, _>(|_| {
                let round = (0..).take_while(|under_way| window.has_room(*under_way)).count();
                (0..round).for_each(|_| window.widen());
                round
            })
        };
        assert_eq!(rounds(true, 12), [1, 2, 4, 8, 12]);
        assert_eq!(rounds(false, 12), [12; 5]);
        assert_eq!(rounds(true, 0), [1; 5]);
    }
}
