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
#[derive(Clone, Default)]
pub struct Cancel(Arc<Flag>);

#[derive(Default)]
struct Flag {
    raised: AtomicBool,
    /// The flag that this one is raised with.
    above: Option<Cancel>,
    wakes: Hold<Wakes>,
}

/// Who is told, each by its number.
#[derive(Default)]
struct Wakes {
    last: u64,
    all: Vec<(u64, Arc<dyn Fn() + Send + Sync>)>,
}

/// Somebody who is told when a flag is raised; not any more once it is dropped.
pub struct Wake(Vec<(Cancel, u64)>);

impl Drop for Wake {
    fn drop(&mut self) {
        for (flag, number) in &self.0 {
            if let Some(mut wakes) = flag.0.wakes.take() {
                wakes.all.retain(|(other, _)| other != number);
            }
        }
    }
}

thread_local! {
    /// The flag that covers what this thread is doing, where there is one.
    static COVER: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

impl Cancel {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that is raised with this one, and can be raised alone: of one among many pieces of work.
    ///
    /// ```
    /// let (all, other) = (quorate_core::Cancel::new(), quorate_core::Cancel::new());
    /// let (one, two) = (all.child(), all.child());
    /// one.cancel();
    /// assert!(one.is_cancelled() && !two.is_cancelled() && !all.is_cancelled());
    /// all.cancel();
    /// assert!(two.is_cancelled() && !other.is_cancelled());
    /// ```
    pub fn child(&self) -> Cancel {
        Cancel(Arc::new(Flag { above: Some(self.clone()), ..Flag::default() }))
    }

    /// Raises the flag, for every clone, and tells who waits for it.
    pub fn cancel(&self) {
        if self.0.raised.swap(true, Ordering::AcqRel) {
            return;
        }
        let wakes = self.0.wakes.take().map(|wakes| wakes.all.clone());
        for (_, wake) in wakes.into_iter().flatten() {
            wake();
        }
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire) || self.0.above.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Has `wake` called, on the thread that raises the flag, so that nobody has to look again and again; at once where it
    /// is raised already, and it may be called more than once. It must be quick, and not unwind.
    ///
    /// ```
    /// let cancel = quorate_core::Cancel::new();
    /// let (sender, told) = std::sync::mpsc::channel();
    /// let wake = cancel.when_raised(move || {
    ///     let _ = sender.send(());
    /// });
    /// cancel.cancel();
    /// assert!(told.recv().is_ok());
    /// # drop(wake);
    /// ```
    pub fn when_raised(&self, wake: impl Fn() + Send + Sync + 'static) -> Wake {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut told = Vec::new();
        let mut flag = Some(self);
        while let Some(one) = flag {
            if let Some(mut wakes) = one.0.wakes.take() {
                wakes.last += 1;
                let number = wakes.last;
                wakes.all.push((number, Arc::clone(&wake)));
                told.push((one.clone(), number));
            }
            flag = one.0.above.as_ref();
        }
        // Whoever raises it from now on tells; before, nobody did.
        if self.is_cancelled() {
            wake();
        }
        Wake(told)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn who_waits_is_told_once_and_nobody_who_has_gone() {
        let all = Cancel::new();
        let one = all.child();
        let told: [Arc<AtomicUsize>; 3] = Default::default();
        let count = |n: usize| {
            let told = Arc::clone(&told[n]);
            move || {
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let first = one.when_raised(count(0));
        let gone = one.when_raised(count(1));
        let above = all.when_raised(count(2));
        drop(gone);
        one.cancel();
        one.cancel();
        let seen = || told.each_ref().map(|one| one.load(Ordering::SeqCst));
        assert_eq!(seen(), [1, 0, 0]);
        all.cancel();
        assert_eq!((seen()[1], seen()[2]), (0, 1));
        // Late is at once.
        let late = Cancel::clone(&one).when_raised(count(1));
        assert_eq!(seen()[1], 1);
        drop((first, above, late));
        assert!(all.0.wakes.take().is_some_and(|wakes| wakes.all.is_empty()));
        assert!(one.0.wakes.take().is_some_and(|wakes| wakes.all.is_empty()));
    }

    #[test]
    fn whoever_raises_it_while_somebody_begins_to_wait_tells() {
        for _ in 0..200 {
            let cancel = Cancel::new();
            let (sender, told) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let raise = cancel.clone();
                scope.spawn(move || raise.cancel());
                let _wake = cancel.child().when_raised(move || {
                    let _ = sender.send(());
                });
                assert!(told.recv_timeout(std::time::Duration::from_secs(20)).is_ok());
            });
        }
    }
}
