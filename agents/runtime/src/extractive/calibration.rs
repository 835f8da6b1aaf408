//! What do signals and evidence weigh?
//!
//! The numbers were fitted by `examples/extract_eval.rs` on one half of the questions of its collections; what it
//! reports is measured on the other half.

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::signals::{EVIDENCE, Evidence, SIGNALS, Signals};

/// What each signal of a sentence counts, in the order of [`Signals::values`].
pub(super) struct Weights([f64; SIGNALS]);

impl Weights {
    /// With an embedder.
    pub(super) const DENSE: Weights =
        Weights([3.0, 1.0, 1.0, 0.5, 1.0, 0.6, 0.3, 1.0, 0.8, 1.0, 0.0, 0.5, 0.2]);

    /// Without.
    pub(super) const LEXICAL: Weights =
        Weights([4.0, 1.0, 1.0, 0.5, 1.0, 0.0, 0.0, 1.0, 0.8, 1.0, 0.0, 0.5, 0.2]);

    pub(super) fn score(&self, signals: &Signals) -> f64 {
        self.0.iter().zip(signals.values()).map(|(w, x)| w * x).sum()
    }
}

/// The numbers that turn evidence into the probability that the passages answer. They belong to the embedder whose
/// cosines they were fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerCalibration {
    /// Intercept of the log-odds.
    pub intercept: f64,
    /// Slopes of the log-odds in [`Evidence::values`].
    pub slopes: [f64; EVIDENCE],
}

impl AnswerCalibration {
    /// For the built-in model.
    pub const BUILTIN: AnswerCalibration =
        AnswerCalibration { intercept: -6.0, slopes: [1.0, 2.0, 4.0, -2.0, -2.0, 3.0, 3.0, 0.0] };

    /// For all-MiniLM-L6-v2.
    pub const MINILM: AnswerCalibration =
        AnswerCalibration { intercept: -6.0, slopes: [1.0, 2.0, 4.0, -2.0, -2.0, 3.0, 3.0, 0.0] };

    /// By words alone: without an embedder, and for one that is not known.
    pub const LEXICAL: AnswerCalibration =
        AnswerCalibration { intercept: -4.0, slopes: [1.0, 2.0, 4.0, -2.0, -2.0, 0.0, 0.0, 0.0] };

    /// What ships for the embedder with this id.
    pub fn of(embedder: Option<&str>) -> Self {
        let known =
            |id: &str| KNOWN.iter().find(|(known, _)| *known == id).map(|(_, calibration)| *calibration);
        embedder.and_then(known).unwrap_or(Self::LEXICAL)
    }

    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.intercept.is_finite() && self.slopes.iter().all(|s| s.is_finite()) {
            return Ok(());
        }
        Err(Error::invalid(format!("calibration: {self:?}; expected finite numbers")))
    }

    /// The probability that passages with this evidence answer.
    pub fn confidence(&self, evidence: &Evidence) -> f64 {
        let odds: f64 = self.slopes.iter().zip(evidence.values()).map(|(s, x)| s * x).sum();
        1.0 / (1.0 + (-(self.intercept + odds)).exp())
    }
}

/// Embedders by their fingerprints.
const KNOWN: &[(&str, AnswerCalibration)] = &[];
