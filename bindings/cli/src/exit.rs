//! What does an exit code say?

use quorate::{Code, Error, Kind};

/// The command did what it was asked to do.
pub const DONE: u8 = 0;
/// A run of a workflow failed, or quorate has a defect.
pub const FAILED: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// What was named does not exist.
pub const NOT_FOUND: u8 = 3;
/// Another process is writing, or what was asked for contradicts what is there.
pub const CONFLICT: u8 = 4;
/// Stored bytes are damaged.
pub const CORRUPT: u8 = 5;
/// What was given cannot be used.
pub const INVALID: u8 = 6;
/// The network, a service or the disk cannot be used at present.
pub const UNAVAILABLE: u8 = 7;
/// A model declined, a call was not approved, a quorum was missed, or a budget is used up.
pub const REFUSED: u8 = 8;
/// The work was interrupted.
pub const CANCELLED: u8 = 130;

/// The exit code of an error: by its code where that says that something was refused, and by its family otherwise.
pub fn code_of(error: &Error) -> u8 {
    match error.code() {
        Code::BudgetExceeded
        | Code::BudgetUnpriced
        | Code::ApprovalRequired
        | Code::ModelRefused
        | Code::QuorumMissed
        | Code::StepLimit => REFUSED,
        code => match code.kind() {
            Kind::NotFound => NOT_FOUND,
            Kind::Locked | Kind::Conflict => CONFLICT,
            Kind::Corrupt => CORRUPT,
            Kind::InvalidInput | Kind::Unsupported => INVALID,
            Kind::Unavailable => UNAVAILABLE,
            Kind::Cancelled => CANCELLED,
            _ => FAILED,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_exit_code_of_its_family() {
        for &code in Code::ALL {
            let exit = code_of(&Error::new(code, "x"));
            assert_ne!(exit, DONE, "{}", code.as_str());
            assert_ne!(exit, USAGE, "{}", code.as_str());
            assert_eq!(exit == FAILED, code == Code::Internal, "{}", code.as_str());
        }
    }
}
