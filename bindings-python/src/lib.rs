//! How does Python reach quorate? Conversions only: each file here belongs to one file or folder of the core.

mod agents;
mod answer;
mod bell;
mod cli;
mod consensus;
mod context;
mod convert;
mod document;
mod door;
mod embed;
mod errors;
mod eval;
mod functions;
mod given;
mod graph;
mod guest;
mod hands;
mod hits;
mod jobs;
mod kb;
mod log;
mod mcp;
mod metadata;
mod models;
mod panel;
mod queue;
mod runtime;
mod saga;
mod scalar;
mod search;
mod state;
mod workflow;

use pyo3::prelude::*;

/// The native half of the package `quorate`; import that one instead.
#[pymodule]
fn _quorate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ERROR_CODES", errors::table(module.py())?)?;
    door::register(module)?;
    log::register(module)?;
    bell::register(module)?;
    guest::register(module)?;
    cli::register(module)?;
    embed::register(module)?;
    eval::register(module)?;
    hits::register(module)?;
    kb::register(module)?;
    agents::register(module)?;
    models::register(module)?;
    state::register(module)?;
    graph::register(module)?;
    runtime::register(module)?;
    panel::register(module)?;
    mcp::register(module)?;
    hands::register(module)?;
    workflow::register(module)?;
    queue::register(module)?;
    saga::register(module)?;
    jobs::register(module)?;
    consensus::register(module)
}

/// The value that `name` stands for, or an exception that lists the names.
fn choose<T: Clone>(what: &str, name: &str, choices: &[(&str, T)]) -> PyResult<T> {
    match choices.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<String> = choices.iter().map(|(n, _)| format!("'{n}'")).collect();
            Err(errors::invalid(format!("{what} is '{name}'; it is one of {}", names.join(", "))))
        }
    }
}
