//! Who ends a request whose run was cancelled, or whose time is over?
//!
//! One thread for all runs of a runtime, which looks every few milliseconds while there are any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, spare};

/// How often the thread looks.
const TICK: Duration = Duration::from_millis(10);
/// How long it looks on after the last run, since another may follow.
const LINGERS: u32 = 100;

/// The runs that are watched.
#[derive(Default)]
pub(crate) struct Watch(Arc<Mutex<Watching>>);

#[derive(Default)]
struct Watching {
    runs: Vec<Weak<Watched>>,
    /// The process whose thread looks; a forked child needs one of its own.
    looks: Option<u32>,
}

/// A run, and the request that is under way in it.
pub(crate) struct Watched {
    cancel: Cancel,
    request: Mutex<Option<(Cancel, Option<Instant>)>>,
}

impl Watch {
    /// Watches a run until the result is dropped.
    pub(crate) fn watch(&self, cancel: Cancel) -> Arc<Watched> {
        let watched = Arc::new(Watched { cancel, request: Mutex::new(None) });
        let mut watching = lock(&self.0);
        watching.runs.push(Arc::downgrade(&watched));
        if watching.looks != Some(std::process::id()) {
            let shared = Arc::downgrade(&self.0);
            if spare::run(move || look(&shared)).is_ok() {
                watching.looks = Some(std::process::id());
            }
        }
        watched
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(shared: &Weak<Mutex<Watching>>) {
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let Some(shared) = shared.upgrade() else { return };
        let runs: Vec<Arc<Watched>> = {
            let mut watching = lock(&shared);
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
    /// A flag for a request that may take so many seconds.
    pub(crate) fn begin(&self, seconds: Option<f64>) -> Cancel {
        // A time that no clock can show is no limit.
        let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let cancel = Cancel::new();
        if self.cancel.is_cancelled() {
            cancel.cancel();
        }
        *lock(&self.request) = Some((cancel.clone(), until));
        cancel
    }

    pub(crate) fn end(&self) {
        *lock(&self.request) = None;
    }

    fn look(&self) {
        if let Some((cancel, until)) = &*lock(&self.request)
            && (self.cancel.is_cancelled() || until.is_some_and(|until| Instant::now() >= until))
        {
            cancel.cancel();
        }
    }
}
