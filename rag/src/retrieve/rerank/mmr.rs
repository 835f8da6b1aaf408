//! Which candidates are good and say something new?

use quorate_core::vector::dot;
use quorate_core::{Cancel, Result};

/// Maximal marginal relevance (Carbonell & Goldstein 1998). The score of a candidate is its marginal relevance when it
/// was taken; these never rise from one taken candidate to the next, so that their order is the order of taking. Of
/// equal candidates the first is taken. `relevance` lies in 0..1, `vectors` have unit length. Errors: `cancelled`.
pub(super) fn scores(
    lambda: f32,
    relevance: &[f32],
    vectors: &[&[f32]],
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let mut out = vec![0.0; relevance.len()];
    // The similarity of each candidate with the most similar one that was taken. An opposite is no more welcome than
    // something unrelated: a cosine below 0 would let scores rise.
    let mut nearest = vec![0.0f32; relevance.len()];
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    while !left.is_empty() {
        cancel.check()?;
        let marginal = |i: usize| lambda * relevance[i] - (1.0 - lambda) * nearest[i];
        let mut best = 0;
        for at in 1..left.len() {
            if marginal(left[at]) > marginal(left[best]) {
                best = at;
            }
        }
        let taken = left.remove(best);
        out[taken] = marginal(taken);
        for &i in &left {
            nearest[i] = nearest[i].max(dot(vectors[i], vectors[taken]));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repetition_comes_after_something_new() {
        let (a, b): (&[f32], &[f32]) = (&[1.0, 0.0], &[0.0, 1.0]);
        let scores = scores(0.5, &[1.0, 0.9, 0.4], &[a, a, b], &Cancel::new()).unwrap();
        assert_eq!(scores, [0.5, 0.45 - 0.5, 0.2]);
    }

    /// The definition, word for word: each round looks at every pair.
    fn by_definition(lambda: f32, relevance: &[f32], vectors: &[&[f32]]) -> Vec<usize> {
        let mut taken: Vec<usize> = Vec::new();
        while taken.len() < relevance.len() {
            let value = |i: usize| {
                let similar = taken.iter().map(|&j| dot(vectors[i], vectors[j])).fold(0.0, f32::max);
                lambda * relevance[i] - (1.0 - lambda) * similar
            };
            let rest = (0..relevance.len()).filter(|i| !taken.contains(i));
            let next = rest.max_by(|&i, &j| value(i).total_cmp(&value(j)).then(j.cmp(&i))).unwrap();
            taken.push(next);
        }
        taken
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_definition(
            rows in prop::collection::vec((0.0f32..1.0, prop::collection::vec(-1.0f32..1.0, 3)), 1..20),
            lambda in 0.0f32..=1.0,
        ) {
            let vectors: Vec<Vec<f32>> = rows.iter().map(|(_, v)| {
                let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
                v.iter().map(|x| x / norm).collect()
            }).collect();
            let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let relevance: Vec<f32> = rows.iter().map(|(r, _)| *r).collect();
            let given = scores(lambda, &relevance, &vectors, &Cancel::new()).unwrap();
            let taken = by_definition(lambda, &relevance, &vectors);
            let mut sorted: Vec<usize> = (0..given.len()).collect();
            sorted.sort_by(|&i, &j| given[j].total_cmp(&given[i]));
            prop_assert_eq!(sorted, taken);
            if lambda == 1.0 {
                prop_assert_eq!(given, relevance);
            }
        }
    }
}
