//! How is what was done undone, in the reverse order?

use std::sync::Arc;

use super::ends::{is_worth, wait};
use super::{Attempt, Machine, Moment};
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
            .filter(|undo| attempt < undo.retry.max_attempts && is_worth(&undo.retry, &code));
        let retry_at = again.map(|undo| at.now + wait(&undo.retry, attempt, (at.draw)()));
        self.note(Fact::UndoFailed { index, step, attempt, code, message, retry_at }, at);
    }

    /// The last that was done first, one at a time.
    pub(super) fn advance_undo(&mut self, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let next = (0..self.state.done.len())
            .rev()
            .find(|index| !matches!(self.state.done[*index].phase, Phase::Completed | Phase::Failed));
        let Some(index) = next else {
            self.undone(at);
            return;
        };
        let done = &self.state.done[index];
        let (phase, step, visit) = (done.phase, done.step, done.visit);
        match phase {
            Phase::Running if done.until <= at.now => {
                let message = "undoing took too long".to_owned();
                self.undo_failed(index, "timeout".to_owned(), message, at);
            }
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
                self.note(Fact::UndoStarted { index, step: id.clone(), attempt, args, key, until }, at);
                if let Some(message) = fault {
                    let code = "expression_failed".to_owned();
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
