//! What becomes of calls of which nobody knows how they have ended?

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use quorate_core::{Code, Error};
use quorate_models::{CallGuard, CallOptions};
use quorate_state::StateStore;
use quorate_workflows::flow::{
    Clock, Engine, EngineOptions, FnTool, HostTool, ManualClock, ResilientTool, StartOptions, Status,
    ToolOptions, WorkflowRun,
};
use serde_json::json;

use crate::support::{MOST, code, flow, is, rig, status, step};

struct Bank {
    engine: Engine,
    clock: ManualClock,
    refunds: Arc<AtomicU32>,
}

/// An engine with a tool that charges, in its own way, and one that refunds.
fn bank(charge: Arc<dyn HostTool>) -> Bank {
    let (refunds, clock) = (Arc::new(AtomicU32::new(0)), ManualClock::new(1_000_000.0));
    let count = Arc::clone(&refunds);
    let refund = FnTool::new("refund", move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(json!(null))
    });
    let options = EngineOptions {
        tools: vec![charge, Arc::new(refund)],
        clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>),
        ..EngineOptions::default()
    };
    Bank { engine: Engine::new(StateStore::memory(), options).unwrap(), clock, refunds }
}

impl Bank {
    fn start(&self, steps: &str) -> WorkflowRun {
        let definition = self.engine.add(&flow(steps)).unwrap();
        self.engine.start(definition.id(), json!({}), StartOptions::default()).unwrap()
    }
}

/// A tool that is given so many seconds.
fn timed(tool: FnTool, seconds: f64) -> Arc<dyn HostTool> {
    let guard = Arc::new(CallGuard::new("charge", CallOptions::default()).unwrap());
    let options = ToolOptions { retry: None, timeout: Some(seconds) };
    Arc::new(ResilientTool::new(Arc::new(tool), options, guard).unwrap())
}

fn slow(calls: &Arc<AtomicU32>, millis: u64) -> FnTool {
    let calls = Arc::clone(calls);
    FnTool::new("charge", move |_, _| {
        calls.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(millis));
        Ok(json!("charged"))
    })
}

#[test]
fn a_call_that_must_not_be_repeated_is_not_where_its_tool_was_too_late() {
    let calls = Arc::new(AtomicU32::new(0));
    let bank = bank(timed(slow(&calls, 1_500).once(), 0.1));
    let run = bank.start(
        "steps:\n  pay: {integration: {tool: charge}, retry: {max_attempts: 4, backoff: 0s, jitter: none}}\n",
    );
    is(&run, Status::Blocked);
    assert_eq!(step(&run, "pay").code.as_deref(), Some("outcome_unknown"));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn what_a_tool_that_was_too_late_may_have_done_is_not_said_to_be_undone() {
    let calls = Arc::new(AtomicU32::new(0));
    let bank = bank(timed(slow(&calls, 500), 0.1));
    let run = bank.start(
        "steps:\n  pay: {integration: {tool: charge}, retry: {max_attempts: 1}, compensate: {tool: refund}}\n",
    );
    assert_eq!(run.wait(MOST).unwrap(), Status::Failed);
    let ending = run.ending().unwrap().unwrap();
    assert_eq!(
        (&ending["code"], &ending["cause"]["code"]),
        (&json!("compensation_failed"), &json!("tool_timeout"))
    );
}

#[test]
fn what_a_call_has_done_after_its_run_was_cancelled_is_undone() {
    let calls = Arc::new(AtomicU32::new(0));
    let bank = bank(timed(slow(&calls, 500), 60.0));
    let run = bank.start("steps:\n  pay: {integration: {tool: charge}, compensate: {tool: refund}}\n");
    while calls.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    run.cancel("enough", true).unwrap();
    assert_eq!(run.wait(MOST).unwrap(), Status::Cancelled);
    assert_eq!(bank.refunds.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_that_was_cut_short_after_its_time_is_not_said_not_to_have_been_made() {
    let cut = FnTool::new("charge", |_, context| {
        while !context.cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::new(Code::StaleWrite, "the engine was closed in the midst of the call"))
    });
    let bank = bank(Arc::new(cut));
    let run = bank.start(
        "steps:\n  pay: {integration: {tool: charge}, timeout: 10s, retry: {max_attempts: 1}, compensate: {tool: refund}}\n",
    );
    is(&run, Status::Running);
    bank.clock.advance(11.0);
    let mut now = run.status().unwrap();
    for _ in 0..600 {
        if now.is_final() {
            break;
        }
        // Until it is tried again, and before the call is given up by its time.
        bank.clock.advance(0.01);
        now = run.wait(Some(Duration::from_millis(20))).unwrap();
    }
    assert_eq!(now, Status::Failed, "{:#?}", run.journal().unwrap());
    assert_eq!(
        run.ending().unwrap().unwrap()["code"],
        "compensation_failed",
        "{:#?}",
        run.journal().unwrap()
    );
}

#[test]
fn a_macro_over_all_steps_sees_all_of_them_however_it_is_written() {
    let rig = rig();
    for each in ["steps.map(s, s)", "steps. map(s, s)", "steps.map (s, s)", "steps .map(s, s)"] {
        let run = rig.start(
            &format!(
                "steps:\n  first: {{integration: {{tool: t.ok}}}}\n  second: {{needs: [first], integration: {{tool: t.ok}}}}\noutput: {{n: '${{size({each})}}'}}\n"
            ),
            json!({}),
        );
        is(&run, Status::Completed);
        assert_eq!(run.result().unwrap(), json!({"n": 2}), "{each}");
    }
}

#[test]
fn nobody_is_another_person_by_spaces() {
    let rig = rig();
    let options = StartOptions { starter: Some("alice".to_owned()), ..StartOptions::default() };
    let run = rig.start_with(
        "steps:\n  lock: {human_review: {role: lead, options: [yes_, no_], people: 2, forbid: [starter]}}\n",
        json!({}),
        options,
    );
    is(&run, Status::Waiting);
    let review = || rig.engine.reviews(None, Some(run.id())).unwrap().remove(0);
    assert!(review().decide("yes_", " alice", None, json!(null)).is_err());
    review().decide("yes_", "bob", None, json!(null)).unwrap();
    assert!(review().decide("yes_", "bob ", None, json!(null)).is_err());
    assert_eq!(status(&run, "lock"), "waiting");
    review().decide("yes_", "carol", None, json!(null)).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn who_has_started_is_forbidden_also_where_a_step_is_called_so() {
    let rig = rig();
    let options = StartOptions { starter: Some("alice".to_owned()), ..StartOptions::default() };
    let run = rig.start_with(
        "steps:\n  starter: {integration: {tool: t.ok}}\n  r: {needs: [starter], human_review: {role: x, options: [sign], forbid: [starter]}}\n",
        json!({}),
        options,
    );
    is(&run, Status::Waiting);
    let review = rig.engine.reviews(None, Some(run.id())).unwrap().remove(0);
    assert!(review.decide("sign", "alice", None, json!(null)).is_err());
    review.decide("sign", "bob", None, json!(null)).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn a_fork_does_not_do_again_what_has_failed_and_was_gone_on_without() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.fail}, on_error: continue, retry: {max_attempts: 1}}
  b: {needs: [a], integration: {tool: t.ok, args: {a: '${steps.a.status}', code: '${steps.a.error.code}'}}}
",
        json!({}),
    );
    is(&run, Status::Completed);
    let fork = run.fork("b").unwrap();
    is(&fork, Status::Completed);
    assert_eq!(rig.names(), ["t.fail", "t.ok", "t.ok"]);
    assert_eq!(fork.result().unwrap(), json!({"b": {"a": "failed", "code": "remote_failed"}}));
    let anew = run.fork("a").unwrap();
    is(&anew, Status::Completed);
    assert_eq!(rig.names().len(), 5);
}

#[test]
fn a_step_does_not_wait_for_the_engine_that_waits_for_it() {
    use std::sync::OnceLock;

    let engine: Arc<OnceLock<Engine>> = Arc::default();
    let within = Arc::clone(&engine);
    let tool = FnTool::new("t", move |_, _| {
        let engine = within.get().unwrap();
        let codes =
            [code(engine.drain()), code(engine.drain_within(Duration::from_millis(5))), code(engine.close())];
        // Another engine is no matter of this step.
        let other = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
        Ok(json!({"codes": codes, "other": code(other.close())}))
    });
    let options = EngineOptions { tools: vec![Arc::new(tool)], ..EngineOptions::default() };
    let engine = engine.get_or_init(|| Engine::new(StateStore::memory(), options).unwrap());
    let definition =
        engine.add(&flow("steps: {a: {integration: {tool: t}}}\noutput: '${steps.a.output}'")).unwrap();
    let run = engine.start(definition.id(), json!({}), StartOptions::default()).unwrap();
    is(&run, Status::Completed);
    assert_eq!(
        run.result().unwrap(),
        json!({"codes": ["unsupported", "unsupported", "unsupported"], "other": "ok"})
    );
    engine.close().unwrap();
}
