//! How are the events of a run shown while it goes on?

use quorate::runtime::{Event, RunStream, Runtime};
use quorate::{Code, Error, Result};
use quorate_bindings::Host;
use serde_json::Value;

use crate::console::Console;
use crate::failure::Failure;
use crate::text;

/// How events are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Not at all.
    Nothing,
    /// The answer as it is written.
    Text,
    /// Each as a line of JSON.
    Lines,
}

impl Show {
    /// As a reader wants it.
    pub(super) fn of(console: &Console, stream: bool) -> Show {
        match (console.is_json(), stream) {
            (true, true) => Show::Lines,
            (false, _) if console.is_terminal() => Show::Text,
            _ => Show::Nothing,
        }
    }
}

/// What a run came to.
pub(super) struct Outcome {
    /// The answer; null where the run was cancelled before there was one.
    pub(super) answer: Value,
    /// The text that was shown.
    pub(super) shown: String,
}

/// Reads a run to its end. Errors: the one by which it failed.
pub(super) fn follow(
    console: &mut Console,
    runtime: &Runtime,
    mut stream: RunStream,
    show: Show,
) -> Result<Outcome, Failure> {
    let mut said = Said::default();
    let mut last = None;
    while let Some(event) = stream.next_event() {
        match show {
            Show::Nothing => {}
            Show::Text => said.tell(&event, console)?,
            Show::Lines => console.json_line(&quorate_bindings::runtime::event(Host::Python, &event))?,
        }
        if event.is_last() {
            last = Some(event);
        }
    }
    let Some(last) = last else {
        return Err(Error::new(Code::Internal, "a run has ended without a word").into());
    };
    if last.kind == "error" {
        return Err(match show {
            // The event has said it.
            Show::Lines => Failure::Said(crate::exit::code_of(&error_of(&last))),
            _ => error_of(&last).into(),
        });
    }
    let answer = match last.run_id.is_empty() {
        true => Value::Null,
        false => quorate_bindings::runtime::answer_of(Host::Python, runtime, &last.run_id)?,
    };
    if answer.is_null() && last.kind == "cancelled" {
        return Err(error_of(&last).into());
    }
    Ok(Outcome { answer, shown: said.shown })
}

/// The error that an event tells of.
fn error_of(event: &Event) -> Error {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let known = Code::ALL.iter().find(|code| code.as_str() == text("code")).copied();
    let fallback = if event.kind == "cancelled" { Code::Cancelled } else { Code::Internal };
    let message = match text("message") {
        "" => "the work was cancelled by its caller",
        message => message,
    };
    Error::new(known.unwrap_or(fallback), message)
}

/// The text of the step that goes on, and everything that was shown.
#[derive(Default)]
struct Said {
    step: String,
    shown: String,
}

impl Said {
    fn tell(&mut self, event: &Event, console: &mut Console) -> Result<(), Failure> {
        let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
        match event.kind.as_str() {
            "step_start" => {
                if !self.step.is_empty() {
                    self.put("\n\n", console)?;
                }
                self.step.clear();
            }
            "text" => {
                self.step.push_str(text("delta"));
                self.put(text("delta"), console)?;
            }
            // What was said does not hold; what of it does is said again.
            "retry" => {
                let keep = event.data.get("keep").and_then(Value::as_u64).unwrap_or_default();
                let keep = self.step.floor_char_boundary(usize::try_from(keep).unwrap_or(usize::MAX));
                if keep < self.step.len() {
                    self.step.truncate(keep);
                    let kept = self.step.clone();
                    self.put("\n...\n", console)?;
                    self.put(&kept, console)?;
                }
            }
            "tool_call" => {
                let name = text::line(text("name"));
                console.note(&format!("calling {name}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, piece: &str, console: &mut Console) -> Result<(), Failure> {
        self.shown.push_str(piece);
        console.plain(&text::lines(piece))?;
        console.flush()
    }
}
