//! How far could Krippendorff's alpha lie from its value in the sample?

use super::alpha::{AlphaOptions, Parts, Resample, Scale, disagreement, of_items};
use crate::math::{normal_below, normal_quantile, t_quantile};
use crate::{Ratings, check};
use quorate_core::{Cancel, Result, parallel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The published cap: this many draws for each kind of pair (Krippendorff 2006, revised 2011, "Algorithm for bootstrapping a distribution of alpha").
const DRAWS_PER_KIND: f64 = 25.0;

/// The most kinds of pairs that are held, 400 MiB of them with what is made of them.
const MAX_KINDS: usize = 1 << 24;

/// The interval of the bootstrap distribution, and the number of rounds behind it; none when less than half of them have an alpha. Round `b` draws from
/// stream `b` of the seed, so that the number of threads does not matter. Errors: `cancelled`; `too_large` for too many kinds of pairs.
pub(super) fn interval(
    data: &Ratings,
    scale: &Scale,
    parts: &Parts,
    items: usize,
    options: &AlphaOptions,
    cancel: &Cancel,
) -> Result<(Option<(f64, f64)>, usize)> {
    let round = |b: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(b as u64);
        rng
    };
    let tail = 0.5 * (1.0 - options.confidence);
    let mut samples: Vec<f64> = match options.resample {
        Resample::Pairs => {
            let pairs = Pairs::observed(data, scale, parts, cancel)?;
            parallel::try_map_range(options.bootstrap, |b| {
                cancel.check()?;
                let mut rng = round(b);
                let sum: f64 = (0..pairs.draws).map(|_| pairs.draw(&mut rng)).sum();
                Ok(1.0 - sum / (pairs.draws as f64 * parts.expected))
            })?
        }
        Resample::Items => {
            if items < 2 {
                return Ok((None, 0));
            }
            let items: Vec<usize> = (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1).collect();
            let own = of_items(data, scale, parts);
            let one = |times: &mut Vec<u32>, b: usize| {
                cancel.check()?;
                let mut rng = round(b);
                times.fill(0);
                items.iter().for_each(|_| times[items[rng.random_range(0..items.len())]] += 1);
                Ok(disagreement(data, scale, Some(times), own.as_deref(), cancel).alpha())
            };
            let drawn = parallel::try_map_range_with(options.bootstrap, || vec![0u32; data.n_items()], one)?;
            drawn.into_iter().flatten().collect()
        }
    };
    cancel.check()?;
    if 2 * samples.len() < options.bootstrap {
        return Ok((None, samples.len()));
    }
    samples.sort_unstable_by(f64::total_cmp);
    let (low, high) = match options.resample {
        Resample::Pairs => (tail, 1.0 - tail),
        Resample::Items => {
            let value = parts.alpha().unwrap_or(1.0);
            let (below, upto) =
                (samples.partition_point(|s| *s < value), samples.partition_point(|s| *s <= value));
            let share = 0.5 * (below + upto) as f64 / samples.len() as f64;
            let half = 0.5 / samples.len() as f64;
            let bias = normal_quantile(share.clamp(half, 1.0 - half));
            corrected(bias, acceleration(data, scale, parts, items, cancel)?, items as f64, tail)?
        }
    };
    Ok((Some((quantile(&samples, low), quantile(&samples, high))), samples.len()))
}

/// Where in the bootstrap distribution the ends of the interval lie: bias-corrected and accelerated (Efron 1987), for quantiles that are expanded
/// because the spread of n draws is too small by (n - 1) / n and a normal quantile by that of Student's t (Hesterberg 2015).
fn corrected(bias: f64, acceleration: f64, n: f64, tail: f64) -> Result<(f64, f64)> {
    let z = (n / (n - 1.0)).sqrt() * t_quantile(1.0 - tail, n - 1.0)?;
    let at = |z: f64| {
        let shifted = bias + z;
        normal_below(bias + shifted / (1.0 - acceleration * shifted).max(0.1))
    };
    Ok((at(-z), at(z)))
}

/// Above so many items the acceleration, which falls with the root of their number, is taken as 0.
const MAX_LEFT_OUT: usize = 1_000;

/// A sixth of the skewness of alpha's influence values, by leaving each item out in turn. Error: `cancelled`.
fn acceleration(data: &Ratings, scale: &Scale, parts: &Parts, items: usize, cancel: &Cancel) -> Result<f64> {
    if items > MAX_LEFT_OUT {
        return Ok(0.0);
    }
    let (mut times, own) = (vec![1u32; data.n_items()], of_items(data, scale, parts));
    let mut without = Vec::with_capacity(items);
    for i in (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1) {
        cancel.check()?;
        times[i] = 0;
        without.extend(disagreement(data, scale, Some(&times), own.as_deref(), cancel).alpha());
        times[i] = 1;
    }
    let mean = without.iter().sum::<f64>() / without.len() as f64;
    let power = |p: i32| without.iter().map(|a| (mean - a).powi(p)).sum::<f64>();
    let squares = power(2);
    Ok(if squares > 0.0 { power(3) / (6.0 * squares.powf(1.5)) } else { 0.0 })
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
    fn observed(data: &Ratings, scale: &Scale, parts: &Parts, cancel: &Cancel) -> Result<Pairs> {
        let mut cells: Vec<(u64, f64)> = Vec::new();
        let mut pairs = 0.0;
        let mut settled = 0;
        let mut sorted: Vec<u32> = Vec::new();
        for i in 0..data.n_items() {
            let codes = data.item_codes(i);
            let m = codes.len() as f64;
            pairs += m * (m - 1.0) / 2.0;
            sorted.clear();
            sorted.extend_from_slice(codes);
            sorted.sort_unstable();
            let runs: Vec<&[u32]> = sorted.chunk_by(|a, b| a == b).collect();
            for (k, a) in runs.iter().enumerate() {
                cancel.check()?;
                let (code, n) = (u64::from(a[0]), a.len() as f64);
                if a.len() > 1 {
                    cells.push((code << 32 | code, n * (n - 1.0) / 2.0 / (m - 1.0)));
                }
                cells.extend(
                    runs[..k].iter().map(|b| (u64::from(b[0]) << 32 | code, n * b.len() as f64 / (m - 1.0))),
                );
                // Merging now and then keeps the list as short as the number of kinds.
                if cells.len() > 2 * settled + (1 << 16) {
                    merge(&mut cells);
                    settled = cells.len();
                    check::at_most(settled, MAX_KINDS, "kinds of pairs to resample")?;
                }
            }
        }
        merge(&mut cells);
        check::at_most(cells.len(), MAX_KINDS, "kinds of pairs to resample")?;
        let difference = cells
            .iter()
            .map(|c| scale.difference((c.0 >> 32) as usize, c.0 as u32 as usize, &parts.positions))
            .collect();
        let weights: Vec<f64> = cells.iter().map(|c| c.1).collect();
        let (keep, alias) = alias_table(&weights);
        let draws = pairs.min(DRAWS_PER_KIND * cells.len() as f64) as usize;
        Ok(Pairs { difference, keep, alias, draws })
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
