//! Does a flow of a run end its own run, and nothing else?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use quorate_bindings::runtime::{Run, flow, whole};
use quorate_bindings::{Flow, Host};
use quorate_core::Cancel;
use quorate_models::{Model, ModelOptions, Reply, ScriptedModel};
use quorate_runtime::{Question, Runtime, RuntimeOptions};
use serde_json::Value;

fn runtime(script: ScriptedModel) -> Runtime {
    let model = Model::new(script, ModelOptions::default()).unwrap();
    Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() }).unwrap()
}

fn slow() -> ScriptedModel {
    ScriptedModel::of_function(|_, cancel| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Reply::text_of("late"))
    })
}

fn of(runtime: &Runtime, is_whole: bool, cancel: &Cancel) -> Flow {
    let run = Run::Ask(Box::new(Question { cancel: cancel.clone(), ..Question::new("go") }));
    if is_whole { whole(Host::Python, runtime, run) } else { flow(Host::Python, runtime, run) }
}

fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it takes too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn statuses(runtime: &Runtime) -> Vec<String> {
    runtime.runs(None).unwrap().into_iter().map(|run| run.status).collect()
}

/// The last event, for which the flow tells when to look.
fn last(flow: &Flow) -> Value {
    let (sender, rings) = channel();
    flow.wake_by(move || {
        let _ = sender.send(());
    });
    loop {
        rings.recv_timeout(Duration::from_secs(20)).expect("it tells when there is something");
        if let Some(events) = flow.take().unwrap()
            && let Some(event) = events.last()
            && ["end", "error", "waiting", "cancelled"].contains(&event["type"].as_str().unwrap())
        {
            return event.clone();
        }
    }
}

#[test]
fn letting_go_of_a_flow_leaves_the_flag_that_others_have_too() {
    for is_whole in [false, true] {
        let group = Cancel::new();
        let slow = runtime(slow());
        let (one, other) = (of(&slow, is_whole, &group), of(&slow, is_whole, &group));
        assert!(one.take().unwrap().is_none_or(|events| !events.is_empty()));
        drop(other.take().unwrap());
        until(|| statuses(&slow) == ["running", "running"]);
        drop(one);
        until(|| statuses(&slow).contains(&"cancelled".to_owned()));
        assert!(!group.is_cancelled() && statuses(&slow).contains(&"running".to_owned()));
        group.cancel();
        assert_eq!(last(&other)["type"], "cancelled");
        // One that was read to its end neither.
        let (group, quick) = (Cancel::new(), runtime(ScriptedModel::of_texts(["end"])));
        let flow = of(&quick, is_whole, &group);
        assert_eq!(last(&flow)["result"]["text"], "end");
        drop(flow);
        assert!(!group.is_cancelled());
    }
}

#[test]
fn a_run_ends_although_nobody_looks_at_its_flow_any_more() {
    let text = "word ".repeat(20_000);
    let runtime = runtime(ScriptedModel::of_texts([text.clone()]));
    let flow = of(&runtime, false, &Cancel::new());
    drop(flow.take().unwrap());
    until(|| statuses(&runtime) == ["done"]);
    assert_eq!(last(&flow)["result"]["text"], text);
}
