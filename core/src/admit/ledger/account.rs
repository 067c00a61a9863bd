//! One role's account: its sums, kept up to date by the job that changed, and its grants.
//!
//! Jobs that wait are looked at again only when something was freed or the quota grew; otherwise only those that changed
//! themselves. Called by `Ledger`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::model::{Bucket, Grant, Resources, Uid};

use super::{
    Admission, Decision, Job, JobName, MAX_PENDING, Pending, Report, Shortage, Usage, Verdict,
    next::{Next, next, reduced},
    report::beyond,
};

/// Jobs that wait, told of by name.
const TOLD: usize = 32;

/// A job's place in the order of asking.
type Turn = (Timestamp, JobName);

/// One role.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// Its quota, where there is such a role.
    quota: Option<Resources>,
    foreign: Resources,
    pending: BTreeMap<JobName, (Uid, Grant)>,
    jobs: BTreeMap<JobName, Entry>,
    usage: Usage,
    namespaces: BTreeMap<Arc<str>, (usize, Usage)>,
    /// Jobs that lack a grant.
    held: BTreeSet<Turn>,
    /// Those of them that have changed since they were looked at.
    fresh: BTreeSet<Turn>,
    /// Something was freed: all of them are looked at.
    freed: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    job: Job,
    /// What it adds to the sums.
    usage: Usage,
}

impl Account {
    pub(super) fn is_empty(&self) -> bool {
        self.quota.is_none() && self.jobs.is_empty() && self.foreign.is_none()
    }

    pub(super) fn set_role(&mut self, quota: Resources, pending: Vec<Pending>) {
        self.freed |= self.quota.as_ref().is_none_or(|before| !quota.fits(before));
        self.quota = Some(quota);
        self.set_pending(pending.into_iter().map(|one| (one.job, (one.uid, one.grant))).collect());
    }

    pub(super) fn remove_role(&mut self) {
        self.quota = None;
        self.set_pending(BTreeMap::new());
    }

    fn set_pending(&mut self, pending: BTreeMap<JobName, (Uid, Grant)>) {
        if self.pending == pending {
            return;
        }
        let before = std::mem::replace(&mut self.pending, pending);
        let names: BTreeSet<JobName> = before.into_keys().chain(self.pending.keys().cloned()).collect();
        for name in names {
            if let Some(entry) = self.jobs.get(&name) {
                let job = entry.job.clone();
                self.set_job(&name, job);
            }
        }
    }

    pub(super) fn set_foreign(&mut self, used: Resources) {
        self.freed |= !self.foreign.fits(&used);
        self.foreign = used;
    }

    /// Takes a job as it stands; whether anything follows from that.
    pub(super) fn set_job(&mut self, name: &JobName, job: Job) -> bool {
        let grant = self.grant(name, &job);
        let lacks = next(&job, grant, Timestamp::UNIX_EPOCH).is_some();
        let usage = usage(&job, grant);
        let turn = (job.created, name.clone());
        if let Some(before) = self.jobs.get(name) {
            if before.job == job && before.usage == usage && self.held.contains(&turn) == lacks {
                return false;
            }
            self.freed |= !before.usage.production.fits(&usage.production);
        }
        self.take_out(name);
        self.usage.add(&usage);
        let (count, sum) = self.namespaces.entry(Arc::clone(&name.namespace)).or_default();
        *count += 1;
        sum.add(&usage);
        if lacks {
            self.held.insert(turn.clone());
            self.fresh.insert(turn);
        }
        self.jobs.insert(name.clone(), Entry { job, usage });
        true
    }

    pub(super) fn remove_job(&mut self, name: &JobName) -> bool {
        self.freed |= self.jobs.get(name).is_some_and(|entry| !entry.usage.production.is_none());
        self.take_out(name)
    }

    fn take_out(&mut self, name: &JobName) -> bool {
        let Some(Entry { job, usage }) = self.jobs.remove(name) else { return false };
        let turn = (job.created, name.clone());
        self.held.remove(&turn);
        self.fresh.remove(&turn);
        self.usage.subtract(&usage);
        if let Some((count, sum)) = self.namespaces.get_mut(&name.namespace) {
            *count -= 1;
            sum.subtract(&usage);
            if *count == 0 {
                self.namespaces.remove(&name.namespace);
            }
        }
        true
    }

    /// The grant a job has: the one it has not taken up yet, where it is newer than the one it has recorded.
    fn grant<'a>(&'a self, name: &JobName, job: &'a Job) -> Option<&'a Grant> {
        let recorded = job.recorded.as_ref();
        let pending = self.pending.get(name).filter(|(uid, _)| *uid == job.uid).map(|(_, grant)| grant);
        let is_newer = |grant: &&Grant| recorded.is_none_or(|recorded| grant.number > recorded.number);
        pending.filter(is_newer).or(recorded)
    }

    /// Whether a grant is still to be taken up.
    fn is_pending(&self, name: &JobName, uid: Uid, grant: &Grant) -> bool {
        let job = self.jobs.get(name).map(|entry| &entry.job).filter(|job| job.uid == uid);
        job.is_some_and(|job| job.recorded.as_ref().is_none_or(|recorded| recorded.number < grant.number))
    }

    pub(super) fn decide(&mut self, now: Timestamp) -> Option<Decision> {
        let quota = self.quota.as_ref()?;
        let kept = self.pending.iter().filter(|(name, (uid, grant))| self.is_pending(name, *uid, grant));
        let kept =
            kept.map(|(name, (uid, grant))| Pending { job: name.clone(), uid: *uid, grant: grant.clone() });
        let mut decision = Decision { pending: kept.collect(), changed: false, granted: Vec::new() };
        decision.changed = decision.pending.len() != self.pending.len();
        if !(self.freed || !self.fresh.is_empty() || decision.changed) {
            return None;
        }
        let mut used = self.usage.production.clone();
        let turns = if self.freed { &self.held } else { &self.fresh };
        // What is there already is written down before anything is given: else it would be given twice.
        let is_left = self.give(turns, true, quota, &mut used, now, &mut decision)
            || self.give(turns, false, quota, &mut used, now, &mut decision);
        if decision.granted.is_empty() && !is_left {
            self.fresh.clear();
            self.freed = false;
        }
        Some(decision)
    }

    /// Grants what there is room for, to those who adopt or to the others; whether some were left for the next time.
    fn give(
        &self,
        turns: &BTreeSet<Turn>,
        adopts: bool,
        quota: &Resources,
        used: &mut Resources,
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        for (_, name) in turns {
            let Some(entry) = self.jobs.get(name) else { continue };
            let Some(next) = self.next(name, &entry.job, now).filter(|next| next.adopts == adopts) else {
                continue;
            };
            let missing = self.missing(&next, entry, used, quota);
            if !adopts && !missing.is_none() {
                continue;
            }
            if decision.pending.len() >= MAX_PENDING {
                return true;
            }
            used.subtract(&entry.usage.production);
            used.add(&next.grant.charge());
            decision.pending.retain(|pending| pending.job != *name);
            decision.pending.push(Pending { job: name.clone(), uid: entry.job.uid, grant: next.grant });
            decision.granted.push(name.clone());
            decision.changed = true;
        }
        false
    }

    fn next(&self, name: &JobName, job: &Job, now: Timestamp) -> Option<Next> {
        next(job, self.grant(name, job), now)
    }

    /// What is missing for a grant, of the resources the job would be charged more of.
    fn missing(&self, next: &Next, entry: &Entry, used: &Resources, quota: &Resources) -> Resources {
        let more = beyond(&next.grant.charge(), &entry.usage.production);
        if more.is_none() {
            return Resources::NONE;
        }
        let mut wanted = used.clone();
        wanted.add(&self.foreign);
        wanted.subtract(&entry.usage.production);
        wanted.add(&next.grant.charge());
        let over = beyond(&wanted, quota);
        // What is over already is no reason to refuse what takes none of it.
        only_of(over, &more)
    }

    pub(super) fn admission(&self, name: &JobName) -> Admission {
        let Some(entry) = self.jobs.get(name) else { return Admission::unknown() };
        let job = &entry.job;
        let grant = self.grant(name, job).and_then(|grant| reduced(job, grant));
        let verdict = if job.bucket != Bucket::Production {
            Verdict::Free
        } else {
            self.shortage(name, entry).map_or(Verdict::Limited, |shortage| Verdict::Held(Box::new(shortage)))
        };
        Admission { grant, verdict }
    }

    /// What the job lacks, where it waits.
    fn shortage(&self, name: &JobName, entry: &Entry) -> Option<Shortage> {
        let next = self.next(name, &entry.job, Timestamp::UNIX_EPOCH)?;
        let quota = self.quota.clone().unwrap_or_default();
        let missing = self.missing(&next, entry, &self.usage.production, &quota);
        if missing.is_none() || next.adopts {
            return None;
        }
        let mut used = self.usage.production.clone();
        used.add(&self.foreign);
        let (asked, has) = (next.grant.charge(), entry.usage.production.clone());
        Some(Shortage { asked, has, used, quota, missing })
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &JobName> {
        self.held.iter().map(|(_, name)| name)
    }

    pub(super) fn report(&self) -> Report<'_> {
        let mut used = self.usage.production.clone();
        used.add(&self.foreign);
        let quota = self.quota.clone().unwrap_or_default();
        let short = |name: &JobName| Some((name.clone(), self.shortage(name, self.jobs.get(name)?)?));
        Report {
            quota: self.quota.as_ref(),
            usage: &self.usage,
            foreign: &self.foreign,
            namespaces: &self.namespaces,
            over: beyond(&used, &quota),
            held: self.held.len(),
            first_held: self.held().filter_map(short).take(TOLD).collect(),
        }
    }
}

/// What a job adds to the sums, given the grant it has.
fn usage(job: &Job, grant: Option<&Grant>) -> Usage {
    // What was granted stays charged until the job gives it back, whatever it is now.
    let mut usage = Usage { production: grant.map(Grant::charge).unwrap_or_default(), ..Usage::default() };
    let asked = job.ask.as_ref().map(crate::model::Share::total).unwrap_or_default();
    match job.bucket {
        Bucket::Production => {}
        Bucket::Dedicated => usage.dedicated = asked,
        Bucket::NonProduction => usage.non_production = asked,
    }
    usage
}

/// Those amounts of which there is also something in the other.
fn only_of(mut amounts: Resources, other: &Resources) -> Resources {
    let keep = |amount: &mut i64, other: i64| *amount = if other == 0 { 0 } else { *amount };
    keep(&mut amounts.cpu_milli, other.cpu_milli);
    keep(&mut amounts.memory, other.memory);
    keep(&mut amounts.ephemeral, other.ephemeral);
    amounts.extended.retain(|name, _| other.extended(name) != 0);
    amounts
}
