//! Who does what is due in a run, and writes down what came of it?
//!
//! One thread for each run that goes on here; steps are done on threads of their own. What has happened is durable before the next
//! action begins, and every letter that was posted before is known by then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_state::{Advance, Entry, Letter, Listing, NewRun, Post, Run, Wake, Work as Place};
use serde_json::{Value, json};

use super::engine::{Inner, KIND, REVIEWS};
use super::fact::{Fact, Spec};
use super::machine::{Action, Attempt, Event, Machine, Moment};
use super::perform::{BEGUN, FRESH, Job, REVOKED, context, is_once};
use super::plan::Work;

mod children;

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
    /// Something is done, and was at this time.
    Done(Key, Attempt, f64),
    /// A letter may have come.
    Letter,
}

/// What is being done: how it is told to end, and whether it has begun.
struct Doing {
    cancel: Cancel,
    gate: Arc<AtomicU8>,
}

impl Doing {
    /// Tells it to end. What has not begun by now never does.
    fn end(&self) {
        let _ = self.gate.compare_exchange(FRESH, REVOKED, Ordering::AcqRel, Ordering::Acquire);
        self.cancel.cancel();
    }

    fn has_begun(&self) -> bool {
        self.gate.load(Ordering::Acquire) == BEGUN
    }
}

/// A run that goes on here.
pub(crate) struct Drive {
    inner: Arc<Inner>,
    run: Run,
    machine: Machine,
    working: HashMap<Key, Doing>,
    results: (Sender<Told>, Receiver<Told>),
    /// What has ended here and was not taken in yet.
    ended: Vec<(Key, Attempt, f64)>,
    /// Attempts that somebody else had begun, and that were not begun here yet.
    taken: HashSet<Key>,
    /// When runs that were started for steps of this one were looked after.
    looked: HashMap<String, Instant>,
    /// Whether something that is due lacks what may still be added to the engine.
    lacks: bool,
    /// The status that was written.
    status: String,
    /// Why the run is left as it is.
    left: Option<Error>,
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

impl Drive {
    /// Errors: those of the store, `corrupt`.
    pub(crate) fn open(inner: &Arc<Inner>, run: Run) -> Result<Drive> {
        let machine = inner.own_machine(run.id())?;
        let status = machine.status().as_str().to_owned();
        let results = channel();
        inner.listen(run.id(), Some(results.0.clone()));
        Ok(Drive {
            inner: Arc::clone(inner),
            run,
            machine,
            working: HashMap::new(),
            results,
            ended: Vec::new(),
            taken: HashSet::new(),
            looked: HashMap::new(),
            lacks: false,
            status,
            left: None,
        })
    }

    fn step(&mut self, event: Event<'_>) {
        let begins = !self.inner.is_draining();
        step(&self.inner, &mut self.machine, event, f64::INFINITY, begins);
    }

    /// Takes in what has ended here and the letters that there are, in the order in which it happened.
    fn hear(&mut self) -> Result<()> {
        enum Heard {
            Ended(Key, Attempt),
            Letter(Letter),
        }
        let ended = std::mem::take(&mut self.ended);
        let mut heard: Vec<(f64, Heard)> =
            ended.into_iter().map(|(key, result, time)| (time, Heard::Ended(key, result))).collect();
        let mut last = 0.0_f64;
        for letter in self.run.letters(self.machine.state.letter)? {
            // Letters are heard in the order of their numbers, whatever clocks say.
            last = last.max(time_of(&letter));
            if letter.kind == "child" {
                self.looked.clear();
            }
            heard.push((last, Heard::Letter(letter)));
        }
        heard.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let begins = !self.inner.is_draining();
        for (time, heard) in heard {
            let (inner, machine) = (&self.inner, &mut self.machine);
            match heard {
                Heard::Letter(letter) => step(inner, machine, Event::Letter(&letter), time, begins),
                Heard::Ended((true, index, _, attempt), result) => {
                    step(inner, machine, Event::UndoDone { index, attempt, result }, time, begins);
                }
                Heard::Ended((false, place, visit, attempt), result) => {
                    let event = Event::Done { step: place, visit, attempt, result };
                    step(inner, machine, event, time, begins);
                }
            }
        }
        Ok(())
    }

    /// What whoever held the run before was at is made again, or asked about. Nothing begins by it, and no time passes: that is
    /// so with what was heard.
    fn take_over(&mut self) {
        for action in self.machine.actions() {
            let lost = |step: usize| {
                format!(
                    "the process that did '{}' has ended, and it is not known whether the call was made",
                    self.machine.plan.steps[step].id
                )
            };
            let event = match action {
                Action::Perform { step, visit, attempt } => {
                    if self.machine.state.steps[step].once
                        || is_once(&self.inner, &self.machine.plan, step, false)
                    {
                        Event::Lost {
                            step,
                            why: format!("{}; look, and then retry or skip the step", lost(step)),
                        }
                    } else {
                        self.taken.insert((false, step, visit, attempt));
                        Event::Again { step }
                    }
                }
                Action::Undo { index, .. } => {
                    let done = &self.machine.state.done[index];
                    if done.once || is_once(&self.inner, &self.machine.plan, done.step, true) {
                        let of = &self.machine.plan.steps[done.step].id;
                        let why = format!(
                            "the process that undid '{of}' has ended, and it is not known whether the call was made"
                        );
                        Event::UndoLost { index, why }
                    } else {
                        Event::UndoAgain { index }
                    }
                }
                Action::Await { step, visit, attempt } => {
                    Event::CallLost { step, visit, attempt, why: lost(step) }
                }
                Action::Child { .. } | Action::AwaitRun { .. } => continue,
            };
            step(&self.inner, &mut self.machine, event, 0.0, false);
        }
    }

    /// Goes on as far as it goes without waiting long. Errors: those of the store; the journal has what happened.
    pub(crate) fn go(mut self) -> Result<()> {
        let gone = self.go_on();
        self.inner.listen(self.run.id(), None);
        // Whatever is still being done here is not this run's any more.
        self.working.values().for_each(Doing::end);
        if gone.is_ok() && self.machine.noted.is_empty() {
            let machine = Machine::new(Arc::clone(&self.machine.plan), "");
            self.inner.keep(std::mem::replace(&mut self.machine, machine));
        }
        let let_go = self.run.finish();
        self.inner.moved();
        gone.and(let_go)
    }

    fn go_on(&mut self) -> Result<()> {
        self.take_over();
        loop {
            self.hear()?;
            self.step(Event::Time);
            self.write()?;
            if let Some(left) = self.left.take() {
                return Err(left);
            }
            if self.machine.state.ended.is_some() {
                return Ok(());
            }
            // What came of other runs, or of starting them, is heard and written before anything else.
            if self.look_after()? {
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
            let Told::Done(key, result, time) = told else { continue };
            self.working.remove(&key);
            match &result {
                // Nothing is known to have failed: whoever goes on with the run makes the call again, or asks about it.
                Err((code, message)) if code == Code::StaleWrite.as_str() => {
                    // Nor is it known whether it was made.
                    self.taken.insert(key);
                    self.left = Some(Error::new(Code::StaleWrite, message.clone()));
                }
                _ => self.ended.push((key, result, time)),
            }
        }
        Ok(())
    }

    /// Writes what happened. Letters that came meanwhile are heard first.
    fn write(&mut self) -> Result<()> {
        loop {
            // What is over for the run is told to end before that is written: whoever sees it there sees nothing begin.
            self.stop_what_ended();
            if self.machine.noted.is_empty() && self.machine.status().as_str() == self.status {
                return Ok(());
            }
            if commit(&self.inner, &self.run, &mut self.machine, Wake::Keep)? {
                self.machine.status().as_str().clone_into(&mut self.status);
                self.inner.moved();
                return Ok(());
            }
            self.hear()?;
        }
    }

    /// Says when somebody has to look again; whether nothing came in between.
    fn rest(&mut self) -> Result<bool> {
        let other = |action: &Action| matches!(action, Action::Child { .. } | Action::AwaitRun { .. });
        let waits = self.machine.actions().iter().any(other);
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
                Action::Child { .. } | Action::Await { .. } | Action::AwaitRun { .. } => continue,
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
        let gate = Arc::new(AtomicU8::new(FRESH));
        self.working.insert(key, Doing { cancel: context.cancel.clone(), gate: Arc::clone(&gate) });
        self.taken.remove(&key);
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
            gate,
        };
        let clock = Arc::clone(&self.inner.clock);
        let results = self.results.0.clone();
        let spawned = std::thread::Builder::new().name("quorate-step".to_owned()).spawn(move || {
            let done = job.run();
            // Whoever asked may not wait any more.
            let _ = results.send(Told::Done(key, done, clock.now()));
        });
        if let Err(error) = spawned {
            let failed = Err((Code::Io.as_str().to_owned(), format!("no thread could be started: {error}")));
            let _ = self.results.0.send(Told::Done(key, failed, self.inner.clock.now()));
        }
    }

    /// Ends the work of steps that are over for the run; of those whose end is waited for, it is.
    fn stop_what_ended(&mut self) {
        loop {
            let mut due: HashSet<Key> = HashSet::new();
            let mut awaited: Vec<Key> = Vec::new();
            for action in self.machine.actions() {
                match action {
                    Action::Perform { step, visit, attempt } => {
                        due.insert((false, step, visit, attempt));
                    }
                    Action::Undo { index, attempt } => {
                        due.insert((true, index, 0, attempt));
                    }
                    Action::Await { step, visit, attempt } => awaited.push((false, step, visit, attempt)),
                    Action::Child { .. } | Action::AwaitRun { .. } => {}
                }
            }
            self.working.retain(|key, doing| {
                if due.contains(key) {
                    return true;
                }
                doing.end();
                awaited.contains(key) && doing.has_begun()
            });
            let ended = |key: &Key| self.ended.iter().any(|(other, _, _)| other == key);
            let gone = awaited.into_iter().find(|key| !self.working.contains_key(key) && !ended(key));
            let Some(key) = gone else { return };
            let (_, place, visit, attempt) = key;
            let event = match self.taken.remove(&key) {
                true => Event::CallLost {
                    step: place,
                    visit,
                    attempt,
                    why: "the process that made the call has ended, and it is not known whether it was made"
                        .to_owned(),
                },
                false => Event::NotCalled { step: place, visit, attempt },
            };
            let begins = !self.inner.is_draining();
            step(&self.inner, &mut self.machine, event, 0.0, begins);
        }
    }
}

/// When a letter was posted, by the clock of the engine that has posted it.
pub(crate) fn time_of(letter: &Letter) -> f64 {
    letter.data.get("at").and_then(Value::as_f64).unwrap_or(letter.time)
}

/// A number from 0 to 1, each time another.
fn chance() -> f64 {
    // The keys of a hasher are drawn by the system.
    let drawn = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0u8);
    (drawn >> 11) as f64 / (1u64 << 53) as f64
}

/// Takes in an event that happened at `when`, at the engine's time and with its chance.
pub(crate) fn step(inner: &Inner, machine: &mut Machine, event: Event<'_>, when: f64, begins: bool) {
    let mut draw = chance;
    let plan = Arc::clone(&machine.plan);
    let once = |step: usize, undo: bool| is_once(inner, &plan, step, undo);
    let mut at = Moment { now: inner.clock.now(), when, draw: &mut draw, begins, once: &once };
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
    // Other runs are told in the same transaction: those that this one does not wait for any more, and the one that waits for it.
    let at = inner.clock.now();
    let mut words: Vec<(String, &str, Value, String)> = machine
        .left
        .iter()
        .map(|(child, compensate)| {
            let reason = format!("run '{}' does not wait for it any more", machine.run_id);
            let data = json!({"reason": reason, "compensate": compensate, "at": at});
            (child.clone(), "cancel", data, "parent".to_owned())
        })
        .collect();
    for (fact, time) in &machine.noted {
        if let (Fact::Ended(outcome), Some((parent, step, visit))) = (fact, &machine.state.spec.parent) {
            let data = json!({
                "step": step, "visit": visit, "status": outcome.status().as_str(), "run": machine.run_id,
                "outcome": outcome, "at": time,
            });
            words.push((parent.clone(), "child", data, format!("child/{}", machine.run_id)));
        }
    }
    let posts: Vec<Post<'_>> =
        words.iter().map(|(run, kind, data, name)| Post { run, kind, data, name: Some(name) }).collect();
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
        starts: &[],
        posts: &posts,
    };
    let written = run.advance(&step)?;
    if written {
        machine.noted.clear();
        machine.left.clear();
        machine.listed = open;
        for (told, ..) in &words {
            inner.nudge(told);
        }
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
