//! How do the scores of two legs become one?
//!
//! Each candidate of either leg has a score in both: its BM25 score is zero when it contains no term of the query, and
//! its similarity is computed when the dense leg did not bring it. A convex fusion maps both by what they are at least
//! and by the best of their leg, so that it does not depend on how deep the legs went. The other fusions know only what
//! a leg brought; rows of equal score have one rank there.

use std::collections::HashMap;

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::MAX_FACTOR;
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
        /// How much the first ranks are levelled, above 0 to a million, beyond which ranks are no longer told apart; the
        /// authors use 60.
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
            Fusion::Rrf { k } if !(k > 0.0 && k <= MAX_FACTOR) => {
                Err(Error::invalid(format!("rrf_k is {k}; it must be above 0 and at most {MAX_FACTOR}")))
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

/// A candidate's rank and score in one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Part {
    /// From 1; rows of equal score have the rank of the first of them. None when the leg does not go so far.
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
    /// The place in the leg that brought it first, from 1.
    pub(crate) place: u32,
}

impl Fused {
    /// How many times deeper than `depth` a leg had to go to bring the candidate, as a power of two. Candidates of
    /// deeper layers come after all others, so that the first hits are the same however many are asked for.
    pub(crate) fn layer(&self, depth: usize) -> usize {
        (self.place.max(1) as usize).div_ceil(depth.max(1)).next_power_of_two()
    }
}

/// The rank of each row of a leg, from 1: equal scores share the rank of the first, so that equal documents score alike.
pub(crate) fn ranks(leg: &[Scored]) -> Vec<u32> {
    let mut ranks: Vec<u32> = Vec::with_capacity(leg.len());
    for (i, at) in leg.iter().enumerate() {
        let shared = i.checked_sub(1).filter(|&before| leg[before].score == at.score);
        ranks.push(shared.map_or(i as u32 + 1, |before| ranks[before]));
    }
    ranks
}

/// The rank that a leg gives to a score that it holds within its first `reach` rows. A leg is sorted within its first
/// `depth` rows, and within what each doubling of them has added.
fn rank_of(leg: &[Scored], ranks: &[u32], depth: usize, reach: usize, score: f32) -> Option<u32> {
    let end = leg.len().min(reach);
    let (mut from, mut to) = (0, depth.max(1));
    while from < end {
        let part = &leg[from..to.min(end)];
        let at = part.partition_point(|s| s.score > score);
        if part.get(at).is_some_and(|s| s.score == score) {
            return ranks.get(from + at).copied();
        }
        (from, to) = (to, 2 * to);
    }
    None
}

/// Fuses the candidates of both legs, best first. How scores are mapped is taken from the first `depth` of each leg.
/// `lexical_score` and `similarity` give the score that a leg did not bring. `meaningful`: whether the query has a
/// vector; of one of zeros the dense leg says nothing, and what it brings only fills the end. Of equal scores the more
/// similar comes first in a convex fusion, and then the older.
pub(crate) fn fuse(
    fusion: Fusion,
    lexical: &[Scored],
    dense: &[Scored],
    depth: usize,
    meaningful: bool,
    lexical_score: impl Fn(u32, u32) -> f32,
    similarity: impl Fn(u32, u32) -> f32,
) -> Vec<Fused> {
    let lexical_scale = Scale::of(fusion, lexical, depth);
    let dense_scale = Scale::of(fusion, dense, depth);
    let (lexical_ranks, dense_ranks) = (ranks(lexical), ranks(dense));
    let mut index: HashMap<(u32, u32), usize> = HashMap::with_capacity(lexical.len() + dense.len());
    let mut out: Vec<Fused> = Vec::with_capacity(lexical.len() + dense.len());
    for (i, at) in lexical.iter().enumerate() {
        index.insert((at.segment, at.row), out.len());
        let part = Part { rank: Some(lexical_ranks[i]), score: at.score, mapped: 0.0 };
        out.push(Fused { at: *at, lexical: part, dense: Part::default(), place: i as u32 + 1 });
    }
    for (i, at) in dense.iter().enumerate() {
        let rank = Some(dense_ranks[i]).filter(|_| meaningful);
        let (dense, place) = (Part { rank, score: at.score, mapped: 0.0 }, i as u32 + 1);
        match index.get(&(at.segment, at.row)) {
            Some(&i) => {
                out[i].place = out[i].place.min(place);
                out[i].dense = dense;
            }
            None => {
                let score = lexical_score(at.segment, at.row);
                let lexical = Part { rank: None, score, mapped: 0.0 };
                out.push(Fused { at: *at, lexical, dense, place });
            }
        }
    }
    for fused in &mut out {
        let Scored { segment, row, .. } = fused.at;
        let reach = depth * fused.layer(depth);
        if fused.lexical.rank.is_none() && fused.lexical.score > 0.0 {
            fused.lexical.rank = rank_of(lexical, &lexical_ranks, depth, reach, fused.lexical.score);
        }
        if meaningful && fused.dense.rank.is_none() {
            fused.dense.score = similarity(segment, row);
            fused.dense.rank = rank_of(dense, &dense_ranks, depth, reach, fused.dense.score);
        }
        fused.lexical.mapped = lexical_scale.map(&fused.lexical, reach);
        fused.dense.mapped = if meaningful { dense_scale.map(&fused.dense, reach) } else { 0.0 };
        let (l, d) = (fused.lexical.mapped, fused.dense.mapped);
        fused.at.score = match fusion {
            Fusion::Convex { alpha } => (1.0 - alpha) * l + alpha * d,
            Fusion::Rrf { .. } | Fusion::Dbsf => l + d,
        };
    }
    // Scores that no cosine tells apart, as where none is positive, are told apart by it here.
    let similar = |a: &Fused, b: &Fused| match fusion {
        Fusion::Convex { .. } => b.dense.score.total_cmp(&a.dense.score),
        Fusion::Rrf { .. } | Fusion::Dbsf => std::cmp::Ordering::Equal,
    };
    out.sort_unstable_by(|a, b| {
        let layers = a.layer(depth).cmp(&b.layer(depth));
        let scores = b.at.score.total_cmp(&a.at.score);
        layers.then(scores).then_with(|| similar(a, b)).then_with(|| a.at.order(&b.at))
    });
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
            // Nothing of the leg has anything to do with the query.
            Scale::Best(_) => 0.0,
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
        let all = fuse(fusion, &lexical, &dense, 100, true, |_, _| 0.0, scores);
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
            let all = fuse(fusion, &[], &leg(&[(1, 0.0), (2, -0.5)]), 100, true, none, none);
            assert_eq!(all.len(), 2);
            assert!(all.iter().all(|fused| fused.at.score.is_finite()));
            let one = fuse(fusion, &leg(&[(1, 3.0)]), &leg(&[(1, 0.5)]), 100, true, none, none);
            assert!(one.len() == 1 && one[0].at.score > 0.0);
        }
        assert!(fuse(Fusion::Dbsf, &[], &[], 100, true, none, none).is_empty());
    }

    const ALL: [Fusion; 3] = [Fusion::Convex { alpha: 0.5 }, Fusion::Rrf { k: 60.0 }, Fusion::Dbsf];

    #[test]
    fn a_query_without_a_vector_is_decided_by_its_words() {
        let zeros: Vec<(u32, f32)> = (0..100).map(|row| (row, 0.0)).collect();
        for fusion in ALL {
            let none = |_: u32, _: u32| 0.0;
            let all = fuse(fusion, &leg(&[(150, 2.0)]), &leg(&zeros), 100, false, none, none);
            assert_eq!((all.len(), all[0].at.row), (101, 150), "{fusion:?}");
            assert!(all[0].at.score > all[1].at.score, "{fusion:?}");
            assert!(all[1..].iter().all(|fused| fused.dense.rank.is_none() && fused.at.score == 0.0));
        }
    }

    #[test]
    fn equal_documents_score_alike_and_stand_by_age() {
        // Rows 1, 2 and 7 are copies; the legs are cut between them.
        let lexical = leg(&[(5, 9.0), (1, 3.0), (2, 3.0)]);
        let dense = leg(&[(3, 0.9), (1, 0.5)]);
        let similarity = |_: u32, row: u32| if matches!(row, 1 | 2 | 7) { 0.5 } else { 0.1 };
        for fusion in ALL {
            let all = fuse(fusion, &lexical, &dense, 100, true, |_, _| 0.0, similarity);
            let place = |row: u32| all.iter().position(|fused| fused.at.row == row).unwrap();
            assert_eq!(all[place(1)].at.score, all[place(2)].at.score, "{fusion:?}");
            assert_eq!(place(2), place(1) + 1, "{fusion:?}");
        }
        assert_eq!(ranks(&leg(&[(4, 3.0), (2, 3.0), (9, 1.0)])), [1, 1, 3]);
    }

    #[test]
    fn without_a_positive_cosine_pages_fit_together() {
        let rows: Vec<(u32, f32)> = (0..400).map(|row| (row, -0.001 * row as f32)).collect();
        let similarity = |_: u32, row: u32| -0.001 * row as f32;
        for fusion in ALL {
            let order = |depth: usize| -> Vec<u32> {
                let all =
                    fuse(fusion, &leg(&[(50, 1.0)]), &leg(&rows[..depth]), 100, true, |_, _| 0.0, similarity);
                all.iter().map(|fused| fused.at.row).collect()
            };
            let (short, long) = (order(100), order(400));
            assert_eq!(short[0], 50);
            assert_eq!(short, long[..100], "{fusion:?}");
        }
    }

    proptest::proptest! {
        /// Deeper legs only add at the end.
        #[test]
        fn the_first_do_not_depend_on_how_deep_the_legs_go(
            lexical in proptest::collection::vec(0u8..40, 0..60),
            dense in proptest::collection::vec(-20i8..40, 60),
            depth in 1usize..12,
        ) {
            let sorted = |scores: Vec<f32>, floor: f32| {
                let rows = scores.into_iter().enumerate().filter(|(_, score)| *score > floor);
                let mut leg: Vec<Scored> =
                    rows.map(|(row, score)| Scored { segment: 0, row: row as u32, score }).collect();
                leg.sort_by(Scored::order);
                leg
            };
            let words: Vec<f32> = lexical.iter().map(|&x| f32::from(x)).chain(std::iter::repeat(0.0)).take(60).collect();
            let cosines: Vec<f32> = dense.iter().map(|&x| f32::from(x) / 40.0).collect();
            let (lexical, dense) = (sorted(words.clone(), 0.0), sorted(cosines.clone(), -2.0));
            for fusion in ALL {
                let order = |times: usize| -> Vec<(u32, f32)> {
                    let cut = |leg: &[Scored]| leg[..leg.len().min(depth * times)].to_vec();
                    let word = |_: u32, row: u32| words[row as usize];
                    let all = fuse(fusion, &cut(&lexical), &cut(&dense), depth, true, word, |_, row| cosines[row as usize]);
                    all.iter().map(|fused| (fused.at.row, fused.at.score)).collect()
                };
                let long = order(16);
                for times in [1, 2, 4] {
                    // All that the legs bring within so many layers; deeper ones only add behind it.
                    let short = order(times);
                    proptest::prop_assert_eq!(&short[..], &long[..short.len()]);
                }
            }
        }
    }
}
