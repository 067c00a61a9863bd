//! Which changes of state are legal and what they entail, and what a Pod's status means in Aurora's words.
//!
//! `task` and `update` are legality tables, `observe` maps what the API says of a Pod to a task's state. They
//! decide nothing: the index calls `observe`, the planner reads the tables.

mod observe;
mod task;
mod update;

pub use observe::{ContainerFacts, ContainerKind, ContainerState, Observation, Phase, PodFacts, observe};
pub use task::{Effects, Illegal, Kind, Replace, transition};
pub use update::{Answer, Wish, answer, can_go};
