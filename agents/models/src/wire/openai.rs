//! How are the chat-completions interface of OpenAI, and the many servers that speak it, written and read?
//!
//! Servers differ in more than the interface says: reasoning beside the content in `reasoning_content` or `reasoning`,
//! content as a list of parts, arguments as an object, calls without numbers or ids, usage beside, after or without the
//! finish. All of it is read; what is written is the common part, so that each of them takes it.

use std::collections::VecDeque;
use std::fmt;

use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::failure::inside;
use super::{Ask, Decoder, Wire, add_extra, count};
use crate::assembly::Assembly;
use crate::history;
use crate::message::{Message, Part, Role, Text};
use crate::output;
use crate::provider::{Failure, OutputWay, Piece};
use crate::reply::{Finish, Reply, Usage};
use crate::request::{Request, ToolChoice};

const BASE: &str = "https://api.openai.com/v1";

pub(super) struct OpenAi;

impl Wire for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn base(&self) -> String {
        std::env::var("OPENAI_BASE_URL").ok().filter(|url| !url.is_empty()).unwrap_or_else(|| BASE.into())
    }

    fn key(&self) -> Option<String> {
        std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty())
    }

    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn body(&self, ask: &Ask<'_>) -> Result<Value> {
        let request = ask.request;
        let mut messages = Vec::new();
        for message in history::mend(&request.messages) {
            write_message(&message, ask.source, &mut messages);
        }
        let mut body = json!({"model": ask.model, "messages": messages});
        let mut put = |name: &str, value: Value| {
            body[name] = value;
        };
        if ask.stream {
            put("stream", json!(true));
            put("stream_options", json!({"include_usage": true}));
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let mut function = json!({"name": tool.name, "parameters": tool.schema});
                if !tool.description.is_empty() {
                    function["description"] = json!(tool.description);
                }
                json!({"type": "function", "function": function})
            });
            put("tools", Value::Array(tools.collect()));
            match &request.tool_choice {
                ToolChoice::Auto => {}
                ToolChoice::None => put("tool_choice", json!("none")),
                ToolChoice::Required => put("tool_choice", json!("required")),
                ToolChoice::Named(name) => {
                    put("tool_choice", json!({"type": "function", "function": {"name": name}}));
                }
            }
        }
        if let Some(output) = &request.output {
            let schema = output.schema();
            let strict = output::closed(schema, true);
            let form = json!({"name": output.name(), "schema": schema, "strict": strict});
            put("response_format", json!({"type": "json_schema", "json_schema": form}));
        }
        if let Some(most) = request.max_tokens {
            // Newer models of the original service know one name only, other servers only the older one.
            put(
                if ask.original && self.base() == BASE { "max_completion_tokens" } else { "max_tokens" },
                json!(most),
            );
        }
        if let Some(temperature) = request.temperature {
            put("temperature", json!(temperature));
        }
        if !request.stop.is_empty() {
            put("stop", json!(request.stop));
        }
        if let Some(seed) = request.seed {
            put("seed", json!(seed));
        }
        add_extra(&mut body, request);
        Ok(body)
    }

    fn ignored(&self, _request: &Request) -> Vec<String> {
        Vec::new()
    }

    fn output_way(&self, _request: &Request) -> OutputWay {
        OutputWay::Native
    }

    fn whole(&self, body: &[u8], source: &str) -> Result<Reply, Failure> {
        let invalid = |what: String| Failure::lasting(Error::new(Code::RemoteInvalid, what));
        let value: Value =
            serde_json::from_slice(body).map_err(|e| invalid(format!("the answer is no JSON: {e}")))?;
        if let Some(failure) = inside(&value) {
            return Err(failure);
        }
        let chunk: Chunk = serde_json::from_value(value)
            .map_err(|e| invalid(format!("the answer is not as the interface says: {e}")))?;
        let mut reader = Reader::new(source);
        let mut out = VecDeque::new();
        if chunk.choices.is_empty() {
            return Err(invalid("the answer holds no choice".into()));
        }
        reader.chunk(chunk, &mut out).map_err(|failure| failure.counted(reader.assembly.usage))?;
        if reader.assembly.finish.is_none() {
            return Err(Failure::passing(Error::new(
                Code::StreamIncomplete,
                "the service closed the answer without saying why it ended",
            ))
            .counted(reader.assembly.usage));
        }
        Ok(reader.assembly.whole())
    }

    fn decoder(&self, source: &str) -> Box<dyn Decoder> {
        Box::new(Reader::new(source))
    }
}

/// Writes one message of the neutral form as one or, for results of tools, several of the interface.
fn write_message(message: &Message, source: &str, out: &mut Vec<Value>) {
    let mut written = Map::new();
    match message.role {
        Role::Tool => {
            for part in &message.content {
                if let Part::ToolResult(result) = part {
                    let content = if result.error {
                        format!("Error: {}", result.content)
                    } else {
                        result.content.clone()
                    };
                    out.push(
                        json!({"role": "tool", "tool_call_id": result.tool_call_id, "content": content}),
                    );
                }
            }
            return;
        }
        Role::System | Role::User => {
            let role = if message.role == Role::System { "system" } else { "user" };
            written.insert("role".into(), json!(role));
            written.insert("content".into(), content(message));
        }
        Role::Assistant => {
            written.insert("role".into(), json!("assistant"));
            let mut text = message.text();
            let mut calls = Vec::new();
            for part in &message.content {
                match part {
                    Part::Refusal(words) => text.push_str(words),
                    Part::ToolCall(call) => {
                        let arguments = Value::Object(call.arguments.clone()).to_string();
                        let function = json!({"name": call.name, "arguments": arguments});
                        calls.push(json!({"id": call.id, "type": "function", "function": function}));
                    }
                    Part::Reasoning(reasoning) if reasoning.source == source => {
                        let field = reasoning.data.get("field").and_then(Value::as_str);
                        let field = field.unwrap_or("reasoning_content").to_owned();
                        match written.get_mut(&field) {
                            Some(Value::String(before)) => before.push_str(&reasoning.text),
                            _ => {
                                written.insert(field, json!(reasoning.text));
                            }
                        }
                        if let Some(details) = reasoning.data.get("details") {
                            written.insert("reasoning_details".into(), details.clone());
                        }
                    }
                    _ => {}
                }
            }
            let silent = text.is_empty() && !calls.is_empty();
            written.insert("content".into(), if silent { Value::Null } else { json!(text) });
            if !calls.is_empty() {
                written.insert("tool_calls".into(), Value::Array(calls));
            }
        }
    }
    out.push(Value::Object(written));
}

fn content(message: &Message) -> Value {
    let only_text = message.content.iter().all(|part| matches!(part, Part::Text(_)));
    if only_text && message.content.len() == 1 {
        return json!(message.text());
    }
    let parts = message.content.iter().filter_map(|part| match part {
        Part::Text(Text { text, .. }) => Some(json!({"type": "text", "text": text})),
        Part::Image(image) => {
            let mut inner = json!({"url": image.url});
            if let Some(detail) = &image.detail {
                inner["detail"] = json!(detail);
            }
            Some(json!({"type": "image_url", "image_url": inner}))
        }
        _ => None,
    });
    Value::Array(parts.collect())
}

/// A whole answer and one event of a stream are alike: `message` in one is `delta` in the other.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "or_default")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    model: Option<String>,
    /// Usage as one server sends it in streams.
    #[serde(default)]
    x_groq: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "or_default")]
    index: u64,
    #[serde(default, deserialize_with = "or_default", alias = "message")]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Content,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<Value>,
    #[serde(default)]
    reasoning_details: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    tool_calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    function: Function,
}

#[derive(Default, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Content: a text, nothing, or a list of parts.
#[derive(Default)]
enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Value>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list of parts or null")
            }
            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::None)
            }
            fn visit_none<E>(self) -> Result<Content, E> {
                Ok(Content::None)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Content, D::Error> {
                inner.deserialize_any(self)
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

/// Reads chunks into an answer.
struct Reader {
    source: String,
    assembly: Assembly,
    done: bool,
}

impl Reader {
    fn new(source: &str) -> Self {
        Reader { source: source.to_owned(), assembly: Assembly::default(), done: false }
    }

    fn chunk(&mut self, chunk: Chunk, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        if let Some(model) = chunk.model.filter(|model| !model.is_empty() && self.assembly.model.is_empty()) {
            self.assembly.model = model;
        }
        self.usage(chunk.usage.as_ref());
        self.usage(chunk.x_groq.as_ref().and_then(|own| own.get("usage")));
        for choice in chunk.choices {
            // One answer was asked for; others than the first come only where the caller's own fields ask for them.
            if choice.index != 0 {
                continue;
            }
            self.usage(choice.usage.as_ref());
            self.delta(choice.delta, out);
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish(&reason, out)?;
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta, out: &mut VecDeque<Piece>) {
        let (words, field) = match (delta.reasoning_content, delta.reasoning) {
            (Some(words), _) if !words.is_empty() => (words, "reasoning_content"),
            (_, Some(Value::String(words))) => (words, "reasoning"),
            _ => (String::new(), ""),
        };
        self.reason(&words, field, out);
        if let Some(Value::Array(details)) = delta.reasoning_details {
            self.details(details);
        }
        match delta.content {
            Content::None => {}
            Content::Text(text) => self.say(text, out),
            Content::Parts(parts) => {
                for part in parts {
                    let inner = |name: &str| part.get(name).map(words_of).unwrap_or_default();
                    match part.get("type").and_then(Value::as_str) {
                        Some("thinking" | "reasoning") => {
                            self.reason(&inner("thinking"), "reasoning_content", out)
                        }
                        _ => self.say(inner("text"), out),
                    }
                }
            }
        }
        if let Some(words) = delta.refusal.filter(|words| !words.is_empty()) {
            self.assembly.refusal(&words);
            out.push_back(Piece::Refusal(words));
        }
        for call in delta.tool_calls {
            let written = match call.function.arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
            };
            let id = call.id.filter(|id| id != "null").unwrap_or_default();
            let name = call.function.name.unwrap_or_default();
            out.push_back(self.assembly.call(call.index, &id, &name, &written));
        }
    }

    fn say(&mut self, text: String, out: &mut VecDeque<Piece>) {
        if !text.is_empty() {
            self.assembly.text(&text);
            out.push_back(Piece::Text(text));
        }
    }

    fn reason(&mut self, words: &str, field: &str, out: &mut VecDeque<Piece>) {
        if !words.is_empty() {
            self.assembly.reasoning(&self.source, field, words);
            out.push_back(Piece::Reasoning(words.to_owned()));
        }
    }

    /// Reasoning that the service wants back as it came.
    fn details(&mut self, mut details: Vec<Value>) {
        if details.is_empty() {
            return;
        }
        if self.assembly.last_reasoning().is_none() {
            let mut reasoning =
                crate::message::Reasoning { source: self.source.clone(), ..Default::default() };
            reasoning.data.insert("field".into(), json!("reasoning"));
            self.assembly.new_reasoning(reasoning, true);
        }
        if let Some(reasoning) = self.assembly.last_reasoning() {
            match reasoning.data.get_mut("details") {
                Some(Value::Array(before)) => before.append(&mut details),
                _ => {
                    reasoning.data.insert("details".into(), Value::Array(details));
                }
            }
        }
    }

    fn finish(&mut self, reason: &str, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        let finish = match reason {
            "stop" | "eos" | "end_turn" | "stop_sequence" | "COMPLETE" | "STOP" => Finish::Stop,
            "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
            "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Finish::Length,
            "content_filter" | "safety" | "SAFETY" => Finish::Filtered,
            "refusal" => Finish::Refusal,
            // The service gave up in the middle.
            "error" | "insufficient_system_resource" => {
                let message = format!("the service broke off its answer ('{reason}')");
                return Err(Failure::passing(Error::new(Code::StreamIncomplete, message)));
            }
            other => {
                let other: String = other.chars().take(60).collect();
                out.push_back(
                    self.assembly
                        .warn(format!("the answer ended for a reason that is not known: '{other}'"), false),
                );
                Finish::Stop
            }
        };
        self.assembly.finish = Some(finish);
        Ok(())
    }

    /// Counts are totals so far: later ones replace earlier ones.
    fn usage(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let input = count(&usage["prompt_tokens"]);
        let written = count(&usage["completion_tokens"]);
        let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]);
        // Some services count reasoning beside the answer; the total tells.
        let beside = reasoning > 0 && count(&usage["total_tokens"]) == input + written + reasoning;
        self.assembly.usage = Usage {
            input,
            output: if beside { written + reasoning } else { written },
            cached: count(&usage["prompt_tokens_details"]["cached_tokens"])
                .max(count(&usage["prompt_cache_hit_tokens"])),
            cache_written: count(&usage["prompt_tokens_details"]["cache_write_tokens"]),
            cache_written_1h: 0,
            reasoning,
        };
        self.assembly.usage_seen = true;
    }
}

/// The words in a text, or in a list of parts with texts.
fn words_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().map(|part| part.get("text").map(words_of).unwrap_or_default()).collect()
        }
        _ => String::new(),
    }
}

impl Decoder for Reader {
    fn event(&mut self, event: &str, data: &str, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        if data.trim_start().starts_with("[DONE]") {
            self.done = true;
            return Ok(());
        }
        match serde_json::from_str::<Chunk>(data) {
            // An error has no choices; everything else without them is usage or a sign of life.
            Ok(chunk) if chunk.choices.is_empty() => {
                let value: Value = serde_json::from_str(data).unwrap_or_default();
                match inside(&value) {
                    Some(failure) => Err(failure),
                    None => self.chunk(chunk, out),
                }
            }
            Ok(chunk) => {
                // Some services put an error beside the last choice.
                if data.contains("\"error\"")
                    && let Some(failure) = serde_json::from_str::<Value>(data).ok().as_ref().and_then(inside)
                {
                    return Err(failure);
                }
                self.chunk(chunk, out)
            }
            Err(_) if event == "error" => {
                let value = serde_json::from_str(data).unwrap_or_else(|_| json!({"error": data}));
                Err(inside(&value).unwrap_or_else(|| {
                    Failure::passing(Error::new(Code::RemoteFailed, "the service answered with an error"))
                }))
            }
            Err(_) => {
                // Its words are not shown: a service may send back what it was sent.
                let message = format!("an event of the stream could not be read ({} bytes)", data.len());
                out.push_back(self.assembly.warn(message, true));
                Ok(())
            }
        }
    }

    fn done(&self) -> bool {
        self.done
    }

    fn whole_at_close(&self) -> bool {
        // Usage comes last, so with it nothing is missing but the closing word, which some servers do not send.
        self.assembly.finish.is_some() && self.assembly.usage_seen
    }

    fn assembly(&mut self) -> &mut Assembly {
        &mut self.assembly
    }
}
