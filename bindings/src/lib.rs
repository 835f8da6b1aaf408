//! What do the bindings of Python and Node share?
//!
//! A host's options are read here, from JSON and once for both; results leave as JSON. What differs between the hosts is
//! small and has a name: [`Host`].

#![warn(missing_docs)]

mod flow;
mod host;
pub mod models;
mod options;
pub mod runtime;

pub use flow::{Failed, Feed, Flow};
pub use host::Host;
pub use options::Options;
