//! How far could Krippendorff's alpha lie from its value in the sample?

use super::alpha::{AlphaOptions, Parts, Resample, Scale, disagreement};
use crate::Ratings;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The published cap: this many draws for each kind of pair (Krippendorff 2006, revised 2011, "Algorithm for bootstrapping a distribution of alpha").
const DRAWS_PER_KIND: f64 = 25.0;

/// The interval of the middle `confidence` of the bootstrap distribution. Round `b` draws from stream `b` of the seed, so that
/// threads do not matter.
pub(super) fn interval(data: &Ratings, scale: &Scale, parts: &Parts, options: &AlphaOptions) -> (f64, f64) {
    let round = |b: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(b as u64);
        rng
    };
    let mut samples: Vec<f64> = match options.resample {
        Resample::Pairs => {
            let pairs = Pairs::observed(data, scale, parts);
            (0..options.bootstrap)
                .into_par_iter()
                .map(|b| {
                    let mut rng = round(b);
                    let sum: f64 = (0..pairs.draws).map(|_| pairs.draw(&mut rng)).sum();
                    1.0 - sum / (pairs.draws as f64 * parts.expected)
                })
                .collect()
        }
        Resample::Items => {
            let items: Vec<usize> = (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1).collect();
            (0..options.bootstrap)
                .into_par_iter()
                .map_init(
                    || vec![0u32; data.n_items()],
                    |times, b| {
                        let mut rng = round(b);
                        times.fill(0);
                        items.iter().for_each(|_| times[items[rng.random_range(0..items.len())]] += 1);
                        // A draw without any variation says nothing against agreement.
                        disagreement(data, scale, Some(times)).alpha().unwrap_or(1.0)
                    },
                )
                .collect()
        }
    };
    samples.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - options.confidence);
    (quantile(&samples, tail), quantile(&samples, 1.0 - tail))
}

/// The distribution of squared differences over the observed pairs, ready for drawing.
struct Pairs {
    difference: Vec<f64>,
    /// Walker's alias table (Vose 1991): cell `i` gives `difference[i]` with probability `keep[i]`, else `difference[alias[i]]`.
    keep: Vec<f64>,
    alias: Vec<u32>,
    draws: usize,
}

impl Pairs {
    fn observed(data: &Ratings, scale: &Scale, parts: &Parts) -> Pairs {
        let mut cells: Vec<(u64, f64)> = Vec::new();
        let mut pairs = 0.0;
        let mut settled = 0;
        for i in 0..data.n_items() {
            let codes = data.item_codes(i);
            let m = codes.len() as f64;
            pairs += m * (m - 1.0) / 2.0;
            for (k, &a) in codes.iter().enumerate() {
                let pair = |&b: &u32| (u64::from(a.min(b)) << 32 | u64::from(a.max(b)), 1.0 / (m - 1.0));
                cells.extend(codes[..k].iter().map(pair));
            }
            // Merging now and then keeps the list as short as the number of kinds.
            if cells.len() > 2 * settled + (1 << 16) {
                merge(&mut cells);
                settled = cells.len();
            }
        }
        merge(&mut cells);
        let difference = cells
            .iter()
            .map(|c| scale.difference((c.0 >> 32) as usize, c.0 as u32 as usize, &parts.positions))
            .collect();
        let weights: Vec<f64> = cells.iter().map(|c| c.1).collect();
        let (keep, alias) = alias_table(&weights);
        let draws = pairs.min(DRAWS_PER_KIND * cells.len() as f64) as usize;
        Pairs { difference, keep, alias, draws }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        let cell = rng.random_range(0..self.difference.len() as u32) as usize;
        let chosen = if rng.random::<f64>() < self.keep[cell] { cell } else { self.alias[cell] as usize };
        self.difference[chosen]
    }
}

/// Sorts by kind and adds up the weights of each.
fn merge(cells: &mut Vec<(u64, f64)>) {
    cells.sort_by_key(|c| c.0);
    cells.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

fn alias_table(weights: &[f64]) -> (Vec<f64>, Vec<u32>) {
    let n = weights.len();
    let total: f64 = weights.iter().sum();
    let mut keep: Vec<f64> = weights.iter().map(|w| w * n as f64 / total).collect();
    let mut alias: Vec<u32> = (0..n as u32).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| keep[i] < 1.0);
    while let (Some(s), Some(&l)) = (small.pop(), large.last()) {
        alias[s] = l as u32;
        keep[l] -= 1.0 - keep[s];
        if keep[l] < 1.0 {
            large.pop();
            small.push(l);
        }
    }
    // What is left over differs from 1 by rounding only.
    small.into_iter().chain(large).for_each(|i| keep[i] = 1.0);
    (keep, alias)
}

/// The quantile of sorted numbers, linear between them.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}
