//! How are probability judgements pooled and scored for a host?

use quorate_consensus::pooling::{self, CookeConfig, Opinions};
use quorate_consensus::{Label, density, minority};
use quorate_core::{Code, Error, Result, shorten};
use serde_json::Value;

use crate::read::{booleans, floats, indices, is_flat, label, labels, list, number, rows, shape};
use crate::{Answer, Args, Given};

/// Opinions, and whether they are probabilities of one event.
pub fn opinions(args: &mut Args, name: &str) -> Result<(Opinions, bool)> {
    let given = args.take(name);
    if is_flat(&given) {
        Ok((Opinions::from_event(&floats(given, name, false)?)?, true))
    } else {
        Ok((Opinions::from_rows(&rows(given, name, false)?)?, false))
    }
}

/// Weights, if given.
pub fn weights(args: &mut Args) -> Result<Option<Vec<f64>>> {
    args.maybe("weights", |given, what| floats(given, what, false))
}

/// The probability of the event, or an array over the outcomes.
pub fn pool(
    mut args: Args,
    method: fn(&Opinions, Option<&[f64]>, f64) -> Result<Vec<f64>>,
) -> Result<Answer> {
    let (opinions, event) = opinions(&mut args, "p")?;
    let weights = weights(&mut args)?;
    let a = args.or("a", pooling::DEFAULT_EXTREMIZING, number)?;
    args.done()?;
    let pooled = method(&opinions, weights.as_deref(), a)?;
    Ok(match pooled.first() {
        Some(first) if event => Answer::from(*first),
        _ => {
            let shape = vec![pooled.len()];
            Answer::Array(pooled, shape)
        }
    })
}

/// The pool of opinions as a density matrix.
pub fn density_pool(mut args: Args) -> Result<Answer> {
    let (opinions, _) = opinions(&mut args, "p")?;
    let weights = weights(&mut args)?;
    args.done()?;
    Answer::report(&density::density_pool(&opinions, weights.as_deref())?)
}

/// Performance weights of Cooke's classical model.
pub fn cooke_weights(mut args: Args) -> Result<Answer> {
    let seeds = list(args.take("seeds"), "seeds")?
        .into_iter()
        .enumerate()
        .map(|(i, expert)| rows(expert, &format!("seeds[{i}]"), false))
        .collect::<Result<Vec<_>>>()?;
    let answers = floats(args.take("answers"), "answers", false)?;
    let probabilities = args.maybe("probabilities", |given, what| floats(given, what, false))?;
    let mut config: CookeConfig = args.rest()?;
    config.probabilities = probabilities.unwrap_or(config.probabilities);
    Answer::report(&pooling::cooke_weights(&seeds, &answers, &config)?)
}

/// The Brier score.
pub fn brier_score(mut args: Args) -> Result<Answer> {
    let outcomes = args.take("outcomes");
    let p = args.take("p");
    args.done()?;
    let score = if is_flat(&p) {
        pooling::brier_score(&floats(p, "p", false)?, &booleans(outcomes, "outcomes")?)
    } else {
        let opinions = Opinions::from_rows(&rows(p, "p", false)?)?;
        pooling::brier_score_multi(&opinions, &indices(outcomes, "outcomes")?)
    };
    score.map(Answer::from)
}

/// The logarithmic score.
pub fn log_score(mut args: Args) -> Result<Answer> {
    let (p, outcomes) = (args.take("p"), args.take("outcomes"));
    let clip = args.or("clip", 0.0, number)?;
    args.done()?;
    let score = if is_flat(&p) {
        pooling::log_score(&floats(p, "p", false)?, &booleans(outcomes, "outcomes")?, clip)
    } else {
        let opinions = Opinions::from_rows(&rows(p, "p", false)?)?;
        pooling::log_score_multi(&opinions, &indices(outcomes, "outcomes")?, clip)
    };
    score.map(Answer::from)
}

/// How likely a majority is to be right.
pub fn condorcet_jury(mut args: Args) -> Result<Answer> {
    let competences = floats(args.take("competences"), "competences", false)?;
    args.done()?;
    Answer::report(&pooling::condorcet_jury(&competences)?)
}

/// The question-order test.
pub fn order_effect(mut args: Args) -> Result<Answer> {
    let mut four = |name: &str| -> Result<[f64; 4]> {
        floats(args.take(name), name, false)?
            .try_into()
            .map_err(|v: Vec<f64>| shape(format!("{name} has {} numbers; four are expected", v.len())))
    };
    let (ab, ba) = (four("ab")?, four("ba")?);
    args.done()?;
    Answer::report(&density::order_effect(ab, ba)?)
}

/// Votes as places in the options, which the votes name when they are given.
fn votes(args: &mut Args) -> Result<(Vec<usize>, Option<Vec<Label>>)> {
    let given = args.take("votes");
    let Some(options) = args.maybe("options", labels)? else {
        return Ok((indices(given, "votes")?, None));
    };
    let place = |(i, vote): (usize, Given)| {
        let what = format!("votes[{i}]");
        let vote = label(vote, &what)?;
        options.iter().position(|option| Some(option) == vote.as_ref()).ok_or_else(|| {
            let shown = vote.map_or("missing".to_owned(), |vote| format!("'{}'", shorten(&vote.to_string())));
            Error::new(Code::UnknownId, format!("{what} is {shown}, which is none of the options"))
        })
    };
    let votes = list(given, "votes")?.into_iter().enumerate().map(place).collect::<Result<_>>()?;
    Ok((votes, Some(options)))
}

/// The answers at these places, by the names of the options where they have names.
fn named(places: &[usize], options: Option<&[Label]>) -> Vec<Answer> {
    let name = |place: &usize| match options.and_then(|options| options.get(*place)) {
        Some(option) => Answer::Label(option.clone()),
        None => Answer::from(*place),
    };
    places.iter().map(name).collect()
}

/// The answer that more people give than people expected.
pub fn surprisingly_popular(mut args: Args) -> Result<Answer> {
    let (votes, options) = votes(&mut args)?;
    let predictions = Opinions::from_rows(&rows(args.take("predictions"), "predictions", false)?)?;
    let weights = weights(&mut args)?;
    args.done()?;
    let found = minority::surprisingly_popular(&votes, &predictions, weights.as_deref())?;
    let answers = named(&found.answers, options.as_deref());
    let answer = match &answers[..] {
        [only] => only.clone(),
        _ => Answer::Value(Value::Null),
    };
    let popular = Answer::List(named(&found.popular, options.as_deref()));
    Answer::with(&found, [("answer", answer), ("answers", Answer::List(answers)), ("popular", popular)])
}

/// Scores that make truthful answers an equilibrium.
pub fn bayesian_truth_serum(mut args: Args) -> Result<Answer> {
    let (votes, options) = votes(&mut args)?;
    let predictions = Opinions::from_rows(&rows(args.take("predictions"), "predictions", false)?)?;
    let (alpha, clip) = (args.or("alpha", 1.0, number)?, args.or("clip", 0.0, number)?);
    args.done()?;
    let found = minority::bayesian_truth_serum(&votes, &predictions, alpha, clip)?;
    let answers = Answer::List(named(&found.answers, options.as_deref()));
    Answer::with(&found, [("answers", answers)])
}
