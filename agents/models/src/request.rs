//! What is asked of a model?

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::message::{Message, not_deep};
use crate::output::Output;

/// One question to a model. [`Request::new`] makes the plain one; the fields say the rest.
///
/// ```
/// use quorate_models::{Message, Request};
/// let request = Request { max_tokens: Some(200), ..Request::new(vec![Message::user("Which dose?")]) };
/// assert!(request.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<ToolSpec>,
    /// Whether it may, must or must not.
    pub tool_choice: ToolChoice,
    /// The form of the answer; `None` for free text.
    pub output: Option<Output>,
    /// Most tokens of the answer, reasoning included. `None`: the service's own limit, or 4,096 where it must be told.
    pub max_tokens: Option<u32>,
    /// Randomness, from 0 on; services differ in the most they take.
    pub temperature: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For services that repeat themselves on request.
    pub seed: Option<u64>,
    /// Ask the service to keep the whole conversation so far in its prompt cache, where it must be asked.
    pub cache: bool,
    /// Most requests of the call that may have to be paid for, over attempts, fallbacks and repairs; those that were refused
    /// do not count. `None`: as many as the resilience makes.
    pub most_billed: Option<u32>,
    /// Fields of the service's own interface, sent as they are; they replace fields of the same name.
    pub extra: Map<String, Value>,
}

/// A tool as a model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of its arguments, an object's.
    #[serde(alias = "parameters", alias = "input_schema", alias = "inputSchema", default = "no_arguments")]
    pub schema: Value,
}

fn no_arguments() -> Value {
    json!({"type": "object", "properties": {}})
}

/// Whether tools are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As the model sees fit.
    #[default]
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    #[serde(untagged)]
    Named(String),
}

impl Request {
    /// The plain question.
    pub fn new(messages: Vec<Message>) -> Self {
        Request { messages, ..Request::default() }
    }

    /// Errors: `empty_input`, `invalid_argument`, `not_finite`.
    pub fn validate(&self) -> Result<()> {
        use quorate_core::Code;
        if self.messages.is_empty() {
            return Err(Error::new(Code::EmptyInput, "there are no messages"));
        }
        for (i, message) in self.messages.iter().enumerate() {
            message.validate().map_err(|e| e.context(format_args!("messages[{i}]")))?;
        }
        for (name, most) in [("max_tokens", self.max_tokens), ("most_billed", self.most_billed)] {
            if most == Some(0) {
                return Err(Error::invalid(format!("{name} is 0, expected 1 or more")));
            }
        }
        match self.temperature {
            Some(t) if !t.is_finite() => {
                return Err(Error::new(Code::NotFinite, "temperature is not a finite number"));
            }
            Some(t) if t < 0.0 => {
                return Err(Error::invalid(format!("temperature is {t}, expected 0 or more")));
            }
            _ => {}
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::invalid("stop has an empty text, which would end every answer at once"));
        }
        let mut names = std::collections::HashSet::with_capacity(self.tools.len());
        for (i, tool) in self.tools.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(plain) {
                let expected = "expected 1 to 64 letters, digits, '_' or '-'";
                return Err(Error::invalid(format!("tools[{i}]: the name '{}', {expected}", tool.name)));
            }
            if !tool.schema.is_object() {
                return Err(Error::invalid(format!("tool '{}': its schema is no JSON object", tool.name)));
            }
            not_deep(&format!("the schema of the tool '{}'", tool.name), &tool.schema)?;
            if !names.insert(tool.name.as_str()) {
                return Err(Error::invalid(format!("two tools have the name '{}'", tool.name)));
            }
        }
        for (name, value) in &self.extra {
            not_deep(&format!("the field '{name}' of extra"), value)?;
        }
        if let ToolChoice::Named(name) = &self.tool_choice
            && !self.tools.iter().any(|tool| tool.name == *name)
        {
            return Err(Error::invalid(format!(
                "tool_choice names '{name}', which is no tool of this request"
            )));
        }
        if self.tool_choice == ToolChoice::Required && self.tools.is_empty() {
            return Err(Error::invalid("tool_choice is 'required', but there are no tools"));
        }
        Ok(())
    }

    /// The request as JSON, without what is not set: what recordings hold and scripted models read.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("messages".into(), Value::Array(self.messages.iter().map(Message::to_json).collect()));
        let mut put = |name: &str, value: Value, set: bool| {
            if set {
                out.insert(name.to_owned(), value);
            }
        };
        put("tools", json!(self.tools), !self.tools.is_empty());
        put("tool_choice", json!(self.tool_choice), self.tool_choice != ToolChoice::Auto);
        if let Some(output) = &self.output {
            put("output", output.schema().clone(), true);
        }
        put("max_tokens", json!(self.max_tokens), self.max_tokens.is_some());
        put("temperature", json!(self.temperature), self.temperature.is_some());
        put("stop", json!(self.stop), !self.stop.is_empty());
        put("seed", json!(self.seed), self.seed.is_some());
        put("cache", json!(true), self.cache);
        put("extra", Value::Object(self.extra.clone()), !self.extra.is_empty());
        Value::Object(out)
    }
}
