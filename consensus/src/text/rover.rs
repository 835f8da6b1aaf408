//! Which one text do several texts vote for, word by word?

use std::collections::BTreeMap;

use quorate_core::{Cancel, Result};
use serde::Serialize;

use crate::check;

/// One place of the aligned texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoverSlot {
    /// What the texts have here (`None` = nothing) and with which share of the weight, the heaviest first.
    pub alternatives: Vec<(Option<String>, f64)>,
    /// What was chosen.
    pub chosen: Option<String>,
    /// Whether another alternative had the same share.
    pub tied: bool,
}

/// The result of [`rover`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rover {
    /// The tokens chosen.
    pub tokens: Vec<String>,
    /// Every place, also those where "nothing" won.
    pub slots: Vec<RoverSlot>,
    /// The text that the others were aligned to: the one with the least weighted edit distance to all.
    pub base: usize,
    /// Mean share of the chosen alternative over places; 1 when all texts are equal.
    pub support: f64,
}

/// Aggregates texts by alignment and voting (ROVER, Fiscus 1997).
///
/// The texts (token lists) are aligned one after the other with a growing network of places by dynamic programming
/// (match 0; substitution, insertion and deletion 1, deletion 0 where the network already has "nothing"). Each place
/// then goes to the alternative with the greatest weight. The alignment starts from the medoid text, so the order of
/// the input matters only among equals. A tied place goes to the medoid text's token if it is among the tied,
/// otherwise to the alphabetically first token, and is marked `tied`.
///
/// ```
/// use quorate_consensus::text::rover;
/// let texts = [vec!["take", "one", "tablet"], vec!["take", "two", "tablets"], vec!["take", "two", "tablet", "daily"]];
/// assert_eq!(rover(&texts, None)?.tokens, ["take", "two", "tablet"]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Time: the number of pairs of texts times the product of their lengths.
///
/// Errors: `empty_input` without texts; `invalid_shape`, `not_finite`, `invalid_argument` for bad weights; `too_large` above 10,000 texts, or when places x
/// tokens of an alignment is above 2^25.
pub fn rover<T: AsRef<[S]>, S: AsRef<str>>(texts: &[T], weights: Option<&[f64]>) -> Result<Rover> {
    check::not_empty(texts.len(), "texts")?;
    check::at_most(texts.len(), 10_000, "texts")?;
    let cancel = Cancel::current();
    let weights = check::normalised_weights(weights, texts.len())?;
    let texts: Vec<Vec<&str>> =
        texts.iter().map(|t| t.as_ref().iter().map(|s| s.as_ref()).collect()).collect();
    let voting: Vec<usize> = (0..texts.len()).filter(|&i| weights[i] > 0.0).collect();
    let far = |i: usize| -> Result<f64> {
        let mut sum = 0.0;
        for &j in &voting {
            sum += weights[j] * edit_distance(&texts[i], &texts[j], &cancel)? as f64;
        }
        Ok(sum)
    };
    let mut order: Vec<(usize, f64)> = voting.iter().map(|&i| Ok((i, far(i)?))).collect::<Result<_>>()?;
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| texts[a.0].cmp(&texts[b.0])).then(a.0.cmp(&b.0)));
    let base = order[0].0;

    let mut network: Vec<BTreeMap<Option<&str>, f64>> = Vec::new();
    let mut placed = 0.0;
    // The base's token at each place.
    let mut original: Vec<Option<&str>> = Vec::new();
    for &(i, _) in &order {
        let path = align(&network, &texts[i], &cancel)?;
        let (mut slots, mut tokens) = (network.into_iter(), texts[i].iter());
        let mut original_slots = original.into_iter();
        (network, original) = (Vec::new(), Vec::new());
        for step in path {
            let (mut slot, old) = match step {
                Step::Insert => {
                    (if placed > 0.0 { BTreeMap::from([(None, placed)]) } else { BTreeMap::new() }, None)
                }
                Step::Both | Step::Skip => {
                    (slots.next().unwrap_or_default(), original_slots.next().unwrap_or_default())
                }
            };
            let token = if matches!(step, Step::Skip) { None } else { tokens.next().copied() };
            *slot.entry(token).or_insert(0.0) += weights[i];
            network.push(slot);
            original.push(if i == base { token } else { old });
        }
        placed += weights[i];
    }
    let slots: Vec<RoverSlot> = network
        .into_iter()
        .zip(original)
        .map(|(slot, base_token)| {
            let top = slot.values().copied().fold(0.0, f64::max);
            let level = |w: f64| top - w <= 1e-9;
            let tied = slot.values().filter(|w| level(**w)).count() > 1;
            let chosen = if slot.get(&base_token).is_some_and(|&w| level(w)) {
                base_token
            } else {
                // `None` sorts first; among equals a token goes before nothing.
                slot.iter()
                    .filter(|(_, w)| level(**w))
                    .map(|(t, _)| *t)
                    .max_by_key(|t| (t.is_some(), std::cmp::Reverse(*t)))
                    .flatten()
            };
            let mut alternatives: Vec<(Option<String>, f64)> =
                slot.into_iter().map(|(t, w)| (t.map(str::to_owned), w)).collect();
            alternatives.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            RoverSlot { alternatives, chosen: chosen.map(str::to_owned), tied }
        })
        .collect();
    let shares: f64 = slots.iter().map(|s| s.alternatives[0].1).sum();
    let support = if slots.is_empty() { 1.0 } else { shares / slots.len() as f64 };
    Ok(Rover { tokens: slots.iter().filter_map(|s| s.chosen.clone()).collect(), slots, base, support })
}

#[derive(Clone, Copy)]
enum Step {
    /// A token stands in a place of the network.
    Both,
    /// A token gets a new place.
    Insert,
    /// A place of the network gets nothing.
    Skip,
}

/// The cheapest alignment of a text with the network.
fn align(network: &[BTreeMap<Option<&str>, f64>], text: &[&str], cancel: &Cancel) -> Result<Vec<Step>> {
    let (rows, cols) = (network.len() + 1, text.len() + 1);
    check::table(&[rows, cols], "places x tokens")?;
    let mut cost = vec![0u32; rows * cols];
    let skip = |i: usize| u32::from(!network[i].contains_key(&None));
    let both = |i: usize, j: usize| u32::from(!network[i].contains_key(&Some(text[j])));
    for i in 0..rows {
        cancel.check()?;
        for j in 0..cols {
            cost[i * cols + j] = match (i, j) {
                (0, _) => j as u32,
                (_, 0) => cost[(i - 1) * cols] + skip(i - 1),
                _ => (cost[(i - 1) * cols + j - 1] + both(i - 1, j - 1))
                    .min(cost[(i - 1) * cols + j] + skip(i - 1))
                    .min(cost[i * cols + j - 1] + 1),
            };
        }
    }
    let (mut i, mut j) = (rows - 1, cols - 1);
    let mut path = Vec::new();
    while i > 0 || j > 0 {
        let here = cost[i * cols + j];
        if i > 0 && j > 0 && here == cost[(i - 1) * cols + j - 1] + both(i - 1, j - 1) {
            path.push(Step::Both);
            (i, j) = (i - 1, j - 1);
        } else if i > 0 && here == cost[(i - 1) * cols + j] + skip(i - 1) {
            path.push(Step::Skip);
            i -= 1;
        } else {
            path.push(Step::Insert);
            j -= 1;
        }
    }
    path.reverse();
    Ok(path)
}

/// Levenshtein distance between token lists.
fn edit_distance(a: &[&str], b: &[&str], cancel: &Cancel) -> Result<usize> {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        cancel.check()?;
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    Ok(row[b.len()])
}
