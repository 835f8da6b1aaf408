//! How are tools run, several at once, each within its time?

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result, spare};
use quorate_models::ToolCall;
use serde_json::{Value, json};

use super::{Drive, spans};
use crate::budget::Spent;
use crate::fact::Fact;
use crate::family::Below;
use crate::machine::Action;
use crate::tool::{Asking, Tool, ToolCard, ToolContext, written};

/// How long more results are waited for before those that have come are written down.
const TOGETHER: Duration = Duration::from_millis(10);
/// The longest that results are waited for at once.
const LONG: Duration = Duration::from_secs(1);

/// How long a run that a call has started is waited for once it is told to end, so that what it has used is counted.
const SETTLES: Duration = Duration::from_millis(50);

/// Most calls that run at once; each has a thread of its own.
const AT_ONCE: usize = 64;

/// A call that runs.
struct Under {
    id: String,
    cancel: Cancel,
    begun: Instant,
    limit: Duration,
    /// Whether the limit is the budget's.
    budgets: bool,
    below: Below,
    asks: Arc<Mutex<Option<Asking>>>,
}

impl Under {
    /// Whether it has started a run.
    fn has_started(&self) -> bool {
        self.below.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What runs have spent so far that it has started; none where that is nothing.
    fn spent(&self) -> Option<Spent> {
        let spent = self.below.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spent.filter(|spent| *spent != Spent::default())
    }
}

/// What comes while tools run.
enum Came {
    Result(String, Result<Value>),
    /// The run is cancelled.
    Cancelled,
}

impl Drive {
    /// Runs the calls at once; of very many those that come first, the others are due then.
    pub(super) fn run_tools(&mut self, due: Vec<Action>) -> Result<()> {
        let mut calls: Vec<(ToolCall, Arc<dyn Tool>)> = Vec::new();
        let seconds = self.machine.seconds();
        for action in due {
            let Action::Run { call } = action else { continue };
            let Some(tool) = self.tools.iter().find(|tool| tool.card().name == call.name).cloned() else {
                // Whoever goes on with a run may have other tools than who began it.
                let content = format!("tool_unknown: '{}' is not here any more", call.name);
                let error = Some("tool_unknown".to_owned());
                self.note(Fact::Returned { id: call.id, content, error, seconds: 0.0, spent: None })?;
                continue;
            };
            if let Err(error) = self.still_fits(&call, tool.card()) {
                let content = format!("{}: {}", error.code().as_str(), error.message());
                let error = Some(error.code().as_str().to_owned());
                self.note(Fact::Returned { id: call.id, content, error, seconds: 0.0, spent: None })?;
                continue;
            }
            // A call that is made again, since its run waited, is the same one.
            let reserved =
                if self.counted.contains(&call.id) { Ok(()) } else { self.ledger.reserve_call(seconds) };
            match reserved {
                Ok(()) => {
                    self.counted.insert(call.id.clone());
                    calls.push((call, tool));
                }
                Err(by) => self.note(Fact::Refused { id: Some(call.id), by: by.to_owned() })?,
            }
            if calls.len() == AT_ONCE {
                break;
            }
        }
        if calls.is_empty() {
            return Ok(());
        }
        self.note(Fact::Running { ids: calls.iter().map(|(call, _)| call.id.clone()).collect() })?;
        self.flush(None)?;
        let (sender, results) = channel();
        let raised = sender.clone();
        let _wake = self.cancel.when_raised(move || drop(raised.send(Came::Cancelled)));
        let mut under: Vec<Under> = Vec::new();
        let left = self.ledger.seconds_left(seconds, false);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
        for (call, tool) in calls {
            let context = self.context(&call);
            let own = tool.card().limit();
            let limit = left.map_or(own, |left| left.min(own));
            under.push(Under {
                id: call.id.clone(),
                cancel: context.cancel.clone(),
                begun: Instant::now(),
                limit,
                budgets: limit < own,
                below: Arc::clone(&context.below),
                asks: Arc::clone(&context.asks),
            });
            let sender = sender.clone();
            let span = spans::tool(&call, &context);
            spare::run(move || {
                let outcome = span.in_scope(|| run(&*tool, call.arguments, &context));
                if let Err(error) = &outcome {
                    span.record("error.type", error.code().as_str());
                }
                drop(span);
                // Nobody waits for it any more when its time was over.
                let _ = sender.send(Came::Result(call.id, outcome));
            })?;
        }
        while !under.is_empty() {
            let now = Instant::now();
            let next = under.iter().map(|one| one.limit.saturating_sub(now - one.begun)).min();
            let next = next.unwrap_or_default().min(if self.is_written() { LONG } else { TOGETHER });
            match spare::recv(&results, next) {
                Ok(came) => self.take_result(came, &mut under)?,
                // What has come is durable although others are still under way: they may end this process.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => self.flush(None)?,
            }
            if self.watched.cancelled()? {
                return self.stop(under, &results);
            }
            // What has come was in time, however late this thread looks.
            while let Ok(came) = results.try_recv() {
                self.take_result(came, &mut under)?;
            }
            while let Some(at) = under.iter().position(|one| one.begun.elapsed() >= one.limit) {
                let one = under.remove(at);
                one.cancel.cancel();
                let until = Instant::now() + SETTLES;
                while one.has_started()
                    && let Ok(came) = results.recv_timeout(until.saturating_duration_since(Instant::now()))
                {
                    if matches!(&came, Came::Result(id, _) if *id == one.id) {
                        break;
                    }
                    self.take_result(came, &mut under)?;
                }
                if one.budgets {
                    self.note(Fact::Refused { id: Some(one.id.clone()), by: "max_seconds".to_owned() })?;
                    let message = "it was not waited for: the budget's limit 'max_seconds' is reached";
                    self.returned(one, Err(Error::new(Code::BudgetExceeded, message)))?;
                    continue;
                }
                let limit = one.limit.as_secs_f64();
                let error = Error::new(Code::ToolTimeout, format!("it did not end within {limit} s"));
                self.returned(one, Err(error))?;
            }
        }
        Ok(())
    }

    fn take_result(&mut self, came: Came, under: &mut Vec<Under>) -> Result<()> {
        match came {
            Came::Cancelled => Ok(()),
            // The host of the tool is gone, or the run that it started is another's: nobody knows how the call ended.
            Came::Result(_, Err(error)) if error.code() == Code::StaleWrite => {
                under.iter().for_each(|one| one.cancel.cancel());
                self.flush(None)?;
                Err(error)
            }
            Came::Result(id, outcome) => match under.iter().position(|one| one.id == id) {
                Some(at) => {
                    let one = under.remove(at);
                    self.returned(one, outcome)
                }
                None => Ok(()),
            },
        }
    }

    /// The run is cancelled: ends what is under way, and counts what runs have spent that it has started.
    fn stop(&mut self, mut under: Vec<Under>, results: &Receiver<Came>) -> Result<()> {
        under.iter().for_each(|one| one.cancel.cancel());
        under.retain(Under::has_started);
        let mut waiting: HashSet<String> = under.iter().map(|one| one.id.clone()).collect();
        let until = Instant::now() + SETTLES;
        while !waiting.is_empty()
            && let Ok(came) = results.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if let Came::Result(id, _) = came {
                waiting.remove(&id);
            }
        }
        for spent in under.iter().filter_map(Under::spent) {
            self.note(Fact::Used { spent, below: true })?;
        }
        self.note(Fact::Cancelled)
    }

    /// Whether the tool at hand is still the one that the call was checked and decided for: whoever goes on with a run may
    /// have another one of that name. Errors: `approval_required`, `tool_arguments`.
    fn still_fits(&self, call: &ToolCall, card: &ToolCard) -> Result<()> {
        let begun_with = self.machine.card_of(&call.id);
        if begun_with == Some(card) {
            return Ok(());
        }
        if card.needs_approval() && !begun_with.is_some_and(ToolCard::needs_approval) {
            let message = format!("'{}' needs approval now, and nobody was asked for it", card.name);
            return Err(Error::new(Code::ApprovalRequired, message));
        }
        quorate_models::check_arguments(&card.spec(), &Value::Object(call.arguments.clone()))
    }

    fn context(&self, call: &ToolCall) -> ToolContext {
        let spec = &self.machine.spec;
        ToolContext {
            run_id: self.machine.run_id.clone(),
            call_id: call.id.clone(),
            idempotency_key: format!("{}:{}", self.machine.run_id, call.id),
            tenant: self.inner.tenant.clone(),
            cancel: self.cancel.child(),
            ledger: self.ledger.within(self.machine.seconds()),
            depth: self.machine.spec.depth,
            runtime: Arc::downgrade(&self.inner),
            filter: self.machine.spec.filter.clone(),
            approve: self.approve.clone(),
            host: self.host.clone(),
            below: Arc::default(),
            tools: self.tools.clone(),
            begun: self.machine.begun(&call.id),
            asks: Arc::default(),
            unattended: (spec.autonomous || spec.unattended) && self.approve.is_none(),
        }
    }

    fn returned(&mut self, one: Under, outcome: Result<Value>) -> Result<()> {
        let seconds = one.begun.elapsed().as_secs_f64();
        let spent = one.spent();
        let asks = one.asks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(asks), Err(_)) = (asks, &outcome) {
            let pending = asks.named(&one.id);
            self.told.extend(pending.iter().map(|one| one.id.clone()));
            return self.note(Fact::Asks { id: one.id, pending, seconds, spent });
        }
        let (content, error) = match outcome {
            Ok(value) => (written(&value), None),
            Err(error) => {
                let code = match error.code() {
                    code @ (Code::ToolTimeout
                    | Code::ToolArguments
                    | Code::BudgetExceeded
                    | Code::ApprovalRequired
                    | Code::StepLimit) => code,
                    _ => Code::ToolFailed,
                };
                (format!("{}: {}", code.as_str(), error.message()), Some(code.as_str().to_owned()))
            }
        };
        self.note(Fact::Returned { id: one.id, content, error, seconds, spent })
    }
}

/// Runs a tool, or takes what it gave from the recording under way. A panic is an error.
fn run(tool: &dyn Tool, arguments: serde_json::Map<String, Value>, context: &ToolContext) -> Result<Value> {
    let name = tool.card().name.clone();
    let asked = json!({"name": name, "arguments": arguments});
    let ran = || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tool.run(arguments, context)))
            .unwrap_or_else(|_| Err(Error::new(Code::ToolFailed, format!("the tool '{name}' panicked"))))
    };
    quorate_models::call("tool", &name, &asked, ran)
}
