//! Changes in place: on the real node Pods keep their node, address and run; what can't be changed so is made anew.

use anyhow::{Context, Result, ensure};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::{
    kube_api::{at, number, text},
    observer::Mark,
    runner::Scenario,
    scene::Scene,
    service::{Service, TEST_IMAGE},
};

/// The release after the test image: the same program, which says so in its log.
const NEXT_IMAGE: &str = "borealis.test/app:2";
/// The same program, never healthy.
const BAD_IMAGE: &str = "borealis.test/app:bad";
/// The instances of each service here.
const INSTANCES: u32 = 2;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "in-place-image",
            "an image and a label are changed in Pods that keep their node and run",
            |s| Box::pin(image(s)),
        )
        .real_node(),
        Scenario::new("in-place-resize", "CPU and memory are changed in Pods whose containers run on", |s| {
            Box::pin(resize(s))
        })
        .real_node(),
        Scenario::new("in-place-rolled-back", "a bad image is taken back in place, in the same Pods", |s| {
            Box::pin(rolled_back(s))
        })
        .real_node(),
        Scenario::new(
            "in-place-not-pulled",
            "where an image can't be had the Pod is made anew, and the update fails by its wait",
            |s| Box::pin(not_pulled(s)),
        )
        .real_node(),
        Scenario::new("in-place-no-room", "where the node lacks the room the Pod is made anew", |s| {
            Box::pin(no_room(s))
        })
        .real_node(),
        Scenario::new(
            "in-place-falls-back",
            "Pods are made anew where more differs, or where they were made without a gate",
            |s| Box::pin(falls_back(s)),
        ),
    ]
}

/// A service of real containers that may be changed in place, one instance at a time.
fn changeable() -> Service {
    Service::new("web", INSTANCES)
        .on_real_node()
        .set("/health", json!({ "http": {}, "intervalSeconds": 1, "initialIntervalSeconds": 4, "maxConsecutiveFailures": 1 }))
        .set("/update/strategy", json!({ "batch": { "groupSize": 1 }, "inPlace": "IfPossible" }))
        .env_var("TERM_EXIT_CODE", "3")
}

/// The live Pods of the service as they are, by name.
async fn pods(scene: &Scene) -> Result<Vec<Value>> {
    let pods: Api<_> = scene.world.kube.pods(&scene.namespace);
    let list =
        pods.list(&ListParams::default().labels("borealis.dev/service=web,borealis.dev/live=true")).await?;
    list.items.into_iter().map(|pod| Ok(serde_json::to_value(pod)?)).collect()
}

/// What a Pod keeps when it is changed in place.
fn identity(pods: &[Value]) -> Vec<[String; 4]> {
    let of = |pod: &Value| {
        ["/metadata/uid", "/metadata/name", "/spec/nodeName", "/status/podIP"]
            .map(|at| text(pod, at).to_owned())
    };
    pods.iter().map(of).collect()
}

fn restarts(pods: &[Value]) -> Vec<i64> {
    pods.iter().map(|pod| number(pod, "/status/containerStatuses/0/restartCount")).collect()
}

/// Every Pod was seen not Ready under its old config and Ready under its new one, and never two down at once.
fn withdrawn(scene: &Scene, mark: Mark, old: &str, new: &str) -> Result<()> {
    let seen = scene.history(mark, "web");
    for instance in 0..INSTANCES {
        let mut of = seen.iter().filter(|entry| entry.pod.key.instance == instance).map(|entry| &entry.pod);
        ensure!(
            of.any(|pod| pod.revision == old && !pod.ready),
            "instance {instance} was changed while it was Ready"
        );
        let changed: Vec<_> = of.skip_while(|pod| pod.revision == old).collect();
        ensure!(
            changed.first().is_some_and(|pod| pod.revision == new && !pod.ready),
            "instance {instance}: {changed:?}"
        );
        ensure!(changed.last().is_some_and(|pod| pod.ready), "instance {instance} is not Ready again");
    }
    let down = scene.most_down(mark, "web", INSTANCES);
    ensure!(down == 1, "{down} instances were down at once, one at a time was asked for");
    Ok(())
}

async fn image(scene: Scene) -> Result<()> {
    scene.apply(&changeable()).await?;
    scene.running("web", INSTANCES).await?;
    let old = scene.current_revision("web").await?;
    let before = pods(&scene).await?;
    let mark = scene.mark();
    let next = changeable().container_field("image", json!(NEXT_IMAGE)).label("release", "2");
    scene.apply(&next).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", INSTANCES).await?;
    ensure!(at(&update, "/spec/instructions/inPlace") == &json!([old]), "{}", update["spec"]["instructions"]);
    let after = pods(&scene).await?;
    ensure!(identity(&after) == identity(&before), "{:?} became {:?}", identity(&before), identity(&after));
    ensure!(restarts(&after) == [1, 1], "restarts: {:?}", restarts(&after));
    for pod in &after {
        ensure!(text(pod, "/spec/containers/0/image") == NEXT_IMAGE, "{}", pod["spec"]["containers"]);
        ensure!(text(pod, "/metadata/labels/release") == "2", "{}", pod["metadata"]["labels"]);
        let logs = scene.kubectl(&["logs", text(pod, "/metadata/name")]).await?;
        ensure!(logs.contains("release-2"), "the new image does not run: {logs}");
    }
    let new = scene.current_revision("web").await?;
    withdrawn(&scene, mark, &old, &new)?;
    // Later changes of other things are made as ever.
    scene.apply(&next.env_var("VERSION", "2")).await?;
    scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", INSTANCES).await?;
    let anew = identity(&pods(&scene).await?);
    ensure!(anew.iter().all(|pod| !identity(&after).contains(pod)), "an environment was changed in place");
    Ok(())
}

async fn resize(scene: Scene) -> Result<()> {
    let of = |cpu: &str, memory: &str| {
        let resources =
            json!({ "requests": { "cpu": cpu, "memory": memory }, "limits": { "memory": "256Mi" } });
        changeable().container_field("resources", resources)
    };
    scene.apply(&of("20m", "32Mi")).await?;
    scene.running("web", INSTANCES).await?;
    let before = pods(&scene).await?;
    scene.apply(&of("40m", "48Mi")).await?;
    scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", INSTANCES).await?;
    let after = pods(&scene).await?;
    ensure!(identity(&after) == identity(&before), "{:?} became {:?}", identity(&before), identity(&after));
    ensure!(restarts(&after) == [0, 0], "restarts: {:?}", restarts(&after));
    for pod in &after {
        let given = at(pod, "/status/containerStatuses/0/allocatedResources");
        ensure!(given == &json!({ "cpu": "40m", "memory": "48Mi" }), "the kubelet gives {given}");
    }
    Ok(())
}

async fn rolled_back(scene: Scene) -> Result<()> {
    // A check that ends no container: what is never healthy runs on and never becomes Ready.
    let probe = json!({ "httpGet": { "path": "/health", "port": 8080 }, "periodSeconds": 1 });
    let good = Service::new("web", INSTANCES)
        .on_real_node()
        .container_field("readinessProbe", probe)
        .set("/update/strategy", json!({ "batch": { "groupSize": 1 }, "inPlace": "IfPossible" }))
        .set("/update/maxWaitSeconds", json!(15));
    scene.apply(&good).await?;
    scene.running("web", INSTANCES).await?;
    let old = scene.current_revision("web").await?;
    let before = pods(&scene).await?;
    let mark = scene.mark();
    scene.apply(&good.container_field("image", json!(BAD_IMAGE))).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.running("web", INSTANCES).await?;
    let cause = at(&update, "/status/cause");
    ensure!(text(cause, "/reason") == "TooSlow", "the cause is {cause}");
    ensure!(text(&update, "/status/rolledBack") == "0", "rolled back: {}", update["status"]);
    let after = pods(&scene).await?;
    ensure!(identity(&after) == identity(&before), "{:?} became {:?}", identity(&before), identity(&after));
    ensure!(text(&after[0], "/spec/containers/0/image") == TEST_IMAGE, "{}", after[0]["spec"]["containers"]);
    // There and back; the other was never touched.
    ensure!(restarts(&after) == [2, 0], "restarts: {:?}", restarts(&after));
    scene.all_run("web", INSTANCES, &old)?;
    let down = scene.most_down(mark, "web", INSTANCES);
    ensure!(down == 1, "{down} instances were down at once");
    Ok(())
}

async fn not_pulled(scene: Scene) -> Result<()> {
    let good = changeable().container_field("imagePullPolicy", json!("Never"));
    scene.apply(&good).await?;
    scene.running("web", INSTANCES).await?;
    let old = scene.current_revision("web").await?;
    let before = pods(&scene).await?;
    let none = good.clone().container_field("image", json!("borealis.test/none:1"));
    scene.apply(&none.set("/update/maxWaitSeconds", json!(20))).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.running("web", INSTANCES).await?;
    // The container that was stopped for its image ended with an exit code of its own; that is not what failed.
    let cause = at(&update, "/status/cause");
    ensure!(text(cause, "/reason") == "TooSlow", "the cause is {cause}");
    ensure!(text(cause, "/message").contains("image"), "the cause is {cause}");
    scene.all_run("web", INSTANCES, &old)?;
    let after = identity(&pods(&scene).await?);
    ensure!(after.contains(&identity(&before)[1]), "the second instance was touched");
    Ok(())
}

async fn no_room(scene: Scene) -> Result<()> {
    let of = |cpu: &str| changeable().container_field("resources", json!({ "requests": { "cpu": cpu } }));
    scene.apply(&of("20m")).await?;
    scene.running("web", INSTANCES).await?;
    let old = scene.current_revision("web").await?;
    let before = pods(&scene).await?;
    let node = scene.kubectl(&["get", "node", text(&before[0], "/spec/nodeName"), "-o", "json"]).await?;
    let node: Value = serde_json::from_str(&node)?;
    let cpus: u32 = text(&node, "/status/allocatable/cpu").parse().context("the node has whole CPUs")?;
    let mark = scene.mark();
    // The node has as much, but not beside the other instance: the kubelet puts it off.
    let most = format!("{}m", cpus * 1000 - 1);
    scene.apply(&of(&most).set("/update/maxWaitSeconds", json!(15))).await?;
    let update = scene.update_in("web", 1, "ROLLED_BACK").await?;
    scene.running("web", INSTANCES).await?;
    // What was made anew found no room either, and that is what failed.
    let cause = at(&update, "/status/cause");
    ensure!(text(cause, "/reason") == "TooSlow" && number(cause, "/run") > 1, "the cause is {cause}");
    ensure!(text(cause, "/message").contains("Unschedulable"), "the cause is {cause}");
    let first = text(&before[0], "/metadata/uid");
    let ended =
        scene.history(mark, "web").into_iter().any(|entry| entry.pod.uid == first && entry.pod.ending);
    ensure!(ended, "the first Pod was not made anew");
    scene.all_run("web", INSTANCES, &old)?;
    ensure!(
        identity(&pods(&scene).await?).contains(&identity(&before)[1]),
        "the second instance was touched"
    );
    Ok(())
}

async fn falls_back(scene: Scene) -> Result<()> {
    // Simulated nodes know nothing of gates: what is made anew needs none.
    let plain =
        Service::new("web", INSTANCES).set("/update/strategy", json!({ "queue": { "groupSize": 1 } }));
    scene.apply(&plain).await?;
    scene.running("web", INSTANCES).await?;
    let ungated = identity(&pods(&scene).await?);
    // To ask for it changes nothing by itself, and Pods without a gate are made anew.
    let asks = plain.set("/update/strategy", json!({ "queue": { "groupSize": 1 }, "inPlace": "IfPossible" }));
    scene.apply(&asks).await?;
    let mark = scene.calm().await?;
    scene.apply(&asks.clone().container_field("image", json!("example.test/web:2"))).await?;
    let update = scene.update_in("web", 1, "ROLLED_FORWARD").await?;
    scene.running("web", INSTANCES).await?;
    ensure!(
        at(&update, "/spec/instructions/inPlace").as_array().is_some_and(|all| all.len() == 1),
        "{update}"
    );
    let gated = pods(&scene).await?;
    ensure!(identity(&gated).iter().all(|pod| !ungated.contains(pod)), "a Pod without a gate was changed");
    for pod in &gated {
        let gates = at(pod, "/spec/readinessGates");
        ensure!(gates == &json!([{ "conditionType": "borealis.dev/in-place" }]), "the gates are {gates}");
    }
    // More than an image differs.
    let more = asks.container_field("image", json!("example.test/web:3")).env_var("VERSION", "3");
    scene.apply(&more).await?;
    let update = scene.update_in("web", 2, "ROLLED_FORWARD").await?;
    scene.running("web", INSTANCES).await?;
    ensure!(at(&update, "/spec/instructions/inPlace").is_null(), "{}", update["spec"]["instructions"]);
    let last = identity(&pods(&scene).await?);
    ensure!(last.iter().all(|pod| !identity(&gated).contains(pod)), "an environment was changed in place");
    let down = scene.most_down(mark, "web", INSTANCES);
    ensure!(down == 1, "{down} instances were down at once");
    Ok(())
}
