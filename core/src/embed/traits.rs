//! What does every embedding model offer, wherever it runs?

use std::ops::Range;

use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result};

/// One vector per token of a text, for late interaction and late chunking.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenEmbeddings {
    /// One row per token, of unit length.
    pub vectors: Matrix,
    /// Where each token stands in the text, in UTF-8 bytes; an empty range for a special token or one of a prefix.
    pub offsets: Vec<Range<usize>>,
}

/// A model that turns texts into vectors of one dimension.
///
/// Vectors are finite and of unit length (or all zero for a text without any known token). The same text gives
/// the same vector in every batch size and order.
pub trait Embed: Send + Sync {
    /// Fingerprint of weights and settings; stored in each knowledge base, and compared when it is opened.
    fn id(&self) -> &str;

    /// Components of a vector.
    fn dim(&self) -> usize;

    /// The longest text that is embedded whole, in tokens, special tokens included.
    fn max_tokens(&self) -> usize;

    /// Embeds documents: one row per text; no text gives a matrix of 0 x [`dim`](Embed::dim).
    /// `cancel` is looked at between batches. Errors: `cancelled`, `not_finite`, and what the model may raise.
    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix>;

    /// Embeds one query.
    fn embed_query(&self, text: &str) -> Result<Vec<f32>>;

    /// Embeds several queries, one row each.
    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.dim());
        for (i, text) in texts.iter().enumerate() {
            cancel.check()?;
            out.row_mut(i).copy_from_slice(&self.embed_query(text)?);
        }
        Ok(out)
    }

    /// One vector per token of `text`, of which no more than [`max_tokens`](Embed::max_tokens) are read. Errors: `unsupported` where the model has no token vectors.
    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        let _ = text;
        Err(Error::new(Code::Unsupported, format!("embedder '{}' gives no token vectors", self.id())))
    }

    /// Where the tokens of `text` stand, in UTF-8 bytes, without special tokens and without truncation.
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>>;

    /// The number of tokens that are read with each document beside its own: special ones, and those of a prefix.
    fn special_tokens(&self) -> usize;

    /// Whether texts are embedded in this process by a model of this library, so that asking it costs little and tells
    /// nobody. A service, or a function of the host, is asked for nothing but what its caller gives.
    fn is_local(&self) -> bool {
        true
    }
}
