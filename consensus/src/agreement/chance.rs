//! Which share of agreement is left when that of chance is taken away, for several raters with gaps?
//!
//! Five coefficients share the observed agreement and the variance of K. L. Gwet, Handbook of Inter-Rater Reliability,
//! 4th edition (2014), chapters 2 to 5; they differ in what chance is. With `r_ik` ratings of item `i` in category `k`, `r_i` in all,
//! weights `w`, `n` items and `n'` of them rated twice or more:
//!
//! `p_a = 1/n' sum_i sum_k r_ik (sum_l w_kl r_il - 1) / (r_i (r_i - 1))`, coefficient `(p_a - p_e) / (1 - p_e)`.
//!
//! The standard error is conditional on the raters and treats the items as a random sample; intervals use Student's t with n - 1 degrees
//! of freedom, and p-values the same. Items with one rating count for `p_e` only. Where all ratings agree that error is 0, which says nothing about the next
//! item: the lower end is then the coefficient at the lower end of Wilson's (1927) interval of `p_a`. No interval goes beyond -1 or 1.

use super::weights::Table;
use super::{Coefficient, KappaOptions, check_data, check_identity};
use crate::Ratings;
use crate::math::{normal_two_sided, t_quantile, t_two_sided};
use crate::pooling::wilson_at;
use quorate_core::{Cancel, Error, Result};

/// The share of agreeing pairs of ratings, averaged over items; no correction for chance. Its interval is Wilson's (1927) at the number of
/// independent pairs that have the same standard error, with Student's t, so that it stays within 0 and 1.
///
/// Errors: `unsupported` for weighted raters, `duplicate_entry` for repeated ratings, `invalid_argument` for bad options, `too_large` for weights over more
/// than 5,000 categories.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, percent_agreement}};
/// let data = Ratings::from_matrix(&[1.0, 2.0, 1.0, 1.0, 2.0, 2.0], 2, 3)?;
/// assert_eq!(percent_agreement(&data, &KappaOptions::default())?.value, Some(2.0 / 3.0));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn percent_agreement(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    chance_corrected("percent_agreement", data, options, |_, _| Ok(Chance { expected: 0.0, by_item: None }))
}

/// Fleiss' kappa: chance is two ratings drawn from the pooled categories (Fleiss 1971; gaps after Gwet 2014).
///
/// `z` tests "no agreement beyond chance" with the null variance of Fleiss, Nee and Landis (1979); it is given when the
/// data is unweighted and each item has the same number of ratings. Otherwise `z` is the ratio of value and standard error, with the
/// p-value of Student's t.
///
/// Errors: as [`percent_agreement`].
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, fleiss_kappa}};
/// let counts = [vec![3, 0], vec![1, 2], vec![0, 3], vec![3, 0]];
/// let data = Ratings::from_counts(&counts, &["yes".into(), "no".into()])?;
/// let kappa = fleiss_kappa(&data, &KappaOptions::default())?;
/// assert!((kappa.value.unwrap() - 0.657142857).abs() < 1e-9);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn fleiss_kappa(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    Ok(null_test(pooled("fleiss_kappa", data, options)?, data, options))
}

/// The same with the test of 1979, where its null variance is known.
fn null_test(mut out: Coefficient, data: &Ratings, options: &KappaOptions) -> Coefficient {
    if let (Some(value), Some(se)) = (out.value, fleiss_null_error(data, options)) {
        out.z = Some(value / se);
        out.p_value = Some(normal_two_sided(value / se));
    }
    out
}

/// Scott's pi: Fleiss' kappa for two raters (Scott 1955), with the same test.
///
/// Errors: as [`percent_agreement`], and `invalid_argument` for more than two raters.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, scott_pi}};
/// let data = Ratings::from_pair(&["a", "a", "b", "b"], &["a", "b", "b", "b"], None)?;
/// assert!((scott_pi(&data, &KappaOptions::default())?.value.unwrap() - 7.0 / 15.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn scott_pi(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    if data.n_raters() > 2 {
        return Err(Error::invalid(format!(
            "scott_pi is for two raters, not {}; use fleiss_kappa",
            data.n_raters()
        )));
    }
    Ok(null_test(pooled("scott_pi", data, options)?, data, options))
}

/// Conger's kappa: chance is averaged over the pairs of raters, each with categories of their own (Conger 1980; gaps after Gwet 2014).
///
/// Errors: as [`percent_agreement`], and `unsupported` for counts, which do not tell the raters apart.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, conger_kappa}};
/// let data = Ratings::from_matrix(&[1.0, 2.0, 1.0, 1.0, 2.0, 2.0, 1.0, 2.0, 2.0], 3, 3)?;
/// assert!((conger_kappa(&data, &KappaOptions::default())?.value.unwrap() - 0.571428571).abs() < 1e-9);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn conger_kappa(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    check_identity("conger_kappa", data)?;
    let cancel = Cancel::current();
    chance_corrected("conger_kappa", data, options, |data, w| {
        let (n, r, q) = (data.n_items() as f64, data.n_raters() as f64, data.n_categories());
        let mut counts = vec![0.0; q];
        // The categories that a rater used, with their shares: few, however many there are.
        let mut shares = |g: usize| -> Vec<(usize, f64)> {
            let codes = data.rater_codes(g);
            let mut used = Vec::new();
            for &c in codes {
                if counts[c as usize] == 0.0 {
                    used.push(c as usize);
                }
                counts[c as usize] += 1.0;
            }
            used.iter().map(|&c| (c, std::mem::take(&mut counts[c]) / codes.len() as f64)).collect()
        };
        let (mut sum, mut own) = (vec![0.0; q], 0.0);
        for g in 0..data.n_raters() {
            cancel.check()?;
            let p = shares(g);
            p.iter().for_each(|&(c, v)| sum[c] += v);
            own += w.among(&p).iter().zip(&p).map(|(credit, (_, v))| credit * v).sum::<f64>();
        }
        let all = w.apply(&sum);
        let expected = (all.iter().zip(&sum).map(|(a, b)| a * b).sum::<f64>() - own) / (r * (r - 1.0));
        // The influence of each item on the expected agreement, by way of the shares of each of its raters.
        let (mut by_item, mut constant) = (vec![0.0; data.n_items()], 0.0);
        let mut credit = vec![0.0; q];
        for g in 0..data.n_raters() {
            cancel.check()?;
            let p = shares(g);
            let mut mean = 0.0;
            for (&(c, v), own) in p.iter().zip(w.among(&p)) {
                credit[c] = all[c] - own;
                mean += credit[c] * v;
            }
            constant += mean;
            let scale = n / data.rater_codes(g).len() as f64;
            for (&i, &c) in data.rater_items(g).iter().zip(data.rater_codes(g)) {
                by_item[i as usize] += scale * (credit[c as usize] - mean);
            }
        }
        by_item.iter_mut().for_each(|v| *v = (*v + constant) / (r * (r - 1.0)));
        Ok(Chance { expected, by_item: Some(by_item) })
    })
}

/// Brennan and Prediger's coefficient: chance gives each category the same share (Brennan and Prediger 1981; weights after Gwet 2014).
/// Categories of the domain that nobody used count.
///
/// Errors: as [`percent_agreement`].
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, brennan_prediger}};
/// let data = Ratings::from_matrix(&[1.0, 2.0, 1.0, 1.0, 2.0, 2.0], 2, 3)?;
/// assert!((brennan_prediger(&data, &KappaOptions::default())?.value.unwrap() - 1.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn brennan_prediger(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    chance_corrected("brennan_prediger", data, options, |data, w| {
        let q = data.n_categories() as f64;
        Ok(Chance { expected: w.total() / (q * q), by_item: None })
    })
}

/// Gwet's AC1, or AC2 with weights: chance is confined to items that are hard to rate, so that very uneven categories do not make it collapse
/// (Gwet 2008, 2014). Categories of the domain that nobody used count.
///
/// Errors: as [`percent_agreement`].
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, Weights, gwet_ac}};
/// let data = Ratings::from_matrix(&[1.0, 2.0, 3.0, 3.0, 1.0, 2.0, 2.0, 3.0], 2, 4)?;
/// let ac1 = gwet_ac(&data, &KappaOptions::default())?.value;
/// let ac2 = gwet_ac(&data, &KappaOptions::weighted(Weights::Quadratic))?.value;
/// assert!(ac1 < ac2);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn gwet_ac(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    chance_corrected("gwet_ac", data, options, |data, w| {
        let q = data.n_categories() as f64;
        let share = pooled_shares(data);
        let scale = w.total() / (q * (q - 1.0));
        let rest: Vec<f64> = share.iter().map(|p| 1.0 - p).collect();
        let expected = scale * share.iter().zip(&rest).map(|(p, r)| p * r).sum::<f64>();
        Ok(Chance { expected, by_item: Some(item_means(data, &rest, scale)) })
    })
}

/// What chance gives: the expected agreement and the influence of each item on it (`None`: it does not depend on the items).
struct Chance {
    expected: f64,
    by_item: Option<Vec<f64>>,
}

fn pooled(method: &'static str, data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    chance_corrected(method, data, options, |data, w| {
        let share = pooled_shares(data);
        let credit = w.apply(&share);
        let expected = credit.iter().zip(&share).map(|(a, b)| a * b).sum();
        Ok(Chance { expected, by_item: Some(item_means(data, &credit, 1.0)) })
    })
}

/// The share of each category, each item counting the same.
fn pooled_shares(data: &Ratings) -> Vec<f64> {
    let mut share = vec![0.0; data.n_categories()];
    for i in 0..data.n_items() {
        let codes = data.item_codes(i);
        codes.iter().for_each(|&c| share[c as usize] += 1.0 / codes.len() as f64);
    }
    share.iter_mut().for_each(|p| *p /= data.n_items() as f64);
    share
}

/// The mean of `per_category` over the ratings of each item, times `scale`.
fn item_means(data: &Ratings, per_category: &[f64], scale: f64) -> Vec<f64> {
    (0..data.n_items())
        .map(|i| {
            let codes = data.item_codes(i);
            scale * codes.iter().map(|&c| per_category[c as usize]).sum::<f64>() / codes.len() as f64
        })
        .collect()
}

/// The agreement among the ratings of one item: the mean weight of its pairs. `counts` are all 0 between items.
fn item_agreement(codes: &[u32], w: &Table<'_>, counts: &mut [u32]) -> f64 {
    let r = codes.len() as f64;
    let mut sum = 0.0;
    if w.is_identity() {
        for &c in codes {
            sum += f64::from(counts[c as usize]);
            counts[c as usize] += 1;
        }
        sum *= 2.0;
    } else {
        // Over the different categories of the item, so that many equal ratings cost no more than one.
        let mut used: Vec<u32> = Vec::new();
        for &c in codes {
            if counts[c as usize] == 0 {
                used.push(c);
            }
            counts[c as usize] += 1;
        }
        for (k, &a) in used.iter().enumerate() {
            let n = f64::from(counts[a as usize]);
            let others: f64 = used[..k]
                .iter()
                .map(|&b| f64::from(counts[b as usize]) * w.get(a as usize, b as usize))
                .sum();
            sum += n * (n - 1.0) + 2.0 * n * others;
        }
    }
    codes.iter().for_each(|&c| counts[c as usize] = 0);
    sum / (r * (r - 1.0))
}

fn chance_corrected(
    method: &'static str,
    data: &Ratings,
    options: &KappaOptions,
    chance: impl Fn(&Ratings, &Table<'_>) -> Result<Chance>,
) -> Result<Coefficient> {
    check_data(method, data)?;
    options.validate()?;
    let w = options.weights.table(data)?;
    let plain = method == "percent_agreement";
    let n = data.n_items();
    let cancel = Cancel::current();
    let mut counts = vec![0; data.n_categories()];
    let agreement: Vec<Option<f64>> = (0..n)
        .map(|i| {
            if i % 1024 == 0 {
                cancel.check()?;
            }
            let codes = data.item_codes(i);
            Ok((codes.len() > 1).then(|| item_agreement(codes, &w, &mut counts)))
        })
        .collect::<Result<_>>()?;
    let pairable = agreement.iter().flatten().count();
    let base = Coefficient { method, items: pairable, raters: data.n_raters(), ..Coefficient::default() };
    let undefined =
        |reason: &str, observed| Coefficient { undefined: Some(reason.to_owned()), observed, ..base.clone() };
    if data.n_raters() < 2 {
        return Ok(undefined("there is only one rater", None));
    }
    if pairable == 0 {
        return Ok(undefined("no item has two ratings", None));
    }
    let observed = agreement.iter().flatten().sum::<f64>() / pairable as f64;
    if data.n_categories() < 2 && !plain {
        return Ok(undefined(
            "there is only one category, so chance cannot be told from agreement",
            Some(observed),
        ));
    }
    let Chance { expected, by_item } = chance(data, &w)?;
    if 1.0 - expected <= 1e-14 {
        let expected = Some(expected);
        return Ok(Coefficient {
            expected,
            ..undefined(
                "agreement expected by chance is complete: all ratings fall in one category",
                Some(observed),
            )
        });
    }
    let value = (observed - expected) / (1.0 - expected);
    let mut out = Coefficient {
        value: Some(value),
        observed: Some(observed),
        expected: (!plain).then_some(expected),
        ..base.clone()
    };
    if n > 1 {
        let weight = n as f64 / pairable as f64;
        let spread: f64 = agreement
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let own = a.map_or(0.0, |a| weight * (a - expected) / (1.0 - expected));
                let shift = by_item
                    .as_ref()
                    .map_or(0.0, |e| 2.0 * (1.0 - value) * (e[i] - expected) / (1.0 - expected));
                (own - shift - value).powi(2)
            })
            .sum();
        let (n, df) = (n as f64, n as f64 - 1.0);
        let se = (spread / (n * df)).sqrt();
        let t = t_quantile(0.5 + options.confidence / 2.0, df)?;
        out.standard_error = Some(se);
        let (low, high) = if plain {
            let pairs: f64 = (0..data.n_items())
                .map(|i| data.item_codes(i).len() as f64)
                .map(|r| r * (r - 1.0) / 2.0)
                .sum();
            let effective = value * (1.0 - value) / (se * se);
            let effective = if effective.is_nan() { pairable as f64 } else { effective.min(pairs) };
            wilson_at(value, effective.max(1.0), t)
        } else {
            surely(value, observed, expected, pairable as f64, se, t)
        };
        (out.low, out.high) = (Some(low), Some(high));
        if se > 0.0 && !plain {
            out.z = Some(value / se);
            out.p_value = Some(t_two_sided(value / se, df)?);
        }
    }
    Ok(out)
}

/// The interval of a coefficient: `t` standard errors on both sides, within -1 and 1. Where the error is 0 because all ratings agree on all `n` items, the
/// lower end is the coefficient at the lower end of Wilson's interval of the observed agreement.
pub(super) fn surely(value: f64, observed: f64, expected: f64, n: f64, se: f64, t: f64) -> (f64, f64) {
    if observed >= 1.0 - 1e-12 {
        return (((wilson_at(1.0, n, t).0 - expected) / (1.0 - expected)).max(-1.0), 1.0);
    }
    ((value - t * se).max((-1.0f64).min(value)), (value + t * se).min(1.0))
}

/// The standard error of Fleiss' kappa under "no agreement beyond chance" (Fleiss, Nee and Landis 1979, equation 11);
/// `None` for weights or unequal numbers of ratings.
fn fleiss_null_error(data: &Ratings, options: &KappaOptions) -> Option<f64> {
    let r = data.item_codes(0).len();
    let even = (0..data.n_items()).all(|i| data.item_codes(i).len() == r);
    if !even || options.weights != super::Weights::Identity {
        return None;
    }
    let share = pooled_shares(data);
    let (n, r) = (data.n_items() as f64, r as f64);
    let spread: f64 = share.iter().map(|p| p * (1.0 - p)).sum();
    let skew: f64 = share.iter().map(|p| p * (1.0 - p) * (1.0 - 2.0 * p)).sum();
    let variance = 2.0 * (spread * spread - skew) / (spread * spread * n * r * (r - 1.0));
    (variance > 0.0).then(|| variance.sqrt())
}
