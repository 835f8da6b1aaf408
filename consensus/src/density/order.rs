//! Does it matter which of two questions is asked first, and in the way that quantum models predict?

use quorate_core::{Error, Result};
use serde::Serialize;

use crate::check;

/// The result of [`order_effect`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OrderEffect {
    /// The QQ statistic, `p(A yes, B no) + p(A no, B yes)` when A is asked first less the same when B is asked first.
    /// Zero for every model in which answers are projections of one state.
    pub q: f64,
    /// The order effect: total variation distance of the two joint distributions, 0 (none) to 1.
    pub effect: f64,
    /// Change of `p(A yes)` from being asked second to being asked first.
    pub effect_a: f64,
    /// Change of `p(B yes)` from being asked second to being asked first.
    pub effect_b: f64,
    /// For counts: `q` divided by its standard error under "q = 0". `None` for probabilities, or when the error is zero.
    pub z: Option<f64>,
    /// For counts: the two-sided p-value of "q = 0".
    pub p_value: Option<f64>,
}

/// The question-order test, or QQ equality (Wang and Busemeyer 2013; Wang et al. 2014).
///
/// `ab` holds the answers of those who were asked A first: (A yes B yes, A yes B no, A no B yes, A no B no).
/// `ba` of those asked B first: (B yes A yes, B yes A no, B no A yes, B no A no). Each is either four probabilities
/// (sum 1 within 1e-6) or four counts. An order effect with `q` = 0 is what a projective ("quantum") model predicts
/// without free parameters; `q` away from 0 rules such models out. The test is that of two binomial shares from
/// independent samples.
///
/// ```
/// use quorate_consensus::density::order_effect;
/// let o = order_effect([0.579153, 0.410880, 0.004136, 0.005831], [0.283951, 0.201449, 0.213567, 0.301033])?;
/// assert!(o.q.abs() < 1e-6 && o.effect > 0.4);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `not_finite`; `invalid_argument` for negative numbers or an empty group.
pub fn order_effect(ab: [f64; 4], ba: [f64; 4]) -> Result<OrderEffect> {
    let (ab, n_ab) = shares(ab, "ab")?;
    let (ba, n_ba) = shares(ba, "ba")?;
    let (differ_ab, differ_ba) = (ab[1] + ab[2], ba[1] + ba[2]);
    let q = differ_ab - differ_ba;
    // In terms of (A, B): BA's second entry is (A no, B yes), its third (A yes, B no).
    let effect =
        ((ab[0] - ba[0]).abs() + (ab[1] - ba[2]).abs() + (ab[2] - ba[1]).abs() + (ab[3] - ba[3]).abs()) / 2.0;
    let z = match (n_ab, n_ba) {
        (Some(n), Some(m)) => {
            // Under q = 0 both groups have one share, which is estimated from both: with an error of its own for each group small samples reject too often.
            let pooled = (n * differ_ab + m * differ_ba) / (n + m);
            let variance = pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m);
            (variance > 0.0).then(|| q / variance.sqrt())
        }
        _ => None,
    };
    Ok(OrderEffect {
        q,
        effect,
        effect_a: (ab[0] + ab[1]) - (ba[0] + ba[2]),
        effect_b: (ba[0] + ba[1]) - (ab[0] + ab[2]),
        z,
        p_value: z.map(|z| statrs::function::erf::erfc(z.abs() / std::f64::consts::SQRT_2)),
    })
}

/// Shares, and the number of answers when counts were given.
fn shares(x: [f64; 4], what: &str) -> Result<([f64; 4], Option<f64>)> {
    for v in x {
        check::weight(v, what)?;
    }
    let sum = check::finite(x.iter().sum(), format_args!("the sum of {what}"))?;
    if sum <= 0.0 {
        return Err(Error::invalid(format!("{what} holds no answers")));
    }
    let counts = (sum - 1.0).abs() > check::SUM_TOLERANCE;
    if counts && x.iter().any(|v| v.fract() != 0.0) {
        return Err(Error::invalid(format!(
            "{what} sums to {sum}; give four probabilities that sum to 1, or four counts"
        )));
    }
    Ok((x.map(|v| v / sum), counts.then_some(sum)))
}
