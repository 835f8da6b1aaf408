//! How is the messages interface of Anthropic written and read?

use std::collections::{HashSet, VecDeque};

use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::{self, inside};
use super::{Ask, Decoder, Wire, add_extra, count, known_count};
use crate::assembly::{Assembly, weight};
use crate::history;
use crate::message::{CacheFor, Image, Message, Part, Reasoning, Role, is_deep};
use crate::output;
use crate::provider::{Failure, OutputWay, Piece};
use crate::reply::{Finish, Reply};
use crate::request::{Request, ToolChoice};

/// Sent where the caller gives no limit, since the interface wants one.
const MAX_TOKENS: u32 = 4096;

/// Whose signed reasoning and own blocks go back: any service of this interface knows them or leaves them.
const SOURCE: &str = "anthropic";

pub(super) struct Anthropic;

impl Wire for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn base(&self) -> String {
        let base = std::env::var("ANTHROPIC_BASE_URL").ok().filter(|url| !url.is_empty());
        base.unwrap_or_else(|| "https://api.anthropic.com".into())
    }

    fn key(&self) -> Option<String> {
        std::env::var("ANTHROPIC_API_KEY").ok().filter(|key| !key.is_empty())
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        ("x-api-key", "")
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn body(&self, ask: &Ask<'_>) -> Result<Value> {
        let request = ask.request;
        let (mut system, mut messages) = (Vec::new(), Vec::new());
        let mut given = history::mend(&request.messages);
        // The last may wait for the service's own tools.
        let before = given.len().saturating_sub(1);
        drop_unanswered(&mut given, before);
        for message in given {
            let content = blocks(&message)?;
            match message.role {
                // It holds nothing that the service reads, and would be refused.
                _ if content.is_empty() => {}
                Role::System => system.extend(content),
                Role::Assistant => messages.push(json!({"role": "assistant", "content": content})),
                Role::User | Role::Tool => messages.push(json!({"role": "user", "content": content})),
            }
        }
        let mut body = json!({
            "model": ask.model,
            "max_tokens": request.max_tokens.unwrap_or(MAX_TOKENS),
            "messages": messages,
        });
        let mut put = |name: &str, value: Value| {
            body[name] = value;
        };
        if !system.is_empty() {
            put("system", Value::Array(system));
        }
        if ask.stream {
            put("stream", json!(true));
        }
        if request.cache {
            put("cache_control", json!({"type": "ephemeral"}));
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let mut written = json!({"name": tool.name, "input_schema": tool.schema});
                if !tool.description.is_empty() {
                    written["description"] = json!(tool.description);
                }
                written
            });
            put("tools", Value::Array(tools.collect()));
            match &request.tool_choice {
                ToolChoice::Auto => {}
                ToolChoice::None => put("tool_choice", json!({"type": "none"})),
                ToolChoice::Required => put("tool_choice", json!({"type": "any"})),
                ToolChoice::Named(name) => put("tool_choice", json!({"type": "tool", "name": name})),
            }
        }
        if let Some(output) = &request.output {
            put("output_config", json!({"format": {"type": "json_schema", "schema": output.schema()}}));
        }
        if let Some(temperature) = request.temperature {
            put("temperature", json!(temperature));
        }
        if !request.stop.is_empty() {
            put("stop_sequences", json!(request.stop));
        }
        add_extra(&mut body, request);
        Ok(body)
    }

    fn max_tokens(&self) -> Option<u32> {
        Some(MAX_TOKENS)
    }

    fn ignored(&self, request: &Request) -> Vec<String> {
        request.seed.iter().map(|_| "the service takes no seed; it was not sent".to_owned()).collect()
    }

    fn output_way(&self, request: &Request) -> OutputWay {
        // The service takes closed schemas only.
        match &request.output {
            Some(output) if !output::closed(output.schema(), false) => OutputWay::Tool,
            _ => OutputWay::Native,
        }
    }

    fn whole(&self, body: &[u8], _source: &str) -> Result<Reply, Failure> {
        let invalid = |what: String| Failure::lasting(Error::new(Code::RemoteInvalid, what));
        let value: Value =
            serde_json::from_slice(body).map_err(|e| invalid(format!("the answer is no JSON: {e}")))?;
        if let Some(failure) = inside(&value) {
            return Err(failure);
        }
        let mut reader = Reader::default();
        let mut out = VecDeque::new();
        let content = value["content"]
            .as_array()
            .ok_or_else(|| invalid("the answer holds no list of content".into()))?;
        for block in content {
            reader.block(block, &mut out)?;
            reader.close(&mut out);
        }
        reader.usage(&value["usage"]);
        reader.assembly.model = value["model"].as_str().unwrap_or_default().to_owned();
        reader.stop(&value["stop_reason"], &mut out);
        reader.assembly.whole()
    }

    fn decoder(&self, _source: &str) -> Box<dyn Decoder> {
        Box::new(Reader::default())
    }
}

/// Takes out of the first `most` messages the calls of the service's own tools that have no result.
fn drop_unanswered(messages: &mut [Message], most: usize) {
    let own = |part: &Part, name: &str| match part {
        Part::Opaque(opaque) if opaque.source == SOURCE => opaque.data[name].as_str().map(str::to_owned),
        _ => None,
    };
    let parts = messages.iter().flat_map(|message| &message.content);
    let answered: HashSet<String> = parts.filter_map(|part| own(part, "tool_use_id")).collect();
    for message in messages.iter_mut().take(most) {
        let calls = |part: &Part| own(part, "type").is_some_and(|kind| kind.ends_with("tool_use"));
        message
            .content
            .retain(|part| !calls(part) || own(part, "id").is_some_and(|id| answered.contains(&id)));
    }
}

/// Writes the parts of a message as blocks. Blank text is refused by the service, and so is reasoning that nothing follows.
fn blocks(message: &Message) -> Result<Vec<Value>> {
    let mut out = Vec::with_capacity(message.content.len());
    let last = message.content.iter().rposition(|part| match part {
        Part::Text(text) => !text.text.trim().is_empty(),
        Part::Opaque(opaque) => opaque.source == SOURCE,
        Part::Reasoning(_) => false,
        _ => true,
    });
    for part in message.content.iter().take(last.map_or(0, |last| last + 1)) {
        let (mut block, cache) = match part {
            Part::Text(text) if text.text.trim().is_empty() => continue,
            Part::Text(text) => (json!({"type": "text", "text": text.text}), text.cache),
            Part::Refusal(text) if text.trim().is_empty() => continue,
            Part::Refusal(text) => (json!({"type": "text", "text": text}), None),
            Part::Image(image) => (json!({"type": "image", "source": image_source(image)?}), None),
            Part::ToolCall(call) => {
                (json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}), None)
            }
            Part::ToolResult(result) => {
                let mut block = json!({"type": "tool_result", "tool_use_id": result.tool_call_id, "content": result.content});
                if result.error {
                    block["is_error"] = json!(true);
                }
                (block, result.cache)
            }
            Part::Reasoning(reasoning) if reasoning.source == SOURCE => (reasoning_block(reasoning), None),
            Part::Opaque(opaque) if opaque.source == SOURCE => (opaque.data.clone(), None),
            _ => continue,
        };
        if let Some(cache) = cache {
            let ttl = match cache {
                CacheFor::Minutes5 => "5m",
                CacheFor::Hour1 => "1h",
            };
            block["cache_control"] = json!({"type": "ephemeral", "ttl": ttl});
        }
        out.push(block);
    }
    Ok(out)
}

fn reasoning_block(reasoning: &Reasoning) -> Value {
    let mut block = Map::new();
    if reasoning.data.contains_key("data") {
        block.insert("type".into(), json!("redacted_thinking"));
    } else {
        block.insert("type".into(), json!("thinking"));
        block.insert("thinking".into(), json!(reasoning.text));
    }
    block.extend(reasoning.data.clone());
    Value::Object(block)
}

fn image_source(image: &Image) -> Result<Value> {
    let Some(rest) = image.url.strip_prefix("data:") else {
        return Ok(json!({"type": "url", "url": image.url}));
    };
    let (kind, data) = rest.split_once(";base64,").ok_or_else(|| {
        Error::invalid("an image in a data: URL must be written in base64 (data:image/png;base64,...)")
    })?;
    Ok(json!({"type": "base64", "media_type": kind, "data": data}))
}

/// Reads blocks and events into an answer.
#[derive(Default)]
struct Reader {
    assembly: Assembly,
    /// The number of the block that is open, and how its deltas are read.
    open: Option<(u64, Kind)>,
    /// What the assembly knows the call of the open block by.
    key: u64,
    /// What a block of the service's own holds, until it is whole.
    own: Option<(Value, String)>,
    /// What was read and neither came from a cache nor went into one.
    fresh: u64,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Thinking,
    Call,
    Own,
}

/// The deltas of text, which are most of a stream, are read without a tree.
#[derive(Deserialize)]
struct Quick<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a str,
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: QuickDelta<'a>,
}

#[derive(Deserialize)]
struct QuickDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a str,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
}

impl Reader {
    /// Begins a block, which holds all of it in a whole answer and little in a stream.
    fn block(&mut self, block: &Value, out: &mut VecDeque<Piece>) -> Result<Kind, Failure> {
        let word = |name: &str| block[name].as_str().unwrap_or_default();
        let kind = match word("type") {
            "text" => {
                self.assembly.new_text(word("text"));
                if !word("text").is_empty() {
                    out.push_back(Piece::Text(word("text").to_owned()));
                }
                Kind::Text
            }
            "thinking" => {
                let mut reasoning = Reasoning {
                    source: SOURCE.into(),
                    text: word("thinking").to_owned(),
                    ..Default::default()
                };
                if let Some(signature) = block["signature"].as_str() {
                    reasoning.data.insert("signature".into(), json!(signature));
                }
                if !reasoning.text.is_empty() {
                    out.push_back(Piece::Reasoning(reasoning.text.clone()));
                }
                self.assembly.new_reasoning(reasoning, false);
                Kind::Thinking
            }
            "redacted_thinking" => {
                let mut reasoning = Reasoning { source: SOURCE.into(), ..Default::default() };
                reasoning.data.insert("data".into(), json!(word("data")));
                self.assembly.new_reasoning(reasoning, false);
                Kind::Thinking
            }
            "tool_use" => {
                let written = match &block["input"] {
                    Value::Object(input) if input.is_empty() => String::new(),
                    Value::Null => String::new(),
                    input => input.to_string(),
                };
                // Each block is a call of its own, whatever its number and its id.
                self.key = self.assembly.len() as u64;
                out.push_back(self.assembly.call(Some(self.key), word("id"), word("name"), &written)?);
                Kind::Call
            }
            _ => {
                self.assembly.count(weight(block));
                self.own = Some((block.clone(), String::new()));
                Kind::Own
            }
        };
        Ok(kind)
    }

    fn close(&mut self, out: &mut VecDeque<Piece>) {
        if let Some((mut block, written)) = self.own.take() {
            if !written.is_empty() {
                block["input"] = serde_json::from_str(&written).unwrap_or(Value::String(written));
            }
            if is_deep(&block) {
                let message = "a block of the service's own is nested too deep to be kept";
                out.push_back(self.assembly.warn(message.into(), false));
            } else {
                self.assembly.opaque(SOURCE, block);
            }
        } else {
            self.assembly.seal();
        }
        self.open = None;
    }

    /// Takes more of the open block; false when it is of another kind.
    fn delta(&mut self, delta: &QuickDelta<'_>, out: &mut VecDeque<Piece>) -> Result<bool, Failure> {
        match (delta.kind, self.open) {
            ("text_delta", Some((_, Kind::Text))) => {
                let text = delta.text.clone().unwrap_or_default();
                self.assembly.text(&text);
                out.push_back(Piece::Text(text));
            }
            ("thinking_delta", Some((_, Kind::Thinking))) => {
                let words = delta.thinking.clone().unwrap_or_default();
                if let Some(reasoning) = self.assembly.last_reasoning(words.len()) {
                    reasoning.text.push_str(&words);
                }
                out.push_back(Piece::Reasoning(words));
            }
            ("input_json_delta", Some((_, Kind::Call))) => {
                let written = delta.partial_json.as_deref().unwrap_or_default();
                out.push_back(self.assembly.call(Some(self.key), "", "", written)?);
            }
            ("input_json_delta", Some((_, Kind::Own))) => {
                let written = delta.partial_json.as_deref().unwrap_or_default();
                self.assembly.count(written.len());
                if let Some((_, before)) = &mut self.own {
                    before.push_str(written);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Counts are totals so far: those that an event has replace the earlier ones.
    fn usage(&mut self, usage: &Value) {
        let Some(fields) = usage.as_object() else { return };
        let known = |name: &str| fields.get(name).and_then(known_count);
        let before = &mut self.assembly.usage;
        self.fresh = known("input_tokens").unwrap_or(self.fresh);
        before.cached = known("cache_read_input_tokens").unwrap_or(before.cached);
        if let Some(written) = known("cache_creation_input_tokens") {
            let hour = fields.get("cache_creation").map(|kinds| count(&kinds["ephemeral_1h_input_tokens"]));
            let hour = hour.unwrap_or(before.cache_written_1h).min(written);
            (before.cache_written, before.cache_written_1h) = (written - hour, hour);
        }
        before.output = known("output_tokens").unwrap_or(before.output);
        let thought = usage.pointer("/output_tokens_details/thinking_tokens").and_then(known_count);
        before.reasoning = thought.unwrap_or(before.reasoning);
        before.input = self
            .fresh
            .saturating_add(before.cached)
            .saturating_add(before.cache_written)
            .saturating_add(before.cache_written_1h);
        self.assembly.usage_seen = true;
    }

    fn stop(&mut self, reason: &Value, out: &mut VecDeque<Piece>) {
        let Some(reason) = reason.as_str() else { return };
        let finish = match reason {
            "end_turn" | "stop_sequence" => Finish::Stop,
            "tool_use" => Finish::ToolCalls,
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "refusal" => Finish::Refusal,
            // The service's own tools took long; it goes on when it gets back what it said.
            "pause_turn" => {
                let message = "the service paused its turn; it goes on when its answer is sent back";
                out.push_back(self.assembly.warn(message.into(), false));
                Finish::Length
            }
            other => {
                out.push_back(self.assembly.ends_oddly(other));
                return;
            }
        };
        self.assembly.ends(finish);
    }
}

impl Decoder for Reader {
    fn event(&mut self, event: &str, data: &str, out: &mut VecDeque<Piece>) -> Result<(), Failure> {
        if event.eq_ignore_ascii_case("error") {
            return Err(failure::of_event(data));
        }
        if let Ok(quick) = serde_json::from_str::<Quick<'_>>(data)
            && quick.kind == "content_block_delta"
            && self.open.is_some_and(|(open, _)| open == quick.index)
            && self.delta(&quick.delta, out)?
        {
            return Ok(());
        }
        let value: Value = match serde_json::from_str(data) {
            Ok(value) => value,
            Err(_) if data.starts_with("[DONE]") => return Ok(()),
            Err(_) => {
                // Its words are not shown: a service may send back what it was sent.
                let message = format!("an event of the stream could not be read ({} bytes)", data.len());
                out.push_back(self.assembly.warn(message, true));
                return Ok(());
            }
        };
        let index = count(&value["index"]);
        match value["type"].as_str().unwrap_or(event) {
            "message_start" => {
                self.assembly.model = value["message"]["model"].as_str().unwrap_or_default().to_owned();
                self.usage(&value["message"]["usage"]);
            }
            "content_block_start" => {
                if self.open.is_some() {
                    self.close(out);
                }
                let kind = self.block(&value["content_block"], out)?;
                self.open = Some((index, kind));
            }
            "content_block_delta" => match value["delta"]["type"].as_str() {
                Some("signature_delta") => {
                    let signature = value["delta"]["signature"].as_str().unwrap_or_default();
                    if let Some(reasoning) = self.assembly.last_reasoning(signature.len()) {
                        reasoning.data.insert("signature".into(), json!(signature));
                    }
                }
                // Citations point into documents that are not part of the neutral form.
                Some("citations_delta") => {}
                kind => {
                    let word = |name: &str| value["delta"][name].as_str().map(str::to_owned);
                    let kind = kind.unwrap_or("none");
                    let delta = QuickDelta {
                        kind,
                        text: word("text"),
                        thinking: word("thinking"),
                        partial_json: word("partial_json"),
                    };
                    let fits = self.open.is_some_and(|(open, _)| open == index) && self.delta(&delta, out)?;
                    if !fits {
                        let message = "a piece of the stream belongs to no block of its kind".to_owned();
                        out.push_back(self.assembly.warn(message, true));
                    }
                }
            },
            "content_block_stop" => self.close(out),
            "message_delta" => {
                self.usage(&value["usage"]);
                self.stop(&value["delta"]["stop_reason"], out);
            }
            "message_stop" => {
                // The end of the block that is open was lost.
                if self.open.is_some() {
                    self.close(out);
                }
                self.done = true;
            }
            "error" => return Err(failure::of_event(data)),
            // Signs of life, and kinds of events that the interface may add.
            _ => {
                if let Some(failure) = inside(&value).filter(|_| value.get("error").is_some()) {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.done
    }

    fn whole_at_close(&self) -> bool {
        // The reason and the counts come last, so that nothing is missing but the closing word.
        self.assembly.finish.is_some() && self.open.is_none()
    }

    fn assembly(&mut self) -> &mut Assembly {
        &mut self.assembly
    }

    fn partial(&mut self) -> Reply {
        let mut reply = self.assembly.partial();
        drop_unanswered(std::slice::from_mut(&mut reply.message), 1);
        reply
    }
}
