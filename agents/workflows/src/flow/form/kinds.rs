//! What can stand in a step, by its kind?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Retry, Step};
use crate::flow::duration::Span;

/// What undoes a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compensate {
    /// The tool.
    pub tool: String,
    /// Its arguments: a template, in which `step` is the step that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub args: Option<Value>,
    /// How often and when it is tried again. Default: as the step, and else three times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
}

/// Where a decision leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The step, earlier than this one, from which on everything is done again.
    pub goto: String,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1000))]
    pub max: Option<u32>,
}

/// An expert answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTask {
    /// The id of the expert; without one, whoever fits best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub agent: Option<String>,
    /// Capabilities that the expert must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// What is asked: a template, or the path of a file with one. Without one, the step's title and what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub prompt: Option<String>,
    /// The JSON Schema of the answer; without one, the answer is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub output: Option<Value>,
    /// A filter of the sources.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub filter: Option<Value>,
    /// Whether the expert plans, acts and checks by itself.
    #[serde(default)]
    pub autonomous: bool,
}

/// Several experts come to a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelDiscussion {
    /// What is asked: a template, or the path of a file with one.
    pub question: String,
    /// In which of the six ways.
    #[serde(rename = "type", default)]
    pub kind: PanelType,
    /// How many experts. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize", range(min = 1, max = 64))]
    pub size: Option<usize>,
    /// Who is asked, by id; without, who fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Capabilities that the experts must have, each one of them or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// The share of members whose ballots each round needs. Default 0.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.01, max = 1.0))]
    pub quorum: Option<f64>,
    /// Rounds at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 20))]
    pub rounds: Option<u32>,
    /// The answers to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The ends of the scale of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "(f64, f64)")]
    pub scale: Option<(f64, f64)>,
    /// What they are given to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PanelContext")]
    pub context: Option<PanelContext>,
    /// A filter of the sources.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub filter: Option<Value>,
}

/// What a panel is given to read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelContext {
    /// The knowledge base, as the host calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub kb: Option<String>,
    /// At most so many tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub max_tokens: Option<u64>,
}

/// The six ways in which a panel is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum PanelType {
    #[default]
    Parallel,
    Sequential,
    Consensus,
    Debate,
    Socratic,
    Delphi,
}

/// A person decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HumanReview {
    /// Who decides: whoever the host says has this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub role: Option<String>,
    /// What people read: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub title: Option<String>,
    /// What there is to see: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub data: Option<Value>,
    /// What can be decided. Default `approve`, `reject`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// How many different people must choose the same. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 20))]
    pub people: Option<u32>,
    /// How long they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub due: Option<Span>,
    /// What happens then: `fail` (the default), `escalate`, `continue` (nobody has decided), or an option that counts as chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub on_timeout: Option<String>,
    /// The role that decides after an escalation. Without one, the same, who are shown that it is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub escalate_to: Option<String>,
    /// Who may not decide: `starter`, who has started the run; or the id of another review: who has decided that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbid: Vec<String>,
}

/// A tool of the host is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// The tool: its name, or the name of a tool with several calls and the call (`openfda.search`).
    pub tool: String,
    /// Its arguments: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub args: Option<Value>,
    /// The breaker that it shares with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub breaker: Option<String>,
    /// What makes a repeated call harmless: a template. Without one, one that is made of run, step and visit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub idempotency_key: Option<String>,
}

/// One branch of a conditional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The condition; without one, `else` stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub when: Option<String>,
    /// What happens where it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Then")]
    pub then: Option<Then>,
    /// What happens where none before has held.
    #[serde(default, rename = "else", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Then")]
    pub otherwise: Option<Then>,
}

/// What a branch leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Then {
    /// `continue`.
    Word(ThenWord),
    /// One of the others.
    Do(ThenDo),
}

/// `continue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThenWord {
    /// The run goes on.
    Continue,
}

/// Exactly one of `fail`, `end` and `goto`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThenDo {
    /// The run fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Failing")]
    pub fail: Option<Failing>,
    /// The run ends well, with this output: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub end: Option<Value>,
    /// From that step on, earlier than this one, everything is done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub goto: Option<String>,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 1000))]
    pub max: Option<u32>,
}

/// How a run fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// A word that programs read.
    pub code: String,
    /// What people read: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
}

/// Several steps at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// When it is over.
    pub join: Join,
    /// How many may fail. Default 0: the first failure ends the others.
    #[serde(default)]
    pub tolerate: u32,
    /// What is done; they may need one another.
    pub steps: BTreeMap<String, Step>,
}

/// When several steps at once are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// When all are.
    All,
    /// With the first that has done its work; the others are ended.
    Any,
    /// With so many; the others are ended.
    AtLeast(#[schemars(range(min = 1))] u32),
}

/// A signal, or a time, is waited for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The signal, or one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OneOrMore")]
    pub signal: Option<OneOrMore>,
    /// So long.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub span: Option<Span>,
    /// Until then: a template of seconds since 1970, or of a time by RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub until: Option<Value>,
    /// How long a signal is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// What happens when none came.
    #[serde(default)]
    pub on_timeout: OnWaited,
}

/// What happens when no signal came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnWaited {
    /// The step fails with `timeout`.
    #[default]
    Fail,
    /// It is over, without a signal.
    Continue,
}

/// A word, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    /// Each of them.
    pub fn all(&self) -> Vec<String> {
        match self {
            OneOrMore::One(one) => vec![one.clone()],
            OneOrMore::More(more) => more.clone(),
        }
    }
}

/// Another workflow runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubWorkflow {
    /// Which.
    pub id: String,
    /// Which version; without one, the newest when the step begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// What it is started with: a template. Without one, the input of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub input: Option<Value>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
}
