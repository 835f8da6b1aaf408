//! How are documents kept, found, ranked and cited?

#![warn(missing_docs)]

pub mod chunk;
mod document;
pub mod eval;
pub mod filter;
pub mod index;
mod kb;
pub mod load;
pub mod retrieve;
mod rows;
mod store;

pub use document::{Chunk, Document, MAX_ID_BYTES, MAX_TEXT_BYTES, Metadata};
pub use filter::Filter;
pub use index::lexical::{Language, LexicalQuery};
pub use kb::{
    Durability, KnowledgeBase, ModelSource, OnError, OpenOptions, Progress, Skipped, Stats, WriteOptions,
    WriteReport,
};
pub use retrieve::{Bm25, Explanation, Fusion, GroupBy, Hit, Hits, Mode, SearchOptions};
pub use rows::RowSet;
pub use store::Version;
