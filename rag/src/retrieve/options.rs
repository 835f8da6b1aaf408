//! What can a caller ask of a search?

use quorate_core::{Cancel, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Fusion, Rerank};
use crate::filter::Filter;
use crate::index::lexical::LexicalQuery;

/// Which legs a search runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Words and meaning, fused.
    #[default]
    Hybrid,
    /// Meaning alone: the nearest vectors.
    Dense,
    /// Words alone: BM25.
    Lexical,
}

/// What at most one hit is wanted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// The best chunk of each document.
    #[serde(alias = "document")]
    Doc,
}

/// The parameters of BM25.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bm25 {
    /// Saturation of the term frequency, 0 to a million. Default 1.2 (Robertson & Zaragoza 2009).
    pub k1: f32,
    /// How much long texts are discounted, 0 to 1. Default 0.75.
    pub b: f32,
    /// What a term in the title counts on top of what it counts as part of the text, 0 to a million. Default 0. What it
    /// gives depends on the collection and on the size of chunks: by words alone, nDCG@10 with .25 instead of 0 is .619
    /// instead of .587 on MedQuAD and .699 instead of .685 on SciFact's test queries, but of the hybrid search with MiniLM,
    /// for which SciFact is cut into twice as many chunks, .728 instead of .731.
    pub title_boost: f32,
    /// What a word in the chunk before or after, in the same document, counts beside one in the chunk itself, 0 to 1
    /// (BM25F: Robertson, Zaragoza & Taylor 2004); a chunk without any word of the query is never found by words. Default
    /// .25: with MiniLM and chunks of 206 tokens nDCG@10 of the hybrid search is .739 instead of .732 on all of SciFact's
    /// queries and .925 instead of .921 on 2,500 documents of MedQuAD. More finds documents better still and their right
    /// chunk less well: where each of XQuAD's paragraphs is a chunk among those of its article, the share of questions
    /// whose paragraph comes first is .950 without, .956 with .25 and .948 with .5 (.934, .933, .923 with the built-in
    /// model). A document of one chunk has no neighbours, and a structured query does not look at them.
    pub neighbours: f32,
}

/// How to search. Fields have the defaults named.
///
/// ```
/// use quorate_rag::{Filter, Mode, SearchOptions};
/// let options = SearchOptions { k: 5, mode: Mode::Lexical, filter: Some(Filter::parse("year > 2020").unwrap()), ..SearchOptions::default() };
/// assert!(options.validate().is_ok());
/// assert!(SearchOptions { k: 1 << 30, ..SearchOptions::default() }.validate().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// The most hits to return, 0 to [`MAX_K`](SearchOptions::MAX_K). Default 10.
    pub k: usize,
    /// How many of the best hits to leave out: the pages of one query with one `k` fit together. Default 0.
    pub offset: usize,
    /// Default hybrid.
    pub mode: Mode,
    /// Only documents that match. Default all.
    pub filter: Option<Filter>,
    /// Whether a filter that names a field of no document is an error. Default no.
    pub strict: bool,
    /// How the legs of a hybrid search are brought together. Default convex with alpha .5.
    pub fusion: Fusion,
    /// What puts the best candidates in a better order, before the page is cut. Default nothing.
    pub rerank: Option<Rerank>,
    /// At most one hit of each group; a reranker then sees the best chunk of each. Default no grouping.
    pub group_by: Option<GroupBy>,
    /// Only hits with at least this score: the final one, after fusion and reranking. Default none is too low.
    pub min_score: Option<f32>,
    /// Only hits with at least this [relevance](crate::Hit::relevance), 0 to 1, so that a search may find nothing.
    /// Candidates are looked at in blocks of `depth` (of the rerank's depth where one runs), the best first; a block of
    /// which none is good enough is the last. Default none is too low.
    pub min_relevance: Option<f32>,
    /// How many rows each leg brings to begin with; 100 at least, and as many as the page needs. It decides how good the
    /// first hits are and is not changed by `k`, so that their order does not depend on how many are asked for.
    pub depth: usize,
    /// How wide graphs are searched; wider is more exact and slower, and as wide as legs are deep in any case. Default 0:
    /// by `recall`.
    pub ef_search: usize,
    /// The share of the nearest vectors that graphs are to find on the whole, above 0 to 1; more is slower. It sets
    /// `ef_search` where that is 0: up to .998 graphs are as wide as legs are deep in any case, with which that share of
    /// the ten nearest of 40,000 and of 100,000 texts was found with MiniLM; four times as wide up to .999, sixteen times
    /// beyond, which is a margin and no measurement; 1 is `exact`. Default none: as wide as legs are deep.
    pub recall: Option<f32>,
    /// Whether every vector is compared with the query, also where there are graphs. Default no.
    pub exact: bool,
    /// What the lexical leg looks for instead of the words of the query. What a [`LexicalQuery::Bool`] says has to match
    /// or must not holds for the dense leg too. Default the words.
    pub lexical: Option<LexicalQuery>,
    /// The parameters of the lexical leg.
    pub bm25: Bm25,
    /// Stops the search between steps.
    pub cancel: Cancel,
}

impl SearchOptions {
    /// The largest `k` and `offset`.
    pub const MAX_K: usize = 100_000;

    /// Whether the values make sense. Errors: `invalid_argument`, saying which does not.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in
            [("k", self.k), ("offset", self.offset), ("depth", self.depth), ("ef_search", self.ef_search)]
        {
            if value > Self::MAX_K {
                return Err(Error::invalid(format!(
                    "{name} is {value}; at most {} is possible",
                    Self::MAX_K
                )));
            }
        }
        if self.min_score.is_some_and(|s| !s.is_finite()) {
            return Err(Error::invalid("min_score is not finite"));
        }
        for (name, value) in [("recall", self.recall), ("min_relevance", self.min_relevance)] {
            let least = if name == "recall" { f32::MIN_POSITIVE } else { 0.0 };
            if let Some(value) = value.filter(|value| !(least..=1.0).contains(value)) {
                let domain = if name == "recall" { "above 0 and at most 1" } else { "0 to 1" };
                return Err(Error::invalid(format!("{name} is {value}; it is a share, {domain}")));
            }
        }
        if let Some(lexical) = &self.lexical {
            lexical.validate()?;
        }
        self.fusion.validate()?;
        self.rerank.as_ref().map_or(Ok(()), Rerank::validate)?;
        self.bm25.validate()
    }

    /// How wide graphs are searched at least.
    pub(crate) fn width(&self) -> usize {
        match self.recall {
            Some(recall) if self.ef_search == 0 => {
                let wide = WIDTHS.iter().find(|(reached, _)| *reached >= recall);
                wide.or(WIDTHS.last()).map_or(0, |&(_, ef)| ef)
            }
            _ => self.ef_search,
        }
    }

    /// Whether graphs are not to be used.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact || self.recall.is_some_and(|recall| recall >= 1.0)
    }
}

/// The largest factor of a score, with which scores still differ by what they are made of.
pub(crate) const MAX_FACTOR: f32 = 1e6;

/// The widths with which graphs reach a recall at 10.
const WIDTHS: [(f32, usize); 3] = [(0.998, 100), (0.999, 400), (1.0, 1600)];

impl Default for SearchOptions {
    fn default() -> Self {
        SearchOptions {
            k: 10,
            offset: 0,
            mode: Mode::default(),
            filter: None,
            strict: false,
            fusion: Fusion::default(),
            rerank: None,
            group_by: None,
            min_score: None,
            min_relevance: None,
            depth: 0,
            ef_search: 0,
            recall: None,
            exact: false,
            lexical: None,
            bm25: Bm25::default(),
            cancel: Cancel::new(),
        }
    }
}

impl Bm25 {
    fn validate(&self) -> Result<()> {
        let fits = (0.0..=MAX_FACTOR).contains(&self.k1)
            && (0.0..=1.0).contains(&self.b)
            && (0.0..=MAX_FACTOR).contains(&self.title_boost)
            && (0.0..=1.0).contains(&self.neighbours);
        match fits {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "bm25 needs k1 and title_boost in 0..{MAX_FACTOR}, b and neighbours in 0..1; given {}, {}, {}, {} (k1, b, \
                 title_boost, neighbours)",
                self.k1, self.b, self.title_boost, self.neighbours
            ))),
        }
    }
}

impl Default for Bm25 {
    fn default() -> Self {
        Bm25 { k1: 1.2, b: 0.75, title_boost: 0.0, neighbours: 0.25 }
    }
}
