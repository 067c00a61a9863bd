//! What a node itself says to a Pod, whoever else is on it: taints, labels, name.
//!
//! As the scheduler's filters NodeUnschedulable, TaintToleration and NodeAffinity. Called by `fit` and `search` for each
//! node, and by `neighbours` for the nodes that count as domains.

use std::sync::{Arc, LazyLock};

use super::veto::{DEDICATED, Miss, UNSCHEDULABLE};
use crate::model::{Demand, Effect, Host, Labels, NodeTerm, Requirement, Taint, Test, Toleration};

/// The first thing about a node that keeps a Pod off it, by Aurora's order.
pub(super) fn miss<'a>(demand: &'a Demand, host: &'a Host) -> Option<Miss<'a>> {
    let taint = |wanted: fn(&str) -> bool| not_borne(demand, host).find(|taint| wanted(&taint.key));
    if !bears_taints(demand, host) {
        return if taint(|key| key == DEDICATED).is_some() {
            Some(Miss::Dedicated)
        } else if taint(|key| key == UNSCHEDULABLE).is_some() {
            Some(Miss::Draining)
        } else {
            taint(|_| true).map(Miss::Tainted)
        };
    }
    unmet(demand, host).map(Miss::Constraint)
}

/// Whether a Pod bears the taints of a node that matter for placement.
pub(super) fn bears_taints(demand: &Demand, host: &Host) -> bool {
    host.taints.is_empty() || not_borne(demand, host).next().is_none()
}

/// Whether a Pod's selector and required affinity allow a node.
pub(super) fn allows(demand: &Demand, host: &Host) -> bool {
    unmet(demand, host).is_none()
}

/// Whether labels are what a selector asks for.
pub(super) fn selects(selector: &[Requirement], labels: &Labels) -> bool {
    selector.iter().all(|requirement| holds(requirement, labels.get(&requirement.key)))
}

fn not_borne<'a>(demand: &'a Demand, host: &'a Host) -> impl Iterator<Item = &'a Taint> {
    let counts = |taint: &&Taint| taint.effect != Effect::PreferNoSchedule;
    host.taints
        .iter()
        .filter(counts)
        .filter(|taint| !demand.tolerations.iter().any(|toleration| bears(toleration, taint)))
}

fn bears(toleration: &Toleration, taint: &Taint) -> bool {
    toleration.effect.is_none_or(|effect| effect == taint.effect)
        && toleration.key.as_ref().is_none_or(|key| *key == taint.key)
        && toleration.value.as_ref().is_none_or(|value| *value == taint.value)
}

/// The key that is not what it has to be. Of several terms it is that of the first, as good as any.
fn unmet<'a>(demand: &'a Demand, host: &Host) -> Option<&'a Arc<str>> {
    let differs = |(key, value): &&(Arc<str>, Arc<str>)| host.labels.get(key) != Some(value);
    if let Some((key, _)) = demand.selector.iter().find(differs) {
        return Some(key);
    }
    if demand.affinity.iter().any(|term| unmet_in(term, host).is_none()) {
        return None;
    }
    demand.affinity.first().and_then(|term| unmet_in(term, host))
}

/// The key of a term that is not what it has to be. A term that asks for nothing is met by no node.
fn unmet_in<'a>(term: &'a NodeTerm, host: &Host) -> Option<&'a Arc<str>> {
    static NOTHING: LazyLock<Arc<str>> = LazyLock::new(|| "node affinity".into());
    if term.labels.is_empty() && term.names.is_empty() {
        return Some(&NOTHING);
    }
    let label = term.labels.iter().find(|asked| !holds(asked, host.labels.get(&asked.key)));
    let name = || term.names.iter().find(|asked| !holds(asked, Some(&host.name)));
    label.or_else(name).map(|asked| &asked.key)
}

fn holds(requirement: &Requirement, value: Option<&Arc<str>>) -> bool {
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    match &requirement.test {
        Test::In(values) => value.is_some_and(|value| values.contains(value)),
        Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        Test::Exists => value.is_some(),
        Test::DoesNotExist => value.is_none(),
        Test::Above(bound) => number().is_some_and(|number| number > *bound),
        Test::Below(bound) => number().is_some_and(|number| number < *bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NodeId, Resources};

    fn host(labels: &[(&str, &str)], taints: &[(&str, &str, Effect)]) -> Host {
        Host {
            id: NodeId(1),
            name: "n1".into(),
            labels: Arc::new(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()),
            taints: taints
                .iter()
                .map(|(key, value, effect)| Taint {
                    key: (*key).into(),
                    value: (*value).into(),
                    effect: *effect,
                })
                .collect(),
            allocatable: Resources::NONE,
            pods: 10,
        }
    }

    fn bearing(key: Option<&str>, value: Option<&str>, effect: Option<Effect>) -> Demand {
        let toleration = Toleration { key: key.map(Into::into), value: value.map(Into::into), effect };
        Demand { tolerations: vec![toleration], ..Demand::default() }
    }

    fn asking(terms: &[&[(&str, Test)]]) -> Demand {
        let asked = |asked: &(&str, Test)| Requirement { key: asked.0.into(), test: asked.1.clone() };
        let term = |term: &&[(&str, Test)]| NodeTerm {
            labels: term.iter().filter(|asked| asked.0 != "metadata.name").map(asked).collect(),
            names: term.iter().filter(|asked| asked.0 == "metadata.name").map(asked).collect(),
        };
        Demand { affinity: terms.iter().map(term).collect(), ..Demand::default() }
    }

    fn words(demand: &Demand, host: &Host) -> Option<String> {
        miss(demand, host).map(|miss| miss.veto().to_string())
    }

    #[test]
    fn taints_are_borne_as_kubernetes_has_it() {
        use Effect::{NoExecute, NoSchedule, PreferNoSchedule};
        let tainted = |effect| host(&[], &[("gpu", "a100", effect)]);
        let bears = |demand: &Demand, effect| miss(demand, &tainted(effect)).is_none();
        for (demand, expected) in [
            (Demand::default(), [false, false, true]),
            (bearing(None, None, None), [true, true, true]),
            (bearing(Some("gpu"), None, None), [true, true, true]),
            (bearing(Some("gpu"), Some("a100"), None), [true, true, true]),
            (bearing(Some("gpu"), Some("h100"), None), [false, false, true]),
            (bearing(Some("cpu"), None, None), [false, false, true]),
            (bearing(Some("gpu"), None, Some(NoSchedule)), [true, false, true]),
            (bearing(Some("gpu"), None, Some(NoExecute)), [false, true, true]),
        ] {
            let found = [NoSchedule, NoExecute, PreferNoSchedule].map(|effect| bears(&demand, effect));
            assert_eq!(found, expected, "{demand:?}");
        }
    }

    #[test]
    fn the_first_category_that_has_any_speaks() {
        use Effect::NoSchedule;
        let taints =
            [("gpu", "a100", NoSchedule), (UNSCHEDULABLE, "", NoSchedule), (DEDICATED, "ads", NoSchedule)];
        let demand = Demand { selector: vec![("zone".into(), "a".into())], ..Demand::default() };
        let said = |taints: &[_]| words(&demand, &host(&[("zone", "b")], taints)).unwrap();
        assert_eq!(said(&taints), "Host is dedicated");
        assert_eq!(said(&taints[..2]), "Host draining for maintenance");
        assert_eq!(said(&taints[..1]), "Host is tainted: gpu=a100");
        assert_eq!(said(&[]), "Constraint not satisfied: zone");
        assert_eq!(words(&demand, &host(&[("zone", "a")], &[])), None);
    }

    #[test]
    fn labels_and_names_are_asked_as_kubernetes_has_it() {
        let node = host(&[("zone", "a"), ("cores", "16"), ("disk", "big")], &[]);
        let values = |values: &[&str]| values.iter().map(|value| (*value).into()).collect::<Vec<_>>();
        for (key, test, expected) in [
            ("zone", Test::In(values(&["a", "b"])), true),
            ("zone", Test::In(values(&["b"])), false),
            ("none", Test::In(values(&["b"])), false),
            ("zone", Test::NotIn(values(&["a"])), false),
            ("none", Test::NotIn(values(&["a"])), true),
            ("zone", Test::Exists, true),
            ("none", Test::Exists, false),
            ("zone", Test::DoesNotExist, false),
            ("none", Test::DoesNotExist, true),
            ("cores", Test::Above(15), true),
            ("cores", Test::Above(16), false),
            ("cores", Test::Below(17), true),
            ("cores", Test::Below(16), false),
            ("disk", Test::Below(16), false),
            ("none", Test::Above(0), false),
            ("metadata.name", Test::In(values(&["n1"])), true),
            ("metadata.name", Test::NotIn(values(&["n1"])), false),
        ] {
            let found = words(&asking(&[&[(key, test.clone())]]), &node);
            assert_eq!(found.is_none(), expected, "{key} {test:?}");
            assert!(expected || found == Some(format!("Constraint not satisfied: {key}")));
        }
    }

    #[test]
    fn one_term_is_enough_and_one_that_asks_nothing_is_met_by_none() {
        let node = host(&[("zone", "a")], &[]);
        let (no, yes) = ([("none", Test::Exists)], [("zone", Test::Exists)]);
        assert_eq!(words(&asking(&[&no, &yes]), &node), None);
        let both = [no[0].clone(), yes[0].clone()];
        assert_eq!(words(&asking(&[&both]), &node), Some("Constraint not satisfied: none".to_owned()));
        assert_eq!(words(&asking(&[&[]]), &node), Some("Constraint not satisfied: node affinity".to_owned()));
        assert_eq!(words(&asking(&[&[], &yes]), &node), None);
    }
}
