//! How does each kind of ballot turn into a decision, factions and agreement?

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};

use super::ballot::{Ballot, Position};
use super::score::{Decision, PanelAgreement, PanelConfig, PanelInterval, check_option, named};
use crate::agreement::kendall_w;
use crate::check;
use crate::data::Ratings;
use crate::pooling::{Opinions, linear_pool};
use crate::ranking::{Profile, VoteConfig, schulze};
use crate::text::{ClusterConfig, Linkage, semantic_clusters, unit_vectors};

/// What a kind of ballot yields.
pub(super) struct Judged {
    pub decision: Decision,
    /// The position of each ballot.
    pub position_of: Vec<String>,
    /// The leading positions; more than one is a tie.
    pub leading: Vec<String>,
    pub agreement: PanelAgreement,
    pub intervals: Vec<PanelInterval>,
    /// The share of its confidence that each ballot gives to the decision.
    pub given: Vec<f64>,
    pub decided_by: Vec<String>,
}

/// Judges ballots of positive weight, all of one kind.
pub(super) fn judge(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    match &ballots[0].position {
        Position::Choice(_) => choices(ballots, weight, config),
        Position::Probability(_) => probabilities(ballots, weight, config),
        Position::Ranking(_) => rankings(ballots, weight, config),
        Position::Number(_) => numbers(ballots, weight, config),
        Position::Vector(_) => vectors(ballots, weight, config),
    }
}

fn choices(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let options = options(ballots, config)?;
    let position_of: Vec<String> =
        ballots.iter().filter_map(|b| named(&b.position).first().map(|s| (*s).to_owned())).collect();
    let mut votes: BTreeMap<&str, f64> = BTreeMap::new();
    for (b, p) in ballots.iter().zip(&position_of) {
        *votes.entry(p).or_insert(0.0) += b.weight;
    }
    let top = votes.values().copied().fold(0.0, f64::max);
    let leading: Vec<String> =
        votes.iter().filter(|(_, w)| top - **w <= 1e-9 * weight).map(|(o, _)| (*o).to_owned()).collect();
    let given = stands_behind(&position_of, &leading);
    let agreement = brennan_prediger(ballots, &position_of, options.len());
    Ok(Judged {
        decision: one_of(&leading),
        agreement,
        intervals: Vec::new(),
        given,
        decided_by: vec!["decision: the option of greatest weight".to_owned()],
        position_of,
        leading,
    })
}

fn probabilities(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let options = options(ballots, config)?;
    let mut rows = Vec::with_capacity(ballots.len());
    for b in ballots {
        let Position::Probability(p) = &b.position else { continue };
        let mut row = vec![0.0; options.len()];
        for (x, (name, value)) in p.iter().enumerate() {
            if p[..x].iter().any(|(n, _)| n == name) {
                return Err(Error::new(Code::DuplicateEntry, format!("'{}' names '{name}' twice", b.voter)));
            }
            if let Some(k) = options.iter().position(|o| o == name) {
                row[k] = *value;
            }
        }
        check::distribution(&row, format_args!("the ballot of '{}'", b.voter))?;
        rows.push(row);
    }
    let opinions = Opinions::from_rows(&rows)?;
    let weights: Vec<f64> = ballots.iter().map(|b| b.weight).collect();
    let pooled = linear_pool(&opinions, Some(&weights))?;
    let tops = |p: &[f64]| -> Vec<String> {
        let top = p.iter().copied().fold(0.0, f64::max);
        p.iter().zip(&options).filter(|(x, _)| top - **x <= 1e-9).map(|(_, o)| (*o).to_owned()).collect()
    };
    let leading = tops(&pooled);
    let position_of: Vec<String> = opinions.rows().map(|row| tops(row).join(" | ")).collect();
    let agreement = brennan_prediger(ballots, &position_of, options.len());
    let k = options.iter().position(|o| *o == leading[0]).unwrap_or(0);
    let given: Vec<f64> = opinions.rows().map(|row| row[k]).collect();
    let (low, high) = given.iter().fold((1.0, 0.0), |(l, h): (f64, f64), &p| (l.min(p), h.max(p)));
    let decided_by = options
        .iter()
        .enumerate()
        .map(|(k, o)| {
            let terms: Vec<String> = ballots
                .iter()
                .zip(opinions.rows())
                .map(|(b, row)| format!("{} * {}", b.weight, row[k]))
                .collect();
            format!("pool of '{o}': ({}) / {weight} = {}", terms.join(" + "), pooled[k])
        })
        .chain(["decision: the top of the linear pool".to_owned()])
        .collect();
    Ok(Judged {
        decision: one_of(&leading),
        intervals: vec![PanelInterval { of: "probability", low, high, method: "range of the ballots" }],
        position_of,
        leading,
        agreement,
        given,
        decided_by,
    })
}

fn rankings(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let options = options(ballots, config)?;
    let mut profile = Profile::new(options.iter().copied())?;
    let mut ranks = Vec::with_capacity(ballots.len() * options.len());
    let mut position_of = Vec::with_capacity(ballots.len());
    for b in ballots {
        let names = named(&b.position);
        let Some(first) = names.first() else {
            return Err(Error::new(Code::EmptyInput, format!("the ranking of '{}' is empty", b.voter)));
        };
        profile.add(&names, b.weight).map_err(|e| e.context(format_args!("the ballot of '{}'", b.voter)))?;
        position_of.push((*first).to_owned());
        // Options left out share the mean of the last ranks.
        let rest = (names.len() + 1 + options.len()) as f64 / 2.0;
        ranks.extend(
            options.iter().map(|o| names.iter().position(|n| n == o).map_or(rest, |r| (r + 1) as f64)),
        );
    }
    let outcome = schulze(&profile, &VoteConfig::default())?;
    let w = if ballots.len() > 1 && options.len() > 1 {
        kendall_w(&Ratings::from_matrix(&ranks, ballots.len(), options.len())?)?.value
    } else {
        None
    };
    let m = ballots.len() as f64;
    let agreement = match w {
        Some(w) => corrected("mean_spearman", w, 1.0 / m),
        None => {
            undefined("mean_spearman", "it needs two ballots and two options that the ballots tell apart")
        }
    };
    let pairs = profile.pairwise();
    let mut decided_by = Vec::new();
    for i in 0..options.len() {
        for j in i + 1..options.len() {
            decided_by.push(format!(
                "'{}' over '{}': {} to {}",
                options[i],
                options[j],
                pairs.prefer(i, j),
                pairs.prefer(j, i)
            ));
        }
    }
    decided_by.push(format!(
        "decision: Schulze winner of these duels; the leading position is to rank it first (total {weight})"
    ));
    Ok(Judged {
        decision: one_of(&outcome.winners),
        given: stands_behind(&position_of, &outcome.winners),
        leading: outcome.winners,
        intervals: Vec::new(),
        position_of,
        agreement,
        decided_by,
    })
}

fn numbers(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let mut sorted = Vec::with_capacity(ballots.len());
    for b in ballots {
        let Position::Number(x) = b.position else { continue };
        match config.scale {
            Some((low, high)) => check::within(x, low, high, format_args!("the number of '{}'", b.voter))?,
            None => check::finite(x, format_args!("the number of '{}'", b.voter))?,
        };
        sorted.push((x, b.weight));
    }
    let values: Vec<f64> = sorted.iter().map(|s| s.0).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = weighted_quantile(&sorted, weight, 0.5);
    let tolerance = config
        .tolerance
        .unwrap_or_else(|| config.scale.map_or(0.1 * median.abs(), |(low, high)| 0.1 * (high - low)));
    let (low, high) = (median - tolerance, median + tolerance);
    let rounding = 1e-9 * tolerance;
    let leading = format!("within {low} and {high}");
    let position_of: Vec<String> = values
        .iter()
        .map(|&x| match x {
            x if x < low - rounding => format!("below {low}"),
            x if x > high + rounding => format!("above {high}"),
            _ => leading.clone(),
        })
        .collect();
    let mean = sorted.iter().map(|(x, w)| x * w).sum::<f64>() / weight;
    let squares: f64 = sorted.iter().map(|(x, w)| w * (x - mean).powi(2)).sum();
    let degrees = weight - sorted.iter().map(|(_, w)| w * w).sum::<f64>() / weight;
    let agreement = match config.scale {
        None => undefined("r_wg", "it needs the scale of the numbers"),
        Some(_) if ballots.len() < 2 => undefined("r_wg", "there is only one ballot"),
        Some((a, b)) => {
            // 1 - variance / variance of a uniform distribution over the scale: the same form as the others with
            // expected agreement 0.
            corrected("r_wg", 1.0 - squares / degrees / ((b - a).powi(2) / 12.0), 0.0)
        }
    };
    let leading = vec![leading];
    Ok(Judged {
        decision: Decision::Number(median),
        given: stands_behind(&position_of, &leading),
        intervals: vec![PanelInterval {
            of: "number",
            low: weighted_quantile(&sorted, weight, 0.25),
            high: weighted_quantile(&sorted, weight, 0.75),
            method: "weighted quartiles of the ballots",
        }],
        decided_by: vec![
            format!(
                "numbers in order (weight): {}",
                sorted.iter().map(|(x, w)| format!("{x} ({w})")).collect::<Vec<_>>().join(", ")
            ),
            format!(
                "decision: the weighted median {median}; the leading position is within {tolerance} of it"
            ),
        ],
        position_of,
        leading,
        agreement,
    })
}

fn vectors(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let given: Vec<&[f64]> = ballots
        .iter()
        .filter_map(|b| if let Position::Vector(v) = &b.position { Some(v.as_slice()) } else { None })
        .collect();
    let weights: Vec<f64> = ballots.iter().map(|b| b.weight).collect();
    let clustering = ClusterConfig { threshold: config.similarity, linkage: Linkage::Complete };
    let clusters = semantic_clusters(&given, Some(&weights), &clustering)?;
    let name = |c: usize| format!("near '{}'", ballots[clusters.medoids[c]].voter);
    let position_of: Vec<String> = clusters.assignment.iter().map(|&c| name(c)).collect();
    let heaviest: Vec<usize> =
        (0..clusters.shares.len()).filter(|&c| clusters.shares[0] - clusters.shares[c] <= 1e-9).collect();
    let leading: Vec<String> = heaviest.iter().map(|&c| name(c)).collect();
    let decision = match heaviest[..] {
        [c] => Decision::Medoid(ballots[clusters.medoids[c]].voter.clone()),
        _ => Decision::Tie(leading.clone()),
    };
    // Sum over pairs of w_i w_j cos = (|sum of w_i u_i|^2 - sum of w_i^2) / 2, and likewise for the weights alone.
    let units = unit_vectors(&given)?;
    let mut sum = vec![0.0; units[0].len()];
    for (u, w) in units.iter().zip(&weights) {
        sum.iter_mut().zip(u).for_each(|(s, x)| *s += w * x);
    }
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let agreement = if ballots.len() < 2 {
        undefined("mean_cosine", "there is only one ballot")
    } else {
        let together = sum.iter().map(|x| x * x).sum::<f64>() - squares;
        corrected("mean_cosine", together / (weight * weight - squares), 0.0)
    };
    Ok(Judged {
        decision,
        given: stands_behind(&position_of, &leading),
        intervals: Vec::new(),
        decided_by: vec![format!(
            "decision: the medoid of the heaviest cluster (all pairs within it have cosine >= {})",
            config.similarity
        )],
        position_of,
        leading,
        agreement,
    })
}

/// The options of the panel, sorted by name unless listed by the caller.
fn options<'a>(ballots: &[&'a Ballot], config: &'a PanelConfig) -> Result<Vec<&'a str>> {
    for b in ballots {
        for name in named(&b.position) {
            check_option(name, &b.voter, config)?;
        }
    }
    if !config.options.is_empty() {
        return Ok(config.options.iter().map(String::as_str).collect());
    }
    let mut all: Vec<&str> = ballots.iter().flat_map(|b| named(&b.position)).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return Err(Error::new(Code::EmptyInput, "no ballot names an option"));
    }
    Ok(all)
}

fn one_of(leading: &[String]) -> Decision {
    match leading {
        [one] => Decision::Option(one.clone()),
        _ => Decision::Tie(leading.to_vec()),
    }
}

/// 1 for ballots that hold the single leading position; on a tie nobody stands behind a decision.
fn stands_behind(position_of: &[String], leading: &[String]) -> Vec<f64> {
    position_of.iter().map(|p| if leading.len() == 1 && *p == leading[0] { 1.0 } else { 0.0 }).collect()
}

/// Brennan and Prediger's kappa on one item: weighted share of agreeing pairs against `1 / options`.
fn brennan_prediger(ballots: &[&Ballot], position_of: &[String], options: usize) -> PanelAgreement {
    let name = "brennan_prediger";
    if ballots.len() < 2 {
        return undefined(name, "there is only one ballot");
    }
    let mut agreeing = 0.0;
    let mut pairs = 0.0;
    for i in 0..ballots.len() {
        for j in 0..i {
            let w = ballots[i].weight * ballots[j].weight;
            pairs += w;
            if position_of[i] == position_of[j] {
                agreeing += w;
            }
        }
    }
    let observed = agreeing / pairs;
    if options < 2 {
        return PanelAgreement {
            observed: Some(observed),
            ..undefined(name, "only one option is known; list the panel's options")
        };
    }
    corrected(name, observed, 1.0 / options as f64)
}

fn corrected(coefficient: &'static str, observed: f64, expected: f64) -> PanelAgreement {
    PanelAgreement {
        coefficient,
        value: Some((observed - expected) / (1.0 - expected)),
        undefined: None,
        observed: Some(observed),
        expected: Some(expected),
    }
}

fn undefined(coefficient: &'static str, reason: &str) -> PanelAgreement {
    PanelAgreement {
        coefficient,
        value: None,
        undefined: Some(reason.to_owned()),
        observed: None,
        expected: None,
    }
}

/// The smallest number below which (inclusive) at least a share `p` of the weight lies; the mean with the next one when
/// it is exactly that share.
fn weighted_quantile(sorted: &[(f64, f64)], weight: f64, p: f64) -> f64 {
    let target = p * weight;
    let mut below = 0.0;
    for (i, &(x, w)) in sorted.iter().enumerate() {
        below += w;
        if below >= target - 1e-9 * weight {
            let level = (below - target).abs() <= 1e-9 * weight;
            return match sorted.get(i + 1) {
                Some(&(next, _)) if level => x + (next - x) / 2.0,
                _ => x,
            };
        }
    }
    sorted.last().map_or(0.0, |s| s.0)
}
