//! How do the scores of two legs become one?
//!
//! Each candidate of either leg has a score in both: its BM25 score is zero when it contains no term of the query, and
//! its similarity is computed when the dense leg did not bring it. A convex fusion maps both by what they are at least
//! and by the best of their leg, so that it does not depend on how deep the legs went. The other fusions know only what
//! a leg brought.

use std::collections::HashMap;

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::index::Scored;

/// How the lexical and the dense leg of a hybrid search are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Fusion {
    /// Both scores are divided by the best of their leg, then averaged with the weight `alpha` of the dense leg: a
    /// min-max mapping whose minimum is the score of what has nothing to do with the query, 0 for BM25 as for the
    /// cosine (Bruch, Gai & Ingber 2023, with a theoretical minimum). A negative cosine counts as 0. Unlike a mapping
    /// from the least of the leg, it does not depend on `k`. With the built-in model nDCG@10 on SciFact's test queries
    /// is .703 at alpha .5 (.701 at .3, .693 at .6; reciprocal ranks .667, distribution-based .691); with MiniLM .731
    /// (.718, .729; .713, .734).
    Convex {
        /// Weight of the dense leg, 0 to 1.
        alpha: f32,
    },
    /// Reciprocal rank fusion: the sum of `1 / (k + rank)` (Cormack, Clarke & Buettcher 2009).
    Rrf {
        /// How much the first ranks are levelled, above 0; the authors use 60.
        k: f32,
    },
    /// Distribution-based: both scores are mapped so that three standard deviations below and above the mean of their
    /// leg become 0 and 1, then added (Mazzeschi 2023). What a leg did not bring gets nothing from it; outliers lie
    /// outside of 0..1.
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

/// Fuses the candidates of both legs, best first. How scores are mapped is taken from the first `depth` of each leg.
/// `lexical_score` and `similarity` give the score that a leg did not bring.
pub(crate) fn fuse(
    fusion: Fusion,
    lexical: &[Scored],
    dense: &[Scored],
    depth: usize,
    lexical_score: impl Fn(u32, u32) -> f32,
    similarity: impl Fn(u32, u32) -> f32,
) -> Vec<Fused> {
    let lexical_scale = Scale::of(fusion, lexical, depth);
    let dense_scale = Scale::of(fusion, dense, depth);
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
    /// By the best of the leg.
    Best(f32),
    Ranks {
        k: f32,
    },
    /// What becomes 0, and how far above it 1 is.
    Spread {
        low: f32,
        width: f32,
    },
}

impl Scale {
    fn of(fusion: Fusion, leg: &[Scored], depth: usize) -> Self {
        let leg = &leg[..leg.len().min(depth)];
        match fusion {
            Fusion::Rrf { k } => Scale::Ranks { k },
            Fusion::Convex { .. } => Scale::Best(leg.first().map_or(0.0, |s| s.score)),
            Fusion::Dbsf => {
                let n = leg.len() as f32;
                let mean = leg.iter().map(|s| s.score).sum::<f32>() / n.max(1.0);
                let squares = leg.iter().map(|s| (s.score - mean).powi(2)).sum::<f32>();
                let reach = 3.0 * (squares / (n - 1.0).max(1.0)).sqrt();
                Scale::Spread { low: mean - reach, width: 2.0 * reach }
            }
        }
    }

    fn map(&self, part: &Part, reach: usize) -> f32 {
        let brought = part.rank.is_some_and(|rank| rank as usize <= reach);
        match *self {
            Scale::Ranks { k } if brought => part.rank.map_or(0.0, |rank| 1.0 / (k + rank as f32)),
            // All the same, or one alone: neither good nor bad.
            Scale::Spread { width, .. } if brought && !(width > 0.0) => 0.5,
            Scale::Spread { low, width } if brought => (part.score - low) / width,
            Scale::Ranks { .. } | Scale::Spread { .. } => 0.0,
            Scale::Best(high) if high > 0.0 => (part.score / high).clamp(0.0, 1.0),
            // Nothing is better than nothing: what the leg brought is as good as its best.
            Scale::Best(_) => f32::from(u8::from(part.rank.is_some())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(scores: &[(u32, f32)]) -> Vec<Scored> {
        scores.iter().map(|&(row, score)| Scored { segment: 0, row, score }).collect()
    }

    fn fused(fusion: Fusion) -> Vec<(u32, f32)> {
        let lexical = leg(&[(1, 8.0), (2, 4.0), (3, 1.0)]);
        let dense = leg(&[(3, 0.8), (4, 0.6), (1, 0.4)]);
        let scores = |_: u32, row: u32| if row == 2 { 0.2 } else { 0.0 };
        let all = fuse(fusion, &lexical, &dense, 100, |_, _| 0.0, scores);
        all.into_iter().map(|fused| (fused.at.row, fused.at.score)).collect()
    }

    fn check(fusion: Fusion, expected: &[(u32, f32)]) {
        let got = fused(fusion);
        assert_eq!(got.len(), expected.len());
        for (&(row, score), &(wanted, value)) in got.iter().zip(expected) {
            assert!(row == wanted && (score - value).abs() < 1e-5, "{fusion:?}: {got:?}");
        }
    }

    #[test]
    fn each_fusion_by_hand() {
        let alpha = 0.25;
        check(
            Fusion::Convex { alpha },
            &[
                (1, 0.75 + 0.25 * 0.5),
                (2, 0.75 * 0.5 + 0.25 * 0.25),
                (3, 0.75 * 0.125 + 0.25),
                (4, 0.25 * 0.75),
            ],
        );
        check(
            Fusion::Rrf { k: 60.0 },
            &[(1, 1.0 / 61.0 + 1.0 / 63.0), (3, 1.0 / 61.0 + 1.0 / 63.0), (2, 1.0 / 62.0), (4, 1.0 / 62.0)],
        );
        // Sample deviations: 3.511885 and .2; means 4.333333 and .6.
        let lexical = |score: f32| 0.5 + (score - 4.333_333) / (6.0 * 3.511_885);
        let dense = |score: f32| 0.5 + (score - 0.6) / (6.0 * 0.2);
        check(
            Fusion::Dbsf,
            &[
                (3, lexical(1.0) + dense(0.8)),
                (1, lexical(8.0) + dense(0.4)),
                (4, dense(0.6)),
                (2, lexical(4.0)),
            ],
        );
    }

    #[test]
    fn legs_without_a_scale() {
        let none = |_: u32, _: u32| 0.0;
        for fusion in [Fusion::default(), Fusion::Dbsf, Fusion::Rrf { k: 60.0 }] {
            // Nothing found by words, and a vector that is like no other.
            let all = fuse(fusion, &[], &leg(&[(1, 0.0), (2, -0.5)]), 100, none, none);
            assert_eq!(all.len(), 2);
            assert!(all.iter().all(|fused| fused.at.score.is_finite()));
            let one = fuse(fusion, &leg(&[(1, 3.0)]), &leg(&[(1, 0.5)]), 100, none, none);
            assert!(one.len() == 1 && one[0].at.score > 0.0);
        }
        assert!(fuse(Fusion::Dbsf, &[], &[], 100, none, none).is_empty());
    }
}
