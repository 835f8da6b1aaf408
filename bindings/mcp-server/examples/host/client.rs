//! How does quorate's client of the protocol do in the conformance tests?
//!
//! The tests start this with the address of their server, and name the scenario in a variable of the environment.

use std::sync::Arc;

use quorate::mcp::{McpOptions, McpTools};
use quorate::models::{Model, ModelOptions, ScriptedModel};
use quorate::runtime::{Question, Runtime, RuntimeOptions};
use serde_json::{Value, json};

use crate::Failed;

/// Reads the list of tools, and has each that the scenario asks for called by a run.
pub fn run(url: &str) -> Result<(), Failed> {
    let tools = McpTools::open(McpOptions { timeout: 20.0, ..McpOptions::url(url) })?;
    let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let arguments = match scenario.as_str() {
        "tools_call" => json!({"a": 5, "b": 3}),
        _ => json!({}),
    };
    for name in tools.names() {
        if scenario != "initialize" {
            call(&tools, &name, &arguments)?;
        }
    }
    tools.close();
    Ok(())
}

/// Has one tool called, by a model that asks for it.
fn call(tools: &McpTools, name: &str, arguments: &Value) -> Result<(), Failed> {
    let (asked, given) = (name.to_owned(), arguments.clone());
    let model = ScriptedModel::of_function(move |request, _| {
        let parts = request.messages.iter().flat_map(|message| &message.content);
        let answered = parts.into_iter().any(|part| part.to_json()["type"] == "tool_result");
        let reply = match answered {
            true => json!("done"),
            false => json!({"tool_calls": [{"id": "c1", "name": asked, "arguments": given}]}),
        };
        ScriptedModel::reply_from_json(&reply)
    });
    let model = Model::new(model, ModelOptions::default())?;
    let options = RuntimeOptions {
        model: Some(model),
        tools: vec![tools.set()],
        approve: Some(Arc::new(Yes)),
        ..RuntimeOptions::default()
    };
    let failed = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&failed);
    Runtime::new(options)?.ask_shown(Question::new("call it"), move |event| {
        if event.kind == "tool_result"
            && let (Some(error), Ok(mut told)) = (event.data["error"].as_str(), told.lock())
        {
            *told = Some(format!("{error}: {}", event.data["content"]));
        }
    })?;
    match failed.lock().map_err(|_| "a lock is broken")?.take() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

struct Yes;

impl quorate::runtime::Approve for Yes {
    fn decide(
        &self,
        _: &quorate::runtime::Pending,
        _: &quorate::Cancel,
    ) -> quorate::Result<Option<quorate::runtime::Decision>> {
        Ok(Some(quorate::runtime::Decision::Approve))
    }
}
