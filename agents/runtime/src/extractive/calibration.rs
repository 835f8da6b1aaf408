//! What do signals and evidence weigh?
//!
//! The numbers were fitted by `examples/extract_eval` (mode `fit`) on one half of the questions of XQuAD, SciFact,
//! PubMedQA and MedQuAD; what its mode `measure` reports is the other half. Questions of one collection that are asked of
//! another, and those whose document was taken away, stand for questions without an answer.

use quorate_core::embed::StaticModel;
use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::signals::{EVIDENCE, Evidence, SIGNALS, Signals};

/// What an aim takes from a sentence's score. Set by hand: questions of studies are repeated by their aims, and the
/// collections know only the right document.
const AIM: f64 = 1.5;

/// What each signal of a sentence counts, in the order of [`Signals::values`].
pub(super) struct Weights([f64; SIGNALS]);

impl Weights {
    /// For the built-in model.
    const DENSE: Weights =
        Weights([4.61, 1.12, 1.85, 0.42, 0.78, 1.71, 0.78, 0.35, 1.63, 1.45, 0.31, 1.09, 0.22, -0.12]);

    /// For transformers.
    const TRANSFORMER: Weights =
        Weights([2.54, 2.09, 3.11, -1.37, 0.4, 2.63, 1.18, 0.95, 1.77, 0.6, -0.52, 0.27, 0.34, 0.36]);

    /// The weights for the embedder with this id.
    pub(super) fn of(embedder: &str) -> &'static Weights {
        if embedder.starts_with(StaticModel::BUILTIN) { &Self::DENSE } else { &Self::TRANSFORMER }
    }

    pub(super) fn score(&self, signals: &Signals) -> f64 {
        self.0.iter().zip(signals.values()).map(|(w, x)| w * x).sum::<f64>() - AIM * signals.aim
    }
}

/// The numbers that turn evidence into the probability that the passages answer, as many questions having an answer as
/// not. They belong to the embedder whose cosines they were fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerCalibration {
    /// Intercept of the log-odds.
    pub intercept: f64,
    /// Slopes of the log-odds in [`Evidence::values`].
    pub slopes: [f64; EVIDENCE],
}

impl AnswerCalibration {
    /// For the built-in model.
    pub const BUILTIN: AnswerCalibration = AnswerCalibration {
        intercept: -6.34,
        slopes: [1.44, 2.59, -0.93, -1.07, -0.7, 2.03, 0.19, 1.29, 4.31, 5.94, 0.49, 0.4],
    };

    /// For all-MiniLM-L6-v2.
    pub const MINILM: AnswerCalibration = AnswerCalibration {
        intercept: -7.42,
        slopes: [0.31, 2.28, -0.53, -1.32, -0.58, 1.37, -0.93, 1.79, 6.39, 8.27, -0.16, 0.36],
    };

    /// By words alone, for an embedder that is not known.
    pub const LEXICAL: AnswerCalibration = AnswerCalibration {
        intercept: -5.39,
        slopes: [1.91, 2.81, 0.36, -0.67, -1.0, 2.62, 1.24, 2.17, 3.5, 0.0, 0.0, 1.05],
    };

    /// What ships for the embedder with this id.
    pub fn of(embedder: &str) -> Self {
        KNOWN
            .iter()
            .find(|(known, _)| *known == embedder)
            .map_or(Self::LEXICAL, |(_, calibration)| *calibration)
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
const KNOWN: &[(&str, AnswerCalibration)] = &[
    ("builtin:f710f989ccb6684a7af6c60cde76cdf9", AnswerCalibration::BUILTIN),
    ("bert-384-f32-83d68e91ad546ade60935a3ceecb3e9f", AnswerCalibration::MINILM),
];
