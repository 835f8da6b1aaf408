//! How do messages become the text that a model was trained to read?
//!
//! By the Jinja template in the model's own file, as transformers renders it (blocks trimmed, `raise_exception`,
//! `strftime_now`, `tojson` in Python's form, methods of Python's texts and lists).

use std::collections::BTreeMap;

use minijinja::machinery::{Vm, make_string_output};
use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind};
use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::bounds;
use super::marks::Marks;
use super::sample::template_fields;
use super::written::{MAX_BYTES, TOO_LONG, Text, write_python};
use crate::message::{Message, Part, Role};
use crate::request::{Request, ToolChoice};

/// The template of a model that has none: that of ChatML.
const PLAIN: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A chat template.
pub(super) struct Template {
    environment: Environment<'static>,
    source: String,
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
        environment.set_fuel(Some(20_000_000));
        environment.set_unknown_method_callback(bounds::method);
        bounds::bind(&mut environment);
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
        // As Jinja2 sees it: nothing can be gone through in what is none.
        environment.add_test("iterable", |value: &Jinja| !value.is_none() && value.try_iter().is_ok());
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Bool | ValueKind::None | ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => {
                let mut written = Text::default();
                write_python(value, 0, &mut written)?;
                bounds::write(state, written.0.len())?;
                out.write_str(&written.0).map_err(minijinja::Error::from)
            }
            _ => {
                bounds::write(state, value.as_str().map_or(0, str::len))?;
                minijinja::escape_formatter(out, state, value)
            }
        });
        let invalid = |e: minijinja::Error| {
            let message = format!("the chat template of the model cannot be read: {e}");
            Error::with_source(Code::ModelInvalid, message, e)
        };
        let tools = source.contains("tools");
        let source = bounds::prepare(&unmarked(source)).map_err(invalid)?;
        bounds::compile(&source).map_err(invalid)?;
        Ok(Template { environment, source, tools, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// Its source.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The text of a request, in which what the request says is hidden from `marks`. Errors: `unsupported` for images, tools that the template does not write and forced calls;
    /// `invalid_argument` where the template refuses the messages.
    pub(super) fn render(&self, request: &Request, marks: &Marks) -> Result<String> {
        let mut tools = self.tools_of(request)?;
        marks.hide_all(&mut tools);
        let mut messages = Vec::new();
        for message in &request.messages {
            messages.extend(read(message, marks)?);
        }
        let mut context = Map::new();
        context.insert("messages".into(), Value::Array(messages));
        context.insert("tools".into(), tools);
        context.insert("documents".into(), Value::Null);
        context.insert("add_generation_prompt".into(), Value::Bool(true));
        context.insert("bos_token".into(), Value::from(self.begin.as_str()));
        context.insert("eos_token".into(), Value::from(self.end.as_str()));
        for (name, value) in template_fields(request).into_iter().flatten() {
            let mut value = value.clone();
            marks.hide_all(&mut value);
            context.insert(name.clone(), value);
        }
        let steps = bounds::compile(&self.source).map_err(|e| failed(&e))?;
        let mut written = String::new();
        let (machine, blocks) = (Vm::new(&self.environment), BTreeMap::new());
        let mut out = make_string_output(&mut written);
        machine
            .eval(&steps, Jinja::from_serialize(&context), &blocks, &mut out, AutoEscape::None)
            .map_err(|e| failed(&e))?;
        if written.len() > MAX_BYTES {
            return Err(failed(&minijinja::Error::new(ErrorKind::InvalidOperation, TOO_LONG)));
        }
        Ok(written)
    }

    /// Whether the model is told of tools.
    pub(super) fn gives_tools(&self, request: &Request) -> bool {
        !request.tools.is_empty() && request.tool_choice != ToolChoice::None
    }

    fn tools_of(&self, request: &Request) -> Result<Value> {
        if !self.gives_tools(request) {
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
    let said = e.detail().map_or_else(|| e.to_string(), str::to_owned);
    Error::invalid(format!("the model's chat template refuses the messages: {said}"))
}

/// A message as templates read it: results of tools are messages of their own.
fn read(message: &Message, marks: &Marks) -> Result<Vec<Value>> {
    let mut out = Map::new();
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    out.insert("role".into(), Value::from(role));
    let (mut text, mut calls, mut results) = (String::new(), Vec::new(), Vec::new());
    for part in &message.content {
        match part {
            Part::Text(part) => text.push_str(&part.text),
            Part::Refusal(said) => text.push_str(said),
            Part::ToolResult(result) => results.push(json!({
                "role": "tool", "content": result.content, "tool_call_id": result.tool_call_id,
            })),
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
    let mut results = Value::Array(results);
    marks.hide_all(&mut results);
    let Value::Array(mut all) = results else { return Ok(Vec::new()) };
    if all.is_empty() || !text.is_empty() || !calls.is_empty() {
        let own = message.role == Role::Assistant;
        out.insert("content".into(), Value::from(marks.hide(&text, own)));
        if !calls.is_empty() {
            let mut calls = Value::Array(calls);
            marks.hide_all(&mut calls);
            out.insert("tool_calls".into(), calls);
        }
        all.push(Value::Object(out));
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ToolSpec;

    fn rendered(source: &str, request: &Request) -> Result<String> {
        Template::new(Some(source), "<s>", "</s>")?.render(request, &Marks::default())
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

    #[test]
    fn each_result_of_a_tool_is_a_message_of_its_own() {
        let mut request = asking("Which?");
        let results = json!([{"role": "user", "content": [
            {"type": "tool_result", "tool_call_id": "a", "content": "5"},
            {"type": "tool_result", "tool_call_id": "b", "content": "7"},
        ]}]);
        request.messages.extend(Message::list_from_json(&results).unwrap());
        let source =
            "{% for m in messages[2:] %}{{ m.role }}:{{ m.tool_call_id }}={{ m.content }};{% endfor %}";
        assert_eq!(rendered(source, &request).unwrap(), "tool:a=5;tool:b=7;");
    }
}
