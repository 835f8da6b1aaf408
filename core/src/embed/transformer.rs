//! How does a transformer model embed texts, queries and tokens?

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use super::encoder::{Encoder, Sequence, encode_map};
use super::fast::FastEncoder;
use super::folder::ModelFolder;
use super::options::EmbedderOptions;
use super::pooling::{self, Pooling, Step};
use super::tokenization::Tokenizer;
use super::traits::{Embed, TokenEmbeddings};
use super::weights::Weights;
use crate::parallel::{self, Workers};
use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result};

/// Batches that are tokenised and sorted by length together; it bounds the memory that token ids take.
const BATCHES_PER_WINDOW: usize = 64;

/// A transformer encoder with its tokenizer, pooling and prompts.
pub(crate) struct Transformer {
    id: String,
    dim: usize,
    /// Components of a hidden state.
    hidden: usize,
    batch_size: usize,
    query_prefix: String,
    document_prefix: String,
    /// Of each document: special ones, and those of its prefix.
    added_tokens: usize,
    tokenizer: Tokenizer,
    encoder: Box<dyn Encoder>,
    pooling: Pooling,
    steps: Vec<Step>,
    workers: Workers,
}

impl Transformer {
    /// Loads the model in `folder`.
    /// Errors: `invalid_argument` for options that the model cannot follow, `model_invalid` and `model_unsupported`.
    pub(crate) fn open(folder: &Path, options: &EmbedderOptions) -> Result<Self> {
        let model = ModelFolder::open(folder)?;
        let max_tokens = limit(options.max_tokens, model.max_tokens, model.config.max_tokens())?;
        let dim = match options.dimensions {
            Some(dimensions) if dimensions > model.dim() => {
                return Err(Error::invalid(format!(
                    "dimensions is {dimensions}; the model has {}",
                    model.dim()
                )));
            }
            other => other.unwrap_or(model.dim()),
        };
        let query_prefix = options.query_prefix.clone().unwrap_or(model.query_prompt);
        let document_prefix = options.document_prefix.clone().unwrap_or(model.document_prompt);
        let prefixed = !query_prefix.is_empty() || !document_prefix.is_empty();
        if prefixed && !model.pool_prompt {
            return Err(Error::new(
                Code::ModelUnsupported,
                format!(
                    "{}: 'include_prompt' of the pooling is false; set both prefixes to \"\"",
                    folder.display()
                ),
            ));
        }
        let weights = Weights::open(&model.encoder_folder)?;
        let unfit = |e: Error| e.context(model.encoder_folder.display());
        model.config.fits(&weights).map_err(unfit)?;
        let tokenizer_file = model.encoder_folder.join("tokenizer.json");
        let tokenizer =
            Tokenizer::open(&tokenizer_file, model.config.vocab_size, max_tokens, model.lower_case)?;
        let encoder = Box::new(FastEncoder::load(&model.config, &weights, options.precision)?);

        let mut hasher = blake3::Hasher::new();
        weights.fingerprint(&mut hasher)?;
        for weights in &model.step_weights {
            weights.fingerprint(&mut hasher)?;
        }
        hasher.update(&std::fs::read(&tokenizer_file).map_err(|e| Error::io(&tokenizer_file, e))?);
        // Each setting that changes vectors, in a form that no other settings share.
        let settings = serde_json::json!({
            "encoder": format!("{:?}", model.config),
            "precision": options.precision.as_str(),
            "pooling": model.pooling.as_str(),
            "steps": steps_fingerprint(&model.steps),
            "lower_case": model.lower_case,
            "max_tokens": max_tokens,
            "dimensions": dim,
            "query_prefix": query_prefix,
            "document_prefix": document_prefix,
        });
        hasher.update(settings.to_string().as_bytes());
        let digest = hasher.finalize().to_hex();

        let added_tokens = tokenizer.special_tokens(false) + tokenizer.offsets(&document_prefix)?.len();
        let model = Transformer {
            id: format!(
                "{}-{dim}-{}-{}",
                model.config.architecture.as_str(),
                options.precision.as_str(),
                &digest[..32]
            ),
            dim,
            hidden: model.config.hidden_size,
            batch_size: options.batch_size,
            query_prefix,
            document_prefix,
            added_tokens,
            tokenizer,
            encoder,
            pooling: model.pooling,
            steps: model.steps,
            workers: Workers::new(options.threads),
        };
        model.probe(folder)?;
        Ok(model)
    }

    /// Whether the model gives vectors at all. Errors: `model_invalid` when its vectors are zero or not finite.
    fn probe(&self, folder: &Path) -> Result<()> {
        let vector = self.embed_query("a dose of 500 mg").map_err(|e| match e.code() {
            Code::NotFinite => {
                Error::new(Code::ModelInvalid, format!("{}: {}", folder.display(), e.message()))
            }
            _ => e,
        })?;
        if vector.iter().all(|&x| x == 0.0) {
            let what = "the weights give a vector of zeros for a text; they are empty or damaged";
            return Err(Error::new(Code::ModelInvalid, format!("{}: {what}", folder.display())));
        }
        Ok(())
    }

    fn embed_all(&self, texts: &[&str], prefix: &str, cancel: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.dim);
        let window = self.batch_size.saturating_mul(BATCHES_PER_WINDOW);
        for (i, part) in texts.chunks(window.max(1)).enumerate() {
            self.embed_window(part, i * window, prefix, cancel, &mut out)?;
        }
        Ok(out)
    }

    /// Embeds `texts`, whose rows in `out` start at `first`: the longest together, so that a batch wastes little.
    fn embed_window(
        &self,
        texts: &[&str],
        first: usize,
        prefix: &str,
        cancel: &Cancel,
        out: &mut Matrix,
    ) -> Result<()> {
        let tokenise = |text: &&str| {
            cancel.check()?;
            self.tokenizer.encode(&prefixed(prefix, text))
        };
        let mut sequences: Vec<Sequence> = parallel::try_map(texts, tokenise)?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].ids.len()));
        for rows in order.chunks(self.batch_size) {
            cancel.check()?;
            let batch: Vec<Sequence> = rows.iter().map(|&i| std::mem::take(&mut sequences[i])).collect();
            let vectors = encode_map(self.encoder.as_ref(), &batch, |states| {
                pooling::finish(self.pooling.apply(states, self.hidden), &self.steps, self.dim)
            })?;
            for (&i, vector) in rows.iter().zip(vectors) {
                finite(&vector, || format!("text {}", first + i))?;
                out.row_mut(first + i).copy_from_slice(&vector);
            }
        }
        Ok(())
    }
}

impl Embed for Transformer {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.tokenizer.max_tokens()
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.workers.run(|| self.embed_all(texts, &self.document_prefix, cancel))?
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.embed_queries(&[text], &Cancel::new())?.into_vec())
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.workers.run(|| self.embed_all(texts, &self.query_prefix, cancel))?
    }

    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        let prefix = self.document_prefix.len();
        let (sequence, offsets) =
            self.tokenizer.encode_with_offsets(&prefixed(&self.document_prefix, text))?;
        let states =
            self.workers.run(|| encode_map(self.encoder.as_ref(), &[sequence], <[f32]>::to_vec))??;
        let mut vectors = Matrix::zeros(offsets.len(), self.dim);
        for (i, state) in states.iter().flat_map(|states| states.chunks_exact(self.hidden)).enumerate() {
            let vector = pooling::finish(state.to_vec(), &self.steps, self.dim);
            finite(&vector, || format!("token {i}"))?;
            vectors.row_mut(i).copy_from_slice(&vector);
        }
        let offsets =
            offsets.into_iter().map(|at| at.start.saturating_sub(prefix)..at.end.saturating_sub(prefix));
        Ok(TokenEmbeddings { vectors, offsets: offsets.collect() })
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        self.tokenizer.offsets(text)
    }

    fn special_tokens(&self) -> usize {
        self.added_tokens
    }
}

/// The caller's limit of tokens, or the model's own. Errors: `invalid_argument` when it is over what the model can take.
pub(crate) fn limit(asked: Option<usize>, own: usize, positions: usize) -> Result<usize> {
    match asked {
        None => Ok(own),
        Some(asked) if asked <= positions => Ok(asked),
        Some(asked) => {
            Err(Error::invalid(format!("max_tokens is {asked}; the model has positions for {positions}")))
        }
    }
}

/// What follows pooling, for the fingerprint: the number of steps where at most a normalisation is among them, which
/// changes nothing before the last one, and otherwise what they are, in their order. (Knowledge bases of 0.1.0 hold the
/// number.)
fn steps_fingerprint(steps: &[Step]) -> serde_json::Value {
    let name = |step: &Step| match step {
        Step::Normalize => "normalize".to_owned(),
        Step::Dense(layer) => format!("dense {}", layer.then().as_str()),
    };
    if steps.iter().all(|step| matches!(step, Step::Normalize)) {
        return steps.len().into();
    }
    steps.iter().map(name).collect()
}

fn prefixed<'a>(prefix: &str, text: &'a str) -> Cow<'a, str> {
    if prefix.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(format!("{prefix}{text}")) }
}

/// Errors: `not_finite` when `vector` holds NaN or an infinity.
fn finite(vector: &[f32], whose: impl Fn() -> String) -> Result<()> {
    if vector.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(Error::new(
        Code::NotFinite,
        format!("the model gave a vector with NaN or infinity for {}; its weights may be damaged", whose()),
    ))
}
