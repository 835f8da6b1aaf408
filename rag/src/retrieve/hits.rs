//! What does a search give back?

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use quorate_core::Result;

use super::explain::{
    DenseExplanation, Explanation, FusionExplanation, LexicalExplanation, QueryExplanation, RerankExplanation,
};
use super::fusion::Fused;
use super::relevance::Judge;
use super::search::lexical_views;
use super::{Fusion, Mode};
use crate::document::Metadata;
use crate::index::DocView;
use crate::index::lexical::{Analyzer, Asked, Plan};
use crate::kb::Snapshot;

/// The hits of one query, best first. Use it as a slice.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    hits: Vec<Hit>,
}

/// One chunk that was found. It reads from the snapshot that was searched, so later writes do not change it.
#[derive(Clone)]
pub struct Hit {
    snapshot: Arc<Snapshot>,
    origin: Arc<Origin>,
    fused: Fused,
    score: f32,
    rerank: Option<RerankExplanation>,
    /// Empty for a single query.
    queries: Arc<[QueryExplanation]>,
}

/// What the hits of one search have in common.
pub(crate) struct Origin {
    pub(crate) mode: Mode,
    pub(crate) fusion: Fusion,
    /// Whether the query has a vector other than zeros.
    pub(crate) meaningful: bool,
    pub(crate) plan: Option<Plan>,
    /// The words of the query; empty where a vector alone was given.
    pub(crate) text: Box<str>,
    pub(crate) analyzer: Analyzer,
    pub(crate) judge: Arc<Judge>,
    /// The query's words with their weights; computed when relevance is asked for.
    pub(crate) asked: OnceLock<Asked>,
}

impl Origin {
    fn asked(&self, snapshot: &Snapshot) -> Result<&Asked> {
        if let Some(asked) = self.asked.get() {
            return Ok(asked);
        }
        let asked = Asked::new(&self.text, &self.analyzer, &lexical_views(snapshot))?;
        Ok(self.asked.get_or_init(|| asked))
    }
}

impl Hit {
    pub(crate) fn new(snapshot: Arc<Snapshot>, origin: Arc<Origin>, fused: Fused) -> Self {
        let score = fused.at.score;
        Hit { snapshot, origin, fused, score, rerank: None, queries: Arc::default() }
    }

    /// How good it is; larger is better. Comparable within one search only.
    pub fn score(&self) -> f32 {
        self.score
    }

    /// The cosine of the query and the chunk; none in a lexical search, and where the query or the chunk has no meaning to
    /// the model (a vector of zeros).
    pub fn similarity(&self) -> Option<f32> {
        let cosine = self.fused.dense.score;
        let Origin { mode, meaningful, .. } = *self.origin;
        let speaks = || cosine != 0.0 || self.vector().iter().any(|&x| x != 0.0);
        (mode != Mode::Lexical && meaningful && speaks()).then_some(cosine)
    }

    /// The share of the query's words, weighed by their inverse document frequency, that the chunk has; none where the
    /// query has no words. Errors: `corrupt` when the lexical index cannot be read.
    pub fn coverage(&self) -> Result<Option<f32>> {
        self.origin.asked(&self.snapshot)?.coverage(&self.segment().lexical, self.fused.at.row)
    }

    /// How likely the chunk is about the question at all, 0 to 1, whatever the mode, the fusion and the other hits are:
    /// calibrated by the cosine and the share of words that the chunk has, for the built-in model and all-MiniLM-L6-v2; with
    /// another model, and in a lexical search, by the words alone. None where there are neither words nor a known model.
    /// Errors: `corrupt` when the lexical index cannot be read.
    pub fn relevance(&self) -> Result<Option<f32>> {
        Ok(self.origin.judge.relevance(self.similarity(), self.coverage()?))
    }

    /// The text of the chunk.
    pub fn text(&self) -> &str {
        self.doc().text.get(self.range()).unwrap_or_default()
    }

    /// The id of its document.
    pub fn doc_id(&self) -> &str {
        self.doc().id
    }

    /// The id of the chunk: the document's id, `#`, and the chunk's number from 0.
    pub fn chunk_id(&self) -> String {
        format!("{}#{}", self.doc_id(), self.chunk_index())
    }

    /// The number of the chunk within its document, from 0.
    pub fn chunk_index(&self) -> usize {
        let catalog = &self.segment().catalog;
        let row = self.fused.at.row;
        (row - catalog.rows_of(catalog.doc_of(row)).start) as usize
    }

    /// How many chunks its document has.
    pub fn chunk_count(&self) -> usize {
        let catalog = &self.segment().catalog;
        catalog.rows_of(catalog.doc_of(self.fused.at.row)).len()
    }

    /// The title of its document; empty when there is none.
    pub fn title(&self) -> &str {
        self.doc().title
    }

    /// The source of its document; empty when unknown.
    pub fn source(&self) -> &str {
        self.doc().source
    }

    /// The metadata of its document.
    pub fn metadata(&self) -> Metadata {
        serde_json::from_str(self.doc().metadata).unwrap_or_default()
    }

    /// The metadata of its document, as the JSON text of an object.
    pub fn metadata_json(&self) -> &str {
        self.doc().metadata
    }

    /// The headings above the chunk, outermost first.
    pub fn headings(&self) -> Vec<String> {
        crate::kb::beside::headings(self.segment().catalog.headings(self.fused.at.row))
    }

    /// Where the chunk starts in its document's text, in UTF-8 bytes.
    pub fn start(&self) -> usize {
        self.range().start
    }

    /// Where the chunk ends in its document's text, in UTF-8 bytes.
    pub fn end(&self) -> usize {
        self.range().end
    }

    /// Where the chunk stands in its document's text, in UTF-8 bytes.
    pub fn range(&self) -> Range<usize> {
        self.segment().catalog.span(self.fused.at.row)
    }

    /// The whole text of its document.
    pub fn document_text(&self) -> &str {
        self.doc().text
    }

    /// The range of chunk `index` of the same document, in UTF-8 bytes; none beyond the last.
    pub fn sibling(&self, index: usize) -> Option<Range<usize>> {
        let catalog = &self.segment().catalog;
        let row = catalog.rows_of(catalog.doc_of(self.fused.at.row)).nth(index)?;
        Some(catalog.span(row))
    }

    /// The vector of the chunk, of unit length.
    pub fn vector(&self) -> &[f32] {
        self.segment().vectors.row(self.fused.at.row)
    }

    /// Where the score comes from. Errors: `corrupt` when the lexical index cannot be read.
    pub fn explain(&self) -> Result<Explanation> {
        let Fused { at, lexical, dense, .. } = &self.fused;
        let Origin { mode, fusion, plan, .. } = self.origin.as_ref();
        let lexical_part = match plan {
            Some(plan) if *mode != Mode::Dense => Some(LexicalExplanation {
                rank: lexical.rank,
                score: lexical.score,
                terms: plan.explain(&self.segment().lexical, &self.segment().catalog, at.row)?,
            }),
            _ => None,
        };
        let dense_part = (*mode != Mode::Lexical)
            .then_some(DenseExplanation { rank: dense.rank, similarity: dense.score });
        let fusion = (*mode == Mode::Hybrid).then_some(FusionExplanation {
            fusion: *fusion,
            lexical: lexical.mapped,
            dense: dense.mapped,
            score: at.score,
        });
        Ok(Explanation {
            score: self.score,
            lexical: lexical_part,
            dense: dense_part,
            fusion,
            rerank: self.rerank.clone(),
            queries: self.queries.to_vec(),
        })
    }

    pub(super) fn with_rerank(mut self, explanation: RerankExplanation, score: f32) -> Self {
        self.rerank = Some(explanation);
        self.score = score;
        self
    }

    pub(super) fn with_queries(mut self, queries: Vec<QueryExplanation>, score: f32) -> Self {
        self.queries = queries.into();
        self.score = score;
        self
    }

    /// What tells the hit from others of its snapshot: its document or, within the document, its chunk.
    pub(super) fn key(&self, by_document: bool) -> (u32, u32) {
        let row = self.fused.at.row;
        match by_document {
            true => (self.fused.at.segment, self.segment().catalog.doc_of(row)),
            false => (self.fused.at.segment, row),
        }
    }

    fn segment(&self) -> &crate::index::Segment {
        self.snapshot.segment(self.fused.at.segment)
    }

    fn doc(&self) -> DocView<'_> {
        let catalog = &self.segment().catalog;
        catalog.doc(catalog.doc_of(self.fused.at.row))
    }
}

impl std::fmt::Debug for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hit")
            .field("chunk_id", &self.chunk_id())
            .field("score", &self.score)
            .field("title", &self.title())
            .finish_non_exhaustive()
    }
}

impl Hits {
    pub(crate) fn new(hits: Vec<Hit>) -> Self {
        Hits { hits }
    }

    /// The hits themselves.
    pub fn into_vec(self) -> Vec<Hit> {
        self.hits
    }
}

impl From<Vec<Hit>> for Hits {
    fn from(hits: Vec<Hit>) -> Self {
        Hits { hits }
    }
}

impl std::ops::Deref for Hits {
    type Target = [Hit];

    fn deref(&self) -> &[Hit] {
        &self.hits
    }
}

impl IntoIterator for Hits {
    type Item = Hit;
    type IntoIter = std::vec::IntoIter<Hit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.into_iter()
    }
}

impl<'a> IntoIterator for &'a Hits {
    type Item = &'a Hit;
    type IntoIter = std::slice::Iter<'a, Hit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.iter()
    }
}
