//! How does text become vectors?

mod cache;
#[cfg(feature = "http")]
mod remote;
mod traits;

pub use cache::{CacheStats, CachedEmbedder, EmbeddingCache};
#[cfg(feature = "http")]
pub use remote::{RemoteEmbedder, RemoteOptions};
pub use traits::{Embed, TokenEmbeddings};
