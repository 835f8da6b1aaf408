//! What does a run show while it goes on, and afterwards?
//!
//! Facts become events by one function, so that the events of a journal are those that were shown live; only what shows a
//! request that is under way (`step_start`, `text`, `reasoning`, `tool_input`, `retry`) is shown live alone.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::fact::{Decision, Fact, Status};
use crate::machine::Machine;

/// One event. Exactly one of `end`, `error`, `waiting` and `cancelled` comes, and comes last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Its type: `run_start`, `route`, `match`, `context`, `plan`, `step_start`, `text`, `reasoning`, `tool_input`,
    /// `tool_call`, `approval`, `tool_result`, `retry`, `warning`, `check`, `usage`, `step_end`, `end`, `error`, `waiting`,
    /// `cancelled`; of panels also `round_start`, `ballot`, `round_end`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The run.
    pub run_id: String,
    /// Its place among the events of the run, from 1.
    pub seq: u64,
    /// When, in seconds since 1970.
    pub time: f64,
    /// The agent that it is about.
    pub agent: Option<String>,
    /// The round of a panel.
    pub round: Option<u32>,
    /// What belongs to its type.
    #[serde(flatten)]
    pub data: Map<String, Value>,
}

impl Event {
    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        LAST_KINDS.contains(&self.kind.as_str())
    }
}

/// What events are called after which none follows.
pub(crate) const LAST_KINDS: [&str; 4] = ["end", "error", "waiting", "cancelled"];

/// An event before it has its number.
pub(crate) struct Sketch {
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
}

fn sketch(kind: &'static str, data: Value) -> Sketch {
    Sketch { kind, data }
}

/// The events of a fact; `after` is the run once it has happened.
pub(crate) fn events_of(fact: &Fact, after: &Machine) -> Vec<Sketch> {
    match fact {
        Fact::Started(spec) => {
            vec![sketch("run_start", json!({"mode": after.mode(), "question": spec.question}))]
        }
        Fact::Resumed => vec![sketch(
            "run_start",
            json!({"mode": after.mode(), "question": after.spec.question, "resumed": true}),
        )],
        Fact::Matched { candidates, nobody, handed, .. } => {
            let agent = after.agent.as_ref().map(|agent| &agent.id);
            let mut out = vec![sketch("match", json!({"candidates": candidates, "nobody": nobody}))];
            if !nobody {
                out.push(sketch("route", json!({"to": agent, "handed": handed})));
            }
            out
        }
        Fact::Retrieved { question, .. } => {
            vec![sketch("context", json!({"question": question, "sources": after.sources()}))]
        }
        Fact::Replied { call, reply } => {
            let mut out = Vec::new();
            for call in reply.message.calls() {
                out.push(sketch(
                    "tool_call",
                    json!({"id": call.id, "name": call.name, "arguments": call.arguments}),
                ));
            }
            out.extend(reply.warnings.iter().map(|message| sketch("warning", json!({"message": message}))));
            out.push(sketch(
                "usage",
                json!({"usage": reply.usage, "cost": reply.cost, "model": reply.model}),
            ));
            out.push(sketch("step_end", json!({"step": call, "text": reply.message.text()})));
            out.extend(after.unrun.iter().map(|one| {
                sketch("tool_result", json!({"id": one.id, "content": one.content, "error": one.error}))
            }));
            if let Some(plan) = &after.plan {
                out.push(sketch("plan", json!({"plan": plan})));
            }
            out
        }
        Fact::Failed { code, message, .. } if after.failure.is_none() => {
            vec![sketch("warning", json!({"code": code, "message": message}))]
        }
        Fact::Failed { .. } => Vec::new(),
        Fact::Refused { id, by } => {
            vec![sketch(
                "warning",
                json!({"code": "budget_exceeded", "limit": by, "id": id,
                "message": format!("the budget's limit '{by}' is reached")}),
            )]
        }
        Fact::Running { .. } | Fact::Asks { .. } | Fact::Used { .. } => Vec::new(),
        Fact::Warned { code, message } => vec![sketch("warning", json!({"code": code, "message": message}))],
        Fact::Returned { id, content, error, .. } => {
            vec![sketch("tool_result", json!({"id": id, "content": content, "error": error}))]
        }
        Fact::Decided { id, decision } => {
            let arguments = match decision {
                Decision::Arguments(arguments) => Some(arguments),
                _ => None,
            };
            vec![sketch("approval", json!({"id": id, "decision": decision.as_str(), "arguments": arguments}))]
        }
        Fact::Waiting { .. } => {
            vec![sketch("waiting", json!({"pending": after.pending(), "result": after.answer()}))]
        }
        Fact::Checked { checks } => vec![sketch("check", json!({"checks": checks}))],
        Fact::Noticed { message } => vec![sketch("warning", json!({"message": message}))],
        Fact::Cancelled => Vec::new(),
        Fact::Ended { status, .. } => {
            let result = json!(after.answer());
            match status {
                Status::Cancelled => vec![sketch("cancelled", json!({"partial": result}))],
                Status::Failed => {
                    let (code, message) = after.failure.clone().unwrap_or_default();
                    vec![sketch("error", json!({"code": code, "message": message, "partial": result}))]
                }
                _ => vec![sketch("end", json!({"result": result}))],
            }
        }
    }
}
