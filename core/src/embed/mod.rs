//! How does text become vectors?

mod traits;

pub use traits::{Embed, TokenEmbeddings};
