//! Does a queue do what a plain model of one does, in memory and in a folder, whatever is done to it?
//!
//! The model is a list that is searched from its beginning each time. It shares no code with the queue.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use quorate_state::{Key, Message, PerKey, PutOptions, Queue, QueueOptions, Rate, Retry, StateStore};
use serde_json::json;

#[derive(Clone, Debug)]
enum Step {
    Put {
        priority: i64,
        delay: u8,
        dedup: Option<u8>,
        key: u8,
    },
    Take(u8),
    Ack(u8),
    Nack(u8, Option<u8>),
    Reject(u8),
    Renew(u8),
    Pass(u8),
    /// The clock is put back.
    Back,
    /// The first dead ones are replayed, or discarded.
    Replay(u8),
    Discard(u8),
    Options(u8),
    /// The process that holds messages ends.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (-3..4_i64, 0..12_u8, prop::option::weighted(0.3, 0..4_u8), 0..8_u8).prop_map(
            |(priority, delay, dedup, key)| Step::Put { priority, delay: delay.saturating_sub(6) * 2, dedup, key }
        ),
        10 => (1..4_u8).prop_map(Step::Take),
        6 => any::<u8>().prop_map(Step::Ack),
        5 => (any::<u8>(), prop::option::of(0..6_u8)).prop_map(|(which, delay)| Step::Nack(which, delay)),
        1 => any::<u8>().prop_map(Step::Reject),
        2 => any::<u8>().prop_map(Step::Renew),
        8 => (1..12_u8).prop_map(Step::Pass),
        1 => Just(Step::Back),
        2 => (1..3_u8).prop_map(Step::Replay),
        1 => (1..3_u8).prop_map(Step::Discard),
        1 => (0..6_u8).prop_map(Step::Options),
        1 => Just(Step::Crash),
    ]
}

fn options(which: u8) -> QueueOptions {
    let retry = Retry { max_attempts: 3, first: 2.0, factor: 2.0, longest: 6.0 };
    let plain = QueueOptions { lease: 20.0, retry, dedup_for: 30.0, ..QueueOptions::default() };
    let parts = PerKey::Parts(BTreeMap::from([("tenant".to_owned(), 1), ("user".to_owned(), 2)]));
    match which {
        0 => plain,
        1 => QueueOptions { concurrency: Some(2), ..plain },
        2 => QueueOptions { per_key: PerKey::All(1), aging: Some(4.0), ..plain },
        3 => QueueOptions { per_key: parts, concurrency: Some(3), ..plain },
        4 => QueueOptions { rate: Some(Rate { most: 3, per: 10.0 }), ..plain },
        _ => QueueOptions { ordered: true, ..plain },
    }
}

fn key(which: u8) -> Option<Key> {
    let parts = |pairs: &[(&str, &str)]| {
        Some(Key::Parts(
            pairs.iter().map(|(part, value)| ((*part).to_owned(), (*value).to_owned())).collect(),
        ))
    };
    match which {
        0..2 => None,
        2 => Some("a".into()),
        3 => Some("b".into()),
        4 => parts(&[("tenant", "t1"), ("user", "u1")]),
        5 => parts(&[("tenant", "t1"), ("user", "u2")]),
        6 => parts(&[("tenant", "t2"), ("user", "u1")]),
        _ => parts(&[("user", "u1"), ("region", "eu")]),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Waiting,
    Held,
    Dead,
}

#[derive(Clone, Debug)]
struct Item {
    id: u64,
    priority: i64,
    key: Option<Key>,
    since: i64,
    due: i64,
    is: Is,
    attempts: u32,
    takes: u64,
    /// It keeps its key although it waits.
    keeps: bool,
}

impl Item {
    fn counted_by(&self) -> Vec<(String, String)> {
        match &self.key {
            None => Vec::new(),
            Some(Key::Text(text)) => vec![(String::new(), text.clone())],
            Some(Key::Parts(parts)) => {
                parts.iter().map(|(part, value)| (part.clone(), value.clone())).collect()
            }
        }
    }
}

struct Model {
    now: i64,
    options: QueueOptions,
    items: Vec<Item>,
    next: u64,
    taken: Vec<i64>,
    names: BTreeMap<u8, (u64, i64)>,
    done: u64,
}

impl Model {
    fn new(options: QueueOptions) -> Model {
        Model {
            now: 1_000_000,
            options,
            items: Vec::new(),
            next: 1,
            taken: Vec::new(),
            names: BTreeMap::new(),
            done: 0,
        }
    }

    fn put(
        &mut self,
        priority: i64,
        delay: i64,
        dedup: Option<u8>,
        key: Option<Key>,
    ) -> Result<(u64, bool), &'static str> {
        if self.options.ordered && delay > 0 {
            return Err("invalid_argument");
        }
        if let Some(name) = dedup
            && let Some((id, until)) = self.names.get(&name)
            && (*until > self.now || self.items.iter().any(|item| item.id == *id))
        {
            return Ok((*id, false));
        }
        let id = self.next;
        self.next += 1;
        let due = self.now + delay;
        self.items.push(Item {
            id,
            priority,
            key,
            since: due,
            due,
            is: Is::Waiting,
            attempts: 0,
            takes: 0,
            keeps: false,
        });
        if let Some(name) = dedup {
            self.names.insert(name, (id, self.now + 30));
        }
        Ok((id, true))
    }

    fn lose(&mut self, lost: impl Fn(&Item) -> bool) {
        for item in &mut self.items {
            if item.is == Is::Held && lost(item) {
                if item.attempts >= self.options.retry.max_attempts {
                    (item.is, item.keeps) = (Is::Dead, false);
                } else {
                    (item.is, item.keeps, item.due) = (Is::Waiting, self.options.ordered, self.now);
                }
            }
        }
    }

    /// Leases that have run out.
    fn pass(&mut self) {
        let now = self.now;
        self.lose(|item| item.due <= now);
    }

    fn may_go(&self, item: &Item) -> bool {
        if item.keeps {
            return true;
        }
        item.counted_by().iter().all(|(part, value)| {
            let same = |other: &&Item| {
                (other.is == Is::Held || other.keeps)
                    && other.counted_by().iter().any(|(p, v)| (p, v) == (part, value))
            };
            let held = self.items.iter().filter(same).count() as u32;
            let limit = match &self.options.per_key {
                _ if self.options.ordered => Some(1),
                PerKey::None => None,
                PerKey::All(limit) => Some(*limit),
                PerKey::Parts(parts) if part.is_empty() => parts.values().min().copied(),
                PerKey::Parts(parts) => parts.get(part).copied(),
            };
            limit.is_none_or(|limit| held < limit)
        })
    }

    fn before(&self, a: &Item, b: &Item) -> std::cmp::Ordering {
        if self.options.ordered {
            return a.id.cmp(&b.id);
        }
        let order = match self.options.aging {
            None => b.priority.cmp(&a.priority),
            Some(step) => {
                let place = |item: &Item| item.since as f64 - item.priority as f64 * step;
                place(a).total_cmp(&place(b))
            }
        };
        order.then(a.id.cmp(&b.id))
    }

    fn take(&mut self, most: usize) -> Vec<(u64, u32)> {
        self.pass();
        let mut got = Vec::new();
        while got.len() < most {
            let held = self.items.iter().filter(|item| item.is == Is::Held).count();
            if self.options.concurrency.is_some_and(|limit| held >= limit as usize) {
                break;
            }
            if let Some(rate) = self.options.rate {
                let recent = self.taken.iter().filter(|at| **at as f64 + rate.per > self.now as f64).count();
                if recent >= rate.most as usize {
                    break;
                }
            }
            let mut ready: Vec<&Item> =
                self.items.iter().filter(|item| item.is == Is::Waiting && item.due <= self.now).collect();
            ready.sort_by(|a, b| self.before(a, b));
            let Some(id) = ready.into_iter().find(|item| self.may_go(item)).map(|item| item.id) else {
                break;
            };
            let (now, rated) = (self.now, self.options.rate.is_some());
            let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
            item.is = Is::Held;
            item.due = now + 20;
            item.attempts += 1;
            item.takes += 1;
            got.push((id, item.attempts));
            if rated {
                self.taken.push(now);
            }
        }
        got
    }

    fn held(&mut self, id: u64, takes: u64) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id && item.is == Is::Held && item.takes == takes)
    }

    fn ack(&mut self, id: u64, takes: u64) -> bool {
        let there = self.held(id, takes).is_some();
        if there {
            self.items.retain(|item| item.id != id);
            self.done += 1;
        }
        there
    }

    fn nack(&mut self, id: u64, takes: u64, delay: Option<i64>, last: bool) -> Option<bool> {
        let (now, max, ordered) = (self.now, self.options.retry.max_attempts, self.options.ordered);
        let item = self.held(id, takes)?;
        let dead = last || item.attempts >= max;
        if dead {
            (item.is, item.keeps) = (Is::Dead, false);
        } else {
            let pause = [2, 4, 6, 6][item.attempts as usize - 1];
            (item.is, item.keeps, item.due) = (Is::Waiting, ordered, now + delay.unwrap_or(pause));
        }
        Some(dead)
    }

    fn dead(&self) -> Vec<u64> {
        self.items.iter().filter(|item| item.is == Is::Dead).map(|item| item.id).collect()
    }

    fn back(&mut self, by: i64) {
        self.now -= by;
        for item in &mut self.items {
            item.since -= by;
            item.due -= by;
        }
        self.taken.iter_mut().for_each(|at| *at -= by);
        self.names.values_mut().for_each(|(_, until)| *until -= by);
    }
}

/// A store, its queue, and what is held; with the clock that the queue goes by.
struct Real {
    folder: Option<tempfile::TempDir>,
    store: StateStore,
    queue: Queue,
    clock: Arc<AtomicI64>,
    /// What was taken, also what was settled or lost since.
    taken: Vec<(Message, u64)>,
}

impl Real {
    fn open(disk: bool, now: i64, options: &QueueOptions) -> Real {
        let folder = disk.then(|| tempfile::tempdir().unwrap());
        let store = match &folder {
            Some(folder) => StateStore::open(folder.path()).unwrap(),
            None => StateStore::memory(),
        };
        let clock = Arc::new(AtomicI64::new(now));
        let queue = Real::queue(&store, &clock, Some(options));
        Real { folder, store, queue, clock, taken: Vec::new() }
    }

    fn queue(store: &StateStore, clock: &Arc<AtomicI64>, options: Option<&QueueOptions>) -> Queue {
        let clock = Arc::clone(clock);
        let queue = store.queue(Some("tenant"), "q", options).unwrap();
        queue.with_clock(Arc::new(move || clock.load(Ordering::Relaxed) as f64))
    }

    fn crash(&mut self) {
        let Some(folder) = &self.folder else { return };
        // The store closes when its last handle does; its holder is gone then, as after a crash.
        self.store = StateStore::memory();
        self.queue = Real::queue(&self.store, &self.clock, None);
        self.store = StateStore::open(folder.path()).unwrap();
        self.queue = Real::queue(&self.store, &self.clock, None);
    }
}

fn run(disk: bool, first: u8, steps: &[Step]) {
    let mut model = Model::new(options(first));
    let mut real = Real::open(disk, model.now, &options(first));
    // Somebody else's queue of the same name stays as it is.
    let other = real.store.queue(Some("other"), "q", None).unwrap();
    other.put(&json!("theirs"), &PutOptions::default()).unwrap();
    drop(other);
    for (number, step) in steps.iter().enumerate() {
        let at = format!("step {number} {step:?}");
        let pick = |which: u8| {
            (!real.taken.is_empty()).then(|| real.taken[which as usize % real.taken.len()].clone())
        };
        match step {
            Step::Put { priority, delay, dedup, key: which } => {
                let put = PutOptions {
                    priority: *priority,
                    delay: (*delay > 0).then_some(f64::from(*delay)),
                    dedup: dedup.map(|name| format!("name {name}")),
                    key: key(*which),
                };
                let large = number % 17 == 3;
                let data = json!({"n": number, "text": "x".repeat(if large { 70_000 } else { 3 })});
                let made =
                    real.queue.put(&data, &put).map(|put| (put.id, put.new)).map_err(|e| e.code().as_str());
                assert_eq!(made, model.put(*priority, i64::from(*delay), *dedup, key(*which)), "{at}");
            }
            Step::Take(most) => {
                let got = real.queue.take(usize::from(*most)).unwrap();
                let expected = model.take(usize::from(*most));
                let ids: Vec<_> = got.iter().map(|message| (message.id, message.attempts)).collect();
                assert_eq!(ids, expected, "{at}");
                for message in got {
                    let takes = model.items.iter().find(|item| item.id == message.id).unwrap().takes;
                    assert!(message.data["n"].as_u64().unwrap() < number as u64, "{at}");
                    real.taken.push((message, takes));
                }
            }
            Step::Ack(which) => {
                let Some((message, takes)) = pick(*which) else { continue };
                let acked = real.queue.ack(&message);
                assert_eq!(acked.is_ok(), model.ack(message.id, takes), "{at}");
                if let Err(error) = acked {
                    assert_eq!(error.code().as_str(), "stale_write");
                }
            }
            Step::Nack(which, delay) => {
                let Some((message, takes)) = pick(*which) else { continue };
                let delay = delay.map(|delay| i64::from(delay) * 2);
                let nacked = real.queue.nack(&message, delay.map(|delay| delay as f64), Some("no")).ok();
                assert_eq!(nacked, model.nack(message.id, takes, delay, false), "{at}");
            }
            Step::Reject(which) => {
                let Some((message, takes)) = pick(*which) else { continue };
                let rejected = real.queue.reject(&message, "never").ok().map(|()| true);
                assert_eq!(rejected, model.nack(message.id, takes, None, true), "{at}");
            }
            Step::Renew(which) => {
                let Some((message, takes)) = pick(*which) else { continue };
                let until = real.queue.renew(&message).ok();
                let now = model.now;
                let expected = model.held(message.id, takes).map(|item| {
                    item.due = now + 20;
                    item.due as f64
                });
                assert_eq!(until, expected, "{at}");
            }
            Step::Pass(time) => model.now += 2 * i64::from(*time),
            Step::Back => {
                // The queue knows what time it was.
                real.queue.put(&json!({"n": 0}), &PutOptions::default()).unwrap();
                model.put(0, 0, None, None).unwrap();
                model.back(5_000);
                real.clock.store(model.now, Ordering::Relaxed);
                // And learns what time it is.
                real.queue.put(&json!({"n": 0}), &PutOptions::default()).unwrap();
                model.put(0, 0, None, None).unwrap();
            }
            Step::Replay(most) => {
                let dead: Vec<u64> = model.dead().into_iter().take(usize::from(*most)).collect();
                assert_eq!(real.queue.dead().replay(&dead).unwrap(), dead.len(), "{at}");
                let now = model.now;
                for item in model.items.iter_mut().filter(|item| dead.contains(&item.id)) {
                    (item.is, item.attempts, item.since, item.due) = (Is::Waiting, 0, now, now);
                }
            }
            Step::Discard(most) => {
                let dead: Vec<u64> = model.dead().into_iter().take(usize::from(*most)).collect();
                assert_eq!(real.queue.dead().discard(&dead).unwrap(), dead.len(), "{at}");
                model.items.retain(|item| !dead.contains(&item.id));
                assert!(real.queue.dead().discard(&[9_999]).is_err());
            }
            Step::Options(which) => {
                real.queue.configure(&options(*which)).unwrap();
                // What was taken before there was a rate is not known.
                model.options = options(*which);
            }
            Step::Crash if disk => {
                real.crash();
                model.lose(|_| true);
            }
            Step::Crash => {}
        }
        real.clock.store(model.now, Ordering::Relaxed);
        let stats = real.queue.stats().unwrap();
        model.pass();
        let count = |is: Is| model.items.iter().filter(|item| item.is == is).count() as u64;
        let due =
            model.items.iter().filter(|item| item.is == Is::Waiting && item.due <= model.now).count() as u64;
        assert_eq!(
            (stats.ready, stats.delayed, stats.held, stats.dead, stats.done),
            (due, count(Is::Waiting) - due, count(Is::Held), count(Is::Dead), model.done),
            "{at}"
        );
        let dead: Vec<u64> = real.queue.dead().list().unwrap().iter().map(|dead| dead.id).collect();
        assert_eq!(dead, model.dead(), "{at}");
    }
    assert_eq!(real.store.queue(Some("other"), "q", None).unwrap().stats().unwrap().ready, 1);
    assert_eq!(real.store.queues(Some("other")).unwrap(), ["q"]);
}

/// One at a time: each writes a folder.
static ONE: Mutex<()> = Mutex::new(());

fn cases() -> u32 {
    let models = std::env::var("QUORATE_TORTURE_MODELS").ok().and_then(|models| models.parse().ok());
    models.unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn in_memory(first in 0..6_u8, steps in prop::collection::vec(step(), 1..120)) {
        run(false, first, &steps);
    }

    #[test]
    fn in_a_folder(first in 0..6_u8, steps in prop::collection::vec(step(), 1..80)) {
        let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        run(true, first, &steps);
    }
}
