//! How much time is left of a call?
//!
//! The deadline of the model that is called bounds the whole call: attempts, waits, repairs and fallbacks. A fallback's
//! own deadline bounds what is asked of that one, from when it is first asked. Clocks of models differ in where they
//! begin, so each model's time is kept as its own clock tells it.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::Code;

use super::Guard;
use crate::provider::Failure;

/// The models that a call has asked, the one that was called first, and since when.
#[derive(Clone, Default)]
pub(crate) struct CallTime(Vec<(Arc<Guard>, Duration)>);

impl CallTime {
    /// The time of what `guard` admits begins, unless it has already.
    pub(crate) fn begin(&mut self, guard: &Arc<Guard>) {
        if !self.0.iter().any(|(known, _)| Arc::ptr_eq(known, guard)) {
            self.0.push((Arc::clone(guard), guard.clock.now()));
        }
    }

    /// What is left for what `guard` admits; `None` when there is no end.
    pub(crate) fn left(&self, guard: &Guard) -> Option<Duration> {
        let own = self.0.iter().find(|(known, _)| std::ptr::eq(&**known, guard));
        self.0.first().into_iter().chain(own).filter_map(|(guard, since)| left(guard, *since)).min()
    }

    /// `failure` of an attempt that `guard` admitted. Where the deadline of the model that was called ended an attempt at
    /// a fallback, the fallback is not to blame: it may have had little time.
    pub(crate) fn blame(&self, guard: &Guard, failure: Failure) -> Failure {
        let hurried = self.0.first().is_some_and(|(first, since)| {
            !std::ptr::eq(&**first, guard) && left(first, *since) == Some(Duration::ZERO)
        });
        let unwell = failure.unwell && !(hurried && failure.error.code() == Code::Timeout);
        Failure { unwell, ..failure }
    }
}

fn left(guard: &Guard, since: Duration) -> Option<Duration> {
    let end = since.saturating_add(guard.options.deadline?);
    Some(end.saturating_sub(guard.clock.now()))
}

impl std::fmt::Debug for CallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallTime").field("models", &self.0.len()).finish_non_exhaustive()
    }
}
