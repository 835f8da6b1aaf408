//! How is truth inferred from Node?

use quorate::Result;
use quorate::consensus::truth::{
    self, EmOptions, GladOptions, KosOptions, MaceMethod, MaceOptions, MsrOptions, Truth,
    ZeroBasedSkillOptions,
};
use quorate::consensus::{Label, Ratings};
use serde_json::json;

use super::ratings::{pairs, ratings};
use crate::convert::{Args, Out, count, floats, from_labels, label, number, whole};
use crate::errors::invalid;

/// The report as JSON, the probabilities (items x classes), and the confusion (raters x classes x classes) if there is one.
fn hand_over(truth: Truth) -> Out {
    let report = json!({
        "method": truth.method,
        "items": from_labels(&truth.items),
        "itemLabels": from_labels(&truth.labels),
        "classes": from_labels(&truth.classes),
        "raters": from_labels(&truth.raters),
        "raterSkills": truth.skills,
        "classShares": truth.class_prior,
        "itemDifficulty": truth.difficulty,
        "logLikelihood": truth.log_likelihood,
        "iterations": truth.iterations,
        "converged": truth.converged,
        "ties": from_labels(&truth.ties),
    });
    let confusion = truth.confusion.map_or(Out::Nothing, Out::F64);
    Out::List(vec![Out::Text(report.to_string()), Out::F64(truth.probabilities), confusion])
}

fn gold(args: &mut Args) -> Result<Vec<(Label, Label)>> {
    let pairs = args.maybe("gold", |given, what| {
        pairs(given, what, |value, what| {
            label(value, what)?.ok_or_else(|| invalid(format!("{what} is missing")))
        })
    })?;
    Ok(pairs.unwrap_or_default())
}

/// A method without options.
pub fn plain(mut args: Args, method: fn(&Ratings) -> Result<Truth>) -> Result<Out> {
    let data = ratings(&mut args)?;
    args.done()?;
    method(&data).map(hand_over)
}

/// Dawid and Skene's model, whole or with one coin.
pub fn em(mut args: Args, method: fn(&Ratings, &EmOptions) -> Result<Truth>) -> Result<Out> {
    let data = ratings(&mut args)?;
    let defaults = EmOptions::default();
    let options = EmOptions {
        max_iter: args.or("maxIter", 100, count)?,
        tol: args.or("tol", 1e-5, number)?,
        prior_class: args.or("priorClass", defaults.prior_class, number)?,
        prior_correct: args.or("priorCorrect", defaults.prior_correct, number)?,
        prior_wrong: args.or("priorWrong", defaults.prior_wrong, number)?,
        gold: gold(&mut args)?,
    };
    args.done()?;
    method(&data, &options).map(hand_over)
}

/// Abilities and difficulties.
pub fn glad(mut args: Args) -> Result<Out> {
    let data = ratings(&mut args)?;
    let options = GladOptions {
        max_iter: args.or("maxIter", 100, count)?,
        tol: args.or("tol", 1e-5, number)?,
        ability_mean: args.or("abilityMean", 1.0, number)?,
        easiness_mean: args.or("easinessMean", 1.0, number)?,
        class_prior: args.maybe("classPrior", |given, what| floats(given, what, false))?,
        gold: gold(&mut args)?,
    };
    args.done()?;
    truth::glad(&data, &options).map(hand_over)
}

/// Raters who know, or answer without looking.
pub fn mace(mut args: Args) -> Result<Out> {
    let data = ratings(&mut args)?;
    let methods = [("variational", MaceMethod::Variational), ("em", MaceMethod::Em)];
    let options = MaceOptions {
        max_iter: args.or("maxIter", 50, count)?,
        tol: args.or("tol", 1e-5, number)?,
        restarts: args.or("restarts", 10, count)?,
        seed: args.or("seed", 0, whole)?,
        method: args.choice("method", &methods)?,
        gold: gold(&mut args)?,
        ..MaceOptions::default()
    };
    args.done()?;
    truth::mace(&data, &options).map(hand_over)
}

/// Message passing, for two categories.
pub fn kos(mut args: Args) -> Result<Out> {
    let data = ratings(&mut args)?;
    let options = KosOptions {
        max_iter: args.or("maxIter", 100, count)?,
        tol: args.or("tol", 1e-6, number)?,
        seed: args.or("seed", 0, whole)?,
    };
    args.done()?;
    truth::kos(&data, &options).map(hand_over)
}

/// Truth among hostile raters.
pub fn m_msr(mut args: Args) -> Result<Out> {
    let data = ratings(&mut args)?;
    let options = MsrOptions {
        max_iter: args.or("maxIter", 10_000, count)?,
        tol: args.or("tol", 1e-10, number)?,
        seed: args.or("seed", 0, whole)?,
    };
    args.done()?;
    truth::m_msr(&data, &options).map(hand_over)
}

/// Skills learnt step by step.
pub fn zero_based_skill(mut args: Args) -> Result<Out> {
    let data = ratings(&mut args)?;
    let options = ZeroBasedSkillOptions {
        max_iter: args.or("maxIter", 100, count)?,
        learning_rate: args.or("learningRate", 1.0, number)?,
        reduce_every: args.or("reduceEvery", 20, count)?,
        reduce_by: args.or("reduceBy", 0.5, number)?,
    };
    args.done()?;
    truth::zero_based_skill(&data, &options).map(hand_over)
}
