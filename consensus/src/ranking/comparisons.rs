//! How are pairwise comparisons held for the strength models?

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};
use serde::Serialize;

use super::profile::Profile;
use crate::check::{self, short};

/// Weighted outcomes "winner beat loser" between named options, equal pairs merged.
///
/// ```
/// use quorate_consensus::ranking::Comparisons;
/// let mut c = Comparisons::new(["x", "y", "z"])?;
/// c.add("x", "y", 2.0)?;
/// c.add_tie("y", "z", 1.0)?; // half a win for each
/// assert_eq!(c.wins(1, 2), 0.5);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparisons {
    options: Vec<String>,
    #[serde(skip)]
    index: BTreeMap<String, u32>,
    #[serde(skip)]
    wins: BTreeMap<(u32, u32), f64>,
}

impl Comparisons {
    /// No comparisons yet, over the given options.
    ///
    /// Errors: `empty_input` without options, `duplicate_id` when an option is named twice.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(options: I) -> Result<Self> {
        let options: Vec<String> = options.into_iter().map(Into::into).collect();
        check::not_empty(options.len(), "options")?;
        let mut index = BTreeMap::new();
        for (i, name) in options.iter().enumerate() {
            if index.insert(name.clone(), i as u32).is_some() {
                return Err(Error::new(
                    Code::DuplicateId,
                    format!("option '{}' is listed twice", short(name)),
                ));
            }
        }
        Ok(Comparisons { options, index, wins: BTreeMap::new() })
    }

    /// Every pair that a profile's ballots order (level pairs count half for each side).
    ///
    /// Errors: none for a profile with finite weights; `cancelled`.
    pub fn from_profile(profile: &Profile) -> Result<Self> {
        let mut out = Comparisons::new(profile.options().iter().cloned())?;
        if profile.is_empty() {
            return Ok(out);
        }
        let pairs = profile.pairs()?;
        let n = pairs.len();
        for i in 0..n {
            for j in (0..n).filter(|&j| j != i) {
                out.record(i as u32, j as u32, pairs.prefer(i, j) + pairs.tied(i, j) / 2.0);
            }
        }
        Ok(out)
    }

    /// `winner` beat `loser` `weight` times.
    ///
    /// Errors: `unknown_id` for an option not listed, `invalid_argument` when both are the same or the weight is
    /// negative, `not_finite`.
    pub fn add(&mut self, winner: &str, loser: &str, weight: f64) -> Result<()> {
        let (i, j) = self.pair(winner, loser, weight)?;
        self.record(i, j, weight);
        Ok(())
    }

    /// The two were level `weight` times: half a win for each. Errors as [`add`](Self::add).
    pub fn add_tie(&mut self, a: &str, b: &str, weight: f64) -> Result<()> {
        let (i, j) = self.pair(a, b, weight)?;
        self.record(i, j, weight / 2.0);
        self.record(j, i, weight / 2.0);
        Ok(())
    }

    /// The names of the options; a position in this list is an option's code.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// How often option `i` beat option `j`.
    pub fn wins(&self, i: usize, j: usize) -> f64 {
        self.wins.get(&(i as u32, j as u32)).copied().unwrap_or(0.0)
    }

    /// Winner, loser and weight of every pair with a win.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        self.wins.iter().map(|(&(i, j), &w)| (i as usize, j as usize, w))
    }

    /// Whether nothing has been compared.
    pub fn is_empty(&self) -> bool {
        self.wins.is_empty()
    }

    /// `empty_input` when nothing has been compared, `not_finite` when the weights have no finite sum.
    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::new(Code::EmptyInput, "nothing has been compared"));
        }
        check::finite(self.wins.values().sum(), "the sum of the weights").map(|_| ())
    }

    fn pair(&self, a: &str, b: &str, weight: f64) -> Result<(u32, u32)> {
        check::weight(weight, "the weight of a comparison")?;
        let code = |name: &str| {
            self.index.get(name).copied().ok_or_else(|| {
                Error::new(
                    Code::UnknownId,
                    format!("'{}' is not among the options of these comparisons", short(&name)),
                )
            })
        };
        let (i, j) = (code(a)?, code(b)?);
        if i == j {
            return Err(Error::invalid(format!("'{}' is compared with itself", short(&a))));
        }
        Ok((i, j))
    }

    fn record(&mut self, i: u32, j: u32, weight: f64) {
        if weight > 0.0 {
            *self.wins.entry((i, j)).or_insert(0.0) += weight;
        }
    }
}
