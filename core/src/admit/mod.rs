//! Who gets which room: where a Pod fits, what keeps it off a node, and which Pods have to go for it.
//!
//! `board` is what is known of nodes and Pods, kept up to date one change at a time. `fit` asks it as the
//! scheduler would, `rule` says who may take whose place, and `search` finds the fewest Pods that have to go.
//! `budgets` counts who may be disrupted, `ledger` who is granted what of a role's quota,
//! `pending` says why Pods have no place, `slots` says what becomes of room that is kept, and `pass` puts it all together
//! into what is to be done now. Nothing here evicts, nominates or waits; that is up to those who ask.

mod board;
pub mod budgets;
mod census;
mod cover;
mod fit;
pub mod ledger;
pub mod memory;
mod neighbours;
mod node;
mod outcome;
pub mod pass;
pub mod pending;
mod rule;
mod search;
mod site;
pub mod slots;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod veto;

pub use board::{Board, Room};
pub use fit::vetoes;
pub use outcome::{
    Ask, Budgets, Cost, Decision, Given, Group, Loss, NoBudgets, Outcome, Rejected, Victim, Why,
};
pub use rule::{NoPreemptor, Rule, Spared, may_preempt, preemptor};
pub use search::search;
pub use veto::{Count, DEDICATED, Nearest, PODS, UNSCHEDULABLE, Veto, Vetoes};
