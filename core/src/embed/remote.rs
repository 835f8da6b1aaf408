//! How are texts embedded by a service with OpenAI's interface?

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};

use super::options::{MAX_BATCH, within};
use super::traits::Embed;
use super::words::{BYTES_PER_TOKEN, estimate};
use crate::http::{Address, Http, Secret};
use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result, runtime};

/// How a remote model is asked.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Name of the model, as the service knows it.
    pub model: String,
    /// Sent as a bearer token; never shown in logs, errors or debug output.
    pub api_key: Option<String>,
    /// Components of a vector; `None` to take the model's own number (a known model's, or found out by one request
    /// when the embedder is made). It is sent to the service only when given.
    pub dimensions: Option<usize>,
    /// Most texts in one request, 1 to 65,536.
    pub batch_size: usize,
    /// Most tokens (by estimate) in one request.
    pub batch_tokens: usize,
    /// Requests under way at once, 1 to 256.
    pub concurrency: usize,
    /// Time for one request: all its tries, the pauses between them and what the service asks to wait. At most a day.
    pub timeout: Duration,
    /// Tries after the first, at most 100.
    pub retries: usize,
    /// The first pause between tries; each later one is longer, and all are jittered.
    pub first_wait: Duration,
    /// Longest text, in tokens, that chunking aims for.
    pub max_tokens: usize,
    /// Put before each query.
    pub query_prefix: String,
    /// Put before each document.
    pub document_prefix: String,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        RemoteOptions {
            model: String::new(),
            api_key: None,
            dimensions: None,
            batch_size: 128,
            batch_tokens: 100_000,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            retries: 5,
            first_wait: Duration::from_millis(500),
            max_tokens: 8191,
            query_prefix: String::new(),
            document_prefix: String::new(),
        }
    }
}

impl RemoteOptions {
    /// Errors: `invalid_argument`, `too_large` above a limit.
    pub fn validate(&self) -> Result<()> {
        if self.model.is_empty() {
            return Err(Error::invalid("a remote embedder needs the name of a model"));
        }
        within("batch_size", Some(self.batch_size), MAX_BATCH)?;
        within("batch_tokens", Some(self.batch_tokens), usize::MAX)?;
        within("concurrency", Some(self.concurrency), 256)?;
        within("max_tokens", Some(self.max_tokens), usize::MAX)?;
        within("dimensions", self.dimensions, 65_536)?;
        within("retries", Some(self.retries.max(1)), 100)?;
        if self.timeout.is_zero() || self.timeout > DAY {
            let what = format!("timeout is {:?}; more than 0 and at most a day are allowed", self.timeout);
            return Err(Error::invalid(what));
        }
        Ok(())
    }
}

/// A model behind `POST {base}/embeddings` with OpenAI's request and answer.
///
/// ```no_run
/// use quorate_core::embed::{Embed, RemoteEmbedder, RemoteOptions};
/// let options = RemoteOptions { model: "text-embedding-3-small".into(), ..Default::default() };
/// let embedder = RemoteEmbedder::new("https://host/v1", options)?;
/// assert_eq!(embedder.embed_query("renal dosing")?.len(), embedder.dim());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct RemoteEmbedder {
    http: Http,
    to: Address,
    id: String,
    dim: usize,
    options: RemoteOptions,
}

/// Models whose number of components is published (OpenAI 2024).
const KNOWN: [(&str, usize); 3] =
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)];

/// The longest timeout.
const DAY: Duration = Duration::from_secs(86_400);

impl RemoteEmbedder {
    /// An embedder that asks the service at `base` (without `/embeddings`). A model of unknown dimension is asked once
    /// here. Errors: `invalid_argument`, and those of [`embed`](Embed::embed).
    pub fn new(base: &str, mut options: RemoteOptions) -> Result<Self> {
        options.validate()?;
        if !base.starts_with("https://") && !base.starts_with("http://") {
            return Err(Error::invalid(format!(
                "'{}' is no base URL; it starts with https:// or http://",
                base.split('@').next_back().unwrap_or_default()
            )));
        }
        let secret = options.api_key.take().map(Secret::new);
        if let Some(secret) = &secret {
            secret.expose()?;
        }
        let http = Http::new(secret, options.timeout, options.retries, options.first_wait)?;
        let known = KNOWN.iter().find(|(name, _)| *name == options.model).map(|&(_, dim)| dim);
        let mut embedder = RemoteEmbedder {
            http,
            to: Address::below(base, "embeddings"),
            id: String::new(),
            dim: options.dimensions.or(known).unwrap_or(0),
            options,
        };
        if embedder.dim == 0 {
            let probe = embedder.ask(&["dimension"], &Cancel::new())?;
            embedder.dim = probe.first().map_or(0, Vec::len);
        }
        let prefixes = format!("{}\0{}", embedder.options.query_prefix, embedder.options.document_prefix);
        let prefixes = &blake3::hash(prefixes.as_bytes()).to_hex()[..8];
        let base = Address::plain(base);
        embedder.id = format!("remote:{base}:{}:{}:{prefixes}", embedder.options.model, embedder.dim);
        Ok(embedder)
    }

    fn embed_prefixed(&self, prefix: &str, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        cancel.check()?;
        let prefixed: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let prefixed: Vec<&str> = prefixed.iter().map(String::as_str).collect();
        let rows = if prefixed.is_empty() { Vec::new() } else { self.ask(&prefixed, cancel)? };
        let mut out = Matrix::zeros(texts.len(), self.dim);
        for (i, row) in rows.iter().enumerate() {
            if row.len() != self.dim {
                return Err(self.invalid(format!(
                    "a vector of {} components, expected {}",
                    row.len(),
                    self.dim
                )));
            }
            // Divided by the largest first, so that neither tiny nor huge components are lost in their squares.
            let largest = row.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            if largest == 0.0 {
                return Err(self.invalid(format!("a vector of zeros for text {i}")));
            }
            let norm = row.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
            out.row_mut(i).iter_mut().zip(row).for_each(|(to, from)| *to = (from / largest / norm) as f32);
        }
        Ok(out)
    }

    /// Asks for all texts in batches, several at once; vectors come back in the order of the texts.
    fn ask(&self, texts: &[&str], cancel: &Cancel) -> Result<Vec<Vec<f64>>> {
        // A loop, since a closure over borrowed batches is not general enough for the compiler.
        let mut asks = Vec::new();
        for batch in self.batches(texts) {
            asks.push(self.ask_batch(batch, cancel).boxed());
        }
        runtime::block_on(async {
            let mut answers = futures::stream::iter(asks).buffered(self.options.concurrency);
            let mut vectors = Vec::with_capacity(texts.len());
            while let Some(answer) = answers.next().await {
                vectors.extend(answer?);
            }
            Ok(vectors)
        })
    }

    fn batches<'a>(&self, texts: &'a [&'a str]) -> Vec<&'a [&'a str]> {
        let mut batches = Vec::new();
        let (mut first, mut tokens) = (0, 0);
        for (i, text) in texts.iter().enumerate() {
            let more = text.len().div_ceil(BYTES_PER_TOKEN) + 1;
            if i > first
                && (i - first == self.options.batch_size || tokens + more > self.options.batch_tokens)
            {
                batches.push(&texts[first..i]);
                (first, tokens) = (i, 0);
            }
            tokens += more;
        }
        if first < texts.len() {
            batches.push(&texts[first..]);
        }
        batches
    }

    async fn ask_batch(&self, texts: &[&str], cancel: &Cancel) -> Result<Vec<Vec<f64>>> {
        let request =
            Request { model: &self.options.model, input: texts, dimensions: self.options.dimensions };
        let body = serde_json::to_string(&request)
            .map_err(|e| Error::with_source(Code::Internal, "the request cannot be written", e))?;
        let answer = self.http.post(&self.to, &body, cancel).await?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|e| self.invalid(format!("a body that is not as agreed ({e})")))?;
        if answer.data.len() != texts.len() {
            return Err(self.invalid(format!("{} vectors for {} texts", answer.data.len(), texts.len())));
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        for (place, item) in answer.data.into_iter().enumerate() {
            let index = item.index.unwrap_or(place);
            let slot = match vectors.get_mut(index) {
                Some(slot) if slot.is_empty() => slot,
                _ => return Err(self.invalid(format!("the index {index} twice or beyond the last text"))),
            };
            if item.embedding.is_empty() || item.embedding.iter().any(|x| !x.is_finite()) {
                return Err(self.invalid(format!("a vector for text {index} that is empty or not finite")));
            }
            *slot = item.embedding;
        }
        Ok(vectors)
    }

    fn invalid(&self, what: String) -> Error {
        Error::new(Code::RemoteInvalid, format!("{} answered with {what}", self.to.shown))
    }
}

impl Embed for RemoteEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.options.max_tokens
    }

    /// Errors: `offline`, `timeout`, `remote_failed`, `remote_invalid`, `cancelled`.
    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed_prefixed(&self.options.document_prefix, texts, cancel)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.embed_prefixed(&self.options.query_prefix, &[text], &Cancel::new())?.into_vec())
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.embed_prefixed(&self.options.query_prefix, texts, cancel)
    }

    /// The service's tokenizer is not known here: an estimate, which is more tokens than byte-pair encodings make of
    /// ordinary text.
    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        Ok(estimate(text))
    }

    fn special_tokens(&self) -> usize {
        estimate(&self.options.document_prefix).len()
    }

    fn is_local(&self) -> bool {
        false
    }
}

impl fmt::Debug for RemoteEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteEmbedder").field("id", &self.id).field("dim", &self.dim).finish_non_exhaustive()
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions").field("model", &self.model).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f64>,
}
