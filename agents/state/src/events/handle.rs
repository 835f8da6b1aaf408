//! How are events published, heard, replayed and forgotten?

use std::fmt;
use std::sync::Arc;

use quorate_core::{Cancel, Error, Result};
use serde_json::Value;

use super::rules::{self, Content, Subscribed};
use super::{DeadEvent, Event, Hall, PruneEvents, SubscribeOptions, pattern};
use crate::queue::{
    Clock, Line, QueueStats, Row, WorkOptions, Workers, check_pause, opened, parcel, said, start,
};
use crate::store::Place;
use crate::{StateStore, check, entry, gate};

/// The events of one tenant in a store. Clones are the same; it may be used from any thread and any process at once.
///
/// ```
/// use quorate_state::{StartFrom, StateStore, SubscribeOptions};
/// use serde_json::json;
/// # fn main() -> quorate_core::Result<()> {
/// let store = StateStore::memory();
/// let events = store.events(None)?;
/// events.publish("order.created", &json!({"id": 7}), Some("order-7"))?;
/// let billing = SubscribeOptions { group: "billing".into(), from: StartFrom::First, ..SubscribeOptions::default() };
/// let subscription = events.subscribe("order.*", &billing)?;
/// events.publish("order.shipped", &json!({"id": 7}), Some("order-7"))?;
///
/// let first = subscription.take(10)?;
/// assert_eq!(first.len(), 1, "the second has the same key, and waits for the first");
/// assert_eq!((first[0].seq, first[0].subject.as_str()), (1, "order.created"));
/// subscription.ack(&first[0])?;
/// assert_eq!(subscription.take(10)?[0].subject, "order.shipped");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Events {
    store: StateStore,
    tenant: Option<String>,
    clock: Clock,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("store", &self.store).field("tenant", &self.tenant).finish()
    }
}

impl StateStore {
    /// The events of a tenant (none: those that belong to nobody). Errors: `invalid_argument`, `too_large`.
    pub fn events(&self, tenant: Option<&str>) -> Result<Events> {
        tenant.map_or(Ok(()), |tenant| check::name("the tenant", tenant))?;
        Ok(Events { store: self.clone(), tenant: tenant.map(str::to_owned), clock: Arc::new(entry::now) })
    }
}

impl Events {
    /// The same events by another clock; see [`Queue::with_clock`](crate::Queue::with_clock).
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Events {
        self.clock = clock;
        self
    }

    fn line(&self, n: i64) -> Line {
        Line { store: self.store.clone(), n, clock: Arc::clone(&self.clock) }
    }

    fn now(&self) -> Result<f64> {
        self.line(0).now()
    }

    fn hall<T: Send + 'static>(
        &self,
        files: bool,
        job: impl FnOnce(&mut dyn Hall) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _section = gate::enter()?;
        let tenant = self.tenant.as_deref();
        match &self.store.0 {
            Place::Disk(disk) => disk.on_events(tenant, files, job),
            Place::Memory(memory) => memory.queues().hall(tenant, job),
        }
    }

    /// Writes an event, and puts it before every group that is subscribed to its subject: all of it or nothing; the event's
    /// number. It is on the disk when this returns.
    ///
    /// Errors: `invalid_argument`, `not_finite`, `too_large`; `locked`, `io`, `disk_full`, `permission_denied`, `corrupt`.
    pub fn publish(&self, subject: &str, data: &Value, key: Option<&str>) -> Result<u64> {
        pattern::check_subject(subject)?;
        key.map_or(Ok(()), |key| check::name("the key", key))?;
        let now = self.now()?;
        let content = Content {
            subject: subject.to_owned(),
            key: key.map(str::to_owned),
            time: now,
            data: data.clone(),
        };
        let doc = serde_json::to_value(content)
            .map_err(|e| Error::invalid(format!("the event cannot be written as JSON: {e}")))?;
        let (parcel, file) = parcel(&self.store, doc)?;
        let (subject, key) = (subject.to_owned(), key.map(str::to_owned));
        self.hall(file, move |hall| rules::publish(hall, now, &subject, key.as_deref(), &parcel))
    }

    /// Subscribes a group to the subjects that match a pattern: words with dots between them, where `*` is any one word, and
    /// `>` or `**` at the end is one or more. The group and the pattern are kept in the store, and hear events also while
    /// nobody works at them. Whoever subscribes to the same pattern in the same group shares its events.
    ///
    /// Errors: `invalid_argument`, `too_large`; `locked`, `io`, `disk_full`, `corrupt`.
    pub fn subscribe(&self, pattern: &str, options: &SubscribeOptions) -> Result<Subscription> {
        pattern::check_pattern(pattern)?;
        check::name("the group", &options.group)?;
        let limits = options.queue();
        limits.validate()?;
        let subscribed = Subscribed { group: options.group.clone(), pattern: pattern.to_owned() };
        let now = self.now()?;
        let (n, made) = {
            let _section = gate::enter()?;
            let (tenant, name) = (self.tenant.as_deref(), subscribed.name());
            match &self.store.0 {
                Place::Disk(disk) => {
                    disk.open_subscription(tenant, &name, &subscribed, &limits, options.from, now)?
                }
                Place::Memory(memory) => memory.queues().open_subscription(
                    tenant,
                    &name,
                    &subscribed,
                    &limits,
                    options.from,
                    now,
                )?,
            }
        };
        let subscription = Subscription { line: self.line(n), subscribed };
        if !made {
            subscription.line.configure(&limits)?;
        }
        Ok(subscription)
    }

    /// The groups that are subscribed, each with its pattern. Errors: `corrupt`, `io`, `locked`.
    pub fn subscriptions(&self) -> Result<Vec<(String, String)>> {
        let all = self.hall(false, |hall| hall.subscriptions())?;
        Ok(all.into_iter().map(|(_, of)| (of.group, of.pattern)).collect())
    }

    /// Puts the kept events from a number on before the groups once more, as far as they match and a group does not have
    /// them before it already; of one group, or of all. How many deliveries that makes. An event that is damaged is put before
    /// each of them, and aside as dead with its reason as soon as it is taken: none goes missing without a word, and none is in the
    /// way of the others. Errors: `corrupt`, `locked`, `io`.
    pub fn replay(&self, from: u64, group: Option<&str>) -> Result<usize> {
        let (now, store, group) = (self.now()?, self.store.clone(), group.map(str::to_owned));
        self.hall(false, move |hall| {
            let only = |_: i64, of: &Subscribed| group.as_ref().is_none_or(|group| *group == of.group);
            rules::replay(hall, now, from, &only, &|doc| opened(&store, doc))
        })
    }

    /// The same for events that were published at or after a time, in seconds since 1970. Errors: those of
    /// [`Events::replay`], `not_finite`.
    pub fn replay_since(&self, time: f64, group: Option<&str>) -> Result<usize> {
        if !time.is_finite() {
            return Err(Error::new(
                quorate_core::Code::NotFinite,
                format!("replay since {time}; give seconds since 1970"),
            ));
        }
        let from = self.hall(false, move |hall| rules::since(hall, time))?;
        self.replay(from, group)
    }

    /// Forgets events, as far as no group has them before it; how many. When this returns, no file of the store has a byte of
    /// them. Errors: `invalid_argument` where nothing says which; `locked` as for [`StateStore::delete`], `io`, `corrupt`.
    pub fn prune(&self, what: &PruneEvents) -> Result<usize> {
        if what.older_than.is_none() && what.keep.is_none() {
            return Err(Error::invalid("say which events may be forgotten: older_than, keep, or both"));
        }
        check_pause(what.older_than)?;
        let now = self.now()?;
        let (before, keep) = (what.older_than.map(|age| now - age), what.keep);
        let gone = self.hall(false, move |hall| rules::prune(hall, before, keep))?;
        if gone > 0
            && let Place::Disk(disk) = &self.store.0
        {
            let _section = gate::enter()?;
            disk.scrub()?;
        }
        Ok(gone)
    }

    /// The number of the newest event, 0 before the first. Errors: `corrupt`, `io`, `locked`.
    pub fn last(&self) -> Result<u64> {
        self.hall(false, |hall| hall.last())
    }
}

/// A group's events of one pattern. Clones are the same.
#[derive(Clone)]
pub struct Subscription {
    line: Line,
    subscribed: Subscribed,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("of", &self.subscribed).finish_non_exhaustive()
    }
}

impl Subscription {
    /// The group.
    pub fn group(&self) -> &str {
        &self.subscribed.group
    }

    /// The pattern.
    pub fn pattern(&self) -> &str {
        &self.subscribed.pattern
    }

    /// Takes at most so many events that nobody else of the group has, in the order of their numbers. Of those with one key
    /// the group has one at a time. Errors: those of [`Queue::take`](crate::Queue::take).
    pub fn take(&self, most: usize) -> Result<Vec<Event>> {
        let taken = self.line.take(most)?;
        Ok(taken.into_iter().map(|(row, value)| event(&self.line, &row, value)).collect())
    }

    /// Says that an event is worked off: the group does not get it again. Errors: those of
    /// [`Queue::ack`](crate::Queue::ack).
    pub fn ack(&self, event: &Event) -> Result<()> {
        self.line.ack(self.line.lease(&event.lease)?)
    }

    /// Gives an event back: the group gets it again after `delay` seconds, or the pause that the options say; those with its
    /// key wait for it. After the last attempt it is put aside as dead, and they go on; whether it was. Errors: those of
    /// [`Queue::ack`](crate::Queue::ack).
    pub fn nack(&self, event: &Event, delay: Option<f64>, reason: Option<&str>) -> Result<bool> {
        self.line.nack(self.line.lease(&event.lease)?, delay, reason, None)
    }

    /// Gives a sign: the lease begins anew. Until when it lasts. Errors: those of [`Queue::ack`](crate::Queue::ack).
    pub fn renew(&self, event: &Event) -> Result<f64> {
        self.line.renew(self.line.lease(&event.lease)?)
    }

    /// Works events off in threads of this process; see [`Queue::work`](crate::Queue::work). Errors: `invalid_argument`,
    /// `io`.
    pub fn work(
        &self,
        handler: impl Fn(&Event, &Cancel) -> Result<()> + Send + Sync + 'static,
        options: &WorkOptions,
    ) -> Result<Workers> {
        let line = self.line.clone();
        let handle =
            move |row: &Row, value: Value, cancel: &Cancel| handler(&event(&line, row, value), cancel);
        start(&self.line, Arc::new(handle), options)
    }

    /// The events that the group was given too often, in the order of their numbers. Errors: `corrupt`, `io`.
    pub fn dead(&self) -> Result<Vec<DeadEvent>> {
        let dead = self.line.dead()?.into_iter().map(|shown| {
            let damage = shown.content.as_ref().err().map(said);
            let row = shown.row;
            let Event { seq, subject, key, data, time, attempts, .. } =
                event(&self.line, &row, shown.content.unwrap_or_default());
            let reason = damage.or(shown.note).unwrap_or_default();
            DeadEvent { seq, subject, key, data, time, attempts, died_at: row.due, reason }
        });
        Ok(dead.collect())
    }

    /// Gives dead events to the group again, as if they had not been tried; how many. All or, with an error, none. Errors:
    /// `unknown_id` when one is not dead; `locked`, `io`.
    pub fn replay_dead(&self, seqs: &[u64]) -> Result<usize> {
        self.line.replay(seqs)
    }

    /// Gives dead events up; how many. All or, with an error, none. The events stay with the store until they are pruned.
    /// Errors: `unknown_id` when one is not dead; `locked`, `io`.
    pub fn discard_dead(&self, seqs: &[u64]) -> Result<usize> {
        self.line.discard(seqs)
    }

    /// How many of the group's events stand where. Errors: `unknown_id` when the subscription was deleted; `corrupt`, `io`.
    pub fn stats(&self) -> Result<QueueStats> {
        self.line.stats()
    }

    /// Ends the subscription for the whole group, with all that it has before it; whether it was there. Errors: `locked`,
    /// `io`.
    pub fn delete(&self) -> Result<bool> {
        self.line.delete()
    }
}

fn event(line: &Line, row: &Row, mut value: Value) -> Event {
    Event {
        seq: row.number,
        subject: value["subject"].as_str().unwrap_or_default().to_owned(),
        key: value["key"].as_str().map(str::to_owned),
        time: value["time"].as_f64().unwrap_or(row.since),
        data: value["data"].take(),
        attempts: row.attempts,
        lease: line.token(row),
        lease_until: row.due,
    }
}
