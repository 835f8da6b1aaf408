//! How does text become vectors?

mod static_model;
mod traits;
mod wordpiece;

pub use static_model::StaticModel;
pub use traits::{Embed, TokenEmbeddings};
