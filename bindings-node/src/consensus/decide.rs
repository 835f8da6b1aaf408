//! How do panels, Delphi rounds, swarms and clusters answer Node?

use quorate::Result;
use quorate::consensus::delphi::{self, DelphiConfig};
use quorate::consensus::panel::{self, Ballot, PanelConfig, Position};
use quorate::consensus::swarm::{self, HoneybeeConfig, Objective, SwarmConfig};
use quorate::consensus::text::{self as meaning, ClusterConfig, Linkage};

use super::pooling::{opinions, weights};
use crate::convert::{
    Args, Out, count, floats, is_flat, list, members, number, pair, report, rows, text, texts, whole,
};
use crate::errors::invalid;
use crate::value::Given;

/// Ratings experts x items; one dimension is one item.
fn ratings(given: Given, what: &str) -> Result<Vec<Vec<f64>>> {
    if is_flat(&given) {
        return Ok(floats(given, what, true)?.into_iter().map(|x| vec![x]).collect());
    }
    rows(given, what, true)
}

/// The verdict on a round.
pub fn delphi_round(mut args: Args) -> Result<Out> {
    let now = ratings(args.take("ratings"), "ratings")?;
    let before = args.maybe("previous", ratings)?;
    let config = DelphiConfig {
        scale: args.or("scale", (1.0, 9.0), pair)?,
        iqr_limit: args.or("iqrLimit", 0.25, number)?,
        stability_limit: args.or("stabilityLimit", 0.15, number)?,
    };
    args.done()?;
    report(&delphi::delphi_round(&now, before.as_deref(), &config)?)
}

/// The decision of a honeybee swarm.
pub fn honeybee(mut args: Args) -> Result<Out> {
    let values = floats(args.take("values"), "values", false)?;
    let config = HoneybeeConfig {
        sigma: args.or("sigma", 4.0, number)?,
        quorum: args.or("quorum", 0.5, number)?,
        noise: args.or("noise", 1e-3, number)?,
        max_time: args.or("maxTime", 10_000.0, number)?,
        seed: args.or("seed", 0, whole)?,
    };
    args.done()?;
    report(&swarm::honeybee(&values, &config)?)
}

/// A pool found by a particle swarm.
pub fn swarm_pool(mut args: Args) -> Result<Out> {
    let (opinions, _) = opinions(args.take("p"), "p")?;
    let weights = weights(&mut args)?;
    let objectives = [
        ("kl_to_pool", Objective::KlToPool),
        ("kl_from_pool", Objective::KlFromPool),
        ("squared_distance", Objective::SquaredDistance),
        ("hellinger", Objective::Hellinger),
        ("total_variation", Objective::TotalVariation),
    ];
    let config = SwarmConfig {
        objective: args.choice("objective", &objectives)?,
        particles: args.or("particles", 40, count)?,
        max_iter: args.or("maxIter", 2000, count)?,
        tol: args.or("tol", 1e-9, number)?,
        seed: args.or("seed", 0, whole)?,
    };
    args.done()?;
    report(&swarm::swarm_pool(&opinions, weights.as_deref(), &config)?)
}

/// Answers grouped by meaning.
pub fn semantic_clusters(mut args: Args) -> Result<Out> {
    let vectors = rows(args.take("vectors"), "vectors", false)?;
    let weights = weights(&mut args)?;
    let config = ClusterConfig {
        threshold: args.or("threshold", 0.8, number)?,
        linkage: args.choice("linkage", &[("complete", Linkage::Complete), ("single", Linkage::Single)])?,
    };
    args.done()?;
    report(&meaning::semantic_clusters(&vectors, weights.as_deref(), &config)?)
}

fn position(kind: &str, given: Given, what: &str) -> Result<Position> {
    Ok(match kind {
        "choice" => Position::Choice(text(given, what)?),
        "ranking" => Position::Ranking(texts(given, what)?),
        "number" => Position::Number(number(given, what)?),
        "vector" => Position::Vector(floats(given, what, false)?),
        "probability" => {
            let shares = members(given, what)?.into_iter().map(|(option, p)| {
                let p = number(p, &format!("{what}.{option}"))?;
                Ok((option, p))
            });
            Position::Probability(shares.collect::<Result<_>>()?)
        }
        other => return Err(invalid(format!("{what}: '{other}' is no kind of ballot"))),
    })
}

/// Ballots are arrays (voter, kind, position, confidence, weight, rationale); the result is the report and its arithmetic.
pub fn score_panel(mut args: Args) -> Result<Out> {
    let mut ballots = Vec::new();
    for (i, ballot) in list(args.take("ballots"), "ballots")?.into_iter().enumerate() {
        let what = format!("ballots[{i}]");
        let Ok([voter, kind, given, confidence, weight, rationale]) =
            <[Given; 6]>::try_from(list(ballot, &what)?)
        else {
            return Err(invalid(format!("{what} is no ballot")));
        };
        ballots.push(Ballot {
            voter: text(voter, &format!("the voter of {what}"))?,
            position: position(&text(kind, &what)?, given, &what)?,
            confidence: number(confidence, &format!("the confidence of {what}"))?,
            weight: number(weight, &format!("the weight of {what}"))?,
            rationale: match rationale {
                Given::Undefined | Given::Null => None,
                given => Some(text(given, &format!("the rationale of {what}"))?),
            },
        });
    }
    let config = PanelConfig {
        options: args.or("options", Vec::new(), texts)?,
        scale: args.maybe("scale", pair)?,
        tolerance: args.maybe("tolerance", number)?,
        similarity: args.or("similarity", 0.8, number)?,
        minority_threshold: args.or("minorityThreshold", 0.0, number)?,
    };
    args.done()?;
    let score = panel::score_panel_with(&ballots, &config)?;
    let lines = score.explain().into_iter().map(Out::Text).collect();
    Ok(Out::List(vec![report(&score)?, Out::List(lines)]))
}
