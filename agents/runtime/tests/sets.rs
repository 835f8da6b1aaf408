//! Does a question have the tools that a set has when it is asked, and is it told of those that change meanwhile?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::{Arc, Mutex};

use quorate_core::{Code, Result};
use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{
    Event, FunctionTool, Question, Runtime, RuntimeOptions, Tool, ToolCard, ToolContext, ToolNews,
};
use serde_json::{Map, Value, json};

/// A set whose tool `grow` adds another.
struct Set {
    card: ToolCard,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    names: Mutex<Vec<String>>,
    news: Mutex<Vec<String>>,
}

impl ToolNews for Shared {
    fn since(&self, seen: Option<u64>) -> (u64, Vec<String>) {
        let news = self.news.lock().unwrap();
        let from = seen.map_or(news.len(), |seen| seen as usize);
        (news.len() as u64, news[from..].to_vec())
    }
}

impl Tool for Set {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, _: Map<String, Value>, _: &ToolContext) -> Result<Value> {
        panic!("the set itself is not called");
    }

    fn members(&self) -> Option<Vec<Arc<dyn Tool>>> {
        let tool = |name: &String| {
            let (shared, own) = (Arc::clone(&self.shared), name.clone());
            let card = ToolCard::new(name, "", json!({"type": "object"}));
            let function = FunctionTool::new(card, move |_, _| {
                if own == "grow" {
                    let mut names = shared.names.lock().unwrap();
                    let new = format!("tool_{}", names.len());
                    shared.news.lock().unwrap().push(format!("came: {new}"));
                    names.push(new);
                }
                Ok(json!("ran"))
            });
            Arc::new(function.unwrap()) as Arc<dyn Tool>
        };
        Some(self.shared.names.lock().unwrap().iter().map(tool).collect())
    }

    fn news(&self) -> Option<Arc<dyn ToolNews>> {
        Some(Arc::clone(&self.shared) as _)
    }
}

fn set(names: &[&str]) -> (Arc<dyn Tool>, Arc<Shared>) {
    let shared = Arc::new(Shared::default());
    *shared.names.lock().unwrap() = names.iter().map(|name| (*name).to_owned()).collect();
    let card = ToolCard::new("set", "", json!({"type": "object"}));
    (Arc::new(Set { card, shared: Arc::clone(&shared) }), shared)
}

/// A model that calls `grow` once, and notes which tools it was offered.
fn model(offered: &Arc<Mutex<Vec<Vec<String>>>>) -> Model {
    let offered = Arc::clone(offered);
    let script = ScriptedModel::of_function(move |request: &Request, _| {
        offered.lock().unwrap().push(request.tools.iter().map(|tool| tool.name.clone()).collect());
        let done = request.messages.iter().any(|message| message.role == quorate_models::Role::Tool);
        ScriptedModel::reply_from_json(&match done {
            true => json!("end"),
            false => json!({"tool_calls": [{"id": "1", "name": "grow", "arguments": {}}]}),
        })
    });
    Model::new(script, ModelOptions::default()).unwrap()
}

#[test]
fn a_run_keeps_its_tools_and_the_next_has_the_new_ones() {
    let offered = Arc::default();
    let (set, _) = set(&["grow"]);
    let options = RuntimeOptions { model: Some(model(&offered)), tools: vec![set], ..Default::default() };
    let runtime = Runtime::new(options).unwrap();
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let shown = Arc::clone(&seen);
    let answer = runtime.ask_shown(Question::new("go"), move |e| shown.lock().unwrap().push(e)).unwrap();
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(*offered.lock().unwrap(), [list(&["grow"]), list(&["grow"])]);
    let warning = |events: &[Event]| {
        let warnings = events.iter().filter(|event| event.kind == "warning");
        warnings.map(|event| event.data["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(warning(&seen.lock().unwrap()), ["came: tool_1"]);
    // The journal tells the same.
    assert_eq!(warning(&runtime.run(&answer.run_id).unwrap().events().unwrap()), ["came: tool_1"]);
    offered.lock().unwrap().clear();
    seen.lock().unwrap().clear();
    runtime.ask(Question::new("go")).unwrap();
    assert_eq!(offered.lock().unwrap()[0], list(&["grow", "tool_1"]));
}

#[test]
fn what_was_told_before_the_question_is_not_told_to_it() {
    let offered = Arc::default();
    let (set, shared) = set(&["grow"]);
    shared.news.lock().unwrap().push("old".to_owned());
    let options =
        RuntimeOptions { model: Some(model(&offered)), tools: vec![set.clone(), set], ..Default::default() };
    // Twice the same tools is an error as everywhere.
    assert_eq!(Runtime::new(options).err().unwrap().code(), Code::InvalidArgument);
    let (set, shared) = self::set(&["grow"]);
    shared.news.lock().unwrap().push("old".to_owned());
    let runtime =
        Runtime::new(RuntimeOptions { model: Some(model(&offered)), ..Default::default() }).unwrap();
    let answer = runtime.ask(Question { tools: Some(vec![set]), ..Question::new("go") }).unwrap();
    let events = runtime.run(&answer.run_id).unwrap().events().unwrap();
    let warnings = events.iter().filter(|event| event.kind == "warning");
    assert_eq!(
        warnings.map(|event| event.data["message"].clone()).collect::<Vec<_>>(),
        [json!("came: tool_1")]
    );
}
