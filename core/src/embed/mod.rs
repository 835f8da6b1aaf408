//! How does text become vectors?

mod fast;
mod traits;

pub use traits::{Embed, TokenEmbeddings};
