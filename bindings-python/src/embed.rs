//! How are embedding models used from Python?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use numpy::{PyArray1, PyArray2};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use quorate::core::vector::Matrix;
use quorate::{
    CachedEmbedder, Code, CrossEncoderOptions, Embed, EmbedderOptions, Error, Precision, RemoteOptions,
};
use serde_json::json;

use crate::convert::{array1, array2, function, record, text, texts, type_name, vectors};
use crate::door::{awaited, blocking, quick};
use crate::errors::{OrRaise, invalid, refused};
use crate::guest;
use crate::scalar::scalar;

/// A model that turns texts into vectors of unit length.
///
/// ``source``: ``"builtin"``, a model folder, or the id of a model on the Hugging Face hub. ``precision``: ``f32`` or ``int8``.
/// ``threads``: of this model alone; None for those that all share. ``batch_size``: texts that go through the model together, which
/// changes speed and memory, not vectors. ``max_tokens``: where a text is cut; None for the model's own limit. ``query_prefix`` and
/// ``document_prefix``: what is put before each; None for the model's own prompts. ``dimensions``: components that are kept of each
/// vector; None for all. ``download``: whether a model named by hub id is downloaded when it is not there. ``cache``: where vectors
/// that were computed before are kept.
///
/// Codes: ``model_not_found``, ``model_invalid``, ``model_unsupported``, ``invalid_argument``, ``offline`` and the like of downloads.
#[pyclass(frozen, subclass, module = "quorate", name = "Embedder")]
pub struct Embedder {
    /// The model.
    pub model: Arc<dyn Embed>,
    /// Whether one text may take longer than a few milliseconds: over the network.
    pub slow: bool,
}

/// A model behind a service with OpenAI's interface for embeddings.
///
/// ``url``: of the service, without ``/embeddings``. ``model``: its name there. ``api_key``: sent as a bearer token; it shows in no repr,
/// log or error. ``dimensions``: components that are asked for; None for the model's own. ``batch_size``: most texts in one request.
/// ``concurrency``: requests at the same time. ``timeout``: seconds for one request with its tries and pauses. ``retries``: tries
/// after the first. ``max_tokens``: longest text that chunking aims for. ``query_prefix``, ``document_prefix`` and ``cache`` as of
/// :class:`Embedder`.
///
/// Codes of its work: ``offline``, ``timeout``, ``remote_failed``, ``remote_invalid``, ``cancelled``.
#[pyclass(frozen, extends = Embedder, module = "quorate", name = "RemoteEmbedder")]
pub struct RemoteEmbedder;

/// An embedder that the host has written: a function of a list of texts that gives one vector of ``dim`` numbers for each.
///
/// The vectors are checked, and brought to unit length. ``id`` names the function and its version, such as ``mine-v1``; a knowledge base
/// remembers it. ``max_tokens``: longest text, in tokens by estimate, that chunking aims for. ``cache`` as of :class:`Embedder`.
///
/// Codes of its work: ``callback`` when the function fails or gives another shape, ``not_finite``.
#[pyclass(frozen, extends = Embedder, module = "quorate", name = "CallbackEmbedder")]
pub struct CallbackEmbedder;

/// Vectors that were computed before, in a folder; embedders, threads and processes may share one.
///
/// ``max_bytes``: about so much is kept; the oldest vectors are deleted beyond. Codes: ``invalid_argument``, ``io``,
/// ``permission_denied``.
#[pyclass(frozen, module = "quorate", name = "EmbeddingCache")]
pub struct EmbeddingCache {
    cache: quorate::EmbeddingCache,
    folder: PathBuf,
}

/// A model that reads a query and a passage together and scores the pair.
///
/// ``source``: a model folder, or the id of a model on the Hugging Face hub. ``precision``, ``threads``, ``batch_size``, ``max_tokens`` and
/// ``download`` as of :class:`Embedder`.
///
/// Codes: ``model_not_found``, ``model_invalid``, ``model_unsupported``.
#[pyclass(frozen, module = "quorate", name = "CrossEncoder")]
pub struct CrossEncoder {
    /// The model.
    pub model: quorate::CrossEncoder,
    source: String,
}

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Embedder>()?;
    module.add_class::<RemoteEmbedder>()?;
    module.add_class::<CallbackEmbedder>()?;
    module.add_class::<EmbeddingCache>()?;
    module.add_class::<CrossEncoder>()
}

impl Embedder {
    fn with_cache(model: Arc<dyn Embed>, slow: bool, cache: Option<&Bound<'_, PyAny>>) -> PyResult<Embedder> {
        let Some(cache) = cache else { return Ok(Embedder { model, slow }) };
        let Ok(cache) = cache.cast::<EmbeddingCache>() else {
            return Err(invalid(format!(
                "cache is of type {}; an EmbeddingCache is expected",
                type_name(cache)
            )));
        };
        let model = Arc::new(CachedEmbedder::new(model, cache.get().cache.clone()));
        Ok(Embedder { model, slow })
    }
}

fn matrix(py: Python<'_>, matrix: Matrix) -> PyResult<Bound<'_, PyArray2<f32>>> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    array2(py, matrix.into_vec(), rows, cols)
}

/// A place in the file system or the name of a model: a string or anything with `__fspath__`.
pub fn place(value: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    if value.hasattr("__fspath__")? {
        return text(&value.call_method0("__fspath__")?, what);
    }
    text(value, what)
}

/// An embedder as it is given: an `Embedder`, or what names a model, which is then opened. The flag: over the network.
pub fn embedder(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<(Arc<dyn Embed>, bool)> {
    if let Ok(embedder) = given.cast::<Embedder>() {
        return Ok((Arc::clone(&embedder.get().model), embedder.get().slow));
    }
    let source = place(given, "the embedder")?;
    let model = blocking(py, move |_| quorate::Embedder::open(&source, EmbedderOptions::default()))?;
    Ok((Arc::new(model), false))
}

/// The asyncio face of an object: `class` of `quorate.aio` over it.
fn twin<'py>(of: &Bound<'py, PyAny>, class: &str) -> PyResult<Bound<'py, PyAny>> {
    of.py().import("quorate.aio")?.getattr(class)?.call1((of,))
}

/// Texts as the core takes them.
pub fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[pymethods]
impl Embedder {
    #[new]
    #[pyo3(signature = (source, *, precision="f32".to_owned(), threads=None, batch_size=32, max_tokens=None,
        query_prefix=None, document_prefix=None, dimensions=None, download=true, cache=None),
        text_signature = "(source, *, precision='f32', threads=None, batch_size=32, max_tokens=None, \
        query_prefix=None, document_prefix=None, dimensions=None, download=True, cache=None)")]
    #[allow(clippy::too_many_arguments)] // they are keyword arguments
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] precision: String,
        #[pyo3(from_py_with = scalar)] threads: Option<usize>,
        #[pyo3(from_py_with = scalar)] batch_size: usize,
        #[pyo3(from_py_with = scalar)] max_tokens: Option<usize>,
        #[pyo3(from_py_with = scalar)] query_prefix: Option<String>,
        #[pyo3(from_py_with = scalar)] document_prefix: Option<String>,
        #[pyo3(from_py_with = scalar)] dimensions: Option<usize>,
        #[pyo3(from_py_with = scalar)] download: bool,
        cache: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let source = place(source, "the model")?;
        let precision: Precision = precision.parse().or_raise()?;
        let options = EmbedderOptions {
            precision,
            threads,
            batch_size,
            max_tokens,
            query_prefix,
            document_prefix,
            dimensions,
            download,
        };
        let model = blocking(py, move |_| quorate::Embedder::open(&source, options))?;
        Embedder::with_cache(Arc::new(model), false, cache)
    }

    /// Embeds documents: float32 of shape (len(texts), dim), rows of unit length. Releases the GIL.
    fn embed<'py>(&self, py: Python<'py>, texts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let texts = self::texts(texts, "texts")?;
        let model = Arc::clone(&self.model);
        matrix(py, blocking(py, move |host| model.embed(&refs(&texts), &host.cancel))?)
    }

    /// Embeds queries: float32 of shape (len(texts), dim), rows of unit length. Releases the GIL.
    fn embed_queries<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let texts = self::texts(texts, "texts")?;
        let model = Arc::clone(&self.model);
        matrix(py, blocking(py, move |host| model.embed_queries(&refs(&texts), &host.cancel))?)
    }

    /// Embeds one query: float32 of shape (dim,). Releases the GIL.
    fn embed_query<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let text = self::text(text, "text")?;
        let model = Arc::clone(&self.model);
        let vector = if self.slow {
            blocking(py, move |_| model.embed_query(&text))
        } else {
            quick(py, || model.embed_query(&text))
        };
        array1(py, vector?)
    }

    /// One vector per token, for late interaction: float32 of shape (tokens, dim). Releases the GIL.
    fn embed_tokens<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let text = self::text(text, "text")?;
        let model = Arc::clone(&self.model);
        matrix(py, blocking(py, move |_| Ok(model.embed_tokens(&text)?.vectors))?)
    }

    /// Components of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.model.dim()
    }

    /// The longest text that is embedded whole, in tokens, special tokens included.
    #[getter]
    fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }

    /// Fingerprint of weights and settings.
    #[getter]
    fn id(&self) -> &str {
        self.model.id()
    }

    /// The same calls for asyncio.
    #[getter]
    fn aio<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        twin(slf.as_any(), "AsyncEmbedder")
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let model = &slf.get().model;
        let name = slf.get_type().name()?;
        Ok(format!("{name}(id='{}', dim={}, max_tokens={})", model.id(), model.dim(), model.max_tokens()))
    }
}

#[pymethods]
impl RemoteEmbedder {
    #[new]
    #[pyo3(signature = (url, *, model, api_key=None, dimensions=None, batch_size=128, concurrency=4, timeout=60.0,
        retries=5, max_tokens=8191, query_prefix=String::new(), document_prefix=String::new(), cache=None),
        text_signature = "(url, *, model, api_key=None, dimensions=None, batch_size=128, concurrency=4, timeout=60.0, \
        retries=5, max_tokens=8191, query_prefix='', document_prefix='', cache=None)")]
    #[allow(clippy::too_many_arguments)] // they are keyword arguments
    fn new(
        py: Python<'_>,
        url: &Bound<'_, PyAny>,
        model: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] api_key: Option<String>,
        #[pyo3(from_py_with = scalar)] dimensions: Option<usize>,
        #[pyo3(from_py_with = scalar)] batch_size: usize,
        #[pyo3(from_py_with = scalar)] concurrency: usize,
        #[pyo3(from_py_with = scalar)] timeout: f64,
        #[pyo3(from_py_with = scalar)] retries: usize,
        #[pyo3(from_py_with = scalar)] max_tokens: usize,
        #[pyo3(from_py_with = scalar)] query_prefix: String,
        #[pyo3(from_py_with = scalar)] document_prefix: String,
        cache: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let url = text(url, "url")?;
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|_| invalid(format!("timeout is {timeout}; a number of seconds is expected")))?;
        let options = RemoteOptions {
            model: text(model, "model")?,
            api_key,
            dimensions,
            batch_size,
            concurrency,
            timeout,
            retries,
            max_tokens,
            query_prefix,
            document_prefix,
            ..RemoteOptions::default()
        };
        let model = blocking(py, move |_| quorate::RemoteEmbedder::new(&url, options))?;
        let base = Embedder::with_cache(Arc::new(model), true, cache)?;
        Ok(PyClassInitializer::from(base).add_subclass(RemoteEmbedder))
    }
}

#[pymethods]
impl CallbackEmbedder {
    #[new]
    #[pyo3(signature = (function, *, dim, id, max_tokens=quorate::CallbackEmbedder::MAX_TOKENS, cache=None),
        text_signature = "(function, *, dim, id, max_tokens=512, cache=None)")]
    fn new(
        function: Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] dim: usize,
        #[pyo3(from_py_with = scalar)] id: String,
        #[pyo3(from_py_with = scalar)] max_tokens: usize,
        cache: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let what = "the function of a CallbackEmbedder";
        let function = self::function(function, what, "something that can be called with a list of texts")?;
        let embed = move |texts: &[&str], _: &quorate::Cancel| guest::call(|py| called(py, &function, texts));
        let model = quorate::CallbackEmbedder::new(id, dim, embed).and_then(|e| e.max_tokens(max_tokens));
        let base = Embedder::with_cache(Arc::new(model.or_raise()?), true, cache)?;
        Ok(PyClassInitializer::from(base).add_subclass(CallbackEmbedder))
    }
}

/// What `function` gives for `texts`.
fn called(py: Python<'_>, function: &Py<PyAny>, texts: &[&str]) -> quorate::Result<Vec<Vec<f32>>> {
    let call = || awaited(guest::apart(py, (function, texts.to_vec()))?);
    let what = "what the embedder's function gave";
    call().and_then(|given| vectors(&given, what)).map_err(|raised| match refused(py, &raised) {
        Some(error) => error,
        // Ctrl-C and the like stay what they are.
        None if !raised.is_instance_of::<PyException>(py) => {
            Error::with_source(Code::Callback, "interrupted", raised)
        }
        None => {
            let said: String = raised.value(py).to_string().chars().take(300).collect();
            let name = raised.get_type(py).name().map_or_else(|_| "exception".to_owned(), |n| n.to_string());
            Error::with_source(
                Code::Callback,
                format!("the embedder's function raised {name}: {said}"),
                raised,
            )
        }
    })
}

#[pymethods]
impl EmbeddingCache {
    #[new]
    #[pyo3(signature = (folder, *, max_bytes=1_073_741_824))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] folder: PathBuf,
        #[pyo3(from_py_with = scalar)] max_bytes: u64,
    ) -> PyResult<Self> {
        let path = folder.clone();
        let cache = blocking(py, move |_| quorate::EmbeddingCache::open(path, max_bytes))?;
        Ok(EmbeddingCache { cache, folder })
    }

    /// What the cache holds and how often it helped: entries, bytes, hits, misses, hit_rate.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.cache.stats();
        record(
            py,
            &json!({
                "entries": stats.entries, "bytes": stats.bytes, "hits": stats.hits, "misses": stats.misses,
                "hit_rate": stats.hit_rate,
            }),
        )
    }

    fn __repr__(&self) -> String {
        format!("EmbeddingCache('{}', entries={})", self.folder.display(), self.cache.stats().entries)
    }
}

#[pymethods]
impl CrossEncoder {
    #[new]
    #[pyo3(signature = (source, *, precision="f32".to_owned(), threads=None, batch_size=None, max_tokens=None, download=true),
        text_signature = "(source, *, precision='f32', threads=None, batch_size=None, max_tokens=None, download=True)")]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] precision: String,
        #[pyo3(from_py_with = scalar)] threads: Option<usize>,
        #[pyo3(from_py_with = scalar)] batch_size: Option<usize>,
        #[pyo3(from_py_with = scalar)] max_tokens: Option<usize>,
        #[pyo3(from_py_with = scalar)] download: bool,
    ) -> PyResult<Self> {
        let source = place(source, "the model")?;
        let defaults = CrossEncoderOptions::default();
        let options = CrossEncoderOptions {
            precision: precision.parse::<Precision>().or_raise()?,
            threads,
            batch_size: batch_size.unwrap_or(defaults.batch_size),
            max_tokens,
            download,
        };
        let name = source.clone();
        let model = blocking(py, move |_| quorate::CrossEncoder::open(&name, options))?;
        Ok(CrossEncoder { model, source })
    }

    /// The score of each passage for the query, higher for more relevant: float32 of shape (len(passages),).
    fn score<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        passages: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let query = text(query, "query")?;
        let passages = texts(passages, "passages")?;
        let model = self.model.clone();
        let scores = blocking(py, move |host| model.score(&query, &refs(&passages), &host.cancel))?;
        array1(py, scores)
    }

    /// The longest pair that is read whole, in tokens, special tokens included.
    #[getter]
    fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }

    /// The same calls for asyncio.
    #[getter]
    fn aio<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        twin(slf.as_any(), "AsyncCrossEncoder")
    }

    fn __repr__(&self) -> String {
        format!("CrossEncoder('{}', max_tokens={})", self.source, self.model.max_tokens())
    }
}
