//! What is a value of a host as a text, a number, a list, and with which code is another one refused?

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_consensus::Label;
use quorate_core::{Code, Error, Result};
use serde_json::Value;

use crate::Given;

/// The largest whole number up to which every whole number is a number of JavaScript's, a float64, of its own.
pub const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

fn invalid(message: String) -> Error {
    Error::invalid(message)
}

/// An error with code `invalid_shape`.
pub fn shape(message: String) -> Error {
    Error::new(Code::InvalidShape, message)
}

/// The value of this name. Errors: `invalid_argument`.
pub fn choose<T: Clone>(what: &str, name: &str, choices: &[(&str, T)]) -> Result<T> {
    match choices.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<String> = choices.iter().map(|(known, _)| format!("'{known}'")).collect();
            Err(invalid(format!("{what} is '{name}'; it is one of {}", names.join(", "))))
        }
    }
}

fn expected<T>(given: &Given, what: &str, wanted: &str) -> Result<T> {
    Err(invalid(format!("{what} is {}; {wanted} is expected", given.kind())))
}

/// A string.
pub fn text(given: Given, what: &str) -> Result<String> {
    match given {
        Given::Text(text) => Ok(text),
        other => expected(&other, what, "a string"),
    }
}

/// Strings; a single one is not a list.
pub fn texts(given: Given, what: &str) -> Result<Vec<String>> {
    list(given, what)?.into_iter().enumerate().map(|(i, item)| text(item, &format!("{what}[{i}]"))).collect()
}

/// Yes or no.
pub fn boolean(given: Given, what: &str) -> Result<bool> {
    match given {
        Given::Bool(value) => Ok(value),
        other => expected(&other, what, "a boolean"),
    }
}

/// A number, also NaN and infinite ones, which the core refuses where they have no meaning.
pub fn number(given: Given, what: &str) -> Result<f64> {
    match given {
        Given::Number(x) => Ok(x),
        Given::Big(i) => Ok(i as f64),
        other @ (Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)) => {
            Err(shape(format!("{what} is {}; a number is expected here", other.kind())))
        }
        other => expected(&other, what, "a number"),
    }
}

/// A number of 32 bits.
pub fn number32(given: Given, what: &str) -> Result<f32> {
    Ok(number(given, what)? as f32)
}

/// A whole number from 0.
pub fn count(given: Given, what: &str) -> Result<usize> {
    let wanted = "a whole number from 0";
    match given {
        Given::Number(x) if (0.0..=MAX_SAFE).contains(&x) && x.fract() == 0.0 => Ok(x as usize),
        Given::Number(x) => Err(invalid(format!("{what} is {x}; {wanted} is expected"))),
        Given::Big(i) => {
            usize::try_from(i).map_err(|_| invalid(format!("{what} is {i}; {wanted} is expected")))
        }
        other => expected(&other, what, wanted),
    }
}

/// A whole number from 0, of 64 bits.
pub fn whole(given: Given, what: &str) -> Result<u64> {
    match given {
        Given::Wide(u) => Ok(u),
        given => Ok(count(given, what)? as u64),
    }
}

/// A whole number of 64 bits with a sign.
pub fn signed(given: Given, what: &str) -> Result<i64> {
    match given {
        Given::Number(x) if x.abs() <= MAX_SAFE && x.fract() == 0.0 => Ok(x as i64),
        Given::Big(i) => Ok(i),
        other => expected(&other, what, "a whole number"),
    }
}

/// The items of an array or a typed array.
pub fn list(given: Given, what: &str) -> Result<Vec<Given>> {
    Ok(match given {
        Given::List(items) => items,
        Given::F32(numbers) => numbers.into_iter().map(|x| Given::Number(x.into())).collect(),
        Given::F64(numbers) => numbers.into_iter().map(Given::Number).collect(),
        Given::Ints(numbers) => numbers.into_iter().map(Given::Big).collect(),
        other => return expected(&other, what, "an array"),
    })
}

/// The members of an object.
pub fn members(given: Given, what: &str) -> Result<Vec<(String, Given)>> {
    match given {
        Given::Object(members) => Ok(members),
        other => expected(&other, what, "an object"),
    }
}

/// Numbers in one dimension. `null` and `undefined` are NaN where `gaps` are allowed.
pub fn floats(given: Given, what: &str, gaps: bool) -> Result<Vec<f64>> {
    match given {
        Given::F64(numbers) => Ok(numbers),
        Given::F32(numbers) => Ok(numbers.into_iter().map(f64::from).collect()),
        Given::Ints(numbers) => Ok(numbers.into_iter().map(|i| i as f64).collect()),
        Given::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| match item {
                Given::Number(x) => Ok(x),
                Given::Undefined | Given::Null if gaps => Ok(f64::NAN),
                item => number(item, &format!("{what}[{i}]")),
            })
            .collect(),
        other => expected(&other, what, "an array of numbers"),
    }
}

/// A vector.
pub fn floats32(given: Given, what: &str) -> Result<Vec<f32>> {
    match given {
        Given::F32(numbers) => Ok(numbers),
        other => Ok(floats(other, what, false)?.into_iter().map(|x| x as f32).collect()),
    }
}

/// Rows of numbers; they may differ in length where the core allows it.
pub fn rows(given: Given, what: &str, gaps: bool) -> Result<Vec<Vec<f64>>> {
    let Given::List(items) = given else {
        return match given {
            Given::F32(_) | Given::F64(_) | Given::Ints(_) => {
                Err(shape(format!("{what} has one dimension; rows of numbers are expected")))
            }
            other => expected(&other, what, "an array of rows"),
        };
    };
    items
        .into_iter()
        .enumerate()
        .map(|(i, row)| match row {
            Given::Number(_) | Given::Big(_) => {
                Err(shape(format!("{what}[{i}] is a number; a row of numbers is expected")))
            }
            row => floats(row, &format!("{what}[{i}]"), gaps),
        })
        .collect()
}

/// Rows of numbers of 32 bits.
pub fn rows32(given: Given, what: &str) -> Result<Vec<Vec<f32>>> {
    let row = |(i, row)| floats32(row, &format!("{what}[{i}]"));
    list(given, what)?.into_iter().enumerate().map(row).collect()
}

/// A time in seconds.
pub fn seconds(given: Given, what: &str) -> Result<Duration> {
    let seconds = number(given, what)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| invalid(format!("{what} is {seconds}; a number of seconds is expected")))
}

/// Is this an array of numbers (one dimension) rather than one of rows? An empty one is.
pub fn is_flat(given: &Given) -> bool {
    match given {
        Given::List(items) => {
            !matches!(items.first(), Some(Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)))
        }
        _ => true,
    }
}

/// Indices: whole numbers that are not negative.
pub fn indices(given: Given, what: &str) -> Result<Vec<usize>> {
    list(given, what)?.into_iter().enumerate().map(|(i, item)| count(item, &format!("{what}[{i}]"))).collect()
}

/// Yes or no, as booleans or as 1 and 0.
pub fn booleans(given: Given, what: &str) -> Result<Vec<bool>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, item)| match item {
            Given::Bool(value) => Ok(value),
            Given::Number(0.0) | Given::Big(0) => Ok(false),
            Given::Number(1.0) | Given::Big(1) => Ok(true),
            other => expected(&other, &format!("{what}[{i}]"), "true or false"),
        })
        .collect()
}

/// A pair of numbers.
pub fn pair(given: Given, what: &str) -> Result<(f64, f64)> {
    match floats(given, what, false)?[..] {
        [low, high] => Ok((low, high)),
        ref other => Err(invalid(format!("{what} has {} numbers; two are expected", other.len()))),
    }
}

/// A label: a string or a number. None for a missing one: `null`, `undefined`, NaN.
pub fn label(given: Given, what: &str) -> Result<Option<Label>> {
    Ok(Some(match given {
        Given::Undefined | Given::Null => return Ok(None),
        Given::Number(x) if x.is_nan() => return Ok(None),
        Given::Number(x) if x.fract() == 0.0 && x.abs() > MAX_SAFE => {
            return Err(invalid(format!(
                "{what} is {x}, which may stand for several whole numbers; give a BigInt or a string"
            )));
        }
        Given::Number(x) => Label::from(x),
        Given::Big(i) => Label::from(i),
        Given::Bool(b) => Label::from(i64::from(b)),
        Given::Text(text) => Label::from(text),
        other => return expected(&other, what, "a string or a number"),
    }))
}

/// Labels that are all there.
pub fn labels(given: Given, what: &str) -> Result<Vec<Label>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, item)| {
            let what = format!("{what}[{i}]");
            label(item, &what)?.ok_or_else(|| invalid(format!("{what} is missing")))
        })
        .collect()
}

/// What metadata and filters are made of. Errors: `invalid_document`, `not_finite`.
pub fn json(given: Given, what: &str) -> Result<Value> {
    value(given, what, false)
}

/// What people and models say to one another: the same, and whole numbers of 64 bits without a sign.
pub fn said(given: Given, what: &str) -> Result<Value> {
    value(given, what, true)
}

fn value(given: Given, what: &str, unsigned: bool) -> Result<Value> {
    let refuse = |what: String| Err(Error::new(Code::InvalidDocument, what));
    Ok(match given {
        Given::Undefined | Given::Null => Value::Null,
        Given::Bool(b) => b.into(),
        Given::Big(i) => i.into(),
        Given::Wide(u) if unsigned => u.into(),
        Given::Wide(_) => return Err(invalid(format!("{what} is {}", given.kind()))),
        Given::Number(x) if x.fract() == 0.0 && x.abs() <= MAX_SAFE => (x as i64).into(),
        Given::Number(x) => match serde_json::Number::from_f64(x) {
            Some(n) => Value::Number(n),
            None => return Err(Error::new(Code::NotFinite, format!("{what} is {x}"))),
        },
        Given::Text(text) | Given::Date(text) => text.into(),
        Given::Object(members) => Value::Object(values(members, what, unsigned)?),
        Given::Other(kind) => {
            return refuse(format!(
                "{what} is {kind}; strings, numbers, booleans, null, arrays and objects are kept"
            ));
        }
        items => list(items, what)?
            .into_iter()
            .enumerate()
            .map(|(i, item)| value(item, &format!("{what}[{i}]"), unsigned))
            .collect::<Result<_>>()?,
    })
}

/// Members as JSON; those that are `undefined` are left out, as JSON.stringify does.
pub fn object(members: Vec<(String, Given)>, what: &str) -> Result<serde_json::Map<String, Value>> {
    values(members, what, false)
}

fn values(
    members: Vec<(String, Given)>,
    what: &str,
    unsigned: bool,
) -> Result<serde_json::Map<String, Value>> {
    members
        .into_iter()
        .filter(|(_, given)| !matches!(given, Given::Undefined))
        .map(|(key, given)| {
            let value = value(given, &format!("{what}.{key}"), unsigned)?;
            Ok((key, value))
        })
        .collect()
}

/// `{name: text}` pairs.
pub fn named_texts(given: Given, what: &str) -> Result<Vec<(String, String)>> {
    members(given, what)?
        .into_iter()
        .map(|(name, value)| {
            let value = text(value, &format!("{what}.{name}"))?;
            Ok((name, value))
        })
        .collect()
}

/// `{query: {document: number}}`, the form of runs and judgements.
pub fn nested<T>(
    given: Given,
    what: &str,
    convert: impl Fn(Given, &str) -> Result<T>,
) -> Result<BTreeMap<String, BTreeMap<String, T>>> {
    members(given, what)?
        .into_iter()
        .map(|(query, documents)| {
            let place = format!("{what}.{query}");
            let inner = members(documents, &place)?
                .into_iter()
                .map(|(document, given)| {
                    let number = convert(given, &format!("{place}.{document}"))?;
                    Ok((document, number))
                })
                .collect::<Result<_>>()?;
            Ok((query, inner))
        })
        .collect()
}
