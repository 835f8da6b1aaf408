//! What is to be done next in a run, by all that has happened in it?
//!
//! [`Machine::step`] takes what happened and notes the facts that follow; [`Machine::actions`] says what is to be done. It does
//! no input or output, reads no clock and draws no randomness: time and draws come with the event, and what was made of them
//! stands in the facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_state::Letter;
use serde_json::{Value, json};

use super::expr;
use super::fact::{CallEnd, Fact, Outcome, Status, Waiting};
use super::form::OnWaited;
use super::plan::{Plan, Work};
use super::state::{Names, Phase, State};
use times::time_of;

pub(crate) mod ends;
mod letters;
mod open;
#[cfg(test)]
mod tests;
mod times;
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
    Child { run: &'a str, outcome: Outcome },
    /// A run that a step waits for is there.
    Begun { step: usize, visit: u32, run: String },
    /// Whoever did an attempt is gone; it is made again.
    Again { step: usize },
    /// Whoever did an attempt is gone, and it must not be made again unasked.
    Lost { step: usize, why: String },
    /// A call that nobody waits for has not begun, and will not.
    NotCalled { step: usize, visit: u32, attempt: u32 },
    /// Whoever made a call that nobody waits for is gone.
    CallLost { step: usize, visit: u32, attempt: u32, why: String },
    /// Somebody else goes on with undoing.
    UndoAgain { index: usize },
    /// Whoever was undoing is gone, and it must not be done again unasked.
    UndoLost { index: usize, why: String },
}

/// What came of an attempt: an output, or a code and a message.
pub(crate) type Attempt = Result<Value, (String, String)>;

/// Why a step has failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Whether its call may still be under way.
    pub(crate) calls: bool,
}

impl Failure {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Failure {
        Failure { code: code.into(), message: message.into(), calls: false }
    }
}

impl From<expr::Failure> for Failure {
    fn from(failure: expr::Failure) -> Failure {
        Failure::new(failure.code, failure.message)
    }
}

/// When something happens, and what chance says then.
pub(crate) struct Moment<'a> {
    /// When it is looked at, in seconds since 1970.
    pub(crate) now: f64,
    /// When it happened: what was to happen before by its time is settled before, and what was to happen later after.
    pub(crate) when: f64,
    /// A number from 0 to 1, each time another.
    pub(crate) draw: &'a mut dyn FnMut() -> f64,
    /// Whether something may begin now.
    pub(crate) begins: bool,
    /// Whether the call of a step (of what undoes it) must not be repeated unasked.
    pub(crate) once: &'a dyn Fn(usize, bool) -> bool,
}

/// What is settled by its time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Timer {
    Deadline,
    /// An attempt has taken too long.
    Attempt(usize),
    /// What a step waited for has not come.
    Wait(usize),
    /// A call that nobody waits for any more has not ended.
    Call(usize),
    /// Undoing has taken too long.
    Undo(usize),
}

/// What an engine lacks that another has: no failure of the step, which is blocked until somebody has it tried again.
pub(crate) const LACKS: [&str; 3] = ["tool_unknown", "runtime_missing", "workflow_unknown"];

/// The code of a step of which nobody knows whether its call was made.
const UNKNOWN: &str = "outcome_unknown";

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
    /// The end of a call is waited for that is to end.
    Await {
        step: usize,
        visit: u32,
        attempt: u32,
    },
    /// The end of another run is waited for that is to end.
    AwaitRun {
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
    /// Runs that are not waited for any more, and whether what they did is to be undone; to be told with what is written next.
    pub(crate) left: Vec<(String, bool)>,
}

impl Machine {
    pub(crate) fn new(plan: Arc<Plan>, run_id: impl Into<String>) -> Machine {
        let state = State::new(&plan);
        Machine {
            plan,
            run_id: run_id.into(),
            state,
            noted: Vec::new(),
            seq: 0,
            listed: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// Takes in what was written before.
    pub(crate) fn replay(&mut self, fact: &Fact, time: f64) {
        self.seq += 1;
        let plan = Arc::clone(&self.plan);
        self.state.apply(&plan, fact, time, self.seq);
    }

    fn note(&mut self, fact: Fact, at: &Moment<'_>) {
        if let Fact::StepCancelled { step, .. }
        | Fact::StepSkipped { step, .. }
        | Fact::StepBlocked { step, .. }
        | Fact::StepFailed { step, .. } = &fact
            && let Some(step) = self.plan.find(step)
            && let Some(Waiting::Run { run, .. }) = &self.state.steps[step].wait
        {
            let compensate = self.state.cancel.as_ref().is_none_or(|(_, compensate)| *compensate);
            self.left.push((run.clone(), compensate));
        }
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
        if matches!(event, Event::Time) {
            self.elapse(at.now, true, at);
            self.follow(at);
            return;
        }
        // What was over by its time when this happened is settled first, however late both are looked at; nothing begins by it
        // before it is known what else has happened.
        let begins = std::mem::replace(&mut at.begins, false);
        self.elapse(at.when.min(at.now), false, at);
        at.begins = begins;
        if self.state.ended.is_some() {
            if let Event::Letter(letter) = event {
                self.too_late(letter, at);
            }
            return;
        }
        match event {
            Event::Time => {}
            Event::Done { step, visit, attempt, result } => self.done(step, visit, attempt, result, at),
            Event::UndoDone { index, attempt, result } => self.undo_done(index, attempt, result, at),
            Event::Letter(letter) => self.hear(letter, at),
            Event::Child { run, outcome } => self.child_ended(run, outcome, at),
            Event::Begun { step, visit, run } => {
                let step = self.id(step);
                self.note(Fact::ChildStarted { step, visit, run }, at);
            }
            Event::Again { step } => {
                let state = &self.state.steps[step];
                if state.phase == Phase::Running && state.crashes >= MOST_CRASHES {
                    let (step, visit, code) = (self.id(step), state.visit, "crash_loop".to_owned());
                    let why =
                        format!("the process that did it has ended {MOST_CRASHES} times in the midst of it");
                    self.note(Fact::StepBlocked { step, visit, code, why, calls: false }, at);
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
                    let code = UNKNOWN.to_owned();
                    self.note(Fact::StepBlocked { step, visit, code, why, calls: false }, at);
                }
            }
            Event::NotCalled { step, visit, attempt } => {
                let message = "it was not made".to_owned();
                let end = CallEnd::Failed { code: "cancelled".to_owned(), message };
                self.call_ended(step, visit, attempt, end, at);
            }
            Event::CallLost { step, visit, attempt, why } => {
                self.call_ended(step, visit, attempt, CallEnd::Unknown { why }, at);
            }
            Event::UndoAgain { index } => self.undo_again(index, at),
            Event::UndoLost { index, why } => self.undo_lost(index, why, at),
        }
        self.follow(at);
    }

    /// An attempt has ended.
    fn done(&mut self, step: usize, visit: u32, attempt: u32, result: Attempt, at: &mut Moment<'_>) {
        let state = &self.state.steps[step];
        let meant = (state.visit, state.attempt) == (visit, attempt);
        if meant && state.phase == Phase::Running {
            match result {
                Ok(output) => self.complete(step, output, at),
                Err((code, message)) => {
                    self.fail_late(step, &code, &message, at);
                    self.fail(step, Failure::new(code, message), at);
                }
            }
            return;
        }
        if !self.is_loose(step, visit, attempt) {
            return;
        }
        // How it ended is known after all.
        let asked = state.error.as_ref().is_some_and(|(code, _)| code == UNKNOWN);
        let asks = meant && state.phase == Phase::Blocked && asked;
        let end = match result {
            Ok(output) if asks => return self.complete(step, output, at),
            Ok(output) => CallEnd::Made { output },
            // A tool that was not waited for by what is around it.
            Err((code, why)) if ends::is_late(&code) => CallEnd::Unknown { why },
            Err((code, message)) => CallEnd::Failed { code, message },
        };
        let failure = match &end {
            // What ends since it was told to has taken too long.
            CallEnd::Failed { code, .. } if code == "cancelled" => self.took_too_long(step),
            CallEnd::Failed { code, message } => Failure::new(code.as_str(), message.as_str()),
            _ => self.took_too_long(step),
        };
        self.call_ended(step, visit, attempt, end, at);
        if asks {
            self.fail(step, failure, at);
        }
    }

    /// Notes that it is not known whether a call was made that can be undone, and that its tool does not wait for any more.
    fn fail_late(&mut self, step: usize, code: &str, why: &str, at: &mut Moment<'_>) {
        if !ends::is_late(code) || self.plan.steps[step].undo.is_none() {
            return;
        }
        let (id, state) = (self.id(step), &self.state.steps[step]);
        let (visit, attempt) = (state.visit, state.attempt);
        let end = CallEnd::Unknown { why: why.to_owned() };
        self.note(Fact::CallEnded { step: id, visit, attempt, end }, at);
    }

    fn is_loose(&self, step: usize, visit: u32, attempt: u32) -> bool {
        self.state.loose.iter().any(|one| (one.step, one.visit, one.attempt) == (step, visit, attempt))
    }

    fn call_ended(&mut self, step: usize, visit: u32, attempt: u32, end: CallEnd, at: &mut Moment<'_>) {
        if self.is_loose(step, visit, attempt) {
            let step = self.id(step);
            self.note(Fact::CallEnded { step, visit, attempt, end }, at);
        }
    }

    /// A run that a step has started is over, and the step waits for it, or has left it.
    fn child_ended(&mut self, ended: &str, outcome: Outcome, at: &mut Moment<'_>) {
        let waits = |wait: &Option<Waiting>| matches!(wait, Some(Waiting::Run { run, .. }) if run == ended);
        let waiting = |state: &super::state::StepState| state.phase == Phase::Waiting && waits(&state.wait);
        if let Some(step) = self.state.steps.iter().position(waiting) {
            match outcome {
                Outcome::Completed { output } => self.complete(step, output, at),
                Outcome::Failed { code, message, .. } => self.fail(step, Failure::new(code, message), at),
                Outcome::Cancelled { reason } => self.fail(step, Failure::new("cancelled", reason), at),
            }
            return;
        }
        let Some(loose) = self.state.loose.iter().find(|one| one.run.as_deref() == Some(ended)) else {
            return;
        };
        let (step, visit, attempt) = (loose.step, loose.visit, loose.attempt);
        let end = match outcome {
            Outcome::Completed { output } => CallEnd::Made { output },
            Outcome::Failed { code, message, .. } if code == "compensation_failed" => {
                CallEnd::Unknown { why: format!("the run '{ended}' could not undo what it did: {message}") }
            }
            Outcome::Failed { code, message, .. } => CallEnd::Failed { code, message },
            Outcome::Cancelled { reason } => {
                CallEnd::Failed { code: "cancelled".to_owned(), message: reason }
            }
        };
        self.call_ended(step, visit, attempt, end, at);
    }

    /// Notes what follows, without that time goes on, until nothing does.
    fn follow(&mut self, at: &mut Moment<'_>) {
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
                self.joins(at);
                let late = self.state.spec.deadline.is_some_and(|deadline| deadline <= at.now);
                if !self.over() && !self.state.paused && at.begins && !late {
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

    /// Settles what comes to its time before `limit` (or then), in the order of its times, with what follows from each.
    fn elapse(&mut self, limit: f64, then: bool, at: &mut Moment<'_>) {
        loop {
            self.follow(at);
            let Some((time, timer)) = self.first_timer() else { return };
            if time > limit || (time == limit && !then) {
                return;
            }
            let before = self.seq;
            self.fire(timer, at);
            if self.seq == before {
                return;
            }
        }
    }

    fn first_timer(&self) -> Option<(f64, Timer)> {
        if self.state.ended.is_some() {
            return None;
        }
        let mut first: Option<(f64, Timer)> = None;
        let mut see = |time: Option<f64>, timer: Timer| {
            if let Some(time) = time
                && first.is_none_or(|(other, _)| time < other)
            {
                first = Some((time, timer));
            }
        };
        for (i, loose) in self.state.loose.iter().enumerate() {
            see(Some(loose.until), Timer::Call(i));
        }
        if self.state.undoing.is_some() {
            if let Some(index) = self.next_undo() {
                let done = &self.state.done[index];
                see((done.phase == Phase::Running).then_some(done.until), Timer::Undo(index));
            }
            return first;
        }
        for (step, state) in self.state.steps.iter().enumerate() {
            match (&state.phase, &state.wait) {
                (Phase::Running, _) => see(state.until, Timer::Attempt(step)),
                // A pause stops the clocks of what waits.
                (Phase::Waiting, Some(wait)) if !self.state.paused => see(time_of(wait), Timer::Wait(step)),
                _ => {}
            }
        }
        see(self.state.spec.deadline, Timer::Deadline);
        first
    }

    /// What has come to its time.
    fn fire(&mut self, timer: Timer, at: &mut Moment<'_>) {
        match timer {
            Timer::Deadline => {
                let deadline = self.state.spec.deadline.unwrap_or_default();
                let message = format!("the run was to be over by {deadline}");
                self.fail_run("deadline", message, None, at);
            }
            Timer::Attempt(step) => self.timed_out(step, at),
            Timer::Undo(index) => self.undo_late(index, at),
            Timer::Call(i) => {
                let loose = &self.state.loose[i];
                let (step, visit, attempt) = (loose.step, loose.visit, loose.attempt);
                let why = match &loose.run {
                    Some(run) => format!("the run '{run}' has not ended in time"),
                    None => format!("the call of '{}' has not ended in time", self.plan.steps[step].id),
                };
                self.call_ended(step, visit, attempt, CallEnd::Unknown { why }, at);
            }
            Timer::Wait(step) => match self.state.steps[step].wait.clone() {
                Some(Waiting::Time { .. }) => self.complete(step, json!({"at": at.now}), at),
                Some(Waiting::Signal { names, .. }) => {
                    let message = format!("none of {} came in time", names.join(", "));
                    self.waited(step, message, at);
                }
                Some(Waiting::Run { run, .. }) => {
                    let failure = Failure {
                        calls: self.state.steps[step].begun,
                        ..Failure::new("timeout", format!("the run '{run}' took too long"))
                    };
                    self.fail_for_good(step, failure, at);
                }
                Some(Waiting::Review(_)) => self.late(step, at),
                Some(Waiting::Children {}) | None => {}
            },
        }
    }

    /// A signal did not come.
    fn waited(&mut self, step: usize, message: String, at: &mut Moment<'_>) {
        match &self.plan.steps[step].work {
            Work::Wait { on_timeout: OnWaited::Continue, .. } => self.complete(step, Value::Null, at),
            _ => self.fail_for_good(step, Failure::new("timeout", message), at),
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
        let found = self.state.signals.iter().find(|signal| names.contains(&signal.name));
        if let Some(signal) = found {
            let fact = Fact::StepCompleted {
                step: self.id(step),
                visit: state.visit,
                output: signal.data.clone(),
                signal: Some(signal.name.clone()),
                taken: Some(signal.number),
                copied: false,
                deciders: Vec::new(),
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
        for one in &self.state.loose {
            actions.push(match &one.run {
                Some(run) => Action::AwaitRun { run: run.clone() },
                None => Action::Await { step: one.step, visit: one.visit, attempt: one.attempt },
            });
        }
        if let Some(index) = self.next_undo()
            && self.state.done[index].phase == Phase::Running
        {
            actions.push(Action::Undo { index, attempt: self.state.done[index].attempt });
        }
        actions
    }

    /// What is undone, or is undone next: the last that was done first.
    fn next_undo(&self) -> Option<usize> {
        self.state.undoing.as_ref()?;
        self.state.undone.checked_sub(1)
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
