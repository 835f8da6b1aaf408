//! How are the methods of consensus called from Python? Results are dicts; the package gives them attributes.

mod agreement;
mod decide;
mod pooling;
mod ranking;
mod ratings;
mod truth;

use pyo3::prelude::*;

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

/// The value that `name` stands for, or an exception that lists the names.
fn choose<T: Clone>(what: &str, name: &str, choices: &[(&str, T)]) -> PyResult<T> {
    match choices.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<String> = choices.iter().map(|(n, _)| format!("'{n}'")).collect();
            Err(invalid(format!("{what} is '{name}'; it is one of {}", names.join(", "))))
        }
    }
}
