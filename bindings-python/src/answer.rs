//! How does the answer of a call become Python's own values? Dicts, lists, arrays of numpy and scalars.

use numpy::PyArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate_bindings::Answer;

use crate::convert::{array1, from_json, from_label};

/// The answer as an object.
pub fn write<'py>(py: Python<'py>, answer: Answer) -> PyResult<Bound<'py, PyAny>> {
    Ok(match answer {
        Answer::Value(value) => from_json(py, &value)?,
        Answer::Array(numbers, shape) => array1(py, numbers)?.reshape(shape)?.into_any(),
        Answer::Label(label) => from_label(py, &label)?,
        Answer::List(items) => {
            let items = items.into_iter().map(|item| write(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Answer::Members(members) => {
            let dict = PyDict::new(py);
            for (name, member) in members {
                dict.set_item(name, write(py, member)?)?;
            }
            dict.into_any()
        }
        Answer::Labelled(members) => {
            let dict = PyDict::new(py);
            for (label, member) in members {
                dict.set_item(from_label(py, &label)?, write(py, member)?)?;
            }
            dict.into_any()
        }
    })
}
