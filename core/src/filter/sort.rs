//! In which order do documents stand by a field?

use std::cmp::Ordering;

use super::columns::Typed;
use super::value::{Value, compare_int_float, instant};
use super::{Columns, RowSet, clip, is_text_only};
use crate::{Cancel, Error, Result};

/// A field to sort by, and the direction.
///
/// ```
/// use quorate_core::filter::Sort;
/// let newest_first = Sort::parse("-year").unwrap();
/// assert_eq!((newest_first.field.as_str(), newest_first.descending), ("year", true));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field, as a filter names it.
    pub field: String,
    /// Whether the greatest come first.
    pub descending: bool,
}

impl Sort {
    /// From the name of a field, with `-` before it for descending order. Errors: `invalid_argument`.
    pub fn parse(text: &str) -> Result<Self> {
        let (field, descending) = match text.strip_prefix('-') {
            Some(field) => (field, true),
            None => (text, false),
        };
        if field.trim().is_empty() {
            return Err(Error::invalid(format!(
                "sort is '{}'; the name of a field is expected, with - before it for descending order",
                clip(text)
            )));
        }
        Ok(Sort { field: field.to_owned(), descending })
    }
}

/// A value of a field in the order of values: bools, then numbers, then times, then texts.
#[derive(Clone, Copy, Debug)]
pub enum SortKey<'a> {
    /// False before true.
    Bool(bool),
    /// Compares with floats exactly.
    Int(i64),
    /// Finite.
    Float(f64),
    /// The instant that a text denotes, in nanoseconds since 1970, and the text.
    Time(i128, &'a str),
    /// By its characters.
    Text(&'a str),
}

impl<'a> SortKey<'a> {
    /// The key of a value of `field`.
    pub fn of_field(value: &'a Value, field: &str) -> Self {
        SortKey::of(value, is_text_only(field))
    }

    pub(super) fn of(value: &'a Value, text_only: bool) -> Self {
        match value {
            Value::Bool(bool) => SortKey::Bool(*bool),
            Value::Int(int) => SortKey::Int(*int),
            Value::Float(float) => SortKey::Float(*float),
            Value::String(text) => match instant(text).filter(|_| !text_only) {
                Some(when) => SortKey::Time(when, text),
                None => SortKey::Text(text),
            },
        }
    }

    /// The value itself.
    pub fn value(&self) -> Value {
        match *self {
            SortKey::Bool(bool) => Value::Bool(bool),
            SortKey::Int(int) => Value::Int(int),
            SortKey::Float(float) => Value::Float(float),
            SortKey::Time(_, text) | SortKey::Text(text) => Value::String(text.to_owned()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            SortKey::Bool(_) => 0,
            SortKey::Int(_) | SortKey::Float(_) => 1,
            SortKey::Time(..) => 2,
            SortKey::Text(_) => 3,
        }
    }
}

impl Ord for SortKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        use SortKey::{Bool, Float, Int, Text, Time};
        match (self, other) {
            (Bool(a), Bool(b)) => a.cmp(b),
            (Int(a), Int(b)) => a.cmp(b),
            (Int(a), Float(b)) => compare_int_float(*a, *b),
            (Float(a), Int(b)) => compare_int_float(*b, *a).reverse(),
            // Metadata holds no NaN: JSON has none.
            (Float(a), Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Time(a, _), Time(b, _)) => a.cmp(b),
            (Text(a), Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for SortKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SortKey<'_> {}

impl Typed {
    /// Calls `f` with each value of a row of the scope. Errors: `cancelled`.
    pub(super) fn each<'a>(
        &'a self,
        scope: &RowSet,
        text_only: bool,
        cancel: &Cancel,
        mut f: impl FnMut(u32, SortKey<'a>),
    ) -> Result<()> {
        let mut inside = |row: u32, key: SortKey<'a>| {
            if scope.contains(row) {
                f(row, key);
            }
        };
        self.bools.each(cancel, |row, &value| inside(row, SortKey::Bool(value)))?;
        self.ints.each(cancel, |row, &value| inside(row, SortKey::Int(value)))?;
        self.floats.each(cancel, |row, &value| inside(row, SortKey::Float(value)))?;
        self.strings.each(cancel, |row, code| {
            let text = self.dictionary.strings[*code as usize].as_str();
            let key = match self.instants.get(code).filter(|_| !text_only) {
                Some(&when) => SortKey::Time(when, text),
                None => SortKey::Text(text),
            };
            inside(row, key);
        })
    }
}

impl Columns {
    /// The key of each row of the scope by a field, at the row's number; none where the row has no value. Of a list the
    /// least member counts or, with `descending`, the greatest. Errors: `cancelled` (by [`Cancel::current`]).
    pub fn sort_keys(&self, sort: &Sort, scope: &RowSet) -> Result<Vec<Option<SortKey<'_>>>> {
        let cancel = Cancel::current();
        let mut keys: Vec<Option<SortKey<'_>>> = vec![None; scope.universe() as usize];
        let Some(field) = self.field(&sort.field) else { return Ok(keys) };
        let better = if sort.descending { Ordering::Greater } else { Ordering::Less };
        for typed in [&field.scalars, &field.lists] {
            typed.each(scope, is_text_only(&sort.field), &cancel, |row, key| {
                if let Some(slot) = keys.get_mut(row as usize)
                    && slot.is_none_or(|held| key.cmp(&held) == better)
                {
                    *slot = Some(key);
                }
            })?;
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_all_types_have_one_order() {
        let text = |t: &str| Value::String(t.into());
        let ascending = [
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(-3),
            Value::Float(-2.5),
            Value::Int(7),
            text("2024-01-01T01:00:00+02:00"),
            text("2024-01-01"),
            text("2023 was a year"),
            text("a"),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(
                    SortKey::of_field(a, "v").cmp(&SortKey::of_field(b, "v")),
                    i.cmp(&j),
                    "{a:?} {b:?}"
                );
            }
        }
        // An id is never a time.
        let (a, b) = (text("2024-01-01T01:00:00+02:00"), text("2024-01-01"));
        assert_eq!(SortKey::of_field(&a, "id").cmp(&SortKey::of_field(&b, "id")), Ordering::Greater);
    }

    #[test]
    fn lists_stand_by_their_best_member() {
        let mut columns = Columns::default();
        for (row, metadata) in (0..).zip([json!({"v": [3, 1]}), json!({"v": 2}), json!({}), json!({"v": []})])
        {
            columns.push(row, [], metadata.as_object().unwrap());
        }
        let keys = |sort: &str| {
            let sort = Sort::parse(sort).unwrap();
            let keys = columns.sort_keys(&sort, &RowSet::full(4)).unwrap();
            keys.iter().map(|key| key.map(|key| key.value())).collect::<Vec<_>>()
        };
        let int = |n| Some(Value::Int(n));
        assert_eq!(keys("v"), [int(1), int(2), None, None]);
        assert_eq!(keys("-v"), [int(3), int(2), None, None]);
        assert!(Sort::parse("-").is_err() && Sort::parse(" ").is_err());
    }
}
