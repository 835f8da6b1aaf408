//! What is asked of an expert, and how does it go on?

use std::any::Any;
use std::sync::Arc;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::Message;
use quorate_state::Entry;
use serde_json::Value;

use crate::approve::Approve;
use crate::budget::Budget;
use crate::conversation::Conversation;
use crate::fact::{Decision, Fact, Spec};
use crate::tool::Tool;

/// What the data of an answer has to fit beside its schema, in the words of the host where it does not. It may be called on
/// any thread, and more than once.
pub type CheckOutput = Arc<dyn Fn(&Value) -> std::result::Result<(), String> + Send + Sync>;

/// What a host keeps of who asks, such as the variables of its context, for the tools that are functions of it: also for those of
/// another runtime whose expert is asked. It is in no journal, and nobody else looks into it.
pub type HostContext = Arc<dyn Any + Send + Sync>;

/// What is asked of an expert.
#[derive(Clone, Default)]
pub struct Question {
    /// The question, at most 1 MiB.
    pub text: String,
    /// The id of the expert; `None`: the one that fits best.
    pub agent: Option<String>,
    /// Whether it plans, acts and checks by itself.
    pub autonomous: bool,
    /// What was said before.
    pub conversation: Vec<Message>,
    /// The conversation that the question belongs to: what it takes along, and what it keeps of the answer.
    pub talk: Option<Conversation>,
    /// The JSON Schema of the answer.
    pub output: Option<Value>,
    /// What else the answer's data has to fit. What it refuses the model may mend, as often as what does not fit the schema;
    /// then the run fails with `output_invalid`, and says what was said.
    pub check_output: Option<CheckOutput>,
    /// Tools in the place of the runtime's.
    pub tools: Option<Vec<Arc<dyn Tool>>>,
    /// A filter of the sources: an expression, or its JSON form.
    pub filter: Option<Value>,
    /// In the place of the runtime's.
    pub budget: Option<Budget>,
    /// In the place of the runtime's.
    pub approve: Option<Arc<dyn Approve>>,
    /// For services that repeat themselves on request. Default 0.
    pub seed: u64,
    /// Asking the same again with the same key gives the run that there is; asking something else is a `run_conflict`.
    pub idempotency_key: Option<String>,
    /// The host's span that the run's spans belong to, as a W3C `traceparent`. It is in no journal.
    pub trace_parent: Option<String>,
    /// What tools are told of who asks, by the host and for it.
    pub host: Option<HostContext>,
    /// Ends the run.
    pub cancel: Cancel,
}

impl Question {
    /// A question to whoever fits best.
    pub fn new(text: impl Into<String>) -> Self {
        Question { text: text.into(), ..Question::default() }
    }

    /// The same to one expert.
    pub fn to(text: impl Into<String>, agent: impl Into<String>) -> Self {
        Question { agent: Some(agent.into()), ..Question::new(text) }
    }
}

/// How a run goes on.
#[derive(Clone, Default)]
pub struct Resume {
    /// What was decided, by the ids of what waits.
    pub decisions: Vec<(String, Decision)>,
    /// Tools in the place of the runtime's.
    pub tools: Option<Vec<Arc<dyn Tool>>>,
    /// In the place of the runtime's.
    pub approve: Option<Arc<dyn Approve>>,
    /// What the answer's data has to fit beside its schema; `None`: what was asked for, where this runtime still knows it.
    pub check_output: Option<CheckOutput>,
    /// As for a question.
    pub trace_parent: Option<String>,
    /// As for a question.
    pub host: Option<HostContext>,
    /// Ends the run.
    pub cancel: Cancel,
}

impl Resume {
    /// With one decision.
    pub fn with(id: impl Into<String>, decision: Decision) -> Self {
        Resume { decisions: vec![(id.into(), decision)], ..Resume::default() }
    }
}

/// Whether a key that has begun a run is used for the same question again. Errors: `run_conflict` with what differs.
pub(crate) fn same_question(key: &str, before: &Spec, now: &Spec) -> Result<()> {
    let agent = |spec: &Spec| spec.agent.as_ref().map(|agent| agent.id.clone());
    // Of a conversation that is kept, more is taken along each time.
    let said = |spec: &Spec| spec.talk.is_none().then(|| spec.conversation.clone());
    let differs = [
        ("question", before.question != now.question),
        ("agent", agent(before) != agent(now)),
        ("autonomous", before.autonomous != now.autonomous),
        ("conversation", before.talk != now.talk || said(before) != said(now)),
        ("output", before.output != now.output),
        ("where", before.filter != now.filter),
        ("seed", before.seed != now.seed),
    ];
    let differs: Vec<&str> =
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if differs.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::RunConflict,
        format!(
            "the idempotency key '{}' belongs to a run that was asked '{}', and this one differs in: {}; use another key",
            quorate_core::shorten(key),
            quorate_core::shorten(&before.question),
            differs.join(", ")
        ),
    ))
}

/// Errors: `unknown_id` for a decision that was not taken so before the run ended; saying the same once more changes nothing.
pub(crate) fn was_decided(run_id: &str, decisions: &[(String, Decision)], entries: &[Entry]) -> Result<()> {
    let mut taken = Vec::new();
    if !decisions.is_empty() {
        for entry in entries {
            if let Fact::Decided { id, decision } = Fact::of(entry)? {
                taken.push((id, decision));
            }
        }
    }
    match decisions.iter().find(|decision| !taken.contains(decision)) {
        None => Ok(()),
        Some((id, _)) => {
            let message = format!("run '{run_id}' has ended, and '{id}' was not decided so in it");
            Err(Error::new(Code::UnknownId, message))
        }
    }
}
