//! Who does what is due in a run, and writes down what came of it?
//!
//! One thread for each run that goes on here; steps are done on threads of their own. What has happened is durable before the next
//! action begins, and every letter that was posted before is known by then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_state::{Advance, Entry, Listing, NewRun, Posted, Run, Wake, Work as Place};
use serde_json::json;

use super::engine::{Inner, KIND, REVIEWS};
use super::fact::{Fact, Outcome, Spec, Waiting};
use super::machine::{Action, Attempt, Event, Machine, Moment};
use super::perform::{Job, context, may_repeat};
use super::plan::{Plan, Work};

/// How often letters of other processes are looked for while something is done.
const LOOK: Duration = Duration::from_millis(40);
/// Who waits for less than this keeps the run, in seconds.
const SOON: f64 = 0.25;
/// How often a run that waits for another looks after it, in seconds: the other tells, unless its process is killed just then.
const LOOK_AFTER: f64 = 5.0;

/// What is being done, by what it is done for: the step or what is undone, visit, attempt.
pub(crate) type Key = (bool, usize, u32, u32);

/// What a run that goes on is told.
pub(crate) enum Told {
    /// Something is done.
    Done(Key, Attempt),
    /// A letter may have come.
    Letter,
}

/// A run that goes on here.
pub(crate) struct Drive {
    inner: Arc<Inner>,
    run: Run,
    machine: Machine,
    working: HashMap<Key, Cancel>,
    results: (Sender<Told>, Receiver<Told>),
    /// Runs that were started for steps of this one, as far as is known here.
    children: HashSet<String>,
    /// Whether something that is due lacks what may still be added to the engine.
    lacks: bool,
    /// Whether a letter was heard since runs were last looked after.
    heard: bool,
    /// The status that was written.
    status: String,
    /// Why the run is left as it is.
    left: Option<Error>,
}

/// A machine with all that has happened in a run. Errors: `corrupt`, those of the store.
pub(crate) fn replayed(inner: &Inner, id: &str, entries: &[Entry]) -> Result<Machine> {
    let plan = plan_of(inner, id, entries)?;
    let mut machine = Machine::new(plan, id);
    for entry in entries {
        machine.replay(&Fact::of(entry)?, entry.time);
    }
    machine.listed = machine.state.listed();
    Ok(machine)
}

pub(crate) fn spec_of(id: &str, entries: &[Entry]) -> Result<Spec> {
    match entries.first().map(Fact::of).transpose()? {
        Some(Fact::Started(spec)) => Ok(*spec),
        _ => Err(Error::new(
            Code::Corrupt,
            format!("the run '{id}' does not begin with what it was started with"),
        )),
    }
}

fn plan_of(inner: &Inner, id: &str, entries: &[Entry]) -> Result<Arc<Plan>> {
    inner.plan(&spec_of(id, entries)?.hash)
}

impl Drive {
    /// Errors: those of the store, `corrupt`.
    pub(crate) fn open(inner: &Arc<Inner>, run: Run) -> Result<Drive> {
        let machine = replayed(inner, run.id(), &run.entries()?)?;
        let status = machine.status().as_str().to_owned();
        let results = channel();
        inner.listen(run.id(), Some(results.0.clone()));
        Ok(Drive {
            inner: Arc::clone(inner),
            run,
            machine,
            working: HashMap::new(),
            results,
            children: HashSet::new(),
            lacks: false,
            heard: false,
            status,
            left: None,
        })
    }

    fn step(&mut self, event: Event<'_>) {
        let begins = !self.inner.is_draining();
        step(&self.inner, &mut self.machine, event, begins);
    }

    /// Hears the letters that there are.
    fn hear(&mut self) -> Result<()> {
        for letter in self.run.letters(self.machine.state.letter)? {
            self.step(Event::Letter(&letter));
            self.heard = true;
        }
        Ok(())
    }

    /// What whoever held the run before was at is made again, or asked about.
    fn take_over(&mut self) {
        for action in self.machine.actions() {
            match action {
                Action::Perform { step, .. } if may_repeat(&self.inner, &self.machine.plan, step) => {
                    self.step(Event::Again { step });
                }
                Action::Perform { step, .. } => {
                    let why = format!(
                        "the process that did '{}' has ended, and it is not known whether the call was made; look, and then retry or skip the step",
                        self.machine.plan.steps[step].id
                    );
                    self.step(Event::Lost { step, why });
                }
                Action::Undo { index, .. } => self.step(Event::UndoAgain { index }),
                Action::Child { .. } => {}
            }
        }
    }

    /// Goes on as far as it goes without waiting long. Errors: those of the store; the journal has what happened.
    pub(crate) fn go(mut self) -> Result<()> {
        let gone = self.go_on();
        self.inner.listen(self.run.id(), None);
        // Whatever is still being done here is not this run's any more.
        self.working.values().for_each(Cancel::cancel);
        let let_go = self.run.finish();
        self.inner.moved();
        gone.and(let_go)
    }

    fn go_on(&mut self) -> Result<()> {
        self.take_over();
        loop {
            self.hear()?;
            self.look_after()?;
            self.step(Event::Time);
            self.write()?;
            if let Some(left) = self.left.take() {
                return Err(left);
            }
            self.stop_what_ended();
            if let Some(outcome) = self.machine.state.ended.clone() {
                self.tell(&outcome);
                return Ok(());
            }
            // What a letter says that came while it was written may be that another run is over.
            if self.heard || self.waits_for_unknown() {
                continue;
            }
            self.act();
            if std::mem::take(&mut self.lacks) && self.working.is_empty() && !self.inner.is_draining() {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            if self.working.is_empty() {
                let soon = self.machine.next_time().map(|time| time - self.inner.clock.now());
                match soon {
                    Some(soon) if soon <= SOON && !self.inner.is_draining() => {
                        std::thread::sleep(Duration::from_secs_f64(soon.clamp(0.001, 0.02)));
                        continue;
                    }
                    _ => {
                        // What it waits for is written beside it; a letter that came meanwhile keeps it.
                        if self.rest()? {
                            return Ok(());
                        }
                        continue;
                    }
                }
            }
            self.wait()?;
        }
    }

    /// Waits until something is done, a letter may have come, or a time has.
    fn wait(&mut self) -> Result<()> {
        let now = self.inner.clock.now();
        let times = [self.machine.next_time(), self.machine.next_limit()];
        let until = times.into_iter().flatten().map(|time| time - now).fold(LOOK.as_secs_f64(), f64::min);
        let first = match self.results.1.recv_timeout(Duration::from_secs_f64(until.max(0.001))) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                // Also a sign that this holder lives.
                self.run.cancelled()?;
                return Ok(());
            }
        };
        let mut all = vec![first];
        all.extend(self.results.1.try_iter());
        for told in all {
            let Told::Done(key, result) = told else { continue };
            self.working.remove(&key);
            match &result {
                // Nothing is known to have failed: whoever goes on with the run makes the call again, or asks about it.
                Err((code, message)) if code == Code::StaleWrite.as_str() => {
                    self.left = Some(Error::new(Code::StaleWrite, message.clone()));
                    continue;
                }
                _ => {}
            }
            let (undo, place, visit, attempt) = key;
            match undo {
                true => self.step(Event::UndoDone { index: place, attempt, result }),
                false => self.step(Event::Done { step: place, visit, attempt, result }),
            }
        }
        Ok(())
    }

    /// Writes what happened. Letters that came meanwhile are heard first.
    fn write(&mut self) -> Result<()> {
        while !self.machine.noted.is_empty() || self.machine.status().as_str() != self.status {
            if commit(&self.inner, &self.run, &mut self.machine, Wake::Keep)? {
                self.machine.status().as_str().clone_into(&mut self.status);
                self.inner.moved();
                return Ok(());
            }
            self.hear()?;
        }
        Ok(())
    }

    /// Says when somebody has to look again; whether nothing came in between.
    fn rest(&mut self) -> Result<bool> {
        let waits = self.machine.actions().iter().any(|action| matches!(action, Action::Child { .. }));
        let look = waits.then(|| self.inner.clock.now() + LOOK_AFTER);
        let drained = self.inner.is_draining().then_some(0.0);
        let times = [self.machine.next_time(), look, drained];
        let wake = times.into_iter().flatten().reduce(f64::min).map_or(Wake::Never, Wake::At);
        commit(&self.inner, &self.run, &mut self.machine, wake)
    }

    /// Starts what is due and not being done yet.
    fn act(&mut self) {
        for action in self.machine.actions() {
            let key = match &action {
                Action::Perform { step, visit, attempt } => (false, *step, *visit, *attempt),
                Action::Undo { index, attempt } => (true, *index, 0, *attempt),
                Action::Child { .. } => continue,
            };
            if self.working.contains_key(&key) {
                continue;
            }
            let own = |step: &usize| match &self.machine.plan.steps[*step].work {
                Work::Own { kind, .. } => self.inner.kind(kind).is_none(),
                _ => false,
            };
            match &action {
                Action::Perform { step, .. } if own(step) && self.inner.is_young() => self.lacks = true,
                _ => self.start(key),
            }
        }
    }

    fn start(&mut self, key: Key) {
        let (undo, place, visit, attempt) = key;
        let state = &self.machine.state;
        let (step, args, idempotency_key, visit) = match undo {
            true => {
                let done = &state.done[place];
                (done.step, done.args.clone(), done.key.clone(), done.visit)
            }
            false => (place, state.steps[place].args.clone(), state.steps[place].key.clone(), visit),
        };
        let plan = Arc::clone(&self.machine.plan);
        let planned = &plan.steps[step];
        let name = match (&planned.work, &planned.undo) {
            (_, Some(compensate)) if undo => compensate.tool.clone(),
            (Work::Tool { tool, .. }, _) => tool.clone(),
            _ => planned.kind().to_owned(),
        };
        let mut context = context(&self.machine.run_id, &planned.id, state.spec.tenant.as_deref());
        (context.visit, context.attempt, context.name) = (visit, attempt, name);
        context.idempotency_key = idempotency_key;
        self.working.insert(key, context.cancel.clone());
        let outputs = match state.spec.offline {
            true => state
                .steps
                .iter()
                .enumerate()
                .map(|(i, s)| (plan.steps[i].id.clone(), s.output.clone()))
                .collect(),
            false => Vec::new(),
        };
        let job = Job {
            inner: Arc::clone(&self.inner),
            step,
            undo,
            args,
            offline: state.spec.offline,
            input: state.spec.input.clone(),
            outputs,
            context,
            plan: Arc::clone(&plan),
        };
        let results = self.results.0.clone();
        let spawned = std::thread::Builder::new().name("quorate-step".to_owned()).spawn(move || {
            let done = job.run();
            // Whoever asked may not wait any more.
            let _ = results.send(Told::Done(key, done));
        });
        if let Err(error) = spawned {
            let failed = Err((Code::Io.as_str().to_owned(), format!("no thread could be started: {error}")));
            let _ = self.results.0.send(Told::Done(key, failed));
        }
    }

    /// Ends the work of steps that are over for the run.
    fn stop_what_ended(&mut self) {
        let actions = self.machine.actions();
        let due = |key: &Key| {
            actions.iter().any(|action| match action {
                Action::Perform { step, visit, attempt } => *key == (false, *step, *visit, *attempt),
                Action::Undo { index, attempt } => *key == (true, *index, 0, *attempt),
                Action::Child { .. } => false,
            })
        };
        self.working.retain(|key, cancel| {
            let due = due(key);
            if !due {
                cancel.cancel();
            }
            due
        });
    }

    /// Starts the runs that steps wait for, and sees whether they are over.
    fn look_after(&mut self) -> Result<()> {
        self.heard = false;
        for action in self.machine.actions() {
            let Action::Child { step, visit, run } = action else { continue };
            // The journal must say that the step waits before what it waits for begins.
            let said = |(fact, _): &(Fact, f64)| matches!(fact, Fact::StepWaits { wait: Waiting::Run { run: waits, .. }, .. } if *waits == run);
            if self.machine.noted.iter().any(said) {
                continue;
            }
            self.children.insert(run.clone());
            if let Some(outcome) = self.child(step, visit, &run)? {
                self.step(Event::Child { step, visit, outcome });
            }
        }
        Ok(())
    }

    fn waits_for_unknown(&self) -> bool {
        self.machine
            .actions()
            .iter()
            .any(|action| matches!(action, Action::Child { run, .. } if !self.children.contains(run)))
    }

    fn child(&mut self, step: usize, visit: u32, run: &str) -> Result<Option<Outcome>> {
        let tenant = self.inner.tenant.as_deref();
        match self.inner.store.run(tenant, run) {
            Ok(row) if quorate_state::FINAL.contains(&row.status.as_str()) => {
                // A word that came too late may stand behind the end.
                for entry in self.inner.store.entries(tenant, run, 1)?.iter().rev() {
                    if let Fact::Ended(outcome) = Fact::of(entry)? {
                        return Ok(Some(outcome));
                    }
                }
                return Err(Error::new(Code::Corrupt, format!("the run '{run}' has no end")));
            }
            Ok(_) => return Ok(None),
            Err(error) if error.code() == Code::UnknownId => {}
            Err(error) => return Err(error),
        }
        let Some(Waiting::Run { input, .. }) = &self.machine.state.steps[step].wait else { return Ok(None) };
        let Work::Sub { id, version, .. } = &self.machine.plan.steps[step].work else { return Ok(None) };
        let spec = &self.machine.state.spec;
        let started = self.inner.definition(id, version.as_deref()).and_then(|definition| {
            let parent = (self.machine.run_id.clone(), self.machine.plan.steps[step].id.clone(), visit);
            let spec = Spec {
                workflow: definition.id().to_owned(),
                version: definition.version().to_owned(),
                hash: definition.hash().to_owned(),
                input: input.clone(),
                starter: spec.starter.clone(),
                tenant: spec.tenant.clone(),
                offline: spec.offline,
                time: self.inner.clock.now(),
                parent: Some(parent),
                ..Spec::default()
            };
            self.inner.enqueue(&definition, spec, Some(run), None, None)
        });
        match started {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Code::UnknownId && self.inner.is_young() => {
                self.lacks = true;
                Ok(None)
            }
            Err(error) => Ok(Some(Outcome::Failed {
                code: match error.code() {
                    Code::UnknownId => "workflow_unknown".to_owned(),
                    code => code.as_str().to_owned(),
                },
                message: error.message().to_owned(),
                step: None,
                cause: None,
            })),
        }
    }

    /// Tells the run that has started this one that it is over.
    fn tell(&self, outcome: &Outcome) {
        if let Some((run, step, visit)) = &self.machine.state.spec.parent {
            let data = json!({"step": step, "visit": visit, "status": outcome.status().as_str()});
            let name = format!("child/{}", self.machine.run_id);
            // It also looks after this one by itself.
            let _ = self.inner.store.post(self.inner.tenant.as_deref(), run, "child", &data, Some(&name));
        }
    }
}

/// A number from 0 to 1, each time another.
fn chance() -> f64 {
    // The keys of a hasher are drawn by the system.
    let drawn = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0u8);
    (drawn >> 11) as f64 / (1u64 << 53) as f64
}

/// Takes an event in, at the engine's time and with its chance.
pub(crate) fn step(inner: &Inner, machine: &mut Machine, event: Event<'_>, begins: bool) {
    let mut draw = chance;
    let mut at = Moment { now: inner.clock.now(), draw: &mut draw, begins };
    machine.step(event, &mut at);
}

/// Writes what was noted, with everything that stands beside it; false where a letter was not heard.
/// Errors: those of the store.
pub(crate) fn commit(inner: &Inner, run: &Run, machine: &mut Machine, wake: Wake) -> Result<bool> {
    let first = machine.seq + 1 - machine.noted.len() as u64;
    let entries: Vec<Entry> = machine
        .noted
        .iter()
        .zip(first..)
        .map(|((fact, time), seq)| fact.entry(seq, *time))
        .collect::<Result<_>>()?;
    // Runs that this one has started end with the steps that wait for them.
    for (fact, _) in &machine.noted {
        if let Fact::StepCancelled { step, visit } | Fact::StepSkipped { step, visit, .. } = fact
            && let Some(planned) = machine.plan.find(step)
            && matches!(machine.plan.steps[planned].work, Work::Sub { .. })
        {
            let child = format!("{}.{step}.{visit}", machine.run_id);
            let data = json!({"reason": format!("run '{}' does not wait for it any more", machine.run_id), "compensate": true});
            match inner.store.post(inner.tenant.as_deref(), &child, "cancel", &data, Some("parent")) {
                Ok(Posted::New(_) | Posted::Known | Posted::Ended) => {}
                Err(error) if error.code() == Code::UnknownId => {}
                Err(error) => return Err(error),
            }
        }
    }
    let open = machine.state.listed();
    let gone = machine
        .listed
        .iter()
        .filter(|(seq, _)| !open.contains_key(seq))
        .map(|(seq, role)| (role, seq, false));
    let new = open
        .iter()
        .filter(|(seq, role)| machine.listed.get(seq) != Some(*role))
        .map(|(seq, role)| (role, seq, true));
    let listings: Vec<Listing<'_>> = gone
        .chain(new)
        .map(|(label, seq, listed)| Listing { space: REVIEWS, label, seq: *seq, listed })
        .collect();
    let status = machine.status().as_str();
    let step = Advance {
        entries: &entries,
        status: Some(status),
        wake,
        read: machine.state.letter,
        listings: &listings,
    };
    let written = run.advance(&step)?;
    if written {
        machine.noted.clear();
        machine.listed = open;
    }
    Ok(written)
}

/// The key under which runs of a kind share slots, and the rest of their place in the queue.
pub(crate) struct Queueing {
    pub(crate) queue: String,
    pub(crate) priority: i64,
    pub(crate) slot: Option<(String, u32)>,
}

impl Queueing {
    pub(crate) fn place(&self, at: f64) -> Place<'_> {
        Place {
            queue: &self.queue,
            priority: self.priority,
            slot: self.slot.as_ref().map(|(key, limit)| (key.as_str(), *limit)),
            at,
        }
    }
}

/// What a run is begun as.
pub(crate) fn new_run<'a>(
    id: Option<&'a str>,
    title: &'a str,
    parent: Option<&'a str>,
    key: Option<&'a str>,
    tenant: Option<&'a str>,
) -> NewRun<'a> {
    NewRun { id, kind: KIND, tenant, title, parent, key }
}
