//! How do the hidden states of a text's tokens become its one vector?

use super::dense::Dense;

/// How the rows of the hidden states are made one (Reimers & Gurevych 2019, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The first token.
    Cls,
    /// The largest value of each component.
    Max,
    /// The last token.
    LastToken,
}

impl Pooling {
    /// The name in a sentence-transformers configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Max => "max",
            Pooling::LastToken => "lasttoken",
        }
    }

    /// One vector of `hidden` components from the states of at least one token (tokens x `hidden`, row-major).
    pub(crate) fn apply(self, states: &[f32], hidden: usize) -> Vec<f32> {
        match self {
            Pooling::Cls => states[..hidden].to_vec(),
            Pooling::LastToken => states[states.len() - hidden..].to_vec(),
            Pooling::Mean => {
                let mut sum = vec![0.0f32; hidden];
                for row in states.chunks_exact(hidden) {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
                let scale = 1.0 / (states.len() / hidden) as f32;
                sum.iter_mut().for_each(|x| *x *= scale);
                sum
            }
            Pooling::Max => {
                let mut best = vec![f32::NEG_INFINITY; hidden];
                for row in states.chunks_exact(hidden) {
                    // Not f32::max, which would hide a NaN.
                    best.iter_mut().zip(row).for_each(|(best, &x)| {
                        if x > *best || x.is_nan() {
                            *best = x;
                        }
                    });
                }
                best
            }
        }
    }
}

/// A module that follows pooling.
pub(crate) enum Step {
    Dense(Dense),
    Normalize,
}

/// Runs `steps` on a pooled vector, keeps its first `dimensions` components, and brings it to unit length.
pub(crate) fn finish(mut vector: Vec<f32>, steps: &[Step], dimensions: usize) -> Vec<f32> {
    for step in steps {
        match step {
            Step::Dense(layer) => vector = layer.apply(&vector),
            Step::Normalize => normalize(&mut vector),
        }
    }
    vector.truncate(dimensions);
    normalize(&mut vector);
    vector
}

/// Brings `vector` to unit length; a zero vector stays as it is.
fn normalize(vector: &mut [f32]) {
    // In f64, so that neither tiny nor huge components are lost in their squares.
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [f32; 6] = [1.0, -2.0, 3.0, 4.0, 2.0, -8.0];

    #[test]
    fn each_pooling_takes_what_its_name_says() {
        assert_eq!(Pooling::Mean.apply(&STATES, 2), [2.0, -2.0]);
        assert_eq!(Pooling::Cls.apply(&STATES, 2), [1.0, -2.0]);
        assert_eq!(Pooling::LastToken.apply(&STATES, 2), [2.0, -8.0]);
        assert_eq!(Pooling::Max.apply(&STATES, 2), [3.0, 4.0]);
    }

    #[test]
    fn a_nan_survives_every_pooling() {
        let mut bad = STATES;
        bad[1] = f32::NAN;
        for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max] {
            assert!(pooling.apply(&bad, 2)[1].is_nan(), "{pooling:?}");
        }
    }

    #[test]
    fn truncation_comes_before_the_last_normalisation() {
        let found = finish(vec![3.0, 4.0, 12.0], &[Step::Normalize], 2);
        assert!(found.iter().zip([0.6, 0.8]).all(|(x, y)| (x - y).abs() < 1e-6), "{found:?}");
        assert_eq!(finish(vec![0.0, 0.0], &[], 2), [0.0, 0.0]);
        assert_eq!(finish(vec![1e-30, 0.0], &[], 2), [1.0, 0.0]);
    }
}
