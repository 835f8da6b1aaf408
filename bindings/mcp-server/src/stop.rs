//! How does somebody else end a server?

use quorate::Cancel;
use tokio_util::sync::CancellationToken;

/// Ends a server, from any thread and more than once. What it does now has the time of
/// [`Limits::shutdown`](crate::Limits::shutdown) to end.
#[derive(Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    work: Cancel,
}

impl Stop {
    /// Ends it.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Whether it was ended.
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// What asynchronous parts wait for.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// What calls at work look at.
    pub(crate) fn work(&self) -> &Cancel {
        &self.work
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stop({})", self.is_stopped())
    }
}
