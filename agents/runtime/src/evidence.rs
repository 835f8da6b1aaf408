//! What can be cited, and where does it come from?

use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::filter::Filter;
use quorate_core::{Cancel, Result};
use serde::{Deserialize, Serialize};

/// A passage of a document: `document_text[start..end]` is `text`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The id of its document.
    pub doc_id: String,
    /// The id of the best chunk in it.
    pub chunk_id: String,
    /// The title of its document; empty when there is none.
    pub title: String,
    /// Its words.
    pub text: String,
    /// Where it starts in its document's text, in UTF-8 bytes.
    pub start: usize,
    /// Where it ends in its document's text, in UTF-8 bytes.
    pub end: usize,
    /// What stands before it in the document, as other languages count.
    #[serde(default)]
    pub before: Before,
    /// How well its best chunk fits the question.
    pub score: f32,
}

/// The length of what stands before a passage in its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// In code points.
    pub chars: usize,
    /// In UTF-16 units.
    pub utf16: usize,
}

impl Before {
    /// The length of `text`.
    ///
    /// ```
    /// assert_eq!(quorate_runtime::Before::of("a\u{1f642}").utf16, 3);
    /// ```
    pub fn of(text: &str) -> Self {
        text.chars().fold(Before::default(), |sum, c| Before {
            chars: sum.chars + 1,
            utf16: sum.utf16 + c.len_utf16(),
        })
    }

    /// The length of this and `text` together.
    pub fn and(self, text: &str) -> Self {
        let more = Before::of(text);
        Before { chars: self.chars + more.chars, utf16: self.utf16 + more.utf16 }
    }
}

/// Where a statement of an answer comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// What stands in the answer: `[1]`, `[2]` and so on.
    pub marker: String,
    /// The id of the document.
    pub doc_id: String,
    /// The id of the chunk.
    pub chunk_id: String,
    /// The title of the document; empty when there is none.
    pub title: String,
    /// The words that are cited: `document_text[start..end]`.
    pub text: String,
    /// Where they start in the document's text, in UTF-8 bytes.
    pub start: usize,
    /// Where they end in the document's text, in UTF-8 bytes.
    pub end: usize,
    /// What stands before them in the document, as other languages count.
    #[serde(default)]
    pub before: Before,
}

impl From<&Citation> for Passage {
    fn from(citation: &Citation) -> Self {
        Passage {
            doc_id: citation.doc_id.clone(),
            chunk_id: citation.chunk_id.clone(),
            title: citation.title.clone(),
            text: citation.text.clone(),
            start: citation.start,
            end: citation.end,
            before: citation.before,
            score: 0.0,
        }
    }
}

/// Which passages are looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A condition that each document must meet.
    pub filter: Option<Filter>,
    /// The most tokens of all passages together.
    pub max_tokens: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted { filter: None, max_tokens: 2000 }
    }
}

/// Where passages are found: a knowledge base, seen by one tenant.
pub trait Retrieve: Send + Sync {
    /// The passages that fit `question`, the best first. Errors: those of a search.
    fn passages(&self, question: &str, wanted: &Wanted, cancel: &Cancel) -> Result<Vec<Passage>>;

    /// What turns sentences into vectors, where they may be compared by meaning at little cost.
    fn embedder(&self) -> Option<Arc<dyn Embed>>;
}
