//! Is a run watched in a forked child, whatever the parent was doing?

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use quorate_core::Cancel;

use super::watch::Watch;

/// Whether a run that is cancelled has its request cancelled too, soon.
fn is_watched(watch: &Watch) -> bool {
    let caller = Cancel::new();
    let watched = watch.watch(caller.clone(), None);
    let request = watched.begin(None);
    caller.cancel();
    let until = Instant::now() + Duration::from_secs(5);
    while !request.is_cancelled() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    request.is_cancelled()
}

#[test]
fn a_forked_child_watches_though_its_parent_held_the_lock() {
    let watch = Watch::default();
    assert!(is_watched(&watch));
    let (held, is_held) = channel();
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        let watch = &watch;
        scope.spawn(move || {
            let _guard = watch.hold();
            held.send(()).unwrap();
            let _ = is_done.recv();
        });
        is_held.recv().unwrap();
        // SAFETY: the child runs this function's code alone and ends by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let watched = is_watched(watch);
            // SAFETY: ends the child without what its parent would do at its end.
            unsafe { libc::_exit(i32::from(!watched)) };
        }
        let mut status = 0;
        let until = Instant::now() + Duration::from_secs(20);
        // SAFETY: waits for this child alone, and ends it when it hangs.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            if Instant::now() > until {
                unsafe { libc::kill(child, libc::SIGKILL) };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(done);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
    });
}
