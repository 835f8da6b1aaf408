//! How do a few threads go through one forward pass together?
//!
//! A pass is hundreds of short steps, each of which needs the one before as a whole: too short to hand each to a pool.
//! The threads of a [`Team`] enter the pass once and take pieces of each step as they get to them. None has to be there: on a
//! busy machine those that run do the work of those that do not. One pass runs at a time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use quorate_core::{Code, Error, Result, forks};

/// How often a thread looks before it lets others run.
const SPINS: u32 = 2_000;

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
    order: Mutex<Order>,
    begin: Condvar,
    /// Threads in the pass, but for the caller's.
    inside: AtomicUsize,
}

struct Order {
    number: u64,
    work: Option<Work>,
    over: bool,
}

/// The work of one pass, alive as long as a thread is inside.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points at is `Sync`, and `Team::run` keeps it alive until every thread has left it.
unsafe impl Send for Work {}

/// The steps of a pass, in their order.
pub(super) struct Steps {
    steps: Vec<Step>,
    /// A thread of the pass has failed.
    broken: AtomicBool,
}

#[repr(align(128))]
#[derive(Default)]
struct Step {
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Steps {
    /// Room for `n` steps.
    pub(super) fn new(n: usize) -> Self {
        Steps { steps: (0..n).map(|_| Step::default()).collect(), broken: AtomicBool::new(false) }
    }

    /// Does pieces of step `i` until none is left, and returns when all are done: what was written in the step is then seen
    /// here. Each piece goes to one thread.
    pub(super) fn step(&self, i: usize, pieces: usize, mut work: impl FnMut(usize)) {
        let Some(step) = self.steps.get(i) else { return };
        let mut mine = 0;
        loop {
            let piece = step.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            work(piece);
            mine += 1;
        }
        if mine > 0 && step.done.fetch_add(mine, Ordering::AcqRel) + mine == pieces {
            return;
        }
        patiently(|| step.done.load(Ordering::Acquire) >= pieces || self.broken.load(Ordering::Acquire));
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

    /// Runs `work(thread)`, which goes through all of `steps`, on the caller's thread (0) and on those of the others that
    /// get to it. Errors: `internal` when the system gives no threads or one of them fails.
    pub(super) fn run(&self, steps: &Steps, work: &(dyn Fn(usize) + Sync)) -> Result<()> {
        let failed = || Error::new(Code::Internal, "a thread of a local model failed");
        let guarded = |thread: usize| {
            if catch_unwind(AssertUnwindSafe(|| work(thread))).is_err() {
                steps.broken.store(true, Ordering::Release);
            }
        };
        let guarded: &(dyn Fn(usize) + Sync) = &guarded;
        let slot = if self.threads == 1 { None } else { self.slot()? };
        match slot.as_deref() {
            Some(Some((_, crew))) => {
                let shared = &crew.shared;
                // SAFETY: only the lifetime changes; the work is taken back and every thread has left it before this
                // function returns.
                let work = unsafe {
                    std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(
                        guarded,
                    )
                };
                {
                    let mut order = lock(&shared.order);
                    order.number += 1;
                    order.work = Some(Work(work));
                    shared.begin.notify_all();
                }
                guarded(0);
                lock(&shared.order).work = None;
                patiently(|| shared.inside.load(Ordering::Acquire) == 0);
            }
            _ => guarded(0),
        }
        if steps.broken.load(Ordering::Acquire) { Err(failed()) } else { Ok(()) }
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
            order: Mutex::new(Order { number: 0, work: None, over: false }),
            begin: Condvar::new(),
            inside: AtomicUsize::new(0),
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
                    // Said under the lock under which the work is taken back.
                    shared.inside.fetch_add(1, Ordering::AcqRel);
                    break work;
                }
                order = shared.begin.wait(order).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // SAFETY: the work is alive as long as this thread is inside; it catches what is thrown.
        unsafe { (*work.0)(thread) };
        shared.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_done_once_and_steps_are_seen_whole() {
        const PIECES: usize = 7;
        for threads in [1, 2, 5] {
            let team = Team::new(threads);
            for _ in 0..20 {
                let steps = Steps::new(50);
                let slots: Vec<AtomicUsize> = (0..PIECES).map(|_| AtomicUsize::new(0)).collect();
                team.run(&steps, &|_| {
                    for i in 0..50 {
                        steps.step(i, PIECES, |piece| {
                            // All of the step before are done, and this one is not.
                            assert!(
                                slots.iter().all(|slot| (i..i + 2).contains(&slot.load(Ordering::Relaxed)))
                            );
                            assert_eq!(slots[piece].fetch_add(1, Ordering::Relaxed), i);
                        });
                    }
                })
                .unwrap();
                assert!(slots.iter().all(|slot| slot.load(Ordering::Relaxed) == 50));
            }
        }
    }

    #[test]
    fn a_pass_that_fails_is_an_error_and_the_next_one_works() {
        let team = Team::new(3);
        for bad in 0..5 {
            let steps = Steps::new(2);
            let failed = team.run(&steps, &|_| {
                steps.step(0, 5, |piece| {
                    if piece == bad {
                        resume_unwind(Box::new("so"));
                    }
                });
                steps.step(1, 3, |_| {});
            });
            assert_eq!(failed.unwrap_err().code(), Code::Internal);
            let steps = Steps::new(1);
            team.run(&steps, &|_| steps.step(0, 9, |_| {})).unwrap();
        }
    }
}
