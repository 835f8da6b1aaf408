//! How does a command end that did not do what it was asked to do?

use quorate::Error;

use crate::exit;

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of quorate.
    Error(Error),
    /// The arguments cannot be understood; what is to be said about it.
    Usage(String),
    /// Nobody reads any more.
    Pipe,
    /// The command has said itself what is wrong.
    Said(u8),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Error(error) => exit::code_of(error),
            Failure::Usage(_) => exit::USAGE,
            Failure::Pipe => exit::DONE,
            Failure::Said(code) => *code,
        }
    }

    /// Arguments that fit their form and not each other.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Failure {
        Failure::Usage(format!("error: {message}\n\nFor more information, try '--help'.\n"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}
