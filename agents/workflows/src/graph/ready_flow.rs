//! Which graph carries out a workflow, and asks its people on the way?

use std::time::Duration;

use quorate_core::{Code, Error, Result, shorten};
use serde_json::{Value, json};

use super::ready::{done_now, key, nothing, nth_name, until_answered};
use super::{Context, END, Graph, Output, START, State};
use crate::flow::{Engine, Review, StartOptions, Status, WorkflowRun};

/// How often somebody looks whether the graph was stopped, and whether people are asked something.
const LOOK: Duration = Duration::from_millis(50);

/// A graph that starts a run of a workflow, waits for its end, and asks people what the workflow asks them.
///
/// Its channels: `workflow` (its id), `input`, `version` (none: the newest), `starter`, `offline`, `reviews` (whether people are
/// asked here; false: somebody decides elsewhere, and the graph waits for it). It gives `run` (the id of the run), `status` and
/// `result`.
///
/// A review of the workflow is one of the graph, whose question has `review` (its id), `role`, `title`, `options`, `data` and `run`; it is
/// answered with `{"decision": ..., "by": ...}` and, where wanted, `comment` and `data`. An answer that the workflow refuses (who
/// must not decide, an option that there is not) is asked for again, with `refused` beside the question; one that was decided
/// elsewhere meanwhile comes to nothing. Nothing is started again after a crash; a run that has failed, or was stopped with the
/// graph, is started anew when the thread is resumed.
///
/// ```
/// use quorate_state::StateStore;
/// use quorate_workflows::flow::{Engine, EngineOptions};
/// use quorate_workflows::graph::workflow_execution;
/// # fn main() -> quorate_core::Result<()> {
/// let store = StateStore::memory();
/// let engine = Engine::new(store.clone(), EngineOptions::default())?;
/// let app = workflow_execution(&engine).compile(&store)?;
/// let done = app.run(serde_json::json!({"workflow": "example", "offline": true}), "case-7")?;
/// assert_eq!(done.state["status"], "completed");
/// # engine.close()
/// # }
/// ```
pub fn workflow_execution(engine: &Engine) -> Graph {
    let engine = engine.clone();
    workflow_execution_by(move || Ok(engine.clone()))
}

/// The same with an engine that may be made only when it is first needed.
pub fn workflow_execution_by(engine: impl Fn() -> Result<Engine> + Send + Sync + 'static) -> Graph {
    let schema = json!({
        "type": "object",
        "properties": {
            "workflow": {"type": "string"},
            "input": {},
            "version": {"type": ["string", "null"]},
            "starter": {"type": ["string", "null"]},
            "offline": {"type": "boolean", "default": false},
            "reviews": {"type": "boolean", "default": true},
            "run": {"type": "string"},
            "status": {"type": "string"},
            "result": {},
        },
    });
    Graph::new(schema)
        .node("execute", move |state: &State, context: &Context| {
            let engine = engine()?;
            until_answered(|nth| execute(&engine, state, context, nth)).map(Output::from)
        })
        .edge(START, "execute")
        .edge("execute", END)
}

/// What is known of a run: how it ended, or what people are asked.
fn look(run: &WorkflowRun) -> Result<Value> {
    let status = run.status()?;
    Ok(match status {
        Status::Completed => json!({"run": run.id(), "status": "completed", "result": run.result()?}),
        Status::Failed | Status::Cancelled => match run.result() {
            Err(error) => nothing(error.code(), error.message()),
            Ok(_) => nothing(Code::Internal, "a run that has not completed has a result"),
        },
        _ => Value::Null,
    })
}

/// Waits until the run is over, or people are asked something.
fn wait(engine: &Engine, run: &WorkflowRun, asks: bool, context: &Context) -> Result<Value> {
    loop {
        let status = run.wait(Some(LOOK))?;
        if status.is_final() {
            return look(run);
        }
        if context.stop().is_cancelled() {
            match run.cancel("the graph that has started it was stopped", true) {
                Err(error) if error.code() != Code::RunConflict => return Err(error),
                _ => return Ok(nothing(Code::Cancelled, "the run was stopped with the graph")),
            }
        }
        if asks {
            let open = engine.reviews(None, Some(run.id()))?;
            if !open.is_empty() {
                return Ok(json!({"asked": open.iter().map(asked).collect::<Vec<_>>()}));
            }
        }
    }
}

fn asked(review: &Review) -> Value {
    json!({
        "review": review.id, "run": review.run_id, "step": review.step, "role": review.role, "title": review.title,
        "options": review.options, "data": review.data,
    })
}

fn execute(engine: &Engine, state: &State, context: &Context, nth: u32) -> Result<(Value, bool)> {
    let (started, now) = done_now(context, &nth_name("started", nth), || {
        let options = StartOptions {
            version: state["version"].as_str().map(str::to_owned),
            starter: state["starter"].as_str().map(str::to_owned),
            offline: state["offline"] == true,
            dedup: key(context, "execute", nth),
            ..StartOptions::default()
        };
        let workflow = state["workflow"].as_str().unwrap_or_default();
        let run = engine.start(workflow, state["input"].clone(), options)?;
        Ok(json!({"run": run.id()}))
    })?;
    if started.get("failed").is_some() {
        return Ok((started, now));
    }
    let run = engine.get(started["run"].as_str().unwrap_or_default())?;
    let asks = state["reviews"] != false;
    let mut refused = json!({});
    for round in 1.. {
        // Each look is a step, so that the questions to people come in the same order again.
        let (found, now) = done_now(context, &nth_name(&format!("looked {round}"), nth), || {
            wait(engine, &run, asks, context)
        })?;
        let Some(open) = found["asked"].as_array() else { return Ok((found, now)) };
        let question = |one: &Value| {
            let mut question = one.clone();
            if let Some(why) = one["review"].as_str().and_then(|id| refused.get(id)) {
                question["refused"] = why.clone();
            }
            question
        };
        let said: Vec<Result<Value>> = open.iter().map(|one| context.ask(question(one))).collect();
        // What was answered is passed on at once, whatever the others still wait for.
        let mut again = json!({});
        for (one, said) in open.iter().zip(&said) {
            let Ok(said) = said else { continue };
            let review = one["review"].as_str().unwrap_or_default();
            let why =
                context.step(&nth_name(&format!("decided {round} {review}"), nth), || {
                    match decide(engine, one, said) {
                        Err(error) if [Code::InvalidArgument, Code::RunConflict].contains(&error.code()) => {
                            Ok(json!(error.message()))
                        }
                        other => other.map(|()| Value::Null),
                    }
                })?;
            if !why.is_null() {
                again[review] = why;
            }
        }
        for said in said {
            said?;
        }
        refused = again;
    }
    Err(Error::new(Code::Internal, "looked for ever"))
}

/// Passes on what somebody said. One that was decided elsewhere is over.
fn decide(engine: &Engine, question: &Value, said: &Value) -> Result<()> {
    let bad = || {
        Error::invalid(format!(
            "the review was answered with {}; give an object with the decision, and by whom it is",
            shorten(&said.to_string())
        ))
    };
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let (decision, by) = text("decision").zip(text("by")).ok_or_else(bad)?;
    let review = match engine.review(question["review"].as_str().unwrap_or_default()) {
        Err(error) if error.code() == Code::UnknownId => return Ok(()),
        other => other?,
    };
    // After a crash it may have been said before.
    if review.votes.iter().any(|(who, _)| who == by) {
        return Ok(());
    }
    review.decide(decision, by, text("comment"), said.get("data").cloned().unwrap_or_default())
}
