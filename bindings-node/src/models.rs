//! How are language models asked from Node?

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::models::{MESSAGE_SCHEMA, Model, Recording, Request, ScriptedModel};
use quorate::runtime::Retrieve;
use quorate::{Cancel, Code, Result, Sources};
use quorate_bindings::{Flow, Host, models, telemetry};
use serde_json::Value;

use crate::convert::{self, Out, arg, list, marked, text, texts};
use crate::door::{Callback, Ending, Lane, Later, NativeCancel, Promised, flag, later, promise};
use crate::errors::{OrThrow, Thrown, invalid};
use crate::kb::NativeKnowledgeBase;
use crate::value::Given;

const HOST: Host = Host::Node;

/// A language model.
#[napi(js_name = "LanguageModel")]
pub struct NativeLanguageModel {
    model: Model,
    /// Where the extractive one finds its sentences.
    sources: Option<Arc<dyn Retrieve>>,
}

/// The models that are asked when another fails.
#[napi(js_name = "Fallback")]
#[derive(Default)]
pub struct NativeFallback(Mutex<Vec<Model>>);

/// The events of one answer. No thread of the host's waits for them.
#[napi(js_name = "ModelFlow")]
pub struct NativeModelFlow(Arc<Heard>);

/// A recording or a replay that is under way.
#[napi(js_name = "Session")]
pub struct NativeSession(Mutex<Option<Recording>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value as JSON.
pub fn json(given: Given, what: &str) -> Result<Value> {
    convert::said(given, what).map_err(|error| match error.code() {
        Code::InvalidDocument => invalid(error.message()),
        _ => error,
    })
}

/// An answer or an event on its way to JavaScript: what users, models and tools have written there is [`marked`], so that its
/// numbers and names stay what they are.
pub fn told(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let tell = |(name, member)| {
                let written = WRITTEN.contains(&String::as_str(&name));
                (name, if written { marked(member) } else { told(member) })
            };
            Value::Object(members.into_iter().map(tell).collect())
        }
        Value::Array(items) => items.into_iter().map(told).collect(),
        other => other,
    }
}

/// Members that hold what users, models and tools have written.
const WRITTEN: [&str; 14] = [
    "arguments",
    "broken_calls",
    "content",
    "data",
    "message",
    "messages",
    "output",
    "position",
    "question",
    "said",
    "schema",
    "shares",
    "state",
    "tool_calls",
];

/// A request. `check`: what refuses outputs that fit the schema, called as `check(reply, output)` with the output as JSON; it
/// answers with an error, `{code, message}`, or with nothing. `cancel`: what ends the waiting for it.
fn request(
    env: &Env,
    given: &Unknown<'_>,
    check: Option<Unknown<'_>>,
    cancel: &Cancel,
) -> Result<Request, Thrown> {
    let given = arg(env, given, "request", json)?;
    let mut request = models::request(HOST, given).or_throw()?;
    if let (Some(output), Some(check)) = (&request.output, check) {
        let (host, cancel) = (Callback::new(env, &check)?, cancel.clone());
        request.output = Some(output.clone().checked_by(move |value| {
            match host.call(vec![Out::Text(marked(value.clone()).to_string())], &cancel)? {
                Given::Undefined => Ok(()),
                refused => models::scripted_reply(
                    &serde_json::json!({"error": json(refused, "the check's answer")?}),
                )
                .map(|_| ()),
            }
        }));
    }
    Ok(request)
}

#[napi]
impl NativeFallback {
    /// None yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[napi]
    pub fn add(&self, model: &NativeLanguageModel) {
        lock(&self.0).push(model.model());
    }
}

#[napi]
impl NativeLanguageModel {
    /// A model behind a service, or one of this machine, whose files are read before this returns.
    #[napi(factory)]
    pub fn open(
        env: Env,
        name: Unknown<'_>,
        options: Unknown<'_>,
        fallback: &NativeFallback,
    ) -> Result<NativeLanguageModel, Thrown> {
        opening(&env, &name, &options, fallback)?().or_throw()
    }

    /// The model whose answers are sentences of a knowledge base.
    #[napi(factory)]
    pub fn extractive(
        env: Env,
        kb: &NativeKnowledgeBase,
        options: Unknown<'_>,
        fallback: &NativeFallback,
    ) -> Result<NativeLanguageModel, Thrown> {
        let sources = Sources::of(kb.handle());
        let options = arg(&env, &options, "options", json)?;
        let fallback = lock(&fallback.0).clone();
        let model = models::extractive(HOST, Arc::clone(&sources) as _, options, fallback).or_throw()?;
        Ok(NativeLanguageModel { model, sources: Some(sources) })
    }

    /// A model of tests that gives these replies in their order.
    #[napi(factory)]
    pub fn script(
        env: Env,
        replies: Unknown<'_>,
        id: Option<String>,
        options: Unknown<'_>,
        fallback: &NativeFallback,
    ) -> Result<NativeLanguageModel, Thrown> {
        let replies = arg(&env, &replies, "replies", |given, what| {
            list(given, what)?
                .into_iter()
                .enumerate()
                .map(|(i, one)| json(one, &format!("{what}[{i}]")))
                .collect::<Result<_>>()
        })?;
        NativeLanguageModel::scripted(
            &env,
            models::scripted_list(replies).or_throw()?,
            id,
            &options,
            fallback,
        )
    }

    /// A model of tests that answers with a function of JavaScript, `answer(reply, request, span)`, called on its thread. `span`: the
    /// number of the span that it is asked in, where somebody hears spans.
    #[napi(factory)]
    pub fn callback(
        env: Env,
        answer: Unknown<'_>,
        id: Option<String>,
        options: Unknown<'_>,
        fallback: &NativeFallback,
    ) -> Result<NativeLanguageModel, Thrown> {
        let host = Callback::new(&env, &answer)?;
        let answer = move |request: &Request, cancel: &Cancel| {
            let mut given = vec![Out::Text(marked(request.to_json()).to_string())];
            given.extend(telemetry::inner().map(|span| Out::Number(span as f64)));
            let given = host.call(given, cancel)?;
            models::scripted_reply(&json(given, "what the model's function gave")?)
        };
        NativeLanguageModel::scripted(&env, ScriptedModel::of_function(answer), id, &options, fallback)
    }

    /// The whole answer, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn complete(
        &self,
        env: Env,
        request: Unknown<'_>,
        check: Option<Unknown<'_>>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let cancel = flag(cancel);
        let request = self::request(&env, &request, check, &cancel)?;
        let model = self.model();
        promise(&env, Lane::Ask, move || {
            Ok(Out::Text(told(models::reply(&model.complete(&request, &cancel)?)).to_string()))
        })
    }

    /// The answer piece by piece. Nothing is sent before the first piece is asked for.
    #[napi]
    pub fn stream(
        &self,
        env: Env,
        request: Unknown<'_>,
        check: Option<Unknown<'_>>,
    ) -> Result<NativeModelFlow, Thrown> {
        let check_ends = Cancel::new();
        let request = self::request(&env, &request, check, &check_ends)?;
        let flow = models::stream(HOST, &self.model, &request).or_throw()?;
        NativeModelFlow::of(&env, flow, check_ends)
    }

    /// The tokens that a request takes, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn count_tokens(&self, env: Env, request: Unknown<'_>) -> Result<Promised, Thrown> {
        let request = self::request(&env, &request, None, &Cancel::new())?;
        let model = self.model();
        promise(&env, Lane::Slow, move || {
            Ok(Out::Text(models::count(model.count_tokens(&request)?).to_string()))
        })
    }

    /// How prices and recordings name the model.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.model.id().to_owned()
    }

    /// What its tokens cost, as JSON.
    #[napi(getter)]
    pub fn price(&self) -> String {
        models::price(HOST, &self.model).to_string()
    }
}

impl NativeLanguageModel {
    fn of(model: Model) -> Self {
        NativeLanguageModel { model, sources: None }
    }

    /// The model.
    pub fn model(&self) -> Model {
        self.model.clone()
    }

    /// Where the extractive one finds its sentences.
    pub fn sources(&self) -> Option<Arc<dyn Retrieve>> {
        self.sources.clone()
    }

    fn scripted(
        env: &Env,
        script: ScriptedModel,
        id: Option<String>,
        options: &Unknown<'_>,
        fallback: &NativeFallback,
    ) -> Result<NativeLanguageModel, Thrown> {
        let options = arg(env, options, "options", json)?;
        let script = match id {
            Some(id) => script.named(id),
            None => script,
        };
        let fallback = lock(&fallback.0).clone();
        models::provided(HOST, script, options, fallback).or_throw().map(NativeLanguageModel::of)
    }
}

/// Opens a model as `LanguageModel.open` does, on another thread.
#[napi(ts_return_type = "Promise<LanguageModel>")]
pub fn open_model(
    env: Env,
    name: Unknown<'_>,
    options: Unknown<'_>,
    fallback: &NativeFallback,
) -> Result<Promised, Thrown> {
    let open = opening(&env, &name, &options, fallback)?;
    promise(&env, Lane::Slow, move || Ok(Out::object(open()?)))
}

/// What opens a model, on any thread.
fn opening(
    env: &Env,
    name: &Unknown<'_>,
    options: &Unknown<'_>,
    fallback: &NativeFallback,
) -> Result<impl FnOnce() -> Result<NativeLanguageModel> + Send + use<>, Thrown> {
    let name = arg(env, name, "the model", text)?;
    let options = arg(env, options, "options", json)?;
    let fallback = lock(&fallback.0).clone();
    Ok(move || models::open(HOST, &name, options, fallback).map(NativeLanguageModel::of))
}

struct Heard {
    flow: Arc<Flow>,
    ending: Ending,
    /// Ends the waiting for the host's check of an output.
    check_ends: Cancel,
    /// Who waits for events.
    next: Mutex<Option<Later>>,
}

impl Heard {
    /// Settles who waits, if there are events or none will come.
    fn deliver(&self) {
        let mut next = lock(&self.next);
        if next.is_none() {
            return;
        }
        let out = match self.flow.take() {
            Ok(None) => return,
            Ok(Some(events)) if events.is_empty() => Ok(Out::Nothing),
            Ok(Some(events)) => Ok(Out::Text(events.into_iter().map(told).collect::<Value>().to_string())),
            Err(error) => Err(error),
        };
        if let Some(later) = next.take() {
            later.settle(out);
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        if self.ending.has_come() {
            // The host has not left the stream: its thread ends. A run is no cancelled one then, but one that is interrupted.
            std::mem::forget(Arc::clone(&self.flow));
            return;
        }
        self.check_ends.cancel();
    }
}

impl NativeModelFlow {
    /// A stream; `check_ends` is raised when it is left.
    pub fn of(env: &Env, flow: Flow, check_ends: Cancel) -> Result<Self, Thrown> {
        let (flow, ending) = (Arc::new(flow), Ending::of(env)?);
        let heard = Arc::new(Heard { flow, ending, check_ends, next: Mutex::new(None) });
        // The stream holds the waker, so the waker must not hold the stream.
        let weak = Arc::downgrade(&heard);
        heard.flow.wake_by(move || {
            if let Some(heard) = weak.upgrade() {
                heard.deliver();
            }
        });
        Ok(NativeModelFlow(heard))
    }
}

#[napi]
impl NativeModelFlow {
    /// The events that have come, as JSON, at least one; undefined when none will come any more. One call at a time waits.
    #[napi(ts_return_type = "Promise<string | undefined>")]
    pub fn next(&self, env: Env) -> Result<Promised, Thrown> {
        let (promised, later) = later(&env)?;
        // Of two that wait, the first gets undefined: dropped unsettled.
        drop(lock(&self.0.next).replace(later));
        self.0.deliver();
        Ok(promised)
    }

    /// Cancels the answer; its last event says so.
    #[napi]
    pub fn cancel(&self) {
        self.0.flow.cancel();
        self.0.check_ends.cancel();
    }

    /// Lets go of the answer: who waits gets undefined.
    #[napi]
    pub fn close(&self) {
        self.0.flow.close();
        self.0.check_ends.cancel();
        self.0.deliver();
    }
}

/// Writes every request to a model or tool, and its answer, to a file.
#[napi(ts_return_type = "Promise<Session>")]
pub fn record(env: Env, path: Unknown<'_>, redact: Unknown<'_>) -> Result<Promised, Thrown> {
    let path = arg(&env, &path, "path", text)?;
    let redact = arg(&env, &redact, "redact", texts)?;
    promise(&env, Lane::Slow, move || {
        let redact: Vec<&str> = redact.iter().map(String::as_str).collect();
        let session = quorate::models::record(path, &redact)?;
        Ok(Out::object(NativeSession(Mutex::new(Some(session)))))
    })
}

/// Answers every request from a file.
#[napi(ts_return_type = "Promise<Session>")]
pub fn replay(env: Env, path: Unknown<'_>) -> Result<Promised, Thrown> {
    let path = arg(&env, &path, "path", text)?;
    promise(&env, Lane::Slow, move || {
        let session = quorate::models::replay(path)?;
        Ok(Out::object(NativeSession(Mutex::new(Some(session)))))
    })
}

#[napi]
impl NativeSession {
    /// Ends it.
    #[napi]
    pub fn close(&self) {
        *lock(&self.0) = None;
    }
}

/// The JSON Schema of a message.
#[napi]
pub fn message_schema() -> &'static str {
    MESSAGE_SCHEMA
}
