//! How well do raters agree, beyond what chance would give?
//!
//! | question | method |
//! |---|---|
//! | two raters, nominal or ordinal categories | [`cohen_kappa`], [`scott_pi`] |
//! | several raters, some gaps | [`fleiss_kappa`], [`conger_kappa`], [`light_kappa`] |
//! | very uneven categories, where kappa collapses | [`gwet_ac`], [`brennan_prediger`] |
//! | any number of raters, gaps, any level of measurement | [`krippendorff_alpha`] |
//! | rankings | [`kendall_w`] |
//! | measurements | [`icc`] |
//!
//! A coefficient that the data does not define (one category only, one rater only) comes back with `value: None` and the reason
//! in `undefined`; it is never NaN. Equal ratings are recognised as equal whatever their rounding, and neither the size of the numbers (1e-300 to
//! 1e308) nor their unit matters. All methods look at the [`Cancel`](quorate_core::Cancel) that covers them.
//!
//! Which share of the intervals holds the truth, and which share of the tests reports what is not there, was simulated with known truths:
//! `cargo run --release -p quorate-consensus --example coverage`. Weights of raters have no agreed meaning here, so weighted data is refused with code `unsupported`.

mod alpha;
mod bootstrap;
mod chance;
mod cohen;
mod icc;
mod kendall;
mod numbers;
mod weights;

pub use alpha::{Alpha, AlphaOptions, Level, Resample, krippendorff_alpha};
pub use chance::{brennan_prediger, conger_kappa, fleiss_kappa, gwet_ac, percent_agreement, scott_pi};
pub use cohen::{cohen_kappa, cohen_kappa_of, light_kappa};
pub use icc::{Icc, IccForm, icc};
pub use kendall::{KendallW, kendall_w};
pub use weights::Weights;

use crate::Ratings;
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// An agreement coefficient with its uncertainty, or the reason why there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coefficient {
    /// The name of the method, such as `"fleiss_kappa"`.
    pub method: &'static str,
    /// The coefficient, at most 1; `None` where it is undefined.
    pub value: Option<f64>,
    /// Why `value` is `None`.
    pub undefined: Option<String>,
    /// The (weighted) share of agreeing pairs.
    pub observed: Option<f64>,
    /// The share of agreement expected by chance, as the method defines chance.
    pub expected: Option<f64>,
    /// The standard error of `value`, where the method has one and there are two items or more.
    pub standard_error: Option<f64>,
    /// The lower end of the confidence interval.
    pub low: Option<f64>,
    /// The upper end of the confidence interval, at most 1.
    pub high: Option<f64>,
    /// The test statistic of "no agreement beyond chance"; each method says which.
    pub z: Option<f64>,
    /// The two-sided p-value of `z`.
    pub p_value: Option<f64>,
    /// How many items with two ratings or more were used.
    pub items: usize,
    /// How many raters were used.
    pub raters: usize,
}

/// Options of the kappa family.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KappaOptions {
    /// How much credit a near miss gets; [`Weights::Identity`] (none) unless given.
    pub weights: Weights,
    /// The level of the confidence interval, between 0 and 1; 0.95 unless given.
    pub confidence: f64,
}

impl Default for KappaOptions {
    fn default() -> Self {
        KappaOptions { weights: Weights::Identity, confidence: 0.95 }
    }
}

impl KappaOptions {
    /// Options with these weights.
    pub fn weighted(weights: Weights) -> Self {
        KappaOptions { weights, ..KappaOptions::default() }
    }

    /// Checks the confidence level (code `invalid_argument`).
    pub fn validate(&self) -> Result<()> {
        check_confidence(self.confidence)
    }
}

impl Coefficient {
    fn undefined(method: &'static str, reason: impl Into<String>) -> Self {
        Coefficient { method, undefined: Some(reason.into()), ..Coefficient::default() }
    }
}

pub(crate) fn check_confidence(confidence: f64) -> Result<()> {
    if confidence > 0.0 && confidence < 1.0 {
        Ok(())
    } else {
        Err(Error::invalid(format!("the confidence level is {confidence}; it must lie between 0 and 1")))
    }
}

/// Refuses data for which no agreement coefficient is defined.
fn check_data(method: &str, data: &Ratings) -> Result<()> {
    if data.is_weighted() {
        return Err(Error::new(
            Code::Unsupported,
            format!(
                "{method} has no definition for weighted raters; give every rater weight 1 (or 0 to leave one out)"
            ),
        ));
    }
    if data.has_duplicates() {
        return Err(Error::new(
            Code::DuplicateEntry,
            format!(
                "{method} needs at most one rating of an item by a rater; build the data with duplicates first or last"
            ),
        ));
    }
    Ok(())
}

/// Refuses data that does not say who the raters were.
fn check_identity(method: &str, data: &Ratings) -> Result<()> {
    if data.is_anonymous() {
        return Err(Error::new(
            Code::Unsupported,
            format!("{method} needs to know who rated what; counts do not tell"),
        ));
    }
    Ok(())
}
