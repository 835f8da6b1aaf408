//! Who works messages off, and how do they stop?

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result, forks};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::Retry;
use super::place::{Lease, Line, said};
use super::shelf::Row;
use crate::span;

/// The most threads of one pool.
const MAX_THREADS: usize = 256;
/// Of how many parts of a lease one passes before it is renewed.
const RENEWALS: f64 = 3.0;
/// How long a worker whose store is out of order waits, in polls.
const SULK: u32 = 10;

/// How messages are worked off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkOptions {
    /// How many threads work.
    pub threads: usize,
    /// How often a thread that has nothing to do looks again, in seconds.
    #[serde(with = "span::required")]
    pub poll: f64,
    /// What becomes of a message that the handler failed at; none: what the queue's options say. A worker that crashes
    /// cannot say anything: then the queue's options hold.
    pub retry: Option<Retry>,
}

impl Default for WorkOptions {
    fn default() -> Self {
        WorkOptions { threads: 1, poll: 0.05, retry: None }
    }
}

impl WorkOptions {
    /// Errors: `invalid_argument`, `not_finite`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_THREADS).contains(&self.threads) {
            return Err(Error::invalid(format!("{} threads; give 1 to {MAX_THREADS}", self.threads)));
        }
        if !(0.001..=3_600.0).contains(&self.poll) {
            return Err(Error::invalid(format!("a poll every {} s; give 1 ms to one hour", self.poll)));
        }
        self.retry.map_or(Ok(()), |retry| retry.validate())
    }
}

pub(crate) type Handle = Arc<dyn Fn(&Row, Value, &Cancel) -> Result<()> + Send + Sync>;

/// Threads that work a queue off. When it is dropped, they are told to stop, and end by themselves.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The process that they are threads of.
    process: u64,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

struct Shared {
    line: Line,
    handle: Handle,
    options: WorkOptions,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Nobody takes anything more.
    closing: bool,
    /// What is worked at is to stop.
    stopping: bool,
    /// How many threads still work.
    alive: usize,
    /// What is worked at, by number and lease: who lost a message may still be at it while another thread has it.
    held: BTreeMap<(u64, u64), (Lease, Cancel)>,
    error: Option<(Code, String)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless there is something to hear before.
    fn wait(&self, time: Duration, done: impl Fn(&State) -> bool) {
        let end = Instant::now() + time;
        let mut state = self.lock();
        while !done(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn note(&self, error: &Error) {
        self.lock().error = Some((error.code(), error.message().to_owned()));
    }

    fn work(&self) {
        let poll = Duration::from_secs_f64(self.options.poll);
        while !self.lock().closing {
            match self.line.take(1) {
                Ok(taken) if taken.is_empty() => self.wait(poll, |state| state.closing),
                Ok(taken) => {
                    for (row, value) in taken {
                        self.settle(&row, value);
                    }
                }
                Err(error) => {
                    self.note(&error);
                    // What is damaged is put aside already.
                    if error.code() != Code::Corrupt {
                        self.wait(poll * SULK, |state| state.closing);
                    }
                    if error.code() == Code::UnknownId {
                        return;
                    }
                }
            }
        }
    }

    /// Has a message worked off, and says what came of it.
    fn settle(&self, row: &Row, value: Value) {
        let lease = Lease { number: row.number, fence: row.fence };
        let cancel = Cancel::new();
        {
            let mut state = self.lock();
            state.held.insert((row.number, row.fence), (lease, cancel.clone()));
            if state.stopping {
                cancel.cancel();
            }
        }
        let made = catch_unwind(AssertUnwindSafe(|| (self.handle)(row, value, &cancel)));
        self.lock().held.remove(&(row.number, row.fence));
        let failed = match made {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(said(&error)),
            Err(panic) => {
                let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
                let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Some(format!("the handler panicked: {said}"))
            }
        };
        let settled = match failed {
            None => self.line.ack(lease),
            Some(why) => {
                let retry = self.options.retry;
                let delay = retry.map(|retry| retry.pause(row.attempts));
                let last = retry.map(|retry| row.attempts >= retry.max_attempts);
                self.line.nack(lease, delay, Some(&why), last).map(drop)
            }
        };
        if let Err(error) = settled {
            self.note(&error);
        }
    }

    /// Renews what is worked at, until nobody works any more.
    fn renew(&self) {
        loop {
            let lease = self.line.look(|shelf| Ok(shelf.queue()?.options.lease)).unwrap_or(RENEWALS);
            let pause = Duration::from_secs_f64((lease / RENEWALS).clamp(0.002, 3_600.0));
            self.wait(pause, |state| state.alive == 0);
            let held: Vec<(Lease, Cancel)> = {
                let state = self.lock();
                if state.alive == 0 {
                    return;
                }
                state.held.values().cloned().collect()
            };
            for (lease, cancel) in held {
                match self.line.renew(lease) {
                    Ok(_) => {}
                    // It may have been settled meanwhile; then nobody hears this.
                    Err(error) if matches!(error.code(), Code::StaleWrite | Code::UnknownId) => {
                        cancel.cancel()
                    }
                    Err(error) => self.note(&error),
                }
            }
        }
    }

    fn close(&self, cancel: bool) {
        let mut state = self.lock();
        state.closing = true;
        if cancel {
            state.stopping = true;
            state.held.values().for_each(|(_, cancel)| cancel.cancel());
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Counts a thread while it works, however it ends.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.lock().alive -= 1;
        self.0.changed.notify_all();
    }
}

pub(crate) fn start(line: &Line, handle: Handle, options: &WorkOptions) -> Result<Workers> {
    options.validate()?;
    let shared = Arc::new(Shared {
        line: line.clone(),
        handle,
        options: options.clone(),
        state: Mutex::new(State { alive: options.threads, ..State::default() }),
        changed: Condvar::new(),
    });
    let mut workers = Workers { shared: Arc::clone(&shared), threads: Vec::new(), process: forks() };
    for i in 0..=options.threads {
        let inside = Arc::clone(&shared);
        let work = move || {
            if i == 0 {
                inside.renew();
            } else {
                let alive = Alive(inside);
                alive.0.work();
            }
        };
        let spawned = std::thread::Builder::new().name("quorate-queue".to_owned()).spawn(work);
        match spawned {
            Ok(thread) => workers.threads.push(thread),
            Err(error) => {
                // Those that are there stop; those that are not are not waited for.
                shared.lock().alive -= options.threads + 1 - i.max(1);
                shared.close(true);
                return Err(Error::with_source(Code::Io, format!("no thread can be made: {error}"), error));
            }
        }
    }
    Ok(workers)
}

impl Workers {
    /// Takes nothing more, and waits until what is being worked at is settled, at most so many seconds (none: as long as it
    /// takes); whether it is.
    pub fn drain(&self, timeout: Option<f64>) -> bool {
        self.end(false, timeout)
    }

    /// The same, and tells the handlers to stop: their [`Cancel`] is cancelled.
    pub fn stop(&self, timeout: Option<f64>) -> bool {
        self.end(true, timeout)
    }

    fn end(&self, cancel: bool, timeout: Option<f64>) -> bool {
        if self.process != forks() {
            return true;
        }
        self.shared.close(cancel);
        let longest = Duration::from_secs(86_400 * 365);
        let time = timeout.map_or(longest, |seconds| {
            Duration::try_from_secs_f64(seconds.max(0.0)).map_or(longest, |time| time.min(longest))
        });
        self.shared.wait(time, |state| state.alive == 0);
        self.shared.lock().alive == 0
    }

    /// Waits for so long until all threads have ended, of themselves or since they were told to; whether they have.
    pub fn ended(&self, time: Duration) -> bool {
        if self.process != forks() {
            return true;
        }
        self.shared.wait(time, |state| state.alive == 0);
        self.shared.lock().alive == 0
    }

    /// How many messages are being worked at.
    pub fn working(&self) -> usize {
        if self.process == forks() { self.shared.lock().held.len() } else { 0 }
    }

    /// What went wrong last with the store, rather than with a message: its code and message.
    pub fn error(&self) -> Option<Error> {
        if self.process != forks() {
            return None;
        }
        self.shared.lock().error.clone().map(|(code, message)| Error::new(code, message))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // In the child of a fork there are no such threads, and one of them may have had the lock.
        if self.process == forks() {
            self.shared.close(true);
        }
    }
}
