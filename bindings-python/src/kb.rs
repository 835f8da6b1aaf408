//! How is a knowledge base used from Python?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::rag::chunk::ChunkOptions;
use quorate::rag::{
    Durability, Filter, Fusion, GroupBy, Language, Mode, ModelSource, OnError, OpenOptions, SearchOptions,
    WriteOptions, WriteReport,
};
use quorate::{Code, Error};
use serde_json::Value;

use crate::choose;
use crate::convert::{record, text, texts, vector};
use crate::document::{documents, from_document};
use crate::door::{Host, blocking, quick};
use crate::embed::Embedder;
use crate::errors::{OrRaise, raise};
use crate::hits::{Hit, hits};
use crate::metadata::{dict, filter, metadata, object, wrong};

/// Documents that are kept and found.
#[pyclass(frozen, module = "quorate", name = "KnowledgeBase")]
pub struct KnowledgeBase {
    kb: Arc<quorate::rag::KnowledgeBase>,
    /// Whether embedding a query goes over the network.
    slow: bool,
    /// Whether a search has run, so that the model is open.
    warm: AtomicBool,
}

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<KnowledgeBase>()?;
    module.add_function(wrap_pyfunction!(open, module)?)
}

/// What `open` takes by keyword.
#[derive(FromPyObject)]
struct Settings<'py> {
    embedder: Option<Bound<'py, PyAny>>,
    tenant: Option<Bound<'py, PyAny>>,
    read_only: bool,
    durability: String,
    language: Option<String>,
    chunking: Option<Bound<'py, PyAny>>,
    keep_versions: usize,
    cache_folder: Option<std::path::PathBuf>,
    storage_options: Option<std::collections::HashMap<String, String>>,
}

#[pyfunction]
fn open(py: Python<'_>, place: &Bound<'_, PyAny>, settings: Settings<'_>) -> PyResult<KnowledgeBase> {
    let place = crate::embed::place(place, "the place")?;
    let durabilities = [("power_cut", Durability::PowerCut), ("process", Durability::Process)];
    let mut options = OpenOptions {
        tenant: settings.tenant.map(|name| text(&name, "tenant")).transpose()?,
        read_only: settings.read_only,
        durability: choose("durability", &settings.durability, &durabilities)?,
        language: settings.language.map(|name| Language::from_name(&name)).transpose().or_raise()?,
        chunking: settings.chunking.map(|given| chunking(&given)).transpose()?,
        keep_versions: settings.keep_versions,
        cache_folder: settings.cache_folder,
        storage_options: settings.storage_options.unwrap_or_default(),
        ..OpenOptions::default()
    };
    let mut slow = false;
    if let Some(given) = settings.embedder {
        match given.cast::<Embedder>() {
            Ok(embedder) => {
                slow = embedder.get().slow;
                options.embedder = Some(Arc::clone(&embedder.get().model));
            }
            Err(_) => {
                options.model = Some(ModelSource::new(crate::embed::place(&given, "the embedder")?));
            }
        }
    }
    let kb = blocking(py, move |_| quorate::rag::KnowledgeBase::open(place, options))?;
    Ok(KnowledgeBase::new(kb, slow))
}

/// How texts are cut: the name of a strategy, or the options as a dict.
fn chunking(given: &Bound<'_, PyAny>) -> PyResult<ChunkOptions> {
    let value = match dict(given)? {
        Some(fields) => Value::Object(object(&fields, "chunking", Code::InvalidArgument)?),
        None => {
            let mut fields = serde_json::Map::new();
            fields.insert("strategy".to_owned(), Value::String(text(given, "chunking")?));
            Value::Object(fields)
        }
    };
    serde_json::from_value(value)
        .map_err(|e| raise(Error::with_source(Code::InvalidArgument, format!("chunking: {e}"), e)))
}

fn written<'py>(py: Python<'py>, report: &WriteReport) -> PyResult<Bound<'py, PyDict>> {
    let skipped = PyList::empty(py);
    for one in &report.skipped {
        let row = PyDict::new(py);
        row.set_item("index", one.index)?;
        row.set_item("id", &one.id)?;
        row.set_item("code", one.error.code().as_str())?;
        row.set_item("message", one.error.message())?;
        skipped.append(row)?;
    }
    let out = PyDict::new(py);
    out.set_item("added", report.added)?;
    out.set_item("replaced", report.replaced)?;
    out.set_item("chunks", report.chunks)?;
    out.set_item("skipped", skipped)?;
    out.set_item("version", report.version)?;
    Ok(out)
}

/// The options of a search, as given by keyword.
#[derive(FromPyObject)]
struct Keywords {
    k: usize,
    offset: usize,
    mode: String,
    fusion: String,
    alpha: f32,
    rrf_k: f32,
    strict: bool,
    group_by: Option<String>,
    min_score: Option<f32>,
}

impl Keywords {
    fn options(&self, filter: Option<Filter>) -> PyResult<SearchOptions> {
        let modes = [("hybrid", Mode::Hybrid), ("dense", Mode::Dense), ("lexical", Mode::Lexical)];
        let fusions = [
            ("convex", Fusion::Convex { alpha: self.alpha }),
            ("rrf", Fusion::Rrf { k: self.rrf_k }),
            ("dbsf", Fusion::Dbsf),
        ];
        Ok(SearchOptions {
            k: self.k,
            offset: self.offset,
            mode: choose("mode", &self.mode, &modes)?,
            filter,
            strict: self.strict,
            fusion: choose("fusion", &self.fusion, &fusions)?,
            group_by: self
                .group_by
                .as_deref()
                .map(|name| choose("group_by", name, &[("doc", GroupBy::Doc)]))
                .transpose()?,
            min_score: self.min_score,
            ..SearchOptions::default()
        })
    }
}

/// Tells a Python function how many of how many documents are done. What it raises ends the write.
fn telling(host: &Host, function: Py<PyAny>) -> Arc<quorate::rag::Progress> {
    let (host, function) = (host.clone(), Arc::new(function));
    // Progress comes from one thread at a time.
    let last = Mutex::new(None);
    Arc::new(move |done, total| {
        let news = (done, total);
        if last.lock().unwrap_or_else(PoisonError::into_inner).replace(news) == Some(news) {
            return;
        }
        let function = Arc::clone(&function);
        // The exception is kept by the host, which cancels the write.
        let _ = host.call(move |py| function.call1(py, news).map(drop));
    })
}

impl KnowledgeBase {
    fn new(kb: quorate::rag::KnowledgeBase, slow: bool) -> Self {
        KnowledgeBase { kb: Arc::new(kb), slow, warm: AtomicBool::new(false) }
    }

    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&quorate::rag::KnowledgeBase) -> quorate::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let kb = Arc::clone(&self.kb);
        blocking(py, move |_| work(&kb))
    }

    /// A handle like this one.
    fn sibling(&self, kb: quorate::rag::KnowledgeBase) -> Self {
        KnowledgeBase::new(kb, self.slow)
    }
}

#[pymethods]
impl KnowledgeBase {
    #[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
    fn write<'py>(
        &self,
        py: Python<'py>,
        documents: &Bound<'py, PyAny>,
        replace: bool,
        on_error: &str,
        vectors: Option<&Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let on_error = choose("on_error", on_error, &[("stop", OnError::Stop), ("skip", OnError::Skip)])?;
        let documents = self::documents(documents, vectors)?;
        let kb = Arc::clone(&self.kb);
        let report = blocking(py, move |host| {
            let progress = progress.map(|function| telling(host, function));
            let options = WriteOptions { on_error, progress, cancel: host.cancel.clone() };
            if replace { kb.upsert_with(documents, &options) } else { kb.add_with(documents, &options) }
        })?;
        written(py, &report)
    }

    fn update_metadata(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        metadata: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (id, metadata) = (text(id, "id")?, self::metadata(metadata, "metadata")?);
        self.run(py, move |kb| kb.update_metadata(&id, metadata))
    }

    fn delete_ids(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ids = texts(ids, "ids")?;
        self.run(py, move |kb| kb.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn delete_where(&self, py: Python<'_>, r#where: &Bound<'_, PyAny>) -> PyResult<usize> {
        match filter(Some(r#where))? {
            Some(filter) => self.run(py, move |kb| kb.delete_where(&filter)),
            None => Ok(0),
        }
    }

    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords,
    ) -> PyResult<Vec<Hit>> {
        let query = text(query, "query")?;
        let mut options = keywords.options(filter(r#where)?)?;
        if self.warm.load(Ordering::Relaxed) && !self.slow {
            return Ok(hits(quick(py, || self.kb.search(&query, &options))?));
        }
        let kb = Arc::clone(&self.kb);
        let found = blocking(py, move |host| {
            options.cancel = host.cancel.clone();
            kb.search(&query, &options)
        })?;
        self.warm.store(true, Ordering::Relaxed);
        Ok(hits(found))
    }

    fn search_batch(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords,
    ) -> PyResult<Vec<Vec<Hit>>> {
        let queries = texts(queries, "queries")?;
        let mut options = keywords.options(filter(r#where)?)?;
        let kb = Arc::clone(&self.kb);
        let found = blocking(py, move |host| {
            options.cancel = host.cancel.clone();
            kb.search_batch(&queries.iter().map(String::as_str).collect::<Vec<_>>(), &options)
        })?;
        Ok(found.into_iter().map(hits).collect())
    }

    fn search_vector(
        &self,
        py: Python<'_>,
        vector: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords,
    ) -> PyResult<Vec<Hit>> {
        let vector = self::vector(vector, "vector")?;
        let options = keywords.options(filter(r#where)?)?;
        Ok(hits(quick(py, || self.kb.search_vector(&vector, &options))?))
    }

    /// The document with this id, as a dict.
    fn get<'py>(&self, py: Python<'py>, id: &Bound<'_, PyAny>, chunks: bool) -> PyResult<Bound<'py, PyAny>> {
        let id = text(id, "id")?;
        let document = quick(py, || self.kb.get(&id))?;
        from_document(py, document, chunks)
    }

    fn ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        quick(py, || self.kb.ids())
    }

    fn count(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let filter = filter(r#where)?;
        quick(py, || self.kb.count(filter.as_ref()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.run(py, |kb| kb.stats())?;
        record(py, &stats)
    }

    /// (number, milliseconds since 1970) of each version, oldest first.
    fn versions(&self, py: Python<'_>) -> PyResult<Vec<(u64, i64)>> {
        let versions = self.run(py, |kb| kb.versions())?;
        Ok(versions.into_iter().map(|v| (v.version, v.timestamp_ms)).collect())
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, |kb| kb.refresh())
    }

    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |kb| kb.compact())
    }

    fn at(&self, py: Python<'_>, version: &Bound<'_, PyAny>) -> PyResult<KnowledgeBase> {
        let Ok(number) = version.extract::<u64>() else {
            return Err(wrong(
                Code::InvalidArgument,
                "version",
                version,
                "a whole number from 0 is expected",
            ));
        };
        Ok(self.sibling(self.run(py, move |kb| kb.at(number))?))
    }

    fn tenant(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<KnowledgeBase> {
        let name = text(name, "tenant")?;
        Ok(self.sibling(self.run(py, move |kb| kb.tenant(&name))?))
    }

    #[getter]
    fn tenant_name(&self) -> Option<&str> {
        self.kb.tenant_name()
    }

    fn embedder(&self, py: Python<'_>) -> PyResult<Embedder> {
        let model = self.run(py, |kb| kb.embedder().cloned())?;
        Ok(Embedder { model, slow: self.slow })
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |kb| kb.close())
    }
}
