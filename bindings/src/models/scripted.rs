//! How do hosts write down what a model of tests says?

use quorate_core::{Code, Error, Result};
use quorate_models::{Reply, ScriptedModel};
use serde_json::Value;

use super::code;

/// A model that gives these replies in their order: texts, objects with `text` or `content`, `tool_calls`, `finish`,
/// `usage` and `model`, or errors, `{"error": {"code", "message"}}`. Errors: `invalid_argument` with the place.
pub fn scripted_list(replies: Vec<Value>) -> Result<ScriptedModel> {
    let read = |(i, value): (usize, &Value)| {
        let said = match failure(value) {
            Some(failure) => failure.map(Err),
            None => ScriptedModel::reply_from_json(value).map(Ok),
        };
        said.map_err(|e| e.context(format_args!("replies[{i}]")))
    };
    let results = replies.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    Ok(ScriptedModel::of_results(results))
}

/// What a host's function has answered. Errors: the one that it says, `invalid_argument`.
pub fn scripted_reply(value: &Value) -> Result<Reply> {
    match failure(value) {
        Some(failure) => failure.and_then(|(code, message)| Err(Error::new(code, message))),
        None => ScriptedModel::reply_from_json(value),
    }
}

/// The error that an answer says; none when it is no error.
fn failure(value: &Value) -> Option<Result<(Code, String)>> {
    let error = value.get("error")?;
    let (name, message) = (error["code"].as_str(), error["message"].as_str().unwrap_or_default());
    Some(match name {
        Some(name) => code(name).map(|code| (code, message.to_owned())),
        None => Err(Error::invalid("the error of a reply has no code")),
    })
}
