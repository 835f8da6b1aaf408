//! What services send, event by event.

use quorate_core::Cancel;
use quorate_models::{Event, Message, Model, ModelOptions, Request, Resilience, Secret};
use serde_json::Value;

use crate::server::{Answer, Server};
pub use crate::server::{delta, events, finish, usage};

/// One attempt, and nothing that outlives it.
pub fn once() -> Resilience {
    Resilience { attempts: 1, breaker: None, seed: Some(1), ..Resilience::default() }
}

/// A stream of these bytes.
pub fn sse(body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Answer { status: 200, headers, body: body.into(), ..Answer::default() }
}

/// Events without a closing word.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// The last event of a stream.
pub fn last(model: &Model) -> Event {
    let request = Request::new(vec![Message::user("Which dose?")]);
    model.stream(&request, &Cancel::new()).unwrap().last().unwrap()
}

/// A model behind the messages interface.
pub fn anthropic(server: &Server) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        api_key: Some(Secret::new(crate::KEY.into())),
        resilience: once(),
        ..ModelOptions::default()
    };
    Model::open("anthropic:m", options).unwrap()
}
