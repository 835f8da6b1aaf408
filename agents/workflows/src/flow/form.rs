//! What can stand in a workflow file?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::duration::Span;

mod kinds;

pub use kinds::*;

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
