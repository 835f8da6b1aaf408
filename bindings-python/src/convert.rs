//! How do values cross between Python and Rust, and with which code is a bad one refused?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArray};
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyTuple, PyType};
use quorate::consensus::Label;
use quorate::{Code, Error};
use serde::Serialize;
use serde_json::Value;

use crate::door::breathe;
use crate::errors::{invalid, raise, shape};
use crate::guest;

/// The name of an object's type, for messages.
pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

/// A string. Codes: `invalid_argument` for another type, `invalid_text` for lone surrogates.
pub fn text(value: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    let Ok(string) = value.cast::<PyString>() else {
        return Err(invalid(format!("{what} is of type {}; a string is expected", type_name(value))));
    };
    match string.to_cow() {
        Ok(text) => Ok(text.into_owned()),
        Err(e) if e.is_instance_of::<PyUnicodeEncodeError>(value.py()) => Err(raise(Error::new(
            Code::InvalidText,
            format!("{what} is not valid Unicode (it holds a lone surrogate)"),
        ))),
        Err(e) => Err(e),
    }
}

/// Strings from anything that can be iterated over, except a string.
pub fn texts(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    sequence(value, what)?.enumerate().map(|(i, item)| text(&item?, &format!("{what}[{i}]"))).collect()
}

/// Paths from anything that can be iterated over, except a string; names that are no Unicode too, as `os.listdir` gives
/// them.
pub fn paths(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<PathBuf>> {
    let path = |(i, item): (usize, PyResult<Bound<'_, PyAny>>)| {
        let item = item?;
        // A string that is no path has lone surrogates; then the message says so.
        item.extract::<PathBuf>().or_else(|_| text(&item, &format!("{what}[{i}]")).map(PathBuf::from))
    };
    sequence(value, what)?.enumerate().map(path).collect()
}

/// A function of the host, which is called from work. A class is none: what is called by mistake would make an object of
/// nonsense, or raise what is nobody's error.
pub fn function(given: Bound<'_, PyAny>, what: &str, expected: &str) -> PyResult<Py<PyAny>> {
    if given.is_instance_of::<PyType>() {
        return Err(invalid(format!("{what} is {}; {expected} is expected", describe(&given))));
    }
    if !given.is_callable() {
        return Err(invalid(format!("{what} is of type {}; {expected} is expected", type_name(&given))));
    }
    Ok(given.unbind())
}

/// After so many items other threads get a turn, and signals are looked for.
const TURN: usize = 1024;

/// The items of anything that can be iterated over, except a string or a mapping.
pub fn sequence<'py>(
    value: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<impl Iterator<Item = PyResult<Bound<'py, PyAny>>> + use<'py>> {
    let refuse =
        || invalid(format!("{what} is of type {}; a list, tuple or array is expected", type_name(value)));
    if value.is_instance_of::<PyString>() || is_mapping(value)? {
        return Err(refuse());
    }
    let (py, items) = (value.py(), value.try_iter().map_err(|_| refuse())?);
    Ok(items.enumerate().map(move |(i, item)| {
        if i % TURN == TURN - 1 {
            breathe(py)?;
        }
        item
    }))
}

/// Is this a mapping? What its type's code raises, Ctrl-C above all, is passed on.
pub fn is_mapping(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static MAPPING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if value.is_instance_of::<PyDict>() {
        return Ok(true);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return Ok(false);
    }
    value.is_instance(MAPPING.import(value.py(), "collections.abc", "Mapping")?)
}

/// A number. `None` is NaN where `gaps` are allowed.
fn number(value: &Bound<'_, PyAny>, gaps: bool, what: impl FnOnce() -> String) -> PyResult<f64> {
    if gaps && is_missing(value) {
        return Ok(f64::NAN);
    }
    let refuse = |what: String| {
        if value.try_iter().is_ok() && !value.is_instance_of::<PyString>() {
            shape(format!("{what} is of type {}; a number is expected here", type_name(value)))
        } else {
            invalid(format!("{what} is of type {}; a number is expected", type_name(value)))
        }
    };
    if value.is_instance_of::<PyString>() || is_complex(value) || is_boolean(value) {
        return Err(refuse(what()));
    }
    value.extract().map_err(|_| refuse(what()))
}

/// Is this True or False, Python's or numpy's? Python takes them for 1 and 0; here they are no numbers.
pub fn is_boolean(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBool>()
        || value.get_type().name().is_ok_and(|name| name == "bool" || name == "bool_")
}

/// Is this a complex number? Python's refuse to become real ones, numpy's only warn.
pub fn is_complex(value: &Bound<'_, PyAny>) -> bool {
    value.get_type().name().is_ok_and(|name| name.to_string_lossy().starts_with("complex"))
}

/// Is this None, or what pandas uses in its place?
pub fn is_missing(value: &Bound<'_, PyAny>) -> bool {
    value.is_none() || value.get_type().name().is_ok_and(|name| name == "NAType" || name == "NaTType")
}

/// Imports numpy, so that what fails there (a missing package, Ctrl-C) is an exception and not a panic of its binding.
fn need_numpy(py: Python<'_>) -> PyResult<()> {
    static THERE: AtomicBool = AtomicBool::new(false);
    if THERE.load(Ordering::Acquire) {
        return Ok(());
    }
    // Much of Python runs then, at which the interpreter may end.
    guest::within(py, || py.import("numpy"))?;
    THERE.store(true, Ordering::Release);
    Ok(())
}

/// Can this be a numpy array? If so numpy is there afterwards; lists and tuples need not import it.
pub fn may_be_array(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return Ok(false);
    }
    need_numpy(value.py())?;
    Ok(true)
}

/// Numbers in one dimension; a contiguous array of float64 in one copy.
pub fn floats(value: &Bound<'_, PyAny>, what: &str, gaps: bool) -> PyResult<Vec<f64>> {
    if may_be_array(value)? {
        if let Ok(array) = value.extract::<PyReadonlyArray1<'_, f64>>() {
            return Ok(array.as_array().iter().copied().collect());
        }
        if let Ok(array) = value.cast::<PyUntypedArray>()
            && numpy::PyUntypedArrayMethods::ndim(array) != 1
        {
            return Err(shape(format!(
                "{what} has {} dimensions; one is expected",
                numpy::PyUntypedArrayMethods::ndim(array)
            )));
        }
    }
    sequence(value, what)?
        .enumerate()
        .map(|(i, item)| number(&item?, gaps, || format!("{what}[{i}]")))
        .collect()
}

/// A vector of float32: an array of float32 in one copy, strided or not; other numbers are converted.
pub fn vector(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<f32>> {
    if may_be_array(value)?
        && let Ok(array) = value.extract::<PyReadonlyArray1<'_, f32>>()
    {
        return Ok(array.as_array().iter().copied().collect());
    }
    Ok(floats(value, what, false)?.into_iter().map(|x| x as f32).collect())
}

/// Vectors of float32, one a row.
pub fn vectors(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<Vec<f32>>> {
    if may_be_array(value)?
        && let Ok(array) = value.extract::<PyReadonlyArray2<'_, f32>>()
    {
        return Ok(array.as_array().rows().into_iter().map(|row| row.iter().copied().collect()).collect());
    }
    let rows = rows(value, what, false)?;
    Ok(rows.into_iter().map(|row| row.into_iter().map(|x| x as f32).collect()).collect())
}

/// Rows of numbers; they may differ in length where the core allows it.
pub fn rows(value: &Bound<'_, PyAny>, what: &str, gaps: bool) -> PyResult<Vec<Vec<f64>>> {
    if may_be_array(value)? {
        if let Ok(array) = value.extract::<PyReadonlyArray2<'_, f64>>() {
            return Ok(array
                .as_array()
                .rows()
                .into_iter()
                .map(|row| row.iter().copied().collect())
                .collect());
        }
        if let Ok(array) = value.extract::<PyReadonlyArray2<'_, f32>>() {
            let rows = array.as_array();
            return Ok(rows
                .rows()
                .into_iter()
                .map(|row| row.iter().map(|&x| f64::from(x)).collect())
                .collect());
        }
    }
    sequence(value, what)?
        .enumerate()
        .map(|(i, row)| {
            let row = row?;
            if row.extract::<f64>().is_ok() {
                return Err(shape(format!("{what}[{i}] is a number; a row of numbers is expected")));
            }
            floats(&row, &format!("{what}[{i}]"), gaps)
        })
        .collect()
}

/// An object for a message, never long.
pub fn describe(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| type_name(value), |r| r.to_string_lossy().into_owned());
    if text.chars().count() > 60 { format!("{}...", text.chars().take(57).collect::<String>()) } else { text }
}

/// A label as a Python object.
pub fn from_label<'py>(py: Python<'py>, label: &Label) -> PyResult<Bound<'py, PyAny>> {
    Ok(match label {
        Label::Int(i) => i.into_pyobject(py)?.into_any(),
        Label::Float(x) => x.into_pyobject(py)?.into_any(),
        Label::Text(t) => (**t).into_pyobject(py)?.into_any(),
    })
}

/// A list of labels as a Python list.
pub fn from_labels<'py>(py: Python<'py>, labels: &[Label]) -> PyResult<Bound<'py, PyList>> {
    let items = labels.iter().map(|l| from_label(py, l)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, items)
}

/// An array over these numbers, without a copy.
pub fn array1<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> PyResult<Bound<'_, PyArray1<T>>> {
    need_numpy(py)?;
    Ok(PyArray1::from_vec(py, values))
}

/// An array of `rows` x `cols` over these numbers, without a copy.
pub fn array2<T: numpy::Element>(
    py: Python<'_>,
    values: Vec<T>,
    rows: usize,
    cols: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    array1(py, values)?.reshape([rows, cols])
}

/// A report of the core as dicts, lists and scalars under its own field names.
pub fn report<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|e| {
        raise(Error::with_source(Code::Internal, format!("a result could not be converted: {e}"), e))
    })?;
    from_json(py, &value)
}

/// The same as `report`, as dicts whose members are attributes too.
pub fn record<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    py.import("quorate._record")?.getattr("record")?.call1((report(py, value)?,))
}

/// How a score came about: a record that reads as `text`.
pub fn explanation<'py>(
    py: Python<'py>,
    value: &impl Serialize,
    text: String,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("quorate._record")?.getattr("explanation")?.call1((report(py, value)?, text))
}

/// A JSON value as a Python object.
pub fn from_json<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => i.into_pyobject(py)?.into_any(),
            (None, Some(u)) => u.into_pyobject(py)?.into_any(),
            (None, None) => n.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(s) => s.into_pyobject(py)?.into_any(),
        Value::Array(items) => {
            let items = items.iter().map(|v| from_json(py, v)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields {
                dict.set_item(key, from_json(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// `{query: {document: number}}`, the form of runs and judgements.
pub fn nested<T>(
    value: &Bound<'_, PyAny>,
    what: &str,
    convert: impl Fn(&Bound<'_, PyAny>, &str) -> PyResult<T>,
) -> PyResult<BTreeMap<String, BTreeMap<String, T>>> {
    let refuse = |value: &Bound<'_, PyAny>, what: &str| {
        invalid(format!("{what} is of type {}; a dict is expected", type_name(value)))
    };
    let mut out = BTreeMap::new();
    for (query, documents) in value.cast::<PyDict>().map_err(|_| refuse(value, what))?.iter() {
        let query = text(&query, &format!("a query id of {what}"))?;
        let place = format!("{what}[{query:?}]");
        let mut inner = BTreeMap::new();
        for (document, number) in documents.cast::<PyDict>().map_err(|_| refuse(&documents, &place))?.iter() {
            let document = text(&document, &format!("a document id of {place}"))?;
            let number = convert(&number, &format!("{place}[{document:?}]"))?;
            inner.insert(document, number);
        }
        out.insert(query, inner);
    }
    Ok(out)
}

/// A score.
pub fn score(value: &Bound<'_, PyAny>, what: &str) -> PyResult<f64> {
    number(value, false, || what.to_owned())
}

/// A grade: a whole number.
pub fn grade(value: &Bound<'_, PyAny>, what: &str) -> PyResult<i64> {
    if let Ok(grade) = value.extract::<i64>()
        && !is_boolean(value)
    {
        return Ok(grade);
    }
    match number(value, false, || what.to_owned()) {
        Ok(x) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(x as i64),
        _ => Err(invalid(format!("{what} is {}; a whole number is expected", describe(value)))),
    }
}
