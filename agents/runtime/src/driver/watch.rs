//! Who ends a request whose run was cancelled, or whose time is over?
//!
//! One thread for all runs of a runtime, which looks every few milliseconds while there are any. A run has a flag of its own:
//! that of its caller may be one of many questions, and other processes cancel through the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Hold, Result, spare};
use quorate_state::Run;

/// How often the thread looks.
const TICK: Duration = Duration::from_millis(10);
/// How long it looks on after the last run, since another may follow.
const LINGERS: u32 = 100;

/// The runs that are watched.
pub(crate) struct Watch(Arc<Hold<Watching>>);

#[derive(Default)]
pub(crate) struct Watching {
    runs: Vec<Weak<Watched>>,
    /// The process whose thread looks; a forked child needs one of its own.
    looks: Option<u32>,
}

/// A run, and the request that is under way in it.
pub(crate) struct Watched {
    /// The run's own flag, which is raised with its caller's.
    own: Cancel,
    /// Where others ask the run to stop; none once it has ended, so that nobody else holds its lease.
    run: Mutex<Option<Arc<Run>>>,
    request: Mutex<Option<(Cancel, Option<Instant>)>>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch(Arc::new(Hold::new(Watching::default())))
    }
}

impl Watch {
    /// Takes the lock, as a thread does that looks.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> Option<MutexGuard<'_, Watching>> {
        self.0.take()
    }

    /// Watches a run, where there is one, until the result is dropped.
    pub(crate) fn watch(&self, caller: Cancel, run: Option<Arc<Run>>) -> Arc<Watched> {
        let own = caller.child();
        let watched = Watched { own, run: Mutex::new(run), request: Mutex::new(None) };
        let watched = Arc::new(watched);
        let Some(mut watching) = self.0.take() else {
            // A forked child whose parent looked just then: the run is watched by itself.
            let alone = Arc::downgrade(&watched);
            let _ = spare::run(move || {
                while let Some(run) = alone.upgrade() {
                    run.look();
                    drop(run);
                    std::thread::sleep(TICK);
                }
            });
            return watched;
        };
        watching.runs.push(Arc::downgrade(&watched));
        if watching.looks != Some(std::process::id()) {
            let shared = Arc::downgrade(&self.0);
            if spare::run(move || look(&shared)).is_ok() {
                watching.looks = Some(std::process::id());
            }
        }
        drop(watching);
        watched
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(shared: &Weak<Hold<Watching>>) {
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let Some(shared) = shared.upgrade() else { return };
        let runs: Vec<Arc<Watched>> = {
            let Some(mut watching) = shared.take() else { return };
            watching.runs.retain(|run| run.strong_count() > 0);
            idle = if watching.runs.is_empty() { idle + 1 } else { 0 };
            if idle > LINGERS {
                watching.looks = None;
                return;
            }
            watching.runs.iter().filter_map(Weak::upgrade).collect()
        };
        for run in runs {
            run.look();
        }
    }
}

impl Watched {
    /// The run's own flag.
    pub(crate) fn flag(&self) -> &Cancel {
        &self.own
    }

    /// Whether the run is to stop. Errors: those of the store.
    pub(crate) fn cancelled(&self) -> Result<bool> {
        if !self.own.is_cancelled() && lock(&self.run).as_ref().map_or(Ok(false), |run| run.cancelled())? {
            self.own.cancel();
        }
        Ok(self.own.is_cancelled())
    }

    /// Lets go of the run.
    pub(crate) fn close(&self) {
        *lock(&self.run) = None;
    }

    /// A flag for a request that may take so many seconds.
    pub(crate) fn begin(&self, seconds: Option<f64>) -> Cancel {
        // A time that no clock can show is no limit.
        let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let cancel = self.own.child();
        *lock(&self.request) = Some((cancel.clone(), until));
        cancel
    }

    pub(crate) fn end(&self) {
        *lock(&self.request) = None;
    }

    fn look(&self) {
        // An error of the store comes up where the run next asks it.
        let cancelled = self.cancelled().unwrap_or(false);
        if let Some((cancel, until)) = &*lock(&self.request)
            && (cancelled || until.is_some_and(|until| Instant::now() >= until))
        {
            cancel.cancel();
        }
    }
}
