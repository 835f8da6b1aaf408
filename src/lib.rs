//! quorate: hybrid search, expert matching and consensus in one process. This facade only re-exports.

#![warn(missing_docs)]

pub use quorate_agents as agents;
pub use quorate_consensus as consensus;
pub use quorate_core as core;
pub use quorate_rag as rag;
