//! What do the rules of a queue need of the store that it lies in?
//!
//! The rules are written once, over a [`Shelf`]: one queue in one transaction. Each call reads or writes a bounded number of
//! rows that it finds by an index, so that what the rules cost can be counted in calls.

use std::sync::Arc;

use quorate_core::Result;
use serde_json::Value;

use super::options::QueueOptions;
use crate::disk::Body;

/// What a message is counted by, as a hash: of the name of a part, and of part and value.
pub(crate) type Slot = [u8; 24];

/// A hash of a name that keeps others out.
pub(crate) type Once = [u8; 16];

/// A name that keeps others out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Named {
    /// The message that has it.
    pub(crate) number: u64,
    /// Until when it counts although the message is gone.
    pub(crate) until: f64,
    /// When somebody looks again whether it still counts.
    pub(crate) look: f64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nobody takes it before a time.
    Delayed = 0,
    /// Whoever comes next may take it.
    Ready = 1,
    /// Somebody has it.
    Held = 2,
    /// It was tried too often.
    Dead = 3,
    /// It is due, and its key has no place free.
    Parked = 4,
}

impl State {
    pub(crate) fn of(number: i64) -> Option<State> {
        [State::Delayed, State::Ready, State::Held, State::Dead, State::Parked]
            .into_iter()
            .find(|state| *state as i64 == number)
    }
}

/// Who has a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) id: String,
    pub(crate) machine: String,
}

/// What changes of a message, and what it is found by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) state: State,
    /// The lower goes first; of equals, the lower number.
    pub(crate) place: f64,
    pub(crate) priority: i64,
    /// When it was first due.
    pub(crate) since: f64,
    /// Delayed: when it is due. Held: when the lease runs out. Dead: since when.
    pub(crate) due: f64,
    /// How often it was taken since it was put, or put again.
    pub(crate) attempts: u32,
    /// How often it was taken in all.
    pub(crate) fence: u64,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) slots: Vec<Slot>,
    /// The slot that it waits for.
    pub(crate) parked: Option<Slot>,
    /// Whether it keeps its places although nobody has it.
    pub(crate) keeps: bool,
    /// Where its content stands.
    pub(crate) body: i64,
    /// Where it stands why it was not worked off; 0: nowhere.
    pub(crate) note: i64,
}

/// What a queue knows of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueueRow {
    pub(crate) options: QueueOptions,
    /// The number of the newest message.
    pub(crate) last: u64,
    /// How many were taken while there was a rate.
    pub(crate) taken: u64,
    /// The latest time that was seen.
    pub(crate) clock: f64,
    /// How many were worked off.
    pub(crate) done: u64,
}

/// A content that is to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) doc: Arc<Value>,
    /// As it is stored in a folder.
    pub(crate) body: Option<Body>,
}

/// A content that is stored.
#[derive(Clone, Debug)]
pub(crate) enum Doc {
    Whole(Arc<Value>),
    Text(String),
    /// The name of a payload.
    File(String),
    /// What is wrong with it.
    Damaged(String),
}

/// One queue of a store, in a transaction.
pub(crate) trait Shelf {
    fn queue(&self) -> Result<QueueRow>;
    /// Writes what changes by itself.
    fn set_queue(&mut self, row: &QueueRow) -> Result<()>;
    fn set_options(&mut self, options: &QueueOptions) -> Result<()>;

    /// Whoever takes something now.
    fn me(&self) -> Keeper;
    /// Whether a keeper may still be there.
    fn lives(&self, keeper: &Keeper) -> bool;

    /// Stores a message with its content; without, the row says where that is.
    fn insert(&mut self, row: Row, parcel: Option<&Parcel>) -> Result<()>;
    fn row(&self, number: u64) -> Result<Option<Row>>;
    fn save(&mut self, row: &Row) -> Result<()>;
    fn remove(&mut self, row: &Row) -> Result<()>;
    fn numbers(&self) -> Result<Vec<u64>>;
    fn count(&self, state: State) -> Result<u64>;

    /// The first of those that are ready, after a place and number.
    fn ready(&self, after: Option<(f64, u64)>) -> Result<Option<Row>>;
    /// The first of those in a state whose time has come.
    fn due(&self, state: State, now: f64) -> Result<Option<Row>>;
    /// The first keeper of held messages after this one.
    fn keeper(&self, after: &str) -> Result<Option<Keeper>>;
    fn kept_by(&self, keeper: &str) -> Result<Option<Row>>;
    /// The first of those that wait for a slot.
    fn parked(&self, slot: &Slot) -> Result<Option<Row>>;
    fn dead(&self) -> Result<Vec<Row>>;

    /// How many places of a slot are taken.
    fn used(&self, slot: &Slot) -> Result<u64>;
    fn set_used(&mut self, slot: &Slot, number: u64, used: bool) -> Result<()>;

    /// When the so manieth message was taken, where that is known.
    fn taken_at(&self, number: u64) -> Result<Option<f64>>;
    /// Remembers it, and forgets those up to a number.
    fn record_take(&mut self, number: u64, at: f64, forget: u64) -> Result<()>;

    /// Which message has a name.
    fn once(&self, name: &Once) -> Result<Option<Named>>;
    fn set_once(&mut self, name: &Once, of: Option<Named>) -> Result<()>;
    /// The first name that is to be looked at again.
    fn stale_once(&self, now: f64) -> Result<Option<(Once, Named)>>;

    /// Puts the times of takes and names back or forward.
    fn shift(&mut self, by: f64) -> Result<()>;

    fn doc(&self, row: &Row) -> Result<Doc>;
    fn note(&self, row: &Row) -> Result<Doc>;
    /// Writes why a message was not worked off, in the place of what stood there.
    fn set_note(&mut self, row: &mut Row, note: Option<&str>) -> Result<()>;
}
