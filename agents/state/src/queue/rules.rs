//! When may a message be taken, and what becomes of it?
//!
//! A message whose key has no place free is parked, so that nobody looks at it again before one is. What holds at the end of
//! each call: where a slot has so many places free, at least so many of the messages that wait for it stand among those that
//! are ready, as far as there are so many; and they are the first.

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result, shorten};

use super::options::{Key, PerKey, QueueOptions};
use super::shelf::{Named, Once, Parcel, QueueRow, Row, Shelf, Slot, State};

/// How far a clock may go back, in seconds, before all times of the queue go back with it. Below, whoever read the clock
/// first was only the later one to write.
const SLACK: f64 = 60.0;
/// How far it goes on before that is written down.
const STRIDE: f64 = 1.0;
/// The longest reason that is kept, in bytes.
const MAX_NOTE: usize = 4 << 10;
/// Names that are looked at, for each message that is put, whether their time is over.
const STALE: usize = 2;

/// A message that is to be put.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    /// Its number, where it has one.
    pub(crate) number: Option<u64>,
    pub(crate) priority: i64,
    pub(crate) delay: f64,
    pub(crate) once: Option<Once>,
    pub(crate) key: Option<Key>,
    /// The texts of a payload that name parts of a key, where no key is given.
    pub(crate) fields: BTreeMap<String, String>,
    /// Where its content stands already.
    pub(crate) body: i64,
}

fn short(of: &str, parts: &[&str]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key(of);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// The hash of the name of a part. A key that is one text has none.
fn part_of(name: &str) -> [u8; 8] {
    let mut part = [0; 8];
    part.copy_from_slice(&short("quorate-state part of a key", &[name]).as_bytes()[..8]);
    part
}

const TEXT: [u8; 8] = [0; 8];

fn slot_of(part: [u8; 8], name: &str, value: &str) -> Slot {
    let mut slot = [0; 24];
    slot[..8].copy_from_slice(&part);
    slot[8..].copy_from_slice(&short("quorate-state slot of a key", &[name, value]).as_bytes()[..16]);
    slot
}

/// What a message is counted by.
fn slots_of(options: &QueueOptions, fresh: &Fresh) -> Vec<Slot> {
    match &fresh.key {
        Some(Key::Text(text)) => vec![slot_of(TEXT, "", text)],
        Some(Key::Parts(parts)) => {
            parts.iter().map(|(name, value)| slot_of(part_of(name), name, value)).collect()
        }
        None => match &options.per_key {
            PerKey::Parts(parts) => parts
                .keys()
                .filter_map(|name| Some(slot_of(part_of(name), name, fresh.fields.get(name)?)))
                .collect(),
            PerKey::None | PerKey::All(_) => Vec::new(),
        },
    }
}

/// The limits of keys, as they are looked up.
struct Limits {
    all: Option<u32>,
    parts: BTreeMap<[u8; 8], u32>,
}

impl Limits {
    fn of(options: &QueueOptions) -> Limits {
        let (all, parts) = match &options.per_key {
            PerKey::None => (None, BTreeMap::new()),
            PerKey::All(limit) => (Some(*limit), BTreeMap::new()),
            PerKey::Parts(parts) => {
                let lowest = parts.values().min().copied();
                let mut parts: BTreeMap<_, _> =
                    parts.iter().map(|(name, limit)| (part_of(name), *limit)).collect();
                if let Some(lowest) = lowest {
                    parts.insert(TEXT, lowest);
                }
                (None, parts)
            }
        };
        if options.ordered { Limits { all: Some(1), parts: BTreeMap::new() } } else { Limits { all, parts } }
    }

    fn for_slot(&self, slot: &Slot) -> Option<u64> {
        let mut part = [0; 8];
        part.copy_from_slice(&slot[..8]);
        self.all.or_else(|| self.parts.get(&part).copied()).map(u64::from)
    }
}

/// Where a message stands among those that are ready. Ages grow alike, so that their order stays.
fn place_of(options: &QueueOptions, row: &Row) -> f64 {
    if options.ordered {
        return row.number as f64;
    }
    let priority = row.priority as f64;
    // Not the negative zero, which a database does not know.
    options.aging.map_or(0.0 - priority, |aging| row.since - priority * aging)
}

/// Takes note of the time. A clock that was put back takes all times of the queue with it: otherwise what was to wait for
/// ten seconds would wait for as long as the clock went back.
fn tick(shelf: &mut dyn Shelf, queue: &mut QueueRow, now: f64) -> Result<()> {
    if now < queue.clock - SLACK {
        let by = now - queue.clock;
        shelf.shift(by)?;
        each(shelf, |row| {
            row.since += by;
            row.due += by;
            row.place = place_of(&queue.options, row);
        })?;
        queue.clock = now;
        shelf.set_queue(queue)?;
    } else if now > queue.clock + STRIDE {
        queue.clock = now;
        shelf.set_queue(queue)?;
    }
    Ok(())
}

fn each(shelf: &mut dyn Shelf, change: impl Fn(&mut Row)) -> Result<()> {
    for number in shelf.numbers()? {
        if let Some(mut row) = shelf.row(number)? {
            change(&mut row);
            shelf.save(&row)?;
        }
    }
    Ok(())
}

/// Changes what holds for the queue; what is in it gets its place by the new rules.
pub(crate) fn configure(shelf: &mut dyn Shelf, options: &QueueOptions) -> Result<()> {
    let mut queue = shelf.queue()?;
    if queue.options == *options {
        return Ok(());
    }
    shelf.set_options(options)?;
    let new = |options: &QueueOptions| (options.aging, options.per_key.clone(), options.ordered);
    if new(&queue.options) != new(options) {
        each(shelf, |row| {
            if row.parked.take().is_some() {
                row.state = State::Ready;
            }
            row.place = place_of(options, row);
        })?;
    }
    queue.options = options.clone();
    shelf.set_queue(&queue)
}

/// Puts a message; gives its number, and whether it is a new one.
pub(crate) fn put(
    shelf: &mut dyn Shelf,
    now: f64,
    fresh: &Fresh,
    parcel: Option<&Parcel>,
) -> Result<(u64, bool)> {
    let mut queue = shelf.queue()?;
    tick(shelf, &mut queue, now)?;
    if queue.options.ordered && fresh.delay > 0.0 {
        return Err(Error::invalid(
            "a message of an ordered queue has no delay: it would hold up those behind it",
        ));
    }
    if let Some(name) = &fresh.once {
        if let Some(named) = shelf.once(name)?
            && (named.until > now || shelf.row(named.number)?.is_some())
        {
            return Ok((named.number, false));
        }
        forget_names(shelf, &queue.options, now)?;
    }
    let number = fresh.number.unwrap_or(queue.last + 1);
    queue.last = queue.last.max(number);
    shelf.set_queue(&queue)?;
    let since = now + fresh.delay;
    let mut row = Row {
        number,
        state: if fresh.delay > 0.0 { State::Delayed } else { State::Ready },
        place: 0.0,
        priority: fresh.priority,
        since,
        due: since,
        attempts: 0,
        fence: 0,
        keeper: None,
        slots: slots_of(&queue.options, fresh),
        parked: None,
        keeps: false,
        body: fresh.body,
        note: 0,
    };
    row.place = place_of(&queue.options, &row);
    shelf.insert(row, parcel)?;
    if let Some(name) = &fresh.once {
        let until = now + queue.options.dedup_for;
        shelf.set_once(name, Some(Named { number, until, look: until }))?;
    }
    Ok((number, true))
}

fn forget_names(shelf: &mut dyn Shelf, options: &QueueOptions, now: f64) -> Result<()> {
    for _ in 0..STALE {
        let Some((name, named)) = shelf.stale_once(now)? else { break };
        let there = shelf.row(named.number)?.is_some();
        // A message that is still there keeps its name; nobody looks at it again for a while.
        let look = now + options.dedup_for.max(STRIDE);
        shelf.set_once(&name, there.then_some(Named { look, ..named }))?;
    }
    Ok(())
}

/// Whether there is anything to do for whoever would take messages: one to take, or one whose holder has lost it.
pub(crate) fn stirs(shelf: &dyn Shelf, now: f64) -> Result<bool> {
    let queue = shelf.queue()?;
    if now < queue.clock - SLACK
        || shelf.ready(None)?.is_some()
        || shelf.due(State::Delayed, now)?.is_some()
        || shelf.due(State::Held, now)?.is_some()
    {
        return Ok(true);
    }
    let mut after = String::new();
    while let Some(keeper) = shelf.keeper(&after)? {
        if !shelf.lives(&keeper) {
            return Ok(true);
        }
        after = keeper.id;
    }
    // Where something waits for a time, the time is to be known when the clock is put back.
    let waits = |state| Ok::<bool, Error>(shelf.due(state, f64::INFINITY)?.is_some());
    Ok(now > queue.clock + SLACK / 2.0 && (waits(State::Delayed)? || waits(State::Held)?))
}

/// Takes at most so many messages: the first of those that are due, as far as the limits allow.
pub(crate) fn take(shelf: &mut dyn Shelf, now: f64, most: usize) -> Result<Vec<Row>> {
    settle(shelf, now)?;
    let mut queue = shelf.queue()?;
    let limits = Limits::of(&queue.options);
    let mut free = match queue.options.concurrency {
        None => u64::MAX,
        Some(limit) => u64::from(limit).saturating_sub(shelf.count(State::Held)?),
    };
    let (mut taken, mut after) = (Vec::new(), None);
    while taken.len() < most && free > 0 && may_go(shelf, &queue, now)? {
        let Some(mut row) = shelf.ready(after)? else { break };
        after = Some((row.place, row.number));
        if let Some(slot) = full(shelf, &limits, &row)? {
            row.state = State::Parked;
            row.parked = Some(slot);
            shelf.save(&row)?;
            // It does not take the place that it was called for.
            for other in row.slots.iter().filter(|other| **other != slot) {
                if let Some(limit) = limits.for_slot(other)
                    && shelf.used(other)? < limit
                {
                    call(shelf, other)?;
                }
            }
            continue;
        }
        row.state = State::Held;
        row.due = now + queue.options.lease;
        row.attempts += 1;
        row.fence += 1;
        row.keeper = Some(shelf.me());
        shelf.save(&row)?;
        if !row.keeps {
            for slot in &row.slots {
                shelf.set_used(slot, row.number, true)?;
            }
        }
        if let Some(rate) = queue.options.rate {
            queue.taken += 1;
            shelf.record_take(queue.taken, now, queue.taken.saturating_sub(u64::from(rate.most)))?;
            shelf.set_queue(&queue)?;
        }
        free -= 1;
        taken.push(row);
    }
    Ok(taken)
}

/// What is due is ready, and what nobody holds any more is nobody's.
pub(crate) fn settle(shelf: &mut dyn Shelf, now: f64) -> Result<()> {
    let mut queue = shelf.queue()?;
    tick(shelf, &mut queue, now)?;
    reap(shelf, &queue.options, now)?;
    while let Some(mut row) = shelf.due(State::Delayed, now)? {
        row.state = State::Ready;
        shelf.save(&row)?;
    }
    Ok(())
}

/// Whether the rate lets one more go: the one that was taken so many before it is long enough ago.
fn may_go(shelf: &dyn Shelf, queue: &QueueRow, now: f64) -> Result<bool> {
    let Some(rate) = queue.options.rate else { return Ok(true) };
    let Some(before) = (queue.taken + 1).checked_sub(u64::from(rate.most)).filter(|n| *n > 0) else {
        return Ok(true);
    };
    Ok(shelf.taken_at(before)?.is_none_or(|at| at + rate.per <= now))
}

/// The slot of a message that has no place free.
fn full(shelf: &dyn Shelf, limits: &Limits, row: &Row) -> Result<Option<Slot>> {
    if row.keeps {
        return Ok(None);
    }
    for slot in &row.slots {
        if let Some(limit) = limits.for_slot(slot)
            && shelf.used(slot)? >= limit
        {
            return Ok(Some(*slot));
        }
    }
    Ok(None)
}

/// The first that waits for a slot stands among those that are ready.
fn call(shelf: &mut dyn Shelf, slot: &Slot) -> Result<()> {
    if let Some(mut row) = shelf.parked(slot)? {
        row.state = State::Ready;
        row.parked = None;
        shelf.save(&row)?;
    }
    Ok(())
}

/// A message gives its places back, or will not take those that it could have had.
fn release(shelf: &mut dyn Shelf, row: &Row) -> Result<()> {
    for slot in &row.slots {
        shelf.set_used(slot, row.number, false)?;
        call(shelf, slot)?;
    }
    Ok(())
}

/// Messages whose lease has run out, or whose holder has ended, are nobody's.
fn reap(shelf: &mut dyn Shelf, options: &QueueOptions, now: f64) -> Result<()> {
    while let Some(row) = shelf.due(State::Held, now)? {
        lapse(shelf, options, row, now, "its lease ran out: whoever had it gave no sign")?;
    }
    let mut after = String::new();
    while let Some(keeper) = shelf.keeper(&after)? {
        if !shelf.lives(&keeper) {
            while let Some(row) = shelf.kept_by(&keeper.id)? {
                lapse(shelf, options, row, now, "the process that had it ended")?;
            }
        }
        after = keeper.id;
    }
    Ok(())
}

/// Whoever had it is gone. It goes on at once, since others wait for it; unless that has happened too often.
fn lapse(shelf: &mut dyn Shelf, options: &QueueOptions, mut row: Row, now: f64, why: &str) -> Result<()> {
    if row.attempts >= options.retry.max_attempts {
        return bury(shelf, row, now, why);
    }
    row.state = State::Ready;
    row.keeper = None;
    row.keeps = options.ordered;
    shelf.set_note(&mut row, Some(why))?;
    shelf.save(&row)?;
    if row.keeps { Ok(()) } else { release(shelf, &row) }
}

fn bury(shelf: &mut dyn Shelf, mut row: Row, now: f64, why: &str) -> Result<()> {
    row.state = State::Dead;
    row.keeper = None;
    row.keeps = false;
    row.due = now;
    shelf.set_note(&mut row, Some(why))?;
    shelf.save(&row)?;
    release(shelf, &row)
}

/// The message that somebody holds. Errors: `stale_write`.
fn held(shelf: &dyn Shelf, number: u64, fence: u64) -> Result<Row> {
    let row = shelf.row(number)?.filter(|row| row.state == State::Held && row.fence == fence);
    row.ok_or_else(|| {
        Error::new(
            Code::StaleWrite,
            format!(
                "message {number} is not held with this lease any more: it ran out, or the message was settled or \
                 removed; take it again"
            ),
        )
    })
}

/// It is worked off. Errors: `stale_write`.
pub(crate) fn ack(shelf: &mut dyn Shelf, number: u64, fence: u64) -> Result<()> {
    let row = held(shelf, number, fence)?;
    shelf.remove(&row)?;
    release(shelf, &row)?;
    let mut queue = shelf.queue()?;
    queue.done += 1;
    shelf.set_queue(&queue)
}

/// It is not worked off, and is tried again after a while; or is dead, where `last` says so or, where that says nothing, it
/// was tried often enough.
/// Whether it is dead. Errors: `stale_write`.
pub(crate) fn nack(
    shelf: &mut dyn Shelf,
    now: f64,
    (number, fence): (u64, u64),
    delay: Option<f64>,
    why: Option<&str>,
    last: Option<bool>,
) -> Result<bool> {
    let mut queue = shelf.queue()?;
    tick(shelf, &mut queue, now)?;
    let mut row = held(shelf, number, fence)?;
    let why = why.map(|why| shorten_to(why, MAX_NOTE));
    if last.unwrap_or(row.attempts >= queue.options.retry.max_attempts) {
        bury(shelf, row, now, why.as_deref().unwrap_or("it was given back"))?;
        return Ok(true);
    }
    let delay = delay.unwrap_or_else(|| queue.options.retry.pause(row.attempts));
    row.state = if delay > 0.0 { State::Delayed } else { State::Ready };
    row.due = now + delay;
    row.keeper = None;
    row.keeps = queue.options.ordered;
    shelf.set_note(&mut row, why.as_deref())?;
    shelf.save(&row)?;
    if !row.keeps {
        release(shelf, &row)?;
    }
    Ok(false)
}

fn shorten_to(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Whoever holds it is still there; until when the lease lasts now. Errors: `stale_write`.
pub(crate) fn renew(shelf: &mut dyn Shelf, now: f64, number: u64, fence: u64) -> Result<f64> {
    let mut queue = shelf.queue()?;
    tick(shelf, &mut queue, now)?;
    let mut row = held(shelf, number, fence)?;
    row.due = now + queue.options.lease;
    shelf.save(&row)?;
    Ok(row.due)
}

/// Dead messages are put again; how many.
pub(crate) fn replay(shelf: &mut dyn Shelf, now: f64, numbers: &[u64]) -> Result<usize> {
    let mut queue = shelf.queue()?;
    tick(shelf, &mut queue, now)?;
    for row in dead(shelf, numbers)? {
        revive(shelf, &queue.options, row, now)?;
    }
    Ok(numbers.len())
}

/// A dead message is put again.
pub(crate) fn revive(shelf: &mut dyn Shelf, options: &QueueOptions, mut row: Row, now: f64) -> Result<()> {
    row.state = State::Ready;
    row.attempts = 0;
    row.since = now;
    row.due = now;
    row.place = place_of(options, &row);
    shelf.set_note(&mut row, None)?;
    shelf.save(&row)
}

/// Dead messages are removed; how many.
pub(crate) fn discard(shelf: &mut dyn Shelf, numbers: &[u64]) -> Result<usize> {
    for row in dead(shelf, numbers)? {
        shelf.remove(&row)?;
    }
    Ok(numbers.len())
}

/// All of those that are named, or an error before anything is done. Errors: `unknown_id`, `invalid_argument`.
fn dead(shelf: &dyn Shelf, numbers: &[u64]) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(numbers.len());
    let mut seen = std::collections::BTreeSet::new();
    for number in numbers {
        if !seen.insert(number) {
            return Err(Error::invalid(format!("message {number} is named twice")));
        }
        let row = shelf.row(*number)?.filter(|row| row.state == State::Dead);
        rows.push(row.ok_or_else(|| {
            Error::new(Code::UnknownId, format!("no dead message has the number {number}; list them"))
        })?);
    }
    Ok(rows)
}

/// The error of a queue that is not there.
pub(crate) fn unknown(name: &str) -> Error {
    Error::new(
        Code::UnknownId,
        format!("the queue '{}' is not there any more; open it again", shorten(name).escape_debug()),
    )
}
