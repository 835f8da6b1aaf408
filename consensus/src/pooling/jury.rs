//! How likely is a majority to be right, given how likely each member is?

use quorate_core::{Cancel, Result};
use serde::Serialize;

use crate::check;

/// The result of [`condorcet_jury`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Jury {
    /// Probability that a strict majority is right.
    pub majority_right: f64,
    /// Probability of an even split (0 for an odd number).
    pub tie: f64,
    /// `majority_right + tie / 2`: the chance to be right when ties go by a coin.
    pub probability: f64,
}

/// Condorcet's jury theorem (Condorcet 1785) for members who judge independently, each right with its own
/// probability. The number of right votes has the Poisson-binomial distribution, summed exactly in `O(n^2)`.
///
/// ```
/// use quorate_consensus::pooling::condorcet_jury;
/// assert!((condorcet_jury(&[0.6; 11])?.probability - 0.753498).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input`, `not_finite`, `invalid_argument` for a competence outside `[0, 1]`; `too_large` above 100,000 members.
pub fn condorcet_jury(competences: &[f64]) -> Result<Jury> {
    check::not_empty(competences.len(), "jury members")?;
    let (n, cancel) = (competences.len(), Cancel::current());
    check::at_most(n, 100_000, "jury members")?;
    let mut right = vec![0.0; n + 1];
    right[0] = 1.0;
    for (i, &p) in competences.iter().enumerate() {
        cancel.check()?;
        check::within(p, 0.0, 1.0, format_args!("competence {i}"))?;
        for k in (0..=i + 1).rev() {
            right[k] = right[k] * (1.0 - p) + if k > 0 { right[k - 1] * p } else { 0.0 };
        }
    }
    let majority_right: f64 = right[n / 2 + 1..].iter().sum();
    let tie = if n.is_multiple_of(2) { right[n / 2] } else { 0.0 };
    // Sums of many roundings may end a little above 1.
    let majority_right = majority_right.min(1.0);
    Ok(Jury { majority_right, tie, probability: (majority_right + tie / 2.0).min(1.0) })
}
