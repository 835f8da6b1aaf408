//! How is what happens in a run told while it goes on?

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result, spare};

use super::context::lock;
use super::options::RunOptions;
use super::outcome::{Event, Mode, Outcome};
use super::run::Sink;
use super::task::caught;

/// So many events may wait to be read; then the run waits.
const CAPACITY: usize = 256;
/// How often a run that waits for its reader looks whether it is to stop.
const NAP: Duration = Duration::from_millis(10);

/// The events of a run, as they happen; then, by [`Stream::outcome`], what came of it.
///
/// Where 256 events wait to be read, the run waits for its reader. Dropping the stream stops the run before its next task,
/// and the thread can be resumed. Once the run was stopped, events that find no room are left out.
#[derive(Debug)]
pub struct Stream {
    pipe: Arc<Pipe>,
    outcome: Arc<Mutex<Option<Result<Outcome>>>>,
    stop: Cancel,
    failed: bool,
}

/// What lies between a run and its reader.
#[derive(Debug, Default)]
struct Pipe {
    inside: Mutex<Inside>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    events: VecDeque<Event>,
    /// Nothing more comes.
    ended: bool,
    /// Nobody reads any more.
    left: bool,
}

impl Pipe {
    /// Takes an event; `waits`: not before there is room for it.
    fn tell(&self, event: Event, waits: bool, stop: &Cancel) {
        let mut inside = lock(&self.inside);
        while waits && inside.events.len() >= CAPACITY && !inside.left && !stop.is_cancelled() {
            let waited = self.emptied.wait_timeout(inside, NAP);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let room = inside.events.len() < CAPACITY || (!waits && !stop.is_cancelled());
        if room && !inside.left && !inside.ended {
            inside.events.push_back(event);
            self.filled.notify_one();
        }
    }

    fn end(&self) {
        lock(&self.inside).ended = true;
        self.filled.notify_all();
    }

    fn leave(&self) {
        let mut inside = lock(&self.inside);
        inside.left = true;
        inside.events.clear();
        self.emptied.notify_all();
    }

    /// The next event; none after the last one.
    fn read(&self) -> Option<Event> {
        let mut inside = lock(&self.inside);
        loop {
            if let Some(event) = inside.events.pop_front() {
                self.emptied.notify_one();
                return Some(event);
            }
            if inside.ended {
                return None;
            }
            inside = self.filled.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Stream {
    pub(crate) fn start(
        modes: &[Mode],
        options: &RunOptions,
        run: impl FnOnce(Cancel, Sink) -> Result<Outcome> + Send + 'static,
    ) -> Result<Stream> {
        let (pipe, outcome) = (Arc::new(Pipe::default()), Arc::new(Mutex::new(None)));
        let stop = options.stop.child();
        let tell = {
            let (pipe, stop) = (Arc::clone(&pipe), stop.clone());
            move |event, waits| pipe.tell(event, waits, &stop)
        };
        let sink = Sink { modes: modes.to_vec(), tell: Arc::new(tell) };
        let (inside, told, end) = (stop.clone(), Arc::clone(&outcome), Arc::clone(&pipe));
        spare::run(move || {
            let result = caught(|| run(inside, sink));
            *lock(&told) = Some(result);
            end.end();
        })?;
        Ok(Stream { pipe, outcome, stop, failed: false })
    }

    /// Reads what is left of the events, and gives what came of the run. Errors: those of [`App::run`](super::App::run).
    pub fn outcome(self) -> Result<Outcome> {
        while self.pipe.read().is_some() {}
        if self.failed {
            return Err(Error::new(Code::Closed, "the error of the run was given as the last event"));
        }
        lock(&self.outcome)
            .take()
            .unwrap_or_else(|| Err(Error::new(Code::Internal, "a run ended without a result")))
    }
}

impl Iterator for Stream {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if let Some(event) = self.pipe.read() {
            return Some(Ok(event));
        }
        let mut outcome = lock(&self.outcome);
        match outcome.take() {
            Some(Err(error)) if !self.failed => {
                self.failed = true;
                Some(Err(error))
            }
            other => {
                *outcome = other;
                None
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.cancel();
        self.pipe.leave();
    }
}
