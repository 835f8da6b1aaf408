//! Can a run go on by another version of its definition, and what of what it has done stands there?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::{Run, Wake};
use serde_json::Value;

use super::drive::{commit, step, time_of};
use super::engine::Inner;
use super::fact::Fact;
use super::handle::WorkflowRun;
use super::library::Definition;
use super::machine::{Event, LACKS, Machine};
use super::plan::{Plan, canonical};
use super::schema;
use super::state::{Phase, State, StepState};

/// How long is waited for whoever holds the run.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a step that was begun may say in another way: nothing of what it did follows from it.
const FREE: [&str; 6] = ["title", "description", "offline", "retry", "timeout", "on_error"];

impl State {
    /// What stands of all that happened by the steps of another plan: steps are those with the same ids.
    fn carried(&self, from: &Plan, to: &Plan) -> State {
        let place = |step: usize| to.find(&from.steps[step].id);
        let mut carried = self.clone();
        let there = |id: &str| from.find(id).map(|step| self.steps[step].clone());
        let fresh = || StepState { visit: 1, ..StepState::default() };
        carried.steps = to.steps.iter().map(|step| there(&step.id).unwrap_or_else(fresh)).collect();
        carried.done.retain_mut(|done| place(done.step).map(|step| done.step = step).is_some());
        carried.loose.retain_mut(|loose| place(loose.step).map(|step| loose.step = step).is_some());
        carried.open.retain(|_, (step, _)| place(*step).map(|to| *step = to).is_some());
        let counts = self.counts.iter();
        carried.counts =
            counts.filter_map(|((step, route), n)| Some(((place(*step)?, route.clone()), *n))).collect();
        carried.spec.version.clone_from(&to.form.version);
        carried.spec.hash.clone_from(&to.hash);
        carried
    }
}

impl Machine {
    /// Goes on by another plan.
    pub(crate) fn move_to(&mut self, plan: Arc<Plan>) {
        self.state = self.state.carried(&self.plan, &plan);
        self.plan = plan;
        self.seq += 1;
    }

    /// Everything that keeps the run from going on by another definition.
    fn kept_back(&self, from: &Value, to: &Definition) -> Vec<String> {
        let mut why = Vec::new();
        let (plan, state) = (&to.plan, &self.state);
        if state.undoing.is_some() || state.cancel.is_some() {
            return vec!["what it did is undone, or it is ended".to_owned()];
        }
        if !state.loose.is_empty() {
            why.push("calls, or runs, that nobody waits for any more are still under way".to_owned());
        }
        if self.plan.form.queue != plan.form.queue {
            why.push(
                "queue: a run keeps its place, and the other version stands in its queue in another way"
                    .to_owned(),
            );
        }
        if let Some(schema) = &plan.form.input
            && let Err(error) = schema::fits(
                schema,
                &state.spec.input,
                "input: what the run was started with",
                Code::InvalidDocument,
            )
        {
            why.push(error.message().to_owned());
        }
        for id in state.spec.stand_ins.keys().filter(|id| plan.find(id).is_none()) {
            why.push(format!("steps.{id}: it has a stand-in, and the other version has no such step"));
        }
        for (planned, is) in self.plan.steps.iter().zip(&state.steps) {
            let id = &planned.id;
            let lacks = is.error.as_ref().is_some_and(|(code, _)| LACKS.contains(&code.as_str()));
            let untouched = is.phase == Phase::Pending || (is.phase == Phase::Blocked && lacks);
            let Some(other) = plan.find(id) else {
                if is.phase != Phase::Pending {
                    why.push(format!(
                        "steps.{id}: it is {}, and the other version has no such step",
                        is.phase.as_str()
                    ));
                }
                continue;
            };
            let other = &plan.steps[other];
            if is.phase == Phase::Running {
                why.push(format!("steps.{id}: it is running; pause the run, and wait until it has ended"));
            }
            if is.phase == Phase::Pending {
                continue;
            }
            if planned.kind() != other.kind() {
                why.push(format!(
                    "steps.{id}: it is {}, and has the kind '{}' there in the place of '{}'",
                    is.phase.as_str(),
                    other.kind(),
                    planned.kind()
                ));
                continue;
            }
            if !untouched && stated(from, &self.plan, id) != stated(to.rendered(), plan, id) {
                why.push(format!("steps.{id}: it is {}, and says something else there", is.phase.as_str()));
            }
        }
        // What is new within what is over would never be done.
        for planned in &plan.steps {
            let over = |outer: usize| {
                self.plan.find(&plan.steps[outer].id).filter(|was| state.steps[*was].phase.is_settled())
            };
            if self.plan.find(&planned.id).is_none()
                && let Some(outer) = planned.parent.and_then(over)
            {
                why.push(format!(
                    "steps.{}: it is new, and within '{}', which is over",
                    planned.id, self.plan.steps[outer].id
                ));
            }
        }
        for (step, planned) in
            self.plan.steps.iter().enumerate().filter(|(step, _)| state.steps[*step].phase != Phase::Pending)
        {
            let name = |plan: &Plan, of: Option<usize>| of.map(|of| plan.steps[of].id.clone());
            if let Some(other) = plan.find(&planned.id)
                && name(&self.plan, planned.parent) != name(plan, plan.steps[other].parent)
            {
                why.push(format!(
                    "steps.{}: it is {}, and within another step there",
                    planned.id,
                    state.steps[step].phase.as_str()
                ));
            }
        }
        why
    }
}

/// What a step says of what it does, in the form that it was rendered to.
fn stated(rendered: &Value, plan: &Plan, id: &str) -> String {
    let mut way = vec![id];
    let mut step = plan.find(id);
    while let Some(outer) = step.and_then(|step| plan.steps[step].parent) {
        way.push(&plan.steps[outer].id);
        step = Some(outer);
    }
    let mut found = rendered.get("steps").and_then(|steps| steps.get(way.pop()?));
    while let Some(inner) = way.pop() {
        found = found.and_then(|step| step.get("parallel")?.get("steps")?.get(inner));
    }
    let mut found = found.cloned().unwrap_or_default();
    if let Value::Object(fields) = &mut found {
        fields.retain(|key, _| !FREE.contains(&key.as_str()));
        // Those within it speak for themselves.
        if let Some(Value::Object(parallel)) = fields.get_mut("parallel") {
            parallel.remove("steps");
        }
    }
    canonical(&found)
}

impl WorkflowRun {
    /// Has it go on by another version of its workflow, from where it is. Steps that have begun stand as they are: they have to say
    /// the same there, other than titles, retries, timeouts and what stands in offline. What it waits for it goes on waiting for,
    /// with the time that it had; steps that have not begun are those of the other version. Its journal says so, and both
    /// definitions are kept. All of it or nothing.
    ///
    /// Errors: `unknown_id` for a version that the engine has not; `run_conflict` with everything that keeps it back, while a step is
    /// running, and once it is over; those of the store.
    pub fn migrate(&self, version: &str) -> Result<()> {
        self.inner.here()?;
        let definition = self.inner.definition(&self.machine()?.state.spec.workflow, Some(version))?;
        self.inner.store_definition(&definition)?;
        let begun = Instant::now();
        loop {
            let row = self.inner.store.run(self.inner.tenant.as_deref(), self.id())?;
            if quorate_state::FINAL.contains(&row.status.as_str()) {
                let message = format!("the run '{}' is over ({}), and stays as it is", self.id(), row.status);
                return Err(Error::new(Code::RunConflict, message));
            }
            let seen = self.inner.moves();
            match self.inner.store.take(self.inner.tenant.as_deref(), self.id()) {
                Ok(run) => {
                    if self.moved(&run, &definition)? {
                        self.inner.nudge(self.id());
                        return Ok(());
                    }
                }
                Err(error) if error.code() == Code::RunConflict => {
                    // Whoever holds it may be about to let go; where a step is running it is not.
                    let machine = self.machine()?;
                    let running = machine.state.steps.iter().any(|step| step.phase == Phase::Running);
                    if running || begun.elapsed() > PATIENCE {
                        return self.kept_back(&machine, &definition).and(Err(error));
                    }
                    self.inner.wait_moved(seen, Duration::from_millis(2));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn kept_back(&self, machine: &Machine, definition: &Definition) -> Result<()> {
        let from = self.inner.rendered(&machine.plan.hash)?.unwrap_or_default();
        let why = machine.kept_back(&from, definition);
        if why.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the run '{}' cannot go on by version {}: {}",
            self.id(),
            definition.version(),
            why.join("; ")
        );
        Err(Error::new(Code::RunConflict, message))
    }

    /// Moves a run that is held here; false where a letter came meanwhile.
    fn moved(&self, run: &Run, definition: &Definition) -> Result<bool> {
        let inner: &Inner = &self.inner;
        let mut machine = inner.own_machine(self.id())?;
        let mut last = 0.0_f64;
        for letter in run.letters(machine.state.letter)? {
            last = last.max(time_of(&letter));
            step(inner, &mut machine, Event::Letter(&letter), last, false);
        }
        if machine.state.ended.is_some() {
            // What it was told before has ended it.
            commit(inner, run, &mut machine, Wake::At(0.0))?;
            inner.moved();
            return Ok(false);
        }
        if machine.plan.hash != definition.hash() {
            self.kept_back(&machine, definition)?;
            let fact = Fact::Migrated {
                from: machine.plan.hash.clone(),
                to: definition.hash().to_owned(),
                version: definition.version().to_owned(),
            };
            machine.move_to(Arc::clone(&definition.plan));
            machine.noted.push((fact, inner.clock.now()));
        }
        // It is due, for whoever goes on with it.
        let written = commit(inner, run, &mut machine, Wake::At(0.0))?;
        if written {
            inner.keep(machine);
        }
        Ok(written)
    }
}
