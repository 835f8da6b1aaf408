//! How does a run start others, and hear how they have ended?
//!
//! A run begins in the same transaction in which the one that has started it says so: only who holds that one, and has heard
//! every letter to it, starts anything, and what was started is never started again.

use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::{Advance, Start};

use super::{Drive, LOOK_AFTER, new_run, spec_of, step};
use crate::flow::engine::KIND;
use crate::flow::fact::{Fact, Outcome, Spec, Waiting};
use crate::flow::library::Definition;
use crate::flow::machine::{Action, Event};
use crate::flow::plan::Work;
use crate::flow::schema;

/// How many runs may be above one another.
const MAX_DEPTH: u32 = 16;
/// How many runs may begin beneath one that nobody has started but a caller.
const MAX_RUNS: u32 = 10_000;

/// What there is under the id of a run.
enum There {
    Nothing,
    /// A run that this step has started.
    Own(Option<(Outcome, f64)>),
    /// Something else.
    Foreign,
}

impl Drive {
    /// Starts the runs that steps wait for, and sees whether they are over. Whether there is something new to be written, or heard,
    /// before anything else is done. Errors: those of the store.
    pub(super) fn look_after(&mut self) -> Result<bool> {
        for action in self.machine.actions() {
            let (step, visit, run, waits) = match action {
                Action::Child { step, visit, run } => (step, visit, run, true),
                Action::AwaitRun { run } => (0, 0, run, false),
                _ => continue,
            };
            let every = Duration::from_secs_f64(LOOK_AFTER);
            let begun = !waits || self.machine.state.steps[step].begun;
            if begun && self.looked.get(&run).is_some_and(|looked| looked.elapsed() < every) {
                continue;
            }
            match self.there(step, visit, &run, waits)? {
                There::Own(Some((outcome, when))) => {
                    self.tell(Event::Child { run: &run, outcome }, when);
                    return Ok(true);
                }
                There::Own(None) if begun => drop(self.looked.insert(run, Instant::now())),
                There::Own(None) => {
                    self.tell(Event::Begun { step, visit, run }, 0.0);
                    return Ok(true);
                }
                There::Nothing if begun => {
                    let message = format!("the run '{run}' was deleted before it had ended");
                    return Ok(self.failed(&run, Code::UnknownId.as_str(), message));
                }
                There::Foreign => {
                    let message =
                        format!("the id '{run}' is that of another run, which this step has not started");
                    return Ok(self.failed(&run, Code::DuplicateId.as_str(), message));
                }
                There::Nothing => {
                    // Nothing begins in a run that is paused, or by an engine that is drained.
                    if self.machine.state.paused || self.inner.is_draining() {
                        continue;
                    }
                    if self.start_run(step, visit, &run)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn tell(&mut self, event: Event<'_>, when: f64) {
        let begins = !self.inner.is_draining();
        step(&self.inner, &mut self.machine, event, when, begins);
    }

    fn failed(&mut self, run: &str, code: &str, message: String) -> bool {
        let outcome = Outcome::Failed { code: code.to_owned(), message, step: None, cause: None };
        let now = self.inner.clock.now();
        self.tell(Event::Child { run, outcome }, now);
        true
    }

    fn there(&self, step: usize, visit: u32, run: &str, waits: bool) -> Result<There> {
        let (tenant, store) = (self.inner.tenant.as_deref(), &self.inner.store);
        let row = match store.run(tenant, run) {
            Ok(row) => row,
            Err(error) if error.code() == Code::UnknownId => return Ok(There::Nothing),
            Err(error) => return Err(error),
        };
        if row.kind != KIND {
            return Ok(There::Foreign);
        }
        let first = store.entries(tenant, run, 1)?;
        let parent = spec_of(run, &first)?.parent;
        let own = parent.is_some_and(|(id, of, at)| {
            let meant = !waits || (of == self.machine.plan.steps[step].id && at == visit);
            id == self.machine.run_id && meant
        });
        if !own {
            return Ok(There::Foreign);
        }
        if !quorate_state::FINAL.contains(&row.status.as_str()) {
            return Ok(There::Own(None));
        }
        // A word that came too late may stand behind the end.
        for entry in first.iter().rev() {
            if let Fact::Ended(outcome) = Fact::of(entry)? {
                return Ok(There::Own(Some((outcome, entry.time))));
            }
        }
        Err(Error::new(Code::Corrupt, format!("the run '{run}' has no end")))
    }

    /// Starts a run for a step; whether anything has changed by it.
    fn start_run(&mut self, step: usize, visit: u32, run: &str) -> Result<bool> {
        let plan = std::sync::Arc::clone(&self.machine.plan);
        let Some(Waiting::Run { input, .. }) = self.machine.state.steps[step].wait.clone() else {
            return Ok(false);
        };
        let Work::Sub { id, version, .. } = &plan.steps[step].work else { return Ok(false) };
        let definition = match self.inner.definition(id, version.as_deref()) {
            Ok(definition) => definition,
            Err(error) if error.code() == Code::UnknownId && self.inner.is_young() => {
                self.lacks = true;
                return Ok(false);
            }
            Err(error) => {
                let code = match error.code() {
                    Code::UnknownId => "workflow_unknown",
                    code => code.as_str(),
                };
                return Ok(self.failed(run, code, error.message().to_owned()));
            }
        };
        let above = &self.machine.state.spec;
        if above.depth >= MAX_DEPTH {
            let message =
                format!("'{id}' is not started: {MAX_DEPTH} runs are above it, and more are not allowed");
            return Ok(self.failed(run, Code::StepLimit.as_str(), message));
        }
        if let Some(wanted) = &definition.plan.form.input
            && let Err(error) =
                schema::fits(wanted, &input, &format!("the input of '{id}'"), Code::InvalidDocument)
        {
            return Ok(self.failed(run, error.code().as_str(), error.message().to_owned()));
        }
        let root = above.root.clone().unwrap_or_else(|| self.machine.run_id.clone());
        let spec = Spec {
            workflow: definition.id().to_owned(),
            version: definition.version().to_owned(),
            hash: definition.hash().to_owned(),
            input,
            starter: above.starter.clone(),
            tenant: above.tenant.clone(),
            offline: above.offline,
            time: self.inner.clock.now(),
            parent: Some((self.machine.run_id.clone(), plan.steps[step].id.clone(), visit)),
            root: Some(root.clone()),
            depth: above.depth + 1,
            ..Spec::default()
        };
        match self.begin_run(step, visit, run, &root, &definition, spec) {
            Ok(begun) => {
                if begun {
                    self.inner.moved();
                }
                // Where it has not begun, a letter has come that is heard first.
                Ok(true)
            }
            // An id that is too long for the store is one of a chain that is too deep.
            Err(error)
                if [Code::StepLimit, Code::InvalidArgument, Code::TooLarge].contains(&error.code()) =>
            {
                Ok(self.failed(run, error.code().as_str(), error.message().to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes that a run has begun, with that run. Errors: those of the store; `step_limit`; `invalid_argument` where its place in
    /// the queue cannot be computed.
    fn begin_run(
        &mut self,
        step: usize,
        visit: u32,
        run: &str,
        root: &str,
        definition: &Definition,
        spec: Spec,
    ) -> Result<bool> {
        let inner = std::sync::Arc::clone(&self.inner);
        inner.store_definition(definition)?;
        let queueing = inner.queueing(definition, &spec, run, None)?;
        let (parent, time) = (self.machine.run_id.clone(), spec.time);
        let first = [Fact::Started(Box::new(spec)).entry(1, time)?];
        let start = Start {
            new: new_run(Some(run), definition.title(), Some(&parent), None, inner.tenant.as_deref()),
            entries: &first,
            status: definition.first_status().as_str(),
            work: queueing.place(time.min(0.0)),
            within: Some((root, MAX_RUNS)),
        };
        let begun =
            Fact::ChildStarted { step: self.machine.plan.steps[step].id.clone(), visit, run: run.to_owned() };
        let entry = begun.entry(self.machine.seq + 1, time)?;
        let step = Advance {
            entries: std::slice::from_ref(&entry),
            read: self.machine.state.letter,
            starts: &[start],
            ..Advance::default()
        };
        let written = self.run.advance(&step)?;
        if written {
            self.machine.replay(&begun, time);
        }
        Ok(written)
    }
}
