//! What can be wrong with a graph?

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where: the name of a node or channel, or an edge as `a -> b`.
    pub at: String,
    /// What kind of problem it is: `bad_schema`, `unknown_channel`, `bad_name`, `duplicate_node`, `unknown_node`, `bad_edge`,
    /// `no_start`, `unreachable`, `no_end`, `write_conflict`, `no_writer`, `no_shared_channel` or `bad_option`.
    pub code: String,
    /// What to do about it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(code: &str, at: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { at: at.into(), code: code.to_owned(), message: message.into() }
    }

    /// The same, of a graph within a node.
    pub(crate) fn inside(mut self, node: &str) -> Problem {
        self.at = format!("{node}/{}", self.at);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at '{}': {}", self.code, self.at, self.message)
    }
}
