//! Where does a hit's score come from?

use std::fmt;

use serde::Serialize;

use super::Fusion;
use crate::index::lexical::TermScore;

/// Every step from the query to a hit's score. Its `Display` is the same for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The hit's score.
    pub score: f32,
    /// The part of the words; none where the lexical leg did not run.
    pub lexical: Option<LexicalExplanation>,
    /// The part of the meaning; none where the dense leg did not run.
    pub dense: Option<DenseExplanation>,
    /// How both were brought together; none for a single leg.
    pub fusion: Option<FusionExplanation>,
    /// What the reranker made of it; none where none ran.
    pub rerank: Option<RerankExplanation>,
    /// What each query adds, where several were fused; the parts of words and meaning are then those of the query that
    /// ranks the hit best, and these scores add up to the hit's (before a reranker). Empty for a single query.
    pub queries: Vec<QueryExplanation>,
}

/// The lexical leg's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LexicalExplanation {
    /// From 1; none when the leg's depth did not reach it.
    pub rank: Option<u32>,
    /// BM25: the sum over the terms.
    pub score: f32,
    /// What each term adds.
    pub terms: Vec<TermScore>,
}

/// The dense leg's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DenseExplanation {
    /// From 1; none when the leg's depth did not reach it.
    pub rank: Option<u32>,
    /// Cosine of the query's and the chunk's vector.
    pub similarity: f32,
}

/// The arithmetic of the fusion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FusionExplanation {
    /// Which fusion, with its parameter.
    #[serde(flatten)]
    pub fusion: Fusion,
    /// The lexical score as it enters.
    pub lexical: f32,
    /// The dense score as it enters.
    pub dense: f32,
    /// The fused score.
    pub score: f32,
}

/// The reranker's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RerankExplanation {
    /// Which reranker.
    pub name: String,
    /// The score before it.
    pub before: f32,
    /// What it gave.
    pub score: f32,
    /// How both were brought together; none where what it gave is the hit's score.
    pub blend: Option<BlendExplanation>,
}

/// The arithmetic of a reranker's score that is blended with the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BlendExplanation {
    /// The weight of the reranker's score.
    pub weight: f32,
    /// What the reranker gave, mapped to 0..1.
    pub score: f32,
    /// The score before it, mapped to 0..1.
    pub before: f32,
}

/// What one of several queries adds to a hit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryExplanation {
    /// The query.
    pub query: String,
    /// From 1; none when the query did not bring the hit.
    pub rank: Option<u32>,
    /// `1 / (60 + rank)` (reciprocal rank fusion), or 0.
    pub score: f32,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "score {:.6}", self.score)?;
        let rank = |rank: Option<u32>| rank.map_or("beyond the leg".to_owned(), |r| format!("rank {r}"));
        if let Some(rerank) = &self.rerank {
            writeln!(f, "  {}: {:.6}, before it {:.6}", rerank.name, rerank.score, rerank.before)?;
            if let Some(BlendExplanation { weight, score, before }) = rerank.blend {
                let rest = 1.0 - weight;
                writeln!(
                    f,
                    "    blend: {weight:.3} x {score:.6} (it) + {rest:.3} x {before:.6} (before it)"
                )?;
            }
        }
        for QueryExplanation { query, rank: at, score } in &self.queries {
            let at = at.map_or("not found".to_owned(), |r| format!("rank {r}"));
            writeln!(f, "  query '{query}': {at}, rrf {score:.6}")?;
        }
        if let Some(FusionExplanation { fusion, lexical, dense, score }) = &self.fusion {
            match fusion {
                Fusion::Convex { alpha } => writeln!(
                    f,
                    "  convex: {:.3} x {lexical:.6} (lexical) + {alpha:.3} x {dense:.6} (dense) = {score:.6}",
                    1.0 - alpha
                )?,
                Fusion::Rrf { k } => {
                    writeln!(f, "  rrf, k = {k}: {lexical:.6} (lexical) + {dense:.6} (dense) = {score:.6}")?
                }
                Fusion::Dbsf => {
                    writeln!(f, "  dbsf: {lexical:.6} (lexical) + {dense:.6} (dense) = {score:.6}")?
                }
            }
        }
        if let Some(lexical) = &self.lexical {
            writeln!(f, "  lexical: {}, BM25 {:.6}", rank(lexical.rank), lexical.score)?;
            for t in &lexical.terms {
                let nearby = match t.nearby {
                    0 => String::new(),
                    n => format!(", x{n} nearby"),
                };
                writeln!(
                    f,
                    "    {:.6} {} in {} (x{}{nearby}, in {} rows, idf {:.4})",
                    t.score, t.term, t.field, t.frequency, t.rows_with_term, t.idf
                )?;
            }
        }
        if let Some(dense) = &self.dense {
            writeln!(f, "  dense: {}, cosine {:.6}", rank(dense.rank), dense.similarity)?;
        }
        Ok(())
    }
}
