//! What did a host give? Any value of its own, copied whole, so that work on other threads never looks back.

use std::sync::Arc;

use quorate_consensus::Ratings;

/// A value of a host.
#[derive(Clone, Debug, Default)]
pub enum Given {
    /// Nothing at all: JavaScript's `undefined`, an argument that is not there.
    #[default]
    Undefined,
    /// `null`, `None`, and what pandas has in its place.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, of whatever value.
    Number(f64),
    /// A whole number that fits into 64 bits with a sign: Python's, JavaScript's BigInt.
    Big(i64),
    /// A whole number that fits into 64 bits without a sign only.
    Wide(u64),
    /// A string.
    Text(String),
    /// A date, as RFC 3339 text.
    Date(String),
    /// An array of float32.
    F32(Vec<f32>),
    /// An array of float64.
    F64(Vec<f64>),
    /// An array of whole numbers.
    Ints(Vec<i64>),
    /// A list.
    List(Vec<Given>),
    /// Members by name.
    Object(Vec<(String, Given)>),
    /// Members by keys that are not all strings.
    Pairs(Vec<(Given, Given)>),
    /// Ratings that were made before.
    Ratings(Arc<Ratings>),
    /// Something that nothing takes, with its description.
    Other(String),
}

impl Given {
    /// What it is, for messages.
    ///
    /// ```
    /// use quorate_bindings::Given;
    /// assert_eq!(Given::Number(f64::NAN).kind(), "NaN");
    /// assert_eq!(Given::List(Vec::new()).kind(), "an array");
    /// ```
    pub fn kind(&self) -> String {
        match self {
            Given::Undefined => "undefined",
            Given::Null => "null",
            Given::Bool(_) => "a boolean",
            Given::Number(x) if x.is_nan() => "NaN",
            Given::Number(_) | Given::Big(_) => "a number",
            Given::Wide(_) => "a whole number that does not fit into 64 bits with a sign",
            Given::Text(_) => "a string",
            Given::Date(_) => "a date",
            Given::F32(_) => "an array of float32",
            Given::F64(_) => "an array of float64",
            Given::Ints(_) => "an array of whole numbers",
            Given::List(_) => "an array",
            Given::Object(_) => "an object",
            Given::Pairs(_) => "an object with keys that are no strings",
            Given::Ratings(_) => "an object of class Ratings",
            Given::Other(what) => what,
        }
        .to_owned()
    }

    /// Whether nothing was given.
    pub fn is_missing(&self) -> bool {
        matches!(self, Given::Undefined | Given::Null)
    }
}
