//! How do hosts give tools and questions to experts, and get their answers?

mod answer;
mod evaluate;
mod mcp;
mod panel;
mod run;
mod talk;

pub use answer::{answer, event, failed, messages, pending, row};
pub use evaluate::{
    agent_comparison, agent_report, agent_report_of, agent_rows, change, evaluation, golden, judge, replayed,
    task, tasks, verdict,
};
pub use mcp::{mcp_changes, mcp_options, mcp_state};
pub use panel::{PanelModels, answer_of, check_member, page, panel, panel_options, resumed, rows, session};
pub use run::{Run, flow, flow_when, whole};
pub use talk::{conversation_options, facts, forgotten, said, turns};

use quorate_core::{Code, Error, Result};
use quorate_models::Message;
use quorate_runtime::{Budget, Decision, Question, ToolCard};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Host, Options};

/// What a run may spend: `max_cost`, `max_tokens`, `max_seconds`, `max_steps`, `max_tool_calls`, `unpriced`; `max_steps` is 20
/// where it is not given, and no limit where it is null. Errors: `invalid_argument`, `not_finite`.
pub fn budget(host: Host, given: Value) -> Result<Budget> {
    let budget = limits(host, given).map_err(|e| e.context("budget"))?;
    let names = ["max_cost", "max_tokens", "max_seconds", "max_steps"];
    budget.validate().map_err(|e| named(host, e, &names))?;
    Ok(budget)
}

fn limits(host: Host, given: Value) -> Result<Budget> {
    let mut options = Options::new(host, "options of a budget", given)?;
    let whole = "a whole number";
    let unpriced = match options.value("unpriced") {
        None => Default::default(),
        Some(value) => {
            read(&value).ok_or_else(|| options.refuse("unpriced", &value, "one of refuse, allow"))?
        }
    };
    let max_steps = match options.nullable("max_steps") {
        None => Budget::default().max_steps,
        Some(Value::Null) => None,
        Some(value) => Some(read(&value).ok_or_else(|| options.refuse("max_steps", &value, whole))?),
    };
    let budget = Budget {
        max_cost: options.take("max_cost", "a number of US dollars")?,
        max_tokens: options.take("max_tokens", whole)?,
        max_seconds: options.take("max_seconds", "a number of seconds")?,
        max_steps,
        max_tool_calls: options.take("max_tool_calls", whole)?,
        unpriced,
    };
    options.done()?;
    Ok(budget)
}

/// An error with these options as the host calls them.
pub(crate) fn named(host: Host, error: Error, options: &[impl AsRef<str>]) -> Error {
    if host == Host::Python {
        return error;
    }
    let name = |said: String, name: &str| said.replace(name, &host.name(name));
    let said = options.iter().fold(error.message().to_owned(), |said, one| name(said, one.as_ref()));
    Error::new(error.code(), said)
}

/// What is known of a tool: `name`, `description`, `schema`, `effect`, `approval`, `timeout`, `idempotent`,
/// `max_result_tokens`. Errors: `invalid_argument`.
pub fn card(host: Host, given: Value) -> Result<ToolCard> {
    let mut options = Options::new(host, "options of a tool", given)?;
    let Some(name) = options.take::<String>("name", "a text")? else {
        return Err(Error::invalid("a tool has no name"));
    };
    let description: Option<String> = options.take("description", "a text")?;
    let schema =
        options.value("schema").unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}}));
    let effect = match options.value("effect") {
        None => Default::default(),
        Some(value) => read(&value).ok_or_else(|| options.refuse("effect", &value, "one of read, write"))?,
    };
    let plain = ToolCard::new(name, description.unwrap_or_default(), schema);
    let card = ToolCard {
        effect,
        approval: options.take("approval", "true or false")?.unwrap_or(plain.approval),
        timeout: options.take("timeout", "a number of seconds")?.unwrap_or(plain.timeout),
        idempotent: options.take("idempotent", "true or false")?,
        max_result_tokens: options
            .take("max_result_tokens", "a whole number from 1")?
            .unwrap_or(plain.max_result_tokens),
        ..plain
    };
    options.done()?;
    card.validate().map_err(|e| named(host, e, &["max_result_tokens"]))?;
    Ok(card)
}

/// A question: `agent`, `autonomous`, `conversation` (messages), `output` (a JSON Schema), `where`, `budget`, `seed`,
/// `idempotency_key`, `trace_parent`. Tools, approval and cancellation are the host's. Errors: `invalid_argument`, `not_finite`.
pub fn question(host: Host, text: String, given: Value) -> Result<Question> {
    let mut options = Options::new(host, "options of a question", given)?;
    let conversation = match options.value("conversation") {
        None => Vec::new(),
        Some(Value::Array(none)) if none.is_empty() => Vec::new(),
        Some(messages) => Message::list_from_json(&messages)?,
    };
    let question = Question {
        agent: options.take("agent", "the id of an agent")?,
        autonomous: options.take("autonomous", "true or false")?.unwrap_or(false),
        conversation,
        output: options.value("output"),
        filter: options.value("where"),
        budget: options.value("budget").map(|given| budget(host, given)).transpose()?,
        seed: options.take("seed", "a whole number from 0")?.unwrap_or(0),
        idempotency_key: options.take("idempotency_key", "a text")?,
        trace_parent: options.take("trace_parent", "a W3C traceparent")?,
        ..Question::new(text)
    };
    options.done()?;
    Ok(question)
}

/// Decisions by the id of what waits. Errors: `invalid_argument`.
pub fn decisions(given: &Value) -> Result<Vec<(String, Decision)>> {
    match given {
        Value::Null => Ok(Vec::new()),
        Value::Object(decisions) => decisions
            .iter()
            .map(|(id, decision)| {
                let decision = Decision::from_json(decision);
                Ok((id.clone(), decision.map_err(|e| e.context(format_args!("decisions['{id}']")))?))
            })
            .collect(),
        other => Err(Error::invalid(format!(
            "decisions are {}; an object from ids of calls to decisions is expected",
            quorate_core::shorten(&other.to_string())
        ))),
    }
}

/// What a host's function said about a call that waits: a decision, or nothing, which leaves it waiting.
/// Errors: `invalid_argument`.
pub fn decision(given: &Value) -> Result<Option<Decision>> {
    match given {
        Value::Null => Ok(None),
        given => Decision::from_json(given).map(Some),
    }
}

/// On whose behalf a runtime asks: its own tenant, or that of its store. Errors: `tenant_violation` where they differ.
pub fn tenant(own: Option<String>, of_store: Option<&str>) -> Result<Option<String>> {
    match (own, of_store) {
        (Some(own), Some(store)) if own != store => Err(Error::new(
            Code::TenantViolation,
            format!("the store is that of tenant '{store}', and the runtime's tenant is '{own}'"),
        )),
        (own, store) => Ok(own.or_else(|| store.map(str::to_owned))),
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// Names of the host in the place of Rust's, but for what users have written.
pub(crate) fn renamed(host: Host, value: Value) -> Value {
    if host == Host::Python {
        return value;
    }
    match value {
        Value::Object(members) => {
            let rename = |(name, member): (String, Value)| {
                let member = if WRITTEN.contains(&name.as_str()) { member } else { renamed(host, member) };
                (host.name(&name), member)
            };
            Value::Object(members.into_iter().map(rename).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| renamed(host, item)).collect()),
        other => other,
    }
}

/// Members that hold what users, models and tools have written.
const WRITTEN: [&str; 8] =
    ["arguments", "output", "content", "message", "data", "position", "said", "shares"];
