//! How are a whole answer and the events of a streamed one laid out in the chat-completions interface?

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

/// A whole answer and one event of a stream are alike: `message` in one is `delta` in the other. Some services send both,
/// the first with all that has come so far.
#[derive(Deserialize)]
pub(super) struct Chunk {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) usage: Option<Value>,
    #[serde(default)]
    pub(super) model: Option<String>,
    /// Usage as one server sends it in streams.
    #[serde(default)]
    pub(super) x_groq: Option<Value>,
    /// Some services put an error beside the last choice.
    #[serde(default)]
    pub(super) error: Option<IgnoredAny>,
}

impl Chunk {
    /// An error has no choices, or says so beside them; everything else without them is usage or a sign of life.
    pub(super) fn may_be_error(&self) -> bool {
        self.choices.is_empty() || self.error.is_some()
    }
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) index: u64,
    #[serde(default)]
    pub(super) delta: Option<Delta>,
    #[serde(default)]
    pub(super) message: Option<Delta>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    #[serde(default)]
    pub(super) usage: Option<Value>,
}

#[derive(Default, Deserialize)]
pub(super) struct Delta {
    #[serde(default)]
    pub(super) content: Content,
    #[serde(default)]
    pub(super) reasoning_content: Option<String>,
    #[serde(default)]
    pub(super) reasoning: Option<Value>,
    #[serde(default)]
    pub(super) reasoning_details: Option<Value>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tool_calls: Vec<Call>,
    /// The one call of the older interface.
    #[serde(default)]
    pub(super) function_call: Option<Function>,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) function: Function,
}

#[derive(Default, Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<Value>,
}

impl Function {
    pub(super) fn is_empty(&self) -> bool {
        self.name.as_ref().is_none_or(String::is_empty) && self.arguments.as_ref().is_none_or(|own| own == "")
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Content: a text, nothing, or a list of parts.
#[derive(Default)]
pub(super) enum Content {
    #[default]
    None,
    Text(String),
    Parts(Vec<Value>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list of parts or null")
            }
            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::None)
            }
            fn visit_none<E>(self) -> Result<Content, E> {
                Ok(Content::None)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Content, D::Error> {
                inner.deserialize_any(self)
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}
