//! The quota ledger: which jobs are granted what they ask for, role by role.
//!
//! Only production work is limited (Aurora: prodShared), and it is charged when the job is admitted, not when its Pods
//! are placed. What is charged follows from what is recorded alone: the grants in the role's status that their jobs have
//! not taken up yet, and those in the jobs' own. So a successor that reads both decides as its predecessor did, and what
//! a job gives back is free once the job's status says so. `next` says what a job is to be granted, `account` keeps one
//! role's sums up to date by the job that changed, `gate` holds a job's plan to its grant. Reads and writes nothing;
//! called by the cluster loop.

mod account;
mod gate;
mod next;
mod report;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

use crate::model::{Bucket, Grant, JobKind, Resources, Revision, Share, Uid};

use account::Account;

pub use gate::{Admission, Verdict, plan_admitted};
pub use report::{Report, Shortage, Usage};

/// Grants that may stand in a role's status at a time; the rest is given once their jobs have taken those up.
pub const MAX_PENDING: usize = 128;

/// A job's name in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName {
    /// Whether it is a service.
    pub kind: JobKind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A job as the ledger sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The object's uid.
    pub uid: Uid,
    /// When it was made: the older asks first.
    pub created: Timestamp,
    /// The role it belongs to.
    pub role: Arc<str>,
    /// Which of the role's sums it is part of.
    pub bucket: Bucket,
    /// What it asks for; `None` where that can't be told, or it may not ask: what it has stays.
    pub ask: Option<Share>,
    /// The grant in its status.
    pub recorded: Option<Grant>,
    /// Instances of the config it asks for that it has without any grant: it was there before there was quota, or its
    /// status was lost.
    pub runs: u32,
    /// The one config that all it has is of, and how many Pods that are, while nothing is being changed.
    pub settled: Option<(Revision, u32)>,
}

/// A grant that its job has not taken up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Whose.
    pub job: JobName,
    /// The job's uid.
    pub uid: Uid,
    /// The grant.
    pub grant: Grant,
}

/// What is to be done about one role's grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The grants that are to stand in the role's status, those from before included.
    pub pending: Vec<Pending>,
    /// Whether that differs from what stands there.
    pub changed: bool,
    /// The jobs that are granted something anew.
    pub granted: Vec<JobName>,
}

/// All roles' quota, and what of it is given.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    accounts: BTreeMap<Arc<str>, Account>,
    /// The role of each job.
    roles: BTreeMap<JobName, Arc<str>>,
}

impl Ledger {
    /// Takes a role as it stands: its quota, and the grants in its status.
    pub fn set_role(&mut self, role: &Arc<str>, quota: Resources, pending: Vec<Pending>) {
        self.account(role).set_role(quota, pending);
    }

    /// There is no such role any more. Its jobs keep what they have, and get nothing.
    pub fn remove_role(&mut self, role: &str) {
        if let Some(account) = self.accounts.get_mut(role) {
            account.remove_role();
        }
        self.drop_empty(role);
    }

    /// What Pods of the role use that belong to no job, in the tiers that quota limits.
    pub fn set_foreign(&mut self, role: &Arc<str>, used: Resources) {
        self.account(role).set_foreign(used);
        self.drop_empty(role);
    }

    /// Takes a job as it stands; says which roles' sums have changed by it.
    pub fn set_job(&mut self, name: &JobName, job: Job) -> Vec<Arc<str>> {
        let role = Arc::clone(&job.role);
        let before = self.roles.insert(name.clone(), Arc::clone(&role)).filter(|before| *before != role);
        let mut touched = Vec::new();
        if let Some(before) = before {
            self.take_out(&before, name, &mut touched);
        }
        if self.account(&role).set_job(name, job) {
            touched.push(role);
        }
        touched
    }

    /// There is no such job any more.
    pub fn remove_job(&mut self, name: &JobName) -> Option<Arc<str>> {
        let role = self.roles.remove(name)?;
        let mut touched = Vec::new();
        self.take_out(&role, name, &mut touched);
        touched.pop()
    }

    /// What to grant in a role now, the oldest first. A job that does not fit keeps no other from what does.
    pub fn decide(&mut self, role: &str, now: Timestamp) -> Option<Decision> {
        self.accounts.get_mut(role)?.decide(now)
    }

    /// How a job stands.
    pub fn admission(&self, name: &JobName) -> Admission {
        let account = self.roles.get(name).and_then(|role| self.accounts.get(role));
        account.map_or_else(Admission::unknown, |account| account.admission(name))
    }

    /// How a role stands; `None` where there is neither such a role nor a job of it.
    pub fn report(&self, role: &str) -> Option<Report<'_>> {
        self.accounts.get(role).map(Account::report)
    }

    /// The roles that there are, or that jobs belong to.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<str>> {
        self.accounts.keys()
    }

    /// The jobs of a role that wait for quota, the oldest first.
    pub fn held(&self, role: &str) -> impl Iterator<Item = &JobName> {
        self.accounts.get(role).into_iter().flat_map(Account::held)
    }

    fn account(&mut self, role: &Arc<str>) -> &mut Account {
        self.accounts.entry(Arc::clone(role)).or_default()
    }

    fn take_out(&mut self, role: &Arc<str>, name: &JobName, touched: &mut Vec<Arc<str>>) {
        if let Some(account) = self.accounts.get_mut(role)
            && account.remove_job(name)
        {
            touched.push(Arc::clone(role));
        }
        self.drop_empty(role);
    }

    fn drop_empty(&mut self, role: &str) {
        if self.accounts.get(role).is_some_and(Account::is_empty) {
            self.accounts.remove(role);
        }
    }
}
