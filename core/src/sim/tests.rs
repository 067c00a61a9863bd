//! That the simulation sees what it is for: the promises hold in stories told by name, and each guard of theirs,
//! taken away, breaks one.

use super::{
    Tally,
    objects::Kind,
    script::{Disturbance, Trouble},
    setting::{Guards, Setting},
    time::{Millis, SECOND},
    world::World,
};
use crate::model::*;

const ALL: Guards = Guards::ALL;

type Script = Vec<(Millis, Disturbance)>;

/// A job of good configs in a world where only the script goes wrong.
fn setting(instances: u32, guards: Guards) -> Setting {
    let mut setting = Setting::draw(7);
    setting.service.instances = instances;
    setting.service.update.strategy = Strategy::Queue { group_size: Amount::Count(2) };
    setting.service.update.watch_seconds = 0;
    setting.service.update.in_place = false;
    setting.service.update.max_surge = Amount::Count(0);
    setting.service.flapping =
        Flapping { threshold_seconds: 300, initial_delay_seconds: 20, max_delay_seconds: 40 };
    setting.service.history = History { failed: 0, ended: 0, ttl_seconds: 600 };
    setting.grace_seconds = 1;
    setting.qualities.clear();
    setting.skews = [0, 0];
    setting.finale = false;
    Setting { guards, ..setting }
}

fn run(instances: u32, guards: Guards, script: Script) -> Result<Tally, String> {
    let mut world = World::new(setting(instances, guards), script, false);
    world.run().map(|()| world.tally).map_err(|broken| broken.what)
}

/// Whether any of the stories, told a little later each time, ends badly.
fn breaks(guards: Guards, script: impl Fn(Millis) -> Script) -> bool {
    let worlds = (0..300).map(|at| run(2, guards, script(5 * at)));
    let broken: Vec<String> = worlds.filter_map(Result::err).collect();
    broken.iter().for_each(|what| assert!(what.starts_with("two live"), "{what}"));
    !broken.is_empty()
}

#[test]
fn a_leader_that_stood_still_over_two_incarnations_makes_no_second_pod() {
    // The third Pod is due at about 110 s. The request that makes it is held up with its sender; the next leader makes
    // it, it ends, its successor comes, and it is removed: then the request arrives.
    let stop = Disturbance::Stop { operator: 0, requests: 0, length: 120 * SECOND, held: true };
    let script = vec![
        (60 * SECOND, Disturbance::PodEnds(0, 1)),
        (85 * SECOND, Disturbance::PodEnds(0, 1)),
        (100 * SECOND, stop),
        (150 * SECOND, Disturbance::PodEnds(0, 1)),
    ];
    let tally = run(1, ALL, script.clone()).unwrap();
    assert!(tally.fenced > 0 && tally.terms > 1, "{tally:?}");
    let without = run(1, Guards { fence: false, ..ALL }, script);
    assert!(without.is_err_and(|what| what.starts_with("two live")));
}

#[test]
fn a_new_leader_that_is_behind_reads_before_it_acts() {
    // Its watch of Pods has stood still since the second Pod ended; the third has come and gone since.
    let script = vec![
        (60 * SECOND, Disturbance::PodEnds(0, 1)),
        (85 * SECOND, Disturbance::PodEnds(0, 1)),
        (90 * SECOND, Disturbance::Lag(1, Kind::Pod, 200 * SECOND)),
        (125 * SECOND, Disturbance::PodEnds(0, 1)),
        (180 * SECOND, Disturbance::Crash(0, 0, 60 * SECOND)),
        (185 * SECOND, Disturbance::Scale(2)),
    ];
    run(1, ALL, script.clone()).unwrap();
    let without = run(1, Guards { barrier: false, ..ALL }, script);
    assert!(without.is_err_and(|what| what.starts_with("two live")));
}

#[test]
fn an_operator_knows_of_its_own_writes() {
    // A Pod is replaced while an update begins: the next one of that instance would have another name.
    let script = |later| {
        vec![
            (30 * SECOND, Disturbance::PodEnds(1, 1)),
            (60 * SECOND, Disturbance::Config(Revision::v1(2), None)),
            (60 * SECOND + later, Disturbance::PodEnds(0, 1)),
            (65 + 60 * SECOND + later, Disturbance::Lag(0, Kind::Pod, 3 * SECOND)),
        ]
    };
    assert!(!breaks(ALL, script));
    assert!(breaks(Guards { assume: false, ..ALL }, script));
}

#[test]
fn a_create_without_an_answer_is_settled_first() {
    // The update turns back while a request is on its way: what comes next of that instance has another name.
    let script = |later| {
        vec![
            (60 * SECOND, Disturbance::Config(Revision::v1(2), None)),
            (60 * SECOND + 2 * later, Disturbance::Troubled(Trouble::Late(3 * SECOND), 1)),
            (60 * SECOND + 2 * later + 40, Disturbance::RollBack),
        ]
    };
    assert!(!breaks(ALL, script));
    assert!(breaks(Guards { settle: false, ..ALL }, script));
}
