//! How are the methods of consensus called from Python? Results are dicts; the package gives them attributes.

mod agreement;
mod decide;
mod pooling;
mod ranking;
mod ratings;
mod truth;

use pyo3::prelude::*;

use crate::convert::floats;
use crate::door::blocking;
use crate::errors::invalid;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    ratings::register(module)?;
    agreement::register(module)?;
    truth::register(module)?;
    pooling::register(module)?;
    ranking::register(module)?;
    decide::register(module)
}

/// Runs a method, which stops at Ctrl-C, and when the asyncio task that waits for it is cancelled.
fn compute<T: Send + 'static>(
    py: Python<'_>,
    method: impl FnOnce() -> quorate::Result<T> + Send + 'static,
) -> PyResult<T> {
    blocking(py, move |host| host.cancel.cover(method))
}

/// Two numbers: the ends of a scale, or poles.
fn ends(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(f64, f64)> {
    match floats(value, what, false)?[..] {
        [low, high] => Ok((low, high)),
        ref other => Err(invalid(format!(
            "{what} has {} numbers; its two ends are expected, such as (1, 9)",
            other.len()
        ))),
    }
}
