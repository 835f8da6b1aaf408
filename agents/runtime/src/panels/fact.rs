//! What happens in a panel?
//!
//! As for runs: each fact is an entry of the journal, and facts tell only what came from outside.

use quorate_core::Result;
use quorate_state::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::{Aggregate, BallotForm, PanelKind, SeedQuestion, Weighting};
use super::seat::Seat;
use crate::budget::{Budget, Spent};
use crate::evidence::Passage;
use crate::fact::{self, Status};

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum PanelFact {
    /// The panel begins, and this is what was asked for.
    Opened(Box<PanelSpec>),
    /// Somebody goes on with it.
    Resumed {
        /// Who is answered for by another model than before, and by which.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<(String, String)>,
    },
    /// What was found for the question.
    Retrieved {
        /// The passages.
        passages: Vec<Passage>,
    },
    /// A member, the chair or the judge has answered, or has not.
    Said {
        /// Which of the asks.
        at: Place,
        /// What it was shown, without the sources.
        prompt: Vec<String>,
        /// What came of it.
        said: Outcome,
        /// What it took.
        #[serde(default)]
        spent: Spent,
        /// Seconds.
        seconds: f64,
    },
    /// Positions in words were grouped by their meaning.
    Grouped {
        /// The stage whose ballots they are of.
        stage: usize,
        /// The label of each ask of it; `None` where there is no position.
        labels: Vec<Option<String>>,
    },
    /// The budget did not allow more.
    Refused {
        /// Which limit.
        by: String,
    },
    /// Something that all depend on has failed.
    Failed {
        /// Why.
        code: String,
        /// In words.
        message: String,
    },
    /// The caller ended the panel.
    Cancelled,
    /// The panel is over.
    Ended {
        /// How.
        status: Status,
    },
}

/// Which of the asks of which stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) stage: usize,
    pub(crate) ask: usize,
}

/// What came of asking somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// An answer of the form asked for.
    Answer {
        /// The answer.
        value: Value,
        /// The model, as the service calls it.
        model: String,
    },
    /// None.
    None {
        /// `late`, `refused`, or the code of an error.
        reason: String,
        /// In words.
        message: String,
    },
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PanelSpec {
    pub(crate) question: String,
    pub(crate) title: String,
    #[serde(rename = "type")]
    pub(crate) kind: PanelKind,
    pub(crate) seats: Vec<Seat>,
    /// The place of the chair among the seats.
    pub(crate) chair: Option<usize>,
    pub(crate) rounds: u32,
    pub(crate) options: Vec<String>,
    pub(crate) scale: Option<(f64, f64)>,
    pub(crate) form: BallotForm,
    pub(crate) quorum: f64,
    pub(crate) anonymous: bool,
    /// The judge's model, and whether it is of another family than the members'.
    pub(crate) judge: Option<(String, bool)>,
    /// Whether the judge's model is its own, and not the runtime's.
    pub(crate) own_judge: bool,
    pub(crate) weights: Weighting,
    pub(crate) aggregate: Option<Aggregate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seeds: Vec<SeedQuestion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) truth: Option<Value>,
    pub(crate) rho: Option<f64>,
    pub(crate) minority_threshold: f64,
    pub(crate) similarity: f64,
    pub(crate) member_seconds: f64,
    /// Whether sources are looked up.
    pub(crate) retrieval: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Value>,
    pub(crate) budget: Budget,
    pub(crate) seed: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// Those of other runs have their own names.
const PREFIX: &str = "panel_";

impl PanelFact {
    /// The fact as an entry of a journal. Errors: as [`fact::written`].
    pub(crate) fn entry(&self, seq: u64, time: f64) -> Result<Entry> {
        fact::written(self, PREFIX, seq, time)
    }

    /// Reads an entry. Errors: `corrupt`.
    pub(crate) fn of(entry: &Entry) -> Result<PanelFact> {
        fact::read(entry, PREFIX)
    }
}
