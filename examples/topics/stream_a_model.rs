//! How does an answer come word by word, and how does one stop it?

use std::error::Error;
use std::io::Write;

use quorate::Cancel;
use quorate::models::{Event, Message, Model, ModelOptions, Reply, Request, ScriptedModel, Usage};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let usage = Usage { input: 12, output: 6, ..Usage::default() };
    let script = ScriptedModel::new([
        Reply { usage, ..Reply::text_of("Hold metformin on the day.") },
        Reply::text_of("and so on ".repeat(10_000)),
    ]);
    let model = Model::new(script, ModelOptions::default())?;
    let ask = |text: &str| Request::new(vec![Message::user(text)]);

    // Nothing is sent before the first event is asked for. Exactly one of `End`, `Error` and `Cancelled` comes, and comes last.
    let mut text = String::new();
    let mut stream = model.stream(&ask("What about contrast scans?"), &Cancel::new())?;
    while let Some(event) = stream.next_event() {
        match event {
            Event::Text { delta } => {
                text.push_str(&delta);
                writeln!(out, "more: {}", delta.trim())?;
            }
            // An attempt broke off; so much of the text still holds.
            Event::Retry { keep, .. } => text.truncate(keep),
            Event::End(reply) => writeln!(out, "whole: {text} ({} tokens)", reply.usage.output)?,
            _ => {}
        }
    }

    // The stream's `cancel` may be raised from any thread; the last event has what had come. Dropping the stream closes the
    // connection too.
    let mut stream = model.stream(&ask("And then?"), &Cancel::new())?;
    let mut last = "";
    while let Some(event) = stream.next_event() {
        if let Event::Text { .. } = event {
            stream.cancel().cancel();
        }
        last = event.kind();
    }
    writeln!(out, "the last event: {last}")?;
    Ok(())
}
