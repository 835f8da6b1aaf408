//! What did a host give by name, and which of it is unknown or of the wrong kind?

use std::time::Duration;

use quorate_core::http::Secret;
use quorate_core::{Error, Result, shorten};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Host;

/// Options that were given by name. Each is taken out by its name in Rust; what is left in the end is unknown.
///
/// ```
/// use quorate_bindings::{Host, Options};
/// let given = serde_json::json!({"maxTokens": "many", "seed": null});
/// let mut options = Options::new(Host::Node, "options of a call", given)?;
/// assert_eq!(options.take::<u64>("seed", "a whole number")?, None);
/// let error = options.take::<u32>("max_tokens", "a whole number").unwrap_err();
/// assert_eq!(error.message(), "maxTokens is \"many\"; a whole number is expected");
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct Options {
    host: Host,
    what: &'static str,
    members: Map<String, Value>,
}

impl Options {
    /// The members of an object; null has none. Errors: `invalid_argument` for anything else.
    pub fn new(host: Host, what: &'static str, given: Value) -> Result<Self> {
        match given {
            Value::Null => Ok(Options { host, what, members: Map::new() }),
            Value::Object(members) => Ok(Options { host, what, members }),
            other => Err(Error::invalid(format!("{what} are {}; an object is expected", describe(&other)))),
        }
    }

    /// The host that gave them.
    pub fn host(&self) -> Host {
        self.host
    }

    /// How the host writes the name of an option.
    pub fn name(&self, name: &str) -> String {
        self.host.name(name)
    }

    /// The option as it was given; none when it is missing or null.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.members.remove(&self.host.name(name)).filter(|value| !value.is_null())
    }

    /// The option as it was given, where null means something else than nothing.
    pub fn nullable(&mut self, name: &str) -> Option<Value> {
        self.members.remove(&self.host.name(name))
    }

    /// The option as a value of this type; none when it is missing. Errors: `invalid_argument`.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<Option<T>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        T::deserialize(&value).map(Some).map_err(|_| match wrong_item::<T>(&value) {
            Some((i, item)) => self.refuse_at(&format!("{}[{i}]", self.host.name(name)), item, expected),
            None => self.refuse(name, &value, expected),
        })
    }

    /// A time in seconds. Errors: `invalid_argument`.
    pub fn seconds(&mut self, name: &str) -> Result<Option<Duration>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        seconds(&value).map(Some).ok_or_else(|| self.refuse(name, &value, "a number of seconds"))
    }

    /// A key. It is in no error. Errors: `invalid_argument`.
    pub fn secret(&mut self, name: &str) -> Result<Option<Secret>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(key)) => Ok(Some(Secret::new(key))),
            Some(_) => Err(Error::invalid(format!("{} is no string", self.host.name(name)))),
        }
    }

    /// An error that says what an option is and what is expected.
    pub fn refuse(&self, name: &str, value: &Value, expected: &str) -> Error {
        self.refuse_at(&self.host.name(name), value, expected)
    }

    fn refuse_at(&self, at: &str, value: &Value, expected: &str) -> Error {
        Error::invalid(format!("{at} is {}; {expected} is expected", describe(value)))
    }

    /// Errors: `invalid_argument` when an option was not taken: it does not exist, or is misspelt.
    pub fn done(self) -> Result<()> {
        // The first by name: the order of the members depends on how they were taken.
        match self.members.keys().min() {
            None => Ok(()),
            Some(name) => Err(Error::invalid(format!("{} have no '{}'", self.what, shorten(name)))),
        }
    }
}

/// The first item of a list that makes it none of this type: with all that come before it is one.
fn wrong_item<T: DeserializeOwned>(value: &Value) -> Option<(usize, &Value)> {
    let items = value.as_array()?;
    let fits = |n: usize| T::deserialize(&Value::Array(items[..n].to_vec())).is_ok();
    // A pair is none with fewer items either.
    if !fits(0) {
        return None;
    }
    let (mut good, mut bad) = (0, items.len());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    items.get(good).map(|item| (good, item))
}

/// A number of seconds.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// A value for messages, never long.
fn describe(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => shorten(&other.to_string()),
    }
}
