//! How is the model asked within the budget?

use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Event, Model, Reply, Request, Usage};
use serde_json::json;

use super::{Drive, now};
use crate::budget::{Unpriced, Worst};
use crate::fact::{Answered, Fact};
use crate::machine::ANSWER_TOKENS;

impl Drive {
    /// Asks the model, and says what came of it.
    pub(super) fn ask(&mut self, call: u32, request: &Request, last: bool) -> Result<Fact> {
        let Some(model) = self.inner.model.clone() else {
            return Err(Error::new(Code::Internal, "a run without a model asks one"));
        };
        let seconds = self.machine.seconds();
        let reservation = match self.ledger.reserve(worst(&model, request, &self.ledger), seconds, last) {
            Ok(reservation) => reservation,
            Err(by) => return Ok(Fact::Refused { id: None, by: by.to_owned() }),
        };
        let left = self.ledger.seconds_left(seconds, last).map(Duration::from_secs_f64);
        let begun = Instant::now();
        let cancel = self.watched.begin(left);
        let outcome = if self.listens() {
            self.show("step_start", json!({"step": call, "model": model.id()}), now());
            self.stream(&model, request, &cancel)
        } else {
            model.complete(request, &cancel).map_err(|error| (error, Reply::default()))
        };
        self.watched.end();
        let took = begun.elapsed();
        match outcome {
            Ok(mut reply) => {
                self.machine.name_calls(&mut reply.message);
                reservation.settle(reply.usage, reply.cost);
                Ok(Fact::Replied { call, reply: Box::new(Answered::of(reply, took.as_secs_f64())) })
            }
            Err((error, partial)) => {
                if partial.usage != Usage::default() || !is_free(error.code()) {
                    reservation.settle(partial.usage, partial.cost.filter(|cost| *cost > 0.0));
                }
                if error.code() == Code::Cancelled {
                    return Ok(match self.cancel.is_cancelled() {
                        true => Fact::Cancelled,
                        false if left.is_some_and(|left| took >= left) => {
                            Fact::Refused { id: None, by: "max_seconds".to_owned() }
                        }
                        false => Fact::Cancelled,
                    });
                }
                Ok(Fact::Failed { call, code: error.code().as_str().into(), message: error.message().into() })
            }
        }
    }

    fn stream(&mut self, model: &Model, request: &Request, cancel: &Cancel) -> Result<Reply, (Error, Reply)> {
        let mut stream = model.stream(request, cancel).map_err(|error| (error, Reply::default()))?;
        while let Some(event) = stream.next_event() {
            let (kind, data) = match event {
                Event::Text { delta } => ("text", json!({"delta": delta})),
                Event::Reasoning { delta } => ("reasoning", json!({"delta": delta})),
                Event::ToolInput { index, id, name, delta } => {
                    ("tool_input", json!({"index": index, "id": id, "name": name, "delta": delta}))
                }
                Event::Retry { attempt, error, wait, keep } => {
                    let (code, message) = (error.code().as_str(), error.message());
                    (
                        "retry",
                        json!({"attempt": attempt, "code": code, "message": message, "wait": wait, "keep": keep}),
                    )
                }
                Event::End(reply) => return Ok(*reply),
                Event::Error { error, partial } => return Err((error, *partial)),
                Event::Cancelled { partial } => {
                    return Err((Error::new(Code::Cancelled, "the request was cancelled"), *partial));
                }
                // The journal's fact shows warnings and calls.
                _ => continue,
            };
            self.show(kind, data, now());
        }
        Err((Error::new(Code::StreamIncomplete, "the stream ended without its last event"), Reply::default()))
    }
}

/// Whether what failed so has cost nothing.
fn is_free(code: Code) -> bool {
    matches!(
        code,
        Code::Offline
            | Code::CircuitOpen
            | Code::RateLimited
            | Code::RemoteFailed
            | Code::ModelNotFound
            | Code::InvalidArgument
            | Code::ContextOverflow
            | Code::ReplayMismatch
            | Code::Callback
            | Code::Unsupported
    )
}

/// What a request may use at worst. Only counted where a limit asks for it.
pub(crate) fn worst(model: &Model, request: &Request, ledger: &crate::budget::Ledger) -> Worst {
    if !ledger.counts() {
        return Worst { tokens: 0, cost: Some(0.0) };
    }
    let tokens = model.worst_tokens(request);
    let output = u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS)).min(tokens);
    let usage = Usage { input: tokens - output, output, ..Usage::default() };
    Worst { tokens, cost: model.price().map(|price| price.cost(&usage)) }
}

/// Errors: `budget_unpriced` where money is limited and nobody knows the price.
pub(crate) fn priced(model: Option<&Model>, ledger: &crate::budget::Ledger) -> Result<()> {
    let budget = ledger.budget();
    let Some(model) = model.filter(|model| model.price().is_none()) else { return Ok(()) };
    if budget.max_cost.is_some() && budget.unpriced == Unpriced::Refuse {
        return Err(Error::new(
            Code::BudgetUnpriced,
            format!(
                "the price of '{}' is not known, so max_cost cannot be kept; give the model a price, or set unpriced to 'allow'",
                model.id()
            ),
        ));
    }
    Ok(())
}
