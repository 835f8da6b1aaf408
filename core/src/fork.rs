//! Which process of a line of forks is this, and what does it hold for itself?
//!
//! A forked child has none of its parent's threads. Whatever owns threads is therefore made anew in each process.

use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::Result;

static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between the process that first asked and this one.
pub fn forks() -> u64 {
    register();
    FORKS.load(Ordering::Acquire)
}

#[cfg(unix)]
fn register() {
    static ONCE: Once = Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::AcqRel);
    }
    // SAFETY: the handler only adds to an atomic, which is allowed between fork and exec.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}

#[cfg(not(unix))]
fn register() {}

/// A value that each process makes for itself when it first needs it. There is no lock that a child could inherit locked;
/// what the parent made is leaked in the child, since the threads that could end it do not exist there.
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<(u64, T)>);

impl<T: Send + Sync> PerProcess<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        PerProcess(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value, made by `make` when there is none. Of two that are made at once, one is dropped.
    /// Errors: those of `make`.
    pub(crate) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&'static T> {
        let process = forks();
        let held = self.0.load(Ordering::Acquire);
        // SAFETY: a pointer in the slot comes from Box::into_raw below and is never freed.
        if let Some((owner, value)) = unsafe { held.as_ref() }
            && *owner == process
        {
            return Ok(value);
        }
        let fresh = Box::into_raw(Box::new((process, make()?)));
        match self.0.compare_exchange(held, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as above; the pointer was just made and now belongs to the slot.
            Ok(_) => Ok(unsafe { &(*fresh).1 }),
            Err(winner) => {
                // SAFETY: `fresh` was not published, so this is its only owner.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: as above; only a value of this process can have been put in meanwhile.
                Ok(unsafe { &(*winner).1 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once() {
        static SLOT: PerProcess<u32> = PerProcess::new();
        assert_eq!(*SLOT.get(|| Ok(7)).unwrap(), 7);
        assert_eq!(*SLOT.get(|| Ok(8)).unwrap(), 7);
    }
}
