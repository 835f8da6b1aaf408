//! Do two raters agree beyond what their own habits would give by chance?

use super::chance::surely;
use super::weights::Table;
use super::{Coefficient, KappaOptions, check_data, check_identity};
use crate::check::short;
use crate::math::{normal_quantile, normal_two_sided};
use crate::{Column, Ratings};
use quorate_core::{Cancel, Code, Error, Result};

/// Raters whose pairs are all compared, at most.
const MAX_RATERS: usize = 2_000;

/// Cohen's kappa of two arrays about the same items, with any [`Weights`](super::Weights) (Cohen 1960, 1968).
///
/// Pairs with a gap (NaN, `None`) are left out. Standard error and interval are the large-sample ones of Fleiss, Cohen and
/// Everitt (1969), with normal quantiles; where the raters agree on every item that error is 0, and the lower end is kappa at the lower end of Wilson's
/// (1927) interval of the observed agreement. `z` uses the variance under "no agreement beyond chance" from the same paper.
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
        2 => pair(data, 0, 1, options, &options.weights.table(data)?),
        n => Err(Error::invalid(format!(
            "cohen_kappa is for two raters, not {n}; use light_kappa, conger_kappa or fleiss_kappa"
        ))),
    }
}

/// Light's kappa: the mean of Cohen's kappa over all pairs of raters who share an item (Light 1971).
///
/// There is no standard error. When the kappa of one pair is undefined, so is the mean. Time: ratings x raters, and for weighted kappas the square of the
/// categories that a pair uses.
///
/// Errors: `unsupported` for weighted or anonymous raters; `duplicate_entry`; `invalid_argument` for bad options;
/// `too_large` for more than 2,000 raters.
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
    if raters > MAX_RATERS {
        return Err(Error::new(
            Code::TooLarge,
            format!(
                "{method}: {raters} raters are {} pairs; at most {MAX_RATERS} raters are compared",
                raters * (raters - 1) / 2
            ),
        ));
    }
    let (cancel, w) = (Cancel::current(), options.weights.table(data)?);
    let (mut sum, mut observed, mut expected, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for a in 0..raters {
        for b in a + 1..raters {
            cancel.check()?;
            let kappa = pair(data, a, b, options, &w)?;
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
                        short(&data.raters()[a]),
                        short(&data.raters()[b])
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

/// Above so many pairs of used categories the null variance of unweighted kappa is taken from sums over the margins.
const FEW_CELLS: usize = 1 << 20;

/// Cohen's kappa of two raters of the data, over the items that both rated. Work is on the categories that the two used, not on all there are.
fn pair(data: &Ratings, a: usize, b: usize, options: &KappaOptions, w: &Table<'_>) -> Result<Coefficient> {
    let method = "cohen_kappa";
    let mut cells = shared(data, a, b);
    let n = cells.len() as f64;
    let base = Coefficient { method, raters: 2, items: cells.len(), ..Coefficient::default() };
    if cells.is_empty() {
        return Ok(Coefficient { undefined: Some("the raters share no item".into()), ..base });
    }
    cells.sort_unstable();
    let table: Vec<(usize, usize, f64)> =
        cells.chunk_by(|x, y| x == y).map(|c| (c[0].0, c[0].1, c.len() as f64 / n)).collect();
    let observed: f64 = table.iter().map(|&(i, j, p)| p * w.get(i, j)).sum();
    let rows = margin(cells.iter().map(|c| c.0).collect());
    let columns = margin(cells.iter().map(|c| c.1).collect());
    let (mean_row, mean_column) = (credit(w, &rows, &columns), credit(w, &columns, &rows));
    let expected: f64 = rows.iter().zip(&mean_row).map(|((_, p), m)| p * m).sum();
    if 1.0 - expected <= 1e-14 {
        let reason =
            "both raters use one and the same category only, so chance cannot be told from agreement";
        let (observed, expected) = (Some(observed), Some(expected));
        return Ok(Coefficient { undefined: Some(reason.into()), observed, expected, ..base });
    }
    let value = (observed - expected) / (1.0 - expected);
    let scale = n * (1.0 - expected).powi(2);
    let at = |margin: &[(usize, f64)], k: usize| margin.binary_search_by_key(&k, |m| m.0).unwrap_or(0);
    let spread: f64 = table
        .iter()
        .map(|&(i, j, p)| {
            let mean = mean_row[at(&rows, i)] + mean_column[at(&columns, j)];
            p * (w.get(i, j) - mean * (1.0 - value)).powi(2)
        })
        .sum();
    let variance = (spread - (value - expected * (1.0 - value)).powi(2)) / scale;
    let se = variance.max(0.0).sqrt();
    let null = null_variance(w, &rows, &columns, &mean_row, &mean_column, expected)?;
    let (low, high) =
        surely(value, observed, expected, n, se, normal_quantile(0.5 + options.confidence / 2.0));
    let mut out = Coefficient {
        value: Some(value),
        observed: Some(observed),
        expected: Some(expected),
        standard_error: Some(se),
        low: Some(low),
        high: Some(high),
        ..base
    };
    // Without it (a rater uses one category only) kappa is 0 whatever the other does, and nothing is tested.
    if null > 1e-14 * expected {
        let z = value / (null / scale).sqrt();
        (out.z, out.p_value) = (Some(z), Some(normal_two_sided(z)));
    }
    Ok(out)
}

/// The categories among these codes, ascending, with their shares.
fn margin(mut codes: Vec<usize>) -> Vec<(usize, f64)> {
    let n = codes.len() as f64;
    codes.sort_unstable();
    codes.chunk_by(|a, b| a == b).map(|c| (c[0], c.len() as f64 / n)).collect()
}

/// For each category of `of` the expected credit against the shares of `others`.
fn credit(w: &Table<'_>, of: &[(usize, f64)], others: &[(usize, f64)]) -> Vec<f64> {
    if w.is_identity() {
        let share = |k: usize| others.binary_search_by_key(&k, |m| m.0).map_or(0.0, |at| others[at].1);
        return of.iter().map(|&(k, _)| share(k)).collect();
    }
    of.iter().map(|&(i, _)| others.iter().map(|&(j, p)| w.get(i, j) * p).sum()).collect()
}

/// `n (1 - p_e)^2` times the variance of kappa without agreement beyond chance: the variance of `w_ij - mean_i - mean_j` where the cells are the
/// products of the margins. Error: `cancelled`.
fn null_variance(
    w: &Table<'_>,
    rows: &[(usize, f64)],
    columns: &[(usize, f64)],
    mean_row: &[f64],
    mean_column: &[f64],
    expected: f64,
) -> Result<f64> {
    if !w.is_identity() || rows.len() * columns.len() <= FEW_CELLS {
        let cancel = Cancel::current();
        let mut sum = 0.0;
        for (&(i, p), a) in rows.iter().zip(mean_row) {
            cancel.check()?;
            for (&(j, q), b) in columns.iter().zip(mean_column) {
                // The mean of what is squared is -expected.
                sum += p * q * (w.get(i, j) - (a + b) + expected).powi(2);
            }
        }
        return Ok(sum);
    }
    // Unweighted: the same from the margins alone, with w_ij = 1 on the diagonal only.
    let variance = |margin: &[(usize, f64)], mean: &[f64]| {
        margin.iter().zip(mean).map(|((_, p), m)| p * (m - expected).powi(2)).sum::<f64>()
    };
    let diagonal: f64 = rows
        .iter()
        .zip(mean_row)
        .filter_map(|(&(k, p), a)| {
            let at = columns.binary_search_by_key(&k, |m| m.0).ok()?;
            Some(p * columns[at].1 * (1.0 - 2.0 * (a + mean_column[at] - expected)))
        })
        .sum();
    let all = variance(rows, mean_row) + variance(columns, mean_column) + expected * expected + diagonal;
    Ok(if all > 1e-12 * expected { all } else { 0.0 })
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
