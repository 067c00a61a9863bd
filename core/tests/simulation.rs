//! Runs many seeded worlds: `SEEDS` of them (1000 by default, 2000 of a cron), beginning with `SEED`. One alone is shown in
//! detail.

#![allow(clippy::print_stdout, reason = "what went wrong has to be seen")]

use std::{fmt::Debug, ops::AddAssign};

use borealis_core::sim::{
    CronTally, CronTrouble, Failure, ShareTally, Tally, Trouble, run, run_cron, run_job, run_share,
    run_steady,
};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs the worlds that were asked for, or so many, each by its seed; how many, and what they did.
fn run_seeds<T: Default + AddAssign + Debug>(
    worlds: &str,
    usual: u64,
    share: u64,
    run: impl Fn(u64) -> Result<T, (String, Vec<String>)>,
) -> (u64, T) {
    let first = number("SEED");
    let count = number("SEEDS").unwrap_or(if first.is_some() { 1 } else { usual }).div_ceil(share);
    let first = first.unwrap_or(0);
    let mut total = T::default();
    let mut failed = 0;
    for seed in first..first + count {
        match run(seed) {
            Ok(tally) => total += tally,
            Err((wrong, trace)) => {
                failed += 1;
                println!("seed {seed}, {worlds}: {wrong}");
                if count == 1 {
                    trace.iter().for_each(|line| println!("{line}"));
                }
            }
        }
    }
    assert_eq!(failed, 0, "of {count} {worlds} went wrong; SEED=<seed> shows one of them in detail");
    println!("{worlds}: {total:?}");
    (count, total)
}

/// Runs the worlds of services and jobs that were asked for.
fn run_all(run: impl Fn(u64) -> Result<Tally, Box<Failure>>) -> (u64, Tally) {
    run_seeds("worlds", 1000, 1, |seed| run(seed).map_err(|failure| (failure.to_string(), failure.trace)))
}

#[test]
fn every_world_keeps_its_promises() {
    let (count, total) = run_all(run);
    if count >= 1000 {
        // A world in which nothing happens keeps every promise.
        let least = total.rolled_forward.min(total.rolled_back).min(total.aborted).min(total.halted);
        assert!(least > count / 100, "too few updates of a kind: {total:?}");
        let least = total.crashes.min(total.fenced).min(total.troubles).min(total.given_up);
        assert!(least > count / 100, "too few faults of a kind: {total:?}");
        assert!(total.changed.min(total.stuck) > count / 100, "too few changes in place: {total:?}");
        assert!(total.plans > 50 * count && total.terms > count, "too little happened: {total:?}");
    }
}

#[test]
fn operators_that_fail_make_no_pod_more_and_none_less() {
    let (count, total) = run_all(run_steady);
    if count >= 1000 {
        let least = total.crashes.min(total.fenced).min(total.troubles);
        assert!(least > count / 100, "too few faults of a kind: {total:?}");
    }
}

#[test]
fn jobs_run_each_instance_to_its_end_and_no_further() {
    let (count, total) = run_all(run_job);
    if count >= 1000 {
        assert_eq!(total.completed + total.failed, count);
        let least = total.completed.min(total.failed);
        assert!(least > count / 10, "too few ends of a kind: {total:?}");
        let least = total.crashes.min(total.fenced).min(total.troubles).min(total.given_up);
        assert!(least > count / 100, "too few faults of a kind: {total:?}");
    }
}

/// Runs the shared clusters that were asked for; they take four times as long as others.
fn share_all(trouble: Trouble) -> (u64, ShareTally) {
    run_seeds(&format!("shared clusters, {trouble:?},"), 1000, 4, |seed| run_share(seed, trouble))
}

#[test]
fn room_is_made_by_the_rule_and_for_little_more_than_it_takes() {
    let (count, total) = share_all(Trouble::None);
    if count >= 250 {
        assert!(total.victims > 5 * count, "too little happened: {total:?}");
    }
    // Nobody can know what a tenant will free elsewhere.
    let over = total.too_many + total.in_vain;
    assert!(count < 250 || over * 100 <= total.victims, "too many had to go: {total:?}");
    let all = over + total.unforeseen;
    assert!(count < 250 || all * 33 <= total.victims, "too many had to go: {total:?}");
}

#[test]
fn nobody_goes_in_vain_where_no_room_comes_free_by_itself() {
    let (count, total) = share_all(Trouble::Arrivals);
    let over = total.too_many + total.in_vain + total.unforeseen;
    assert!(count < 250 || over * 100 <= total.victims, "too many had to go: {total:?}");
    assert!(count < 250 || total.victims > 3 * count, "too little happened: {total:?}");
}

#[test]
fn room_is_made_by_the_rule_whatever_goes_wrong() {
    let (count, total) = share_all(Trouble::All);
    if count >= 250 {
        let least = total.crashes.min(total.dropped).min(total.failed);
        assert!(least > count / 10 && total.conflicts > 0, "too few faults of a kind: {total:?}");
        assert!(total.victims > 5 * count, "too little happened: {total:?}");
        // More than elsewhere: leaders act by what they saw a while ago, and some rank high that nobody makes room for.
        let over = total.too_many + total.in_vain;
        assert!(over * 40 <= total.victims, "too many had to go: {total:?}");
    }
}

/// Runs the crons that were asked for.
fn cron_all(trouble: CronTrouble) -> (u64, CronTally) {
    run_seeds(&format!("crons, {trouble:?},"), 2000, 1, |seed| run_cron(seed, trouble))
}

#[test]
fn no_time_of_a_cron_runs_twice_or_is_lost_without_a_word() {
    let (count, total) = cron_all(CronTrouble::All);
    if count >= 1000 {
        let least = total.on_time.min(total.made_up).min(total.asked).min(total.by_parents);
        assert!(least > count / 10, "too few runs of a kind: {total:?}");
        let least = total.killed.min(total.collided).min(total.missed).min(total.strays);
        assert!(least > count / 10, "too little went another way: {total:?}");
        assert!(total.crashes.min(total.conflicts).min(total.late) > count, "too few faults: {total:?}");
    }
}

#[test]
fn leaders_that_fail_run_each_time_of_a_cron_once() {
    let (count, total) = cron_all(CronTrouble::Leaders);
    if count >= 1000 {
        assert!(total.on_time + total.made_up > 5 * count, "too few runs: {total:?}");
        assert!(total.crashes.min(total.conflicts).min(total.late) > count, "too few faults: {total:?}");
    }
}
