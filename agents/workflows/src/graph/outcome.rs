//! What came of a run, and how does a thread stand?

use quorate_core::{Code, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Something is due, and somebody is at it, or has been stopped at it.
    Running,
    /// Nothing is due any more.
    Done,
    /// It waits for answers to reviews.
    Waiting,
    /// A node has failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It has gone as many steps as it may.
    StepLimit,
}

impl Status {
    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Done => "done",
            Status::Waiting => "waiting",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::StepLimit => "step_limit",
        }
    }
}

/// A question of a node that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Its id, the same after every resume.
    pub id: String,
    /// The node that asks.
    pub node: String,
    /// The namespace of the node: `""`, or that of a graph within the graph.
    pub namespace: String,
    /// The task that asks.
    pub task: String,
    /// What is asked.
    pub question: Value,
}

/// Why a node has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The node; none: what several have written does not fit together.
    pub node: Option<String>,
    /// The code of its error.
    pub code: String,
    /// What it says.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl Failure {
    pub(crate) fn of(node: Option<&str>, error: &Error, attempts: u32) -> Failure {
        let (code, message) = (error.code().as_str().to_owned(), error.message().to_owned());
        Failure { node: node.map(str::to_owned), code, message, attempts }
    }

    /// The error itself.
    pub fn to_error(&self) -> Error {
        let code = Code::ALL.iter().find(|code| code.as_str() == self.code);
        let error = Error::new(code.copied().unwrap_or(Code::Internal), self.message.as_str());
        match &self.node {
            Some(node) => error.context(format!("the node '{node}'")),
            None => error,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The thread.
    pub thread: String,
    /// The run: the same until the thread is run with another input.
    pub run_id: String,
    /// How it stands.
    pub status: Status,
    /// The state, as far as whole steps have brought it.
    pub state: Value,
    /// What waits for an answer.
    pub reviews: Vec<Review>,
    /// Why it has failed.
    pub error: Option<Failure>,
    /// The newest checkpoint.
    pub checkpoint: String,
    /// How many steps this call has gone.
    pub steps: usize,
}

/// How a task of a checkpoint's next step stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    /// Its name in the step.
    pub task: String,
    /// Its node.
    pub node: String,
    /// Whether it has ended; it is not done again.
    pub ended: bool,
    /// Why it has failed.
    pub error: Option<Failure>,
    /// What it asks.
    pub reviews: Vec<Review>,
    /// Where a graph within the graph has its checkpoints.
    pub namespace: Option<String>,
}

/// A thread as a checkpoint has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The thread.
    pub thread: String,
    /// The namespace: `""`, or that of a graph within the graph.
    pub namespace: String,
    /// The checkpoint.
    pub checkpoint: String,
    /// The one that it comes from.
    pub parent: Option<String>,
    /// The state.
    pub state: Value,
    /// How it stands.
    pub status: Status,
    /// The nodes that come next, once for each task.
    pub next: Vec<String>,
    /// How their tasks stand.
    pub tasks: Vec<TaskState>,
    /// What waits for an answer, also within graphs of the graph.
    pub reviews: Vec<Review>,
    /// How many steps led here.
    pub step: u64,
    /// What wrote it: `input`, `loop`, `update` or `cancel`; a fork has that of the checkpoint that it was made of.
    pub source: String,
    /// The run that it belongs to.
    pub run_id: String,
    /// When it was written, in seconds since 1970 (UTC).
    pub time: f64,
}

/// What is told while a graph runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What each task has written, when its step has ended.
    Updates,
    /// The whole state after each step.
    Values,
    /// What nodes say by themselves.
    Custom,
    /// Tasks that begin and end.
    Tasks,
}

/// Something that happens while a graph runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What kind of event it is.
    pub mode: Mode,
    /// The namespace: `""`, or that of a graph within the graph.
    pub namespace: String,
    /// The step.
    pub step: u64,
    /// The node.
    pub node: Option<String>,
    /// The task.
    pub task: Option<String>,
    /// What is told: writes, a state, what the node said, or `{"event": "start" | "end" | "wait" | "fail"}`.
    pub data: Value,
}
