//! How does a forked child keep clear of the threads that slept in its parent?
//!
//! The store's threads sleep in the process-wide queues of `parking_lot`. A child inherits the queues but not the threads,
//! whose memory it uses for threads of its own. As long as nobody looks at these entries they do no harm; but when
//! the table of queues grows for the child's new threads, every entry is moved, and the child dies of what it finds there. So
//! the parent makes the table large enough first, while all the threads in it live.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use parking_lot_core::{DEFAULT_PARK_TOKEN, park};

/// Threads that a parent and its child may have had together. The table has three queues for each, rounded up to a power
/// of two: 512.
const THREADS: usize = 170;

/// What each of them needs of a stack, in bytes.
const STACK: usize = 64 << 10;

/// Makes the table large, once in a process and the children that it forks; takes a few milliseconds. Where the system
/// refuses threads, less large.
pub(super) fn make_room() {
    // No `Once`: a child forked while it runs would wait for a thread that it does not have.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::AcqRel) {
        return;
    }
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let shut = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, entered) = channel();
        for _ in 0..THREADS {
            let (sender, gate) = (sender.clone(), &gate);
            let enter = move || {
                enter_table();
                drop(sender);
                drop(gate.lock());
            };
            if thread::Builder::new().stack_size(STACK).spawn_scoped(scope, enter).is_err() {
                break;
            }
        }
        drop(sender);
        // Ends when every thread has entered.
        let _: Result<(), _> = entered.recv();
        drop(shut);
    });
}

/// Gives this thread its entry, without sleeping.
fn enter_table() {
    let key: *const Mutex<()> = &raw const KEY;
    // SAFETY: the key is the address of a static that nothing else sleeps on, so it is ours alone; the functions that are
    // called with the queue locked neither panic nor park.
    unsafe {
        park(key as usize, || false, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, None);
    }
}

static KEY: Mutex<()> = Mutex::new(());
