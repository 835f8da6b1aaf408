//! Is a run that another has started its own, bounded, and ended with it?

use std::sync::Arc;
use std::time::Duration;

use quorate_state::{Entry, NewRun, StateStore, Work};
use quorate_workflows::flow::{Clock, Engine, EngineOptions, ManualClock, StartOptions, Status, WorkflowRun};
use serde_json::{Value, json};

use crate::support::{Rig, flow, is, rig, status, step, tools, until};

fn inner(steps: &str) -> String {
    format!("apiVersion: quorate/v1\nkind: Workflow\nid: test.inner\nversion: 1.0.0\n{steps}")
}

fn there(rig: &Rig, id: &str) -> WorkflowRun {
    for _ in 0..4_000 {
        if let Ok(run) = rig.engine.get(id) {
            return run;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("there is no run {id}");
}

#[test]
fn a_run_that_fails_is_tried_again_as_often_as_it_says() {
    let rig = rig();
    rig.engine.add(&inner("steps: {x: {integration: {tool: t.down}, retry: {max_attempts: 1}}}")).unwrap();
    let run = rig.start(
        "steps: {sub: {workflow: {id: test.inner}, retry: {max_attempts: 3, backoff: 0s}}}",
        json!({}),
    );
    is(&run, Status::Failed);
    assert_eq!(rig.names().len(), 3);
    assert_eq!(step(&run, "sub").attempts, 3);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("remote_failed"));
    assert_eq!(rig.engine.runs(None).unwrap().len(), 4, "each attempt is a run of its own");
}

#[test]
fn a_run_whose_starter_has_given_it_up_is_ended_and_undone_as_that_says() {
    let rig = rig();
    let steps = "steps: {x: {integration: {tool: t.ok}, compensate: {tool: t.undo, args: {inner: 1}}}, w: {needs: [x], wait: {signal: go}}}";
    rig.engine.add(&inner(steps)).unwrap();
    let outer = "steps: {a: {integration: {tool: t.ok}, compensate: {tool: t.undo, args: {outer: 1}}}, sub: {needs: [a], workflow: {id: test.inner, timeout: 100s}, retry: {max_attempts: 1}}}";
    // It took too long.
    let run = rig.start(outer, json!({}));
    let child = there(&rig, &format!("{}.sub.1", run.id()));
    until(&child, "w", "waiting");
    rig.clock.advance(101.0);
    is(&run, Status::Failed);
    is(&child, Status::Cancelled);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("timeout"));
    let undone =
        |rig: &Rig| rig.calls().into_iter().filter(|call| call.starts_with("t.undo")).collect::<Vec<_>>();
    assert_eq!(
        undone(&rig),
        ["t.undo {\"inner\":1}", "t.undo {\"outer\":1}"],
        "the last that was done first"
    );
    // It was cancelled, with and without undoing.
    for compensate in [true, false] {
        rig.log.lock().unwrap().clear();
        let run = rig.start(outer, json!({}));
        let child = there(&rig, &format!("{}.sub.1", run.id()));
        until(&child, "w", "waiting");
        run.cancel("enough", compensate).unwrap();
        is(&run, Status::Cancelled);
        is(&child, Status::Cancelled);
        assert_eq!(undone(&rig).len(), if compensate { 2 } else { 0 });
    }
}

#[test]
fn what_a_run_could_not_undo_is_told_by_the_one_that_has_started_it() {
    let rig = rig();
    let steps = "steps: {x: {integration: {tool: t.ok}, compensate: {tool: t.bad}}, w: {needs: [x], wait: {signal: go}}}";
    rig.engine.add(&inner(steps)).unwrap();
    let run = rig.start("steps: {sub: {workflow: {id: test.inner}}}", json!({}));
    let child = there(&rig, &format!("{}.sub.1", run.id()));
    until(&child, "w", "waiting");
    run.cancel("enough", true).unwrap();
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("compensation_failed"));
}

#[test]
fn the_input_of_a_run_is_checked_by_its_schema() {
    let rig = rig();
    rig.engine.add(&inner("input: {type: object, properties: {n: {type: integer}}, required: [n]}\nsteps: {x: {integration: {tool: t.ok}}}")).unwrap();
    let run =
        rig.start("steps: {sub: {workflow: {id: test.inner, input: {n: '${input.n}'}}}}", json!({"n": "x"}));
    is(&run, Status::Failed);
    let ending = run.ending().unwrap().unwrap();
    assert_eq!(ending["code"], json!("invalid_document"));
    assert!(ending["message"].as_str().unwrap().contains("/n"), "{ending}");
    assert!(rig.calls().is_empty());
}

#[test]
fn a_run_under_the_id_that_another_has_started_is_not_taken_for_its_own() {
    let rig = rig();
    rig.engine.add(&inner("steps: {x: {integration: {tool: t.ok}}}\noutput: 1")).unwrap();
    let id = |id: &str| StartOptions { id: Some(id.to_owned()), ..StartOptions::default() };
    let foreign = rig.engine.start("test.inner", json!({}), id("p.sub.1")).unwrap();
    is(&foreign, Status::Completed);
    let run = rig.start_with("steps: {sub: {workflow: {id: test.inner}}}", json!({}), id("p"));
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("duplicate_id"));
}

#[test]
fn a_run_that_was_deleted_is_not_started_again() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let log = crate::support::Log::default();
    let engine = || {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let options = EngineOptions { tools: tools(&log), clock: Some(clock), ..EngineOptions::default() };
        let engine = Engine::new(store.clone(), options).unwrap();
        engine
            .add(&inner("steps: {x: {integration: {tool: t.ok}}, w: {needs: [x], wait: {signal: go}}}"))
            .unwrap();
        engine.add(&flow("steps: {sub: {workflow: {id: test.inner}}}")).unwrap();
        engine
    };
    let first = engine();
    let id = StartOptions { id: Some("p".to_owned()), ..StartOptions::default() };
    let run = first.start("test.flow", json!({}), id).unwrap();
    until(&run, "sub", "waiting");
    while first.get("p.sub.1").is_err() {
        std::thread::sleep(Duration::from_millis(2));
    }
    until(&first.get("p.sub.1").unwrap(), "w", "waiting");
    first.close().unwrap();
    store.delete(None, "p.sub.1").unwrap();
    clock.advance(60.0);
    let second = engine();
    let run = second.get("p").unwrap();
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("unknown_id"));
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[test]
fn a_workflow_that_starts_itself_comes_to_an_end() {
    let rig = rig();
    let run = rig.start("steps: {again: {workflow: {id: test.flow}}}", json!({}));
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], json!("step_limit"));
    assert_eq!(rig.engine.runs(None).unwrap().len(), 17);
}

/// A journal in which a step waits for a run that was not started yet, as a process leaves it that was killed in between.
fn about_to_start(store: &StateStore, engine: &Engine, id: &str) -> Vec<Entry> {
    let definition = engine.definition("test.flow", None).unwrap();
    let options = StartOptions { id: Some(format!("{id}-first")), ..StartOptions::default() };
    let run = engine.start("test.flow", json!({}), options).unwrap();
    let mut started = store.entries(None, run.id(), 1).unwrap().remove(0);
    started.data["hash"] = json!(definition.hash());
    let wait = json!({"for": "run", "run": format!("{id}.sub.1"), "input": {}, "until": null});
    let data = json!({"step": "sub", "visit": 1, "wait": wait});
    vec![started, Entry { seq: 2, time: 1.0, kind: "step_waits".to_owned(), data }]
}

#[test]
fn nothing_is_started_for_a_run_that_is_paused_or_cancelled() {
    let store = StateStore::memory();
    let engine =
        Engine::new(store.clone(), EngineOptions { concurrency: Some(0), ..EngineOptions::default() })
            .unwrap();
    engine.add(&inner("steps: {w: {wait: {signal: go}}}")).unwrap();
    engine.add(&flow("steps: {sub: {workflow: {id: test.inner}}}")).unwrap();
    let place = Work { queue: "default", priority: 0, slot: None, at: 0.0 };
    for (id, word) in [("paused", "pause"), ("cancelled", "cancel")] {
        let new = NewRun { id: Some(id), kind: "workflow", title: "t", ..NewRun::default() };
        let journal = about_to_start(&store, &engine, id);
        store.enqueue(&new, &journal, "waiting", &place).unwrap();
        store.post(None, id, word, &json!({}), None).unwrap();
    }
    engine.work(None, 4).unwrap();
    is(&engine.get("cancelled").unwrap(), Status::Cancelled);
    let paused = engine.get("paused").unwrap();
    assert_eq!(paused.wait_for(crate::support::MOST, |now| now == Status::Paused).unwrap(), Status::Paused);
    std::thread::sleep(Duration::from_millis(100));
    for id in ["paused.sub.1", "cancelled.sub.1"] {
        assert!(engine.get(id).is_err(), "{id} was started");
    }
    paused.resume().unwrap();
    while engine.get("paused.sub.1").is_err() {
        std::thread::sleep(Duration::from_millis(2));
    }
    engine.get("paused.sub.1").unwrap().signal("go", Value::Null, None).unwrap();
    is(&paused, Status::Completed);
    assert_eq!(status(&paused, "sub"), "completed");
}
