//! How are documents kept, found, ranked and cited?

#![warn(missing_docs)]

pub mod chunk;
pub mod context;
mod document;
pub mod eval;
#[cfg(feature = "failpoints")]
mod failpoint;
pub mod filter;
#[cfg(test)]
mod fuzz;
pub mod index;
mod kb;
pub mod load;
pub mod retrieve;
mod rows;
mod store;

pub use context::{Citation, Context, ContextOptions, ContextOrder, CountTokens};
pub use document::{Chunk, Document, MAX_ID_BYTES, MAX_TEXT_BYTES, Metadata};
pub use filter::Filter;
pub use index::lexical::{Language, LexicalQuery};
pub use kb::{
    Durability, FileOptions, KnowledgeBase, ModelSource, OnError, OpenOptions, Progress, Skipped, Stats,
    WriteOptions, WriteReport,
};
pub use retrieve::{
    Bm25, Explanation, Fusion, GroupBy, Hit, Hits, Mode, Rerank, RerankFn, Reranker, SearchOptions,
};
pub use rows::RowSet;
pub use store::Version;
