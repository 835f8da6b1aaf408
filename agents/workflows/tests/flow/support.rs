//! What do several tests need?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::flow::{
    Clock, Engine, EngineOptions, FnTool, HostTool, ManualClock, StartOptions, Status, StepView, WorkflowRun,
};
use serde_json::{Value, json};

/// What tools were called with: the name, the arguments, the key.
pub type Log = Arc<Mutex<Vec<(String, Value, String)>>>;

pub const MOST: Option<Duration> = Some(Duration::from_secs(60));

pub fn code<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    }
}

/// A tool with several calls: `t.ok` gives its arguments, `t.flaky` fails its first `fails` times, `t.fail` fails with a code.
pub fn tools(log: &Log) -> Vec<Arc<dyn HostTool>> {
    let (kept, fails) = (Arc::clone(log), AtomicUsize::new(0));
    let tool = FnTool::new("t", move |args, context| {
        kept.lock().unwrap().push((context.name.clone(), args.clone(), context.idempotency_key.clone()));
        match context.name.as_str() {
            "t.ok" | "t.undo" => Ok(args.clone()),
            "t.slow" => {
                for _ in 0..args["ms"].as_u64().unwrap_or(200) {
                    context.cancel.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(json!("slow"))
            }
            "t.flaky" => {
                let seen = fails.fetch_add(1, Ordering::SeqCst) as u64;
                if seen < args["fails"].as_u64().unwrap_or(1) {
                    return Err(Error::new(Code::RemoteFailed, "not yet"));
                }
                Ok(json!({"after": seen}))
            }
            "t.panic" => panic!("a tool panics"),
            "t.bad" => Err(Error::invalid("never")),
            _ => Err(Error::new(Code::RemoteFailed, "down")),
        }
    });
    vec![Arc::new(tool)]
}

pub struct Rig {
    pub engine: Engine,
    pub log: Log,
    pub clock: ManualClock,
}

pub fn rig() -> Rig {
    let (log, clock) = (Log::default(), ManualClock::new(1_000_000.0));
    let options = EngineOptions {
        tools: tools(&log),
        clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>),
        ..EngineOptions::default()
    };
    let engine = Engine::new(StateStore::memory(), options).unwrap();
    Rig { engine, log, clock }
}

/// A workflow of these steps.
pub fn flow(steps: &str) -> String {
    format!("apiVersion: quorate/v1\nkind: Workflow\nid: test.flow\nversion: 1.0.0\n{steps}")
}

impl Rig {
    pub fn start(&self, steps: &str, input: Value) -> WorkflowRun {
        self.start_with(steps, input, StartOptions::default())
    }

    pub fn start_with(&self, steps: &str, input: Value, options: StartOptions) -> WorkflowRun {
        let definition = self.engine.add(&flow(steps)).unwrap();
        self.engine.start(definition.id(), input, options).unwrap()
    }

    pub fn calls(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|(name, args, _)| format!("{name} {args}")).collect()
    }

    pub fn names(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|(name, _, _)| name.clone()).collect()
    }
}

pub fn is(run: &WorkflowRun, status: Status) {
    let now = run.wait_for(MOST, |now| now == status || now.is_final()).unwrap();
    assert_eq!(now, status, "{:#?}\n{:#?}", run.journal().unwrap(), run.steps().unwrap());
}

pub fn step(run: &WorkflowRun, id: &str) -> StepView {
    run.steps().unwrap().into_iter().find(|step| step.id == id).unwrap()
}

pub fn status(run: &WorkflowRun, id: &str) -> String {
    step(run, id).status
}

/// Waits until a step has a status.
pub fn until(run: &WorkflowRun, id: &str, status: &str) {
    for _ in 0..6_000 {
        if step(run, id).status == status {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("step {id} is {:?}", step(run, id));
}
