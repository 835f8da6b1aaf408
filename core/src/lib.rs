//! What does every other crate of quorate stand on?
//!
//! Errors with stable codes, events for the host's log, cancellation, parallel work, filters, vector kernels, (feature
//! `http`) HTTP with answers that stream, and (feature `embed`) embedding models that run in this process.

#![warn(missing_docs)]

#[cfg(feature = "embed")]
pub mod embed;
mod error;
pub mod events;
pub mod files;
pub mod filter;
mod fork;
mod hold;
#[cfg(feature = "http")]
pub mod http;
pub mod parallel;
mod read;
#[cfg(feature = "http")]
pub mod runtime;
pub mod spans;
pub mod spare;
mod task;
pub mod vector;

pub use error::{Code, Error, Kind, MAX_MESSAGE_BYTES, Result, shorten};
pub use fork::forks;
pub use hold::{Hold, Lazy};
pub use read::{open_file, read_file};
pub use task::{Cancel, Wake};
