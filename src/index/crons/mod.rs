//! What is known of AuroraCrons: the crons themselves, which AuroraJobs stand where their runs do, and who waits for whom.
//!
//! The runs are known as all jobs are, in slots of their own; here stands what their crons have to know of them. A slot may be
//! locked under the table's lock, and never the other way round. Decides nothing. The crons are fed by `feed`, their runs by
//! `runs`, both are shown by `view`.

mod feed;
mod live;
mod row;
mod runs;
mod schedules;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use borealis_core::{
    model::{RunSeen, Uid},
    plan::Name,
};

use self::{row::CronRow, runs::Found, schedules::Schedules};
use super::{Index, records::Records, stamp::Version};
use crate::CronKey;

pub use self::{
    live::settle_cron,
    row::AnyCron,
    view::{CronFacts, CronSeen},
};

/// Hears of a cron.
type Hears = Box<dyn Fn(&CronKey) + Send + Sync>;

/// All crons. One for the process.
#[derive(Default)]
pub(super) struct Crons {
    table: Mutex<Table>,
    /// Who hears which cron is to be planned again.
    dirty: OnceLock<Hears>,
}

#[derive(Default)]
struct Table {
    namespaces: HashMap<Arc<str>, Namespace>,
    schedules: Schedules,
}

#[derive(Default)]
struct Namespace {
    families: HashMap<Arc<str>, Family>,
    /// What each of those waits for that wait for any.
    waits: BTreeMap<Name, Vec<Name>>,
    /// The same from the other side: who waits for each.
    children: BTreeMap<Name, BTreeSet<Name>>,
}

/// A cron and the jobs that stand where its runs do.
#[derive(Default)]
struct Family {
    cron: Records<CronRow>,
    runs: BTreeMap<Arc<str>, Standing>,
    /// The version of the cron at which its runs were last read live.
    read: Version,
    /// How often it was not known what became of a write, and how often it was when the last live read began.
    doubts: u32,
    settled: u32,
}

/// What stands where a run does.
#[derive(Debug, Clone, PartialEq)]
struct Standing {
    /// As the cron sees it, but for whose it is.
    run: RunSeen,
    controller: Option<Uid>,
}

impl Family {
    fn row(&self) -> Option<&CronRow> {
        self.cron.rows().first()
    }

    fn is_empty(&self) -> bool {
        self.cron.is_empty() && self.runs.is_empty()
    }

    fn is_unsettled(&self) -> bool {
        self.doubts != self.settled
    }

    /// Takes what stands under the name of a run; whether that is news.
    fn see(&mut self, name: &str, found: Found) -> bool {
        let now = match found {
            Found::Job(standing) => Some(standing),
            // Its object is gone, and its Pods are not: it goes on until they are.
            Found::Pods => self.runs.get(name).cloned().map(|mut standing| {
                standing.run.deleting = true;
                standing
            }),
            Found::Nothing => None,
        };
        let before = match now.clone() {
            Some(standing) => self.runs.insert(name.into(), standing),
            None => self.runs.remove(name),
        };
        before != now
    }
}

impl Table {
    fn family(&self, namespace: &str, name: &str) -> Option<&Family> {
        self.namespaces.get(namespace)?.families.get(name)
    }

    /// Changes the family of a cron, which is made for that where there is none, and dropped where nothing is left of it.
    fn change<T>(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Family) -> T) -> T {
        let of_namespace = self.namespaces.entry(namespace.into()).or_default();
        let family = of_namespace.families.entry(name.into()).or_default();
        let changed = change(family);
        if family.is_empty() {
            of_namespace.families.remove(name);
        }
        if of_namespace.is_empty() {
            self.namespaces.remove(namespace);
        }
        changed
    }
}

impl Namespace {
    fn is_empty(&self) -> bool {
        self.families.is_empty() && self.waits.is_empty()
    }

    /// Notes what somebody waits for.
    fn wait(&mut self, who: &Name, parents: Vec<Name>) {
        for parent in self.waits.remove(who).unwrap_or_default() {
            if let Some(children) = self.children.get_mut(&parent) {
                children.remove(who);
                if children.is_empty() {
                    self.children.remove(&parent);
                }
            }
        }
        if parents.is_empty() {
            return;
        }
        for parent in &parents {
            self.children.entry(parent.clone()).or_default().insert(who.clone());
        }
        self.waits.insert(who.clone(), parents);
    }
}

impl Index {
    /// From now on this hears of every cron that is to be planned again, and must not call back.
    pub fn tell_of_crons(&self, dirty: impl Fn(&CronKey) + Send + Sync + 'static) {
        // Told once, at the start.
        let _ = self.crons.dirty.set(Box::new(dirty));
    }

    fn crons(&self) -> MutexGuard<'_, Table> {
        self.crons.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replan_cron(&self, namespace: &str, name: &str) {
        if let Some(dirty) = self.crons.dirty.get() {
            dirty(&CronKey::new(namespace, name));
        }
    }
}

/// The cron whose run a job of this name would be.
fn cron_of(name: &str) -> Option<&str> {
    let (cron, time) = name.rsplit_once('-')?;
    (!time.is_empty() && time.bytes().all(|digit| digit.is_ascii_digit())).then_some(cron)
}
