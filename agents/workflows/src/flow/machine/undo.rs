//! How is what was done undone, in the reverse order?

use std::sync::Arc;

use super::ends::{is_late, is_worth, wait};
use super::{Attempt, MOST_CRASHES, Machine, Moment, UNKNOWN};
use crate::flow::fact::{Fact, Outcome};
use crate::flow::state::{Names, Phase};

impl Machine {
    pub(super) fn undo_done(&mut self, index: usize, attempt: u32, result: Attempt, at: &mut Moment<'_>) {
        let Some(done) = self.state.done.get(index) else { return };
        if self.state.undoing.is_none() || done.phase != Phase::Running || done.attempt != attempt {
            return;
        }
        match result {
            Ok(_) => {
                let step = self.id(done.step);
                self.note(Fact::Undone { index, step }, at);
            }
            Err((code, message)) => self.undo_failed(index, code, message, at),
        }
    }

    fn undo_failed(&mut self, index: usize, code: String, message: String, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let done = &self.state.done[index];
        let (step, attempt) = (self.id(done.step), done.attempt);
        let again = plan.steps[done.step]
            .undo
            .as_ref()
            .filter(|undo| attempt < undo.retry.max_attempts && is_worth(&undo.retry, &code))
            .filter(|_| !is_late(&code) || !(done.once || (at.once)(done.step, true)));
        let retry_at = again.map(|undo| at.now + wait(&undo.retry, attempt, (at.draw)()));
        self.note(Fact::UndoFailed { index, step, attempt, code, message, retry_at }, at);
    }

    /// Somebody else goes on with it.
    pub(super) fn undo_again(&mut self, index: usize, at: &mut Moment<'_>) {
        let Some(done) = self.state.done.get(index).filter(|done| done.phase == Phase::Running) else {
            return;
        };
        if done.crashes >= MOST_CRASHES {
            let why = format!("the process that did it has ended {MOST_CRASHES} times in the midst of it");
            self.undo_given_up(index, "crash_loop", why, at);
        } else {
            let until = at.now + self.plan.steps[done.step].timeout;
            self.note(Fact::UndoResumed { index, until }, at);
        }
    }

    /// Whoever did it is gone, and it must not be repeated.
    pub(super) fn undo_lost(&mut self, index: usize, why: String, at: &mut Moment<'_>) {
        if self.state.done.get(index).is_some_and(|done| done.phase == Phase::Running) {
            self.undo_given_up(index, UNKNOWN, why, at);
        }
    }

    pub(super) fn undo_late(&mut self, index: usize, at: &mut Moment<'_>) {
        let done = &self.state.done[index];
        let message = "undoing took too long".to_owned();
        if done.once || (at.once)(done.step, true) {
            let why =
                format!("{message}; it is not known whether the call was made, and it must not be repeated");
            self.undo_given_up(index, UNKNOWN, why, at);
        } else {
            self.undo_failed(index, "timeout".to_owned(), message, at);
        }
    }

    fn undo_given_up(&mut self, index: usize, code: &str, message: String, at: &mut Moment<'_>) {
        let done = &self.state.done[index];
        let (step, attempt, code) = (self.id(done.step), done.attempt, code.to_owned());
        self.note(Fact::UndoFailed { index, step, attempt, code, message, retry_at: None }, at);
    }

    /// The last that was done first, one at a time.
    pub(super) fn advance_undo(&mut self, at: &mut Moment<'_>) {
        // What is still under way may be something that has to be undone first.
        if !self.state.loose.is_empty() {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let Some(index) = self.next_undo() else {
            self.undone(at);
            return;
        };
        let done = &self.state.done[index];
        let (phase, step, visit) = (done.phase, done.step, done.visit);
        if let Some(why) = done.unknown.clone().filter(|_| phase == Phase::Pending) {
            self.undo_given_up(index, UNKNOWN, why, at);
            return;
        }
        match phase {
            Phase::Backoff if done.retry_at > at.now => {}
            Phase::Pending | Phase::Backoff if at.begins => {
                let attempt = done.attempt + 1;
                let Some(undo) = &plan.steps[step].undo else { return };
                let names = Names { undone: Some((visit, &done.output)), ..self.names(Some(step)) };
                let args = undo.args.render(&names);
                let id = self.id(step);
                let key = format!("{}/{id}/{visit}/undo", self.run_id);
                let until = at.now + plan.steps[step].timeout;
                let (args, fault) = match args {
                    Ok(args) => (args, None),
                    Err(fault) => (serde_json::Value::Null, Some(fault)),
                };
                let once = (at.once)(step, true);
                self.note(Fact::UndoStarted { index, step: id.clone(), attempt, args, key, until, once }, at);
                if let Some(failure) = fault {
                    let (code, message) = (failure.code.to_owned(), failure.message);
                    self.note(
                        Fact::UndoFailed { index, step: id, attempt, code, message, retry_at: None },
                        at,
                    );
                } else if self.state.spec.offline {
                    self.note(Fact::Undone { index, step: id }, at);
                }
            }
            _ => {}
        }
    }

    /// Everything is undone that could be.
    fn undone(&mut self, at: &mut Moment<'_>) {
        let Some(why) = self.state.undoing.clone() else { return };
        let failed: Vec<String> = self
            .state
            .done
            .iter()
            .filter(|done| done.phase == Phase::Failed)
            .map(|done| {
                let (code, message) = done.error.clone().unwrap_or_default();
                format!("'{}': {message} [{code}]", self.plan.steps[done.step].id)
            })
            .collect();
        let outcome = match failed.is_empty() {
            true => why,
            false => {
                let step = self.state.done.iter().rev().find(|done| done.phase == Phase::Failed);
                Outcome::Failed {
                    code: "compensation_failed".to_owned(),
                    message: format!("not everything could be undone: {}", failed.join("; ")),
                    step: step.map(|done| self.id(done.step)),
                    cause: Some(Box::new(why)),
                }
            }
        };
        self.note(Fact::Ended(outcome), at);
    }
}
