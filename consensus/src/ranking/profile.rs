//! How are ranked ballots held once for every voting method?

use std::collections::BTreeMap;

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::check::{self, Rounding, short};

/// What a ballot says about the options that it does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unranked {
    /// They stand below every named option, tied with one another: the usual reading of a truncated ballot.
    #[default]
    Last,
    /// Nothing: pairs with an unnamed option are not compared.
    Silent,
}

/// The most options of a profile and of the methods that compare each two options: a table of pairs has 200 MB, and a method up to four of them.
pub(crate) const MAX_OPTIONS: usize = 5_000;

/// A collection of ranked ballots over named options: complete or partial rankings, ties, counts or weights.
///
/// Rankings are held in three flat arrays (option code, tier, offsets), so that memory is linear in the number of
/// marks. An empty ranking is an abstention; it is counted in [`abstained`](Self::abstained) and changes no result.
/// A ballot of weight zero is the same as no ballot.
///
/// ```
/// use quorate_consensus::ranking::Profile;
/// // Five voters A > C > B, two voters B > A = C.
/// let mut profile = Profile::new(["A", "B", "C"])?;
/// profile.add(&["A", "C", "B"], 5.0)?;
/// profile.add_tiers(&[&["B"][..], &["A", "C"]], 2.0)?;
/// assert_eq!(profile.total_weight(), 7.0);
/// assert_eq!(profile.pairwise().prefer(0, 2), 5.0);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    options: Vec<String>,
    unranked: Unranked,
    #[serde(skip)]
    index: BTreeMap<String, u32>,
    entries: Vec<u32>,
    tiers: Vec<u32>,
    offsets: Vec<usize>,
    weights: Vec<f64>,
    abstained: f64,
}

/// One stored ballot: option codes in order, the tier of each (0 = best, equal numbers = tied), and the weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ballot<'a> {
    /// Option codes, best first.
    pub options: &'a [u32],
    /// The tier of each option; it never falls along the ballot.
    pub tiers: &'a [u32],
    /// How many votes the ballot stands for.
    pub weight: f64,
}

impl Profile {
    /// An empty profile over the given options.
    ///
    /// Errors: `empty_input` without options, `duplicate_id` when an option is named twice, `too_large` above 5,000 options.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(options: I) -> Result<Self> {
        let options: Vec<String> = options.into_iter().map(Into::into).collect();
        check::not_empty(options.len(), "options")?;
        check::at_most(options.len(), MAX_OPTIONS, "options")?;
        let mut index = BTreeMap::new();
        for (i, name) in options.iter().enumerate() {
            if index.insert(name.clone(), i as u32).is_some() {
                return Err(Error::new(
                    Code::DuplicateId,
                    format!("option '{}' is listed twice", short(name)),
                ));
            }
        }
        Ok(Profile {
            options,
            unranked: Unranked::default(),
            index,
            entries: Vec::new(),
            tiers: Vec::new(),
            offsets: vec![0],
            weights: Vec::new(),
            abstained: 0.0,
        })
    }

    /// A profile of strict rankings with their weights; the options are all those named, in alphabetical order.
    ///
    /// ```
    /// use quorate_consensus::ranking::Profile;
    /// let p = Profile::from_rankings(&[(vec!["N", "K"], 2.0), (vec!["K"], 1.0)])?;
    /// assert_eq!(p.options(), ["K", "N"]);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    ///
    /// Errors: those of [`Profile::new`] and [`Profile::add`].
    pub fn from_rankings<R: AsRef<[S]>, S: AsRef<str>>(rankings: &[(R, f64)]) -> Result<Self> {
        let names: std::collections::BTreeSet<&str> =
            rankings.iter().flat_map(|(r, _)| r.as_ref().iter().map(|s| s.as_ref())).collect();
        let mut profile = Profile::new(names)?;
        for (ranking, weight) in rankings {
            profile.add(ranking.as_ref(), *weight)?;
        }
        Ok(profile)
    }

    /// The same profile with another reading of options that a ballot does not name.
    pub fn with_unranked(mut self, unranked: Unranked) -> Self {
        self.unranked = unranked;
        self
    }

    /// Adds a strict ranking, best first, that stands for `weight` votes.
    ///
    /// Errors: `unknown_id` for an option that the profile lacks, `duplicate_entry` for one named twice,
    /// `not_finite` or `invalid_argument` for a bad weight.
    pub fn add<S: AsRef<str>>(&mut self, ranking: &[S], weight: f64) -> Result<()> {
        let codes = ranking.iter().map(|s| self.code(s.as_ref())).collect::<Result<Vec<_>>>()?;
        let tiers: Vec<u32> = (0..codes.len() as u32).collect();
        self.push(&codes, &tiers, weight)
    }

    /// Adds a ranking with ties: tiers, best first, each a set of options. Errors as [`add`](Self::add).
    pub fn add_tiers<T: AsRef<[S]>, S: AsRef<str>>(&mut self, ranking: &[T], weight: f64) -> Result<()> {
        let (mut codes, mut tiers) = (Vec::new(), Vec::new());
        for (t, tier) in ranking.iter().enumerate() {
            for name in tier.as_ref() {
                codes.push(self.code(name.as_ref())?);
                tiers.push(t as u32);
            }
        }
        self.push(&codes, &tiers, weight)
    }

    /// Adds a strict ranking of option codes (positions in [`options`](Self::options)). Errors as [`add`](Self::add).
    pub fn add_codes(&mut self, ranking: &[u32], weight: f64) -> Result<()> {
        let tiers: Vec<u32> = (0..ranking.len() as u32).collect();
        self.push(ranking, &tiers, weight)
    }

    /// The same profile with identical ballots merged into one of their joint weight, in a canonical order.
    pub fn compacted(&self) -> Self {
        let mut merged: BTreeMap<(&[u32], &[u32]), f64> = BTreeMap::new();
        for b in self.ballots() {
            *merged.entry((b.options, b.tiers)).or_insert(0.0) += b.weight;
        }
        let mut out = Profile {
            entries: Vec::new(),
            tiers: Vec::new(),
            offsets: vec![0],
            weights: Vec::new(),
            options: self.options.clone(),
            index: self.index.clone(),
            ..*self
        };
        for ((options, tiers), weight) in merged {
            out.store(options, tiers, weight);
        }
        out
    }

    /// The names of the options; a position in this list is an option's code.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// How ballots are read about options that they do not name.
    pub fn unranked(&self) -> Unranked {
        self.unranked
    }

    /// The number of stored ballots (distinct ones after [`compacted`](Self::compacted)).
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether no ballot ranks anything.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The weight of all ballots that rank at least one option.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// The weight of empty ballots.
    pub fn abstained(&self) -> f64 {
        self.abstained
    }

    /// The stored ballots.
    pub fn ballots(&self) -> impl Iterator<Item = Ballot<'_>> {
        self.weights.iter().enumerate().map(|(i, &weight)| {
            let range = self.offsets[i]..self.offsets[i + 1];
            Ballot { options: &self.entries[range.clone()], tiers: &self.tiers[range], weight }
        })
    }

    /// The weight of voters who prefer each option to each other one. Time grows with the square of the length of each ballot (of the number of options,
    /// where options that a ballot does not name stand last).
    pub fn pairwise(&self) -> PairMatrix {
        self.count_pairs(&Cancel::new())
    }

    /// The same for a method: the ballots must rank something, and the work can be stopped.
    ///
    /// Errors: `empty_input`, `not_finite` when the weights have no finite sum, `cancelled`.
    pub(crate) fn pairs(&self) -> Result<PairMatrix> {
        self.check_not_empty()?;
        let cancel = Cancel::current();
        let pairs = self.count_pairs(&cancel);
        cancel.check()?;
        Ok(pairs)
    }

    fn count_pairs(&self, cancel: &Cancel) -> PairMatrix {
        let n = self.options.len();
        let mut prefer = vec![0.0; n * n];
        let mut tied = vec![0.0; n * n];
        let mut named = vec![false; n];
        for b in self.ballots() {
            if cancel.is_cancelled() {
                break;
            }
            for (x, (&a, &ta)) in b.options.iter().zip(b.tiers).enumerate() {
                named[a as usize] = true;
                for (&c, &tc) in b.options.iter().zip(b.tiers).skip(x + 1) {
                    let (i, j) = (a as usize, c as usize);
                    if tc > ta {
                        prefer[i * n + j] += b.weight;
                    } else {
                        tied[i * n + j] += b.weight;
                        tied[j * n + i] += b.weight;
                    }
                }
            }
            if self.unranked == Unranked::Last && b.options.len() < n {
                for &a in b.options {
                    let row = a as usize * n;
                    for j in (0..n).filter(|&j| !named[j]) {
                        prefer[row + j] += b.weight;
                    }
                }
                for i in (0..n).filter(|&i| !named[i]) {
                    for j in (0..n).filter(|&j| j != i && !named[j]) {
                        tied[i * n + j] += b.weight;
                    }
                }
            }
            for &a in b.options {
                named[a as usize] = false;
            }
        }
        PairMatrix { n, prefer, tied, rounding: self.rounding() }
    }

    /// How far sums of the weights can be off.
    pub(crate) fn rounding(&self) -> Rounding {
        Rounding::of(self.weights.iter().copied())
    }

    /// `empty_input` when there is nothing to count, `not_finite` when the weights have no finite sum.
    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::new(Code::EmptyInput, "no ballot ranks any option; add at least one ranking"));
        }
        check::finite(self.total_weight(), "the sum of the weights").map(|_| ())
    }

    fn code(&self, name: &str) -> Result<u32> {
        self.index.get(name).copied().ok_or_else(|| {
            Error::new(
                Code::UnknownId,
                format!(
                    "'{}' is not an option of this profile; list it when you create the profile",
                    short(&name)
                ),
            )
        })
    }

    fn push(&mut self, codes: &[u32], tiers: &[u32], weight: f64) -> Result<()> {
        check::weight(weight, "the weight of a ballot")?;
        let n = self.options.len();
        if let Some(c) = codes.iter().find(|&&c| c as usize >= n) {
            return Err(Error::new(
                Code::UnknownId,
                format!("option code {c} is not below {n}, the number of options"),
            ));
        }
        let mut sorted = codes.to_vec();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
            return Err(Error::new(
                Code::DuplicateEntry,
                format!("a ballot names option '{}' twice", short(&self.options[twice[0] as usize])),
            ));
        }
        if weight == 0.0 {
            return Ok(());
        }
        if codes.is_empty() {
            self.abstained += weight;
        } else {
            self.store(codes, tiers, weight);
        }
        Ok(())
    }

    fn store(&mut self, codes: &[u32], tiers: &[u32], weight: f64) {
        // Tiers are renumbered without gaps, and options within a tier are sorted, so that equal ballots look equal.
        let mut marks: Vec<(u32, u32)> = tiers.iter().copied().zip(codes.iter().copied()).collect();
        marks.sort_unstable();
        let (mut rank, mut last) = (0, marks.first().map(|m| m.0));
        for (tier, code) in marks {
            if last != Some(tier) {
                rank += 1;
                last = Some(tier);
            }
            self.entries.push(code);
            self.tiers.push(rank);
        }
        self.offsets.push(self.entries.len());
        self.weights.push(weight);
    }
}

/// Pairwise preference weights of a [`Profile`]: `n` x `n`, indexed by option code.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairMatrix {
    n: usize,
    prefer: Vec<f64>,
    tied: Vec<f64>,
    #[serde(skip)]
    rounding: Rounding,
}

impl PairMatrix {
    /// The number of options.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are no options; never true for the matrix of a profile.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The weight of ballots that put option `i` above option `j`.
    pub fn prefer(&self, i: usize, j: usize) -> f64 {
        self.prefer[i * self.n + j]
    }

    /// The weight of ballots that put `i` and `j` level.
    pub fn tied(&self, i: usize, j: usize) -> f64 {
        self.tied[i * self.n + j]
    }

    /// `prefer(i, j) - prefer(j, i)`, exactly zero when it is within rounding error of zero.
    pub fn margin(&self, i: usize, j: usize) -> f64 {
        let m = self.prefer(i, j) - self.prefer(j, i);
        if m.abs() <= self.epsilon() { 0.0 } else { m }
    }

    /// Differences up to this size are rounding error of summed weights and count as ties; 0 for whole weights, whose sums are exact.
    pub fn epsilon(&self) -> f64 {
        self.rounding.of_sums()
    }

    /// The same for sums of `terms` entries or halves of them.
    pub(crate) fn epsilon_of(&self, terms: usize) -> f64 {
        self.rounding.of_terms(terms)
    }
}
