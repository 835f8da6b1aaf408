//! Are the experts unsure together, or sure of different things?

use quorate_core::{Cancel, Result};
use serde::Serialize;

use super::eigen::symmetric_eigen;
use crate::check;
use crate::pooling::{Opinions, linear_pool};

/// Eigenvalues below this share are rounding error, not a faction.
const NEGLIGIBLE: f64 = 1e-12;

/// The largest matrix whose eigenvalues are computed: some minutes.
const MAX_RANK: usize = 2_000;

/// One eigenvector of the pooled density matrix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DensityFaction {
    /// Its eigenvalue: the share of the panel's weight that lies along it. The weights sum to 1.
    pub weight: f64,
    /// The squares of its coordinates: a distribution over the outcomes. Only the leading one is in general close to
    /// what some member says; later ones are directions of dissent.
    pub opinion: Vec<f64>,
    /// For each expert the squared overlap of the expert's state with it, 0 to 1.
    pub overlap: Vec<f64>,
    /// Whether its eigenvalue equals another, so that any rotation within the two would do as well.
    pub degenerate: bool,
}

/// The result of [`density_pool`]. Entropies are in bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DensityPool {
    /// The diagonal of the density matrix: the linear pool.
    pub pooled: Vec<f64>,
    /// The `min(experts, outcomes)` largest eigenvalues, greatest first. They sum to 1; all others are 0.
    pub eigenvalues: Vec<f64>,
    /// Sum of squared eigenvalues: 1 when all experts agree exactly (sure or unsure), down to 1 / rank when split.
    pub purity: f64,
    /// Von Neumann entropy `-sum of l log2 l`: disagreement between the experts; 0 when they agree exactly.
    pub entropy: f64,
    /// Jensen-Shannon divergence: entropy of the linear pool less mean entropy of the experts. Never above `entropy`
    /// (Holevo 1973).
    pub jensen_shannon: f64,
    /// The eigenvectors with an eigenvalue above rounding error, heaviest first.
    pub factions: Vec<DensityFaction>,
}

/// "Quantum" opinion pool. This is a classical simulation: linear algebra with the formalism of quantum states, no
/// quantum effect and no speed-up are claimed.
///
/// Each opinion becomes the real unit vector of the square roots of its probabilities; the pool is the density matrix
///
/// ```text
/// rho = sum of w_i |sqrt p_i><sqrt p_i|,    diagonal of rho = linear pool
/// ```
///
/// (von Neumann 1927 for the formalism; Busemeyer and Bruza 2012 for its use on judgements). What it adds: the linear
/// pool of (.5, .5) and (.5, .5) equals that of (1, 0) and (0, 1), "all unsure" and "split". Here the first has purity
/// 1 and entropy 0, the second purity 1/2 and entropy 1 bit. The overlap of two states is the Bhattacharyya
/// coefficient, and the entropy bounds the Jensen-Shannon divergence from above (Holevo 1973). The spectrum comes
/// from the Gram matrix of the weighted states, `n` x `n` in the experts, or from `rho` itself when there are fewer
/// outcomes than experts: their non-zero spectra are the same. `O(min(n, k)^3)`.
///
/// ```
/// use quorate_consensus::{density::density_pool, pooling::Opinions};
/// let unsure = density_pool(&Opinions::from_event(&[0.5, 0.5])?, None)?;
/// let split = density_pool(&Opinions::from_event(&[1.0, 0.0])?, None)?;
/// assert_eq!(unsure.pooled, split.pooled);
/// assert!((unsure.entropy, split.entropy) == (0.0, 1.0));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `invalid_shape`, `not_finite`, `invalid_argument` for bad weights; `too_large` when both experts and outcomes are above 2,000, or their sum times
/// the smaller of them above 2^25.
pub fn density_pool(opinions: &Opinions, weights: Option<&[f64]>) -> Result<DensityPool> {
    let pooled = linear_pool(opinions, weights)?;
    let (n, k) = (opinions.experts(), opinions.outcomes());
    check::at_most(n.min(k), MAX_RANK, "the smaller of experts and outcomes")?;
    check::table(&[n.min(k), n.saturating_add(k)], "directions x (experts + outcomes)")?;
    let weights = check::normalised_weights(weights, n)?;
    // Row i: sqrt(w_i) * sqrt(p_i).
    let states: Vec<f64> =
        opinions.rows().zip(&weights).flat_map(|(row, w)| row.iter().map(move |p| (w * p).sqrt())).collect();
    let state = |i: usize| &states[i * k..(i + 1) * k];
    let (m, cancel) = (n.min(k), Cancel::current());
    let mut matrix = vec![0.0; m * m];
    if n <= k {
        for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
            cancel.check()?;
            row.iter_mut().enumerate().for_each(|(j, x)| *x = dot(state(i), state(j)));
        }
    } else {
        for i in 0..n {
            cancel.check()?;
            for (a, &x) in state(i).iter().enumerate() {
                matrix[a * k..(a + 1) * k].iter_mut().zip(state(i)).for_each(|(r, y)| *r += x * y);
            }
        }
    }
    let (values, vectors) = symmetric_eigen(matrix, m)?;
    let trace: f64 = values.iter().map(|l| l.max(0.0)).sum();
    let eigenvalues: Vec<f64> = values
        .iter()
        .map(|&l| if l > NEGLIGIBLE { l / trace } else { 0.0 })
        .map(|l| if l > 1.0 - NEGLIGIBLE { 1.0 } else { l })
        .collect();
    let mut factions = Vec::new();
    for (x, &lambda) in eigenvalues.iter().enumerate().filter(|(_, l)| **l > 0.0) {
        cancel.check()?;
        let mut direction = if n <= k {
            // Left singular vector to right singular vector.
            let mut v = vec![0.0; k];
            for (i, c) in vectors[x].iter().enumerate() {
                v.iter_mut().zip(state(i)).for_each(|(v, s)| *v += c * s);
            }
            v
        } else {
            vectors[x].clone()
        };
        let norm = dot(&direction, &direction).sqrt();
        direction.iter_mut().for_each(|v| *v /= norm);
        let near = |y: usize| eigenvalues.get(y).is_some_and(|l| (l - lambda).abs() <= 1e-9);
        factions.push(DensityFaction {
            weight: lambda,
            opinion: direction.iter().map(|v| v * v).collect(),
            overlap: opinions
                .rows()
                .map(|row| row.iter().zip(&direction).map(|(p, v)| p.sqrt() * v).sum::<f64>().powi(2))
                .collect(),
            degenerate: near(x + 1) || (x > 0 && near(x - 1)),
        });
    }
    let mean_entropy: f64 = opinions.rows().zip(&weights).map(|(row, w)| w * bits(row)).sum();
    Ok(DensityPool {
        purity: eigenvalues.iter().map(|l| l * l).sum(),
        entropy: bits(&eigenvalues),
        jensen_shannon: (bits(&pooled) - mean_entropy).max(0.0),
        pooled,
        eigenvalues,
        factions,
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Shannon entropy in bits.
fn bits(p: &[f64]) -> f64 {
    // Adding 0.0 turns -0.0 into 0.0.
    -p.iter().filter(|x| **x > 0.0).map(|x| x * x.log2()).sum::<f64>() + 0.0
}
