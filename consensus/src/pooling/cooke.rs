//! Which experts deserve weight, judged by questions whose answers are known?

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::gamma_ur;

use crate::check;

/// The scale on which an expert's uncertainty about a quantity is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// The quantity itself (default).
    #[default]
    Uniform,
    /// Its logarithm, for quantities that span orders of magnitude; every number must be positive.
    LogUniform,
}

/// Options of [`cooke_weights`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CookeConfig {
    /// The probabilities at which experts gave quantiles, increasing, within (0, 1). Default .05, .5, .95.
    pub probabilities: Vec<f64>,
    /// Experts whose calibration is below this get weight 0. Default 0.
    pub cutoff: f64,
    /// How far the intrinsic range goes beyond the outermost quantile or answer, as a share of its width. Default 0.1.
    pub overshoot: f64,
    /// The scale of every seed question.
    pub background: Background,
}

impl Default for CookeConfig {
    fn default() -> Self {
        CookeConfig {
            probabilities: vec![0.05, 0.5, 0.95],
            cutoff: 0.0,
            overshoot: 0.1,
            background: Background::Uniform,
        }
    }
}

impl CookeConfig {
    /// Errors: `invalid_argument`, `not_finite`, `empty_input`.
    pub fn validate(&self) -> Result<()> {
        check::not_empty(self.probabilities.len(), "quantile probabilities")?;
        for &p in &self.probabilities {
            check::finite(p, "a quantile probability")?;
        }
        let inside = self.probabilities.iter().all(|&p| p > 0.0 && p < 1.0);
        if !inside || self.probabilities.windows(2).any(|w| w[0] >= w[1]) {
            return Err(Error::invalid("quantile probabilities must increase within (0, 1)"));
        }
        check::within(self.cutoff, 0.0, 1.0, "cutoff")?;
        check::finite(self.overshoot, "overshoot")?;
        if self.overshoot <= 0.0 {
            return Err(Error::invalid("overshoot must be positive"));
        }
        Ok(())
    }
}

/// The result of [`cooke_weights`], one entry per expert in each list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CookeWeights {
    /// Normalised weights: calibration times information above the cut-off, divided by their sum.
    pub weights: Vec<f64>,
    /// The p-value of "this expert's quantiles are right": 1 is perfectly calibrated.
    pub calibration: Vec<f64>,
    /// Mean relative information over the seed questions, in nats: larger is more precise.
    pub information: Vec<f64>,
    /// How many answers fell into each interquantile interval: experts x (quantiles + 1).
    pub hits: Vec<Vec<usize>>,
}

/// Performance weights of Cooke's classical model (Cooke 1991).
///
/// `seeds[expert][question]` holds the expert's quantiles of a quantity whose true value is `answers[question]`.
/// With `B` interquantile intervals of theoretical mass `p_b` and empirical hit shares `s_b` over `N` answers (an
/// answer equal to a quantile falls in the lower interval):
///
/// ```text
/// calibration = P(chi-square with B - 1 df >= 2 N sum of s_b ln(s_b / p_b))
/// information = mean over questions of  ln(range) + sum of p_b ln(p_b / width_b)
/// weight      = calibration * information, if calibration >= cutoff
/// ```
///
/// The range of a question goes from the least to the greatest of all quantiles and the answer, plus the overshoot
/// on both sides. The weight is an asymptotically strictly proper scoring rule. At least ten seed questions are the
/// rule of the field; with few, calibration can hardly tell experts apart.
///
/// ```
/// use quorate_consensus::pooling::{cooke_weights, CookeConfig};
/// let good = [[8.0, 10.0, 12.0], [18.0, 20.0, 22.0], [28.0, 30.0, 32.0], [38.0, 40.0, 42.0]];
/// let overconfident = [[1.0, 1.1, 1.2], [2.0, 2.1, 2.2], [3.0, 3.1, 3.2], [4.0, 4.1, 4.2]];
/// let w = cooke_weights(&[good, overconfident], &[9.0, 21.0, 29.0, 41.0], &CookeConfig::default())?;
/// assert!(w.weights[0] > 0.999);
/// assert_eq!(w.hits[0], [0, 2, 2, 0]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input`, `invalid_shape`, `not_finite`; `invalid_argument` when quantiles do not increase or a
/// logarithmic scale meets a number that is not positive; `undefined` when no expert has weight.
pub fn cooke_weights<E, Q>(seeds: &[E], answers: &[f64], config: &CookeConfig) -> Result<CookeWeights>
where
    E: AsRef<[Q]>,
    Q: AsRef<[f64]>,
{
    config.validate()?;
    check::not_empty(seeds.len(), "experts")?;
    check::not_empty(answers.len(), "seed questions")?;
    let scale = |x: f64, what: &dyn std::fmt::Display| -> Result<f64> {
        check::finite(x, what)?;
        match config.background {
            Background::Uniform => Ok(x),
            Background::LogUniform if x > 0.0 => Ok(x.ln()),
            Background::LogUniform => {
                Err(Error::invalid(format!("{what} is {x}; a logarithmic scale needs positive numbers")))
            }
        }
    };
    let q = config.probabilities.len();
    let mut masses = Vec::with_capacity(q + 1);
    let mut below = 0.0;
    for &p in config.probabilities.iter().chain([&1.0]) {
        masses.push(p - below);
        below = p;
    }
    let answers: Vec<f64> = answers
        .iter()
        .enumerate()
        .map(|(s, &x)| scale(x, &format_args!("answer {s}")))
        .collect::<Result<_>>()?;
    // quantiles[expert][question * q ..]
    let mut quantiles = Vec::with_capacity(seeds.len());
    for (e, expert) in seeds.iter().enumerate() {
        let expert = expert.as_ref();
        check::same_length(expert.len(), answers.len(), "assessments", "answers")
            .map_err(|err| err.context(format_args!("expert {e}")))?;
        let mut flat = Vec::with_capacity(answers.len() * q);
        for (s, given) in expert.iter().enumerate() {
            let given = given.as_ref();
            check::same_length(given.len(), q, "quantiles", "quantile probabilities")
                .map_err(|err| err.context(format_args!("expert {e}, question {s}")))?;
            for &x in given {
                flat.push(scale(x, &format_args!("a quantile of expert {e}, question {s}"))?);
            }
            if flat[s * q..].windows(2).any(|w| w[0] >= w[1]) {
                return Err(Error::invalid(format!(
                    "the quantiles of expert {e}, question {s} do not increase"
                )));
            }
        }
        quantiles.push(flat);
    }
    let ranges: Vec<(f64, f64, f64)> = answers
        .iter()
        .enumerate()
        .map(|(s, &x)| {
            let (low, high) =
                quantiles.iter().fold((x, x), |(l, h), f| (l.min(f[s * q]), h.max(f[s * q + q - 1])));
            // The overshoot stays apart: added to large numbers it could vanish.
            (low, high, config.overshoot * (high - low))
        })
        .collect();
    for (s, (low, high, margin)) in ranges.iter().enumerate() {
        check::finite(high - low + 2.0 * margin, format_args!("the range of question {s}"))?;
    }
    if let Some(s) = ranges.iter().position(|(_, _, margin)| *margin <= 0.0) {
        return Err(Error::invalid(format!(
            "every quantile and the answer of question {s} are the same number, or their overshoot vanishes"
        )));
    }

    let (mut calibration, mut information, mut hits) = (Vec::new(), Vec::new(), Vec::new());
    for flat in &quantiles {
        let mut hit = vec![0usize; q + 1];
        let mut info = 0.0;
        for (s, &x) in answers.iter().enumerate() {
            let given = &flat[s * q..(s + 1) * q];
            hit[given.iter().filter(|&&g| x > g).count()] += 1;
            let (low, high, margin) = ranges[s];
            info += (high - low + 2.0 * margin).ln();
            let widths = std::iter::once(given[0] - low + margin)
                .chain(given.windows(2).map(|w| w[1] - w[0]))
                .chain([high - given[q - 1] + margin]);
            info += masses.iter().zip(widths).map(|(mass, width)| mass * (mass / width).ln()).sum::<f64>();
        }
        let n = answers.len() as f64;
        let divergence: f64 = hit
            .iter()
            .zip(&masses)
            .filter(|(h, _)| **h > 0)
            .map(|(&h, &p)| h as f64 / n * (h as f64 / n / p).ln())
            .sum();
        let statistic = 2.0 * n * divergence;
        calibration.push(if statistic > 0.0 { gamma_ur(q as f64 / 2.0, statistic / 2.0) } else { 1.0 });
        information.push(info / n);
        hits.push(hit);
    }
    let raw: Vec<f64> = calibration
        .iter()
        .zip(&information)
        .map(|(&c, &i)| if c >= config.cutoff { c * i } else { 0.0 })
        .collect();
    let sum: f64 = raw.iter().sum();
    if sum <= 0.0 {
        return Err(Error::new(
            Code::Undefined,
            format!("no expert's calibration reaches the cut-off {}; lower it", config.cutoff),
        ));
    }
    Ok(CookeWeights { weights: raw.iter().map(|r| r / sum).collect(), calibration, information, hits })
}
