//! Do limits hold for the whole of a run, graphs within the graph among it?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_core::Cancel;
use quorate_state::StateStore;
use quorate_workflows::graph::{
    Context, Durability, END, Graph, Mode, Output, RunOptions, START, Send, State, Status,
};
use serde_json::json;

use super::support::{both, graph, says};

/// A graph that goes on until the sum is so much, and counts its nodes' work.
fn counts(to: i64, calls: &Arc<AtomicUsize>) -> Graph {
    let calls = Arc::clone(calls);
    graph()
        .node("loop", move |_: &State, _: &Context| {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok(json!({"sum": 1}).into())
        })
        .edge(START, "loop")
        .edges_if(
            "loop",
            move |state: &State| {
                Ok(if state["sum"].as_i64() >= Some(to) { END.into() } else { "loop".into() })
            },
            ["loop", END],
        )
}

#[test]
fn a_step_limit_counts_the_steps_of_graphs_within_the_graph() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let outer = graph().subgraph("in", counts(8, &calls)).edges_if(
            START,
            |_: &State| Ok((0..4).map(|_| Send::new("in", json!({"sum": 0}))).collect::<Vec<_>>().into()),
            ["in"],
        );
        let outer = outer.node("end", says("end")).edge("in", "end").compile(store).unwrap();
        let options = RunOptions { step_limit: 5, ..RunOptions::default() };
        let mut stopped = outer.run_with(json!({}), "t", &options).unwrap();
        assert_eq!((stopped.status, calls.load(Ordering::SeqCst)), (Status::StepLimit, 5));
        let mut rounds = 1;
        while stopped.status == Status::StepLimit {
            let before = calls.load(Ordering::SeqCst);
            stopped = outer.resume_with("t", HashMap::new(), &options).unwrap();
            assert!(calls.load(Ordering::SeqCst) - before <= 5);
            rounds += 1;
        }
        // Four times eight steps inside, and one outside.
        assert_eq!((stopped.status, calls.load(Ordering::SeqCst), rounds), (Status::Done, 32, 7));
        assert_eq!(stopped.state["sum"], 32);
        // A single step at a time comes to the end too.
        let calls = Arc::new(AtomicUsize::new(0));
        let deep = graph().subgraph("deep", counts(3, &calls)).edge(START, "deep");
        let app = graph().subgraph("in", deep).node("beside", says("beside")).edge(START, "in");
        let app = app.edge(START, "beside").compile(store).unwrap();
        let options = RunOptions { step_limit: 1, ..RunOptions::default() };
        let mut stopped = app.run_with(json!({}), "u", &options).unwrap();
        for _ in 0..10 {
            if stopped.status == Status::Done {
                break;
            }
            stopped = app.resume_with("u", HashMap::new(), &options).unwrap();
        }
        assert_eq!((stopped.status, calls.load(Ordering::SeqCst)), (Status::Done, 3));
    });
}

#[test]
fn no_more_nodes_work_at_once_than_may_in_all_graphs_together() {
    both(|store| {
        let working = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let node = || {
            let working = Arc::clone(&working);
            move |_: &State, _: &Context| {
                let now = working.0.fetch_add(1, Ordering::SeqCst) + 1;
                working.1.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(4));
                working.0.fetch_sub(1, Ordering::SeqCst);
                Ok(Output::from(json!({"sum": 1})))
            }
        };
        let mut inner = graph();
        for at in 0..4 {
            let name = format!("n{at}");
            inner = inner.node(&name, node()).edge(START, &name);
        }
        let app = graph()
            .subgraph("in", inner)
            .node("beside", node())
            .edge(START, "beside")
            .edges_if(
                START,
                |_: &State| {
                    Ok((0..3).map(|n| Send::new("in", json!({"last": n}))).collect::<Vec<_>>().into())
                },
                ["in"],
            )
            .compile(store)
            .unwrap();
        for parallel in [1, 3] {
            working.1.store(0, Ordering::SeqCst);
            let options = RunOptions { parallel, durability: Durability::Async, ..RunOptions::default() };
            let done = app.run_with(json!({}), &format!("t{parallel}"), &options).unwrap();
            assert_eq!((done.status, &done.state["sum"]), (Status::Done, &json!(13)));
            let most = working.1.load(Ordering::SeqCst);
            assert!(most <= parallel, "{most}");
        }
    });
}

#[test]
fn a_graph_within_the_graph_keeps_its_newest_checkpoints_too() {
    both(|store| {
        let most = Arc::new(AtomicUsize::new(0));
        let (inside, checkpoints) = (Arc::clone(&most), store.checkpoints(None).unwrap());
        let inner = graph()
            .node("loop", move |_: &State, _: &Context| {
                let count = checkpoints.threads().unwrap()[0].checkpoints;
                inside.fetch_max(usize::try_from(count).unwrap(), Ordering::SeqCst);
                Ok(json!({"sum": 1}).into())
            })
            .edge(START, "loop")
            .edges_if(
                "loop",
                |state: &State| {
                    Ok(if state["sum"].as_i64() == Some(40) { END.into() } else { "loop".into() })
                },
                ["loop", END],
            );
        let app = graph().subgraph("in", inner).edge(START, "in").compile(store).unwrap();
        let options = RunOptions { keep: Some(3), durability: Durability::Async, ..RunOptions::default() };
        assert_eq!(app.run_with(json!({}), "t", &options).unwrap().state["sum"], 40);
        let most = most.load(Ordering::SeqCst);
        assert!((4..=8).contains(&most), "{most}");
    });
}

#[test]
fn a_thread_of_short_runs_keeps_its_newest_checkpoints_too() {
    both(|store| {
        let app = graph().node("a", says("a")).edge(START, "a").compile(store).unwrap();
        let count = || store.checkpoints(None).unwrap().threads().unwrap()[0].checkpoints;
        let options = RunOptions { keep: Some(3), ..RunOptions::default() };
        for _ in 0..10 {
            app.run_with(json!({}), "t", &options).unwrap();
            assert!(count() <= 3, "{}", count());
        }
        assert_eq!(app.state("t", None).unwrap().state["log"].as_array().unwrap().len(), 10);
        let longer = counts(40, &Arc::default()).compile(store).unwrap();
        let options = RunOptions { step_limit: 4, ..options };
        let mut out = longer.run_with(json!({}), "t", &options).unwrap();
        while out.status == Status::StepLimit {
            assert!(count() <= 3, "{}", count());
            out = longer.resume_with("t", HashMap::new(), &options).unwrap();
        }
        assert_eq!((out.status, count()), (Status::Done, 3));
    });
}

#[test]
fn a_reader_that_is_slow_holds_up_the_run_and_misses_nothing() {
    let calls = Arc::new(AtomicUsize::new(0));
    let app = counts(1_000, &calls).compile(&StateStore::memory()).unwrap();
    let options = RunOptions { step_limit: 2_000, ..RunOptions::default() };
    let stream = app.stream(json!({}), "t", &[Mode::Values], &options).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let before = calls.load(Ordering::SeqCst);
    assert!((200..300).contains(&before), "{before}");
    let sums: Vec<i64> = stream.map(|event| event.unwrap().data["sum"].as_i64().unwrap()).collect();
    assert_eq!(sums, (0..=1_000).collect::<Vec<_>>());
    // One that was stopped waits for nobody.
    let stop = Cancel::new();
    let options = RunOptions { stop: stop.clone(), ..options };
    let stream = app.stream(json!({}), "u", &[Mode::Values], &options).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    stop.cancel();
    std::thread::sleep(Duration::from_millis(100));
    let at = calls.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(calls.load(Ordering::SeqCst), at);
    assert!(stream.outcome().is_err());
}

#[test]
fn a_list_that_grows_is_not_written_anew_at_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let app = graph()
        .node("loop", |state: &State, _: &Context| {
            let at = state["log"].as_array().unwrap().len();
            Ok(json!({"log": format!("{at} {}", "x".repeat(400))}).into())
        })
        .edge(START, "loop")
        .edges_if(
            "loop",
            |state: &State| {
                Ok(if state["log"].as_array().unwrap().len() < 400 { "loop".into() } else { END.into() })
            },
            ["loop", END],
        )
        .compile(&store)
        .unwrap();
    let options = RunOptions { step_limit: 150, durability: Durability::Async, ..RunOptions::default() };
    let mut done = app.run_with(json!({}), "t", &options).unwrap();
    while done.status == Status::StepLimit {
        done = app.resume_with("t", HashMap::new(), &options).unwrap();
    }
    assert_eq!((done.status, done.state["log"].as_array().unwrap().len()), (Status::Done, 400));
    let state = app.state("t", None).unwrap().state;
    assert_eq!(state, done.state);
    assert!(state["log"][399].as_str().unwrap().starts_with("399 "));
    drop((app, store));
    // Whole lists would be 32 MB.
    let size = std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(size < 4 << 20, "{size}");
}
