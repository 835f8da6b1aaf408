//! What does every other crate of quorate stand on?
//!
//! Errors with stable codes, cancellation, parallel work, filters, vector kernels, and (feature `embed`) embedding models that run in
//! this process.

#![warn(missing_docs)]

#[cfg(feature = "embed")]
pub mod embed;
mod error;
pub mod filter;
mod fork;
#[cfg(feature = "http")]
mod http;
pub mod parallel;
#[cfg(feature = "http")]
pub mod runtime;
mod task;
pub mod vector;

pub use error::{Code, Error, Kind, Result};
pub use fork::forks;
pub use task::Cancel;
