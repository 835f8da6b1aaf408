//! How are embedding models used from Node?

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::core::vector::Matrix;
use quorate::{CachedEmbedder, Cancel, CrossEncoderOptions, Embed, EmbedderOptions, RemoteOptions, Result};

use crate::convert::{Out, arg, args, boolean, count, floats32, list, number, text, texts, whole};
use crate::door::{Callback, Lane, NativeCancel, Promised, contain, flag, promise};
use crate::errors::{OrThrow, Thrown, invalid};
use crate::pool::submit;

/// Something that is being opened on another thread.
pub struct Opening<T> {
    state: Arc<(Mutex<Option<Result<T, (quorate::Code, String)>>>, Condvar)>,
}

impl<T> Clone for Opening<T> {
    fn clone(&self) -> Self {
        Opening { state: Arc::clone(&self.state) }
    }
}

impl<T: Clone + Send + 'static> Opening<T> {
    /// Starts to open it.
    pub fn start(open: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Self> {
        let opening = Opening { state: Arc::new((Mutex::new(None), Condvar::new())) };
        let state = Arc::clone(&opening.state);
        submit(
            Lane::Slow,
            Box::new(move || {
                let opened = contain(open).map_err(|e| (e.code(), e.message().to_owned()));
                *state.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                state.1.notify_all();
            }),
        )?;
        Ok(opening)
    }

    /// Something that is open already.
    pub fn opened(value: T) -> Self {
        Opening { state: Arc::new((Mutex::new(Some(Ok(value))), Condvar::new())) }
    }

    /// What was opened; waits for it. Errors: those of opening.
    pub fn get(&self) -> Result<T> {
        let (state, opened) = &*self.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                Some(Ok(value)) => return Ok(value.clone()),
                Some(Err((code, message))) => return Err(quorate::Error::new(*code, message.clone())),
                None => state = opened.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Whether opening has come to an end.
    pub fn is_done(&self) -> bool {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A model that turns texts into vectors of unit length.
#[napi(js_name = "Embedder")]
pub struct NativeEmbedder {
    /// The model.
    pub(crate) model: Opening<Arc<dyn Embed>>,
    /// Whether one text may take longer than a few milliseconds: over the network.
    pub(crate) slow: bool,
}

/// Vectors that were computed before, in a folder.
#[napi(js_name = "EmbeddingCache")]
pub struct NativeEmbeddingCache {
    cache: Opening<quorate::EmbeddingCache>,
}

/// A model that reads a query and a passage together and scores the pair.
#[napi(js_name = "CrossEncoder")]
pub struct NativeCrossEncoder {
    /// The model.
    pub(crate) model: Opening<Arc<quorate::CrossEncoder>>,
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The numbers row by row, and the length of a row.
fn matrix(matrix: Matrix) -> Out {
    let dim = matrix.cols();
    Out::List(vec![Out::F32(matrix.into_vec()), Out::count(dim)])
}

fn cached(model: Arc<dyn Embed>, cache: Option<Opening<quorate::EmbeddingCache>>) -> Result<Arc<dyn Embed>> {
    Ok(match cache {
        Some(cache) => Arc::new(CachedEmbedder::new(model, cache.get()?)),
        None => model,
    })
}

#[napi]
impl NativeEmbedder {
    /// Starts to open a local model.
    #[napi(factory)]
    pub fn local(
        env: Env,
        source: Unknown<'_>,
        options: Unknown<'_>,
        cache: Option<&NativeEmbeddingCache>,
    ) -> Result<NativeEmbedder, Thrown> {
        let source = arg(&env, &source, "the model", text)?;
        let options = embedder_options(&env, &options).or_throw()?;
        let cache = cache.map(|cache| cache.cache.clone());
        let model =
            Opening::start(move || cached(Arc::new(quorate::Embedder::open(&source, options)?), cache));
        Ok(NativeEmbedder { model: model.or_throw()?, slow: false })
    }

    /// A model behind a service with OpenAI's interface for embeddings.
    #[napi(factory)]
    pub fn remote(
        env: Env,
        url: Unknown<'_>,
        options: Unknown<'_>,
        cache: Option<&NativeEmbeddingCache>,
    ) -> Result<NativeEmbedder, Thrown> {
        let url = arg(&env, &url, "url", text)?;
        let options = remote_options(&env, &options).or_throw()?;
        let cache = cache.map(|cache| cache.cache.clone());
        let model =
            Opening::start(move || cached(Arc::new(quorate::RemoteEmbedder::new(&url, options)?), cache));
        Ok(NativeEmbedder { model: model.or_throw()?, slow: true })
    }

    /// An embedder that the host has written: `embed(reply, texts)`, called on its thread.
    #[napi(factory)]
    pub fn callback(
        env: Env,
        embed: Unknown<'_>,
        options: Unknown<'_>,
        cache: Option<&NativeEmbeddingCache>,
    ) -> Result<NativeEmbedder, Thrown> {
        let mut args = args(&env, &options, "options of a CallbackEmbedder").or_throw()?;
        let (id, dim) = (args.take("id"), args.take("dim"));
        let id = text(id, "id").or_throw()?;
        let dim = count(dim, "dim").or_throw()?;
        let most = args.or("maxTokens", quorate::CallbackEmbedder::MAX_TOKENS, count).or_throw()?;
        args.done().or_throw()?;
        let host = Callback::new(&env, &embed)?;
        let embed = move |texts: &[&str], cancel: &Cancel| {
            let texts = texts.iter().map(|text| Out::Text((*text).to_owned())).collect();
            let given = host.call(vec![Out::List(texts)], cancel)?;
            list(given, "what the embedder's function gave")?
                .into_iter()
                .map(|row| floats32(row, "a vector of the embedder's function"))
                .collect()
        };
        let model = quorate::CallbackEmbedder::new(id, dim, embed).and_then(|e| e.max_tokens(most));
        let model = Arc::new(model.or_throw()?);
        let opened = match cache {
            None => Opening::opened(model as Arc<dyn Embed>),
            Some(cache) => {
                let cache = Some(cache.cache.clone());
                Opening::start(move || cached(model, cache)).or_throw()?
            }
        };
        Ok(NativeEmbedder { model: opened, slow: true })
    }

    /// Resolves when the model is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        let model = self.model.clone();
        promise(&env, Lane::Slow, move || model.get().map(|_| Out::Nothing))
    }

    /// Embeds documents or queries: the numbers row by row, and the length of a row.
    #[napi(ts_return_type = "Promise<[Float32Array, number]>")]
    pub fn embed(
        &self,
        env: Env,
        texts: Unknown<'_>,
        queries: bool,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let texts = arg(&env, &texts, "texts", self::texts)?;
        let (model, cancel) = (self.model.clone(), flag(cancel));
        promise(&env, Lane::Slow, move || {
            let model = model.get()?;
            cancel.check()?;
            let vectors = match queries {
                true => model.embed_queries(&refs(&texts), &cancel),
                false => model.embed(&refs(&texts), &cancel),
            };
            Ok(matrix(vectors?))
        })
    }

    /// Embeds one query.
    #[napi(ts_return_type = "Promise<Float32Array>")]
    pub fn embed_query(&self, env: Env, text: Unknown<'_>) -> Result<Promised, Thrown> {
        let text = arg(&env, &text, "text", self::text)?;
        let model = self.model.clone();
        promise(&env, self.lane(), move || Ok(Out::F32(model.get()?.embed_query(&text)?)))
    }

    /// One vector per token: the numbers row by row, and the length of a row.
    #[napi(ts_return_type = "Promise<[Float32Array, number]>")]
    pub fn embed_tokens(&self, env: Env, text: Unknown<'_>) -> Result<Promised, Thrown> {
        let text = arg(&env, &text, "text", self::text)?;
        let model = self.model.clone();
        promise(&env, self.lane(), move || Ok(matrix(model.get()?.embed_tokens(&text)?.vectors)))
    }

    /// Components of a vector. Waits while the model is being opened.
    #[napi(getter)]
    pub fn dim(&self) -> Result<u32, Thrown> {
        Ok(self.model.get().or_throw()?.dim() as u32)
    }

    /// The longest text that is embedded whole, in tokens. Waits while the model is being opened.
    #[napi(getter)]
    pub fn max_tokens(&self) -> Result<f64, Thrown> {
        Ok(self.model.get().or_throw()?.max_tokens() as f64)
    }

    /// Fingerprint of weights and settings. Waits while the model is being opened.
    #[napi(getter)]
    pub fn id(&self) -> Result<String, Thrown> {
        Ok(self.model.get().or_throw()?.id().to_owned())
    }
}

impl NativeEmbedder {
    /// Where a single text is embedded.
    pub fn lane(&self) -> Lane {
        if self.slow || !self.model.is_done() { Lane::Slow } else { Lane::Quick }
    }
}

fn embedder_options(env: &Env, options: &Unknown<'_>) -> Result<EmbedderOptions> {
    let mut args = args(env, options, "options of an Embedder")?;
    let defaults = EmbedderOptions::default();
    let out = EmbedderOptions {
        precision: args.or("precision", defaults.precision, |given, what| text(given, what)?.parse())?,
        threads: args.maybe("threads", count)?,
        batch_size: args.or("batchSize", defaults.batch_size, count)?,
        max_tokens: args.maybe("maxTokens", count)?,
        query_prefix: args.maybe("queryPrefix", text)?,
        document_prefix: args.maybe("documentPrefix", text)?,
        dimensions: args.maybe("dimensions", count)?,
        download: args.or("download", defaults.download, boolean)?,
    };
    args.done()?;
    Ok(out)
}

fn remote_options(env: &Env, options: &Unknown<'_>) -> Result<RemoteOptions> {
    let mut args = args(env, options, "options of a RemoteEmbedder")?;
    let defaults = RemoteOptions::default();
    let model = args.take("model");
    let out = RemoteOptions {
        model: text(model, "model")?,
        api_key: args.maybe("apiKey", text)?,
        dimensions: args.maybe("dimensions", count)?,
        batch_size: args.or("batchSize", defaults.batch_size, count)?,
        concurrency: args.or("concurrency", defaults.concurrency, count)?,
        timeout: args.or("timeout", defaults.timeout, |given, what| {
            let seconds = number(given, what)?;
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| invalid(format!("timeout is {seconds}; a number of seconds is expected")))
        })?,
        retries: args.or("retries", defaults.retries, count)?,
        max_tokens: args.or("maxTokens", defaults.max_tokens, count)?,
        query_prefix: args.or("queryPrefix", defaults.query_prefix.clone(), text)?,
        document_prefix: args.or("documentPrefix", defaults.document_prefix.clone(), text)?,
        ..defaults
    };
    args.done()?;
    Ok(out)
}

#[napi]
impl NativeEmbeddingCache {
    /// Starts to open the cache in a folder.
    #[napi(factory)]
    pub fn open(env: Env, folder: Unknown<'_>, options: Unknown<'_>) -> Result<NativeEmbeddingCache, Thrown> {
        let folder = arg(&env, &folder, "folder", text)?;
        let options = args(&env, &options, "options of an EmbeddingCache").and_then(|mut args| {
            let bytes = args.or("maxBytes", 1 << 30, whole)?;
            args.done()?;
            Ok(bytes)
        });
        let bytes = options.or_throw()?;
        let cache = Opening::start(move || quorate::EmbeddingCache::open(folder, bytes));
        Ok(NativeEmbeddingCache { cache: cache.or_throw()? })
    }

    /// Resolves when the cache is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        let cache = self.cache.clone();
        promise(&env, Lane::Slow, move || cache.get().map(|_| Out::Nothing))
    }

    /// What the cache holds and how often it helped, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn stats(&self, env: Env) -> Result<Promised, Thrown> {
        let cache = self.cache.clone();
        promise(&env, Lane::Slow, move || {
            let stats = cache.get()?.stats();
            let out = serde_json::json!({
                "entries": stats.entries, "bytes": stats.bytes, "hits": stats.hits, "misses": stats.misses,
                "hitRate": stats.hit_rate,
            });
            Ok(Out::Text(out.to_string()))
        })
    }
}

#[napi]
impl NativeCrossEncoder {
    /// Starts to open a model.
    #[napi(factory)]
    pub fn open(env: Env, source: Unknown<'_>, options: Unknown<'_>) -> Result<NativeCrossEncoder, Thrown> {
        let source = arg(&env, &source, "the model", text)?;
        let options = args(&env, &options, "options of a CrossEncoder").and_then(|mut args| {
            let defaults = CrossEncoderOptions::default();
            let out = CrossEncoderOptions {
                precision: args
                    .or("precision", defaults.precision, |given, what| text(given, what)?.parse())?,
                threads: args.maybe("threads", count)?,
                batch_size: args.or("batchSize", defaults.batch_size, count)?,
                max_tokens: args.maybe("maxTokens", count)?,
                download: args.or("download", defaults.download, boolean)?,
            };
            args.done()?;
            Ok(out)
        });
        let options = options.or_throw()?;
        let model = Opening::start(move || Ok(Arc::new(quorate::CrossEncoder::open(&source, options)?)));
        Ok(NativeCrossEncoder { model: model.or_throw()? })
    }

    /// Resolves when the model is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        let model = self.model.clone();
        promise(&env, Lane::Slow, move || model.get().map(|_| Out::Nothing))
    }

    /// The score of each passage for the query, higher for more relevant.
    #[napi(ts_return_type = "Promise<Float32Array>")]
    pub fn score(
        &self,
        env: Env,
        query: Unknown<'_>,
        passages: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let query = arg(&env, &query, "query", text)?;
        let passages = arg(&env, &passages, "passages", texts)?;
        let (model, cancel) = (self.model.clone(), flag(cancel));
        promise(&env, Lane::Slow, move || {
            Ok(Out::F32(model.get()?.score(&query, &refs(&passages), &cancel)?))
        })
    }

    /// The longest pair that is read whole, in tokens. Waits while the model is being opened.
    #[napi(getter)]
    pub fn max_tokens(&self) -> Result<f64, Thrown> {
        Ok(self.model.get().or_throw()?.max_tokens() as f64)
    }
}
