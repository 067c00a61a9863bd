//! Grants of quota, both ways. One that can't be read is none: then what runs is found by its Pods, and granted anew.

use borealis_core::model::{Grant, Share};

use super::{signed, time};
use crate::api::{
    amounts::quantities,
    grant::{Granted, GrantedShare},
    quantity::resources,
};

/// A grant as it was recorded.
#[must_use]
pub fn grant(recorded: &Granted) -> Option<Grant> {
    let Granted { number, revision, instances, each, previous, time } = recorded;
    let share = |one: &GrantedShare| {
        Some(Share {
            revision: one.revision.parse().ok()?,
            instances: u32::try_from(one.instances).ok()?,
            each: resources(Some(&one.each)),
        })
    };
    let now = GrantedShare { revision: revision.clone(), instances: *instances, each: each.clone() };
    Some(Grant {
        number: u32::try_from(*number).ok()?,
        share: share(&now)?,
        previous: match previous {
            Some(previous) => Some(share(previous)?),
            None => None,
        },
        time: time.0,
    })
}

/// The grant to record.
#[must_use]
pub fn grant_object(grant: &Grant) -> Granted {
    let share = |share: &Share| GrantedShare {
        revision: share.revision.to_string(),
        instances: signed(share.instances),
        each: quantities(&share.each),
    };
    let GrantedShare { revision, instances, each } = share(&grant.share);
    Granted {
        number: signed(grant.number),
        revision,
        instances,
        each,
        previous: grant.previous.as_ref().map(share),
        time: time(grant.time),
    }
}
