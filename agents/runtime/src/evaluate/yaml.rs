//! What does a file of tasks say, and on which line?

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Values of a file, and how deep they may lie.
const MAX_VALUES: usize = 1_000_000;
const MAX_DEPTH: usize = 64;

/// A value with the line, counted from 1, on which it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Yaml,
}

#[derive(Clone, Debug)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// Members in the order of the file; the line is that of the key.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads YAML, and so JSON too. Or gives the line and what the reader says.
    pub(super) fn parse(text: &str) -> Result<Node, (u64, String)> {
        let mut options = serde_saphyr::Options::default();
        // Only true and false are truth values, so that the answer `no` stays a text.
        options.strict_booleans = true;
        options.budget = serde_saphyr::budget! {
            max_nodes: MAX_VALUES,
            max_events: 2 * MAX_VALUES + 100,
            max_total_scalar_bytes: super::task::MAX_FILE_BYTES,
            max_depth: MAX_DEPTH,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let said = error.without_snippet().to_string();
            (line, said.lines().next().unwrap_or("not YAML").to_owned())
        })
    }

    /// What the value is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a truth value",
            Yaml::Number(_) => "a number",
            Yaml::Text(_) => "a text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }

    /// The value without its place.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Yaml::Null => Json::Null,
            Yaml::Bool(truth) => Json::Bool(*truth),
            Yaml::Number(number) => Json::Number(number.clone()),
            Yaml::Text(text) => Json::String(text.clone()),
            Yaml::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Yaml::Map(members) => {
                Json::Object(members.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Yaml>::deserialize(deserializer)?;
        Ok(Node { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Yaml;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Yaml, E> {
        Ok(Yaml::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Yaml, E> {
        Ok(Yaml::Number(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Yaml, E> {
        // NaN and infinities have no JSON number; their spelling is a text.
        Ok(serde_json::Number::from_f64(v).map_or_else(|| Yaml::Text(v.to_string()), Yaml::Number))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let mut node = map.next_value::<Node>()?;
            // The key's line is where a reader looks.
            node.line = key.referenced.line();
            members.push((key.value, node));
        }
        Ok(Yaml::Map(members))
    }
}
