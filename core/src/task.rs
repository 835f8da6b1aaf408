//! How does a caller stop long work?

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Code, Error, Hold, Result};

/// A flag that one thread raises and the working threads look at between steps of at most a few milliseconds.
///
/// ```
/// let cancel = quorate_core::Cancel::new();
/// assert!(cancel.check().is_ok());
/// cancel.clone().cancel();
/// assert_eq!(cancel.check().unwrap_err().code().as_str(), "cancelled");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Flag>);

type Tell = Box<dyn FnOnce() + Send>;

struct Flag {
    raised: AtomicBool,
    told: Hold<Waiting>,
}

/// Those who are told once a flag is raised.
struct Waiting {
    waiting: Vec<(u64, Tell)>,
    /// The number of the newest.
    numbers: u64,
}

impl Default for Flag {
    fn default() -> Self {
        let told = Hold::new(Waiting { waiting: Vec::new(), numbers: 0 });
        Flag { raised: AtomicBool::new(false), told }
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flag").field(&self.raised).finish()
    }
}

/// Somebody who is told when a flag is raised; not any more once this is dropped.
#[derive(Debug)]
#[must_use = "who is told is forgotten when this is dropped"]
pub struct Told {
    of: Cancel,
    number: u64,
}

thread_local! {
    /// The flag that covers what this thread is doing, where there is one.
    static COVER: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag, for every clone, and tells those who wait for that.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
        let told = self.0.told.take().map(|mut told| std::mem::take(&mut told.waiting));
        for (_, tell) in told.unwrap_or_default() {
            tell();
        }
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Has `tell` called once the flag is raised, on the thread that raises it; at once where it is. It must be quick, and take no lock that
    /// somebody holds while he raises the flag. For those who wait for something that does not look at the flag.
    ///
    /// ```
    /// let (cancel, (sender, waits)) = (quorate_core::Cancel::new(), std::sync::mpsc::channel());
    /// let told = cancel.tell(move || drop(sender.send("stop")));
    /// cancel.cancel();
    /// assert_eq!(waits.recv(), Ok("stop"));
    /// drop(told);
    /// ```
    pub fn tell(&self, tell: impl FnOnce() + Send + 'static) -> Told {
        let mut tell: Option<Tell> = Some(Box::new(tell));
        let mut number = 0;
        // Where a thread of the parent process held the lock at the fork, nobody can be told.
        if let Some(mut told) = self.0.told.take() {
            // Who raises the flag takes the lock after that: nobody is left out.
            if !self.is_cancelled() {
                told.numbers += 1;
                number = told.numbers;
                told.waiting.extend(tell.take().map(|tell| (number, tell)));
            }
        }
        if let Some(tell) = tell.filter(|_| self.is_cancelled()) {
            tell();
        }
        Told { of: self.clone(), number }
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

impl Drop for Told {
    fn drop(&mut self) {
        // Dropped after the lock: nobody knows what it holds.
        let _tell = self.of.0.told.take().and_then(|mut told| {
            let at = told.waiting.iter().position(|(number, _)| *number == self.number)?;
            Some(told.waiting.swap_remove(at))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Cancel;

    #[test]
    fn those_who_wait_are_told_once_and_who_has_gone_is_not() {
        let (cancel, count) = (Cancel::new(), Arc::new(AtomicUsize::new(0)));
        let tell = |by: usize| {
            let count = Arc::clone(&count);
            move || drop(count.fetch_add(by, Ordering::SeqCst))
        };
        let (_one, gone, _two) = (cancel.tell(tell(1)), cancel.tell(tell(10)), cancel.tell(tell(100)));
        drop(gone);
        cancel.clone().cancel();
        assert_eq!(count.load(Ordering::SeqCst), 101);
        cancel.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 101);
        let _late = cancel.tell(tell(1000));
        assert_eq!(count.load(Ordering::SeqCst), 1101);
        // Only what was told, and holds nothing any more.
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn nobody_is_left_out_whoever_is_first() {
        for _ in 0..2000 {
            let cancel = Cancel::new();
            let (sender, told) = std::sync::mpsc::channel();
            let raiser = std::thread::spawn({
                let cancel = cancel.clone();
                move || cancel.cancel()
            });
            let _told = cancel.tell(move || drop(sender.send(())));
            told.recv().unwrap();
            raiser.join().unwrap();
        }
    }
}
