//! How does a forked child take a lock, or a value that is made once, at which a thread of its parent was at the fork?
//!
//! That thread is not in the child to let go. So the first to take an inherited lock waits for a moment only; once somebody
//! in the child has had it, it was free, and whoever comes next waits as everywhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::forks;

/// How often, and after how long, an inherited lock is tried again: another thread of the child may have just taken it.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(1);
/// The process of a lock that nobody has taken yet.
const NONE: u64 = u64::MAX;

/// A lock that children of a fork can inherit.
#[derive(Debug)]
pub struct Hold<T> {
    value: Mutex<T>,
    /// The process in which it was taken last, by the forks before it.
    process: AtomicU64,
}

impl<T: Default> Default for Hold<T> {
    fn default() -> Self {
        Hold::new(T::default())
    }
}

impl<T> Hold<T> {
    /// A lock that nobody has.
    pub const fn new(value: T) -> Self {
        Hold { value: Mutex::new(value), process: AtomicU64::new(NONE) }
    }

    /// Takes it where nobody has it.
    pub fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        match self.value.try_lock() {
            Ok(free) => Some(free),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for it; none where a thread of the parent process had it at the fork.
    pub fn take(&self) -> Option<MutexGuard<'_, T>> {
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

/// A value that is made when it is first needed, once; in a forked child that was made meanwhile, by the child too.
#[derive(Debug)]
pub struct Lazy<T> {
    value: OnceLock<T>,
    making: Hold<()>,
}

impl<T> Lazy<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Lazy { value: OnceLock::new(), making: Hold::new(()) }
    }

    /// The value, made by `make` when there is none; whoever comes meanwhile waits.
    pub fn get(&self, make: impl FnOnce() -> T) -> &T {
        self.get_in(forks(), make)
    }

    fn get_in(&self, process: u64, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.value.get() {
            return value;
        }
        let _one_at_a_time = self.making.take_in(process);
        if let Some(value) = self.value.get() {
            return value;
        }
        // Made before, so that nothing waits inside of the cell.
        let made = make();
        self.value.get_or_init(|| made)
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Lazy::new()
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
            let hold = &hold;
            let next = scope.spawn(move || {
                sender.send(()).unwrap();
                *hold.take_in(child).unwrap()
            });
            waits.recv().unwrap();
            *held = 7;
            drop(held);
            assert_eq!(next.join().unwrap(), 7);
        });
    }

    #[test]
    fn a_value_that_the_parent_was_making_is_made_by_the_child() {
        let lazy = Lazy::new();
        let making = lazy.making.take_in(forks()).unwrap();
        assert_eq!(*lazy.get_in(forks() + 1, || 7), 7);
        drop(making);
        assert_eq!(*lazy.get(|| 8), 7);
    }
}
