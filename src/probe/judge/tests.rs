use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Whether it is well, and words of what it says.
#[track_caller]
fn says(verdict: &Verdict, good: bool, words: &[&str]) {
    let (Ok(text) | Err(text)) = verdict;
    assert_eq!(verdict.is_ok(), good, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn a_version_is_good_too_old_or_untested() {
    for (minor, good, words) in [
        ("36", true, &["Kubernetes 1.36"][..]),
        ("37", true, &["1.37", "not tested"]),
        ("34", false, &["1.34 is too old", "use 1.36"]),
    ] {
        let info = Info { major: "1".into(), minor: minor.into(), ..Info::default() };
        says(&version(&info), good, words);
    }
    says(&kinds(&[]), true, &["all of borealis.dev/v1alpha1"]);
    says(&kinds(&["tiers.borealis.dev".into()]), false, &["tiers.borealis.dev; ", "borealis-crds"]);
}

fn a_lease(holder: &str, renewed: u32) -> Lease {
    let renewed = format!("2026-01-01T00:00:{renewed:02}.000000Z");
    read(
        json!({"metadata": {}, "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseTransitions": 7}}),
    )
}

#[test]
fn a_lease_has_to_be_held_and_renewed_while_one_looks() {
    let unheld = a_lease("", 9);
    let without_times: Lease = read(json!({"metadata": {}, "spec": {"holderIdentity": "a"}}));
    let bare: Lease = read(json!({"metadata": {}}));
    let (old, new, other) = (a_lease("a", 1), a_lease("a", 2), a_lease("b", 2));
    for (first, now, good, words) in [
        (None, None, false, &["no Lease n/l", "kubectl --namespace n get pods"][..]),
        (Some(&old), None, false, &["no Lease n/l"]),
        (None, Some(&bare), false, &["no Lease n/l"]),
        (Some(&old), Some(&unheld), false, &["nobody holds", "logs deployment/borealis"]),
        // What is seen for the first time may be years old.
        (None, Some(&old), false, &["a holds", "not seen to renew"]),
        (Some(&old), Some(&old), false, &["a holds", "not seen to renew"]),
        (Some(&without_times), Some(&without_times), false, &["not seen to renew"]),
        (Some(&old), Some(&without_times), false, &["not seen to renew"]),
        (Some(&old), Some(&new), true, &["a holds n/l in term 7", "00:00:02"]),
        (Some(&without_times), Some(&new), true, &["a holds"]),
        (Some(&old), Some(&other), true, &["b holds"]),
        // A clock that went back is a renewal as well.
        (Some(&new), Some(&old), true, &["a holds"]),
    ] {
        says(&lease("n", "l", first, now), good, words);
    }
}

fn a_tier(name: &str, observed: i64, ready: &str) -> Tier {
    read(json!({
        "apiVersion": "borealis.dev/v1alpha1", "kind": "Tier", "metadata": {"name": name, "generation": 2},
        "spec": {"preemptible": true, "band": 1},
        "status": {"observedGeneration": observed, "usedBy": {}, "conditions": [
            {"type": "Other", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": ready, "reason": "NotOurs", "message": "the class is another's",
                "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]},
    }))
}

#[test]
fn tiers_have_to_be_there_and_ready_as_they_are_now() {
    let good = a_tier("good", 2, "True");
    let mut unseen = a_tier("unseen", 2, "True");
    unseen.status = None;
    let all = [good, a_tier("stale", 1, "True"), a_tier("bad", 2, "False"), unseen];
    for (wanted, found, is_good, words) in [
        (&[][..], &[][..], false, &["there are none", "deploy/15-tiers.yaml"][..]),
        (&[], &all[..1], true, &["good are Ready"]),
        (
            &[],
            &all[..3],
            false,
            &["stale was not looked at", "bad is not Ready: NotOurs: the class is another's"],
        ),
        // Those of others are their own matter.
        (&["good"], &all, true, &["good are Ready"]),
        (&["good", "missing"], &all, false, &["missing is not there"]),
        (&["unseen"], &all, false, &["unseen was not looked at"]),
        (&["good"], &[], false, &["good is not there"]),
    ] {
        let wanted: Vec<String> = wanted.iter().map(|name: &&str| (*name).to_owned()).collect();
        let verdict = tiers(&wanted, found);
        says(&verdict, is_good, words);
        let (Ok(text) | Err(text)) = verdict;
        assert!(!text.contains("good is not Ready"), "{text}");
    }
}

fn installed() -> (Vec<ValidatingAdmissionPolicy>, Vec<ValidatingAdmissionPolicyBinding>) {
    let (mut policies, mut bindings) = (Vec::new(), Vec::new());
    for text in [
        include_str!("../../../deploy/30-term-fence.yaml"),
        include_str!("../../../deploy/35-tenancy.yaml"),
        include_str!("../../../deploy/36-quota.yaml"),
    ] {
        for one in serde_yaml_ng::Deserializer::from_str(text) {
            let one = Value::deserialize(one).unwrap();
            match one["kind"].as_str().unwrap() {
                "ValidatingAdmissionPolicy" => policies.push(read(one)),
                "ValidatingAdmissionPolicyBinding" => bindings.push(read(one)),
                kind => panic!("{kind}"),
            }
        }
    }
    (policies, bindings)
}

#[test]
fn what_is_installed_are_the_policies_that_are_looked_for() {
    let (found, bindings) = installed();
    says(&policies(&found, &bindings), true, &["all 8"]);
    let mut names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
    let mut known = POLICIES.map(str::to_owned);
    names.sort();
    known.sort();
    assert_eq!(names, known);
}

#[test]
fn each_policy_has_to_be_there_and_bound_to_deny() {
    for at in 0..POLICIES.len() {
        let (mut found, mut bindings) = installed();
        let name = found.remove(at).name_any();
        says(&policies(&found, &bindings), false, &[&format!("{name} is not there"), "apply deploy/"]);

        let (found, _) = installed();
        let of_it = |binding: &ValidatingAdmissionPolicyBinding| binding.spec.policy_name == name;
        let bound = bindings.iter_mut().find(|binding| of_it(binding)).unwrap();
        bound.spec.validation_actions = vec!["Warn".into(), "Audit".into()];
        says(&policies(&found, &bindings), false, &[&format!("{name} has no binding by which it denies")]);
        bindings.retain(|binding| !of_it(binding));
        says(&policies(&found, &bindings), false, &[&format!("{name} has no binding")]);
    }
}
