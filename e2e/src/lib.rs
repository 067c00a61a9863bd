//! Tests of Borealis on a real Kubernetes API server, its demo, and its benchmark.
//!
//! The pieces: `cluster` drives the local cluster, `helm` installs on it, `operator` is the operator's replicas, `observer` records every
//! Pod event on its own and judges them, `wait` waits with a deadline, `scene` is what one scenario works with,
//! `runner` runs scenarios and `report` says how it went. Called by the binaries `borealis-e2e` and
//! `borealis-demo` in `bin/`. Nothing here uses the operator's types: what is asserted is what a user sees.
#![allow(clippy::print_stdout, reason = "the binaries talk to a person at a terminal")]

pub mod bench;
pub mod between;
pub mod cluster;
pub mod command;
pub mod cron;
pub mod debian;
pub mod demo;
pub mod documented;
pub mod dump;
mod errors;
pub mod helm;
pub mod install;
pub mod kube_api;
pub mod measured;
pub mod monitored;
pub mod observer;
pub mod operator;
pub mod paths;
pub mod prometheus;
pub mod report;
pub mod rights;
pub mod runner;
pub mod scenarios;
pub mod scene;
pub mod service;
pub mod spark;
pub mod wait;
pub mod world;
