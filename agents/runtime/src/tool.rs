//! What is a tool, and what must be known of it before it runs?

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use quorate_core::{Cancel, Error, Result};
use quorate_models::{ToolSpec, check_arguments};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::approve::Approve;
use crate::budget::Ledger;
use crate::family::Below;
use crate::machine::{Begun, Pending, within};
use crate::runtime::{HostContext, Inner};

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only looks.
    #[default]
    Read,
    /// It changes something: each call waits for approval.
    Write,
}

/// What is known of a tool.
///
/// ```
/// use quorate_runtime::{Effect, ToolCard};
/// let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "Sends a letter.", serde_json::json!({"type": "object"})) };
/// assert!(card.validate().is_ok() && card.needs_approval());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCard {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema of its arguments, an object's.
    pub schema: Value,
    /// What it does to the world.
    #[serde(default)]
    pub effect: Effect,
    /// Whether each call waits for approval although it only reads.
    #[serde(default)]
    pub approval: bool,
    /// Seconds that a call may take, above 0. Default 30.
    #[serde(default = "timeout")]
    pub timeout: f64,
    /// Whether a call may be made again when it is not known how it ended. Default true for tools that only read.
    #[serde(default)]
    pub idempotent: Option<bool>,
    /// The most tokens of a result that the model reads; of a longer one it reads head and tail. Default 2,000.
    #[serde(default = "max_result_tokens")]
    pub max_result_tokens: usize,
}

fn timeout() -> f64 {
    30.0
}

fn max_result_tokens() -> usize {
    2000
}

impl ToolCard {
    /// A tool that only reads.
    pub fn new(name: impl Into<String>, description: impl Into<String>, schema: Value) -> Self {
        ToolCard {
            name: name.into(),
            description: description.into(),
            schema,
            effect: Effect::Read,
            approval: false,
            timeout: timeout(),
            idempotent: None,
            max_result_tokens: max_result_tokens(),
        }
    }

    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err(Error::invalid(format!(
                "a tool's name is '{}', expected 1 to 64 letters, digits, '_' or '-'",
                quorate_core::shorten(&self.name)
            )));
        }
        if !self.schema.is_object() {
            return Err(Error::invalid(format!("tool '{}': its schema is no JSON object", self.name)));
        }
        if !(self.timeout.is_finite() && self.timeout > 0.0 && self.timeout <= MAX_TIMEOUT) {
            return Err(Error::invalid(format!(
                "tool '{}': timeout is {}, expected seconds, above 0 and at most {MAX_TIMEOUT}",
                self.name, self.timeout
            )));
        }
        if self.max_result_tokens == 0 {
            return Err(Error::invalid(format!(
                "tool '{}': max_result_tokens is 0, expected 1 or more",
                self.name
            )));
        }
        // A schema that cannot be read is found here and not at the first call.
        match check_arguments(&self.spec(), &Value::Object(Map::new())) {
            Err(error) if error.code() != quorate_core::Code::ToolArguments => {
                Err(error.context(format_args!("tool '{}'", self.name)))
            }
            _ => Ok(()),
        }
    }

    /// Whether each call waits for approval.
    pub fn needs_approval(&self) -> bool {
        self.approval || self.effect == Effect::Write
    }

    /// Whether a call whose end is not known may be made again.
    pub fn may_repeat(&self) -> bool {
        self.idempotent.unwrap_or(self.effect == Effect::Read)
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// The tool as a model sees it.
    pub(crate) fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            schema: self.schema.clone(),
        }
    }
}

/// A day, in seconds.
const MAX_TIMEOUT: f64 = 86_400.0;

/// Something that a model may have done.
pub trait Tool: Send + Sync {
    /// What is known of it.
    fn card(&self) -> &ToolCard;

    /// Runs one call; its arguments fit the schema. It looks at the flag of `context` between steps: after its time it is
    /// not waited for any more. What it gives goes to the model as text; what is no text as JSON.
    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value>;

    /// The tools in whose place it stands, as they are at present; `None`: it stands for itself. Each question has those that
    /// there are when it is asked.
    fn members(&self) -> Option<Vec<Arc<dyn Tool>>> {
        None
    }

    /// Where it is told that the tool has changed.
    fn news(&self) -> Option<Arc<dyn ToolNews>> {
        None
    }
}

/// Tells of tools that are not the same for ever, since somebody else defines them.
pub trait ToolNews: Send + Sync {
    /// What has changed since the number that an earlier call gave, in sentences for whoever asked, and the number of today;
    /// `None` asks for the number only.
    fn since(&self, seen: Option<u64>) -> (u64, Vec<String>);
}

/// The tools of one question, and where changes of them are told.
pub(crate) struct InUse {
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) news: Vec<(Arc<dyn ToolNews>, u64)>,
    /// What a run says of them at once.
    pub(crate) said: Vec<String>,
}

impl InUse {
    /// The tools that `given` stand for now.
    pub(crate) fn of(given: &[Arc<dyn Tool>]) -> Self {
        let mut news: Vec<(Arc<dyn ToolNews>, u64)> = Vec::new();
        let mut tools = Vec::with_capacity(given.len());
        for tool in given {
            // Before the tools: what changes between the two is told.
            if let Some(told) = tool.news()
                && !news.iter().any(|(other, _)| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(&told)))
            {
                let (number, _) = told.since(None);
                news.push((told, number));
            }
            match tool.members() {
                Some(members) => tools.extend(members),
                None => tools.push(Arc::clone(tool)),
            }
        }
        InUse { tools, news, said: Vec::new() }
    }

    /// The same for a question: who defines a set of tools may give one the name of another tool, which takes neither the
    /// question nor that tool from the host. One that the host gives by itself stays; of two in sets neither does, since
    /// nobody knows which is meant.
    pub(crate) fn now(given: &[Arc<dyn Tool>]) -> Self {
        let mut in_use = InUse::of(given);
        if given.iter().map(Arc::as_ptr).eq(in_use.tools.iter().map(Arc::as_ptr)) {
            return in_use;
        }
        let mut times: HashMap<String, usize> = HashMap::new();
        for tool in &in_use.tools {
            *times.entry(tool.card().name.clone()).or_default() += 1;
        }
        let is_own = |tool: &Arc<dyn Tool>| given.iter().any(|one| Arc::ptr_eq(one, tool));
        let mut said = Vec::new();
        in_use.tools.retain(|tool| {
            let name = &tool.card().name;
            let keeps = times.get(name) == Some(&1) || is_own(tool);
            if !keeps {
                said.push(format!("a tool of a set is left out, since another one is called '{name}' too"));
            }
            keeps
        });
        in_use.said = said;
        in_use
    }
}

/// What a tool is told about a call.
#[derive(Clone)]
pub struct ToolContext {
    /// The run that calls.
    pub run_id: String,
    /// The call; unique within the run.
    pub call_id: String,
    /// The same for each attempt at this call, and for no other: what makes a repeated call harmless.
    pub idempotency_key: String,
    /// On whose behalf.
    pub tenant: Option<String>,
    /// Raised when the run is cancelled, or the call's time is over.
    pub cancel: Cancel,
    /// What the host keeps of who asks.
    pub host: Option<HostContext>,
    pub(crate) ledger: Ledger,
    /// How many runs this one is within.
    pub(crate) depth: u32,
    /// The runtime of the run, by what its sources are narrowed, and who approves: they hold for what it starts there.
    pub(crate) runtime: Weak<Inner>,
    pub(crate) filter: Option<Value>,
    pub(crate) approve: Option<Arc<dyn Approve>>,
    /// What runs that the tool has started have spent.
    pub(crate) below: Below,
    /// What the run may use: what it starts may use no more.
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    /// What a run that this call has started before needs in order to go on.
    pub(crate) begun: Begun,
    /// What a run that the call has started waits for; the call is made again when it is decided.
    pub(crate) asks: Arc<std::sync::Mutex<Option<Asking>>>,
    /// Whether what it starts is denied what needs approval, since nobody will be asked.
    pub(crate) unattended: bool,
}

/// A run that another one has started and that waits.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) run_id: String,
    pub(crate) agent: Option<String>,
    pub(crate) pending: Vec<Pending>,
}

impl Asking {
    /// What waits, as the run names it whose call this is. Of runs within one another, the innermost is told.
    pub(crate) fn named(&self, call: &str) -> Vec<Pending> {
        let named = |below: &Pending| Pending {
            id: within(call, &below.id),
            run_id: below.run_id.clone().or_else(|| Some(self.run_id.clone())),
            agent: below.agent.clone().or_else(|| self.agent.clone()),
            ..below.clone()
        };
        self.pending.iter().map(named).collect()
    }
}

/// A tool that is a function.
pub struct FunctionTool<F> {
    card: ToolCard,
    function: F,
}

impl<F: Fn(Map<String, Value>, &ToolContext) -> Result<Value> + Send + Sync> FunctionTool<F> {
    /// Errors: those of [`ToolCard::validate`].
    ///
    /// ```
    /// use quorate_runtime::{FunctionTool, Tool, ToolCard};
    /// let schema = serde_json::json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]});
    /// let tool = FunctionTool::new(ToolCard::new("lookup", "What a code means.", schema), |arguments, _| {
    ///     Ok(serde_json::json!({"code": arguments["code"], "means": "catheter"}))
    /// })?;
    /// assert_eq!(tool.card().name, "lookup");
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn new(card: ToolCard, function: F) -> Result<Self> {
        card.validate()?;
        Ok(FunctionTool { card, function })
    }
}

impl<F: Fn(Map<String, Value>, &ToolContext) -> Result<Value> + Send + Sync> Tool for FunctionTool<F> {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        (self.function)(arguments, context)
    }
}

/// A result as the model reads it, before it is cut.
pub(crate) fn written(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        Value::Null => "done".to_owned(),
        other => other.to_string(),
    }
}

/// Whether a runtime can have these tools. Errors: `invalid_argument`.
pub(crate) fn check_tools(tools: &[Arc<dyn Tool>]) -> Result<()> {
    let mut names = HashSet::with_capacity(tools.len());
    for tool in tools {
        tool.card().validate()?;
        let name = tool.card().name.as_str();
        if !names.insert(name) {
            return Err(Error::invalid(format!("two tools have the name '{name}'")));
        }
    }
    Ok(())
}
