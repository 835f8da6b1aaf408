//! What is Krippendorff's alpha, at any level of measurement and with any gaps?

use super::bootstrap;
use super::{check_confidence, check_data};
use crate::Ratings;
use quorate_core::{Code, Error, Result};
use serde::Serialize;
use std::f64::consts::PI;

/// The level of measurement: which difference between two values counts how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Values are equal or not.
    #[default]
    Nominal,
    /// Values are ranked: the squared number of ratings between their middles.
    Ordinal,
    /// `(a - b)^2`.
    Interval,
    /// `((a - b) / (a + b))^2`.
    Ratio,
    /// Values on a circle of the given circumference: `sin^2(pi (a - b) / circumference)`.
    Circular {
        /// The length of the circle in units of the values; `None`: largest - smallest + 1.
        circumference: Option<f64>,
    },
    /// Values between two poles: `(a - b)^2 / ((a + b - 2 low) (2 high - a - b))`.
    Bipolar {
        /// The poles, `(low, high)`; `None`: the smallest and the largest value.
        poles: Option<(f64, f64)>,
    },
}

/// What the bootstrap draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Pairs of values from the observed coincidences, against the fixed expected disagreement (Hayes and Krippendorff 2007). The number
    /// of draws is the number of pairs, at most 25 for each kind of pair that was seen, as published: intervals stop narrowing on large data.
    #[default]
    Pairs,
    /// Whole items, with both disagreements computed anew: the interval for "other items of the same kind".
    Items,
}

/// Options of [`krippendorff_alpha`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlphaOptions {
    /// The level of measurement; nominal unless given.
    pub level: Level,
    /// The number of bootstrap rounds; 0 (no interval) unless given.
    pub bootstrap: usize,
    /// What a round draws.
    pub resample: Resample,
    /// The seed of the bootstrap; the same seed gives the same interval on any number of threads.
    pub seed: u64,
    /// The level of the interval, between 0 and 1; 0.95 unless given.
    pub confidence: f64,
}

impl Default for AlphaOptions {
    fn default() -> Self {
        AlphaOptions {
            level: Level::Nominal,
            bootstrap: 0,
            resample: Resample::Pairs,
            seed: 0,
            confidence: 0.95,
        }
    }
}

impl AlphaOptions {
    /// Options for a level of measurement.
    pub fn level(level: Level) -> Self {
        AlphaOptions { level, ..AlphaOptions::default() }
    }

    /// Checks the confidence level, the circumference and the poles (codes `invalid_argument`, `not_finite`) and the number
    /// of rounds (`too_large` above ten million).
    pub fn validate(&self) -> Result<()> {
        check_confidence(self.confidence)?;
        if self.bootstrap > 10_000_000 {
            return Err(Error::new(
                Code::TooLarge,
                format!("{} bootstrap rounds; at most 10,000,000", self.bootstrap),
            ));
        }
        let finite = |x: f64| {
            if x.is_finite() {
                Ok(())
            } else {
                Err(Error::new(Code::NotFinite, format!("a parameter of the level is {x}")))
            }
        };
        match self.level {
            Level::Circular { circumference: Some(c) } => {
                finite(c)?;
                if c <= 0.0 {
                    return Err(Error::invalid(format!("the circumference is {c}; it must be positive")));
                }
            }
            Level::Bipolar { poles: Some((low, high)) } => {
                finite(low)?;
                finite(high)?;
                if low >= high {
                    return Err(Error::invalid(format!(
                        "the poles are {low} and {high}; the first must be smaller"
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Krippendorff's alpha and the disagreements that it compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alpha {
    /// `1 - observed / expected`; `None` where it is undefined.
    pub value: Option<f64>,
    /// Why `value` is `None`.
    pub undefined: Option<String>,
    /// The lower end of the bootstrap interval.
    pub low: Option<f64>,
    /// The upper end of the bootstrap interval.
    pub high: Option<f64>,
    /// The observed disagreement, in units of the level's squared difference.
    pub observed: Option<f64>,
    /// The disagreement expected by chance, in the same units.
    pub expected: Option<f64>,
    /// The level of measurement.
    pub level: Level,
    /// The number of items with two ratings or more.
    pub items: usize,
    /// The number of raters.
    pub raters: usize,
    /// The number of ratings of those items.
    pub ratings: usize,
    /// The number of bootstrap rounds behind the interval.
    pub bootstrap: usize,
}

/// Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; 2019, chapter 12).
///
/// `alpha = 1 - D_o / D_e`. With `m_u` ratings of item `u`, `n` ratings in all items that have two or more, and the squared difference
/// `d(a, b)` of the level: `D_o = 1/n sum_u 1/(m_u - 1) sum_{i != j in u} d`, `D_e = 1/(n (n - 1)) sum_{i != j} d`. Items with one rating
/// do not count. Time is linear in the ratings, except for ratio and bipolar, where it also grows with the square of the number
/// of distinct values; memory is linear.
///
/// Errors: `unsupported` for weighted raters; `duplicate_entry`; `invalid_argument` for a level above nominal on texts without a domain,
/// for values that a ratio or bipolar level does not allow, and for bad options.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{AlphaOptions, Level, krippendorff_alpha}};
/// let nan = f64::NAN;
/// let data = Ratings::from_matrix(&[
///     1., 2., 3., 3., 2., 1., 4., 1., 2., nan, nan, nan,
///     1., 2., 3., 3., 2., 2., 4., 1., 2., 5., nan, 3.,
///     nan, 3., 3., 3., 2., 3., 4., 2., 2., 5., 1., nan,
///     1., 2., 3., 3., 2., 4., 4., 1., 2., 5., 1., nan,
/// ], 4, 12)?;
/// let alpha = krippendorff_alpha(&data, &AlphaOptions::level(Level::Interval))?;
/// assert!((alpha.value.unwrap() - 0.849107).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn krippendorff_alpha(data: &Ratings, options: &AlphaOptions) -> Result<Alpha> {
    check_data("krippendorff_alpha", data)?;
    options.validate()?;
    let scale = Scale::new(data, options.level)?;
    let items = (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1).count();
    let parts = disagreement(data, &scale, None);
    let mut out = Alpha {
        value: None,
        undefined: None,
        low: None,
        high: None,
        observed: (items > 0).then_some(parts.observed),
        expected: (items > 0).then_some(parts.expected),
        level: options.level,
        items,
        raters: data.n_raters(),
        ratings: parts.n as usize,
        bootstrap: 0,
    };
    out.value = parts.alpha();
    if out.value.is_none() {
        let reason = if data.n_raters() < 2 {
            "there is only one rater"
        } else if items == 0 {
            "no item has two ratings"
        } else {
            "all ratings are the same, so that no disagreement can be expected"
        };
        out.undefined = Some(reason.into());
    } else if options.bootstrap > 0 {
        let (low, high) = bootstrap::interval(data, &scale, &parts, options);
        (out.low, out.high, out.bootstrap) = (Some(low), Some(high), options.bootstrap);
    }
    Ok(out)
}

/// The level with the numbers of the categories at hand.
pub(super) struct Scale {
    level: Level,
    x: Vec<f64>,
    low: f64,
    high: f64,
}

/// The two disagreements, over `n` pairable ratings.
pub(super) struct Parts {
    pub(super) observed: f64,
    pub(super) expected: f64,
    pub(super) n: f64,
    /// The numbers that squared differences are taken of, where the level is of that kind.
    pub(super) positions: Vec<f64>,
}

impl Parts {
    pub(super) fn alpha(&self) -> Option<f64> {
        (self.n > 0.0 && self.expected > 0.0).then(|| 1.0 - self.observed / self.expected)
    }
}

impl Scale {
    fn new(data: &Ratings, level: Level) -> Result<Scale> {
        let x = match level {
            Level::Nominal => Vec::new(),
            Level::Ordinal if data.is_ordered() => Vec::new(),
            Level::Ordinal => {
                return Err(Error::invalid(
                    "the values are texts without an order; give a domain that lists them in order",
                ));
            }
            _ => data.numeric_categories()?,
        };
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        match level {
            Level::Ratio if low < 0.0 => {
                return Err(Error::invalid(format!(
                    "a ratio level needs values of 0 or more; the smallest is {low}"
                )));
            }
            Level::Bipolar { poles: Some((a, b)) } if low < a || high > b => {
                return Err(Error::invalid(format!(
                    "values from {low} to {high} do not lie between the poles {a} and {b}"
                )));
            }
            _ => {}
        }
        let (low, high) = match level {
            Level::Bipolar { poles: Some(poles) } => poles,
            _ => (low, high),
        };
        Ok(Scale { level, x, low, high })
    }

    /// The squared difference of two categories. `positions` are those of [`Parts`].
    pub(super) fn difference(&self, i: usize, j: usize, positions: &[f64]) -> f64 {
        if i == j {
            return 0.0;
        }
        match self.level {
            Level::Nominal => 1.0,
            Level::Ordinal | Level::Interval => (positions[i] - positions[j]).powi(2),
            Level::Ratio => {
                let (a, b) = (self.x[i], self.x[j]);
                ((a - b) / (a + b)).powi(2)
            }
            Level::Circular { circumference } => {
                let circle = circumference.unwrap_or(self.high - self.low + 1.0);
                (PI * (self.x[i] - self.x[j]) / circle).sin().powi(2)
            }
            Level::Bipolar { .. } => {
                let (a, b) = (self.x[i], self.x[j]);
                (a - b).powi(2) / ((a + b - 2.0 * self.low) * (2.0 * self.high - a - b))
            }
        }
    }

    /// The numbers whose squared differences the level takes, centred; empty for other levels.
    fn positions(&self, counts: &[f64], n: f64) -> Vec<f64> {
        let mut at: Vec<f64> = match self.level {
            // The middle rank of each category, so that differences are counts of ratings between the middles.
            Level::Ordinal => counts
                .iter()
                .scan(0.0, |below, &c| {
                    *below += c;
                    Some(*below - c / 2.0)
                })
                .collect(),
            Level::Interval => self.x.clone(),
            _ => return Vec::new(),
        };
        let mean = at.iter().zip(counts).map(|(x, c)| x * c).sum::<f64>() / n;
        at.iter_mut().for_each(|x| *x -= mean);
        at
    }
}

/// Both disagreements, each item counted `times` over (once when `None`).
pub(super) fn disagreement(data: &Ratings, scale: &Scale, times: Option<&[u32]>) -> Parts {
    let times = |i: usize| times.map_or(1.0, |t| f64::from(t[i]));
    let mut counts = vec![0.0; data.n_categories()];
    let mut n = 0.0;
    for i in 0..data.n_items() {
        let (codes, t) = (data.item_codes(i), times(i));
        if codes.len() > 1 && t > 0.0 {
            codes.iter().for_each(|&c| counts[c as usize] += t);
            n += t * codes.len() as f64;
        }
    }
    let positions = scale.positions(&counts, n);
    let mut seen = vec![0u32; if matches!(scale.level, Level::Nominal) { counts.len() } else { 0 }];
    let mut observed = 0.0;
    for i in 0..data.n_items() {
        let (codes, t) = (data.item_codes(i), times(i));
        if codes.len() > 1 && t > 0.0 {
            observed += t * within(codes, scale, &positions, &mut seen) / (codes.len() as f64 - 1.0);
        }
    }
    let expected = between(&counts, n, scale, &positions);
    Parts { observed: observed / n, expected: expected / (n * (n - 1.0)), n, positions }
}

/// The sum of the squared differences over the ordered pairs of ratings of one item.
fn within(codes: &[u32], scale: &Scale, positions: &[f64], seen: &mut [u32]) -> f64 {
    let m = codes.len() as f64;
    match scale.level {
        Level::Nominal => {
            let mut alike = 0u64;
            for &c in codes {
                alike += u64::from(seen[c as usize]);
                seen[c as usize] += 1;
            }
            codes.iter().for_each(|&c| seen[c as usize] = 0);
            m * (m - 1.0) - 2.0 * alike as f64
        }
        Level::Ordinal | Level::Interval => {
            let mean = codes.iter().map(|&c| positions[c as usize]).sum::<f64>() / m;
            2.0 * m * codes.iter().map(|&c| (positions[c as usize] - mean).powi(2)).sum::<f64>()
        }
        _ => {
            let mut sum = 0.0;
            for (k, &a) in codes.iter().enumerate() {
                sum += codes[..k]
                    .iter()
                    .map(|&b| scale.difference(a as usize, b as usize, positions))
                    .sum::<f64>();
            }
            2.0 * sum
        }
    }
}

/// The sum of the squared differences over the ordered pairs of all `n` ratings.
fn between(counts: &[f64], n: f64, scale: &Scale, positions: &[f64]) -> f64 {
    match scale.level {
        Level::Nominal => counts.iter().map(|c| c * (n - c)).sum(),
        // The positions are centred on the mean of the ratings.
        Level::Ordinal | Level::Interval => {
            2.0 * n * positions.iter().zip(counts).map(|(x, c)| c * x * x).sum::<f64>()
        }
        _ => {
            let used: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 0.0).collect();
            let mut sum = 0.0;
            for (k, &i) in used.iter().enumerate() {
                let row: f64 = used[..k].iter().map(|&j| counts[j] * scale.difference(i, j, positions)).sum();
                sum += counts[i] * row;
            }
            2.0 * sum
        }
    }
}
