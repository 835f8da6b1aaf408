//! What does a search give to Python?

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use crate::convert::{array1, explanation, from_json};
use crate::document::code_points;
use crate::errors::OrRaise;

/// A piece of a document that was found.
#[pyclass(frozen, module = "quorate", name = "Hit")]
pub struct Hit(pub quorate::rag::Hit);

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Hit>()
}

/// The hits of one query.
pub fn hits(hits: quorate::rag::Hits) -> Vec<Hit> {
    hits.into_iter().map(Hit).collect()
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

    /// The id of the piece: the document's id, ``#``, and the number of the piece from 0.
    #[getter]
    fn chunk_id(&self) -> String {
        self.0.chunk_id()
    }

    /// The title of its document; empty when there is none.
    #[getter]
    fn title(&self) -> &str {
        self.0.title()
    }

    /// The source of its document; empty when unknown.
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

    /// The whole text of its document, as it was when it was searched.
    #[getter]
    fn document_text(&self) -> &str {
        self.0.document_text()
    }

    /// The vector of the piece: float32 of shape (dim,).
    #[getter]
    fn vector<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        array1(py, self.0.vector().to_vec())
    }

    /// How the score came about: what the lexical leg (per term), the dense leg, the fusion and the reranker gave.
    ///
    /// A dict whose members are attributes too; ``str()`` of it is the arithmetic for people.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.0.explain().or_raise()?;
        explanation(py, &found, found.to_string())
    }

    /// Everything but the vector and the text of the whole document.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        out.set_item("score", self.score())?;
        out.set_item("doc_id", self.doc_id())?;
        out.set_item("chunk_id", self.chunk_id())?;
        out.set_item("title", self.title())?;
        out.set_item("text", self.text())?;
        out.set_item("source", self.source())?;
        out.set_item("start", self.start())?;
        out.set_item("end", self.end())?;
        out.set_item("headings", self.headings())?;
        out.set_item("metadata", self.metadata(py)?)?;
        Ok(out)
    }

    fn __repr__(&self) -> String {
        let text: String = self.0.text().chars().take(60).collect();
        format!("Hit({:.4}, '{}', {text:?})", self.0.score(), self.0.doc_id())
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("quorate._html")?.getattr("hit")?.call1((slf,))
    }
}
