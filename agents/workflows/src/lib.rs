//! How is work done that takes longer than a process lives?

#![warn(missing_docs)]

pub mod flow;
pub mod graph;
pub mod jobs;
