//! How do messages become the text that a model was trained to read?
//!
//! By the Jinja template in the model's own file, as transformers renders it (blocks trimmed, `raise_exception`,
//! `strftime_now`, `tojson` in Python's form, methods of Python's texts and lists).

use minijinja::value::{Kwargs, Value as Jinja, ValueKind};
use minijinja::{Environment, ErrorKind, State};
use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::sample::template_fields;
use crate::message::{Message, Part, Role};
use crate::request::{Request, ToolChoice};

/// The template of a model that has none: that of ChatML.
const PLAIN: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A chat template.
pub(super) struct Template {
    environment: Environment<'static>,
    /// Whether it writes tools.
    tools: bool,
    begin: String,
    end: String,
}

impl Template {
    /// Reads a template; `begin` and `end` are the texts of the model's marks. Errors: `model_invalid`.
    pub(super) fn new(source: Option<&str>, begin: &str, end: &str) -> Result<Self> {
        let source = source.unwrap_or(PLAIN);
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(20_000_000));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Jinja, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let now = chrono::DateTime::from_timestamp(since.as_secs().cast_signed(), 0).unwrap_or_default();
            // Formatting fails for signs that are none.
            let mut out = String::new();
            use std::fmt::Write;
            match write!(out, "{}", now.format(&format)) {
                Ok(()) => Ok(out),
                Err(_) => {
                    let message = format!("'{format}' is no format of a time");
                    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
                }
            }
        });
        environment.add_filter("tojson", to_json);
        environment.add_template_owned("chat", unmarked(source)).map_err(|e| {
            Error::with_source(Code::ModelInvalid, format!("the chat template of the model cannot be read: {e}"), e)
        })?;
        let tools = source.contains("tools");
        Ok(Template { environment, tools, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// The text of a request. Errors: `unsupported` for images, tools that the template does not write and forced calls;
    /// `invalid_argument` where the template refuses the messages.
    pub(super) fn render(&self, request: &Request) -> Result<String> {
        let tools = self.tools_of(request)?;
        let messages = request.messages.iter().map(message).collect::<Result<Vec<Value>>>()?;
        let mut context = Map::new();
        context.insert("messages".into(), Value::Array(messages));
        context.insert("tools".into(), tools);
        context.insert("documents".into(), Value::Null);
        context.insert("add_generation_prompt".into(), Value::Bool(true));
        context.insert("bos_token".into(), Value::from(self.begin.as_str()));
        context.insert("eos_token".into(), Value::from(self.end.as_str()));
        for (name, value) in template_fields(request).into_iter().flatten() {
            context.insert(name.clone(), value.clone());
        }
        let template = self.environment.get_template("chat").map_err(|e| failed(&e))?;
        template.render(Jinja::from_serialize(&context)).map_err(|e| failed(&e))
    }

    fn tools_of(&self, request: &Request) -> Result<Value> {
        if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
            return Ok(Value::Null);
        }
        if !self.tools {
            return Err(Error::new(Code::Unsupported, "the chat template of this local model has no place for tools"));
        }
        if request.tool_choice != ToolChoice::Auto {
            return Err(Error::new(Code::Unsupported, "local models cannot be made to call a tool; tool_choice is 'auto' or 'none'"));
        }
        let tool = |tool: &crate::request::ToolSpec| {
            json!({"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema}})
        };
        Ok(Value::Array(request.tools.iter().map(tool).collect()))
    }
}

fn failed(e: &minijinja::Error) -> Error {
    let said = e.detail().map_or_else(|| e.to_string(), str::to_owned);
    Error::invalid(format!("the model's chat template refuses the messages: {said}"))
}

/// A message as templates read it.
fn message(message: &Message) -> Result<Value> {
    let mut out = Map::new();
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    out.insert("role".into(), Value::from(role));
    let (mut text, mut calls) = (String::new(), Vec::new());
    for part in &message.content {
        match part {
            Part::Text(part) => text.push_str(&part.text),
            Part::Refusal(said) => text.push_str(said),
            Part::ToolResult(result) => {
                text.push_str(&result.content);
                out.insert("tool_call_id".into(), Value::from(result.tool_call_id.as_str()));
            }
            Part::ToolCall(call) => calls.push(json!({
                "type": "function", "id": call.id, "function": {"name": call.name, "arguments": call.arguments},
            })),
            // What another model thought is not this one's.
            Part::Reasoning(_) | Part::Opaque(_) => {}
            Part::Image(_) => {
                return Err(Error::new(Code::Unsupported, "local models read text only; a message has an image"));
            }
        }
    }
    out.insert("content".into(), Value::String(text));
    if !calls.is_empty() {
        out.insert("tool_calls".into(), Value::Array(calls));
    }
    Ok(Value::Object(out))
}

/// The template with the marks by which trainers find the model's own words (`generation`) made into blocks that do
/// nothing.
fn unmarked(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let Some(length) = rest[at..].find("%}") else { break };
        let (before, tag) = (&rest[..at], &rest[at + 2..at + length]);
        out.push_str(before);
        let word = tag.trim_matches(['-', '+']).trim();
        match word {
            "generation" | "endgeneration" => {
                let new = if word == "generation" { "if true" } else { "endif" };
                out.push_str(&format!("{{%{}%}}", tag.replace(word, new)));
            }
            _ => out.push_str(&rest[at..at + length + 2]),
        }
        rest = &rest[at + length + 2..];
    }
    out.push_str(rest);
    out
}

/// JSON as Python writes it: a space after `,` and `:`, or lines that are indented.
fn to_json(_: &State<'_, '_>, value: &Jinja, options: Kwargs) -> Result<Jinja, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = String::new();
    write_json(value, indent, sort == Some(true), 0, &mut out)?;
    Ok(Jinja::from(out))
}

fn write_json(
    value: &Jinja,
    indent: Option<usize>,
    sort: bool,
    depth: usize,
    out: &mut String,
) -> Result<(), minijinja::Error> {
    if depth > 64 {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply for JSON"));
    }
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value.kind() {
        ValueKind::Undefined => {
            return Err(minijinja::Error::new(ErrorKind::UndefinedError, "an undefined value has no JSON"));
        }
        ValueKind::Map => {
            let mut keys: Vec<Jinja> = value.try_iter()?.collect();
            if sort {
                keys.sort();
            }
            out.push('{');
            for (i, key) in keys.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(out, depth + 1);
                out.push_str(&Value::from(key.to_string()).to_string());
                out.push_str(": ");
                write_json(&value.get_item(key)?, indent, sort, depth + 1, out)?;
            }
            if !keys.is_empty() {
                line(out, depth);
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            let mut any = false;
            for item in value.try_iter()? {
                out.push_str(if any { comma } else { "" });
                any = true;
                line(out, depth + 1);
                write_json(&item, indent, sort, depth + 1, out)?;
            }
            if any {
                line(out, depth);
            }
            out.push(']');
        }
        _ => {
            let plain = serde_json::to_string(value).map_err(|e| {
                minijinja::Error::new(ErrorKind::InvalidOperation, format!("a value has no JSON: {e}"))
            })?;
            out.push_str(&plain);
        }
    }
    Ok(())
}
