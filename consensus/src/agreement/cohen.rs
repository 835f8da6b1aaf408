//! Do two raters agree beyond what their own habits would give by chance?

use super::{Coefficient, KappaOptions, check_data, check_identity};
use crate::math::{normal_quantile, normal_two_sided};
use crate::{Column, Ratings};
use quorate_core::{Error, Result};

/// Cohen's kappa of two arrays about the same items, with any [`Weights`](super::Weights) (Cohen 1960, 1968).
///
/// Pairs with a gap (NaN, `None`) are left out. Standard error and interval are the large-sample ones of Fleiss, Cohen and
/// Everitt (1969), with normal quantiles; `z` uses the variance under "no agreement beyond chance" from the same paper.
///
/// Errors: `invalid_shape` for unequal lengths, `empty_input`, `not_finite` for infinite numbers, `invalid_argument` for bad options.
///
/// ```
/// use quorate_consensus::agreement::{KappaOptions, cohen_kappa};
/// let kappa = cohen_kappa(&["y", "y", "n", "n", "y"], &["y", "y", "n", "y", "y"], &KappaOptions::default())?;
/// assert!((kappa.value.unwrap() - 6.0 / 11.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn cohen_kappa<'a>(
    a: impl Into<Column<'a>>,
    b: impl Into<Column<'a>>,
    options: &KappaOptions,
) -> Result<Coefficient> {
    cohen_kappa_of(&Ratings::from_pair(a, b, None)?, options)
}

/// [`cohen_kappa`] of ratings by exactly two raters; a domain of the data brings in categories that nobody used.
///
/// Errors: `invalid_argument` for more than two raters; `unsupported` for weighted or anonymous raters; `duplicate_entry`.
pub fn cohen_kappa_of(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    let method = "cohen_kappa";
    check_data(method, data)?;
    check_identity(method, data)?;
    options.validate()?;
    match data.n_raters() {
        1 => Ok(Coefficient { raters: 1, ..Coefficient::undefined(method, "there is only one rater") }),
        2 => pair(data, 0, 1, options),
        n => Err(Error::invalid(format!(
            "cohen_kappa is for two raters, not {n}; use light_kappa, conger_kappa or fleiss_kappa"
        ))),
    }
}

/// Light's kappa: the mean of Cohen's kappa over all pairs of raters who share an item (Light 1971).
///
/// There is no standard error. When the kappa of one pair is undefined, so is the mean.
///
/// Errors: `unsupported` for weighted or anonymous raters; `duplicate_entry`; `invalid_argument` for bad options.
///
/// ```
/// use quorate_consensus::{Ratings, agreement::{KappaOptions, light_kappa}};
/// let data = Ratings::from_matrix(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 2.0, 2.0], 3, 4)?;
/// assert!((light_kappa(&data, &KappaOptions::default())?.value.unwrap() - 2.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn light_kappa(data: &Ratings, options: &KappaOptions) -> Result<Coefficient> {
    let method = "light_kappa";
    check_data(method, data)?;
    check_identity(method, data)?;
    options.validate()?;
    let raters = data.n_raters();
    let items = (0..data.n_items()).filter(|&i| data.item_codes(i).len() > 1).count();
    let base = Coefficient { method, raters, items, ..Coefficient::default() };
    let undefined = |reason: String| Ok(Coefficient { undefined: Some(reason), ..base.clone() });
    if raters < 2 {
        return undefined("there is only one rater".into());
    }
    let (mut sum, mut observed, mut expected, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for a in 0..raters {
        for b in a + 1..raters {
            let kappa = pair(data, a, b, options)?;
            match (kappa.value, kappa.observed, kappa.expected) {
                (Some(value), Some(po), Some(pe)) => {
                    sum += value;
                    observed += po;
                    expected += pe;
                    pairs += 1.0;
                }
                _ if kappa.items == 0 => {}
                _ => {
                    let reason = kappa.undefined.unwrap_or_default();
                    return undefined(format!(
                        "raters '{}' and '{}': {reason}",
                        data.raters()[a],
                        data.raters()[b]
                    ));
                }
            }
        }
    }
    if pairs == 0.0 {
        return undefined("no two raters share an item".into());
    }
    Ok(Coefficient {
        value: Some(sum / pairs),
        observed: Some(observed / pairs),
        expected: Some(expected / pairs),
        ..base.clone()
    })
}

/// Cohen's kappa of two raters of the data, over the items that both rated.
fn pair(data: &Ratings, a: usize, b: usize, options: &KappaOptions) -> Result<Coefficient> {
    let method = "cohen_kappa";
    let w = options.weights.table(data)?;
    let q = data.n_categories();
    let mut cells = shared(data, a, b);
    let n = cells.len() as f64;
    let base = Coefficient { method, raters: 2, items: cells.len(), ..Coefficient::default() };
    if cells.is_empty() {
        return Ok(Coefficient { undefined: Some("the raters share no item".into()), ..base });
    }
    cells.sort_unstable();
    let (mut row, mut column) = (vec![0.0; q], vec![0.0; q]);
    for &(i, j) in &cells {
        row[i] += 1.0 / n;
        column[j] += 1.0 / n;
    }
    let table: Vec<(usize, usize, f64)> =
        cells.chunk_by(|x, y| x == y).map(|c| (c[0].0, c[0].1, c.len() as f64 / n)).collect();
    let observed: f64 = table.iter().map(|&(i, j, p)| p * w.get(i, j)).sum();
    let (mean_row, mean_column) = (w.apply(&column), w.apply(&row));
    let expected: f64 = row.iter().zip(&mean_row).map(|(p, m)| p * m).sum();
    if 1.0 - expected <= 1e-14 {
        let reason =
            "both raters use one and the same category only, so chance cannot be told from agreement";
        let (observed, expected) = (Some(observed), Some(expected));
        return Ok(Coefficient { undefined: Some(reason.into()), observed, expected, ..base });
    }
    let value = (observed - expected) / (1.0 - expected);
    let scale = n * (1.0 - expected).powi(2);
    let spread: f64 = table
        .iter()
        .map(|&(i, j, p)| p * (w.get(i, j) - (mean_row[i] + mean_column[j]) * (1.0 - value)).powi(2))
        .sum();
    let variance = (spread - (value - expected * (1.0 - value)).powi(2)) / scale;
    let se = variance.max(0.0).sqrt();
    // Under independence the cells are the products of the margins; categories that a rater did not use drop out.
    let used = |p: &[f64]| -> Vec<usize> { (0..q).filter(|&k| p[k] > 0.0).collect() };
    let (rows, columns) = (used(&row), used(&column));
    let mut null = -expected * expected;
    for &i in &rows {
        for &j in &columns {
            null += row[i] * column[j] * (w.get(i, j) - (mean_row[i] + mean_column[j])).powi(2);
        }
    }
    let half = se * normal_quantile(0.5 + options.confidence / 2.0);
    let mut out = Coefficient {
        value: Some(value),
        observed: Some(observed),
        expected: Some(expected),
        standard_error: Some(se),
        low: Some(value - half),
        high: Some((value + half).min(1.0)),
        ..base
    };
    if null / scale > 1e-30 {
        let z = value / (null / scale).sqrt();
        (out.z, out.p_value) = (Some(z), Some(normal_two_sided(z)));
    }
    Ok(out)
}

/// The pairs of codes that the two raters gave to the items which both rated.
fn shared(data: &Ratings, a: usize, b: usize) -> Vec<(usize, usize)> {
    let (items_a, items_b) = (data.rater_items(a), data.rater_items(b));
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < items_a.len() && j < items_b.len() {
        match items_a[i].cmp(&items_b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                out.push((data.rater_codes(a)[i] as usize, data.rater_codes(b)[j] as usize));
                i += 1;
                j += 1;
            }
        }
    }
    out
}
