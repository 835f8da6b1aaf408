//! What is kept of a document?

/// A document that is ready to be stored: cut, embedded, with its metadata as JSON text.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub id: String,
    pub title: String,
    pub source: String,
    /// A JSON object.
    pub metadata: String,
    pub text: String,
    pub chunks: Vec<Span>,
    /// One row of the embedder's dimension per chunk.
    pub vectors: Vec<f32>,
}

/// Where a chunk stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
    /// A JSON array of headings; empty for none.
    pub headings: String,
}
