//! What does a run cost above its model? Two model calls and one tool, one after another and many at once.
//!
//! Run: `cargo run --release -p quorate-runtime --example run_speed [runs] [at once]`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::spare;
use quorate_models::{Model, ModelOptions, Resilience, ScriptedModel};
use quorate_runtime::{FunctionTool, Question, Runtime, RuntimeOptions, ToolCard};
use quorate_state::StateStore;
use serde_json::json;

fn runtime(wait: Duration, store: Option<StateStore>) -> Runtime {
    let script = ScriptedModel::of_function(move |request, _| {
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let asked = request.messages.iter().any(|message| message.calls().next().is_some());
        ScriptedModel::reply_from_json(&match asked {
            true => json!("It is a catheter."),
            false => json!({"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "C1725"}}]}),
        })
    });
    let resilience = Resilience { max_concurrent: 10_000, ..Resilience::default() };
    let model = Model::new(script, ModelOptions { resilience, ..ModelOptions::default() }).unwrap();
    let schema = json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]});
    let tool = FunctionTool::new(ToolCard::new("lookup", "What a code means.", schema), |_, _| {
        Ok(json!("a catheter"))
    });
    let options = RuntimeOptions {
        model: Some(model),
        tools: vec![Arc::new(tool.unwrap())],
        store,
        ..Default::default()
    };
    Runtime::new(options).unwrap()
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let mut given = std::env::args().skip(1).filter_map(|one| one.parse::<usize>().ok());
    let (runs, at_once) = (given.next().unwrap_or(2000), given.next().unwrap_or(1000));
    let plain = runtime(Duration::ZERO, None);
    let ask = |runtime: &Runtime| {
        assert_eq!(runtime.ask(Question::new("What is C1725?")).unwrap().text, "It is a catheter.")
    };
    for round in 0..3 {
        let begun = Instant::now();
        (0..runs).for_each(|_| ask(&plain));
        println!("round {round}: {:.1} us a run", begun.elapsed().as_secs_f64() * 1e6 / runs as f64);
    }
    let folder = std::env::temp_dir().join(format!("quorate-run-speed-{}", std::process::id()));
    let disk = runtime(Duration::ZERO, Some(StateStore::open(&folder).unwrap()));
    let begun = Instant::now();
    (0..100).for_each(|_| ask(&disk));
    let commits = disk.store().commits();
    println!(
        "on disk: {:.2} ms a run, {:.2} transactions a run",
        begun.elapsed().as_secs_f64() * 10.0,
        commits as f64 / 100.0
    );
    let _ = std::fs::remove_dir_all(&folder);
    let waiting = runtime(Duration::from_millis(50), None);
    const EACH: usize = 10;
    for _ in 0..3 {
        let (sender, done) = std::sync::mpsc::channel();
        let before = resident();
        let begun = Instant::now();
        for _ in 0..at_once {
            let (runtime, sender) = (waiting.clone(), sender.clone());
            spare::run(move || {
                for _ in 0..EACH {
                    let _ = sender.send(runtime.ask(Question::new("What is C1725?")).unwrap().text);
                }
            })
            .unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        let grown = resident().saturating_sub(before);
        for _ in 0..at_once * EACH {
            assert_eq!(done.recv().unwrap(), "It is a catheter.");
        }
        let took = begun.elapsed().as_secs_f64();
        let bound = 0.1 * EACH as f64;
        println!(
            "{at_once} at once, {EACH} times: {took:.3} s, {:.0} % of what is possible; {:.1} KiB each while they wait",
            100.0 * bound / took,
            grown as f64 / 1024.0 / at_once as f64
        );
    }
}
