//! How does a text become a vector without a network of layers: by adding up the vectors of its tokens?
//!
//! The built-in model is such a model, compiled into the library: no download, no file, ready in milliseconds.
//! Its token vectors are distilled from all-MiniLM-L6-v2 by the scripts in `models/builtin`, whose `MODEL_CARD.md`
//! names the data, the measured quality and the credits.
//!
//! The file format, version 1, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `QRSTATIC` |
//! | 4 | u32: format version, 1 |
//! | 4 | u32: components of a vector, `dim` |
//! | 4 | u32: entries of the vocabulary, `n` |
//! | 4 | u32: bytes of the vocabulary, `v` |
//! | 16 | the first 16 bytes of the SHA-256 of everything behind the header |
//! | v | the entries, UTF-8, separated by line feeds; the first stands for unknown words and does not count |
//! | 4 n | f32: the scale of each row |
//! | n dim | i8: the rows; component = scale x byte; the weight of the token is in its length |

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::traits::{Embed, TokenEmbeddings};
use super::wordpiece::{UNKNOWN, WordPiece};
use crate::parallel;
use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result};

/// A static embedding model: the unit-length sum of weighted token vectors.
///
/// A text without any known token (the empty text is one) gives the zero vector. There is no limit to the length
/// of a text, and no order of words: `max_tokens` is advice for chunking.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_core::embed::{Embed, StaticModel};
///
/// let model = StaticModel::builtin()?;
/// let v = model.embed(&["a heart attack", "myocardial infarction", "an unpaid invoice"], &Cancel::new())?;
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
/// assert!(dot(v.row(0), v.row(1)) > dot(v.row(0), v.row(2)));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct StaticModel {
    id: String,
    dim: usize,
    pieces: WordPiece,
    scales: Vec<f32>,
    bytes: Cow<'static, [u8]>,
    /// Where the rows begin in `bytes`.
    rows_at: usize,
}

impl StaticModel {
    /// The name under which the built-in model is opened.
    pub const BUILTIN: &'static str = "builtin";

    /// Chunks of about this many tokens keep one subject each; a sum over more becomes vague.
    pub const SUGGESTED_TOKENS: usize = 512;

    /// The model that is compiled into the library; made ready once a process and shared.
    /// Errors: none, unless the library itself is damaged (`model_invalid`).
    pub fn builtin() -> Result<Arc<StaticModel>> {
        static SHARED: OnceLock<Arc<StaticModel>> = OnceLock::new();
        if let Some(model) = SHARED.get() {
            return Ok(model.clone());
        }
        let model = Arc::new(StaticModel::parse(Cow::Borrowed(ASSET), Self::BUILTIN)?);
        Ok(SHARED.get_or_init(|| model).clone())
    }

    /// A model of the same format from a file, as the scripts in `models/builtin` write it.
    /// Errors: `not_found` and other file errors, `model_invalid`, `format_version`.
    pub fn open(path: impl AsRef<Path>) -> Result<StaticModel> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        StaticModel::parse(Cow::Owned(bytes), "static").map_err(|e| e.context(path.display()))
    }

    /// The number of entries in the vocabulary, the unknown one included.
    pub fn vocabulary_len(&self) -> usize {
        self.pieces.len()
    }

    /// The entries of the vocabulary that `text` is cut into, in order; 0 stands for an unknown word.
    pub fn token_ids(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        self.pieces.cut(text, |token, _| out.push(token));
        out
    }

    fn parse(bytes: Cow<'static, [u8]>, name: &str) -> Result<StaticModel> {
        let invalid = |what: String| Error::new(Code::ModelInvalid, what);
        if bytes.len() < HEADER || &bytes[..8] != MAGIC {
            return Err(invalid("magic: these bytes do not begin as a static model does".into()));
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if word(8) != FORMAT {
            let text = format!("format version {} given, {FORMAT} expected; use a newer release", word(8));
            return Err(Error::new(Code::FormatVersion, text));
        }
        let (dim, count, list) = (word(12) as usize, word(16) as usize, word(20) as usize);
        let expected = count
            .checked_mul(dim)
            .and_then(|rows| rows.checked_add(HEADER + list)?.checked_add(count.checked_mul(4)?))
            .filter(|_| dim > 0 && count > 0);
        if expected != Some(bytes.len()) {
            return Err(invalid(format!(
                "length: {count} rows of {dim} components and {list} bytes of vocabulary do not fill {} bytes",
                bytes.len()
            )));
        }
        let entries = std::str::from_utf8(&bytes[HEADER..HEADER + list])
            .map_err(|e| invalid(format!("vocabulary: not UTF-8: {e}")))?;
        let pieces = WordPiece::new(entries)?;
        if pieces.len() != count {
            return Err(invalid(format!("vocabulary: {} entries for {count} rows", pieces.len())));
        }
        let rows_at = HEADER + list + 4 * count;
        let scales: Vec<f32> = bytes[HEADER + list..rows_at]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        if let Some(i) = scales.iter().position(|s| !s.is_finite()) {
            return Err(invalid(format!("scales: the scale of row {i} is not finite")));
        }
        let print: String = bytes[24..HEADER].iter().map(|b| format!("{b:02x}")).collect();
        Ok(StaticModel { id: format!("{name}:{print}"), dim, pieces, scales, rows_at, bytes })
    }

    fn row(&self, token: u32) -> &[u8] {
        let at = self.rows_at + token as usize * self.dim;
        &self.bytes[at..at + self.dim]
    }

    /// Writes the unit-length sum of the token vectors of `text` to `out`, which holds zeros.
    fn embed_into(&self, text: &str, out: &mut [f32]) {
        self.pieces.cut(text, |token, _| {
            if token != UNKNOWN {
                add_row(out, self.row(token), self.scales[token as usize]);
            }
        });
        to_unit_length(out);
    }
}

impl Embed for StaticModel {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        Self::SUGGESTED_TOKENS
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.dim);
        parallel::try_for_each_chunk_mut(out.as_mut_slice(), self.dim, 16, |i, row| {
            cancel.check()?;
            self.embed_into(texts[i], row);
            Ok(())
        })?;
        Ok(out)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.dim];
        self.embed_into(text, &mut out);
        Ok(out)
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed(texts, cancel)
    }

    /// One unit vector for each of the first [`max_tokens`](Embed::max_tokens) known tokens.
    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        let mut data = Vec::new();
        let mut offsets = Vec::new();
        self.pieces.cut(text, |token, range| {
            if token != UNKNOWN && offsets.len() < Self::SUGGESTED_TOKENS {
                let start = data.len();
                data.resize(start + self.dim, 0.0);
                add_row(&mut data[start..], self.row(token), self.scales[token as usize]);
                to_unit_length(&mut data[start..]);
                offsets.push(range);
            }
        });
        Ok(TokenEmbeddings { vectors: Matrix::new(data, offsets.len(), self.dim)?, offsets })
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut out = Vec::new();
        self.pieces.cut(text, |_, range| out.push(range));
        Ok(out)
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

static ASSET: &[u8] = include_bytes!("../../assets/builtin.bin");
const MAGIC: &[u8; 8] = b"QRSTATIC";
const FORMAT: u32 = 1;
const HEADER: usize = 40;

/// `sum += scale * row`, component by component: the same on every machine, because nothing is reordered.
fn add_row(sum: &mut [f32], row: &[u8], scale: f32) {
    for (s, &q) in sum.iter_mut().zip(row) {
        *s += scale * f32::from(q as i8);
    }
}

/// Divides by the length; a zero vector stays.
fn to_unit_length(v: &mut [f32]) {
    let square: f64 = v.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if square > 0.0 {
        let factor = (1.0 / square.sqrt()) as f32;
        v.iter_mut().for_each(|x| *x *= factor);
    }
}
