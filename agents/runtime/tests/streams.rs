//! Does a stream hold nothing but itself?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::Cancel;
use quorate_models::{Model, ModelOptions, Reply, ScriptedModel};
use quorate_runtime::{
    Decision, Effect, Event, FunctionTool, Question, Resume, RunStream, Runtime, RuntimeOptions, ToolCard,
};
use quorate_state::StateStore;
use serde_json::json;

fn runtime(script: ScriptedModel, store: &StateStore) -> Runtime {
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send = FunctionTool::new(card, |_, _| Ok(json!("sent"))).unwrap();
    Runtime::new(RuntimeOptions {
        model: Some(Model::new(script, ModelOptions::default()).unwrap()),
        tools: vec![Arc::new(send)],
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

/// Answers when its request is cancelled, or after a minute.
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

fn read(mut stream: RunStream) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = stream.next_event() {
        events.push(event);
    }
    assert_eq!(events.iter().filter(|event| event.is_last()).count(), 1, "{events:?}");
    assert!(events.windows(2).all(|two| two[0].seq + 1 == two[1].seq), "{events:?}");
    events
}

#[test]
fn a_run_does_not_wait_for_who_reads_its_stream() {
    let text = "word ".repeat(20_000);
    let runtime = runtime(ScriptedModel::of_texts([text.clone()]), &StateStore::memory());
    let stream = runtime.stream(Question::new("go")).unwrap();
    until(|| statuses(&runtime) == ["done"]);
    let events = read(stream);
    assert!(events.len() < 1_000, "{} events wait", events.len());
    let said: String = events.iter().filter_map(|event| event.data.get("delta")?.as_str()).collect();
    assert_eq!(said, text);
    assert_eq!(events.last().unwrap().data["result"]["text"], text);
}

#[test]
fn a_stream_that_nobody_reads_can_be_cancelled() {
    for dropped in [false, true] {
        let runtime = runtime(slow(), &StateStore::memory());
        let stream = runtime.stream(Question::new("go")).unwrap();
        until(|| statuses(&runtime) == ["running"]);
        let kept = match dropped {
            true => {
                drop(stream);
                None
            }
            false => {
                stream.cancel().cancel();
                Some(stream)
            }
        };
        until(|| statuses(&runtime) == ["cancelled"]);
        drop(kept);
    }
}

#[test]
fn letting_go_of_one_stream_leaves_those_with_the_same_flag() {
    let store = StateStore::memory();
    let slow = runtime(slow(), &store);
    let group = Cancel::new();
    let question = || Question { cancel: group.clone(), ..Question::new("go") };
    let (one, other) = (slow.stream(question()).unwrap(), slow.stream(question()).unwrap());
    until(|| statuses(&slow) == ["running", "running"]);
    drop(one);
    until(|| statuses(&slow).contains(&"cancelled".to_owned()));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!group.is_cancelled() && statuses(&slow).contains(&"running".to_owned()));
    // A stream that was read to its end neither.
    let quick = runtime(ScriptedModel::of_texts(["end"]), &StateStore::memory());
    read(quick.stream(question()).unwrap());
    assert!(!group.is_cancelled());
    // The flag of all ends what goes on.
    group.cancel();
    assert_eq!(read(other).last().unwrap().kind, "cancelled");
}

#[test]
fn the_events_of_a_run_that_goes_on_are_counted_on() {
    let call = |id: &str| {
        ScriptedModel::reply_from_json(&json!({"text": "I send it now", "tool_calls": [{"id": id, "name": "send", "arguments": {"to": id}}]})).unwrap()
    };
    let script = || ScriptedModel::new([call("a"), call("b"), Reply::text_of("all is sent")]);
    let store = StateStore::memory();
    let here = runtime(script(), &store);
    let mut events = read(here.stream(Question::new("go")).unwrap());
    let id = events[0].run_id.clone();
    for call in ["a", "b"] {
        events.extend(read(here.stream_resumed(&id, Resume::with(call, Decision::Approve)).unwrap()));
    }
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq), "{events:?}");
    assert_eq!(events.iter().map(|event| event.kind.as_str()).filter(|kind| *kind == "waiting").count(), 2);
    // The last event of a run that is over is the one that it had.
    let last = events.last().unwrap();
    assert_eq!(read(here.stream_resumed(&id, Resume::default()).unwrap()), std::slice::from_ref(last));
    // Where nobody looked, those of the journal have been.
    let other = runtime(script(), &store);
    let waiting = other.ask(Question::new("go")).unwrap();
    let before = other.run(&waiting.run_id).unwrap().events().unwrap();
    let resumed = other.stream_resumed(&waiting.run_id, Resume::with("a", Decision::Approve)).unwrap();
    assert_eq!(read(resumed)[0].seq, before.last().unwrap().seq + 1);
}
