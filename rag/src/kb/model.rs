//! Which model embeds, and how is it found again when the knowledge base is opened without one?

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use quorate_core::embed::{Embed, Embedder, EmbedderOptions, Precision, StaticModel};
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::retrieve::Judge;

/// How a model is opened again: what names it, and with which options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSource {
    /// `builtin`, a folder, or a hub id, as for [`Embedder::open`].
    pub source: String,
    /// The options that it was opened with.
    pub options: EmbedderOptions,
}

impl ModelSource {
    /// A source with default options.
    pub fn new(source: impl Into<String>) -> Self {
        ModelSource { source: source.into(), options: EmbedderOptions::default() }
    }

    /// The model inside the library.
    pub fn builtin() -> Self {
        ModelSource::new(StaticModel::BUILTIN)
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Embed>> {
        Ok(Arc::new(Embedder::open(&self.source, self.options.clone())?))
    }

    /// The part that makes a difference to vectors, as JSON.
    pub(crate) fn to_json(&self) -> Result<String> {
        let EmbedderOptions { precision, max_tokens, query_prefix, document_prefix, dimensions, .. } =
            self.options.clone();
        let stored = Stored {
            source: self.source.clone(),
            precision: precision.as_str().to_owned(),
            max_tokens,
            query_prefix,
            document_prefix,
            dimensions,
        };
        serde_json::to_string(&stored)
            .map_err(|e| Error::new(Code::Internal, format!("the model's options cannot be written: {e}")))
    }

    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let stored: Stored = serde_json::from_str(text).ok()?;
        let options = EmbedderOptions {
            precision: stored.precision.parse::<Precision>().ok()?,
            max_tokens: stored.max_tokens,
            query_prefix: stored.query_prefix,
            document_prefix: stored.document_prefix,
            dimensions: stored.dimensions,
            ..EmbedderOptions::default()
        };
        Some(ModelSource { source: stored.source, options })
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    source: String,
    precision: String,
    max_tokens: Option<usize>,
    query_prefix: Option<String>,
    document_prefix: Option<String>,
    dimensions: Option<usize>,
}

/// The model of a knowledge base; opened when it is first needed.
pub(crate) struct Model {
    /// The fingerprint that the knowledge base was made with.
    pub(crate) id: String,
    source: Option<ModelSource>,
    opened: OnceLock<Arc<dyn Embed>>,
    judge: OnceLock<Arc<Judge>>,
    /// Who tells relevance while the model is not open.
    blind: Arc<Judge>,
    /// Whether it has embedded a query here.
    pub(crate) answered: AtomicBool,
}

impl Model {
    pub(crate) fn new(id: String, given: Option<Arc<dyn Embed>>, source: Option<ModelSource>) -> Self {
        let opened = OnceLock::new();
        if let Some(given) = given {
            let _ = opened.set(given);
        }
        let blind = Arc::new(Judge::new(None));
        Model { id, source, opened, judge: OnceLock::new(), blind, answered: AtomicBool::new(false) }
    }

    /// Tells relevance, by what the model computes where it is open.
    pub(crate) fn judge(&self) -> &Arc<Judge> {
        match self.opened.get() {
            Some(model) => self.judge.get_or_init(|| Arc::new(Judge::new(Some(model.clone())))),
            None => &self.blind,
        }
    }

    /// The model. Errors: `unsupported` when nothing says how to open it, `embedder_mismatch`, and those of opening.
    pub(crate) fn get(&self) -> Result<&Arc<dyn Embed>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let Some(source) = &self.source else {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "the knowledge base was made with embedder '{}' and opened without it: pass vector=, search with mode lexical, or \
                     open it with embedder=",
                    self.id
                ),
            ));
        };
        let model = source.open()?;
        if model.id() != self.id {
            return Err(mismatch(&self.id, model.id()));
        }
        Ok(self.opened.get_or_init(|| model))
    }
}

/// The error of another embedder than the stored vectors come from.
pub(crate) fn mismatch(stored: &str, given: &str) -> Error {
    Error::new(
        Code::EmbedderMismatch,
        format!(
            "the knowledge base was made with embedder '{stored}', not with '{given}'; open it with the first, or make a new one"
        ),
    )
}
