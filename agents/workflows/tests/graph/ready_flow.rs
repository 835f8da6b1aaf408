//! Does the graph that carries out a workflow start it once, ask its people, and say how it ended?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error};
use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, FnTool, Status as FlowStatus};
use quorate_workflows::graph::{App, RunOptions, Status, workflow_execution};
use serde_json::{Value, json};

use super::support::{answers, both};

const FLOW: &str = "
apiVersion: quorate/v1
kind: Workflow
id: test.flow
version: 1.0.0
steps:
  a: {integration: {tool: t, args: {n: '${input.n}'}}}
  sign: {needs: [a], human_review: {role: lead, title: 'Sign ${steps.a.output}', options: [approve, again], forbid: [starter]}, routes: {again: {goto: a, max: 3}}}
output: {a: '${steps.a.output}', by: '${steps.sign.output.by}'}
";

fn made(store: &StateStore, calls: &Arc<AtomicUsize>) -> (Engine, App) {
    let calls = Arc::clone(calls);
    let tool = FnTool::new("t", move |args, context| {
        if args["n"] == json!(-1) {
            return Err(Error::invalid("negative"));
        }
        if args["n"] == json!(99) {
            while !context.cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(2));
            }
            return Err(Error::new(Code::Cancelled, "told to end"));
        }
        Ok(json!(calls.fetch_add(1, Ordering::SeqCst)))
    });
    let engine =
        Engine::new(store.clone(), EngineOptions { tools: vec![Arc::new(tool)], ..EngineOptions::default() })
            .unwrap();
    engine.add(FLOW).unwrap();
    let app = workflow_execution(&engine).compile(store).unwrap();
    (engine, app)
}

fn input(n: i64) -> Value {
    json!({"workflow": "test.flow", "input": {"n": n}, "starter": "sam"})
}

#[test]
fn people_are_asked_what_the_workflow_asks_them_and_nothing_is_started_twice() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (engine, app) = made(store, &calls);
        let waits = app.run(input(1), "t").unwrap();
        assert_eq!((waits.status, waits.reviews.len()), (Status::Waiting, 1), "{:?}", waits.error);
        let first = waits.reviews[0].clone();
        assert_eq!(
            (&first.question["title"], &first.question["options"]),
            (&json!("Sign 0"), &json!(["approve", "again"]))
        );
        // Whoever started it may not decide, and is told so in another question.
        let refused =
            app.resume("t", answers(&[(&first.id, json!({"decision": "approve", "by": "sam"}))])).unwrap();
        assert_eq!((refused.status, refused.reviews.len()), (Status::Waiting, 1), "{:?}", refused.error);
        assert!(refused.reviews[0].question["refused"].as_str().unwrap().contains("sam"));
        let nonsense = app.resume("t", answers(&[(&refused.reviews[0].id, json!(true))])).unwrap();
        assert_eq!(nonsense.status, Status::Waiting);
        // Another process, with another engine and app over the store, goes on.
        engine.close().unwrap();
        let (engine, app) = made(store, &calls);
        let again = app
            .resume("t", answers(&[(&nonsense.reviews[0].id, json!({"decision": "again", "by": "bob"}))]))
            .unwrap();
        assert_eq!((again.status, again.reviews.len()), (Status::Waiting, 1), "{:?}", again.error);
        assert_eq!(again.reviews[0].question["title"], json!("Sign 1"));
        let done = app
            .resume("t", answers(&[(&again.reviews[0].id, json!({"decision": "approve", "by": "ann"}))]))
            .unwrap();
        assert_eq!((done.status, &done.error), (Status::Done, &None));
        assert_eq!(done.state["result"], json!({"a": 1, "by": "ann"}));
        assert_eq!(done.state["status"], json!("completed"));
        let runs = engine.runs(None).unwrap();
        assert_eq!((runs.len(), runs[0].id()), (1, done.state["run"].as_str().unwrap()));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        engine.close().unwrap();
    });
}

#[test]
fn what_is_decided_elsewhere_is_waited_for_where_nobody_is_asked_here() {
    both(|store| {
        let (engine, app) = made(store, &Arc::default());
        let mut given = input(1);
        given["reviews"] = json!(false);
        let decides = engine.clone();
        let other = std::thread::spawn(move || {
            for _ in 0..4_000 {
                if let Some(review) = decides.reviews(None, None).unwrap().pop() {
                    return review.decide("approve", "eve", None, Value::Null).unwrap();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("no review");
        });
        let done = app.run(given, "t").unwrap();
        other.join().unwrap();
        assert_eq!(
            (done.status, &done.state["result"]["by"]),
            (Status::Done, &json!("eve")),
            "{:?}",
            done.error
        );
        engine.close().unwrap();
    });
}

#[test]
fn a_run_that_fails_fails_the_graph_by_code_and_is_started_anew_when_it_is_resumed() {
    both(|store| {
        let (engine, app) = made(store, &Arc::default());
        let failed = app.run(input(-1), "t").unwrap();
        assert_eq!(failed.status, Status::Failed);
        assert_eq!(failed.error.as_ref().unwrap().code, "invalid_argument");
        let again = app.resume("t", answers(&[])).unwrap();
        assert_eq!(again.status, Status::Failed);
        assert_eq!(engine.runs(Some(FlowStatus::Failed)).unwrap().len(), 2);
        let failed = app.run(json!({"workflow": "no.flow"}), "u").unwrap();
        assert_eq!((failed.status, failed.error.unwrap().code.as_str()), (Status::Failed, "unknown_id"));
        engine.close().unwrap();
    });
}

#[test]
fn a_graph_that_is_stopped_cancels_what_it_has_started() {
    both(|store| {
        let (engine, app) = made(store, &Arc::default());
        let cancel = Cancel::new();
        let (stops, runs) = (cancel.clone(), engine.clone());
        let other = std::thread::spawn(move || {
            for _ in 0..4_000 {
                if runs.runs(Some(FlowStatus::Running)).unwrap().len() == 1 {
                    return stops.cancel();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("nothing runs");
        });
        let options = RunOptions { stop: cancel, ..RunOptions::default() };
        let stopped = app.run_with(input(99), "t", &options);
        other.join().unwrap();
        if let Ok(stopped) = stopped {
            assert_ne!(stopped.status, Status::Done);
        }
        let run = engine.runs(None).unwrap().remove(0);
        assert_eq!(run.wait(Some(Duration::from_secs(30))).unwrap(), FlowStatus::Cancelled);
        engine.close().unwrap();
    });
}
