//! How does text become vectors?

mod architecture;
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
mod source;
mod tokenization;
mod traits;
mod transformer;
mod weights;
mod workers;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use embedder::Embedder;
pub use options::{EmbedderOptions, Precision};
pub use traits::{Embed, TokenEmbeddings};
