//! What is to be done next in a run, by all that has happened in it?
//!
//! [`Machine::step`] takes what happened and notes the facts that follow; [`Machine::actions`] says what is to be done. It does
//! no input or output, reads no clock and draws no randomness: time and draws come with the event, and what was made of them
//! stands in the facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_state::Letter;
use serde_json::{Value, json};

use super::fact::{Fact, Outcome, Status, Waiting};
use super::form::OnWaited;
use super::plan::{Plan, Work};
use super::state::{Names, Phase, State};

pub(crate) mod ends;
mod letters;
mod open;
#[cfg(test)]
mod tests;
mod undo;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Time went on.
    Time,
    /// An attempt has ended.
    Done { step: usize, visit: u32, attempt: u32, result: Attempt },
    /// An attempt to undo has ended.
    UndoDone { index: usize, attempt: u32, result: Attempt },
    /// A letter came.
    Letter(&'a Letter),
    /// A run that a step has started is over.
    Child { step: usize, visit: u32, outcome: Outcome },
    /// Whoever did an attempt is gone; it is made again.
    Again { step: usize },
    /// Whoever did an attempt is gone, and it must not be made again unasked.
    Lost { step: usize, why: String },
    /// Somebody else goes on with undoing.
    UndoAgain { index: usize },
}

/// What came of an attempt: an output, or a code and a message.
pub(crate) type Attempt = Result<Value, (String, String)>;

/// When something happens, and what chance says then.
pub(crate) struct Moment<'a> {
    /// Seconds since 1970.
    pub(crate) now: f64,
    /// A number from 0 to 1, each time another.
    pub(crate) draw: &'a mut dyn FnMut() -> f64,
    /// Whether something may begin now.
    pub(crate) begins: bool,
}

/// What an engine lacks that another has: no failure of the step, which is blocked until somebody has it tried again.
const LACKS: [&str; 3] = ["tool_unknown", "runtime_missing", "workflow_unknown"];

/// An attempt whose process has ended so often is not made again by itself.
const MOST_CRASHES: u32 = 5;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Perform {
        step: usize,
        visit: u32,
        attempt: u32,
    },
    Undo {
        index: usize,
        attempt: u32,
    },
    /// Another run is started, or looked after.
    Child {
        step: usize,
        visit: u32,
        run: String,
    },
}

/// A run: its state, and what was noted and not yet written.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) run_id: String,
    pub(crate) state: State,
    /// Facts that are not written yet, each with its time.
    pub(crate) noted: Vec<(Fact, f64)>,
    /// Entries that there are, with those that are not written yet.
    pub(crate) seq: u64,
    /// The open reviews that are listed: by their entries, with their roles.
    pub(crate) listed: BTreeMap<u64, String>,
}

impl Machine {
    pub(crate) fn new(plan: Arc<Plan>, run_id: impl Into<String>) -> Machine {
        let state = State::new(&plan);
        Machine { plan, run_id: run_id.into(), state, noted: Vec::new(), seq: 0, listed: BTreeMap::new() }
    }

    /// Takes in what was written before.
    pub(crate) fn replay(&mut self, fact: &Fact, time: f64) {
        self.seq += 1;
        let plan = Arc::clone(&self.plan);
        self.state.apply(&plan, fact, time, self.seq);
    }

    fn note(&mut self, fact: Fact, at: &Moment<'_>) {
        self.replay(&fact, at.now);
        self.noted.push((fact, at.now));
    }

    fn id(&self, step: usize) -> String {
        self.plan.steps[step].id.clone()
    }

    fn names(&self, step: Option<usize>) -> Names<'_> {
        Names { plan: &self.plan, state: &self.state, run_id: &self.run_id, step, undone: None }
    }

    /// Takes what happened, and notes everything that follows from it.
    pub(crate) fn step(&mut self, event: Event<'_>, at: &mut Moment<'_>) {
        if self.state.ended.is_some() {
            if let Event::Letter(letter) = event {
                self.too_late(letter, at);
            }
            return;
        }
        match event {
            Event::Time => {}
            Event::Done { step, visit, attempt, result } => {
                let state = &self.state.steps[step];
                // What was cancelled, timed out or begun anew is not waited for any more.
                if state.phase == Phase::Running && (state.visit, state.attempt) == (visit, attempt) {
                    match result {
                        Ok(output) => self.complete(step, output, at),
                        Err((code, message)) => self.fail(step, code, message, at),
                    }
                }
            }
            Event::UndoDone { index, attempt, result } => self.undo_done(index, attempt, result, at),
            Event::Letter(letter) => self.hear(letter, at),
            Event::Child { step, visit, outcome } => {
                let state = &self.state.steps[step];
                let waits = matches!(state.wait, Some(Waiting::Run { .. }));
                if state.phase == Phase::Waiting && waits && state.visit == visit {
                    match outcome {
                        Outcome::Completed { output } => self.complete(step, output, at),
                        Outcome::Failed { code, message, .. } => self.fail(step, code, message, at),
                        Outcome::Cancelled { reason } => self.fail(step, "cancelled".to_owned(), reason, at),
                    }
                }
            }
            Event::Again { step } => {
                let state = &self.state.steps[step];
                if state.phase == Phase::Running && state.crashes >= MOST_CRASHES {
                    let (step, visit, code) = (self.id(step), state.visit, "crash_loop".to_owned());
                    let why =
                        format!("the process that did it has ended {MOST_CRASHES} times in the midst of it");
                    self.note(Fact::StepBlocked { step, visit, code, why }, at);
                } else if state.phase == Phase::Running {
                    let until = Some(at.now + self.plan.steps[step].timeout);
                    let (step, visit, attempt) = (self.id(step), state.visit, state.attempt);
                    self.note(Fact::StepResumed { step, visit, attempt, until }, at);
                }
            }
            Event::Lost { step, why } => {
                let state = &self.state.steps[step];
                if state.phase == Phase::Running {
                    let (step, visit) = (self.id(step), state.visit);
                    let code = "outcome_unknown".to_owned();
                    self.note(Fact::StepBlocked { step, visit, code, why }, at);
                }
            }
            Event::UndoAgain { index } => {
                if let Some(done) = self.state.done.get(index).filter(|done| done.phase == Phase::Running) {
                    let until = at.now + self.plan.steps[done.step].timeout;
                    self.note(Fact::UndoResumed { index, until }, at);
                }
            }
        }
        self.advance(at);
    }

    /// Notes what follows until nothing does.
    fn advance(&mut self, at: &mut Moment<'_>) {
        loop {
            let before = self.seq;
            if self.state.ended.is_some() {
                return;
            }
            if self.state.undoing.is_some() {
                self.advance_undo(at);
            } else if let Some((reason, _)) = self.state.cancel.clone() {
                self.finish(Outcome::Cancelled { reason }, at);
            } else {
                if let Some(deadline) = self.state.spec.deadline.filter(|deadline| *deadline <= at.now) {
                    let message = format!("the run was to be over by {deadline}");
                    self.fail_run("deadline", message, None, at);
                    continue;
                }
                self.times(at);
                self.joins(at);
                if !self.state.paused && at.begins {
                    self.begin(at);
                }
                self.ends(at);
            }
            if self.seq == before {
                return;
            }
        }
    }

    fn over(&self) -> bool {
        self.state.ended.is_some() || self.state.undoing.is_some()
    }

    /// What has come to its time.
    fn times(&mut self, at: &mut Moment<'_>) {
        for step in 0..self.state.steps.len() {
            if self.over() {
                return;
            }
            let state = &self.state.steps[step];
            let due = |time: Option<f64>| time.is_some_and(|time| time <= at.now);
            match (&state.phase, &state.wait) {
                (Phase::Running, _) if due(state.until) => {
                    let message =
                        format!("the attempt took longer than {} seconds", self.plan.steps[step].timeout);
                    self.fail(step, "timeout".to_owned(), message, at);
                }
                // A pause stops the clocks of what waits.
                _ if self.state.paused => {}
                (Phase::Waiting, Some(Waiting::Time { until })) if *until <= at.now => {
                    self.complete(step, json!({"at": at.now}), at);
                }
                (Phase::Waiting, Some(Waiting::Signal { until, names })) if due(*until) => {
                    let message = format!("none of {} came in time", names.join(", "));
                    self.waited(step, message, at);
                }
                (Phase::Waiting, Some(Waiting::Run { until, run, .. })) if due(*until) => {
                    let message = format!("the run '{run}' took too long");
                    self.fail_for_good(step, "timeout".to_owned(), message, at);
                }
                (Phase::Waiting, Some(Waiting::Review(asked))) if due(asked.due) => self.late(step, at),
                _ => {}
            }
        }
    }

    /// A signal did not come.
    fn waited(&mut self, step: usize, message: String, at: &mut Moment<'_>) {
        match &self.plan.steps[step].work {
            Work::Wait { on_timeout: OnWaited::Continue, .. } => self.complete(step, Value::Null, at),
            _ => self.fail_for_good(step, "timeout".to_owned(), message, at),
        }
    }

    /// Whether all that a step needs is settled.
    fn is_ready(&self, step: usize) -> bool {
        let plan = &self.plan.steps[step];
        let within = plan.parent.is_none_or(|parent| self.state.steps[parent].phase == Phase::Waiting);
        within && plan.needs.iter().all(|need| self.state.steps[*need].phase.is_settled())
    }

    /// Begins what can begin.
    fn begin(&mut self, at: &mut Moment<'_>) {
        for step in 0..self.state.steps.len() {
            if self.over() {
                return;
            }
            let state = &self.state.steps[step];
            match state.phase {
                Phase::Pending if self.is_ready(step) => self.open(step, at),
                Phase::Backoff if state.retry_at.is_some_and(|time| time <= at.now) => self.open(step, at),
                _ => {}
            }
        }
    }

    /// Gives a step that waits for a signal the oldest one that nobody has taken.
    fn take_signal(&mut self, step: usize, at: &mut Moment<'_>) {
        let state = &self.state.steps[step];
        let (Phase::Waiting, Some(Waiting::Signal { names, .. })) = (state.phase, &state.wait) else {
            return;
        };
        let found = self.state.signals.iter().find(|signal| !signal.taken && names.contains(&signal.name));
        if let Some(signal) = found {
            let fact = Fact::StepCompleted {
                step: self.id(step),
                visit: state.visit,
                output: signal.data.clone(),
                signal: Some(signal.name.clone()),
                taken: Some(signal.number),
                copied: false,
            };
            self.note(fact, at);
        }
    }

    /// What is to be done now.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.state.ended.is_some() {
            return actions;
        }
        for (step, state) in self.state.steps.iter().enumerate() {
            match (&state.phase, &state.wait) {
                (Phase::Running, _) => {
                    actions.push(Action::Perform { step, visit: state.visit, attempt: state.attempt });
                }
                (Phase::Waiting, Some(Waiting::Run { run, .. })) => {
                    actions.push(Action::Child { step, visit: state.visit, run: run.clone() });
                }
                _ => {}
            }
        }
        for (index, done) in self.state.done.iter().enumerate() {
            if self.state.undoing.is_some() && done.phase == Phase::Running {
                actions.push(Action::Undo { index, attempt: done.attempt });
            }
        }
        actions
    }

    /// When something happens by itself, in seconds since 1970; what is being done has its own time.
    pub(crate) fn next_time(&self) -> Option<f64> {
        if self.state.ended.is_some() {
            return None;
        }
        let mut times: Vec<f64> = Vec::new();
        if self.state.undoing.is_some() {
            let back = self.state.done.iter().filter(|done| done.phase == Phase::Backoff);
            times.extend(back.map(|done| done.retry_at));
            return times.into_iter().reduce(f64::min);
        }
        times.extend(self.state.spec.deadline);
        if !self.state.paused {
            for state in &self.state.steps {
                times.extend(match (&state.phase, &state.wait) {
                    (Phase::Backoff, _) => state.retry_at,
                    (Phase::Waiting, Some(Waiting::Time { until })) => Some(*until),
                    (Phase::Waiting, Some(Waiting::Signal { until, .. } | Waiting::Run { until, .. })) => {
                        *until
                    }
                    (Phase::Waiting, Some(Waiting::Review(asked))) => asked.due,
                    _ => None,
                });
            }
        }
        times.into_iter().reduce(f64::min)
    }

    /// When the first attempt that is being made is over its time.
    pub(crate) fn next_limit(&self) -> Option<f64> {
        let running = self.state.steps.iter().filter(|state| state.phase == Phase::Running);
        let undone = self.state.done.iter().filter(|done| done.phase == Phase::Running);
        running.filter_map(|state| state.until).chain(undone.map(|done| done.until)).reduce(f64::min)
    }

    pub(crate) fn status(&self) -> Status {
        if let Some(outcome) = &self.state.ended {
            return outcome.status();
        }
        if self.state.undoing.is_some() {
            return Status::Compensating;
        }
        if self.state.paused {
            return Status::Paused;
        }
        let any = |phases: &[Phase]| {
            self.state.steps.iter().any(|state| {
                let around = matches!(state.wait, Some(Waiting::Children {}));
                !around && phases.contains(&state.phase)
            })
        };
        if any(&[Phase::Running, Phase::Backoff]) {
            Status::Running
        } else if any(&[Phase::Waiting]) {
            Status::Waiting
        } else if any(&[Phase::Blocked]) {
            Status::Blocked
        } else if self.state.any_began {
            Status::Running
        } else {
            Status::Pending
        }
    }
}
