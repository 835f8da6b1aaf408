//! How does a stream reach a host whose threads must not wait inside of Rust?
//!
//! A thread of the stream's own reads it into a queue, so that a host can look for what is there, wait for a moment
//! between looks at its signals, or be told when to look. What is there is taken all at once: few crossings of the
//! language's border serve many events.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result, forks, spare};
use serde_json::Value;

/// What gives the events of a stream, on the thread that reads it.
pub trait Feed: Send {
    /// The next events, which waits for at least one, and whether the last is among them.
    fn next(&mut self) -> (Vec<Value>, bool);
}

/// The last event of a stream that ends by an error.
pub type Failed = fn(&Error) -> Value;

/// Events that wait for the host; the stream is not read further while there are more.
const MOST: usize = 4096;

/// A stream as a host sees it. Dropping it closes the connection.
pub struct Flow {
    shared: Arc<Shared>,
    cancel: Cancel,
    /// 1 and the count of forks of the process whose thread reads the stream; 0 before it begins.
    reader: AtomicU64,
}

struct Shared {
    failed: Failed,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The stream, until it begins.
    stream: Option<Box<dyn Feed>>,
    queue: Vec<Value>,
    /// No event comes after those in the queue.
    ended: bool,
    /// The host has let go.
    closed: bool,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Flow {
    /// A stream that `cancel` ends. Nothing is asked of `feed` before somebody looks for an event.
    pub fn new(feed: Box<dyn Feed>, cancel: Cancel, failed: Failed) -> Self {
        let state = State { stream: Some(feed), ..State::default() };
        let shared = Arc::new(Shared { failed, state: Mutex::new(state), changed: Condvar::new() });
        Flow { shared, cancel, reader: AtomicU64::new(0) }
    }

    /// The events that are there, without waiting; the first look begins the stream. None when there are none now and
    /// some may come; an empty list after the last. Errors: `io` when no thread can be started.
    pub fn take(&self) -> Result<Option<Vec<Value>>> {
        self.wait(Duration::ZERO)
    }

    /// The same, but waits for at most `limit` for the first.
    pub fn wait(&self, limit: Duration) -> Result<Option<Vec<Value>>> {
        if let Some(orphan) = self.begin()? {
            return Ok(Some(orphan));
        }
        let state = self.shared.lock();
        let waits = |state: &mut State| state.queue.is_empty() && !state.ended && !state.closed;
        let (mut state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, waits)
            .unwrap_or_else(PoisonError::into_inner);
        if waits(&mut state) {
            return Ok(None);
        }
        let events = std::mem::take(&mut state.queue);
        drop(state);
        self.shared.changed.notify_all();
        Ok(Some(events))
    }

    /// Has `wake` called, on a thread of the stream, whenever there may be something to take, once now.
    pub fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        let wake = Arc::new(wake);
        if self.reader.load(Ordering::Acquire) == 0 || self.is_own() {
            self.shared.lock().wake = Some(Arc::<_>::clone(&wake) as Arc<_>);
        }
        wake();
    }

    /// Cancels the stream: its last event says so and has what had come. The connection closes within a tenth of a second.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Lets go of the stream: no event comes any more.
    pub fn close(&self) {
        self.cancel.cancel();
        let begun = self.reader.load(Ordering::Acquire) != 0;
        if begun && !self.is_own() {
            return;
        }
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        let (stream, wake) = (state.stream.take(), state.wake.take());
        drop(state);
        drop(stream);
        self.shared.changed.notify_all();
        // Who waits to be woken learns that nothing comes any more.
        if let Some(wake) = wake {
            wake();
        }
    }

    fn is_own(&self) -> bool {
        self.reader.load(Ordering::Acquire) == forks() + 1
    }

    /// Starts the reader where there is none yet. In a forked child the reader does not exist: the last event then.
    fn begin(&self) -> Result<Option<Vec<Value>>> {
        let own = forks() + 1;
        match self.reader.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            Err(reader) if reader == own => return Ok(None),
            // The lock may be held for ever by a thread that is not there.
            Err(u64::MAX) => return Ok(Some(Vec::new())),
            Err(_) => {
                self.reader.store(u64::MAX, Ordering::Release);
                let error =
                    Error::new(Code::StreamIncomplete, "the stream belongs to the process before the fork");
                return Ok(Some(vec![(self.shared.failed)(&error)]));
            }
        }
        let Some(stream) = self.shared.lock().stream.take() else { return Ok(None) };
        let shared = Arc::clone(&self.shared);
        match spare::run(move || shared.read(stream)) {
            Ok(()) => Ok(None),
            Err(error) => {
                self.shared.lock().ended = true;
                Err(error)
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the stream to its end, or until the host lets go.
    fn read(&self, mut stream: Box<dyn Feed>) {
        loop {
            let (events, last) = catch_unwind(AssertUnwindSafe(|| stream.next())).unwrap_or_else(|_| {
                let error = Error::new(
                    Code::Internal,
                    "a defect of quorate, please report it: a stream has panicked",
                );
                (vec![(self.failed)(&error)], true)
            });
            let mut state = self.lock();
            if state.closed {
                return;
            }
            state.queue.extend(events);
            state.ended = last;
            let wake = state.wake.clone();
            drop(state);
            self.changed.notify_all();
            if let Some(wake) = wake {
                wake();
            }
            if last {
                return;
            }
            let behind = |state: &mut State| state.queue.len() >= MOST && !state.closed;
            drop(self.changed.wait_while(self.lock(), behind).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").finish_non_exhaustive()
    }
}
