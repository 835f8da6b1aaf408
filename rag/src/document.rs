//! What is a document, and which ones are refused?

use std::ops::Range;

pub(crate) use quorate_core::shorten;
use quorate_core::{Code, Error, Result};

/// What is known about a document besides its text: a JSON object, whose members (also nested ones, by dotted
/// path) can be named in filters.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// The longest text of one document, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 << 20;

/// One document, as given to [`KnowledgeBase::add`](crate::KnowledgeBase::add) and as returned by
/// [`KnowledgeBase::get`](crate::KnowledgeBase::get).
///
/// ```
/// use quorate_rag::Document;
/// let doc = Document::new("a", "Metformin is contraindicated below an eGFR of 30.")
///     .title("Metformin label")
///     .metadata_field("year", 2024);
/// assert!(doc.validate().is_ok());
/// assert_eq!(Document::new("", "text").validate().unwrap_err().code().as_str(), "invalid_document");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Unique within its tenant; 1 to [`MAX_ID_BYTES`] bytes.
    pub id: String,
    /// The text that is chunked, embedded and searched; at most [`MAX_TEXT_BYTES`].
    pub text: String,
    /// The title; empty when there is none.
    pub title: String,
    /// Where it came from (a path, a URL); empty when unknown.
    pub source: String,
    /// What is known about it.
    pub metadata: Metadata,
    /// The chunks, when the caller has cut the text; otherwise the knowledge base cuts it.
    pub chunks: Option<Vec<Chunk>>,
}

/// A piece of a document's text that is embedded and found on its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Where it stands in the document's text, in UTF-8 bytes.
    pub range: Range<usize>,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its embedding, when the caller has one; it is brought to unit length.
    pub vector: Option<Vec<f32>>,
}

impl Document {
    /// A document with an id and a text.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Document { id: id.into(), text: text.into(), ..Document::default() }
    }

    /// The same with a title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The same with a source.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// The same with other metadata.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same with one more metadata member.
    pub fn metadata_field(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// The same with the caller's chunks.
    pub fn chunks(mut self, chunks: Vec<Chunk>) -> Self {
        self.chunks = Some(chunks);
        self
    }

    /// The same as one chunk with a given embedding, which is brought to unit length.
    pub fn vector(mut self, vector: Vec<f32>) -> Self {
        let range = 0..self.text.len();
        self.chunks = Some(vec![Chunk { range, headings: Vec::new(), vector: Some(vector) }]);
        self
    }

    /// Whether it can be stored. Errors: `invalid_document`, `too_large`, `not_finite`.
    pub fn validate(&self) -> Result<()> {
        let refuse = |reason: String| {
            Err(Error::new(Code::InvalidDocument, format!("document '{}': {reason}", shorten(&self.id))))
        };
        if self.id.is_empty() {
            return refuse("the id is empty; give each document an id".into());
        }
        if self.id.len() > MAX_ID_BYTES {
            return refuse(format!("the id has {} bytes, at most {MAX_ID_BYTES} are allowed", self.id.len()));
        }
        if self.text.trim().is_empty() && self.title.trim().is_empty() {
            return refuse("the text and the title are empty; there is nothing to find".into());
        }
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "document '{}': the text has {} bytes, at most {MAX_TEXT_BYTES} are allowed; split it",
                    shorten(&self.id),
                    self.text.len()
                ),
            ));
        }
        let Some(chunks) = &self.chunks else { return Ok(()) };
        if chunks.is_empty() {
            return refuse("the list of chunks is empty; leave it out to have the text cut".into());
        }
        for (i, chunk) in chunks.iter().enumerate() {
            let Range { start, end } = chunk.range;
            if self.text.get(start..end).is_none() {
                return refuse(format!(
                    "chunk {i} spans bytes {start}..{end}, which is not a range of characters of the text ({} bytes)",
                    self.text.len()
                ));
            }
            if let Some(vector) = &chunk.vector
                && let Some(at) = vector.iter().position(|x| !x.is_finite())
            {
                return Err(Error::new(
                    Code::NotFinite,
                    format!(
                        "document '{}': component {at} of the vector of chunk {i} is {}",
                        shorten(&self.id),
                        vector[at]
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_stored() {
        let code = |doc: Document| doc.validate().unwrap_err().code();
        assert_eq!(code(Document::new("", "x")), Code::InvalidDocument);
        assert_eq!(code(Document::new("a", " \n")), Code::InvalidDocument);
        assert_eq!(code(Document::new("a".repeat(2000), "x")), Code::InvalidDocument);
        assert_eq!(code(Document::new("a", "x").chunks(vec![])), Code::InvalidDocument);
        assert_eq!(code(Document::new("a", "x").vector(vec![1.0, f32::NAN])), Code::NotFinite);
        let inside_a_character = Chunk { range: 0..1, ..Chunk::default() };
        assert_eq!(code(Document::new("a", "é").chunks(vec![inside_a_character])), Code::InvalidDocument);
        assert!(Document::new("a", "").title("only a title").validate().is_ok());
    }
}
