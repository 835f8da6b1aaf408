//! Which documents does the caller want to see?
//!
//! A filter is written as text (`year >= 2020 AND kind IN ('label', 'guideline')`) or as JSON
//! (`{"year": {"$gte": 2020}}`). Both become one [`Filter`], which [`Columns`] turns into a [`RowSet`].
//!
//! A comparison with a field that a document lacks is neither true nor false (SQL's three-valued logic), so such
//! a document matches neither `year = 2020` nor `NOT (year = 2020)`; `year IS NULL` finds it. Of a value that is
//! there each test is either true or false, whatever its type: the number 0, a list and an object all differ from the
//! text `'no'`, so that they match `part != 'no'`, and of the documents that have a field each matches exactly one of a
//! test and its negation. A field that holds an object is there (`IS NOT NULL`).
//!
//! The document's own fields `id`, `title` and `source` are texts and equal themselves only. A text in metadata that is
//! a time (RFC 3339; one without a zone is UTC) compares as the instant that it denotes with others that are.

mod columns;
mod facets;
mod json;
mod lex;
mod like;
mod parse;
mod rows;
mod sort;
mod value;

pub use columns::Columns;
pub use rows::RowSet;
pub use sort::{Sort, SortKey};
pub use value::Value;

use std::borrow::Cow;

use crate::Result;

/// A parsed condition on documents.
///
/// Text form: `= != < <= > >=`, `IN`, `NOT IN`, `BETWEEN`, `LIKE` (`%` any run, `_` any one character, `\` escapes; at most [`MAX_LIKE_CHARS`]),
/// `IS NULL`, `IS NOT NULL`, `CONTAINS` (membership of a list), `AND`, `OR`, `NOT`, parentheses; dotted paths into
/// metadata. Strings stand in single quotes (`''` for a quote); a field with unusual characters stands in backticks
/// or double quotes. JSON form: equality, `$eq $ne $gt $gte $lt $lte $in $nin $contains $exists $and $or $not`.
///
/// ```
/// use quorate_core::filter::Filter;
/// let text = Filter::parse("NOT kind = 'draft' AND year >= 2020").unwrap();
/// let json = Filter::from_json(&serde_json::json!({"kind": {"$ne": "draft"}, "year": {"$gte": 2020}})).unwrap();
/// assert_eq!(text, json);
/// assert_eq!(Filter::parse("year >").unwrap_err().code().as_str(), "filter_syntax");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Node,
}

/// Longest accepted filter, in bytes of text or in JSON nodes.
pub const MAX_FILTER_SIZE: usize = 4 << 20;

/// Longest accepted pattern of `LIKE`, in characters: the work for one value is at most its length times that of the pattern.
pub const MAX_LIKE_CHARS: usize = 1024;

/// Deepest accepted nesting of parentheses, `NOT`, `$and`, `$or`, `$not`.
pub const MAX_FILTER_DEPTH: usize = 128;

impl Filter {
    /// Reads the text form. Errors: `filter_syntax` with the position in characters, `too_large`.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Filter { root: parse::parse(text)? })
    }

    /// Reads the JSON form. Errors: `filter_syntax` with the path of the offending member, `too_large`.
    pub fn from_json(value: &serde_json::Value) -> Result<Self> {
        Ok(Filter { root: json::from_json(value)? })
    }

    /// Whether the filter says nothing, so that every document matches it: `{}`, or lists that hold such a one.
    pub fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Documents that match both.
    pub fn and(self, other: Filter) -> Self {
        Filter { root: Node::all(vec![self.root, other.root]) }
    }

    /// Documents that match at least one.
    pub fn or(self, other: Filter) -> Self {
        Filter { root: Node::any(vec![self.root, other.root]) }
    }
}

impl std::str::FromStr for Filter {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Filter::parse(text)
    }
}

/// A condition with every negation pushed down to a leaf, so that only "true" has to be computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// True when all are; true when there is none.
    All(Vec<Node>),
    /// True when any is; false when there is none.
    Any(Vec<Node>),
    /// Where the field is there and the test of its value is true or, when `negated`, false.
    Leaf { field: String, test: Test, negated: bool },
    /// Where the field is not there or, when `negated`, where it is.
    Null { field: String, negated: bool },
}

/// A test of one field's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Compare(Order, Value),
    In(Vec<Value>),
    Like(String),
    Contains(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Order {
    pub(crate) fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Equal => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterEqual => ordering.is_ge(),
        }
    }
}

impl Node {
    pub(crate) fn leaf(field: impl Into<String>, test: Test) -> Self {
        Node::Leaf { field: field.into(), test, negated: false }
    }

    /// Where a field is not there.
    pub(crate) fn null(field: impl Into<String>) -> Self {
        Node::Null { field: field.into(), negated: false }
    }

    fn is_empty(&self) -> bool {
        match self {
            Node::All(parts) => parts.iter().all(Node::is_empty),
            Node::Any(parts) => parts.iter().any(Node::is_empty),
            // Every document has an id, which is none of none.
            Node::Leaf { field, test: Test::In(values), negated: true } => values.is_empty() && field == "id",
            Node::Leaf { .. } | Node::Null { .. } => false,
        }
    }

    /// A conjunction; nested conjunctions are joined, so that equal filters compare equal.
    pub(crate) fn all(parts: Vec<Node>) -> Self {
        Self::join(parts, true)
    }

    /// A disjunction, joined likewise.
    pub(crate) fn any(parts: Vec<Node>) -> Self {
        Self::join(parts, false)
    }

    fn join(parts: Vec<Node>, all: bool) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Node::All(inner) if all => flat.extend(inner),
                Node::Any(inner) if !all => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match (flat.len(), all) {
            (1, _) => flat.remove(0),
            (_, true) => Node::All(flat),
            (_, false) => Node::Any(flat),
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Node::All(parts) => Node::any(parts.into_iter().map(Node::negated).collect()),
            Node::Any(parts) => Node::all(parts.into_iter().map(Node::negated).collect()),
            Node::Leaf { field, test, negated } => Node::Leaf { field, test, negated: !negated },
            Node::Null { field, negated } => Node::Null { field, negated: !negated },
        }
    }
}

/// Fields of the document itself; a metadata member of the same name is reached as `metadata.NAME`.
const OWN_FIELDS: [&str; 3] = ["id", "title", "source"];

/// Whether a field is one of the document's own, which are texts: their values are never read as times.
fn is_text_only(field: &str) -> bool {
    OWN_FIELDS.contains(&field)
}

/// A part of what the caller gave, short enough for a message.
fn clip(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The column that a field named in a filter is held in.
fn column_of_field(field: &str) -> &str {
    match field.strip_prefix("metadata.") {
        Some(rest) if !OWN_FIELDS.contains(&rest) => rest,
        _ => field,
    }
}

/// The column that a path into metadata is held in.
fn column_of_metadata(path: &str) -> Cow<'_, str> {
    if OWN_FIELDS.contains(&path) { Cow::Owned(format!("metadata.{path}")) } else { Cow::Borrowed(path) }
}

#[cfg(test)]
mod tests;
