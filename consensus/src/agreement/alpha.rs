//! What is Krippendorff's alpha, at any level of measurement and with any gaps?

use super::bootstrap;
use super::numbers::{Centred, squares_or_zero, unit_of};
use super::{check_confidence, check_data};
use crate::{Ratings, check};
use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The level of measurement: which difference between two values counts how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Whole items with all their ratings, both disagreements computed anew: how far alpha would move with other items of the same kind, rated by the same
    /// raters. The percentiles are bias-corrected and accelerated (Efron 1987), and expanded as Hesterberg (2015, "What Teachers Should Know About the
    /// Bootstrap") proposes for small samples. The default.
    #[default]
    Items,
    /// Pairs of values from the observed coincidences, drawn as if they were independent, against the fixed expected disagreement (Hayes and Krippendorff
    /// 2007). The number of draws is the number of pairs, at most 25 for each kind of pair that was seen, as published. `r` raters give
    /// `r (r - 1) / 2` pairs of an item of which `r` are free, so that the interval is too narrow with more than two raters, and because of the cap it stops
    /// narrowing on large data. It is here to reproduce published figures; it has not the confidence that it is asked for.
    Pairs,
}

/// The most different values where each two are compared (ratio and bipolar levels): 2 * 10^8 comparisons.
const MAX_VALUES: usize = 20_000;

/// Options of [`krippendorff_alpha`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
            resample: Resample::Items,
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
    /// The observed disagreement, in units of the level's squared difference; `None` also where that is above 1.8e308.
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
    /// The number of bootstrap rounds behind the interval. Rounds that draw items without any disagreement to be expected have no alpha and do
    /// not count; with less than half of the rounds left there is no interval.
    pub bootstrap: usize,
}

/// Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; 2019, chapter 12).
///
/// `alpha = 1 - D_o / D_e`. With `m_u` ratings of item `u`, `n` ratings in all items that have two or more, and the squared difference
/// `d(a, b)` of the level: `D_o = 1/n sum_u 1/(m_u - 1) sum_{i != j in u} d`, `D_e = 1/(n (n - 1)) sum_{i != j} d`. Items with one rating
/// do not count. Time is linear in the ratings, except for ratio and bipolar, where it also grows with the square of the number
/// of distinct values (at most 20,000); memory is linear. A round of the bootstrap costs as much as alpha itself, or one draw a pair;
/// with up to 1,000 items as many alphas are added for the acceleration.
///
/// Errors: `unsupported` for weighted raters; `duplicate_entry`; `invalid_argument` for a level above nominal on texts without a domain,
/// for values that a ratio or bipolar level does not allow, and for bad options; `too_large` for more than 20,000 distinct values at a ratio or bipolar
/// level, more than 2^24 kinds of pairs where pairs are resampled, or more than ten million rounds.
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
    let cancel = Cancel::current();
    let scale = Scale::new(data, options.level)?;
    let items = (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1).count();
    let parts = disagreement(data, &scale, None, None, &cancel);
    cancel.check()?;
    let reported = |x: f64| if items > 0 { scale.reported(x) } else { None };
    let mut out = Alpha {
        value: parts.alpha(),
        undefined: None,
        low: None,
        high: None,
        observed: reported(parts.observed),
        expected: reported(parts.expected),
        level: options.level,
        items,
        raters: data.n_raters(),
        ratings: parts.n as usize,
        bootstrap: 0,
    };
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
        let (interval, rounds) = bootstrap::interval(data, &scale, &parts, items, options, &cancel)?;
        (out.low, out.high, out.bootstrap) = (interval.map(|i| i.0), interval.map(|i| i.1), rounds);
    }
    Ok(out)
}

/// The level with the numbers of the categories at hand.
pub(super) struct Scale {
    level: Level,
    /// Of the categories: what differences are taken of (interval, in a unit of its own; ratio and bipolar, likewise), or the place on the circle
    /// as a share of the whole (circular).
    x: Vec<f64>,
    /// Interval: what leads back to the unit of the values.
    centred: Option<Centred>,
    /// Bipolar: the distance of the poles, in the unit of `x`.
    width: f64,
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
        let mut scale = Scale { level, x: Vec::new(), centred: None, width: 0.0 };
        match level {
            Level::Nominal => return Ok(scale),
            Level::Ordinal if data.is_ordered() => return Ok(scale),
            Level::Ordinal => {
                return Err(Error::invalid(
                    "the values are texts without an order; give a domain that lists them in order",
                ));
            }
            _ => {}
        }
        let x = data.numeric_categories()?;
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        match level {
            Level::Nominal | Level::Ordinal => {}
            Level::Interval => scale.centred = Some(Centred::new(&x)),
            Level::Ratio => {
                if low < 0.0 {
                    return Err(Error::invalid(format!(
                        "a ratio level needs values of 0 or more; the smallest is {low}"
                    )));
                }
                check::at_most(x.len(), MAX_VALUES, "different values at a ratio level")?;
                let unit = unit_of(high);
                scale.x = x.iter().map(|v| v * unit).collect();
            }
            Level::Circular { circumference } => {
                // Halves, so that no difference is above the largest number.
                let half = circumference.map_or(high / 2.0 - low / 2.0 + 0.5, |c| c / 2.0);
                scale.x = x.iter().map(|v| (v / 2.0 - x[0] / 2.0) % half / half).collect();
            }
            Level::Bipolar { poles } => {
                let (from, to) = poles.unwrap_or((low, high));
                if low < from || high > to {
                    return Err(Error::invalid(format!(
                        "values from {low} to {high} do not lie between the poles {from} and {to}"
                    )));
                }
                check::at_most(x.len(), MAX_VALUES, "different values at a bipolar level")?;
                let unit = unit_of(to / 2.0 - from / 2.0);
                scale.x = x.iter().map(|v| v * unit - from * unit).collect();
                scale.width = to * unit - from * unit;
            }
        }
        Ok(scale)
    }

    /// A disagreement in the unit of the values.
    fn reported(&self, disagreement: f64) -> Option<f64> {
        match &self.centred {
            Some(centred) => centred.squared(disagreement),
            None => Some(disagreement),
        }
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
            Level::Circular { .. } => squares_or_zero((PI * (self.x[i] - self.x[j])).sin().powi(2), 1.0),
            Level::Bipolar { .. } => {
                let (a, b) = (self.x[i], self.x[j]);
                (a - b).powi(2) / ((a + b) * (2.0 * self.width - a - b))
            }
        }
    }

    /// The numbers whose squared differences the level takes, centred; empty for other levels.
    fn positions(&self, counts: &[f64], n: f64) -> Vec<f64> {
        let mut at: Vec<f64> = match (&self.centred, self.level) {
            (Some(centred), _) => centred.x.clone(),
            // The middle rank of each category, so that differences are counts of ratings between the middles.
            (None, Level::Ordinal) => counts
                .iter()
                .scan(0.0, |below, &c| {
                    *below += c;
                    Some(*below - c / 2.0)
                })
                .collect(),
            _ => return Vec::new(),
        };
        let mean = at.iter().zip(counts).map(|(x, c)| x * c).sum::<f64>() / n;
        at.iter_mut().for_each(|x| *x -= mean);
        at
    }
}

/// What each item adds to the observed disagreement, where that does not depend on the other items: at every level but the ordinal one.
pub(super) fn of_items(data: &Ratings, scale: &Scale, parts: &Parts) -> Option<Vec<f64>> {
    if scale.level == Level::Ordinal {
        return None;
    }
    let mut seen = Seen { counts: vec![0; data.n_categories()], codes: Vec::new() };
    let own = |i: usize| {
        let codes = data.item_codes(i);
        if codes.len() < 2 {
            return 0.0;
        }
        within(codes, scale, &parts.positions, &mut seen) / (codes.len() as f64 - 1.0)
    };
    Some((0..data.n_items()).map(own).collect())
}

/// Both disagreements, each item counted `times` over (once when `None`); `own` is [`of_items`], where it is at hand. Once `cancel` is raised
/// the result is of no use.
pub(super) fn disagreement(
    data: &Ratings,
    scale: &Scale,
    times: Option<&[u32]>,
    own: Option<&[f64]>,
    cancel: &Cancel,
) -> Parts {
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
    let mut seen = Seen { counts: vec![0; counts.len()], codes: Vec::new() };
    let mut observed = 0.0;
    for i in 0..data.n_items() {
        let (codes, t) = (data.item_codes(i), times(i));
        if codes.len() > 1 && t > 0.0 {
            if i % 1024 == 0 && cancel.is_cancelled() {
                break;
            }
            observed += t * match own {
                Some(own) => own[i],
                None => within(codes, scale, &positions, &mut seen) / (codes.len() as f64 - 1.0),
            };
        }
    }
    // One value alone has nothing to disagree with, whatever rounding says.
    let alone = counts.iter().filter(|c| **c > 0.0).count() < 2;
    let expected = if alone { 0.0 } else { between(&counts, n, scale, &positions, cancel) };
    Parts { observed: observed / n, expected: expected / (n * (n - 1.0)), n, positions }
}

/// How often each category is among the ratings of one item; all 0 between items.
struct Seen {
    counts: Vec<u32>,
    codes: Vec<u32>,
}

/// The sum of the squared differences over the ordered pairs of ratings of one item.
fn within(codes: &[u32], scale: &Scale, positions: &[f64], seen: &mut Seen) -> f64 {
    let m = codes.len() as f64;
    match scale.level {
        Level::Nominal => {
            let mut alike = 0u64;
            for &c in codes {
                alike += u64::from(seen.counts[c as usize]);
                seen.counts[c as usize] += 1;
            }
            codes.iter().for_each(|&c| seen.counts[c as usize] = 0);
            m * (m - 1.0) - 2.0 * alike as f64
        }
        Level::Ordinal | Level::Interval => {
            let mean = codes.iter().map(|&c| positions[c as usize]).sum::<f64>() / m;
            2.0 * m * codes.iter().map(|&c| (positions[c as usize] - mean).powi(2)).sum::<f64>()
        }
        Level::Circular { .. } => on_circle(codes.iter().map(|&c| (scale.x[c as usize], 1.0)), m),
        Level::Ratio | Level::Bipolar { .. } => {
            // Over the different values of the item, so that many equal ratings cost no more than one.
            seen.codes.clear();
            for &c in codes {
                if seen.counts[c as usize] == 0 {
                    seen.codes.push(c);
                }
                seen.counts[c as usize] += 1;
            }
            let mut sum = 0.0;
            for (k, &a) in seen.codes.iter().enumerate() {
                let row: f64 = seen.codes[..k]
                    .iter()
                    .map(|&b| {
                        f64::from(seen.counts[b as usize])
                            * scale.difference(a as usize, b as usize, positions)
                    })
                    .sum();
                sum += f64::from(seen.counts[a as usize]) * row;
            }
            seen.codes.iter().for_each(|&c| seen.counts[c as usize] = 0);
            2.0 * sum
        }
    }
}

/// The sum of the squared differences over the ordered pairs of all `n` ratings.
fn between(counts: &[f64], n: f64, scale: &Scale, positions: &[f64], cancel: &Cancel) -> f64 {
    match scale.level {
        Level::Nominal => counts.iter().map(|c| c * (n - c)).sum(),
        // The positions are centred on the mean of the ratings.
        Level::Ordinal | Level::Interval => {
            2.0 * n * positions.iter().zip(counts).map(|(x, c)| c * x * x).sum::<f64>()
        }
        Level::Circular { .. } => on_circle(scale.x.iter().copied().zip(counts.iter().copied()), n),
        Level::Ratio | Level::Bipolar { .. } => {
            let used: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 0.0).collect();
            let mut sum = 0.0;
            for (k, &i) in used.iter().enumerate() {
                if cancel.is_cancelled() {
                    break;
                }
                let row: f64 = used[..k].iter().map(|&j| counts[j] * scale.difference(i, j, positions)).sum();
                sum += counts[i] * row;
            }
            2.0 * sum
        }
    }
}

/// The sum of `sin^2(pi (s - t))` over the ordered pairs of `n` places on a circle, each given with its count, in linear time.
///
/// As `sin^2(d / 2) = (1 - cos d) / 2`, the sum is `(n^2 - R^2) / 2` with `R` the length of the sum of the `n` unit vectors. `n - R` is the sum
/// of `1 - cos` of the angles to the mean direction, without the difference of two large numbers.
fn on_circle(places: impl Iterator<Item = (f64, f64)> + Clone, n: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (t, count) in places.clone() {
        let (s, c) = (2.0 * PI * t).sin_cos();
        sine += count * s;
        cosine += count * c;
    }
    let mean = sine.atan2(cosine);
    let short: f64 = places.map(|(t, count)| count * 2.0 * (PI * t - mean / 2.0).sin().powi(2)).sum();
    let short = squares_or_zero(short, n);
    short * (2.0 * n - short) / 2.0
}
