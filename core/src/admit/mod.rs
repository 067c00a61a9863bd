//! Who gets which room: where a Pod fits, what keeps it off a node, and which Pods have to go for it.
//!
//! `board` is what is known of nodes and Pods, kept up to date one change at a time. `rule` says who may take whose
//! place, `veto` what keeps a Pod off a node, and `outcome` what is found for a Pod that asks for room. Nothing here
//! evicts, nominates or waits; that is up to those who ask.

mod board;
mod outcome;
mod rule;
#[cfg(test)]
pub(crate) mod testing;
mod veto;

pub use board::{Board, Room};
pub use outcome::{
    Ask, Budgets, Cost, Decision, Given, Group, Loss, NoBudgets, Outcome, Rejected, Victim, Why,
};
pub use rule::{NoPreemptor, Rule, Spared, may_preempt, preemptor};
pub use veto::{Count, DEDICATED, Nearest, PODS, UNSCHEDULABLE, Veto, Vetoes};
