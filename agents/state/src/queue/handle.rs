//! How are messages put, taken and settled?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quorate_core::{Cancel, Result};
use serde_json::{Value, json};

use super::options::{PutOptions, QueueOptions};
use super::place::{Line, Shown, said};
use super::rules::{self, Fresh};
use super::shelf::Row;
use super::worker::{self, WorkOptions, Workers};
use super::{DeadMessage, Message, Put, QueueStats};
use crate::store::Place;
use crate::{StateStore, check, entry, gate};

/// What tells the time, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A durable queue of one tenant. Clones are the same queue; it may be used from any thread and any process at once.
///
/// ```
/// use quorate_state::{PutOptions, QueueOptions, StateStore};
/// use serde_json::json;
/// # fn main() -> quorate_core::Result<()> {
/// let store = StateStore::memory();
/// let mail = store.queue(None, "mail", Some(&QueueOptions { concurrency: Some(4), ..QueueOptions::default() }))?;
/// mail.put(&json!({"to": "a@example.com"}), &PutOptions::default())?;
/// let urgent = PutOptions { priority: 9, dedup: Some("welcome-7".into()), ..PutOptions::default() };
/// assert!(mail.put(&json!({"to": "b@example.com"}), &urgent)?.new);
/// assert!(!mail.put(&json!({"to": "b@example.com"}), &urgent)?.new, "it is there already");
///
/// let taken = mail.take(1)?.remove(0);
/// assert_eq!(taken.data["to"], "b@example.com");
/// mail.ack(&taken)?;
/// assert_eq!(mail.ack(&taken).unwrap_err().code().as_str(), "stale_write", "it is settled");
/// assert_eq!((mail.stats()?.ready, mail.stats()?.done), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Queue {
    pub(crate) line: Line,
    name: Arc<str>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).field("store", &self.line.store).finish()
    }
}

impl StateStore {
    /// A queue of a tenant (none: one that belongs to nobody), which is made where it is not there. With options, they hold
    /// from now on, for every process that uses the queue; without, those that it has, or the default ones.
    ///
    /// Errors: `invalid_argument`, `not_finite`, `too_large`; `locked`, `io`, `disk_full`, `corrupt`.
    pub fn queue(&self, tenant: Option<&str>, name: &str, options: Option<&QueueOptions>) -> Result<Queue> {
        tenant.map_or(Ok(()), |tenant| check::name("the tenant", tenant))?;
        check::name("the name of a queue", name)?;
        options.map_or(Ok(()), QueueOptions::validate)?;
        let (n, made) = {
            let _section = gate::enter()?;
            match &self.0 {
                Place::Disk(disk) => disk.open_queue(tenant, name, options)?,
                Place::Memory(memory) => memory.queues().open(tenant, name, options)?,
            }
        };
        let line = Line { store: self.clone(), n, clock: Arc::new(entry::now) };
        let queue = Queue { line, name: name.into() };
        if let Some(options) = options.filter(|_| !made) {
            queue.configure(options)?;
        }
        Ok(queue)
    }

    /// The names of a tenant's queues, in their order. Errors: `corrupt`, `io`.
    pub fn queues(&self, tenant: Option<&str>) -> Result<Vec<String>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.queue_names(tenant),
            Place::Memory(memory) => Ok(memory.queues().names(tenant)),
        }
    }
}

impl Queue {
    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same queue by another clock: for tests, and for work that goes by the time of a simulation. All who use a queue
    /// should go by the same time. A clock that goes back by over a minute takes all times of the queue back with it.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Queue {
        self.line.clock = clock;
        self
    }

    /// What holds for the queue. Errors: `unknown_id` when it was deleted; `corrupt`, `io`.
    pub fn options(&self) -> Result<QueueOptions> {
        self.line.look(|shelf| Ok(shelf.queue()?.options))
    }

    /// Changes what holds for the queue, for everybody and at once. Errors: those of [`StateStore::queue`].
    pub fn configure(&self, options: &QueueOptions) -> Result<()> {
        options.validate()?;
        self.line.configure(options)
    }

    /// Puts a message. It is on the disk when this returns. Threads that put at the same time share the wait for the disk.
    ///
    /// Errors: `invalid_argument`, `not_finite`, `too_large`; `unknown_id` when the queue was deleted; `locked`, `io`,
    /// `disk_full`, `permission_denied`, `corrupt`.
    pub fn put(&self, data: &Value, options: &PutOptions) -> Result<Put> {
        options.validate()?;
        let now = self.line.now()?;
        let mut fields = BTreeMap::new();
        if options.key.is_none()
            && let Value::Object(object) = data
        {
            for (name, value) in object {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                fields.insert(name.clone(), text);
            }
        }
        let doc = json!({"data": data, "key": options.key, "priority": options.priority, "put": now});
        let (parcel, file) = self.line.parcel(doc)?;
        let fresh = Fresh {
            number: None,
            priority: options.priority,
            delay: options.delay.unwrap_or(0.0),
            once: options.dedup.as_deref().map(once_of),
            key: options.key.clone(),
            fields,
            body: 0,
        };
        let (id, new) =
            self.line.on(true, file, move |shelf| rules::put(shelf, now, &fresh, Some(&parcel)))?;
        if file && !new {
            self.line.untidy()?;
        }
        Ok(Put { id, new })
    }

    /// Takes at most so many messages: those that are due, the most urgent first, as far as the limits allow. Messages
    /// whose holder has ended, or gave no sign for the length of the lease, are among them.
    ///
    /// A message whose content is damaged is put aside as dead; where nothing else was taken, that is the error. So is one whose row
    /// is not what was written, with all that stood there in its reason.
    /// Errors: `corrupt`, `unknown_id` when the queue was deleted, `locked`, `io`.
    pub fn take(&self, most: usize) -> Result<Vec<Message>> {
        let taken = self.line.take(most)?;
        Ok(taken.into_iter().map(|(row, value)| self.message(&row, value)).collect())
    }

    fn message(&self, row: &Row, mut value: Value) -> Message {
        Message {
            id: row.number,
            data: value["data"].take(),
            key: serde_json::from_value(value["key"].take()).ok(),
            priority: row.priority,
            attempts: row.attempts,
            put_at: value["put"].as_f64().unwrap_or(row.since),
            lease: self.line.token(row),
            lease_until: row.due,
        }
    }

    /// Says that a message is worked off: it is removed, and nobody gets it again once this has returned.
    ///
    /// Errors: `stale_write` when the lease was lost: somebody else may have the message; `invalid_argument` for a message
    /// of another queue; `locked`, `io`, `disk_full`.
    pub fn ack(&self, message: &Message) -> Result<()> {
        self.line.ack(self.line.lease(&message.lease)?)
    }

    /// Gives a message back: somebody gets it again after `delay` seconds, or where none is given after the pause that the
    /// options say. After the last attempt it is put aside as dead, with `reason`; whether it was.
    /// Errors: those of [`Queue::ack`].
    pub fn nack(&self, message: &Message, delay: Option<f64>, reason: Option<&str>) -> Result<bool> {
        self.line.nack(self.line.lease(&message.lease)?, delay, reason, None)
    }

    /// Puts a message aside as dead, whatever attempts are left. Errors: those of [`Queue::ack`].
    pub fn reject(&self, message: &Message, reason: &str) -> Result<()> {
        self.line.nack(self.line.lease(&message.lease)?, None, Some(reason), Some(true)).map(drop)
    }

    /// Gives a sign: the lease begins anew. Until when it lasts. Errors: those of [`Queue::ack`].
    pub fn renew(&self, message: &Message) -> Result<f64> {
        self.line.renew(self.line.lease(&message.lease)?)
    }

    /// The messages that were tried too often.
    pub fn dead(&self) -> Dead<'_> {
        Dead(self)
    }

    /// How many messages stand where. Errors: `unknown_id` when the queue was deleted; `corrupt`, `io`.
    pub fn stats(&self) -> Result<QueueStats> {
        self.line.stats()
    }

    /// Removes the queue with all that is in it; whether it was there. When this returns, no file of the store has a byte of
    /// its messages. Errors: `locked` as for [`StateStore::delete`], `io`.
    pub fn delete(&self) -> Result<bool> {
        self.line.delete()
    }

    /// Works messages off in threads of this process, until the [`Workers`] are told to stop. Each message is taken, given
    /// to `handler`, and acknowledged where that returns; where it fails or panics, given back. Its lease is renewed
    /// meanwhile. The handler's [`Cancel`] is cancelled when the workers are to stop, and when the lease was lost all the
    /// same: then somebody else may have the message, and whatever the handler does is for nothing.
    ///
    /// Errors: `invalid_argument`; `io` when no thread can be made.
    pub fn work(
        &self,
        handler: impl Fn(&Message, &Cancel) -> Result<()> + Send + Sync + 'static,
        options: &WorkOptions,
    ) -> Result<Workers> {
        let queue = self.clone();
        let handle =
            move |row: &Row, value: Value, cancel: &Cancel| handler(&queue.message(row, value), cancel);
        worker::start(&self.line, Arc::new(handle), options)
    }
}

fn once_of(name: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("quorate-state name of a message");
    hasher.update(name.as_bytes());
    let mut once = [0; 16];
    hasher.finalize_xof().fill(&mut once);
    once
}

/// The messages of a queue that were tried too often.
#[derive(Debug)]
pub struct Dead<'a>(&'a Queue);

impl Dead<'_> {
    /// All of them, in the order of their numbers. Errors: `unknown_id` when the queue was deleted; `corrupt`, `io`.
    pub fn list(&self) -> Result<Vec<DeadMessage>> {
        Ok(self.0.line.dead()?.into_iter().map(shown).collect())
    }

    /// Puts messages back into the queue, as if they had not been tried; how many. All of them or, with an error, none.
    /// Errors: `unknown_id` when one is not dead; `locked`, `io`.
    pub fn replay(&self, ids: &[u64]) -> Result<usize> {
        self.0.line.replay(ids)
    }

    /// Removes messages; how many. All of them or, with an error, none. When this returns, no file of the store has a byte
    /// of them. Errors: `unknown_id` when one is not dead; `locked`, `io`.
    pub fn discard(&self, ids: &[u64]) -> Result<usize> {
        self.0.line.discard(ids)
    }
}

fn shown(shown: Shown) -> DeadMessage {
    let Shown { row, content, note } = shown;
    let damage = content.as_ref().err().map(said);
    let mut value = content.unwrap_or_default();
    DeadMessage {
        id: row.number,
        data: value["data"].take(),
        key: serde_json::from_value(value["key"].take()).ok(),
        priority: row.priority,
        attempts: row.attempts,
        put_at: value["put"].as_f64().unwrap_or(row.since),
        died_at: row.due,
        reason: damage.or(note).unwrap_or_default(),
    }
}
