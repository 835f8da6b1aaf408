//! How do a few threads go through one forward pass together?
//!
//! A pass is hundreds of short steps, each of which needs the one before as a whole: too short to hand each to a pool.
//! The threads of a [`Team`] enter the pass once and meet at a [`Barrier`] between steps. One pass runs at a time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use quorate_core::{Code, Error, Result, forks};

/// How often a thread looks before it lets others run.
const SPINS: u32 = 4_000;

/// Threads that work together.
pub(super) struct Team {
    threads: usize,
    /// The crew of this process, with the number of forks before it: a forked child gets a crew of its own.
    crew: Mutex<Option<(u64, Crew)>>,
}

struct Crew {
    shared: Arc<Shared>,
}

struct Shared {
    barrier: Barrier,
    order: Mutex<Order>,
    begin: Condvar,
    done: AtomicUsize,
}

struct Order {
    number: u64,
    work: Option<Work>,
    over: bool,
}

/// The work of one pass, alive until all threads have done it.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn(usize, &Barrier) + Sync));

// SAFETY: what it points at is `Sync`, and `Team::run` keeps it alive until every thread is done with it.
unsafe impl Send for Work {}

/// Where the threads of a pass meet.
pub(super) struct Barrier {
    threads: usize,
    here: AtomicUsize,
    round: AtomicUsize,
    /// A thread of the pass is gone.
    broken: AtomicBool,
}

impl Barrier {
    fn new(threads: usize) -> Self {
        Barrier {
            threads,
            here: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Waits until all are here: what any of them wrote before, each sees after.
    pub(super) fn wait(&self) {
        if self.threads == 1 {
            return;
        }
        let round = self.round.load(Ordering::Acquire);
        if self.here.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.here.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        patiently(|| self.round.load(Ordering::Acquire) != round || self.broken.load(Ordering::Acquire));
        if self.broken.load(Ordering::Acquire) {
            resume_unwind(Box::new("another thread of the pass failed"));
        }
    }
}

/// Looks until it is so, first eagerly, then with others let past.
fn patiently(so: impl Fn() -> bool) {
    let mut looked = 0;
    while !so() {
        looked += 1;
        if looked < SPINS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

impl Team {
    /// A team of this many threads, the caller's among them. None starts before the first pass.
    pub(super) fn new(threads: usize) -> Self {
        Team { threads: threads.max(1), crew: Mutex::new(None) }
    }

    /// How many threads it has.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work(thread, barrier)` on all threads at once. Errors: `internal` when the system gives no threads or one
    /// of them fails.
    pub(super) fn run(&self, work: &(dyn Fn(usize, &Barrier) + Sync)) -> Result<()> {
        let failed = || Error::new(Code::Internal, "a thread of a local model failed");
        let slot = if self.threads == 1 { None } else { self.slot()? };
        let Some(mut slot) = slot else {
            let alone = Barrier::new(1);
            return catch_unwind(AssertUnwindSafe(|| work(0, &alone))).map_err(|_| failed());
        };
        let Some((_, crew)) = slot.as_ref() else { return Err(failed()) };
        let shared = crew.shared.clone();
        shared.done.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime changes; this function returns after all threads are done with the work.
        let work_here: *const (dyn Fn(usize, &Barrier) + Sync) = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize, &Barrier) + Sync + '_), *const (dyn Fn(usize, &Barrier) + Sync)>(work)
        };
        {
            let mut order = lock(&shared.order);
            order.number += 1;
            order.work = Some(Work(work_here));
            shared.begin.notify_all();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| work(0, &shared.barrier)));
        if mine.is_err() {
            shared.barrier.broken.store(true, Ordering::Release);
        }
        patiently(|| shared.done.load(Ordering::Acquire) == self.threads - 1);
        lock(&shared.order).work = None;
        if shared.barrier.broken.load(Ordering::Acquire) {
            // The next pass gets a new crew.
            *slot = None;
            return Err(failed());
        }
        Ok(())
    }

    /// The crew of this process; `None` in a forked child where another thread has it, perhaps one of the parent that
    /// will never let go.
    fn slot(&self) -> Result<Option<MutexGuard<'_, Option<(u64, Crew)>>>> {
        let process = forks();
        let mut slot = match self.crew.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) if process > 0 => return Ok(None),
            Err(TryLockError::WouldBlock) => lock(&self.crew),
        };
        if slot.as_ref().is_none_or(|(owner, _)| *owner != process) {
            let crew = Crew::start(self.threads)?;
            // The threads of a parent process are not here to be told to end.
            if let Some((owner, old)) = slot.replace((process, crew))
                && owner != process
            {
                std::mem::forget(old);
            }
        }
        Ok(Some(slot))
    }
}

impl Crew {
    fn start(threads: usize) -> Result<Crew> {
        let shared = Arc::new(Shared {
            barrier: Barrier::new(threads),
            order: Mutex::new(Order { number: 0, work: None, over: false }),
            begin: Condvar::new(),
            done: AtomicUsize::new(0),
        });
        let crew = Crew { shared };
        for thread in 1..threads {
            let shared = crew.shared.clone();
            std::thread::Builder::new()
                .name(format!("quorate-model-{thread}"))
                .spawn(move || serve(thread, &shared))
                .map_err(|e| Error::with_source(Code::Internal, format!("no threads: {e}"), e))?;
        }
        Ok(crew)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        lock(&self.shared.order).over = true;
        self.shared.begin.notify_all();
    }
}

/// What a thread does all its life.
fn serve(thread: usize, shared: &Shared) {
    let mut done = 0;
    loop {
        let work = {
            let mut order = lock(&shared.order);
            loop {
                if order.over {
                    return;
                }
                if let Some(work) = order.work.filter(|_| order.number != done) {
                    done = order.number;
                    break work;
                }
                order = shared.begin.wait(order).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // SAFETY: the pass is not over before this thread says that it is done.
        let ran = catch_unwind(AssertUnwindSafe(|| unsafe { (*work.0)(thread, &shared.barrier) }));
        if ran.is_err() {
            shared.barrier.broken.store(true, Ordering::Release);
        }
        shared.done.fetch_add(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seen_whole_by_all_threads() {
        for threads in [1, 2, 5] {
            let team = Team::new(threads);
            for _ in 0..20 {
                let slots: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
                team.run(&|thread, barrier| {
                    for step in 1..50 {
                        slots[thread].store(step, Ordering::Relaxed);
                        barrier.wait();
                        assert!(slots.iter().all(|slot| slot.load(Ordering::Relaxed) == step));
                        barrier.wait();
                    }
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn a_pass_that_fails_is_an_error_and_the_next_one_works() {
        let team = Team::new(3);
        for bad in 0..3 {
            let failed = team.run(&|thread, barrier| {
                if thread == bad {
                    resume_unwind(Box::new("so"));
                }
                barrier.wait();
            });
            assert_eq!(failed.unwrap_err().code(), Code::Internal);
            team.run(&|_, barrier| barrier.wait()).unwrap();
        }
    }
}
