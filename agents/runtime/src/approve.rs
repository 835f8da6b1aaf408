//! Who decides about calls that wait?

use quorate_core::{Cancel, Result};

use crate::fact::Decision;
use crate::machine::Pending;

/// Decides, while a run goes on, about calls that need approval and about plans.
pub trait Approve: Send + Sync {
    /// The decision; `None`: the run waits, and somebody decides later by `resume`. An error leaves this call undecided: the
    /// run waits, and an event of type `warning` says why. It is called on a thread of its own, and not waited for when the run
    /// is cancelled, or longer than the budget has time.
    fn decide(&self, pending: &Pending, cancel: &Cancel) -> Result<Option<Decision>>;
}

impl<F: Fn(&Pending) -> Result<Option<Decision>> + Send + Sync> Approve for F {
    fn decide(&self, pending: &Pending, _cancel: &Cancel) -> Result<Option<Decision>> {
        self(pending)
    }
}
