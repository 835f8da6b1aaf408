//! What does a stream give?

use quorate_core::Error;

use crate::message::ToolCall;
use crate::reply::Reply;

/// One event of a stream. Exactly one of [`End`](Event::End), [`Error`](Event::Error) and
/// [`Cancelled`](Event::Cancelled) comes, and comes last.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// More of the text.
    Text {
        /// What to append.
        delta: String,
    },
    /// More of the reasoning.
    Reasoning {
        /// What to append.
        delta: String,
    },
    /// More of the words by which the model declines.
    Refusal {
        /// What to append.
        delta: String,
    },
    /// More of the arguments of a tool call. They are for display; [`ToolCall`](Event::ToolCall) has them whole.
    ToolInput {
        /// The call's place among the calls of the answer, from 0.
        index: usize,
        /// The call's id, once it is known.
        id: String,
        /// The tool.
        name: String,
        /// What to append.
        delta: String,
    },
    /// A call that may run; the answer has ended well, and [`End`](Event::End) follows.
    ToolCall(ToolCall),
    /// Something odd that is no error, such as an event of the service that could not be read.
    Warning {
        /// What.
        message: String,
    },
    /// The attempt failed and another begins, after a wait; or the other says something else than was given.
    Retry {
        /// The number of the attempt that begins or says so, from 2.
        attempt: u32,
        /// Why the one before failed.
        error: Error,
        /// The pause in seconds.
        wait: f64,
        /// How many bytes of the text given so far still hold: what was shown beyond is to be taken back. Reasoning
        /// and tool input start anew.
        keep: usize,
    },
    /// The whole answer.
    End(Box<Reply>),
    /// The call failed.
    Error {
        /// Why.
        error: Error,
        /// What had come of the answer; its message is valid in the next request.
        partial: Box<Reply>,
    },
    /// The caller cancelled.
    Cancelled {
        /// What had come of the answer.
        partial: Box<Reply>,
    },
}

impl Event {
    /// The event's type, as Python and Node name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Text { .. } => "text",
            Event::Reasoning { .. } => "reasoning",
            Event::Refusal { .. } => "refusal",
            Event::ToolInput { .. } => "tool_input",
            Event::ToolCall(_) => "tool_call",
            Event::Warning { .. } => "warning",
            Event::Retry { .. } => "retry",
            Event::End(_) => "end",
            Event::Error { .. } => "error",
            Event::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Event::End(_) | Event::Error { .. } | Event::Cancelled { .. })
    }
}
