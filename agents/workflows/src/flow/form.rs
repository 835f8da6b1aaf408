//! What can stand in a workflow file?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::duration::Span;

/// A workflow as it is written, with fragments and overlays in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// The version of this form.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// What the file is.
    pub kind: FileKind,
    /// By which name it is started: words of letters, digits, `_` and `-`, with dots between them.
    pub id: String,
    /// Its version (semver.org).
    pub version: String,
    /// What people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// The field that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub domain: Option<String>,
    /// Fragments that it begins with (`fragment:NAME`); what stands here goes before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extends: Vec<String>,
    /// The JSON Schema of what it is started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub input: Option<Value>,
    /// An input to try it with: what an offline run has that is given none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub example: Option<Value>,
    /// What holds for every step that does not say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where runs wait for their turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Queue")]
    pub queue: Option<Queue>,
    /// What is done, by id.
    pub steps: BTreeMap<String, Step>,
    /// What comes of it: a template. Without one, the outputs of its last steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub output: Option<Value>,
}

/// The version of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "quorate/v1")]
    V1,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FileKind {
    /// A workflow.
    Workflow,
}

/// What holds for every step that does not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// How often and when a step is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
    /// How long an attempt may take. Default 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// What becomes of the run when a step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OnError")]
    pub on_error: Option<OnError>,
    /// What holds for reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reviewers")]
    pub reviewers: Option<Reviewers>,
}

/// What holds for every review that does not say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reviewers {
    /// Who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub role: Option<String>,
    /// How long they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub due: Option<Span>,
    /// What happens then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub on_timeout: Option<String>,
    /// Who decides then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub escalate_to: Option<String>,
    /// Who may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbid: Vec<String>,
}

/// How often and when a step is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, 1 to 100. Default 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// The wait before the second one. Default 1 second.
    #[serde(default = "one_second")]
    pub backoff: Span,
    /// By how much each later wait is longer. Default 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub factor: f64,
    /// The longest wait. Default 1 hour.
    #[serde(default = "one_hour")]
    pub max_backoff: Span,
    /// Whether waits are drawn from 0 to their length, so that those who failed together do not come back together.
    #[serde(default)]
    pub jitter: Jitter,
    /// Codes of errors, or families of codes, that are worth another attempt. Default `unavailable`, `timeout`.
    #[serde(default = "passing")]
    pub retry_on: Vec<String>,
}

fn three() -> u32 {
    3
}
fn two() -> f64 {
    2.0
}
fn one_second() -> Span {
    Span::Text("1s".to_owned())
}
fn one_hour() -> Span {
    Span::Text("1h".to_owned())
}
fn passing() -> Vec<String> {
    vec!["unavailable".to_owned(), "timeout".to_owned()]
}

/// How waits are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Evenly from 0 to the wait.
    #[default]
    Full,
    /// Not at all.
    None,
}

/// What becomes of the run when a step has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It fails, after what was done is undone.
    #[default]
    Fail,
    /// It is blocked until somebody has the step tried again, or skips it.
    Block,
    /// It goes on; those that need the step see null.
    Continue,
}

/// Where runs wait for their turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The queue. Default `default`.
    #[serde(default = "default_queue")]
    pub name: String,
    /// Higher goes first: a number, or a template of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub priority: Option<Value>,
    /// How many may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Concurrency")]
    pub concurrency: Option<Concurrency>,
}

fn default_queue() -> String {
    "default".to_owned()
}

/// How many may run at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// Those with the same key share the limit: a template. Default: all runs of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub key: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1))]
    pub limit: u32,
}

/// One step. Exactly one of the eight kinds, or the name of a kind that the host has added, stands in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// Steps that end before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// A condition; where it is false the step is skipped, and those that need it see null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub when: Option<String>,
    /// How often and when it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
    /// How long an attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// What becomes of the run when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OnError")]
    pub on_error: Option<OnError>,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Compensate")]
    pub compensate: Option<Compensate>,
    /// Where a decision leads, by the option that was chosen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<String, Route>,
    /// What stands in for the world in an offline run; of a list, the first time the first, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub offline: Option<Value>,
    /// An expert answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AgentTask")]
    pub agent_task: Option<AgentTask>,
    /// Several experts come to a position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PanelDiscussion")]
    pub panel_discussion: Option<PanelDiscussion>,
    /// A person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HumanReview")]
    pub human_review: Option<HumanReview>,
    /// A tool of the host is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Integration")]
    pub integration: Option<Integration>,
    /// The first branch whose condition holds is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Branch>")]
    pub conditional: Option<Vec<Branch>>,
    /// Several steps at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Parallel")]
    pub parallel: Option<Parallel>,
    /// A signal, or a time, is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Wait")]
    pub wait: Option<Wait>,
    /// Another workflow runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SubWorkflow")]
    pub workflow: Option<SubWorkflow>,
    /// Kinds that the host has added.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

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

/// The names of the kinds of steps.
pub const KINDS: [&str; 8] = [
    "agent_task",
    "panel_discussion",
    "human_review",
    "integration",
    "conditional",
    "parallel",
    "wait",
    "workflow",
];

/// The keys of a step that are no kinds.
pub(crate) const COMMON: [&str; 10] = [
    "title",
    "description",
    "needs",
    "when",
    "retry",
    "timeout",
    "on_error",
    "compensate",
    "routes",
    "offline",
];

impl Step {
    /// The kinds that stand in it; one where it is right.
    pub fn kinds(&self) -> Vec<&str> {
        let present = [
            self.agent_task.is_some(),
            self.panel_discussion.is_some(),
            self.human_review.is_some(),
            self.integration.is_some(),
            self.conditional.is_some(),
            self.parallel.is_some(),
            self.wait.is_some(),
            self.workflow.is_some(),
        ];
        let own = KINDS.into_iter().zip(present).filter(|(_, present)| *present).map(|(kind, _)| kind);
        own.chain(self.other.keys().map(String::as_str)).collect()
    }
}
