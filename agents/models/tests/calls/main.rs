//! Calls through a loopback server: retries, limits, streams that break, forms, recordings.

mod answers;
mod breaker;
mod deadlines;
mod events;
mod forms;
mod hostile;
mod keys;
mod limits;
mod messages;
mod money;
mod retries;
mod server;
mod streams;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use events::once;
use quorate_core::Cancel;
use quorate_models::{Event, ManualClock, Message, Model, ModelOptions, Request, Resilience, Secret};
use server::Server;

/// A key that must never show.
const KEY: &str = "sk-never-to-be-seen-42";

const SECOND: Duration = Duration::from_secs(1);

fn model_with(server: &Server, resilience: Resilience, clock: Option<Arc<ManualClock>>) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        api_key: Some(Secret::new(KEY.into())),
        resilience,
        clock: clock.map(|clock| clock as _),
        ..ModelOptions::default()
    };
    Model::open("openai:m", options).unwrap()
}

/// The same behind the messages interface.
fn anthropic(server: &Server, resilience: Resilience) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        api_key: Some(Secret::new(KEY.into())),
        resilience,
        ..ModelOptions::default()
    };
    Model::open("anthropic:m", options).unwrap()
}

fn model(server: &Server) -> Model {
    model_with(server, Resilience { seed: Some(1), ..Resilience::default() }, Some(Arc::default()))
}

/// The last event of a stream.
fn last(model: &Model, request: &Request) -> Event {
    model.stream(request, &never()).unwrap().last().unwrap()
}

fn ask() -> Request {
    Request::new(vec![Message::user("Which dose?")])
}

/// A request that the messages interface cannot write.
fn unsendable() -> Request {
    let image = serde_json::json!([{"type": "image", "url": "data:image/png,raw"}]);
    let message = serde_json::json!({"role": "user", "content": image});
    Request::new(vec![Message::from_json(&message).unwrap()])
}

fn never() -> Cancel {
    Cancel::new()
}
