//! Where is let go of what takes a while to end?

use std::ops::Deref;

use crate::door::contain;
use crate::pool::{Lane, submit};

/// What may take long to be let go of, because it stores or closes something then: the last one is dropped on a thread of the
/// pool, and not on the JavaScript thread, where the garbage collector finds it.
pub struct Held<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Held<T> {
    /// Keeps `value`.
    pub fn new(value: T) -> Self {
        Held(Some(value))
    }
}

impl<T: Send + 'static> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it is taken out by drop alone"),
        }
    }
}

impl<T: Send + 'static> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            // Without a thread the job is dropped where it is, and the value with it.
            let _ = submit(
                Lane::Slow,
                Box::new(move || {
                    let _ = contain(|| {
                        drop(value);
                        Ok(())
                    });
                }),
            );
        }
    }
}
