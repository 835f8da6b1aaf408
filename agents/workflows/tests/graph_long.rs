//! Does a long run take no more memory than a short one? Alone in its process, so that nothing else is measured.

#![allow(clippy::unwrap_used, clippy::panic)]

use quorate_state::StateStore;
use quorate_workflows::graph::{Context, Durability, END, Graph, Reducer, RunOptions, START, State, Status};
use serde_json::json;

fn graph() -> Graph {
    let schema = json!({"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}});
    Graph::new(schema).reducer("n", Reducer::Sum)
}

/// What this process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

#[test]
fn a_hundred_thousand_steps_take_no_more_memory_than_a_thousand() {
    let most: usize = 100_000;
    let measure = |store: &StateStore, steps: usize, options: &RunOptions| {
        let app = graph()
            .node("loop", |_: &State, _: &Context| Ok(json!({"n": 1, "text": "x".repeat(100)}).into()))
            .edge(START, "loop")
            .edges_if(
                "loop",
                move |state: &State| {
                    Ok(if state["n"].as_u64() == Some(steps as u64) { END.into() } else { "loop".into() })
                },
                ["loop", END],
            )
            .compile(store)
            .unwrap();
        let done = app.run_with(json!({}), "t", options).unwrap();
        assert_eq!((done.status, done.steps), (Status::Done, steps));
        resident()
    };
    let options = RunOptions { step_limit: most + 1, keep: Some(50), ..RunOptions::default() };
    let before = measure(&StateStore::memory(), 1_000, &options);
    let store = StateStore::memory();
    let after = measure(&store, most, &options);
    assert!(after < before + (24 << 20), "{before} {after}");
    assert!(store.checkpoints(None).unwrap().threads().unwrap()[0].checkpoints <= 100);
    // On the disk, of which a tenth says as much.
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let options = RunOptions { durability: Durability::Async, keep: Some(500), ..options };
    let before = resident();
    let after = measure(&store, most / 10, &options);
    assert!(after < before + (32 << 20), "{before} {after}");
    let size = std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(size < 12 << 20, "{size}");
}
