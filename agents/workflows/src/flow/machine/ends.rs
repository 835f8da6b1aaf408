//! How do steps and runs end, well or badly, and where does a loop lead?

use std::sync::Arc;

use quorate_core::{Code, Kind};
use serde_json::Value;

use super::{Failure, LACKS, Machine, Moment, UNKNOWN};
use crate::flow::fact::{CallEnd, Fact, Outcome, Waiting};
use crate::flow::form::{Jitter, Join, OnError, Retry};
use crate::flow::plan::Work;
use crate::flow::state::Phase;

impl Machine {
    pub(crate) fn complete(&mut self, step: usize, output: Value, at: &mut Moment<'_>) {
        let (id, visit) = (self.id(step), self.state.steps[step].visit);
        self.note(
            Fact::StepCompleted {
                step: id,
                visit,
                output,
                signal: None,
                taken: None,
                copied: false,
                deciders: Vec::new(),
            },
            at,
        );
    }

    /// An attempt has failed; it is tried again where that is worth it.
    pub(super) fn fail(&mut self, step: usize, failure: Failure, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let retry = &plan.steps[step].retry;
        let state = &self.state.steps[step];
        let nth = state.attempt.saturating_sub(state.before);
        if nth >= retry.max_attempts || !is_worth(retry, &failure.code) {
            self.fail_for_good(step, failure, at);
            return;
        }
        let (id, visit, attempt) = (self.id(step), state.visit, state.attempt);
        if is_late(&failure.code) && self.must_not_repeat(step, at) {
            let (code, calls) = (UNKNOWN.to_owned(), failure.calls);
            let why = format!(
                "{}; it is not known whether the call was made, and it must not be repeated unasked: look, and then retry or skip the step",
                failure.message
            );
            self.note(Fact::StepBlocked { step: id, visit, code, why, calls }, at);
            return;
        }
        let retry_at = Some(at.now + wait(retry, nth, (at.draw)()));
        let Failure { code, message, calls } = failure;
        self.note(Fact::StepFailed { step: id, visit, attempt, code, message, retry_at, calls }, at);
    }

    fn must_not_repeat(&self, step: usize, at: &Moment<'_>) -> bool {
        self.plan.steps[step].calls() && (self.state.steps[step].once || (at.once)(step, false))
    }

    /// An attempt has not ended in time.
    pub(super) fn timed_out(&mut self, step: usize, at: &mut Moment<'_>) {
        let failure = self.took_too_long(step);
        self.fail(step, Failure { calls: true, ..failure }, at);
    }

    pub(super) fn took_too_long(&self, step: usize) -> Failure {
        let message = format!("the attempt took longer than {} seconds", self.plan.steps[step].timeout);
        Failure::new("timeout", message)
    }

    pub(super) fn fail_for_good(&mut self, step: usize, failure: Failure, at: &mut Moment<'_>) {
        let Failure { code, message, calls } = failure;
        let (id, state) = (self.id(step), &self.state.steps[step]);
        let (visit, attempt) = (state.visit, state.attempt);
        let planned = &self.plan.steps[step];
        if planned.on_error == OnError::Block || LACKS.contains(&code.as_str()) {
            self.stop_within(step, at);
            self.note(Fact::StepBlocked { step: id, visit, code, why: message, calls }, at);
            return;
        }
        let goes_on = planned.on_error == OnError::Continue || planned.parent.is_some();
        self.stop_within(step, at);
        let (said, told) = (code.clone(), message.clone());
        self.note(Fact::StepFailed { step: id, visit, attempt, code, message, retry_at: None, calls }, at);
        if !goes_on {
            self.fail_run(&said, told, Some(step), at);
        }
    }

    pub(super) fn fail_run(&mut self, code: &str, message: String, step: Option<usize>, at: &mut Moment<'_>) {
        let step = step.map(|step| self.id(step));
        self.finish(Outcome::Failed { code: code.to_owned(), message, step, cause: None }, at);
    }

    /// Whether a step has something under way outside that nobody can take back.
    pub(super) fn is_calling(&self, step: usize) -> bool {
        let state = &self.state.steps[step];
        match &state.wait {
            Some(Waiting::Run { .. }) => state.phase == Phase::Waiting && state.begun,
            _ => state.phase == Phase::Running,
        }
    }

    pub(super) fn cancel_step(&mut self, step: usize, at: &mut Moment<'_>) {
        self.stop_within(step, at);
        let (id, state, calls) = (self.id(step), &self.state.steps[step], self.is_calling(step));
        let (visit, attempt) = (state.visit, state.attempt);
        // Nobody has looked yet whether it was done.
        let unknown = state.phase == Phase::Blocked
            && self.plan.steps[step].calls()
            && state.error.as_ref().is_some_and(|(code, _)| [UNKNOWN, "crash_loop"].contains(&code.as_str()))
            && !self.is_loose(step, visit, attempt);
        let why = state.error.as_ref().map(|(_, why)| why.clone()).unwrap_or_default();
        self.note(Fact::StepCancelled { step: id.clone(), visit, calls }, at);
        if unknown {
            self.note(Fact::CallEnded { step: id, visit, attempt, end: CallEnd::Unknown { why } }, at);
        }
    }

    /// Ends what goes on within a step.
    pub(super) fn stop_within(&mut self, step: usize, at: &mut Moment<'_>) {
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
    pub(super) fn finish(&mut self, outcome: Outcome, at: &mut Moment<'_>) {
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
        // What is still under way is waited for where what was done is undone.
        let leaves = self.state.loose.iter().any(|one| {
            let planned = &self.plan.steps[one.step];
            planned.undo.is_some() || matches!(planned.work, Work::Sub { .. })
        });
        if wanted && (leaves || !self.state.done.is_empty()) {
            self.note(Fact::Compensating { why: outcome }, at);
        } else {
            self.note(Fact::Ended(outcome), at);
        }
    }

    /// Parallel steps that are over.
    pub(super) fn joins(&mut self, at: &mut Moment<'_>) {
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
                self.fail_for_good(step, Failure::new(code, message), at);
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
    pub(super) fn ends(&mut self, at: &mut Moment<'_>) {
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
            Err(failure) => {
                self.fail_run(failure.code, format!("output: {}", failure.message), None, at);
            }
        }
    }

    /// From a step on, everything is done again.
    pub(super) fn go_back(&mut self, from: usize, to: usize, route: &str, max: u32, at: &mut Moment<'_>) {
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
}

/// Whether a failure leaves open how the call has ended: nobody has waited any longer, the step or its tool.
pub(super) fn is_late(code: &str) -> bool {
    ["timeout", "tool_timeout"].contains(&code)
}

/// Whether a failure is worth another attempt.
pub(crate) fn is_worth(retry: &Retry, code: &str) -> bool {
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
pub(crate) fn wait(retry: &Retry, attempts: u32, draw: f64) -> f64 {
    let power = retry.factor.powi(i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX));
    let most = (retry.backoff.checked() * power).min(retry.max_backoff.checked());
    match retry.jitter {
        Jitter::Full => most * draw.clamp(0.0, 1.0),
        Jitter::None => most,
    }
}
