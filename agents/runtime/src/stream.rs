//! How is a run watched while it goes on?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use quorate_core::{Cancel, Code, Error, Result, spare};
use serde_json::json;

use crate::driver::{Listener, now};
use crate::event::Event;
use crate::panels::{PanelOptions, PanelResume};
use crate::runtime::{Question, Resume, Runtime};

/// Events that wait for who reads them; the run waits where there are more.
const MOST: usize = 256;

/// The events of a run, as they come; exactly one of `end`, `error`, `waiting` and `cancelled` is the last. Dropping it
/// cancels the run.
///
/// ```
/// use quorate_models::{Model, ScriptedModel};
/// use quorate_runtime::{Question, Runtime, RuntimeOptions};
/// let model = Model::new(ScriptedModel::of_texts(["5 mg daily"]), Default::default())?;
/// let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
/// let mut stream = runtime.stream(Question::new("Which dose?"))?;
/// let mut text = String::new();
/// while let Some(event) = stream.next_event() {
///     if event.kind == "text" {
///         text.push_str(event.data["delta"].as_str().unwrap_or_default());
///     }
/// }
/// assert_eq!(text, "5 mg daily");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct RunStream {
    events: Receiver<Event>,
    cancel: Cancel,
    ended: bool,
}

impl Runtime {
    /// Asks, and gives what happens as it happens. Errors: those of [`Runtime::ask`] that come before the run begins are
    /// its only event too.
    pub fn stream(&self, question: Question) -> Result<RunStream> {
        let (runtime, cancel) = (self.clone(), question.cancel.clone());
        RunStream::of(cancel, move |listener| runtime.ask_with(question, Some(listener), None))
    }

    /// Asks a panel, and gives what happens as it happens. Errors: as of [`Runtime::stream`].
    pub fn stream_panel(&self, question: impl Into<String>, options: PanelOptions) -> Result<RunStream> {
        let (runtime, cancel, question) = (self.clone(), options.cancel.clone(), question.into());
        RunStream::of(cancel, move |listener| runtime.panel_with(&question, options, Some(listener)))
    }

    /// Goes on with a panel, and gives what happens from there. Errors: as of [`Runtime::stream`].
    pub fn stream_panel_resumed(&self, run_id: &str, going_on: PanelResume) -> Result<RunStream> {
        let (runtime, cancel, run_id) = (self.clone(), going_on.cancel.clone(), run_id.to_owned());
        RunStream::of(cancel, move |listener| runtime.panel_on(&run_id, going_on, Some(listener)))
    }

    /// Goes on with a run, and gives what happens from there. Errors: as of [`Runtime::stream`].
    pub fn stream_resumed(&self, run_id: &str, going_on: Resume) -> Result<RunStream> {
        let (runtime, cancel, run_id) = (self.clone(), going_on.cancel.clone(), run_id.to_owned());
        RunStream::of(cancel, move |listener| runtime.go_on(&run_id, going_on, Some(listener), None))
    }
}

impl RunStream {
    pub(crate) fn of<T>(
        cancel: Cancel,
        run: impl FnOnce(Listener) -> Result<T> + Send + 'static,
    ) -> Result<RunStream> {
        let (sender, events) = sync_channel(MOST);
        spare::run(move || {
            let sent = Arc::new(AtomicU64::new(0));
            let (to, seen) = (sender.clone(), Arc::clone(&sent));
            let listener: Listener = Arc::new(move |event: Event| {
                seen.store(event.seq, Ordering::Relaxed);
                // Who does not read any more has cancelled the run.
                let _ = to.send(event);
            });
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(listener)));
            let error = match ran {
                // The run's own last event was sent.
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error,
                Err(_) => {
                    Error::new(Code::Internal, "a defect of quorate, please report it: a run has panicked")
                }
            };
            let data = json!({"code": error.code().as_str(), "message": error.message(), "partial": null});
            let data = data.as_object().cloned().unwrap_or_default();
            let kind = if error.code() == Code::Cancelled { "cancelled" } else { "error" };
            let (kind, run_id) = (kind.to_owned(), String::new());
            // Where the run has told of it itself, nobody reads this one.
            let seq = sent.load(Ordering::Relaxed) + 1;
            let _ = sender.send(Event { kind, run_id, seq, time: now(), agent: None, round: None, data });
        })?;
        Ok(RunStream { events, cancel, ended: false })
    }

    /// The next event, which waits for it; `None` after the last.
    pub fn next_event(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().ok();
        self.ended = event.as_ref().is_none_or(Event::is_last);
        event
    }

    /// The next event and all that are there already, at most `most`; empty after the last.
    pub fn next_events(&mut self, most: usize) -> Vec<Event> {
        let mut events: Vec<Event> = self.next_event().into_iter().collect();
        while !self.ended && !events.is_empty() && events.len() < most {
            match self.events.try_recv() {
                Ok(event) => {
                    self.ended = event.is_last();
                    events.push(event);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        events
    }

    /// What cancels the run, from any thread.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for RunStream {
    fn drop(&mut self) {
        if !self.ended {
            self.cancel.cancel();
        }
    }
}
