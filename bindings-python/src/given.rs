//! What did Python give? Any value, copied whole while the interpreter's lock is held.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};
use quorate::{Code, Error};
use quorate_bindings::Given;

use crate::consensus::Ratings;
use crate::convert::{describe, is_boolean, is_complex, is_missing, may_be_array, sequence, text, type_name};
use crate::errors::{invalid, raise};
use crate::metadata::dict;

/// The deepest nesting that is read; a list that contains itself ends here and not in the stack.
const MAX_DEPTH: usize = 64;

/// Copies a value. Codes: `invalid_text` for a lone surrogate, `invalid_argument` for a whole number over 64 bits and for a value
/// that is nested too deep.
pub fn read(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Given> {
    nested(value, what, 0)
}

fn nested(value: &Bound<'_, PyAny>, what: &str, depth: usize) -> PyResult<Given> {
    if depth > MAX_DEPTH {
        let message = format!("{what} is nested more than {MAX_DEPTH} levels deep");
        return Err(raise(Error::new(Code::InvalidArgument, message)));
    }
    if let Some(given) = scalar(value)? {
        return Ok(given);
    }
    if value.is_instance_of::<PyString>() {
        return text(value, what).map(Given::Text);
    }
    if value.is_instance_of::<PyInt>() {
        return whole(value, what);
    }
    if is_missing(value) {
        return Ok(Given::Null);
    }
    if let Ok(ratings) = value.cast::<Ratings>() {
        return Ok(Given::Ratings(ratings.get().0.clone()));
    }
    if let Some(array) = array(value)? {
        return Ok(array);
    }
    if let Some(fields) = dict(value)? {
        let mut members = Vec::with_capacity(fields.len());
        for (key, member) in fields.iter() {
            if let Some(member) = scalar(&member)?
                && key.is_instance_of::<PyString>()
            {
                members.push((Given::Text(text(&key, "a key")?), member));
                continue;
            }
            let name = if key.is_instance_of::<PyString>() {
                text(&key, &format!("a key of {what}"))?
            } else {
                describe(&key)
            };
            let member = nested(&member, &format!("{what}['{name}']"), depth + 1)?;
            members.push((nested(&key, &format!("a key of {what}"), depth + 1)?, member));
        }
        return Ok(match members.iter().all(|(key, _)| matches!(key, Given::Text(_))) {
            true => {
                Given::Object(members.into_iter().filter_map(|(key, member)| named(key, member)).collect())
            }
            false => Given::Pairs(members),
        });
    }
    if value.hasattr("dtype")? && value.hasattr("tolist")? {
        return of_numpy(value, what, depth);
    }
    if is_complex(value) {
        return Ok(Given::Other("a complex number".into()));
    }
    if !value.is_instance_of::<pyo3::types::PyType>()
        && let Ok(items) = sequence(value, what)
    {
        let items = items.enumerate().map(|(i, item)| nested(&item?, &format!("{what}[{i}]"), depth + 1));
        return items.collect::<PyResult<_>>().map(Given::List);
    }
    // Numbers that are no subclass of Python's.
    if value.hasattr("__index__")? && !value.is_instance_of::<pyo3::types::PyType>() {
        return whole(value, what);
    }
    match value.hasattr("__float__")?.then(|| value.extract()) {
        Some(Ok(x)) => Ok(Given::Number(x)),
        _ => Ok(Given::Other(format!("of type {}", type_name(value)))),
    }
}

/// What needs no path: it cannot be wrong.
fn scalar(value: &Bound<'_, PyAny>) -> PyResult<Option<Given>> {
    Ok(if value.is_none() {
        Some(Given::Null)
    } else if value.is_instance_of::<PyBool>() {
        Some(Given::Bool(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Some(Given::Number(value.extract()?))
    } else {
        None
    })
}

fn named(key: Given, member: Given) -> Option<(String, Given)> {
    if let Given::Text(key) = key { Some((key, member)) } else { None }
}

fn whole(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Given> {
    if let Ok(whole) = value.extract::<i64>() {
        return Ok(Given::Big(whole));
    }
    value.extract::<u64>().map(Given::Wide).map_err(|_| {
        invalid(format!("{what} is {}; whole numbers must fit into 64 bits with a sign", describe(value)))
    })
}

/// An array of numbers that is copied at once, of one dimension or of two.
fn array(value: &Bound<'_, PyAny>) -> PyResult<Option<Given>> {
    if !value.hasattr("dtype")? || !may_be_array(value)? {
        return Ok(None);
    }
    if let Ok(array) = value.extract::<PyReadonlyArray1<'_, f64>>() {
        return Ok(Some(Given::F64(array.as_array().iter().copied().collect())));
    }
    if let Ok(array) = value.extract::<PyReadonlyArray1<'_, f32>>() {
        return Ok(Some(Given::F32(array.as_array().iter().copied().collect())));
    }
    if let Ok(array) = value.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(Some(Given::Ints(array.as_array().iter().copied().collect())));
    }
    if let Ok(array) = value.extract::<PyReadonlyArray2<'_, f64>>() {
        let array = array.as_array();
        let rows = array.rows().into_iter().map(|row| Given::F64(row.iter().copied().collect()));
        return Ok(Some(Given::List(rows.collect())));
    }
    if let Ok(array) = value.extract::<PyReadonlyArray2<'_, i64>>() {
        let array = array.as_array();
        let rows = array.rows().into_iter().map(|row| Given::Ints(row.iter().copied().collect()));
        return Ok(Some(Given::List(rows.collect())));
    }
    Ok(None)
}

/// A scalar or any other array of numpy, and what looks like one.
fn of_numpy(value: &Bound<'_, PyAny>, what: &str, depth: usize) -> PyResult<Given> {
    let kind: String =
        value.getattr("dtype")?.getattr("kind").and_then(|kind| kind.extract()).unwrap_or_default();
    if !matches!(kind.as_str(), "b" | "i" | "u" | "f" | "U" | "O" | "T") {
        return Ok(Given::Other(format!("of dtype {}", value.getattr("dtype")?)));
    }
    let inner = value.call_method0("tolist")?;
    if is_boolean(&inner) {
        return inner.extract().map(Given::Bool);
    }
    nested(&inner, what, depth + 1)
}
