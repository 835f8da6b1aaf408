//! How is a knowledge base used from Python?

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use quorate::rag::chunk::ChunkOptions;
use quorate::rag::load::{CsvOptions, LoadOptions, Ocr};
use quorate::rag::{
    CopyOptions, Durability, FileOptions, Language, ListOptions, ModelSource, OnError, OpenOptions,
    ReembedOptions, Skipped, Sort, SyncOptions, SyncReport, WriteOptions, WriteReport,
};
use quorate::{Code, Error};
use serde_json::Value;

use crate::choose;
use crate::context;
use crate::convert::{
    describe, from_json, function, is_boolean, paths, record, report, text, texts, type_name, vector,
};
use crate::document::{Parts, documents, from_document};
use crate::door::{Held, Host, awaited, blocking, quick};
use crate::embed::{Embedder, refs};
use crate::errors::{OrRaise, invalid, raise};
use crate::hits::{Hit, hits};
use crate::metadata::{dict, filter, metadata, wrong};
use crate::scalar::{field, object, scalar};
use crate::search::Keywords;

const ON_ERROR: [(&str, OnError); 2] = [("stop", OnError::Stop), ("skip", OnError::Skip)];

/// Documents that are kept and found.
#[pyclass(frozen, module = "quorate", name = "KnowledgeBase")]
pub struct KnowledgeBase {
    kb: Held<Arc<quorate::rag::KnowledgeBase>>,
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
struct Settings<'py> {
    embedder: Option<Bound<'py, PyAny>>,
    tenant: Option<Bound<'py, PyAny>>,
    read_only: bool,
    durability: String,
    language: Option<String>,
    chunking: Option<Bound<'py, PyAny>>,
    keep_versions: usize,
    cache_folder: Option<PathBuf>,
    storage_options: Option<Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
}

impl<'py> FromPyObject<'_, 'py> for Settings<'py> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = &*given;
        Ok(Settings {
            embedder: object(given, "embedder")?,
            tenant: object(given, "tenant")?,
            read_only: field(given, "read_only")?,
            durability: field(given, "durability")?,
            language: field(given, "language")?,
            chunking: object(given, "chunking")?,
            keep_versions: field(given, "keep_versions")?,
            cache_folder: field(given, "cache_folder")?,
            storage_options: object(given, "storage_options")?,
            progress: object(given, "progress")?,
        })
    }
}

#[pyfunction]
fn open(py: Python<'_>, place: Option<&Bound<'_, PyAny>>, settings: Settings<'_>) -> PyResult<KnowledgeBase> {
    let place = place.map(|given| crate::embed::place(given, "the place")).transpose()?;
    let durabilities = [("power_cut", Durability::PowerCut), ("process", Durability::Process)];
    let mut options = OpenOptions {
        tenant: settings.tenant.map(|name| text(&name, "tenant")).transpose()?,
        read_only: settings.read_only,
        durability: choose("durability", &settings.durability, &durabilities)?,
        language: settings.language.map(|name| Language::from_name(&name)).transpose().or_raise()?,
        chunking: settings.chunking.map(|given| chunking(&given)).transpose()?,
        keep_versions: settings.keep_versions,
        cache_folder: settings.cache_folder,
        storage_options: settings.storage_options.map(|given| words(&given)).transpose()?.unwrap_or_default(),
        ..OpenOptions::default()
    };
    let slow = settings.embedder.map_or(Ok(false), |given| embedded_by(&given, &mut options))?;
    let progress = settings.progress.map(Bound::unbind);
    let kb = blocking(py, move |host| {
        options.progress = progress.map(|function| telling(host, function));
        match place {
            Some(place) => quorate::rag::KnowledgeBase::open(place, options),
            None => quorate::rag::KnowledgeBase::in_memory(options),
        }
    })?;
    Ok(KnowledgeBase::new(kb, slow))
}

/// Takes over the embedder that is given: a model, or what names one. Whether it goes over the network.
fn embedded_by(given: &Bound<'_, PyAny>, options: &mut OpenOptions) -> PyResult<bool> {
    if let Ok(embedder) = given.cast::<Embedder>() {
        options.embedder = Some(Arc::clone(&embedder.get().model));
        return Ok(embedder.get().slow);
    }
    options.model = Some(ModelSource::new(crate::embed::place(given, "the embedder")?));
    Ok(false)
}

/// The options of a copy that works for `host`.
fn copying(host: &Host, progress: Option<Py<PyAny>>) -> CopyOptions {
    CopyOptions { progress: progress.map(|function| telling(host, function)), cancel: host.cancel.clone() }
}

/// The options of an object store.
fn words(given: &Bound<'_, PyAny>) -> PyResult<HashMap<String, String>> {
    given.extract().map_err(|_| {
        invalid(format!(
            "storage_options is {}; a dict whose names and values are strings is expected",
            describe(given)
        ))
    })
}

/// How texts are cut: the name of a strategy, or the options as a dict.
fn chunking(given: &Bound<'_, PyAny>) -> PyResult<ChunkOptions> {
    let value = match dict(given)? {
        Some(fields) => Value::Object(crate::metadata::object(&fields, "chunking", Code::InvalidArgument)?),
        None => {
            let mut fields = serde_json::Map::new();
            fields.insert("strategy".to_owned(), Value::String(text(given, "chunking")?));
            Value::Object(fields)
        }
    };
    serde_json::from_value(value)
        .map_err(|e| raise(Error::with_source(Code::InvalidArgument, format!("chunking: {e}"), e)))
}

/// What `add_files`, `upsert_files` and `sync_files` take by keyword.
struct Files {
    options: FileOptions,
    progress: Option<Py<PyAny>>,
    ocr: Option<Py<PyAny>>,
    delete_missing: bool,
}

impl<'py> FromPyObject<'_, 'py> for Files {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = &*given;
        let mut load = LoadOptions::default();
        load.max_bytes = field::<Option<u64>>(given, "max_bytes")?.unwrap_or(load.max_bytes);
        if let Some(seconds) = field::<Option<f64>>(given, "timeout")? {
            load.timeout = Duration::try_from_secs_f64(seconds)
                .map_err(|_| invalid(format!("timeout is {seconds}; a number of seconds is expected")))?;
        }
        if let Some(csv) = object(given, "csv")? {
            load.csv = self::csv(&csv)?;
        }
        load.encoding = field(given, "encoding")?;
        load.main_text = field(given, "main_text")?;
        let on_error = choose("on_error", &field::<String>(given, "on_error")?, &ON_ERROR)?;
        let options = FileOptions {
            load,
            write: WriteOptions { on_error, ..WriteOptions::default() },
            root: field(given, "root")?,
            metadata: object(given, "metadata")?
                .map(|given| metadata(&given, "metadata"))
                .transpose()?
                .unwrap_or_default(),
            follow_links: field(given, "follow_links")?,
            batch: field(given, "batch")?,
        };
        let progress = object(given, "progress")?.map(Bound::unbind);
        let ocr = object(given, "ocr")?
            .map(|given| {
                function(given, "ocr", "None or a function from the bytes of a PNG image to its text")
            })
            .transpose()?;
        Ok(Files { options, progress, ocr, delete_missing: field(given, "delete_missing")? })
    }
}

/// What a write of files did.
enum Wrote {
    Report(WriteReport),
    Sync(SyncReport),
}

/// How tables in text form are read.
fn csv(given: &Bound<'_, PyAny>) -> PyResult<CsvOptions> {
    let Some(fields) = dict(given)? else {
        return Err(invalid(format!("csv is {}; a dict is expected", describe(given))));
    };
    let value = Value::Object(crate::metadata::object(&fields, "csv", Code::InvalidArgument)?);
    serde_json::from_value(value)
        .map_err(|e| raise(Error::with_source(Code::InvalidArgument, format!("csv: {e}"), e)))
}

fn skipped<'py>(py: Python<'py>, given: &[Skipped]) -> PyResult<Bound<'py, PyList>> {
    let skipped = PyList::empty(py);
    for one in given {
        let row = PyDict::new(py);
        row.set_item("index", one.index)?;
        row.set_item("id", &one.id)?;
        row.set_item("code", one.error.code().as_str())?;
        row.set_item("message", one.error.message())?;
        skipped.append(row)?;
    }
    Ok(skipped)
}

fn written<'py>(py: Python<'py>, report: &WriteReport) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("added", report.added)?;
    out.set_item("replaced", report.replaced)?;
    out.set_item("unchanged", report.unchanged)?;
    out.set_item("deleted", report.deleted)?;
    out.set_item("chunks", report.chunks)?;
    out.set_item("skipped", skipped(py, &report.skipped)?)?;
    out.set_item("version", report.version)?;
    Ok(out)
}

fn synced<'py>(py: Python<'py>, report: &SyncReport) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("added", report.added)?;
    out.set_item("updated", report.updated)?;
    out.set_item("unchanged", report.unchanged)?;
    out.set_item("deleted", report.deleted)?;
    out.set_item("chunks", report.chunks)?;
    out.set_item("skipped", skipped(py, &report.skipped)?)?;
    out.set_item("version", report.version)?;
    Ok(out)
}

/// Tells a Python function how many of how many documents are done. What it raises ends the write.
pub fn telling(host: &Host, function: Py<PyAny>) -> Arc<quorate::rag::Progress> {
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

/// Asks a Python function for the text of the image of a page, given as a PNG file. What it raises ends the call.
fn reading(host: &Host, function: Py<PyAny>) -> Ocr {
    let (host, function) = (host.clone(), Arc::new(function));
    Ocr::new(move |png: &[u8]| {
        let (function, png) = (Arc::clone(&function), png.to_vec());
        host.call(move |py| {
            let given = awaited(function.bind(py).call1((PyBytes::new(py, &png),))?)?;
            if !given.is_instance_of::<PyString>() {
                return Err(invalid(format!(
                    "ocr gave a value of type {}; the text of the image, a string, is expected",
                    type_name(&given)
                )));
            }
            text(&given, "what ocr gave")
        })
    })
}

impl KnowledgeBase {
    fn new(kb: quorate::rag::KnowledgeBase, slow: bool) -> Self {
        KnowledgeBase { kb: Held::new(Arc::new(kb)), slow, warm: AtomicBool::new(false) }
    }

    /// The same handle in Rust.
    pub fn handle(&self) -> quorate::rag::KnowledgeBase {
        (**self.kb).clone()
    }

    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&quorate::rag::KnowledgeBase) -> quorate::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let kb = Arc::clone(&self.kb);
        blocking(py, move |host| host.cancel.cover(|| work(&kb)))
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
        #[pyo3(from_py_with = scalar)] replace: bool,
        #[pyo3(from_py_with = scalar)] on_error: String,
        vectors: Option<&Bound<'py, PyAny>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let on_error = choose("on_error", &on_error, &ON_ERROR)?;
        let Parts { documents, places, skipped } =
            self::documents(documents, vectors, on_error == OnError::Skip)?;
        let kb = Arc::clone(&self.kb);
        let mut report = blocking(py, move |host| {
            let progress = progress.map(|function| telling(host, function));
            let options = WriteOptions { on_error, progress, cancel: host.cancel.clone() };
            if replace { kb.upsert_with(documents, &options) } else { kb.add_with(documents, &options) }
        })?;
        // Places in what was given, where those that were no documents count too.
        for one in &mut report.skipped {
            one.index = places.get(one.index).copied().unwrap_or(one.index);
        }
        report.skipped.extend(skipped);
        report.skipped.sort_by_key(|one| one.index);
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
        self.run(py, move |kb| kb.delete(&refs(&ids)))
    }

    fn delete_where(
        &self,
        py: Python<'_>,
        r#where: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = scalar)] all: bool,
    ) -> PyResult<usize> {
        let filter = filter(r#where)?;
        self.run(py, move |kb| match filter {
            Some(filter) if !(all && filter.is_empty()) => kb.delete_where(&filter),
            None if !all => Err(Error::new(Code::InvalidArgument, "delete takes either ids or where")),
            _ => kb.delete_all(),
        })
    }

    /// [(value, number of documents)] of a field.
    fn facets<'py>(
        &self,
        py: Python<'py>,
        field: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = scalar)] limit: usize,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, usize)>> {
        let (field, filter) = (text(field, "field")?, filter(r#where)?);
        let found = self.run(py, move |kb| kb.facets(&field, filter.as_ref(), limit))?;
        found.into_iter().map(|(value, count)| Ok((from_json(py, &value.to_json())?, count))).collect()
    }

    /// The least and the greatest value of a field, or None.
    #[allow(clippy::type_complexity)] // a pair of objects
    fn min_max<'py>(
        &self,
        py: Python<'py>,
        field: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let (field, filter) = (text(field, "field")?, filter(r#where)?);
        let found = self.run(py, move |kb| kb.min_max(&field, filter.as_ref()))?;
        found
            .map(|(low, high)| Ok((from_json(py, &low.to_json())?, from_json(py, &high.to_json())?)))
            .transpose()
    }

    /// A page of documents as dicts, and where the next one begins.
    fn documents<'py>(
        &self,
        py: Python<'py>,
        r#where: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = scalar)] sort: Option<String>,
        #[pyo3(from_py_with = scalar)] limit: usize,
        #[pyo3(from_py_with = scalar)] after: Option<String>,
    ) -> PyResult<(Vec<Bound<'py, PyAny>>, Option<String>)> {
        let sort = sort.as_deref().map(Sort::parse).transpose().or_raise()?;
        let options = ListOptions { filter: filter(r#where)?, sort, limit, after, ..ListOptions::default() };
        let kb = Arc::clone(&self.kb);
        let page =
            blocking(py, move |host| kb.documents(&ListOptions { cancel: host.cancel.clone(), ..options }))?;
        let documents = page.documents.into_iter().map(|document| from_document(py, document, false));
        Ok((documents.collect::<PyResult<_>>()?, page.next))
    }

    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
        vector: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Hit>> {
        let query = text(query, "query")?;
        let vector = vector.map(|given| self::vector(given, "vector")).transpose()?;
        let search = keywords.search(filter(r#where)?)?;
        if let Some(vector) = vector {
            if !search.is_long() {
                let options = search.short();
                return Ok(hits(quick(py, || self.kb.search_with_vector(&query, &vector, &options))?));
            }
            let kb = Arc::clone(&self.kb);
            let work = move |host: &Host| kb.search_with_vector(&query, &vector, &search.options(host));
            return Ok(hits(blocking(py, work)?));
        }
        if self.warm.load(Ordering::Relaxed) && !self.slow && !search.is_long() {
            let options = search.short();
            return Ok(hits(quick(py, || self.kb.search(&query, &options))?));
        }
        let kb = Arc::clone(&self.kb);
        let found = blocking(py, move |host| kb.search(&query, &search.options(host)))?;
        self.warm.store(true, Ordering::Relaxed);
        Ok(hits(found))
    }

    fn search_batch(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
    ) -> PyResult<Vec<Vec<Hit>>> {
        let queries = texts(queries, "queries")?;
        let search = keywords.search(filter(r#where)?)?;
        let kb = Arc::clone(&self.kb);
        let found = blocking(py, move |host| kb.search_batch(&refs(&queries), &search.options(host)))?;
        Ok(found.into_iter().map(hits).collect())
    }

    fn search_many(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
    ) -> PyResult<Vec<Hit>> {
        let queries = texts(queries, "queries")?;
        let search = keywords.search(filter(r#where)?)?;
        let kb = Arc::clone(&self.kb);
        Ok(hits(blocking(py, move |host| kb.search_many(&refs(&queries), &search.options(host)))?))
    }

    fn search_vector(
        &self,
        py: Python<'_>,
        vector: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
    ) -> PyResult<Vec<Hit>> {
        let vector = self::vector(vector, "vector")?;
        let options = keywords.search(filter(r#where)?)?.short();
        Ok(hits(quick(py, || self.kb.search_vector(&vector, &options))?))
    }

    fn context<'py>(
        &self,
        py: Python<'py>,
        question: &Bound<'py, PyAny>,
        r#where: Option<&Bound<'py, PyAny>>,
        keywords: Keywords<'py>,
        form: context::Keywords<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let question = text(question, "question")?;
        let search = keywords.search(filter(r#where)?)?;
        let plan = form.plan()?;
        let kb = Arc::clone(&self.kb);
        let context = blocking(py, move |host| plan.find(host, &kb, &question, search.options(host)))?;
        context::from_context(py, context)
    }

    fn context_of<'py>(
        &self,
        py: Python<'py>,
        hits: &Bound<'py, PyAny>,
        form: context::Keywords<'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let hits = crate::convert::sequence(hits, "hits")?
            .map(|given| {
                let given = given?;
                match given.cast::<Hit>() {
                    Ok(hit) => hit.get().live().cloned().ok_or_else(|| {
                        raise(Error::new(
                            Code::Unsupported,
                            "hits has one that was pickled, which has no document any more; search again",
                        ))
                    }),
                    Err(_) => {
                        Err(invalid(format!("hits has one of type {}; a Hit is expected", type_name(&given))))
                    }
                }
            })
            .collect::<PyResult<Vec<_>>>()?;
        let plan = form.plan()?;
        let kb = Arc::clone(&self.kb);
        let context = blocking(py, move |host| plan.build(host, &kb, &hits))?;
        context::from_context(py, context)
    }

    fn write_files<'py>(
        &self,
        py: Python<'py>,
        patterns: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = scalar)] task: String,
        settings: Files,
    ) -> PyResult<Bound<'py, PyDict>> {
        let patterns = paths(patterns, "patterns")?;
        let Files { mut options, progress, ocr, delete_missing } = settings;
        let kb = Arc::clone(&self.kb);
        let work = move |host: &Host| {
            options.write.progress = progress.map(|function| telling(host, function));
            options.load.ocr = ocr.map(|function| reading(host, function));
            options.write.cancel = host.cancel.clone();
            match task.as_str() {
                "add" => kb.add_files(&patterns, &options).map(Wrote::Report),
                "upsert" => kb.upsert_files(&patterns, &options).map(Wrote::Report),
                _ => {
                    let options = SyncOptions { files: options, delete_missing };
                    kb.sync_files(&patterns, &options).map(Wrote::Sync)
                }
            }
        };
        match blocking(py, work)? {
            Wrote::Report(report) => written(py, &report),
            Wrote::Sync(report) => synced(py, &report),
        }
    }

    /// The document with this id, as a dict.
    fn get<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] chunks: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let id = text(id, "id")?;
        let document = quick(py, || self.kb.get(&id))?;
        from_document(py, document, chunks)
    }

    fn ids(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
        let filter = filter(r#where)?;
        self.run(py, move |kb| kb.ids_of(filter.as_ref()))
    }

    fn count(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        match filter(r#where)? {
            None => quick(py, || self.kb.count(None)),
            Some(filter) => self.run(py, move |kb| kb.count(Some(&filter))),
        }
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
        let Some(number) = version.extract::<u64>().ok().filter(|_| !is_boolean(version)) else {
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

    fn tenants(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.run(py, |kb| kb.tenants())
    }

    fn drop_tenant(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = text(name, "tenant")?;
        self.run(py, move |kb| kb.drop_tenant(&name))
    }

    fn backup<'py>(
        &self,
        py: Python<'py>,
        to: &Bound<'py, PyAny>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let to = crate::embed::place(to, "to")?;
        let kb = Arc::clone(&self.kb);
        let copied = blocking(py, move |host| kb.backup(&to, &copying(host, progress)))?;
        report(py, &copied)
    }

    fn reembed<'py>(
        &self,
        py: Python<'py>,
        to: &Bound<'py, PyAny>,
        embedder: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = scalar)] keep_chunks: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let to = crate::embed::place(to, "to")?;
        let mut open = OpenOptions::default();
        embedded_by(embedder, &mut open)?;
        let kb = Arc::clone(&self.kb);
        let copied = blocking(py, move |host| {
            kb.reembed(&to, open, &ReembedOptions { keep_chunks, copy: copying(host, progress) })
        })?;
        report(py, &copied)
    }

    fn verify<'py>(&self, py: Python<'py>, progress: Option<Py<PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let kb = Arc::clone(&self.kb);
        let found = blocking(py, move |host| kb.verify(&copying(host, progress)))?;
        report(py, &found)
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
