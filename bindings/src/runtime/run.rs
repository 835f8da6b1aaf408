//! How does a run become a flow of events?

use quorate_core::{Cancel, Result};
use quorate_runtime::{
    Answer, Event, PanelAnswer, PanelOptions, PanelResume, Question, Resume, RunStream, Runtime, Status,
};
use serde_json::{Value, json};

use super::answer::{answer, event, failed};
use super::panel::{self, GoingOn, going_on};
use crate::{Feed, Flow, Host};

/// The most events that are taken out of the stream at once.
const BATCH: usize = 256;

/// What begins.
pub enum Run {
    /// A question is asked.
    Ask(Box<Question>),
    /// A run of any kind goes on.
    Resume(String, Box<Resume>),
    /// A panel is asked.
    Panel(String, Box<PanelOptions>),
    /// A panel goes on.
    ResumePanel(String, Box<PanelResume>),
}

/// What gives a runtime, on the thread that reads the stream.
type Open = Box<dyn FnOnce() -> Result<Runtime> + Send>;

/// The events of a run, which begins when somebody looks for the first.
pub fn flow(host: Host, runtime: &Runtime, run: Run) -> Flow {
    let runtime = runtime.clone();
    flow_when(host, move || Ok(runtime), run)
}

/// The last event of a run alone, for who waits for its answer.
pub fn whole(host: Host, runtime: &Runtime, mut run: Run) -> Flow {
    let cancel = own(&mut run);
    Flow::new(Box::new(Whole { host, runtime: runtime.clone(), run: Some(run) }), cancel, failed)
}

/// The flag of this run alone, which is raised with its caller's: letting go of a flow ends nothing else.
fn own(run: &mut Run) -> Cancel {
    let cancel = match run {
        Run::Ask(question) => &mut question.cancel,
        Run::Resume(_, going_on) => &mut going_on.cancel,
        Run::Panel(_, options) => &mut options.cancel,
        Run::ResumePanel(_, going_on) => &mut going_on.cancel,
    };
    *cancel = cancel.child();
    cancel.clone()
}

struct Whole {
    host: Host,
    runtime: Runtime,
    run: Option<Run>,
}

impl Whole {
    fn answer(&self, run: Run) -> Result<Value> {
        let (runtime, host) = (&self.runtime, self.host);
        match run {
            Run::Ask(question) => asked(host, &runtime.ask(*question)?),
            Run::Resume(id, given) => match going_on(runtime, &id, *given)? {
                GoingOn::Asked(given) => asked(host, &runtime.resume(&id, given)?),
                GoingOn::Panel(given) => of_panel(host, &runtime.resume_panel(&id, given)?),
            },
            Run::Panel(question, options) => of_panel(host, &runtime.panel(question, *options)?),
            Run::ResumePanel(id, given) => of_panel(host, &runtime.resume_panel(&id, *given)?),
        }
    }
}

#[inline(never)]
fn asked(host: Host, found: &Answer) -> Result<Value> {
    Ok(json!({"type": last(found.status), "result": answer(host, found)?}))
}

#[inline(never)]
fn of_panel(host: Host, found: &PanelAnswer) -> Result<Value> {
    Ok(json!({"type": last(found.status), "result": panel::panel(host, found)?}))
}

/// The last event of a run that ended so.
fn last(status: Status) -> &'static str {
    match status {
        Status::Waiting => "waiting",
        Status::Cancelled => "cancelled",
        _ => "end",
    }
}

impl Feed for Whole {
    fn next(&mut self) -> (Vec<Value>, bool) {
        let Some(run) = self.run.take() else { return (Vec::new(), true) };
        (vec![self.answer(run).unwrap_or_else(|error| failed(&error))], true)
    }
}

/// The same of a runtime that `open` gives then, which may wait. Its error is the only event.
pub fn flow_when(host: Host, open: impl FnOnce() -> Result<Runtime> + Send + 'static, mut run: Run) -> Flow {
    let cancel = own(&mut run);
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
                Run::Resume(id, given) => match going_on(&runtime, &id, *given)? {
                    GoingOn::Asked(given) => runtime.stream_resumed(&id, given)?,
                    GoingOn::Panel(given) => runtime.stream_panel_resumed(&id, given)?,
                },
                Run::Panel(question, options) => runtime.stream_panel(question, *options)?,
                Run::ResumePanel(id, given) => runtime.stream_panel_resumed(&id, *given)?,
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
