//! How are experts kept and matched from Python?

mod agent;
mod events;
mod matching;
mod registry;

pub use registry::AgentRegistry;

use pyo3::prelude::*;

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    agent::register(module)?;
    matching::register(module)?;
    events::register(module)?;
    registry::register(module)
}

/// The object as a notebook shows it.
fn html<'py>(of: &Bound<'py, PyAny>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    of.py().import("quorate._html")?.getattr(function)?.call1((of,))
}
