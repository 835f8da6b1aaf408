//! What must be able to answer, so that the rest of the house can ask it?
//!
//! A [`Provider`] answers one attempt: it retries nothing, waits for no rate limit and knows no prices. Whoever adds
//! one (a local model, a service with an interface of its own, a router) implements this trait and hands it to
//! [`Model::new`](crate::Model::new); retries, limits, structured output, recordings and costs then hold for it too.

use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::reply::{Reply, Usage};
use crate::request::Request;

/// How long one attempt may take. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// The whole attempt.
    pub total: Option<Duration>,
    /// Until the first byte of a stream.
    pub first_byte: Option<Duration>,
    /// From one piece of a stream to the next.
    pub stall: Option<Duration>,
}

/// What answers requests, one attempt at a time.
pub trait Provider: Send + Sync {
    /// How prices, recordings and messages name it: `WIRE:NAME`.
    fn id(&self) -> &str;

    /// Answers as a whole.
    fn complete(&self, request: &Request, limits: AttemptLimits, cancel: &Cancel) -> Result<Reply, Failure>;

    /// Starts to answer piece by piece. It may fail at once or, through [`Piece::Failed`], later.
    fn stream(
        &self,
        request: &Request,
        limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Box<dyn Source>, Failure>;

    /// Tokens of a request, and whether they were counted exactly.
    fn count_tokens(&self, request: &Request) -> Result<TokenCount> {
        Ok(crate::tokens::estimate(request))
    }

    /// How the provider gives output of the request's form; [`OutputWay::Prompt`] works everywhere.
    fn output_way(&self, _request: &Request) -> OutputWay {
        OutputWay::Prompt
    }

    /// Told when the service refused a request because of how structured output was asked for. Returns whether there is
    /// another way, which [`output_way`](Provider::output_way) then gives for requests of that form.
    fn output_refused(&self, _request: &Request, _way: OutputWay) -> bool {
        false
    }

    /// The most tokens that the model may write for a request; `None` where that is not known. Limits on the tokens of a
    /// minute reserve as many.
    fn most_written(&self, request: &Request) -> Option<u64> {
        request.max_tokens.map(u64::from)
    }

    /// Itself, where who holds the model may need to know more of it than this trait says: see [`Model::provider`].
    ///
    /// [`Model::provider`]: crate::Model::provider
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }

    /// A request, for the recording of what it answers; in recordings of HTTP this would be its body.
    fn describe(&self, request: &Request) -> serde_json::Value {
        request.to_json()
    }
}

/// How structured output is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OutputWay {
    /// The service guarantees the form.
    Native,
    /// The answer is the arguments of a tool that the model must call.
    Tool,
    /// The form stands in the prompt.
    Prompt,
}

/// A count of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// How many.
    pub tokens: u64,
    /// Whether they were counted with the model's own tokenizer and template.
    pub exact: bool,
}

/// The pieces of one attempt at an answer.
pub trait Source: Send {
    /// The next piece, which waits for it; `None` after [`Piece::End`] or [`Piece::Failed`].
    fn next_piece(&mut self) -> Option<Piece>;

    /// A piece that is there already.
    fn ready_piece(&mut self) -> Option<Piece> {
        None
    }
}

/// One piece of an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Piece {
    /// More text.
    Text(String),
    /// More reasoning.
    Reasoning(String),
    /// More words of a refusal.
    Refusal(String),
    /// More of the arguments of a tool call, with the call's place among the calls.
    ToolInput {
        /// The place, from 0.
        index: usize,
        /// The call's id; empty while it is not known.
        id: String,
        /// The tool.
        name: String,
        /// More of the arguments, as written.
        delta: String,
    },
    /// Something odd.
    Warning(String),
    /// The whole answer. The last piece.
    End(Box<Reply>),
    /// The attempt failed; what had come is beside the reason. The last piece.
    Failed(Failure, Box<Reply>),
}

/// Why an attempt failed, and what may be done about it.
#[derive(Debug)]
pub struct Failure {
    /// What is told to the caller in the end.
    pub error: Error,
    /// Whether the same request may succeed later.
    pub passing: bool,
    /// Whether another model may succeed at once.
    pub elsewhere: bool,
    /// Whether it tells that the service is unwell, which is what a circuit breaker counts.
    pub unwell: bool,
    /// How long the service asked to wait.
    pub wait: Option<Duration>,
    /// What the attempt has used.
    pub used: Used,
}

/// What an attempt that failed has used, for it may be paid for and counts in the limits of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Used {
    /// It was never sent, so it is no attempt either.
    Unsent,
    /// It was refused.
    Nothing,
    /// Tokens that were counted by the service.
    Counted(Usage),
    /// It was sent, and what came of it at the service is not known.
    Unknown,
}

impl Failure {
    /// A failure that no repetition mends.
    pub fn lasting(error: Error) -> Self {
        let elsewhere = matches!(error.code(), Code::ContextOverflow | Code::RateLimited | Code::CircuitOpen);
        let used = used_by_code(error.code());
        Failure { error, passing: false, elsewhere, unwell: false, wait: None, used }
    }

    /// A failure that may pass.
    pub fn passing(error: Error) -> Self {
        let used = used_by_code(error.code());
        Failure { error, passing: true, elsewhere: true, unwell: true, wait: None, used }
    }

    /// A failure that may pass or not, by its code: lost connections, deadlines and broken streams may.
    pub fn by_code(error: Error) -> Self {
        match error.code() {
            Code::Offline | Code::Timeout | Code::StreamIncomplete => Failure::passing(error),
            _ => Failure::lasting(error),
        }
    }

    /// The same, where the service counted `usage`, which is nothing where it counted nothing.
    pub fn counted(self, usage: Usage) -> Self {
        if usage == Usage::default() { self } else { Failure { used: Used::Counted(usage), ..self } }
    }

    /// Nothing was sent: this model takes nothing at present, but another may.
    pub(crate) fn unsent(error: Error) -> Self {
        let elsewhere = matches!(error.code(), Code::Timeout | Code::CircuitOpen);
        Failure { elsewhere, used: Used::Unsent, ..Failure::lasting(error) }
    }

    /// The failure that is told when this one follows `before`: a request that was not even sent must not hide why the one
    /// before it failed.
    pub(crate) fn after(self, before: Failure) -> Self {
        if self.used != Used::Unsent || matches!(self.error.code(), Code::Cancelled | Code::ReplayMismatch) {
            return self;
        }
        let then = format!("; then: {}", self.error.message());
        Failure { error: before.error.followed_by(then), used: before.used, ..self }
    }
}

fn used_by_code(code: Code) -> Used {
    match code {
        // The service had begun to answer, or may have.
        Code::StreamIncomplete | Code::RemoteInvalid | Code::Timeout | Code::Cancelled => Used::Unknown,
        Code::InvalidArgument
        | Code::NotFinite
        | Code::EmptyInput
        | Code::Unsupported
        | Code::CircuitOpen
        | Code::ReplayMismatch => Used::Unsent,
        _ => Used::Nothing,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::by_code(error)
    }
}
