//! When may this process be forked, so that the child finds no lock taken and no database open?
//!
//! SQLite remembers for the whole process which locks it has on a file, and a forked child inherits that memory without
//! the locks. So every call of a store is a section that a fork waits for; before the fork the connections are closed,
//! and each side opens its own again when it next needs one. Sections are short: they wait for disks and locks of
//! databases, never for code of the host.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};

use crate::disk;

/// How long a fork waits for calls that have begun.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 15_000 });
/// How often who waits looks again.
const PAUSE: Duration = Duration::from_micros(100);

/// A fork is under way; whoever comes waits.
static FORKING: AtomicBool = AtomicBool::new(false);
/// How many threads are in a section.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The fork that is under way did not wait until the end: its child cannot use what it inherits.
static TEARS: AtomicBool = AtomicBool::new(false);
/// This process comes from such a fork.
static TORN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// How many sections this thread is in: one inside of another must not wait for a fork that waits for the outer one.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A stretch of work that no fork cuts.
pub(crate) struct Section(PhantomData<*const ()>);

/// Begins a section, after a fork that is under way. Errors: `locked` in a child whose fork could not wait.
pub(crate) fn enter() -> Result<Section> {
    register();
    if DEPTH.get() == 0 {
        loop {
            INSIDE.fetch_add(1, Ordering::SeqCst);
            if !FORKING.load(Ordering::SeqCst) {
                break;
            }
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            std::thread::sleep(PAUSE);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let section = Section(PhantomData);
    if TORN.load(Ordering::Relaxed) {
        return Err(Error::new(
            Code::Locked,
            "the process was forked in the middle of a call to a state store that did not end in time; use state \
             stores in the parent, or fork before they are used",
        ));
    }
    Ok(section)
}

impl Drop for Section {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn before() {
    // Forks of two threads come one after the other.
    while FORKING.swap(true, Ordering::SeqCst) {
        std::thread::sleep(PAUSE);
    }
    let begun = Instant::now();
    while DEPTH.get() == 0 && INSIDE.load(Ordering::SeqCst) != 0 && begun.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
    }
    // What a torn process has inherited is nobody's to close.
    let drained = INSIDE.load(Ordering::SeqCst) == 0 && !TORN.load(Ordering::SeqCst);
    if drained {
        disk::close_connections();
    }
    TEARS.store(!drained, Ordering::SeqCst);
}

fn after_in_parent() {
    FORKING.store(false, Ordering::SeqCst);
}

fn after_in_child() {
    if TEARS.load(Ordering::SeqCst) {
        TORN.store(true, Ordering::SeqCst);
    }
    INSIDE.store(0, Ordering::SeqCst);
    disk::close_inherited();
    FORKING.store(false, Ordering::SeqCst);
}

#[cfg(unix)]
fn register() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn prepare() {
        before();
    }
    extern "C" fn parent() {
        after_in_parent();
    }
    extern "C" fn child() {
        after_in_child();
    }
    // SAFETY: the first handler runs in the forking thread before the fork, where everything is allowed; the other two
    // only touch atomics and close descriptors, which is allowed between fork and exec. None of them unwinds.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(Some(prepare), Some(parent), Some(child));
    });
}

#[cfg(not(unix))]
fn register() {
    // Nothing forks here; the handlers are named so that they are checked everywhere.
    let _ = (before as fn(), after_in_parent as fn(), after_in_child as fn());
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn in_child(work: impl FnOnce() -> bool) -> i32 {
        // SAFETY: the child does `work` and ends without running anything of its parent; the parent waits for it.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(!work()));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert!(libc::WIFEXITED(status));
            libc::WEXITSTATUS(status)
        }
    }

    #[test]
    fn a_child_of_a_fork_that_could_not_wait_refuses_and_others_do_not() {
        let works = || enter().is_ok();
        drop(enter().unwrap());
        assert_eq!(in_child(works), 0);
        let section = enter().unwrap();
        let inner = enter().unwrap();
        let refuses = || enter().is_err_and(|e| e.code() == Code::Locked);
        assert_eq!(in_child(refuses), 0, "this thread is in a section itself");
        assert_eq!(std::thread::scope(|scope| scope.spawn(|| in_child(refuses)).join().unwrap()), 0);
        drop((inner, section));
        assert_eq!(in_child(works), 0);
    }
}
