//! Calls through a loopback server: retries, limits, streams that break, forms, recordings.

mod answers;
mod events;
mod forms;
mod hostile;
mod keys;
mod messages;
mod retries;
mod server;
mod streams;
mod usage;

use std::sync::Arc;

use quorate_core::Cancel;
use quorate_models::{ManualClock, Message, Model, ModelOptions, Request, Resilience, Secret};
use server::Server;

/// A key that must never show.
const KEY: &str = "sk-never-to-be-seen-42";

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

fn model(server: &Server) -> Model {
    model_with(server, Resilience { seed: Some(1), ..Resilience::default() }, Some(Arc::default()))
}

fn ask() -> Request {
    Request::new(vec![Message::user("Which dose?")])
}

fn never() -> Cancel {
    Cancel::new()
}
