//! What is kept of a document?

/// A document that is ready to be stored: cut, embedded, with its metadata as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Unique within its tenant.
    pub id: String,
    /// Empty when there is none.
    pub title: String,
    /// Where it came from; empty when unknown.
    pub source: String,
    /// A JSON object.
    pub metadata: String,
    /// What is searched.
    pub text: String,
    /// The pieces that are found on their own.
    pub chunks: Vec<Span>,
    /// One row of the embedder's dimension per chunk.
    pub vectors: Vec<f32>,
}

/// Where a chunk stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The first byte in the text.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
    /// A JSON array of headings; empty for none.
    pub headings: String,
}
