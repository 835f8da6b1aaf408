//! How long does a graph take by itself?
//!
//! ```text
//! cargo run --release -p quorate-workflows --example graph_speed
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use quorate_core::Result;
use quorate_state::StateStore;
use quorate_workflows::graph::{App, Context, END, Graph, Output, Reducer, RunOptions, START, State};
use serde_json::json;

/// How often each is measured; the median counts.
const ROUNDS: usize = 21;

fn main() -> Result<()> {
    let memory = StateStore::memory();
    let keep = RunOptions { keep: Some(4), ..RunOptions::default() };
    let chain = chain(&memory)?;
    let wide = wide(&memory)?;
    report("chain of three nodes", 4_000, &|_| once(&chain, &keep));
    report("fan-out of five", 2_000, &|_| once(&wide, &keep));
    let alone = RunOptions { parallel: 1, ..RunOptions::default() };
    report("fan-out of five, on one thread", 2_000, &|_| once(&wide, &alone));
    let delete = |thread: &str| drop(memory.checkpoints(None).unwrap().delete(thread));
    report("chain, with checkpoints in memory", 2_000, &|thread| {
        run(&chain, thread, &keep);
        delete(thread);
    });
    report("fan-out, with checkpoints in memory", 1_000, &|thread| {
        run(&wide, thread, &keep);
        delete(thread);
    });
    let folder = tempfile::tempdir().map_err(|e| quorate_core::Error::io("a temporary folder", e))?;
    let store = StateStore::open(folder.path())?;
    let steps = steps(&store, 50)?;
    let before = store.commits();
    let begun = Instant::now();
    run(&steps, "durable", &RunOptions::default());
    let each = begun.elapsed().as_secs_f64() / 50.0;
    let commits = store.commits() - before;
    println!("{:<40} {:>9.2} ms; 50 steps in {commits} transactions", "durable step", each * 1e3);
    // What one wait for this disk costs.
    let begun = Instant::now();
    for _ in 0..50 {
        store.put(None, "speed", "one", &json!(1))?;
    }
    println!(
        "{:<40} {:>9.2} ms",
        "durable value, for comparison",
        begun.elapsed().as_secs_f64() * 1e3 / 50.0
    );
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for at in 0..64 {
            let steps = &steps;
            scope.spawn(move || run(steps, &format!("run {at}"), &RunOptions::default()));
        }
    });
    let all = 64.0 * 50.0 / begun.elapsed().as_secs_f64();
    println!("{:<40} {all:>9.0} durable steps/s", "64 runs at once");
    Ok(())
}

fn once(app: &App, options: &RunOptions) {
    let done = app.run_once(json!({"text": "in"}), options).unwrap();
    assert_eq!(done.error, None);
}

fn run(app: &App, thread: &str, options: &RunOptions) {
    let done = app.run_with(json!({"text": "in"}), thread, options).unwrap();
    assert_eq!(done.error, None);
}

/// Measures runs, each with a name of its own for a thread that begins with nothing.
fn report(what: &str, count: usize, run: &dyn Fn(&str)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let threads: Vec<String> = (0..count).map(|at| format!("{round}-{at}")).collect();
            let begun = Instant::now();
            threads.iter().for_each(|thread| run(thread));
            begun.elapsed().as_secs_f64() / count as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (best, median) = (rounds[0] * 1e6, rounds[ROUNDS / 2] * 1e6);
    println!("{what:<40} {median:>9.2} us (best {best:.2})");
}

fn graph() -> Graph {
    let schema = json!({"properties": {"text": {"type": "string"}, "n": {"type": "integer"}}});
    Graph::new(schema).reducer("n", Reducer::Sum)
}

fn one(_: &State, _: &Context) -> Result<Output> {
    Ok(json!({"n": 1}).into())
}

fn chain(store: &StateStore) -> Result<App> {
    let graph = graph().node("a", one).node("b", one).node("c", one);
    graph.edge(START, "a").edge("a", "b").edge("b", "c").edge("c", END).compile(store)
}

fn wide(store: &StateStore) -> Result<App> {
    let mut graph = graph().node("begin", one).node("end", one).edge(START, "begin").edge("end", END);
    for name in ["1", "2", "3", "4", "5"] {
        graph = graph.node(name, one).edge("begin", name);
    }
    graph.join(["1", "2", "3", "4", "5"], "end").compile(store)
}

fn steps(store: &StateStore, count: i64) -> Result<App> {
    let more =
        move |state: &State| Ok(if state["n"].as_i64() < Some(count) { "a".into() } else { END.into() });
    graph().node("a", one).edge(START, "a").edges_if("a", more, ["a", END]).compile(store)
}
