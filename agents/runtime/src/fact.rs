//! What happens in a run?
//!
//! Each fact is an entry of the run's journal. Facts tell only what came from outside (answers of models and tools,
//! decisions, what was found); all else follows from them, in [`crate::machine`].

use quorate_agents::Agent;
use quorate_core::{Code, Error, Result};
use quorate_models::{Finish, Message, Reply, Usage};
use quorate_state::Entry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::{Budget, Spent};
use crate::evidence::{Citation, Passage};
use crate::extractive::{Check, ExtractOptions};
use crate::machine::Pending;
use crate::tool::ToolCard;

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Fact {
    /// The run begins, and this is what was asked for.
    Started(Box<Spec>),
    /// Somebody goes on with it, after a decision or after its process ended.
    Resumed,
    /// Which experts fit, the best first.
    Matched {
        /// Those that fit best, and the one that was named, wherever it stands.
        candidates: Vec<Candidate>,
        /// Whether nobody fits well enough.
        nobody: bool,
        /// The definition of the expert that answers, where there is one.
        agent: Option<Box<Agent>>,
        /// From whom the question was handed over to it, and why.
        handed: Option<Handover>,
    },
    /// What was found for a question.
    Retrieved {
        /// The question.
        question: String,
        /// The passages that were not known yet.
        passages: Vec<Passage>,
    },
    /// A model answered.
    Replied {
        /// The number of the request, from 1.
        call: u32,
        /// The answer.
        reply: Box<Answered>,
    },
    /// A model could not answer.
    Failed {
        /// The number of the request.
        call: u32,
        /// Why.
        code: String,
        /// In words.
        message: String,
        /// What it used nevertheless.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spent: Option<Spent>,
    },
    /// The budget did not allow a step.
    Refused {
        /// The tool call; `None` for a request to a model.
        id: Option<String>,
        /// Which limit.
        by: String,
    },
    /// Tools are about to run.
    Running {
        /// The calls.
        ids: Vec<String>,
    },
    /// A tool has run.
    Returned {
        /// The call.
        id: String,
        /// What it gave, or why it failed, as the model reads it.
        content: String,
        /// The code of its failure.
        error: Option<String>,
        /// Seconds that it took.
        seconds: f64,
        /// What runs that it started have spent, without what [`Fact::Asks`] has told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spent: Option<Spent>,
    },
    /// A run that a tool has started waits for decisions, and so does this one.
    Asks {
        /// The call of the tool.
        id: String,
        /// What waits there, by the names that it has here.
        pending: Vec<Pending>,
        /// Seconds that it took so far.
        seconds: f64,
        /// What that run has spent since this was last told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spent: Option<Spent>,
    },
    /// Something went otherwise than it should, and the run goes on.
    Warned {
        /// A code, where it was an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// In words.
        message: String,
    },
    /// A request that has come to nothing used this nevertheless.
    Used {
        /// What.
        spent: Spent,
        /// Whether it was one of a run that this one has started.
        #[serde(default, skip_serializing_if = "is_false")]
        below: bool,
    },
    /// Somebody decided about a call, or the plan.
    Decided {
        /// The call's id, or `plan`.
        id: String,
        /// What.
        decision: Decision,
    },
    /// The run waits for decisions.
    Waiting {
        /// How many events it has shown, this one with them; `None` where nobody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<u64>,
    },
    /// Each statement of the answer was looked up in the sources.
    Checked {
        /// What was found.
        checks: Vec<Check>,
    },
    /// Tools of somebody else have changed.
    Noticed {
        /// Which, in words.
        message: String,
    },
    /// The caller ended the run.
    Cancelled,
    /// The run is over.
    Ended {
        /// How.
        status: Status,
        /// How many events it has shown, this one with them; `None` where nobody looked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<u64>,
    },
}

/// What was asked for, with all that the run goes by, so that it can go on elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) question: String,
    /// The expert that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<Box<Agent>>,
    pub(crate) autonomous: bool,
    /// Whether experts are matched, sources looked up.
    pub(crate) matching: bool,
    pub(crate) retrieval: bool,
    /// Whether sentences of the sources answer, and no language model.
    pub(crate) extractive: bool,
    /// How they are chosen; `None`: by the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extract: Option<ExtractOptions>,
    /// Whether somebody can be asked for approval while the run goes on.
    pub(crate) approver: bool,
    /// Whether nobody will be asked later either: an autonomous run without an approver has started it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) unattended: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conversation: Vec<Message>,
    /// The form of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value>,
    /// Whether the host checks it too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) checked: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<ToolCard>,
    pub(crate) budget: Budget,
    pub(crate) seed: u64,
    /// The conversation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) talk: Option<String>,
    /// What was spent before it began, on summing up what was said before.
    #[serde(default)]
    pub(crate) spent: Spent,
    /// A filter of the sources, as JSON or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Value>,
    /// The run that started this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    pub(crate) depth: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// An expert that fits a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The agent's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the ranking goes by.
    pub score: f64,
    /// Probability, 0 to 1, that it is the right one.
    pub confidence: f64,
}

/// A question that went to another expert than the one that was named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// Who was named.
    pub from: String,
    /// Who answers.
    pub to: String,
    /// The subject that the first leaves to the second.
    pub topic: String,
}

/// An answer of a model, as journals hold it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) message: Message,
    pub(crate) finish: Option<Finish>,
    #[serde(default)]
    pub(crate) usage: Usage,
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value>,
    pub(crate) cost: Option<f64>,
    /// US dollars that the budget counts for it, where it is not known what it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counted: Option<f64>,
    /// Tokens that the budget counts for attempts of which nobody knows what they used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<u64>,
    /// The limit of the budget for which the answer had to be shorter than it might be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capped: Option<String>,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// How sure the extractive expert is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<f64>,
    /// The sentences that it gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) citations: Vec<Citation>,
    pub(crate) seconds: f64,
}

impl Answered {
    pub(crate) fn of(reply: Reply, seconds: f64) -> Self {
        Answered {
            message: reply.message,
            finish: reply.finish,
            usage: reply.usage,
            model: reply.model,
            output: reply.output,
            cost: reply.cost,
            counted: None,
            unknown: None,
            capped: None,
            attempts: reply.attempts,
            warnings: reply.warnings,
            confidence: None,
            citations: Vec::new(),
            seconds,
        }
    }
}

/// What somebody decided about a call that waits, or a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// It may be made as it is.
    Approve,
    /// It must not be made.
    Deny,
    /// It may be made with these arguments; for a plan, with these steps (`{"steps": [...]}`).
    Arguments(Map<String, Value>),
}

impl Decision {
    /// Reads `"approve"`, `"deny"`, `true`, `false` or `{"arguments": {...}}`. Errors: `invalid_argument`.
    ///
    /// ```
    /// use quorate_runtime::Decision;
    /// assert_eq!(Decision::from_json(&serde_json::json!("deny"))?, Decision::Deny);
    /// assert!(Decision::from_json(&serde_json::json!("perhaps")).is_err());
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn from_json(value: &Value) -> Result<Self> {
        match value {
            Value::Bool(true) => Ok(Decision::Approve),
            Value::Bool(false) => Ok(Decision::Deny),
            Value::String(word) if word == "approve" => Ok(Decision::Approve),
            Value::String(word) if word == "deny" => Ok(Decision::Deny),
            Value::Object(object)
                if object.len() == 1 && object.get("arguments").is_some_and(Value::is_object) =>
            {
                let arguments = object.get("arguments").and_then(Value::as_object);
                Ok(Decision::Arguments(arguments.cloned().unwrap_or_default()))
            }
            other => Err(Error::invalid(format!(
                "a decision is {}, expected \"approve\", \"deny\" or {{\"arguments\": {{...}}}}",
                quorate_core::shorten(&other.to_string())
            ))),
        }
    }

    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Decision::Approve => "approve",
            Decision::Deny => "deny",
            Decision::Arguments(_) => "arguments",
        }
    }
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It goes on.
    Running,
    /// It waits for decisions.
    Waiting,
    /// It has answered.
    Done,
    /// It was stopped before it was done; there is what it had by then.
    Partial,
    /// The caller ended it.
    Cancelled,
    /// The model declined, or the plan was denied.
    Refused,
    /// Nobody fits, or the sources do not say.
    Abstained,
    /// Too few members of a panel gave a ballot.
    NoConsensus,
    /// It could not answer.
    Failed,
}

impl Status {
    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Done => "done",
            Status::Partial => "partial",
            Status::Cancelled => "cancelled",
            Status::Refused => "refused",
            Status::Abstained => "abstained",
            Status::NoConsensus => "no_consensus",
            Status::Failed => "failed",
        }
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Running | Status::Waiting)
    }
}

/// How deep what is written down may be nested: readers of JSON stop at 128.
const MOST_DEPTH: usize = 120;

fn is_deeper(value: &Value, than: usize) -> bool {
    match value {
        Value::Array(items) => than == 0 || items.iter().any(|item| is_deeper(item, than - 1)),
        Value::Object(fields) => than == 0 || fields.values().any(|item| is_deeper(item, than - 1)),
        _ => false,
    }
}

impl Fact {
    /// The fact as an entry of a journal. Errors: as [`written`].
    pub(crate) fn entry(&self, seq: u64, time: f64) -> Result<Entry> {
        written(self, "", seq, time)
    }

    /// Reads an entry. Errors: `corrupt`.
    pub(crate) fn of(entry: &Entry) -> Result<Fact> {
        read(entry, "")
    }
}

/// A fact of a run or a panel as an entry, whose kind begins with `prefix`. Errors: `invalid_argument` for one that nobody could
/// read again.
pub(crate) fn written(fact: &impl Serialize, prefix: &str, seq: u64, time: f64) -> Result<Entry> {
    let broken = |e: serde_json::Error| Error::new(Code::Internal, format!("a fact cannot be written: {e}"));
    let mut data = serde_json::to_value(fact).map_err(broken)?;
    let kind = match data.as_object_mut().and_then(|object| object.remove("kind")) {
        Some(Value::String(kind)) => format!("{prefix}{kind}"),
        _ => return Err(Error::new(Code::Internal, "a fact has no kind")),
    };
    if is_deeper(&data, MOST_DEPTH) {
        let message = format!("'{kind}': lists and objects within one another, over {MOST_DEPTH} deep");
        return Err(Error::invalid(message));
    }
    Ok(Entry { seq, time, kind, data })
}

/// Reads what [`written`] has made. Errors: `corrupt`.
pub(crate) fn read<T: DeserializeOwned>(entry: &Entry, prefix: &str) -> Result<T> {
    let mut data = entry.data.clone();
    let kind = entry.kind.strip_prefix(prefix).unwrap_or_default();
    if let Value::Object(object) = &mut data {
        object.insert("kind".to_owned(), Value::String(kind.to_owned()));
    }
    serde_json::from_value(data).map_err(|e| {
        Error::new(Code::Corrupt, format!("entry {} of the journal cannot be read: {e}", entry.seq))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_that_earlier_versions_wrote_are_read() {
        let read = |kind: &str, data: Value| {
            Fact::of(&Entry { seq: 1, time: 1.0, kind: kind.to_owned(), data }).unwrap()
        };
        assert_eq!(read("waiting", json!({})), Fact::Waiting { shown: None });
        assert_eq!(
            read("ended", json!({"status": "done"})),
            Fact::Ended { status: Status::Done, shown: None }
        );
        let spec = json!({
            "question": "Which dose?", "autonomous": false, "matching": false, "retrieval": false, "extractive": false,
            "approver": false, "budget": {"max_steps": 20}, "seed": 0, "depth": 0, "output": {"type": "object"},
            "spent": {"usage": {"input": 1}, "cost": 0.5, "counted": 0.5, "steps": 1, "tool_calls": 0},
        });
        let Fact::Started(spec) = read("started", spec) else { panic!() };
        assert_eq!((spec.checked, spec.unattended, spec.spent.unknown), (false, false, 0));
        let reply = json!({"call": 1, "reply": {
            "message": {"role": "assistant", "content": "5 mg"}, "finish": "stop", "cost": null, "counted": 0.25, "seconds": 0.5,
        }});
        let Fact::Replied { reply, .. } = read("replied", reply) else { panic!() };
        assert_eq!((reply.unknown, reply.capped, reply.counted), (None, None, Some(0.25)));
    }

    #[test]
    fn what_nobody_uses_is_not_written() {
        let entry = Fact::Waiting { shown: None }.entry(1, 1.0).unwrap();
        assert_eq!(entry.data, json!({}));
        let entry = Fact::Ended { status: Status::Done, shown: None }.entry(1, 1.0).unwrap();
        assert_eq!(entry.data, json!({"status": "done"}));
    }
}
