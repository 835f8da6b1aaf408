//! How are the probability judgements of several experts held?

use quorate_core::Result;
use serde::Serialize;

use crate::check;

/// Distributions of `n` experts over the same `k` outcomes, in one flat array.
///
/// ```
/// use quorate_consensus::pooling::Opinions;
/// let three = Opinions::from_rows(&[[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]])?;
/// assert_eq!((three.experts(), three.outcomes()), (2, 3));
/// // Probabilities of one event become the outcomes "it happens", "it does not".
/// let event = Opinions::from_event(&[0.9, 0.7, 0.6])?;
/// assert_eq!(event.row(0), [0.9, 1.0 - 0.9]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opinions {
    outcomes: usize,
    p: Vec<f64>,
}

impl Opinions {
    /// One distribution per expert. Sums within 1e-6 of one are accepted and made exactly one.
    ///
    /// Errors: `empty_input` without experts or outcomes; `invalid_shape` for rows of unequal length;
    /// `not_finite`; `invalid_argument` for a negative probability or a sum that is not one.
    pub fn from_rows<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        check::not_empty(rows.len(), "opinions")?;
        let outcomes = rows[0].as_ref().len();
        let mut p = Vec::with_capacity(rows.len() * outcomes);
        for (i, row) in rows.iter().enumerate() {
            let row = row.as_ref();
            check::same_length(row.len(), outcomes, "probabilities", "outcomes")
                .map_err(|e| e.context(format_args!("opinion {i}")))?;
            let sum = check::distribution(row, format_args!("opinion {i}"))?;
            p.extend(row.iter().map(|x| x / sum));
        }
        Ok(Opinions { outcomes, p })
    }

    /// Each expert's probability of one event.
    ///
    /// Errors: `empty_input`, `not_finite`, `invalid_argument` for a probability outside `[0, 1]`.
    pub fn from_event(probabilities: &[f64]) -> Result<Self> {
        check::not_empty(probabilities.len(), "opinions")?;
        let mut p = Vec::with_capacity(2 * probabilities.len());
        for (i, &x) in probabilities.iter().enumerate() {
            check::within(x, 0.0, 1.0, format_args!("probability {i}"))?;
            p.extend([x, 1.0 - x]);
        }
        Ok(Opinions { outcomes: 2, p })
    }

    /// The number of experts.
    pub fn experts(&self) -> usize {
        self.p.len() / self.outcomes
    }

    /// The number of outcomes.
    pub fn outcomes(&self) -> usize {
        self.outcomes
    }

    /// The distribution of expert `i`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.p[i * self.outcomes..(i + 1) * self.outcomes]
    }

    /// The distributions of all experts.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.p.chunks_exact(self.outcomes)
    }
}
