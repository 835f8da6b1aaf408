//! Which answer do more people give than people expected, and who knew more than the crowd?

use quorate_core::{Code, Error, Result};
use serde::Serialize;

use crate::check;
use crate::pooling::Opinions;

/// The result of [`surprisingly_popular`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurprisinglyPopular {
    /// The answers with the greatest surprise; more than one is a tie.
    pub answers: Vec<usize>,
    /// The answers that most voters gave, for comparison.
    pub popular: Vec<usize>,
    /// Weighted share of votes for each answer.
    pub actual: Vec<f64>,
    /// Weighted mean of the shares that the voters predicted.
    pub predicted: Vec<f64>,
    /// `actual - predicted`.
    pub surprise: Vec<f64>,
}

/// The surprisingly popular answer (Prelec, Seung and McCoy 2017): the one whose actual share exceeds its predicted
/// share the most. A well-informed minority that knows itself to be a minority can win by it.
///
/// `votes[i]` is the answer of voter `i`, as an index below the number of outcomes; `predictions` holds each voter's
/// forecast of the shares of all answers. With two answers this is the published rule; with more it is its usual
/// extension by differences.
///
/// ```
/// use quorate_consensus::{minority::surprisingly_popular, pooling::Opinions};
/// // Is Philadelphia the capital of Pennsylvania? 0 = yes, 1 = no.
/// let predictions = Opinions::from_rows(&[[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])?;
/// let sp = surprisingly_popular(&[0, 0, 0, 1, 1], &predictions, None)?;
/// assert_eq!((sp.popular, sp.answers), (vec![0], vec![1]));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `invalid_shape`; `unknown_id` for a vote that is no outcome; `not_finite`, `invalid_argument` for weights.
pub fn surprisingly_popular(
    votes: &[usize],
    predictions: &Opinions,
    weights: Option<&[f64]>,
) -> Result<SurprisinglyPopular> {
    check_votes(votes, predictions)?;
    let weights = check::normalised_weights(weights, votes.len())?;
    let k = predictions.outcomes();
    let (mut actual, mut predicted) = (vec![0.0; k], vec![0.0; k]);
    for ((&v, row), &w) in votes.iter().zip(predictions.rows()).zip(&weights) {
        actual[v] += w;
        predicted.iter_mut().zip(row).for_each(|(q, p)| *q += w * p);
    }
    let surprise: Vec<f64> = actual.iter().zip(&predicted).map(|(a, p)| a - p).collect();
    Ok(SurprisinglyPopular {
        answers: leaders(&surprise),
        popular: leaders(&actual),
        actual,
        predicted,
        surprise,
    })
}

/// The result of [`bayesian_truth_serum`], in nats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthSerum {
    /// Each respondent's `information + alpha * prediction`.
    pub scores: Vec<f64>,
    /// Each respondent's information score: `ln(actual / geometric mean prediction)` of the answer given.
    pub information: Vec<f64>,
    /// Each respondent's prediction score: `sum of actual_k ln(predicted_k / actual_k)`, at most 0.
    pub prediction: Vec<f64>,
    /// Share of votes for each answer.
    pub actual: Vec<f64>,
    /// Geometric mean of the predicted shares, per answer.
    pub predicted: Vec<f64>,
    /// The answers whose adherents have the greatest mean score; more than one is a tie.
    pub answers: Vec<usize>,
}

/// Bayesian truth serum (Prelec 2004): scores that make truthful answers an equilibrium, although no truth is known.
///
/// Inputs as for [`surprisingly_popular`]. With `alpha = 1` the scores sum to zero. A prediction of 0 has no
/// logarithm; `clip` raises predictions to at least that (before renormalising), and 0 leaves them as they are.
///
/// ```
/// use quorate_consensus::{minority::bayesian_truth_serum, pooling::Opinions};
/// let predictions = Opinions::from_rows(&[[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])?;
/// let bts = bayesian_truth_serum(&[0, 0, 1], &predictions, 1.0, 0.0)?;
/// assert!(bts.scores.iter().sum::<f64>().abs() < 1e-12);
/// assert_eq!(bts.answers, [1]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `undefined` when a prediction of 0 is given for an answer that somebody gave and `clip` is 0;
/// `invalid_argument`, `invalid_shape`, `not_finite`, `unknown_id`.
pub fn bayesian_truth_serum(
    votes: &[usize],
    predictions: &Opinions,
    alpha: f64,
    clip: f64,
) -> Result<TruthSerum> {
    check_votes(votes, predictions)?;
    check::weight(alpha, "alpha")?;
    check::within(clip, 0.0, 0.5, "clip")?;
    let (n, k) = (votes.len(), predictions.outcomes());
    let mut actual = vec![0.0; k];
    votes.iter().for_each(|&v| actual[v] += 1.0 / n as f64);
    let mut clipped = Vec::with_capacity(n * k);
    for (r, row) in predictions.rows().enumerate() {
        let sum: f64 = row.iter().map(|p| p.max(clip)).sum();
        for (a, p) in actual.iter().zip(row) {
            let p = p.max(clip) / sum;
            if p == 0.0 && *a > 0.0 {
                return Err(Error::new(
                    Code::Undefined,
                    format!(
                        "respondent {r} predicts a share of 0 for an answer that was given; set clip above 0"
                    ),
                ));
            }
            clipped.push(p);
        }
    }
    let log_mean: Vec<f64> =
        (0..k).map(|j| clipped.chunks_exact(k).map(|row| row[j].ln()).sum::<f64>() / n as f64).collect();
    let information: Vec<f64> = votes.iter().map(|&v| actual[v].ln() - log_mean[v]).collect();
    let prediction: Vec<f64> = clipped
        .chunks_exact(k)
        .map(|row| {
            actual.iter().zip(row).filter(|(a, _)| **a > 0.0).map(|(a, p)| a * (p / a).ln()).sum::<f64>()
        })
        .collect();
    let scores: Vec<f64> = information.iter().zip(&prediction).map(|(i, p)| i + alpha * p).collect();
    let (mut sums, mut counts) = (vec![0.0; k], vec![0.0; k]);
    for (&v, s) in votes.iter().zip(&scores) {
        sums[v] += s;
        counts[v] += 1.0;
    }
    let means: Vec<f64> =
        sums.iter().zip(&counts).map(|(s, c)| if *c > 0.0 { s / c } else { f64::NEG_INFINITY }).collect();
    Ok(TruthSerum {
        scores,
        information,
        prediction,
        actual,
        predicted: log_mean.into_iter().map(f64::exp).collect(),
        answers: leaders(&means),
    })
}

/// The indices of the greatest value, up to rounding.
fn leaders(x: &[f64]) -> Vec<usize> {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (0..x.len()).filter(|&i| top - x[i] <= 1e-12 * top.abs().max(1.0)).collect()
}

fn check_votes(votes: &[usize], predictions: &Opinions) -> Result<()> {
    check::same_length(votes.len(), predictions.experts(), "votes", "predictions")?;
    match votes.iter().find(|&&v| v >= predictions.outcomes()) {
        Some(v) => Err(Error::new(
            Code::UnknownId,
            format!("answer {v} is not below {}, the number of answers", predictions.outcomes()),
        )),
        None => Ok(()),
    }
}
