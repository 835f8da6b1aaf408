//! Which graphs ship: an expert who is consulted, and a panel that deliberates, with people where they are wanted?

use quorate_core::{Code, Error, Result, shorten};
use quorate_runtime::{
    Answer, Decision, Member, PanelAnswer, PanelKind, PanelOptions, Question, Resume, Runtime, Status,
};
use serde_json::{Value, json};

use super::{Context, END, Graph, Output, START, State};

/// A graph that asks an expert, and people where the expert needs an approval or its answer is to be reviewed.
///
/// Its channels: `question`; `agent` (whom to ask; none: whoever fits best; afterwards who has answered); `autonomous`;
/// `review`: whether a person confirms the answer. It gives `answer`, `status` (as of the expert's run), `stopped_by`,
/// `citations`, `confidence`, `grounded`, `run` (the expert's run) and `reviewed` (what the person said).
///
/// A call that needs an approval is a review whose question has `run` and `call`; it is answered with a decision as
/// [`Runtime::resume`] takes it. The review of an answer is answered with true, with false (the status is `refused` then), or
/// with `{"answer": ...}`, a better one. Nothing that was asked is asked again after a crash; an
/// expert who has failed, or was stopped, is asked anew when the thread is resumed.
///
/// ```
/// use quorate_models::{Model, ModelOptions, ScriptedModel};
/// use quorate_runtime::{Runtime, RuntimeOptions};
/// use quorate_state::StateStore;
/// use quorate_workflows::graph::expert_consultation;
/// # fn main() -> quorate_core::Result<()> {
/// let model = Model::new(ScriptedModel::of_texts(["500 mg."]), ModelOptions::default())?;
/// let experts = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
/// let app = expert_consultation(&experts).compile(&StateStore::memory())?;
/// let done = app.run(serde_json::json!({"question": "Which dose?"}), "case-7")?;
/// assert_eq!(done.state["answer"], "500 mg.");
/// # Ok(()) }
/// ```
pub fn expert_consultation(runtime: &Runtime) -> Graph {
    let runtime = runtime.clone();
    expert_consultation_by(move || Ok(runtime.clone()))
}

/// The same with a runtime that may be opened only when it is first needed.
pub fn expert_consultation_by(runtime: impl Fn() -> Result<Runtime> + Send + Sync + 'static) -> Graph {
    let schema = json!({
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "agent": {"type": ["string", "null"]},
            "autonomous": {"type": "boolean", "default": false},
            "review": {"type": "boolean", "default": false},
            "answer": {"type": "string"},
            "status": {"type": "string"},
            "stopped_by": {"type": ["string", "null"]},
            "citations": {"type": "array"},
            "confidence": {"type": ["number", "null"]},
            "grounded": {"type": ["number", "null"]},
            "run": {"type": "string"},
            "reviewed": {},
        },
    });
    Graph::new(schema)
        .node("consult", move |state: &State, context: &Context| consult(&runtime()?, state, context))
        .node("review", review)
        .edge(START, "consult")
        .edges_if(
            "consult",
            |state: &State| Ok(if state["review"] == true { "review".into() } else { END.into() }),
            ["review", END],
        )
}

/// What of an answer goes into the state, and what waits for an approval; of one that came to nothing, why.
fn consulted(answer: &Answer) -> Value {
    let why = answer.stopped_by.as_deref().unwrap_or_default();
    match answer.status {
        Status::Cancelled => return nothing(Code::Cancelled, "the expert was stopped"),
        Status::Failed => return failed("the expert", why),
        _ => {}
    }
    json!({
        "answer": answer.text, "status": answer.status.as_str(), "stopped_by": answer.stopped_by,
        "citations": answer.citations, "confidence": answer.confidence, "grounded": answer.grounded,
        "run": answer.run_id, "agent": answer.agent, "pending": answer.pending,
        // What a person said was said of another answer.
        "reviewed": null,
    })
}

pub(super) fn nothing(code: Code, message: &str) -> Value {
    json!({"failed": {"code": code.as_str(), "message": message}})
}

fn failed(who: &str, why: &str) -> Value {
    let code = code(why).unwrap_or(Code::ToolFailed);
    nothing(code, &format!("{who} has failed: {}", shorten(why)))
}

fn code(word: &str) -> Option<Code> {
    Code::ALL.iter().find(|code| code.as_str() == word).copied()
}

/// Why it came to nothing, where it did.
fn failure(found: &Value) -> Option<Error> {
    let failed = found.get("failed")?;
    let word = failed["code"].as_str().unwrap_or_default();
    let message = failed["message"].as_str().unwrap_or_default();
    Some(Error::new(code(word).unwrap_or(Code::Internal), message))
}

/// A key of what is asked once at this place of a thread, the `nth` time; none where nothing of the run is kept.
pub(super) fn key(context: &Context, what: &str, nth: u32) -> Option<String> {
    (!context.thread().is_empty()).then(|| {
        // In a loop, in several parts or in a fork another thing is asked in the same run.
        format!("graph/{}/{}/{what}/{nth}", context.run_id(), context.place())
    })
}

/// The name of a step of the `nth` time.
pub(super) fn nth_name(name: &str, nth: u32) -> String {
    if nth == 1 { name.to_owned() } else { format!("{name}, time {nth}") }
}

/// Asks, a first time and anew whenever what was asked before came to nothing: what has failed or was stopped stays so, also
/// when it is asked for by its key. `ask` is given which time it is, and gives what it came to, and whether it did so now.
pub(super) fn until_answered(ask: impl Fn(u32) -> Result<(Value, bool)>) -> Result<Value> {
    for nth in 1.. {
        let (found, now) = ask(nth)?;
        match failure(&found) {
            None => return Ok(found),
            Some(error) if now => return Err(error),
            Some(_) => {}
        }
    }
    Err(Error::new(Code::Internal, "asked for ever"))
}

/// Whether an error leaves nothing that could go on: the store and whoever else goes on with a run say no such thing.
fn ends(code: Code) -> bool {
    !matches!(
        code,
        Code::Io
            | Code::DiskFull
            | Code::PermissionDenied
            | Code::Locked
            | Code::Corrupt
            | Code::Closed
            | Code::StaleWrite
            | Code::RunConflict
    )
}

/// A step, and whether it was done now. What ends with an error has come to nothing.
pub(super) fn done_now(
    context: &Context,
    name: &str,
    f: impl FnOnce() -> Result<Value>,
) -> Result<(Value, bool)> {
    let mut now = false;
    let found = context.step(name, || {
        now = true;
        f().or_else(
            |error| if ends(error.code()) { Ok(nothing(error.code(), error.message())) } else { Err(error) },
        )
    })?;
    Ok((found, now))
}

fn consult(runtime: &Runtime, state: &State, context: &Context) -> Result<Output> {
    let mut found = until_answered(|nth| consult_once(runtime, state, context, nth))?;
    if let Value::Object(found) = &mut found {
        found.remove("pending");
    }
    Ok(found.into())
}

fn consult_once(runtime: &Runtime, state: &State, context: &Context, nth: u32) -> Result<(Value, bool)> {
    let text = state["question"].as_str().unwrap_or_default().to_owned();
    let ask = || {
        let answer = runtime.ask(Question {
            agent: state["agent"].as_str().map(str::to_owned),
            autonomous: state["autonomous"] == true,
            idempotency_key: key(context, "consult", nth),
            cancel: context.stop().clone(),
            ..Question::new(text)
        })?;
        Ok(consulted(&answer))
    };
    // Each answer is a step, so that the questions to people come in the same order again.
    let mut found = done_now(context, &nth_name("asked", nth), ask)?;
    for round in 1.. {
        let answer = &found.0;
        let Some(pending) = answer["pending"].as_array().filter(|all| !all.is_empty()).cloned() else {
            break;
        };
        if answer["status"] != Status::Waiting.as_str() {
            break;
        }
        let run = answer["run"].as_str().unwrap_or_default().to_owned();
        let asked: Vec<Result<Value>> =
            pending.iter().map(|call| context.ask(json!({"run": run, "call": call}))).collect();
        let mut decisions = Vec::new();
        for (call, said) in pending.iter().zip(asked) {
            let id = call["id"].as_str().unwrap_or_default().to_owned();
            decisions.push((id, Decision::from_json(&said?)?));
        }
        found = done_now(context, &nth_name(&format!("resumed {round}"), nth), || {
            let view = runtime.run(&run)?;
            if view.row().status != Status::Waiting.as_str() {
                // It went on before the process ended.
                return Ok(consulted(&view.answer()?));
            }
            let cancel = context.stop().clone();
            Ok(consulted(&runtime.resume(&run, Resume { decisions, cancel, ..Resume::default() })?))
        })?;
    }
    Ok(found)
}

fn review(state: &State, context: &Context) -> Result<Output> {
    let question = json!({
        "question": state["question"], "answer": state["answer"], "citations": state["citations"],
        "status": state["status"],
    });
    let said = context.ask(question)?;
    let mut update = json!({"reviewed": said});
    match &said {
        Value::Bool(true) => {}
        Value::Bool(false) => update["status"] = Status::Refused.as_str().into(),
        Value::Object(better) if better.get("answer").is_some_and(Value::is_string) => {
            update["answer"] = better["answer"].clone();
        }
        other => {
            return Err(Error::invalid(format!(
                "the review was answered with {}; give true, false or an object with the answer",
                shorten(&other.to_string())
            )));
        }
    }
    Ok(update.into())
}

/// A graph that asks a panel, and a person where the panel comes to no decision.
///
/// Its channels: `question`; `type` (`parallel`, `sequential`, `consensus`, `debate`, `socratic`, `delphi`), `members` (ids; none:
/// those who fit best), `size`, `rounds`, `options`; `escalate`: whether a person decides where the panel does not. It gives
/// `decision`, `level`, `agreement`, `synthesis`, `status`, `minority`, `citations`, `panel` (the panel's run) and `decided_by`
/// (`panel`, `person` or null).
///
/// ```
/// use quorate_models::{Model, ModelOptions, ScriptedModel};
/// use quorate_runtime::{Runtime, RuntimeOptions};
/// use quorate_state::StateStore;
/// use quorate_workflows::graph::panel_deliberation;
/// # fn main() -> quorate_core::Result<()> {
/// let says = ScriptedModel::of_texts(vec![r#"{"choice": "yes", "reasons": [{"text": "so"}]}"#; 12]);
/// let model = Model::new(says, ModelOptions::default())?;
/// let experts = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
/// let app = panel_deliberation(&experts).compile(&StateStore::memory())?;
/// let input = serde_json::json!({"question": "Approve?", "options": ["yes", "no"], "members": ["a", "b", "c"]});
/// let done = app.run(input, "case-7")?;
/// assert_eq!(done.state["decision"], "yes");
/// # Ok(()) }
/// ```
pub fn panel_deliberation(runtime: &Runtime) -> Graph {
    let runtime = runtime.clone();
    panel_deliberation_by(move || Ok(runtime.clone()))
}

/// The same with a runtime that may be opened only when it is first needed.
pub fn panel_deliberation_by(runtime: impl Fn() -> Result<Runtime> + Send + Sync + 'static) -> Graph {
    let schema = json!({
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "type": {"type": "string", "enum": ["parallel", "sequential", "consensus", "debate", "socratic", "delphi"], "default": "parallel"},
            "members": {"type": ["array", "null"], "items": {"type": "string"}},
            "size": {"type": "integer", "minimum": 1, "default": 5},
            "rounds": {"type": ["integer", "null"], "minimum": 1},
            "options": {"type": "array", "items": {"type": "string"}, "default": []},
            "escalate": {"type": "boolean", "default": false},
            "decision": {},
            "level": {"type": ["string", "null"]},
            "agreement": {"type": ["number", "null"]},
            "synthesis": {},
            "status": {"type": "string"},
            "minority": {"type": "array"},
            "citations": {"type": "array"},
            "panel": {"type": "string"},
            "decided_by": {"type": ["string", "null"]},
        },
    });
    Graph::new(schema)
        .node("deliberate", move |state: &State, context: &Context| deliberate(&runtime()?, state, context))
        .node("decide", decide)
        .edge(START, "deliberate")
        .edges_if(
            "deliberate",
            |state: &State| {
                let open = state["decided_by"].is_null() && state["escalate"] == true;
                Ok(if open { "decide".into() } else { END.into() })
            },
            ["decide", END],
        )
}

fn deliberate(runtime: &Runtime, state: &State, context: &Context) -> Result<Output> {
    let texts = |name: &str| -> Vec<String> {
        let all = state[name].as_array().into_iter().flatten();
        all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let kind: PanelKind = serde_json::from_value(state["type"].clone()).unwrap_or(PanelKind::Parallel);
    let members: Option<Vec<Member>> =
        state["members"].is_array().then(|| texts("members").into_iter().map(Member::new).collect());
    let number = |name: &str| state[name].as_u64();
    let plain = PanelOptions::default();
    until_answered(|nth| {
        done_now(context, &nth_name("asked", nth), || {
            let answer = runtime.panel(
                state["question"].as_str().unwrap_or_default(),
                PanelOptions {
                    kind,
                    members: members.clone(),
                    size: number("size").and_then(|size| usize::try_from(size).ok()).unwrap_or(plain.size),
                    rounds: number("rounds").and_then(|rounds| u32::try_from(rounds).ok()),
                    options: texts("options"),
                    idempotency_key: key(context, "deliberate", nth),
                    cancel: context.stop().clone(),
                    ..PanelOptions::default()
                },
            )?;
            deliberated(&answer)
        })
    })
    .map(Output::from)
}

fn deliberated(answer: &PanelAnswer) -> Result<Value> {
    let why = answer.stopped_by.as_deref().unwrap_or_default();
    match answer.status {
        Status::Cancelled => return Ok(nothing(Code::Cancelled, "the panel was stopped")),
        Status::Failed => return Ok(failed("the panel", why)),
        _ => {}
    }
    let written = |e: serde_json::Error| {
        Error::new(Code::Internal, format!("what a panel came to cannot be written: {e}"))
    };
    let score = serde_json::to_value(&answer.score).map_err(written)?;
    // A decision is told as what was decided.
    let decision = match &score["decision"] {
        Value::Object(fields) => fields.values().next().cloned().unwrap_or_default(),
        other => other.clone(),
    };
    let level = score["level"].as_str();
    let decided = !decision.is_null() && level.is_some_and(|level| level != "no_consensus");
    Ok(json!({
        "decision": decision, "level": level, "agreement": score["support"], "synthesis": answer.synthesis,
        "status": answer.status.as_str(), "minority": answer.minority, "citations": answer.citations,
        "panel": answer.run_id, "decided_by": decided.then_some("panel"),
    }))
}

fn decide(state: &State, context: &Context) -> Result<Output> {
    let question = json!({
        "question": state["question"], "options": state["options"], "synthesis": state["synthesis"],
        "minority": state["minority"], "level": state["level"],
    });
    let decision = context.ask(question)?;
    Ok(json!({"decision": decision, "decided_by": "person"}).into())
}
