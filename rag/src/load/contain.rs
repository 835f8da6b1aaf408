//! How is a parser kept from taking the process with it?

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use quorate_core::{Code, Error, Result};

/// Room for parsers that recurse by nesting; only what is touched takes memory.
const STACK_BYTES: usize = 256 << 20;

/// Runs `work` on its own thread. A panic becomes `load_failed`; work beyond `timeout` becomes `timeout`, and its
/// thread is left to end by itself.
pub(super) fn run<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = sync_channel(1);
    let guarded = move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // The receiver may have given up waiting.
        let _ = send.send(result);
    };
    let spawned =
        std::thread::Builder::new().name("quorate-load".into()).stack_size(STACK_BYTES).spawn(guarded);
    spawned.map_err(|e| Error::with_source(Code::Io, "no thread for the parser", e))?;
    match receive.recv_timeout(timeout) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let reason = panic.downcast_ref::<String>().map(String::as_str);
            let reason =
                reason.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Error::new(Code::LoadFailed, format!("the parser broke down: {reason}")))
        }
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::new(Code::Timeout, format!("not read within {} s", timeout.as_secs_f32())))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::new(Code::LoadFailed, "the parser ended without an answer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_endless_loops_are_errors() {
        let second = Duration::from_secs(1);
        assert_eq!(run(second, || Ok(3)).unwrap(), 3);
        let error = run::<()>(second, || panic!("bad {}", 7)).unwrap_err();
        assert_eq!(error.code(), Code::LoadFailed);
        assert!(error.message().contains("bad 7"));
        let error = run::<()>(Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        });
        assert_eq!(error.unwrap_err().code(), Code::Timeout);
    }
}
