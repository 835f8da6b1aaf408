//! Which stretches of work does a host see that has no subscriber of `tracing`: a run, a request to a model, a call of a tool?
//!
//! A Rust host sets a subscriber of its own and needs nothing of this. The bindings turn it on ([`listen`]) once somebody wants
//! spans, and hand them to the tracer of their language; before that a span costs nothing. Marks wait in a bounded inbox, and
//! whoever works never waits for the host.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};

use crate::fork::PerProcess;

/// How many marks wait at most; beyond it the oldest are dropped.
pub const MAX_WAITING: usize = 32_768;

/// From how many on somebody is to take them soon.
const MANY: usize = MAX_WAITING / 16;

/// The beginning or the end of a span. A beginning comes before those of the spans within it, an end after theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The span; no other one of this process has this number.
    pub span: u64,
    /// The span that it lies in.
    pub parent: Option<u64>,
    /// What kind of work it is, such as `chat`.
    pub name: &'static str,
    /// What is known of it: at its beginning, or at its end all of it.
    pub fields: Vec<(&'static str, Value)>,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Whether it is the end.
    pub ends: bool,
}

/// Has spans of quorate noted from now on, or not any more.
pub fn listen(on: bool) {
    if LISTENS.swap(on, Ordering::AcqRel) != on {
        // Each place in the code remembers whether anybody listens.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// The marks that wait, oldest first.
pub fn take() -> Vec<Mark> {
    if WAITING.load(Ordering::Acquire) == 0 {
        return Vec::new();
    }
    let Some(mut state) = state() else { return Vec::new() };
    WAITING.store(0, Ordering::Release);
    state.inbox.drain(..).collect()
}

/// Whether marks wait; costs one load.
pub fn waiting() -> bool {
    WAITING.load(Ordering::Acquire) > 0
}

/// Whether so many wait that somebody is to take them soon; costs one load.
pub fn many() -> bool {
    WAITING.load(Ordering::Acquire) >= MANY
}

/// Whether anybody wants spans; costs one load.
pub fn listens() -> bool {
    LISTENS.load(Ordering::Acquire)
}

/// Work that another thread does for this one: it lies in the span that this one is in.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = tracing::Span::current();
    move || span.in_scope(work)
}

/// A span that is open.
struct Open {
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
    fields: Fields,
    handles: usize,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    inbox: VecDeque<Mark>,
}

/// A child of a fork starts anew: the parent's may be locked for ever.
static STATE: PerProcess<Mutex<State>> = PerProcess::new();
static WAITING: AtomicUsize = AtomicUsize::new(0);
static LISTENS: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The spans that this thread is in, the innermost at the end.
    static WITHIN: RefCell<Vec<(u64, &'static Metadata<'static>)>> = const { RefCell::new(Vec::new()) };
}

fn state() -> Option<MutexGuard<'static, State>> {
    let state = STATE.get(|| Ok(Mutex::default())).ok()?;
    Some(state.lock().unwrap_or_else(PoisonError::into_inner))
}

fn now() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
}

impl State {
    fn put(&mut self, mark: Mark) {
        if self.inbox.len() == MAX_WAITING {
            self.inbox.pop_front();
        }
        self.inbox.push_back(mark);
        WAITING.store(self.inbox.len(), Ordering::Release);
    }
}

/// Whether somebody wants this span.
pub(crate) fn enabled(metadata: &Metadata<'_>) -> bool {
    LISTENS.load(Ordering::Acquire) && metadata.target().starts_with("quorate")
}

pub(crate) fn begin(attributes: &Attributes<'_>) -> Id {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let within = || WITHIN.with_borrow(|within| within.last().map(|(number, _)| *number));
    let parent = match attributes.parent() {
        Some(parent) => Some(parent.into_u64()),
        None if attributes.is_contextual() => within(),
        None => None,
    };
    let metadata = attributes.metadata();
    let mut fields = Fields::default();
    attributes.record(&mut fields);
    if let Some(mut state) = state() {
        let time = now();
        state.put(Mark {
            span: number,
            parent,
            name: metadata.name(),
            fields: fields.0.clone(),
            time,
            ends: false,
        });
        state.open.insert(number, Open { metadata, parent, fields, handles: 1 });
    }
    Id::from_u64(number)
}

pub(crate) fn record(id: &Id, values: &Record<'_>) {
    if let Some(mut state) = state()
        && let Some(open) = state.open.get_mut(&id.into_u64())
    {
        values.record(&mut open.fields);
    }
}

pub(crate) fn enter(id: &Id) {
    let metadata = state().and_then(|state| state.open.get(&id.into_u64()).map(|open| open.metadata));
    if let Some(metadata) = metadata {
        WITHIN.with_borrow_mut(|within| within.push((id.into_u64(), metadata)));
    }
}

pub(crate) fn exit(id: &Id) {
    WITHIN.with_borrow_mut(|within| {
        if let Some(at) = within.iter().rposition(|(number, _)| *number == id.into_u64()) {
            within.remove(at);
        }
    });
}

/// The innermost span of this thread.
pub(crate) fn current() -> Option<(Id, &'static Metadata<'static>)> {
    WITHIN.with_borrow(|within| within.last().map(|(number, metadata)| (Id::from_u64(*number), *metadata)))
}

pub(crate) fn share(id: &Id) {
    if let Some(mut state) = state()
        && let Some(open) = state.open.get_mut(&id.into_u64())
    {
        open.handles += 1;
    }
}

/// One handle less; whether the span has ended with it.
pub(crate) fn close(id: &Id) -> bool {
    let Some(mut state) = state() else { return false };
    let number = id.into_u64();
    let Some(open) = state.open.get_mut(&number) else { return false };
    open.handles -= 1;
    if open.handles > 0 {
        return false;
    }
    let Some(open) = state.open.remove(&number) else { return false };
    let (name, fields) = (open.metadata.name(), open.fields.0);
    state.put(Mark { span: number, parent: open.parent, name, fields, time: now(), ends: true });
    true
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(known) => known.1 = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }
}
