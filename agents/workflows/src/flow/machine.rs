//! What is to be done next in a run, by all that has happened in it?
//!
//! [`Machine::step`] takes what happened and notes the facts that follow; [`Machine::actions`] says what is to be done. It does
//! no input or output, reads no clock and draws no randomness: time and draws come with the event, and what was made of them
//! stands in the facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::{Code, Kind};
use quorate_state::Letter;
use serde_json::{Value, json};

use super::fact::{Asked, Fact, Outcome, Status, Waiting};
use super::form::{Jitter, Join, OnError, OnWaited, Retry};
use super::plan::{Plan, PlanThen, Work};
use super::state::{Names, Phase, State};

mod letters;
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
                self.note(Fact::Heard { letter: letter.number }, at);
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
                if state.phase == Phase::Running {
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

    fn open(&mut self, step: usize, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let planned = &plan.steps[step];
        let visit = self.state.steps[step].visit;
        // The condition of a visit is asked once.
        if let Some(when) = planned.when.as_ref().filter(|_| self.state.steps[step].attempt == 0) {
            match when.truth(&self.names(Some(step))) {
                Ok(true) => {}
                Ok(false) => {
                    let why = "when".to_owned();
                    self.note(Fact::StepSkipped { step: planned.id.clone(), visit, why }, at);
                    return;
                }
                Err(message) => {
                    self.fail_for_good(step, "expression_failed".to_owned(), message, at);
                    return;
                }
            }
        }
        if let Err(message) = self.open_as(&plan, step, at) {
            self.fail_for_good(step, "expression_failed".to_owned(), message, at);
        }
    }

    /// Or why what it reads cannot be computed.
    fn open_as(&mut self, plan: &Plan, step: usize, at: &mut Moment<'_>) -> Result<(), String> {
        let planned = &plan.steps[step];
        let (id, visit) = (planned.id.clone(), self.state.steps[step].visit);
        let offline = self.state.spec.offline;
        match &planned.work {
            Work::Agent { .. } | Work::Panel { .. } | Work::Tool { .. } | Work::Own { .. } => {
                let names = self.names(Some(step));
                let args = match &planned.work {
                    Work::Agent { prompt, .. } => json!({"prompt": prompt.text(&names)?}),
                    Work::Panel { question, .. } => json!({"question": question.text(&names)?}),
                    Work::Tool { args, .. } => args.render(&names)?,
                    Work::Own { with, .. } => with.render(&names)?,
                    _ => Value::Null,
                };
                let key = match &planned.work {
                    Work::Tool { key: Some(key), .. } => key.text(&names)?,
                    _ => format!("{}/{id}/{visit}", self.run_id),
                };
                let attempt = self.state.steps[step].attempt + 1;
                let until = Some(at.now + planned.timeout);
                self.note(Fact::StepStarted { step: id, visit, attempt, args, key, until }, at);
                if offline && let Some(stand_in) = self.stand_in(step)? {
                    match failing(&stand_in) {
                        Some((code, message)) => self.fail(step, code, message, at),
                        None => self.complete(step, stated(stand_in), at),
                    }
                }
            }
            Work::Branches(branches) => {
                for (n, branch) in branches.iter().enumerate() {
                    if let Some(when) = &branch.when
                        && !when.truth(&self.names(Some(step)))?
                    {
                        continue;
                    }
                    return self.branch(step, n, &branch.then, at);
                }
                self.complete(step, json!({"branch": null}), at);
            }
            Work::Parallel { .. } => {
                self.note(Fact::StepWaits { step: id, visit, wait: Waiting::Children {} }, at);
            }
            Work::Wait { signals, span, until, timeout, .. } => {
                if offline {
                    let stand_in = self.stand_in(step)?.unwrap_or(Value::Null);
                    if stand_in.get("timeout") == Some(&Value::Bool(true)) {
                        self.waited(step, "stated so for an offline run".to_owned(), at);
                        return Ok(());
                    }
                    let named = stand_in.get("signal").and_then(Value::as_str).map(str::to_owned);
                    let signal = named.or_else(|| signals.first().cloned());
                    let output = stand_in.get("data").cloned().unwrap_or(Value::Null);
                    self.note(
                        Fact::StepCompleted { step: id, visit, output, signal, taken: None, copied: false },
                        at,
                    );
                    return Ok(());
                }
                let wait = if signals.is_empty() {
                    let until = match (span, until) {
                        (Some(span), _) => at.now + span,
                        (None, Some(until)) => moment(&until.render(&self.names(Some(step)))?)?,
                        (None, None) => at.now,
                    };
                    Waiting::Time { until }
                } else {
                    Waiting::Signal { names: signals.clone(), until: timeout.map(|timeout| at.now + timeout) }
                };
                self.note(Fact::StepWaits { step: id, visit, wait }, at);
                self.take_signal(step, at);
            }
            Work::Review { title, data, form, due } => {
                let names = self.names(Some(step));
                let mut forbid = Vec::new();
                for who in &form.forbid {
                    match plan.find(who) {
                        None => forbid.extend(self.state.spec.starter.clone()),
                        Some(review) => forbid.extend(self.state.steps[review].deciders.clone()),
                    }
                }
                let asked = Asked {
                    id: format!("{}.{id}.{visit}", self.run_id),
                    role: form.role.clone().unwrap_or_default(),
                    title: title.text(&names)?,
                    options: form.options.clone(),
                    people: form.people.unwrap_or(1),
                    data: data.render(&names)?,
                    due: due.map(|due| at.now + due),
                    forbid,
                    opened: at.now,
                };
                let first = asked.options.first().cloned().unwrap_or_default();
                self.note(Fact::StepWaits { step: id, visit, wait: Waiting::Review(Box::new(asked)) }, at);
                if offline {
                    let stand_in = self.stand_in(step)?.unwrap_or(Value::Null);
                    if stand_in.get("timeout") == Some(&Value::Bool(true)) {
                        self.late(step, at);
                        return Ok(());
                    }
                    let text = |name: &str| stand_in.get(name).and_then(Value::as_str).map(str::to_owned);
                    let option = text("decision").unwrap_or(first);
                    let by = text("by").unwrap_or_else(|| "offline".to_owned());
                    let data = stand_in.get("data").cloned().unwrap_or(Value::Null);
                    self.decided(step, Some(option), vec![by], text("comment"), data, false, at);
                }
            }
            Work::Sub { input, timeout, .. } => {
                let input = match input {
                    Some(input) => input.render(&self.names(Some(step)))?,
                    None => self.state.spec.input.clone(),
                };
                if offline && let Some(stand_in) = self.stand_in(step)? {
                    match failing(&stand_in) {
                        Some((code, message)) => self.fail_for_good(step, code, message, at),
                        None => self.complete(step, stated(stand_in), at),
                    }
                    return Ok(());
                }
                let run = format!("{}.{id}.{visit}", self.run_id);
                let until = timeout.map(|timeout| at.now + timeout);
                self.note(Fact::StepWaits { step: id, visit, wait: Waiting::Run { run, input, until } }, at);
            }
        }
        Ok(())
    }

    /// What stands in for the world at this visit of a step.
    fn stand_in(&self, step: usize) -> Result<Option<Value>, String> {
        let planned = &self.plan.steps[step];
        let nth = self.state.steps[step].visit as usize - 1;
        if let Some(given) = self.state.spec.stand_ins.get(&planned.id) {
            return Ok(match given {
                Value::Array(list) => list.get(nth).or(list.last()).cloned(),
                one => Some(one.clone()),
            });
        }
        let stated = planned.offline.get(nth).or(planned.offline.last());
        stated.map(|stated| stated.render(&self.names(Some(step)))).transpose()
    }

    fn branch(&mut self, step: usize, n: usize, then: &PlanThen, at: &mut Moment<'_>) -> Result<(), String> {
        // What it reads is computed before it is said to be done.
        let names = self.names(Some(step));
        let end = match then {
            PlanThen::End(output) => Some(output.render(&names)?),
            _ => None,
        };
        let said = match then {
            PlanThen::Fail { message: Some(message), .. } => message.text(&names)?,
            PlanThen::Fail { code, .. } => format!("the run ends here: {code}"),
            _ => String::new(),
        };
        self.complete(step, json!({"branch": n}), at);
        match then {
            PlanThen::Continue => {}
            PlanThen::Fail { code, .. } => self.fail_run(code, said, Some(step), at),
            PlanThen::End(_) => {
                let output = end.unwrap_or_default();
                self.finish(Outcome::Completed { output }, at);
            }
            PlanThen::Goto(target, max) => self.go_back(step, *target, &n.to_string(), *max, at),
        }
        Ok(())
    }

    /// From a step on, everything is done again.
    fn go_back(&mut self, from: usize, to: usize, route: &str, max: u32, at: &mut Moment<'_>) {
        let count = self.state.counts.get(&(from, route.to_owned())).copied().unwrap_or(0) + 1;
        if count > max {
            let message = format!(
                "'{}' has led back to '{}' {max} times, and no more is allowed",
                self.id(from),
                self.id(to)
            );
            self.fail_run("loop_limit", message, Some(from), at);
            return;
        }
        let mut again: Vec<usize> = self.plan.steps[to].after.iter().copied().collect();
        again.push(to);
        let mut within = vec![to];
        while let Some(outer) = within.pop() {
            if let Work::Parallel { children, .. } = &self.plan.steps[outer].work {
                again.extend(children);
                within.extend(children);
            }
        }
        again.sort_unstable();
        again.dedup();
        for step in again.clone() {
            if self.state.steps[step].phase.is_active() {
                self.cancel_step(step, at);
            }
        }
        let steps = again.into_iter().map(|step| self.id(step)).collect();
        let (from, to, route) = (self.id(from), self.id(to), route.to_owned());
        self.note(Fact::WentBack { from, to, route, count, steps }, at);
    }

    pub(crate) fn complete(&mut self, step: usize, output: Value, at: &mut Moment<'_>) {
        let (id, visit) = (self.id(step), self.state.steps[step].visit);
        self.note(
            Fact::StepCompleted { step: id, visit, output, signal: None, taken: None, copied: false },
            at,
        );
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

    /// An attempt has failed; it is tried again where that is worth it.
    fn fail(&mut self, step: usize, code: String, message: String, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let retry = &plan.steps[step].retry;
        let state = &self.state.steps[step];
        let nth = state.attempt.saturating_sub(state.before);
        if nth < retry.max_attempts && is_worth(retry, &code) {
            let retry_at = Some(at.now + wait(retry, nth, (at.draw)()));
            let (step, visit, attempt) = (self.id(step), state.visit, state.attempt);
            self.note(Fact::StepFailed { step, visit, attempt, code, message, retry_at }, at);
        } else {
            self.fail_for_good(step, code, message, at);
        }
    }

    fn fail_for_good(&mut self, step: usize, code: String, message: String, at: &mut Moment<'_>) {
        let (id, state) = (self.id(step), &self.state.steps[step]);
        let (visit, attempt) = (state.visit, state.attempt);
        let planned = &self.plan.steps[step];
        if planned.on_error == OnError::Block {
            self.stop_within(step, at);
            self.note(Fact::StepBlocked { step: id, visit, code, why: message }, at);
            return;
        }
        let goes_on = planned.on_error == OnError::Continue || planned.parent.is_some();
        self.stop_within(step, at);
        let (said, told) = (code.clone(), message.clone());
        self.note(Fact::StepFailed { step: id, visit, attempt, code, message, retry_at: None }, at);
        if !goes_on {
            self.fail_run(&said, told, Some(step), at);
        }
    }

    fn fail_run(&mut self, code: &str, message: String, step: Option<usize>, at: &mut Moment<'_>) {
        let step = step.map(|step| self.id(step));
        self.finish(Outcome::Failed { code: code.to_owned(), message, step, cause: None }, at);
    }

    fn cancel_step(&mut self, step: usize, at: &mut Moment<'_>) {
        self.stop_within(step, at);
        let (id, visit) = (self.id(step), self.state.steps[step].visit);
        self.note(Fact::StepCancelled { step: id, visit }, at);
    }

    /// Ends what goes on within a step.
    fn stop_within(&mut self, step: usize, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        if let Work::Parallel { children, .. } = &plan.steps[step].work {
            for child in children {
                if !self.state.steps[*child].phase.is_settled() {
                    self.cancel_step(*child, at);
                }
            }
        }
    }

    /// Ends everything that goes on; then what was done is undone, or the run is over.
    fn finish(&mut self, outcome: Outcome, at: &mut Moment<'_>) {
        if self.over() {
            return;
        }
        for step in 0..self.state.steps.len() {
            if self.state.steps[step].phase.is_active() {
                self.cancel_step(step, at);
            }
        }
        let wanted = match (&outcome, &self.state.cancel) {
            (Outcome::Completed { .. }, _) => false,
            (_, Some((_, compensate))) => *compensate,
            _ => true,
        };
        if wanted && !self.state.done.is_empty() {
            self.note(Fact::Compensating { why: outcome }, at);
        } else {
            self.note(Fact::Ended(outcome), at);
        }
    }

    /// Parallel steps that are over.
    fn joins(&mut self, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        for (step, planned) in plan.steps.iter().enumerate() {
            let Work::Parallel { join, tolerate, children } = &planned.work else { continue };
            if self.over() || self.state.steps[step].phase != Phase::Waiting {
                continue;
            }
            let count = |phase: Phase, of: &[usize]| {
                of.iter().filter(|child| self.state.steps[**child].phase == phase).count() as u32
            };
            let failed = children.iter().copied().find(|child| {
                self.state.steps[*child].phase == Phase::Failed
                    && plan.steps[*child].on_error != OnError::Continue
            });
            let failures = children
                .iter()
                .filter(|child| {
                    self.state.steps[**child].phase == Phase::Failed
                        && plan.steps[**child].on_error != OnError::Continue
                })
                .count() as u32;
            let ends = plan.ends(children);
            let open = |of: &[usize]| of.iter().any(|child| !self.state.steps[*child].phase.is_settled());
            let (met, missed) = match join {
                Join::All => (!open(children), failures > *tolerate),
                Join::Any | Join::AtLeast(_) => {
                    let least = if let Join::AtLeast(least) = join { *least } else { 1 };
                    let completed = count(Phase::Completed, &ends);
                    let hopeful =
                        ends.iter().filter(|child| !self.state.steps[**child].phase.is_settled()).count()
                            as u32;
                    let idle = count(Phase::Skipped, &ends) == ends.len() as u32;
                    let short = completed + hopeful < least;
                    (
                        completed >= least || (*join == Join::Any && idle),
                        short && !(*join == Join::Any && idle),
                    )
                }
            };
            if missed {
                let (code, message) = match failed {
                    Some(child) => {
                        let (code, message) = self.state.steps[child].error.clone().unwrap_or_default();
                        (code, format!("'{}' within it: {message}", plan.steps[child].id))
                    }
                    None => (
                        "join_missed".to_owned(),
                        "fewer steps within it have done their work than it needs".to_owned(),
                    ),
                };
                self.fail_for_good(step, code, message, at);
            } else if met {
                self.stop_within(step, at);
                let outputs = children
                    .iter()
                    .map(|child| (plan.steps[*child].id.clone(), self.state.steps[*child].output.clone()));
                let output = Value::Object(outputs.collect());
                self.complete(step, output, at);
            }
        }
    }

    /// The run is over when all its steps are.
    fn ends(&mut self, at: &mut Moment<'_>) {
        if self.over() || self.state.cancel.is_some() {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let open = plan
            .steps
            .iter()
            .zip(&self.state.steps)
            .any(|(planned, state)| planned.parent.is_none() && !state.phase.is_settled());
        if open {
            return;
        }
        let output = match &plan.output {
            Some(output) => output.render(&self.names(None)),
            None => {
                let last = plan
                    .last()
                    .map(|step| (plan.steps[step].id.clone(), self.state.steps[step].output.clone()));
                Ok(Value::Object(last.collect()))
            }
        };
        match output {
            Ok(output) => self.finish(Outcome::Completed { output }, at),
            Err(message) => self.fail_run("expression_failed", format!("output: {message}"), None, at),
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

/// What a stand-in states: `output`, or itself.
fn stated(stand_in: Value) -> Value {
    match stand_in {
        Value::Object(mut fields) if fields.contains_key("output") => {
            fields.remove("output").unwrap_or_default()
        }
        other => other,
    }
}

/// The failure that a stand-in states.
fn failing(stand_in: &Value) -> Option<(String, String)> {
    let fail = stand_in.get("fail")?;
    let text = |name: &str| fail.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("code").unwrap_or_else(|| "tool_failed".to_owned()), text("message").unwrap_or_default()))
}

/// A time: seconds since 1970, or RFC 3339.
fn moment(value: &Value) -> Result<f64, String> {
    if let Some(seconds) = value.as_f64().filter(|seconds| seconds.is_finite()) {
        return Ok(seconds);
    }
    let text = value.as_str().unwrap_or_default();
    let read = chrono::DateTime::parse_from_rfc3339(text);
    read.map(|time| time.timestamp_millis() as f64 / 1000.0).map_err(|_| {
        format!(
            "'{}' is no time; give seconds since 1970 or RFC 3339",
            quorate_core::shorten(&value.to_string())
        )
    })
}

/// Whether a failure is worth another attempt.
fn is_worth(retry: &Retry, code: &str) -> bool {
    let family = Code::ALL.iter().find(|known| known.as_str() == code).map(|known| match known.kind() {
        Kind::InvalidInput => "invalid_input",
        Kind::NotFound => "not_found",
        Kind::Conflict => "conflict",
        Kind::Locked => "locked",
        Kind::Corrupt => "corrupt",
        Kind::Unavailable => "unavailable",
        Kind::Cancelled => "cancelled",
        Kind::Unsupported => "unsupported",
        Kind::Internal => "internal",
        _ => "other",
    });
    retry.retry_on.iter().any(|on| on == code || Some(on.as_str()) == family || on == "any")
}

/// How long is waited after so many attempts: exponential backoff with full jitter (Brooker 2015).
fn wait(retry: &Retry, attempts: u32, draw: f64) -> f64 {
    let power = retry.factor.powi(i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX));
    let most = (retry.backoff.checked() * power).min(retry.max_backoff.checked());
    match retry.jitter {
        Jitter::Full => most * draw.clamp(0.0, 1.0),
        Jitter::None => most,
    }
}
