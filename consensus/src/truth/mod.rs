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
//! are taken in blocks of fixed size and added in order, so that the number of threads does not change a bit of the result.

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

use crate::{Label, Ratings};
use quorate_core::{Code, Error, Result};
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
            let (best, tied) = winner(row);
            labels.push(data.categories()[best].clone());
            if tied {
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

/// The first of the largest numbers, and whether there are several.
fn winner(row: &[f64]) -> (usize, bool) {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut at_top = (0..row.len()).filter(|&c| row[c] >= top - TIE);
    (at_top.next().unwrap_or(0), at_top.next().is_some())
}

/// The share of each category in the votes of each item, each vote counting as `weights` says of its rater.
fn vote_shares(data: &Ratings, weights: &[f64]) -> Vec<f64> {
    let k = data.n_categories();
    let mut shares = vec![0.0; data.n_items() * k];
    for (i, row) in shares.chunks_exact_mut(k).enumerate() {
        let mut total = 0.0;
        for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
            row[c as usize] += weights[r as usize];
            total += weights[r as usize];
        }
        row.iter_mut().for_each(|v| *v /= total);
    }
    shares
}

/// The share of each rater's votes that are for the winners of `rows` (items x classes).
fn accuracy(data: &Ratings, rows: &[f64]) -> Vec<f64> {
    let best: Vec<u32> = rows.chunks_exact(data.n_categories()).map(|row| winner(row).0 as u32).collect();
    (0..data.n_raters())
        .map(|r| {
            let (items, codes) = (data.rater_items(r), data.rater_codes(r));
            let right = items.iter().zip(codes).filter(|&(&i, &c)| best[i as usize] == c).count();
            right as f64 / codes.len() as f64
        })
        .collect()
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
                format!("a gold label is given for item '{item}', which has no rating"),
            ));
        };
        let Some(&c) = classes.get(class) else {
            return Err(Error::invalid(format!(
                "the gold label '{class}' of item '{item}' is not among the categories"
            )));
        };
        if codes[i].is_some_and(|known| known != c) {
            return Err(Error::new(
                Code::DuplicateEntry,
                format!("item '{item}' has two different gold labels"),
            ));
        }
        codes[i] = Some(c);
    }
    Ok(codes)
}

/// The numbers of iterations and the tolerance that make sense (code `invalid_argument`).
fn check_iterations(max_iter: usize, tol: f64) -> Result<()> {
    if max_iter == 0 {
        return Err(Error::invalid("max_iter is 0; at least one iteration is needed"));
    }
    if !(tol >= 0.0 && tol.is_finite()) {
        return Err(Error::invalid(format!("tol is {tol}; it must be finite and not negative")));
    }
    Ok(())
}

/// A number that must be finite and not negative.
fn check_amount(name: &str, value: f64) -> Result<()> {
    if !value.is_finite() {
        return Err(Error::new(Code::NotFinite, format!("{name} is {value}")));
    }
    if value < 0.0 {
        return Err(Error::invalid(format!("{name} is {value}; it must be 0 or more")));
    }
    Ok(())
}
