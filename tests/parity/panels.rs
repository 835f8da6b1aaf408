//! How do panels answer the fixture?

use std::collections::BTreeMap;

use quorate::models::{Model, ModelOptions, Price};
use quorate::rag::{KnowledgeBase, OpenOptions};
use quorate::runtime::{PanelOptions, Runtime, RuntimeOptions};
use quorate::{Document, Result, Sources};
use quorate_bindings::runtime::PanelModels;
use quorate_bindings::{Host, models, runtime};
use serde_json::{Map, Value, json};

use crate::Done;
use crate::args::Args;

/// Calls of the package itself; none for a name that is not here.
pub fn top(call: &str, args: &Args<'_>) -> Option<Result<Done>> {
    (call == "panels").then(|| panels(args))
}

/// A model that says these replies in their order.
fn says(name: &str, replies: &Value) -> Result<Model> {
    let script = models::scripted_list(serde_json::from_value(replies.clone()).expect("replies"))?;
    let options = ModelOptions { price: Some(Price::new(1.0, 2.0)?), ..Default::default() };
    Model::new(script.named(format!("scripted:{name}")), options)
}

/// Asks a panel, and tells what it came to, and how many events of each type its journal has: those of one round come as they come.
fn panels(args: &Args<'_>) -> Result<Done> {
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
    let mut given: Map<String, Value> = args.get("options");
    let mut own = PanelModels::default();
    if let Some(members) = args.raw("members").as_array() {
        let mut seated = Vec::new();
        for (i, member) in members.iter().enumerate() {
            let mut member = member.as_object().expect("a member").clone();
            if let Some(replies) = member.remove("says") {
                own.members.push((i, says(member["id"].as_str().expect("an id"), &replies)?));
            }
            seated.push(Value::Object(member));
        }
        given.insert("members".to_owned(), Value::Array(seated));
    }
    if !args.raw("judge").is_null() {
        own.judge = Some(says("judge", args.raw("judge"))?);
    }
    let model = match sources {
        Some(_) => None,
        None => Some(says("nobody", &json!([]))?),
    };
    let experts = Runtime::new(RuntimeOptions { sources, model, ..RuntimeOptions::default() })?;
    let options: PanelOptions = runtime::panel_options(Host::Python, Value::Object(given), own)?;
    let panel = experts.panel(args.get::<String>("question"), options)?;
    let mut events: BTreeMap<String, u64> = BTreeMap::new();
    for event in experts.run(&panel.run_id)?.events()? {
        *events.entry(event.kind).or_default() += 1;
    }
    let mut told = runtime::panel(Host::Python, &panel)?;
    told.as_object_mut().expect("an object").remove("run_id");
    leave_out(&mut told, &["lines", "prompt"]);
    Ok(Done::answer(json!({"panel": told, "events": events})))
}

/// What the hosts show otherwise, or is long.
fn leave_out(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(members) => {
            names.iter().for_each(|name| drop(members.remove(*name)));
            members.values_mut().for_each(|member| leave_out(member, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out(item, names)),
        _ => {}
    }
}
