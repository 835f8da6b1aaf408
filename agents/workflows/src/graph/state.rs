//! What does a node see?

use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use quorate_core::Result;
use serde_json::{Map, Value};

use super::check::{Check, Validator};
use super::reducer::{Reducer, arrived};
use super::task::caught;

/// A channel of a graph: a named part of its state.
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) reducer: Reducer,
    pub(crate) check: Check,
    pub(crate) validator: Option<Validator>,
    /// The value before anything is written.
    pub(crate) initial: Option<Arc<Value>>,
    /// The nodes that say that they write it.
    pub(crate) writers: Vec<String>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.name)
            .field("reducer", &self.reducer)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// Errors: `invalid_argument` when a value does not fit the schema; those of the validator, `callback` when it panics.
    pub(crate) fn check(&self, value: &Value) -> Result<()> {
        self.check.check(value)?;
        self.validator.as_ref().map_or(Ok(()), |validator| caught(|| validator(value)))
    }
}

/// The channels of a graph, by name.
#[derive(Debug)]
pub(crate) struct Channels(pub(crate) Vec<Channel>);

/// What each channel holds.
pub(crate) type Values = Vec<Option<Arc<Value>>>;

impl Channels {
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        if self.0.len() <= 8 {
            return self.0.iter().position(|channel| &*channel.name == name);
        }
        self.0.binary_search_by(|channel| (*channel.name).cmp(name)).ok()
    }

    pub(crate) fn initial(&self) -> Values {
        self.0.iter().map(|channel| channel.initial.clone()).collect()
    }

    /// What of a channel can be seen: a barrier at which somebody is missing cannot.
    fn shown<'a>(&self, at: usize, values: &'a Values) -> Option<&'a Value> {
        let value = values.get(at)?.as_deref()?;
        let channel = &self.0[at];
        match (&channel.reducer, value) {
            (Reducer::Barrier, Value::Object(all)) if !arrived(all, &channel.writers) => None,
            _ => Some(value),
        }
    }

    /// All that can be seen, as one object.
    pub(crate) fn object(&self, values: &Values) -> Value {
        let mut all = Map::new();
        for (at, channel) in self.0.iter().enumerate() {
            if let Some(value) = self.shown(at, values) {
                all.insert(channel.name.to_string(), value.clone());
            }
        }
        Value::Object(all)
    }
}

/// The state that a node works on: as it was when the step began, or what it was sent.
///
/// `state["name"]` is `null` where nothing has been written. A clone costs nothing.
#[derive(Clone)]
pub struct State(Inner);

#[derive(Clone)]
enum Inner {
    Shared(Arc<Channels>, Arc<Values>),
    Own(Arc<Value>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl State {
    pub(crate) fn shared(channels: &Arc<Channels>, values: &Arc<Values>) -> State {
        State(Inner::Shared(Arc::clone(channels), Arc::clone(values)))
    }

    pub(crate) fn own(value: Arc<Value>) -> State {
        State(Inner::Own(value))
    }

    /// The value of a channel; none where there is none.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match &self.0 {
            Inner::Shared(channels, values) => channels.shown(channels.find(name)?, values),
            Inner::Own(value) => value.get(name),
        }
    }

    /// The whole state: an object of the channels that have a value, or whatever the node was sent.
    pub fn to_value(&self) -> Value {
        match &self.0 {
            Inner::Shared(channels, values) => channels.object(values),
            Inner::Own(value) => (**value).clone(),
        }
    }
}

impl Index<&str> for State {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        static NULL: Value = Value::Null;
        self.get(name).unwrap_or(&NULL)
    }
}
