//! How do hosts put work and events into line, and take them out of it?

use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_state::{
    DeadEvent, DeadMessage, Event, Events, Message, PruneEvents, PutOptions, Queue, QueueOptions, Retry,
    SagaOptions, StateStore, SubscribeOptions, Subscription, WorkOptions, Workers, bounded_seconds, seconds,
};
use serde_json::{Value, json};

use crate::{Host, Options};

/// How often who waits looks whether anybody still wants to know.
const LOOK: Duration = Duration::from_millis(50);

/// The most ids of one call.
const MAX_IDS: usize = 1 << 20;

/// What messages or events are taken from: a queue, or the events of a group.
#[derive(Clone, Debug)]
pub enum Line {
    /// Messages that were put.
    Queue(Queue),
    /// Events that were published.
    Events(Subscription),
}

/// What holds for a queue: the members of [`QueueOptions`]; none where nothing is said. Errors: `invalid_argument`.
///
/// ```
/// use quorate_bindings::{Host, queue};
/// let given = serde_json::json!({"perKey": {"tenantId": 1}, "rate": "100/m", "aging": "1m", "retry": 3});
/// let options = queue::queue_options(Host::Node, given)?.unwrap();
/// assert_eq!((options.aging, options.retry.max_attempts), (Some(60.0), 3));
/// assert!(queue::queue_options(Host::Python, serde_json::json!({}))?.is_none());
/// assert!(queue::queue_options(Host::Python, serde_json::json!({"rate": "often"})).is_err());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn queue_options(host: Host, given: Value) -> Result<Option<QueueOptions>> {
    let said = given.as_object().is_none_or(|members| members.values().any(|value| !value.is_null()));
    let mut options = Options::new(host, "options of a queue", given)?;
    let plain = QueueOptions::default();
    let made = QueueOptions {
        concurrency: options.take("concurrency", "a whole number from 1")?,
        per_key: options
            .take("per_key", "a whole number from 1, or an object from parts of keys to such numbers")?
            .unwrap_or_default(),
        rate: options.take("rate", "a text such as 100/m, 5/s or 20/10s")?,
        aging: span(&mut options, "aging")?,
        lease: span(&mut options, "lease")?.unwrap_or(plain.lease),
        retry: retry(&mut options, "retry", plain.retry)?.unwrap_or(plain.retry),
        dedup_for: span(&mut options, "dedup_for")?.unwrap_or(plain.dedup_for),
        ordered: options.take("ordered", "true or false")?.unwrap_or(false),
    };
    options.done()?;
    made.validate()?;
    Ok(said.then_some(made))
}

/// How a message is put: `priority`, `delay`, `dedup`, `key`. Errors: `invalid_argument`.
pub fn put_options(host: Host, given: Value) -> Result<PutOptions> {
    let mut options = Options::new(host, "options of a message", given)?;
    let made = PutOptions {
        priority: options.take("priority", "a whole number")?.unwrap_or(0),
        delay: span(&mut options, "delay")?,
        dedup: options.take("dedup", "a text")?,
        key: options.take("key", "a text, or an object from parts to texts")?,
    };
    options.done()?;
    made.validate()?;
    Ok(made)
}

/// How messages are worked off: `threads`, `poll`, `retry`. Errors: `invalid_argument`.
pub fn work_options(host: Host, given: Value) -> Result<WorkOptions> {
    let mut options = Options::new(host, "options of work", given)?;
    let plain = WorkOptions::default();
    let made = WorkOptions {
        threads: options.take("threads", "a whole number from 1")?.unwrap_or(plain.threads),
        poll: span(&mut options, "poll")?.unwrap_or(plain.poll),
        retry: retry(&mut options, "retry", Retry::default())?,
    };
    options.done()?;
    made.validate()?;
    Ok(made)
}

/// How a group is subscribed: the members of [`SubscribeOptions`], with `from_` for where it begins. Errors: `invalid_argument`.
pub fn subscribe_options(host: Host, given: Value) -> Result<SubscribeOptions> {
    let mut options = Options::new(host, "options of a subscription", given)?;
    let plain = SubscribeOptions::default();
    let made = SubscribeOptions {
        group: options.take("group", "a text")?.unwrap_or(plain.group),
        from: options.take("from_", "'last', 'first', or the number of an event")?.unwrap_or(plain.from),
        concurrency: options.take("concurrency", "a whole number from 1")?,
        rate: options.take("rate", "a text such as 100/m, 5/s or 20/10s")?,
        lease: span(&mut options, "lease")?.unwrap_or(plain.lease),
        retry: retry(&mut options, "retry", plain.retry)?.unwrap_or(plain.retry),
    };
    options.done()?;
    Ok(made)
}

/// Which events may be forgotten: `older_than`, `keep`. Errors: `invalid_argument`.
pub fn forget_options(host: Host, given: Value) -> Result<PruneEvents> {
    let mut options = Options::new(host, "options of a pruning", given)?;
    let made = PruneEvents {
        older_than: span(&mut options, "older_than")?,
        keep: options.take("keep", "a whole number from 0")?,
    };
    options.done()?;
    Ok(made)
}

/// How a saga is carried through: `recover`, `undo`. Errors: `invalid_argument`.
pub fn saga_options(host: Host, given: Value) -> Result<SagaOptions> {
    let mut options = Options::new(host, "options of a saga", given)?;
    let plain = SagaOptions::default();
    let made = SagaOptions {
        recover: options.take("recover", "'undo' or 'forward'")?.unwrap_or(plain.recover),
        undo: retry(&mut options, "undo", plain.undo)?.unwrap_or(plain.undo),
    };
    options.done()?;
    Ok(made)
}

/// A number of seconds, or a span such as `5m`. Errors: `invalid_argument`.
fn span(options: &mut Options, name: &str) -> Result<Option<f64>> {
    let Some(given) = options.value(name) else { return Ok(None) };
    let read = match &given {
        Value::String(text) => seconds(text),
        Value::Number(number) => bounded_seconds(number.as_f64().unwrap_or(f64::NAN)),
        _ => return Err(options.refuse(name, &given, "a number of seconds, or a span such as 5m,")),
    };
    read.map(Some).map_err(|wrong| Error::invalid(format!("{}: {wrong}", options.name(name))))
}

/// How often something is tried: a number of attempts, or `max_attempts`, `first`, `factor`, `longest`.
/// Errors: `invalid_argument`.
fn retry(options: &mut Options, name: &str, plain: Retry) -> Result<Option<Retry>> {
    let attempts = "a whole number of attempts from 1";
    match options.value(name) {
        None => Ok(None),
        Some(given @ Value::Number(_)) => match given.as_u64().map(u32::try_from) {
            Some(Ok(max_attempts)) => Ok(Some(Retry { max_attempts, ..plain })),
            _ => Err(options.refuse(name, &given, attempts)),
        },
        Some(given @ Value::Object(_)) => {
            let mut members = Options::new(options.host(), "the members of a retry", given)?;
            let made = Retry {
                max_attempts: members.take("max_attempts", attempts)?.unwrap_or(plain.max_attempts),
                first: span(&mut members, "first")?.unwrap_or(plain.first),
                factor: members.take("factor", "a number from 1")?.unwrap_or(plain.factor),
                longest: span(&mut members, "longest")?.unwrap_or(plain.longest),
            };
            members.done()?;
            Ok(Some(made))
        }
        Some(other) => Err(options.refuse(name, &other, "a number of attempts, or an object,")),
    }
}

/// A value under the host's names; what users have put into it keeps its own.
fn shown<const N: usize>(host: Host, members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (host.name(name), value)).collect())
}

fn message(host: Host, one: Message) -> Value {
    let Message { id, data, key, priority, attempts, put_at, lease, lease_until } = one;
    shown(
        host,
        [
            ("id", id.into()),
            ("data", data),
            ("key", json!(key)),
            ("priority", priority.into()),
            ("attempts", attempts.into()),
            ("put_at", put_at.into()),
            ("lease", lease.into()),
            ("lease_until", lease_until.into()),
        ],
    )
}

fn event(host: Host, one: Event) -> Value {
    let Event { seq, subject, key, data, time, attempts, lease, lease_until } = one;
    shown(
        host,
        [
            ("seq", seq.into()),
            ("subject", subject.into()),
            ("key", json!(key)),
            ("data", data),
            ("time", time.into()),
            ("attempts", attempts.into()),
            ("lease", lease.into()),
            ("lease_until", lease_until.into()),
        ],
    )
}

fn dead_message(host: Host, one: DeadMessage) -> Value {
    let DeadMessage { id, data, key, priority, attempts, put_at, died_at, reason } = one;
    shown(
        host,
        [
            ("id", id.into()),
            ("data", data),
            ("key", json!(key)),
            ("priority", priority.into()),
            ("attempts", attempts.into()),
            ("put_at", put_at.into()),
            ("died_at", died_at.into()),
            ("reason", reason.into()),
        ],
    )
}

fn dead_event(host: Host, one: DeadEvent) -> Value {
    let DeadEvent { seq, subject, key, data, time, attempts, died_at, reason } = one;
    shown(
        host,
        [
            ("seq", seq.into()),
            ("subject", subject.into()),
            ("key", json!(key)),
            ("data", data),
            ("time", time.into()),
            ("attempts", attempts.into()),
            ("died_at", died_at.into()),
            ("reason", reason.into()),
        ],
    )
}

/// What settles a message: its lease alone.
fn held(lease: String) -> Message {
    let none = Message {
        id: 0,
        data: Value::Null,
        key: None,
        priority: 0,
        attempts: 0,
        put_at: 0.0,
        lease: String::new(),
        lease_until: 0.0,
    };
    Message { lease, ..none }
}

fn heard(lease: String) -> Event {
    let none = Event {
        seq: 0,
        subject: String::new(),
        key: None,
        data: Value::Null,
        time: 0.0,
        attempts: 0,
        lease: String::new(),
        lease_until: 0.0,
    };
    Event { lease, ..none }
}

impl Line {
    /// The options that hold for a queue, as hosts see them. Errors: those of [`Queue::options`]; `unsupported` for events.
    pub fn options(&self, host: Host) -> Result<Value> {
        let Line::Queue(queue) = self else { return Err(no_queue()) };
        let QueueOptions { concurrency, per_key, rate, aging, lease, retry, dedup_for, ordered } =
            queue.options()?;
        let retry = shown(
            host,
            [
                ("max_attempts", retry.max_attempts.into()),
                ("first", retry.first.into()),
                ("factor", retry.factor.into()),
                ("longest", retry.longest.into()),
            ],
        );
        let members = [
            ("concurrency", json!(concurrency)),
            ("per_key", json!(per_key)),
            ("rate", json!(rate)),
            ("aging", json!(aging)),
            ("lease", lease.into()),
            ("retry", retry),
            ("dedup_for", dedup_for.into()),
            ("ordered", ordered.into()),
        ];
        Ok(shown(host, members))
    }

    /// Puts a message; its number, and whether it is new. Errors: those of [`Queue::put`]; `unsupported` for events.
    pub fn put(&self, data: &Value, options: &PutOptions) -> Result<Value> {
        let Line::Queue(queue) = self else { return Err(no_queue()) };
        let put = queue.put(data, options)?;
        Ok(json!({"id": put.id, "new": put.new}))
    }

    /// Takes at most so many, as hosts see them. Errors: those of [`Queue::take`].
    pub fn take(&self, host: Host, most: usize) -> Result<Value> {
        Ok(match self {
            Line::Queue(queue) => queue.take(most)?.into_iter().map(|one| message(host, one)).collect(),
            Line::Events(events) => events.take(most)?.into_iter().map(|one| event(host, one)).collect(),
        })
    }

    /// Says that what is held by a lease is worked off. Errors: those of [`Queue::ack`].
    pub fn ack(&self, lease: String) -> Result<()> {
        match self {
            Line::Queue(queue) => queue.ack(&held(lease)),
            Line::Events(events) => events.ack(&heard(lease)),
        }
    }

    /// Gives it back; whether it was put aside as dead. Errors: those of [`Queue::nack`].
    pub fn nack(&self, host: Host, lease: String, given: Value) -> Result<bool> {
        let mut options = Options::new(host, "options of what is given back", given)?;
        let delay = span(&mut options, "delay")?;
        let reason: Option<String> = options.take("reason", "a text")?;
        options.done()?;
        match self {
            Line::Queue(queue) => queue.nack(&held(lease), delay, reason.as_deref()),
            Line::Events(events) => events.nack(&heard(lease), delay, reason.as_deref()),
        }
    }

    /// Puts it aside as dead. Errors: those of [`Queue::reject`]; `unsupported` for events.
    pub fn reject(&self, lease: String, reason: &str) -> Result<()> {
        let Line::Queue(queue) = self else { return Err(no_queue()) };
        queue.reject(&held(lease), reason)
    }

    /// Has its lease begin anew; until when it lasts. Errors: those of [`Queue::renew`].
    pub fn renew(&self, lease: String) -> Result<f64> {
        match self {
            Line::Queue(queue) => queue.renew(&held(lease)),
            Line::Events(events) => events.renew(&heard(lease)),
        }
    }

    /// What was tried too often, as hosts see it. Errors: `unknown_id`, `corrupt`, `io`.
    pub fn dead(&self, host: Host) -> Result<Value> {
        Ok(match self {
            Line::Queue(queue) => {
                queue.dead().list()?.into_iter().map(|one| dead_message(host, one)).collect()
            }
            Line::Events(events) => events.dead()?.into_iter().map(|one| dead_event(host, one)).collect(),
        })
    }

    /// Puts dead ones back; how many. Errors: `unknown_id`, `locked`, `io`.
    pub fn replay(&self, ids: &[u64]) -> Result<usize> {
        match self {
            Line::Queue(queue) => queue.dead().replay(ids),
            Line::Events(events) => events.replay_dead(ids),
        }
    }

    /// Removes dead ones; how many. Errors: `unknown_id`, `locked`, `io`.
    pub fn discard(&self, ids: &[u64]) -> Result<usize> {
        match self {
            Line::Queue(queue) => queue.dead().discard(ids),
            Line::Events(events) => events.discard_dead(ids),
        }
    }

    /// How many stand where. Errors: `unknown_id`, `corrupt`, `io`.
    pub fn stats(&self) -> Result<Value> {
        let found = match self {
            Line::Queue(queue) => queue.stats()?,
            Line::Events(events) => events.stats()?,
        };
        Ok(json!({
            "ready": found.ready, "delayed": found.delayed, "held": found.held, "dead": found.dead, "done": found.done,
        }))
    }

    /// Removes it with all that is in it; whether it was there. Errors: `locked`, `io`.
    pub fn delete(&self) -> Result<bool> {
        match self {
            Line::Queue(queue) => queue.delete(),
            Line::Events(events) => events.delete(),
        }
    }

    /// Works it off in threads: `handler` is given each message or event as hosts see it. Errors: `invalid_argument`, `io`.
    pub fn work(
        &self,
        host: Host,
        handler: impl Fn(Value, &Cancel) -> Result<()> + Send + Sync + 'static,
        options: &WorkOptions,
    ) -> Result<Crew> {
        let workers = match self {
            Line::Queue(queue) => {
                queue.work(move |one, cancel| handler(message(host, one.clone()), cancel), options)
            }
            Line::Events(events) => {
                events.work(move |one, cancel| handler(event(host, one.clone()), cancel), options)
            }
        };
        workers.map(Crew::new)
    }
}

fn no_queue() -> Error {
    Error::new(Code::Unsupported, "these are events, which are published; a queue is expected")
}

/// The numbers of messages or events, for [`Line::replay`] and [`Line::discard`]. Errors: `invalid_argument`, `too_large`.
pub fn ids(given: &Value) -> Result<Vec<u64>> {
    let wrong =
        |what: String| Error::invalid(format!("{what}; a list of numbers of dead messages is expected"));
    let Value::Array(items) = given else { return Err(wrong("ids are no list".to_owned())) };
    if items.len() > MAX_IDS {
        return Err(Error::new(
            Code::TooLarge,
            format!("there are {} ids, {MAX_IDS} are possible", items.len()),
        ));
    }
    let number = |(i, item): (usize, &Value)| {
        item.as_u64().ok_or_else(|| wrong(format!("ids[{i}] is no number from 0")))
    };
    items.iter().enumerate().map(number).collect()
}

/// Threads that work something off, and whether they have ended.
#[derive(Debug)]
pub struct Crew {
    workers: Workers,
}

/// A time in seconds. Errors: `invalid_argument`.
fn most_of(timeout: Option<f64>) -> Result<Option<Duration>> {
    let wrong = |seconds: f64| {
        Error::invalid(format!("timeout is {seconds}; a number of seconds from 0 is expected"))
    };
    timeout.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(|_| wrong(seconds))).transpose()
}

impl Crew {
    /// These threads.
    pub fn new(workers: Workers) -> Self {
        Crew { workers }
    }

    /// Has them end: nothing more is taken, and with `stop` what is worked at is told to stop. Waits at most so many seconds, as long as
    /// `cancel` is not raised; whether all is settled. Errors: `cancelled`, `invalid_argument`.
    pub fn end(&self, stop: bool, timeout: Option<f64>, cancel: &Cancel) -> Result<bool> {
        let (most, begun) = (most_of(timeout)?, Instant::now());
        loop {
            let left = most.map_or(LOOK, |most| most.saturating_sub(begun.elapsed())).min(LOOK);
            let seconds = Some(left.as_secs_f64());
            let done = if stop { self.workers.stop(seconds) } else { self.workers.drain(seconds) };
            if done || left.is_zero() {
                return Ok(done);
            }
            cancel.check()?;
        }
    }

    /// Has them take nothing more, and waits for nothing; whether all is settled.
    pub fn leave(&self) -> bool {
        self.workers.drain(Some(0.0))
    }

    /// Waits for a while until they have ended; whether they have.
    pub fn look(&self, time: Duration) -> bool {
        // They may also have ended by themselves: their store was closed, their queue deleted.
        self.workers.ended(time)
    }

    /// Waits until they have ended, at most so many seconds, as long as `cancel` is not raised; whether they have.
    /// Errors: `cancelled`, `invalid_argument`.
    pub fn wait(&self, timeout: Option<f64>, cancel: &Cancel) -> Result<bool> {
        let (most, begun) = (most_of(timeout)?, Instant::now());
        loop {
            let left = most.map_or(LOOK, |most| most.saturating_sub(begun.elapsed())).min(LOOK);
            if self.look(left) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            cancel.check()?;
        }
    }

    /// How many messages are being worked at.
    pub fn working(&self) -> usize {
        self.workers.working()
    }

    /// What went wrong last with the store: its code and message.
    pub fn error(&self) -> Option<(&'static str, String)> {
        self.workers.error().map(|error| (error.code().as_str(), error.message().to_owned()))
    }
}

/// Puts kept events before the groups once more: from a number on, or from a `time` in seconds since 1970. How many deliveries that
/// makes. Errors: those of [`Events::replay`], `invalid_argument`.
pub fn replay(events: &Events, host: Host, since: &Value, time: bool, group: Option<&str>) -> Result<usize> {
    let wrong = |what: &str| {
        let name = host.name("since");
        Error::invalid(format!("{name} is no {what}; the number of an event, or a time, is expected"))
    };
    match time {
        true => events.replay_since(since.as_f64().ok_or_else(|| wrong("time"))?, group),
        false => events.replay(since.as_u64().ok_or_else(|| wrong("number from 0"))?, group),
    }
}

/// The groups that are subscribed, as hosts see them. Errors: `corrupt`, `io`, `locked`.
pub fn subscriptions(events: &Events) -> Result<Value> {
    let found = events.subscriptions()?.into_iter();
    Ok(found.map(|(group, pattern)| json!({"group": group, "pattern": pattern})).collect())
}

/// A queue of a store. Errors: those of [`StateStore::queue`].
pub fn open(
    store: &StateStore,
    tenant: Option<&str>,
    name: &str,
    options: Option<&QueueOptions>,
) -> Result<Line> {
    store.queue(tenant, name, options).map(Line::Queue)
}

#[cfg(test)]
mod tests;
