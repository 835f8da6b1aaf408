//! Which shadows of the truth make it searchable?
//!
//! A knowledge base is a sequence of immutable segments, oldest first. Each has a catalogue of its documents, an
//! inverted index, and vectors; the newest are small and in memory. Rows are numbered within their segment.

mod bytes;
mod catalog;
pub mod dense;
#[cfg(test)]
mod fuzz;
pub mod lexical;
mod segment;
mod top;
mod vectors;

pub(crate) use catalog::{Catalog, DocView};
pub(crate) use segment::{GRAPH, Segment, View};
pub(crate) use top::{Scored, TopRows};
pub(crate) use vectors::Vectors;

/// The bytes of a snapshot file. Errors: `io`, `not_found`, `permission_denied`.
pub(crate) fn map_file(path: &std::path::Path) -> quorate_core::Result<bytes::Bytes> {
    bytes::Bytes::map(path)
}
