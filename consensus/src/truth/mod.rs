//! What is true, when raters of unknown skill disagree?
//!
//! | what you know | method |
//! |---|---|
//! | nothing; few votes an item | [`majority_vote`], [`wawa`], [`zero_based_skill`] |
//! | raters confuse some categories more than others | [`dawid_skene`], [`OnlineDawidSkene`] as votes arrive |
//! | raters are right with one probability each; few votes a rater | [`one_coin`] |
//! | some items are harder than others | [`glad`] |
//! | some raters answer without looking | [`mace`] |
//! | two categories, random assignment | [`kos`] |
//! | some raters are hostile | [`m_msr`] |
//!
//! All answer with a [`Truth`]. Weights of raters count as so many votes, except in [`kos`] and [`m_msr`], which refuse them. Sums
//! are taken in blocks of fixed size and added in order, so that the number of threads does not change a bit of the result. What
//! items, raters and categories are called never matters: other names give the same numbers.
//!
//! Limits, each refused with code `too_large` before anything is allocated: items x categories, and raters x categories^2 where a
//! method has confusion matrices, at most 2^25 (256 MiB a table, up to four tables at once); 1,000,000 iterations. All methods look at the
//! [`Cancel`] that covers them.

mod components;
mod dawid_skene;
mod em;
mod glad;
mod kos;
mod mace;
mod majority;
mod msr;
mod one_coin;
mod online;
mod wawa;
mod zbs;

pub use dawid_skene::dawid_skene;
pub use em::EmOptions;
pub use glad::{GladOptions, glad};
pub use kos::{KosOptions, kos};
pub use mace::{MaceMethod, MaceOptions, mace};
pub use majority::majority_vote;
pub use msr::{MsrOptions, m_msr};
pub use one_coin::one_coin;
pub use online::OnlineDawidSkene;
pub use wawa::wawa;
pub use zbs::{ZeroBasedSkillOptions, zero_based_skill};

use crate::check::{self, short};
use crate::{Label, Ratings};
use quorate_core::{Cancel, Code, Error, Result};
use serde::Serialize;
use std::collections::HashMap;

/// What the raters say together, and how far each can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Truth {
    /// The name of the method, such as `"dawid_skene"`.
    pub method: &'static str,
    /// The ids of the items.
    pub items: Vec<Label>,
    /// The most probable label of each item; of equals, the first category.
    pub labels: Vec<Label>,
    /// The categories.
    pub classes: Vec<Label>,
    /// The probability of each category for each item: items x classes, row by row; rows sum to 1. The methods without a
    /// probability model ([`majority_vote`], [`wawa`], [`zero_based_skill`], [`kos`], [`m_msr`]) give shares of the weighted votes.
    pub probabilities: Vec<f64>,
    /// The ids of the raters.
    pub raters: Vec<Label>,
    /// The skill of each rater, as the method defines it.
    pub skills: Vec<f64>,
    /// The probability that a rater gives a label, given the true one: raters x true classes x given classes, row by row.
    pub confusion: Option<Vec<f64>>,
    /// The estimated share of each category among the items.
    pub class_prior: Option<Vec<f64>>,
    /// How hard each item is (GLAD: `exp(-beta)`).
    pub difficulty: Option<Vec<f64>>,
    /// What the method maximises, after each iteration; it never falls. Empty for methods that maximise nothing.
    pub log_likelihood: Vec<f64>,
    /// The number of iterations made.
    pub iterations: usize,
    /// Did the method reach its tolerance?
    pub converged: bool,
    /// The items whose first place is shared by several categories.
    pub ties: Vec<Label>,
}

impl Truth {
    /// The probabilities of item `i`, one per class.
    pub fn probabilities_of(&self, i: usize) -> &[f64] {
        let k = self.classes.len();
        &self.probabilities[i * k..(i + 1) * k]
    }

    /// The confusion matrix of rater `r`, true classes x given classes, row by row.
    pub fn confusion_of(&self, r: usize) -> Option<&[f64]> {
        let k = self.classes.len();
        self.confusion.as_ref().map(|c| &c[r * k * k..(r + 1) * k * k])
    }

    /// A result for these probabilities, with labels and ties decided.
    fn of(method: &'static str, data: &Ratings, probabilities: Vec<f64>) -> Truth {
        let k = data.n_categories();
        let mut ties = Vec::new();
        let mut labels = Vec::with_capacity(data.n_items());
        for (i, row) in probabilities.chunks_exact(k).enumerate() {
            let (best, level) = winner(row);
            labels.push(data.categories()[best].clone());
            if level > 1 {
                ties.push(data.items()[i].clone());
            }
        }
        Truth {
            method,
            items: data.items().to_vec(),
            labels,
            classes: data.categories().to_vec(),
            probabilities,
            raters: data.raters().to_vec(),
            ties,
            ..Truth::default()
        }
    }
}

/// Shares closer than this are equal: sums of the same weights in another order.
const TIE: f64 = 1e-12;

/// The first of the largest numbers, and how many there are.
fn winner(row: &[f64]) -> (usize, usize) {
    let top = top_of(row);
    let mut at_top = (0..row.len()).filter(|&c| row[c] >= top - TIE);
    (at_top.next().unwrap_or(0), 1 + at_top.count())
}

/// The share of each category in the votes of each item, each vote counting as `weights` says of its rater.
fn vote_shares(data: &Ratings, weights: &[f64], cancel: &Cancel) -> Result<Vec<f64>> {
    let k = data.n_categories();
    let mut shares = vec![0.0; data.n_items() * k];
    for (i, row) in shares.chunks_exact_mut(k).enumerate() {
        if i % TURN == 0 {
            cancel.check()?;
        }
        let mut total = 0.0;
        for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
            row[c as usize] += weights[r as usize];
            total += weights[r as usize];
        }
        row.iter_mut().for_each(|v| *v /= total);
    }
    Ok(shares)
}

/// The share of each rater's votes that are for the winners of `rows` (items x classes). Where `n` categories share the first place, a vote for
/// one of them counts `1 / n`, whichever it is: their names decide nothing.
fn accuracy(data: &Ratings, rows: &[f64], cancel: &Cancel) -> Result<Vec<f64>> {
    let k = data.n_categories();
    cancel.check()?;
    let best: Vec<(usize, usize)> = rows.chunks_exact(k).map(winner).collect();
    (0..data.n_raters())
        .map(|r| {
            if r % TURN == 0 {
                cancel.check()?;
            }
            let (items, codes) = (data.rater_items(r), data.rater_codes(r));
            let right = |(&i, &c): (&u32, &u32)| match best[i as usize] {
                (first, 1) => f64::from(u8::from(first == c as usize)),
                (_, n) => {
                    let row = &rows[i as usize * k..][..k];
                    if row[c as usize] >= top_of(row) - TIE { 1.0 / n as f64 } else { 0.0 }
                }
            };
            Ok(items.iter().zip(codes).map(right).sum::<f64>() / codes.len() as f64)
        })
        .collect()
}

fn top_of(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Rows or raters between two looks at the flag.
const TURN: usize = 4096;

/// Refuses data that does not say who voted (code `unsupported`), and tables that would be too large. `confusion`: whether there is one for each rater.
fn check_votes(method: &str, data: &Ratings, confusion: bool) -> Result<()> {
    check_identity(method, data)?;
    let k = data.n_categories();
    check::table(&[data.n_items(), k], format_args!("{method}, items x categories"))?;
    if confusion {
        check::table(&[data.n_raters(), k, k], format_args!("{method}, raters x categories x categories"))?;
    }
    Ok(())
}

/// Refuses data that does not say who voted.
fn check_identity(method: &str, data: &Ratings) -> Result<()> {
    if data.is_anonymous() {
        return Err(Error::new(
            Code::Unsupported,
            format!("{method} needs to know who voted; counts do not tell"),
        ));
    }
    Ok(())
}

/// Refuses weighted raters.
fn check_unweighted(method: &str, data: &Ratings) -> Result<()> {
    if data.is_weighted() {
        return Err(Error::new(
            Code::Unsupported,
            format!(
                "{method} is not defined for weighted raters; give every rater weight 1 (or 0 to leave one out)"
            ),
        ));
    }
    Ok(())
}

/// The category code of each item whose truth is known.
fn gold_codes(data: &Ratings, gold: &[(Label, Label)]) -> Result<Vec<Option<u32>>> {
    let mut codes = vec![None; data.n_items()];
    if gold.is_empty() {
        return Ok(codes);
    }
    let items: HashMap<&Label, usize> = data.items().iter().zip(0..).collect();
    let classes: HashMap<&Label, u32> = data.categories().iter().zip(0..).collect();
    for (item, class) in gold {
        let Some(&i) = items.get(item) else {
            return Err(Error::new(
                Code::UnknownId,
                format!("a gold label is given for item '{}', which has no rating", short(item)),
            ));
        };
        let Some(&c) = classes.get(class) else {
            return Err(Error::invalid(format!(
                "the gold label '{}' of item '{}' is not among the categories",
                short(class),
                short(item)
            )));
        };
        if codes[i].is_some_and(|known| known != c) {
            return Err(Error::new(
                Code::DuplicateEntry,
                format!("item '{}' has two different gold labels", short(item)),
            ));
        }
        codes[i] = Some(c);
    }
    Ok(codes)
}

/// The numbers of iterations and the tolerance that make sense (codes `invalid_argument`, `too_large`).
fn check_iterations(max_iter: usize, tol: f64) -> Result<()> {
    if max_iter == 0 {
        return Err(Error::invalid("max_iter is 0; at least one iteration is needed"));
    }
    check::at_most(max_iter, check::MAX_ITERATIONS, "max_iter")?;
    if !(tol >= 0.0 && tol.is_finite()) {
        return Err(Error::invalid(format!("tol is {tol}; it must be finite and not negative")));
    }
    Ok(())
}

/// A count of imagined votes, or the like: from 0 to [`MOST_IMAGINED`].
fn check_amount(name: &str, value: f64) -> Result<()> {
    check::within(value, 0.0, MOST_IMAGINED, name).map(|_| ())
}

/// Beyond this a prior leaves nothing of the votes, and sums lose their digits.
const MOST_IMAGINED: f64 = 1e12;
