//! How do hosts open models, ask them, and get their answers?

mod reply;
mod request;
mod scripted;
mod stream;

pub use reply::{count, event, reply};
pub use request::request;
pub use scripted::{scripted_list, scripted_reply};
pub use stream::stream;

use std::sync::Arc;

use quorate_core::{Error, Result};
use quorate_models::{BreakerOptions, Model, ModelOptions, OutputWay, Price, Provider, Rate, Resilience};
use quorate_runtime::{ExtractOptions, ExtractiveModel, Retrieve, Wanted};
use serde_json::{Map, Value, json};

use crate::options::seconds;
use crate::{Host, Options};

/// Opens the model that `name` names. `options`: `base_url`, `api_key`, `resilience`, `price`, `output_way`,
/// `threads`; `fallback`: the models of its resilience. Errors: those of [`Model::open`].
pub fn open(host: Host, name: &str, options: Value, fallback: Vec<Model>) -> Result<Model> {
    let mut options = Options::new(host, "options of a model", options)?;
    let service = ModelOptions {
        base_url: options.take("base_url", "a URL")?,
        api_key: options.secret("api_key")?,
        output_way: output_way(&mut options)?,
        threads: options.take("threads", "a whole number from 1")?,
        ..common(host, &mut options, fallback)?
    };
    options.done()?;
    Model::open(name, service)
}

/// A model that `provider` answers for. `options`: `resilience`, `price`. Errors: as of [`open`].
pub fn provided(
    host: Host,
    provider: impl Provider + 'static,
    options: Value,
    fallback: Vec<Model>,
) -> Result<Model> {
    let mut options = Options::new(host, "options of a model", options)?;
    let common = common(host, &mut options, fallback)?;
    options.done()?;
    Model::new(provider, common)
}

/// The model whose answers are sentences of `sources`. `options`: `min_confidence`, `resilience`, `price`. Errors: as of [`open`].
pub fn extractive(
    host: Host,
    sources: Arc<dyn Retrieve>,
    options: Value,
    fallback: Vec<Model>,
) -> Result<Model> {
    let mut options = Options::new(host, "options of a model", options)?;
    let defaults = ExtractOptions::default();
    let given = options.take("min_confidence", "a number from 0 to 1")?;
    let extract = ExtractOptions { min_confidence: given.unwrap_or(defaults.min_confidence), ..defaults };
    let common = common(host, &mut options, fallback)?;
    options.done()?;
    Model::new(ExtractiveModel::new(sources, Wanted::default(), extract)?, common)
}

/// What every kind of model takes.
fn common(host: Host, options: &mut Options, fallback: Vec<Model>) -> Result<ModelOptions> {
    let resilience = options.value("resilience").unwrap_or_default();
    let price = options.value("price").map(|price| Price::from_json(&snake(host, price))).transpose()?;
    Ok(ModelOptions {
        resilience: resilience_of(host, resilience, fallback)?,
        price,
        ..ModelOptions::default()
    })
}

/// How calls are retried and bounded. Times are in seconds; `breaker` is `[failures, seconds]`, or null for none.
/// Errors: `invalid_argument`.
pub fn resilience_of(host: Host, given: Value, fallback: Vec<Model>) -> Result<Resilience> {
    let mut options = Options::new(host, "options of a resilience", given)?;
    let defaults = Resilience::default();
    let whole = "a whole number from 1";
    let breaker = match options.nullable("breaker") {
        None => defaults.breaker,
        Some(Value::Null) => None,
        Some(value) => Some(breaker(&value).ok_or_else(|| {
            options.refuse("breaker", &value, "a pair of a whole number of failures and a number of seconds")
        })?),
    };
    let resilience = Resilience {
        attempts: options.take("attempts", whole)?.unwrap_or(defaults.attempts),
        attempt_timeout: options.seconds("attempt_timeout")?.unwrap_or(defaults.attempt_timeout),
        first_byte_timeout: options.seconds("first_byte_timeout")?.unwrap_or(defaults.first_byte_timeout),
        stall_timeout: options.seconds("stall_timeout")?.unwrap_or(defaults.stall_timeout),
        deadline: options.seconds("deadline")?,
        requests_per_minute: options.take("requests_per_minute", whole)?,
        tokens_per_minute: options.take("tokens_per_minute", whole)?,
        max_concurrent: options.take("max_concurrent", whole)?.unwrap_or(defaults.max_concurrent),
        breaker,
        fallback,
        seed: options.take("seed", "a whole number from 0")?,
    };
    options.done()?;
    resilience.validate()?;
    Ok(resilience)
}

fn breaker(value: &Value) -> Option<BreakerOptions> {
    let [failures, open_for] = value.as_array()?.as_slice() else { return None };
    let failures = u32::try_from(failures.as_u64()?).ok()?;
    Some(BreakerOptions { failures, open_for: seconds(open_for)?, ..BreakerOptions::default() })
}

fn output_way(options: &mut Options) -> Result<Option<OutputWay>> {
    let Some(value) = options.value("output_way") else { return Ok(None) };
    match value.as_str() {
        Some("native") => Ok(Some(OutputWay::Native)),
        Some("tool") => Ok(Some(OutputWay::Tool)),
        Some("prompt") => Ok(Some(OutputWay::Prompt)),
        _ => Err(options.refuse("output_way", &value, "one of native, tool, prompt")),
    }
}

/// What a model's tokens cost, in US dollars per million; null where that is unknown.
pub fn price(host: Host, model: &Model) -> Value {
    let Some(price) = model.price() else { return Value::Null };
    let rates: [(&str, Option<&Rate>); 6] = [
        ("input", Some(&price.input)),
        ("output", Some(&price.output)),
        ("cached", price.cached.as_ref()),
        ("cache_written", price.cache_written.as_ref()),
        ("cache_written_1h", price.cache_written_1h.as_ref()),
        ("reasoning", price.reasoning.as_ref()),
    ];
    let known = rates.iter().filter_map(|(name, rate)| Some((host.name(name), json!((*rate)?))));
    Value::Object(known.collect())
}

/// An object with the names of Rust in the place of the host's.
fn snake(host: Host, value: Value) -> Value {
    match value {
        Value::Object(members) if host == Host::Node => {
            let rename = |(name, value): (String, Value)| {
                let mut out = String::with_capacity(name.len() + 2);
                for c in name.chars() {
                    if c.is_ascii_uppercase() {
                        out.push('_');
                    }
                    out.push(c.to_ascii_lowercase());
                }
                // A digit begins a word of its own.
                (out.replace("written1h", "written_1h"), value)
            };
            Value::Object(members.into_iter().map(rename).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// The code of this name. Errors: `invalid_argument`.
pub(crate) fn code(name: &str) -> Result<quorate_core::Code> {
    let known = quorate_core::Code::ALL.iter().find(|code| code.as_str() == name);
    known
        .copied()
        .ok_or_else(|| Error::invalid(format!("'{}' is no code of an error", quorate_core::shorten(name))))
}
