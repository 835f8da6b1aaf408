//! What does a YAML or JSON file say, and on which line?
//!
//! For files that people write and that must be told where they are wrong: definitions of agents, and tasks of evaluations.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::text::cut;

/// Characters of a message of the parser that are passed on.
const MAX_REASON: usize = 300;

/// A value of a YAML or JSON file with the place where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Index of the file.
    pub file: usize,
    /// Line, counted from 1; 0 for what was in no file.
    pub line: u64,
    /// What stands there.
    pub value: Value,
}

/// A value without its place.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`, and no other word.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Members in the order of the file; the line is that of the key.
    Map(Vec<(String, Node)>),
}

/// Why a text gives no value.
#[derive(Debug)]
pub struct SyntaxError {
    /// The line, counted from 1; 0 where that is not known.
    pub line: u64,
    /// What the parser says.
    pub message: String,
    /// It has more values, or they lie deeper, than is read.
    pub too_large: bool,
}

/// Deepest accepted nesting of values.
const MAX_DEPTH: usize = 64;

/// What may still be read on this thread. An alias repeats what it names, so a short text can stand for a long one.
#[derive(Clone, Copy)]
struct Room {
    values: usize,
    bytes: usize,
}

thread_local! {
    static ROOM: Cell<Room> = const { Cell::new(Room { values: 0, bytes: 0 }) };
}

/// Takes room for a value and its text, or says that there is none.
fn take<E: serde::de::Error>(bytes: usize) -> Result<(), E> {
    let room = ROOM.get();
    match (room.values.checked_sub(1), room.bytes.checked_sub(bytes)) {
        (Some(values), Some(bytes)) => {
            ROOM.set(Room { values, bytes });
            Ok(())
        }
        _ => {
            ROOM.set(Room { values: 0, bytes: 0 });
            Err(E::custom("there are more or longer values than are read, with those that aliases repeat"))
        }
    }
}

/// A JSON text with escapes for the characters that JSON may hold as they are and YAML may not.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let odd = |c: char| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match odd(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

impl Node {
    /// Parses the one YAML or JSON document of file number `file`, of at most `most` values and, aliases spelt out, `bytes` of text.
    pub fn parse(text: &str, file: usize, most: usize, bytes: usize) -> Result<Node, SyntaxError> {
        // YAML 1.2: only true and false are truth values, so that the language `no` stays a string.
        let mut options = serde_saphyr::Options::default();
        options.strict_booleans = true;
        // What is bounded otherwise: the size of the text, by who reads it.
        options.budget = serde_saphyr::budget! {
            max_nodes: most,
            // A list or mapping has an event for its end too.
            max_events: 2 * most + 100,
            max_total_scalar_bytes: bytes,
            max_depth: MAX_DEPTH,
        };
        ROOM.set(Room { values: most, bytes });
        // What begins like JSON is JSON: there these characters can only stand in strings. A mark of the byte order is
        // none of the text's characters.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = match text.trim_start().starts_with(['{', '[']) {
            true => printable(text),
            false => Cow::Borrowed(text),
        };
        match serde_saphyr::from_str_with_options::<Node>(&text, options) {
            Ok(mut node) => {
                node.set_file(file);
                Ok(node)
            }
            Err(error) => {
                let line = error.location().map_or(0, |l| l.line());
                let error = error.without_snippet();
                let message = cut(error.to_string().lines().next().unwrap_or("not YAML"), MAX_REASON);
                // Inside an alias the parser gives its own bound as another error, which says so.
                let too_large = matches!(error, serde_saphyr::Error::Budget { .. })
                    || message.starts_with("budget breached")
                    || ROOM.get().values == 0;
                Err(SyntaxError { line, message, too_large })
            }
        }
    }

    /// The value of a JSON document, whose lines are not known.
    pub fn from_json(value: &serde_json::Value) -> Node {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => Value::Number(number.clone()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Node::from_json).collect()),
            Json::Object(members) => {
                Value::Map(members.iter().map(|(key, value)| (key.clone(), Node::from_json(value))).collect())
            }
        };
        Node { file: 0, line: 0, value }
    }

    /// The member of a map.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(key, _)| key == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a scalar string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node that a path such as `skills[0].examples[2]` leads to, or the nearest one above it.
    pub(crate) fn at(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match (step.strip_suffix(']'), &node.value) {
                (Some(index), Value::List(items)) => index.parse().ok().and_then(|i: usize| items.get(i)),
                _ => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Gives a mapping the members that it lacks.
    pub(crate) fn fill<'a>(&mut self, names: impl Iterator<Item = &'a str>, text: &str) {
        let (file, line) = (self.file, self.line);
        let Value::Map(members) = &mut self.value else { return };
        for name in names {
            if !members.iter().any(|(key, _)| key == name) {
                members.push((name.to_owned(), Node { file, line, value: Value::Text(text.to_owned()) }));
            }
        }
    }

    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value without its place.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Number(n) => Json::Number(n.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(members) => {
                Json::Object(members.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }

    /// About how many bytes a copy takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Node>()
            + match &self.value {
                Value::Text(text) => text.len(),
                Value::List(items) => items.iter().map(Node::weight).sum(),
                Value::Map(members) => members.iter().map(|(key, node)| key.len() + node.weight()).sum(),
                _ => 0,
            }
    }

    fn set_file(&mut self, file: usize) {
        self.file = file;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|n| n.set_file(file)),
            Value::Map(members) => members.iter_mut().for_each(|(_, n)| n.set_file(file)),
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take(0)?;
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node { file: 0, line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }

            fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
                Ok(Value::Bool(v))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value::Number(v.into()))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(Value::Number(v.into()))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                // NaN and infinities have no JSON number; their spelling is reported as a string.
                Ok(serde_json::Number::from_f64(v).map_or_else(|| Value::Text(v.to_string()), Value::Number))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Value, E> {
                take(v.len())?;
                Ok(Value::Text(v.to_owned()))
            }

            fn visit_string<E: serde::de::Error>(self, v: String) -> Result<Value, E> {
                take(v.len())?;
                Ok(Value::Text(v))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Node>()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    take(key.value.len())?;
                    let mut node = map.next_value::<Node>()?;
                    // The key's line is where a reader looks.
                    node.line = key.referenced.line();
                    members.push((key.value, node));
                }
                Ok(Value::Map(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
