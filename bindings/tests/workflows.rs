//! What do workflows give that Python and Node are compared with?
//!
//! `tests/parity/workflows.json` has the runs and the files, written by hand, `tests/parity/workflow_answers.json` what Rust gives.
//! `QUORATE_PARITY=write` writes the answers anew. The other runners: `bindings-python/tests/test_workflows_parity.py` and
//! `bindings-node/__test__/workflowsparity.test.mjs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_bindings::{Host, workflow};
use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, FnTool, ManualClock, Problem, Status};
use serde_json::{Map, Value, json};

/// The tools of every engine: one gives its arguments, one fails twice before it does.
fn engine(clock: &ManualClock) -> Result<Engine> {
    let echo = FnTool::new("echo", |args, _| Ok(args.clone()));
    let flaky = FnTool::new("flaky", |args, context| match context.attempt {
        1 | 2 => Err(Error::new(Code::RateLimited, "slow down")),
        _ => Ok(args.clone()),
    });
    let options = EngineOptions {
        tools: vec![Arc::new(echo), Arc::new(flaky)],
        clock: Some(Arc::new(clock.clone())),
        ..EngineOptions::default()
    };
    Engine::new(StateStore::memory(), options)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Starts a run, does what is to be done, and tells what came of it.
fn ran(spec: &Value) -> Result<Value> {
    let clock = ManualClock::new(1000.0);
    let engine = engine(&clock)?;
    if let Some(form) = spec["workflow"].as_str() {
        engine.add(form)?;
    }
    let how = workflow::start_options(Host::Python, spec["options"].clone())?;
    let run = engine.start(text(&spec["start"]), spec["input"].clone(), how)?;
    let most = Some(Duration::from_secs(60));
    for action in spec["then"].as_array().unwrap() {
        match text(&action[0]) {
            "until" => {
                let until = workflow::status(text(&action[1]))?;
                let found = run.wait_for(most, |status| status == until)?;
                assert_eq!(found, until, "{:?}", run.steps()?);
            }
            "decide" => {
                let review = engine.reviews(None, Some(run.id()))?.remove(0);
                review.decide(text(&action[1]), text(&action[2]), None, action[3].clone())?;
            }
            "signal" => run.signal(text(&action[1]), action[2].clone(), None)?,
            "cancel" => run.cancel(text(&action[1]), true)?,
            "skip" => run.skip(text(&action[1]))?,
            "advance" => clock.advance(action[1].as_f64().unwrap()),
            other => panic!("nothing is called {other}"),
        }
    }
    let status = run.wait_for(most, Status::is_final)?;
    let mut events: BTreeMap<String, usize> = BTreeMap::new();
    for entry in run.journal()?.into_iter().filter(|entry| entry.kind != "heard") {
        *events.entry(entry.kind).or_default() += 1;
    }
    // What experts came to has the ids of their runs.
    let own = |kind: &str| !matches!(kind, "agent_task" | "panel_discussion" | "parallel");
    let steps: Vec<Value> = run
        .steps()?
        .iter()
        .map(|step| {
            let mut told = json!({
                "id": step.id, "kind": step.kind, "title": step.title, "within": step.within, "status": step.status,
                "visit": step.visit, "attempts": step.attempts, "signal": step.signal, "code": step.code,
            });
            if own(&step.kind) {
                told["output"] = step.output.clone();
            }
            told
        })
        .collect();
    let ending = run.ending()?;
    engine.close()?;
    Ok(json!({"status": status.as_str(), "ending": ending, "steps": steps, "events": events}))
}

/// What is wrong with files.
fn wrong(spec: &Value) -> Result<Value> {
    let files: BTreeMap<String, String> = serde_json::from_value(spec["files"].clone()).unwrap();
    let overlays: Vec<String> = serde_json::from_value(spec["overlays"].clone()).unwrap();
    let engine = engine(&ManualClock::new(0.0))?;
    engine.load_pack(files, &overlays)?;
    let found = engine.validate();
    engine.close()?;
    let told =
        |one: &Problem| json!({"line": one.line, "at": one.at, "code": one.code, "message": one.message});
    Ok(found.iter().map(told).collect())
}

#[test]
fn workflows_give_their_answers() {
    let place = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity").join(name);
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(place(name)).unwrap()).unwrap()
    };
    let fixture = read("workflows.json");
    let mut answers = Map::new();
    let all = |name: &str| fixture[name].as_array().unwrap().clone();
    let runs = all("runs").into_iter().map(|spec| (spec.clone(), ran(&spec)));
    for (spec, answer) in runs.chain(all("problems").into_iter().map(|spec| (spec.clone(), wrong(&spec)))) {
        let answer = answer.unwrap_or_else(|error| json!({"error": error.code().as_str()}));
        answers.insert(text(&spec["name"]).to_owned(), answer);
    }
    let written = serde_json::to_string_pretty(&answers).unwrap() + "\n";
    if std::env::var("QUORATE_PARITY").is_ok_and(|way| way == "write") {
        std::fs::write(place("workflow_answers.json"), &written).unwrap();
    }
    assert_eq!(
        read("workflow_answers.json"),
        Value::Object(answers),
        "QUORATE_PARITY=write writes them anew"
    );
}
