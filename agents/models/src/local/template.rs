//! How do messages become the text that a model was trained to read?
//!
//! By the Jinja template in the model's own file, as transformers renders it (blocks trimmed, `raise_exception`,
//! `strftime_now`, `tojson` in Python's form, methods of Python's texts and lists).

use minijinja::value::{Kwargs, StringInput, Value as Jinja, ValueKind};
use minijinja::{Environment, ErrorKind, State};
use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::sample::template_fields;
use crate::message::{Message, Part, Role};
use crate::request::{Request, ToolChoice};

/// The most bytes that a template may write, and its filters each.
const MAX_BYTES: usize = 64 << 20;

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
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
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
        environment.add_filter("indent", indent);
        // As Jinja2 sees it: nothing can be gone through in what is none.
        environment.add_test("iterable", |value: &Jinja| !value.is_none() && value.try_iter().is_ok());
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Bool | ValueKind::None | ValueKind::Map | ValueKind::Seq => {
                let mut written = Text::default();
                write_python(value, 0, &mut written)?;
                out.write_str(&written.0).map_err(minijinja::Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        environment.add_template_owned("chat", unmarked(source)).map_err(|e| {
            Error::with_source(
                Code::ModelInvalid,
                format!("the chat template of the model cannot be read: {e}"),
                e,
            )
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
        let mut written = Room(Vec::new());
        template.render_captured_to(Jinja::from_serialize(&context), &mut written).map_err(|e| failed(&e))?;
        String::from_utf8(written.0).map_err(|_| Error::new(Code::Internal, "a template wrote no UTF-8"))
    }

    fn tools_of(&self, request: &Request) -> Result<Value> {
        if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
            return Ok(Value::Null);
        }
        if !self.tools {
            return Err(Error::new(
                Code::Unsupported,
                "the chat template of this local model has no place for tools",
            ));
        }
        if request.tool_choice != ToolChoice::Auto {
            return Err(Error::new(
                Code::Unsupported,
                "local models cannot be made to call a tool; tool_choice is 'auto' or 'none'",
            ));
        }
        let tool = |tool: &crate::request::ToolSpec| json!({"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema}});
        Ok(Value::Array(request.tools.iter().map(tool).collect()))
    }
}

fn failed(e: &minijinja::Error) -> Error {
    let said = match e.kind() {
        ErrorKind::WriteFailure => TOO_LONG.to_owned(),
        _ => e.detail().map_or_else(|| e.to_string(), str::to_owned),
    };
    Error::invalid(format!("the model's chat template refuses the messages: {said}"))
}

/// What a template has written so far.
struct Room(Vec<u8>);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > MAX_BYTES - self.0.len() {
            return Err(std::io::Error::other(TOO_LONG));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a filter has written so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn push(&mut self, text: &str) -> Result<(), minijinja::Error> {
        self.room(text.len())?;
        self.0.push_str(text);
        Ok(())
    }

    fn spaces(&mut self, n: usize) -> Result<(), minijinja::Error> {
        self.room(n)?;
        self.0.extend(std::iter::repeat_n(' ', n));
        Ok(())
    }

    fn room(&self, n: usize) -> Result<(), minijinja::Error> {
        if n > MAX_BYTES - self.0.len() {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, TOO_LONG));
        }
        Ok(())
    }
}

const TOO_LONG: &str = "it writes more than 64 MiB";

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
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = Text::default();
    write_json(value, indent, sort == Some(true), 0, &mut out)?;
    let mut out = out.0;
    if ascii == Some(true) {
        let mut plain = String::with_capacity(out.len());
        for c in out.chars() {
            if c.is_ascii() {
                plain.push(c);
            } else {
                plain.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
        out = plain;
    }
    Ok(Jinja::from(out))
}

/// A value as Python prints it.
fn write_python(value: &Jinja, depth: usize, out: &mut Text) -> Result<(), minijinja::Error> {
    if depth > 64 {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply"));
    }
    match value.kind() {
        ValueKind::None => out.push("None")?,
        ValueKind::Bool => out.push(if value.is_true() { "True" } else { "False" })?,
        ValueKind::String => {
            let text = value.to_string();
            let quote = if text.contains('\'') && !text.contains('"') { "\"" } else { "'" };
            let mut quoted = String::with_capacity(text.len() + 2);
            for c in text.chars() {
                match c {
                    '\\' => quoted.push_str("\\\\"),
                    '\n' => quoted.push_str("\\n"),
                    '\r' => quoted.push_str("\\r"),
                    '\t' => quoted.push_str("\\t"),
                    c if quote.starts_with(c) => quoted.extend(['\\', c]),
                    c => quoted.push(c),
                }
            }
            out.push(quote)?;
            out.push(&quoted)?;
            out.push(quote)?;
        }
        ValueKind::Map => {
            out.push("{")?;
            for (i, key) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_python(&key, depth + 1, out)?;
                out.push(": ")?;
                write_python(&value.get_item(&key)?, depth + 1, out)?;
            }
            out.push("}")?;
        }
        ValueKind::Seq => {
            out.push("[")?;
            for (i, item) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_python(&item, depth + 1, out)?;
            }
            out.push("]")?;
        }
        _ => out.push(&value.to_string())?,
    }
    Ok(())
}

fn write_json(
    value: &Jinja,
    indent: Option<usize>,
    sort: bool,
    depth: usize,
    out: &mut Text,
) -> Result<(), minijinja::Error> {
    if depth > 64 {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "a value is nested too deeply for JSON",
        ));
    }
    let line = |out: &mut Text, depth: usize| {
        if let Some(indent) = indent {
            out.push("\n")?;
            out.spaces(indent.saturating_mul(depth))?;
        }
        Ok::<_, minijinja::Error>(())
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
            out.push("{")?;
            for (i, key) in keys.iter().enumerate() {
                out.push(if i > 0 { comma } else { "" })?;
                line(out, depth + 1)?;
                out.push(&Value::from(key.to_string()).to_string())?;
                out.push(": ")?;
                write_json(&value.get_item(key)?, indent, sort, depth + 1, out)?;
            }
            if !keys.is_empty() {
                line(out, depth)?;
            }
            out.push("}")?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push("[")?;
            let mut any = false;
            for item in value.try_iter()? {
                out.push(if any { comma } else { "" })?;
                any = true;
                line(out, depth + 1)?;
                write_json(&item, indent, sort, depth + 1, out)?;
            }
            if any {
                line(out, depth)?;
            }
            out.push("]")?;
        }
        _ => {
            let plain = serde_json::to_string(value).map_err(|e| {
                minijinja::Error::new(ErrorKind::InvalidOperation, format!("a value has no JSON: {e}"))
            })?;
            out.push(&plain)?;
        }
    }
    Ok(())
}

/// The filter of Jinja, for widths that are bounded.
fn indent(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Jinja, minijinja::Error> {
    let wide = width.or(options.get("width")?).unwrap_or(4);
    let lines = text.as_str().split('\n').count();
    Text::default().room(wide.saturating_mul(lines))?;
    minijinja::filters::indent(text, width, first, blank, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ToolSpec;

    fn rendered(source: &str, request: &Request) -> Result<String> {
        Template::new(Some(source), "<s>", "</s>")?.render(request)
    }

    fn asking(text: &str) -> Request {
        Request::new(vec![Message::system("Be brief."), Message::user(text)])
    }

    #[test]
    fn blocks_are_trimmed_and_marks_of_the_own_words_do_nothing() {
        let source = "{{ bos_token }}\n{%- for m in messages %}\n  {% generation %}\n[{{ m.role }}|{{ m.content.strip() }}]\n  {%- endgeneration %}\n{% endfor %}\n{% if add_generation_prompt %}go{% endif %}\n";
        assert_eq!(rendered(source, &asking(" a ")).unwrap(), "<s>[system|Be brief.][user|a]go");
        assert_eq!(
            unmarked("{%- generation -%}x{% endgeneration %}{% if a"),
            "{%- if true -%}x{% endif %}{% if a"
        );
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let mut request = asking("x");
        request.tools.push(ToolSpec {
            name: "dose".into(),
            description: "é < 5".into(),
            schema: json!({"type": "object", "properties": {}, "required": ["a", "b"]}),
        });
        let line = r#"{"type": "function", "function": {"name": "dose", "description": "é < 5", "parameters": {"type": "object", "properties": {}, "required": ["a", "b"]}}}"#;
        assert_eq!(rendered("{{ tools[0] | tojson }}", &request).unwrap(), line);
        let lines = "{\n  \"a\": [\n    1,\n    null\n  ],\n  \"b\": {}\n}";
        assert_eq!(
            rendered(
                "{{ {'b': {}, 'a': [1, none]} | tojson(indent=2, sort_keys=true) }}{# tools #}",
                &request
            )
            .unwrap(),
            lines
        );
        assert!(rendered("{{ missing | tojson }}", &asking("x")).is_err());
    }

    #[test]
    fn values_are_printed_as_python_prints_them() {
        let source = "{{ true }} {{ none }} {{ {'a': [1, none, 'it'], 'b': \"it's\"} }} {{ none is iterable }} {{ 'é' | tojson(ensure_ascii=true) }}";
        let want = "True None {'a': [1, None, 'it'], 'b': \"it's\"} False \"\\u00e9\"";
        assert_eq!(rendered(source, &asking("x")).unwrap(), want);
    }

    #[test]
    fn what_a_template_refuses_is_told() {
        let refused = rendered("{{ raise_exception('no system here') }}", &asking("x")).unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains("no system here"));
        assert_eq!(
            Template::new(Some("{% for %}"), "", "").err().map(|e| e.code()),
            Some(Code::ModelInvalid)
        );
        assert!(
            rendered(
                "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
                &asking("x")
            )
            .is_err()
        );
    }

    #[test]
    fn what_a_template_writes_has_an_end() {
        let long = "x".repeat(1 << 20);
        for source in [
            "{% for i in range(100) %}{{ messages[1].content }}{% endfor %}",
            "{{ ['a', 'b'] | tojson(indent=100000000000) }}",
            "{{ [['a']] | tojson(indent=9223372036854775807) }}",
            "{{ 'a\nb' | indent(100000000000) }}",
            "{{ 'a\nb' | indent(width=100000000000) }}",
            "{% set m = [messages, messages, messages, messages] %}{{ [m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m] | tojson }}",
            "{% set m = [messages, messages, messages, messages] %}{{ [m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m] }}",
        ] {
            let refused = rendered(source, &asking(&long)).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{source}");
            assert!(refused.message().ends_with(TOO_LONG), "{source}: {refused}");
        }
        assert_eq!(rendered("{{ 'a\n\nb' | indent(2, first=true) }}", &asking("x")).unwrap(), "  a\n\n  b");
    }

    #[test]
    fn conversations_with_tools_reach_the_template_whole() {
        let mut request = asking("Which?");
        let history = json!([
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "name": "dose", "arguments": {"drug": "x"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "5 mg"},
        ]);
        request.messages.extend(Message::list_from_json(&history).unwrap());
        let source = "{% for m in messages %}{% if m.tool_calls is defined %}{{ m.tool_calls[0].function.name }}({{ m.tool_calls[0].function.arguments.drug }}){% endif %}{% if m.role == 'tool' %}{{ m.tool_call_id }}={{ m.content }}{% endif %}{% endfor %}";
        assert_eq!(rendered(source, &request).unwrap(), "dose(x)c1=5 mg");
    }

    #[test]
    fn fields_for_the_template_are_given_to_it() {
        let mut request = asking("x");
        request.extra.insert("template".into(), json!({"enable_thinking": false}));
        let source = "{% if enable_thinking is defined and enable_thinking is false %}plain{% endif %}";
        assert_eq!(rendered(source, &request).unwrap(), "plain");
        assert_eq!(
            rendered("{{ strftime_now('%Y')[:2] }}{{ messages[::-1][0].content }}", &request).unwrap(),
            "20x"
        );
    }
}
