//! Which rows match a filter?
//!
//! Every field is a set of typed columns. A column lists (row, value) pairs for the rows that have such a value,
//! so that a field of few documents costs little; a test is one pass over its column.

use std::collections::{BTreeMap, HashMap};

use crate::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::RowSet;
use super::like::Pattern;
use super::value::{Value, compare_int_float, instant};
use super::{Filter, Node, Order, Test, clip, column_of_field, column_of_metadata, is_text_only};

/// After so many texts, or [`MANY`] numbers, a loop looks whether it is cancelled.
const FEW: usize = 1 << 10;
const MANY: usize = 1 << 16;

/// Ids, titles, sources and metadata of documents, held by column for filtering.
///
/// ```
/// use quorate_core::filter::{Columns, Filter, RowSet};
/// let mut columns = Columns::default();
/// columns.push(0, [("id", "a")], serde_json::json!({"year": 2019}).as_object().unwrap());
/// columns.push(1, [("id", "b")], serde_json::json!({"year": 2024}).as_object().unwrap());
/// let filter = Filter::parse("year >= 2020").unwrap();
/// let rows = columns.select(&filter, &RowSet::full(2), false).unwrap();
/// assert_eq!(rows.iter().collect::<Vec<_>>(), [1]);
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Columns {
    fields: BTreeMap<String, Field>,
}

/// One field: what its rows hold, by type. `lists` holds the members of lists.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) present: Vec<u32>,
    pub(super) scalars: Typed,
    pub(super) lists: Typed,
    /// Rows whose value is a list, also an empty one.
    list_rows: Vec<u32>,
    /// Rows whose value is an object.
    object_rows: Vec<u32>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Typed {
    pub(super) ints: Column<i64>,
    pub(super) floats: Column<f64>,
    pub(super) bools: Column<bool>,
    pub(super) strings: Column<u32>,
    /// The distinct strings; `strings` holds indexes into it.
    pub(super) dictionary: Dictionary,
    /// Instants of the distinct strings that are timestamps, by index.
    pub(super) instants: HashMap<u32, i128>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Column<T> {
    pub(super) rows: Vec<u32>,
    pub(super) values: Vec<T>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub(super) struct Dictionary {
    pub(super) strings: Vec<String>,
    codes: HashMap<String, u32>,
}

impl Columns {
    /// Adds a document under a row number that is not in use. `own` are the document's own fields (`id`, `title`,
    /// `source`); nested objects of `metadata` become dotted paths; nulls are absent.
    pub fn push<'a>(
        &mut self,
        row: u32,
        own: impl IntoIterator<Item = (&'a str, &'a str)>,
        metadata: &Map<String, Json>,
    ) {
        for (name, value) in own {
            let field = self.field_mut(name);
            field.present.push(row);
            field.scalars.push_string(row, value);
        }
        let mut path = String::new();
        for (key, value) in metadata {
            self.push_json(row, &mut path, key, value);
        }
    }

    /// Forgets the rows.
    pub fn remove(&mut self, rows: &RowSet) {
        for field in self.fields.values_mut() {
            field.present.retain(|&row| !rows.contains(row));
            field.list_rows.retain(|&row| !rows.contains(row));
            field.object_rows.retain(|&row| !rows.contains(row));
            field.scalars.remove(rows);
            field.lists.remove(rows);
        }
        self.fields.retain(|_, field| !field.present.is_empty());
    }

    /// The rows of `scope` that match. Types and the existence of fields are judged by the rows of `scope` alone,
    /// so that nothing outside it shows. Errors: `filter_type`, `cancelled` (by [`Cancel::current`]); with `strict` also
    /// `filter_field`.
    pub fn select(&self, filter: &Filter, scope: &RowSet, strict: bool) -> Result<RowSet> {
        let mut rows = Columns::select_parts(&[(self, scope)], filter, strict)?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// The rows that match in each of several parts of one collection, each with its scope. Types and the existence
    /// of fields are judged by all parts together, so that it does not matter how the documents are spread.
    /// Errors: `filter_type`, `cancelled` (by [`Cancel::current`]); with `strict` also `filter_field`.
    pub fn select_parts(parts: &[(&Columns, &RowSet)], filter: &Filter, strict: bool) -> Result<Vec<RowSet>> {
        let mut rows = node(parts, &filter.root, strict)?;
        for (rows, (_, scope)) in rows.iter_mut().zip(parts) {
            rows.intersect(scope);
        }
        Ok(rows)
    }

    /// What is held of a field as a filter names it.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(column_of_field(name))
    }

    fn field_mut(&mut self, name: &str) -> &mut Field {
        if !self.fields.contains_key(name) {
            self.fields.insert(name.to_owned(), Field::default());
        }
        self.fields.entry(name.to_owned()).or_default()
    }

    fn push_json(&mut self, row: u32, path: &mut String, key: &str, value: &Json) {
        let before = path.len();
        if before > 0 {
            path.push('.');
        }
        path.push_str(key);
        match value {
            Json::Null => {}
            Json::Object(members) => {
                let field = self.field_mut(&column_of_metadata(path));
                field.present.push(row);
                field.object_rows.push(row);
                for (key, member) in members {
                    self.push_json(row, path, key, member);
                }
            }
            Json::Array(items) => {
                let field = self.field_mut(&column_of_metadata(path));
                field.present.push(row);
                field.list_rows.push(row);
                for item in items {
                    field.lists.push_scalar(row, item);
                }
            }
            scalar => {
                let field = self.field_mut(&column_of_metadata(path));
                field.present.push(row);
                field.scalars.push_scalar(row, scalar);
            }
        }
        path.truncate(before);
    }
}

fn node(parts: &[(&Columns, &RowSet)], of: &Node, strict: bool) -> Result<Vec<RowSet>> {
    let cancel = Cancel::current();
    cancel.check()?;
    match of {
        Node::All(conditions) => {
            let mut rows: Vec<RowSet> = parts.iter().map(|(_, scope)| (*scope).clone()).collect();
            for condition in conditions {
                for (rows, other) in rows.iter_mut().zip(node(parts, condition, strict)?) {
                    rows.intersect(&other);
                }
            }
            Ok(rows)
        }
        Node::Any(conditions) => {
            let mut rows: Vec<RowSet> =
                parts.iter().map(|(_, scope)| RowSet::empty(scope.universe())).collect();
            for condition in conditions {
                for (rows, other) in rows.iter_mut().zip(node(parts, condition, strict)?) {
                    rows.union(&other);
                }
            }
            Ok(rows)
        }
        Node::Null { field: name, negated } => {
            let fields = there(parts, name, strict)?;
            let one = |(field, scope): (Option<&Field>, &RowSet)| {
                let mut rows = RowSet::empty(scope.universe());
                field.into_iter().flat_map(|field| &field.present).for_each(|&row| mark(&mut rows, row));
                if !negated {
                    rows.complement();
                }
                rows
            };
            Ok(fields.into_iter().map(one).collect())
        }
        Node::Leaf { field: name, test, negated } => {
            let fields = there(parts, name, strict)?;
            let present: Vec<(&Field, &RowSet)> =
                fields.iter().filter_map(|&(field, scope)| field.map(|field| (field, scope))).collect();
            if !present.is_empty() {
                check(&present, name, test)?;
            }
            let one = |(field, scope): (Option<&Field>, &RowSet)| {
                let Some(field) = field else { return Ok(RowSet::empty(scope.universe())) };
                let rows = field.select(test, scope, is_text_only(name), &cancel)?;
                if !negated {
                    return Ok(rows);
                }
                // What is there passes a test or its negation.
                let mut others = RowSet::empty(scope.universe());
                field.present.iter().for_each(|&row| mark(&mut others, row));
                others.subtract(&rows);
                Ok(others)
            };
            fields.into_iter().map(one).collect()
        }
    }
}

/// Of each part, the field where some row of the scope has it. Errors: with `strict` `filter_field` when none has.
fn there<'a>(
    parts: &[(&'a Columns, &'a RowSet)],
    name: &str,
    strict: bool,
) -> Result<Vec<(Option<&'a Field>, &'a RowSet)>> {
    let fields: Vec<(Option<&Field>, &RowSet)> = parts
        .iter()
        .map(|&(columns, scope)| (columns.field(name).filter(|field| any_in(&field.present, scope)), scope))
        .collect();
    if strict && fields.iter().all(|(field, _)| field.is_none()) {
        return Err(Error::new(
            Code::FilterField,
            format!(
                "filter: no document has the field '{}'; check its spelling, or leave strict off",
                clip(name)
            ),
        ));
    }
    Ok(fields)
}

/// An error unless the field can be tested so in some part.
fn check(fields: &[(&Field, &RowSet)], name: &str, test: &Test) -> Result<()> {
    match test {
        Test::Compare(order, value) => check_scalar(fields, name, value, *order),
        Test::In(values) => {
            values.iter().try_for_each(|value| check_scalar(fields, name, value, Order::Equal))
        }
        Test::Like(_) => check_scalar(fields, name, &Value::String(String::new()), Order::Equal),
        Test::Contains(value) => check_list(fields, name, value),
    }
}

/// An error unless some row of the scopes has a value that `value` can be compared with.
fn check_scalar(fields: &[(&Field, &RowSet)], name: &str, value: &Value, order: Order) -> Result<()> {
    if matches!(value, Value::Bool(_)) && order != Order::Equal {
        return Err(type_error(name, "bools have no order; use = or !="));
    }
    if fields.iter().any(|(field, scope)| field.scalars.has_type_of(value, scope)) {
        return Ok(());
    }
    let held = held(fields, Field::held);
    let hint = if held == "list" { "; use CONTAINS for one member of a list" } else { "" };
    Err(type_error(name, &format!("it holds {held}, the filter gives {}{hint}", value.type_name())))
}

fn check_list(fields: &[(&Field, &RowSet)], name: &str, value: &Value) -> Result<()> {
    if !fields.iter().any(|(field, scope)| any_in(&field.list_rows, scope)) {
        let held = held(fields, Field::held);
        return Err(type_error(name, &format!("CONTAINS needs a list, it holds {held}; use = or LIKE")));
    }
    // Lists that are all empty fit every type.
    if fields.iter().all(|(field, scope)| field.lists.is_empty_in(scope))
        || fields.iter().any(|(field, scope)| field.lists.has_type_of(value, scope))
    {
        return Ok(());
    }
    let held = held(fields, |field, scope| field.lists.held(scope));
    Err(type_error(name, &format!("its lists hold {held}, the filter gives {}", value.type_name())))
}

/// The types that the parts hold, each once.
fn held<'a>(
    fields: &[(&'a Field, &'a RowSet)],
    of: impl Fn(&'a Field, &'a RowSet) -> Vec<&'static str>,
) -> String {
    let mut names: Vec<&str> = Vec::new();
    for &(field, scope) in fields {
        for name in of(field, scope) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.join(" and ")
}

impl Field {
    /// The rows whose value passes a test that [`check`] found to fit. `text_only`: no text is read as a time.
    fn select(&self, test: &Test, scope: &RowSet, text_only: bool, cancel: &Cancel) -> Result<RowSet> {
        let mut out = RowSet::empty(scope.universe());
        match test {
            Test::Compare(order, value) => {
                self.scalars.compare(*order, value, text_only, cancel, &mut out)?;
            }
            Test::In(values) => self.scalars.member_of(values, text_only, &mut out),
            Test::Like(pattern) => {
                let matcher = Pattern::new(pattern);
                self.scalars.strings_where(|text| matcher.matches(text), cancel, &mut out)?;
            }
            Test::Contains(value) => {
                self.lists.compare(Order::Equal, value, text_only, cancel, &mut out)?;
            }
        }
        Ok(out)
    }

    fn held(&self, scope: &RowSet) -> Vec<&'static str> {
        let mut held = self.scalars.held(scope);
        if any_in(&self.list_rows, scope) {
            held.push("list");
        }
        if any_in(&self.object_rows, scope) {
            held.push("object");
        }
        held
    }
}

fn type_error(name: &str, what: &str) -> Error {
    Error::new(Code::FilterType, format!("filter: the type does not fit field '{}': {what}", clip(name)))
}

impl Typed {
    fn push_scalar(&mut self, row: u32, value: &Json) {
        match value {
            Json::String(text) => self.push_string(row, text),
            Json::Bool(bool) => self.bools.push(row, *bool),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => self.ints.push(row, int),
                (None, Some(float)) => self.floats.push(row, float),
                (None, None) => {}
            },
            // Lists and objects within lists cannot be named by a filter.
            Json::Null | Json::Array(_) | Json::Object(_) => {}
        }
    }

    fn push_string(&mut self, row: u32, text: &str) {
        let (code, new) = self.dictionary.code(text);
        if new && let Some(instant) = instant(text) {
            self.instants.insert(code, instant);
        }
        self.strings.push(row, code);
    }

    fn remove(&mut self, rows: &RowSet) {
        self.ints.remove(rows);
        self.floats.remove(rows);
        self.bools.remove(rows);
        self.strings.remove(rows);
        // Strings that no row holds any more stay in the dictionary until it is twice as long as need be.
        if self.dictionary.strings.len() > 64 && self.dictionary.strings.len() > 2 * self.strings.rows.len() {
            let old = std::mem::take(self);
            self.ints = old.ints;
            self.floats = old.floats;
            self.bools = old.bools;
            for (&row, &code) in old.strings.rows.iter().zip(&old.strings.values) {
                self.push_string(row, &old.dictionary.strings[code as usize]);
            }
        }
    }

    fn has_type_of(&self, value: &Value, scope: &RowSet) -> bool {
        match value {
            Value::String(_) => any_in(&self.strings.rows, scope),
            Value::Bool(_) => any_in(&self.bools.rows, scope),
            Value::Int(_) | Value::Float(_) => {
                any_in(&self.ints.rows, scope) || any_in(&self.floats.rows, scope)
            }
        }
    }

    fn is_empty_in(&self, scope: &RowSet) -> bool {
        self.held(scope).is_empty()
    }

    fn held(&self, scope: &RowSet) -> Vec<&'static str> {
        let columns = [
            ("int64", &self.ints.rows),
            ("float64", &self.floats.rows),
            ("bool", &self.bools.rows),
            ("string", &self.strings.rows),
        ];
        columns.iter().filter(|(_, rows)| any_in(rows, scope)).map(|&(name, _)| name).collect()
    }

    fn compare(
        &self,
        order: Order,
        value: &Value,
        text_only: bool,
        cancel: &Cancel,
        out: &mut RowSet,
    ) -> Result<()> {
        match value {
            Value::Bool(want) => self.bools.select(|got| order.accepts(got.cmp(want)), out),
            Value::Int(want) => {
                self.ints.select(|got| order.accepts(got.cmp(want)), out);
                self.floats.select(|&got| order.accepts(compare_int_float(*want, got).reverse()), out);
            }
            Value::Float(want) => {
                self.ints.select(|&got| order.accepts(compare_int_float(got, *want)), out);
                // Metadata holds no NaN: JSON has none.
                self.floats.select(|got| got.partial_cmp(want).is_some_and(|o| order.accepts(o)), out);
            }
            Value::String(want) => match (instant(want).filter(|_| !text_only), order) {
                (None, Order::Equal) => {
                    if let Some(want) = self.dictionary.codes.get(want) {
                        self.strings.select(|code| code == want, out);
                    }
                }
                (None, _) => self.strings_where(|got| order.accepts(got.cmp(want)), cancel, out)?,
                (Some(when), _) => self.codes_where(
                    |code, got| match self.instants.get(&code) {
                        Some(got) => order.accepts(got.cmp(&when)),
                        None => order.accepts(got.cmp(want)),
                    },
                    cancel,
                    out,
                )?,
            },
        }
        Ok(())
    }

    /// Rows whose value equals one of `values`.
    fn member_of(&self, values: &[Value], text_only: bool, out: &mut RowSet) {
        let mut ints = Vec::new();
        let mut floats = Vec::new();
        let mut bools = Vec::new();
        let mut instants = Vec::new();
        let mut codes = vec![false; self.dictionary.strings.len()];
        for value in values {
            match value {
                Value::Int(int) => ints.push(*int),
                Value::Float(float) => floats.push(*float),
                Value::Bool(bool) => bools.push(*bool),
                Value::String(text) => {
                    if let Some(&code) = self.dictionary.codes.get(text) {
                        codes[code as usize] = true;
                    }
                    if !text_only {
                        instants.extend(instant(text));
                    }
                }
            }
        }
        ints.sort_unstable();
        floats.sort_unstable_by(f64::total_cmp);
        instants.sort_unstable();
        if !instants.is_empty() {
            for (&code, when) in &self.instants {
                codes[code as usize] |= instants.binary_search(when).is_ok();
            }
        }
        if !(ints.is_empty() && floats.is_empty()) {
            let has = |int: i64| {
                ints.binary_search(&int).is_ok()
                    || floats.binary_search_by(|&float| compare_int_float(int, float).reverse()).is_ok()
            };
            self.ints.select(|&got| has(got), out);
            let has = |float: f64| {
                floats
                    .binary_search_by(|other| other.partial_cmp(&float).unwrap_or(std::cmp::Ordering::Less))
                    .is_ok()
                    || ints.binary_search_by(|&int| compare_int_float(int, float)).is_ok()
            };
            self.floats.select(|&got| has(got), out);
        }
        if !bools.is_empty() {
            self.bools.select(|got| bools.contains(got), out);
        }
        self.strings.select(|&code| codes[code as usize], out);
    }

    fn strings_where(&self, accept: impl Fn(&str) -> bool, cancel: &Cancel, out: &mut RowSet) -> Result<()> {
        self.codes_where(|_, text| accept(text), cancel, out)
    }

    /// Judges each distinct string once, then marks the rows that hold an accepted one.
    fn codes_where(
        &self,
        accept: impl Fn(u32, &str) -> bool,
        cancel: &Cancel,
        out: &mut RowSet,
    ) -> Result<()> {
        let mut accepted = Vec::with_capacity(self.dictionary.strings.len());
        for texts in self.dictionary.strings.chunks(FEW) {
            cancel.check()?;
            for text in texts {
                accepted.push(accept(accepted.len() as u32, text));
            }
        }
        self.strings.select(|&code| accepted[code as usize], out);
        Ok(())
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column { rows: Vec::new(), values: Vec::new() }
    }
}

impl<T> Column<T> {
    fn push(&mut self, row: u32, value: T) {
        self.rows.push(row);
        self.values.push(value);
    }

    fn remove(&mut self, rows: &RowSet) {
        let mut keep = self.rows.iter().map(|&row| !rows.contains(row));
        self.values.retain(|_| keep.next().unwrap_or(true));
        self.rows.retain(|&row| !rows.contains(row));
    }

    /// Calls `f` with each row and its value. Errors: `cancelled`.
    pub(super) fn each<'a>(&'a self, cancel: &Cancel, mut f: impl FnMut(u32, &'a T)) -> Result<()> {
        for (rows, values) in self.rows.chunks(MANY).zip(self.values.chunks(MANY)) {
            cancel.check()?;
            rows.iter().zip(values).for_each(|(&row, value)| f(row, value));
        }
        Ok(())
    }

    fn select(&self, accept: impl Fn(&T) -> bool, out: &mut RowSet) {
        for (&row, value) in self.rows.iter().zip(&self.values) {
            if accept(value) {
                mark(out, row);
            }
        }
    }
}

impl Dictionary {
    /// The code of a string, and whether it is new.
    fn code(&mut self, text: &str) -> (u32, bool) {
        if let Some(&code) = self.codes.get(text) {
            return (code, false);
        }
        let code = self.strings.len() as u32;
        self.strings.push(text.to_owned());
        self.codes.insert(text.to_owned(), code);
        (code, true)
    }
}

impl From<Vec<String>> for Dictionary {
    fn from(strings: Vec<String>) -> Self {
        let codes = strings.iter().cloned().zip(0..).collect();
        Dictionary { strings, codes }
    }
}

impl From<Dictionary> for Vec<String> {
    fn from(dictionary: Dictionary) -> Self {
        dictionary.strings
    }
}

/// Marks a row unless it lies outside the set's universe (and so outside the scope).
fn mark(out: &mut RowSet, row: u32) {
    if row < out.universe() {
        out.insert(row);
    }
}

fn any_in(rows: &[u32], scope: &RowSet) -> bool {
    rows.iter().any(|&row| scope.contains(row))
}
