//! What does a search give to Python?

use numpy::PyArray1;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use crate::convert::{array1, explanation, from_json};
use crate::document::code_points;
use crate::errors::OrRaise;
use crate::scalar::scalar;

/// A piece of a document that was found.
#[pyclass(frozen, module = "quorate", name = "Hit")]
pub struct Hit(Source);

/// Where the members of a hit are.
enum Source {
    /// In the snapshot that was searched.
    Found(quorate::rag::Hit),
    /// In a dict, after the hit was pickled.
    Kept(Py<PyDict>),
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Hit>()
}

/// The hits of one query.
pub fn hits(hits: quorate::rag::Hits) -> Vec<Hit> {
    hits.into_iter().map(Hit::found).collect()
}

impl Hit {
    /// A hit as a search gave it.
    pub fn found(hit: quorate::rag::Hit) -> Self {
        Hit(Source::Found(hit))
    }

    /// The hit in its snapshot; none of one that was pickled.
    pub fn live(&self) -> Option<&quorate::rag::Hit> {
        match &self.0 {
            Source::Found(hit) => Some(hit),
            Source::Kept(_) => None,
        }
    }

    /// A member, from the snapshot or the dict.
    fn member<'py, T: IntoPyObject<'py>>(
        &self,
        py: Python<'py>,
        name: &str,
        of: impl FnOnce(&quorate::rag::Hit) -> PyResult<T>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match &self.0 {
            Source::Found(hit) => of(hit)?.into_bound_py_any(py),
            Source::Kept(members) => members.bind(py).as_any().get_item(name),
        }
    }
}

#[pymethods]
impl Hit {
    /// A hit from the members that pickling keeps.
    #[new]
    fn new(members: Bound<'_, PyDict>) -> Self {
        Hit(Source::Kept(members.unbind()))
    }

    /// How good the hit is; higher is better. What it means depends on mode and fusion.
    #[getter]
    fn score<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "score", |hit| Ok(hit.score()))
    }

    /// How likely the piece is about the question at all, 0 to 1, whatever the mode and the other hits are: calibrated for the
    /// built-in model and all-MiniLM-L6-v2, by the words alone with others and in a lexical search. None where there are
    /// neither words nor a known model.
    #[getter]
    fn relevance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "relevance", |hit| hit.relevance().or_raise())
    }

    /// The cosine of the query and the piece; None in a lexical search and where the query means nothing to the model.
    #[getter]
    fn similarity<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "similarity", |hit| Ok(hit.similarity()))
    }

    /// The text of the piece.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "text", |hit| hit.text().into_py_any(py))
    }

    /// The id of its document.
    #[getter]
    fn doc_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "doc_id", |hit| hit.doc_id().into_py_any(py))
    }

    /// The id of the piece: the document's id, ``#``, and the number of the piece from 0.
    #[getter]
    fn chunk_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "chunk_id", |hit| Ok(hit.chunk_id()))
    }

    /// The title of its document; empty when there is none.
    #[getter]
    fn title<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "title", |hit| hit.title().into_py_any(py))
    }

    /// The source of its document; empty when unknown.
    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "source", |hit| hit.source().into_py_any(py))
    }

    /// The metadata of its document.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "metadata", |hit| from_json(py, &Value::Object(hit.metadata())))
    }

    /// The headings above it, outermost first.
    #[getter]
    fn headings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "headings", |hit| Ok(hit.headings()))
    }

    /// Where it starts in the document's text, in code points, as Python counts.
    #[getter]
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "start", |hit| Ok(code_points(hit.document_text(), hit.start())))
    }

    /// Where it ends in the document's text, in code points, as Python counts.
    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "end", |hit| Ok(code_points(hit.document_text(), hit.end())))
    }

    /// The whole text of its document, as it was when it was searched.
    #[getter]
    fn document_text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "document_text", |hit| hit.document_text().into_py_any(py))
    }

    /// The vector of the piece: float32 of shape (dim,).
    #[getter]
    fn vector<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "vector", |hit| -> PyResult<Bound<'py, PyArray1<f32>>> {
            array1(py, hit.vector().to_vec())
        })
    }

    /// How the score came about: what the lexical leg (per term), the dense leg, the fusion and the reranker gave.
    ///
    /// A dict whose members are attributes too; ``str()`` of it is the arithmetic for people.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.member(py, "explanation", |hit| {
            let found = hit.explain().or_raise()?;
            explanation(py, &found, found.to_string())
        })
    }

    /// Everything but the vector and the text of the whole document.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        out.set_item("score", self.score(py)?)?;
        out.set_item("doc_id", self.doc_id(py)?)?;
        out.set_item("chunk_id", self.chunk_id(py)?)?;
        out.set_item("title", self.title(py)?)?;
        out.set_item("text", self.text(py)?)?;
        out.set_item("source", self.source(py)?)?;
        out.set_item("start", self.start(py)?)?;
        out.set_item("end", self.end(py)?)?;
        out.set_item("headings", self.headings(py)?)?;
        out.set_item("metadata", self.metadata(py)?)?;
        out.set_item("relevance", self.relevance(py)?)?;
        out.set_item("similarity", self.similarity(py)?)?;
        Ok(out)
    }

    /// The same as JSON text.
    #[pyo3(signature = (*, indent=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] indent: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        py.import("quorate._report")?.getattr("to_json")?.call1((self.to_dict(py)?, indent))
    }

    /// Pickling keeps every member, the vector and the text of the document too.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let (py, hit) = (slf.py(), slf.get());
        let members = match &hit.0 {
            Source::Kept(members) => members.bind(py).clone(),
            Source::Found(_) => {
                let members = hit.to_dict(py)?;
                members.set_item("document_text", hit.document_text(py)?)?;
                members.set_item("vector", hit.vector(py)?)?;
                members.set_item("explanation", hit.explain(py)?)?;
                members
            }
        };
        Ok((slf.get_type().into_any(), (members,)))
    }

    /// A hit does not change, so that it is its own copy.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text: String = self.text(py)?.extract::<String>()?.chars().take(60).collect();
        let score: f32 = self.score(py)?.extract()?;
        Ok(format!("Hit({score:.4}, '{}', {text:?})", self.doc_id(py)?.extract::<String>()?))
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("quorate._html")?.getattr("hit")?.call1((slf,))
    }
}
