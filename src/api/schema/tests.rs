use super::*;

/// `metadata.annotations` may hold 256 KiB, and client-side apply puts the whole object there.
const APPLY_LIMIT: usize = 256 * 1024;

fn schema(kind: &str) -> Value {
    let crds = crds().unwrap();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap().pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
    let pointer: String = path.split('.').map(|name| format!("/properties/{name}")).collect();
    schema.pointer(&pointer).unwrap_or_else(|| panic!("{path} is not in the schema"))
}

#[test]
fn the_committed_files_are_those_of_the_code() {
    let files = crd_files().unwrap();
    assert_eq!(files.len(), 7);
    for (name, text) in files {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/").to_owned() + &name;
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "crds/{name} is out of date; run `make generate`");
        assert!(text.len() < APPLY_LIMIT, "crds/{name} has {} bytes", text.len());
    }
}

/// All fields below this one, with their paths; Pod templates are Kubernetes' own.
fn fields(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push(path.clone());
        if name != "template" {
            fields(field, &path, found);
        }
    }
    for inner in ["items", "additionalProperties"].into_iter().filter_map(|inner| schema.get(inner)) {
        fields(inner, path, found);
    }
}

/// What a tenant makes can't reach into another's namespace if it can't say one.
#[test]
fn nothing_that_a_tenant_writes_names_a_namespace() {
    let of = |kind: &str| {
        let mut found = Vec::new();
        fields(at(&schema(kind), "spec"), "spec", &mut found);
        found.retain(|path| path.to_lowercase().contains("namespace"));
        found
    };
    for kind in ["AuroraService", "AuroraJob", "AuroraCron", "AuroraUpdate"] {
        assert_eq!(of(kind), [""; 0], "{kind}");
    }
    // Those of administrators do.
    assert_eq!(of("Framework"), ["spec.namespaces", "spec.serviceAccounts.namespace"]);
    assert!(of("AuroraRole").contains(&"spec.namespaces".to_owned()));
}

#[test]
fn defaults_are_in_the_schema() {
    let service = schema("AuroraService");
    for (kind, path, default) in [
        ("Tier", "spec.revocable", json!(false)),
        ("Tier", "spec.preemption", json!("Borealis")),
        ("Tier", "spec.preemptionDelaySeconds", json!(5)),
        ("Tier", "spec.minRuntimeSeconds", json!(0)),
        ("AuroraRole", "spec.weight", json!(1)),
        ("AuroraRole", "spec.maxVictimsPerMinute", json!(2000)),
        ("Framework", "spec.priority", json!(0)),
        ("AuroraJob", "spec.instances", json!(1)),
        ("AuroraJob", "spec.maxTaskFailures", json!(1)),
        ("AuroraJob", "spec.flapping.thresholdSeconds", json!(300)),
        ("AuroraJob", "spec.history.failed", json!(3)),
        ("AuroraCron", "spec.suspend", json!(false)),
        ("AuroraCron", "spec.collisionPolicy", json!("KillExisting")),
        ("AuroraCron", "spec.catchUp.policy", json!("None")),
        ("AuroraCron", "spec.catchUp.windowSeconds", json!(3600)),
        ("AuroraCron", "spec.jitterSeconds", json!(0)),
        ("AuroraCron", "spec.history.succeeded", json!(3)),
        ("AuroraCron", "spec.history.failed", json!(3)),
        ("AuroraCron", "spec.job.spec.maxTaskFailures", json!(1)),
    ] {
        assert_eq!(at(&schema(kind), path).get("default"), Some(&default), "{path}");
    }
    for (path, default) in [
        ("spec.instances", json!(1)),
        ("spec.priority", json!(0)),
        ("spec.update.watchSeconds", json!(45)),
        ("spec.update.maxPerInstanceFailures", json!(0)),
        ("spec.update.maxFailedInstances", json!(0)),
        ("spec.update.rollbackOnFailure", json!(true)),
        ("spec.update.maxWaitSeconds", json!(600)),
        ("spec.update.strategy.batch.groupSize", json!(1)),
        ("spec.update.strategy.batch.autopauseAfterBatch", json!(false)),
        ("spec.flapping.thresholdSeconds", json!(300)),
        ("spec.flapping.initialDelaySeconds", json!(60)),
        ("spec.flapping.maxDelaySeconds", json!(300)),
        ("spec.partition.delaySeconds", json!(0)),
        ("spec.history.failed", json!(3)),
        ("spec.history.ended", json!(1)),
        ("spec.history.ttlSeconds", json!(172_800)),
        ("spec.health.initialIntervalSeconds", json!(15)),
        ("spec.health.intervalSeconds", json!(10)),
        ("spec.health.timeoutSeconds", json!(1)),
        ("spec.health.maxConsecutiveFailures", json!(0)),
        ("spec.health.minConsecutiveSuccesses", json!(1)),
        ("spec.health.http.path", json!("/health")),
        ("spec.health.http.port", json!("health")),
        ("spec.health.http.scheme", json!("HTTP")),
    ] {
        assert_eq!(at(&service, path).get("default"), Some(&default), "{path}");
    }
    // With a default, an applier could not switch a union or leave a wish unsaid.
    for path in [
        "spec.update.strategy",
        "spec.health",
        "spec.sla",
        "spec.discovery",
        "spec.partition.reschedule",
        "spec.tier",
    ] {
        assert_eq!(at(&service, path).get("default"), None, "{path}");
    }
}

#[test]
fn a_status_that_nobody_has_written_is_of_no_generation() {
    for crd in crds().unwrap() {
        let kind = crd.spec.names.kind;
        assert_eq!(at(&schema(&kind), "status")["default"], json!({"observedGeneration": -1}), "{kind}");
    }
}

#[test]
fn every_field_of_ours_is_described() {
    for kind in
        ["AuroraService", "AuroraUpdate", "AuroraJob", "AuroraCron", "Tier", "AuroraRole", "Framework"]
    {
        let mut schema = schema(kind);
        let of_cron = format!("{JOB_OF_CRON}/properties/template/properties");
        for place in
            ["/properties/spec/properties/template/properties", "/properties/metadata/properties", &of_cron]
        {
            if let Some(below) = schema.pointer_mut(place) {
                *below = json!({});
            }
        }
        let mut bare = Vec::new();
        each_schema(&mut schema, &mut |name, node| {
            if node.get("description").is_none()
                && !["items", "additionalProperties", "metadata"].contains(&name)
            {
                bare.push(name.to_owned());
            }
        });
        assert_eq!(bare, Vec::<String>::new(), "{kind}");
    }
}

/// The places that the rules of a schema, and of what is in it, are about, in the order of their names; and the rules.
fn guarded(schema: &Value) -> Vec<(String, Value)> {
    fn walk(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            assert!(rule.get("message").is_some() != rule.get("messageExpression").is_some(), "{rule}");
            found.push((format!("{path}{}", rule["fieldPath"].as_str().unwrap_or_default()), rule.clone()));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{name}"), property, found);
        }
    }
    let mut found = Vec::new();
    walk("", schema, &mut found);
    found.sort_by(|(one, _), (next, _)| one.cmp(next));
    found
}

fn places(schema: &Value) -> Vec<String> {
    guarded(schema).into_iter().map(|(place, _)| place).collect()
}

#[test]
fn rules_guard_what_the_schema_cannot_say() {
    let service = schema("AuroraService");
    let all = places(&service);
    for path in [
        ".metadata.name",
        ".spec.template.spec.hostname",
        ".spec.template.spec.subdomain",
        ".spec.template.spec.activeDeadlineSeconds",
        ".spec.template.spec.priorityClassName",
        ".spec.template.spec.nodeName",
        ".spec.template.spec.ephemeralContainers",
        ".spec.template.metadata.labels",
        ".spec.template.metadata.annotations",
        ".spec.health",
        ".spec.health.container",
        ".spec.health.http.port",
        ".spec.update.strategy",
        ".spec.update.maxFailedInstances",
        ".spec.update.instances",
        ".spec.update.strategy.queue.groupSize",
        ".spec.update.strategy.variableBatch.groupSizes",
        ".spec.update.checks",
        ".spec.constraints",
        ".spec.dedicated",
        ".spec.template.spec.tolerations",
        ".spec.sla",
        ".spec.tier",
    ] {
        assert!(all.iter().any(|guarded| guarded == path), "{path}");
        at(&service, &path[1..]);
    }
    let fields =
        ["changes", "controls", "controls", "author", "instructions", "message", "number", "service"];
    let wishes = ["abort", "abort", "paused", "retry", "rollback"];
    let wishes = wishes.map(|wish| format!(".spec.controls.{wish}"));
    let mut expected: Vec<_> =
        fields.map(|field| format!(".spec.{field}")).into_iter().chain(wishes).collect();
    expected.sort();
    assert_eq!(places(&schema("AuroraUpdate")), expected);
}

#[test]
fn rules_guard_jobs_wherever_they_are_written() {
    let (job, cron) = (schema("AuroraJob"), schema("AuroraCron"));
    for spec in [&job["properties"]["spec"], cron.pointer(JOB_OF_CRON).unwrap()] {
        let all = places(spec);
        for path in [
            ".template.spec.hostname",
            ".template.spec.activeDeadlineSeconds",
            ".template.spec.restartPolicy",
            ".template.spec.tolerations",
            ".template.metadata.labels",
            ".maxTaskFailures",
            ".minSucceeded",
            ".health",
            ".constraints",
            ".flapping.maxDelaySeconds",
            ".parents",
        ] {
            assert!(all.iter().any(|guarded| guarded == path), "{path}");
            at(spec, &path[1..]);
        }
    }
    let own: Vec<_> = places(&cron).into_iter().filter(|path| !path.starts_with(".spec.job.spec.")).collect();
    let expected = [
        ".metadata.name",
        ".spec.job.metadata.annotations",
        ".spec.job.metadata.labels",
        ".spec.parents",
        ".spec.schedules",
    ];
    assert_eq!(own, expected);
}

/// What shapes the Pods of a job can't be changed; a cron's template can, for later runs.
#[test]
fn a_job_keeps_what_it_was_made_of() {
    let kept = |spec: &Value, rule: &str| -> Vec<String> {
        let of = |place: &str| rule.replace("FIELD", &place[1..]);
        let rules = guarded(spec).into_iter().filter(|(place, it)| it["rule"].as_str() == Some(&of(place)));
        rules.map(|(place, _)| place).collect()
    };
    let (job, cron) = (schema("AuroraJob"), schema("AuroraCron"));
    let spec = &job["properties"]["spec"];
    let optional = [".constraints", ".dedicated", ".health", ".parents", ".tier"];
    assert_eq!(kept(spec, "has(self.FIELD) == has(oldSelf.FIELD)"), optional);
    let mut all: Vec<_> = optional.into_iter().chain([".priority", ".template"]).collect();
    all.sort_unstable();
    assert_eq!(kept(spec, "self == oldSelf"), all);
    assert!(!cron.to_string().contains("oldSelf"), "the template of a cron can be changed");
}

#[test]
fn rules_guard_the_kinds_of_tenancy() {
    for (kind, expected) in [
        ("Tier", &[".band", ".preemptible", ".preemption"][..]),
        ("AuroraRole", &[".defaultTier", ".namespaces", ".quota", ".quota"]),
        ("Framework", &[".pods"]),
    ] {
        let schema = schema(kind);
        assert_eq!(places(&schema["properties"]["spec"]), expected, "{kind}");
        assert_eq!(places(&schema).first().map(String::as_str), Some(".metadata.name"), "{kind}");
        for path in expected {
            at(&schema["properties"]["spec"], &path[1..]);
        }
    }
}

#[test]
fn selectors_of_ours_are_bounded_and_replaced_as_a_whole() {
    for (kind, path) in
        [("AuroraRole", "spec.namespaces"), ("Framework", "spec.podSelector"), ("Framework", "spec.pods")]
    {
        let schema = schema(kind);
        let at = at(&schema, path);
        let selector = at.pointer("/items/properties/selector").unwrap_or(at);
        assert_eq!(selector["x-kubernetes-map-type"], "atomic", "{path}");
        assert_eq!(selector.pointer("/properties/matchLabels/maxProperties"), Some(&json!(16)), "{path}");
    }
}

#[test]
fn list_maps_have_keys_that_are_always_there() {
    let mut found = std::collections::BTreeSet::new();
    for kind in ["AuroraService", "AuroraJob", "AuroraCron"] {
        each_schema(&mut schema(kind), &mut |name, node| {
            let Some(Value::Array(keys)) = node.get("x-kubernetes-list-map-keys") else { return };
            let required = node["items"]["required"].as_array().unwrap();
            assert!(keys.iter().all(|key| required.contains(key)), "{name}: {keys:?} of {required:?}");
            found.insert(name.to_owned());
        });
    }
    let wanted = LIST_MAPS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(["conditions", "checks", "parents"].map(str::to_owned));
    assert_eq!(found, wanted.collect());
}

#[test]
fn the_template_keeps_its_fields_and_loses_its_prose() {
    let service = schema("AuroraService");
    let template = at(&service, "spec.template");
    assert!(template["description"].as_str().unwrap().starts_with("The Pod of an instance."));
    assert_eq!(template["required"], json!(["spec"]));
    let spec = at(template, "spec");
    assert_eq!(spec.get("description"), None);
    for field in [
        "containers",
        "initContainers",
        "volumes",
        "affinity",
        "topologySpreadConstraints",
        "securityContext",
    ] {
        at(spec, field);
    }
    let names: Vec<_> = at(template, "metadata")["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["annotations", "labels"]);
}

#[test]
fn every_malformed_spec_says_what_it_expects() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/malformed");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# expect: "), "{}", path.display());
        count += 1;
    }
    assert!(count >= 20, "{count}");
}
