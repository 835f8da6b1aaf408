//! How do many threads that write at once share one transaction and one wait for the disk?
//!
//! The first to come leads: it writes what has gathered in one transaction, each job within a savepoint of its own, and
//! wakes those whose jobs are done. What comes meanwhile gathers, and one of those threads leads next. No thread is there
//! for it alone.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use quorate_core::{Code, Error, Result};
use rusqlite::Connection;

/// The most jobs of one transaction, so that the first of them does not wait for ever.
const MAX_JOBS: usize = 1024;

/// What is written: all of it, or nothing where it gives an error.
pub(crate) type Job = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

/// A job and whether its caller waits for the disk.
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) durable: bool,
}

#[derive(Default)]
pub(crate) struct Group(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Vec<(Work, Arc<Ticket>)>,
    /// Whether a thread leads, or was told to.
    led: bool,
}

struct Ticket {
    state: Mutex<State>,
    woken: Condvar,
}

enum State {
    Waits,
    Leads,
    Done(Result<()>),
}

/// Nothing panics while it holds a lock here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ticket {
    fn tell(&self, state: State) {
        *lock(&self.state) = state;
        self.woken.notify_one();
    }
}

impl Group {
    /// Has `work` done, together with that of other threads. `write` is called by the one that leads, with the jobs of one
    /// transaction; it gives as many results. Errors: those of the job, and those of `write`.
    pub(crate) fn submit(&self, work: Work, write: impl Fn(Vec<Work>) -> Vec<Result<()>>) -> Result<()> {
        let ticket = Arc::new(Ticket { state: Mutex::new(State::Waits), woken: Condvar::new() });
        {
            let mut queue = lock(&self.0);
            queue.waiting.push((work, Arc::clone(&ticket)));
            if !queue.led {
                queue.led = true;
                *lock(&ticket.state) = State::Leads;
            }
        }
        loop {
            let mut state = lock(&ticket.state);
            loop {
                match std::mem::replace(&mut *state, State::Waits) {
                    State::Done(result) => return result,
                    State::Leads => break,
                    State::Waits => state = ticket.woken.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            }
            drop(state);
            self.lead(&write);
        }
    }

    /// Writes one transaction, and has another thread lead where jobs have gathered.
    fn lead(&self, write: impl Fn(Vec<Work>) -> Vec<Result<()>>) {
        let batch: Vec<_> = {
            let mut queue = lock(&self.0);
            let count = queue.waiting.len().min(MAX_JOBS);
            queue.waiting.drain(..count).collect()
        };
        let (work, tickets) = batch.into_iter().unzip();
        // Whatever happens, nobody waits for ever.
        let mut done = Done { group: self, tickets, results: Vec::new() };
        done.results = write(work);
    }
}

/// Tells the threads of a transaction how it ended.
struct Done<'a> {
    group: &'a Group,
    tickets: Vec<Arc<Ticket>>,
    results: Vec<Result<()>>,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut results = std::mem::take(&mut self.results).into_iter();
        for ticket in self.tickets.drain(..) {
            let lost = || Err(Error::new(Code::Internal, "what was to be written with others was lost"));
            ticket.tell(State::Done(results.next().unwrap_or_else(lost)));
        }
        let mut queue = lock(&self.group.0);
        match queue.waiting.first() {
            Some((_, next)) => next.tell(State::Leads),
            None => queue.led = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn work() -> Work {
        Work { job: Box::new(|_| Ok(())), durable: true }
    }

    #[test]
    fn threads_share_transactions_and_each_gets_its_result() {
        let (group, batches) = (Group::default(), AtomicUsize::new(0));
        let write = |work: Vec<Work>| {
            batches.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(1));
            work.iter().map(|work| if work.durable { Ok(()) } else { Err(Error::invalid("no")) }).collect()
        };
        std::thread::scope(|scope| {
            for i in 0..16 {
                let (group, write) = (&group, &write);
                scope.spawn(move || {
                    for j in 0..20 {
                        let durable = (i + j) % 2 == 0;
                        let result = group.submit(Work { durable, ..work() }, write);
                        assert_eq!(result.is_ok(), durable);
                    }
                });
            }
        });
        assert!(batches.load(Ordering::Relaxed) < 320);
        assert!(!lock(&group.0).led);
    }

    #[test]
    fn a_leader_that_fails_leaves_nobody_waiting() {
        let group = Group::default();
        assert_eq!(group.submit(work(), |_| Vec::new()).unwrap_err().code(), Code::Internal);
        group.submit(work(), |work| work.iter().map(|_| Ok(())).collect()).unwrap();
    }
}
