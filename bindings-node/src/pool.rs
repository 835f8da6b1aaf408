//! On which threads does work run? On threads of quorate's own, so that a long ingest never holds up Node's file system.

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

/// Which work shares threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Pure computation of some milliseconds, such as a search: as many at once as there are cores.
    Quick,
    /// All else: ingest, opening, networks, callbacks. It must not hold up what is quick.
    Slow,
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
}

static QUICK: LazyLock<Pool> =
    LazyLock::new(|| Pool::new(thread::available_parallelism().map_or(2, |n| n.get().max(2)), GLANCE));
static SLOW: LazyLock<Pool> = LazyLock::new(|| Pool::new(MOST_SLOW, Duration::ZERO));

/// Queues a job. Threads start when there is work and end when there is none for a while. Errors: `io` when no thread
/// can be started.
pub fn submit(lane: Lane, job: Job) -> Result<()> {
    let pool: &'static Pool = match lane {
        Lane::Quick => &QUICK,
        Lane::Slow => &SLOW,
    };
    let mut state = pool.lock();
    state.queue.push_back(job);
    pool.queued.store(state.queue.len(), Ordering::Release);
    if state.queue.len() > state.idle + state.looking && state.threads < pool.most {
        state.threads += 1;
        drop(state);
        let started = thread::Builder::new().name("quorate".to_owned()).spawn(|| pool.serve());
        if let Err(e) = started {
            let mut state = pool.lock();
            state.threads -= 1;
            // With other threads at work the job is done later.
            if state.threads == 0 {
                state.queue.clear();
                pool.queued.store(0, Ordering::Release);
                return Err(Error::with_source(Code::Io, format!("no thread could be started: {e}"), e));
            }
        }
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

    /// Waits awake, for a moment, for a job to be queued.
    fn look(&self) {
        let since = Instant::now();
        while self.queued.load(Ordering::Acquire) == 0 && since.elapsed() < self.glance {
            std::hint::spin_loop();
        }
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
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
