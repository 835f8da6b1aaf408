//! Which share of agreement is left when that of chance is taken away, for several raters with gaps?
//!
//! Five coefficients share the observed agreement and the variance of K. L. Gwet, Handbook of Inter-Rater Reliability,
//! 4th edition (2014), chapters 2 to 5; they differ in what chance is. With `r_ik` ratings of item `i` in category `k`, `r_i` in all,
//! weights `w`, `n` items and `n'` of them rated twice or more:
//!
//! `p_a = 1/n' sum_i sum_k r_ik (sum_l w_kl r_il - 1) / (r_i (r_i - 1))`, coefficient `(p_a - p_e) / (1 - p_e)`.
//!
//! The standard error is conditional on the raters and treats the items as a random sample; intervals use Student's t with n - 1 degrees
//! of freedom, and p-values the same. Items with one rating count for `p_e` only.

use super::weights::Table;
use super::{Coefficient, KappaOptions, check_data, check_identity};
use crate::Ratings;
use crate::math::{normal_two_sided, t_quantile, t_two_sided};
use quorate_core::{Error, Result};

/// The share of agreeing pairs of ratings, averaged over items; no correction for chance.
///
/// Errors: `unsupported` for weighted raters, `duplicate_entry` for repeated ratings, `invalid_argument` for bad options.
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
    let mut out = pooled("fleiss_kappa", data, options)?;
    if let (Some(value), Some(se)) = (out.value, fleiss_null_error(data, options)) {
        out.z = Some(value / se);
        out.p_value = Some(normal_two_sided(value / se));
    }
    Ok(out)
}

/// Scott's pi: Fleiss' kappa for two raters (Scott 1955).
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
    pooled("scott_pi", data, options)
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
    chance_corrected("conger_kappa", data, options, |data, w| {
        let (n, r, q) = (data.n_items() as f64, data.n_raters() as f64, data.n_categories());
        let shares = |g: usize| {
            let codes = data.rater_codes(g);
            let mut p = vec![0.0; q];
            codes.iter().for_each(|&c| p[c as usize] += 1.0 / codes.len() as f64);
            p
        };
        let (mut sum, mut own) = (vec![0.0; q], 0.0);
        for g in 0..data.n_raters() {
            let p = shares(g);
            sum.iter_mut().zip(&p).for_each(|(s, v)| *s += v);
            own += w.product(&p, &p);
        }
        let expected = (w.product(&sum, &sum) - own) / (r * (r - 1.0));
        // The influence of each item on the expected agreement, by way of the shares of each of its raters.
        let (mut by_item, mut constant) = (vec![0.0; data.n_items()], 0.0);
        for g in 0..data.n_raters() {
            let p = shares(g);
            let others: Vec<f64> = sum.iter().zip(&p).map(|(s, v)| s - v).collect();
            let credit = w.apply(&others);
            let mean: f64 = credit.iter().zip(&p).map(|(b, v)| b * v).sum();
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

/// The agreement among the ratings of one item: the mean weight of its pairs.
fn item_agreement(codes: &[u32], w: &Table<'_>, counts: &mut [u32]) -> f64 {
    let r = codes.len() as f64;
    let mut sum = 0.0;
    if w.is_identity() {
        for &c in codes {
            sum += f64::from(counts[c as usize]);
            counts[c as usize] += 1;
        }
        sum *= 2.0;
        codes.iter().for_each(|&c| counts[c as usize] = 0);
    } else {
        for (k, &a) in codes.iter().enumerate() {
            sum += codes[..k].iter().map(|&b| 2.0 * w.get(a as usize, b as usize)).sum::<f64>();
        }
    }
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
    let mut counts = vec![0; data.n_categories()];
    let agreement: Vec<Option<f64>> = (0..n)
        .map(|i| {
            let codes = data.item_codes(i);
            (codes.len() > 1).then(|| item_agreement(codes, &w, &mut counts))
        })
        .collect();
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
        let half = se * t_quantile(0.5 + options.confidence / 2.0, df)?;
        out.standard_error = Some(se);
        (out.low, out.high) = (Some(value - half), Some((value + half).min(1.0)));
        if se > 0.0 && !plain {
            out.z = Some(value / se);
            out.p_value = Some(t_two_sided(value / se, df)?);
        }
    }
    Ok(out)
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
