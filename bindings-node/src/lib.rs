//! What does the native half of the Node package hold? Conversions only; `ts/` gives it its public shape.

#![warn(missing_docs)]

mod agents;
mod asker;
mod cancel;
mod cli;
mod consensus;
mod contain;
mod convert;
mod documents;
mod door;
mod embed;
mod errors;
mod eval;
mod evaluate;
mod graph;
mod hands;
mod held;
mod hits;
mod jobs;
mod kb;
mod log;
mod mcp;
mod models;
mod panel;
mod pool;
mod queue;
mod retrieve;
mod runtime;
mod saga;
mod state;
mod telemetry;
mod value;
mod workflow;

use napi_derive::napi;

/// The version of the package.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
