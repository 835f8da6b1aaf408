//! How is a search described from Python, and what puts its hits in a better order?

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use quorate::rag::{
    Bm25, Filter, Fusion, GroupBy, Lexical, LexicalQuery, Mode, Rerank, RerankFn, Reranker, SearchOptions,
};
use quorate::{Code, Error};
use serde_json::Value;

use crate::choose;
use crate::convert::{describe, function, text, vector};
use crate::door::Host;
use crate::embed::CrossEncoder;
use crate::errors::{invalid, raise};
use crate::hits::Hit;
use crate::metadata::{dict, wrong};
use crate::scalar::{field, object};

/// The options of a search, as given by keyword.
pub struct Keywords<'py> {
    k: usize,
    offset: usize,
    mode: String,
    fusion: String,
    alpha: f32,
    rrf_k: f32,
    strict: bool,
    group_by: Option<String>,
    min_score: Option<f32>,
    min_relevance: Option<f32>,
    recall: Option<f32>,
    ef_search: Option<usize>,
    exact: bool,
    depth: Option<usize>,
    lexical: Option<Bound<'py, PyAny>>,
    bm25: Option<Bound<'py, PyAny>>,
    title_boost: Option<f32>,
    rerank: Option<Bound<'py, PyAny>>,
    rerank_depth: usize,
    blend: f32,
    mmr_lambda: f32,
}

impl<'py> FromPyObject<'_, 'py> for Keywords<'py> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = &*given;
        Ok(Keywords {
            k: field(given, "k")?,
            offset: field(given, "offset")?,
            mode: field(given, "mode")?,
            fusion: field(given, "fusion")?,
            alpha: field(given, "alpha")?,
            rrf_k: field(given, "rrf_k")?,
            strict: field(given, "strict")?,
            group_by: field(given, "group_by")?,
            min_score: field(given, "min_score")?,
            min_relevance: field(given, "min_relevance")?,
            recall: field(given, "recall")?,
            ef_search: field(given, "ef_search")?,
            exact: field(given, "exact")?,
            depth: field(given, "depth")?,
            lexical: object(given, "lexical")?,
            bm25: object(given, "bm25")?,
            title_boost: field(given, "title_boost")?,
            rerank: object(given, "rerank")?,
            rerank_depth: field(given, "rerank_depth")?,
            blend: field(given, "blend")?,
            mmr_lambda: field(given, "mmr_lambda")?,
        })
    }
}

/// A search that is ready to run on any thread.
pub struct Search {
    options: SearchOptions,
    /// The reranker, when it is a function of Python.
    function: Option<Py<PyAny>>,
    depth: usize,
    blend: f32,
}

impl Keywords<'_> {
    /// The search, with its filter.
    pub fn search(self, filter: Option<Filter>) -> PyResult<Search> {
        let modes = [("hybrid", Mode::Hybrid), ("dense", Mode::Dense), ("lexical", Mode::Lexical)];
        let fusions = [
            ("convex", Fusion::Convex { alpha: self.alpha }),
            ("rrf", Fusion::Rrf { k: self.rrf_k }),
            ("dbsf", Fusion::Dbsf),
        ];
        let (depth, blend) = (self.rerank_depth, self.blend);
        let mut search = Search {
            options: SearchOptions {
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
                min_relevance: self.min_relevance,
                recall: self.recall,
                ef_search: self.ef_search.unwrap_or_default(),
                exact: self.exact,
                depth: self.depth.unwrap_or_default(),
                lexical: self.lexical.as_ref().map(lexical).transpose()?,
                bm25: bm25(self.bm25.as_ref(), self.title_boost)?,
                ..SearchOptions::default()
            },
            function: None,
            depth,
            blend,
        };
        let Some(given) = self.rerank else { return Ok(search) };
        let known = if given.is_instance_of::<PyString>() {
            let mmr = Reranker::Mmr { lambda: self.mmr_lambda };
            Some(choose("rerank", &text(&given, "rerank")?, &[("mmr", mmr), ("late", Reranker::Late)])?)
        } else if let Ok(model) = given.cast::<CrossEncoder>() {
            Some(Reranker::CrossEncoder(Arc::new(model.get().model.clone())))
        } else {
            let expected = "None, 'mmr', 'late', a CrossEncoder or a function of (query, hits)";
            search.function = Some(function(given, "rerank", expected)?);
            None
        };
        search.options.rerank = known.map(|with| Rerank { with, depth, blend });
        Ok(search)
    }
}

/// A structured query of the lexical leg, as a dict.
fn lexical(given: &Bound<'_, PyAny>) -> PyResult<LexicalQuery> {
    let Some(fields) = dict(given)? else {
        return Err(wrong(Code::QuerySyntax, "lexical", given, "a quorate.Lexical or a dict is expected"));
    };
    let value = Value::Object(crate::metadata::object(&fields, "lexical", Code::QuerySyntax)?);
    serde_json::from_value::<Lexical>(value)
        .map(LexicalQuery::from)
        .map_err(|e| raise(Error::with_source(Code::QuerySyntax, format!("lexical: {e}"), e)))
}

/// The parameters of BM25: (k1, b), and what titles count.
fn bm25(given: Option<&Bound<'_, PyAny>>, title_boost: Option<f32>) -> PyResult<Bm25> {
    let defaults = Bm25::default();
    let (k1, b) = match given {
        Some(given) => given.extract::<(f32, f32)>().map_err(|_| {
            invalid(format!("bm25 is {}; the two numbers (k1, b) are expected", describe(given)))
        })?,
        None => (defaults.k1, defaults.b),
    };
    Ok(Bm25 { k1, b, title_boost: title_boost.unwrap_or(defaults.title_boost), ..defaults })
}

impl Search {
    /// Whether it may take longer than a few milliseconds whatever is searched.
    pub fn is_long(&self) -> bool {
        let quick = |rerank: &Rerank| matches!(rerank.with, Reranker::Mmr { .. });
        self.function.is_some() || !self.options.rerank.as_ref().is_none_or(quick)
    }

    /// The options for a search that works for `host`.
    pub fn options(mut self, host: &Host) -> SearchOptions {
        self.options.cancel = host.cancel.clone();
        if let Some(function) = self.function {
            let with = Reranker::Callback(asking(host, function));
            self.options.rerank = Some(Rerank { with, depth: self.depth, blend: self.blend });
        }
        self.options
    }

    /// The options for a search on this thread; only for one that is not long.
    pub fn short(self) -> SearchOptions {
        self.options
    }
}

/// Asks a Python function for the scores of hits.
fn asking(host: &Host, function: Py<PyAny>) -> Arc<RerankFn> {
    let (host, function) = (host.clone(), Arc::new(function));
    Arc::new(move |query, hits| {
        let (function, query, hits) = (Arc::clone(&function), query.to_owned(), hits.to_vec());
        host.call(move |py| {
            let hits: Vec<Hit> = hits.into_iter().map(Hit::found).collect();
            let hits = py.import("quorate._hits")?.getattr("Hits")?.call1((hits, &query))?;
            let scores = function.call1(py, (query, hits))?;
            vector(scores.bind(py), "what the function of rerank gave")
        })
    })
}
