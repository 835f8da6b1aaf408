//! What can be chosen when a local embedding model is opened?

use crate::{Code, Error, Result};

/// The most threads that one model may have of its own.
pub const MAX_THREADS: usize = 512;

/// The most texts or pairs that go through a model together.
pub const MAX_BATCH: usize = 65_536;

/// The arithmetic of a model's matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 8-bit integers: weights quantised once per output channel, activations as they come.
    Int8,
}

impl Precision {
    /// The name in the three languages: `f32` or `int8`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    /// Errors: `invalid_argument` for another name than `f32` or `int8`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Precision::F32),
            "int8" => Ok(Precision::Int8),
            other => Err(Error::invalid(format!("precision is '{other}'; it is 'f32' or 'int8'"))),
        }
    }
}

/// What can be chosen when an [`Embedder`](super::Embedder) is opened.
///
/// ```
/// use quorate_core::embed::EmbedderOptions;
/// let options = EmbedderOptions { batch_size: 8, dimensions: Some(128), ..Default::default() };
/// assert!(options.validate().is_ok());
/// let options = EmbedderOptions { batch_size: 0, ..Default::default() };
/// assert_eq!(options.validate().unwrap_err().code().as_str(), "invalid_argument");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// Arithmetic of the matrix products.
    pub precision: Precision,
    /// Threads of this model alone, 1 to [`MAX_THREADS`]; `None` shares those of all work.
    pub threads: Option<usize>,
    /// Texts that go through the model together, 1 to [`MAX_BATCH`]. It changes speed and memory, not vectors.
    pub batch_size: usize,
    /// Tokens after which a text is cut, special tokens included; `None` takes the model's own limit.
    pub max_tokens: Option<usize>,
    /// What is put before each query; `None` takes the model's own prompt, if it has one.
    pub query_prefix: Option<String>,
    /// What is put before each document; `None` takes the model's own prompt, if it has one.
    pub document_prefix: Option<String>,
    /// Components that are kept of each vector before it is brought to unit length again, for models trained so
    /// (Kusupati et al. 2022, Matryoshka Representation Learning); `None` keeps all.
    pub dimensions: Option<usize>,
    /// Whether a model named by hub id is downloaded when neither a folder nor the hub cache has it (feature `hub`).
    pub download: bool,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        EmbedderOptions {
            precision: Precision::F32,
            threads: None,
            batch_size: 32,
            max_tokens: None,
            query_prefix: None,
            document_prefix: None,
            dimensions: None,
            download: true,
        }
    }
}

impl EmbedderOptions {
    /// Checks each value by itself. Errors: `invalid_argument` for a 0, `too_large` above a limit.
    pub fn validate(&self) -> Result<()> {
        within("threads", self.threads, MAX_THREADS)?;
        within("batch_size", Some(self.batch_size), MAX_BATCH)?;
        within("max_tokens", self.max_tokens, usize::MAX)?;
        within("dimensions", self.dimensions, usize::MAX)
    }
}

/// Errors: `invalid_argument` when `value` is 0, `too_large` when it is over `most`.
pub(super) fn within(name: &str, value: Option<usize>, most: usize) -> Result<()> {
    match value {
        Some(0) => Err(Error::invalid(format!("{name} is 0; at least 1 is needed"))),
        Some(n) if n > most => {
            Err(Error::new(Code::TooLarge, format!("{name} is {n}; at most {most} are allowed")))
        }
        _ => Ok(()),
    }
}
