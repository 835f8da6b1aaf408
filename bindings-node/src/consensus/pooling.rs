//! How are probability judgements pooled and scored from Node?

use quorate::Result;
use quorate::consensus::pooling::{self, Background, CookeConfig, Opinions};
use quorate::consensus::{density, minority};

use crate::convert::{Args, Out, booleans, floats, indices, is_flat, list, number, report, rows};
use crate::errors::shape;
use crate::value::Given;

/// Opinions, and whether they are probabilities of one event.
pub fn opinions(given: Given, what: &str) -> Result<(Opinions, bool)> {
    if is_flat(&given) {
        Ok((Opinions::from_event(&floats(given, what, false)?)?, true))
    } else {
        Ok((Opinions::from_rows(&rows(given, what, false)?)?, false))
    }
}

/// Weights, if given.
pub fn weights(args: &mut Args) -> Result<Option<Vec<f64>>> {
    args.maybe("weights", |given, what| floats(given, what, false))
}

/// The probability of the event, or an array over the outcomes.
pub fn pool(mut args: Args, method: fn(&Opinions, Option<&[f64]>, f64) -> Result<Vec<f64>>) -> Result<Out> {
    let (opinions, event) = opinions(args.take("p"), "p")?;
    let weights = weights(&mut args)?;
    let a = args.or("a", 2.5, number)?;
    args.done()?;
    let pooled = method(&opinions, weights.as_deref(), a)?;
    Ok(match pooled.first() {
        Some(first) if event => Out::Number(*first),
        _ => Out::F64(pooled),
    })
}

/// The pool of opinions as a density matrix.
pub fn density_pool(mut args: Args) -> Result<Out> {
    let (opinions, _) = opinions(args.take("p"), "p")?;
    let weights = weights(&mut args)?;
    args.done()?;
    report(&density::density_pool(&opinions, weights.as_deref())?)
}

/// Performance weights of Cooke's classical model.
pub fn cooke_weights(mut args: Args) -> Result<Out> {
    let seeds = list(args.take("seeds"), "seeds")?
        .into_iter()
        .enumerate()
        .map(|(i, expert)| rows(expert, &format!("seeds[{i}]"), false))
        .collect::<Result<Vec<_>>>()?;
    let answers = floats(args.take("answers"), "answers", false)?;
    let defaults = CookeConfig::default();
    let config = CookeConfig {
        probabilities: args
            .maybe("probabilities", |given, what| floats(given, what, false))?
            .unwrap_or(defaults.probabilities),
        cutoff: args.or("cutoff", defaults.cutoff, number)?,
        overshoot: args.or("overshoot", defaults.overshoot, number)?,
        background: args.choice(
            "background",
            &[("uniform", Background::Uniform), ("log_uniform", Background::LogUniform)],
        )?,
    };
    args.done()?;
    report(&pooling::cooke_weights(&seeds, &answers, &config)?)
}

/// The Brier score.
pub fn brier_score(mut args: Args) -> Result<Out> {
    let (p, outcomes) = (args.take("p"), args.take("outcomes"));
    args.done()?;
    let score = if is_flat(&p) {
        pooling::brier_score(&floats(p, "p", false)?, &booleans(outcomes, "outcomes")?)
    } else {
        pooling::brier_score_multi(&opinions(p, "p")?.0, &indices(outcomes, "outcomes")?)
    };
    score.map(Out::Number)
}

/// The logarithmic score.
pub fn log_score(mut args: Args) -> Result<Out> {
    let (p, outcomes) = (args.take("p"), args.take("outcomes"));
    let clip = args.or("clip", 0.0, number)?;
    args.done()?;
    let score = if is_flat(&p) {
        pooling::log_score(&floats(p, "p", false)?, &booleans(outcomes, "outcomes")?, clip)
    } else {
        pooling::log_score_multi(&opinions(p, "p")?.0, &indices(outcomes, "outcomes")?, clip)
    };
    score.map(Out::Number)
}

/// The question-order test.
pub fn order_effect(mut args: Args) -> Result<Out> {
    let mut four = |name: &str| -> Result<[f64; 4]> {
        floats(args.take(name), name, false)?
            .try_into()
            .map_err(|v: Vec<f64>| shape(format!("{name} has {} numbers; four are expected", v.len())))
    };
    let (ab, ba) = (four("ab")?, four("ba")?);
    args.done()?;
    report(&density::order_effect(ab, ba)?)
}

/// The answer that more people give than people expected.
pub fn surprisingly_popular(mut args: Args) -> Result<Out> {
    let votes = indices(args.take("votes"), "votes")?;
    let predictions = Opinions::from_rows(&rows(args.take("predictions"), "predictions", false)?)?;
    let weights = weights(&mut args)?;
    args.done()?;
    report(&minority::surprisingly_popular(&votes, &predictions, weights.as_deref())?)
}

/// Scores that make truthful answers an equilibrium.
pub fn bayesian_truth_serum(mut args: Args) -> Result<Out> {
    let votes = indices(args.take("votes"), "votes")?;
    let predictions = Opinions::from_rows(&rows(args.take("predictions"), "predictions", false)?)?;
    let (alpha, clip) = (args.or("alpha", 1.0, number)?, args.or("clip", 0.0, number)?);
    args.done()?;
    report(&minority::bayesian_truth_serum(&votes, &predictions, alpha, clip)?)
}
