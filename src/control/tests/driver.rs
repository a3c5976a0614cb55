//! The reconcilers together over a real log in memory.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    base::{
        clock::{Clock, SteadyClock, SystemClock},
        task::Tasks,
    },
    control::{
        board::{Activation, Board, Note},
        driver::{Driver, of_term},
        links::Links,
        reconciler::{Report, Wait},
        reconcilers::Kind,
    },
    core::place::Limits,
    log::{Disk, Log, LogConfig, memory::MemoryDisk},
    sim::build::app,
};

const DEADLINE: Duration = Duration::from_secs(20);

async fn log(tasks: &Tasks, clock: Arc<dyn Clock>) -> Log<State> {
    let disk = Disk::Memory(MemoryDisk::default());
    let config = LogConfig::single("test", disk, Rng::from_seed(7));
    let log = Log::open(config, None, clock, tasks.child("log")).await.expect("a log");
    log.ready(DEADLINE).await.expect("a leader");
    log
}

/// Waits until the state is as wanted.
async fn until(log: &Log<State>, what: &str, test: impl Fn(&State) -> bool) {
    let mut changed = log.feed().changed();
    let reached = async {
        while !test(&log.state()) {
            changed.changed().await.expect("the log lives");
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcilers_wake_each_other_and_say_what_they_did() {
    let (tasks, system) = (Tasks::new("test"), SystemClock::shared());
    let steady = SteadyClock::over(system.clone());
    let log = log(&tasks, steady.clone()).await;
    let board = Board::default();
    let driver = Driver {
        log: log.clone(),
        links: Links::new(log.clone(), system, tasks.child("links")),
        clock: steady,
        rng: Rng::from_seed(1),
        limits: Limits::default(),
        board: board.clone(),
    };
    driver.start(&tasks.child("control"));
    let propose = async |command| {
        log.propose(command).await.expect("a leader").expect("accepted");
    };
    propose(NodeCommand::RegisterNode(Box::new(node(0, 4.0, 4096.0, &[]))).into()).await;
    let specs = [app("/web", 2, 0.5, 64.0, 1), app("/big", 1, 64.0, 64.0, 0)];
    propose(WorkloadCommand::PutApps(Box::new(new_apps("d1".into(), specs.into_iter()))).into())
        .await;

    // The deployment makes three, placement finds a place for two.
    let launched = |state: &State| {
        let all = state.instances.values();
        all.filter(|i| i.placement().is_some()).count() == 2
    };
    until(&log, "two instances have a place", launched).await;
    let told = async {
        while board.attempt(&AppId::parse("/big")).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, told).await.expect("the third is explained");
    assert!(board.attempt(&AppId::parse("/web")).is_none_or(|report| report.n_waiting == 0));
    // Each tells in the end what it waits for.
    let waits = |note: &Note| -> Vec<String> {
        note.report.waits.iter().map(|wait| wait.about.clone()).collect()
    };
    let expected =
        [("deploy", vec!["deployment d1"]), ("liveness", vec![]), ("place", vec!["app /big"])];
    let as_expected = || {
        let notes = board.notes();
        notes.len() == expected.len()
            && notes.iter().zip(&expected).all(|((name, note), (who, about))| {
                name == who && waits(note) == *about && note.report.n_waits == about.len()
            })
    };
    let told = async {
        while !as_expected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let all = tokio::time::timeout(DEADLINE, told).await;
    let notes = board.notes();
    all.unwrap_or_else(|_| panic!("{notes:?}"));
    let went_well =
        |note: &Note| note.n_runs > 0 && note.latest.as_ref().unwrap().refused.is_none();
    assert!(notes.iter().all(|(_, note)| went_well(note)));
    tasks.stop(DEADLINE).await;
}

#[test]
fn a_reconciler_remembers_nothing_of_an_earlier_term() {
    let mut memory = None;
    let mut led = |term| {
        let seen = of_term(&mut memory, term, Vec::new);
        seen.push(term);
        seen.clone()
    };
    assert_eq!([led(3), led(3)], [vec![3], vec![3, 3]]);
    assert_eq!(led(7), [7], "others led in 4, 5 and 6");
    assert_eq!(led(7), [7, 7]);
}

#[test]
fn a_master_that_does_not_lead_any_more_tells_of_nothing_that_waits() {
    let mut report = Report::default();
    report.wait(|| Wait::of("app", "/web", "no room"));
    let board = Board::default();
    board.publish(Kind::Place, report);
    let activation = Activation { at: START, took: DEADLINE, n_proposed: 1, refused: None };
    board.note(Kind::Place, activation);
    board.end_term(Kind::Place);
    let notes = board.notes();
    let [("place", note)] = &notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.n_runs, note.report.n_waits, note.report.waits.len()), (1, 0, 0));
    assert_eq!(note.report.looks_at, "nothing, as this master does not lead");
}
