//! On which threads does work run? On threads of quorate's own, so that a long ingest never holds up Node's file system.
//!
//! A thread that waits for a function of the host does not count: what that function waits for finds threads, however many
//! calls wait. The TypeScript half bounds how many do.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use quorate::{Code, Error, Result};

/// How long a thread waits for more work before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a quick thread looks for the next job before it sleeps: a host that awaits one search after the other asks
/// again within that time, and waking a thread costs more.
const GLANCE: Duration = Duration::from_micros(40);

/// The most threads for work that may wait for disks and networks.
const MOST_SLOW: usize = 64;

/// The most threads for calls of services, which do nothing but wait.
const MOST_ASKING: usize = 256;

/// Which work shares threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Pure computation of some milliseconds, such as a search: as many at once as there are cores.
    Quick,
    /// All else: ingest, opening, networks, callbacks. It must not hold up what is quick.
    Slow,
    /// Questions to language models, which wait for seconds. They must not hold up what writes.
    Ask,
}

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    most: usize,
    glance: Duration,
    /// How many jobs are queued, to be seen without the lock.
    queued: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that sleep.
    idle: usize,
    /// Threads that are awake without a job, and look at the queue before they sleep.
    looking: usize,
    threads: usize,
    /// Threads that wait for a function of the host.
    waiting: usize,
}

thread_local! {
    /// The pool that this thread belongs to.
    static OWN: Cell<Option<&'static Pool>> = const { Cell::new(None) };
}

/// Runs `wait`, which waits for a function of the host, while other threads may take this one's place.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    /// Takes the place back, also when the wait ends in a panic.
    struct Back(&'static Pool);
    impl Drop for Back {
        fn drop(&mut self) {
            OWN.set(Some(self.0));
            self.0.lock().waiting -= 1;
        }
    }
    // Who waits already has given its place away.
    let Some(pool) = OWN.take() else { return wait() };
    let mut state = pool.lock();
    state.waiting += 1;
    let _back = Back(pool);
    let wanted = !state.queue.is_empty() && state.idle + state.looking == 0;
    // Without a thread more the queue waits until one comes back.
    drop(pool.grow(state, wanted));
    wait()
}

static QUICK: LazyLock<Pool> =
    LazyLock::new(|| Pool::new(thread::available_parallelism().map_or(2, |n| n.get().max(2)), GLANCE));
static SLOW: LazyLock<Pool> = LazyLock::new(|| Pool::new(MOST_SLOW, Duration::ZERO));
static ASK: LazyLock<Pool> = LazyLock::new(|| Pool::new(MOST_ASKING, Duration::ZERO));

/// Queues a job. Threads start when there is work and end when there is none for a while. Errors: `io` when no thread
/// can be started.
pub fn submit(lane: Lane, job: Job) -> Result<()> {
    let pool: &'static Pool = match lane {
        Lane::Quick => &QUICK,
        Lane::Slow => &SLOW,
        Lane::Ask => &ASK,
    };
    let mut state = pool.lock();
    state.queue.push_back(job);
    pool.queued.store(state.queue.len(), Ordering::Release);
    let wanted = state.queue.len() > state.idle + state.looking;
    let (state, grown) = match pool.grow(state, wanted) {
        Ok(after) => after,
        Err(error) => {
            let mut state = pool.lock();
            // With other threads at work the job is done later.
            if state.threads > 0 {
                return Ok(());
            }
            state.queue.clear();
            pool.queued.store(0, Ordering::Release);
            return Err(error);
        }
    };
    if grown {
        return Ok(());
    }
    let wake = state.queue.len() > state.looking;
    drop(state);
    if wake {
        pool.wake.notify_one();
    }
    Ok(())
}

impl Pool {
    fn new(most: usize, glance: Duration) -> Self {
        Pool { state: Mutex::default(), wake: Condvar::new(), most, glance, queued: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more thread, if it is `wanted` and there may be one more. Whether it did. Errors: `io`.
    fn grow<'a>(
        &'static self,
        mut state: MutexGuard<'a, State>,
        wanted: bool,
    ) -> Result<(MutexGuard<'a, State>, bool)> {
        if !wanted || state.threads - state.waiting.min(state.threads) >= self.most {
            return Ok((state, false));
        }
        state.threads += 1;
        let started = thread::Builder::new().name("quorate".to_owned()).spawn(|| self.serve());
        match started {
            Ok(_) => Ok((state, true)),
            Err(e) => {
                state.threads -= 1;
                drop(state);
                Err(Error::with_source(Code::Io, format!("no thread could be started: {e}"), e))
            }
        }
    }

    /// Waits awake, for a moment, for a job to be queued.
    fn look(&self) {
        let since = Instant::now();
        while self.queued.load(Ordering::Acquire) == 0 && since.elapsed() < self.glance {
            std::hint::spin_loop();
        }
    }

    fn serve(&'static self) {
        OWN.set(Some(self));
        let mut state = self.lock();
        loop {
            if state.threads - state.waiting.min(state.threads) > self.most {
                // It was started beside threads that waited, which go on now.
                state.threads -= 1;
                return;
            }
            if let Some(job) = state.queue.pop_front() {
                self.queued.store(state.queue.len(), Ordering::Release);
                drop(state);
                job();
                state = self.lock();
                if state.queue.is_empty() && !self.glance.is_zero() {
                    state.looking += 1;
                    drop(state);
                    self.look();
                    state = self.lock();
                    state.looking -= 1;
                }
                continue;
            }
            state.idle += 1;
            let (woken, waited) =
                self.wake.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
