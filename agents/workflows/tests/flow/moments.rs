//! Does what happened in time count, and is a call waited for, and not repeated, when its run ends?

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_state::{NewRun, StateStore, Work};
use quorate_workflows::flow::{
    Clock, Engine, EngineOptions, FnTool, HostTool, ManualClock, StartOptions, Status, WorkflowRun,
};
use serde_json::{Value, json};

use crate::support::{MOST, code, flow, is, step, until};

fn engine(store: &StateStore, clock: &ManualClock, tools: Vec<Arc<dyn HostTool>>, hands: usize) -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let options =
        EngineOptions { tools, clock: Some(clock), concurrency: Some(hands), ..EngineOptions::default() };
    Engine::new(store.clone(), options).unwrap()
}

/// A run that waits, and nobody who works on it.
fn left_alone(store: &StateStore, clock: &ManualClock, steps: &str) -> (Engine, WorkflowRun) {
    let first = engine(store, clock, Vec::new(), 4);
    first.add(&flow(steps)).unwrap();
    let id = first.start("test.flow", json!({}), StartOptions::default()).unwrap().id().to_owned();
    first.get(&id).unwrap().wait_for(MOST, |now| now == Status::Waiting).unwrap();
    first.close().unwrap();
    let idle = engine(store, clock, Vec::new(), 0);
    let run = idle.get(&id).unwrap();
    (idle, run)
}

#[test]
fn words_that_came_in_time_count_however_late_they_are_read() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let steps = "
steps:
  a: {wait: {signal: one, timeout: 100s}}
  b: {wait: {signal: two, timeout: 100s}}
  r: {human_review: {role: lead, due: 100s, on_timeout: fail}}
  s: {human_review: {role: clerk, due: 100s, on_timeout: fail}}
";
    let (_idle, run) = left_alone(&store, &clock, steps);
    clock.advance(50.0);
    run.signal("one", json!(1), None).unwrap();
    run.signal("two", json!(2), None).unwrap();
    for review in ["r", "s"] {
        let word = json!({"review": format!("{}.{review}.1", run.id()), "by": "ann", "option": "approve", "at": clock.now()});
        store.post(None, run.id(), "decide", &word, None).unwrap();
    }
    clock.advance(10_000.0);
    let late = engine(&store, &clock, Vec::new(), 4);
    is(&late.get(run.id()).unwrap(), Status::Completed);
    assert_eq!(step(&run, "b").output, json!(2));
    assert_eq!(step(&run, "s").output["by"], json!("ann"));
}

#[test]
fn words_that_came_too_late_do_not_count_however_early_they_are_read() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let steps = "
steps:
  a: {wait: {signal: one, timeout: 100s, on_timeout: continue}}
  r: {human_review: {role: lead, due: 100s, on_timeout: reject, options: [approve, reject]}}
  after: {needs: [a, r], wait: {signal: one, timeout: 1d}}
output: {a: '${steps.a.output}', r: '${steps.r.output.decision}', after: '${steps.after.output}'}
";
    let (_idle, run) = left_alone(&store, &clock, steps);
    clock.advance(150.0);
    run.signal("one", json!("late"), None).unwrap();
    let review = format!("{}.r.1", run.id());
    let word = json!({"review": review, "by": "ann", "option": "approve", "at": clock.now()});
    store.post(None, run.id(), "decide", &word, None).unwrap();
    let late = engine(&store, &clock, Vec::new(), 4);
    is(&late.get(run.id()).unwrap(), Status::Completed);
    // What nothing has taken is kept for who waits next.
    assert_eq!(run.result().unwrap(), json!({"a": null, "r": "reject", "after": "late"}));
}

#[test]
fn an_early_word_is_not_lost_to_a_deadline_that_is_read_with_it() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let first = engine(&store, &clock, Vec::new(), 4);
    first.add(&flow("steps: {a: {wait: {signal: go}}}\noutput: '${steps.a.output}'")).unwrap();
    let options = StartOptions { deadline: Some(1_000_100.0), ..StartOptions::default() };
    let id = first.start("test.flow", json!({}), options).unwrap().id().to_owned();
    first.get(&id).unwrap().wait_for(MOST, |now| now == Status::Waiting).unwrap();
    first.close().unwrap();
    let idle = engine(&store, &clock, Vec::new(), 0);
    clock.advance(99.0);
    idle.get(&id).unwrap().signal("go", json!("there"), None).unwrap();
    clock.advance(1_000.0);
    let late = engine(&store, &clock, Vec::new(), 1);
    is(&late.get(&id).unwrap(), Status::Completed);
}

/// A tool that ends when it is let, and tells nobody before; and one that notes its calls.
struct Gate {
    open: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<String>>>,
}

fn gate(once: bool) -> (Gate, Vec<Arc<dyn HostTool>>) {
    let (open, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (kept, opened) = (Arc::clone(&calls), Arc::clone(&open));
    let tool = FnTool::new("t", move |args, context| {
        kept.lock().unwrap().push(format!("{} {args}", context.name));
        while context.name == "t.hangs" && !opened.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(json!({"of": args["n"]}))
    });
    let tool = if once { tool.once() } else { tool };
    (Gate { open, calls }, vec![Arc::new(tool)])
}

impl Gate {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[test]
fn a_call_that_is_under_way_is_waited_for_and_undone_when_its_run_is_cancelled() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let (gate, tools) = gate(true);
    let engine = engine(&store, &clock, tools, 4);
    let steps = "
steps:
  fee: {integration: {tool: t.pays, args: {n: 1}}, compensate: {tool: t.undo, args: {n: '${step.output.of}'}}}
  send: {needs: [fee], integration: {tool: t.hangs, args: {n: 2}}, compensate: {tool: t.undo, args: {n: '${step.output.of}'}}}
  never: {needs: [send], integration: {tool: t.never}}
";
    engine.add(&flow(steps)).unwrap();
    let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
    until(&run, "send", "running");
    while gate.calls().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.cancel("enough", true).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(run.status().unwrap(), Status::Compensating);
    assert_eq!(gate.calls(), ["t.pays {\"n\":1}", "t.hangs {\"n\":2}"], "nothing is undone beside a call");
    gate.open.store(true, Ordering::SeqCst);
    is(&run, Status::Cancelled);
    assert_eq!(gate.calls()[2..], ["t.undo {\"n\":2}", "t.undo {\"n\":1}"]);
}

#[test]
fn a_call_whose_end_nobody_knows_is_told_and_the_others_are_undone() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let (gate, tools) = gate(false);
    let engine = engine(&store, &clock, tools, 4);
    let steps = "
steps:
  fee: {integration: {tool: t.pays, args: {n: 1}}, compensate: {tool: t.undo, args: {n: 1}}}
  send: {needs: [fee], timeout: 60s, integration: {tool: t.hangs, args: {n: 2}}, compensate: {tool: t.undo, args: {n: 2}}}
";
    engine.add(&flow(steps)).unwrap();
    let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
    until(&run, "send", "running");
    while gate.calls().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.cancel("enough", true).unwrap();
    clock.advance(61.0);
    is(&run, Status::Failed);
    let ending = run.ending().unwrap().unwrap();
    assert_eq!((&ending["code"], &ending["step"]), (&json!("compensation_failed"), &json!("send")));
    assert!(ending["message"].as_str().unwrap().contains("outcome_unknown"), "{ending}");
    assert_eq!(ending["cause"]["status"], json!("cancelled"));
    assert_eq!(gate.calls()[2..], ["t.undo {\"n\":1}"]);
    gate.open.store(true, Ordering::SeqCst);
}

#[test]
fn a_call_that_must_not_be_repeated_is_not_when_it_takes_too_long() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
    let (gate, tools) = gate(true);
    let engine = engine(&store, &clock, tools, 4);
    let steps = "steps: {a: {timeout: 60s, integration: {tool: t.hangs, args: {n: 1}}, retry: {max_attempts: 5, backoff: 0s}}}";
    engine.add(&flow(steps)).unwrap();
    let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
    while gate.calls().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    clock.advance(61.0);
    is(&run, Status::Blocked);
    assert_eq!(step(&run, "a").code.as_deref(), Some("outcome_unknown"));
    // Its end is known after all, and counts.
    gate.open.store(true, Ordering::SeqCst);
    is(&run, Status::Completed);
    assert_eq!(gate.calls().len(), 1);
}

#[test]
fn undoing_is_not_repeated_either_where_it_must_not_be() {
    for once in [true, false] {
        let (store, clock) = (StateStore::memory(), ManualClock::new(1_000_000.0));
        let (undone, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, opened) = (Arc::clone(&undone), Arc::clone(&open));
        let undo = FnTool::new("undo", move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            while !opened.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Value::Null)
        });
        let undo = if once { undo.once() } else { undo };
        let pay = FnTool::new("pay", |_, _| Ok(json!(1)));
        let tools: Vec<Arc<dyn HostTool>> = vec![Arc::new(undo), Arc::new(pay)];
        let engine = engine(&store, &clock, tools, 4);
        engine.add(&flow("steps: {a: {integration: {tool: pay}, compensate: {tool: undo}}, b: {needs: [a], wait: {signal: never}}}")).unwrap();
        let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
        until(&run, "b", "waiting");
        run.cancel("enough", true).unwrap();
        while undone.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // What a killed process leaves: undoing that has begun, and nobody who holds the run.
        let journal = store.entries(None, run.id(), 1).unwrap();
        assert_eq!(journal.last().unwrap().kind, "undo_started");
        let place = Work { queue: "default", priority: 0, slot: None, at: 0.0 };
        let new = NewRun { id: Some("left"), kind: "workflow", title: "t", ..NewRun::default() };
        store.enqueue(&new, &journal, "compensating", &place).unwrap();
        let left = engine.get("left").unwrap();
        if once {
            is(&left, Status::Failed);
            let ending = left.ending().unwrap().unwrap();
            assert_eq!(ending["code"], json!("compensation_failed"));
            assert!(ending["message"].as_str().unwrap().contains("outcome_unknown"), "{ending}");
            assert_eq!(undone.load(Ordering::SeqCst), 1, "it was not called again");
            open.store(true, Ordering::SeqCst);
        } else {
            while undone.load(Ordering::SeqCst) == 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
            open.store(true, Ordering::SeqCst);
            is(&left, Status::Cancelled);
        }
        is(&run, Status::Cancelled);
    }
}

#[test]
fn no_call_begins_once_a_cancel_has_returned() {
    let store = StateStore::memory();
    for round in 0..40 {
        let (returned, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (over, late) = (Arc::clone(&returned), Arc::clone(&begun));
        let tool = FnTool::new("t", move |_, _| {
            if over.load(Ordering::SeqCst) {
                late.fetch_add(1, Ordering::SeqCst);
            }
            Ok(json!(1))
        });
        let options = EngineOptions { tools: vec![Arc::new(tool)], ..EngineOptions::default() };
        let engine = Engine::new(store.clone(), options).unwrap();
        let steps: Vec<String> = (0..60)
            .map(|n| match n {
                0 => "  s0: {integration: {tool: t}}".to_owned(),
                n => format!("  s{n}: {{needs: [s{}], integration: {{tool: t}}}}", n - 1),
            })
            .collect();
        engine.add(&flow(&format!("steps:\n{}\n", steps.join("\n")))).unwrap();
        let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
        std::thread::sleep(Duration::from_micros(300 * round));
        let said = run.cancel("enough", true);
        returned.store(true, Ordering::SeqCst);
        assert!(["ok", "run_conflict"].contains(&code(said)));
        run.wait(MOST).unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 0);
        engine.close().unwrap();
    }
}
