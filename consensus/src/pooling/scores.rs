//! How good were probability forecasts, now that the outcomes are known?

use quorate_core::{Code, Error, Result};
use serde::Serialize;

use super::opinions::Opinions;
use crate::check;

/// Brier score of forecasts of events (Brier 1950): the mean of `(p - outcome)^2`, from 0 (best) to 1.
///
/// ```
/// use quorate_consensus::pooling::brier_score;
/// assert!((brier_score(&[0.9, 0.2], &[true, false])? - 0.025).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input`, `invalid_shape`, `not_finite`, `invalid_argument` for a probability outside `[0, 1]`.
pub fn brier_score(forecasts: &[f64], outcomes: &[bool]) -> Result<f64> {
    check_forecasts(forecasts, outcomes)?;
    let sum: f64 = forecasts.iter().zip(outcomes).map(|(p, &o)| (p - f64::from(u8::from(o))).powi(2)).sum();
    Ok(sum / forecasts.len() as f64)
}

/// Brier score over several outcomes, in Brier's own form: the mean of `sum over k of (p_k - [k happened])^2`, from
/// 0 to 2. For two outcomes it is twice [`brier_score`].
///
/// `outcomes[i]` is the index of what happened in case `i` of `forecasts`.
///
/// Errors: `invalid_shape`; `unknown_id` for an index that is no outcome.
pub fn brier_score_multi(forecasts: &Opinions, outcomes: &[usize]) -> Result<f64> {
    check_indices(forecasts, outcomes)?;
    let sum: f64 = forecasts
        .rows()
        .zip(outcomes)
        .map(|(row, &o)| {
            row.iter().enumerate().map(|(k, p)| (p - f64::from(u8::from(k == o))).powi(2)).sum::<f64>()
        })
        .sum();
    Ok(sum / outcomes.len() as f64)
}

/// Logarithmic score of forecasts of events (Good 1952): the mean of `-ln(probability given to what happened)`, in
/// nats, from 0 (best) upwards.
///
/// `clip`: probabilities are kept at least this far from 0 and 1 (0: not at all).
///
/// ```
/// use quorate_consensus::pooling::log_score;
/// assert!((log_score(&[0.5, 0.5], &[true, false], 0.0)? - 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `undefined` when something happened to which a forecast gave probability 0 (the score is infinite);
/// otherwise as [`brier_score`].
pub fn log_score(forecasts: &[f64], outcomes: &[bool], clip: f64) -> Result<f64> {
    check_forecasts(forecasts, outcomes)?;
    mean_log(
        forecasts.iter().zip(outcomes).map(|(&p, &o)| if o { p } else { 1.0 - p }),
        forecasts.len(),
        clip,
    )
}

/// Logarithmic score over several outcomes; `outcomes[i]` is the index of what happened in case `i`.
///
/// Errors: `undefined` as for [`log_score`]; `invalid_shape`; `unknown_id` for an index that is no outcome.
pub fn log_score_multi(forecasts: &Opinions, outcomes: &[usize], clip: f64) -> Result<f64> {
    check_indices(forecasts, outcomes)?;
    mean_log(forecasts.rows().zip(outcomes).map(|(row, &o)| row[o]), outcomes.len(), clip)
}

/// One class of forecasts in a [`CalibrationTable`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Forecasts in `[low, high)`; the last bin includes 1.
    pub low: f64,
    /// Upper end of the bin.
    pub high: f64,
    /// How many forecasts fell here.
    pub count: usize,
    /// Their mean; `None` for an empty bin.
    pub forecast: Option<f64>,
    /// The share of them that came true; `None` for an empty bin.
    pub frequency: Option<f64>,
    /// Wilson's 95% interval of that share (Wilson 1927).
    pub interval: Option<(f64, f64)>,
}

/// The result of [`calibration_table`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationTable {
    /// Bins of equal width.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: the mean over forecasts of `|mean forecast - frequency|` of their bin.
    pub calibration_error: f64,
    /// Mean squared gap between bin forecast and bin frequency; 0 is best (Murphy 1973).
    pub reliability: f64,
    /// Mean squared gap between bin frequency and base rate; larger is better (Murphy 1973).
    pub resolution: f64,
    /// `base rate * (1 - base rate)`. When all forecasts in a bin are equal, Brier score = reliability - resolution
    /// + uncertainty.
    pub uncertainty: f64,
}

/// Compares forecasts with frequencies in `bins` classes of equal width.
///
/// ```
/// use quorate_consensus::pooling::calibration_table;
/// let t = calibration_table(&[0.1, 0.1, 0.8, 0.8], &[false, false, true, false], 5)?;
/// assert_eq!(t.bins[4].frequency, Some(0.5));
/// assert!((t.calibration_error - (0.1 + 0.3) / 2.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `invalid_argument` for zero bins, `too_large` above 100,000; otherwise as [`brier_score`].
pub fn calibration_table(forecasts: &[f64], outcomes: &[bool], bins: usize) -> Result<CalibrationTable> {
    check_forecasts(forecasts, outcomes)?;
    if bins == 0 {
        return Err(Error::invalid("bins is 0; it must be at least 1"));
    }
    check::at_most(bins, 100_000, "bins")?;
    let mut tally = vec![(0usize, 0.0, 0usize); bins];
    for (&p, &o) in forecasts.iter().zip(outcomes) {
        let bin = &mut tally[bin_of(p, bins)];
        bin.0 += 1;
        bin.1 += p;
        bin.2 += usize::from(o);
    }
    let n = forecasts.len() as f64;
    let base = outcomes.iter().filter(|&&o| o).count() as f64 / n;
    let (mut error, mut reliability, mut resolution) = (0.0, 0.0, 0.0);
    let bins = tally
        .into_iter()
        .enumerate()
        .map(|(b, (count, sum, hits))| {
            let c = count as f64;
            let (low, high) = (b as f64 / bins as f64, (b + 1) as f64 / bins as f64);
            if count == 0 {
                return CalibrationBin { low, high, count, forecast: None, frequency: None, interval: None };
            }
            let (forecast, frequency) = (sum / c, hits as f64 / c);
            error += c / n * (forecast - frequency).abs();
            reliability += c / n * (forecast - frequency).powi(2);
            resolution += c / n * (frequency - base).powi(2);
            let interval = Some(wilson(frequency, c));
            CalibrationBin {
                low,
                high,
                count,
                forecast: Some(forecast),
                frequency: Some(frequency),
                interval,
            }
        })
        .collect();
    Ok(CalibrationTable {
        bins,
        calibration_error: error,
        reliability,
        resolution,
        uncertainty: base * (1.0 - base),
    })
}

/// The bin that a forecast falls into, by the ends that the table states: the product may round past one of them.
fn bin_of(p: f64, bins: usize) -> usize {
    let near = ((p * bins as f64) as usize).min(bins - 1);
    let end = |b: usize| b as f64 / bins as f64;
    match near {
        b if b + 1 < bins && p >= end(b + 1) => b + 1,
        b if p < end(b) => b - 1,
        b => b,
    }
}

/// The 97.5% point of the standard normal distribution.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// Wilson's 95% interval of a share `p`, 0 to 1, that was observed on `n` (effective) cases, above 0 (Wilson 1927).
///
/// ```
/// let (low, high) = quorate_consensus::pooling::wilson(0.5, 10.0);
/// assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4);
/// ```
pub fn wilson(p: f64, n: f64) -> (f64, f64) {
    wilson_at(p, n, Z95)
}

/// Wilson's interval at `z` standard errors.
pub(crate) fn wilson_at(p: f64, n: f64, z: f64) -> (f64, f64) {
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).max(0.0).sqrt();
    // Exact at the ends, where rounding would leave 1e-17.
    let low = if p <= 0.0 { 0.0 } else { (centre - half).clamp(0.0, p) };
    let high = if p >= 1.0 { 1.0 } else { (centre + half).clamp(p, 1.0) };
    (low, high)
}

fn check_forecasts(forecasts: &[f64], outcomes: &[bool]) -> Result<()> {
    check::not_empty(forecasts.len(), "forecasts")?;
    check::same_length(outcomes.len(), forecasts.len(), "outcomes", "forecasts")?;
    for (i, &p) in forecasts.iter().enumerate() {
        check::within(p, 0.0, 1.0, format_args!("forecast {i}"))?;
    }
    Ok(())
}

fn check_indices(forecasts: &Opinions, outcomes: &[usize]) -> Result<()> {
    check::same_length(outcomes.len(), forecasts.experts(), "outcomes", "forecasts")?;
    match outcomes.iter().find(|&&o| o >= forecasts.outcomes()) {
        Some(o) => Err(Error::new(
            Code::UnknownId,
            format!("outcome {o} is not below {}, the number of outcomes", forecasts.outcomes()),
        )),
        None => Ok(()),
    }
}

fn mean_log(p: impl Iterator<Item = f64>, n: usize, clip: f64) -> Result<f64> {
    check::within(clip, 0.0, 0.5, "clip")?;
    let mut sum = 0.0;
    for (i, p) in p.enumerate() {
        if p <= 0.0 && clip == 0.0 {
            return Err(Error::new(
                Code::Undefined,
                format!(
                    "forecast {i} called impossible what happened, so its score is infinite; set clip above 0"
                ),
            ));
        }
        sum -= p.clamp(clip, 1.0 - clip).ln();
    }
    // A mean of certain and right forecasts is 0, not -0.
    Ok(sum / n as f64 + 0.0)
}
