//! Who hears of a change?

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A change of the registry, sent after it is durable and visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The registry's revision after the change.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// The agent's tenant.
    pub tenant: Option<String>,
    /// The agent's id.
    pub id: String,
}

/// What happened to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It is new.
    Added,
    /// It has a new definition.
    Updated,
    /// It is gone.
    Removed,
    /// An outcome was recorded for it.
    Outcome,
}

/// The listeners, each with the tenant whose events it may hear (none: all).
#[derive(Default)]
pub(super) struct Listeners {
    senders: Mutex<Vec<(Option<String>, Sender<Event>)>>,
}

impl Listeners {
    pub(super) fn subscribe(&self, tenant: Option<String>) -> Receiver<Event> {
        let (sender, receiver) = channel();
        self.lock().push((tenant, sender));
        receiver
    }

    /// Sends to those who may hear it; `public` events reach all. Listeners that are gone are forgotten.
    pub(super) fn send(&self, event: &Event, public: bool) {
        self.lock().retain(|(tenant, sender)| {
            let hears = tenant.is_none() || public || *tenant == event.tenant;
            !hears || sender.send(event.clone()).is_ok()
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Option<String>, Sender<Event>)>> {
        self.senders.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
