//! How are documents kept, found, ranked and cited?

#![warn(missing_docs)]

pub mod chunk;
pub mod context;
mod document;
pub mod eval;
#[cfg(test)]
mod fuzz;
pub mod index;
mod kb;
pub mod load;
pub mod retrieve;

pub use context::{Citation, Context, ContextOptions, ContextOrder, CountTokens, EmptyContext};
pub use document::{Chunk, Document, MAX_ID_BYTES, MAX_TEXT_BYTES, Metadata};
pub use index::lexical::{Asking, FuzzyAsked, Language, Lexical, LexicalQuery, PhraseAsked};
#[doc(hidden)]
pub use kb::Tuning;
pub use kb::{
    CopyOptions, CopyReport, DocumentPage, Durability, FileOptions, KnowledgeBase, ListOptions, ModelSource,
    OnError, OpenOptions, Part, Problem, Progress, ReembedOptions, Skipped, Stats, SyncOptions, SyncReport,
    VerifyReport, WriteOptions, WriteReport,
};
pub use quorate_core::filter::{self, Filter, RowSet, Sort, Value};
pub use quorate_store::Version;
pub use retrieve::{
    Bm25, Explanation, Fusion, GroupBy, Hit, Hits, Mode, Rerank, RerankFn, Reranker, SearchOptions,
};
