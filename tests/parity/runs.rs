//! How do experts answer the fixture?

use std::sync::Arc;

use quorate::models::{Model, ModelOptions, Price};
use quorate::rag::{KnowledgeBase, OpenOptions};
use quorate::runtime::{Effect, FunctionTool, Resume, Runtime, RuntimeOptions, Tool, ToolCard};
use quorate::{Document, Result, Sources};
use quorate_bindings::{Host, models, runtime};
use serde_json::{Value, json};

use crate::Done;
use crate::args::Args;

/// Calls of the package itself; none for a name that is not here.
pub fn top(call: &str, args: &Args<'_>) -> Option<Result<Done>> {
    (call == "runs").then(|| runs(args))
}

/// The tools of every run: one looks up, one writes.
fn tools() -> Vec<Arc<dyn Tool>> {
    let schema = json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]});
    let lookup = ToolCard::new("lookup", "What a code means.", schema.clone());
    let send = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "Sends a letter.", schema) };
    let means = |given: &Value| json!({"code": given, "means": "a catheter"});
    vec![
        Arc::new(FunctionTool::new(lookup, move |given, _| Ok(means(&given["code"]))).expect("a tool")),
        Arc::new(FunctionTool::new(send, |_, _| Ok(json!("sent"))).expect("a tool")),
    ]
}

/// Asks, goes on with decisions where there are any, and tells the answer and the events of the journal.
fn runs(args: &Args<'_>) -> Result<Done> {
    let sources = match args.raw("documents") {
        Value::Null => None,
        given => {
            let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
            let text = |one: &Value, name: &str| one[name].as_str().expect("a text").to_owned();
            let documents = given.as_array().expect("documents").iter();
            kb.add(documents.map(|one| Document::new(text(one, "id"), text(one, "text"))).collect())?;
            Some(Sources::of(kb))
        }
    };
    let model = match args.raw("replies") {
        Value::Null => None,
        replies => {
            let script = models::scripted_list(serde_json::from_value(replies.clone()).expect("replies"))?;
            let options = ModelOptions { price: Some(Price::new(1.0, 2.0)?), ..Default::default() };
            Some(Model::new(script.named("scripted:parity"), options)?)
        }
    };
    let experts =
        Runtime::new(RuntimeOptions { sources, model, tools: tools(), ..RuntimeOptions::default() })?;
    let question = runtime::question(Host::Python, args.get("question"), args.raw("options").clone())?;
    let mut answer = experts.ask(question)?;
    let decisions = runtime::decisions(args.raw("decisions"))?;
    if !decisions.is_empty() {
        answer = experts.resume(&answer.run_id, Resume { decisions, ..Resume::default() })?;
    }
    let events: Vec<String> =
        experts.run(&answer.run_id)?.events()?.into_iter().map(|event| event.kind).collect();
    let mut told = runtime::answer(Host::Python, &answer)?;
    let members = told.as_object_mut().expect("an object");
    members.remove("run_id");
    for step in members["steps"].as_array_mut().expect("steps") {
        step.as_object_mut().expect("a step").remove("seconds");
    }
    Ok(Done::answer(json!({"answer": told, "events": events})))
}
