//! Do raters put the items in the same order?

use super::{check_data, check_identity};
use crate::Ratings;
use crate::math::chi_square_upper;
use quorate_core::{Cancel, Result};
use serde::Serialize;

/// Kendall's coefficient of concordance and its test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KendallW {
    /// W corrected for ties, from 0 to 1; `None` where it is undefined.
    pub value: Option<f64>,
    /// Why `value` is `None`.
    pub undefined: Option<String>,
    /// W without the correction.
    pub uncorrected: Option<f64>,
    /// Friedman's chi-square, `m (n - 1) W`; its distribution is approximate below about 8 items.
    pub chi2: Option<f64>,
    /// The degrees of freedom of `chi2`, `n - 1`.
    pub df: usize,
    /// The probability of so large a `chi2` without concordance.
    pub p_value: Option<f64>,
    /// The number of items, `n`.
    pub items: usize,
    /// The number of raters, `m`.
    pub raters: usize,
}

/// Kendall's W of numeric ratings or ranks; each rater's values are ranked first, equal values sharing the middle rank
/// (Kendall and Babington Smith 1939; ties and test after Siegel and Castellan 1988).
///
/// `W = 12 S / (m^2 (n^3 - n) - m T)` with `S` the squared deviations of the rank sums and `T = sum (t^3 - t)` over ties.
/// Undefined when a rater left an item out, with fewer than two raters or items, or when no rater tells any items apart.
///
/// Errors: `invalid_argument` for texts without a domain; `unsupported` for weighted or anonymous raters; `duplicate_entry`.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::kendall_w};
/// let data = Ratings::from_matrix(&[1., 6., 3., 2., 5., 4., 1., 5., 6., 4., 2., 3., 6., 3., 2., 5., 4., 1.], 3, 6)?;
/// assert!((kendall_w(&data)?.value.unwrap() - 0.161905).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn kendall_w(data: &Ratings) -> Result<KendallW> {
    check_data("kendall_w", data)?;
    check_identity("kendall_w", data)?;
    if !data.is_ordered() {
        data.numeric_categories()?;
    }
    let (n, m) = (data.n_items(), data.n_raters());
    let base = KendallW { df: n.saturating_sub(1), items: n, raters: m, ..KendallW::default() };
    let undefined = |reason: &str| Ok(KendallW { undefined: Some(reason.to_owned()), ..base.clone() });
    if m < 2 {
        return undefined("there is only one rater");
    }
    if n < 2 {
        return undefined("there is only one item");
    }
    if data.len() != n * m {
        return undefined("a rater left an item out; every rater must rank every item");
    }
    // Twice the ranks are whole, and the sums below stay under 2^98: exact, so that equal ratings have no concordance and full concordance is 1.
    let (mut sums, mut ties) = (vec![0i128; n], 0i128);
    let cancel = Cancel::current();
    for r in 0..m {
        cancel.check()?;
        let codes = data.rater_codes(r);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| codes[i]);
        let mut below = 0;
        for group in order.chunk_by(|&a, &b| codes[a] == codes[b]) {
            let t = group.len() as i128;
            let twice = 2 * below + t + 1;
            group.iter().for_each(|&i| sums[data.rater_items(r)[i] as usize] += twice);
            ties += t * t * t - t;
            below += t;
        }
    }
    let (items, raters) = (n as i128, m as i128);
    let mean = raters * (items + 1);
    let s: i128 = sums.iter().map(|x| (x - mean) * (x - mean)).sum();
    let all = raters * raters * (items * items * items - items);
    let untied = all - raters * ties;
    if untied <= 0 {
        return undefined("no rater tells any two items apart");
    }
    let w = (3 * s) as f64 / untied as f64;
    let chi2 = raters as f64 * (items - 1) as f64 * w;
    Ok(KendallW {
        value: Some(w),
        uncorrected: Some((3 * s) as f64 / all as f64),
        chi2: Some(chi2),
        p_value: Some(chi_square_upper(chi2, (items - 1) as f64)?),
        ..base
    })
}
