//! How do metadata, filters and definitions, which are JSON to the library, come from Python's own values?

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use quorate::rag::{Filter, Metadata};
use quorate::{Code, Error};
use serde_json::Value;

use crate::convert::{describe, is_mapping, is_missing, sequence, text, type_name};
use crate::errors::{OrRaise, raise};

/// The deepest nesting that is read; a list that contains itself ends here and not in the stack.
const MAX_DEPTH: usize = 64;

/// The members of a mapping as JSON. Dates and times become RFC 3339 (one without a zone is UTC), scalars and arrays of
/// numpy what they hold, NaT and NA null. `code` is that of an error of type; NaN and infinities have `not_finite`.
pub fn object(fields: &Bound<'_, PyDict>, what: &str, code: Code) -> PyResult<Metadata> {
    members(fields, what, code, 0)
}

/// Any value as JSON, as [`object`] makes it of its members.
pub fn value(given: &Bound<'_, PyAny>, what: &str, code: Code) -> PyResult<Value> {
    nested(given, what, code, 0)
}

/// The metadata of a document.
pub fn metadata(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Metadata> {
    match dict(value)? {
        Some(fields) => object(&fields, what, Code::InvalidDocument),
        None => Err(wrong(Code::InvalidDocument, what, value, "a dict is expected")),
    }
}

/// A filter from its text or its dict.
pub fn filter(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Filter>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyString>() {
        return Filter::parse(&text(value, "where")?).or_raise().map(Some);
    }
    match dict(value)? {
        Some(fields) => {
            let value = Value::Object(object(&fields, "where", Code::FilterType)?);
            Filter::from_json(&value).or_raise().map(Some)
        }
        None => Err(wrong(Code::FilterSyntax, "where", value, "a string or a dict is expected")),
    }
}

/// A mapping as a dict, none for anything else.
pub fn dict<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(Some(dict.clone()));
    }
    if !is_mapping(value)? {
        return Ok(None);
    }
    let dict = value.py().get_type::<PyDict>().call1((value,))?;
    Ok(Some(dict.cast_into::<PyDict>()?))
}

/// An exception that says which type was found.
pub fn wrong(code: Code, what: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    raise(Error::new(code, format!("{what} is of type {}; {expected}", type_name(value))))
}

fn nested(value: &Bound<'_, PyAny>, what: &str, code: Code, depth: usize) -> PyResult<Value> {
    if depth > MAX_DEPTH {
        return Err(raise(Error::new(code, format!("{what} is nested more than {MAX_DEPTH} levels deep"))));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(Value::Bool(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::String(text(value, what)?));
    }
    if value.is_instance_of::<PyInt>() {
        let n: i64 = value.extract().map_err(|_| {
            raise(Error::new(code, format!("{what} is {}, which does not fit into 64 bits", describe(value))))
        })?;
        return Ok(n.into());
    }
    if value.is_instance_of::<PyFloat>() {
        let x: f64 = value.extract()?;
        return match serde_json::Number::from_f64(x) {
            Some(n) => Ok(Value::Number(n)),
            None => Err(raise(Error::new(
                Code::NotFinite,
                format!("{what} is {x}; leave the field out or give None where there is no value"),
            ))),
        };
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = sequence(value, what)?.enumerate();
        return items.map(|(i, item)| nested(&item?, &format!("{what}[{i}]"), code, depth + 1)).collect();
    }
    if let Some(fields) = dict(value)? {
        return Ok(Value::Object(members(&fields, what, code, depth + 1)?));
    }
    if is_missing(value) {
        return Ok(Value::Null);
    }
    if value.hasattr("isoformat")? {
        return Ok(Value::String(moment(value)?));
    }
    if let Some(inner) = of_numpy(value)? {
        return nested(&inner, what, code, depth + 1);
    }
    Err(wrong(
        code,
        what,
        value,
        "strings, numbers, booleans, None, dates and times, lists and dicts are kept",
    ))
}

fn members(fields: &Bound<'_, PyDict>, what: &str, code: Code, depth: usize) -> PyResult<Metadata> {
    fields
        .iter()
        .map(|(key, value)| {
            let key = match key.is_instance_of::<PyString>() {
                true => text(&key, &format!("a key of {what}"))?,
                false => return Err(wrong(code, &format!("a key of {what}"), &key, "a string is expected")),
            };
            let value = nested(&value, &format!("{what}['{key}']"), code, depth)?;
            Ok((key, value))
        })
        .collect()
}

/// A date or time in RFC 3339.
fn moment(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let text: String = value.call_method0("isoformat")?.extract()?;
    let has_time = value.hasattr("year")? && value.hasattr("hour")?;
    Ok(if has_time && value.getattr("tzinfo")?.is_none() { text + "Z" } else { text })
}

/// What a scalar or an array of numpy holds, in Python's own types.
fn of_numpy<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !value.hasattr("dtype")? || !value.hasattr("tolist")? {
        return Ok(None);
    }
    let kind: String = value.getattr("dtype")?.getattr("kind")?.extract().unwrap_or_default();
    let inner = match kind.as_str() {
        // Nanoseconds would come as whole numbers.
        "M" => value.call_method1("astype", ("datetime64[us]",))?.call_method0("tolist")?,
        "b" | "i" | "u" | "f" | "U" | "O" => value.call_method0("tolist")?,
        _ => return Ok(None),
    };
    Ok(Some(inner))
}
