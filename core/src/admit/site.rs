//! One node as a site for one Pod: whether it fits now, once some have left who leave anyway, or once others go; and who.
//!
//! It looks twice. A `glance` tells quickly what the node would cost at least; a `survey`, made of few nodes only, who has to
//! go exactly, with the disruption budgets. Called by `search`, which knows what was decided for others before.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    board::{Board, Room},
    cover::{Item, cover},
    fit::{Asker, Resource, is_kept_from},
    neighbours::{Neighbours, Relation, Wanting},
    node,
    outcome::{Budgets, Cost, Group, Loss, Victim},
    rule::{Rule, Spared, may_preempt},
    veto::Miss,
};
use crate::model::{Claim, Host, NodeId, Tier, Uid};

/// A Pod that is still there so long after it should have ended won't make room soon.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

/// What was decided in this search already.
#[derive(Debug, Default)]
pub(super) struct Decided<'b> {
    /// Who leaves though not ending yet: the victims so far.
    pub(super) leaving: BTreeSet<Uid>,
    /// For whom room is kept now, by node.
    pub(super) placed: BTreeMap<NodeId, Vec<&'b Claim>>,
    /// Those of them that room was kept for elsewhere before.
    pub(super) moved: BTreeSet<Uid>,
    /// How much of each allowance was used up.
    pub(super) used_up: BTreeMap<Group, u32>,
}

/// Who asks, and what is around it.
pub(super) struct View<'b, 's, B> {
    pub(super) board: &'b Board,
    pub(super) budgets: &'b B,
    pub(super) now: Timestamp,
    pub(super) decided: &'s Decided<'b>,
    pub(super) asker: &'s Asker<'b>,
    pub(super) tier: &'b Tier,
    /// The Pod itself, where room is kept for it: it is not in its own way.
    pub(super) uid: Option<Uid>,
    /// Around it as things are.
    pub(super) present: &'s Neighbours<'b>,
    /// Around it when all have left who leave anyway.
    pub(super) future: &'s Neighbours<'b>,
}

/// What a node costs, the least first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Price {
    /// It fits as things are.
    Nothing,
    /// It fits once some have left who leave anyway; by then.
    Patience(Timestamp),
    /// Others have to go.
    Victims(Cost),
}

/// What is on a node for the taking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Fits,
    Wait { leaving: Vec<Uid>, until: Option<Timestamp> },
    Slot { victims: Vec<Victim>, proven: bool },
}

/// A Pod that may go by the rule.
struct Candidate<'b> {
    claim: &'b Claim,
    rule: Rule,
    loss: Loss,
    relation: Relation,
}

/// What is on a node, in order.
struct Site<'b> {
    host: &'b Host,
    room: &'b Room,
    kept: Vec<&'b Claim>,
    /// Who leaves anyway.
    gone: Vec<&'b Claim>,
    /// For a survey by ascending loss.
    candidates: Vec<Candidate<'b>>,
}

/// What is lacking on a node when all have left who leave anyway.
struct Lacking<'b> {
    resources: Vec<(Resource<'b>, i64)>,
    around: Wanting,
    /// The places of the candidates who have to go for who they are: they have a port, or must not be beside.
    forced: Vec<usize>,
}

impl<'b, 's, B: Budgets> View<'b, 's, B> {
    /// What a node costs at least; `None` if it can't be had at all.
    pub(super) fn glance(&self, host: &'b Host, room: &'b Room) -> Option<Price> {
        if node::miss(self.asker.demand, host).is_some() {
            return None;
        }
        let kept = self.kept(host, room);
        if self.fits_now(host, room, &kept) {
            return Some(Price::Nothing);
        }
        let site = self.site(host, room, kept);
        let Lacking { resources, around, forced } = self.lacking(&site)?;
        let mut least = forced.len();
        let mut short = |need: i64, frees: &mut dyn Iterator<Item = i64>| {
            let (sum, most) =
                frees.fold((0, 0), |(sum, most): (i64, i64), frees| (sum + frees, most.max(frees)));
            if sum < need {
                return true;
            }
            least = least.max(usize::try_from((need + most - 1) / most.max(1)).unwrap_or(0));
            false
        };
        for (resource, need) in &resources {
            let frees = |candidate: &Candidate<'_>| resource.of_pod(&candidate.claim.demand.requests);
            if short(*need, &mut site.candidates.iter().map(frees)) {
                return None;
            }
        }
        for (bit, need) in &around.spread {
            let frees = |candidate: &Candidate<'_>| i64::from(candidate.relation.counts(*bit));
            if short(*need, &mut site.candidates.iter().map(frees)) {
                return None;
            }
        }
        if least == 0 {
            return Some(Price::Patience(Timestamp::MIN));
        }
        let mut losses: Vec<Loss> = site.candidates.iter().map(|candidate| candidate.loss).collect();
        if least < losses.len() {
            losses.select_nth_unstable(least);
            losses.truncate(least);
        }
        losses.sort_unstable_by(|one, other| other.cmp(one));
        Some(Price::Victims(Cost { victims: least, losses }))
    }

    /// What a node costs exactly, and who has to go; `None` if it can't be had at all.
    pub(super) fn survey(&self, host: &'b Host, room: &'b Room) -> Option<(Price, Found)> {
        if node::miss(self.asker.demand, host).is_some() {
            return None;
        }
        let kept = self.kept(host, room);
        if self.fits_now(host, room, &kept) {
            return Some((Price::Nothing, Found::Fits));
        }
        let mut site = self.site(host, room, kept);
        site.candidates.sort_unstable_by_key(|candidate| (candidate.loss, candidate.claim.uid));
        let mut groups = BTreeMap::new();
        site.candidates.retain(|candidate| match self.budgets.group(candidate.claim) {
            Ok(group) => {
                groups.insert(candidate.claim.uid, group);
                true
            }
            Err(_) => false,
        });
        let Lacking { resources, around, forced } = self.lacking(&site)?;
        let group = |claim: &Claim| groups.get(&claim.uid).copied().flatten();
        let mut spent: BTreeMap<Group, u32> = BTreeMap::new();
        for at in &forced {
            if let Some(group) = group(site.candidates[*at].claim) {
                *spent.entry(group).or_default() += 1;
            }
        }
        let left = |group: Group| {
            let used = |of: &BTreeMap<Group, u32>| of.get(&group).copied().unwrap_or(0);
            self.budgets
                .allowance(group)
                .saturating_sub(used(&self.decided.used_up))
                .checked_sub(used(&spent))
        };
        if spent.keys().any(|group| left(*group).is_none()) {
            return None;
        }
        let fellow = |at: &usize| site.candidates[*at].relation.fellow;
        let may_go = if around.keep_fellow {
            let fellows = (0..site.candidates.len()).filter(fellow).count();
            fellows.checked_sub(1 + forced.iter().filter(|at| fellow(at)).count())?
        } else {
            usize::MAX
        };
        // What the forced ones leave is not lacking any more.
        let open: Vec<usize> = (0..site.candidates.len()).filter(|at| !forced.contains(at)).collect();
        let frees = |candidate: &Candidate<'_>| {
            let of_resource =
                |(resource, _): &(Resource<'_>, i64)| resource.of_pod(&candidate.claim.demand.requests);
            let of_spread = |(bit, _): &(u32, i64)| i64::from(candidate.relation.counts(*bit));
            resources.iter().map(of_resource).chain(around.spread.iter().map(of_spread)).collect::<Vec<i64>>()
        };
        let mut needs: Vec<i64> = resources
            .iter()
            .map(|(_, need)| *need)
            .chain(around.spread.iter().map(|(_, need)| *need))
            .collect();
        for at in &forced {
            needs.iter_mut().zip(frees(&site.candidates[*at])).for_each(|(need, frees)| *need -= frees);
        }
        if forced.is_empty() && needs.is_empty() {
            let (leaving, until) = self.patience(&site);
            return Some((Price::Patience(until.unwrap_or(Timestamp::MAX)), Found::Wait { leaving, until }));
        }
        let item = |at: &usize| {
            let candidate = &site.candidates[*at];
            // More than is lacking is no better than that, and makes Pods alike.
            let frees = frees(candidate).into_iter().zip(&needs).filter(|(_, need)| **need > 0);
            Item {
                frees: frees.map(|(frees, need)| frees.min(*need)).collect(),
                group: group(candidate.claim),
                fellow: candidate.relation.fellow,
                loss: candidate.loss,
            }
        };
        let items: Vec<Item> = open.iter().map(item).collect();
        let needs: Vec<i64> = needs.iter().copied().filter(|need| *need > 0).collect();
        let found = cover(&needs, &items, &|group| left(group).unwrap_or(0), may_go)?;
        let mut chosen: Vec<usize> =
            found.chosen.iter().filter_map(|at| open.get(*at).copied()).chain(forced).collect();
        chosen.sort_unstable_by_key(|at| Reverse(*at));
        let victims = chosen.iter().map(|at| {
            let candidate = &site.candidates[*at];
            Victim { uid: candidate.claim.uid, rule: candidate.rule, group: group(candidate.claim) }
        });
        let losses: Vec<Loss> = chosen.iter().map(|at| site.candidates[*at].loss).collect();
        let cost = Cost { victims: losses.len(), losses };
        Some((Price::Victims(cost), Found::Slot { victims: victims.collect(), proven: found.proven }))
    }

    /// What would keep the Pod off a node even if all went who may.
    pub(super) fn misses(&self, host: &'b Host, room: &'b Room, misses: &mut Vec<(Miss<'s>, u64)>)
    where
        'b: 's,
    {
        let mut site = self.site(host, room, self.kept(host, room));
        site.candidates.retain(|candidate| self.budgets.group(candidate.claim).is_ok());
        let may_go: Vec<_> =
            site.candidates.iter().map(|candidate| (candidate.claim, candidate.relation)).collect();
        self.asker.misses(self.future, (host, room), &site.kept, &site.gone, &may_go, misses);
    }

    /// Tells of each Pod on a node that is spared by the rule or kept by a budget.
    pub(super) fn spared(
        &self,
        host: &Host,
        room: &'b Room,
        spared: &mut dyn FnMut(Spared),
        kept: &mut dyn FnMut(Arc<str>),
    ) {
        if node::miss(self.asker.demand, host).is_some() {
            return;
        }
        for claim in room.claims().iter().filter(|claim| !self.is_gone(claim)) {
            match may_preempt(self.asker.owner, self.tier, claim, self.now) {
                Err(why) => spared(why),
                Ok(_) => {
                    if let Err(why) = self.budgets.group(claim) {
                        kept(why);
                    }
                }
            }
        }
    }

    /// For whom room is kept on a node, which is not the Pod's then.
    fn kept(&self, host: &Host, room: &'b Room) -> Vec<&'b Claim> {
        let nominees = self.board.nominees_of(room).filter(|nominee| {
            self.uid != Some(nominee.uid)
                && is_kept_from(nominee, self.asker.owner)
                && !self.decided.moved.contains(&nominee.uid)
        });
        let placed = self.decided.placed.get(&host.id).map_or(&[][..], Vec::as_slice);
        nominees.chain(placed.iter().copied()).collect()
    }

    fn site(&self, host: &'b Host, room: &'b Room, kept: Vec<&'b Claim>) -> Site<'b> {
        let owner = self.asker.owner;
        let (mut gone, mut candidates) = (Vec::new(), Vec::with_capacity(room.claims().len()));
        for claim in room.claims() {
            if self.is_gone(claim) {
                gone.push(claim);
            } else if let Ok(rule) = may_preempt(owner, self.tier, claim, self.now) {
                let relation =
                    if self.future.is_nothing() { Relation::NONE } else { self.future.relation(claim) };
                candidates.push(Candidate { claim, rule, loss: Loss::of(claim), relation });
            }
        }
        Site { host, room, kept, gone, candidates }
    }

    /// Whether a Pod leaves its node anyway, and soon.
    fn is_gone(&self, claim: &Claim) -> bool {
        match claim.ends {
            Some(_) => !is_overdue(claim, self.now),
            None => self.decided.leaving.contains(&claim.uid),
        }
    }

    fn fits_now(&self, host: &Host, room: &Room, kept: &[&Claim]) -> bool {
        let claims = || room.claims().iter().chain(kept.iter().copied());
        self.asker.lacking(room, host, kept).all(|(_, lacking)| lacking <= 0)
            && (self.asker.demand.host_ports.is_empty()
                || claims().all(|claim| self.asker.taken(claim).is_none()))
            && (self.present.is_nothing() || self.present.wanting(host, &[]).is_ok())
    }

    /// What is lacking when all have left who leave anyway. `None` where not even all of them are enough.
    fn lacking(&self, site: &Site<'b>) -> Option<Lacking<'b>> {
        let freed = |resource: Resource<'_>| {
            site.gone.iter().map(|claim| resource.of_pod(&claim.demand.requests)).sum::<i64>()
        };
        let lacking = self.asker.lacking(site.room, site.host, &site.kept);
        let lacking = lacking.map(|(resource, lacking)| (resource, lacking - freed(resource)));
        let resources = lacking.filter(|(_, lacking)| *lacking > 0).collect();
        let mut around = Wanting::default();
        let mut forced = Vec::new();
        if !self.future.is_nothing() {
            let may_go: Vec<_> =
                site.candidates.iter().map(|candidate| (candidate.claim, candidate.relation)).collect();
            around = self.future.wanting(site.host, &may_go).ok()?;
        }
        let has_port = |claim: &Claim| self.asker.taken(claim).is_some();
        for (at, candidate) in site.candidates.iter().enumerate() {
            if candidate.relation.foe && self.future.in_the_way(candidate.claim, site.host)
                || has_port(candidate.claim)
            {
                forced.push(at);
            }
        }
        if !self.asker.demand.host_ports.is_empty() {
            let stays = |claim: &&Claim| {
                let leaves = |other: &Claim| other.uid == claim.uid;
                !site.gone.iter().any(|other| leaves(other))
                    && !site.candidates.iter().any(|candidate| leaves(candidate.claim))
            };
            let mut stay = site.room.claims().iter().filter(stays).chain(site.kept.iter().copied());
            if stay.any(has_port) {
                return None;
            }
        }
        Some(Lacking { resources, around, forced })
    }

    /// Whom of those who leave anyway it takes to leave, and until when that is. They are counted on in the order they
    /// end; those that are not ending yet come last.
    fn patience(&self, site: &Site<'b>) -> (Vec<Uid>, Option<Timestamp>) {
        let mut lacking: Vec<_> = self
            .asker
            .lacking(site.room, site.host, &site.kept)
            .filter(|(_, lacking)| *lacking > 0)
            .collect();
        let in_the_way = |claim: &Claim| {
            let foe = || self.present.relation(claim).foe && self.present.in_the_way(claim, site.host);
            self.asker.taken(claim).is_some() || (!self.present.is_nothing() && foe())
        };
        let mut gone: Vec<&Claim> = site.gone.clone();
        gone.sort_by_key(|claim| (claim.ends.is_none(), claim.ends, claim.uid));
        let mut leaving: Vec<&Claim> = Vec::new();
        for claim in gone {
            let helps = |(resource, lacking): &(Resource<'_>, i64)| {
                *lacking > 0 && resource.of_pod(&claim.demand.requests) > 0
            };
            if in_the_way(claim) || lacking.iter().any(helps) {
                lacking.iter_mut().for_each(|(resource, lacking)| {
                    *lacking -= resource.of_pod(&claim.demand.requests);
                });
                leaving.push(claim);
            }
        }
        let may_leave: Vec<(&Claim, Relation)> =
            site.gone.iter().map(|claim| (*claim, self.present.relation(claim))).collect();
        let others = !self.present.is_nothing() && self.present.wanting(site.host, &may_leave).is_err();
        let until = leaving.iter().map(|claim| claim.ends).collect::<Option<Vec<_>>>();
        let until = until.and_then(|ends| ends.into_iter().max()).filter(|_| !others);
        (leaving.iter().map(|claim| claim.uid).collect(), until)
    }
}

/// Whether a Pod should have been gone for so long that nobody can tell when it will be.
pub(super) fn is_overdue(claim: &Claim, now: Timestamp) -> bool {
    claim.ends.is_some_and(|ends| now.duration_since(ends) > OVERDUE)
}
