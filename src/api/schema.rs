//! From the Rust types to the CRDs that are applied: what the derive leaves out.
//!
//! Adds the rules, bounds what rules run over, makes server-side apply merge lists by their keys, and
//! strips the descriptions below the Pod template, so that a file stays under the 256 KiB that plain
//! `kubectl apply` can annotate. `crdgen` prints the result; nothing else may build a CRD.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde::ser::Error;
use serde_json::{Map, Value, json};

use super::rules::{self, Rule, Rules};
use super::{AuroraCron, AuroraJob, AuroraRole, AuroraService, AuroraUpdate, Framework, Tier, observed};

/// Lists below a Pod template that are maps by these keys, as in the built-in kinds. All keys are
/// required there, which a list map of a CRD needs.
const LIST_MAPS: [(&str, &[&str]); 9] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("resourceClaims", &["name"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
];

/// Words that the API server would refuse in a Pod, refused here already.
const ENUMS: [(&str, &[&str]); 5] = [
    ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
    ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("protocol", &["TCP", "UDP", "SCTP"]),
    ("restartPolicy", &["Always", "OnFailure", "Never"]),
];

/// The form of a quantity, as the built-in kinds publish it for custom resources.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// Where in the schema of AuroraCron that of its jobs' spec is.
const JOB_OF_CRON: &str = "/properties/spec/properties/job/properties/spec";

/// The CRDs of this operator, as they are to be applied.
///
/// # Errors
/// When a schema does not have the shape that is expected here, which the tests exclude.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    Ok(vec![
        finished(&AuroraService::crd(), &rules::service())?,
        finished(&AuroraUpdate::crd(), &rules::update_record())?,
        finished(&AuroraJob::crd(), &rules::job())?,
        finished(&AuroraCron::crd(), &rules::cron())?,
        finished(&Tier::crd(), &rules::tier())?,
        finished(&AuroraRole::crd(), &rules::role())?,
        finished(&Framework::crd(), &rules::framework())?,
    ])
}

/// Why the CRDs could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum Unprintable {
    /// A schema has not the shape that is expected here.
    #[error("building a CRD: {0}")]
    Schema(#[from] serde_json::Error),
    /// A CRD cannot be written as YAML.
    #[error("printing a CRD: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// The CRDs as files: name and YAML text of each.
///
/// # Errors
/// As [`crds`].
pub fn crd_files() -> Result<Vec<(String, String)>, Unprintable> {
    let print = |crd: CustomResourceDefinition| {
        let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default());
        let mut crd = serde_json::to_value(&crd)?;
        whole_numbers(&mut crd);
        let yaml = serde_yaml_ng::to_string(&crd)?;
        Ok((name, format!("# Generated from src/api by `make generate`; do not edit.\n{yaml}")))
    };
    crds()?.into_iter().map(print).collect()
}

/// Bounds are floating-point in the typed schema; `10` reads better than `10.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
            if let Some(float) = whole {
                #[expect(clippy::cast_possible_truncation, reason = "whole and small, just checked")]
                let integer = float as i64;
                *number = integer.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn finished(
    crd: &CustomResourceDefinition,
    rules: &Rules,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = serde_json::to_value(crd)?;
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        for place in ["/properties/spec", JOB_OF_CRON] {
            if let Some(template) = schema.pointer_mut(&format!("{place}/properties/template")) {
                finish_template(template);
            }
        }
        tidy(schema);
        if !rules.root.is_empty() {
            schema["x-kubernetes-validations"] = json!(rules.root);
        }
        if !rules.root.is_empty() {
            // Said here only to bound what the rules on the name run over.
            let name = json!({"type": "string", "maxLength": 253});
            let names = json!({"type": "object", "properties": {"name": name, "generateName": name}});
            set(schema, "/properties", json!({"metadata": names}));
        }
        if let Some(job) = schema.pointer_mut(JOB_OF_CRON) {
            add_rules(job, &rules::jobs_of_cron())?;
            finish_task(job);
        }
        if let Some(spec) = schema.pointer_mut("/properties/spec") {
            add_rules(spec, &rules.spec)?;
            finish_task(spec);
            // A union is owned and replaced as a whole, or an applier that switches the member would
            // leave the defaulted fields of the old one behind.
            for size in [
                "maxFailedInstances",
                "maxSurge",
                "strategy/properties/queue/properties/groupSize",
                "strategy/properties/batch/properties/groupSize",
                "strategy/properties/variableBatch/properties/groupSizes/items",
            ] {
                // "0%" is refused by a rule, in better words.
                let place = format!("/properties/update/properties/{size}");
                set(spec, &place, json!({"pattern": "^(0|[1-9][0-9]?|100)%$"}));
            }
            set(spec, "/properties/update/properties/checks", list_map(&["name"]));
            for union in ["sla", "update/properties/strategy"] {
                set(spec, &format!("/properties/{union}"), json!({"x-kubernetes-map-type": "atomic"}));
            }
            finish_selectors(spec);
            set(spec, "/properties/quota", json!({"maxProperties": 64}));
            let words = "An amount of a resource, such as 40, 500m or 1Ti.";
            let amount = json!({"pattern": QUANTITY, "maxLength": 64, "description": words});
            set(spec, "/properties/quota/additionalProperties", amount);
        }
        set(schema, "/properties/status", json!({"default": observed::unwritten()}));
        set(schema, "/properties/status/properties/conditions", list_map(&["type"]));
    }
    serde_json::from_value(crd)
}

/// What the specs of services, jobs and the jobs of crons have in common.
fn finish_task(spec: &mut Value) {
    set(spec, "/properties/health", json!({"x-kubernetes-map-type": "atomic"}));
    set(spec, "/properties/parents", list_map(&["kind", "name"]));
    for map in ["labels", "annotations"] {
        let place = format!("/properties/job/properties/metadata/properties/{map}");
        set(spec, &place, json!({"maxProperties": 64}));
    }
}

/// Label selectors of our own fields: bounded, of the operators there are, and replaced as a whole.
fn finish_selectors(spec: &mut Value) {
    let words = json!({"enum": ["In", "NotIn", "Exists", "DoesNotExist"]});
    for selector in ["namespaces", "podSelector", "pods/items/properties/selector"] {
        let place = format!("/properties/{selector}");
        if spec.pointer(&format!("{place}/properties/matchLabels")).is_none() {
            continue;
        }
        set(spec, &place, json!({"x-kubernetes-map-type": "atomic"}));
        let place = format!("{place}/properties");
        set(spec, &format!("{place}/matchLabels"), json!({"maxProperties": 16}));
        set(spec, &format!("{place}/matchExpressions"), json!({"maxItems": 16}));
        let place = format!("{place}/matchExpressions/items/properties");
        set(spec, &format!("{place}/operator"), words.clone());
        set(spec, &format!("{place}/values"), json!({"maxItems": 64}));
    }
}

/// Puts each rule where it stands.
fn add_rules(spec: &mut Value, rules: &[Rule]) -> Result<(), serde_json::Error> {
    for Rule { place, rule } in rules {
        let names = place.split('.').filter(|name| !name.is_empty());
        let pointer: String = names.map(|name| format!("/properties/{name}")).collect();
        let Some(Value::Object(node)) = spec.pointer_mut(&pointer) else {
            return Err(serde_json::Error::custom(format!("a rule is about {place}, which is not there")));
        };
        let all = node.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.push(json!(rule));
        }
    }
    Ok(())
}

/// Lets nulls count as absent, and joins the lines of descriptions, which `kubectl explain` wraps.
fn tidy(schema: &mut Value) {
    each_schema(schema, &mut |_, node| {
        node.remove("nullable");
        if let Some(Value::Array(words)) = node.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        if let Some(Value::String(text)) = node.get_mut("description") {
            *text = text.split("\n\n").map(|p| p.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
        }
    });
}

fn finish_template(template: &mut Value) {
    let description = template.get("description").cloned();
    each_schema(template, &mut |name, node| {
        node.remove("description");
        if let Some((_, keys)) = LIST_MAPS.iter().find(|(list, _)| *list == name) {
            merge(node, list_map(keys));
        }
        if let Some((_, words)) = ENUMS.iter().find(|(field, _)| *field == name) {
            merge(node, json!({"enum": words}));
        }
        if ["containerPort", "hostPort"].contains(&name) {
            merge(node, json!({"minimum": 1, "maximum": 65535}));
        }
        // Every map of int-or-strings below a Pod is one of quantities; the two fields are, too.
        let quantity = ["sizeLimit", "divisor", "additionalProperties"].contains(&name);
        if quantity && node.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            merge(node, json!({"pattern": QUANTITY}));
        }
    });
    merge_into(template, json!({"description": description, "required": ["spec"]}));
    let strings = |count: u32| json!({"type": "object", "maxProperties": count, "additionalProperties": {"type": "string"}});
    let metadata =
        json!({"type": "object", "properties": {"labels": strings(64), "annotations": strings(128)}});
    set(template, "/properties", json!({"metadata": metadata}));

    let spec = "/properties/spec/properties";
    for list in ["containers", "initContainers"] {
        set(template, &format!("{spec}/{list}"), json!({"maxItems": 32}));
        set(
            template,
            &format!("{spec}/{list}/items/properties/name"),
            json!({"minLength": 1, "maxLength": 63}),
        );
        set(template, &format!("{spec}/{list}/items/properties/ports"), json!({"maxItems": 64}));
        set(
            template,
            &format!("{spec}/{list}/items/properties/ports/items/properties/name"),
            json!({"maxLength": 15}),
        );
    }
    set(template, &format!("{spec}/containers"), json!({"minItems": 1}));
    set(template, &format!("{spec}/tolerations"), json!({"maxItems": 256}));
    set(template, &format!("{spec}/tolerations/items/properties/key"), json!({"maxLength": 317}));
    for field in
        ["hostname", "subdomain", "hostnameOverride", "priorityClassName", "preemptionPolicy", "nodeName"]
    {
        set(template, &format!("{spec}/{field}"), json!({"maxLength": 253}));
    }
    // Refused by a rule, with a reason; its schema would be a seventh of the file.
    let any = json!({"type": "array", "maxItems": 64, "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    set(template, spec, json!({"ephemeralContainers": any}));
}

/// Calls `visit` with the name and the body of every schema below and including `schema`.
fn each_schema(schema: &mut Value, visit: &mut impl FnMut(&str, &mut Map<String, Value>)) {
    fn walk(name: &str, schema: &mut Value, visit: &mut impl FnMut(&str, &mut Map<String, Value>)) {
        let Value::Object(node) = schema else { return };
        visit(name, node);
        if let Some(Value::Object(properties)) = node.get_mut("properties") {
            properties.iter_mut().for_each(|(name, property)| walk(name, property, visit));
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(schema) = node.get_mut(inner) {
                walk(inner, schema, visit);
            }
        }
    }
    walk("", schema, visit);
}

fn list_map(keys: &[&str]) -> Value {
    json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys})
}

/// Adds `extra` to the object at `pointer`, if there is one.
fn set(value: &mut Value, pointer: &str, extra: Value) {
    if let Some(target) = value.pointer_mut(pointer) {
        merge_into(target, extra);
    }
}

fn merge_into(target: &mut Value, extra: Value) {
    if let Value::Object(node) = target {
        merge(node, extra);
    }
}

fn merge(node: &mut Map<String, Value>, extra: Value) {
    if let Value::Object(extra) = extra {
        node.extend(extra);
    }
}

#[cfg(test)]
mod tests;
