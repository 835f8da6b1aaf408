//! Who takes the runs that are due, and what becomes of those that cannot be gone on with?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_core::{Code, Error};
use quorate_state::{Advance, Wake};

use super::drive::Drive;
use super::engine::{Inner, KIND};
use super::schedule::Look;

/// How often work of other processes is looked for.
const LOOK: Duration = Duration::from_millis(25);
/// How long a run is left alone that could not be gone on with, in seconds.
const REST: f64 = 5.0;
/// How many faults are remembered.
const MAX_FAULTS: usize = 100;

/// Goes on with what is due, until the engine is drained or closed.
pub(crate) fn dispatch(inner: &Arc<Inner>, queues: Option<&[String]>, concurrency: usize) {
    let queues: Option<Vec<&str>> = queues.map(|queues| queues.iter().map(String::as_str).collect());
    let mine = Arc::new(AtomicUsize::new(0));
    let mut schedules = Look::new();
    while !inner.is_draining() {
        let seen = inner.moves();
        let free = concurrency.saturating_sub(mine.load(Ordering::Acquire));
        if free > 0 {
            match inner.store.claim(inner.tenant.as_deref(), KIND, queues.as_deref(), inner.clock.now(), free)
            {
                Ok(runs) => runs.into_iter().for_each(|run| go_on(inner, run, &mine)),
                Err(error) => fault(inner, "", &error),
            }
        }
        if let Err((id, error)) = schedules.look(inner) {
            fault(inner, &id, &error);
        }
        inner.wait_moved(seen, LOOK);
    }
}

fn fault(inner: &Inner, run: &str, error: &Error) {
    let mut faults = inner.faults();
    if faults.len() >= MAX_FAULTS {
        faults.remove(0);
    }
    faults.push((run.to_owned(), error.to_string()));
}

fn go_on(inner: &Arc<Inner>, run: quorate_state::Run, mine: &Arc<AtomicUsize>) {
    let id = run.id().to_owned();
    mine.fetch_add(1, Ordering::AcqRel);
    inner.active.fetch_add(1, Ordering::AcqRel);
    let (worker, counted, name) = (Arc::clone(inner), Arc::clone(mine), id.clone());
    let spawned = std::thread::Builder::new().name("quorate-run".to_owned()).spawn(move || {
        let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Drive::open(&worker, run).and_then(Drive::go)
        }));
        let gone =
            gone.unwrap_or_else(|_| Err(Error::new(Code::Internal, "going on with a run has panicked")));
        if let Err(error) = gone {
            fault(&worker, &name, &error);
            rest(&worker, &name);
        }
        counted.fetch_sub(1, Ordering::AcqRel);
        worker.active.fetch_sub(1, Ordering::AcqRel);
        worker.moved();
    });
    if let Err(error) = spawned {
        mine.fetch_sub(1, Ordering::AcqRel);
        inner.active.fetch_sub(1, Ordering::AcqRel);
        fault(inner, &id, &Error::new(Code::Io, format!("no thread could be started: {error}")));
    }
}

/// A run that could not be gone on with is left alone for a while. Where even that cannot be written, it is tried again at once.
fn rest(inner: &Inner, id: &str) {
    let Ok(run) = inner.store.take(inner.tenant.as_deref(), id) else { return };
    let wake = Wake::At(inner.clock.now() + REST);
    let _ = run.advance(&Advance { wake, read: u64::MAX, ..Advance::default() });
}
