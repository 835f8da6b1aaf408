//! How is a run watched while it goes on?

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use quorate_core::{Cancel, Code, Error, Result, spare};
use serde_json::{Value, json};

use crate::driver::{Listener, now};
use crate::event::Event;
use crate::panels::{PanelOptions, PanelResume};
use crate::question::{Question, Resume};
use crate::runtime::Runtime;

/// Events that wait one by one for who reads them.
const MOST: usize = 256;

/// The events of a run, as they come; exactly one of `end`, `error`, `waiting` and `cancelled` is the last. Dropping it
/// cancels the run, and no other that has the same flag. The run does not wait for who reads: pieces of text that nobody takes
/// are put together, so that what waits stays small.
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
    inbox: Arc<Inbox>,
    cancel: Cancel,
    ended: bool,
}

/// What was shown and is not read yet.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// The number of the last event, and how many were put into others.
    last: u64,
    merged: u64,
    /// Nothing comes any more, or nobody reads any more.
    closed: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, mut event: Event) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        if waiting.events.len() >= MOST && waiting.events.back_mut().is_some_and(|last| joins(last, &event)) {
            waiting.merged += 1;
            return;
        }
        event.seq = event.seq.saturating_sub(waiting.merged);
        waiting.last = event.seq;
        waiting.events.push_back(event);
        drop(waiting);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Puts a piece behind the piece before it, where both are of the same text.
fn joins(last: &mut Event, next: &Event) -> bool {
    let (text, call) = (matches!(next.kind.as_str(), "text" | "reasoning"), next.kind == "tool_input");
    if last.kind != next.kind || !(text || call && last.data.get("index") == next.data.get("index")) {
        return false;
    }
    match (last.data.get_mut("delta"), next.data.get("delta")) {
        (Some(Value::String(last)), Some(Value::String(next))) => {
            last.push_str(next);
            true
        }
        _ => false,
    }
}

impl Runtime {
    /// Asks an expert, and gives what happens while it answers. Errors: `io` when no thread can be started; all others come
    /// as the last event.
    pub fn stream(&self, mut question: Question) -> Result<RunStream> {
        let (runtime, cancel) = (self.clone(), question.cancel.child());
        question.cancel = cancel.clone();
        RunStream::of(cancel, move |listener| runtime.ask_with(question, Some(listener), None))
    }

    /// Asks a panel, and gives what happens as it happens. Errors: as of [`Runtime::stream`].
    pub fn stream_panel(&self, question: impl Into<String>, options: PanelOptions) -> Result<RunStream> {
        let (runtime, cancel, question) = (self.clone(), options.cancel.child(), question.into());
        let options = PanelOptions { cancel: cancel.clone(), ..options };
        RunStream::of(cancel, move |listener| runtime.panel_with(&question, options, Some(listener)))
    }

    /// Goes on with a panel, and gives what happens from there. Errors: as of [`Runtime::stream`].
    pub fn stream_panel_resumed(&self, run_id: &str, going_on: PanelResume) -> Result<RunStream> {
        let (runtime, cancel, run_id) = (self.clone(), going_on.cancel.child(), run_id.to_owned());
        let going_on = PanelResume { cancel: cancel.clone(), ..going_on };
        RunStream::of(cancel, move |listener| runtime.panel_on(&run_id, going_on, Some(listener)))
    }

    /// Goes on with a run, and gives what happens from there; the events are counted on. Errors: as of [`Runtime::stream`].
    pub fn stream_resumed(&self, run_id: &str, mut going_on: Resume) -> Result<RunStream> {
        let (runtime, cancel, run_id) = (self.clone(), going_on.cancel.child(), run_id.to_owned());
        going_on.cancel = cancel.clone();
        RunStream::of(cancel, move |listener| runtime.go_on(&run_id, going_on, Some(listener), None))
    }
}

impl RunStream {
    pub(crate) fn of<T>(
        cancel: Cancel,
        run: impl FnOnce(Listener) -> Result<T> + Send + 'static,
    ) -> Result<RunStream> {
        let inbox = Arc::<Inbox>::default();
        let shown = Arc::clone(&inbox);
        spare::run(move || {
            let to = Arc::clone(&shown);
            let listener: Listener = Arc::new(move |event: Event| to.put(event));
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(listener)));
            let error = match ran {
                // The run's own last event was sent.
                Ok(Ok(_)) => return shown.close(),
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
            let seq = {
                let waiting = shown.lock();
                waiting.last + waiting.merged + 1
            };
            shown.put(Event { kind, run_id, seq, time: now(), agent: None, round: None, data });
            shown.close();
        })?;
        Ok(RunStream { inbox, cancel, ended: false })
    }

    /// The next event, which waits for it; `None` after the last.
    pub fn next_event(&mut self) -> Option<Event> {
        self.next_events(1).pop()
    }

    /// The next event and all that are there already, at most `most`; empty after the last.
    pub fn next_events(&mut self, most: usize) -> Vec<Event> {
        if self.ended || most == 0 {
            return Vec::new();
        }
        let waits = |waiting: &mut Waiting| waiting.events.is_empty() && !waiting.closed;
        let waiting = self.inbox.changed.wait_while(self.inbox.lock(), waits);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        while events.len() < most && !self.ended {
            let Some(event) = waiting.events.pop_front() else { break };
            self.ended = event.is_last();
            events.push(event);
        }
        self.ended |= events.is_empty();
        events
    }

    /// What cancels the run, from any thread; nobody else has this flag.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for RunStream {
    fn drop(&mut self) {
        {
            let mut waiting = self.inbox.lock();
            waiting.closed = true;
            waiting.events.clear();
        }
        if !self.ended {
            self.cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, seq: u64, data: Value) -> Event {
        let data = data.as_object().cloned().unwrap_or_default();
        Event { kind: kind.into(), run_id: "r".into(), seq, time: 0.0, agent: None, round: None, data }
    }

    #[test]
    fn pieces_that_nobody_takes_are_put_together_and_counted_on() {
        let inbox = Inbox::default();
        for seq in 1..=10_000 {
            inbox.put(event("text", seq, json!({"delta": format!("{seq} ")})));
        }
        inbox.put(event("tool_input", 10_001, json!({"index": 0, "delta": "a"})));
        inbox.put(event("tool_input", 10_002, json!({"index": 0, "delta": "b"})));
        inbox.put(event("tool_input", 10_003, json!({"index": 1, "delta": "c"})));
        inbox.put(event("usage", 10_004, json!({})));
        inbox.put(event("usage", 10_005, json!({})));
        let waiting = inbox.lock();
        assert_eq!(waiting.events.len(), MOST + 4);
        assert!(waiting.events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
        let said: String = waiting.events.iter().filter_map(|one| one.data.get("delta")?.as_str()).collect();
        let all: String = (1..=10_000).map(|seq| format!("{seq} ")).collect();
        assert_eq!(said, format!("{all}abc"));
    }
}
