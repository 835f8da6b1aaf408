//! What is told while a graph runs?

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::Code;
use quorate_state::StateStore;
use quorate_workflows::graph::{Context, END, Mode, RunOptions, START, State, Status};
use serde_json::{Value, json};

use super::support::{both, graph, is, log, says};

#[test]
fn a_stream_tells_what_happens() {
    both(|store| {
        let app = graph()
            .node("a", |_: &State, context: &Context| {
                context.emit(json!("on the way"));
                Ok(json!({"log": "a"}).into())
            })
            .subgraph("in", graph().node("x", says("x")).edge(START, "x"))
            .edge(START, "a")
            .edge("a", "in")
            .compile(store)
            .unwrap();
        let told = |modes: &[Mode]| -> Vec<Value> {
            let stream = app.stream(json!({}), "t", modes, &RunOptions::default()).unwrap();
            stream
                .map(|event| event.unwrap())
                .map(|e| json!([e.step, e.node, !e.namespace.is_empty(), e.data]))
                .collect()
        };
        assert_eq!(
            told(&[Mode::Updates, Mode::Custom]),
            [
                json!([1, "a", false, "on the way"]),
                json!([1, "a", false, {"log": "a"}]),
                json!([1, "x", true, {"log": "x"}]),
                json!([2, "in", false, {"log": ["x"]}]),
            ]
        );
        let app_log = |event: &Value| event[3]["log"].clone();
        let values = told(&[Mode::Values]);
        assert_eq!(values.iter().filter(|one| one[2] == false).map(app_log).collect::<Vec<_>>().len(), 3);
        let tasks = told(&[Mode::Tasks]);
        let tasks: Vec<_> = tasks
            .iter()
            .map(|one| format!("{} {}", one[1].as_str().unwrap(), one[3]["event"].as_str().unwrap()))
            .collect();
        assert_eq!(tasks, ["a start", "a end", "in start", "x start", "x end", "in end"]);
        let stream = app.stream(json!({}), "v", &[Mode::Values], &RunOptions::default()).unwrap();
        assert_eq!(log(&stream.outcome().unwrap()), ["a", "x"]);
        // The error of a run is the last item.
        let mut stream =
            app.stream(json!({"nothing": 1}), "w", &[Mode::Values], &RunOptions::default()).unwrap();
        is(stream.next().unwrap(), Code::InvalidArgument);
        assert!(stream.next().is_none());
    });
}

#[test]
fn a_stream_that_nobody_reads_any_more_stops_its_run() {
    let app = graph()
        .node("loop", |_: &State, _: &Context| {
            std::thread::sleep(Duration::from_millis(2));
            Ok(json!({"sum": 1}).into())
        })
        .edge(START, "loop")
        .edges_if("loop", |_: &State| Ok("loop".into()), ["loop", END])
        .compile(&StateStore::memory())
        .unwrap();
    let options = RunOptions { step_limit: 1_000_000, ..RunOptions::default() };
    let mut stream = app.stream(json!({}), "t", &[Mode::Values], &options).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    std::thread::sleep(Duration::from_millis(100));
    let steps = app.state("t", None).unwrap().step;
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(app.state("t", None).unwrap().step, steps);
    assert_eq!(app.state("t", None).unwrap().status, Status::Running, "it can be resumed");
}

#[test]
fn a_stream_ends_with_its_run_although_a_context_is_kept() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    let app = graph()
        .node("a", move |_: &State, context: &Context| {
            keeper.lock().unwrap().push(context.clone());
            Ok(json!({"sum": 1}).into())
        })
        .edge(START, "a")
        .compile(&StateStore::memory())
        .unwrap();
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stream = app.stream(json!({}), "t", &[Mode::Updates], &RunOptions::default()).unwrap();
        sender.send(stream.outcome().unwrap().status).unwrap();
    });
    assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(Status::Done));
    let kept = kept.lock().unwrap();
    // Nobody hears it any more.
    kept[0].emit(json!("late"));
}

#[test]
fn what_is_told_at_once_waits_for_no_reader_and_is_not_lost() {
    let app = graph()
        .node("a", |_: &State, context: &Context| {
            (0..1_000).for_each(|n| context.emit_at_once(json!(n)));
            context.emit(json!("last"));
            Ok(json!({"log": "done"}).into())
        })
        .edge(START, "a")
        .compile(&StateStore::memory())
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let told = app.stream(json!({}), "t", &[Mode::Custom], &RunOptions::default()).unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        sender.send(told.map(|event| event.unwrap().data).collect::<Vec<_>>()).unwrap();
    });
    let told = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((told.len(), &told[999], &told[1_000]), (1_001, &json!(999), &json!("last")));
}
