//! How strong is a consensus, in one word?

use serde::{Deserialize, Serialize};

/// Shares closer than this to a bound lie on it: sums of weights carry rounding error. One voter among a hundred billion is more than that.
const ROUNDING: f64 = 1e-12;

/// The level of consensus, by the weighted share of the leading position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Below 0.4.
    NoConsensus,
    /// From 0.4 to below 0.6.
    Weak,
    /// From 0.6 to below 0.8.
    Moderate,
    /// From 0.8 to below 1.
    Strong,
    /// Exactly 1.
    Unanimous,
}

impl Level {
    /// The level of a share between 0 and 1. A share within 1e-12 of a bound counts as the bound.
    ///
    /// ```
    /// use quorate_consensus::panel::Level;
    /// assert_eq!(Level::of(0.8), Level::Strong);
    /// assert_eq!(Level::of(0.1 + 0.7), Level::Strong); // 0.7999999999999999
    /// assert_eq!(Level::of(0.399), Level::NoConsensus);
    /// ```
    pub fn of(share: f64) -> Self {
        match share + ROUNDING {
            s if s >= 1.0 => Level::Unanimous,
            s if s >= 0.8 => Level::Strong,
            s if s >= 0.6 => Level::Moderate,
            s if s >= 0.4 => Level::Weak,
            _ => Level::NoConsensus,
        }
    }

    /// The name, as in the three languages.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::NoConsensus => "no_consensus",
            Level::Weak => "weak",
            Level::Moderate => "moderate",
            Level::Strong => "strong",
            Level::Unanimous => "unanimous",
        }
    }

    /// The rule that gives the level, in words.
    pub fn rule(self) -> &'static str {
        match self {
            Level::NoConsensus => "support < 0.4",
            Level::Weak => "0.4 <= support < 0.6",
            Level::Moderate => "0.6 <= support < 0.8",
            Level::Strong => "0.8 <= support < 1",
            Level::Unanimous => "support = 1",
        }
    }
}
