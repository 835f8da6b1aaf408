//! Which chunks answer a query best, and why?

mod explain;
mod fusion;
mod hits;
mod options;
mod search;

pub use explain::{DenseExplanation, Explanation, FusionExplanation, LexicalExplanation, RerankExplanation};
pub use fusion::Fusion;
pub use hits::{Hit, Hits};
pub use options::{Bm25, GroupBy, Mode, SearchOptions};
pub(crate) use search::{Query, search};
