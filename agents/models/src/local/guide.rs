//! Which tokens may come next in an answer of a given form?
//!
//! Feature `constrained`: by llguidance. Without it no form is guided; the form then stands in the prompt.

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use super::tokenizer::Tokenizer;

/// What guides of one model share.
pub(super) struct Guides {
    #[cfg(feature = "constrained")]
    factory: llguidance::ParserFactory,
}

/// The way through one answer.
pub(super) struct Guide {
    #[cfg(feature = "constrained")]
    matcher: llguidance::Matcher,
    #[cfg(feature = "constrained")]
    mask: Option<llguidance::toktrie::SimpleVob>,
}

#[cfg(not(feature = "constrained"))]
impl Guides {
    pub(super) fn new(_: &Tokenizer) -> Result<Self> {
        Ok(Guides {})
    }

    pub(super) fn guide(&self, _: &Value) -> Result<Guide> {
        Err(Error::new(
            Code::Unsupported,
            "forms are not guided: the feature 'constrained' was not compiled in",
        ))
    }
}

#[cfg(not(feature = "constrained"))]
impl Guide {
    pub(super) fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    pub(super) fn allows(&self, _: u32) -> bool {
        true
    }

    pub(super) fn take(&mut self, _: u32) -> Result<bool> {
        Ok(false)
    }
}

#[cfg(feature = "constrained")]
impl Guides {
    /// Errors: `internal`.
    pub(super) fn new(tokenizer: &Tokenizer) -> Result<Self> {
        use llguidance::toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};
        let count = u32::try_from(tokenizer.len()).unwrap_or(u32::MAX);
        let words: Vec<Vec<u8>> = (0..count)
            .map(|id| {
                if tokenizer.is_mark(id) {
                    // Marks are told from texts by a byte that no text has.
                    [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<[{id}]>").as_bytes()].concat()
                } else {
                    tokenizer.bytes(id).to_vec()
                }
            })
            .collect();
        let ends = tokenizer.ends();
        let info = TokRxInfo::new(count, ends.first().copied().unwrap_or(0));
        let trie = TokTrie::from(&info, &words);
        let trie = if ends.is_empty() { trie } else { trie.with_eos_tokens(&ends) };
        let environment: llguidance::toktrie::TokEnv = std::sync::Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = llguidance::ParserFactory::new_simple(&environment).map_err(failed)?;
        factory.quiet();
        Ok(Guides { factory })
    }

    /// The guide to answers that fit a JSON Schema. Errors: `unsupported` for schemas that cannot be guided.
    pub(super) fn guide(&self, schema: &Value) -> Result<Guide> {
        let mut schema = schema.clone();
        if let Some(object) = schema.as_object_mut() {
            // Free white space would let a model write nothing else; this is how most write JSON.
            let style = serde_json::json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "});
            object.insert("x-guidance".into(), style);
        }
        let grammar = llguidance::api::TopLevelGrammar::from_json_schema(schema);
        let matcher = llguidance::Matcher::new(self.factory.create_parser(grammar));
        if let Some(said) = matcher.get_error() {
            let message = format!("the form cannot be guided: {}", first_line(&said));
            return Err(Error::new(Code::Unsupported, message));
        }
        Ok(Guide { matcher, mask: None })
    }
}

#[cfg(feature = "constrained")]
impl Guide {
    /// Finds out what may come next. Errors: `unsupported` for forms that cannot be met.
    pub(super) fn prepare(&mut self) -> Result<()> {
        self.mask = Some(self.matcher.compute_mask_or_eos().map_err(unmet)?);
        Ok(())
    }

    /// Whether a token may come next, after [`Guide::prepare`].
    pub(super) fn allows(&self, token: u32) -> bool {
        self.mask.as_ref().is_some_and(|mask| (token as usize) < mask.len() && mask.is_allowed(token))
    }

    /// Takes the next token; whether the answer is whole and nothing may follow. Errors: `unsupported`.
    pub(super) fn take(&mut self, token: u32) -> Result<bool> {
        self.matcher.consume_token(token).map_err(unmet)?;
        Ok(self.matcher.is_stopped())
    }
}

#[cfg(feature = "constrained")]
fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("guiding the answer failed: {}", first_line(&e)))
}

/// Of a form that no token can go on with, or that takes more steps than llguidance allows.
#[cfg(feature = "constrained")]
fn unmet(e: impl std::fmt::Display) -> Error {
    let message = format!("the form of the answer cannot be met by this model: {}", first_line(&e));
    Error::new(Code::Unsupported, message)
}

/// What llguidance says, without the state that it shows after it.
#[cfg(feature = "constrained")]
fn first_line(e: &impl std::fmt::Display) -> String {
    let said = e.to_string();
    said.lines().next().unwrap_or_default().chars().take(200).collect()
}
