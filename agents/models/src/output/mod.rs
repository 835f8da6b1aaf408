//! How does a model answer in a given form, and what happens when it does not?
//!
//! The form is a JSON Schema. The service guarantees it where it can; else the answer is the arguments of a tool that
//! the model must call; else the form stands in the prompt. In the end it is parsed strictly and checked against the
//! schema here, whatever the service guarantees; when it does not fit, the model is told why, a bounded number of times.

mod lenient;
mod schema;
mod work;

pub use lenient::lenient;
pub(crate) use schema::closed;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use quorate_core::{Code, Error, Result};
use serde_json::{Value, json};

use crate::message::{Message, Part, Role};
use crate::provider::OutputWay;
use crate::reply::{Finish, Reply};
use crate::request::{Request, ToolChoice, ToolSpec};

/// The tool by which a model answers in a form.
const ANSWER_TOOL: &str = "answer";

/// The form of an answer.
#[derive(Clone)]
pub struct Output {
    name: String,
    /// Shared: a request is copied with its form.
    schema: Arc<Value>,
    key: u64,
    repairs: u32,
    validator: Arc<schema::Validator>,
    more: Option<Arc<Check>>,
}

/// What refuses values that fit a schema.
type Check = dyn Fn(&Value) -> Result<()> + Send + Sync;

impl Output {
    /// The form that `schema` describes. Errors: `invalid_argument` when it is no JSON Schema, or one that points at
    /// other places (nothing is fetched).
    pub fn new(schema: Value) -> Result<Self> {
        if !schema.is_object() {
            return Err(Error::invalid(format!(
                "the form of an output is {}, expected a JSON Schema, an object",
                crate::message::kind(&schema)
            )));
        }
        let validator = schema::validator(&schema)?;
        let mut hasher = DefaultHasher::new();
        schema.to_string().hash(&mut hasher);
        let key = hasher.finish();
        let title = schema["title"].as_str().unwrap_or_default();
        let plain: String =
            title.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').take(64).collect();
        let name = if plain.is_empty() { ANSWER_TOOL.to_owned() } else { plain };
        Ok(Output {
            name,
            schema: Arc::new(schema),
            key,
            repairs: 2,
            validator: Arc::new(validator),
            more: None,
        })
    }

    /// The same with at most `repairs` further requests, 0 to 5, when the answer does not fit.
    /// Errors: `invalid_argument`.
    pub fn repairs(mut self, repairs: u32) -> Result<Self> {
        if repairs > 5 {
            return Err(Error::invalid(format!("repairs is {repairs}, expected 0 to 5")));
        }
        self.repairs = repairs;
        Ok(self)
    }

    /// The same, where a value that fits the schema is given to `check` too. What that refuses with code `output_invalid`
    /// the model may mend; another error ends the call.
    pub fn checked_by(mut self, check: impl Fn(&Value) -> Result<()> + Send + Sync + 'static) -> Self {
        self.more = Some(Arc::new(check));
        self
    }

    /// The JSON Schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// What services call the form.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same for equal schemas.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }

    pub(crate) fn most_repairs(&self) -> u32 {
        self.repairs
    }

    /// Reads an answer strictly: one JSON value and nothing else, which fits the schema.
    /// Errors: `output_invalid` with the path of the first fault, those of the further check.
    pub fn parse(&self, text: &str) -> Result<Value> {
        let value = serde_json::from_str(text)
            .map_err(|e| Error::new(Code::OutputInvalid, format!("the output is not JSON: {e}")))?;
        self.check(&value)?;
        Ok(value)
    }

    /// Errors: `output_invalid` with the path of the first fault, those of the further check; `invalid_argument` for a schema
    /// whose references multiply so that checking the value has no end in sight.
    pub fn check(&self, value: &Value) -> Result<()> {
        schema::bound(&self.validator, value)?;
        schema::check(&self.validator, value).map_err(|said| {
            Error::new(Code::OutputInvalid, format!("the output does not fit the schema: {said}"))
        })?;
        self.more.as_ref().map_or(Ok(()), |check| check(value))
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema && self.repairs == other.repairs
    }
}

/// Checks the arguments of a tool call against the tool's schema. Errors: `tool_arguments` with the path of the first
/// fault, `invalid_argument` when the schema is none, or its references multiply so that checking has no end in sight.
pub fn check_arguments(tool: &ToolSpec, arguments: &Value) -> Result<()> {
    let validator = schema::kept(&tool.schema)?;
    schema::bound(&validator, arguments)?;
    schema::check(&validator, arguments).map_err(|said| {
        Error::new(
            Code::ToolArguments,
            format!("the arguments of '{}' do not fit its schema: {said}", tool.name),
        )
    })
}

/// The request as it is sent when the form is asked for in this way.
pub(crate) fn prepare(request: &Request, way: OutputWay) -> Cow<'_, Request> {
    let Some(output) = request.output.clone().filter(|_| way != OutputWay::Native) else {
        return Cow::Borrowed(request);
    };
    let mut request = request.clone();
    match way {
        OutputWay::Native => {}
        OutputWay::Tool => {
            request.output = None;
            let alone = request.tools.is_empty();
            request.tools.push(ToolSpec {
                name: answer_tool(&request),
                description: "Give the final answer in this form.".into(),
                schema: as_object(&output.schema),
            });
            let name = request.tools.last().map(|tool| tool.name.clone()).unwrap_or_default();
            request.tool_choice = match request.tool_choice {
                ToolChoice::Named(first) => ToolChoice::Named(first),
                // Of the tools, only the one that answers is meant.
                ToolChoice::None => ToolChoice::Named(name),
                _ if alone => ToolChoice::Named(name),
                _ => ToolChoice::Required,
            };
        }
        OutputWay::Prompt => {
            request.output = None;
            let form = format!(
                "Answer with one JSON value and nothing else: no words before or after it, no code fence. It must fit this JSON Schema:\n{}",
                output.schema
            );
            match request.messages.iter_mut().find(|message| message.role == Role::System) {
                Some(system) => system.content.push(Part::text(format!("\n\n{form}"))),
                None => request.messages.insert(0, Message::system(form)),
            }
        }
    }
    Cow::Owned(request)
}

/// A name that no tool of the request has.
fn answer_tool(request: &Request) -> String {
    let taken = |name: &str| request.tools.iter().any(|tool| tool.name == name);
    let mut name = ANSWER_TOOL.to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}

/// Tools take objects; another form is put into one.
fn as_object(schema: &Value) -> Value {
    if is_object(schema) {
        return schema.clone();
    }
    let mut inner = schema.clone();
    // References begin at the root, so what they name stays there.
    let named: Vec<(&str, Value)> = ["$defs", "definitions"]
        .into_iter()
        .filter_map(|name| Some((name, inner.as_object_mut()?.remove(name)?)))
        .collect();
    let mut outer = json!({"type": "object", "properties": {"value": inner}, "required": ["value"], "additionalProperties": false});
    for (name, schemas) in named {
        outer[name] = schemas;
    }
    outer
}

fn is_object(schema: &Value) -> bool {
    schema["type"] == "object" || schema.get("properties").is_some()
}

/// Why an answer is not taken.
pub(crate) struct Complaint {
    pub(crate) error: Error,
    /// Whether telling the model may help. It does not when the answer was cut at its limit, or declined.
    pub(crate) mends: bool,
}

/// Puts the output of an answer into its place. An answer that calls other tools has none yet.
pub(crate) fn settle(request: &Request, way: OutputWay, reply: &mut Reply) -> Result<(), Complaint> {
    let Some(output) = &request.output else { return Ok(()) };
    let tool = answer_tool(request);
    let answered = way == OutputWay::Tool && reply.message.calls().any(|call| call.name == tool);
    if reply.finish == Some(Finish::ToolCalls) && !answered && reply.message.calls().next().is_some() {
        return Ok(());
    }
    let lasting = |code, message: String| Complaint { error: Error::new(code, message), mends: false };
    match reply.finish {
        Some(Finish::Length) => {
            let message = "the output is cut off: the answer reached its most tokens; raise max_tokens";
            return Err(lasting(Code::OutputInvalid, message.into()));
        }
        Some(Finish::Refusal) => {
            let said = reply.refusal().unwrap_or_else(|| reply.text());
            return Err(lasting(Code::ModelRefused, format!("the model declined: {said}")));
        }
        Some(Finish::Filtered) => {
            return Err(lasting(Code::ModelRefused, "the service withheld the answer".into()));
        }
        _ => {}
    }
    let mending = |error: Error| Complaint { mends: error.code() == Code::OutputInvalid, error };
    let value = if answered {
        let call = reply.message.calls().find(|call| call.name == tool);
        let call = call.ok_or_else(|| lasting(Code::Internal, "the answering call is gone".into()))?;
        if let Some(broken) = &call.broken {
            output.parse(broken).map_err(mending)?
        } else {
            let whole = Value::Object(call.arguments.clone());
            let value = if is_object(&output.schema) {
                whole
            } else {
                whole.get("value").cloned().unwrap_or_default()
            };
            output.check(&value).map_err(mending)?;
            value
        }
    } else {
        let text = reply.text();
        let text = if way == OutputWay::Native { text.as_str() } else { unfenced(&text) };
        output.parse(text).map_err(mending)?
    };
    if answered {
        let others = reply.message.calls().count().saturating_sub(1);
        if others > 0 {
            reply
                .warnings
                .push(format!("{others} tool calls beside the answer were not taken: it came first"));
        }
        // The call was the form of the answer; the conversation goes on with the answer itself.
        reply.message.content.retain(|part| !matches!(part, Part::ToolCall(_) | Part::Text(_)));
        reply.message.content.push(Part::text(value.to_string()));
        reply.finish = Some(Finish::Stop);
    }
    reply.output = Some(value);
    Ok(())
}

/// The request that asks the model to mend its answer.
pub(crate) fn repair(request: &Request, reply: &Reply, complaint: &Error) -> Request {
    let mut request = request.clone();
    let mut said = reply.text();
    for call in reply.message.calls() {
        said.push_str(
            &call.broken.clone().unwrap_or_else(|| Value::Object(call.arguments.clone()).to_string()),
        );
    }
    if !said.is_empty() {
        request.messages.push(Message::assistant(said));
    }
    request.messages.push(Message::user(format!(
        "That cannot be used: {}. Give the whole answer again, in the form that was asked for.",
        complaint.message()
    )));
    request
}

/// Whether a refusal is about how the form was asked for: it names a field, or says of the thing that it is not taken. A
/// word alone says nothing, since a refusal may quote the question.
pub(crate) fn is_about_form(error: &Error, way: OutputWay) -> bool {
    let said = error.message().to_lowercase();
    let (fields, things): (&[&str], &[&str]) = match way {
        OutputWay::Native => (
            &["response_format", "json_schema", "output_config", "output_format"],
            &["response format", "structured output", "json schema", "grammar"],
        ),
        OutputWay::Tool => {
            (&["tool_choice", "input_schema", "tools["], &["tools", "tool use", "tool call", "function call"])
        }
        OutputWay::Prompt => (&[], &[]),
    };
    error.code() == Code::RemoteFailed
        && (fields.iter().any(|field| said.contains(field))
            || things.iter().any(|thing| declines(&said, thing)))
}

/// Whether words of declining stand close to `thing`.
fn declines(said: &str, thing: &str) -> bool {
    let words = ["support", "fail", "parse", "invalid", "permit", "available", "unknown", "unrecognized"];
    said.match_indices(thing).any(|(at, _)| {
        let from = said.floor_char_boundary(at.saturating_sub(24));
        let to = said.ceil_char_boundary((at + thing.len() + 24).min(said.len()));
        words.iter().any(|word| said[from..to].contains(word))
    })
}

/// The text without a code fence around all of it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inner.and_then(|inner| inner.split_once('\n')) {
        Some((kind, inner)) if kind.trim().is_empty() || kind.trim().eq_ignore_ascii_case("json") => {
            inner.trim()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_references_name_stays_at_the_root() {
        let dose = json!({"type": "object", "properties": {"mg": {"type": "number"}}, "required": ["mg"]});
        let list = json!({"type": "array", "items": {"$ref": "#/$defs/Dose"}, "$defs": {"Dose": dose}});
        let wrapped = Output::new(as_object(&list)).unwrap();
        assert!(wrapped.check(&json!({"value": [{"mg": 5}]})).is_ok());
        assert!(wrapped.check(&json!({"value": [{"mg": "5"}]})).is_err());
    }
}
