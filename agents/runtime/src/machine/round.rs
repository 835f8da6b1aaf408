//! Which calls did the model ask for at once, and how does each stand?
//!
//! Of several calls none runs before all that need a decision are decided; then those that may run, run at once. Their
//! results go to the model in the order of the calls.

use std::collections::{HashMap, HashSet};

use quorate_models::{Message, Part, Role, ToolCall, ToolResult, check_arguments};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Machine, PLAN_ID, line};
use crate::fact::Decision;
use crate::fence;
use crate::tool::{Effect, ToolCard};

/// The same call for so many times ends the run.
const MOST_REPEATS: u32 = 3;

/// A call, or the plan, that waits for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The call's id; `plan` for the plan.
    pub id: String,
    /// The tool.
    pub name: String,
    /// With what it is to be called.
    pub arguments: Map<String, Value>,
    /// What the tool does: `read` or `write`.
    pub effect: String,
}

#[derive(Clone, Debug)]
pub(super) struct Round(Vec<Item>);

#[derive(Clone, Debug)]
struct Item {
    call: ToolCall,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waits,
    Ready,
    Runs,
    Has { content: String, error: bool },
}

impl Machine {
    /// Gives each call a name that no other call of the run has. Many models count the calls of each answer anew; a decision
    /// or a key that was meant for one call must not fit a later one.
    pub(crate) fn name_calls(&self, message: &mut Message) {
        let before = self.spec.conversation.iter().chain(&self.thread).flat_map(Message::calls);
        let mut used: HashSet<String> = before.map(|call| call.id.clone()).collect();
        used.insert(PLAN_ID.to_owned());
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for part in &mut message.content {
            let Part::ToolCall(call) = part else { continue };
            let base = if call.id.is_empty() { "call".to_owned() } else { call.id.clone() };
            while call.id.is_empty() || used.contains(&call.id) {
                let number = numbers.entry(base.clone()).or_insert(1);
                *number += 1;
                call.id = format!("{base}_{number}");
            }
            used.insert(call.id.clone());
        }
    }

    /// The model asks for calls.
    pub(super) fn open_round(&mut self, calls: &[&ToolCall]) {
        let mut items = Vec::new();
        let mut repeated = None;
        for call in calls {
            let same = format!("{} {}", call.name, Value::Object(call.arguments.clone()));
            let times = self.calls.entry(same).and_modify(|times| *times += 1).or_insert(1);
            if *times >= MOST_REPEATS {
                repeated = Some(call.name.clone());
            }
            items.push(Item { call: (*call).clone(), state: self.state_of(call) });
        }
        if let Some(name) = repeated {
            for item in &mut items {
                let content =
                    format!("not run: '{name}' was called {MOST_REPEATS} times with the same arguments");
                item.state = State::Has { content, error: true };
            }
            self.stopped_by = Some("repeated_call".to_owned());
        }
        self.round = Some(Round(items));
        let refused: Vec<(String, String)> = self
            .round
            .iter()
            .flat_map(|round| &round.0)
            .filter_map(|item| match &item.state {
                State::Has { content, .. } => Some((item.call.name.clone(), line(content))),
                _ => None,
            })
            .collect();
        for (name, why) in refused {
            self.step("tool", &name, why, 0.0, Some("not_run"));
        }
    }

    fn state_of(&self, call: &ToolCall) -> State {
        let failed = |content: String| State::Has { content, error: true };
        let Some(card) = self.spec.tools.iter().find(|card| card.name == call.name) else {
            let names: Vec<&str> = self.spec.tools.iter().map(|card| card.name.as_str()).collect();
            return failed(format!(
                "tool_unknown: there is no tool '{}'; there are: {}",
                call.name,
                names.join(", ")
            ));
        };
        if let Some(broken) = &call.broken {
            let broken = quorate_core::shorten(broken);
            return failed(format!("tool_arguments: the arguments are no complete JSON object: {broken}"));
        }
        if let Err(error) = check_arguments(&card.spec(), &Value::Object(call.arguments.clone())) {
            return failed(format!("tool_arguments: {}", error.message()));
        }
        if !card.needs_approval() {
            return State::Ready;
        }
        if self.spec.autonomous && !self.spec.approver {
            return failed("approval_required: denied, since nobody is there to approve it".to_owned());
        }
        State::Waits
    }

    /// A tool has run.
    pub(super) fn returned(&mut self, id: &str, content: &str, error: Option<&str>, seconds: f64) {
        let name = self.round.as_ref().and_then(|round| round.get(id)).map(|item| item.call.name.clone());
        self.step("tool", &name.unwrap_or_default(), line(content), seconds, error);
        if let Some(round) = &mut self.round {
            round.close(id, content, error);
        }
    }

    /// The arguments that are checked before an edited call is decided.
    pub(crate) fn card_of(&self, id: &str) -> Option<&ToolCard> {
        let name = &self.round.as_ref()?.get(id)?.call.name;
        self.spec.tools.iter().find(|card| card.name == *name)
    }
}

impl Round {
    fn get(&self, id: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.call.id == id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.0.iter_mut().find(|item| item.call.id == id)
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        self.get(id).is_some_and(|item| item.state == State::Runs)
    }

    pub(super) fn running(&mut self, ids: &[String]) {
        for item in &mut self.0 {
            if item.state == State::Ready && ids.contains(&item.call.id) {
                item.state = State::Runs;
            }
        }
    }

    /// The process ended while calls ran: those that may be made again will be, of the others nobody knows how they ended.
    pub(super) fn resumed<'a>(&mut self, card: impl Fn(&str) -> Option<&'a ToolCard>) {
        for item in self.0.iter_mut().filter(|item| item.state == State::Runs) {
            item.state = if card(&item.call.name).is_some_and(ToolCard::may_repeat) {
                State::Ready
            } else {
                let content = "tool_failed: the process ended while it ran; whether it took effect is not known, and it \
                               was not made again";
                State::Has { content: content.to_owned(), error: true }
            };
        }
    }

    pub(super) fn decide(&mut self, id: &str, decision: &Decision) {
        let Some(item) = self.get_mut(id).filter(|item| item.state == State::Waits) else { return };
        item.state = match decision {
            Decision::Approve => State::Ready,
            Decision::Deny => {
                State::Has { content: "approval_required: it was denied".to_owned(), error: true }
            }
            Decision::Arguments(arguments) => {
                item.call.arguments.clone_from(arguments);
                State::Ready
            }
        };
    }

    /// A call has its result.
    pub(super) fn close(&mut self, id: &str, content: &str, error: Option<&str>) {
        if let Some(item) = self.get_mut(id)
            && !matches!(item.state, State::Has { .. })
        {
            item.state = State::Has { content: content.to_owned(), error: error.is_some() };
        }
    }

    pub(super) fn waiting(&self, tools: &[ToolCard]) -> Vec<Pending> {
        let write = |name: &str| tools.iter().any(|card| card.name == name && card.effect == Effect::Write);
        let waiting = self.0.iter().filter(|item| item.state == State::Waits);
        waiting
            .map(|Item { call, .. }| Pending {
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                effect: if write(&call.name) { "write" } else { "read" }.to_owned(),
            })
            .collect()
    }

    pub(super) fn ready(&self) -> Vec<ToolCall> {
        self.0.iter().filter(|item| item.state == State::Ready).map(|item| item.call.clone()).collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.iter().all(|item| matches!(item.state, State::Has { .. }))
    }

    /// The results as a message.
    pub(super) fn message(self, tools: &[ToolCard]) -> Message {
        let results = self.0.into_iter().map(|item| {
            let most =
                tools.iter().find(|card| card.name == item.call.name).map(|card| card.max_result_tokens);
            let (content, error) = match item.state {
                State::Has { content, error } => (content, error),
                _ => (String::new(), true),
            };
            let content = most.map_or_else(|| content.clone(), |most| fence::cut(&content, most));
            let content = fence::tool_result(&item.call.name, &content);
            Part::ToolResult(ToolResult { tool_call_id: item.call.id, content, error, cache: None })
        });
        Message { role: Role::Tool, content: results.collect() }
    }
}
