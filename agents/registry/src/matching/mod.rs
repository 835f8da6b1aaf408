//! Which agents fit a question, how well, and why?
//!
//! Hard constraints come first, as a bitmap. Among the admitted, each agent gets a dense score (its description, the
//! centroid of its example questions, and the mean of the examples nearest to the question, mixed by
//! [`Tuning`]), a lexical one (the share of the question's BM25 weight that the agent's words cover), and one for its
//! topics (the share of the question's weight that they hold, and how much nearer the nearest is than the rest of the
//! definition). Their sum, corrected by what was learnt from outcomes, ranks the agents; a calibrated confidence says
//! what to make of it.

mod bandit;
mod bounds;
mod confidence;
pub(crate) mod entry;
pub(crate) mod index;
mod lexical;
mod search;
mod topics;
mod words;

pub(crate) use bandit::{Arm, Projection};
pub use bandit::{LinearBandit, Policy};
pub use confidence::{Calibration, Evidence, Labelled};
pub(crate) use lexical::{ByTerm, Term, each_term, hash, idf};
pub(crate) use search::{Learnt, Ranking, rank, search};
pub(crate) use topics::Asked;

use std::sync::Arc;

use quorate_core::filter::Filter;
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::Agent;
use crate::check::check_tenant;
use crate::language::is_tag;
use crate::text::shown;

/// What a match must and may do.
///
/// ```
/// use quorate_agents::MatchOptions;
/// let options = MatchOptions { require: vec!["regulatory.fda".into()], max_cost: Some(0.05), ..Default::default() };
/// assert!(options.validate().is_ok());
/// assert!(MatchOptions { max_cost: Some(-1.0), ..Default::default() }.validate().is_err());
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchOptions {
    /// How many agents to return at most, 1 to 10,000.
    pub k: usize,
    /// A condition on the agents' fields, such as `latency = 'interactive' AND tags CONTAINS 'ecg'`. A capability
    /// list contains the ancestors too: `capabilities CONTAINS 'regulatory.fda'`.
    #[serde(skip)]
    pub filter: Option<Filter>,
    /// Capabilities that an agent must have, each itself or by a descendant.
    pub require: Vec<String>,
    /// Largest cost of a call, in US dollars.
    pub max_cost: Option<f64>,
    /// A language that the agent must answer in, as a language range of RFC 4647 such as `en`, `zh-Hant`, `de-*-AT` or `*`.
    /// What the agent names may be narrower (extended filtering: `zh-TW` is met by `zh-Hant-TW`) or what the range falls
    /// back to (lookup: `en-GB` is met by `en`), but no other branch (`zh-Hant` is not met by `zh-Hans`).
    pub language: Option<String>,
    /// The permissions that the caller holds: agents that need others are left out. `None`: the caller may use all.
    pub permissions: Option<Vec<String>>,
    /// On whose behalf: private agents of other tenants do not exist for it. `None`: shared and public agents only.
    pub tenant: Option<String>,
    /// Return nothing, never a guess, when nothing is confident: see
    /// [`min_confidence`](MatchOptions::min_confidence).
    pub abstain: bool,
    /// When [`abstain`](MatchOptions::abstain) is set: the least probability, 0 to 1, with which the right agent is
    /// among those returned. It is the sum of their confidences, so it grows with `k`.
    pub min_confidence: f64,
    /// Whether outcomes take part in the ranking.
    pub learn: bool,
}

impl Default for MatchOptions {
    fn default() -> Self {
        MatchOptions {
            k: 5,
            filter: None,
            require: Vec::new(),
            max_cost: None,
            language: None,
            permissions: None,
            tenant: None,
            abstain: false,
            min_confidence: DEFAULT_MIN_CONFIDENCE,
            learn: true,
        }
    }
}

/// Below this probability it is likelier that the question is nobody's.
pub const DEFAULT_MIN_CONFIDENCE: f64 = 0.5;

/// Largest [`MatchOptions::k`].
pub const MAX_MATCHES: usize = 10_000;

/// Most capabilities that can be required, and most permissions that can be held.
const MAX_NAMES: usize = 10_000;

impl MatchOptions {
    /// Checks the values. Errors: `invalid_argument`, `too_large`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_MATCHES).contains(&self.k) {
            return Err(Error::invalid(format!("k is {}, expected 1 to {MAX_MATCHES}", self.k)));
        }
        if let Some(cost) = self.max_cost
            && !(cost.is_finite() && cost >= 0.0)
        {
            return Err(Error::invalid(format!("max_cost is {cost}, expected US dollars, 0 or more")));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err(Error::invalid(format!(
                "min_confidence is {}, expected 0 to 1",
                self.min_confidence
            )));
        }
        if let Some(range) = &self.language
            && range != "*"
            && !is_tag(&range.split('-').filter(|subtag| *subtag != "*").collect::<Vec<_>>().join("-"))
        {
            return Err(Error::invalid(format!(
                "language is '{}', expected a range such as 'en', 'zh-Hant' or '*'",
                shown(range)
            )));
        }
        if let Some(what) = self.tenant.as_deref().and_then(|tenant| check_tenant(tenant).err()) {
            return Err(Error::invalid(format!("tenant: {what}")));
        }
        for (what, names) in [("require", Some(&self.require)), ("permissions", self.permissions.as_ref())] {
            if let Some(names) = names.filter(|names| names.len() > MAX_NAMES) {
                return Err(Error::new(
                    Code::TooLarge,
                    format!("{what} has {} names, {MAX_NAMES} are possible", names.len()),
                ));
            }
        }
        Ok(())
    }
}

/// How the parts of a score are mixed.
///
/// The defaults were chosen on the training and validation parts of CLINC150 and on the healthcare catalogue, each
/// of whose example questions was left out in turn; no test part was used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Share of the centroid in the similarity to examples; the rest belongs to the nearest examples. 0 to 1.
    pub centroid_share: f32,
    /// How many nearest examples are averaged at most, 1 to 64; one for each 8 that an agent has.
    pub nearest: usize,
    /// A full description weighs as much as this many examples, a mere label less, and at most as much as all of
    /// them. Above 0.
    pub description_pull: f32,
    /// Weight of the lexical share for an agent with many examples, 0 or more.
    pub lexical: f32,
    /// How much larger that weight is, as a multiple, for an agent with a full description and no examples; in
    /// between by the description's share. 0 or more.
    pub lexical_lift: f32,
    /// Weight of the share of the question that an agent's topics hold by words, 0 or more.
    pub topic_words: f32,
    /// Weight of what the nearest topic is nearer to the question than the rest of the definition, 0 or more.
    pub topic_nearest: f32,
    /// What doubling an agent's [`weight`](Agent::weight) adds to its score. Weights below 1/1024 count as that.
    pub weight_step: f32,
    /// Largest change of a score that outcomes can bring about.
    pub learning: f32,
    /// Outcomes after which half of that change is allowed.
    pub learning_pace: f32,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            centroid_share: 0.5,
            nearest: 3,
            description_pull: 5.0,
            lexical: 0.2,
            lexical_lift: 10.0,
            topic_words: 0.4,
            topic_nearest: 0.4,
            weight_step: 0.02,
            learning: 0.2,
            learning_pace: 5.0,
        }
    }
}

impl Tuning {
    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let good = (0.0..=1.0).contains(&self.centroid_share)
            && (1..=64).contains(&self.nearest)
            && self.description_pull.is_finite()
            && self.description_pull > 0.0
            && [
                self.lexical,
                self.lexical_lift,
                self.topic_words,
                self.topic_nearest,
                self.weight_step,
                self.learning,
            ]
            .iter()
            .all(|x| x.is_finite() && *x >= 0.0)
            && self.learning_pace.is_finite()
            && self.learning_pace > 0.0;
        if good {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "tuning: {self:?}; expected centroid_share 0 to 1, nearest 1 to 64, description_pull and learning_pace \
             above 0, the others 0 or more"
        )))
    }
}

/// An agent that fits a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The agent.
    #[serde(with = "shared")]
    pub agent: Arc<Agent>,
    /// What the ranking goes by: dense and lexical part, topics, weight and learning. Comparable within one answer.
    pub score: f64,
    /// Probability, 0 to 1, that this agent is the right one. It does not depend on how many matches were asked for.
    pub confidence: f64,
    pub(crate) explanation: Explanation,
}

/// A shared agent is written like one of its own.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Agent;

    pub(super) fn serialize<S: Serializer>(agent: &Arc<Agent>, to: S) -> Result<S::Ok, S::Error> {
        (**agent).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Agent>, D::Error> {
        Agent::deserialize(from).map(Arc::new)
    }
}

impl Match {
    /// Where the score comes from.
    pub fn explain(&self) -> &Explanation {
        &self.explanation
    }
}

/// Where a score comes from. `dense + lexical + topics + weight + learning` is the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Weighted similarity of the question to description, centroid and nearest examples.
    pub dense: f64,
    /// Cosine with name and summary, and its weight.
    pub description: Part,
    /// Cosine with the centroid of the examples, and its weight.
    pub centroid: Part,
    /// Mean cosine with the nearest examples, and its weight.
    pub nearest: Part,
    /// The example that is nearest to the question, and its cosine.
    pub best_example: Option<(String, f64)>,
    /// What the agent's words add.
    pub lexical: f64,
    /// The share of the question's BM25 weight that the agent's words cover, and its weight.
    pub coverage: Part,
    /// The words of the question that the agent uses, each with its part of the coverage.
    pub words: Vec<(String, f64)>,
    /// What the agent's topics add.
    #[serde(default)]
    pub topics: f64,
    /// The share of the question's weight that the topics hold by words, and its weight.
    #[serde(default)]
    pub topic_words: Part,
    /// What the nearest topic is nearer to the question than the rest of the definition, and its weight.
    #[serde(default)]
    pub topic_nearest: Part,
    /// The topic that is nearest to the question, and its cosine.
    #[serde(default)]
    pub best_topic: Option<(String, f64)>,
    /// What the agent's weight adds.
    pub weight: f64,
    /// What outcomes add.
    pub learning: f64,
    /// Outcomes recorded for this agent and tenant.
    pub outcomes: u64,
    /// What the probability of being in scope is computed from; the same for all matches of an answer.
    pub evidence: Evidence,
    /// Probability that the question lies within the scope of any agent.
    pub in_scope: f64,
    /// Probability that it is this agent's, given that it is any's.
    pub share: f64,
    /// How many agents met the hard constraints.
    pub admitted: usize,
}

/// A term of a weighted sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The value.
    pub value: f64,
    /// Its weight.
    pub weight: f64,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "dense {:.4} = {:.4} x description {:.4} + {:.4} x centroid {:.4} + {:.4} x nearest examples {:.4}",
            self.dense,
            self.description.weight,
            self.description.value,
            self.centroid.weight,
            self.centroid.value,
            self.nearest.weight,
            self.nearest.value,
        )?;
        if let Some((example, cosine)) = &self.best_example {
            writeln!(f, "nearest example {cosine:.4}: {example}")?;
        }
        let words: Vec<String> = self.words.iter().map(|(w, share)| format!("{w} {share:.3}")).collect();
        writeln!(
            f,
            "lexical {:.4} = {:.2} x coverage {:.4} ({})",
            self.lexical,
            self.coverage.weight,
            self.coverage.value,
            words.join(", ")
        )?;
        if let Some((topic, cosine)) = &self.best_topic {
            writeln!(
                f,
                "topics {:.4} = {:.2} x words {:.4} + {:.2} x nearer {:.4} (nearest {cosine:.4}: {topic})",
                self.topics,
                self.topic_words.weight,
                self.topic_words.value,
                self.topic_nearest.weight,
                self.topic_nearest.value,
            )?;
        }
        writeln!(
            f,
            "weight {:+.4}, learning {:+.4} from {} outcomes",
            self.weight, self.learning, self.outcomes
        )?;
        let e = self.evidence;
        write!(
            f,
            "in scope {:.3} from dense {:.4}, lexical {:.4}, company {:.4}, few examples {:.2}",
            self.in_scope, e.dense, e.lexical, e.company, e.few
        )?;
        match e.outside {
            Some(outside) => writeln!(f, ", nearest question that is stated to be nobody's {outside:.4}")?,
            None => writeln!(f)?,
        }
        write!(
            f,
            "confidence {:.3} = in scope {:.3} x share {:.3}, among {} admitted agents",
            self.in_scope * self.share,
            self.in_scope,
            self.share,
            self.admitted
        )
    }
}
