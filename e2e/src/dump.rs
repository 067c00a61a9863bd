//! What is kept when a scenario fails: its objects, its events, what the witness saw, what the operator logged.
//!
//! Called by `runner`; files go to the run's folder, the most telling lines to the terminal.

use std::{fmt::Write as _, fs};

use anyhow::Result;
use kube::api::ListParams;

use crate::{observer::Mark, scene::Scene};

/// How many lines of each kind the terminal shows.
const SHOWN: usize = 15;

/// Writes everything about the scene to its folder and returns what is worth showing at once.
///
/// # Errors
/// When the files can't be written; what can't be read from the cluster is said in its place.
pub async fn scene(scene: &Scene, since: Mark) -> Result<String> {
    let folder = scene.world.folder.join(&scene.namespace);
    fs::create_dir_all(&folder)?;
    let mut shown = String::new();
    for (file, args) in [
        ("services.yaml", vec!["get", "auroraservices,auroraupdates", "--output", "yaml"]),
        (
            "children.yaml",
            vec!["get", "controllerrevisions,poddisruptionbudgets,services", "--output", "yaml"],
        ),
        ("pods.yaml", vec!["get", "pods", "--output", "yaml"]),
        ("pods.txt", vec!["get", "pods", "--output", "wide", "--show-labels"]),
        ("summary.txt", vec!["get", "auroraservices,auroraupdates,poddisruptionbudgets", "--output", "wide"]),
    ] {
        let text = scene.kubectl(&args).await.unwrap_or_else(|error| format!("{error:#}"));
        if file == "summary.txt" {
            shown.push_str(&text);
        }
        fs::write(folder.join(file), text)?;
    }
    let events = events(scene).await.unwrap_or_else(|error| format!("{error:#}"));
    let witnessed = witnessed(scene, since);
    let logs = scene.world.operators.log_tails(4000).await;
    let own: Vec<&str> = logs.lines().filter(|line| line.contains(&scene.namespace)).collect();
    for (title, text) in [("events", events), ("witnessed", witnessed), ("operator", own.join("\n"))] {
        fs::write(folder.join(format!("{title}.txt")), &text)?;
        let lines: Vec<&str> = text.lines().collect();
        let _ = writeln!(shown, "{title}, last lines:");
        for line in &lines[lines.len().saturating_sub(SHOWN)..] {
            let _ = writeln!(shown, "  {}", line.chars().take(300).collect::<String>());
        }
    }
    let _ = writeln!(shown, "all of it: {}", folder.display());
    Ok(shown)
}

async fn events(scene: &Scene) -> Result<String> {
    let mut all = scene.world.kube.events(&scene.namespace).list(&ListParams::default()).await?.items;
    all.sort_by_key(|event| event.event_time.clone().map(|time| time.0));
    let mut out = String::new();
    for event in all {
        let object = event.regarding.unwrap_or_default();
        let time = event.event_time.map(|time| time.0.to_string()).unwrap_or_default();
        let _ = writeln!(
            out,
            "{time} {} {} {}/{}: {}",
            event.type_.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            object.kind.unwrap_or_default(),
            object.name.unwrap_or_default(),
            event.note.unwrap_or_default()
        );
    }
    Ok(out)
}

fn witnessed(scene: &Scene, since: Mark) -> String {
    let ledger = scene.world.observer.ledger();
    let mut out = String::new();
    let mut first = None;
    for entry in ledger.of_namespace(since, &scene.namespace) {
        let begin = *first.get_or_insert(entry.at);
        let seconds = entry.at.duration_since(begin).as_secs_f64();
        let _ = writeln!(out, "{seconds:8.2} {:?} {} rev {}", entry.change, entry.pod, entry.pod.revision);
    }
    out
}
