//! How do language models answer the fixture?

use std::path::Path;

use quorate::models::{Model, ModelOptions, Price, ScriptedModel};
use quorate::{Cancel, Result};
use quorate_bindings::{Host, models};
use serde_json::{Value, json};

use crate::args::Args;
use crate::{Done, Handle};

/// Calls of the package itself; none for a name that is not here.
pub fn top(call: &str, args: &Args<'_>) -> Option<Result<Done>> {
    match call {
        "ScriptedModel" => Some(scripted(args)),
        "Model" => Some(model(args)),
        _ => None,
    }
}

fn scripted(args: &Args<'_>) -> Result<Done> {
    let script: ScriptedModel = models::scripted_list(args.get("replies"))?.named(args.get::<String>("id"));
    let options = ModelOptions { price: Some(Price::from_json(args.raw("price"))?), ..Default::default() };
    Ok(Done::made(Handle::Model(Model::new(script, options)?)))
}

fn model(args: &Args<'_>) -> Result<Done> {
    let name = match args.raw("name") {
        Value::String(name) => name.clone(),
        given => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents/models/tests/fixtures/local");
            let name = given["local"].as_str().expect("the name of a folder");
            format!("local:{}", folder.join(name).display())
        }
    };
    let options = ModelOptions { threads: args.maybe("threads"), ..Default::default() };
    Ok(Done::made(Handle::Model(Model::open(&name, options)?)))
}

/// Calls of a model.
pub fn on_model(model: &Model, call: &str, args: &Args<'_>) -> Result<Done> {
    const NAMES: [&str; 8] =
        ["messages", "tools", "tool_choice", "output", "repairs", "max_tokens", "temperature", "seed"];
    let mut given: Value = NAMES.into_iter().map(|name| (name.to_owned(), args.raw(name).clone())).collect();
    given["extra"] = args.raw("extra").clone();
    if let Some(text) = given["messages"].as_str() {
        given["messages"] = json!([{"role": "user", "content": text}]);
    }
    let request = models::request(Host::Python, given)?;
    let cancel = Cancel::new();
    let answer = match call {
        "complete" => reply(&models::reply(&model.complete(&request, &cancel)?)),
        "stream" => {
            let mut said = String::new();
            let mut events = Vec::new();
            for event in model.stream(&request, &cancel)? {
                let mut event = models::event(&event, Host::Python, &mut said);
                if let Some(result) = event.get("result") {
                    event["result"] = reply(result);
                }
                if let Some(code) = event.get("error").map(|error| error["code"].clone()) {
                    event["error"] = json!({"code": code});
                }
                events.push(event);
            }
            Value::Array(events)
        }
        "count_tokens" => models::count(model.count_tokens(&request)?),
        other => panic!("a model has no {other}"),
    };
    Ok(Done::answer(answer))
}

/// An answer without the members that each language has in its own way.
fn reply(whole: &Value) -> Value {
    let mut reply = whole.clone();
    let members = reply.as_object_mut().expect("an object");
    members.retain(|name, _| name != "message");
    reply
}
