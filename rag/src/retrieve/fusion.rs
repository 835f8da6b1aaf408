//! How do the scores of two legs become one?
//!
//! Each candidate of either leg has a score in both: its BM25 score is zero when it contains no term of the query, and
//! its similarity is computed when the dense leg did not bring it. So a fused score depends on the candidate and on
//! the ends of the two legs, not on how deep the legs went.

use std::collections::HashMap;

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::index::Scored;

/// How the lexical and the dense leg of a hybrid search are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Fusion {
    /// Both scores are mapped to 0..1 by the ends of their leg (min-max), then averaged with the weight `alpha` of
    /// the dense leg (Bruch, Gai & Ingber 2023).
    Convex {
        /// Weight of the dense leg, 0 to 1.
        alpha: f32,
    },
    /// Reciprocal rank fusion: the sum of `1 / (k + rank)` (Cormack, Clarke & Buettcher 2009).
    Rrf {
        /// How much the first ranks are levelled, above 0; the authors use 60.
        k: f32,
    },
    /// Distribution-based: both scores are mapped by mean and three standard deviations of their leg to 0..1, then
    /// added (Mazzeschi 2023).
    Dbsf,
}

impl Fusion {
    /// The constant of Cormack, Clarke & Buettcher 2009.
    pub const RRF_K: f32 = 60.0;

    pub(super) fn validate(&self) -> Result<()> {
        match *self {
            Fusion::Convex { alpha } if !(0.0..=1.0).contains(&alpha) => {
                Err(Error::invalid(format!("alpha is {alpha}; it is the weight of the dense leg, 0 to 1")))
            }
            Fusion::Rrf { k } if !(k > 0.0 && k.is_finite()) => {
                Err(Error::invalid(format!("rrf_k is {k}; it must be above 0")))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Fusion::Convex { alpha: 0.5 }
    }
}

/// A candidate's place and score in one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Part {
    /// From 1; none when the leg did not bring the candidate.
    pub(crate) rank: Option<u32>,
    pub(crate) score: f32,
    /// What enters the fused score, before weighting.
    pub(crate) mapped: f32,
}

/// A candidate with a fused score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fused {
    pub(crate) at: Scored,
    pub(crate) lexical: Part,
    pub(crate) dense: Part,
}

impl Fused {
    /// How many times deeper than `depth` a leg had to go to bring the candidate, as a power of two. Candidates of
    /// deeper layers come after all others, so that pages fit together whichever of them are asked for.
    pub(crate) fn layer(&self, depth: usize) -> usize {
        let best = [self.lexical.rank, self.dense.rank].into_iter().flatten().min().unwrap_or(1);
        (best as usize).div_ceil(depth.max(1)).next_power_of_two()
    }
}

/// Fuses the candidates of both legs, best first. The ends of the legs are taken from their first `depth` members.
/// `lexical_score` and `similarity` give the score that a leg did not bring.
pub(crate) fn fuse(
    fusion: Fusion,
    lexical: &[Scored],
    dense: &[Scored],
    depth: usize,
    lexical_score: impl Fn(u32, u32) -> f32,
    similarity: impl Fn(u32, u32) -> f32,
) -> Vec<Fused> {
    let lexical_scale = Scale::of(fusion, lexical, depth, true);
    let dense_scale = Scale::of(fusion, dense, depth, false);
    let mut index: HashMap<(u32, u32), usize> = HashMap::with_capacity(lexical.len() + dense.len());
    let mut out: Vec<Fused> = Vec::with_capacity(lexical.len() + dense.len());
    for (i, at) in lexical.iter().enumerate() {
        index.insert((at.segment, at.row), out.len());
        let part = Part { rank: Some(i as u32 + 1), score: at.score, mapped: 0.0 };
        out.push(Fused { at: *at, lexical: part, dense: Part::default() });
    }
    for (i, at) in dense.iter().enumerate() {
        let part = Part { rank: Some(i as u32 + 1), score: at.score, mapped: 0.0 };
        match index.get(&(at.segment, at.row)) {
            Some(&i) => out[i].dense = part,
            None => {
                let score = lexical_score(at.segment, at.row);
                let lexical = Part { rank: None, score, mapped: 0.0 };
                out.push(Fused { at: *at, lexical, dense: part });
            }
        }
    }
    for fused in &mut out {
        let Scored { segment, row, .. } = fused.at;
        if fused.dense.rank.is_none() {
            fused.dense.score = similarity(segment, row);
        }
        let reach = depth * fused.layer(depth);
        fused.lexical.mapped = lexical_scale.map(&fused.lexical, reach);
        fused.dense.mapped = dense_scale.map(&fused.dense, reach);
        let (l, d) = (fused.lexical.mapped, fused.dense.mapped);
        fused.at.score = match fusion {
            Fusion::Convex { alpha } => (1.0 - alpha) * l + alpha * d,
            Fusion::Rrf { .. } | Fusion::Dbsf => l + d,
        };
    }
    out.sort_unstable_by(|a, b| a.layer(depth).cmp(&b.layer(depth)).then_with(|| a.at.order(&b.at)));
    out
}

/// How a leg's scores are mapped before they are added.
enum Scale {
    Ends { low: f32, high: f32 },
    Ranks { k: f32 },
}

impl Scale {
    fn of(fusion: Fusion, leg: &[Scored], depth: usize, lexical: bool) -> Self {
        let leg = &leg[..leg.len().min(depth)];
        match fusion {
            Fusion::Rrf { k } => Scale::Ranks { k },
            Fusion::Convex { .. } => {
                // Nothing scores below zero in BM25, and rows beyond the leg do score zero.
                let low = if lexical { 0.0 } else { leg.last().map_or(0.0, |s| s.score) };
                Scale::Ends { low, high: leg.first().map_or(0.0, |s| s.score) }
            }
            Fusion::Dbsf => {
                let n = leg.len().max(1) as f32;
                let mean = leg.iter().map(|s| s.score).sum::<f32>() / n;
                let variance = leg.iter().map(|s| (s.score - mean).powi(2)).sum::<f32>() / n;
                let reach = 3.0 * variance.sqrt();
                Scale::Ends { low: mean - reach, high: mean + reach }
            }
        }
    }

    fn map(&self, part: &Part, reach: usize) -> f32 {
        match *self {
            Scale::Ranks { k } => {
                part.rank.filter(|&rank| rank as usize <= reach).map_or(0.0, |rank| 1.0 / (k + rank as f32))
            }
            Scale::Ends { low, high } if high > low => ((part.score - low) / (high - low)).clamp(0.0, 1.0),
            // All the same: what the leg brought is as good as its best.
            Scale::Ends { .. } => f32::from(u8::from(part.rank.is_some())),
        }
    }
}
