//! What may a node do beside writing to channels?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::{Cancel, Code, Error, Result, shorten};
use quorate_runtime::HostContext;
use quorate_state::{Guard, NewWrite, NewWrites, PendingWrite};
use serde_json::{Value, json};

use super::outcome::{Event, Failure, Mode, Review};
use super::run::Run;

/// The channels of the writes that stand beside a checkpoint.
const STEP: &str = "step:";
const ASK: &str = "ask:";
const ANSWER: &str = "answer:";
const RESULT: &str = "result";
const ERROR: &str = "error";
/// What stands in the place of a result or an error that counts no more.
const VOID: &str = "void";
/// The places of what is replaced.
const ERROR_AT: i64 = -1;
const RESULT_AT: i64 = -2;

/// The longest name of a step, in bytes: with what stands before it, it is kept as the name of a channel.
const MAX_STEP_BYTES: usize = 500;

/// Nothing panics while it holds a lock here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a task stands, so that what belongs to it is found again.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) namespace: Arc<str>,
    pub(crate) checkpoint: Arc<str>,
    pub(crate) task: Arc<str>,
    pub(crate) node: Arc<str>,
    pub(crate) step: u64,
}

impl Spot {
    /// The id of the task's question with this number. It says nothing of the thread, so that a fork asks the same.
    fn review(&self, number: usize) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [&*self.namespace, &*self.checkpoint, &*self.task, &number.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// What tells the task from every other one of every thread.
    fn place(&self, thread: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [thread, &*self.namespace, &*self.checkpoint, &*self.task] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// What is known of a task: what it has done before it was stopped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    steps: HashMap<String, Arc<Value>>,
    asked: BTreeMap<usize, Arc<Value>>,
    answers: BTreeMap<usize, Arc<Value>>,
    pub(crate) result: Option<Arc<Value>>,
    pub(crate) error: Option<Arc<Value>>,
    /// Where its next write stands.
    next: i64,
    /// What is not stored yet.
    unsaved: Vec<NewWrite>,
}

impl Memo {
    /// Takes in a write that stands beside the checkpoint.
    pub(crate) fn add(&mut self, write: &PendingWrite) {
        self.next = self.next.max(write.index + 1);
        self.learn(&write.channel, Arc::clone(&write.value));
    }

    fn learn(&mut self, channel: &str, value: Arc<Value>) {
        let number = |text: &str| text.parse().ok();
        if let Some(name) = channel.strip_prefix(STEP) {
            // What was there first stays, as in the store.
            self.steps.entry(name.to_owned()).or_insert(value);
        } else if let Some(number) = channel.strip_prefix(ASK).and_then(number) {
            self.asked.entry(number).or_insert(value);
        } else if let Some(number) = channel.strip_prefix(ANSWER).and_then(number) {
            self.answers.entry(number).or_insert(value);
        } else if channel == RESULT {
            self.result = Some(value);
        } else if channel == ERROR {
            self.error = Some(value);
        }
    }

    /// Adds a write that is to be stored.
    fn write(&mut self, channel: String, value: Arc<Value>) {
        self.learn(&channel, Arc::clone(&value));
        self.unsaved.push(NewWrite { index: self.next, channel, value });
        self.next += 1;
    }

    /// Whether the task has asked somebody.
    pub(crate) fn has_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The questions that have no answer.
    pub(crate) fn open(&self, spot: &Spot) -> Vec<Review> {
        let open = self.asked.iter().filter(|(number, _)| !self.answers.contains_key(number));
        let review = |(number, question): (&usize, &Arc<Value>)| Review {
            id: spot.review(*number),
            node: spot.node.to_string(),
            namespace: spot.namespace.to_string(),
            task: spot.task.to_string(),
            question: (**question).clone(),
        };
        open.map(review).collect()
    }

    /// Takes in those of the answers that are for this task; whether there are any.
    pub(crate) fn answer(&mut self, spot: &Spot, answers: &HashMap<String, Value>) -> bool {
        let open: Vec<usize> =
            self.asked.keys().copied().filter(|number| !self.answers.contains_key(number)).collect();
        let mut any = false;
        for number in open {
            if let Some(answer) = answers.get(&spot.review(number)) {
                self.write(format!("{ANSWER}{number}"), Arc::new(answer.clone()));
                any = true;
            }
        }
        any
    }

    fn conclude(&mut self, at: i64, channel: &str, value: Value) {
        // What stands at such a place is replaced: the last one counts.
        self.unsaved.retain(|write| write.index != at);
        self.unsaved.push(NewWrite { index: at, channel: channel.to_owned(), value: Arc::new(value) });
    }

    /// Says that the task has ended, with this; to be stored with [`Memo::save`].
    pub(crate) fn end(&mut self, result: Value) {
        self.conclude(RESULT_AT, RESULT, result);
    }

    /// Says that the task has failed; likewise.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.conclude(ERROR_AT, ERROR, json!(failure));
    }

    /// Says that the task is begun again; whether it had failed before.
    pub(crate) fn begin_again(&mut self) -> bool {
        let failed = self.error.take().is_some();
        if failed {
            self.conclude(ERROR_AT, VOID, Value::Null);
        }
        failed
    }

    /// Says that the task has ended, and that it counts no more: it is done again. Its steps stay done.
    pub(crate) fn take_back(&mut self, failure: &Failure) {
        self.result = None;
        self.conclude(RESULT_AT, VOID, Value::Null);
        self.fail(failure);
    }

    /// Stores what is not stored yet. Errors: `stale_write` when somebody else goes on with the thread; those of the store.
    pub(crate) fn save(&mut self, run: &Run, spot: &Spot) -> Result<()> {
        self.save_as(run, spot, false)
    }

    /// The same, claiming the thread anew with it: whoever has looked at the thread before does not get it any more. Only
    /// while nothing else of the run writes.
    pub(crate) fn save_claiming(&mut self, run: &Run, spot: &Spot) -> Result<()> {
        self.save_as(run, spot, true)
    }

    fn save_as(&mut self, run: &Run, spot: &Spot, claim: bool) -> Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let new = NewWrites {
            thread: &run.thread,
            namespace: &spot.namespace,
            checkpoint: &spot.checkpoint,
            task: &spot.task,
            path: "",
            writes: self.unsaved.clone(),
            guard: Guard::Fence(run.fence()),
            claim,
            durable: run.durable(),
        };
        run.heard(run.checkpoints.put_writes(&new))?;
        if claim {
            run.fence.fetch_add(1, Ordering::AcqRel);
        }
        self.unsaved.clear();
        Ok(())
    }
}

/// What a node may do beside writing to channels. A clone is the same, so that a node may give it to threads of its own.
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) run: Arc<Run>,
    pub(crate) spot: Spot,
    pub(crate) memo: Arc<Mutex<Memo>>,
    pub(crate) attempt: u32,
    pub(crate) stop: Cancel,
    /// The attempt counts no more: it has ended, or took too long.
    pub(crate) closed: AtomicBool,
    asked: AtomicUsize,
    /// Steps that are being done.
    busy: Mutex<HashSet<String>>,
    pub(crate) waits: AtomicBool,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("spot", &self.0.spot).finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn new(
        run: &Arc<Run>,
        spot: &Spot,
        memo: &Arc<Mutex<Memo>>,
        attempt: u32,
        stop: Cancel,
    ) -> Context {
        Context(Arc::new(Inner {
            run: Arc::clone(run),
            spot: spot.clone(),
            memo: Arc::clone(memo),
            attempt,
            stop,
            closed: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            busy: Mutex::default(),
            waits: AtomicBool::new(false),
        }))
    }

    /// Does `f` once, and gives what it gave whenever the node comes here again: after a question was answered, in another
    /// try, in another process. `name` is unique in the node. What `f` does outside may happen twice only where the process
    /// is killed between its end and the moment that its result is stored.
    ///
    /// Errors: those of `f`, which is then done again; `invalid_argument` when the step is being done by another thread;
    /// `too_large` when its name has over 500 bytes; `stale_write`, `cancelled` and those of the store.
    pub fn step(&self, name: &str, f: impl FnOnce() -> Result<Value>) -> Result<Value> {
        let inner = &self.0;
        let known = || lock(&inner.memo).steps.get(name).map(|value| (**value).clone());
        if let Some(value) = known() {
            return Ok(value);
        }
        if name.len() > MAX_STEP_BYTES {
            // It is said before anything is done: what cannot be kept would be done again.
            let (given, name) = (name.len(), shorten(name).escape_debug().to_string());
            return Err(Error::new(
                Code::TooLarge,
                format!("the name of the step '{name}' has {given} bytes; give at most {MAX_STEP_BYTES}"),
            ));
        }
        self.go_on()?;
        // Each try has its own: what is still going on in one that took too long counts no more.
        if !lock(&inner.busy).insert(name.to_owned()) {
            let name = shorten(name).escape_debug().to_string();
            return Err(Error::invalid(format!(
                "the step '{name}' is being done; give each step a name of its own"
            )));
        }
        let _done = Busy(inner, name);
        // Another thread of the node may have come to its end with it since the first look.
        if let Some(value) = known() {
            return Ok(value);
        }
        let value = f()?;
        let mut memo = lock(&inner.memo);
        inner.check_open()?;
        memo.write(format!("{STEP}{name}"), Arc::new(value.clone()));
        if !inner.run.lazy() {
            memo.save(&inner.run, &inner.spot)?;
        }
        Ok(value)
    }

    /// Asks somebody, and gives the answer. While there is none, this is an error that the node lets pass: the run ends with
    /// the status `waiting`, and the node begins again when there is an answer. The questions of a node are known by their
    /// order.
    pub fn ask(&self, question: Value) -> Result<Value> {
        let inner = &self.0;
        if !inner.run.keeps {
            return Err(Error::invalid("a run without a thread cannot wait for an answer; give it a thread"));
        }
        let number = inner.asked.fetch_add(1, Ordering::AcqRel);
        let mut memo = lock(&inner.memo);
        if let Some(answer) = memo.answers.get(&number) {
            return Ok((**answer).clone());
        }
        inner.check_open()?;
        if !memo.asked.contains_key(&number) {
            memo.write(format!("{ASK}{number}"), Arc::new(question));
        }
        inner.waits.store(true, Ordering::Release);
        Err(Error::new(
            Code::ApprovalRequired,
            format!(
                "the run waits for the answer to the review '{}'; let this error pass, and resume the thread with it",
                inner.spot.review(number)
            ),
        ))
    }

    /// Tells something to whoever streams the run, and waits where its reader is slow.
    pub fn emit(&self, data: Value) {
        self.say(data, true);
    }

    /// The same without waiting, however much there is to be read: for a node on the thread that the reader reads on.
    pub fn emit_at_once(&self, data: Value) {
        self.say(data, false);
    }

    fn say(&self, data: Value, waits: bool) {
        let spot = &self.0.spot;
        self.0.run.tell_as(Mode::Custom, waits, || Event {
            mode: Mode::Custom,
            namespace: spot.namespace.to_string(),
            step: spot.step,
            node: Some(spot.node.to_string()),
            task: Some(spot.task.to_string()),
            data,
        });
    }

    /// Whether the run was cancelled or stopped, somebody else goes on with the thread, or this try took too long. Other
    /// processes are heard at most 20 ms late.
    pub fn cancelled(&self) -> bool {
        self.0.stop.is_cancelled() || self.0.run.is_lost()
    }

    /// What is raised when the run is stopped or this try took too long: for work that can be told to stop. That somebody else
    /// goes on with the thread is said by [`Context::cancelled`] alone.
    pub fn stop(&self) -> &Cancel {
        &self.0.stop
    }

    /// What the run was given for its nodes: [`RunOptions::host`](super::RunOptions::host).
    pub fn host(&self) -> Option<&HostContext> {
        self.0.run.options.host.as_ref()
    }

    /// The run: the same until the thread is run with another input.
    pub fn run_id(&self) -> &str {
        &self.0.run.id
    }

    /// The thread.
    pub fn thread(&self) -> &str {
        &self.0.run.thread
    }

    /// What tells this task from every other one: the same in every try of it.
    pub(crate) fn place(&self) -> String {
        self.0.spot.place(&self.0.run.thread)
    }

    /// The number of this try, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    fn go_on(&self) -> Result<()> {
        self.0.check_open()?;
        self.0.stop.check()?;
        self.0.run.check()
    }
}

impl Inner {
    /// Errors: `timeout` when the try counts no more.
    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                Code::Timeout,
                "this try of the node has ended or took too long, and what it does counts no more",
            ));
        }
        Ok(())
    }

    /// Nothing that the try does counts any more. Whoever is storing something of it comes to an end first.
    pub(crate) fn close(&self) {
        let _memo = lock(&self.memo);
        self.closed.store(true, Ordering::Release);
    }
}

/// A step that is being done.
struct Busy<'a>(&'a Inner, &'a str);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.0.busy).remove(self.1);
    }
}
