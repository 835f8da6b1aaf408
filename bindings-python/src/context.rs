//! How does a context with citations come to Python?

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::Result;
use quorate::rag::{
    Context, ContextOptions, ContextOrder, CountTokens, EmptyContext, Hit as Found, KnowledgeBase,
    SearchOptions,
};

use crate::choose;
use crate::convert::{function, type_name};
use crate::document::code_points;
use crate::door::Host;
use crate::embed::Embedder;
use crate::errors::{OrRaise, invalid};
use crate::scalar::{field, object};

/// The options of a context besides those of its search, as given by keyword.
pub struct Keywords<'py> {
    max_tokens: usize,
    order: String,
    neighbours: usize,
    dedupe: f32,
    tokenizer: Option<Bound<'py, PyAny>>,
}

impl<'py> FromPyObject<'_, 'py> for Keywords<'py> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = &*given;
        Ok(Keywords {
            max_tokens: field(given, "max_tokens")?,
            order: field(given, "order")?,
            neighbours: field(given, "neighbours")?,
            dedupe: field(given, "dedupe")?,
            tokenizer: object(given, "tokenizer")?,
        })
    }
}

/// A context that is ready to be put together on any thread.
pub struct Plan {
    options: ContextOptions,
    /// The tokenizer, when it is a function of Python.
    function: Option<Py<PyAny>>,
}

impl Keywords<'_> {
    /// The options, checked.
    pub fn plan(self) -> PyResult<Plan> {
        let orders = [
            ("score", ContextOrder::Score),
            ("document", ContextOrder::Document),
            ("lost_in_the_middle", ContextOrder::LostInTheMiddle),
        ];
        let mut options = ContextOptions {
            max_tokens: self.max_tokens,
            order: choose("order", &self.order, &orders)?,
            neighbours: self.neighbours,
            dedupe: self.dedupe,
            ..ContextOptions::default()
        };
        let Some(given) = self.tokenizer else { return Ok(Plan { options, function: None }) };
        if let Ok(embedder) = given.cast::<Embedder>() {
            let model = Arc::clone(&embedder.get().model);
            // One that cannot count is refused here, not taken to count nothing.
            model.tokenize("text").or_raise()?;
            let count = move |text: &str| model.tokenize(text).map_or(usize::MAX, |tokens| tokens.len());
            options.tokenizer = Some(Arc::new(count));
            return Ok(Plan { options, function: None });
        }
        let expected = "None, an Embedder or a function from text to a number";
        Ok(Plan { options, function: Some(function(given, "tokenizer", expected)?) })
    }
}

impl Plan {
    /// Searches and puts the hits together.
    pub fn find(
        self,
        host: &Host,
        kb: &KnowledgeBase,
        question: &str,
        search: SearchOptions,
    ) -> Result<Context> {
        let options = ContextOptions { search, ..self.options(host) };
        let (context, hits) = kb.context_with_hits(question, &options)?;
        Plan::finish(host, context, &hits)
    }

    /// Puts hits together.
    pub fn build(self, host: &Host, kb: &KnowledgeBase, hits: &[Found]) -> Result<Context> {
        let context = kb.context_of(hits, &self.options(host))?;
        Plan::finish(host, context, hits)
    }

    fn options(self, host: &Host) -> ContextOptions {
        let mut options = self.options;
        options.search.cancel = host.cancel.clone();
        if let Some(function) = self.function {
            options.tokenizer = Some(counting(host, function));
        }
        options
    }

    /// Brings citations to the offsets of Python.
    fn finish(host: &Host, mut context: Context, hits: &[Found]) -> Result<Context> {
        // A function that raised has cancelled, also where the core did not look again.
        host.cancel.check()?;
        let texts: HashMap<&str, &str> = hits.iter().map(|hit| (hit.doc_id(), hit.document_text())).collect();
        for citation in &mut context.citations {
            let text = texts.get(citation.doc_id.as_str()).copied().unwrap_or_default();
            citation.start = code_points(text, citation.start);
            citation.end = code_points(text, citation.end);
        }
        Ok(context)
    }
}

/// Asks a Python function how many tokens a text has.
fn counting(host: &Host, function: Py<PyAny>) -> Arc<dyn CountTokens> {
    let (host, function) = (host.clone(), Arc::new(function));
    Arc::new(move |text: &str| {
        let (function, text) = (Arc::clone(&function), text.to_owned());
        let count = host.call(move |py| {
            let found = function.call1(py, (text,))?;
            let found = found.bind(py);
            found.extract::<usize>().map_err(|_| {
                invalid(format!(
                    "the tokenizer gave a value of type {}; a number of tokens from 0 is expected",
                    type_name(found)
                ))
            })
        });
        // The exception is kept by the host, which cancels the work.
        count.unwrap_or(0)
    })
}

/// A context as a dict.
pub fn from_context<'py>(py: Python<'py>, context: Context) -> PyResult<Bound<'py, PyDict>> {
    let citations = PyList::empty(py);
    for citation in context.citations {
        let row = PyDict::new(py);
        row.set_item("marker", citation.marker)?;
        row.set_item("doc_id", citation.doc_id)?;
        row.set_item("chunk_id", citation.chunk_id)?;
        row.set_item("start", citation.start)?;
        row.set_item("end", citation.end)?;
        row.set_item("title", citation.title)?;
        row.set_item("score", citation.score)?;
        citations.append(row)?;
    }
    let out = PyDict::new(py);
    out.set_item("text", context.text)?;
    out.set_item("citations", citations)?;
    out.set_item("tokens", context.tokens)?;
    out.set_item("reason", context.reason.map(EmptyContext::as_str))?;
    Ok(out)
}
