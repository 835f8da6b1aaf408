//! Which calls did the model ask for at once, and how does each stand?
//!
//! Of several calls none runs before all that need a decision are decided; then those that may run, run at once. Their
//! results go to the model in the order of the calls.

use std::collections::{HashMap, HashSet};

use quorate_models::{Message, Part, Role, ToolCall, ToolResult, check_arguments};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Machine, PLAN_ID, line};
use crate::budget::Spent;
use crate::fact::Decision;
use crate::fence;
use crate::tool::{Effect, ToolCard};

/// The same call for so many times ends the run.
const MOST_REPEATS: u32 = 3;

/// Larger numbers behind the name of a call are the model's own and not counted on.
const MOST_NUMBER: u32 = 1_000_000_000;

/// Why the run ends then, and none of its last calls has run.
const REPEATED: &str = "repeated_call";

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
    /// The run that waits for it, where another one has started it; none: it waits here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The expert that answers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// What a call that started a run brings along when it is made again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Begun {
    /// What was decided for that run since, by the ids that it knows.
    pub(crate) decisions: Vec<(String, Decision)>,
    /// What it has spent as far as this run knows.
    pub(crate) spent: Spent,
}

/// A call that cannot run, with what the model reads in the place of its result, and the code of the failure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unrun {
    pub(crate) id: String,
    name: String,
    pub(crate) content: String,
    pub(crate) error: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Round(Vec<Item>);

#[derive(Clone, Debug)]
struct Item {
    call: ToolCall,
    state: State,
    /// What waits in the run that the call has started, and is not decided.
    asks: Vec<Pending>,
    begun: Begun,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waits,
    Ready,
    Runs,
    /// The run that it has started waits.
    Asks,
    Has {
        content: String,
        /// The code of its failure.
        error: Option<String>,
    },
}

impl Machine {
    /// Gives each call a name that no other call of the run has. Many models count the calls of each answer anew; a decision
    /// or a key that was meant for one call must not fit a later one.
    pub(crate) fn name_calls(&self, message: &mut Message) {
        let mut used: HashSet<String> = HashSet::from([PLAN_ID.to_owned()]);
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for part in &mut message.content {
            let Part::ToolCall(call) = part else { continue };
            // What waits in a run that a call has started is named with a slash.
            call.id = call.id.replace(BELOW, "_");
            let base = if call.id.is_empty() { "call".to_owned() } else { call.id.clone() };
            while call.id.is_empty() || used.contains(&call.id) || self.call_ids.contains(&call.id) {
                let known = || self.call_numbers.get(&base).copied().unwrap_or(1);
                let number = numbers.entry(base.clone()).or_insert_with(known);
                *number += 1;
                call.id = format!("{base}_{number}");
            }
            used.insert(call.id.clone());
        }
    }

    /// No other call gets this name.
    pub(super) fn know_call(&mut self, id: &str) {
        if let Some((base, number)) = id.rsplit_once('_')
            && let Ok(number) = number.parse::<u32>()
            && number < MOST_NUMBER
        {
            let known = self.call_numbers.entry(base.to_owned()).or_insert(1);
            *known = number.max(*known);
        }
        self.call_ids.insert(id.to_owned());
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
            let (asks, begun) = (Vec::new(), Begun::default());
            items.push(Item { call: (*call).clone(), state: self.state_of(call), asks, begun });
        }
        if let Some(name) = repeated {
            // What could not run in any case keeps its own reason.
            for item in items.iter_mut().filter(|item| !matches!(item.state, State::Has { .. })) {
                let content =
                    format!("not run: '{name}' was called {MOST_REPEATS} times with the same arguments");
                item.state = failed(REPEATED, content);
            }
            self.stopped_by = Some(REPEATED.to_owned());
        }
        self.round = Some(Round(items));
        let unrun = |item: &Item| match &item.state {
            State::Has { content, error } => Some(Unrun {
                id: item.call.id.clone(),
                name: item.call.name.clone(),
                content: content.clone(),
                error: error.clone(),
            }),
            _ => None,
        };
        self.unrun = self.round.iter().flat_map(|round| &round.0).filter_map(unrun).collect();
        for one in self.unrun.clone() {
            self.step("tool", &one.name, line(&one.content), 0.0, one.error.as_deref());
        }
    }

    fn state_of(&self, call: &ToolCall) -> State {
        let Some(card) = self.spec.tools.iter().find(|card| card.name == call.name) else {
            let names: Vec<&str> = self.spec.tools.iter().map(|card| card.name.as_str()).collect();
            let content =
                format!("tool_unknown: there is no tool '{}'; there are: {}", call.name, names.join(", "));
            return failed("tool_unknown", content);
        };
        if let Some(broken) = &call.broken {
            let broken = quorate_core::shorten(broken);
            let content = format!("tool_arguments: the arguments are no complete JSON object: {broken}");
            return failed("tool_arguments", content);
        }
        if let Err(error) = check_arguments(&card.spec(), &Value::Object(call.arguments.clone())) {
            return failed("tool_arguments", format!("tool_arguments: {}", error.message()));
        }
        if !card.needs_approval() {
            return State::Ready;
        }
        if (self.spec.autonomous || self.spec.unattended) && !self.spec.approver {
            let content = "approval_required: denied, since nobody is there to approve it";
            return failed("approval_required", content.to_owned());
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

    /// By what the arguments of a call are checked before it is made, or decided with others.
    pub(crate) fn card_of(&self, id: &str) -> Option<&ToolCard> {
        let name = &self.round.as_ref()?.get(id)?.call.name;
        self.spec.tools.iter().find(|card| card.name == *name)
    }

    /// What waits for a decision in a run that this one has started.
    pub(crate) fn asked_below(&self, id: &str) -> Option<&Pending> {
        self.round.as_ref()?.0.iter().flat_map(|item| &item.asks).find(|one| one.id == id)
    }

    /// The call whose run waits for this.
    pub(crate) fn asking_call(&self, id: &str) -> Option<String> {
        let asks = |item: &&Item| item.asks.iter().any(|one| one.id == id);
        self.round.as_ref()?.0.iter().find(asks).map(|item| item.call.id.clone())
    }

    /// What a call brings along that has started a run before.
    pub(crate) fn begun(&self, id: &str) -> Begun {
        let item = self.round.as_ref().and_then(|round| round.get(id));
        item.map(|item| item.begun.clone()).unwrap_or_default()
    }
}

/// Stands between the name of a call and that of what waits in the run that it has started; in no call's own name.
const BELOW: &str = "/";

/// What the decision about a call is named in the run that has started the call's run.
pub(crate) fn within(outer: &str, inner: &str) -> String {
    format!("{outer}{BELOW}{inner}")
}

/// A call that has failed by an error with this code.
fn failed(code: &str, content: String) -> State {
    State::Has { content, error: Some(code.to_owned()) }
}

impl Round {
    fn get(&self, id: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.call.id == id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.0.iter_mut().find(|item| item.call.id == id)
    }

    /// The run that a call has started waits for these.
    pub(super) fn asks(&mut self, id: &str, pending: &[Pending], spent: Option<&Spent>) {
        let Some(item) = self.get_mut(id).filter(|item| !matches!(item.state, State::Has { .. })) else {
            return;
        };
        item.state = State::Asks;
        item.asks = pending.to_vec();
        item.begun.decisions.clear();
        if let Some(spent) = spent {
            item.begun.spent.add(spent);
        }
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        self.get(id).is_some_and(|item| matches!(item.state, State::Runs | State::Asks))
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
        // Somebody may have decided in the run itself that waited.
        for item in self.0.iter_mut().filter(|item| item.state == State::Asks) {
            item.state = State::Ready;
        }
        for item in self.0.iter_mut().filter(|item| item.state == State::Runs) {
            item.state = if card(&item.call.name).is_some_and(ToolCard::may_repeat) {
                State::Ready
            } else {
                let content = "tool_failed: the process ended while it ran; whether it took effect is not known, and it \
                               was not made again";
                failed("tool_failed", content.to_owned())
            };
        }
    }

    pub(super) fn decide(&mut self, id: &str, decision: &Decision) {
        if let Some(item) = self.0.iter_mut().find(|item| item.asks.iter().any(|one| one.id == id)) {
            item.asks.retain(|one| one.id != id);
            let own = id.strip_prefix(&within(&item.call.id, "")).unwrap_or(id).to_owned();
            item.begun.decisions.push((own, decision.clone()));
            if item.asks.is_empty() && item.state == State::Asks {
                item.state = State::Ready;
            }
            return;
        }
        let Some(item) = self.get_mut(id).filter(|item| item.state == State::Waits) else { return };
        item.state = match decision {
            Decision::Approve => State::Ready,
            Decision::Deny => failed("approval_required", "approval_required: it was denied".to_owned()),
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
            let error = error.map(str::to_owned);
            item.state = State::Has { content: content.to_owned(), error };
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
                run_id: None,
                agent: None,
            })
            .collect()
    }

    /// What waits in runs that calls have started.
    pub(super) fn asked_below(&self) -> Vec<Pending> {
        let asking = self.0.iter().filter(|item| item.state == State::Asks);
        asking.flat_map(|item| &item.asks).cloned().collect()
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
                State::Has { content, error } => (content, error.is_some()),
                _ => (String::new(), true),
            };
            let content = most.map_or_else(|| content.clone(), |most| fence::cut(&content, most));
            let content = fence::tool_result(&item.call.name, &content);
            Part::ToolResult(ToolResult { tool_call_id: item.call.id, content, error, cache: None })
        });
        Message { role: Role::Tool, content: results.collect() }
    }
}
