//! How does an error of quorate become a Python exception with the same code?

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::{Code, Error, Kind};

/// The exception for `error`: the class of its family from `quorate._errors`, made with its code and message.
pub fn raise(error: Error) -> PyErr {
    let class = match error.kind() {
        Kind::InvalidInput => "InvalidInput",
        Kind::NotFound => "NotFound",
        Kind::Conflict => "Conflict",
        Kind::Locked => "Locked",
        Kind::Corrupt => "Corrupt",
        Kind::Unavailable => "Unavailable",
        Kind::Cancelled => "Cancelled",
        Kind::Unsupported => "Unsupported",
        _ => "QuorateError",
    };
    let built = Python::try_attach(|py| {
        let class = py.import("quorate._errors")?.getattr(class)?;
        let raised = PyErr::from_value(class.call1((error.code().as_str(), error.message()))?);
        // What a function of the host raised is the exception's cause.
        if let Some(cause) = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<PyErr>())
        {
            raised.set_cause(py, Some(cause.clone_ref(py)));
        }
        Ok::<_, PyErr>(raised)
    });
    match built {
        Some(Ok(raised)) | Some(Err(raised)) => raised,
        None => PyException::new_err(error.to_string()),
    }
}

/// The error that an exception of class `InvalidInput` was raised for; nothing for any other exception.
pub fn refused(py: Python<'_>, raised: &PyErr) -> Option<Error> {
    known(py, raised).filter(|error| error.kind() == Kind::InvalidInput)
}

/// The error that an exception of quorate's was raised for; nothing for any other exception.
pub fn known(py: Python<'_>, raised: &PyErr) -> Option<Error> {
    let class = py.import("quorate._errors").ok()?.getattr("QuorateError").ok()?;
    let value = raised.value(py);
    if !value.is_instance(&class).ok()? {
        return None;
    }
    let code: String = value.getattr("code").ok()?.extract().ok()?;
    let message: String = value.getattr("message").ok()?.extract().ok()?;
    let code = Code::ALL.iter().find(|known| known.as_str() == code)?;
    Some(Error::new(*code, message))
}

/// A result of quorate as a result of Python.
pub trait OrRaise<T> {
    /// The value, or the exception of the error.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for quorate::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(raise)
    }
}

/// An exception of class `InvalidInput` with code `invalid_argument`.
pub fn invalid(message: impl Into<String>) -> PyErr {
    raise(Error::invalid(message))
}

/// An exception of class `InvalidInput` with code `invalid_shape`.
pub fn shape(message: impl Into<String>) -> PyErr {
    raise(Error::new(Code::InvalidShape, message))
}

/// Every code with what it means.
pub fn table(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for code in Code::ALL {
        table.set_item(code.as_str(), code.meaning())?;
    }
    Ok(table)
}
