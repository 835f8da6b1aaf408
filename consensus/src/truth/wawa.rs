//! Which label wins when raters count by how often they agree with the majority?

use super::{Truth, accuracy, check_votes, vote_shares};
use crate::Ratings;
use quorate_core::{Cancel, Result};

/// Worker agreement with aggregate (Appen, formerly CrowdFlower): the skill of a rater is the share of votes that agree with the majority; the answer
/// is the majority vote weighted by it.
///
/// An item whose raters all have skill 0 keeps its plain vote shares. On an item whose first place `n` categories share, a vote for one of them agrees `1 / n`.
///
/// Errors: as [`majority_vote`](super::majority_vote).
///
/// ```
/// use quorate_consensus::{Ratings, truth::wawa};
/// let data = Ratings::new(&[1, 1, 1, 2, 2, 2], &["a", "b", "c", "a", "b", "c"], &["x", "x", "y", "x", "x", "y"])?;
/// assert_eq!(wawa(&data)?.skills, vec![1.0, 1.0, 0.0]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn wawa(data: &Ratings) -> Result<Truth> {
    check_votes("wawa", data, false)?;
    let cancel = Cancel::current();
    let shares = vote_shares(data, data.weights(), &cancel)?;
    let skills = accuracy(data, &shares, &cancel)?;
    let weighted = skilled_shares(data, &skills, &shares, &cancel)?;
    Ok(Truth { skills, converged: true, ..Truth::of("wawa", data, weighted) })
}

/// Vote shares with each vote counting as weight times skill; the rows of `plain` where nobody counts.
pub(super) fn skilled_shares(
    data: &Ratings,
    skills: &[f64],
    plain: &[f64],
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let weights: Vec<f64> = skills.iter().zip(data.weights()).map(|(s, w)| s * w).collect();
    let k = data.n_categories();
    let mut shares = vote_shares(data, &weights, cancel)?;
    for (row, plain) in shares.chunks_exact_mut(k).zip(plain.chunks_exact(k)) {
        if row.iter().any(|v| !v.is_finite()) {
            row.copy_from_slice(plain);
        }
    }
    Ok(shares)
}
