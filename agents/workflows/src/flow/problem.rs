//! What is wrong with a definition, and where?

use serde::Serialize;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was found.
    pub path: String,
    /// The line, counted from 1; 0 where that is not known.
    pub line: u64,
    /// The place in the file: `steps.submit.retry`. Empty for the file itself.
    pub at: String,
    /// What kind of problem: a stable word, such as `cycle`, `unknown_step`, `expression_type`, `bad_duration`.
    pub code: &'static str,
    /// What was given, what was expected, what to do.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { path, line, at, code, message } = self;
        write!(f, "{path}:{line}: ")?;
        if !at.is_empty() {
            write!(f, "{at}: ")?;
        }
        write!(f, "{message} [{code}]")
    }
}
