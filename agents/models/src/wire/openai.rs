//! How are the chat-completions interface of OpenAI, and the many servers that speak it, written and read?
//!
//! Servers differ in more than the interface says: reasoning beside the content in `reasoning_content` or `reasoning`,
//! content as a list of parts, arguments as an object, calls without numbers or ids, usage beside, after or without the
//! finish. All of it is read; what is written is the common part, so that each of them takes it.

use std::collections::VecDeque;

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::chunk::{Call, Chunk, Content, Delta};
use super::failure::{self, inside};
use super::{Ask, Decoder, Wire, add_extra, known_count};
use crate::assembly::{Assembly, weight};
use crate::history;
use crate::message::{Message, Part, Role, Text, is_deep};
use crate::output;
use crate::provider::{Failure, OutputWay, Piece};
use crate::reply::{Finish, Reply, Usage};
use crate::request::{Request, ToolChoice};

const BASE: &str = "https://api.openai.com/v1";

/// The number of the call of the older interface, which has none.
const OLDER: u64 = u64::MAX;

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
        let mut chunk = match serde_json::from_slice::<Chunk>(body) {
            Ok(chunk) if !chunk.may_be_error() => chunk,
            _ => {
                let value: Value = serde_json::from_slice(body)
                    .map_err(|e| invalid(format!("the answer is no JSON: {e}")))?;
                if let Some(failure) = inside(&value) {
                    return Err(failure);
                }
                serde_json::from_value(value)
                    .map_err(|e| invalid(format!("the answer is not as the interface says: {e}")))?
            }
        };
        if chunk.choices.is_empty() {
            return Err(invalid("the answer holds no choice".into()));
        }
        for choice in &mut chunk.choices {
            // Here the message is all of the answer, and each of its calls stands for itself.
            let mut message = choice.message.take().or(choice.delta.take()).unwrap_or_default();
            for (number, call) in (0..).zip(&mut message.tool_calls) {
                call.index = Some(number);
            }
            choice.message = Some(message);
        }
        let mut reader = Reader::new(source);
        reader
            .chunk(chunk, &mut VecDeque::new())
            .map_err(|failure| failure.counted(reader.assembly.usage))?;
        reader.assembly.whole()
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
                        if let Some(Value::Array(more)) = reasoning.data.get("details") {
                            let details = written.entry("reasoning_details").or_insert_with(|| json!([]));
                            if let Some(details) = details.as_array_mut() {
                                details.extend_from_slice(more);
                            }
                        }
                    }
                    _ => {}
                }
            }
            if text.is_empty() && calls.is_empty() {
                // It said nothing that a service reads.
                return;
            }
            let silent = text.is_empty();
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

/// Reads chunks into an answer.
struct Reader {
    source: String,
    assembly: Assembly,
    counts: Counts,
    done: bool,
}

/// What the service has counted so far.
#[derive(Default)]
struct Counts {
    input: u64,
    written: u64,
    cached: u64,
    cache_written: u64,
    reasoning: u64,
    /// The total says that the reasoning is not part of what was written.
    beside: bool,
}

impl Reader {
    fn new(source: &str) -> Self {
        Reader {
            source: source.to_owned(),
            assembly: Assembly::default(),
            counts: Counts::default(),
            done: false,
        }
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
            if let Some(delta) = choice.delta.or(choice.message) {
                self.delta(delta, out)?;
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty() && reason != "null")
            {
                self.finish(&reason, out)?;
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        let (words, field) = match (delta.reasoning_content, delta.reasoning) {
            (Some(words), _) if !words.is_empty() => (words, "reasoning_content"),
            (_, Some(Value::String(words))) => (words, "reasoning"),
            _ => (String::new(), ""),
        };
        self.reason(&words, field, out);
        if let Some(Value::Array(details)) = delta.reasoning_details {
            self.details(details, out);
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
        // Some services give a call in both forms, or the older one with nothing in it.
        let older =
            delta.function_call.filter(|function| delta.tool_calls.is_empty() && !function.is_empty());
        let older = older.map(|function| Call { index: Some(OLDER), id: None, function });
        for call in delta.tool_calls.into_iter().chain(older) {
            let written = match call.function.arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
            };
            let id = call.id.filter(|id| id != "null").unwrap_or_default();
            let name = call.function.name.unwrap_or_default();
            out.push_back(self.assembly.call(call.index, &id, &name, &written)?);
        }
        Ok(())
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
    fn details(&mut self, mut details: Vec<Value>, out: &mut VecDeque<Piece>) {
        let came = details.len();
        details.retain(|detail| !is_deep(detail));
        if details.len() < came {
            out.push_back(
                self.assembly.warn("details of the reasoning are nested too deep to be kept".into(), false),
            );
        }
        if details.is_empty() {
            return;
        }
        if self.assembly.last_reasoning(0).is_none() {
            let mut reasoning =
                crate::message::Reasoning { source: self.source.clone(), ..Default::default() };
            reasoning.data.insert("field".into(), json!("reasoning"));
            self.assembly.new_reasoning(reasoning, true);
        }
        let bytes = details.iter().map(weight).sum();
        if let Some(reasoning) = self.assembly.last_reasoning(bytes) {
            match reasoning.data.get_mut("details") {
                Some(Value::Array(before)) => before.append(&mut details),
                _ => {
                    reasoning.data.insert("details".into(), Value::Array(details));
                }
            }
        }
    }

    fn finish(&mut self, reason: &str, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        let finish = match reason.to_ascii_lowercase().as_str() {
            "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "complete" => Finish::Stop,
            "tool_calls" | "tool_call" | "function_call" | "tool_use" => Finish::ToolCalls,
            "length" | "max_tokens" | "model_length" => Finish::Length,
            "content_filter" | "safety" => Finish::Filtered,
            "refusal" => Finish::Refusal,
            // The service gave up in the middle.
            "error"
            | "abort"
            | "aborted"
            | "cancelled"
            | "canceled"
            | "timeout"
            | "malformed_function_call"
            | "insufficient_system_resource" => {
                let message = format!("the service broke off its answer ('{reason}')");
                return Err(Failure::passing(Error::new(Code::StreamIncomplete, message)));
            }
            _ => {
                out.push_back(self.assembly.ends_oddly(reason));
                return Ok(());
            }
        };
        self.assembly.ends(finish);
        Ok(())
    }

    /// Counts are totals so far: those that an event has replace earlier ones.
    fn usage(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let known = |place: &str| usage.pointer(place).and_then(known_count);
        let counts = &mut self.counts;
        counts.input = known("/prompt_tokens").unwrap_or(counts.input);
        counts.written = known("/completion_tokens").unwrap_or(counts.written);
        counts.reasoning = known("/completion_tokens_details/reasoning_tokens").unwrap_or(counts.reasoning);
        let cached = known("/prompt_tokens_details/cached_tokens").max(known("/prompt_cache_hit_tokens"));
        counts.cached = cached.unwrap_or(counts.cached);
        counts.cache_written =
            known("/prompt_tokens_details/cache_write_tokens").unwrap_or(counts.cache_written);
        // Some services count reasoning beside the answer; the total tells, or that there is more of it than was written.
        let all = counts.input.saturating_add(counts.written).saturating_add(counts.reasoning);
        if let Some(total) = known("/total_tokens") {
            counts.beside = counts.reasoning > 0 && total == all;
        }
        let beside = counts.beside || counts.reasoning > counts.written;
        let beside = if beside { counts.reasoning } else { 0 };
        self.assembly.usage = Usage {
            input: counts.input,
            output: counts.written.saturating_add(beside),
            cached: counts.cached,
            cache_written: counts.cache_written,
            cache_written_1h: 0,
            reasoning: counts.reasoning,
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
        if event.eq_ignore_ascii_case("error") {
            return Err(failure::of_event(data));
        }
        // A field that comes twice counts as it came last.
        let twice = || serde_json::from_value(serde_json::from_str::<Value>(data).ok()?).ok();
        let Some(chunk) = serde_json::from_str::<Chunk>(data).ok().or_else(twice) else {
            // Its words are not shown: a service may send back what it was sent.
            let message = format!("an event of the stream could not be read ({} bytes)", data.len());
            out.push_back(self.assembly.warn(message, true));
            return Ok(());
        };
        if chunk.may_be_error()
            && let Some(failure) = serde_json::from_str::<Value>(data).ok().as_ref().and_then(inside)
        {
            return Err(failure);
        }
        self.chunk(chunk, out)
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
