//! What does a command read from and write to?

use std::io::{IsTerminal, Read, Write};

use quorate::Cancel;

/// The streams of a command, and what is known of them.
pub struct Streams {
    /// What is piped into it.
    pub stdin: Box<dyn Read + Send>,
    /// Where its results go.
    pub stdout: Box<dyn Write + Send>,
    /// Where errors, notes and progress go.
    pub stderr: Box<dyn Write + Send>,
    /// Whether a person types the input.
    pub stdin_is_terminal: bool,
    /// Whether a person reads the results.
    pub stdout_is_terminal: bool,
    /// Whether a person reads the notes.
    pub stderr_is_terminal: bool,
    /// How many columns the reader has; none where that is unknown, and nothing is cut.
    pub width: Option<usize>,
    /// Raised by who does not want the result any more.
    pub cancel: Cancel,
}

impl Streams {
    /// Those of the process. `COLUMNS` says how wide a terminal is, and else the terminal does.
    pub fn of_process(cancel: Cancel) -> Streams {
        let stdout_is_terminal = std::io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
        let columns = columns.filter(|columns| *columns > 0);
        let of_terminal = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let width = match columns {
            Some(columns) => Some(columns),
            None if stdout_is_terminal => of_terminal().or(Some(80)),
            None => None,
        };
        Streams {
            stdin: Box::new(std::io::stdin()),
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal,
            stderr_is_terminal: std::io::stderr().is_terminal(),
            width,
            cancel,
        }
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams")
            .field("stdin_is_terminal", &self.stdin_is_terminal)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("stderr_is_terminal", &self.stderr_is_terminal)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}
