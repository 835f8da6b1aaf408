//! How does a host that has no subscriber of `tracing` hear what quorate says about its work: an index that was healed, a
//! request that is tried again?
//!
//! A Rust host sets a subscriber of its own and needs nothing of this. The bindings [`collect`] the events and hand them to the
//! log of their language. Events wait in a bounded inbox, and whoever says something never waits for the host.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_core::span::Current;

use crate::fork::PerProcess;
use crate::spans;

/// How many events wait at most; beyond it the oldest are dropped, and the next one taken says how many.
pub const MAX_WAITING: usize = 1024;

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For those who look for a defect.
    Debug,
    /// Something worth to know.
    Info,
    /// Something was not as it should be, and was mended or worked around.
    Warn,
    /// Something could not be done.
    Error,
}

impl Level {
    /// `debug`, `info`, `warn` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// How grave it is.
    pub level: Level,
    /// The part of the library that says it, such as `quorate.rag`.
    pub target: String,
    /// What happened, for people.
    pub message: String,
    /// Its circumstances by name, such as the file and the error.
    pub fields: Vec<(String, String)>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, (name, value)) in self.fields.iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.fields.is_empty() { Ok(()) } else { f.write_char(')') }
    }
}

/// Collects the events of quorate from now on, in every thread that has no subscriber of its own. `wake` is called after
/// each one, on the thread that said it, which may hold locks: it must neither block nor call quorate. Whether they are
/// collected: not when the process has a subscriber already.
pub fn collect(wake: impl Fn() + Send + Sync + 'static) -> bool {
    tracing::subscriber::set_global_default(Collector { wake: Box::new(wake) }).is_ok()
}

/// The events that wait, oldest first.
pub fn take() -> Vec<Event> {
    if WAITING.load(Ordering::Acquire) == 0 {
        return Vec::new();
    }
    let Some(mut inbox) = inbox() else { return Vec::new() };
    WAITING.store(0, Ordering::Release);
    let dropped = std::mem::take(&mut inbox.dropped);
    let mut events: Vec<Event> = inbox.events.drain(..).collect();
    if dropped > 0 {
        let message = format!("{dropped} events before this one were not delivered in time and are lost");
        events.insert(
            0,
            Event { level: Level::Warn, target: "quorate.core".to_owned(), message, fields: Vec::new() },
        );
    }
    events
}

/// Whether events wait; costs one load.
pub fn waiting() -> bool {
    WAITING.load(Ordering::Acquire) > 0
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<Event>,
    dropped: usize,
}

/// A child of a fork starts with an inbox of its own: the parent's may be locked for ever.
static INBOX: PerProcess<Mutex<Inbox>> = PerProcess::new();
static WAITING: AtomicUsize = AtomicUsize::new(0);

fn inbox() -> Option<MutexGuard<'static, Inbox>> {
    let inbox = INBOX.get(|| Ok(Mutex::default())).ok()?;
    Some(inbox.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Collector {
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.is_event() {
            true => metadata.target().starts_with("quorate") && *metadata.level() <= tracing::Level::DEBUG,
            false => spans::enabled(metadata),
        }
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::DEBUG)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        spans::begin(attributes)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        spans::record(id, values);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let part = metadata.target().split("::").next().unwrap_or_default();
        let event = Event {
            level,
            target: part.replacen("quorate_", "quorate.", 1),
            message: fields.message,
            fields: fields.others,
        };
        if let Some(mut inbox) = inbox() {
            if inbox.events.len() == MAX_WAITING {
                inbox.events.pop_front();
                inbox.dropped += 1;
            }
            inbox.events.push_back(event);
            WAITING.store(inbox.events.len(), Ordering::Release);
        }
        (self.wake)();
    }

    fn enter(&self, id: &Id) {
        spans::enter(id);
    }

    fn exit(&self, id: &Id) {
        spans::exit(id);
    }

    fn clone_span(&self, id: &Id) -> Id {
        spans::share(id);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let ended = spans::close(&id);
        if ended {
            (self.wake)();
        }
        ended
    }

    fn current_span(&self) -> Current {
        spans::current().map_or_else(Current::none, |(id, metadata)| Current::new(id, metadata))
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.others.push((name.to_owned(), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since a process has one collector and one inbox.
    #[test]
    fn events_of_quorate_wait_until_they_are_taken() {
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        assert!(collect(|| {
            WOKEN.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(!collect(|| {}), "a process has one collector");
        take();
        let before = WOKEN.load(Ordering::Relaxed);
        tracing::warn!(target: "quorate_rag::kb::shadow", home = "kb/index", error = %crate::Error::invalid("why"), "an index is built again");
        tracing::info!(target: "somebody_else", "not of interest");
        tracing::trace!(target: "quorate_core", "too much");
        assert!(waiting() && WOKEN.load(Ordering::Relaxed) > before);
        // Other tests of this crate may say something meanwhile.
        let events: Vec<Event> = take().into_iter().filter(|event| event.target == "quorate.rag").collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].level, Level::Warn);
        assert_eq!(
            events[0].to_string(),
            "an index is built again (home=kb/index, error=why [invalid_argument])"
        );
        for i in 0..MAX_WAITING + 3 {
            tracing::debug!(target: "quorate_flood", "{i}");
        }
        let events = take();
        assert!(
            events.len() == MAX_WAITING + 1 && events[0].message.contains("events before this one"),
            "{}",
            events.len()
        );
        assert_eq!(events.last().map(|event| event.message.as_str()), Some("1026"));

        let work = || {
            let run = tracing::info_span!(target: "quorate", "run", id = "r", status = tracing::field::Empty);
            run.in_scope(|| {
                tracing::info_span!(target: "quorate", "chat", tokens = 3_u64).in_scope(|| ());
                tracing::info_span!(target: "somebody_else", "other").in_scope(|| ());
                let within = tracing::Span::current();
                let tool = || tracing::info_span!(target: "quorate", parent: &within, "tool").in_scope(|| ());
                std::thread::scope(|scope| scope.spawn(tool).join()).unwrap();
            });
            run.record("status", "done");
        };
        work();
        assert!(spans::take().is_empty(), "nobody listens");
        spans::listen(true);
        work();
        let marks = spans::take();
        let told: Vec<(&str, bool)> = marks.iter().map(|mark| (mark.name, mark.ends)).collect();
        let expected =
            [("run", false), ("chat", false), ("chat", true), ("tool", false), ("tool", true), ("run", true)];
        assert_eq!(told, expected);
        let run = Some(marks[0].span);
        assert_eq!([marks[1].parent, marks[3].parent, marks[0].parent], [run, run, None]);
        assert_eq!(marks[2].fields, [("tokens", serde_json::json!(3))]);
        assert_eq!(marks[5].fields, [("id", "r".into()), ("status", "done".into())]);
        assert!(marks[5].time >= marks[0].time && !spans::waiting());
        spans::listen(false);
        work();
        assert!(spans::take().is_empty());
    }
}
