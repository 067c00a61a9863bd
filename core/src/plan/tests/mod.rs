//! The planner in named cases: a small job whose Pods do what the case says, driven plan by plan.

mod adopt;
mod checks;
mod control;
mod found;
mod heal;
mod in_place;
mod job;
mod keep;
mod placed;
mod roll;
mod scope;
mod surge;
mod turns;
