//! How does a forked child keep clear of the threads that slept in its parent?
//!
//! tokio's threads sleep in process-wide queues (`parking_lot`). A child inherits the queues but not the threads, whose
//! memory it uses for threads of its own, and dies of what it then finds in the queues. So the threads are woken before
//! a fork and wait elsewhere until it is over: nothing sleeps in a queue that a child inherits.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fork::forks;

/// Work that occupies a thread while it lasts.
pub type Occupation = Box<dyn FnOnce() + Send>;

/// A fork waits no longer than this for threads that are at work. Such threads do not sleep, so that little is risked.
const PATIENCE: Duration = Duration::from_secs(1);

/// The threads of one pool.
struct Pool {
    /// The process whose threads they are, by its number in the line of forks.
    process: u64,
    threads: usize,
    occupy: Box<dyn Fn(Occupation) + Send + Sync>,
    next: *mut Pool,
}

/// All pools, those of earlier processes too; none is ever taken away.
static POOLS: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());
/// Whether a fork is under way.
static FORKING: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What holds the threads while this one forks.
    static GATE: Cell<Option<Arc<Gate>>> = const { Cell::new(None) };
}

/// Has the threads of a pool stand still while this process forks. `occupy` gives work to one of them and returns at once;
/// it is called `threads` times, and no thread may get a second piece before the first is done.
pub fn still_at_forks(threads: usize, occupy: impl Fn(Occupation) + Send + Sync + 'static) {
    register();
    let mut next = POOLS.load(Ordering::Acquire);
    let pool = Box::into_raw(Box::new(Pool { process: forks(), threads, occupy: Box::new(occupy), next }));
    loop {
        // SAFETY: `pool` was just made and is not yet seen by others.
        unsafe { (*pool).next = next };
        match POOLS.compare_exchange_weak(next, pool, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(other) => next = other,
        }
    }
}

/// Where threads wait until a fork is over.
#[derive(Default)]
struct Gate {
    /// How many have come, and whether they may go.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for so many; whether they have come in time.
    fn have_come(&self, threads: usize) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 < threads {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }
}

fn register() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::AcqRel) {
        return;
    }
    // SAFETY: the handlers are functions of this library, which is never unloaded while its threads live. That of the
    // child only stores to atomics and forgets a pointer, which is allowed between fork and exec.
    unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    }
}

extern "C" fn before() {
    // Two that fork at once would each wait for threads that the other holds.
    while FORKING.swap(true, Ordering::AcqRel) {
        std::thread::sleep(Duration::from_micros(50));
    }
    let gate = Arc::new(Gate::default());
    let process = forks();
    let mut threads = 0;
    let mut pool = POOLS.load(Ordering::Acquire);
    // SAFETY: what is in the list comes from Box::into_raw and is never freed.
    while let Some(here) = unsafe { pool.as_ref() } {
        if here.process == process {
            for _ in 0..here.threads {
                let gate = gate.clone();
                // A system that refuses a further thread panics there, which must not end the host.
                let asked = catch_unwind(AssertUnwindSafe(|| (here.occupy)(Box::new(move || gate.wait()))));
                threads += usize::from(asked.is_ok());
            }
        }
        pool = here.next;
    }
    gate.have_come(threads);
    GATE.set(Some(gate));
}

extern "C" fn in_parent() {
    if let Some(gate) = GATE.take() {
        gate.open();
    }
    FORKING.store(false, Ordering::Release);
}

extern "C" fn in_child() {
    // Who waits at it does not exist here.
    std::mem::forget(GATE.take());
    FORKING.store(false, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_come_and_go_or_patience_ends() {
        let gate = Arc::new(Gate::default());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let gate = gate.clone();
                std::thread::spawn(move || gate.wait())
            })
            .collect();
        assert!(gate.have_come(3));
        assert!(!gate.have_come(4));
        gate.open();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_pool_stands_still_while_its_process_forks_and_goes_on_after_it() {
        let (sender, receiver) = std::sync::mpsc::channel::<Occupation>();
        let (told, came) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for work in receiver {
                told.send("at work").unwrap();
                work();
                told.send("done").unwrap();
            }
        });
        still_at_forks(1, move |work| sender.send(work).unwrap());
        // SAFETY: the child ends at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends this process, which no test runner waits for.
            unsafe { libc::_exit(0) };
        }
        // It was occupied before there was a child.
        assert_eq!(came.try_recv(), Ok("at work"));
        assert_eq!(came.recv(), Ok("done"));
        let mut status = -1;
        // SAFETY: waits for the child that was just made; `status` lives as long as the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}
