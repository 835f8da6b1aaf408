//! How does Python reach quorate? Conversions only: each file here belongs to one file or folder of the core.

mod consensus;
mod convert;
mod door;
mod embed;
mod errors;
mod eval;

use pyo3::prelude::*;

/// The native half of the package `quorate`; import that one instead.
#[pymodule]
fn _quorate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ERROR_CODES", errors::table(module.py())?)?;
    embed::register(module)?;
    eval::register(module)?;
    consensus::register(module)
}
