//! How much of the variation in measurements lies between the items rather than between the raters?

use super::numbers::{Centred, exact_sum, squares_or_zero};
use super::{check_confidence, check_data, check_identity};
use crate::math::{f_quantile, f_upper};
use crate::{Ratings, check};
use quorate_core::{Cancel, Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The six forms of Shrout and Fleiss (1979): the model (1, 2 or 3) and whether a single rating or the mean of all raters is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IccForm {
    /// `"1,1"`: each item has raters of its own; a single rating.
    #[serde(rename = "1,1")]
    OneSingle,
    /// `"2,1"`: the same random raters rate all items; absolute agreement of a single rating.
    #[default]
    #[serde(rename = "2,1")]
    TwoSingle,
    /// `"3,1"`: these raters are the only ones of interest; consistency of a single rating.
    #[serde(rename = "3,1")]
    ThreeSingle,
    /// `"1,k"`: as `"1,1"`, for the mean of k ratings.
    #[serde(rename = "1,k")]
    OneMean,
    /// `"2,k"`: as `"2,1"`, for the mean of k ratings.
    #[serde(rename = "2,k")]
    TwoMean,
    /// `"3,k"`: as `"3,1"`, for the mean of k ratings; Cronbach's alpha.
    #[serde(rename = "3,k")]
    ThreeMean,
}

impl IccForm {
    /// All forms.
    pub const ALL: [IccForm; 6] = [
        IccForm::OneSingle,
        IccForm::TwoSingle,
        IccForm::ThreeSingle,
        IccForm::OneMean,
        IccForm::TwoMean,
        IccForm::ThreeMean,
    ];

    /// The usual name, such as `"2,1"`.
    pub fn as_str(self) -> &'static str {
        match self {
            IccForm::OneSingle => "1,1",
            IccForm::TwoSingle => "2,1",
            IccForm::ThreeSingle => "3,1",
            IccForm::OneMean => "1,k",
            IccForm::TwoMean => "2,k",
            IccForm::ThreeMean => "3,k",
        }
    }
}

impl FromStr for IccForm {
    type Err = Error;

    /// Reads a name such as `"2,1"`; anything else has code `invalid_argument`.
    fn from_str(name: &str) -> Result<Self> {
        IccForm::ALL.into_iter().find(|form| form.as_str() == name).ok_or_else(|| {
            Error::invalid(format!(
                "'{}' is no form of ICC; use 1,1 2,1 3,1 1,k 2,k or 3,k",
                check::short(&name)
            ))
        })
    }
}

/// An intraclass correlation with its F test and interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Icc {
    /// Which of the six forms it is.
    pub form: IccForm,
    /// The coefficient, at most 1; `None` where it is undefined.
    pub value: Option<f64>,
    /// Why `value` is `None`.
    pub undefined: Option<String>,
    /// The F ratio for "no variation between items"; `None` when nothing else varies.
    pub f: Option<f64>,
    /// The degrees of freedom above the line.
    pub df1: f64,
    /// The degrees of freedom below the line.
    pub df2: f64,
    /// The probability of so large an F without variation between items; 0 where the items vary and nothing else does.
    pub p_value: Option<f64>,
    /// The lower end of the confidence interval; `None` also where a mean's has no bound.
    pub low: Option<f64>,
    /// The upper end of the confidence interval.
    pub high: Option<f64>,
    /// The number of items.
    pub items: usize,
    /// The number of raters.
    pub raters: usize,
}

/// The intraclass correlation of numeric ratings by `k` raters of `n` items, without gaps (Shrout and Fleiss 1979; intervals of the
/// two-way random forms after McGraw and Wong 1996). `confidence` is the level of the interval, such as 0.95.
///
/// With the mean squares between items `B`, within items `W`, between raters `J` and of the residual `E`: ICC(1,1) = (B - W) / (B + (k-1) W),
/// ICC(2,1) = (B - E) / (B + (k-1) E + k (J - E) / n), ICC(3,1) = (B - E) / (B + (k-1) E), and for means (B - W) / B,
/// (B - E) / (B + (J - E) / n), (B - E) / B. Undefined with a gap, fewer than two raters or items, or where neither the items nor the residual
/// vary. A mean square within rounding error of 0 is 0, and the unit of the ratings does not matter.
///
/// Errors: `invalid_argument` for texts or a confidence outside (0, 1); `unsupported` for weighted or anonymous raters; `duplicate_entry`.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{IccForm, icc}};
/// let data = Ratings::from_matrix(&[
///     9., 6., 8., 7., 10., 6., 2., 1., 4., 1., 5., 2., 5., 3., 6., 2., 6., 4., 8., 2., 8., 6., 9., 7.,
/// ], 4, 6)?;
/// assert!((icc(&data, IccForm::TwoSingle, 0.95)?.value.unwrap() - 0.289764).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn icc(data: &Ratings, form: IccForm, confidence: f64) -> Result<Icc> {
    check_data("icc", data)?;
    check_identity("icc", data)?;
    check_confidence(confidence)?;
    let x = data.numeric_categories()?;
    let (items, raters) = (data.n_items(), data.n_raters());
    let base = Icc { form, items, raters, ..Icc::default() };
    let undefined = |reason: &str| Ok(Icc { undefined: Some(reason.to_owned()), ..base.clone() });
    if raters < 2 {
        return undefined("there is only one rater");
    }
    if items < 2 {
        return undefined("there is only one item");
    }
    if data.len() != items * raters {
        return undefined("a rating is missing; every rater must rate every item");
    }
    let Squares { between, within, raters: judges, residual } = Squares::of(data, &x)?;
    if between == 0.0 && within == 0.0 {
        return undefined("all ratings are the same");
    }
    let (n, k) = (items as f64, raters as f64);
    let (df_items, df_within, df_error) = (n - 1.0, n * (k - 1.0), (n - 1.0) * (k - 1.0));
    let (noise, df2) = match form {
        IccForm::OneSingle | IccForm::OneMean => (within, df_within),
        _ => (residual, df_error),
    };
    if between == 0.0 && noise == 0.0 {
        return undefined("the items do not vary, and the raters differ by the same on each of them: 0 / 0");
    }
    let bottom = match form {
        IccForm::OneSingle | IccForm::ThreeSingle => between + (k - 1.0) * noise,
        IccForm::TwoSingle => between + (k - 1.0) * noise + k * (judges - noise) / n,
        IccForm::OneMean | IccForm::ThreeMean => between,
        IccForm::TwoMean => between + (judges - noise) / n,
    };
    if bottom <= 1e-14 * (between + judges + noise) {
        return undefined("the items vary too little for the variation that they are compared with");
    }
    let value = (between - noise) / bottom;
    let mut out = Icc { value: Some(value), df1: df_items, df2, ..base.clone() };
    if noise == 0.0 {
        // Nothing but the items (and, in the two-way models, the raters) varies: F is without bound.
        out.p_value = Some(0.0);
        if !matches!(form, IccForm::TwoSingle | IccForm::TwoMean) {
            (out.low, out.high) = (Some(1.0), Some(1.0));
        }
        return Ok(out);
    }
    let f = between / noise;
    (out.f, out.p_value) = (Some(f), Some(f_upper(f, df_items, df2)?));
    let p = 0.5 + confidence / 2.0;
    let (low, high) = match form {
        IccForm::TwoSingle | IccForm::TwoMean => {
            // Satterthwaite's degrees of freedom for the mix of rater and residual variation.
            let fj = judges / residual;
            let rho = (between - residual) / (between + (k - 1.0) * residual + k * (judges - residual) / n);
            let own = n * (1.0 + (k - 1.0) * rho) - k * rho;
            let v = df_error * (k * rho * fj + own).powi(2) / (df_items * (k * rho * fj).powi(2) + own * own);
            let (fu, fl) = (f_quantile(p, df_items, v)?, f_quantile(p, v, df_items)?);
            let mixed = k * judges + (k * n - k - n) * residual;
            let low = n * (between - fu * residual) / (fu * mixed + n * between);
            let high = n * (fl * between - residual) / (mixed + n * fl * between);
            if form == IccForm::TwoMean {
                (step_up(low, k), step_up(high, k))
            } else {
                (Some(low), Some(high))
            }
        }
        _ => {
            let (fl, fu) = (f / f_quantile(p, df_items, df2)?, f * f_quantile(p, df2, df_items)?);
            match form {
                IccForm::OneMean | IccForm::ThreeMean => (bounded(1.0 - 1.0 / fl), bounded(1.0 - 1.0 / fu)),
                _ => (Some((fl - 1.0) / (fl + k - 1.0)), Some((fu - 1.0) / (fu + k - 1.0))),
            }
        }
    };
    (out.low, out.high) = (low, high);
    Ok(out)
}

/// Spearman and Brown: from a single rating to the mean of `k`; none where that is without bound, towards -1 / (k - 1).
fn step_up(single: f64, k: f64) -> Option<f64> {
    let below = 1.0 + (k - 1.0) * single;
    if below <= 1e-12 { None } else { bounded(k * single / below) }
}

/// A number, or none for what is without bound.
fn bounded(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// The mean squares of the two-way table, in a unit of their own; what is within rounding error of 0 is 0.
struct Squares {
    between: f64,
    within: f64,
    raters: f64,
    residual: f64,
}

impl Squares {
    fn of(data: &Ratings, x: &[f64]) -> Result<Squares> {
        let cancel = Cancel::current();
        let x = Centred::new(x).x;
        let (n, k) = (data.n_items() as f64, data.n_raters() as f64);
        let mean = |codes: &[u32]| exact_sum(codes.iter().map(|&c| x[c as usize])) / codes.len() as f64;
        let rows: Vec<f64> = (0..data.n_items()).map(|i| mean(data.item_codes(i))).collect();
        let columns: Vec<f64> = (0..data.n_raters()).map(|r| mean(data.rater_codes(r))).collect();
        let grand = exact_sum(rows.iter().copied()) / n;
        let (mut within, mut residual) = (0.0, 0.0);
        for (i, row) in rows.iter().enumerate() {
            if i % 1024 == 0 {
                cancel.check()?;
            }
            for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
                let v = x[c as usize];
                within += (v - row).powi(2);
                residual += ((v - row) - (columns[r as usize] - grand)).powi(2);
            }
        }
        let deviation = |means: &[f64]| means.iter().map(|m| (m - grand).powi(2)).sum::<f64>();
        let all = n * k;
        Ok(Squares {
            between: squares_or_zero(k * deviation(&rows), all) / (n - 1.0),
            within: squares_or_zero(within, all) / (n * (k - 1.0)),
            raters: squares_or_zero(n * deviation(&columns), all) / (k - 1.0),
            residual: squares_or_zero(residual, all) / ((n - 1.0) * (k - 1.0)),
        })
    }
}
