//! What do the bindings of Python and Node share?
//!
//! A host copies what it is given into [`Given`], once; calls are read from that here, for both ([`Args`], [`typed`], [`read`]),
//! and answer with an [`Answer`] of which a host makes its own values. What differs between the hosts is small and has a name: [`Host`].

#![warn(missing_docs)]

pub mod agents;
mod answer;
mod args;
pub mod consensus;
mod flow;
mod given;
pub mod graph;
mod host;
pub mod jobs;
pub mod models;
mod options;
pub mod queue;
pub mod read;
pub mod runtime;
pub mod saga;
pub mod saver;
pub mod state;
pub mod telemetry;
pub mod typed;
pub mod workflow;

pub use answer::Answer;
pub use args::Args;
pub use flow::{Failed, Feed, Flow};
pub use given::Given;
pub use host::{Host, camel, snake};
pub use options::Options;
