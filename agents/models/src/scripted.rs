//! What answers in tests, where no service shall be asked?

use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::{Cancel, Code, Error, Result};
use serde_json::Value;

use crate::message::{Message, Part, Role};
use crate::provider::{AttemptLimits, Failure, Piece, Provider, Source};
use crate::reply::{Finish, Reply, Usage};
use crate::request::Request;
use crate::tokens;

/// A function that answers requests.
type Answer = dyn Fn(&Request, &Cancel) -> Result<Reply> + Send + Sync;

/// A model that says what it is told to: a list of replies, one for each call, or a function of the request. Streams
/// come word by word. Tokens are estimated where a reply has no usage.
pub struct ScriptedModel {
    id: String,
    script: Script,
}

enum Script {
    List { replies: Vec<Result<Reply, (Code, String)>>, next: AtomicUsize },
    Function(Box<Answer>),
}

impl ScriptedModel {
    /// Gives `replies` in this order; a further call is an error (`invalid_argument`).
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        ScriptedModel::of_results(replies.into_iter().map(Ok))
    }

    /// Gives texts in this order.
    pub fn of_texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        ScriptedModel::new(texts.into_iter().map(Reply::text_of))
    }

    /// Gives replies and errors in this order. The codes of lost connections and deadlines are tried again by the
    /// resilience, as those of services are.
    pub fn of_results(results: impl IntoIterator<Item = Result<Reply, (Code, String)>>) -> Self {
        let replies = results.into_iter().collect();
        ScriptedModel {
            id: "scripted:list".into(),
            script: Script::List { replies, next: AtomicUsize::new(0) },
        }
    }

    /// Answers with a function.
    pub fn of_function(answer: impl Fn(&Request, &Cancel) -> Result<Reply> + Send + Sync + 'static) -> Self {
        ScriptedModel { id: "scripted:function".into(), script: Script::Function(Box::new(answer)) }
    }

    /// The same under another name, which prices and recordings see.
    pub fn named(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Reads a reply: a text, or an object with `text` or `content`, `tool_calls`, `finish`, `usage` and `model`.
    /// Errors: `invalid_argument`.
    pub fn reply_from_json(value: &Value) -> Result<Reply> {
        let object = match value {
            Value::String(text) => return Ok(Reply::text_of(text.as_str())),
            Value::Object(object) => object,
            other => {
                let kind = crate::message::kind(other);
                return Err(Error::invalid(format!("a reply is {kind}, expected a text or an object")));
            }
        };
        let known =
            ["text", "content", "tool_calls", "refusal", "finish", "usage", "model", "warnings", "role"];
        if let Some(other) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Error::invalid(format!("a reply has no '{other}'; there are {}", known.join(", "))));
        }
        let mut message = object.clone();
        message.insert("role".into(), "assistant".into());
        if let Some(text) = message.remove("text") {
            message.insert("content".into(), text);
        }
        let mut message = Message::from_json(&Value::Object(message))?;
        let mut ids = crate::history::FreshIds::default();
        for part in &mut message.content {
            if let Part::ToolCall(call) = part {
                call.id = ids.fresh(&call.id);
            }
        }
        let read = |name: &str| object.get(name).filter(|value| !value.is_null()).cloned();
        let finish = match read("finish") {
            Some(finish) => serde_json::from_value(finish).map_err(|_| {
                Error::invalid("finish is none of stop, tool_calls, length, refusal, filtered")
            })?,
            None if message.calls().next().is_some() => Finish::ToolCalls,
            None if message.content.iter().any(|part| matches!(part, Part::Refusal(_))) => Finish::Refusal,
            None => Finish::Stop,
        };
        let usage = match read("usage") {
            Some(usage) => serde_json::from_value(usage)
                .map_err(|e| Error::invalid(format!("usage is not made of numbers of tokens: {e}")))?,
            None => Usage::default(),
        };
        let model = read("model").and_then(|model| model.as_str().map(str::to_owned)).unwrap_or_default();
        let warnings = read("warnings").and_then(|w| serde_json::from_value(w).ok()).unwrap_or_default();
        Ok(Reply { message, finish: Some(finish), usage, model, warnings, ..Reply::default() })
    }

    fn next(&self, request: &Request, cancel: &Cancel) -> Result<Reply, Failure> {
        cancel.check().map_err(Failure::lasting)?;
        let mut reply = match &self.script {
            Script::Function(answer) => answer(request, cancel).map_err(Failure::by_code)?,
            Script::List { replies, next } => {
                let at = next.fetch_add(1, Ordering::Relaxed);
                match replies.get(at) {
                    Some(Ok(reply)) => reply.clone(),
                    Some(Err((code, message))) => {
                        return Err(Failure::by_code(Error::new(*code, message.clone())));
                    }
                    None => {
                        let message =
                            format!("the script has {} replies, and this is call {}", replies.len(), at + 1);
                        return Err(Failure::lasting(Error::invalid(message)));
                    }
                }
            }
        };
        reply.message.role = Role::Assistant;
        reply.finish = reply.finish.or(Some(Finish::Stop));
        if reply.model.is_empty() {
            reply.model.clone_from(&self.id);
        }
        if reply.usage == Usage::default() {
            reply.usage.input = tokens::estimate(request).tokens;
            reply.usage.output =
                tokens::of_text(&reply.message.to_json()["content"].to_string()).ceil() as u64;
        }
        Ok(reply)
    }
}

impl Provider for ScriptedModel {
    fn id(&self) -> &str {
        &self.id
    }

    fn complete(&self, request: &Request, _limits: AttemptLimits, cancel: &Cancel) -> Result<Reply, Failure> {
        self.next(request, cancel)
    }

    fn stream(
        &self,
        request: &Request,
        _limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Box<dyn Source>, Failure> {
        let reply = self.next(request, cancel)?;
        Ok(Box::new(Words {
            inner: crate::wire::AtOnce::of(reply),
            words: Vec::new(),
            cancel: cancel.clone(),
        }))
    }
}

/// The pieces of an answer, with its texts word by word.
struct Words {
    inner: crate::wire::AtOnce,
    words: Vec<String>,
    cancel: Cancel,
}

impl Source for Words {
    fn next_piece(&mut self) -> Option<Piece> {
        if let Err(error) = self.cancel.check() {
            return Some(Piece::Failed(Failure::lasting(error), Box::default()));
        }
        loop {
            if let Some(word) = self.words.pop() {
                return Some(Piece::Text(word));
            }
            match self.inner.next_piece()? {
                // A text may be empty, and then has no word.
                Piece::Text(text) => {
                    self.words = text.split_inclusive(' ').rev().map(str::to_owned).collect();
                }
                other => return Some(other),
            }
        }
    }
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel").field("id", &self.id).finish_non_exhaustive()
    }
}
