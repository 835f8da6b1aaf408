//! When does something happen in a run by itself?

use super::Machine;
use crate::flow::fact::Waiting;
use crate::flow::state::Phase;

impl Machine {
    /// When something happens by itself, in seconds since 1970; what is being done has its own time.
    pub(crate) fn next_time(&self) -> Option<f64> {
        if self.state.ended.is_some() {
            return None;
        }
        let mut times: Vec<f64> = self.state.loose.iter().map(|one| one.until).collect();
        if self.state.undoing.is_some() {
            let back = self.next_undo().map(|index| &self.state.done[index]);
            times.extend(back.filter(|done| done.phase == Phase::Backoff).map(|done| done.retry_at));
            return times.into_iter().reduce(f64::min);
        }
        times.extend(self.state.spec.deadline);
        if !self.state.paused {
            for state in &self.state.steps {
                times.extend(match (&state.phase, &state.wait) {
                    (Phase::Backoff, _) => state.retry_at,
                    (Phase::Waiting, Some(wait)) => time_of(wait),
                    _ => None,
                });
            }
        }
        times.into_iter().reduce(f64::min)
    }

    /// When the first attempt that is being made is over its time.
    pub(crate) fn next_limit(&self) -> Option<f64> {
        let running = self.state.steps.iter().filter(|state| state.phase == Phase::Running);
        let undone = self.next_undo().map(|index| &self.state.done[index]);
        let undone = undone.filter(|done| done.phase == Phase::Running);
        running.filter_map(|state| state.until).chain(undone.map(|done| done.until)).reduce(f64::min)
    }
}

/// When a wait is over by itself.
pub(super) fn time_of(wait: &Waiting) -> Option<f64> {
    match wait {
        Waiting::Time { until } => Some(*until),
        Waiting::Signal { until, .. } | Waiting::Run { until, .. } => *until,
        Waiting::Review(asked) => asked.due,
        Waiting::Children {} => None,
    }
}
