//! How are sparse ratings held so that every method can read them fast, by item and by rater?

use super::column::{Codes, MISSING};
use super::{Column, Label};
use crate::check::{self, short};
use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::str::FromStr;

/// Ratings by many raters of many items, with gaps.
///
/// Items and raters keep the order of first appearance; categories are sorted (numbers, then texts) unless
/// [`RatingsOptions::domain`] orders them. A rater of weight 0 is left out, and so are items and categories that nobody else
/// used: weight zero equals absence.
///
/// ```
/// use quorate_consensus::Ratings;
/// let data = Ratings::new(&["q1", "q1", "q2"], &["ann", "bob", "ann"], &["yes", "no", "yes"])?;
/// assert_eq!((data.len(), data.n_items(), data.n_raters(), data.n_categories()), (3, 2, 2, 2));
/// assert_eq!(data.categories()[0].to_string(), "no");
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ratings {
    items: Vec<Label>,
    raters: Vec<Label>,
    categories: Vec<Label>,
    weights: Vec<f64>,
    by_item: Sparse,
    by_rater: Sparse,
    ordered: bool,
    repeated: bool,
    anonymous: bool,
}

/// What to do when one rater rated one item more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Refuse the data with code `duplicate_entry`.
    #[default]
    Error,
    /// Keep the first entry.
    First,
    /// Keep the last entry.
    Last,
    /// Keep all, each as a vote of its own. Truth inference takes such data; agreement coefficients refuse it.
    Keep,
}

/// How [`Ratings`] are built.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatingsOptions {
    /// What to do when one rater rated one item more than once.
    pub duplicates: Duplicates,
    /// The weight of each rater's vote, finite and not negative; raters not named have weight 1.
    pub weights: Vec<(Label, f64)>,
    /// The possible values in their order, used or not; `None`: those that appear, sorted.
    pub domain: Option<Vec<Label>>,
    /// What the rows of a table are; [`Ratings::from_table`] alone looks at it.
    pub form: TableForm,
}

/// What the rows and columns of a table of ratings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableForm {
    /// `"raters_x_items"`: one row a rater, as in the literature on reliability. The default.
    #[default]
    #[serde(rename = "raters_x_items")]
    RatersByItems,
    /// `"items_x_raters"`: one row an item, as data frames usually are.
    #[serde(rename = "items_x_raters")]
    ItemsByRaters,
}

impl FromStr for TableForm {
    type Err = Error;

    /// Reads `"raters_x_items"` or `"items_x_raters"`; anything else has code `invalid_argument`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "raters_x_items" => Ok(TableForm::RatersByItems),
            "items_x_raters" => Ok(TableForm::ItemsByRaters),
            other => Err(Error::invalid(format!(
                "'{}' is no form of a table of ratings; use raters_x_items or items_x_raters",
                short(&other)
            ))),
        }
    }
}

impl TableForm {
    /// Whether a table of these rows and columns, taken as raters x items because nothing was said, looks as if it were the other way round: there
    /// are more raters than items. Then this is what to tell the user.
    ///
    /// ```
    /// use quorate_consensus::TableForm;
    /// assert!(TableForm::doubt(20, 3).unwrap().contains("items_x_raters"));
    /// assert_eq!(TableForm::doubt(3, 20), None);
    /// ```
    pub fn doubt(rows: usize, columns: usize) -> Option<String> {
        (rows > columns).then(|| {
            format!(
                "the table of {rows} rows and {columns} columns was taken as {rows} raters of {columns} items; if its rows are items, pass \
                 form=\"items_x_raters\", and if they are raters, form=\"raters_x_items\""
            )
        })
    }
}

/// Entries grouped by row: those of row `i` are at `start[i]..start[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sparse {
    start: Vec<usize>,
    other: Vec<u32>,
    value: Vec<u32>,
}

impl Ratings {
    /// Ratings from three arrays of equal length: entry `n` says that `raters[n]` gave `values[n]` to `items[n]`.
    ///
    /// Errors: `empty_input`; `invalid_shape` for unequal lengths; `not_finite` for NaN or infinite numbers;
    /// `duplicate_entry` when a rater rated an item twice (see [`Ratings::with_options`] for other policies);
    /// `too_large` above 2^32 - 2 entries.
    pub fn new<'a>(
        items: impl Into<Column<'a>>,
        raters: impl Into<Column<'a>>,
        values: impl Into<Column<'a>>,
    ) -> Result<Self> {
        Ratings::with_options(items, raters, values, &RatingsOptions::default())
    }

    /// The same with a policy for duplicates, weights of raters and a domain of values.
    ///
    /// Errors: those of [`Ratings::new`]; `unknown_id` for a weight of a rater who is not in the data; `invalid_argument`
    /// for a negative weight, a value outside the domain or a domain that repeats itself; `empty_input` when all weights are 0; `not_finite` when the
    /// weights of all ratings add up to more than 1e300.
    ///
    /// ```
    /// use quorate_consensus::{Duplicates, Ratings, RatingsOptions};
    /// let options = RatingsOptions {
    ///     duplicates: Duplicates::Last,
    ///     weights: vec![("bob".into(), 0.5)],
    ///     domain: Some(vec!["low".into(), "mid".into(), "high".into()]),
    ///     ..RatingsOptions::default()
    /// };
    /// let data = Ratings::with_options(&[1, 1, 1], &["ann", "bob", "ann"], &["low", "high", "mid"], &options)?;
    /// assert_eq!(data.len(), 2);
    /// assert_eq!(data.item_codes(0), &[1, 2]); // ann: mid, bob: high
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn with_options<'a>(
        items: impl Into<Column<'a>>,
        raters: impl Into<Column<'a>>,
        values: impl Into<Column<'a>>,
        options: &RatingsOptions,
    ) -> Result<Self> {
        let (items, raters, values) = (items.into(), raters.into(), values.into());
        if items.len() != raters.len() || items.len() != values.len() {
            return Err(Error::new(
                Code::InvalidShape,
                format!(
                    "items, raters and values have {}, {} and {} entries; equal lengths are expected",
                    items.len(),
                    raters.len(),
                    values.len()
                ),
            ));
        }
        check_size(items.len())?;
        let items = items.encode("items", false)?;
        let raters = raters.encode("raters", false)?;
        let values = values.encode("values", false)?;
        build(items, raters, values, options)
    }

    /// Ratings from a table of numbers, one row per rater and one column per item, row by row; NaN where missing.
    /// Items and raters are numbered from 0; a rater or item without any rating does not appear.
    ///
    /// Errors: `invalid_shape` when `values` is not `n_raters * n_items` long; `not_finite` for infinite values;
    /// `empty_input` when nothing is there.
    ///
    /// ```
    /// use quorate_consensus::Ratings;
    /// let data = Ratings::from_matrix(&[1.0, 2.0, f64::NAN, 1.0, 3.0, 3.0], 2, 3)?;
    /// assert_eq!((data.len(), data.n_raters(), data.n_items()), (5, 2, 3));
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn from_matrix(values: &[f64], n_raters: usize, n_items: usize) -> Result<Self> {
        Ratings::from_table(values, n_raters, n_items, &RatingsOptions::default())
    }

    /// The same for any column type, with options. `Option<Label>` entries may be `None` where missing. `rows` and `columns` are raters and items, or
    /// items and raters where [`RatingsOptions::form`] says so.
    ///
    /// ```
    /// use quorate_consensus::{Label, Ratings, RatingsOptions};
    /// let cells = [Some(Label::from("a")), None, Some("b".into()), Some("b".into())];
    /// let data = Ratings::from_table(&cells, 2, 2, &RatingsOptions::default())?;
    /// assert_eq!(data.len(), 3);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn from_table<'a>(
        values: impl Into<Column<'a>>,
        rows: usize,
        columns: usize,
        options: &RatingsOptions,
    ) -> Result<Self> {
        let values = values.into();
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(Error::new(
                Code::InvalidShape,
                format!("{} values do not make {rows} rows x {columns} columns", values.len()),
            ));
        }
        check_size(values.len())?;
        let values = values.encode("values", true)?;
        let names = |n: usize| (0..n as i64).map(Label::Int).collect();
        let across =
            Codes { codes: (0..rows).flat_map(|_| 0..columns as u32).collect(), names: names(columns) };
        let down = Codes {
            codes: (0..rows as u32).flat_map(|r| std::iter::repeat_n(r, columns)).collect(),
            names: names(rows),
        };
        match options.form {
            TableForm::RatersByItems => build(across, down, values, options),
            TableForm::ItemsByRaters => build(down, across, values, options),
        }
    }

    /// Two raters who rated the same items: `a[n]` and `b[n]` are about item `n`. Pairs with a gap keep their one rating.
    ///
    /// Errors: as [`Ratings::from_table`].
    pub fn from_pair<'a>(
        a: impl Into<Column<'a>>,
        b: impl Into<Column<'a>>,
        domain: Option<Vec<Label>>,
    ) -> Result<Self> {
        let (a, b) = (a.into(), b.into());
        let n = a.len();
        if b.len() != n {
            return Err(Error::new(
                Code::InvalidShape,
                format!("the raters gave {n} and {} values; equal lengths are expected", b.len()),
            ));
        }
        check_size(2 * n)?;
        let (mut a, b) = (a.encode("a", true)?, b.encode("b", true)?);
        let mut index: HashMap<Label, u32> = a.names.iter().cloned().zip(0..).collect();
        let translate: Vec<u32> = b
            .names
            .iter()
            .map(|name| {
                *index.entry(name.clone()).or_insert_with(|| {
                    a.names.push(name.clone());
                    a.names.len() as u32 - 1
                })
            })
            .collect();
        a.codes.extend(b.codes.iter().map(|&c| if c == MISSING { MISSING } else { translate[c as usize] }));
        let items = Codes {
            codes: (0..2).flat_map(|_| 0..n as u32).collect(),
            names: (0..n as i64).map(Label::Int).collect(),
        };
        let raters = Codes {
            codes: (0..2).flat_map(|r| std::iter::repeat_n(r, n)).collect(),
            names: vec![Label::Int(0), Label::Int(1)],
        };
        build(items, raters, a, &RatingsOptions { domain, ..RatingsOptions::default() })
    }

    /// Ratings known only as counts: `counts[i][c]` raters put item `i` into `categories[c]`. Who they were is unknown, so
    /// methods that need to know (Cohen, Conger, Light, all of truth inference) refuse the result with code `unsupported`.
    ///
    /// Errors: `invalid_shape` for rows of another length than `categories`; `empty_input`; `invalid_argument` for repeated categories; `too_large`
    /// for more than 2^25 ratings.
    pub fn from_counts(counts: &[Vec<u32>], categories: &[Label]) -> Result<Self> {
        let mut total = 0u64;
        for (i, row) in counts.iter().enumerate() {
            if row.len() != categories.len() {
                return Err(Error::new(
                    Code::InvalidShape,
                    format!("counts[{i}] has {} numbers for {} categories", row.len(), categories.len()),
                ));
            }
            total = row.iter().fold(total, |sum, &n| sum.saturating_add(n.into()));
        }
        if total > MAX_COUNTED {
            return Err(Error::new(
                Code::TooLarge,
                format!("the counts add up to {total} ratings; at most {MAX_COUNTED} are possible"),
            ));
        }
        let (mut items, mut raters, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in counts.iter().enumerate() {
            let mut rater = 0;
            for (c, &n) in row.iter().enumerate() {
                for _ in 0..n {
                    items.push(i as i64);
                    raters.push(rater);
                    values.push(c as u32);
                    rater += 1;
                }
            }
        }
        let values = Column::Coded { codes: &values, names: categories };
        let options = RatingsOptions { domain: Some(categories.to_vec()), ..RatingsOptions::default() };
        let mut data = Ratings::with_options(&items, &raters, values, &options)?;
        data.anonymous = true;
        Ok(data)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.by_item.other.len()
    }

    /// Always false: empty data cannot be built.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items that have a rating.
    pub fn n_items(&self) -> usize {
        self.items.len()
    }

    /// The number of raters who gave a rating.
    pub fn n_raters(&self) -> usize {
        self.raters.len()
    }

    /// The number of categories: distinct values, or the length of the domain.
    pub fn n_categories(&self) -> usize {
        self.categories.len()
    }

    /// The ids of the items; item code `i` is `items()[i]`.
    pub fn items(&self) -> &[Label] {
        &self.items
    }

    /// The ids of the raters; rater code `r` is `raters()[r]`.
    pub fn raters(&self) -> &[Label] {
        &self.raters
    }

    /// The values; code `c` is `categories()[c]`.
    pub fn categories(&self) -> &[Label] {
        &self.categories
    }

    /// The weight of each rater, all above 0.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Has some rater a weight other than 1?
    pub fn is_weighted(&self) -> bool {
        self.weights.iter().any(|&w| w != 1.0)
    }

    /// Do the categories have an order: are they numbers, or given as a domain?
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Did [`Duplicates::Keep`] keep more than one rating of one item by one rater?
    pub fn has_duplicates(&self) -> bool {
        self.repeated
    }

    /// Are the raters unknown ([`Ratings::from_counts`])?
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// The codes of the raters of item `i`, ascending.
    pub fn item_raters(&self, i: usize) -> &[u32] {
        self.by_item.row(i).0
    }

    /// The codes of the values of item `i`, in the order of [`Ratings::item_raters`].
    pub fn item_codes(&self, i: usize) -> &[u32] {
        self.by_item.row(i).1
    }

    /// The codes of the items that rater `r` rated, ascending.
    pub fn rater_items(&self, r: usize) -> &[u32] {
        self.by_rater.row(r).0
    }

    /// The codes of the values that rater `r` gave, in the order of [`Ratings::rater_items`].
    pub fn rater_codes(&self, r: usize) -> &[u32] {
        self.by_rater.row(r).1
    }

    /// The place of the first entry of each item in the arrays by item, and the number of entries at the end.
    pub(crate) fn item_starts(&self) -> &[usize] {
        &self.by_item.start
    }

    /// The categories as numbers.
    ///
    /// Errors: `invalid_argument` when one is a text, or when two of them are so large (beyond 2^53) that they are the same number.
    pub fn numeric_categories(&self) -> Result<Vec<f64>> {
        let numbers = self
            .categories
            .iter()
            .map(|c| {
                c.as_f64().ok_or_else(|| {
                    Error::invalid(format!(
                        "the value '{}' is a text where numbers are needed; use a nominal method, or give numbers",
                        short(c)
                    ))
                })
            })
            .collect::<Result<Vec<f64>>>()?;
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        if let Some(twins) = order.windows(2).find(|w| numbers[w[0]] == numbers[w[1]]) {
            return Err(Error::invalid(format!(
                "the values {} and {} are too large to be told apart as numbers; subtract one of them from all",
                short(&self.categories[twins[0]]),
                short(&self.categories[twins[1]])
            )));
        }
        Ok(numbers)
    }
}

impl Sparse {
    fn row(&self, i: usize) -> (&[u32], &[u32]) {
        let range = self.start[i]..self.start[i + 1];
        (&self.other[range.clone()], &self.value[range])
    }

    /// Groups entries (row, other, value) by row, keeping their order within a row: a counting sort.
    fn group(
        n_rows: usize,
        rows: impl Iterator<Item = u32> + Clone,
        entries: impl Iterator<Item = (u32, u32)>,
    ) -> Sparse {
        let mut start = vec![0usize; n_rows + 1];
        for r in rows.clone() {
            start[r as usize + 1] += 1;
        }
        for r in 0..n_rows {
            start[r + 1] += start[r];
        }
        let total = start[n_rows];
        let (mut other, mut value) = (vec![0; total], vec![0; total]);
        let mut next = start.clone();
        for (r, (o, v)) in rows.zip(entries) {
            let at = &mut next[r as usize];
            other[*at] = o;
            value[*at] = v;
            *at += 1;
        }
        Sparse { start, other, value }
    }

    /// The same entries grouped by what is now `other`; within a group they ascend by row.
    fn transpose(&self, n_rows: usize) -> Sparse {
        let rows_of =
            self.start.windows(2).enumerate().flat_map(|(i, w)| std::iter::repeat_n(i as u32, w[1] - w[0]));
        Sparse::group(n_rows, self.other.iter().copied(), rows_of.zip(self.value.iter().copied()))
    }
}

/// The largest weight of all ratings together: its product with a logarithm is still a number.
const MAX_WEIGHT: f64 = 1e300;

/// The most ratings that are made from counts; they take 24 bytes each, and half as much again while they are made.
const MAX_COUNTED: u64 = 1 << 25;

fn check_size(n: usize) -> Result<()> {
    if n == 0 {
        return Err(Error::new(Code::EmptyInput, "there are no ratings"));
    }
    if n >= MISSING as usize {
        return Err(Error::new(Code::TooLarge, format!("{n} entries; at most {} can be held", MISSING - 1)));
    }
    Ok(())
}

fn build(
    mut items: Codes,
    mut raters: Codes,
    mut values: Codes,
    options: &RatingsOptions,
) -> Result<Ratings> {
    let mut weights = rater_weights(&raters.names, &options.weights)?;
    let keep = |n: usize| values.codes[n] != MISSING && weights[raters.codes[n] as usize] > 0.0;
    if !(0..values.codes.len()).all(keep) {
        let kept: Vec<usize> = (0..values.codes.len()).filter(|&n| keep(n)).collect();
        if kept.is_empty() {
            return Err(Error::new(Code::EmptyInput, "every rating is missing or by a rater of weight 0"));
        }
        for column in [&mut items, &mut raters, &mut values] {
            column.codes = kept.iter().map(|&n| column.codes[n]).collect();
        }
        compact(&mut items, &mut Vec::new());
        compact(&mut raters, &mut weights);
        compact(&mut values, &mut Vec::new());
    }
    let ordered = options.domain.is_some() || values.names.iter().all(|name| name.as_f64().is_some());
    let categories = order_values(&mut values, options.domain.as_deref())?;

    let grouped = Sparse::group(
        raters.names.len(),
        raters.codes.iter().copied(),
        items.codes.iter().copied().zip(values.codes.iter().copied()),
    );
    drop((raters.codes, items.codes, values.codes));
    let mut by_item = grouped.transpose(items.names.len());
    drop(grouped);
    let repeated = resolve_duplicates(&mut by_item, options.duplicates, &items.names, &raters.names)?;
    let by_rater = by_item.transpose(raters.names.len());
    let total: f64 = weights.iter().enumerate().map(|(r, w)| w * by_rater.row(r).0.len() as f64).sum();
    if total > MAX_WEIGHT {
        return Err(Error::new(
            Code::NotFinite,
            format!(
                "the sum of the weights of all ratings is {total}; at most {MAX_WEIGHT} can be computed with"
            ),
        ));
    }
    Ok(Ratings {
        items: items.names,
        raters: raters.names,
        categories,
        weights,
        by_item,
        by_rater,
        ordered,
        repeated,
        anonymous: false,
    })
}

fn rater_weights(raters: &[Label], given: &[(Label, f64)]) -> Result<Vec<f64>> {
    let mut weights = vec![1.0; raters.len()];
    if given.is_empty() {
        return Ok(weights);
    }
    let index: HashMap<&Label, usize> = raters.iter().zip(0..).collect();
    for (rater, weight) in given {
        let Some(&r) = index.get(rater) else {
            return Err(Error::new(
                Code::UnknownId,
                format!("a weight is given for rater '{}', who rated nothing", short(rater)),
            ));
        };
        weights[r] = check::weight(*weight, format_args!("the weight of rater '{}'", short(rater)))?;
    }
    Ok(weights)
}

/// Renumbers the codes in order of first appearance and drops names (and their `extra` numbers) that are not used.
fn compact(column: &mut Codes, extra: &mut Vec<f64>) {
    let mut renumber = vec![MISSING; column.names.len()];
    let mut used = Vec::with_capacity(column.names.len());
    for code in &mut column.codes {
        let slot = &mut renumber[*code as usize];
        if *slot == MISSING {
            *slot = used.len() as u32;
            used.push(*code as usize);
        }
        *code = *slot;
    }
    if used.iter().copied().ne(0..column.names.len()) {
        column.names = used.iter().map(|&u| column.names[u].clone()).collect();
        if !extra.is_empty() {
            *extra = used.iter().map(|&u| extra[u]).collect();
        }
    }
}

/// Puts the categories in the order of the domain (or of their values) and the codes with them.
fn order_values(values: &mut Codes, domain: Option<&[Label]>) -> Result<Vec<Label>> {
    let categories = match domain {
        Some(domain) => domain.to_vec(),
        None => {
            let mut sorted = values.names.clone();
            sorted.sort();
            sorted
        }
    };
    let mut index = HashMap::with_capacity(categories.len());
    for (c, name) in categories.iter().enumerate() {
        if index.insert(name, c as u32).is_some() {
            return Err(Error::invalid(format!("the domain names '{}' twice", short(name))));
        }
    }
    let renumber = values
        .names
        .iter()
        .map(|name| {
            index.get(name).copied().ok_or_else(|| {
                Error::invalid(format!(
                    "the value '{}' is not in the domain; add it there or remove its ratings",
                    short(name)
                ))
            })
        })
        .collect::<Result<Vec<u32>>>()?;
    for code in &mut values.codes {
        *code = renumber[*code as usize];
    }
    Ok(categories)
}

/// Applies the policy to entries grouped by item and ascending by rater; tells whether repeated entries remain.
fn resolve_duplicates(
    by_item: &mut Sparse,
    policy: Duplicates,
    items: &[Label],
    raters: &[Label],
) -> Result<bool> {
    let twin = (0..items.len())
        .find_map(|i| by_item.row(i).0.windows(2).find(|w| w[0] == w[1]).map(|w| (i, w[0] as usize)));
    let Some((item, rater)) = twin else {
        return Ok(false);
    };
    match policy {
        Duplicates::Keep => Ok(true),
        Duplicates::Error => Err(Error::new(
            Code::DuplicateEntry,
            format!(
                "rater '{}' rated item '{}' more than once; choose what to do with duplicates (first, last or keep)",
                short(&raters[rater]),
                short(&items[item])
            ),
        )),
        Duplicates::First | Duplicates::Last => {
            let mut out = Sparse { start: vec![0], other: Vec::new(), value: Vec::new() };
            for i in 0..items.len() {
                let (other, value) = by_item.row(i);
                let begin = out.other.len();
                for (&o, &v) in other.iter().zip(value) {
                    if out.other.len() > begin && out.other.last() == Some(&o) {
                        if policy == Duplicates::Last {
                            out.value.pop();
                            out.value.push(v);
                        }
                    } else {
                        out.other.push(o);
                        out.value.push(v);
                    }
                }
                out.start.push(out.other.len());
            }
            *by_item = out;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_views_hold_the_same_entries() {
        let data = Ratings::new(&["b", "a", "b", "c"], &[7, 9, 9, 7], &[2.5, 1.0, 1.0, -3.0]).unwrap();
        assert_eq!(data.items(), &["b".into(), "a".into(), "c".into()]);
        assert_eq!(data.raters(), &[Label::Int(7), Label::Int(9)]);
        assert_eq!(data.numeric_categories().unwrap(), vec![-3.0, 1.0, 2.5]);
        assert_eq!((data.item_raters(0), data.item_codes(0)), (&[0, 1][..], &[2, 1][..]));
        assert_eq!((data.rater_items(0), data.rater_codes(0)), (&[0, 2][..], &[2, 0][..]));
        assert_eq!((data.rater_items(1), data.rater_codes(1)), (&[0, 1][..], &[1, 1][..]));
    }

    #[test]
    fn duplicate_policies() {
        let build = |duplicates| {
            Ratings::with_options(
                &[1, 1, 1],
                &[1, 2, 1],
                &["x", "y", "z"],
                &RatingsOptions { duplicates, ..Default::default() },
            )
        };
        assert_eq!(build(Duplicates::Error).unwrap_err().code(), Code::DuplicateEntry);
        assert_eq!(build(Duplicates::First).unwrap().item_codes(0), &[0, 1]);
        assert_eq!(build(Duplicates::Last).unwrap().item_codes(0), &[2, 1]);
        let kept = build(Duplicates::Keep).unwrap();
        assert_eq!(kept.item_codes(0), &[0, 2, 1]);
        assert!(kept.has_duplicates());
    }

    #[test]
    fn weight_zero_equals_absence() {
        let options =
            RatingsOptions { weights: vec![("b".into(), 0.0), ("c".into(), 2.0)], ..Default::default() };
        let with =
            Ratings::with_options(&[1, 2, 1, 3], &["b", "b", "a", "c"], &[9, 8, 1, 2], &options).unwrap();
        let options = RatingsOptions { weights: vec![("c".into(), 2.0)], ..Default::default() };
        let without = Ratings::with_options(&[1, 3], &["a", "c"], &[1, 2], &options).unwrap();
        assert_eq!(with, without);
    }

    #[test]
    fn a_sparse_and_a_dense_range_of_ids_give_the_same_data() {
        let near = Ratings::new(&[0, 1, 0], &[0, 0, 1], &["a", "b", "a"]).unwrap();
        let far = Ratings::new(&[0, i64::MAX, 0], &[i64::MIN, i64::MIN, 1], &["a", "b", "a"]).unwrap();
        assert_eq!(near.by_item, far.by_item);
        assert_eq!(far.raters(), &[Label::Int(i64::MIN), Label::Int(1)]);
    }

    #[test]
    fn bad_input_has_a_code() {
        let code = |r: Result<Ratings>| r.unwrap_err().code();
        assert_eq!(code(Ratings::new(&[0i64; 0], &[0i64; 0], &[0i64; 0])), Code::EmptyInput);
        assert_eq!(code(Ratings::new(&[1, 2], &[1], &[1, 2])), Code::InvalidShape);
        assert_eq!(code(Ratings::new(&[1, 2], &[1, 1], &[1.0, f64::NAN])), Code::NotFinite);
        assert_eq!(code(Ratings::new(&[1, 2], &[1, 1], &[1.0, f64::INFINITY])), Code::NotFinite);
        assert_eq!(code(Ratings::from_matrix(&[1.0; 5], 2, 3)), Code::InvalidShape);
        assert_eq!(code(Ratings::from_matrix(&[f64::NAN; 6], 2, 3)), Code::EmptyInput);
        assert_eq!(code(Ratings::from_matrix(&[f64::INFINITY; 6], 2, 3)), Code::NotFinite);
        assert_eq!(code(Ratings::from_pair(&[1, 2], &[1], None)), Code::InvalidShape);
        let with = |weights: Vec<(Label, f64)>, domain| {
            let options = RatingsOptions { weights, domain, ..Default::default() };
            code(Ratings::with_options(&[1, 2], &["a", "b"], &[1, 2], &options))
        };
        assert_eq!(with(vec![("x".into(), 1.0)], None), Code::UnknownId);
        assert_eq!(with(vec![("a".into(), -1.0)], None), Code::InvalidArgument);
        assert_eq!(with(vec![("a".into(), f64::NAN)], None), Code::NotFinite);
        assert_eq!(with(vec![("a".into(), 0.0), ("b".into(), 0.0)], None), Code::EmptyInput);
        assert_eq!(with(vec![], Some(vec![1.into()])), Code::InvalidArgument);
        assert_eq!(with(vec![], Some(vec![1.into(), 2.into(), 1.into()])), Code::InvalidArgument);
        let coded = Column::Coded { codes: &[0, 5], names: &["a".into()] };
        assert_eq!(code(Ratings::new(&[1, 2], &[1, 1], coded)), Code::InvalidArgument);
        let gaps = [Some(Label::Int(1)), None];
        assert_eq!(code(Ratings::new(&[1, 2], &[1, 1], &gaps)), Code::InvalidArgument);
    }

    #[test]
    fn a_table_may_be_given_either_way_round() {
        let by_raters = Ratings::from_matrix(&[1.0, 2.0, 3.0, 1.0, f64::NAN, 2.0], 2, 3).unwrap();
        let options = RatingsOptions { form: "items_x_raters".parse().unwrap(), ..Default::default() };
        let by_items = Ratings::from_table(&[1.0, 1.0, 2.0, f64::NAN, 3.0, 2.0], 3, 2, &options).unwrap();
        assert_eq!(by_raters, by_items);
        assert_eq!("columns".parse::<TableForm>().unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn counts_become_anonymous_ratings() {
        let many = Ratings::from_counts(&[vec![u32::MAX, 1]], &["a".into(), "b".into()]);
        assert_eq!(many.unwrap_err().code(), Code::TooLarge);
        let data = Ratings::from_counts(&[vec![2, 0], vec![1, 1]], &["a".into(), "b".into()]).unwrap();
        assert_eq!(data.len(), 4);
        assert!(data.is_anonymous());
        assert_eq!(data.item_codes(1), &[0, 1]);
    }
}
