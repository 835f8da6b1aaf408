//! How is what happens in a run told while it goes on?

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use quorate_core::{Cancel, Code, Error, Result, spare};

use super::context::lock;
use super::options::RunOptions;
use super::outcome::{Event, Mode, Outcome};
use super::run::Sink;
use super::task::caught;

/// The events of a run, as they happen; then, by [`Stream::outcome`], what came of it.
///
/// Dropping it stops the run before its next task, and the thread can be resumed.
#[derive(Debug)]
pub struct Stream {
    events: Receiver<Event>,
    outcome: Arc<Mutex<Option<Result<Outcome>>>>,
    stop: Cancel,
    failed: bool,
}

impl Stream {
    pub(crate) fn start(
        modes: &[Mode],
        options: &RunOptions,
        run: impl FnOnce(Cancel, Sink) -> Result<Outcome> + Send + 'static,
    ) -> Result<Stream> {
        let (sender, events) = channel();
        let stop = options.stop.child();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let open = Arc::clone(&sender);
        let tell = move |event| {
            if let Some(sender) = &*lock(&open) {
                // Where nobody listens any more the run is stopped.
                drop(sender.send(event));
            }
        };
        let sink = Sink { modes: modes.to_vec(), tell: Arc::new(tell) };
        let outcome = Arc::new(Mutex::new(None));
        let (inside, told) = (stop.clone(), Arc::clone(&outcome));
        spare::run(move || {
            let result = caught(|| run(inside, sink));
            *lock(&told) = Some(result);
            // The stream ends here, also where somebody has kept the context of a node.
            drop(lock(&sender).take());
        })?;
        Ok(Stream { events, outcome, stop, failed: false })
    }

    /// Reads what is left of the events, and gives what came of the run. Errors: those of [`App::run`](super::App::run).
    pub fn outcome(self) -> Result<Outcome> {
        while self.events.recv().is_ok() {}
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
        if let Ok(event) = self.events.recv() {
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
    }
}
