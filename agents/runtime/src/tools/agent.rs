//! How does an expert ask another?

use std::sync::{Arc, PoisonError, Weak};

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use crate::fact::Status;
use crate::family::{Again, Nested};
use crate::question::Question;
use crate::runtime::{Inner, MOST_DEPTH, Runtime};
use crate::tool::{Asking, Tool, ToolCard, ToolContext};

/// How long an expert that is asked by another may take, in seconds.
const TIMEOUT: f64 = 600.0;

/// A tool that asks the expert with this id. What it spends is taken from the budget of the run that asks, and runs may
/// start one another [five](Code::StepLimit) deep. Of the same runtime, the expert may use what the run may use that asks, as
/// far as its definition names tools those alone; of another runtime, that one's. What it needs approval for waits in the run
/// that asks, and is decided there. Errors: `unknown_id`, `invalid_argument` for a runtime without a registry.
pub fn agent_tool(runtime: &Runtime, id: &str) -> Result<Arc<dyn Tool>> {
    let Some(registry) = &runtime.0.registry else {
        return Err(Error::invalid("an expert is asked by a tool of a runtime that has a registry"));
    };
    let agent = registry.get(id)?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = format!("ask_{id}").chars().map(plain).take(64).collect();
    let schema = json!({
        "type": "object",
        "properties": {"question": {"type": "string", "description": "What the expert is asked, with all that it must know."}},
        "required": ["question"],
        "additionalProperties": false,
    });
    let card = ToolCard {
        timeout: TIMEOUT,
        ..ToolCard::new(name, format!("Asks {}: {}", agent.name, agent.summary), schema)
    };
    card.validate()?;
    Ok(Arc::new(AgentTool { runtime: Arc::downgrade(&runtime.0), id: id.to_owned(), card }))
}

struct AgentTool {
    /// The runtime may hold the tool.
    runtime: Weak<Inner>,
    id: String,
    card: ToolCard,
}

impl AgentTool {
    /// What the expert may use: of what the run may use that asks, or of its own runtime's tools, those that its definition
    /// names; all where it names none.
    fn tools(&self, inner: &Inner, asking: Option<&[Arc<dyn Tool>]>) -> Result<Vec<Arc<dyn Tool>>> {
        let agent = inner.registry.as_ref().map(|registry| registry.get(&self.id)).transpose()?;
        let named = agent.as_ref().map(|agent| agent.tools.as_slice()).unwrap_or_default();
        let all = asking.unwrap_or(&inner.tools).iter();
        Ok(all.filter(|tool| named.is_empty() || named.contains(&tool.card().name)).cloned().collect())
    }
}

impl Tool for AgentTool {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        let Some(inner) = self.runtime.upgrade() else {
            return Err(Error::new(Code::Closed, "the runtime of this expert is gone"));
        };
        let depth = context.depth + 1;
        if depth > MOST_DEPTH {
            let message = format!("experts ask one another {MOST_DEPTH} deep at most");
            return Err(Error::new(Code::StepLimit, message));
        }
        let text = arguments.get("question").and_then(Value::as_str).unwrap_or_default();
        // Another runtime has sources and tools of its own, and its own people decide about them.
        let own = context.runtime.upgrade().is_some_and(|asking| inner.is_same(&asking));
        let question = Question {
            filter: context.filter.clone().filter(|_| own),
            approve: context.approve.clone().filter(|_| own),
            tools: Some(self.tools(&inner, own.then_some(context.tools.as_slice()))?),
            // What was asked before a crash is found again, and goes on.
            idempotency_key: Some(context.idempotency_key.clone()),
            host: context.host.clone(),
            cancel: context.cancel.clone(),
            ..Question::to(text, &self.id)
        };
        let again = Again { begun: context.begun.clone(), unattended: context.unattended };
        let (ledger, below) = (context.ledger.clone(), Arc::clone(&context.below));
        let nested = Nested::new(context.run_id.clone(), depth, ledger, below, again);
        let answer = Runtime(inner).ask_with(question, None, Some(nested))?;
        match answer.status {
            Status::Cancelled => Err(Error::new(Code::Cancelled, "the expert was cancelled")),
            Status::Waiting => {
                let calls: Vec<&str> = answer.pending.iter().map(|one| one.name.as_str()).collect();
                let message = format!("run {} waits for approval of: {}", answer.run_id, calls.join(", "));
                let asking =
                    Asking { run_id: answer.run_id, agent: Some(self.id.clone()), pending: answer.pending };
                *context.asks.lock().unwrap_or_else(PoisonError::into_inner) = Some(asking);
                Err(Error::new(Code::ApprovalRequired, message))
            }
            status => {
                let mut told = Map::new();
                told.insert("answer".to_owned(), json!(answer.text));
                if status != Status::Done {
                    told.insert("status".to_owned(), json!(status.as_str()));
                    told.insert("stopped_by".to_owned(), json!(answer.stopped_by));
                }
                Ok(Value::Object(told))
            }
        }
    }
}
