//! What people are told of preemption: a victim's, those of whom room is made for, and those whose slot came to nothing.
//!
//! Nobody is told the names of another role's work. What a round does for one service is one event. Decides nothing.
//! Made by the loop under the board's lock; announced when the writes are done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use borealis_core::{
    admit::{
        Board,
        pass::{Action, Verdict},
    },
    model::{Claim, Uid},
    plan::Event,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::verdicts::{Kind, Remark, remarks};
use crate::{
    JobKey,
    api::AuroraService,
    apply::Announcer,
    index::{Index, Viewed},
    kind_name,
};

/// How many nodes are named in one event.
const NAMED: usize = 3;

/// What a round has to tell.
#[derive(Debug, Default)]
pub(super) struct News {
    /// By the Pod whose write it hangs on.
    done: BTreeMap<Uid, Item>,
    /// What is not done for whom, and why.
    held_back: Vec<(About, Remark)>,
}

/// One piece of news.
#[derive(Debug)]
struct Item {
    about: About,
    what: What,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// A service or job.
    Job(JobKey),
    /// A Pod of somebody else.
    Pod { namespace: Arc<str>, name: Box<str>, uid: Uid },
}

#[derive(Debug)]
enum What {
    /// Room is kept.
    Room { node: Arc<str>, victims: usize },
    /// It came to nothing.
    Failed(String),
    /// It ends.
    Ends { pod: About, words: String, rule: String },
}

impl News {
    /// What there will be to tell once these are done, and of verdicts that were others before.
    pub(super) fn of(board: &Board, actions: &[Action], changed: &BTreeMap<Uid, Verdict>) -> Self {
        let done = actions.iter().filter_map(|action| match action {
            Action::Withdraw { claim, node, why, .. } => {
                let words = format!("the room kept on node {node} {}", why.words());
                Some((*claim, Item { about: about(board.claim(*claim)?), what: What::Failed(words) }))
            }
            Action::Keep { claim, slot, node } => {
                let held = slot.held.as_ref().filter(|held| held.asserted == 0)?;
                let what = What::Room { node: Arc::clone(node), victims: held.victims.len() };
                Some((*claim, Item { about: about(board.claim(*claim)?), what }))
            }
            Action::End { victim, claim, node, rule, .. } => {
                let (who, for_whom) = (board.claim(*victim)?, board.claim(*claim)?);
                let of_role = who.owner.role == for_whom.owner.role;
                let whom = if of_role {
                    format!("Pod {}/{}", for_whom.owner.namespace, for_whom.name)
                } else {
                    "work of another role".to_owned()
                };
                let words = format!("ended to make room on node {node} for {whom}: {rule}");
                let what = What::Ends { pod: pod(who), words, rule: rule.to_string() };
                Some((*victim, Item { about: about(who), what }))
            }
        });
        let remarks = remarks(board, changed.iter(), about).into_iter();
        let held_back = remarks.flat_map(|(whom, all)| all.into_iter().map(move |it| (whom.clone(), it)));
        Self { done: done.collect(), held_back: held_back.collect() }
    }

    /// The write of this Pod was not done.
    pub(super) fn withhold(&mut self, pod: Uid) {
        self.done.remove(&pod);
    }

    /// Tells it.
    pub(super) fn announce(self, announcer: &Announcer, index: &Index) {
        for (about, event) in self.events() {
            if let Some(regarding) = reference(&about, index) {
                announcer.announce_on(regarding, event);
            }
        }
    }

    /// The events, what is about one service put together.
    fn events(self) -> Vec<(About, Event)> {
        let mut rooms: BTreeMap<About, (usize, usize, BTreeSet<Arc<str>>)> = BTreeMap::new();
        let mut ends: BTreeMap<(About, String), usize> = BTreeMap::new();
        let mut events = Vec::new();
        for Item { about, what } in self.done.into_values() {
            match what {
                What::Room { node, victims } => {
                    let (pods, ended, nodes) = rooms.entry(about).or_default();
                    *pods += 1;
                    *ended += victims;
                    nodes.insert(node);
                }
                What::Failed(words) => events.push((about, event(true, "SlotFailed", words))),
                What::Ends { pod, words, rule } => {
                    if pod != about {
                        *ends.entry((about, rule)).or_default() += 1;
                    }
                    events.push((pod, event(true, "Preempted", words)));
                }
            }
        }
        events.extend(rooms.into_iter().map(|(about, (pods, ended, nodes))| {
            let words = format!(
                "room is made for {} on {} by ending {}",
                count(pods, "Pod"),
                named(&nodes),
                count(ended, "Pod")
            );
            (about, event(false, "MakingRoom", words))
        }));
        events.extend(ends.into_iter().map(|((about, rule), pods)| {
            let words = format!("{} ended to make room for others: {rule}", count(pods, "Pod"));
            (about, event(true, "Preempted", words))
        }));
        events.extend(self.held_back.into_iter().filter_map(|(about, remark)| {
            let words = format!("{} without a place: {}", count(remark.pods as usize, "Pod"), remark.words);
            Some((about, event(false, held_back(remark.kind)?, words)))
        }));
        events
    }
}

/// The reason of the event that tells of it; the rest is told by others, or about to be over.
fn held_back(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::DryRun => Some("PreemptionDryRun"),
        Kind::Limited => Some("PreemptionLimited"),
        Kind::Frozen => Some("PreemptionFrozen"),
        Kind::Early
        | Kind::BacksOff(_)
        | Kind::Ahead
        | Kind::Unwritten
        | Kind::Leaving
        | Kind::Budget
        | Kind::Scheduler
        | Kind::Nobody
        | Kind::Unknown(_) => None,
    }
}

fn event(warning: bool, reason: &'static str, message: String) -> Event {
    Event { warning, reason, message, update: None }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn named(nodes: &BTreeSet<Arc<str>>) -> String {
    let names: Vec<&str> = nodes.iter().take(NAMED).map(|node| &**node).collect();
    let rest = nodes.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("node{} {}{more}", if nodes.len() == 1 { "" } else { "s" }, names.join(", "))
}

fn pod(claim: &Claim) -> About {
    About::Pod { namespace: Arc::clone(&claim.owner.namespace), name: claim.name.clone(), uid: claim.uid }
}

/// Whose people are told: those of its service, or of the Pod itself.
fn about(claim: &Claim) -> About {
    let Some(kind) = claim.owner.ours else { return pod(claim) };
    let (namespace, name) = (Arc::clone(&claim.owner.namespace), Arc::clone(&claim.owner.job));
    About::Job(JobKey { kind, namespace, name })
}

fn reference(about: &About, index: &Index) -> Option<ObjectReference> {
    let (api_version, kind, namespace, name, uid) = match about {
        About::Job(key) => {
            let Viewed::Of(uid) = index.view(key, |view, _| view.service.uid) else { return None };
            let version = AuroraService::api_version(&());
            (version.into_owned(), kind_name(key.kind).to_owned(), &key.namespace, key.name.to_string(), uid)
        }
        About::Pod { namespace, name, uid } => {
            ("v1".to_owned(), "Pod".to_owned(), namespace, name.to_string(), *uid)
        }
    };
    Some(ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind),
        namespace: Some(namespace.to_string()),
        name: Some(name),
        uid: Some(uid.to_string()),
        ..ObjectReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> About {
        About::Job(JobKey::service("prod", name))
    }

    fn a_pod(number: u128) -> About {
        About::Pod { namespace: "batch".into(), name: "b".into(), uid: Uid::new(number) }
    }

    fn events(items: Vec<(About, What)>) -> Vec<(About, String)> {
        let items = items.into_iter().enumerate();
        let items = items.map(|(n, (about, what))| (Uid::new(n as u128), Item { about, what }));
        News { done: items.collect(), ..News::default() }
            .events()
            .into_iter()
            .map(|(about, event)| (about, event.message))
            .collect()
    }

    #[test]
    fn what_is_done_for_one_service_is_one_event() {
        let room = |node: &str| What::Room { node: node.into(), victims: 2 };
        let all = (0..5).map(|n| (service("web"), room(&format!("n{n}"))));
        let told = events(all.chain([(service("api"), room("n1"))]).collect());
        let expected = [
            (service("api"), "room is made for 1 Pod on node n1 by ending 2 Pods".to_owned()),
            (
                service("web"),
                "room is made for 5 Pods on nodes n0, n1, n2 and 2 more by ending 10 Pods".to_owned(),
            ),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_victim_is_told_and_its_service_once_for_all() {
        let ends = |pod| What::Ends { pod, words: "ended".into(), rule: "by rule".into() };
        let told = events(vec![
            (service("batch"), ends(a_pod(1))),
            (service("batch"), ends(a_pod(2))),
            (a_pod(3), ends(a_pod(3))),
        ]);
        let expected = [
            (a_pod(1), "ended".to_owned()),
            (a_pod(2), "ended".to_owned()),
            (a_pod(3), "ended".to_owned()),
            (service("batch"), "2 Pods ended to make room for others: by rule".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_held_back_is_told_and_what_will_be_over_is_not() {
        let remark = |kind, pods| Remark { kind, words: "why".into(), pods, instances: Default::default() };
        let held_back =
            vec![(service("web"), remark(Kind::DryRun, 3)), (service("web"), remark(Kind::Early, 1))];
        let events = News { held_back, ..News::default() }.events();
        let told: Vec<_> = events.iter().map(|(_, event)| (event.reason, event.message.as_str())).collect();
        assert_eq!(told, [("PreemptionDryRun", "3 Pods without a place: why")]);
    }
}
