//! What does an interruption do?

use quorate::Cancel;

/// What asks a process to end.
#[cfg(unix)]
const SIGNALS: [i32; 3] =
    [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];

/// Has Ctrl-C and a request to end (SIGTERM, SIGHUP) raise `cancel`, so that the work ends where it can; the second one ends the
/// process at once, which damages nothing either. For programs that are nothing but this command line.
pub fn stop_on_signals(cancel: &Cancel) {
    // Where that cannot be had, a signal ends the process as it always does.
    #[cfg(unix)]
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(SIGNALS) {
        let cancel = cancel.clone();
        let watch = std::thread::Builder::new().name("quorate-signals".to_owned());
        let _ = watch.spawn(move || {
            for _ in signals.forever() {
                if cancel.is_cancelled() {
                    #[expect(clippy::exit, reason = "the second interruption is not waited for")]
                    std::process::exit(crate::exit::CANCELLED.into());
                }
                cancel.cancel();
            }
        });
    }
    #[cfg(not(unix))]
    let _ = cancel;
}
