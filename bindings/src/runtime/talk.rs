//! How do hosts hold conversations, and keep facts about users?

use quorate_core::{Error, Result};
use quorate_models::Message;
use quorate_runtime::{ConversationOptions, Fact, Turn};
use serde_json::{Value, json};

use super::renamed;
use crate::{Host, Options};

/// How a conversation is kept: `user`, `max_tokens`, `keep`. Errors: `invalid_argument`.
pub fn conversation_options(host: Host, given: Value) -> Result<ConversationOptions> {
    let mut options = Options::new(host, "options of a conversation", given)?;
    let defaults = ConversationOptions::default();
    let keep = match options.value("keep") {
        None => defaults.keep,
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| options.refuse("keep", &value, "one of window, summary, recall"))?,
    };
    let read = ConversationOptions {
        user: options.take("user", "a name")?,
        max_tokens: options.take("max_tokens", "a whole number from 1")?.unwrap_or(defaults.max_tokens),
        keep,
    };
    options.done()?;
    Ok(read)
}

/// The turns of a conversation.
pub fn turns(host: Host, turns: &[Turn]) -> Value {
    let turn = |turn: &Turn| {
        let messages: Value = turn.messages.iter().map(Message::to_json).collect();
        let mut out = renamed(host, json!({"id": turn.id, "run_id": turn.run_id, "time": turn.time}));
        out["messages"] = messages;
        out
    };
    turns.iter().map(turn).collect()
}

/// Facts about a user.
pub fn facts(facts: &[Fact]) -> Value {
    json!(facts)
}

/// Messages of a host. Errors: `invalid_argument`, `empty_input`.
pub fn said(messages: &Value) -> Result<Vec<Message>> {
    Message::list_from_json(messages)
}

/// The ids of turns or runs that are to be forgotten; none: all. Errors: `invalid_argument`.
pub fn forgotten(given: &Value) -> Result<Option<Vec<String>>> {
    match given {
        Value::Null => Ok(None),
        Value::String(id) => Ok(Some(vec![id.clone()])),
        other => serde_json::from_value(other.clone()).map(Some).map_err(|_| {
            Error::invalid(
                "what is to be forgotten is no list of ids of turns or runs; nothing is given for all",
            )
        }),
    }
}
