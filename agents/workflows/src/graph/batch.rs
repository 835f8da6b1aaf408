//! How do several threads do the tasks of one step?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use quorate_core::spare;

use super::context::lock;
use super::task::{Done, Shared};

/// How often a thread that has nothing to do looks whether the others have ended, before it sleeps: some microseconds.
const SPINS: usize = 200;

/// Does the tasks of a step of which nothing is known, several at once. This thread works too.
pub(crate) fn perform(shared: &Arc<Shared>, done: &mut [Option<Done>]) {
    let due: Vec<usize> =
        done.iter().enumerate().filter(|(_, done)| done.is_none()).map(|(at, _)| at).collect();
    if let [at] = due[..] {
        let made = shared.work(at);
        // The step comes to its end with it, or is kept as a whole.
        done[at] = Some(made);
        return;
    }
    if due.is_empty() {
        return;
    }
    let batch = Arc::new(Batch {
        shared: Arc::clone(shared),
        results: due.iter().map(|_| Mutex::new(None)).collect(),
        next: AtomicUsize::new(0),
        open: AtomicUsize::new(due.len()),
        left: AtomicUsize::new(due.len()),
        gate: Mutex::new(()),
        all: Condvar::new(),
        due,
    });
    let helpers = shared.run.options.parallel.min(batch.due.len()) - 1;
    batch.call(helpers);
    batch.work();
    batch.wait();
    for (at, result) in batch.due.iter().zip(&batch.results) {
        done[*at] = lock(result).take();
    }
}

/// Tasks that several threads do.
struct Batch {
    shared: Arc<Shared>,
    due: Vec<usize>,
    results: Vec<Mutex<Option<Done>>>,
    /// The task that is begun next.
    next: AtomicUsize,
    /// Tasks that have not ended.
    open: AtomicUsize,
    /// Tasks without a result.
    left: AtomicUsize,
    gate: Mutex<()>,
    all: Condvar,
}

impl Batch {
    /// Has another thread help, which calls the next one: waking all of them at once would cost this one more than short
    /// tasks take.
    fn call(self: &Arc<Self>, helpers: usize) {
        if helpers == 0 || self.next.load(Ordering::Acquire) >= self.due.len() {
            return;
        }
        let batch = Arc::clone(self);
        // Where there is no thread, those that there are do it all.
        let _ = spare::run(move || {
            if batch.next.load(Ordering::Acquire) < batch.due.len() {
                batch.call(helpers - 1);
                batch.work();
            }
        });
    }

    /// Waits until every task has a result.
    fn wait(&self) {
        // What another thread is at is often over in a moment.
        for _ in 0..SPINS {
            if self.left.load(Ordering::Acquire) == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let mut gate = lock(&self.gate);
        while self.left.load(Ordering::Acquire) > 0 {
            gate = self.all.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        loop {
            let at = self.next.fetch_add(1, Ordering::AcqRel);
            let Some(task) = self.due.get(at) else { return };
            let mut done = self.shared.work(*task);
            let last = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
            // The last one is stored with the step, where it comes to its end.
            if !last
                && !self.shared.run.lazy()
                && matches!(done, Done::Ended(..))
                && let Err(error) = self.shared.keep(*task, &done)
            {
                done = Done::Over(error);
            }
            *lock(&self.results[at]) = Some(done);
            if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                // Whoever waits has looked before, or looks after this.
                drop(lock(&self.gate));
                self.all.notify_all();
            }
        }
    }
}
