//! Who asks the members, all at once, and writes down what they said?
//!
//! One thread per panel that is under way; each ask has a thread of its own, which nobody waits for longer than its time. What
//! was said is durable before the next stage begins, so that no ballot is asked for twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use quorate_core::filter::Filter;
use quorate_core::{Cancel, Code, Error, Result, spare};
use quorate_models::{Model, Reply, Usage};
use quorate_state::{Entry, Run};
use serde_json::Value;

use super::event::Events;
use super::fact::{Outcome, PanelFact, PanelSpec, Place};
use super::grouping;
use super::machine::{Due, Forms, Grouping, Machine};
use super::offline;
use super::stage::{What, Who};
use crate::budget::{Ledger, Spent};
use crate::driver::watch::Watched;
use crate::driver::{Listener, Reserved, now, reserve, spans};
use crate::evidence::Wanted;
use crate::extractive::EXTRACTIVE;
use crate::fact::Status;
use crate::runtime::Inner;

/// How often the flag of the panel, and the time of each ask, is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Who answers for the seats and for the judge; `None`: sentences of the sources.
#[derive(Clone, Default)]
pub(crate) struct Models {
    pub(crate) seats: Vec<Option<Model>>,
    pub(crate) judge: Option<Model>,
}

impl Models {
    /// Who is answered for by another model than when the panel was opened, and by which.
    pub(crate) fn others(&self, spec: &PanelSpec) -> Vec<(String, String)> {
        let seats = spec.seats.iter().map(|seat| (seat.id.as_str(), seat.model.as_str()));
        let judge = spec.judge.iter().map(|(model, _)| ("judge", model.as_str()));
        let given = self.seats.iter().map(Option::as_ref).chain([self.judge.as_ref()]);
        seats
            .chain(judge)
            .zip(given)
            .filter_map(|((id, before), model)| Some((id, before, model?.id())))
            .filter(|(_, before, model)| before != model)
            .map(|(id, _, model)| (id.to_owned(), model.to_owned()))
            .collect()
    }
}

/// A panel that is under way.
pub(crate) struct Drive {
    inner: Arc<Inner>,
    pub(crate) machine: Machine,
    run: Arc<Run>,
    models: Models,
    ledger: Ledger,
    watched: Arc<Watched>,
    pub(crate) cancel: Cancel,
    listener: Option<Listener>,
    events: Events,
    forms: Forms,
    unwritten: Vec<Entry>,
    seq: u64,
}

/// An ask that is under way.
struct Under {
    at: Place,
    cancel: Cancel,
    begun: Instant,
    limit: Duration,
    /// Whether the limit is the budget's.
    budgets: bool,
    reserved: Option<Reserved>,
    prompt: Vec<String>,
}

/// Whatever ends the panel, nobody goes on asking.
impl Drop for Under {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What a thread brings back.
type Brought = (Place, Result<Reply, Box<(Error, Reply)>>, f64);

impl Drop for Drive {
    fn drop(&mut self) {
        self.watched.close();
    }
}

impl Drive {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the panel; there is one caller")]
    pub(crate) fn new(
        inner: Arc<Inner>,
        machine: Machine,
        run: Run,
        seq: u64,
        models: Models,
        ledger: Ledger,
        cancel: Cancel,
        listener: Option<Listener>,
    ) -> Self {
        let run = Arc::new(run);
        let watched = inner.watch.watch(cancel, Some(Arc::clone(&run)));
        let cancel = watched.flag().clone();
        let events = Events::after(&machine);
        Drive {
            inner,
            machine,
            run,
            models,
            ledger,
            watched,
            cancel,
            listener,
            events,
            forms: Forms::new(),
            unwritten: Vec::new(),
            seq,
        }
    }

    /// Goes on until the panel is over. Errors: those of the store; those of the search, once they are in the journal.
    pub(crate) fn go(&mut self) -> Result<()> {
        let steps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.steps()));
        let outcome = steps.unwrap_or_else(|payload| {
            let said = payload.downcast_ref::<&str>().map(|said| (*said).to_owned());
            let said = said.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::new(Code::Internal, format!("something that the panel called has panicked: {said}")))
        });
        let Err(error) = outcome else { return Ok(()) };
        let lost = matches!(error.code(), Code::StaleWrite | Code::RunConflict);
        if self.machine.ended().is_some() || lost {
            return Err(error);
        }
        // It is tried to leave a panel that says how it ended.
        let fact = match error.code() {
            Code::Cancelled if self.watched.cancelled().unwrap_or(false) => PanelFact::Cancelled,
            code => PanelFact::Failed { code: code.as_str().into(), message: error.message().into() },
        };
        let cancelled = fact == PanelFact::Cancelled;
        let status = if cancelled { Status::Cancelled } else { Status::Failed };
        let ended = self.note(fact).and_then(|()| self.end(status));
        if cancelled { ended } else { Err(error) }
    }

    fn steps(&mut self) -> Result<()> {
        loop {
            if !self.machine.is_cancelled() && self.watched.cancelled()? {
                self.note(PanelFact::Cancelled)?;
            }
            let due = self.machine.due();
            self.flush(None)?;
            match due {
                None => return Ok(()),
                Some(Due::End(status)) => return self.end(status),
                Some(Due::Retrieve) => {
                    let fact = self.look_up()?;
                    self.note(fact)?;
                }
                Some(Due::Group(grouping)) => {
                    let fact = self.group(&grouping)?;
                    self.note(fact)?;
                }
                Some(Due::Ask(places)) => self.ask(places)?,
            }
        }
    }

    fn look_up(&self) -> Result<PanelFact> {
        let (Some(sources), Some(spec)) = (&self.inner.sources, self.machine.spec()) else {
            return Err(Error::invalid("there is no knowledge base"));
        };
        let filter = match &spec.filter {
            None => None,
            Some(Value::String(text)) => Some(Filter::parse(text)?),
            Some(value) => Some(Filter::from_json(value)?),
        };
        let wanted = Wanted { filter, ..Wanted::default() };
        let mut passages = sources.passages(&spec.question, &wanted, &self.cancel)?;
        for passage in &mut passages {
            // JSON has no other numbers, and the journal could not be read again.
            passage.score = if passage.score.is_finite() { passage.score } else { 0.0 };
        }
        Ok(PanelFact::Retrieved { passages })
    }

    fn group(&self, grouping: &Grouping) -> Result<PanelFact> {
        let embedder = self.inner.sources.as_ref().and_then(|sources| sources.embedder());
        let least = self.machine.spec().map_or(1.0, |spec| spec.similarity);
        // What was said is grouped even where the panel was cancelled meanwhile.
        let labels =
            grouping::labels(&grouping.known, &grouping.texts, least, embedder.as_deref(), &Cancel::new())?;
        Ok(PanelFact::Grouped { stage: grouping.stage, labels })
    }

    /// Asks all of them at once, as many as the budget lets at the same time, and waits for each for as long as it may take.
    fn ask(&mut self, places: Vec<Place>) -> Result<()> {
        let mut queue: VecDeque<Place> = places.into();
        let mut under: Vec<Under> = Vec::new();
        let (sender, results): (Sender<Brought>, Receiver<Brought>) = channel();
        loop {
            while let Some(at) = queue.front().copied() {
                match self.begin(at, &sender)? {
                    Ok(one) => {
                        queue.pop_front();
                        under.push(one);
                    }
                    // What is under way may need less than it has reserved.
                    Err(_) if !under.is_empty() => break,
                    Err(by) => return self.note(PanelFact::Refused { by: by.to_owned() }),
                }
            }
            if under.is_empty() {
                return Ok(());
            }
            match results.recv_timeout(TICK) {
                Ok(brought) => {
                    self.take(brought, &mut under)?;
                    while let Ok(brought) = results.try_recv() {
                        self.take(brought, &mut under)?;
                    }
                    // Durable although others are still under way: they may end this process.
                    self.flush(None)?;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if self.watched.cancelled()? {
                self.note(PanelFact::Cancelled)?;
                for one in under.drain(..) {
                    let message = "the panel was cancelled before it had answered".to_owned();
                    self.unanswered(one, "cancelled", message)?;
                }
                return Ok(());
            }
            while let Some(at) = under.iter().position(|one| one.begun.elapsed() >= one.limit) {
                let one = under.remove(at);
                if one.budgets {
                    // Of all that are under way the time is over, and nothing more is begun.
                    self.note(PanelFact::Refused { by: "max_seconds".to_owned() })?;
                    for one in under.drain(..).chain([one]) {
                        self.late(one)?;
                    }
                    return Ok(());
                }
                self.late(one)?;
                self.flush(None)?;
            }
        }
    }

    /// Begins an ask, or says which limit of the budget it would break.
    fn begin(
        &mut self,
        at: Place,
        sender: &Sender<Brought>,
    ) -> Result<std::result::Result<Under, &'static str>> {
        let Some(ask) = self.machine.ask(at) else {
            return Err(Error::new(Code::Internal, "a panel asks what it does not know"));
        };
        let model = match ask.who {
            Who::Judge => self.models.judge.clone(),
            Who::Seat(seat) => self.models.seats.get(seat).cloned().flatten(),
        };
        let seconds = self.machine.seconds();
        // Where nobody sums up, nothing is held back for it.
        let last = ask.what.is_last() || !self.machine.sums_up();
        let request = self.machine.request(ask, &mut self.forms)?;
        let (request, reserved) = match &model {
            None => (request, None),
            Some(model) => match reserve(&self.ledger, model, request, seconds, last)? {
                Ok(mut reserved) => (std::mem::take(&mut reserved.request), Some(reserved)),
                Err(by) => return Ok(Err(by)),
            },
        };
        let own = Duration::try_from_secs_f64(self.machine.spec().map_or(1.0, |spec| spec.member_seconds));
        let own = own.unwrap_or(Duration::MAX);
        let left =
            self.ledger.seconds_left(seconds, last).and_then(|left| Duration::try_from_secs_f64(left).ok());
        let limit = left.map_or(own, |left| left.min(own));
        let cancel = Cancel::new();
        let under = Under {
            at,
            cancel: cancel.clone(),
            begun: Instant::now(),
            limit,
            budgets: limit < own,
            reserved,
            prompt: self.machine.shown(ask),
        };
        let sender = sender.clone();
        match model {
            Some(model) => {
                // Within the panel's span, which a member that hangs does not hold.
                let span = spans::chat(&model, &request, None);
                if let (Who::Seat(seat), Some(spec)) = (ask.who, self.machine.spec())
                    && let Some(seat) = spec.seats.get(seat)
                {
                    span.record("quorate.panel.member", seat.id.as_str());
                }
                spare::run(move || {
                    let begun = Instant::now();
                    let asked = || model.complete_or_used(&request, &cancel);
                    let said = span.in_scope(|| caught(asked));
                    match &said {
                        Ok(reply) => spans::answered(&span, reply),
                        Err(broken) => {
                            span.record("error.type", broken.0.code().as_str());
                        }
                    }
                    drop(span);
                    // Nobody waits for it any more when its time was over.
                    let _ = sender.send((at, said, begun.elapsed().as_secs_f64()));
                })?;
            }
            None => {
                // With all that was said, which nobody else changes meanwhile.
                let (machine, ask) = (self.machine.clone(), ask.clone());
                let embedder = self.inner.sources.as_ref().and_then(|sources| sources.embedder());
                spare::run(move || {
                    let begun = Instant::now();
                    let said = caught(|| {
                        offline::answer(&machine, &ask, embedder.as_deref(), &cancel)
                            .map(extracted)
                            .map_err(|error| Box::new((error, Reply::default())))
                    });
                    let _ = sender.send((at, said, begun.elapsed().as_secs_f64()));
                })?;
            }
        }
        Ok(Ok(under))
    }

    /// Writes down what a member has said.
    fn take(&mut self, (at, said, seconds): Brought, under: &mut Vec<Under>) -> Result<()> {
        // Who is not waited for any more is not heard either.
        let Some(place) = under.iter().position(|one| one.at == at) else { return Ok(()) };
        let mut one = under.remove(place);
        let (said, spent) = match said {
            Ok(reply) => {
                let settled = one.reserved.take().map(|reserved| reserved.settle(&reply));
                (self.outcome(at, reply), settled.unwrap_or_default())
            }
            Err(broken) => {
                let (error, partial) = *broken;
                let used = partial.unknown > 0 || partial.usage != Usage::default();
                let settled = one.reserved.take().filter(|_| used).map(|reserved| reserved.settle(&partial));
                let reason = match error.code() {
                    Code::ModelRefused => "refused",
                    Code::Timeout => "late",
                    code => code.as_str(),
                };
                let message = error.message().to_owned();
                (Outcome::None { reason: reason.to_owned(), message }, settled.unwrap_or_default())
            }
        };
        let prompt = std::mem::take(&mut one.prompt);
        self.note(PanelFact::Said { at, prompt, said, spent, seconds })
    }

    /// What a reply is: an answer of the form asked for, or none.
    fn outcome(&self, at: Place, reply: Reply) -> Outcome {
        let none =
            |reason: &str, message: &str| Outcome::None { reason: reason.into(), message: message.into() };
        if let Some(words) = reply.refusal() {
            return none("refused", &words);
        }
        let Some(value) = reply.output else {
            return none("abstained", "the sources do not tell");
        };
        let ballot = self.machine.ask(at).is_some_and(|ask| ask.what == What::Ballot);
        match self.machine.read(at, &value) {
            Err(error) if ballot => none(error.code().as_str(), error.message()),
            _ => Outcome::Answer { value, model: reply.model },
        }
    }

    fn late(&mut self, one: Under) -> Result<()> {
        let message = format!("it did not answer within {:.1} s", one.limit.as_secs_f64());
        self.unanswered(one, "late", message)
    }

    /// Ends an ask that is not waited for, and writes down what it may have used.
    fn unanswered(&mut self, mut one: Under, reason: &str, message: String) -> Result<()> {
        let (at, prompt) = (one.at, std::mem::take(&mut one.prompt));
        let seconds = one.begun.elapsed().as_secs_f64();
        let spent = given_up(one);
        let said = Outcome::None { reason: reason.to_owned(), message };
        self.note(PanelFact::Said { at, prompt, said, spent, seconds })
    }

    /// Takes a fact into the panel, and into the journal with the next write.
    pub(crate) fn note(&mut self, fact: PanelFact) -> Result<()> {
        let time = now();
        self.unwritten.push(fact.entry(self.seq + 1, time)?);
        self.seq += 1;
        self.take_in(&fact, time)
    }

    /// Takes a fact into the panel that is in the journal, or will be.
    pub(crate) fn take_in(&mut self, fact: &PanelFact, time: f64) -> Result<()> {
        self.machine.apply(fact, time)?;
        if self.listener.is_some() {
            self.events.follow(fact, &self.machine, time)?;
        }
        Ok(())
    }

    /// Writes what has happened, and shows it.
    fn flush(&mut self, status: Option<Status>) -> Result<()> {
        if !self.unwritten.is_empty() || status.is_some() {
            self.run.append(&self.unwritten, status.map(Status::as_str))?;
            self.unwritten.clear();
        }
        let events = self.events.take();
        if let (Some(listener), false) = (&self.listener, events.is_empty()) {
            events.into_iter().for_each(|event| listener(event));
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, status: Status) -> Result<()> {
        self.note(PanelFact::Ended { status })?;
        self.flush(Some(status))
    }
}

/// Ends an ask that is not waited for; what it used is not known, so that the worst is counted.
fn given_up(mut one: Under) -> Spent {
    let worst = |reserved: Reserved| {
        let sent = reserved.request.most_billed.unwrap_or(1);
        reserved.settle(&Reply { attempts: sent, unknown: sent, cost: None, ..Reply::default() })
    };
    one.reserved.take().map(worst).unwrap_or_default()
}

/// What the sources tell, as a reply that costs nothing.
fn extracted(value: Option<Value>) -> Reply {
    Reply { output: value, model: EXTRACTIVE.to_owned(), cost: Some(0.0), ..Reply::default() }
}

/// A panic of what the host has given is an error.
fn caught(ask: impl FnOnce() -> Result<Reply, Box<(Error, Reply)>>) -> Result<Reply, Box<(Error, Reply)>> {
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
    asked.unwrap_or_else(|_| {
        Err(Box::new((Error::new(Code::Internal, "the model has panicked"), Reply::default())))
    })
}
