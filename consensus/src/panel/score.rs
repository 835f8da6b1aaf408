//! What does a panel decide, how firmly, and who differs?

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Position};
use super::groups::{self, PanelGroups};
use super::kinds::{Judged, judge};
use super::level::Level;
use crate::check::{self, short};
use crate::minority::{Member, MinorityReport, report};
use crate::pooling::wilson;

/// Options of [`score_panel_with`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PanelConfig {
    /// The options that the members could choose from. When empty: those that some ballot of positive weight names.
    /// Chance agreement is `1 / number of options`, so name them all when some got no vote.
    pub options: Vec<String>,
    /// The ends of the scale of numbers; needed for their chance-corrected agreement.
    pub scale: Option<(f64, f64)>,
    /// Numbers within this distance of the weighted median hold the leading position. Default: a tenth of the
    /// scale's width, or a tenth of the absolute median when there is no scale.
    pub tolerance: Option<f64>,
    /// Least cosine similarity of vectors that hold the same position. Default 0.8.
    pub similarity: f64,
    /// Factions below this share of the weight are counted but not listed. Default 0: all are listed.
    pub minority_threshold: f64,
    /// The group of each voter that is in one, such as the model that answers for it: ballots of one group are not independent.
    pub groups: BTreeMap<String, String>,
    /// Intra-class correlation of ballots of one group, 0 to 1. When absent it is estimated from the ballots, and where that
    /// cannot be (fewer than three groups, or all ballots the same) taken to be 1: a group counts as one voter.
    pub rho: Option<f64>,
}

impl Default for PanelConfig {
    fn default() -> Self {
        PanelConfig {
            options: Vec::new(),
            scale: None,
            tolerance: None,
            similarity: 0.8,
            minority_threshold: 0.0,
            groups: BTreeMap::new(),
            rho: None,
        }
    }
}

impl PanelConfig {
    /// Errors: `not_finite`, `invalid_argument`, `duplicate_id` for an option listed twice.
    pub fn validate(&self) -> Result<()> {
        if let Some((low, high)) = self.scale {
            check::finite(low, "the low end of the scale")?;
            check::finite(high, "the high end of the scale")?;
            if low >= high {
                return Err(Error::invalid("the low end of the scale must be below its high end"));
            }
            check::finite(high - low, "the width of the scale")?;
        }
        check::weight(self.tolerance.unwrap_or(0.0), "tolerance")?;
        check::within(self.similarity, -1.0, 1.0, "similarity")?;
        check::within(self.minority_threshold, 0.0, 1.0, "minority_threshold")?;
        check::within(self.rho.unwrap_or(0.0), 0.0, 1.0, "rho")?;
        let mut seen = BTreeSet::new();
        match self.options.iter().find(|o| !seen.insert(o.as_str())) {
            Some(o) => Err(Error::new(Code::DuplicateId, format!("option '{}' is listed twice", short(o)))),
            None => Ok(()),
        }
    }
}

/// What a panel decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// An option.
    Option(String),
    /// A number: the weighted median.
    Number(f64),
    /// The voter whose vector is the medoid of the heaviest cluster.
    Medoid(String),
    /// Several leading positions are level; nothing is decided.
    Tie(Vec<String>),
}

/// A chance-corrected coefficient beside the raw share that it corrects: `(observed - expected) / (1 - expected)`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelAgreement {
    /// The name of the coefficient.
    pub coefficient: &'static str,
    /// The coefficient: 1 = full agreement, 0 = what chance gives. `None` where it is undefined.
    pub value: Option<f64>,
    /// Why `value` is absent.
    pub undefined: Option<String>,
    /// Observed agreement; `None` where that is undefined too.
    pub observed: Option<f64>,
    /// Agreement expected by chance.
    pub expected: Option<f64>,
}

/// An interval for something that the panel estimates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelInterval {
    /// What it is about: `support`, `number` or `probability`.
    pub of: &'static str,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it was made.
    pub method: &'static str,
}

/// The result of [`score_panel`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelScore {
    /// The kind of the ballots: choice, ranking, probability, number or vector.
    pub kind: &'static str,
    /// What the panel decides.
    pub decision: Decision,
    /// The level of consensus, from `support`.
    pub level: Level,
    /// The weighted share of the ballots that hold the leading position.
    pub support: f64,
    /// Agreement among the ballots, raw and corrected for chance.
    pub agreement: PanelAgreement,
    /// Intervals, that of `support` first. That of `number` (the middle half of the ballots) and of `probability` (their range; none on a tie) describe
    /// the ballots and have no confidence level.
    pub intervals: Vec<PanelInterval>,
    /// Every faction with its members.
    pub minority: MinorityReport,
    /// How sure the panel is of its decision, 0 to 1: the weighted mean over all ballots of the confidence that each
    /// gives to the decision, where a ballot for something else gives none. A probability ballot gives its confidence
    /// times the probability of the decision.
    pub confidence: f64,
    /// The number of ballots of positive weight.
    pub voters: usize,
    /// Their weight.
    pub weight: f64,
    /// Kish's effective number of ballots, on which the interval of `support` rests: `(sum w)^2 / sum w^2`, and where groups
    /// are given `(sum w)^2 / sum of w_i w_j rho_ij`, with 1 for `i = j`, `rho` within a group and 0 between.
    pub effective_voters: f64,
    /// The groups of several ballots, and how alike these are; `None` where each ballot is alone.
    pub groups: Option<PanelGroups>,
    /// How the decision was reached, line by line; [`PanelScore::explain`] has it in its place.
    #[serde(skip)]
    pub(super) decided_by: Vec<String>,
    /// The terms of `confidence`: voter, weight, confidence given to the decision.
    #[serde(skip)]
    pub(super) confidence_terms: Vec<(String, f64, f64)>,
}

/// Scores a panel with default options: see [`score_panel_with`].
///
/// ```
/// use quorate_consensus::panel::{score_panel, Ballot, Decision, Level};
/// let ballots = [
///     Ballot::choice("ann", "yes"), Ballot::choice("bob", "yes").confidence(0.6),
///     Ballot::choice("cid", "yes"), Ballot::choice("dot", "no").weight(2.0),
/// ];
/// let score = score_panel(&ballots)?;
/// assert_eq!(score.decision, Decision::Option("yes".into()));
/// assert_eq!((score.support, score.level), (0.6, Level::Moderate));
/// assert!(score.explain().iter().any(|line| line.contains("3 / 5 = 0.6")));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: as [`score_panel_with`].
pub fn score_panel(ballots: &[Ballot]) -> Result<PanelScore> {
    score_panel_with(ballots, &PanelConfig::default())
}

/// Scores a panel: decision, level, support, agreement, intervals, factions, confidence.
///
/// | ballots | decision | who holds the leading position | agreement |
/// |---|---|---|---|
/// | choice | option of greatest weight | those who chose it | Brennan-Prediger (1981) over weighted pairs of ballots |
/// | probability | top of the linear pool | those whose own top it is | the same, over the ballots' tops |
/// | ranking | Schulze winner | those who rank it first | mean Spearman correlation over weighted pairs of ballots, options left out sharing the last ranks |
/// | number | weighted median | those within the tolerance | r_wg (James, Demaree and Wolf 1984), given a scale |
/// | vector | medoid of the heaviest cluster | that cluster | mean pairwise cosine |
///
/// Coefficients that estimate chance from the spread of the ratings (Fleiss, Krippendorff) say nothing on a single
/// question: there they are a fixed number when observed agreement is not perfect and undefined when it is. Hence those
/// above, whose chance is known beforehand. A ballot whose top is shared by several options (probability) goes to the
/// faction "a | b", which supports neither. The interval of the support is Wilson's (1927) at Kish's (1965) effective
/// number of ballots. Ballots of one group (`config.groups`) count for fewer: `m` of equal weight for `m / (1 + (m - 1) rho)`,
/// Kish's design effect. Levels as in [`Level`].
///
/// ```
/// use quorate_consensus::panel::{score_panel_with, Ballot, PanelConfig};
/// let ballots: Vec<Ballot> = ["a", "b", "c", "d", "e"].iter().map(|id| Ballot::choice(*id, "yes")).collect();
/// let groups = ballots.iter().map(|b| (b.voter.clone(), "one model".to_owned())).collect();
/// let score = score_panel_with(&ballots, &PanelConfig { groups, rho: Some(0.5), ..PanelConfig::default() })?;
/// assert!((score.effective_voters - 5.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without ballots of positive weight; `duplicate_entry` for a voter with two ballots;
/// `invalid_argument` for mixed kinds, bad weights, confidences or probabilities; `not_finite`, also when numbers are so far apart that their distance
/// is above 1.8e308; `unknown_id` for an option that `config.options` lacks; `invalid_shape` for vectors of unequal dimension; `too_large` above 16,384
/// vectors, 5,000 options of rankings, or 2^25 ballots x options.
pub fn score_panel_with(ballots: &[Ballot], config: &PanelConfig) -> Result<PanelScore> {
    config.validate()?;
    let mut voters = BTreeSet::new();
    for b in ballots {
        check::weight(b.weight, format_args!("the weight of '{}'", short(&b.voter)))?;
        check::within(b.confidence, 0.0, 1.0, format_args!("the confidence of '{}'", short(&b.voter)))?;
        if !voters.insert(b.voter.as_str()) {
            return Err(Error::new(Code::DuplicateEntry, format!("'{}' has two ballots", short(&b.voter))));
        }
    }
    let ballots: Vec<&Ballot> = ballots.iter().filter(|b| b.weight > 0.0).collect();
    let Some(first) = ballots.first() else {
        return Err(Error::new(Code::EmptyInput, "no ballot has positive weight"));
    };
    let kind = first.position.kind();
    if let Some(other) = ballots.iter().find(|b| b.position.kind() != kind) {
        return Err(Error::invalid(format!(
            "'{}' gives a {kind} and '{}' a {}; all ballots of a panel must be of one kind",
            short(&first.voter),
            short(&other.voter),
            other.position.kind()
        )));
    }
    let weight: f64 = ballots.iter().map(|b| b.weight).sum();
    check::finite(weight, "the sum of the weights")?;
    let Judged { decision, position_of, leading, agreement, intervals, given, decided_by } =
        judge(&ballots, weight, config)?;

    let shared = groups::find(&ballots, &position_of, &config.groups, config.rho);
    let mut groups: Vec<(String, Vec<Member>)> = Vec::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    for (b, position) in ballots.iter().zip(position_of) {
        let member = Member {
            voter: b.voter.clone(),
            weight: b.weight,
            confidence: b.confidence,
            strength: b.weight * b.confidence,
            rationale: b.rationale.clone(),
        };
        let at = *place.entry(position).or_insert_with_key(|position| {
            groups.push((position.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(member);
    }
    let minority = report(groups, config.minority_threshold, Some(&leading));
    // On a tie each leading position has the same share.
    let support = minority.leading.first().map_or(0.0, |f| f.weight / weight).min(1.0);
    // Relative to the largest weight, so that no square overflows.
    let largest = ballots.iter().map(|b| b.weight).fold(0.0, f64::max);
    let squares = groups::squares(&ballots, largest, &config.groups, shared.as_ref());
    let effective_voters = (weight / largest).powi(2) / squares;
    let (low, high) = wilson(support, effective_voters);
    let mut all_intervals = vec![PanelInterval {
        of: "support",
        low,
        high,
        method: "Wilson 95% at the effective number of ballots",
    }];
    all_intervals.extend(intervals);
    let confidence_terms: Vec<(String, f64, f64)> =
        ballots.iter().zip(given).map(|(b, g)| (b.voter.clone(), b.weight, g * b.confidence)).collect();
    Ok(PanelScore {
        kind,
        decision,
        level: Level::of(support),
        support,
        agreement,
        intervals: all_intervals,
        minority,
        confidence: confidence_terms.iter().map(|(_, w, c)| w * c).sum::<f64>() / weight,
        voters: ballots.len(),
        weight,
        effective_voters,
        groups: shared,
        decided_by,
        confidence_terms,
    })
}

impl Decision {
    /// The option decided for, if that is what was decided.
    pub fn option(&self) -> Option<&str> {
        match self {
            Decision::Option(o) => Some(o),
            _ => None,
        }
    }
}

/// Checks that an option may be voted for. `allowed`: those of the configuration; when there are none, every one.
pub(super) fn check_option(name: &str, voter: &str, allowed: &BTreeSet<&str>) -> Result<()> {
    if allowed.is_empty() || allowed.contains(name) {
        Ok(())
    } else {
        Err(Error::new(
            Code::UnknownId,
            format!("'{}' names '{}', which is not among the panel's options", short(&voter), short(&name)),
        ))
    }
}

/// The strings that a position names.
pub(super) fn named(position: &Position) -> Vec<&str> {
    match position {
        Position::Choice(o) => vec![o],
        Position::Ranking(r) => r.iter().map(String::as_str).collect(),
        Position::Probability(p) => p.iter().map(|(o, _)| o.as_str()).collect(),
        Position::Number(_) | Position::Vector(_) => Vec::new(),
    }
}
