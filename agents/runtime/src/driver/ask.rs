//! How is the model asked within the budget?

use std::time::Instant;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Event, Model, Reply, Request, Usage};
use serde_json::json;

use super::{Drive, now, spans};
use crate::budget::{Ledger, Reservation, Unpriced, Worst};
use crate::fact::{Answered, Fact};
use crate::machine::ANSWER_TOKENS;

/// Why there is no answer, and what had come of it.
type Broken = Box<(Error, Reply)>;

impl Drive {
    /// Asks the model, and says what came of it.
    pub(super) fn ask(&mut self, call: u32, request: &Request, last: bool) -> Result<Fact> {
        let Some(model) = self.inner.model.clone() else {
            return Err(Error::new(Code::Internal, "a run without a model asks one"));
        };
        let seconds = self.machine.seconds();
        let (reservation, request) = match reserve(&model, request, &self.ledger, seconds, last)? {
            Ok(reserved) => reserved,
            Err(by) => return Ok(Fact::Refused { id: None, by: by.to_owned() }),
        };
        let left = self.ledger.seconds_left(seconds, last);
        let span = spans::chat(&model, &request);
        let _within = span.enter();
        let begun = Instant::now();
        let cancel = self.watched.begin(left);
        let outcome = if self.listens() {
            self.show("step_start", json!({"step": call, "model": model.id()}), now());
            self.stream(&model, &request, &cancel)
        } else {
            model.complete(&request, &cancel).map_err(|error| Box::new((error, Reply::default())))
        };
        self.watched.end();
        let took = begun.elapsed();
        match outcome {
            Ok(mut reply) => {
                spans::answered(&span, &reply);
                self.machine.name_calls(&mut reply.message);
                let counted = reservation.settle(Some(reply.usage), reply.cost).counted;
                let counted = reply.cost.is_none().then_some(counted);
                let reply = Answered { counted, ..Answered::of(reply, took.as_secs_f64()) };
                Ok(Fact::Replied { call, reply: Box::new(reply) })
            }
            Err(broken) => {
                let (error, partial) = *broken;
                span.record("error.type", error.code().as_str());
                let used = Some(partial.usage).filter(|usage| *usage != Usage::default());
                let spent = (used.is_some() || !is_free(error.code()))
                    .then(|| reservation.settle(used, partial.cost.filter(|cost| *cost > 0.0)));
                if error.code() == Code::Cancelled {
                    return Ok(match self.watched.cancelled()? {
                        true => Fact::Cancelled,
                        false if left.is_some_and(|left| took.as_secs_f64() >= left) => {
                            Fact::Refused { id: None, by: "max_seconds".to_owned() }
                        }
                        false => Fact::Cancelled,
                    });
                }
                Ok(Fact::Failed {
                    call,
                    code: error.code().as_str().into(),
                    message: error.message().into(),
                    spent,
                })
            }
        }
    }

    fn stream(&mut self, model: &Model, request: &Request, cancel: &Cancel) -> Result<Reply, Broken> {
        let mut stream =
            model.stream(request, cancel).map_err(|error| Box::new((error, Reply::default())))?;
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
                Event::Error { error, partial } => return Err(Box::new((error, *partial))),
                Event::Cancelled { partial } => {
                    let error = Error::new(Code::Cancelled, "the request was cancelled");
                    return Err(Box::new((error, *partial)));
                }
                // The journal's fact shows warnings and calls.
                _ => continue,
            };
            self.show(kind, data, now());
        }
        let error = Error::new(Code::StreamIncomplete, "the stream ended without its last event");
        Err(Box::new((error, Reply::default())))
    }
}

/// Reserves what a request may use at worst. Each repair of an answer that has not its form is a request more: as many are
/// allowed as fit. Or says which limit it would break.
pub(crate) fn reserve(
    model: &Model,
    request: &Request,
    ledger: &Ledger,
    seconds: f64,
    last: bool,
) -> Result<std::result::Result<(Reservation, Request), &'static str>> {
    let mut request = request.clone();
    let once = worst(model, &request, ledger);
    let Some(form) = request.output.clone().filter(|_| ledger.counts()) else {
        return Ok(ledger.reserve(once, seconds, last).map(|reservation| (reservation, request)));
    };
    let mut repairs = REPAIRS;
    loop {
        match ledger.reserve(repaired(model, &request, once, repairs), seconds, last) {
            Ok(reservation) => {
                request.output = Some(form.repairs(repairs)?);
                return Ok(Ok((reservation, request)));
            }
            Err(by) if repairs == 0 => return Ok(Err(by)),
            Err(_) => repairs -= 1,
        }
    }
}

/// Whether what failed so has cost nothing.
pub(crate) fn is_free(code: Code) -> bool {
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

/// What a request may use at worst, whichever of the models answers that are asked one after the other. Only counted where a
/// limit asks for it.
pub(crate) fn worst(model: &Model, request: &Request, ledger: &Ledger) -> Worst {
    if !ledger.counts() {
        return Worst { tokens: 0, cost: Some(0.0) };
    }
    let of = |model: &Model| {
        let tokens = model.worst_tokens(request);
        let output = u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS)).min(tokens);
        let usage = Usage { input: tokens - output, output, ..Usage::default() };
        Worst { tokens, cost: model.price().map(|price| price.cost(&usage)) }
    };
    model.fallbacks().iter().fold(of(model), |worst, other| worst.or(of(other)))
}

/// The same with so many repairs, each of which reads what was written before it.
fn repaired(model: &Model, request: &Request, once: Worst, repairs: u32) -> Worst {
    let (repairs, written) = (u64::from(repairs), u64::from(request.max_tokens.unwrap_or(ANSWER_TOKENS)));
    let again = (written + COMPLAINT).saturating_mul(repairs * (repairs + 1) / 2);
    let more = |model: &Model| {
        let usage = Usage { input: again, ..Usage::default() };
        model.price().map(|price| price.cost(&usage))
    };
    let more = model.fallbacks().iter().map(more).chain([more(model)]).flatten().fold(0.0, f64::max);
    Worst {
        tokens: once.tokens.saturating_mul(repairs + 1).saturating_add(again),
        cost: once.cost.map(|cost| cost * (repairs + 1) as f64 + more),
    }
}

/// How often an answer is mended that has not its form.
const REPAIRS: u32 = 2;
/// Tokens by which a model is told what is wrong with its answer.
const COMPLAINT: u64 = 200;

/// Errors: `budget_unpriced` where money is limited and nobody knows the price.
pub(crate) fn priced(model: Option<&Model>, ledger: &Ledger) -> Result<()> {
    let budget = ledger.budget();
    let all = model.into_iter().flat_map(|model| [vec![model.clone()], model.fallbacks()].concat());
    let Some(model) = all.into_iter().find(|model| model.price().is_none()) else { return Ok(()) };
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
