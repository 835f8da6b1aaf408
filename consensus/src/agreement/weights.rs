//! How much do two different categories agree?

use super::numbers::{Centred, unit_of};
use crate::{Ratings, check};
use quorate_core::{Cancel, Code, Error, Result};
use serde::Deserialize;
use std::f64::consts::PI;

/// The credit that a pair of categories gets: 1 for the same category, less for a near miss.
///
/// Distances are taken between the numbers of the categories when all are numbers, and between their positions 1, 2, ..., q
/// otherwise. Numbers beyond 2^53 that are the same as `f64` are refused with code `invalid_argument`. Source: K. L. Gwet, Handbook of Inter-Rater Reliability, 4th edition (2014), chapter 3; Cicchetti and Allison
/// (1971) for the linear and Fleiss and Cohen (1973) for the quadratic weights.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// 1 on the diagonal, 0 elsewhere: unweighted.
    #[default]
    Identity,
    /// `1 - |a - b| / (max - min)`.
    Linear,
    /// `1 - ((a - b) / (max - min))^2`.
    Quadratic,
    /// `1 - M(a, b) / max M`, with `M` the number of pairs of categories from `a` to `b`; depends on positions only.
    Ordinal,
    /// `1 - sqrt(|a - b| / (max - min))`.
    Radical,
    /// `1 - ((a - b) / (a + b))^2 / ((max - min) / (max + min))^2`; positive numbers only.
    Ratio,
    /// `1 - sin^2(pi (a - b) / (max - min + 1))`, scaled so that the smallest weight is 0.
    Circular,
    /// `1 - (a - b)^2 / ((a + b - 2 min) (2 max - a - b))`, scaled so that the smallest weight is 0.
    Bipolar,
    /// A symmetric table, row by row in the order of the categories, each number in [0, 1] and 1 on the diagonal.
    Custom(Vec<Vec<f64>>),
}

/// The most categories that weights other than [`Weights::Identity`] are taken for: each two of them are compared.
pub(super) const MAX_WEIGHTED: usize = 5_000;

/// Weights made ready for the categories of some data.
pub(super) struct Table<'a> {
    kind: &'a Weights,
    /// The numbers of the categories, in the form that the kind compares.
    x: Vec<f64>,
    /// Bipolar: the largest of them.
    width: f64,
    scale: f64,
}

impl Weights {
    /// Checks the weights against the data and prepares them. Errors: `invalid_shape`, `invalid_argument`, `not_finite`; `too_large`
    /// above [`MAX_WEIGHTED`] categories; `cancelled`.
    pub(super) fn table(&self, data: &Ratings) -> Result<Table<'_>> {
        let q = data.n_categories();
        if let Weights::Custom(rows) = self {
            check_custom(rows, q)?;
        }
        if *self != Weights::Identity {
            check::at_most(q, MAX_WEIGHTED, "categories with weights for near misses")?;
        }
        let positions = || -> Vec<f64> { (1..=q).map(|i| i as f64).collect() };
        let x = match self {
            Weights::Identity | Weights::Custom(_) | Weights::Ordinal => positions(),
            _ if data.categories().iter().any(|c| c.as_f64().is_none()) => positions(),
            _ => data.numeric_categories()?,
        };
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        if matches!(self, Weights::Ratio) && low <= 0.0 {
            return Err(Error::invalid(format!("ratio weights need positive values; the smallest is {low}")));
        }
        // The codes of the smallest and the largest number, which a domain need not list in order.
        let at = |v: f64| x.iter().position(|&x| x == v).unwrap_or(0);
        let ends = (at(low), at(high));
        let mut table = Table { kind: self, x: Vec::new(), width: 0.0, scale: 1.0 };
        // Each in a unit of its own, so that no square and no difference overflows.
        table.x = match self {
            Weights::Identity | Weights::Custom(_) | Weights::Ordinal => x,
            Weights::Linear | Weights::Quadratic | Weights::Radical => Centred::new(&x).x,
            Weights::Ratio => x.iter().map(|v| v * unit_of(high)).collect(),
            Weights::Circular => {
                let half = high / 2.0 - low / 2.0 + 0.5;
                x.iter().map(|v| (v / 2.0 - low / 2.0) / half).collect()
            }
            Weights::Bipolar => {
                let unit = unit_of(high / 2.0 - low / 2.0);
                table.width = high * unit - low * unit;
                x.iter().map(|v| v * unit - low * unit).collect()
            }
        };
        if q > 1 {
            table.scale = match self {
                Weights::Circular => {
                    let cancel = Cancel::current();
                    let mut largest: f64 = 0.0;
                    for i in 0..q {
                        cancel.check()?;
                        for j in 0..i {
                            largest = largest.max(table.distance(i, j));
                        }
                    }
                    largest
                }
                // The two ends are the farthest apart.
                Weights::Identity | Weights::Custom(_) => 1.0,
                _ => table.distance(ends.0, ends.1),
            };
        }
        Ok(table)
    }
}

impl Table<'_> {
    /// The credit for the pair of category codes, in [0, 1].
    pub(super) fn get(&self, i: usize, j: usize) -> f64 {
        match self.kind {
            _ if i == j => 1.0,
            Weights::Identity => 0.0,
            Weights::Custom(rows) => rows[i][j],
            _ => 1.0 - self.distance(i, j) / self.scale,
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        matches!(self.kind, Weights::Identity)
    }

    /// The sum of all weights.
    pub(super) fn total(&self) -> f64 {
        let q = self.x.len();
        if self.is_identity() {
            return q as f64;
        }
        (0..q).map(|i| (0..q).map(|j| self.get(i, j)).sum::<f64>()).sum()
    }

    /// `sum_j w_ij p_j` for each `i`.
    pub(super) fn apply(&self, p: &[f64]) -> Vec<f64> {
        if self.is_identity() {
            return p.to_vec();
        }
        (0..p.len()).map(|i| p.iter().enumerate().map(|(j, &v)| self.get(i, j) * v).sum()).collect()
    }

    /// `sum_j w_ij p_j` for each `i`, over the categories of `p`, each given once with its share.
    pub(super) fn among(&self, p: &[(usize, f64)]) -> Vec<f64> {
        if self.is_identity() {
            return p.iter().map(|(_, v)| *v).collect();
        }
        p.iter().map(|&(i, _)| p.iter().map(|&(j, v)| self.get(i, j) * v).sum()).collect()
    }

    fn distance(&self, i: usize, j: usize) -> f64 {
        let (a, b) = (self.x[i], self.x[j]);
        match self.kind {
            Weights::Identity | Weights::Custom(_) => f64::from(u8::from(i != j)),
            Weights::Linear => (a - b).abs(),
            Weights::Quadratic => (a - b).powi(2),
            Weights::Radical => (a - b).abs().sqrt(),
            Weights::Ordinal => {
                let n = i.abs_diff(j) as f64;
                n * (n + 1.0) / 2.0
            }
            Weights::Ratio => ((a - b) / (a + b)).powi(2),
            Weights::Circular => (PI * (a - b)).sin().powi(2),
            Weights::Bipolar if i == j => 0.0,
            Weights::Bipolar => (a - b).powi(2) / ((a + b) * (2.0 * self.width - a - b)),
        }
    }
}

fn check_custom(rows: &[Vec<f64>], q: usize) -> Result<()> {
    if rows.len() != q || rows.iter().any(|r| r.len() != q) {
        return Err(Error::new(
            Code::InvalidShape,
            format!(
                "{} rows of weights for {q} categories; a square table of that size is expected",
                rows.len()
            ),
        ));
    }
    for (i, row) in rows.iter().enumerate() {
        for (j, &w) in row.iter().enumerate() {
            if !w.is_finite() {
                return Err(Error::new(Code::NotFinite, format!("weights[{i}][{j}] is {w}")));
            }
            if !(0.0..=1.0).contains(&w) || w != rows[j][i] || (i == j && w != 1.0) {
                return Err(Error::invalid(format!(
                    "weights[{i}][{j}] is {w}; weights lie in [0, 1], are symmetric, and are 1 on the diagonal"
                )));
            }
        }
    }
    Ok(())
}
