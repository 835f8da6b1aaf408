//! What do all levels and tasks of one run share?

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result, forks};
use quorate_state::Checkpoints;
use serde_json::Value;

use super::context::lock;
use super::node::Output;
use super::options::{Durability, RunOptions};
use super::outcome::{Event, Mode};
use super::plan::{Body, Plan};
use super::state::State;

/// How often a run asks whether it still has its thread.
const POLL: Duration = Duration::from_millis(20);
/// At most so many results of a node are cached.
const MAX_CACHED: usize = 1024;

/// Who is told what happens.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) modes: Vec<Mode>,
    /// Takes an event, and whether whoever tells it waits for a reader that is slow.
    pub(crate) tell: Arc<dyn Fn(Event, bool) + Send + Sync>,
}

/// Names that nothing else has.
#[derive(Debug)]
pub(crate) struct Names {
    base: String,
    made: AtomicU64,
}

impl Names {
    pub(crate) fn new() -> Names {
        Names { base: quorate_state::fresh_id(), made: AtomicU64::new(0) }
    }

    /// The next one. Later ones of one graph sort after earlier ones.
    pub(crate) fn next(&self) -> String {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        match forks() {
            0 => format!("{}-{made:08x}", self.base),
            // A child of a fork has the base of its parent.
            child => format!("{}-{made:08x}-{child}-{:x}", self.base, std::process::id()),
        }
    }
}

/// What nodes gave, by node and by what it depends on.
#[derive(Default)]
pub(crate) struct Cached(Mutex<HashMap<[u8; 32], (Instant, Output)>>);

impl Cached {
    /// The key of a node's result; none where nothing is cached.
    pub(crate) fn key(plan: &Plan, node: usize, state: &State) -> Option<[u8; 32]> {
        let step = &plan.nodes[node];
        let cache = step.options.cache.as_ref()?;
        if !matches!(step.body, Body::Node(_)) {
            return None;
        }
        let of = cache.key.as_ref().map_or_else(|| state.to_value(), |key| key(state));
        let mut hasher = blake3::Hasher::new();
        for part in [plan.id.as_str(), &*step.name, of.to_string().as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Some(*hasher.finalize().as_bytes())
    }

    pub(crate) fn get(&self, key: &[u8; 32], ttl: Option<Duration>) -> Option<Output> {
        let all = lock(&self.0);
        let (since, output) = all.get(key)?;
        ttl.is_none_or(|ttl| since.elapsed() < ttl).then(|| output.clone())
    }

    pub(crate) fn put(&self, key: [u8; 32], output: &Output) {
        let mut all = lock(&self.0);
        if all.len() >= MAX_CACHED
            && let Some(oldest) = all.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        all.insert(key, (Instant::now(), output.clone()));
    }
}

/// A run: the right to write to a thread, until somebody else claims it.
pub(crate) struct Run {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) thread: String,
    pub(crate) id: Arc<str>,
    pub(crate) options: RunOptions,
    pub(crate) names: Arc<Names>,
    pub(crate) cached: Arc<Cached>,
    pub(crate) answers: HashMap<String, Value>,
    pub(crate) sink: Option<Sink>,
    pub(crate) in_memory: bool,
    /// Whether anything is kept: a run without a thread is over with its call.
    pub(crate) keeps: bool,
    pub(crate) fence: AtomicU64,
    pub(crate) lost: AtomicBool,
    /// How many steps of nodes all graphs of the run have begun.
    begun: AtomicUsize,
    /// Who may work, where graphs lie within the graph: each has threads of its own.
    places: Option<Places>,
    polled: Mutex<Option<Instant>>,
}

/// So many nodes may work at the same time.
struct Places {
    free: Mutex<usize>,
    left: Condvar,
}

/// The right to work.
pub(crate) struct Working<'a>(Option<&'a Places>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some(places) = self.0 {
            *lock(&places.free) += 1;
            places.left.notify_one();
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl Run {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        checkpoints: &Checkpoints,
        plan: &Plan,
        thread: &str,
        id: Arc<str>,
        options: &RunOptions,
        names: &Arc<Names>,
        cached: &Arc<Cached>,
        answers: HashMap<String, Value>,
        sink: Option<Sink>,
    ) -> Run {
        Run {
            in_memory: checkpoints.store().is_memory(),
            keeps: !thread.is_empty(),
            checkpoints: checkpoints.clone(),
            thread: thread.to_owned(),
            id,
            options: options.clone(),
            names: Arc::clone(names),
            cached: Arc::clone(cached),
            answers,
            sink,
            fence: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            places: plan
                .has_inner()
                .then(|| Places { free: Mutex::new(options.parallel), left: Condvar::new() }),
            polled: Mutex::new(None),
        }
    }

    pub(crate) fn fence(&self) -> u64 {
        self.fence.load(Ordering::Acquire)
    }

    /// Waits until a node more may work.
    pub(crate) fn work(&self) -> Working<'_> {
        if let Some(places) = &self.places {
            let mut free = lock(&places.free);
            while *free == 0 {
                free = places.left.wait(free).unwrap_or_else(PoisonError::into_inner);
            }
            *free -= 1;
        }
        Working(self.places.as_ref())
    }

    /// Whether a step more may begin: all graphs of a run together go at most so many.
    pub(crate) fn may_step(&self) -> bool {
        let more = |begun: usize| (begun < self.options.step_limit).then_some(begun + 1);
        self.begun.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Whether a write waits for the disk.
    pub(crate) fn durable(&self) -> bool {
        self.options.durability != Durability::Async
    }

    /// Whether what tasks have done is stored only where their step does not come to its end: in memory it would be lost with
    /// the process all the same.
    pub(crate) fn lazy(&self) -> bool {
        self.in_memory || !self.keeps || self.options.durability == Durability::Exit
    }

    /// Passes a result of the store on; one that says that somebody else has the thread is remembered.
    pub(crate) fn heard<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if error.code() == Code::StaleWrite {
                self.lost.store(true, Ordering::Release);
            }
        })
    }

    /// Whether somebody else has the thread, as far as is known at most 20 ms late.
    pub(crate) fn is_lost(&self) -> bool {
        if self.lost.load(Ordering::Acquire) {
            return true;
        }
        if !self.keeps {
            return false;
        }
        {
            let mut polled = lock(&self.polled);
            if polled.is_some_and(|at| at.elapsed() < POLL) {
                return false;
            }
            *polled = Some(Instant::now());
        }
        // Where it cannot be read, the next write says why.
        if self.checkpoints.fence(&self.thread).is_ok_and(|fence| fence != self.fence()) {
            self.lost.store(true, Ordering::Release);
        }
        self.lost.load(Ordering::Acquire)
    }

    /// Errors: `cancelled` when the run is to stop, `stale_write` when somebody else has the thread.
    pub(crate) fn check(&self) -> Result<()> {
        self.options.stop.check()?;
        if self.lost.load(Ordering::Acquire) {
            let thread = quorate_core::shorten(&self.thread).escape_debug().to_string();
            return Err(Error::new(
                Code::StaleWrite,
                format!("somebody else goes on with the thread '{thread}'"),
            ));
        }
        Ok(())
    }

    /// Whether somebody listens to this.
    pub(crate) fn listens(&self, mode: Mode) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.modes.contains(&mode))
    }

    pub(crate) fn tell(&self, mode: Mode, event: impl FnOnce() -> Event) {
        self.tell_as(mode, true, event);
    }

    pub(crate) fn tell_as(&self, mode: Mode, waits: bool, event: impl FnOnce() -> Event) {
        if let Some(sink) = self.sink.as_ref().filter(|sink| sink.modes.contains(&mode)) {
            (sink.tell)(event(), waits);
        }
    }
}
