//! How are the methods of consensus called from Python? Results are dicts; the package gives them attributes.

mod agreement;
mod decide;
mod pooling;
mod ranking;
mod ratings;
mod truth;

use pyo3::prelude::*;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    ratings::register(module)?;
    agreement::register(module)?;
    truth::register(module)?;
    pooling::register(module)?;
    ranking::register(module)?;
    decide::register(module)
}
