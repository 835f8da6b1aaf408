//! Who hears of a change?
//!
//! Each listener has a queue of bounded length. The registry knows the queues weakly: one that was let go of is freed
//! at once, and forgotten at the next event or subscription of anybody.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A change of the registry, sent after it is durable and visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The registry's revision after the change.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// The agent's tenant.
    pub tenant: Option<String>,
    /// The agent's id; empty where events were missed.
    pub id: String,
}

/// What happened to an agent, as the listener sees it: one that becomes private is gone for other tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It is new.
    Added,
    /// It has a new definition.
    Updated,
    /// It is gone.
    Removed,
    /// An outcome was recorded for it. A tenant hears of its own outcomes only.
    Outcome,
    /// The listener did not keep up, and the oldest events were dropped: look at the registry anew.
    Missed,
}

/// Events that wait for a listener at most; the oldest are dropped then.
pub(super) const MAX_WAITING: usize = 65_536;

/// What a listener is called back with.
type Waker = Arc<dyn Fn() + Send + Sync>;

/// The changes of a registry, for one listener, in order. At most 65,536 wait; then the oldest are dropped and an event
/// of the kind [`Missed`](EventKind::Missed) stands in their place.
///
/// ```
/// # use quorate_agents::{Agent, AgentRegistry, EventKind, RegistryOptions};
/// # use quorate_core::embed::StaticModel;
/// let registry = AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin()?))?;
/// let events = registry.subscribe();
/// registry.add(Agent::new("a", "A", "Answers."))?;
/// assert_eq!(events.try_next().map(|e| e.kind), Some(EventKind::Added));
/// assert_eq!(events.try_next(), None);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct Events(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// The revision of the newest event that was dropped.
    missed: Option<u64>,
    /// The registry is gone.
    ended: bool,
    waker: Option<Waker>,
}

impl Events {
    /// The next event, if there is one now.
    pub fn try_next(&self) -> Option<Event> {
        self.0.lock().take()
    }

    /// The events that are there now.
    pub fn try_iter(&self) -> impl Iterator<Item = Event> + '_ {
        std::iter::from_fn(|| self.try_next())
    }

    /// The next event; none when there is none within `limit`, or when the registry is gone and all was heard.
    pub fn wait(&self, limit: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(limit);
        let mut waiting = self.0.lock();
        loop {
            if let Some(event) = waiting.take() {
                return Some(event);
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => limit,
            };
            if waiting.ended || left.is_zero() {
                return None;
            }
            waiting = self.0.more.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether no event will come any more: the registry is gone, and all was heard.
    pub fn is_ended(&self) -> bool {
        let waiting = self.0.lock();
        waiting.ended && waiting.events.is_empty() && waiting.missed.is_none()
    }

    /// Has `waker` called whenever there may be something to hear, also now and at the end, instead of one that was
    /// given before. It is called by the thread that changes the registry, which goes on when it returns: it must
    /// neither wait nor call the registry.
    pub fn wake_by(&self, waker: impl Fn() + Send + Sync + 'static) {
        let waker: Waker = Arc::new(waker);
        self.0.lock().waker = Some(waker.clone());
        waker();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let waker = {
            let mut waiting = self.lock();
            change(&mut waiting);
            waiting.waker.clone()
        };
        self.more.notify_all();
        if let Some(waker) = waker {
            waker();
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Event> {
        if let Some(revision) = self.missed.take() {
            return Some(Event { revision, kind: EventKind::Missed, tenant: None, id: String::new() });
        }
        self.events.pop_front()
    }

    fn push(&mut self, event: Event) {
        if self.events.len() >= MAX_WAITING
            && let Some(dropped) = self.events.pop_front()
        {
            self.missed = Some(dropped.revision);
        }
        self.events.push_back(event);
    }
}

/// The listeners, each with the tenant whose events it may hear (none: all).
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<(Option<String>, Weak<Queue>)>>);

impl Listeners {
    pub(super) fn subscribe(&self, tenant: Option<String>) -> Events {
        let queue = Arc::new(Queue::default());
        let mut all = self.lock();
        // Looked for each time that as many are new, so that a subscription costs the same however many there are.
        if all.len() == all.capacity() {
            all.retain(|(_, queue)| queue.strong_count() > 0);
            let room = all.len().max(16);
            all.shrink_to(room);
            all.reserve(room);
        }
        all.push((tenant, Arc::downgrade(&queue)));
        Events(queue)
    }

    /// Sends each listener what `heard` says for its tenant.
    pub(super) fn send(&self, heard: impl Fn(Option<&str>) -> Option<Event>) {
        let mut all = self.lock();
        all.retain(|(tenant, queue)| {
            let Some(queue) = queue.upgrade() else { return false };
            if let Some(event) = heard(tenant.as_deref()) {
                queue.change(|waiting| waiting.push(event));
            }
            true
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Option<String>, Weak<Queue>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for queue in self.lock().drain(..).filter_map(|(_, queue)| queue.upgrade()) {
            queue.change(|waiting| waiting.ended = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(revision: u64) -> Event {
        Event { revision, kind: EventKind::Added, tenant: None, id: "a".into() }
    }

    #[test]
    fn listeners_that_ended_are_forgotten() {
        let listeners = Listeners::default();
        let kept = listeners.subscribe(None);
        for _ in 0..100_000 {
            listeners.subscribe(Some("quiet".into()));
        }
        assert!(listeners.lock().len() <= 64, "{}", listeners.lock().len());
        listeners.send(|_| Some(event(1)));
        assert_eq!(listeners.lock().len(), 1);
        assert_eq!(kept.try_iter().count(), 1);
    }

    #[test]
    fn a_listener_that_does_not_listen_is_told_what_it_missed() {
        let listeners = Listeners::default();
        let slow = listeners.subscribe(None);
        for revision in 0..MAX_WAITING as u64 + 10 {
            listeners.send(|_| Some(event(revision)));
        }
        let heard: Vec<Event> = slow.try_iter().collect();
        assert_eq!((heard[0].kind, heard[0].revision), (EventKind::Missed, 9));
        assert_eq!((heard[1].revision, heard.len()), (10, MAX_WAITING + 1));
    }

    #[test]
    fn listeners_wake_and_end() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let listeners = Listeners::default();
        let events = listeners.subscribe(Some("t".into()));
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        events.wake_by(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        listeners.send(|tenant| (tenant == Some("t")).then(|| event(1)));
        listeners.send(|tenant| (tenant == Some("u")).then(|| event(2)));
        assert_eq!(woken.load(Ordering::Relaxed), 2);
        assert_eq!(events.wait(Duration::from_secs(60)).map(|e| e.revision), Some(1));
        assert_eq!(events.wait(Duration::from_millis(1)), None);
        assert!(!events.is_ended());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| events.wait(Duration::MAX));
            drop(listeners);
            assert_eq!(waits.join().unwrap(), None);
        });
        assert!(events.is_ended() && woken.load(Ordering::Relaxed) == 3);
    }
}
