//! What may be done to the cluster and the operator, and by people meanwhile, each by its weight.

use super::dice::Dice;
use crate::between::Trouble;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    PodsDeleted,
    Update,
    BadUpdate,
    Scaled,
    ReplicaKilled,
    AllReplicasKilled,
    LeaderSuspended,
    NodesLost,
    NodesBack,
    ApiServerRestarted,
    ApiServerHangs,
    EtcdRestarted,
    EtcdHangs,
    /// etcd is compacted, and the API server begins without a memory.
    HistoryForgotten,
    /// A replica begins again with a clock that is wrong.
    ClockSet,
    /// Calls of the operator are spoiled for some seconds.
    Calls(Trouble),
    Nothing,
}

/// How often each happens, of a hundred.
const WEIGHTS: [(Fault, usize); 21] = [
    (Fault::PodsDeleted, 22),
    (Fault::Update, 12),
    (Fault::BadUpdate, 6),
    (Fault::Scaled, 6),
    (Fault::ReplicaKilled, 8),
    (Fault::AllReplicasKilled, 2),
    (Fault::LeaderSuspended, 4),
    (Fault::NodesLost, 5),
    (Fault::NodesBack, 8),
    (Fault::ApiServerRestarted, 2),
    (Fault::ApiServerHangs, 2),
    (Fault::EtcdRestarted, 2),
    (Fault::EtcdHangs, 2),
    (Fault::HistoryForgotten, 2),
    (Fault::ClockSet, 2),
    (Fault::Calls(Trouble::TooManyRequests), 2),
    (Fault::Calls(Trouble::InternalError), 2),
    (Fault::Calls(Trouble::Conflict), 2),
    (Fault::Calls(Trouble::AnswerLost), 2),
    (Fault::Calls(Trouble::SlowWatch), 2),
    (Fault::Nothing, 5),
];

impl Fault {
    /// What the dice say.
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let mut rolled = dice.roll(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (fault, weight) in WEIGHTS {
            if rolled < weight {
                return fault;
            }
            rolled -= weight;
        }
        Self::Nothing
    }

    /// Whether the API server may be away for a while after it.
    pub(super) fn is_of_the_control_plane(self) -> bool {
        use Fault::{ApiServerHangs, ApiServerRestarted, EtcdHangs, EtcdRestarted, HistoryForgotten};
        matches!(self, ApiServerHangs | ApiServerRestarted | EtcdHangs | EtcdRestarted | HistoryForgotten)
    }
}
