//! Does a recorded run that is asked again differ by the change alone?

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Cancel, Code, Result};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Budget, Change, Decision, Effect, EvaluateOptions, FunctionTool, Passage, Question, Resume, Retrieve,
    Runtime, RuntimeOptions, Scorer, Status, Tool, ToolCard, Wanted, evaluate_agents, golden_tasks,
};
use serde_json::{Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
}

/// Calls `lookup` with each of these one after the other, and then says what it was told last.
fn looks_up(codes: &'static [&'static str], says: &'static str) -> Model {
    model(move |request| {
        let told: Vec<String> =
            request.messages.iter().skip(2).map(|message| message.to_json().to_string()).collect();
        let done = told.len() / 2;
        match codes.get(done) {
            Some(code) => {
                let call = json!({"id": format!("c{done}"), "name": "lookup", "arguments": {"year": 2025, "code": code}});
                json!({"text": "", "tool_calls": [call]})
            }
            None => json!(format!("{says}: {}", told.last().cloned().unwrap_or_default())),
        }
    })
}

fn lookup(ran: &Arc<AtomicUsize>, effect: Effect) -> Arc<dyn Tool> {
    let ran = Arc::clone(ran);
    let card = ToolCard { effect, ..ToolCard::new("lookup", "", json!({"type": "object"})) };
    let tool = FunctionTool::new(card, move |arguments, _| {
        let number = ran.fetch_add(1, Ordering::Relaxed);
        if arguments["code"] == "bad" {
            return Err(quorate_core::Error::new(Code::Offline, "no such table"));
        }
        Ok(json!({"code": arguments["code"], "number": number}))
    });
    Arc::new(tool.unwrap())
}

fn runtime(model: Model, tools: Vec<Arc<dyn Tool>>) -> Runtime {
    Runtime::new(RuntimeOptions { model: Some(model), tools, ..RuntimeOptions::default() }).unwrap()
}

fn with(model: Model) -> Change {
    Change { model: Some(model), ..Change::default() }
}

#[test]
fn another_model_reads_what_the_tools_gave_before() {
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(looks_up(&["a", "bad"], "first"), vec![lookup(&ran, Effect::Read)]);
    let before = runtime.ask(Question { seed: 7, ..Question::new("What is a?") }).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
    let journal = runtime.run(&before.run_id).unwrap().entries().unwrap();
    let replayed = runtime.replay(&before.run_id, with(looks_up(&["a", "bad"], "second"))).unwrap();
    // Nothing was called, and the recorded run is as it was.
    assert_eq!(ran.load(Ordering::Relaxed), 2);
    assert_eq!(runtime.run(&before.run_id).unwrap().entries().unwrap(), journal);
    assert_eq!((&replayed.original, &replayed.before), (&before.run_id, &before));
    assert!(replayed.answer.text.starts_with("second") && replayed.answer.text.contains("no such table"));
    // The last answer is other, and nothing else is: two calls with two results, and the end.
    assert_eq!((replayed.differences.len(), replayed.same), (1, 5), "{}", replayed.difference_text());
    let text = replayed.difference_text();
    assert!(
        text.starts_with("- 5 model says\n-     first") && text.contains("+ 5 model says\n+     second"),
        "{text}"
    );
    // The new run is kept beside it.
    assert_eq!(runtime.run(&replayed.answer.run_id).unwrap().answer().unwrap(), replayed.answer);
    assert!(replayed.live.is_empty());
    let same = runtime.replay(&before.run_id, Change::default()).unwrap();
    assert_eq!((same.differences.len(), same.same), (0, 6), "{}", same.difference_text());
}

#[test]
fn fewer_calls_show_as_steps_that_are_gone() {
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(looks_up(&["a", "b"], "x"), vec![lookup(&ran, Effect::Read)]);
    let before = runtime.ask(Question::new("go")).unwrap();
    let replayed = runtime.replay(&before.run_id, with(looks_up(&["a"], "x"))).unwrap();
    let gone: Vec<&str> = replayed
        .differences
        .iter()
        .filter(|one| one.after.is_none())
        .map(|one| one.before.as_ref().unwrap().kind.as_str())
        .collect();
    assert_eq!(gone, ["model", "tool"]);
}

#[test]
fn a_call_that_is_not_recorded_is_a_mismatch_or_made_live() {
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(looks_up(&["a"], "x"), vec![lookup(&ran, Effect::Read)]);
    let before = runtime.ask(Question::new("go")).unwrap();
    let error = runtime.replay(&before.run_id, with(looks_up(&["a", "b"], "x"))).unwrap_err();
    assert_eq!(error.code(), Code::ReplayMismatch);
    let said = error.message();
    assert!(said.contains(r#"'lookup' with {"code":"b","year":2025}"#), "{said}");
    assert!(said.contains(r#"{"code":"a","year":2025}"#) && said.contains("live"), "{said}");
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    let live = Change { live: true, ..with(looks_up(&["a", "b"], "x")) };
    let replayed = runtime.replay(&before.run_id, live).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 2);
    assert_eq!(replayed.live, [r#"lookup({"code":"b","year":2025})"#]);
    assert_eq!(replayed.answer.status, Status::Done);
    assert_eq!(replayed.differences.iter().filter(|one| one.before.is_none()).count(), 2);
}

#[test]
fn decisions_are_those_of_the_recorded_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(looks_up(&["a"], "first"), vec![lookup(&ran, Effect::Write)]);
    let waiting = runtime.ask(Question::new("go")).unwrap();
    assert_eq!(waiting.status, Status::Waiting);
    // What waits there waits here.
    let again = runtime.replay(&waiting.run_id, with(looks_up(&["a"], "second"))).unwrap();
    assert_eq!((again.answer.status, ran.load(Ordering::Relaxed)), (Status::Waiting, 0));
    let edited = json!({"code": "z", "year": 2025}).as_object().cloned().unwrap();
    let decision = Resume::with("c0", Decision::Arguments(edited));
    let done = runtime.resume(&waiting.run_id, decision).unwrap();
    assert_eq!((done.status, ran.load(Ordering::Relaxed)), (Status::Done, 1));
    let replayed = runtime.replay(&waiting.run_id, with(looks_up(&["a"], "second"))).unwrap();
    assert_eq!((replayed.answer.status, ran.load(Ordering::Relaxed)), (Status::Done, 1));
    assert!(replayed.answer.text.contains(r#"\"code\":\"z\""#), "{}", replayed.answer.text);
    let other = runtime.replay(&waiting.run_id, with(looks_up(&["q"], "second"))).unwrap_err();
    assert_eq!((other.code(), ran.load(Ordering::Relaxed)), (Code::ReplayMismatch, 1));
    let live = Change { live: true, ..with(looks_up(&["q"], "second")) };
    let live = runtime.replay(&waiting.run_id, live).unwrap();
    assert_eq!((live.answer.status, ran.load(Ordering::Relaxed)), (Status::Waiting, 1));
}

struct Shelf(AtomicUsize);

impl Retrieve for Shelf {
    fn passages(&self, question: &str, _: &Wanted, _: &Cancel) -> Result<Vec<Passage>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Passage {
            doc_id: "leaflet".into(),
            text: format!("About {question}"),
            ..Passage::default()
        }])
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

fn registry(agents: Vec<Agent>) -> AgentRegistry {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    registry.add_all(agents).unwrap();
    registry
}

#[test]
fn other_instructions_reach_the_model_and_what_was_found_is_found_again() {
    let shelf = Arc::new(Shelf(AtomicUsize::new(0)));
    let says = model(|request| {
        let system = request.messages[0].text();
        json!(if system.contains("Be brief.") { "Short [1]." } else { "Long and winding [1]." })
    });
    let agent =
        Agent { instructions: Some("Be thorough.".into()), ..Agent::new("doses", "Doses", "Knows doses.") };
    let runtime = Runtime::new(RuntimeOptions {
        registry: Some(registry(vec![agent])),
        sources: Some(Arc::clone(&shelf) as _),
        model: Some(says),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let before = runtime.ask(Question::to("Which dose?", "doses")).unwrap();
    assert_eq!((before.text.as_str(), shelf.0.load(Ordering::Relaxed)), ("Long and winding [1].", 1));
    let change = Change { instructions: Some("Be brief.".into()), seed: Some(3), ..Change::default() };
    let replayed = runtime.replay(&before.run_id, change).unwrap();
    assert_eq!((replayed.answer.text.as_str(), shelf.0.load(Ordering::Relaxed)), ("Short [1].", 1));
    assert_eq!(replayed.answer.citations, before.citations);
    let text = replayed.difference_text();
    assert!(text.contains("-     Be thorough.") && text.contains("+     Be brief."), "{text}");
    assert!(replayed.differences.iter().all(|one| {
        ["agent", "match", "model", "check"].contains(&one.before.as_ref().unwrap().kind.as_str())
    }));
    let broken = Change { instructions: Some("{{ nothing }".into()), ..Change::default() };
    assert_eq!(runtime.replay(&before.run_id, broken).unwrap_err().code(), Code::InvalidArgument);
    // The definition itself is as it was.
    assert_eq!(runtime.ask(Question::to("Which dose?", "doses")).unwrap().text, "Long and winding [1].");
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let runtime = runtime(model(|_| json!("x")), vec![]);
    assert_eq!(runtime.replay("none", Change::default()).unwrap_err().code(), Code::UnknownId);
    let id = runtime.ask(Question::new("go")).unwrap().run_id;
    let change = Change { instructions: Some("Be brief.".into()), ..Change::default() };
    assert_eq!(runtime.replay(&id, change).unwrap_err().code(), Code::InvalidArgument);
    let budget = Some(Budget { max_cost: Some(-1.0), ..Budget::default() });
    assert_eq!(
        runtime.replay(&id, Change { budget, ..Change::default() }).unwrap_err().code(),
        Code::InvalidArgument
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = runtime.replay(&id, Change { cancel, ..Change::default() }).unwrap();
    assert_eq!(cancelled.answer.status, Status::Cancelled);
    let budget = Some(Budget { max_tokens: Some(1), ..Budget::default() });
    let short = runtime.replay(&id, Change { budget, ..Change::default() }).unwrap();
    assert_eq!(short.answer.stopped_by.as_deref(), Some("max_tokens"));
    assert!(short.difference_text().contains("+ 2 budget max_tokens"), "{}", short.difference_text());
}

/// Questions that an expert leaves to another reach that other one, and the others stay with who is asked.
#[test]
fn golden_tasks_of_flagships_reach_who_is_expected() {
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap();
    let runtime = Runtime::new(RuntimeOptions {
        registry: Some(registry.clone()),
        model: Some(model(|_| json!("x"))),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let tasks: Vec<_> = golden_tasks()
        .unwrap()
        .into_iter()
        .filter(|(agent, _)| registry.get(agent).is_ok())
        .flat_map(|(_, tasks)| tasks)
        .collect();
    assert!(tasks.len() >= 40);
    let options = EvaluateOptions { repeat: 1, scorers: vec![Scorer::Agent], ..EvaluateOptions::default() };
    let report = evaluate_agents(&runtime, &tasks, &options).unwrap();
    let wrong: Vec<String> = report
        .trials
        .iter()
        .filter(|trial| trial.passed == Some(false))
        .map(|trial| format!("{}: {:?}", trial.task, trial.agent))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
