//! How does a caller stop long work?

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Code, Error, Result};

/// A flag that one thread raises and the working threads look at between steps of at most a few milliseconds.
///
/// ```
/// let cancel = quorate_core::Cancel::new();
/// assert!(cancel.check().is_ok());
/// cancel.clone().cancel();
/// assert_eq!(cancel.check().unwrap_err().code().as_str(), "cancelled");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

thread_local! {
    /// The flag that covers what this thread is doing, where there is one.
    static COVER: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag, for every clone.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Runs `work` under this flag: the calls that it makes on this thread take it by [`Cancel::current`], so that pure
    /// computations (all of consensus) can be stopped although they have no argument for it.
    ///
    /// ```
    /// let cancel = quorate_core::Cancel::new();
    /// cancel.cancel();
    /// assert!(cancel.cover(|| quorate_core::Cancel::current().check()).is_err());
    /// assert!(quorate_core::Cancel::current().check().is_ok());
    /// ```
    pub fn cover<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Puts back what was there, also when the work panics.
        struct Restore(Option<Cancel>);
        impl Drop for Restore {
            fn drop(&mut self) {
                COVER.set(self.0.take());
            }
        }
        let _restore = Restore(COVER.replace(Some(self.clone())));
        work()
    }

    /// The flag that covers this thread's work (see [`Cancel::cover`]); one that nobody can raise where there is none. Whoever hands work to
    /// other threads asks first, and gives them the flag.
    pub fn current() -> Cancel {
        COVER.with_borrow(Clone::clone).unwrap_or_default()
    }

    /// An error with code `cancelled` once the flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(Code::Cancelled, "the work was cancelled by its caller"));
        }
        Ok(())
    }
}
