//! How does a forked child take a lock that a thread of its parent may have held at the fork?
//!
//! That thread is not in the child to let go. So the first to take an inherited lock waits for a moment only; once somebody
//! in the child has had it, it was free, and whoever comes next waits as everywhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use quorate_core::forks;

/// How often, and after how long, an inherited lock is tried again: another thread of the child may have just taken it.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// A lock that children of a fork can inherit.
pub(crate) struct Hold<T> {
    value: Mutex<T>,
    /// The process in which it was made or first taken, by the forks before it.
    process: AtomicU64,
}

impl<T> Hold<T> {
    pub(crate) fn new(value: T) -> Self {
        Hold { value: Mutex::new(value), process: AtomicU64::new(forks()) }
    }

    /// Takes it where nobody has it.
    pub(crate) fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(free) => Some(free),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for it; none where a thread of the parent process had it at the fork.
    pub(crate) fn take(&self) -> Option<MutexGuard<'_, T>> {
        self.take_in(forks())
    }

    fn take_in(&self, process: u64) -> Option<MutexGuard<'_, T>> {
        for _ in 0..ATTEMPTS {
            if self.process.load(Ordering::Acquire) == process {
                return Some(self.value.lock().unwrap_or_else(PoisonError::into_inner));
            }
            if let Some(free) = self.try_take() {
                self.process.store(process, Ordering::Release);
                return Some(free);
            }
            std::thread::sleep(PAUSE);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn who_inherits_a_lock_does_not_wait_for_ever_and_others_do() {
        let hold = Hold::new(0);
        let (here, child) = (forks(), forks() + 1);
        // A thread of the parent has it.
        let held = hold.take_in(here).unwrap();
        assert!(hold.take_in(child).is_none());
        drop(held);
        // One of the child has it; the next one waits until it lets go.
        let mut held = hold.take_in(child).unwrap();
        let (sender, waits) = channel();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| {
                sender.send(()).unwrap();
                *hold.take_in(child).unwrap()
            });
            waits.recv().unwrap();
            *held = 7;
            drop(held);
            assert_eq!(next.join().unwrap(), 7);
        });
    }
}
