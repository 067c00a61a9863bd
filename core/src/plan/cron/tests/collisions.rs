//! Every collision policy with every catch-up policy, in every situation: what is done at once, and `|` what once the run
//! that goes on has ended.

use super::*;

const COLLISIONS: [Collision; 3] = [Collision::KillExisting, Collision::CancelNew, Collision::Queue];
const CATCH_UPS: [CatchUp; 3] =
    [CatchUp::None, CatchUp::Latest { window_seconds: 7200 }, CatchUp::All { window_seconds: 7200 }];
const SITUATIONS: [&str; 6] = ["on time", "late", "three missed", "suspended", "schedule changed", "asked"];
const RUNS: [&str; 4] = ["none", "active", "ending", "waiting"];

fn desk(situation: &str, run: &str) -> Desk {
    let (last, before, now) = match situation {
        "late" => ("11:00", "10:00", "12:05"),
        "three missed" => ("09:00", "08:00", "12:30"),
        "asked" => ("12:00", "11:00", "12:20"),
        _ => ("11:00", "10:00", "12:00:05"),
    };
    let mut desk = Desk::new("0 * * * *", if run == "waiting" { before } else { last }, now);
    match situation {
        "suspended" => desk.cron.suspend = true,
        "schedule changed" => desk.status().observed_schedule = Some("30 * * * *".into()),
        "asked" => desk.cron.run_at = Some(at("12:15:30")),
        _ => {}
    }
    if run != "none" {
        desk.active(before, RunCause::Schedule);
    }
    if run == "ending" {
        desk.runs[0].killed = true;
    }
    if run == "waiting" {
        desk.claimed(last, RunCause::Schedule);
    }
    desk
}

#[test]
fn every_policy_in_every_situation() {
    let mut table = String::new();
    for situation in SITUATIONS {
        for run in RUNS {
            table += &format!("\n# {situation}, run: {run}\n");
            let mut rows: Vec<(String, String)> = Vec::new();
            for collision in COLLISIONS {
                for catch_up in CATCH_UPS {
                    let mut desk = desk(situation, run);
                    (desk.cron.collision, desk.cron.catch_up) = (collision, catch_up);
                    let mut told = vec![desk.settle()];
                    // To the last run of a backlog.
                    for _ in 0..3 {
                        desk.end(None);
                        desk.now += secs(1);
                        told.push(desk.settle());
                    }
                    let told = told.join(" | ");
                    let told = told.trim_end_matches([' ', '|']).to_owned();
                    let catch_up =
                        ["None", "Latest", "All"][CATCH_UPS.iter().position(|it| *it == catch_up).unwrap()];
                    match rows.last_mut().filter(|(_, last)| *last == told) {
                        Some((who, _)) => *who += &format!(" {collision:?}/{catch_up}"),
                        None => rows.push((format!("{collision:?}/{catch_up}"), told)),
                    }
                }
            }
            for (who, told) in rows {
                table += format!("{who}: {told}").trim_end();
                table.push('\n');
            }
        }
    }
    let known = include_str!("collisions.txt");
    assert!(table.trim() == known.trim(), "it is another table now:\n{table}");
}
