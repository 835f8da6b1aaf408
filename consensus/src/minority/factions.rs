//! Who holds which position, with how much weight, and who holds it most firmly?

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};
use serde::Serialize;

use crate::check::{self, Rounding, short};

/// One voter's position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vote {
    /// Who votes; unique within a call.
    pub voter: String,
    /// The position taken.
    pub position: String,
    /// How much the vote counts; not negative.
    pub weight: f64,
    /// How sure the voter is, from 0 to 1.
    pub confidence: f64,
    /// Identifier of the voter's rationale, kept as given.
    pub rationale: Option<String>,
}

impl Vote {
    /// A vote of weight 1 with confidence 1 and no rationale.
    pub fn new(voter: impl Into<String>, position: impl Into<String>) -> Self {
        Vote { voter: voter.into(), position: position.into(), weight: 1.0, confidence: 1.0, rationale: None }
    }
}

/// One member of a faction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Member {
    /// The voter.
    pub voter: String,
    /// The weight of the vote.
    pub weight: f64,
    /// The confidence of the vote.
    pub confidence: f64,
    /// `weight * confidence`: what members are ordered by.
    pub strength: f64,
    /// Identifier of the voter's rationale.
    pub rationale: Option<String>,
}

/// Those who share a position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faction {
    /// The position.
    pub position: String,
    /// The summed weight of the members.
    pub weight: f64,
    /// `weight` divided by the weight of all votes.
    pub share: f64,
    /// Weighted mean confidence of the members.
    pub confidence: f64,
    /// Every member, the strongest first, equals alphabetically.
    pub members: Vec<Member>,
}

/// The result of [`minority_report`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MinorityReport {
    /// The faction or factions of greatest weight; more than one is a tie.
    pub leading: Vec<Faction>,
    /// Every other faction whose share is at least the threshold, the heaviest first. Nothing of them is left out.
    pub minorities: Vec<Faction>,
    /// The threshold that was in force.
    pub threshold: f64,
    /// How many factions were below it.
    pub below: usize,
    /// Their joint share.
    pub below_share: f64,
}

/// Lists the factions of a vote.
///
/// `threshold` is a share of the total weight from 0 to 1; factions below it are counted, not listed. At 0 all are
/// listed. Votes of weight 0 count as absent.
///
/// ```
/// use quorate_consensus::minority::{minority_report, Vote};
/// let votes = [Vote::new("ann", "yes"), Vote::new("bob", "yes"), Vote::new("eve", "no")];
/// let report = minority_report(&votes, 0.0)?;
/// assert_eq!(report.leading[0].position, "yes");
/// assert_eq!(report.minorities[0].members[0].voter, "eve");
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without votes of positive weight; `duplicate_entry` when a voter votes twice; `not_finite`,
/// `invalid_argument` for a bad weight, confidence or threshold.
pub fn minority_report(votes: &[Vote], threshold: f64) -> Result<MinorityReport> {
    check::within(threshold, 0.0, 1.0, "threshold")?;
    let mut voters = std::collections::BTreeSet::new();
    let mut by_position: BTreeMap<&str, Vec<&Vote>> = BTreeMap::new();
    for v in votes {
        check::weight(v.weight, format_args!("the weight of '{}'", short(&v.voter)))?;
        check::within(v.confidence, 0.0, 1.0, format_args!("the confidence of '{}'", short(&v.voter)))?;
        if !voters.insert(v.voter.as_str()) {
            return Err(Error::new(Code::DuplicateEntry, format!("'{}' votes twice", short(&v.voter))));
        }
        if v.weight > 0.0 {
            by_position.entry(&v.position).or_default().push(v);
        }
    }
    if by_position.is_empty() {
        return Err(Error::new(Code::EmptyInput, "no vote has positive weight"));
    }
    check::finite(votes.iter().map(|v| v.weight).sum(), "the sum of the weights")?;
    let factions = by_position
        .into_iter()
        .map(|(position, members)| {
            let members = members
                .into_iter()
                .map(|v| Member {
                    voter: v.voter.clone(),
                    weight: v.weight,
                    confidence: v.confidence,
                    strength: v.weight * v.confidence,
                    rationale: v.rationale.clone(),
                })
                .collect();
            (position.to_owned(), members)
        })
        .collect();
    Ok(report(factions, threshold, None))
}

/// Builds the report from positions and their members; weights are positive, and there is at least one member.
/// `leading` names the leading positions; `None`: those of greatest weight.
pub(crate) fn report(
    factions: Vec<(String, Vec<Member>)>,
    threshold: f64,
    leading: Option<&[String]>,
) -> MinorityReport {
    let weights = || factions.iter().flat_map(|f| &f.1).map(|m| m.weight);
    let (total, rounding): (f64, f64) = (weights().sum(), Rounding::of(weights()).of_sums());
    let mut factions: Vec<Faction> = factions
        .into_iter()
        .map(|(position, mut members)| {
            members.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.voter.cmp(&b.voter)));
            let weight: f64 = members.iter().map(|m| m.weight).sum();
            let confidence = members.iter().map(|m| m.strength).sum::<f64>() / weight;
            Faction { position, weight, share: weight / total, confidence, members }
        })
        .collect();
    factions.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.position.cmp(&b.position)));
    // Weights that differ by rounding only are level.
    let top = factions.first().map_or(0.0, |f| f.weight) - rounding;
    let (leading, rest): (Vec<_>, Vec<_>) = factions.into_iter().partition(|f| match leading {
        Some(names) => names.contains(&f.position),
        None => f.weight >= top,
    });
    let (minorities, below): (Vec<_>, Vec<_>) = rest.into_iter().partition(|f| f.share >= threshold - 1e-12);
    MinorityReport {
        leading,
        minorities,
        threshold,
        below: below.len(),
        below_share: below.iter().map(|f| f.share).sum(),
    }
}
