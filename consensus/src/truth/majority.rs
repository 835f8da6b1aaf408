//! Which label has the most votes?

use super::{Truth, accuracy, check_votes, vote_shares};
use crate::Ratings;
use quorate_core::{Cancel, Result};

/// The label with the largest (weighted) share of the votes of each item. Items whose first place is shared are listed in `ties`
/// and get the first of the tied categories. The skill of a rater is the share of votes for the winners; where `n` share the first place, a
/// vote for one of them counts `1 / n`.
///
/// Errors: `unsupported` for counts without raters; `too_large` when items x categories is above 2^25.
///
/// ```
/// use quorate_consensus::{Ratings, truth::majority_vote};
/// let data = Ratings::new(&[1, 1, 1, 2, 2], &["a", "b", "c", "a", "b"], &["x", "y", "y", "x", "y"])?;
/// let truth = majority_vote(&data)?;
/// assert_eq!(truth.labels, vec!["y".into(), "x".into()]);
/// assert_eq!(truth.ties, vec![2.into()]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn majority_vote(data: &Ratings) -> Result<Truth> {
    check_votes("majority_vote", data, false)?;
    let cancel = Cancel::current();
    let shares = vote_shares(data, data.weights(), &cancel)?;
    let skills = accuracy(data, &shares, &cancel)?;
    Ok(Truth { skills, converged: true, ..Truth::of("majority_vote", data, shares) })
}
