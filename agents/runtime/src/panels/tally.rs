//! What do the ballots that stand add up to?

use std::collections::BTreeMap;

use quorate_consensus::density::density_pool;
use quorate_consensus::panel::{Ballot, Decision, PanelConfig, PanelScore, score_panel_with};
use quorate_consensus::pooling::Opinions;
use quorate_consensus::swarm::{HoneybeeConfig, SwarmConfig, honeybee, swarm_pool};
use quorate_core::Result;

use super::answer::{Alternative, Spread};
use super::fact::PanelSpec;
use super::options::{Aggregate, BallotForm};
use super::stage::Given;
use super::stance::Stance;

/// Below this entropy, in bits, the ballots are the same.
const SAME: f64 = 0.05;
/// A panel is split where so much of what is unsure in the pool is disagreement and not doubt.
const SPLIT: f64 = 0.5;
/// What the best option is worth to a honeybee swarm beside the worst.
const QUALITIES: (f64, f64) = (1.0, 10.0);

/// The score of ballots; `None` where none counts. Errors: those of `score_panel_with`.
pub(crate) fn score(spec: &PanelSpec, counts: &[f64], ballots: &[&Given]) -> Result<Option<PanelScore>> {
    let mut all: Vec<(String, Ballot)> = ballots
        .iter()
        .filter(|given| counts[given.seat] > 0.0)
        .map(|given| {
            let said = &given.said;
            let ballot = Ballot {
                voter: spec.seats[given.seat].id.clone(),
                position: said.stance.position(&given.holds),
                confidence: said.confidence,
                weight: counts[given.seat],
                rationale: None,
            };
            (format!("{:?}", (&ballot.position, ballot.confidence, ballot.weight)), ballot)
        })
        .collect();
    if all.is_empty() {
        return Ok(None);
    }
    // In an order that the list of members does not decide, so that sums are the same to the last bit.
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let ballots: Vec<Ballot> = all.into_iter().map(|(_, ballot)| ballot).collect();
    let groups: BTreeMap<String, String> =
        spec.seats.iter().map(|seat| (seat.id.clone(), seat.group.clone())).collect();
    let named = spec.form != BallotForm::Text;
    let config = PanelConfig {
        options: if named { spec.options.clone() } else { Vec::new() },
        scale: spec.scale.filter(|_| spec.form == BallotForm::Number),
        minority_threshold: spec.minority_threshold,
        groups,
        rho: spec.rho,
        ..PanelConfig::default()
    };
    score_panel_with(&ballots, &config).map(Some)
}

/// The ballots as distributions over the options, with their weights.
fn opinions(spec: &PanelSpec, counts: &[f64], ballots: &[&Given]) -> Result<Option<(Opinions, Vec<f64>)>> {
    let options = &spec.options;
    if options.is_empty() || matches!(spec.form, BallotForm::Number | BallotForm::Text) {
        return Ok(None);
    }
    let even = 1.0 / options.len() as f64;
    let row = |given: &Given| -> Vec<f64> {
        match &given.said.stance {
            Stance::Probability(pairs) => {
                let of =
                    |option: &String| pairs.iter().find(|(name, _)| name == option).map_or(0.0, |(_, p)| *p);
                options.iter().map(of).collect()
            }
            // Confidence on what is held; the rest is even.
            stance => {
                let held = stance.tops();
                let tops = held.len().max(1);
                // What is held is never below what is not.
                let confidence = given.said.confidence.max(even * tops as f64);
                let rest = (options.len() - tops).max(1) as f64;
                let of = |option: &String| match held.contains(option) {
                    true if tops == options.len() => even,
                    true => confidence / tops as f64,
                    false => (1.0 - confidence) / rest,
                };
                options.iter().map(of).collect()
            }
        }
    };
    let mut rows: Vec<(Vec<f64>, f64)> = ballots
        .iter()
        .filter(|given| counts[given.seat] > 0.0)
        .map(|given| (row(given), counts[given.seat]))
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    rows.sort_by(|a, b| {
        let of = |row: &(Vec<f64>, f64)| row.0.iter().map(|p| p.to_bits()).collect::<Vec<u64>>();
        of(a).cmp(&of(b)).then(a.1.total_cmp(&b.1))
    });
    let (rows, weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
    Ok(Some((Opinions::from_rows(&rows)?, weights)))
}

/// Whether all are unsure, or split.
pub(crate) fn spread(spec: &PanelSpec, counts: &[f64], ballots: &[&Given]) -> Result<Option<Spread>> {
    let Some((opinions, weights)) = opinions(spec, counts, ballots)? else { return Ok(None) };
    let pool = density_pool(&opinions, Some(&weights))?;
    let pooled: f64 = pool.pooled.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum();
    let says = match (pool.entropy, pool.jensen_shannon) {
        (entropy, _) if entropy < SAME && pooled < SAME => "agreed",
        (_, between) if between >= SPLIT * pooled => "split",
        (entropy, _) if entropy < SAME => "unsure",
        _ => "mixed",
    };
    Ok(Some(Spread { purity: pool.purity, entropy: pool.entropy, says: says.to_owned() }))
}

/// What another way of deciding makes of the ballots.
pub(crate) fn alternative(
    spec: &PanelSpec,
    counts: &[f64],
    ballots: &[&Given],
) -> Result<Option<Alternative>> {
    let Some(method) = spec.aggregate else { return Ok(None) };
    let Some((opinions, weights)) = opinions(spec, counts, ballots)? else { return Ok(None) };
    let named = |shares: &[f64]| spec.options.iter().cloned().zip(shares.iter().copied()).collect();
    Ok(Some(match method {
        Aggregate::Honeybee => {
            let pooled = quorate_consensus::pooling::linear_pool(&opinions, Some(&weights))?;
            let (low, high) = QUALITIES;
            let values: Vec<f64> = pooled.iter().map(|p| low + (high - low) * p).collect();
            let config = HoneybeeConfig { seed: spec.seed, ..HoneybeeConfig::default() };
            let swarm = honeybee(&values, &config)?;
            Alternative {
                method,
                decision: swarm.decision.map(|i| spec.options[i].clone()),
                shares: named(&swarm.shares),
                converged: swarm.steady,
            }
        }
        Aggregate::Particles => {
            let config = SwarmConfig { seed: spec.seed, ..SwarmConfig::default() };
            let swarm = swarm_pool(&opinions, Some(&weights), &config)?;
            let most = swarm.pooled.iter().copied().fold(0.0, f64::max);
            let tops: Vec<usize> =
                (0..swarm.pooled.len()).filter(|i| most - swarm.pooled[*i] < 1e-6).collect();
            Alternative {
                method,
                decision: (tops.len() == 1).then(|| spec.options[tops[0]].clone()),
                shares: named(&swarm.pooled),
                converged: swarm.converged,
            }
        }
    }))
}

/// The decision in words; `None` on a tie.
pub(crate) fn decided(score: &PanelScore) -> Option<String> {
    match &score.decision {
        Decision::Option(option) => Some(option.clone()),
        Decision::Number(number) => Some(number.to_string()),
        Decision::Medoid(voter) => Some(voter.clone()),
        Decision::Tie(_) => None,
    }
}

/// The probability that two ballots, drawn with their weights, hold different positions (Gini and Simpson).
pub(crate) fn disagreement(counts: &[f64], ballots: &[&Given]) -> Option<f64> {
    let mut held: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for given in ballots.iter().filter(|given| counts[given.seat] > 0.0) {
        held.entry(&given.holds).or_default().push(counts[given.seat]);
    }
    held.values_mut().for_each(|weights| weights.sort_by(f64::total_cmp));
    let sums: Vec<f64> = held.values().map(|weights| weights.iter().sum()).collect();
    let total: f64 = sums.iter().sum();
    (total > 0.0).then(|| 1.0 - sums.iter().map(|sum| (sum / total).powi(2)).sum::<f64>())
}
