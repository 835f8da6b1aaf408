//! What is true so far, while votes still arrive?

use super::dawid_skene::normalise;
use super::em::{EmOptions, settle};
use super::{Truth, dawid_skene};
use crate::check::{self, short};
use crate::{Column, Label, Ratings, RatingsOptions};
use quorate_core::{Code, Error, Result};
use std::collections::HashMap;

/// The model of Dawid and Skene, kept up to date vote by vote.
///
/// Each vote changes the belief about its own item and the counts of the raters of that item: one step of incremental EM (Neal and Hinton 1998), in time proportional to
/// the votes of the item. [`OnlineDawidSkene::refit`] brings everything to the batch estimate. Priors of a few imagined right votes keep early
/// estimates sober; without them a rater's first votes carry no weight.
///
/// ```
/// use quorate_consensus::truth::{EmOptions, OnlineDawidSkene};
/// let options = EmOptions { prior_class: 1.0, prior_correct: 3.0, prior_wrong: 1.0, ..EmOptions::default() };
/// let mut online = OnlineDawidSkene::new(vec!["no".into(), "yes".into()], options)?;
/// online.add("scan 1", "ann", "yes")?;
/// online.add("scan 1", "bob", "yes")?;
/// assert!(online.probabilities(&"scan 1".into()).unwrap()[1] > 0.8);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OnlineDawidSkene {
    options: EmOptions,
    classes: Vec<Label>,
    class_index: HashMap<Label, u32>,
    items: Vec<Label>,
    item_index: HashMap<Label, usize>,
    raters: Vec<Label>,
    rater_index: HashMap<Label, u32>,
    gold: HashMap<Label, u32>,
    /// Per item: who said what.
    votes: Vec<Vec<(u32, u32)>>,
    /// Items x classes.
    belief: Vec<f64>,
    /// Expected items per class.
    class_counts: Vec<f64>,
    /// Expected votes: raters x given x true.
    counts: Vec<f64>,
}

impl OnlineDawidSkene {
    /// An empty model for these classes.
    ///
    /// Errors: `empty_input` without classes; `invalid_argument` for a class given twice or a gold label that is none of them; those of [`EmOptions::validate`].
    pub fn new(classes: Vec<Label>, options: EmOptions) -> Result<Self> {
        options.validate()?;
        if classes.is_empty() {
            return Err(Error::new(Code::EmptyInput, "there are no classes"));
        }
        let class_index: HashMap<Label, u32> = classes.iter().cloned().zip(0..).collect();
        if class_index.len() < classes.len() {
            return Err(Error::invalid("a class is given twice"));
        }
        let mut gold = HashMap::new();
        for (item, class) in &options.gold {
            let Some(&c) = class_index.get(class) else {
                return Err(Error::invalid(format!(
                    "the gold label '{}' of item '{}' is not among the classes",
                    short(class),
                    short(item)
                )));
            };
            gold.insert(item.clone(), c);
        }
        Ok(OnlineDawidSkene {
            class_counts: vec![0.0; classes.len()],
            options,
            classes,
            class_index,
            items: Vec::new(),
            item_index: HashMap::new(),
            raters: Vec::new(),
            rater_index: HashMap::new(),
            gold,
            votes: Vec::new(),
            belief: Vec::new(),
            counts: Vec::new(),
        })
    }

    /// Takes in one vote and returns the new probabilities of its item, one per class.
    ///
    /// Errors: `invalid_argument` for a label that is not a class; `duplicate_entry` when the rater has voted on the item before; `too_large` when
    /// items x classes or raters x classes^2 would exceed 2^25. After an error the model is as before.
    pub fn add(
        &mut self,
        item: impl Into<Label>,
        rater: impl Into<Label>,
        label: impl Into<Label>,
    ) -> Result<&[f64]> {
        let (item, rater, label) = (item.into(), rater.into(), label.into());
        let k = self.classes.len();
        let Some(&c) = self.class_index.get(&label) else {
            return Err(Error::invalid(format!("'{}' is not among the classes", short(&label))));
        };
        let known = self.item_index.get(&item).zip(self.rater_index.get(&rater));
        if known.is_some_and(|(&i, r)| self.votes[i].iter().any(|v| v.0 == *r)) {
            return Err(Error::new(
                Code::DuplicateEntry,
                format!("rater '{}' has voted on item '{}' already", short(&rater), short(&item)),
            ));
        }
        let items = self.items.len() + usize::from(!self.item_index.contains_key(&item));
        let raters = self.raters.len() + usize::from(!self.rater_index.contains_key(&rater));
        check::table(&[items, k], "items x classes")?;
        check::table(&[raters, k, k], "raters x classes x classes")?;
        let r = match self.rater_index.get(&rater) {
            Some(&r) => r,
            None => {
                let r = self.raters.len() as u32;
                self.raters.push(rater.clone());
                self.rater_index.insert(rater, r);
                self.counts.resize(self.counts.len() + k * k, 0.0);
                r
            }
        };
        let i = match self.item_index.get(&item) {
            Some(&i) => i,
            None => self.open(item),
        };
        // The vote counts for the model before the model judges it.
        self.votes[i].push((r, c));
        for t in 0..k {
            self.counts[(r as usize * k + c as usize) * k + t] += self.belief[i * k + t];
        }
        let mut row = self.judge(i);
        settle(&mut row, self.gold.get(&self.items[i]).copied());
        for (t, (new, old)) in row.iter().zip(&self.belief[i * k..][..k]).enumerate() {
            let change = new - old;
            self.class_counts[t] = (self.class_counts[t] + change).max(0.0);
            for &(r, c) in &self.votes[i] {
                let cell = &mut self.counts[(r as usize * k + c as usize) * k + t];
                *cell = (*cell + change).max(0.0);
            }
        }
        self.belief[i * k..][..k].copy_from_slice(&row);
        Ok(&self.belief[i * k..][..k])
    }

    /// The present probabilities of an item, one per class; `None` for an item without votes.
    pub fn probabilities(&self, item: &Label) -> Option<&[f64]> {
        let k = self.classes.len();
        self.item_index.get(item).map(|&i| &self.belief[i * k..][..k])
    }

    /// The present confusion matrix of a rater, true classes x given classes, row by row; `None` for a rater without votes.
    pub fn confusion(&self, rater: &Label) -> Option<Vec<f64>> {
        let k = self.classes.len();
        self.rater_index.get(rater).map(|&r| {
            let logs = self.log_confusion(r);
            (0..k * k).map(|cell| logs[cell % k * k + cell / k].exp()).collect()
        })
    }

    /// The number of votes so far.
    pub fn len(&self) -> usize {
        self.votes.iter().map(Vec::len).sum()
    }

    /// Is there no vote yet?
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty()
    }

    /// Fits the model anew to all votes, as [`dawid_skene`] does, and continues from there.
    ///
    /// Errors: `empty_input` before the first vote; `unknown_id` while a gold item has no vote.
    pub fn refit(&mut self) -> Result<Truth> {
        let (mut items, mut raters, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (i, votes) in self.votes.iter().enumerate() {
            for &(r, c) in votes {
                items.push(i as u32);
                raters.push(r);
                values.push(c);
            }
        }
        let data = Ratings::with_options(
            Column::Coded { codes: &items, names: &self.items },
            Column::Coded { codes: &raters, names: &self.raters },
            Column::Coded { codes: &values, names: &self.classes },
            &RatingsOptions { domain: Some(self.classes.clone()), ..RatingsOptions::default() },
        )?;
        let truth = dawid_skene(&data, &self.options)?;
        let k = self.classes.len();
        self.belief.copy_from_slice(&truth.probabilities);
        self.class_counts.fill(0.0);
        self.counts.fill(0.0);
        for (row, votes) in self.belief.chunks_exact(k).zip(&self.votes) {
            for (t, &p) in row.iter().enumerate() {
                self.class_counts[t] += p;
                for &(r, c) in votes {
                    self.counts[(r as usize * k + c as usize) * k + t] += p;
                }
            }
        }
        Ok(truth)
    }

    /// Makes room for a new item, believed to be like the others.
    fn open(&mut self, item: Label) -> usize {
        let i = self.items.len();
        let logs = self.log_class();
        self.belief.extend(logs.iter().map(|l| l.exp()));
        logs.iter().zip(&mut self.class_counts).for_each(|(l, count)| *count += l.exp());
        self.votes.push(Vec::new());
        self.items.push(item.clone());
        self.item_index.insert(item, i);
        i
    }

    /// The log weight of each class for item `i`.
    fn judge(&self, i: usize) -> Vec<f64> {
        let k = self.classes.len();
        let mut row = self.log_class();
        for &(r, c) in &self.votes[i] {
            let logs = self.log_confusion(r);
            row.iter_mut().zip(&logs[c as usize * k..][..k]).for_each(|(v, l)| *v += l);
        }
        row
    }

    fn log_class(&self) -> Vec<f64> {
        let prior = self.options.prior_class;
        let total = self.class_counts.iter().sum::<f64>() + prior * self.classes.len() as f64;
        let even = -(self.classes.len() as f64).ln();
        self.class_counts
            .iter()
            .map(|c| if total > 0.0 { ((c + prior) / total).ln() } else { even })
            .collect()
    }

    /// Given x true, as logarithms.
    fn log_confusion(&self, r: u32) -> Vec<f64> {
        let k = self.classes.len();
        let mut cells = self.counts[r as usize * k * k..][..k * k].to_vec();
        normalise(&mut cells, k, 1.0, &self.options);
        cells
    }
}
