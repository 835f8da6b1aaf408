//! What services send, event by event.

use quorate_core::Cancel;
use quorate_models::{Event, Message, Model, ModelOptions, Request, Resilience, Secret};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// One attempt, and nothing that outlives it.
pub fn once() -> Resilience {
    Resilience { attempts: 1, breaker: None, seed: Some(1), ..Resilience::default() }
}

/// A stream of these bytes.
pub fn sse(body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Answer { status: 200, headers, body: body.into(), ..Answer::default() }
}

/// Events of the chat-completions interface, and the closing word.
pub fn events(events: &[Value]) -> Answer {
    let mut body = lines(events);
    body.push_str("data: [DONE]\n\n");
    sse(body)
}

/// The same without the closing word.
pub fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

pub fn delta(delta: Value) -> Value {
    json!({"model": "m-1", "choices": [{"index": 0, "delta": delta}]})
}

pub fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

pub fn usage(input: u64, output: u64) -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}})
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
