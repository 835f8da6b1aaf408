//! Which values does a field have, in how many documents each, and which is the least and the greatest?

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

use super::columns::{Field, Typed};
use super::sort::SortKey;
use super::value::Value;
use super::{Columns, RowSet, clip, is_text_only};
use crate::{Cancel, Code, Error, Result};

impl Columns {
    /// The values of a field over the scopes of several parts of one collection, each with the number of rows that have
    /// it: those of most rows first, of equally many the lesser first (bools, then numbers, then times, then texts), at
    /// most `limit`. Each member of a list is a value. Numbers that are equal are one value; texts are not read as times.
    ///
    /// Time and memory: one pass over the field's values, and one entry for each distinct value. Errors: `cancelled` (by
    /// [`Cancel::current`]).
    ///
    /// ```
    /// use quorate_core::filter::{Columns, RowSet, Value};
    /// let mut columns = Columns::default();
    /// for (row, year) in [2019, 2024, 2024].into_iter().enumerate() {
    ///     columns.push(row as u32, [], serde_json::json!({"year": year}).as_object().unwrap());
    /// }
    /// let counts = Columns::facets(&[(&columns, &RowSet::full(3))], "year", 10).unwrap();
    /// assert_eq!(counts, [(Value::Int(2024), 2), (Value::Int(2019), 1)]);
    /// ```
    pub fn facets(parts: &[(&Columns, &RowSet)], field: &str, limit: usize) -> Result<Vec<(Value, usize)>> {
        let cancel = Cancel::current();
        let mut counts = Counts::default();
        for (part, (columns, scope)) in parts.iter().enumerate() {
            if let Some(field) = columns.field(field) {
                counts.add(part, &field.scalars, scope, &cancel)?;
                counts.add(part, &field.lists, scope, &cancel)?;
            }
        }
        let mut all = counts.values();
        let order = |(a, m): &(Value, usize), (b, n): &(Value, usize)| {
            n.cmp(m).then_with(|| SortKey::of(a, true).cmp(&SortKey::of(b, true)))
        };
        if all.len() > limit {
            all.select_nth_unstable_by(limit, order);
            all.truncate(limit);
        }
        all.sort_unstable_by(order);
        Ok(all)
    }

    /// The least and the greatest value of a field over the scopes of several parts of one collection, members of lists
    /// included; none where no row has one. Texts that are all times are compared as such, others by their characters.
    /// Errors: `filter_type` when the field holds values that have no common order, `cancelled` (by [`Cancel::current`]).
    pub fn extremes(parts: &[(&Columns, &RowSet)], field: &str) -> Result<Option<(Value, Value)>> {
        let cancel = Cancel::current();
        let mut text_only = is_text_only(field);
        let fields: Vec<(&Field, &RowSet)> = parts
            .iter()
            .filter_map(|&(columns, scope)| columns.field(field).map(|field| (field, scope)))
            .collect();
        let typed =
            || fields.iter().flat_map(|&(field, scope)| [(&field.scalars, scope), (&field.lists, scope)]);
        let (mut numbers, mut bools, mut texts) = (false, false, false);
        for (typed, scope) in typed() {
            let any = |rows: &[u32]| rows.iter().any(|&row| scope.contains(row));
            numbers |= any(&typed.ints.rows) || any(&typed.floats.rows);
            bools |= any(&typed.bools.rows);
            typed.strings.each(&cancel, |row, code| {
                if scope.contains(row) {
                    texts = true;
                    text_only |= !typed.instants.contains_key(code);
                }
            })?;
        }
        if bools || (numbers && texts) {
            let held: Vec<&str> = [("bools", bools), ("numbers", numbers), ("texts", texts)]
                .into_iter()
                .filter_map(|(name, there)| there.then_some(name))
                .collect();
            return Err(Error::new(
                Code::FilterType,
                format!("field '{}' holds {}, which have no order", clip(field), held.join(" and ")),
            ));
        }
        let mut ends: Option<(SortKey<'_>, SortKey<'_>)> = None;
        for (typed, scope) in typed() {
            typed.each(scope, text_only, &cancel, |_, key| {
                ends = Some(match ends {
                    None => (key, key),
                    Some((low, high)) => (
                        if key.cmp(&low) == Ordering::Less { key } else { low },
                        if key.cmp(&high) == Ordering::Greater { key } else { high },
                    ),
                });
            })?;
        }
        Ok(ends.map(|(low, high)| (low.value(), high.value())))
    }
}

/// How many rows have a value, and the last one that was counted, so that a list that repeats a member counts once.
#[derive(Clone, Copy)]
struct Count {
    rows: usize,
    last: (usize, u32),
}

#[derive(Default)]
struct Counts<'a> {
    bools: HashMap<bool, Count>,
    ints: HashMap<i64, Count>,
    /// By their bits.
    floats: HashMap<u64, Count>,
    texts: HashMap<&'a str, Count>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, part: usize, typed: &'a Typed, scope: &RowSet, cancel: &Cancel) -> Result<()> {
        typed.bools.each(cancel, |row, &value| tally(&mut self.bools, value, (part, row), scope))?;
        typed.ints.each(cancel, |row, &value| tally(&mut self.ints, value, (part, row), scope))?;
        typed.floats.each(cancel, |row, &value| match whole(value) {
            Some(int) => tally(&mut self.ints, int, (part, row), scope),
            None => tally(&mut self.floats, value.to_bits(), (part, row), scope),
        })?;
        typed.strings.each(cancel, |row, &code| {
            tally(&mut self.texts, typed.dictionary.strings[code as usize].as_str(), (part, row), scope);
        })
    }

    fn values(self) -> Vec<(Value, usize)> {
        let bools = self.bools.into_iter().map(|(value, count)| (Value::Bool(value), count.rows));
        let ints = self.ints.into_iter().map(|(value, count)| (Value::Int(value), count.rows));
        let floats =
            self.floats.into_iter().map(|(bits, count)| (Value::Float(f64::from_bits(bits)), count.rows));
        let texts =
            self.texts.into_iter().map(|(value, count)| (Value::String(value.to_owned()), count.rows));
        bools.chain(ints).chain(floats).chain(texts).collect()
    }
}

fn tally<K: Eq + Hash>(counts: &mut HashMap<K, Count>, value: K, at: (usize, u32), scope: &RowSet) {
    if !scope.contains(at.1) {
        return;
    }
    let count = counts.entry(value).or_insert(Count { rows: 0, last: (usize::MAX, 0) });
    if count.last != at {
        *count = Count { rows: count.rows + 1, last: at };
    }
}

/// A float that is a whole number, so that 2020 and 2020.0 are one value.
fn whole(value: f64) -> Option<i64> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    (value.trunc() == value && (-TWO_63..TWO_63).contains(&value)).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn columns(rows: &[Json]) -> Columns {
        let mut columns = Columns::default();
        for (row, metadata) in (0..).zip(rows) {
            columns.push(row, [("id", format!("2024-01-0{row}").as_str())], metadata.as_object().unwrap());
        }
        columns
    }

    #[test]
    fn values_are_counted_over_all_parts() {
        let first = columns(&[json!({"v": 1}), json!({"v": ["a", "b", "a"]}), json!({"v": 1.0}), json!({})]);
        let second =
            columns(&[json!({"v": "b"}), json!({"v": true}), json!({"v": 2.5}), json!({"v": "out"})]);
        let (all, some) = (RowSet::full(4), RowSet::full(3));
        let parts = [(&first, &all), (&second, &some)];
        let text = |t: &str| Value::String(t.into());
        let want = [
            (Value::Int(1), 2),
            (text("b"), 2),
            (Value::Bool(true), 1),
            (Value::Float(2.5), 1),
            (text("a"), 1),
        ];
        assert_eq!(Columns::facets(&parts, "v", 10).unwrap(), want);
        assert_eq!(Columns::facets(&parts, "v", 2).unwrap(), want[..2]);
        assert!(Columns::facets(&parts, "v", 0).unwrap().is_empty());
        assert!(Columns::facets(&parts, "w", 2).unwrap().is_empty());
        assert_eq!(Columns::facets(&parts, "id", 1).unwrap(), [(text("2024-01-00"), 2)]);
    }

    #[test]
    fn a_raised_flag_ends_each_pass() {
        let columns = columns(&[json!({"v": 1}), json!({"v": "b"}), json!({"v": ["c"], "w": 1.5})]);
        let scope = RowSet::full(3);
        let parts = [(&columns, &scope)];
        let cancel = Cancel::new();
        cancel.cancel();
        cancel.cover(|| {
            let code = |error: Error| error.code();
            assert_eq!(Columns::facets(&parts, "v", 9).map_err(code), Err(Code::Cancelled));
            assert_eq!(Columns::extremes(&parts, "w").map_err(code), Err(Code::Cancelled));
            let filter = crate::filter::Filter::parse("v LIKE '%b%'").unwrap();
            assert_eq!(
                columns.select(&filter, &scope, false).map(|_| ()).map_err(code),
                Err(Code::Cancelled)
            );
            let sort = crate::filter::Sort::parse("v").unwrap();
            assert_eq!(columns.sort_keys(&sort, &scope).map(|_| ()).map_err(code), Err(Code::Cancelled));
        });
        assert_eq!(Columns::facets(&parts, "v", 9).unwrap().len(), 3);
    }

    #[test]
    fn ends_of_each_type() {
        let ends = |rows: &[Json]| {
            let columns = columns(rows);
            let scope = RowSet::full(rows.len() as u32);
            Columns::extremes(&[(&columns, &scope)], "v")
        };
        let text = |t: &str| Value::String(t.into());
        assert_eq!(ends(&[json!({}), json!({"v": null})]).unwrap(), None);
        assert_eq!(
            ends(&[json!({"v": 3}), json!({"v": [2.5, 7]}), json!({})]).unwrap(),
            Some((Value::Float(2.5), Value::Int(7)))
        );
        // The second is the earlier instant, though not by its characters.
        let (a, b) = ("2024-01-01T00:30:00Z", "2024-01-01T01:00:00+02:00");
        assert_eq!(ends(&[json!({"v": a}), json!({"v": b})]).unwrap(), Some((text(b), text(a))));
        assert_eq!(
            ends(&[json!({"v": a}), json!({"v": b}), json!({"v": "x"})]).unwrap(),
            Some((text(a), text("x")))
        );
        for rows in [[json!({"v": 1}), json!({"v": "x"})], [json!({"v": true}), json!({"v": false})]] {
            assert_eq!(ends(&rows).unwrap_err().code(), Code::FilterType);
        }
    }
}
