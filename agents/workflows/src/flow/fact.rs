//! What can happen in a run of a workflow?
//!
//! Each fact is an entry of the run's journal; its state is what they add up to. What was computed or drawn stands in the fact:
//! nothing is computed again when a journal is read.

use quorate_core::{Code, Error, Result};
use quorate_state::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fact {
    /// The run was asked for.
    Started(Box<Spec>),
    /// Letters up to this one were read.
    Heard {
        letter: u64,
    },
    /// What a letter asked for could not be done.
    Refused {
        letter: u64,
        code: String,
        message: String,
    },
    /// An attempt begins.
    StepStarted {
        step: String,
        visit: u32,
        attempt: u32,
        #[serde(default)]
        args: Value,
        key: String,
        until: Option<f64>,
        /// Whether the call must not be repeated unasked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        once: bool,
    },
    /// Somebody else goes on with an attempt, whose time begins again.
    StepResumed {
        step: String,
        visit: u32,
        attempt: u32,
        until: Option<f64>,
    },
    /// A step waits: for a decision, a signal, a time, another run.
    StepWaits {
        step: String,
        visit: u32,
        wait: Waiting,
    },
    StepCompleted {
        step: String,
        visit: u32,
        output: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
        /// The number of the signal that it has taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<u64>,
        /// Whether it was taken over from another run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        copied: bool,
        /// Of a copy: who had decided there, in any visit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deciders: Vec<String>,
    },
    StepFailed {
        step: String,
        visit: u32,
        attempt: u32,
        code: String,
        message: String,
        /// When it is tried again; `None`: it has failed for good.
        retry_at: Option<f64>,
        /// Whether its call may still be under way; so below.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls: bool,
    },
    StepSkipped {
        step: String,
        visit: u32,
        /// `when`, or who has skipped it.
        why: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls: bool,
    },
    StepCancelled {
        step: String,
        visit: u32,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls: bool,
    },
    StepBlocked {
        step: String,
        visit: u32,
        code: String,
        why: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls: bool,
    },
    /// What became of a call, or of a run, that its step does not wait for any more.
    CallEnded {
        step: String,
        visit: u32,
        attempt: u32,
        end: CallEnd,
    },
    /// The run that a step waits for has begun.
    ChildStarted {
        step: String,
        visit: u32,
        run: String,
    },
    /// A step that had failed or was blocked is tried again.
    StepRetried {
        step: String,
        visit: u32,
    },
    /// From a step on, everything is done again.
    WentBack {
        from: String,
        to: String,
        /// What led there.
        route: String,
        count: u32,
        steps: Vec<String>,
    },
    ReviewClaimed {
        review: String,
        by: String,
    },
    ReviewDelegated {
        review: String,
        by: String,
        to: String,
    },
    /// One of several people has chosen.
    ReviewVoted {
        review: String,
        by: String,
        option: String,
        comment: Option<String>,
        data: Value,
    },
    ReviewEscalated {
        review: String,
        role: String,
        due: Option<f64>,
    },
    SignalCame {
        number: u64,
        name: String,
        data: Value,
        time: f64,
    },
    Paused {
        by: Option<String>,
    },
    Resumed {
        by: Option<String>,
    },
    /// It goes on by another definition, of these hashes.
    Migrated {
        from: String,
        to: String,
        version: String,
    },
    CancelAsked {
        reason: String,
        by: Option<String>,
        compensate: bool,
    },
    Compensating {
        why: Outcome,
    },
    UndoStarted {
        index: usize,
        step: String,
        attempt: u32,
        args: Value,
        key: String,
        until: f64,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        once: bool,
    },
    UndoResumed {
        index: usize,
        until: f64,
    },
    Undone {
        index: usize,
        step: String,
    },
    UndoFailed {
        index: usize,
        step: String,
        attempt: u32,
        code: String,
        message: String,
        retry_at: Option<f64>,
    },
    /// The run is over.
    Ended(Outcome),
}

/// What a run is begun with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) workflow: String,
    pub(crate) version: String,
    pub(crate) hash: String,
    pub(crate) input: Value,
    #[serde(default)]
    pub(crate) starter: Option<String>,
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default)]
    pub(crate) offline: bool,
    /// What stands in for the world in the place of what the definition says, by step.
    #[serde(default)]
    pub(crate) stand_ins: std::collections::BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) deadline: Option<f64>,
    pub(crate) time: f64,
    /// The run and the step that have started this one.
    #[serde(default)]
    pub(crate) parent: Option<(String, String, u32)>,
    #[serde(default)]
    pub(crate) forked_from: Option<(String, String)>,
    /// The run at the top, of one that was started by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<String>,
    /// How many runs are above it.
    #[serde(default)]
    pub(crate) depth: u32,
}

/// What became of a call that nobody waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CallEnd {
    Made { output: Value },
    Failed { code: String, message: String },
    Unknown { why: String },
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Waiting {
    Review(Box<Asked>),
    Signal { names: Vec<String>, until: Option<f64> },
    Time { until: f64 },
    Run { run: String, input: Value, until: Option<f64> },
    Children {},
}

/// A review as it was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) options: Vec<String>,
    pub(crate) people: u32,
    pub(crate) data: Value,
    pub(crate) due: Option<f64>,
    /// Users who may not decide.
    pub(crate) forbid: Vec<String>,
    pub(crate) opened: f64,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Outcome {
    Completed {
        output: Value,
    },
    Failed {
        code: String,
        message: String,
        step: Option<String>,
        /// Why it was to be undone, where undoing has failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Box<Outcome>>,
    },
    Cancelled {
        reason: String,
    },
}

impl Outcome {
    pub(crate) fn status(&self) -> Status {
        match self {
            Outcome::Completed { .. } => Status::Completed,
            Outcome::Failed { .. } => Status::Failed,
            Outcome::Cancelled { .. } => Status::Cancelled,
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Nobody has begun with it.
    Pending,
    /// It waits in a queue for its turn.
    Queued,
    /// Something is done in it.
    Running,
    /// It waits for a decision, a signal, a time or another run.
    Waiting,
    /// Nothing begins in it until it is resumed.
    Paused,
    /// What was done is undone.
    Compensating,
    /// It is over, and came to what it was to come to.
    Completed,
    /// It is over, and did not.
    Failed,
    /// It was ended.
    Cancelled,
    /// It cannot go on by itself.
    Blocked,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 10] = [
        Status::Pending,
        Status::Queued,
        Status::Running,
        Status::Waiting,
        Status::Paused,
        Status::Compensating,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
        Status::Blocked,
    ];

    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Paused => "paused",
            Status::Compensating => "compensating",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::Blocked => "blocked",
        }
    }

    /// Whether it never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }

    /// The status of a name, as runs are listed.
    pub(crate) fn of(name: &str) -> Option<Status> {
        // A run whose holder has gone is running as soon as somebody has hands.
        if name == quorate_state::INTERRUPTED {
            return Some(Status::Running);
        }
        Status::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl Fact {
    pub(crate) fn entry(&self, seq: u64, time: f64) -> Result<Entry> {
        let bad = |e: serde_json::Error| Error::new(Code::Internal, format!("a fact cannot be written: {e}"));
        let mut data = serde_json::to_value(self).map_err(bad)?;
        let kind = match &mut data {
            Value::Object(fields) => fields.remove("fact"),
            _ => None,
        };
        let Some(Value::String(kind)) = kind else {
            return Err(Error::new(Code::Internal, "a fact has no name"));
        };
        Ok(Entry { seq, time, kind, data })
    }

    /// Errors: `corrupt`.
    pub(crate) fn of(entry: &Entry) -> Result<Fact> {
        let mut data = entry.data.clone();
        if let Value::Object(fields) = &mut data {
            fields.insert("fact".to_owned(), Value::from(entry.kind.as_str()));
        }
        serde_json::from_value(data).map_err(|e| {
            let message = format!("entry {} is none of a workflow: {e}", entry.seq);
            Error::new(Code::Corrupt, message)
        })
    }
}
