//! How does text become vectors?
//!
//! [`Embedder::open`] gives the built-in static model or a transformer from a folder; [`CrossEncoder`] scores pairs.
//! [`Embed`] is what every model offers.

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
mod static_model;
mod tokenization;
mod traits;
mod transformer;
mod tuned;
mod weights;
mod wordpiece;
mod workers;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
pub use embedder::Embedder;
pub use options::{EmbedderOptions, Precision};
pub use static_model::StaticModel;
pub use traits::{Embed, TokenEmbeddings};
