//! Who does what is due in a run, and writes down what came of it?
//!
//! One thread per run that is under way: it asks the model, has tools run on threads of their own, and waits. What has
//! happened is durable before the next action begins, so that a step costs at most one wait for the disk. What a run does
//! while it waits for nobody has frames of its own (`inline(never)`), which a waiting thread's stack does not have.

mod aside;
mod ask;
mod calls;
mod decide;
mod reserve;
mod sources;
pub(crate) mod spans;
pub(crate) mod watch;

pub(crate) use aside::aside;
pub(crate) use ask::priced;
pub(crate) use reserve::{Reserved, reserve};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_state::{Entry, Run};
use serde_json::Value;

use crate::approve::Approve;
use crate::budget::Ledger;
use crate::event::{Event, LAST_KINDS, Sketch, events_of};
use crate::fact::{Fact, Status};
use crate::family::Nested;
use crate::machine::{Action, Machine};
use crate::runtime::{CheckOutput, HostContext, Inner};
use crate::tool::{InUse, Tool, ToolNews};
use watch::Watched;

/// What is shown while a run goes on.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// A run that is under way.
pub(crate) struct Drive {
    pub(crate) inner: Arc<Inner>,
    pub(crate) machine: Machine,
    pub(crate) run: Arc<Run>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    /// Where changes of the tools are told, and what of it is known.
    news: Vec<(Arc<dyn ToolNews>, u64)>,
    said: Vec<String>,
    pub(crate) approve: Option<Arc<dyn Approve>>,
    /// What else than its schema the answer's data has to fit.
    pub(crate) check_output: Option<CheckOutput>,
    pub(crate) ledger: Ledger,
    pub(crate) cancel: Cancel,
    pub(crate) listener: Option<Listener>,
    pub(crate) watched: Arc<Watched>,
    /// The host's span that those of the run belong to.
    pub(crate) trace_parent: Option<String>,
    /// What the tools of the host are told of who asks.
    pub(crate) host: Option<HostContext>,
    /// What has happened and is not in the journal yet.
    unwritten: Vec<Entry>,
    unshown: Vec<(Sketch, f64)>,
    /// The last event, once the journal has it.
    last: Option<Event>,
    /// Whether the store still says that the run waits.
    waited: bool,
    seq: u64,
    /// How many events were shown, also by those who went on with the run before.
    pub(crate) shown: u64,
    /// Calls that the ledger has counted, and what waits in runs that they have started, since this goes on.
    counted: HashSet<String>,
    told: HashSet<String>,
    /// Who has started the run, and is told what it spends while it goes on.
    pub(crate) nested: Option<Nested>,
}

impl Drop for Drive {
    fn drop(&mut self) {
        // The lease is let go of with the run, here and not on the thread that watches.
        self.watched.close();
    }
}

impl Drive {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the run; there is one caller")]
    pub(crate) fn new(
        inner: Arc<Inner>,
        machine: Machine,
        run: Run,
        seq: u64,
        in_use: InUse,
        approve: Option<Arc<dyn Approve>>,
        ledger: Ledger,
        cancel: Cancel,
        listener: Option<Listener>,
    ) -> Self {
        let run = Arc::new(run);
        let watched = inner.watch.watch(cancel, Some(Arc::clone(&run)));
        let cancel = watched.flag().clone();
        let waited = machine.status() == Status::Waiting;
        Drive {
            inner,
            machine,
            run,
            tools: in_use.tools,
            news: in_use.news,
            said: in_use.said,
            approve,
            check_output: None,
            ledger,
            cancel,
            listener,
            watched,
            trace_parent: None,
            host: None,
            unwritten: Vec::new(),
            unshown: Vec::new(),
            last: None,
            waited,
            seq,
            shown: 0,
            counted: HashSet::new(),
            told: HashSet::new(),
            nested: None,
        }
    }

    /// Goes on until the run is over or waits for somebody. Errors: those of the store; those of the model, of matching and
    /// of the search, once they are in the journal.
    pub(crate) fn go(&mut self) -> Result<()> {
        let span = spans::run(&self.machine, self.trace_parent.as_deref());
        let outcome = span.in_scope(|| self.steps_to_the_end());
        spans::ended(&span, &self.machine);
        if let Err(error) = &outcome
            && self.machine.ended().is_none()
            && !self.machine.status().is_final()
            && !matches!(error.code(), Code::StaleWrite | Code::RunConflict)
        {
            // It is tried to leave a run that says how it ended.
            let (code, message) = (error.code().as_str().into(), error.message().into());
            let fact = Fact::Failed { call: 0, code, message, spent: None };
            let _ = self.note(fact).and_then(|()| self.end(Status::Failed));
        }
        outcome
    }

    /// The steps; where one of them breaks off since the run is cancelled, that is how it ends. A panic of what the host has
    /// given (a model, a search, who approves, who listens) is an error.
    fn steps_to_the_end(&mut self) -> Result<()> {
        loop {
            let steps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.steps()));
            let outcome = steps.unwrap_or_else(|payload| {
                let said = payload.downcast_ref::<&str>().map(|said| (*said).to_owned());
                let said = said.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err(Error::new(Code::Internal, format!("something that the run called has panicked: {said}")))
            });
            match outcome {
                Err(error)
                    if error.code() == Code::Cancelled
                        && !self.is_stopped()
                        && self.watched.cancelled()? => {}
                outcome => return outcome,
            }
        }
    }

    /// Whether the run knows that it is cancelled.
    fn is_stopped(&self) -> bool {
        self.machine.stopped_by.as_deref() == Some("cancelled")
    }

    fn steps(&mut self) -> Result<()> {
        loop {
            if self.watched.cancelled()? && !self.is_stopped() {
                self.note(Fact::Cancelled)?;
            }
            self.announce()?;
            let mut due = self.machine.due();
            let Some(first) = due.first() else {
                return Err(Error::new(Code::Internal, "a run has nothing to do and is not over"));
            };
            match first {
                Action::End { status } => return self.end(*status),
                Action::Decide { pending } => {
                    if !self.ask_for(pending)? {
                        let shown = self.will_have_shown();
                        self.note(Fact::Waiting { shown })?;
                        return self.flush(Some(Status::Waiting));
                    }
                }
                Action::Run { .. } => self.run_tools(due)?,
                _ => {
                    let action = due.swap_remove(0);
                    self.perform(action)?;
                }
            }
        }
    }

    /// Says which tools have changed; the run keeps those that it has.
    #[inline(never)]
    fn announce(&mut self) -> Result<()> {
        for message in std::mem::take(&mut self.said) {
            self.note(Fact::Noticed { message })?;
        }
        for at in 0..self.news.len() {
            let (told, seen) = &mut self.news[at];
            let (number, lines) = told.since(Some(*seen));
            *seen = number;
            for message in lines {
                self.note(Fact::Noticed { message })?;
            }
        }
        Ok(())
    }

    /// Finds who answers and from what, as far as that comes before the first request to the model.
    pub(crate) fn prepare(&mut self) -> Result<()> {
        while let Some(action @ (Action::Match | Action::Retrieve { .. })) =
            self.machine.due().into_iter().next()
        {
            self.perform(action)?;
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> Result<()> {
        self.flush(None)?;
        let fact = match action {
            Action::Match => self.find_expert()?,
            Action::Retrieve { question } => self.look_up(question)?,
            Action::Ask { call, request, last } => self.ask(call, request, last)?,
            Action::Extract { call, question } => self.extract(call, &question)?,
            Action::Check => self.check()?,
            Action::Run { .. } | Action::Decide { .. } | Action::End { .. } => return Ok(()),
        };
        self.note(fact)
    }

    /// Takes a fact into the run, and into the journal with the next write.
    #[inline(never)]
    pub(crate) fn note(&mut self, fact: Fact) -> Result<()> {
        let time = now();
        self.unwritten.push(fact.entry(self.seq + 1, time)?);
        self.seq += 1;
        self.take_in(&fact, time)
    }

    /// Takes a fact into the run that is in the journal, or will be.
    pub(crate) fn take_in(&mut self, fact: &Fact, time: f64) -> Result<()> {
        self.machine.apply(fact, time)?;
        if let Some(nested) = &self.nested {
            nested.tell(&self.machine.spent);
        }
        if self.listener.is_some() {
            let sketches = events_of(fact, &self.machine);
            self.unshown.extend(sketches.into_iter().map(|sketch| (sketch, time)));
        }
        Ok(())
    }

    /// Writes what has happened, and shows it.
    #[inline(never)]
    pub(crate) fn flush(&mut self, status: Option<Status>) -> Result<()> {
        // A run that waited goes on with the first thing that is written.
        let goes_on = self.waited && !self.unwritten.is_empty();
        let status = status.or(goes_on.then_some(Status::Running));
        if !self.unwritten.is_empty() || status.is_some() {
            self.run.append(&self.unwritten, status.map(Status::as_str))?;
            self.unwritten.clear();
            self.waited = false;
        }
        for (sketch, time) in std::mem::take(&mut self.unshown) {
            if LAST_KINDS.contains(&sketch.kind) {
                self.shown += 1;
                self.last = Some(made(sketch.kind, sketch.data, self.shown, time, &self.machine));
            } else {
                self.show(sketch.kind, sketch.data, time);
            }
        }
        Ok(())
    }

    /// Lets go of the run, and gives what it has come to, with its last event and to whom that is still to be shown: whoever
    /// sees it may go on with the run at once.
    pub(crate) fn let_go(mut self: Box<Self>) -> (Machine, Option<(Listener, Event)>) {
        let machine = std::mem::replace(&mut self.machine, Machine::new(String::new()));
        let last = self.listener.take().zip(self.last.take());
        (machine, last)
    }

    /// Whether all that has happened is in the journal.
    fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    #[inline(never)]
    pub(crate) fn end(&mut self, status: Status) -> Result<()> {
        let shown = self.will_have_shown();
        self.note(Fact::Ended { status, shown })?;
        self.flush(Some(status))
    }

    /// How many events will have been shown with the next one.
    fn will_have_shown(&self) -> Option<u64> {
        self.listener.as_ref().map(|_| self.shown + self.unshown.len() as u64 + 1)
    }

    /// Shows an event at once.
    pub(crate) fn show(&mut self, kind: &'static str, data: Value, time: f64) {
        // Whoever panics is not shown anything any more.
        let Some(listener) = self.listener.take() else { return };
        self.shown += 1;
        listener(made(kind, data, self.shown, time, &self.machine));
        self.listener = Some(listener);
    }

    pub(crate) fn listens(&self) -> bool {
        self.listener.is_some()
    }
}

/// An event of a run.
pub(crate) fn made(kind: &'static str, data: Value, seq: u64, time: f64, machine: &Machine) -> Event {
    let data = match data {
        Value::Object(data) => data,
        _ => serde_json::Map::new(),
    };
    Event {
        kind: kind.to_owned(),
        run_id: machine.run_id.clone(),
        seq,
        time,
        agent: machine.agent.as_ref().map(|agent| agent.id.clone()),
        round: None,
        data,
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

#[cfg(test)]
mod tests;
