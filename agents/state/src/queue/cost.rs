//! What do the rules of a queue cost, in rows that are read?
//!
//! 100,000 messages must cost 100 times as much as 1,000, also where most of them have one key, of which one is held at once.

use std::cell::Cell;

use quorate_core::Result;
use serde_json::json;

use super::options::{Key, PerKey, QueueOptions, Rate};
use super::rules::{self, Fresh};
use super::shelf::{Doc, Keeper, Named, Once, Parcel, QueueRow, Row, Shelf, Slot, State};
use super::{Queues, Retry};

/// A shelf that counts what is read.
struct Counting<'a> {
    inner: &'a mut dyn Shelf,
    reads: &'a Cell<u64>,
}

impl Counting<'_> {
    fn read(&self, rows: u64) -> &dyn Shelf {
        self.reads.set(self.reads.get() + rows);
        self.inner
    }
}

impl Shelf for Counting<'_> {
    fn queue(&self) -> Result<QueueRow> {
        self.read(1).queue()
    }
    fn set_queue(&mut self, row: &QueueRow) -> Result<()> {
        self.inner.set_queue(row)
    }
    fn set_options(&mut self, options: &QueueOptions) -> Result<()> {
        self.inner.set_options(options)
    }
    fn me(&self) -> Keeper {
        self.inner.me()
    }
    fn lives(&self, keeper: &Keeper) -> bool {
        self.inner.lives(keeper)
    }
    fn insert(&mut self, row: Row, parcel: Option<&Parcel>) -> Result<()> {
        self.inner.insert(row, parcel)
    }
    fn row(&self, number: u64) -> Result<Option<Row>> {
        self.read(1).row(number)
    }
    fn save(&mut self, row: &Row) -> Result<()> {
        self.read(1);
        self.inner.save(row)
    }
    fn remove(&mut self, row: &Row) -> Result<()> {
        self.inner.remove(row)
    }
    fn numbers(&self) -> Result<Vec<u64>> {
        let numbers = self.inner.numbers()?;
        self.read(numbers.len() as u64);
        Ok(numbers)
    }
    fn count(&self, state: State) -> Result<u64> {
        // A database counts row by row.
        let count = self.inner.count(state)?;
        self.read(count);
        Ok(count)
    }
    fn ready(&self, after: Option<(f64, u64)>) -> Result<Option<Row>> {
        self.read(1).ready(after)
    }
    fn due(&self, state: State, now: f64) -> Result<Option<Row>> {
        self.read(1).due(state, now)
    }
    fn keeper(&self, after: &str) -> Result<Option<Keeper>> {
        self.read(1).keeper(after)
    }
    fn kept_by(&self, keeper: &str) -> Result<Option<Row>> {
        self.read(1).kept_by(keeper)
    }
    fn parked(&self, slot: &Slot) -> Result<Option<Row>> {
        self.read(1).parked(slot)
    }
    fn dead(&self) -> Result<Vec<Row>> {
        self.inner.dead()
    }
    fn used(&self, slot: &Slot) -> Result<u64> {
        let used = self.inner.used(slot)?;
        self.read(used);
        Ok(used)
    }
    fn set_used(&mut self, slot: &Slot, number: u64, used: bool) -> Result<()> {
        self.inner.set_used(slot, number, used)
    }
    fn taken_at(&self, number: u64) -> Result<Option<f64>> {
        self.read(1).taken_at(number)
    }
    fn record_take(&mut self, number: u64, at: f64, forget: u64) -> Result<()> {
        self.inner.record_take(number, at, forget)
    }
    fn once(&self, name: &Once) -> Result<Option<Named>> {
        self.read(1).once(name)
    }
    fn set_once(&mut self, name: &Once, of: Option<Named>) -> Result<()> {
        self.inner.set_once(name, of)
    }
    fn stale_once(&self, now: f64) -> Result<Option<(Once, Named)>> {
        self.read(1).stale_once(now)
    }
    fn shift(&mut self, by: f64) -> Result<()> {
        self.inner.shift(by)
    }
    fn doc(&self, row: &Row) -> Result<Doc> {
        self.inner.doc(row)
    }
    fn note(&self, row: &Row) -> Result<Doc> {
        self.inner.note(row)
    }
    fn set_note(&mut self, row: &mut Row, note: Option<&str>) -> Result<()> {
        self.inner.set_note(row, note)
    }
}

/// Puts so many messages, nine of ten with one key, and works them off, each failing once; what was read.
fn cost(shelf: &mut dyn Shelf, messages: u64) -> u64 {
    let reads = Cell::new(0);
    let mut shelf = Counting { inner: shelf, reads: &reads };
    for i in 0..messages {
        let key = if i % 10 == 0 { format!("k{}", i % 97) } else { "hot".to_owned() };
        let fresh = Fresh {
            number: None,
            priority: (i % 3) as i64,
            delay: if i % 7 == 0 { 5.0 } else { 0.0 },
            once: Some(u128::from(i).to_le_bytes()),
            key: Some(Key::Text(key)),
            fields: std::collections::BTreeMap::new(),
            body: 0,
        };
        let parcel = Parcel { doc: std::sync::Arc::new(json!(i)), body: None };
        rules::put(&mut shelf, 1_000.0, &fresh, Some(&parcel)).unwrap();
    }
    let (mut now, mut done) = (1_100.0, 0);
    while done < messages {
        now += 1.0;
        assert!(rules::stirs(&shelf, now).unwrap());
        for row in rules::take(&mut shelf, now, 4).unwrap() {
            if row.attempts == 1 && row.number % 2 == 0 {
                rules::nack(&mut shelf, now, (row.number, row.fence), Some(1.0), None, None).unwrap();
            } else {
                rules::ack(&mut shelf, row.number, row.fence).unwrap();
                done += 1;
            }
        }
    }
    reads.get()
}

fn options() -> QueueOptions {
    QueueOptions {
        concurrency: Some(8),
        per_key: PerKey::All(1),
        rate: Some(Rate { most: 1_000, per: 1.0 }),
        aging: Some(60.0),
        retry: Retry { max_attempts: 3, ..Retry::default() },
        dedup_for: 10.0,
        ..QueueOptions::default()
    }
}

#[test]
fn a_hundred_thousand_messages_cost_a_hundred_times_a_thousand() {
    let cost_of = |messages: u64| {
        let queues = Queues::default();
        let (n, _) = queues.open(None, "q", Some(&options())).unwrap();
        queues.on(n, |shelf| Ok(cost(shelf, messages))).unwrap()
    };
    let (few, many) = (cost_of(1_000), cost_of(100_000));
    assert!(many < few * 110, "{few} and {many}");
    assert!(few < 1_000 * 100, "{few}");
}

#[test]
fn a_folder_finds_each_row_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let disk = crate::disk::Disk::open(folder.path()).unwrap();
    let (n, _) = disk.open_queue(None, "q", Some(&options())).unwrap();
    let steps = |messages: u64| {
        let before = crate::disk::steps();
        disk.on_queue(n, false, false, move |shelf| Ok(cost(shelf, messages))).unwrap();
        crate::disk::steps() - before
    };
    let (few, many) = (steps(200), steps(4_000));
    assert!(few > 200 && many < few * 24, "{few} and {many} steps of the database");
}
