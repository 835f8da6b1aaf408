//! How does text become vectors?
//!
//! [`Embedder::open`] gives the built-in static model or a transformer from a folder; [`CrossEncoder`] scores pairs.
//! [`Embed`] is what every model offers.

mod architecture;
mod cache;
mod callback;
mod cross_encoder;
mod dense;
mod embedder;
mod encoder;
mod fast;
mod folder;
mod json;
mod options;
mod pooling;
#[cfg(test)]
mod reference;
#[cfg(feature = "http")]
mod remote;
mod source;
mod static_model;
mod tokenization;
mod traits;
mod transformer;
mod tuned;
mod weights;
mod wordpiece;
mod words;

pub use cache::{CacheStats, CachedEmbedder, EmbeddingCache};
pub use callback::CallbackEmbedder;
pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use embedder::Embedder;
pub use options::{EmbedderOptions, MAX_BATCH, MAX_THREADS, Precision};
#[cfg(feature = "http")]
pub use remote::{RemoteEmbedder, RemoteOptions};
pub use static_model::StaticModel;
pub use traits::{Embed, TokenEmbeddings};
