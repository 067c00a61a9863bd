//! How much memory the index takes for a Pod: all of it, counted at the allocator.
//!
//! Of a Pod two things are known: the task it is, and what it takes of its node. In its own binary, since the count is of
//! the whole process.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::alloc::System;

use borealis::{index::Index, metrics::Metrics};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BUDGET: usize = 640;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    // Growth and shrinkage of what is reallocated is in both already.
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The Pod of an instance, as new memory like one that came from the API server.
fn pod_of(whole: &Pod, service: &str, instance: u32, number: u32) -> Pod {
    let mut pod = whole.clone();
    pod.metadata.name = Some(format!("{service}-{instance}-1"));
    pod.metadata.uid = Some(format!("0a1b2c3d-4e5f-6071-8293-{number:012x}"));
    pod.metadata.resource_version = Some((1_000_000 + number).to_string());
    let labels = pod.metadata.labels.as_mut().unwrap();
    labels.insert("borealis.dev/service".to_owned(), service.to_owned());
    labels.insert("borealis.dev/instance".to_owned(), instance.to_string());
    pod.spec.as_mut().unwrap().node_name = Some(format!("node-{}.example.com", number % 500));
    pod
}

/// A Pod as the API server shows one that runs: with managed fields, probes, volumes and a status.
fn pod() -> Pod {
    let service = "frontend-web";
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:2026-07-01.4711"),
            "args": ["--port=8080", "--log-level=info", "--config=/etc/app/config.yaml"],
            "env": [{"name": "JOB", "value": format!("east/ads/default/{service}")}, {"name": "A", "value": "b"}],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": true}],
        })
    };
    let status = |name: &str| {
        json!({
            "name": name, "ready": true, "started": true, "restartCount": 0,
            "image": format!("registry.example.com/team/{name}:2026-07-01.4711"),
            "imageID": format!("registry.example.com/team/{name}@sha256:{:064x}", 4711),
            "containerID": format!("containerd://{:064x}", 4711),
            "state": {"running": {"startedAt": "2026-07-01T10:00:05Z"}},
        })
    };
    let conditions: Vec<_> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-07-01T10:00:07Z"}))
        .into();
    serde_json::from_value(json!({
        "metadata": {
            "name": "", "namespace": "ads-production", "creationTimestamp": "2026-07-01T10:00:00Z",
            "labels": {
                "borealis.dev/run": "1", "borealis.dev/revision": "v1-00ab45cd67ef8901", "borealis.dev/live": "true",
                "borealis.dev/role": "ads", "borealis.dev/tier": "preferred", "borealis.dev/term": "12",
                "app.kubernetes.io/managed-by": "borealis", "team": "ads",
            },
            "annotations": {"borealis.dev/flaps": "0", "borealis.dev/failures": "0",
                "borealis.dev/job-key": format!("east/ads/default/{service}")},
            "ownerReferences": [{"apiVersion": "borealis.dev/v1alpha1", "kind": "AuroraService", "name": service,
                "uid": "0a1b2c3d-4e5f-6071-8293-ffffffffffff", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "apiVersion": "v1",
                "fieldsV1": {"f:status": {"f:conditions": {}, "f:containerStatuses": {}, "f:podIP": {}}}}],
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [container("main"), container("proxy")],
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.1.0.1", "conditions": conditions,
            "containerStatuses": [status("main"), status("proxy")], "qosClass": "Burstable",
        },
    }))
    .unwrap()
}

/// Bytes the index takes for 10,000 Pods of so many services, all told.
fn measure(services: u32) -> usize {
    let whole = pod();
    let index = Index::new(Metrics::default(), |_| {});
    let before = in_use();
    let per_service = 10_000 / services;
    for number in 0..10_000 {
        let service = format!("frontend-web-{}", number / per_service);
        index.show_pod(&pod_of(&whole, &service, number % per_service, number));
    }
    let bytes = in_use() - before;
    assert_eq!(index.census().tasks.values().sum::<usize>(), 10_000);
    bytes
}

#[test]
fn a_pod_takes_at_most_its_budget() {
    // One after the other, in one test: the count is of the whole process.
    for services in [1, 100, 1_000] {
        let bytes = measure(services) / 10_000;
        println!("{services} services: {bytes} bytes a Pod");
        assert!(bytes <= BUDGET, "{services} services: {bytes} bytes a Pod");
    }
    // A service has a cost of its own, which is not the Pod's.
    let alone = measure(10_000) / 10_000;
    println!("10000 services: {alone} bytes a Pod and its service");
    assert!(alone <= 2_500, "{alone} bytes a Pod and its service");
}
