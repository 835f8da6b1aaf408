//! How does a model's stream become a flow of events?

use quorate_core::{Cancel, Error, Result};
use quorate_models::{Event, Model, Request, Stream};
use serde_json::Value;

use super::reply::event;
use crate::Host;
use crate::flow::{Feed, Flow};

/// The most events that are taken out of the stream at once.
const BATCH: usize = 256;

/// A stream of `model`. Nothing is sent before somebody looks for an event. Errors: those of a request.
pub fn stream(host: Host, model: &Model, request: &Request) -> Result<Flow> {
    let cancel = Cancel::new();
    let stream = model.stream(request, &cancel)?;
    Ok(Flow::new(Box::new(Words { host, stream, said: String::new() }), cancel, failed))
}

struct Words {
    host: Host,
    stream: Stream,
    /// The text that was given and holds.
    said: String,
}

impl Feed for Words {
    fn next(&mut self) -> (Vec<Value>, bool) {
        let events = self.stream.next_events(BATCH);
        let last = events.last().is_none_or(Event::is_last);
        (events.iter().map(|one| event(one, self.host, &mut self.said)).collect(), last)
    }
}

fn failed(error: &Error) -> Value {
    let error = Error::new(error.code(), error.message());
    event(&Event::Error { error, partial: Box::default() }, Host::Python, &mut String::new())
}
