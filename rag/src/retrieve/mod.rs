//! Which chunks answer a query best, and why?

mod explain;
mod fusion;
mod hits;
mod many;
mod options;
mod relevance;
mod rerank;
mod search;

pub use explain::{
    BlendExplanation, DenseExplanation, Explanation, FusionExplanation, LexicalExplanation, QueryExplanation,
    RerankExplanation,
};
pub use fusion::Fusion;
pub use hits::{Hit, Hits};
pub(crate) use many::search_many;
pub(crate) use options::MAX_FACTOR;
pub use options::{Bm25, GroupBy, Mode, SearchOptions};
pub(crate) use relevance::Judge;
pub(crate) use rerank::Ready;
pub use rerank::{Rerank, RerankFn, Reranker};
pub(crate) use search::{Query, search};
