//! Which services are spoken to, and how does one request travel?
//!
//! A [`Wire`] knows one interface: how a request is written, how an answer is read, whole or in pieces, and what its
//! refusals mean. [`Service`] sends it over HTTP. Names of providers stand in this folder and nowhere else.

mod anthropic;
mod chunk;
mod failure;
mod openai;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use service::{AtOnce, Service, ServiceOptions};

use std::collections::{HashMap, VecDeque};

use quorate_core::http::Secret;
use quorate_core::{Error, Result};
use serde_json::Value;

use crate::assembly::Assembly;
use crate::provider::{Failure, OutputWay, Piece};
use crate::reply::Reply;
use crate::request::Request;

/// One interface of language models.
pub(crate) trait Wire: Send + Sync {
    /// Its name in model names: `WIRE:NAME`.
    fn name(&self) -> &'static str;

    /// Where the service is when nobody says otherwise.
    fn base(&self) -> String;

    /// The key that lies in the environment.
    fn key(&self) -> Option<String>;

    /// What follows the base.
    fn path(&self) -> &'static str;

    /// The header with the key: name, what stands before the key.
    fn key_header(&self) -> (&'static str, &'static str);

    /// Further header fields.
    fn headers(&self) -> &'static [(&'static str, &'static str)];

    /// Writes a request.
    fn body(&self, ask: &Ask<'_>) -> Result<Value>;

    /// What of the request the interface has no field for.
    fn ignored(&self, request: &Request) -> Vec<String>;

    /// The best way of this interface to give output of the request's form.
    fn output_way(&self, request: &Request) -> OutputWay;

    /// The limit on the tokens of an answer that is sent where the caller gives none.
    fn max_tokens(&self) -> Option<u32> {
        None
    }

    /// Reads a whole answer.
    fn whole(&self, body: &[u8], source: &str) -> Result<Reply, Failure>;

    /// Reads a streamed answer.
    fn decoder(&self, source: &str) -> Box<dyn Decoder>;

    /// What a refusal means.
    fn failure(&self, status: u16, headers: &HashMap<String, String>, body: &[u8]) -> Failure {
        failure::of_answer(status, headers, body)
    }
}

/// A request with all that a wire needs to write it.
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a Request,
    pub(crate) stream: bool,
    /// Whose opaque parts may be sent back.
    pub(crate) source: &'a str,
    /// Whether the service is the one that the interface is named after, at its own address.
    pub(crate) original: bool,
}

/// Reads the events of one stream.
pub(crate) trait Decoder: Send {
    /// Takes one event; what it gives goes to `out`.
    fn event(&mut self, event: &str, data: &str, out: &mut VecDeque<Piece>) -> Result<(), Failure>;

    /// Whether the service has said that the answer is whole.
    fn done(&self) -> bool;

    /// Whether the answer is whole although the service closed the stream without a word.
    fn whole_at_close(&self) -> bool;

    /// What has come.
    fn assembly(&mut self) -> &mut Assembly;

    /// What had come of an answer that broke off, as it may stand in the next request.
    fn partial(&mut self) -> Reply {
        self.assembly().partial()
    }
}

/// The service that a model's name (`WIRE:NAME`) names. Errors: `invalid_argument` for another form or wire.
pub(crate) fn open(name: &str, options: ServiceOptions) -> Result<Service> {
    let unknown = || {
        let forms = "openai:NAME, anthropic:NAME or local:PATH";
        Error::invalid(format!("'{}' names no model; {forms} is expected", quorate_core::shorten(name)))
    };
    let (wire, model) = name.split_once(':').filter(|(_, model)| !model.is_empty()).ok_or_else(unknown)?;
    let wire: Box<dyn Wire> = match wire {
        "openai" => Box::new(openai::OpenAi),
        "anthropic" => Box::new(anthropic::Anthropic),
        _ => return Err(unknown()),
    };
    Service::new(wire, model, options)
}

/// A count in an answer: a number, also one that is written as a text; `None` where there is none.
fn known_count(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    value.as_u64().or_else(|| number.filter(|x: &f64| *x >= 0.0).map(|x| x as u64))
}

/// The same, where none is 0.
fn count(value: &Value) -> u64 {
    known_count(value).unwrap_or(0)
}

/// Fields that the caller sends as they are; they replace others.
fn add_extra(body: &mut Value, request: &Request) {
    if let Some(object) = body.as_object_mut() {
        for (name, value) in &request.extra {
            object.insert(name.clone(), value.clone());
        }
    }
}

/// The header of a key.
fn key_header(wire: &dyn Wire, key: &Option<Secret>) -> Vec<(String, &'static str, Secret)> {
    let (name, before) = wire.key_header();
    key.iter().map(|key| (name.to_owned(), before, key.clone())).collect()
}
