//! How relevant is each passage to a query, read together?

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::architecture::{Architecture, EncoderConfig};
use super::dense::{Dense, Nonlinearity};
use super::encoder::{Encoder, Sequence, encode_map};
use super::fast::FastEncoder;
use super::folder::max_tokens;
use super::json::JsonFile;
use super::options::{MAX_BATCH, MAX_THREADS, Precision, within};
use super::source;
use super::tokenization::Tokenizer;
use super::transformer::limit;
use super::weights::Weights;
use crate::parallel::{self, Workers};
use crate::{Cancel, Code, Error, Result};

/// What can be chosen when a [`CrossEncoder`] is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossEncoderOptions {
    /// Arithmetic of the matrix products.
    pub precision: Precision,
    /// Threads of this model alone, 1 to [`MAX_THREADS`](super::MAX_THREADS); `None` shares those of all work.
    pub threads: Option<usize>,
    /// Pairs that go through the model together, 1 to [`MAX_BATCH`](super::MAX_BATCH). It changes speed and memory, not scores.
    pub batch_size: usize,
    /// Tokens after which a pair is cut, special tokens included; `None` takes the model's own limit.
    pub max_tokens: Option<usize>,
    /// Whether a model named by hub id is downloaded when neither a folder nor the hub cache has it (feature `hub`).
    pub download: bool,
}

impl Default for CrossEncoderOptions {
    fn default() -> Self {
        CrossEncoderOptions {
            precision: Precision::F32,
            threads: None,
            batch_size: 32,
            max_tokens: None,
            download: true,
        }
    }
}

impl CrossEncoderOptions {
    /// Checks each value by itself. Errors: `invalid_argument` for a 0, `too_large` above a limit.
    pub fn validate(&self) -> Result<()> {
        within("threads", self.threads, MAX_THREADS)?;
        within("batch_size", Some(self.batch_size), MAX_BATCH)?;
        within("max_tokens", self.max_tokens, usize::MAX)
    }
}

/// A model that reads a query and a passage together and gives one score (Nogueira & Cho 2019, Passage re-ranking
/// with BERT): BERT, RoBERTa, XLM-RoBERTa, DistilBERT or MPNet for sequence classification with one label.
/// Clones share the model.
#[derive(Clone)]
pub struct CrossEncoder(Arc<Inner>);

struct Inner {
    tokenizer: Tokenizer,
    encoder: Box<dyn Encoder>,
    /// Of the first token's state: a layer, and the layer to the one label.
    head: [Dense; 2],
    then: Nonlinearity,
    /// Components of a hidden state.
    hidden: usize,
    /// Whether the model is told which tokens are the passage's.
    segments: bool,
    batch_size: usize,
    workers: Workers,
}

impl CrossEncoder {
    /// Opens the model that `source` names, as [`Embedder::open`](super::Embedder::open) does.
    ///
    /// Errors: `invalid_argument`, `model_not_found`, `model_invalid`, `model_unsupported` (such as a model without a
    /// classifier, or with several labels), and those of reading files.
    pub fn open(source: &str, options: CrossEncoderOptions) -> Result<Self> {
        options.validate()?;
        let folder = source::locate(source, options.download)?;
        let json = JsonFile::require(&folder.join("config.json"))?;
        let config = EncoderConfig::from_json(&json)?;
        let weights = Weights::open(&folder)?;
        config.fits(&weights).map_err(|e| e.context(folder.display()))?;
        let head = head(&json, &config, &weights)?;
        let sentence = JsonFile::open(&folder.join("sentence_bert_config.json"))?;
        let own = max_tokens(&folder, sentence.as_ref(), &config)?;
        let max_tokens = limit(options.max_tokens, own, config.max_tokens())?;
        Ok(CrossEncoder(Arc::new(Inner {
            tokenizer: Tokenizer::open(&folder.join("tokenizer.json"), config.vocab_size, max_tokens, false)?,
            encoder: Box::new(FastEncoder::load(&config, &weights, options.precision)?),
            head,
            then: activation(
                &json,
                JsonFile::open(&folder.join("config_sentence_transformers.json"))?.as_ref(),
            )?,
            hidden: config.hidden_size,
            segments: segments(&folder)?,
            batch_size: options.batch_size,
            workers: Workers::new(options.threads),
        })))
    }

    /// The longest pair that is read whole, in tokens, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.0.tokenizer.max_tokens()
    }

    /// The score of each passage for `query`, higher for more relevant: from 0 to 1 where the model's configuration
    /// asks for a sigmoid (or says nothing), the raw logit where it asks for that. Overlong pairs lose the end of the
    /// longer text. `cancel` is looked at between batches.
    ///
    /// Errors: `cancelled`; `not_finite` when the model gives NaN or infinity.
    ///
    /// ```no_run
    /// use quorate_core::Cancel;
    /// use quorate_core::embed::{CrossEncoder, CrossEncoderOptions};
    /// let model = CrossEncoder::open("path/to/ms-marco-MiniLM-L6-v2", CrossEncoderOptions::default())?;
    /// let scores = model.score("metformin dose", &["Start with 500 mg.", "The sky is blue."], &Cancel::new())?;
    /// assert!(scores[0] > scores[1]);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn score(&self, query: &str, passages: &[&str], cancel: &Cancel) -> Result<Vec<f32>> {
        self.0.workers.run(|| self.0.score(query, passages, cancel))?
    }
}

impl fmt::Debug for CrossEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossEncoder").field("max_tokens", &self.max_tokens()).finish_non_exhaustive()
    }
}

impl Inner {
    fn score(&self, query: &str, passages: &[&str], cancel: &Cancel) -> Result<Vec<f32>> {
        let pair = |passage: &&str| {
            cancel.check()?;
            let mut sequence = self.tokenizer.encode_pair(query, passage)?;
            if !self.segments {
                sequence.segments.fill(0);
            }
            Ok(sequence)
        };
        let mut sequences: Vec<Sequence> = parallel::try_map(passages, pair)?;
        let mut order: Vec<usize> = (0..passages.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].ids.len()));
        let mut scores = vec![0.0; passages.len()];
        for rows in order.chunks(self.batch_size) {
            cancel.check()?;
            let batch: Vec<Sequence> = rows.iter().map(|&i| std::mem::take(&mut sequences[i])).collect();
            let logits = encode_map(self.encoder.as_ref(), &batch, |states| {
                self.head[1].apply(&self.head[0].apply(&states[..self.hidden]))[0]
            })?;
            for (&i, logit) in rows.iter().zip(logits) {
                if !logit.is_finite() {
                    let message =
                        format!("the model gave {logit} for passage {i}; its weights may be damaged");
                    return Err(Error::new(Code::NotFinite, message));
                }
                scores[i] = self.then.apply(logit);
            }
        }
        Ok(scores)
    }
}

/// The two layers of the classification head. Errors: `model_unsupported` when there is none, or not one label.
fn head(json: &JsonFile, config: &EncoderConfig, weights: &Weights) -> Result<[Dense; 2]> {
    let (first, then, last) = match config.architecture {
        Architecture::Bert => ("bert.pooler.dense", Nonlinearity::Tanh, "classifier"),
        Architecture::DistilBert => ("pre_classifier", Nonlinearity::Relu, "classifier"),
        Architecture::Roberta | Architecture::Mpnet => {
            ("classifier.dense", Nonlinearity::Tanh, "classifier.out_proj")
        }
    };
    let name = format!("{last}.weight");
    if !weights.contains(&name) {
        let what = format!("describes no cross-encoder: the weights have no tensor '{name}'");
        return Err(json.unsupported("architectures", what));
    }
    let labels = weights.shape(&name)?.first().copied().unwrap_or(0);
    if labels != 1 {
        return Err(
            json.unsupported("id2label", format!("has {labels} labels; a cross-encoder gives one score"))
        );
    }
    let hidden = config.hidden_size;
    Ok([
        Dense::load(weights, first, hidden, hidden, then)?,
        Dense::load(weights, last, hidden, 1, Nonlinearity::Identity)?,
    ])
}

/// Whether segment ids are among the inputs that the tokenizer's configuration lists; it may list none.
fn segments(folder: &Path) -> Result<bool> {
    let Some(json) = JsonFile::open(&folder.join("tokenizer_config.json"))? else { return Ok(true) };
    let names = json.value("model_input_names").and_then(Value::as_array);
    Ok(names.is_none_or(|names| names.iter().any(|name| name == "token_type_ids")))
}

/// What is done to the logit: what sentence-transformers stored, in its own file or (older releases) in `config.json`;
/// by default a sigmoid.
fn activation(json: &JsonFile, own: Option<&JsonFile>) -> Result<Nonlinearity> {
    let default = Nonlinearity::Sigmoid;
    if let Some(own) = own
        && let Some(class) = own.text("activation_fn")?
    {
        return Nonlinearity::from_class(own, "activation_fn", Some(class), default);
    }
    if let Some(nested) = json.object("sentence_transformers")?
        && let Some(class) = nested.get("activation_fn").and_then(Value::as_str)
    {
        return Nonlinearity::from_class(json, "sentence_transformers.activation_fn", Some(class), default);
    }
    let field = "sbert_ce_default_activation_function";
    Nonlinearity::from_class(json, field, json.text(field)?, default)
}
