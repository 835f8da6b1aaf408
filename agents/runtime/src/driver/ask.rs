//! How is the model asked within the budget?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Event, Model, Reply, Request, Usage};
use serde_json::json;

use super::aside::aside;
use super::reserve::{Reserved, reserve};
use super::{Drive, now, spans};
use crate::budget::{Ledger, Unpriced};
use crate::fact::{Answered, Fact};

/// Why there is no answer, and what had come of it.
type Broken = Box<(Error, Reply)>;

impl Drive {
    /// Asks the model, and says what came of it.
    pub(super) fn ask(&mut self, call: u32, request: Box<Request>, last: bool) -> Result<Fact> {
        let Some(model) = self.inner.model.clone() else {
            return Err(Error::new(Code::Internal, "a run without a model asks one"));
        };
        let seconds = self.machine.seconds();
        let mut reserved = match reserve(&self.ledger, &model, *request, seconds, last)? {
            Ok(reserved) => Box::new(reserved),
            Err(by) => return Ok(Fact::Refused { id: None, by: by.to_owned() }),
        };
        let left = self.ledger.seconds_left(seconds, last);
        // Before its time begins, so that what was ended by it has taken it.
        let begun = Instant::now();
        let cancel = self.watched.begin(left);
        let request = Box::new(self.checked(std::mem::take(&mut reserved.request), &cancel));
        let span = spans::chat(&model, &request, None);
        let _within = span.enter();
        let outcome = if self.listens() {
            self.show("step_start", json!({"step": call, "model": model.id()}), now());
            self.stream(&model, &request, &cancel)
        } else {
            model.complete_or_used(&request, &cancel)
        };
        self.watched.end();
        let took = begun.elapsed();
        self.told(call, &span, outcome, reserved, left, took)
    }

    /// What came of it. Apart from the asking, during which a thread waits, so that its stack stays small.
    #[inline(never)]
    fn told(
        &mut self,
        call: u32,
        span: &tracing::Span,
        outcome: Result<Reply, Broken>,
        reserved: Box<Reserved>,
        left: Option<f64>,
        took: Duration,
    ) -> Result<Fact> {
        let capped = reserved.capped;
        match outcome {
            Ok(mut reply) => {
                spans::answered(span, &reply);
                self.machine.name_calls(&mut reply.message);
                let capped = capped.map(str::to_owned);
                let spent = reserved.settle(&reply);
                let counted = reply.cost.is_none().then_some(spent.counted);
                let unknown = (spent.unknown > 0).then_some(spent.unknown);
                let reply = Answered { counted, unknown, capped, ..Answered::of(reply, took.as_secs_f64()) };
                Ok(Fact::Replied { call, reply: Box::new(reply) })
            }
            Err(broken) => {
                let (error, partial) = *broken;
                span.record("error.type", error.code().as_str());
                let used = partial.unknown > 0 || partial.usage != Usage::default();
                let spent = used.then(|| reserved.settle(&partial));
                if error.code() == Code::StaleWrite {
                    // The host that answers in the place of a model is gone: nobody knows what it would have said.
                    return Err(error);
                }
                if error.code() == Code::Cancelled {
                    if let Some(spent) = spent {
                        self.note(Fact::Used { spent, below: false })?;
                    }
                    return Ok(match self.watched.cancelled()? {
                        true => Fact::Cancelled,
                        false if left.is_some_and(|left| took.as_secs_f64() >= left) => {
                            Fact::Refused { id: None, by: "max_seconds".to_owned() }
                        }
                        false => Fact::Cancelled,
                    });
                }
                if let (Some(by), Code::OutputInvalid) = (capped, error.code()) {
                    // There was too little left for an answer in its form; the rest of the budget may do.
                    if let Some(spent) = spent {
                        self.note(Fact::Used { spent, below: false })?;
                    }
                    return Ok(Fact::Refused { id: None, by: by.to_owned() });
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

    /// The request whose answer the host checks too, where it is to be in the form that it asked for.
    fn checked(&self, mut request: Request, cancel: &Cancel) -> Request {
        if let (Some(check), true) = (&self.check_output, self.machine.asks_for_form()) {
            let (check, cancel) = (Arc::clone(check), cancel.clone());
            request.output = request.output.map(|form| {
                form.checked_by(move |value| {
                    let (check, value) = (Arc::clone(&check), value.clone());
                    let said = aside(&cancel, None, move || check(&value))?;
                    said.unwrap_or_else(|| Err("there was no time to check it".to_owned()))
                        .map_err(|said| Error::new(Code::OutputInvalid, said))
                })
            });
        }
        request
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
