//! What is an id or a value: a number or a text?

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The id of an item or a rater, or the value that a rater gave.
///
/// Numbers are equal when their values are (`Int(1) == Float(1.0)`), and sort before texts; texts sort by code point.
/// This is the order of the categories in every result unless [`RatingsOptions::domain`](crate::RatingsOptions)
/// gives another.
///
/// ```
/// use quorate_consensus::Label;
/// assert_eq!(Label::from(1), Label::from(1.0));
/// assert!(Label::from(2.5) < Label::from(10) && Label::from(10) < Label::from("a"));
/// assert_eq!(Label::from("flu").to_string(), "flu");
/// ```
#[derive(Clone, Debug)]
pub enum Label {
    /// A whole number.
    Int(i64),
    /// Any other number; finite wherever [`Ratings`](crate::Ratings) accepted it.
    Float(f64),
    /// A text.
    Text(Arc<str>),
}

/// Below this magnitude every whole number is an exact `f64` (2^53).
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Label {
    /// The number, or `None` for a text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Label::Int(i) => Some(*i as f64),
            Label::Float(x) => Some(*x),
            Label::Text(_) => None,
        }
    }

    /// The text, or `None` for a number.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Label::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The whole number that a label with this value is stored as, if there is one.
    pub(crate) fn whole(x: f64) -> Option<i64> {
        (x.trunc() == x && x.abs() < EXACT).then_some(x as i64)
    }

    /// The whole number of this label, if it is one.
    fn int(&self) -> Option<i64> {
        match self {
            Label::Int(i) => Some(*i),
            Label::Float(x) => Label::whole(*x),
            Label::Text(_) => None,
        }
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Label::Text(a), Label::Text(b)) => a.cmp(b),
            (Label::Text(_), _) => Ordering::Greater,
            (_, Label::Text(_)) => Ordering::Less,
            _ => match (self.int(), other.int()) {
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => {
                    let (x, y) = (self.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
                    x.total_cmp(&y).then(b.is_some().cmp(&a.is_some()))
                }
            },
        }
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Label::Text(t) => t.hash(state),
            _ => match self.int() {
                Some(i) => i.hash(state),
                None => self.as_f64().map(f64::to_bits).hash(state),
            },
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Int(i) => write!(f, "{i}"),
            Label::Float(x) => write!(f, "{x}"),
            Label::Text(t) => f.write_str(t),
        }
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Label::Int(i) => serializer.serialize_i64(*i),
            Label::Float(x) => serializer.serialize_f64(*x),
            Label::Text(t) => serializer.serialize_str(t),
        }
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Label;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }
            fn visit_i64<E>(self, i: i64) -> Result<Label, E> {
                Ok(Label::Int(i))
            }
            fn visit_u64<E>(self, u: u64) -> Result<Label, E> {
                Ok(i64::try_from(u).map_or(Label::Float(u as f64), Label::Int))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Label, E> {
                Ok(Label::from(x))
            }
            fn visit_str<E>(self, text: &str) -> Result<Label, E> {
                Ok(Label::Text(text.into()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl From<f64> for Label {
    fn from(x: f64) -> Self {
        Label::whole(x).map_or(Label::Float(x), Label::Int)
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Label {
            fn from(i: $int) -> Self {
                Label::Int(i as i64)
            }
        }
    )*};
}
from_int!(i64, i32, u32, u16, u8);

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Label::Text(text.into())
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Label::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_the_order_is_total() {
        let mut all: Vec<Label> = vec![
            "b".into(),
            Label::Float(2.0),
            Label::from(-1.5),
            Label::Int(i64::MAX),
            Label::Int(i64::MAX - 1),
            Label::Float(i64::MAX as f64),
            "a".into(),
            Label::Int(2),
            Label::Float(-0.0),
            Label::Int(0),
        ];
        all.sort();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                if i < j {
                    assert!(a <= b, "{a:?} before {b:?}");
                }
            }
        }
        assert_eq!(Label::Float(-0.0), Label::Int(0));
        assert_eq!(Label::Float(2.0), Label::Int(2));
        assert_ne!(Label::Int(i64::MAX), Label::Int(i64::MAX - 1));
        assert_ne!(Label::from("2"), Label::from(2));
    }
}
