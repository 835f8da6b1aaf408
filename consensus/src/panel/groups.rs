//! How many independent ballots are those of members that share something, such as a model?

use std::collections::BTreeMap;

use serde::Serialize;

use super::ballot::Ballot;

/// From so few groups no correlation is estimated.
const LEAST_GROUPS: usize = 3;

/// What the effective number of ballots makes of groups whose members are no independent voters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelGroups {
    /// Intra-class correlation of ballots within a group, from 0 (independent) to 1 (one voter).
    pub rho: f64,
    /// `given`; `estimated` from the ballots; or `assumed` to be 1, where nothing tells.
    pub rho_is: &'static str,
    /// The voters of each group that has several.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// The groups of several ballots, with their correlation; `None` where each ballot is alone.
pub(super) fn find(
    ballots: &[&Ballot],
    position_of: &[String],
    named: &BTreeMap<String, String>,
    rho: Option<f64>,
) -> Option<PanelGroups> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ballot in ballots {
        if let Some(group) = named.get(&ballot.voter) {
            groups.entry(group.clone()).or_default().push(ballot.voter.clone());
        }
    }
    groups.retain(|_, voters| voters.len() > 1);
    if groups.is_empty() {
        return None;
    }
    let (rho, rho_is) = match rho {
        Some(rho) => (rho, "given"),
        None => match intraclass(ballots, position_of, named) {
            Some(rho) => (rho, "estimated"),
            None => (1.0, "assumed"),
        },
    };
    Some(PanelGroups { rho, rho_is, groups })
}

/// The sum over all pairs of the products of their shares and their correlation, by which `(sum of w)^2` is divided: Kish's
/// (1965) effective number for weights and clusters together. For equal weights it gives `n / (1 + (m - 1) rho)` in groups of
/// `m`.
pub(super) fn squares(
    ballots: &[&Ballot],
    largest: f64,
    named: &BTreeMap<String, String>,
    groups: Option<&PanelGroups>,
) -> f64 {
    let own: f64 = ballots.iter().map(|b| (b.weight / largest).powi(2)).sum();
    let Some(groups) = groups else { return own };
    let mut within: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ballot in ballots {
        if let Some(group) = named.get(&ballot.voter) {
            let share = ballot.weight / largest;
            let (sum, squares) = within.entry(group).or_default();
            *sum += share;
            *squares += share * share;
        }
    }
    let pairs: f64 = within.values().map(|(sum, squares)| (sum * sum - squares).max(0.0)).sum();
    own + groups.rho * pairs
}

/// The intra-class correlation of the positions by one-way analysis of variance (Donner 1986), the squares summed over the
/// indicators of the positions; from 0 to 1. `None` with fewer than three groups, without two ballots in one, or where all
/// positions are the same.
fn intraclass(ballots: &[&Ballot], position_of: &[String], named: &BTreeMap<String, String>) -> Option<f64> {
    let mut sizes: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for (ballot, position) in ballots.iter().zip(position_of) {
        let group = named.get(&ballot.voter).unwrap_or(&ballot.voter);
        *sizes.entry(group).or_default().entry(position).or_insert(0.0) += 1.0;
    }
    let (groups, n) = (sizes.len(), ballots.len() as f64);
    if groups < LEAST_GROUPS || groups == ballots.len() {
        return None;
    }
    let mut all: BTreeMap<&str, f64> = BTreeMap::new();
    for (position, count) in sizes.values().flatten() {
        *all.entry(position).or_insert(0.0) += count;
    }
    // Of indicators: the sum of squares about the mean is n - sum of count^2 / n.
    let total = n - all.values().map(|count| count * count).sum::<f64>() / n;
    let of = |counts: &BTreeMap<&str, f64>| {
        let size: f64 = counts.values().sum();
        (size, size - counts.values().map(|count| count * count).sum::<f64>() / size)
    };
    let within: f64 = sizes.values().map(|counts| of(counts).1).sum();
    if total <= 1e-12 {
        return None;
    }
    let between = (total - within).max(0.0);
    let degrees = (groups - 1) as f64;
    let (ms_between, ms_within) = (between / degrees, within / (n - groups as f64));
    let squares: f64 = sizes.values().map(|counts| of(counts).0.powi(2)).sum();
    let size = (n - squares / n) / degrees;
    let bottom = ms_between + (size - 1.0) * ms_within;
    Some(if bottom <= 1e-12 { 0.0 } else { ((ms_between - ms_within) / bottom).clamp(0.0, 1.0) })
}
