//! How is something of the host's waited for that may never come back?
//!
//! It has a thread of its own, as tools have, and is left alone when the run is cancelled or its time is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result, spare};

/// The longest time that a channel is waited for at once; a limit may be further away than a clock can show.
const LONG: Duration = Duration::from_secs(3600);

/// What `work` gives; none when `limit` is over first. Errors: `cancelled` when `cancel` is raised first; `internal` where the
/// work panics; `io` when there is no thread for it.
pub(crate) fn aside<T: Send + 'static>(
    cancel: &Cancel,
    limit: Option<Duration>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>> {
    cancel.check()?;
    let (sender, results) = channel();
    let raised = sender.clone();
    let _wake = cancel.when_raised(move || drop(raised.send(None)));
    spare::run(move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        // Nobody may wait for it any more.
        let _ = sender.send(Some(done));
    })?;
    let begun = Instant::now();
    loop {
        let left = limit.map_or(LONG, |limit| limit.saturating_sub(begun.elapsed()).min(LONG));
        match results.recv_timeout(left) {
            Ok(Some(Ok(done))) => return Ok(Some(done)),
            Ok(Some(Err(payload))) => {
                let said = payload.downcast_ref::<&str>().map(|said| (*said).to_owned());
                let said = said.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
                let message = format!("something that the run called has panicked: {said}");
                return Err(Error::new(Code::Internal, message));
            }
            Ok(None) => cancel.check()?,
            Err(RecvTimeoutError::Timeout) if limit.is_some_and(|limit| begun.elapsed() >= limit) => {
                return Ok(None);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_is_left_alone() {
        let cancel = Cancel::new();
        assert_eq!(aside(&cancel, None, || 7).unwrap(), Some(7));
        let hangs = || std::thread::sleep(Duration::from_secs(60));
        let begun = Instant::now();
        assert_eq!(aside(&cancel, Some(Duration::from_millis(30)), hangs).unwrap(), None);
        let raise = cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            raise.cancel();
        });
        assert_eq!(aside(&cancel.child(), None, hangs).unwrap_err().code(), Code::Cancelled);
        assert!(begun.elapsed() < Duration::from_secs(20));
        let panics = || -> u32 { panic!("oh") };
        let error = aside(&Cancel::new(), None, panics).unwrap_err();
        assert!(error.code() == Code::Internal && error.message().ends_with(": oh"), "{error}");
    }
}
