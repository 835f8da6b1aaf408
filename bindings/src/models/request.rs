//! What does a host ask of a model?

use quorate_core::{Error, Result};
use quorate_models::{Message, Output, Request, ToolSpec};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Host, Options};

/// Reads a request: `messages`, `tools`, `tool_choice`, `output` (a JSON Schema) and its `repairs`, `max_tokens`,
/// `temperature`, `stop`, `seed`, `cache`, `extra`. Errors: `invalid_argument`, `empty_input`, `not_finite`.
pub fn request(host: Host, given: Value) -> Result<Request> {
    let mut options = Options::new(host, "options of a request", given)?;
    let messages = Message::list_from_json(&options.value("messages").unwrap_or_default())?;
    let tools = match options.value("tools") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.into_iter().enumerate().map(tool).collect::<Result<_>>()?,
        Some(other) => return Err(options.refuse("tools", &other, "a list of tools")),
    };
    let repairs: Option<u32> = options.take("repairs", "a whole number from 0 to 5")?;
    let output = match options.value("output") {
        None if repairs.is_some() => {
            return Err(Error::invalid("repairs are those of an output, and no output is asked for"));
        }
        None => None,
        Some(schema) => {
            let output = Output::new(schema)?;
            Some(if let Some(repairs) = repairs { output.repairs(repairs)? } else { output })
        }
    };
    let stop = match options.value("stop") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(value) => Vec::deserialize(&value)
            .map_err(|_| options.refuse("stop", &value, "a text or a list of texts"))?,
    };
    let request = Request {
        messages,
        tools,
        tool_choice: options
            .take("tool_choice", "one of auto, none, required, or the name of a tool")?
            .unwrap_or_default(),
        output,
        max_tokens: options.take("max_tokens", "a whole number from 1")?,
        temperature: options.take("temperature", "a number")?,
        stop,
        seed: options.take("seed", "a whole number from 0")?,
        cache: options.take("cache", "true or false")?.unwrap_or(false),
        most_billed: None,
        extra: options.take::<Map<String, Value>>("extra", "an object")?.unwrap_or_default(),
    };
    options.done()?;
    request.validate()?;
    Ok(request)
}

/// A tool, also in the form of the chat-completions interface.
fn tool((i, mut given): (usize, Value)) -> Result<ToolSpec> {
    if given["type"] == "function" && given["function"].is_object() {
        given = given["function"].take();
    }
    ToolSpec::deserialize(&given).map_err(|e| Error::invalid(format!("tools[{i}] is no tool: {e}")))
}
