//! How is an embedding model opened, whatever its kind?

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::options::EmbedderOptions;
use super::source;
use super::static_model::StaticModel;
use super::traits::{Embed, TokenEmbeddings};
use super::transformer::Transformer;
use super::tuned::Tuned;
use crate::vector::Matrix;
use crate::{Cancel, Result};

/// An embedding model that runs in this process. Clones share the model.
///
/// Vectors have unit length; the same text gives the same vector in every batch size and order.
#[derive(Clone)]
pub struct Embedder(Arc<dyn Embed>);

impl Embedder {
    /// Opens the model that `source` names:
    ///
    /// * `builtin`: the static model inside this library ([`StaticModel`]), to which `precision` and `batch_size` make
    ///   no difference;
    /// * a folder in the layout of sentence-transformers (`modules.json`), or a plain Hugging Face folder
    ///   (`config.json`, `model.safetensors` or `pytorch_model.bin`, `tokenizer.json`), which gets mean pooling;
    /// * the folder of an installed Python package that holds such a folder as `model/`;
    /// * the id of a model on the Hugging Face hub, such as `sentence-transformers/all-MiniLM-L6-v2`: from its cache
    ///   (`HF_HOME`), or downloaded into it once (feature `hub`, unless `download` is off or `HF_HUB_OFFLINE` is set).
    ///
    /// BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT and MPNet are run. No thread is started here.
    ///
    /// Errors: `invalid_argument`, `model_not_found`, `model_invalid` (incomplete or contradictory; the message names the file and the field),
    /// `model_unsupported`, those of reading files, and `offline`, `remote_failed`, `corrupt` of a download.
    ///
    /// ```
    /// use quorate_core::Cancel;
    /// use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
    /// let embedder = Embedder::open("builtin", EmbedderOptions::default())?; // or "path/to/all-MiniLM-L6-v2"
    /// let vectors = embedder.embed(&["Metformin lowers glucose.", "Dose in renal failure"], &Cancel::new())?;
    /// assert_eq!((vectors.rows(), vectors.cols()), (2, embedder.dim()));
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn open(source: &str, options: EmbedderOptions) -> Result<Self> {
        options.validate()?;
        Ok(Embedder(match source {
            StaticModel::BUILTIN => Arc::new(Tuned::new(StaticModel::builtin()?, &options)?),
            other => Arc::new(Transformer::open(&source::locate(other, options.download)?, &options)?),
        }))
    }
}

impl Embed for Embedder {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.0.embed(texts, cancel)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        self.0.embed_query(text)
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.0.embed_queries(texts, cancel)
    }

    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        self.0.embed_tokens(text)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        self.0.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        self.0.special_tokens()
    }

    fn is_local(&self) -> bool {
        self.0.is_local()
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("id", &self.id()).field("dim", &self.dim()).finish_non_exhaustive()
    }
}
