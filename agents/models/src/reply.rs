//! What does a model's answer consist of?

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::message::{Message, Part, Role, ToolCall};

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// The model had said what it wanted to say, or wrote one of the texts to stop at; or the service gave a reason that is
    /// not known, which is a warning, and no call runs.
    Stop,
    /// It waits for the results of its tool calls.
    ToolCalls,
    /// It was cut: it reached the most tokens of an answer or of its memory, or the service paused it, as a warning says.
    Length,
    /// It declined.
    Refusal,
    /// The service withheld the rest.
    Filtered,
}

impl Finish {
    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::ToolCalls => "tool_calls",
            Finish::Length => "length",
            Finish::Refusal => "refusal",
            Finish::Filtered => "filtered",
        }
    }
}

/// Tokens that were counted by the service. What it did not tell is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All that the model read, cached or not.
    pub input: u64,
    /// All that it wrote, reasoning included.
    pub output: u64,
    /// Of the input: read from the service's cache.
    pub cached: u64,
    /// Of the input: written to the service's cache to be kept for five minutes, or as long as the service likes.
    pub cache_written: u64,
    /// Of the input: written to the service's cache to be kept for an hour.
    pub cache_written_1h: u64,
    /// Of the output: reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// What was read and written.
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_written = self.cache_written.saturating_add(other.cache_written);
        self.cache_written_1h = self.cache_written_1h.saturating_add(other.cache_written_1h);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// An answer, or as much of it as came.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What the model said, ready to be put into the next request.
    pub message: Message,
    /// Why it ended; `None` in the partial answer of a failed call.
    pub finish: Option<Finish>,
    /// Tokens, over all requests of the call that were answered.
    pub usage: Usage,
    /// The model that answered, as the service calls it.
    pub model: String,
    /// The answer as data, where a form was asked for.
    pub output: Option<Value>,
    /// US dollars over all requests of the call; `None` where the price is unknown, or what one of them used.
    pub cost: Option<f64>,
    /// Requests that were sent for it, fallbacks and repairs included.
    pub attempts: u32,
    /// Of those, how many have used nobody knows what: they broke off, or the service counts nothing.
    pub unknown: u32,
    /// What was odd, but no error: events that could not be read, ids that were mended.
    pub warnings: Vec<String>,
}

impl Default for Reply {
    fn default() -> Self {
        Reply {
            message: Message { role: Role::Assistant, content: Vec::new() },
            finish: None,
            usage: Usage::default(),
            model: String::new(),
            output: None,
            cost: None,
            attempts: 0,
            unknown: 0,
            warnings: Vec::new(),
        }
    }
}

impl Reply {
    /// A finished answer of one text.
    pub fn text_of(text: impl Into<String>) -> Self {
        Reply { message: Message::assistant(text), finish: Some(Finish::Stop), ..Reply::default() }
    }

    /// The text of the answer.
    pub fn text(&self) -> String {
        self.message.text()
    }

    /// The words by which the model declined.
    pub fn refusal(&self) -> Option<String> {
        let words: Vec<&str> = self
            .message
            .content
            .iter()
            .filter_map(|part| match part {
                Part::Refusal(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        (!words.is_empty()).then(|| words.concat())
    }

    /// What can be read of the reasoning.
    pub fn reasoning(&self) -> String {
        let text = |part: &Part| match part {
            Part::Reasoning(reasoning) => Some(reasoning.text.clone()),
            _ => None,
        };
        self.message.content.iter().filter_map(text).collect()
    }

    /// The tool calls that may run: complete, strictly valid, and the answer ended in order to have them run.
    pub fn tool_calls(&self) -> Vec<&ToolCall> {
        if self.finish != Some(Finish::ToolCalls) {
            return Vec::new();
        }
        self.message.calls().filter(|call| call.broken.is_none()).collect()
    }

    /// The tool calls that must not run: their arguments are not a JSON object, or the answer broke off or was cut.
    pub fn broken_calls(&self) -> Vec<&ToolCall> {
        let runs = self.finish == Some(Finish::ToolCalls);
        self.message.calls().filter(|call| !runs || call.broken.is_some()).collect()
    }

    /// The answer as JSON, as recordings hold it.
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "content": self.message.to_json()["content"],
            "finish": self.finish,
            "usage": self.usage,
            "model": self.model,
        });
        if let (Some(object), false) = (out.as_object_mut(), self.warnings.is_empty()) {
            object.insert("warnings".into(), json!(self.warnings));
        }
        out
    }
}
