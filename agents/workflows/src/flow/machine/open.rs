//! How does a step begin?

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Failure, Machine, Moment};
use crate::flow::expr;
use crate::flow::fact::{Asked, Fact, Outcome, Waiting};
use crate::flow::plan::{Plan, PlanThen, Work};

impl Machine {
    pub(super) fn open(&mut self, step: usize, at: &mut Moment<'_>) {
        let plan = Arc::clone(&self.plan);
        let planned = &plan.steps[step];
        let visit = self.state.steps[step].visit;
        // The condition of a visit is asked once.
        if let Some(when) = planned.when.as_ref().filter(|_| self.state.steps[step].attempt == 0) {
            match when.truth(&self.names(Some(step))) {
                Ok(true) => {}
                Ok(false) => {
                    let why = "when".to_owned();
                    let step = planned.id.clone();
                    self.note(Fact::StepSkipped { step, visit, why, calls: false }, at);
                    return;
                }
                Err(failure) => {
                    self.fail_for_good(step, failure.into(), at);
                    return;
                }
            }
        }
        if let Err(failure) = self.open_as(&plan, step, at) {
            self.fail_for_good(step, failure.into(), at);
        }
    }

    /// Or why what it reads cannot be computed.
    pub(super) fn open_as(
        &mut self,
        plan: &Plan,
        step: usize,
        at: &mut Moment<'_>,
    ) -> Result<(), expr::Failure> {
        let planned = &plan.steps[step];
        let (id, visit) = (planned.id.clone(), self.state.steps[step].visit);
        let offline = self.state.spec.offline;
        match &planned.work {
            Work::Agent { .. } | Work::Panel { .. } | Work::Tool { .. } | Work::Own { .. } => {
                let names = self.names(Some(step));
                let args = match &planned.work {
                    Work::Agent { prompt, .. } => json!({"prompt": prompt.prompt(&names)?}),
                    Work::Panel { question, .. } => json!({"question": question.prompt(&names)?}),
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
                let once = (at.once)(step, false);
                self.note(Fact::StepStarted { step: id, visit, attempt, args, key, until, once }, at);
                if offline && let Some(stand_in) = self.stand_in(step)? {
                    match failing(&stand_in) {
                        Some(failure) => self.fail(step, failure, at),
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
                    let fact = Fact::StepCompleted {
                        step: id,
                        visit,
                        output,
                        signal,
                        taken: None,
                        copied: false,
                        deciders: Vec::new(),
                    };
                    self.note(fact, at);
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
                    // Also where a step has that word as its id.
                    if who == "starter" {
                        forbid.extend(self.state.spec.starter.clone());
                    }
                    if let Some(review) = plan.find(who) {
                        forbid.extend(self.state.steps[review].deciders.clone());
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
                        Some(failure) => self.fail_for_good(step, failure, at),
                        None => self.complete(step, stated(stand_in), at),
                    }
                    return Ok(());
                }
                // Each attempt is a run of its own.
                let run = match self.state.steps[step].attempt {
                    0 => format!("{}.{id}.{visit}", self.run_id),
                    before => format!("{}.{id}.{visit}-{}", self.run_id, before + 1),
                };
                let until = timeout.map(|timeout| at.now + timeout);
                self.note(Fact::StepWaits { step: id, visit, wait: Waiting::Run { run, input, until } }, at);
            }
        }
        Ok(())
    }

    /// What stands in for the world at this visit of a step.
    pub(super) fn stand_in(&self, step: usize) -> Result<Option<Value>, expr::Failure> {
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

    pub(super) fn branch(
        &mut self,
        step: usize,
        n: usize,
        then: &PlanThen,
        at: &mut Moment<'_>,
    ) -> Result<(), expr::Failure> {
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
fn failing(stand_in: &Value) -> Option<Failure> {
    let fail = stand_in.get("fail")?;
    let text = |name: &str| fail.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "tool_failed".to_owned());
    Some(Failure::new(code, text("message").unwrap_or_default()))
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
