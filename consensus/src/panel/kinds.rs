//! How does each kind of ballot turn into a decision, factions and agreement?

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{Cancel, Code, Error, Result};

use super::ballot::{Ballot, Position};
use super::score::{Decision, PanelAgreement, PanelConfig, PanelInterval, check_option, named};
use crate::check::{self, Rounding, short};
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
    let rounding = Rounding::of(ballots.iter().map(|b| b.weight)).of_sums();
    let leading: Vec<String> =
        votes.iter().filter(|(_, w)| top - **w <= rounding).map(|(o, _)| (*o).to_owned()).collect();
    let given = stands_behind(&position_of, &leading);
    let agreement = brennan_prediger(ballots, &position_of, weight, options.len());
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

/// So many numbers are written out at most in the arithmetic of one panel; beyond, results stand alone.
const MAX_TERMS: usize = 10_000;

fn probabilities(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let options = options(ballots, config)?;
    check::table(&[ballots.len(), options.len()], "ballots x options")?;
    let place: BTreeMap<&str, usize> = options.iter().copied().zip(0..).collect();
    let cancel = Cancel::current();
    let mut rows = Vec::with_capacity(ballots.len());
    for b in ballots {
        cancel.check()?;
        let Position::Probability(p) = &b.position else { continue };
        let mut row = vec![f64::NAN; options.len()];
        for (name, value) in p {
            let Some(&k) = place.get(name.as_str()) else { continue };
            if !row[k].is_nan() {
                return Err(Error::new(
                    Code::DuplicateEntry,
                    format!("'{}' names '{}' twice", short(&b.voter), short(name)),
                ));
            }
            row[k] = check::finite(*value, format_args!("the ballot of '{}'", short(&b.voter)))?;
        }
        row.iter_mut().filter(|v| v.is_nan()).for_each(|v| *v = 0.0);
        check::distribution(&row, format_args!("the ballot of '{}'", short(&b.voter)))?;
        rows.push(row);
    }
    let opinions = Opinions::from_rows(&rows)?;
    let weights: Vec<f64> = ballots.iter().map(|b| b.weight).collect();
    let pooled = linear_pool(&opinions, Some(&weights))?;
    // Sums of as many roundings as there are ballots.
    let rounding = 4.0 * f64::EPSILON * (ballots.len() + options.len()) as f64;
    let tops = |p: &[f64]| -> Vec<String> {
        let top = p.iter().copied().fold(0.0, f64::max);
        p.iter().zip(&options).filter(|(x, _)| top - **x <= rounding).map(|(_, o)| (*o).to_owned()).collect()
    };
    let leading = tops(&pooled);
    let position_of: Vec<String> = opinions.rows().map(|row| tops(row).join(" | ")).collect();
    let agreement = brennan_prediger(ballots, &position_of, weight, options.len());
    // On a tie there is no decision, and nobody's probability is one of it.
    let decided = match &leading[..] {
        [one] => place.get(one.as_str()).copied(),
        _ => None,
    };
    let given: Vec<f64> = opinions.rows().map(|row| decided.map_or(0.0, |k| row[k])).collect();
    let (low, high) = given.iter().fold((1.0, 0.0), |(l, h): (f64, f64), &p| (l.min(p), h.max(p)));
    let range = PanelInterval { of: "probability", low, high, method: "range of the ballots" };
    let short_enough = ballots.len() * options.len() <= MAX_TERMS;
    let decided_by = options
        .iter()
        .enumerate()
        .take(MAX_TERMS)
        .map(|(k, o)| {
            if !short_enough {
                return format!("pool of '{o}': {}", pooled[k]);
            }
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
        intervals: decided.map(|_| range).into_iter().collect(),
        position_of,
        leading,
        agreement,
        given,
        decided_by,
    })
}

fn rankings(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let options = options(ballots, config)?;
    let place: BTreeMap<&str, usize> = options.iter().copied().zip(0..).collect();
    let n = options.len();
    check::table(&[ballots.len(), n], "ballots x options")?;
    let cancel = Cancel::current();
    let mut profile = Profile::new(options.iter().copied())?;
    let mut position_of = Vec::with_capacity(ballots.len());
    // Ranks as vectors of mean 0 and length 1: the product of two is Spearman's correlation. None where the ballot tells no two options apart.
    let mut standard: Vec<Option<Vec<f64>>> = Vec::with_capacity(ballots.len());
    for b in ballots {
        cancel.check()?;
        let names = named(&b.position);
        let voter = || format!("the ballot of '{}'", short(&b.voter));
        let Some(first) = names.first() else {
            return Err(Error::new(Code::EmptyInput, format!("{}: the ranking is empty", voter())));
        };
        profile.add(&names, b.weight).map_err(|e| e.context(voter()))?;
        position_of.push((*first).to_owned());
        // Options left out share the mean of the last ranks.
        let mut ranks = vec![(names.len() + 1 + n) as f64 / 2.0; n];
        for (r, name) in names.iter().enumerate() {
            if let Some(&k) = place.get(name) {
                ranks[k] = (r + 1) as f64;
            }
        }
        let mean = (n + 1) as f64 / 2.0;
        let length = ranks.iter().map(|r| (r - mean).powi(2)).sum::<f64>().sqrt();
        standard.push((length > 0.0).then(|| ranks.iter().map(|r| (r - mean) / length).collect()));
    }
    let outcome = schulze(&profile, &VoteConfig::default())?;
    let told_apart =
        ballots.iter().zip(&standard).filter_map(|(b, z)| Some((b.weight / weight, z.as_ref()?)));
    let agreement = match mean_product(told_apart, n) {
        Some(mean) => corrected("mean_spearman", mean, 0.0),
        None => {
            undefined("mean_spearman", "it needs two ballots and two options that the ballots tell apart")
        }
    };
    let mut decided_by = Vec::new();
    if n * n <= 2 * MAX_TERMS {
        let pairs = profile.pairs()?;
        for i in 0..n {
            for j in i + 1..n {
                decided_by.push(format!(
                    "'{}' over '{}': {} to {}",
                    options[i],
                    options[j],
                    pairs.prefer(i, j),
                    pairs.prefer(j, i)
                ));
            }
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

/// The mean product of two of these vectors of `n` numbers, each pair weighted by the product of its weights; none with fewer than two vectors. Time is linear
/// in the vectors.
fn mean_product<'a>(vectors: impl Iterator<Item = (f64, &'a Vec<f64>)>, n: usize) -> Option<f64> {
    // Sums over the pairs with all before, not differences of squares: a faint vector beside a heavy one loses no digits.
    let (mut before, mut weight_before) = (vec![0.0; n], 0.0);
    let (mut products, mut pairs) = (0.0, 0.0);
    for (w, vector) in vectors {
        let product: f64 = vector.iter().zip(&before).map(|(x, y)| x * y).sum();
        products += w * product;
        pairs += w * weight_before;
        before.iter_mut().zip(vector).for_each(|(sum, x)| *sum += w * x);
        weight_before += w;
    }
    (pairs > 0.0).then(|| products / pairs)
}

fn numbers(ballots: &[&Ballot], weight: f64, config: &PanelConfig) -> Result<Judged> {
    let mut sorted = Vec::with_capacity(ballots.len());
    for b in ballots {
        let Position::Number(x) = b.position else { continue };
        let what = format_args!("the number of '{}'", short(&b.voter)).to_string();
        match config.scale {
            Some((low, high)) => check::within(x, low, high, what)?,
            None => check::finite(x, what)?,
        };
        sorted.push((x, b.weight));
    }
    let values: Vec<f64> = sorted.iter().map(|s| s.0).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some(least), Some(most)) = (sorted.first(), sorted.last()) {
        check::finite(most.0 - least.0, "the distance between the smallest and the largest number")?;
    }
    let median = weighted_quantile(&sorted, weight, 0.5);
    let tolerance = config
        .tolerance
        .unwrap_or_else(|| config.scale.map_or(0.1 * median.abs(), |(low, high)| 0.1 * (high - low)));
    let low = check::finite(median - tolerance, "the lower end of the leading position")?;
    let high = check::finite(median + tolerance, "the upper end of the leading position")?;
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
    let agreement = match config.scale {
        None => undefined("r_wg", "it needs the scale of the numbers"),
        Some(_) if ballots.len() < 2 => undefined("r_wg", "there is only one ballot"),
        Some((a, b)) => {
            // 1 - variance / variance of a uniform distribution over the scale: the same form as the others with
            // expected agreement 0. Numbers as shares of the scale, weights as shares of their sum.
            let shares = || sorted.iter().map(|(x, w)| ((x - a) / (b - a), w / weight));
            let mean: f64 = shares().map(|(x, w)| x * w).sum();
            let squares: f64 = shares().map(|(x, w)| w * (x - mean).powi(2)).sum();
            let degrees = 1.0 - shares().map(|(_, w)| w * w).sum::<f64>();
            if degrees > 0.0 {
                corrected("r_wg", 1.0 - 12.0 * squares / degrees, 0.0)
            } else {
                undefined("r_wg", "one ballot has all the weight")
            }
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
                "numbers in order (weight): {}{}",
                sorted
                    .iter()
                    .take(MAX_TERMS)
                    .map(|(x, w)| format!("{x} ({w})"))
                    .collect::<Vec<_>>()
                    .join(", "),
                if sorted.len() > MAX_TERMS { " and so on" } else { "" }
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
    let rounding =
        Rounding::of(weights.iter().copied()).of_sums() / weight + 4.0 * f64::EPSILON * ballots.len() as f64;
    let heaviest: Vec<usize> =
        (0..clusters.shares.len()).filter(|&c| clusters.shares[0] - clusters.shares[c] <= rounding).collect();
    let leading: Vec<String> = heaviest.iter().map(|&c| name(c)).collect();
    let decision = match heaviest[..] {
        [c] => Decision::Medoid(ballots[clusters.medoids[c]].voter.clone()),
        _ => Decision::Tie(leading.clone()),
    };
    let units = unit_vectors(&given)?;
    let weighted = weights.iter().map(|w| w / weight).zip(&units);
    let agreement = match mean_product(weighted, units[0].len()) {
        Some(mean) => corrected("mean_cosine", mean, 0.0),
        None => undefined("mean_cosine", "there is only one ballot"),
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
    let allowed: BTreeSet<&str> = config.options.iter().map(String::as_str).collect();
    for b in ballots {
        for name in named(&b.position) {
            check_option(name, &b.voter, &allowed)?;
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
fn brennan_prediger(
    ballots: &[&Ballot],
    position_of: &[String],
    weight: f64,
    options: usize,
) -> PanelAgreement {
    let name = "brennan_prediger";
    // Each ballot with the weight of those before it, in all and at the same position.
    let mut before: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut all, mut agreeing, mut pairs) = (0.0, 0.0, 0.0);
    for (b, position) in ballots.iter().zip(position_of) {
        let (w, alike) = (b.weight / weight, before.entry(position).or_insert(0.0));
        agreeing += w * *alike;
        pairs += w * all;
        *alike += w;
        all += w;
    }
    if ballots.len() < 2 {
        return undefined(name, "there is only one ballot");
    }
    if pairs <= 0.0 {
        return undefined(name, "one ballot has all the weight");
    }
    let observed = (agreeing / pairs).min(1.0);
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
    let rounding = Rounding::of(sorted.iter().map(|s| s.1)).of_sums();
    let mut below = 0.0;
    for (i, &(x, w)) in sorted.iter().enumerate() {
        below += w;
        if below >= target - rounding {
            let level = (below - target).abs() <= rounding;
            return match sorted.get(i + 1) {
                Some(&(next, _)) if level => x + (next - x) / 2.0,
                _ => x,
            };
        }
    }
    sorted.last().map_or(0.0, |s| s.0)
}
