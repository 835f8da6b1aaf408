//! How is the command line run from Python?

use std::ffi::OsString;

use pyo3::prelude::*;
use quorate_cli::{Streams, run};

use crate::door::blocking;

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(command_line, module)?)
}

/// Runs a command; its exit code. Ctrl-C cancels it.
#[pyfunction]
fn command_line(py: Python<'_>, args: Vec<OsString>) -> PyResult<u8> {
    blocking(py, move |host| Ok(run(args, Streams::of_process(host.cancel.clone()))))
}
