//! How does a function of the host become an embedder?

use std::fmt;
use std::ops::Range;

use super::traits::Embed;
use super::words::estimate;
use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result};

/// The function: texts in, one row of numbers for each out.
type Embedding = dyn Fn(&[&str], &Cancel) -> Result<Vec<Vec<f32>>> + Send + Sync;

/// The longest id of a callback embedder, in bytes.
const MAX_ID_BYTES: usize = 256;

/// The most components of a vector.
const MAX_DIM: usize = 65_536;

/// An embedder that the host has written. What the function gives is checked, and brought to unit length.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_core::embed::{CallbackEmbedder, Embed};
/// let lengths = |texts: &[&str], _: &Cancel| Ok(texts.iter().map(|t| vec![t.len() as f32, 1.0]).collect());
/// let embedder = CallbackEmbedder::new("lengths-v1", 2, lengths)?;
/// assert_eq!(embedder.embed(&["abc", "de"], &Cancel::new())?.rows(), 2);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct CallbackEmbedder {
    id: String,
    dim: usize,
    max_tokens: usize,
    embed: Box<Embedding>,
}

impl CallbackEmbedder {
    /// Longest text, in tokens by estimate, that chunking aims for.
    pub const MAX_TOKENS: usize = 512;

    /// An embedder of `dim` components that calls `embed` with texts (documents and queries alike), which must give the
    /// same vector for the same text. `id` names the function and its version: a knowledge base remembers it, and
    /// vectors of two functions must not share one.
    ///
    /// Errors: `invalid_argument` for an id that is empty, over 256 bytes or not printable, or a `dim` of 0; `too_large`.
    pub fn new(
        id: impl Into<String>,
        dim: usize,
        embed: impl Fn(&[&str], &Cancel) -> Result<Vec<Vec<f32>>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let id = id.into();
        if id.trim().is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "the id of a callback embedder has 1 to {MAX_ID_BYTES} printable bytes, such as 'mine-v1'; {} were given",
                id.len()
            )));
        }
        super::options::within("dim", Some(dim), MAX_DIM)?;
        Ok(CallbackEmbedder {
            id: format!("callback:{id}:{dim}"),
            dim,
            max_tokens: Self::MAX_TOKENS,
            embed: Box::new(embed),
        })
    }

    /// The same with another length of text, in tokens by estimate, that chunking aims for. Errors: `invalid_argument`.
    pub fn max_tokens(mut self, tokens: usize) -> Result<Self> {
        super::options::within("max_tokens", Some(tokens), usize::MAX)?;
        self.max_tokens = tokens;
        Ok(self)
    }

    fn wrong(&self, what: String) -> Error {
        Error::new(Code::Callback, format!("embedder '{}': the function gave {what}", self.id))
    }
}

impl Embed for CallbackEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Errors: `callback` when the function fails or gives another shape, `not_finite`, `cancelled`.
    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        cancel.check()?;
        let mut out = Matrix::zeros(texts.len(), self.dim);
        if texts.is_empty() {
            return Ok(out);
        }
        let rows = (self.embed)(texts, cancel)?;
        if rows.len() != texts.len() {
            return Err(self.wrong(format!("{} vectors for {} texts", rows.len(), texts.len())));
        }
        for (i, row) in rows.iter().enumerate() {
            if row.len() != self.dim {
                return Err(self.wrong(format!(
                    "a vector of {} components for text {i}; dim is {}",
                    row.len(),
                    self.dim
                )));
            }
            if let Some(at) = row.iter().position(|x| !x.is_finite()) {
                let what = format!("{} as component {at} of the vector for text {i}", row[at]);
                return Err(Error::new(Code::NotFinite, self.wrong(what).message()));
            }
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if norm > 0.0 {
                out.row_mut(i).iter_mut().zip(row).for_each(|(to, &x)| *to = (f64::from(x) / norm) as f32);
            }
        }
        Ok(out)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.embed(&[text], &Cancel::new())?.into_vec())
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed(texts, cancel)
    }

    /// The function's tokens are not known here: an estimate, as for remote models.
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        Ok(estimate(text))
    }

    fn special_tokens(&self) -> usize {
        0
    }

    fn is_local(&self) -> bool {
        false
    }
}

impl fmt::Debug for CallbackEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackEmbedder")
            .field("id", &self.id)
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(row: Vec<f32>) -> CallbackEmbedder {
        CallbackEmbedder::new("test", 2, move |texts, _| Ok(vec![row.clone(); texts.len()])).unwrap()
    }

    #[test]
    fn vectors_come_to_unit_length() {
        let embedder = made(vec![3e-30, 4e-30]);
        let vector = embedder.embed_query("a").unwrap();
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6, "{vector:?}");
        assert_eq!(made(vec![0.0, 0.0]).embed_query("a").unwrap(), [0.0, 0.0]);
        assert_eq!(embedder.embed(&[], &Cancel::new()).unwrap().rows(), 0);
        assert_eq!(embedder.id(), "callback:test:2");
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        let code = |row: Vec<f32>| made(row).embed_query("a").unwrap_err().code();
        assert_eq!(code(vec![1.0]), Code::Callback);
        assert_eq!(code(vec![1.0, f32::NAN]), Code::NotFinite);
        let few = CallbackEmbedder::new("few", 2, |_, _| Ok(vec![])).unwrap();
        assert_eq!(few.embed_query("a").unwrap_err().code(), Code::Callback);
        for (id, dim) in [("", 2), (" ", 2), ("a\n", 2), ("a", 0)] {
            let refused = CallbackEmbedder::new(id, dim, |_, _| Ok(vec![])).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{id:?} {dim}");
        }
    }

    #[test]
    fn a_raised_flag_ends_before_the_call() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert_eq!(made(vec![1.0, 0.0]).embed(&["a"], &cancel).unwrap_err().code(), Code::Cancelled);
    }
}
