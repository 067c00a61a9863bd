//! The loop that keeps what tenancy becomes: PriorityClasses of Tiers, annotations of namespaces, policies of Frameworks,
//! the statuses of all three kinds, and Tiers that are in use.
//!
//! Decides when it is looked at, not what shall be there, which `tenancy` says. What there is of classes and policies is
//! listed now and then, and assumed in between: nobody but the operator may change them. One object that can't be written
//! keeps none of the others from it, and is tried again ever later (`tries`). Turned by `turn`.

mod tries;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding},
        scheduling::v1::PriorityClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;
use tracing::{debug, info};

use self::tries::{AGAIN, Tries};
use super::Round;
use crate::{
    api::{AuroraRole, Framework, Tier, role::AuroraRoleStatus},
    apply::{Refusal, TenancyKind, TenancyWriter},
    index::{FrameworkRow, Index, RoleRow, TierRow},
    tenancy::{
        classes::{self, Verdict},
        frameworks::{self, Rendered},
        namespaces,
        statuses::{self, Obstacle, Users},
    },
};

/// How often classes and policies are listed, should somebody have changed them all the same.
const LIST: Duration = Duration::from_secs(60);
/// How often it is counted who uses a tier.
const COUNT: Duration = Duration::from_secs(10);
/// What is written of a Tier's class.
const CLASS: &str = "PriorityClass";
/// Held by a Tier that is used, so that it stays until it is not, whoever deletes it.
const IN_USE: &str = "borealis.dev/in-use";

/// The loop.
pub struct TenancyRound {
    index: Arc<Index>,
    writer: TenancyWriter,
    /// The operator's account, whose Pods frameworks leave alone.
    account: String,
    listed: Option<(Instant, Listed)>,
    tries: Tries,
    /// The Pods of each tier as they were last counted: what is told of them must not be news at every look.
    ranked: Option<(Instant, BTreeMap<Arc<str>, usize>)>,
}

/// What there was when it was last listed, and what was written since.
struct Listed {
    classes: BTreeMap<String, PriorityClass>,
    policies: BTreeMap<String, MutatingAdmissionPolicy>,
    bindings: BTreeMap<String, MutatingAdmissionPolicyBinding>,
}

/// What a round has to look at, taken from the index at once.
struct Seen {
    tiers: Vec<TierRow>,
    roles: Vec<(RoleRow, AuroraRoleStatus)>,
    frameworks: Vec<(FrameworkRow, Result<Rendered, Obstacle>)>,
    annotations: Vec<namespaces::Mend>,
    users: BTreeMap<Arc<str>, Users>,
}

impl Round for TenancyRound {
    const NAME: &'static str = "tenancy";

    async fn round(&mut self) -> Option<Duration> {
        let now = Timestamp::now();
        let mut listed = match self.take_listed().await {
            Ok(listed) => listed,
            Err(why) => {
                debug!(why, "classes and policies could not be listed");
                return Some(AGAIN);
            }
        };
        let seen = self.look(now);
        let mut tries = std::mem::take(&mut self.tries);
        let foreign = classes::foreign(listed.1.classes.values());
        for row in &seen.tiers {
            let class = self.keep_class(row, &mut listed.1.classes, &mut tries).await;
            let users = seen.users.get(&row.object.name).cloned().unwrap_or_default();
            self.keep_tier(row, class.as_ref().copied(), &users, &foreign, now, &mut tries).await;
        }
        for (row, rendered) in &seen.frameworks {
            let kept = match rendered {
                Ok(rendered) => {
                    self.keep_policy(rendered, &mut listed.1, &mut tries).await.map_err(Obstacle::Refused)
                }
                Err(why) => Err(why.clone()),
            };
            let policy = kept.as_ref().copied();
            let wanted = self.index.tenancy(|it| statuses::framework(row, policy, it, now));
            if row.status.as_ref() != Some(&wanted) {
                let object = &row.object;
                let uid = object.uid.to_string();
                let write = self.writer.tell::<Framework>(&object.name, &uid, &wanted);
                let _ = tries.write("the status of Framework", &object.name, write).await;
            }
        }
        for (row, wanted) in &seen.roles {
            if !says(row.status.as_ref(), wanted) {
                let object = &row.object;
                let uid = object.uid.to_string();
                let write = self.writer.tell::<AuroraRole>(&object.name, &uid, wanted);
                let _ = tries.write("the status of AuroraRole", &object.name, write).await;
            }
        }
        // The most there may be of: the others do not wait for them.
        for mend in seen.annotations {
            let write = self.writer.annotate(&mend.name, &mend.uid, mend.patch);
            if tries.write("the annotations of namespace", &mend.name, write).await.is_ok() {
                info!(namespace = mend.name, "a namespace has another role, or its role says something else");
            }
        }
        let due = tries.next();
        self.tries = tries;
        self.listed = Some(listed);
        Some(due.map_or(COUNT, |due| due.saturating_duration_since(Instant::now()).min(COUNT)))
    }
}

impl TenancyRound {
    /// A loop that writes by this writer; `namespace` is the operator's.
    pub fn new(index: Arc<Index>, writer: TenancyWriter, namespace: &str) -> Self {
        let account = format!("system:serviceaccount:{namespace}:borealis");
        Self { index, writer, account, listed: None, tries: Tries::default(), ranked: None }
    }

    async fn take_listed(&mut self) -> Result<(Instant, Listed), Refusal> {
        // A class that could not be written is compared with what there is before it is tried again.
        if let Some((at, listed)) =
            self.listed.take().filter(|(at, _)| at.elapsed() < LIST && !self.tries.is_due(CLASS))
        {
            return Ok((at, listed));
        }
        let at = Instant::now();
        let listed = Listed {
            classes: by_name(self.writer.list(false).await?),
            policies: by_name(self.writer.list(true).await?),
            bindings: by_name(self.writer.list(true).await?),
        };
        Ok((at, listed))
    }

    fn look(&mut self, now: Timestamp) -> Seen {
        let used = self.index.used_tiers();
        // Before a tier is let go of it is counted anew.
        let is_one_going = self.index.tenancy(|it| it.tiers().any(|row| row.object.deleting));
        let ranked = self.ranked.take().filter(|(at, _)| at.elapsed() < COUNT && !is_one_going);
        let ranked = ranked.unwrap_or_else(|| (Instant::now(), self.index.ranked()));
        let (_, pods) = self.ranked.insert(ranked);
        self.index.tenancy(|it| {
            let mut users = statuses::users(it);
            for (tier, services) in used {
                users.entry(tier).or_default().services = services;
            }
            for (tier, pods) in &*pods {
                users.entry(Arc::clone(tier)).or_default().pods = *pods;
            }
            let render = |row: &FrameworkRow| {
                let unread = || Obstacle::Mistake(row.problem.clone().unwrap_or_default());
                let spec = row.spec.as_ref().ok_or_else(unread)?;
                let rendered = frameworks::render(&row.object, spec, it, &self.account);
                rendered.map_err(|error| Obstacle::Mistake(error.to_string()))
            };
            Seen {
                tiers: it.tiers().cloned().collect(),
                roles: it.roles().map(|row| (row.clone(), statuses::role(row, it, now))).collect(),
                frameworks: it.frameworks().map(|row| (row.clone(), render(row))).collect(),
                annotations: namespaces::mend(it),
                users,
            }
        })
    }

    /// Has the PriorityClass of a tier be there as it shall be.
    async fn keep_class(
        &self,
        row: &TierRow,
        classes: &mut BTreeMap<String, PriorityClass>,
        tries: &mut Tries,
    ) -> Result<(), Obstacle> {
        let Some(tier) = &row.tier else { return Ok(()) };
        let wanted = classes::class(&row.object, tier);
        let name = wanted.name_any();
        let written = match classes::compare(&wanted, classes.get(&name)) {
            Verdict::Keep => return Ok(()),
            Verdict::Conflict(why) => return Err(Obstacle::Mistake(why)),
            Verdict::Create => tries.write(CLASS, &name, self.writer.create(&wanted)).await,
            Verdict::Mend(patch) => {
                let uid = classes.get(&name).and_then(ResourceExt::uid).unwrap_or_default();
                tries.write(CLASS, &name, self.writer.merge(&name, &uid, patch)).await
            }
        };
        let class = written.map_err(Obstacle::Refused)?;
        info!(class = name, "a tier's PriorityClass is there");
        classes.insert(name, class);
        Ok(())
    }

    /// Keeps a tier that is used, lets go of one that is not, and says who uses it.
    async fn keep_tier(
        &self,
        row: &TierRow,
        class: Result<(), &Obstacle>,
        users: &Users,
        foreign: &[classes::Foreign],
        now: Timestamp,
        tries: &mut Tries,
    ) {
        let (name, uid) = (&row.object.name, row.object.uid.to_string());
        let held = row.object.finalizers.iter().any(|held| held == IN_USE);
        let hold = if users.is_nobody() { false } else { held || !row.object.deleting };
        if hold != held {
            let others = row.object.finalizers.iter().filter(|other| *other != IN_USE).cloned();
            let all: Vec<String> = others.chain(hold.then(|| IN_USE.to_owned())).collect();
            // The whole list is written, others' with ours: on the very version that it was read from.
            let body = json!({"metadata": {"finalizers": all, "resourceVersion": row.version.to_string()}});
            let write = self.writer.merge::<Tier>(name, &uid, body);
            if tries.write("the finalizers of Tier", name, write).await.is_ok() && row.object.deleting {
                return;
            }
        }
        let wanted = statuses::tier(row, class, users, foreign, now);
        if row.status.as_ref() != Some(&wanted) {
            let write = self.writer.tell::<Tier>(name, &uid, &wanted);
            let _ = tries.write("the status of Tier", name, write).await;
        }
    }

    /// Has the policy of a framework and its binding be there as they shall be.
    async fn keep_policy(
        &self,
        rendered: &Rendered,
        listed: &mut Listed,
        tries: &mut Tries,
    ) -> Result<(), String> {
        let Rendered { policy, binding } = rendered;
        let is_same = |known: &MutatingAdmissionPolicy| known.spec == policy.spec;
        self.keep(policy, &mut listed.policies, is_same, tries).await?;
        let is_same = |known: &MutatingAdmissionPolicyBinding| known.spec == binding.spec;
        self.keep(binding, &mut listed.bindings, is_same, tries).await
    }

    async fn keep<K: TenancyKind>(
        &self,
        wanted: &K,
        known: &mut BTreeMap<String, K>,
        says_the_same: impl Fn(&K) -> bool,
        tries: &mut Tries,
    ) -> Result<(), String> {
        let name = wanted.name_any();
        let is_right = |found: &K| says_the_same(found) && owner(found.meta()) == owner(wanted.meta());
        if known.get(&name).is_some_and(is_right) {
            return Ok(());
        }
        let kind = K::kind(&());
        let applied = tries.write(&kind, &name, self.writer.apply(wanted)).await?;
        info!(%kind, name, "a framework's policy says what it shall");
        known.insert(name, applied);
        Ok(())
    }
}

fn by_name<K: ResourceExt>(all: Vec<K>) -> BTreeMap<String, K> {
    all.into_iter().map(|one| (one.name_any(), one)).collect()
}

fn owner(meta: &ObjectMeta) -> Option<&str> {
    meta.owner_references.iter().flatten().map(|owner| owner.uid.as_str()).next()
}

/// Whether a role's status says this already; what others write there is not looked at.
fn says(recorded: Option<&AuroraRoleStatus>, wanted: &AuroraRoleStatus) -> bool {
    let Some(recorded) = recorded else { return false };
    recorded.observed_generation == wanted.observed_generation
        && recorded.namespace_count == wanted.namespace_count
        && recorded.namespaces == wanted.namespaces
        && wanted.conditions.iter().all(|wanted| recorded.conditions.contains(wanted))
}

#[cfg(test)]
mod tests;
