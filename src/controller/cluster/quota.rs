//! The quota loop: turns the ledger, writes what it grants, and has those planned again whom that concerns.
//!
//! The only one that grants. A grant is written into the role's status first, on the version it was decided from; only
//! then is its service told, which records it in its own, and only then are Pods made of it. What the role's status holds
//! is dropped once the service's shows it. Cost follows what changed: a service's news concerns its role alone. Decides
//! nothing itself; `borealis_core::admit::ledger` does. Turned by `cluster::turn`.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use borealis_core::{
    admit::ledger::{Admission, Job, JobName, Ledger, Pending, Verdict},
    model::{Resources, Tier},
};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info};

use super::Round;
use crate::{
    JobKey,
    api::{convert, role_quota::RoleQuota},
    apply::{RoleVersion, RoleWrite, RoleWriter},
    controller::Queue,
    index::{Follower, Index, RoleRow},
    metrics::Metrics,
    quota::{self, Quota},
};

/// How often mere numbers of a role are written, and told to those who wait for quota.
const PACE: Duration = Duration::from_secs(5);
/// How soon it is tried again what could not be written.
const AGAIN: Duration = Duration::from_secs(1);
/// Writes of one role in one round.
const WRITES: usize = 8;

/// What the loop needs, and what it remembers; all of that may be lost.
pub struct QuotaRound {
    index: Arc<Index>,
    quota: Arc<Quota>,
    writer: RoleWriter,
    queue: Arc<Queue<JobKey>>,
    metrics: Metrics,
    /// What Pods of others use, and whose has changed.
    follower: Arc<Follower>,
    tiers: Vec<Arc<Tier>>,
    roles: HashMap<Arc<str>, Seen>,
    /// Roles that wait for their turn to be written or told.
    late: BTreeSet<Arc<str>>,
    /// How those services stand that are limited, as they were last told.
    told: HashMap<JobName, Admission>,
}

/// A role that was read, and the grants in its status.
type Read = (Arc<str>, Vec<Pending>);
/// The roles that are another version, and those that are gone.
type Roles = (Vec<Read>, Vec<Arc<str>>);

/// A role as it was last read.
struct Seen {
    version: RoleVersion,
    limit: Resources,
    quota: Option<RoleQuota>,
    /// When its numbers were last written.
    written: Option<Instant>,
}

impl QuotaRound {
    /// A loop that knows nothing yet.
    pub fn new(
        index: Arc<Index>,
        quota: Arc<Quota>,
        writer: RoleWriter,
        queue: Arc<Queue<JobKey>>,
        metrics: Metrics,
        follower: Arc<Follower>,
    ) -> Self {
        Self {
            index,
            quota,
            writer,
            queue,
            metrics,
            follower,
            tiers: Vec::new(),
            roles: HashMap::new(),
            late: BTreeSet::new(),
            told: HashMap::new(),
        }
    }

    /// Learns what has changed; the roles and the services it concerns. `None` where another term has begun meanwhile.
    fn learn(&mut self) -> Option<(BTreeSet<Arc<str>>, BTreeSet<JobName>)> {
        let (stale, term, mut changed) = {
            let mut state = self.quota.lock();
            (state.stale, state.term, std::mem::take(&mut state.changed))
        };
        if stale {
            self.roles.clear();
            self.told.clear();
        }
        let tiers =
            self.index.tenancy(|tenancy| tenancy.tiers().filter_map(|row| row.tier.clone()).collect());
        if stale || self.tiers != tiers {
            self.tiers = tiers;
            let all = self.index.keys();
            // A tier that came, or is of another kind now, may be anybody's.
            all.iter().filter(|_| !stale).for_each(|key| self.queue.add(key));
            changed.extend(all);
        }
        let jobs = self.jobs(&changed);
        let roles = self.read_roles();
        let mut foreign: BTreeSet<_> = self.follower.take().roles;
        if stale {
            foreign.extend(self.roles.keys().cloned());
        }
        let foreign: Vec<_> = foreign.into_iter().map(|role| (self.foreign(&role), role)).collect();

        let mut state = self.quota.lock();
        if state.term != term {
            return None;
        }
        if stale {
            state.ledger = Ledger::default();
        }
        let mut touched: BTreeSet<Arc<str>> = std::mem::take(&mut self.late);
        let mut names = BTreeSet::new();
        touched.extend(self.enter(&mut state.ledger, roles, &mut names));
        for (used, role) in foreign {
            state.ledger.set_foreign(&role, used);
            touched.insert(role);
        }
        for (name, job) in jobs {
            match job {
                Some(job) => touched.extend(state.ledger.set_job(&name, job)),
                None => touched.extend(state.ledger.remove_job(&name)),
            }
            names.insert(name);
        }
        state.stale = false;
        Some((touched, names))
    }

    fn jobs(&self, changed: &HashSet<JobKey>) -> Vec<(JobName, Option<Job>)> {
        let read = |key: &JobKey| {
            let tenant = self.index.tenant(&key.namespace);
            let tier = |name: &str| self.tiers.iter().find(|tier| *tier.name == *name);
            let job = self.index.job(key, |view| {
                quota::job::job(view, &tenant, tier(&view.service.work.tier).map(|tier| &**tier))
            });
            (quota::name(key), job)
        };
        changed.iter().map(read).collect()
    }

    fn foreign(&self, role: &str) -> Resources {
        let mut sum = Resources::NONE;
        self.index.foreign(role).values().for_each(|used| sum.add(&used.production));
        sum
    }

    /// The roles that are another version, with the grants in their status; and those that are gone.
    fn read_roles(&mut self) -> Roles {
        let seen = &mut self.roles;
        let mut there = HashSet::new();
        let read = self.index.tenancy(|tenancy| {
            let mut read = Vec::new();
            for row in tenancy.roles() {
                let name = &row.object.name;
                there.insert(Arc::clone(name));
                let known = seen.get(name);
                if known.is_some_and(|known| known.version.version == row.version) {
                    continue;
                }
                let row = Seen::of(row, known.and_then(|known| known.written));
                read.push((Arc::clone(name), row.pending()));
                seen.insert(Arc::clone(name), row);
            }
            read
        });
        let gone: Vec<_> = seen.keys().filter(|name| !there.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| drop(seen.remove(name)));
        (read, gone)
    }

    /// Has the ledger know of these roles, and adds to `names` whose grants stand in their status. Which roles they are.
    fn enter(
        &self,
        ledger: &mut Ledger,
        (read, gone): Roles,
        names: &mut BTreeSet<JobName>,
    ) -> Vec<Arc<str>> {
        let mut touched = Vec::new();
        for (role, pending) in read {
            // One of them may be of a write whose answer was lost.
            names.extend(pending.iter().map(|grant| grant.job.clone()));
            let limit = self.roles.get(&role).map(|seen| seen.limit.clone()).unwrap_or_default();
            ledger.set_role(&role, limit, pending);
            touched.push(role);
        }
        for role in gone {
            ledger.remove_role(&role);
            touched.push(role);
        }
        touched
    }

    /// Brings a role's status up to date: its grants at once, mere numbers in time. False where the lease is lost.
    async fn settle(&mut self, role: &Arc<str>, names: &mut BTreeSet<JobName>) -> bool {
        for _ in 0..WRITES {
            let Some(seen) = self.roles.get(role) else { return true };
            let foreign = self.index.foreign(role);
            let (wanted, granted, must) = {
                let mut state = self.quota.lock();
                let decision = state.ledger.decide(role, Timestamp::now());
                let Some(report) = state.ledger.report(role) else { return true };
                let must = decision.as_ref().is_some_and(|decision| decision.changed);
                let (pending, granted) = match decision {
                    Some(decision) => (decision.pending, decision.granted),
                    None => (seen.pending(), Vec::new()),
                };
                let shares = foreign.iter().map(|(namespace, used)| convert::ForeignShare {
                    namespace,
                    production: &used.production,
                    non_production: &used.non_production,
                });
                (convert::role_quota_object(&report, &pending, &shares.collect::<Vec<_>>()), granted, must)
            };
            if seen.quota.as_ref() == Some(&wanted) {
                return true;
            }
            let is_early = seen.written.is_some_and(|at| at.elapsed() < PACE);
            if !must && is_early {
                self.late.insert(Arc::clone(role));
                return true;
            }
            match self.writer.write(&seen.version, &wanted).await {
                RoleWrite::Known { role: object, written } => {
                    self.index.learn_role(&object);
                    if written {
                        self.wrote(role, granted, names);
                    } else {
                        debug!(%role, "its status had changed; it is decided anew");
                    }
                    self.reread(role, names);
                }
                RoleWrite::Gone => return true,
                RoleWrite::Unknown => {
                    self.late.insert(Arc::clone(role));
                    return true;
                }
                RoleWrite::Fenced => return false,
            }
        }
        self.late.insert(Arc::clone(role));
        true
    }

    fn wrote(&mut self, role: &Arc<str>, granted: Vec<JobName>, names: &mut BTreeSet<JobName>) {
        if let Some(seen) = self.roles.get_mut(role) {
            seen.written = Some(Instant::now());
        }
        for job in granted {
            info!(%role, %job, "granted what it asks for");
            names.insert(job);
        }
    }

    /// Takes a role as the index has it after a write.
    fn reread(&mut self, role: &Arc<str>, names: &mut BTreeSet<JobName>) {
        let roles = self.read_roles();
        let touched = self.enter(&mut self.quota.lock().ledger, roles, names);
        self.late.extend(touched.into_iter().filter(|other| other != role));
    }

    /// Has those services planned again that stand otherwise than they were told.
    fn tell(&mut self, names: &BTreeSet<JobName>) {
        let state = self.quota.lock();
        for name in names {
            let now = state.ledger.admission(name);
            let is_limited = now.grant.is_some() || !matches!(now.verdict, Verdict::Free | Verdict::Unknown);
            let before = self.told.get(name);
            if before == Some(&now) || (before.is_none() && !is_limited) {
                continue;
            }
            if is_limited {
                self.told.insert(name.clone(), now);
            } else {
                self.told.remove(name);
            }
            self.queue.add(&quota::key(name));
        }
    }

    fn measure(&self, role: &Arc<str>) {
        let state = self.quota.lock();
        match state.ledger.report(role).filter(|report| report.quota.is_some()) {
            Some(report) => self.metrics.quota(role, &report),
            None => self.metrics.no_quota(role),
        }
    }
}

impl Seen {
    fn of(row: &RoleRow, written: Option<Instant>) -> Self {
        let RoleRow { object, role, status, version, .. } = row;
        let version = RoleVersion {
            name: object.name.to_string(),
            uid: object.uid.to_string(),
            version: *version,
            has_status: status.is_some(),
        };
        // A spec that was never usable allows nothing, and takes nothing away.
        let limit = role.as_ref().map(|role| role.quota.clone()).unwrap_or_default();
        let quota = status.as_ref().and_then(|status| status.quota.clone());
        Self { version, limit, quota, written }
    }

    fn pending(&self) -> Vec<Pending> {
        self.quota.as_ref().map(convert::pending_grants).unwrap_or_default()
    }
}

impl Round for QuotaRound {
    const NAME: &'static str = "quota";

    async fn round(&mut self) -> Option<Duration> {
        let Some((touched, mut names)) = self.learn() else { return Some(Duration::ZERO) };
        for role in &touched {
            if !self.settle(role, &mut names).await {
                // Whoever comes next decides about them; if that is this process, it learns everything anew.
                return Some(AGAIN);
            }
            self.measure(role);
            let held: Vec<JobName> = self.quota.lock().ledger.held(role).cloned().collect();
            names.extend(held);
        }
        self.tell(&names);
        (!self.late.is_empty()).then_some(AGAIN)
    }
}

#[cfg(test)]
mod tests;
