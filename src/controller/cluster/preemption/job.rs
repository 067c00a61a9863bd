//! The writes that a pass wants, with all that is needed of the board to make them and to tell of them.

use std::sync::Arc;

use borealis_core::{
    admit::{Board, pass::Action},
    model::{Claim, Slot, SlotFailure, Uid},
};

use crate::{
    api::slot::Preempted,
    apply::{PodRef, Victim},
};

/// A write that a pass wants.
pub(super) enum Job {
    Note {
        pod: PodRef,
        claim: Uid,
        role: Arc<str>,
        slot: Slot,
        node: Option<Arc<str>>,
        failed: Option<SlotFailure>,
        /// How many have ended for the slot that failed.
        in_vain: u32,
    },
    End {
        victim: Victim,
        uid: Uid,
    },
}

impl Job {
    /// Whose write it is.
    pub(super) fn pod(&self) -> (&PodRef, Uid) {
        match self {
            Self::Note { pod, claim, .. } => (pod, *claim),
            Self::End { victim, uid } => (&victim.pod, *uid),
        }
    }

    /// How many are to end for the slot that begins with it, and for which role.
    pub(super) fn begins(&self) -> Option<(&str, usize)> {
        let Self::Note { role, slot, node: Some(_), .. } = self else { return None };
        let held = slot.held.as_ref().filter(|held| held.asserted == 0)?;
        Some((role, held.victims.len()))
    }
}

/// What an action asks to be written, unless its Pod is gone.
pub(super) fn job(board: &Board, action: &Action) -> Option<Job> {
    match action {
        Action::Withdraw { claim, slot, why, .. } => {
            let claim = board.claim(*claim)?;
            let victims =
                claim.slot.iter().filter_map(|slot| slot.held.as_ref()).flat_map(|held| &held.victims);
            let stands = |uid: &Uid| board.claim(*uid).is_some_and(|victim| victim.ends.is_none());
            let in_vain = u32::try_from(victims.filter(|uid| !stands(uid)).count()).unwrap_or(u32::MAX);
            Some(note(claim, slot, None, Some(*why), in_vain))
        }
        Action::Keep { claim, slot, node } => {
            Some(note(board.claim(*claim)?, slot, Some(Arc::clone(node)), None, 0))
        }
        Action::End { victim, claim, node, rule, budget } => {
            let (for_whom, who) = (board.claim(*claim)?, board.claim(*victim)?);
            let is_of_role = for_whom.owner.role == who.owner.role;
            let name = || format!("{}/{}", for_whom.owner.namespace, for_whom.name);
            let note = Preempted {
                rule: rule.to_string(),
                preemptor: for_whom.uid.to_string(),
                name: is_of_role.then(name),
                node: Arc::clone(node),
            };
            let pod = PodRef::of(who);
            let end = Victim { pod, budget: *budget, note };
            Some(Job::End { victim: end, uid: *victim })
        }
    }
}

fn note(
    claim: &Claim,
    slot: &Slot,
    node: Option<Arc<str>>,
    failed: Option<SlotFailure>,
    in_vain: u32,
) -> Job {
    let role = Arc::clone(&claim.owner.role);
    Job::Note { pod: PodRef::of(claim), claim: claim.uid, role, slot: slot.clone(), node, failed, in_vain }
}
