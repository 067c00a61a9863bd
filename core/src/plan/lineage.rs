//! Who waits for whom: what waits for itself would wait for ever.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::model::ParentKind;

/// A job or cron of one namespace.
pub type Name = (ParentKind, Arc<str>);

/// The kind's name, as in the API.
pub fn kind_of(kind: ParentKind) -> &'static str {
    match kind {
        ParentKind::Job => "AuroraJob",
        ParentKind::Cron => "AuroraCron",
    }
}

/// The shortest way on which `start` waits for itself, as `AuroraCron/a → AuroraJob/b → AuroraCron/a`; `None` where it does
/// not, though it may wait for others that do. `parents` says what each name waits for.
pub fn cycle(start: &Name, parents: impl Fn(&Name) -> Vec<Name>) -> Option<String> {
    let mut children: BTreeMap<Name, Name> = BTreeMap::new();
    let mut next = VecDeque::from([start.clone()]);
    while let Some(name) = next.pop_front() {
        for parent in parents(&name) {
            if parent == *start {
                return Some(way(start, &name, &children));
            }
            if !children.contains_key(&parent) {
                children.insert(parent.clone(), name.clone());
                next.push_back(parent);
            }
        }
    }
    None
}

/// From `start` to `last`, which waits for it, and to `start` again.
fn way(start: &Name, last: &Name, children: &BTreeMap<Name, Name>) -> String {
    let mut way = vec![start, last];
    // Each but the start has come from one that is nearer to it.
    way.extend(std::iter::successors(children.get(last), |name| children.get(*name)));
    let words = way.iter().rev().map(|(kind, name)| format!("{}/{name}", kind_of(*kind)));
    words.collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        let kind = if text.starts_with('j') { ParentKind::Job } else { ParentKind::Cron };
        (kind, text.into())
    }

    /// `c1 j2` in a line: c1 waits for j2.
    fn found(start: &str, waits: &str) -> Option<String> {
        let waits: Vec<(Name, Name)> = waits
            .lines()
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(child, parent)| (name(child), name(parent)))
            .collect();
        cycle(&name(start), |of| {
            waits.iter().filter(|(child, _)| child == of).map(|(_, parent)| parent.clone()).collect()
        })
    }

    #[test]
    fn what_waits_for_itself_is_found_by_the_shortest_way() {
        let diamond = "c1 j2\n c1 j3\n j2 c4\n j3 c4";
        assert_eq!(found("c1", diamond), None);
        assert_eq!(found("c1", ""), None);
        assert_eq!(found("c1", "c1 c1").as_deref(), Some("AuroraCron/c1 → AuroraCron/c1"));
        let two = found("c1", "c1 j2\n j2 c1");
        assert_eq!(two.as_deref(), Some("AuroraCron/c1 → AuroraJob/j2 → AuroraCron/c1"));
        let closed = format!("{diamond}\n c4 j5\n j5 j3\n c4 c1");
        assert_eq!(
            found("c4", &closed).as_deref(),
            Some("AuroraCron/c4 → AuroraJob/j5 → AuroraJob/j3 → AuroraCron/c4")
        );
        let three = found("j3", &closed);
        assert_eq!(three.as_deref(), Some("AuroraJob/j3 → AuroraCron/c4 → AuroraJob/j5 → AuroraJob/j3"));
        // It waits for others that wait for themselves: their own status says so.
        assert_eq!(found("c1", "c1 j2\n j2 j3\n j3 j2"), None);
    }
}
