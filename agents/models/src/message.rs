//! What do people, models and tools say to one another, whatever service stands behind?
//!
//! One neutral form, JSON in and out; its published schema is `schema/message.schema.json`. What a service wants back
//! as it was (signed reasoning, its own tools' blocks) is kept opaque, with the source that it goes back to.

mod read;

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The JSON Schema of one message.
pub const MESSAGE_SCHEMA: &str = include_str!("../schema/message.schema.json");

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The host: how the model shall behave.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// Results of tool calls.
    Tool,
}

/// One message.
///
/// ```
/// use quorate_models::{Message, Role};
/// let message = Message::from_json(&serde_json::json!({"role": "user", "content": "Which dose?"}))?;
/// assert_eq!(message, Message::user("Which dose?"));
/// assert_eq!(message.to_json()["content"], "Which dose?");
/// assert_eq!(Message::from_json(&serde_json::json!({"role": "king", "content": ""})).unwrap_err().code().as_str(), "invalid_argument");
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Part>,
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text(Text),
    /// An image by reference; it is never fetched here.
    Image(Image),
    /// The model asks for a tool to be run.
    ToolCall(ToolCall),
    /// What a tool gave.
    ToolResult(ToolResult),
    /// What the model thought before it spoke.
    Reasoning(Reasoning),
    /// The words by which the model declined.
    Refusal(String),
    /// Something of one service alone, as it came; it goes back only to where it came from.
    Opaque(Opaque),
}

/// Text, with a mark for prompt caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Ask the service to keep what it has read up to here, where it must be asked for that.
    pub cache: Option<CacheFor>,
}

/// How long a service shall keep what it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CacheFor {
    /// Five minutes.
    #[serde(rename = "5m")]
    Minutes5,
    /// One hour.
    #[serde(rename = "1h")]
    Hour1,
}

/// An image by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// An address (`https://...`), or the image itself as a `data:` URL in base64.
    pub url: String,
    /// How closely to look, for services that ask: `low`, `high` or `auto`.
    pub detail: Option<String>,
}

/// A tool call as the model wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Names the call within its conversation; never empty, never twice in a reply.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments: an object. Empty when `broken` is there.
    pub arguments: Map<String, Value>,
    /// What the model wrote, when that is not strictly a JSON object or may be incomplete. Such a call must not run.
    pub broken: Option<String>,
}

/// The result of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolResult {
    /// The call that it answers.
    pub tool_call_id: String,
    /// What the tool gave, as the model shall read it.
    pub content: String,
    /// Whether the tool failed.
    pub error: bool,
    /// A mark for prompt caches, as on text.
    pub cache: Option<CacheFor>,
}

/// Reasoning that came before an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The service that it came from and that may want it back.
    pub source: String,
    /// What can be read of it; may be empty.
    pub text: String,
    /// Signatures and sealed parts, as they came.
    pub data: Map<String, Value>,
}

/// A block of one service alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opaque {
    /// The service that it came from.
    pub source: String,
    /// The block as it came.
    pub data: Value,
}

impl Message {
    /// A system message of one text.
    pub fn system(text: impl Into<String>) -> Self {
        Message { role: Role::System, content: vec![Part::text(text)] }
    }

    /// A user's message of one text.
    pub fn user(text: impl Into<String>) -> Self {
        Message { role: Role::User, content: vec![Part::text(text)] }
    }

    /// A model's message of one text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Message { role: Role::Assistant, content: vec![Part::text(text)] }
    }

    /// The result of a tool call.
    pub fn tool(call: impl Into<String>, content: impl Into<String>) -> Self {
        let result = ToolResult { tool_call_id: call.into(), content: content.into(), ..Default::default() };
        Message { role: Role::Tool, content: vec![Part::ToolResult(result)] }
    }

    /// The texts of the message, joined; refusals and reasoning are not among them.
    pub fn text(&self) -> String {
        self.content.iter().filter_map(Part::as_text).collect()
    }

    /// The tool calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.content.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// Reads messages from a text (one user's message) or a list of message objects. The forms of the chat-completions
    /// interface are understood too: `tool_calls` and `tool_call_id` beside the content, `image_url`, the role
    /// `developer`. Errors: `invalid_argument` with the place, `empty_input`.
    pub fn list_from_json(value: &Value) -> Result<Vec<Message>> {
        let messages = match value {
            Value::String(text) => vec![Message::user(text.as_str())],
            Value::Array(items) => {
                let read = |(i, item)| {
                    Message::from_json(item).map_err(|e: Error| e.context(format_args!("messages[{i}]")))
                };
                items.iter().enumerate().map(read).collect::<Result<_>>()?
            }
            other => {
                return Err(Error::invalid(format!(
                    "messages are {}, expected a text or a list of messages",
                    kind(other)
                )));
            }
        };
        if messages.is_empty() {
            return Err(Error::new(Code::EmptyInput, "there are no messages"));
        }
        Ok(messages)
    }

    /// Whether the parts are such as this role says, so that no wire has to leave one out. Errors: `invalid_argument`.
    pub(crate) fn validate(&self) -> Result<()> {
        let role = self.role;
        for part in &self.content {
            let fits = match part {
                Part::ToolCall(call) => {
                    if call.arguments.values().any(is_deep) {
                        return Err(too_deep("arguments"));
                    }
                    role == Role::Assistant
                }
                Part::Reasoning(reasoning) => {
                    if reasoning.data.values().any(is_deep) {
                        return Err(too_deep("data"));
                    }
                    role == Role::Assistant
                }
                Part::Opaque(opaque) => {
                    not_deep("data", &opaque.data)?;
                    role == Role::Assistant
                }
                Part::Refusal(_) => role == Role::Assistant,
                Part::ToolResult(_) => role == Role::Tool,
                Part::Image(_) => role == Role::User,
                Part::Text(_) => role != Role::Tool,
            };
            if !fits {
                let what = part.to_json()["type"].as_str().unwrap_or_default().to_owned();
                let said = json!(role).as_str().unwrap_or_default().to_owned();
                let hint = if role == Role::Tool { "; a tool's message needs tool_call_id" } else { "" };
                return Err(Error::invalid(format!(
                    "a message with the role {said} cannot hold a {what}{hint}"
                )));
            }
        }
        Ok(())
    }

    /// Reads one message. Errors: `invalid_argument` with the place.
    pub fn from_json(value: &Value) -> Result<Message> {
        read::message(value)
    }

    /// The message as JSON: content that is one unmarked text is a string, everything else a list of parts.
    pub fn to_json(&self) -> Value {
        let content = match self.content.as_slice() {
            [Part::Text(Text { text, cache: None })] => json!(text),
            parts => Value::Array(parts.iter().map(Part::to_json).collect()),
        };
        json!({"role": self.role, "content": content})
    }
}

impl Part {
    /// Text without a mark.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text(Text { text: text.into(), cache: None })
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Part::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The part as JSON.
    pub fn to_json(&self) -> Value {
        let mut out = match self {
            Part::Text(text) => json!({"type": "text", "text": text.text}),
            Part::Image(image) => json!({"type": "image", "url": image.url}),
            Part::ToolCall(call) => {
                json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
            }
            Part::ToolResult(result) => {
                json!({"type": "tool_result", "tool_call_id": result.tool_call_id, "content": result.content})
            }
            Part::Reasoning(reasoning) => {
                json!({"type": "reasoning", "source": reasoning.source, "text": reasoning.text, "data": reasoning.data})
            }
            Part::Refusal(text) => json!({"type": "refusal", "text": text}),
            Part::Opaque(opaque) => json!({"type": "opaque", "source": opaque.source, "data": opaque.data}),
        };
        let mut put = |name: &str, value: Value| {
            if let Some(object) = out.as_object_mut() {
                object.insert(name.to_owned(), value);
            }
        };
        match self {
            Part::Text(Text { cache: Some(cache), .. })
            | Part::ToolResult(ToolResult { cache: Some(cache), .. }) => {
                put("cache", json!(cache));
            }
            Part::Image(Image { detail: Some(detail), .. }) => put("detail", json!(detail)),
            Part::ToolCall(ToolCall { broken: Some(broken), .. }) => put("broken", json!(broken)),
            _ => {}
        }
        if let Part::ToolResult(ToolResult { error: true, .. }) = self {
            put("error", json!(true));
        }
        out
    }
}

impl ToolCall {
    /// A call whose arguments are read strictly: a JSON object, nested at most 64 deep, with no whole number that 64 bits
    /// do not hold, and nothing after it. Nothing at all is an empty object, as services write it for tools without
    /// arguments.
    pub fn read(id: impl Into<String>, name: impl Into<String>, written: &str) -> Self {
        let mut call = ToolCall { id: id.into(), name: name.into(), arguments: Map::new(), broken: None };
        if !written.trim().is_empty() {
            match serde_json::from_str(written) {
                Ok(value @ Value::Object(_)) if is_deep(&value) || has_huge_number(written) => {
                    call.broken = Some(written.to_owned())
                }
                Ok(Value::Object(arguments)) => call.arguments = arguments,
                _ => call.broken = Some(written.to_owned()),
            }
        }
        call
    }
}

/// Whether a text of JSON has a whole number that 64 bits do not hold: it would be read as another one.
fn has_huge_number(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let rest = &json[at..];
                let end = rest.find(|c: char| !matches!(c, '-' | '+' | '.' | '0'..='9' | 'e' | 'E'));
                let number = &rest[..end.unwrap_or(rest.len())];
                let whole = !number.contains(['.', 'e', 'E']);
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return true;
                }
                at += number.len();
            }
            _ => at += 1,
        }
    }
    false
}

/// The deepest nesting of a value that a message or a request holds. Readers of JSON stop at about 128, and what was
/// read once is written into requests and recordings that nest it deeper.
const MAX_DEPTH: usize = 64;

/// Whether a value is nested deeper than messages and requests hold.
pub(crate) fn is_deep(value: &Value) -> bool {
    fn deeper(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left == 0 || items.iter().any(|item| deeper(item, left - 1)),
            Value::Object(fields) => left == 0 || fields.values().any(|item| deeper(item, left - 1)),
            _ => false,
        }
    }
    deeper(value, MAX_DEPTH)
}

/// Errors: `invalid_argument` for a value that is nested too deep.
pub(crate) fn not_deep(what: &str, value: &Value) -> Result<()> {
    if is_deep(value) { Err(too_deep(what)) } else { Ok(()) }
}

fn too_deep(what: &str) -> Error {
    Error::invalid(format!("{what}: lists and objects within one another, over {MAX_DEPTH} deep"))
}

/// What kind of JSON value it is, for messages to people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Serialize for Message {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Message::from_json(&value).map_err(|e| serde::de::Error::custom(e.message()))
    }
}
