//! How does a run become a flow of events?

use quorate_core::Result;
use quorate_runtime::{Event, Question, Resume, RunStream, Runtime};
use serde_json::Value;

use super::answer::{event, failed};
use crate::{Feed, Flow, Host};

/// The most events that are taken out of the stream at once.
const BATCH: usize = 256;

/// What begins.
pub enum Run {
    /// A question is asked.
    Ask(Box<Question>),
    /// A run goes on.
    Resume(String, Box<Resume>),
}

/// What gives a runtime, on the thread that reads the stream.
type Open = Box<dyn FnOnce() -> Result<Runtime> + Send>;

/// The events of a run, which begins when somebody looks for the first.
pub fn flow(host: Host, runtime: &Runtime, run: Run) -> Flow {
    let runtime = runtime.clone();
    flow_when(host, move || Ok(runtime), run)
}

/// The same of a runtime that `open` gives then, which may wait. Its error is the only event.
pub fn flow_when(host: Host, open: impl FnOnce() -> Result<Runtime> + Send + 'static, run: Run) -> Flow {
    let cancel = match &run {
        Run::Ask(question) => question.cancel.clone(),
        Run::Resume(_, going_on) => going_on.cancel.clone(),
    };
    let feed = RunFeed { host, next: Some((Box::new(open), run)), stream: None, said: String::new() };
    Flow::new(Box::new(feed), cancel, failed)
}

struct RunFeed {
    host: Host,
    next: Option<(Open, Run)>,
    stream: Option<RunStream>,
    /// What the answer that comes has said so far.
    said: String,
}

impl RunFeed {
    fn stream(&mut self) -> Result<Option<&mut RunStream>> {
        if let Some((open, run)) = self.next.take() {
            let runtime = open()?;
            self.stream = Some(match run {
                Run::Ask(question) => runtime.stream(*question)?,
                Run::Resume(id, going_on) => runtime.stream_resumed(&id, *going_on)?,
            });
        }
        Ok(self.stream.as_mut())
    }
}

impl Feed for RunFeed {
    fn next(&mut self) -> (Vec<Value>, bool) {
        let host = self.host;
        match self.stream() {
            Err(error) => (vec![failed(&error)], true),
            Ok(None) => (Vec::new(), true),
            Ok(Some(stream)) => {
                let events = stream.next_events(BATCH);
                let last = events.last().is_none_or(Event::is_last);
                let events = events.iter().map(|one| told(host, one, &mut self.said)).collect();
                (events, last)
            }
        }
    }
}

/// An event; how much of the text holds after a retry is in the host's units.
fn told(host: Host, one: &Event, said: &mut String) -> Value {
    let mut out = event(host, one);
    match one.kind.as_str() {
        "step_start" => said.clear(),
        "text" => said.push_str(one.data.get("delta").and_then(Value::as_str).unwrap_or_default()),
        "retry" => {
            let keep = one.data.get("keep").and_then(Value::as_u64).unwrap_or_default();
            said.truncate(said.floor_char_boundary(usize::try_from(keep).unwrap_or(usize::MAX)));
            out["keep"] = host.length(said).into();
        }
        _ => {}
    }
    out
}
