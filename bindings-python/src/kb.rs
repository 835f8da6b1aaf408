//! How is a knowledge base used from Python?

use std::sync::Arc;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use quorate::rag::{
    Filter, Fusion, GroupBy, Metadata, Mode, ModelSource, OnError, OpenOptions, SearchOptions, WriteOptions,
    WriteReport,
};
use quorate::{Code, Document, Error};
use serde_json::Value;

use crate::choose;
use crate::convert::{array1, floats, from_json, report, sequence, text, texts, type_name};
use crate::door::{blocking, quick};
use crate::embed::Embedder;
use crate::errors::{OrRaise, raise};

/// Documents that are kept and found.
#[pyclass(frozen, module = "quorate", name = "KnowledgeBase")]
pub struct KnowledgeBase(Arc<quorate::rag::KnowledgeBase>);

/// A piece of a document that was found.
#[pyclass(frozen, module = "quorate", name = "Hit")]
pub struct Hit(quorate::rag::Hit);

/// Adds the classes and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<KnowledgeBase>()?;
    module.add_class::<Hit>()?;
    module.add_function(wrap_pyfunction!(open, module)?)
}

#[pyfunction]
fn open(
    py: Python<'_>,
    place: &Bound<'_, PyAny>,
    embedder: Option<&Bound<'_, PyAny>>,
    tenant: Option<String>,
    read_only: bool,
) -> PyResult<KnowledgeBase> {
    let place = crate::embed::place(place, "the place")?;
    let mut options = OpenOptions { tenant, read_only, ..OpenOptions::default() };
    match embedder {
        None => {}
        Some(given) => match given.cast::<Embedder>() {
            Ok(embedder) => options.embedder = Some(Arc::clone(&embedder.get().model)),
            Err(_) => {
                options.model = Some(ModelSource::new(crate::embed::place(given, "the embedder")?));
            }
        },
    }
    let kb = blocking(py, move |_| quorate::rag::KnowledgeBase::open(place, options))?;
    Ok(KnowledgeBase(Arc::new(kb)))
}

fn document_error(message: String) -> PyErr {
    raise(Error::new(Code::InvalidDocument, message))
}

/// A value of metadata.
fn to_json(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(Value::Bool(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::String(text(value, what)?));
    }
    if value.is_instance_of::<PyInt>() {
        let n: i64 =
            value.extract().map_err(|_| document_error(format!("{what} does not fit into 64 bits")))?;
        return Ok(n.into());
    }
    if value.is_instance_of::<PyFloat>() {
        let x: f64 = value.extract()?;
        return match serde_json::Number::from_f64(x) {
            Some(n) => Ok(Value::Number(n)),
            None => Err(raise(Error::new(Code::NotFinite, format!("{what} is {x}")))),
        };
    }
    if let Ok(fields) = value.cast::<PyDict>() {
        return Ok(Value::Object(object(fields, what)?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = sequence(value, what)?.enumerate();
        return items.map(|(i, item)| to_json(&item?, &format!("{what}[{i}]"))).collect();
    }
    Err(document_error(format!(
        "{what} is of type {}; strings, numbers, booleans, None, lists and dicts are kept",
        type_name(value)
    )))
}

fn object(fields: &Bound<'_, PyDict>, what: &str) -> PyResult<Metadata> {
    fields
        .iter()
        .map(|(key, value)| {
            let key = text(&key, &format!("a key of {what}"))?;
            let value = to_json(&value, &format!("{what}['{key}']"))?;
            Ok((key, value))
        })
        .collect()
}

fn metadata(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Metadata> {
    match value.cast::<PyDict>() {
        Ok(fields) => object(fields, what),
        Err(_) => Err(document_error(format!("{what} is of type {}; a dict is expected", type_name(value)))),
    }
}

fn documents(value: &Bound<'_, PyAny>) -> PyResult<Vec<Document>> {
    sequence(value, "documents")?
        .enumerate()
        .map(|(i, given)| {
            let (given, what) = (given?, format!("documents[{i}]"));
            let Ok(fields) = given.cast::<PyDict>() else {
                let found = type_name(&given);
                return Err(document_error(format!("{what} is of type {found}; a dict is expected")));
            };
            let mut document = Document::default();
            for (name, value) in fields.iter() {
                let name = text(&name, &format!("a key of {what}"))?;
                let place = format!("{what}['{name}']");
                if name == "metadata" {
                    if !value.is_none() {
                        document.metadata = metadata(&value, &place)?;
                    }
                    continue;
                }
                let slot = match name.as_str() {
                    "id" => &mut document.id,
                    "text" => &mut document.text,
                    "title" => &mut document.title,
                    "source" => &mut document.source,
                    _ => {
                        return Err(document_error(format!(
                            "{what} has the unknown field '{name}'; further fields go into 'metadata'"
                        )));
                    }
                };
                if !value.is_none() {
                    if !value.is_instance_of::<PyString>() {
                        let found = type_name(&value);
                        return Err(document_error(format!(
                            "{place} is of type {found}; a string is expected"
                        )));
                    }
                    *slot = text(&value, &place)?;
                }
            }
            Ok(document)
        })
        .collect()
}

/// A filter from its text or its dict.
fn filter(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Filter>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyString>() {
        return Filter::parse(&text(value, "where")?).or_raise().map(Some);
    }
    let value = to_json(value, "where")?;
    Filter::from_json(&value).or_raise().map(Some)
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

fn hits(hits: quorate::rag::Hits) -> Vec<Hit> {
    hits.into_iter().map(Hit).collect()
}

impl KnowledgeBase {
    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&quorate::rag::KnowledgeBase) -> quorate::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let kb = Arc::clone(&self.0);
        blocking(py, move |_| work(&kb))
    }
}

#[pymethods]
impl KnowledgeBase {
    fn write<'py>(
        &self,
        py: Python<'py>,
        documents: &Bound<'py, PyAny>,
        replace: bool,
        on_error: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let documents = self::documents(documents)?;
        let on_error = choose("on_error", on_error, &[("stop", OnError::Stop), ("skip", OnError::Skip)])?;
        let kb = Arc::clone(&self.0);
        let report = blocking(py, move |cancel| {
            let options = WriteOptions { on_error, cancel: cancel.clone(), ..WriteOptions::default() };
            if replace { kb.upsert_with(documents, &options) } else { kb.add_with(documents, &options) }
        })?;
        written(py, &report)
    }

    fn update_metadata(&self, py: Python<'_>, id: String, metadata: &Bound<'_, PyAny>) -> PyResult<()> {
        let metadata = self::metadata(metadata, "metadata")?;
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
        let kb = Arc::clone(&self.0);
        let found = blocking(py, move |cancel| {
            options.cancel = cancel.clone();
            kb.search(&query, &options)
        })?;
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
        let kb = Arc::clone(&self.0);
        let found = blocking(py, move |cancel| {
            options.cancel = cancel.clone();
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
        let vector: Vec<f32> = floats(vector, "vector", false)?.into_iter().map(|x| x as f32).collect();
        let options = keywords.options(filter(r#where)?)?;
        Ok(hits(quick(py, || self.0.search_vector(&vector, &options))?))
    }

    /// The document with this id, as a dict.
    fn get<'py>(&self, py: Python<'py>, id: String) -> PyResult<Bound<'py, PyDict>> {
        let document = self.run(py, move |kb| kb.get(&id))?;
        let out = PyDict::new(py);
        out.set_item("id", document.id)?;
        out.set_item("text", document.text)?;
        out.set_item("title", document.title)?;
        out.set_item("source", document.source)?;
        out.set_item("metadata", from_json(py, &Value::Object(document.metadata))?)?;
        Ok(out)
    }

    fn count(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let filter = filter(r#where)?;
        quick(py, || self.0.count(filter.as_ref()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.run(py, |kb| kb.stats())?;
        report(py, &stats)
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.run(py, |kb| kb.refresh())
    }

    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |kb| kb.compact())
    }

    fn at(&self, py: Python<'_>, version: u64) -> PyResult<KnowledgeBase> {
        Ok(KnowledgeBase(Arc::new(self.run(py, move |kb| kb.at(version))?)))
    }

    fn tenant(&self, py: Python<'_>, name: String) -> PyResult<KnowledgeBase> {
        Ok(KnowledgeBase(Arc::new(self.run(py, move |kb| kb.tenant(&name))?)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, |kb| kb.close())
    }
}

#[pymethods]
impl Hit {
    /// How good the hit is; higher is better. What it means depends on mode and fusion.
    #[getter]
    fn score(&self) -> f32 {
        self.0.score()
    }

    /// The text of the piece.
    #[getter]
    fn text(&self) -> &str {
        self.0.text()
    }

    /// The id of its document.
    #[getter]
    fn doc_id(&self) -> &str {
        self.0.doc_id()
    }

    /// The id of the piece.
    #[getter]
    fn chunk_id(&self) -> String {
        self.0.chunk_id()
    }

    /// The title of its document.
    #[getter]
    fn title(&self) -> &str {
        self.0.title()
    }

    /// The source of its document.
    #[getter]
    fn source(&self) -> &str {
        self.0.source()
    }

    /// The metadata of its document.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &Value::Object(self.0.metadata()))
    }

    /// The headings above it, outermost first.
    #[getter]
    fn headings(&self) -> Vec<String> {
        self.0.headings()
    }

    /// Where it starts in the document's text, in code points, as Python counts.
    #[getter]
    fn start(&self) -> usize {
        code_points(self.0.document_text(), self.0.start())
    }

    /// Where it ends in the document's text, in code points, as Python counts.
    #[getter]
    fn end(&self) -> usize {
        code_points(self.0.document_text(), self.0.end())
    }

    /// The vector of the piece: float32 of shape (dim,).
    #[getter]
    fn vector<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        array1(py, self.0.vector().to_vec())
    }

    /// How the score came about: the score, and what the lexical leg, the dense leg and the fusion gave.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0.explain().or_raise()?)
    }

    fn __repr__(&self) -> String {
        let text: String = self.0.text().chars().take(60).collect();
        format!("Hit({:.4}, '{}', {text:?})", self.0.score(), self.0.doc_id())
    }
}

/// How many code points stand before this byte.
fn code_points(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}
