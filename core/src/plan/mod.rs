//! What to do next for one service: `plan(view, now)`, level-triggered and pure.
//!
//! `plan` reads no clock, does no I/O and never fails; planning again after its actions were carried out yields
//! nothing. `targets` says which config each instance shall have, `update` moves an update on, `instances` brings
//! each instance to its target, `history` decides what is kept, `status` says all of it to people.

mod action;
mod view;

pub use action::{Action, Ended, Event, Held, NewUpdate, Plan};
pub use view::{Problem, ServiceView};
