//! Who is where, as far as one Pod asks: its like that it is to be spread from, whom it must be beside or apart from,
//! and who must be apart from it.
//!
//! As the scheduler's filters PodTopologySpread and InterPodAffinity, by domain: the nodes with one value of a label.
//! Pods that room is kept for count where they would be in the way and never where they would help, since they may not
//! come. Made once for all Pods that have owner and demand in common, asked about one node at a time; called by `fit`
//! and `search`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    board::Board,
    census::Number,
    node::{allows, bears_taints, selects},
    veto::Miss,
};
use crate::model::{Beside, Claim, Demand, Host, NodeId, Owner, Spread};

/// How many Pods count in each domain.
type Domains = BTreeMap<Arc<str>, i64>;

/// The most spread constraints that are told apart.
pub(super) const MOST_SPREADS: usize = 64;

/// What the Pods of a cluster are to one that asks.
#[derive(Debug, Clone)]
pub(super) struct Neighbours<'b> {
    owner: &'b Owner,
    demand: &'b Demand,
    spreads: Vec<Spreading<'b>>,
    /// Whom it must be apart from, by its own terms.
    apart: Vec<(&'b Beside, Domains)>,
    /// Who must be apart from it, by the label that their terms go by.
    repelling: BTreeMap<Arc<str>, Domains>,
    beside: Option<Together>,
}

/// One spread constraint.
#[derive(Debug, Clone)]
struct Spreading<'b> {
    spread: &'b Spread,
    /// 1 if the Pod itself counts.
    own: i64,
    /// The Pods in each domain; all domains are there unless the fewest count as 0 anyway.
    counts: Domains,
    /// Pods that room is kept for besides.
    expected: Domains,
    /// The domains with the fewest and the next fewest, unless the fewest count as 0.
    fewest: Option<Fewest>,
}

/// The domains with the fewest Pods and with the next fewest.
type Fewest = [Option<(i64, Arc<str>)>; 2];

/// Those the Pod must be beside, each of whom meets all its terms.
#[derive(Debug, Clone)]
struct Together {
    /// By term.
    counts: Vec<Domains>,
    /// How many there are on nodes that have any of the labels.
    all: i64,
    /// The Pod is one of them itself, so it may be the first.
    own: bool,
    /// For how many room is kept.
    expected: i64,
}

/// What a Pod is to the one that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Relation {
    /// By which spread constraints it counts, a bit each.
    pub(super) spread: u64,
    /// It must not be where the one that asks is.
    pub(super) foe: bool,
    /// The one that asks must be beside such a one.
    pub(super) fellow: bool,
}

impl Relation {
    pub(super) const NONE: Self = Self { spread: 0, foe: false, fellow: false };

    /// Whether it counts by a spread constraint.
    pub(super) fn counts(self, bit: u32) -> bool {
        self.spread.checked_shr(bit).unwrap_or(0) & 1 == 1
    }
}

/// What has to be seen to on a node when some of its Pods may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanting {
    /// How many have to go of those that count by a spread constraint, by its bit.
    pub(super) spread: Vec<(u32, i64)>,
    /// Not all fellows may go.
    pub(super) keep_fellow: bool,
}

impl<'b> Neighbours<'b> {
    /// Looks around for Pods of this owner and demand; with or without the Pods that are ending. Spread never counts
    /// those. Pods that room is kept for are not among them, see [`Neighbours::expect`].
    pub(super) fn new(board: &Board, owner: &'b Owner, demand: &'b Demand, ending: bool) -> Self {
        let mut this = Self {
            owner,
            demand,
            spreads: demand
                .spread
                .iter()
                .map(|spread| Spreading::new(board, owner, demand, spread))
                .collect(),
            apart: demand.apart.iter().map(|term| (term, Domains::new())).collect(),
            repelling: BTreeMap::new(),
            beside: Together::new(owner, demand),
        };
        for term in 0..this.apart.len() {
            this.count_apart(board, term, ending);
        }
        this.count_repelling(board, ending);
        this.count_beside(board, ending);
        this
    }

    /// Whether the Pods around don't matter, wherever they are.
    pub(super) fn is_nothing(&self) -> bool {
        self.spreads.is_empty() && self.apart.is_empty() && self.beside.is_none() && self.repelling.is_empty()
    }

    /// What another Pod is to the one that asks.
    pub(super) fn relation(&self, claim: &Claim) -> Relation {
        let counts = |spreading: &Spreading<'_>| {
            claim.ends.is_none()
                && claim.owner.namespace == self.owner.namespace
                && selects(&spreading.spread.selector, &claim.owner.labels)
        };
        let bit = |(at, spreading): (usize, &Spreading<'_>)| u64::from(counts(spreading)) << at;
        let spread = self.spreads.iter().take(MOST_SPREADS).enumerate().map(bit).sum();
        let foe = self.apart.iter().any(|(term, _)| meets(term, self.owner, &claim.owner))
            || claim.demand.apart.iter().any(|term| meets(term, &claim.owner, self.owner));
        Relation { spread, foe, fellow: self.is_fellow(&claim.owner) }
    }

    /// Counts a Pod that room is kept for on a node, or no longer.
    pub(super) fn expect(&mut self, claim: &Claim, host: &Host, by: i64) {
        let relation = self.relation(claim);
        for (at, spreading) in self.spreads.iter_mut().enumerate().take(MOST_SPREADS) {
            if relation.spread & (1 << at) != 0 && counts_here(self.demand, spreading.spread, host) {
                change(&mut spreading.expected, host, &spreading.spread.key, by);
            }
        }
        self.change_foes(claim, host, by);
        if relation.fellow
            && let Some(beside) = &mut self.beside
        {
            beside.expected += by;
        }
    }

    /// Thinks a Pod away that is on a node, or back with -1. Says whether that may have made room elsewhere.
    pub(super) fn depart(&mut self, claim: &Claim, host: &Host, by: i64) -> bool {
        let relation = self.relation(claim);
        let wide = |key: &str| key != HOSTNAME;
        let mut elsewhere = false;
        for (at, spreading) in self.spreads.iter_mut().enumerate().take(MOST_SPREADS) {
            if relation.spread & (1 << at) != 0 && counts_here(self.demand, spreading.spread, host) {
                change(&mut spreading.counts, host, &spreading.spread.key, -by);
                spreading.find_fewest();
                elsewhere |= wide(&spreading.spread.key);
            }
        }
        if relation.foe {
            self.change_foes(claim, host, -by);
            elsewhere |= self.apart.iter().any(|(term, _)| wide(&term.key));
            elsewhere |= self.repelling.keys().any(|key| wide(key));
        }
        if relation.fellow
            && let Some(beside) = &mut self.beside
        {
            beside.change(self.demand, host, -by);
            // Without any of them the Pod may be the first anywhere.
            elsewhere |= beside.all == 0;
        }
        elsewhere
    }

    /// What the Pods around leave wanting on a node where these may go, or what keeps the Pod off it even then. Foes
    /// among those that may go have to, all of them.
    pub(super) fn wanting(&self, host: &Host, may_go: &[(&Claim, Relation)]) -> Result<Wanting, Miss<'_>> {
        let mut wanting = Wanting::default();
        for (at, spreading) in self.spreads.iter().enumerate() {
            let need = spreading.need(host).ok_or(Miss::Constraint(&spreading.spread.key))?;
            if need == 0 {
                continue;
            }
            let bit = u32::try_from(at).unwrap_or(u32::MAX);
            let could = may_go.iter().filter(|(_, relation)| relation.counts(bit)).count();
            if !counts_here(self.demand, spreading.spread, host)
                || need > i64::try_from(could).unwrap_or(i64::MAX)
            {
                return Err(spreading.miss());
            }
            wanting.spread.push((bit, need));
        }
        let foes = |key: &str, domains: &Domains, is_one: &dyn Fn(&Claim) -> bool| {
            let count = host.labels.get(key).and_then(|value| domains.get(value)).copied().unwrap_or(0);
            let go = if count == 0 { 0 } else { may_go.iter().filter(|(claim, _)| is_one(claim)).count() };
            count > i64::try_from(go).unwrap_or(i64::MAX)
        };
        for (term, domains) in &self.apart {
            if foes(&term.key, domains, &|claim| meets(term, self.owner, &claim.owner)) {
                return Err(Miss::Apart(&term.key));
            }
        }
        for (key, domains) in &self.repelling {
            if foes(key, domains, &|claim| repels(claim, key, self.owner)) {
                return Err(Miss::Apart(key));
            }
        }
        if let Some(beside) = &self.beside {
            let fellows = may_go.iter().filter(|(_, relation)| relation.fellow).count();
            let fellows = i64::try_from(fellows).unwrap_or(i64::MAX);
            wanting.keep_fellow = beside.must_keep(self.demand, host, fellows)?;
        }
        Ok(wanting)
    }

    /// Whether a Pod on a node that is a foe is one there: by a label that the node has.
    pub(super) fn in_the_way(&self, claim: &Claim, host: &Host) -> bool {
        let here = |term: &Beside| host.labels.contains_key(&term.key);
        self.apart.iter().any(|(term, _)| here(term) && meets(term, self.owner, &claim.owner))
            || claim.demand.apart.iter().any(|term| here(term) && meets(term, &claim.owner, self.owner))
    }

    fn is_fellow(&self, owner: &Owner) -> bool {
        self.beside.is_some() && self.demand.beside.iter().all(|term| meets(term, self.owner, owner))
    }

    fn count_apart(&mut self, board: &Board, at: usize, ending: bool) {
        let Some((term, domains)) = self.apart.get_mut(at) else { return };
        for (host, number) in places(board, self.owner, term, &|owner| meets(term, self.owner, owner)) {
            change(domains, host, &term.key, present(number, ending));
        }
    }

    fn count_repelling(&mut self, board: &Board, ending: bool) {
        for (namespace, repelling) in board.census().repelling() {
            let meets = |term: &&Beside| meets_from(term, namespace, self.owner);
            let keys: BTreeSet<&Arc<str>> =
                repelling.demand.apart.iter().filter(meets).map(|term| &term.key).collect();
            for key in keys {
                let domains = self.repelling.entry(Arc::clone(key)).or_default();
                for (host, number) in known(board, repelling.at.iter()) {
                    change(domains, host, key, present(number, ending));
                }
            }
        }
    }

    fn count_beside(&mut self, board: &Board, ending: bool) {
        let (Some(mut beside), Some(first)) = (self.beside.take(), self.demand.beside.first()) else {
            return;
        };
        for (host, number) in places(board, self.owner, first, &|owner| {
            self.demand.beside.iter().all(|term| meets(term, self.owner, owner))
        }) {
            beside.change(self.demand, host, present(number, ending));
        }
        self.beside = Some(beside);
    }

    fn change_foes(&mut self, claim: &Claim, host: &Host, by: i64) {
        for (term, domains) in &mut self.apart {
            if meets(term, self.owner, &claim.owner) {
                change(domains, host, &term.key, by);
            }
        }
        let owner = self.owner;
        let keys =
            claim.demand.apart.iter().filter(|term| meets(term, &claim.owner, owner)).map(|term| &term.key);
        for key in keys.collect::<BTreeSet<_>>() {
            change(self.repelling.entry(Arc::clone(key)).or_default(), host, key, by);
        }
    }
}

/// The label whose domains are single nodes.
const HOSTNAME: &str = "kubernetes.io/hostname";

impl<'b> Spreading<'b> {
    fn new(board: &Board, owner: &Owner, demand: &Demand, spread: &'b Spread) -> Self {
        let own = i64::from(selects(&spread.selector, &owner.labels));
        let mut this = Self {
            spread,
            own,
            counts: Domains::new(),
            expected: Domains::new(),
            fewest: Some([None, None]),
        };
        // As many domains as that there can't be, so they need not be known.
        let few = spread.min_domains > board.host_count();
        for host in board.hosts().map(|(host, _)| host).filter(|_| !few) {
            if counts_here(demand, spread, host)
                && let Some(value) = host.labels.get(&spread.key)
            {
                this.counts.entry(Arc::clone(value)).or_insert(0);
            }
        }
        if few || this.counts.len() < usize::try_from(spread.min_domains).unwrap_or(usize::MAX) {
            this.fewest = None;
        }
        let kin =
            board.census().kin(&owner.namespace).filter(|kin| selects(&spread.selector, &kin.owner.labels));
        for (host, number) in kin.flat_map(|kin| known(board, kin.at.iter())) {
            if counts_here(demand, spread, host) {
                change(&mut this.counts, host, &spread.key, number.live.into());
            }
        }
        this.find_fewest();
        this
    }

    fn find_fewest(&mut self) {
        let Some([fewest, next]) = &mut self.fewest else { return };
        (*fewest, *next) = (None, None);
        for (value, count) in &self.counts {
            if fewest.as_ref().is_none_or(|(least, _)| count < least) {
                *next = fewest.replace((*count, Arc::clone(value)));
            } else if next.as_ref().is_none_or(|(least, _)| count < least) {
                *next = Some((*count, Arc::clone(value)));
            }
        }
    }

    /// How many that count have to leave the node's domain for one more; `None` where the node is in no domain.
    fn need(&self, host: &Host) -> Option<i64> {
        let value = host.labels.get(&self.spread.key)?;
        let number = |domains: &Domains| domains.get(value).copied().unwrap_or(0);
        let others = match &self.fewest {
            None => 0,
            Some([Some((_, domain)), next]) if domain == value => {
                next.as_ref().map_or(i64::MAX, |(count, _)| *count)
            }
            Some([fewest, _]) => fewest.as_ref().map_or(0, |(count, _)| *count),
        };
        let skew = number(&self.counts).saturating_add(number(&self.expected)).saturating_add(self.own);
        Some(skew.saturating_sub(self.spread.max_skew.into()).saturating_sub(others).max(0))
    }

    fn miss(&self) -> Miss<'b> {
        if self.spread.min_domains >= LIMIT_DOMAINS {
            Miss::Limit(&self.spread.key)
        } else {
            Miss::Spread(&self.spread.key)
        }
    }
}

/// With so many domains to be there at least, the fewest are always 0: what limits are made of.
const LIMIT_DOMAINS: u32 = i32::MAX.unsigned_abs();

impl Together {
    fn new(owner: &Owner, demand: &Demand) -> Option<Self> {
        let own = demand.beside.iter().all(|term| meets(term, owner, owner));
        let counts = vec![Domains::new(); demand.beside.len()];
        (!demand.beside.is_empty()).then_some(Self { counts, all: 0, own, expected: 0 })
    }

    fn change(&mut self, demand: &Demand, host: &Host, by: i64) {
        let mut anywhere = false;
        for (term, domains) in demand.beside.iter().zip(&mut self.counts) {
            change(domains, host, &term.key, by);
            anywhere |= host.labels.contains_key(&term.key);
        }
        self.all += if anywhere { by } else { 0 };
    }

    /// Whether not all of so many fellows on a node may go, or what keeps the Pod off it with all of them.
    fn must_keep<'d>(&self, demand: &'d Demand, host: &Host, fellows: i64) -> Result<bool, Miss<'d>> {
        let mut alone = None;
        for (term, domains) in demand.beside.iter().zip(&self.counts) {
            let value = host.labels.get(&term.key).ok_or(Miss::Beside(&term.key))?;
            if domains.get(value).copied().unwrap_or(0) <= fellows {
                alone = alone.or(Some(&term.key));
            }
        }
        let Some(key) = alone else { return Ok(false) };
        let first = self.own && self.expected == 0 && self.all <= fellows;
        match fellows {
            _ if first => Ok(false),
            0 => Err(Miss::Beside(key)),
            _ => Ok(true),
        }
    }
}

/// Whether one owner's Pods are whom the term of another is about.
fn meets(term: &Beside, of: &Owner, owner: &Owner) -> bool {
    meets_from(term, &of.namespace, owner)
}

fn meets_from(term: &Beside, namespace: &Arc<str>, owner: &Owner) -> bool {
    let there = if term.namespaces.is_empty() {
        owner.namespace == *namespace
    } else {
        term.namespaces.contains(&owner.namespace)
    };
    there && selects(&term.selector, &owner.labels)
}

fn repels(claim: &Claim, key: &str, owner: &Owner) -> bool {
    claim.demand.apart.iter().any(|term| &*term.key == key && meets(term, &claim.owner, owner))
}

/// Whether a node's Pods count by a spread constraint: it has all its labels, and is none that is left out.
fn counts_here(demand: &Demand, spread: &Spread, host: &Host) -> bool {
    demand.spread.iter().all(|spread| host.labels.contains_key(&spread.key))
        && (!spread.honor_affinity || allows(demand, host))
        && (!spread.honor_taints || bears_taints(demand, host))
}

fn present(number: Number, ending: bool) -> i64 {
    i64::from(number.live) + if ending { i64::from(number.ending) } else { 0 }
}

fn change(domains: &mut Domains, host: &Host, key: &str, by: i64) {
    let Some(value) = host.labels.get(key) else { return };
    if by == 0 {
        return;
    }
    match domains.get_mut(value) {
        Some(count) => *count += by,
        None => {
            domains.insert(Arc::clone(value), by);
        }
    }
}

/// Where Pods are that owners like these have, of the namespaces of a term.
fn places<'a>(
    board: &'a Board,
    owner: &'a Owner,
    term: &'a Beside,
    wanted: &'a dyn Fn(&Owner) -> bool,
) -> impl Iterator<Item = (&'a Host, Number)> {
    let own = term.namespaces.is_empty().then_some(&owner.namespace);
    let namespaces: BTreeSet<&Arc<str>> = own.into_iter().chain(&term.namespaces).collect();
    let kin = namespaces.into_iter().flat_map(|namespace| board.census().kin(namespace));
    kin.filter(|kin| wanted(&kin.owner)).flat_map(|kin| known(board, kin.at.iter()))
}

fn known<'a>(
    board: &'a Board,
    places: impl Iterator<Item = (NodeId, Number)> + 'a,
) -> impl Iterator<Item = (&'a Host, Number)> {
    places.filter_map(|(host, number)| Some((board.host(host)?, number)))
}
