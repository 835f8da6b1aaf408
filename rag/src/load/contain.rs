//! How is a parser kept from taking the process with it?

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};

use super::ocr::Pauses;

/// Room for parsers that recurse by nesting; only what is touched takes memory.
const STACK_BYTES: usize = 256 << 20;
/// How long the pauses of a parser may go unnoticed.
const LOOK: Duration = Duration::from_millis(100);
/// So many items a parser is ahead of who takes them.
const AHEAD: usize = 64;

/// What ended [`stream`] early.
#[derive(Debug)]
pub(super) enum Ended {
    /// The parser, or its limit of time.
    Parser(Error),
    /// Who took what it gave.
    Taker(Error),
}

enum Step<T> {
    Item(T),
    End(std::thread::Result<Result<()>>),
}

/// Runs `work` on its own thread and hands what it gives to `take` on this one. A panic becomes `load_failed`. `timeout`
/// bounds the time that is spent waiting for `work` in all, less its `pauses`: work beyond it becomes `timeout`, and its
/// thread is left to end by itself.
pub(super) fn stream<T: Send + 'static>(
    timeout: Duration,
    pauses: &Pauses,
    work: impl FnOnce(&mut dyn FnMut(T) -> Result<()>) -> Result<()> + Send + 'static,
    take: &mut dyn FnMut(T) -> Result<()>,
) -> Result<(), Ended> {
    let (send, receive) = sync_channel(AHEAD);
    let guarded = move || {
        let mut give = |item: T| {
            let gone = |_| Error::new(Code::Cancelled, "nobody takes what the parser gives");
            send.send(Step::Item(item)).map_err(gone)
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut give)));
        // The receiver may have given up waiting.
        let _ = send.send(Step::End(result));
    };
    let spawned =
        std::thread::Builder::new().name("quorate-load".into()).stack_size(STACK_BYTES).spawn(guarded);
    spawned.map_err(|e| Ended::Parser(Error::with_source(Code::Io, "no thread for the parser", e)))?;
    let mut waited = Duration::ZERO;
    loop {
        let before = Instant::now();
        let left = (timeout + pauses.total()).saturating_sub(waited);
        let step = receive.recv_timeout(left.min(LOOK));
        waited += before.elapsed();
        let result = match step {
            Ok(Step::Item(item)) => {
                take(item).map_err(Ended::Taker)?;
                continue;
            }
            Ok(Step::End(Ok(result))) => result,
            Ok(Step::End(Err(panic))) => {
                let reason = panic.downcast_ref::<String>().map(String::as_str);
                let reason =
                    reason.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                Err(Error::new(Code::LoadFailed, format!("the parser broke down: {reason}")))
            }
            Err(RecvTimeoutError::Timeout) if waited < timeout + pauses.total() => continue,
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::new(Code::Timeout, format!("not read within {} s", timeout.as_secs_f32())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new(Code::LoadFailed, "the parser ended without an answer"))
            }
        };
        return result.map_err(Ended::Parser);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(timeout: Duration, work: impl FnOnce() -> Result<u32> + Send + 'static) -> Result<u32, Ended> {
        let mut out = 0;
        let mut take = |x| {
            out += x;
            Ok(())
        };
        stream(timeout, &Pauses::default(), |give| give(work()?), &mut take).map(|()| out)
    }

    fn code(result: Result<u32, Ended>) -> Code {
        match result.unwrap_err() {
            Ended::Parser(error) | Ended::Taker(error) => error.code(),
        }
    }

    #[test]
    fn panics_and_endless_loops_are_errors() {
        let second = Duration::from_secs(1);
        assert_eq!(run(second, || Ok(3)).unwrap(), 3);
        match run(second, || panic!("bad {}", 7)).unwrap_err() {
            Ended::Parser(error) => {
                assert_eq!(error.code(), Code::LoadFailed);
                assert!(error.message().contains("bad 7"));
            }
            Ended::Taker(error) => panic!("{error}"),
        }
        let slow = || {
            std::thread::sleep(Duration::from_secs(2));
            Ok(1)
        };
        assert_eq!(code(run(Duration::from_millis(20), slow)), Code::Timeout);
    }

    #[test]
    fn who_takes_may_be_slow_and_may_stop() {
        let many = |give: &mut dyn FnMut(usize) -> Result<()>| (0..500).try_for_each(give);
        let mut sum = 0;
        let mut slow = |i: usize| {
            // Longer in all than the limit of the parser.
            std::thread::sleep(Duration::from_micros(500));
            sum += i;
            Ok(())
        };
        stream(Duration::from_millis(200), &Pauses::default(), many, &mut slow).unwrap();
        assert_eq!(sum, 499 * 500 / 2);
        let mut stop = |i: usize| match i {
            3 => Err(Error::new(Code::TooLarge, "three")),
            _ => Ok(()),
        };
        let ended = stream(Duration::from_secs(5), &Pauses::default(), many, &mut stop).unwrap_err();
        assert!(matches!(ended, Ended::Taker(error) if error.code() == Code::TooLarge));
    }
}
