//! Has a panel come to agree on ratings, has it stopped moving, and should there be another round?

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::agreement::{KendallW, kendall_w};
use crate::check;
use crate::data::Ratings;

/// Numbers on the scale 1 to 9, and shares, that are closer than this are equal: what was computed from ratings carries rounding errors of 1e-15.
const ROUNDING: f64 = 1e-9;

/// Options of [`delphi_round`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelphiConfig {
    /// The ends of the rating scale. The constants of RAND/UCLA are for 1 to 9 (the default); ratings on another
    /// scale are mapped linearly onto it for appropriateness and disagreement.
    pub scale: (f64, f64),
    /// Consensus on an item needs an interquartile range of at most this share of the scale's width. Default 0.25
    /// (2 points on 1 to 9).
    pub iqr_limit: f64,
    /// An item is stable when the distribution of its ratings changed by less than this share since the previous
    /// round. Default 0.15 (Scheibe, Skutsch and Schofer 1975).
    pub stability_limit: f64,
}

impl Default for DelphiConfig {
    fn default() -> Self {
        DelphiConfig { scale: (1.0, 9.0), iqr_limit: 0.25, stability_limit: 0.15 }
    }
}

impl DelphiConfig {
    /// Errors: `not_finite`; `invalid_argument` for an empty scale or a limit outside `[0, 1]`.
    pub fn validate(&self) -> Result<()> {
        check::finite(self.scale.0, "the low end of the scale")?;
        check::finite(self.scale.1, "the high end of the scale")?;
        if self.scale.0 >= self.scale.1 {
            return Err(Error::invalid("the low end of the scale must be below its high end"));
        }
        check::finite(self.scale.1 - self.scale.0, "the width of the scale")?;
        check::within(self.iqr_limit, 0.0, 1.0, "iqr_limit")?;
        check::within(self.stability_limit, 0.0, 1.0, "stability_limit")?;
        Ok(())
    }
}

/// The RAND/UCLA verdict on an item (Fitch et al. 2001).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Appropriateness {
    /// Median in the upper third (6.5 or more on 1 to 9), without disagreement.
    Appropriate,
    /// Median in the middle third, or disagreement.
    Uncertain,
    /// Median in the lower third (below 3.5 on 1 to 9), without disagreement.
    Inappropriate,
}

/// One item of a Delphi round. Quantiles interpolate linearly between order statistics (Hyndman and Fan 1996, type 7).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelphiItem {
    /// How many experts rated the item.
    pub n: usize,
    /// Median rating.
    pub median: f64,
    /// First quartile.
    pub q1: f64,
    /// Third quartile.
    pub q3: f64,
    /// `q3 - q1`.
    pub iqr: f64,
    /// Interpercentile range P70 - P30, on the scale 1 to 9.
    pub ipr: f64,
    /// Interpercentile range adjusted for symmetry, `2.35 + 1.5 |5 - (P30 + P70) / 2|`, on the scale 1 to 9.
    pub ipras: f64,
    /// Whether `ipr > ipras`; a difference of 1e-9 is rounding.
    pub disagreement: bool,
    /// The RAND/UCLA verdict.
    pub appropriateness: Appropriateness,
    /// Whether `iqr` is within the limit and there is no disagreement.
    pub consensus: bool,
    /// Comparison with the previous round, when there was one.
    pub stability: Option<DelphiStability>,
}

/// How an item's ratings moved since the previous round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelphiStability {
    /// Half the summed absolute difference of the shares of each rating: 0 = same distribution, 1 = nothing in common.
    pub change: f64,
    /// Median now less median then.
    pub median_shift: f64,
    /// Interquartile range now less then; negative means that the panel drew together.
    pub iqr_shift: f64,
    /// Whether `change` is below the limit.
    pub stable: bool,
}

/// Why to stop or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DelphiReason {
    /// There is consensus on every item.
    Consensus,
    /// Every item without consensus is stable: another round would repeat the dissent.
    StableDissent,
    /// First round, and there are items without consensus.
    FirstRound,
    /// Some item without consensus still moves.
    StillMoving,
}

/// The result of [`delphi_round`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelphiRound {
    /// One entry per item.
    pub items: Vec<DelphiItem>,
    /// Kendall's W over the experts who rated every item; `value` is absent, with the reason, when it is undefined.
    pub kendall_w: KendallW,
    /// Whether to stop.
    pub stop: bool,
    /// The rule that decided.
    pub reason: DelphiReason,
    /// The reason in words, with the numbers of the items (from 0) that it rests on.
    pub why: String,
}

/// Judges one round of ratings: `ratings[expert][item]`, NaN = no answer; `previous` is the round before, over the
/// same items (the experts need not be the same).
///
/// The stopping rule, in this order: stop when every item has consensus (interquartile range within the limit and no
/// disagreement by IPRAS); stop when every item without consensus is stable against the previous round; otherwise go
/// on. Sources: RAND/UCLA appropriateness method (Fitch et al. 2001); stability (Scheibe, Skutsch and Schofer 1975);
/// Kendall's W as a measure of rank agreement (Schmidt 1997).
///
/// ```
/// use quorate_consensus::delphi::{delphi_round, DelphiConfig, DelphiReason};
/// let round = delphi_round(&[[8.0, 2.0], [8.0, 9.0], [7.0, 1.0]], None, &DelphiConfig::default())?;
/// assert_eq!(round.items[0].median, 8.0);
/// assert!(round.items[0].consensus && !round.items[1].consensus);
/// assert_eq!((round.stop, round.reason), (false, DelphiReason::FirstRound));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without experts, items, or answers to an item; `invalid_shape` for rows of unequal length;
/// `not_finite` for infinite ratings; `invalid_argument` for ratings outside the scale.
pub fn delphi_round<R: AsRef<[f64]>>(
    ratings: &[R],
    previous: Option<&[R]>,
    config: &DelphiConfig,
) -> Result<DelphiRound> {
    config.validate()?;
    let now = columns(ratings, config)?;
    let before = previous.map(|p| columns(p, config).map_err(|e| e.context("previous round"))).transpose()?;
    if let Some(before) = &before {
        check::same_length(before.len(), now.len(), "items of the previous round", "items of this round")?;
    }
    let items: Vec<DelphiItem> = now
        .iter()
        .enumerate()
        .map(|(i, column)| judge(column, before.as_ref().map(|b| b[i].as_slice()), config))
        .collect();

    let open: Vec<usize> = (0..items.len()).filter(|&i| !items[i].consensus).collect();
    let moving: Vec<usize> =
        open.iter().copied().filter(|&i| !items[i].stability.as_ref().is_some_and(|s| s.stable)).collect();
    let (stop, reason, why) = if open.is_empty() {
        (true, DelphiReason::Consensus, format!("all {} items have consensus", items.len()))
    } else if before.is_none() {
        let why = format!("first round; no consensus on items {}", listed(&open));
        (false, DelphiReason::FirstRound, why)
    } else if moving.is_empty() {
        let why = format!(
            "no consensus on items {}, but their ratings changed by less than {} since the previous round",
            listed(&open),
            config.stability_limit
        );
        (true, DelphiReason::StableDissent, why)
    } else {
        let why = format!("items {} have no consensus and still move", listed(&moving));
        (false, DelphiReason::StillMoving, why)
    };
    Ok(DelphiRound { items, kendall_w: concordance(ratings)?, stop, reason, why })
}

/// The numbers of items, the first hundred of them.
fn listed(items: &[usize]) -> String {
    let more = items.len().saturating_sub(100);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{:?}{more}", &items[..items.len().min(100)])
}

/// Sorted ratings per item.
fn columns<R: AsRef<[f64]>>(ratings: &[R], config: &DelphiConfig) -> Result<Vec<Vec<f64>>> {
    check::not_empty(ratings.len(), "experts")?;
    let n = ratings[0].as_ref().len();
    check::not_empty(n, "items")?;
    let (cancel, mut columns) = (Cancel::current(), vec![Vec::new(); n]);
    for (e, row) in ratings.iter().enumerate() {
        cancel.check()?;
        let row = row.as_ref();
        check::same_length(row.len(), n, "ratings", "items")
            .map_err(|err| err.context(format_args!("expert {e}")))?;
        for (i, &x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            columns[i].push(check::within(
                x,
                config.scale.0,
                config.scale.1,
                format_args!("the rating of item {i} by expert {e}"),
            )?);
        }
    }
    if let Some(i) = columns.iter().position(Vec::is_empty) {
        return Err(Error::new(Code::EmptyInput, format!("nobody rated item {i}")));
    }
    columns.iter_mut().for_each(|c| c.sort_by(f64::total_cmp));
    Ok(columns)
}

fn judge(column: &[f64], before: Option<&[f64]>, config: &DelphiConfig) -> DelphiItem {
    let (low, high) = config.scale;
    let on_nine = |x: f64| 1.0 + 8.0 * ((x - low) / (high - low));
    let (median, q1, q3) = (quantile(column, 0.5), quantile(column, 0.25), quantile(column, 0.75));
    let (p30, p70) = (on_nine(quantile(column, 0.3)), on_nine(quantile(column, 0.7)));
    let ipr = p70 - p30;
    let ipras = 2.35 + 1.5 * (5.0 - (p30 + p70) / 2.0).abs();
    let disagreement = ipr > ipras + ROUNDING;
    let appropriateness = match on_nine(median) {
        _ if disagreement => Appropriateness::Uncertain,
        m if m >= 6.5 - ROUNDING => Appropriateness::Appropriate,
        m if m < 3.5 - ROUNDING => Appropriateness::Inappropriate,
        _ => Appropriateness::Uncertain,
    };
    let iqr = q3 - q1;
    let stability = before.map(|before| {
        let change = change(column, before);
        DelphiStability {
            change,
            median_shift: median - quantile(before, 0.5),
            iqr_shift: iqr - (quantile(before, 0.75) - quantile(before, 0.25)),
            stable: change < config.stability_limit - ROUNDING,
        }
    });
    DelphiItem {
        n: column.len(),
        median,
        q1,
        q3,
        iqr,
        ipr,
        ipras,
        disagreement,
        appropriateness,
        consensus: !disagreement && iqr / (high - low) <= config.iqr_limit + ROUNDING,
        stability,
    }
}

/// Half the summed absolute difference of the shares of each value in two sorted samples.
fn change(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() || j < b.len() {
        let x = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&x), None) | (None, Some(&x)) => x,
            (None, None) => break,
        };
        let run = |s: &[f64], from: usize| s[from..].iter().take_while(|&&y| y == x).count();
        let (in_a, in_b) = (run(a, i), run(b, j));
        sum += (in_a as f64 / a.len() as f64 - in_b as f64 / b.len() as f64).abs();
        i += in_a;
        j += in_b;
    }
    sum / 2.0
}

/// Quantile of a sorted sample, type 7.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    let part = at - low as f64;
    // Weights of both ends, so that the difference of two large numbers is not formed.
    if sorted[low] == sorted[high] { sorted[low] } else { sorted[low] * (1.0 - part) + sorted[high] * part }
}

/// Kendall's W of the experts who rated every item.
fn concordance<R: AsRef<[f64]>>(ratings: &[R]) -> Result<KendallW> {
    let complete: Vec<&[f64]> =
        ratings.iter().map(AsRef::as_ref).filter(|r| r.iter().all(|x| !x.is_nan())).collect();
    if complete.is_empty() {
        let undefined = Some("no expert rated every item".to_owned());
        return Ok(KendallW { undefined, ..KendallW::default() });
    }
    kendall_w(&Ratings::from_matrix(&complete.concat(), complete.len(), complete[0].len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_type_seven() {
        let x = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&x, 0.5), 3.0);
        assert_eq!(quantile(&x, 0.25), 1.75);
        assert_eq!(quantile(&x, 1.0), 8.0);
    }

    #[test]
    fn change_is_the_total_variation_of_shares() {
        assert_eq!(change(&[1.0, 2.0], &[1.0, 1.0, 2.0, 2.0]), 0.0);
        assert_eq!(change(&[1.0], &[2.0]), 1.0);
        assert_eq!(change(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 3.0]), 0.25);
    }
}
