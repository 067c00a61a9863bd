//! What there is: identities, services, tasks, updates, status; tiers, Pods and nodes as placement sees them. Plain data with checked constructors.
//!
//! These types carry no behaviour beyond reading themselves; what may happen to them is said in `state`, what
//! shall happen in `plan`. The operator's index fills them from the API, the simulation from its own world.

mod amount;
mod batch;
mod check;
mod claim;
mod cron;
mod dedicated;
mod grant;
mod ids;
mod in_place;
mod pending;
mod ranges;
pub mod reasons;
mod resources;
mod role;
mod service;
mod slot;
mod status;
mod task;
mod tier;
mod update;

pub use amount::Amount;
pub use batch::{
    Batch, BatchFailure, BatchStatus, HealthPatience, InstanceFailure, KillReason, Parent, ParentEnd,
    ParentKind, ParentSeen, Phase, RunOf, Upstream,
};
pub use check::{
    Check, CheckRecord, Comparison, MAX_CHECKS, Measurement, Must, NoData, OnFailure, Outcome, Source, number,
};
pub use claim::{
    Beside, Claim, Demand, Effect, Host, HostPort, Labels, NodeTerm, Owner, Requirement, Spread, Taint, Test,
    Toleration,
};
pub use cron::{
    CatchUp, Collision, Cron, CronStatus, PendingRun, RunCause, RunEnd, RunHistory, RunOutcome, RunRecord,
    RunSeen, Skipped,
};
pub use dedicated::{Dedicated, MAX_DEDICATED, NoPool};
pub use grant::{Bucket, Grant, Share};
pub use ids::{Instance, JobKind, MAX_INSTANCES, ParseError, Revision, Run, Uid};
pub use in_place::{Change, InPlace, Stage};
pub use pending::{Pending, PendingReason};
pub use ranges::Ranges;
pub use resources::Resources;
pub use role::Role;
pub use service::{Flapping, History, Partition, RevisionRecord, Service, Strategy, UpdateSettings, Work};
pub use slot::{FailedSlot, Held, Slot, SlotFailure};
pub use status::{Condition, ConditionType, Counts, Failure, ServiceStatus, UpdateRef};
pub use task::{EndReason, Ending, Intent, NodeId, Task, TaskState, Waiting};
pub use tier::{Preemption, Tier};
pub use update::{Controls, Failures, Instructions, Progress, Pulse, Request, Update, UpdateState};
