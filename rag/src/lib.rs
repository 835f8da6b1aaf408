//! How are documents kept, found, ranked and cited?

#![warn(missing_docs)]

pub mod chunk;
mod document;
pub mod eval;
pub mod filter;
pub mod index;
pub mod load;
mod rows;

pub use document::{Chunk, Document, MAX_ID_BYTES, MAX_TEXT_BYTES, Metadata};
pub use rows::RowSet;
