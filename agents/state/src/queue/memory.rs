//! How are queues and events kept that need not survive the process?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Result;
use serde_json::Value;

use super::options::QueueOptions;
use super::rules::unknown;
use super::shelf::{Doc, Keeper, Named, Once, Parcel, QueueRow, Row, Shelf, Slot, State};
use crate::events::{Hall, Recorded, StartFrom, Subscribed, begin};

type Scope = Option<String>;
/// A tenant, whether it is a subscription, and its name.
type At = (Scope, bool, String);

/// The queues, subscriptions and events of a store in memory.
#[derive(Default)]
pub(crate) struct Queues(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    last: i64,
    cabinets: BTreeMap<i64, Cabinet>,
    names: HashMap<At, i64>,
    buses: HashMap<Scope, Bus>,
}

/// One queue, or the deliveries of one subscription.
struct Cabinet {
    at: At,
    subscribed: Option<Subscribed>,
    row: QueueRow,
    rows: BTreeMap<u64, Row>,
    counts: BTreeMap<State, u64>,
    docs: HashMap<u64, Arc<Value>>,
    notes: HashMap<u64, String>,
    ready: BTreeSet<(u64, u64)>,
    due: BTreeSet<(State, u64, u64)>,
    kept: BTreeSet<(String, u64)>,
    parked: BTreeSet<(Slot, u64, u64)>,
    used: BTreeSet<(Slot, u64)>,
    taken: BTreeMap<u64, f64>,
    once: HashMap<Once, Named>,
    stale: BTreeSet<(u64, Once)>,
}

#[derive(Default)]
struct Bus {
    last: u64,
    events: BTreeMap<u64, (f64, Arc<Value>)>,
}

/// Numbers in the order of what they stand for.
fn order(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn lock(tables: &Mutex<Tables>) -> MutexGuard<'_, Tables> {
    tables.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queues {
    /// The number of a queue, which is made where it is not there; whether it was.
    pub(crate) fn open(
        &self,
        tenant: Option<&str>,
        name: &str,
        options: Option<&QueueOptions>,
    ) -> Result<(i64, bool)> {
        Ok(lock(&self.0).open(tenant, name, None, options))
    }

    /// The same for a subscription, with what it hears of the past.
    pub(crate) fn open_subscription(
        &self,
        tenant: Option<&str>,
        name: &str,
        subscribed: &Subscribed,
        options: &QueueOptions,
        from: StartFrom,
        now: f64,
    ) -> Result<(i64, bool)> {
        let mut tables = lock(&self.0);
        let (n, made) = tables.open(tenant, name, Some(subscribed), Some(options));
        if made {
            let mut hall = MemoryHall { scope: tenant.map(str::to_owned), tables: &mut tables };
            begin(&mut hall, now, n, from, &|doc| match doc {
                Doc::Whole(doc) => Ok((**doc).clone()),
                _ => Ok(Value::Null),
            })?;
        }
        Ok((n, made))
    }

    pub(crate) fn names(&self, tenant: Option<&str>) -> Vec<String> {
        let tables = lock(&self.0);
        let ours = tables.names.keys().filter(|(scope, events, _)| scope.as_deref() == tenant && !events);
        let mut names: Vec<String> = ours.map(|(_, _, name)| name.clone()).collect();
        names.sort();
        names
    }

    pub(crate) fn delete(&self, n: i64) -> bool {
        let mut tables = lock(&self.0);
        let Some(cabinet) = tables.cabinets.remove(&n) else { return false };
        tables.names.remove(&cabinet.at);
        true
    }

    /// Works with one queue.
    pub(crate) fn on<T>(&self, n: i64, work: impl FnOnce(&mut dyn Shelf) -> Result<T>) -> Result<T> {
        let mut tables = lock(&self.0);
        let cabinet = tables.cabinets.get_mut(&n).ok_or_else(|| unknown(&n.to_string()))?;
        work(cabinet)
    }

    /// Works with the events of a tenant.
    pub(crate) fn hall<T>(
        &self,
        tenant: Option<&str>,
        work: impl FnOnce(&mut dyn Hall) -> Result<T>,
    ) -> Result<T> {
        let mut tables = lock(&self.0);
        work(&mut MemoryHall { scope: tenant.map(str::to_owned), tables: &mut tables })
    }
}

impl Tables {
    fn open(
        &mut self,
        tenant: Option<&str>,
        name: &str,
        subscribed: Option<&Subscribed>,
        options: Option<&QueueOptions>,
    ) -> (i64, bool) {
        let at = (tenant.map(str::to_owned), subscribed.is_some(), name.to_owned());
        if let Some(n) = self.names.get(&at) {
            return (*n, false);
        }
        self.last += 1;
        let options = options.cloned().unwrap_or_default();
        let cabinet = Cabinet {
            at: at.clone(),
            subscribed: subscribed.cloned(),
            row: QueueRow { options, last: 0, taken: 0, clock: 0.0, done: 0 },
            rows: BTreeMap::new(),
            counts: BTreeMap::new(),
            docs: HashMap::new(),
            notes: HashMap::new(),
            ready: BTreeSet::new(),
            due: BTreeSet::new(),
            kept: BTreeSet::new(),
            parked: BTreeSet::new(),
            used: BTreeSet::new(),
            taken: BTreeMap::new(),
            once: HashMap::new(),
            stale: BTreeSet::new(),
        };
        self.cabinets.insert(self.last, cabinet);
        self.names.insert(at, self.last);
        (self.last, true)
    }
}

impl Cabinet {
    fn unlist(&mut self, row: &Row) {
        if let Some(count) = self.counts.get_mut(&row.state) {
            *count -= 1;
        }
        let number = row.number;
        match row.state {
            State::Ready => drop(self.ready.remove(&(order(row.place), number))),
            State::Delayed | State::Held => drop(self.due.remove(&(row.state, order(row.due), number))),
            State::Parked => {
                let slot = row.parked.unwrap_or([0; 24]);
                self.parked.remove(&(slot, order(row.place), number));
            }
            State::Dead => {}
        }
        if let Some(keeper) = &row.keeper {
            self.kept.remove(&(keeper.id.clone(), number));
        }
    }

    fn list(&mut self, row: &Row) {
        *self.counts.entry(row.state).or_default() += 1;
        let number = row.number;
        match row.state {
            State::Ready => drop(self.ready.insert((order(row.place), number))),
            State::Delayed | State::Held => drop(self.due.insert((row.state, order(row.due), number))),
            State::Parked => {
                let slot = row.parked.unwrap_or([0; 24]);
                self.parked.insert((slot, order(row.place), number));
            }
            State::Dead => {}
        }
        if let Some(keeper) = &row.keeper {
            self.kept.insert((keeper.id.clone(), number));
        }
    }
}

impl Shelf for Cabinet {
    fn queue(&self) -> Result<QueueRow> {
        Ok(self.row.clone())
    }

    fn set_queue(&mut self, row: &QueueRow) -> Result<()> {
        self.row = row.clone();
        Ok(())
    }

    fn set_options(&mut self, options: &QueueOptions) -> Result<()> {
        self.row.options = options.clone();
        Ok(())
    }

    fn me(&self) -> Keeper {
        Keeper { id: "memory".to_owned(), machine: String::new() }
    }

    fn lives(&self, _: &Keeper) -> bool {
        true
    }

    fn insert(&mut self, row: Row, parcel: Option<&Parcel>) -> Result<()> {
        if let Some(parcel) = parcel {
            self.docs.insert(row.number, Arc::clone(&parcel.doc));
        }
        self.list(&row);
        self.rows.insert(row.number, row);
        Ok(())
    }

    fn row(&self, number: u64) -> Result<Option<Row>> {
        Ok(self.rows.get(&number).cloned())
    }

    fn save(&mut self, row: &Row) -> Result<()> {
        if let Some(before) = self.rows.insert(row.number, row.clone()) {
            self.unlist(&before);
        }
        self.list(row);
        Ok(())
    }

    fn remove(&mut self, row: &Row) -> Result<()> {
        if let Some(before) = self.rows.remove(&row.number) {
            self.unlist(&before);
        }
        self.docs.remove(&row.number);
        self.notes.remove(&row.number);
        Ok(())
    }

    fn numbers(&self) -> Result<Vec<u64>> {
        Ok(self.rows.keys().copied().collect())
    }

    fn count(&self, state: State) -> Result<u64> {
        Ok(self.counts.get(&state).copied().unwrap_or(0))
    }

    fn ready(&self, after: Option<(f64, u64)>) -> Result<Option<Row>> {
        let from = match after {
            None => std::ops::Bound::Unbounded,
            Some((place, number)) => std::ops::Bound::Excluded((order(place), number)),
        };
        let first = self.ready.range((from, std::ops::Bound::Unbounded)).next();
        Ok(first.and_then(|(_, number)| self.rows.get(number)).cloned())
    }

    fn due(&self, state: State, now: f64) -> Result<Option<Row>> {
        let range = (state, 0, 0)..=(state, order(now), u64::MAX);
        let first = self.due.range(range).next();
        Ok(first.and_then(|(_, _, number)| self.rows.get(number)).cloned())
    }

    fn keeper(&self, after: &str) -> Result<Option<Keeper>> {
        let from = std::ops::Bound::Excluded((after.to_owned(), u64::MAX));
        let first = self.kept.range((from, std::ops::Bound::Unbounded)).next();
        Ok(first.and_then(|(_, number)| self.rows.get(number)?.keeper.clone()))
    }

    fn kept_by(&self, keeper: &str) -> Result<Option<Row>> {
        let first = self.kept.range((keeper.to_owned(), 0)..=(keeper.to_owned(), u64::MAX)).next();
        Ok(first.and_then(|(_, number)| self.rows.get(number)).cloned())
    }

    fn parked(&self, slot: &Slot) -> Result<Option<Row>> {
        let first = self.parked.range((*slot, 0, 0)..=(*slot, u64::MAX, u64::MAX)).next();
        Ok(first.and_then(|(_, _, number)| self.rows.get(number)).cloned())
    }

    fn dead(&self) -> Result<Vec<Row>> {
        Ok(self.rows.values().filter(|row| row.state == State::Dead).cloned().collect())
    }

    fn used(&self, slot: &Slot) -> Result<u64> {
        Ok(self.used.range((*slot, 0)..=(*slot, u64::MAX)).count() as u64)
    }

    fn set_used(&mut self, slot: &Slot, number: u64, used: bool) -> Result<()> {
        match used {
            true => drop(self.used.insert((*slot, number))),
            false => drop(self.used.remove(&(*slot, number))),
        }
        Ok(())
    }

    fn taken_at(&self, number: u64) -> Result<Option<f64>> {
        Ok(self.taken.get(&number).copied())
    }

    fn record_take(&mut self, number: u64, at: f64, forget: u64) -> Result<()> {
        self.taken.insert(number, at);
        while let Some(first) = self.taken.first_entry()
            && *first.key() <= forget
        {
            first.remove();
        }
        Ok(())
    }

    fn once(&self, name: &Once) -> Result<Option<Named>> {
        Ok(self.once.get(name).copied())
    }

    fn set_once(&mut self, name: &Once, of: Option<Named>) -> Result<()> {
        if let Some(named) = self.once.remove(name) {
            self.stale.remove(&(order(named.look), *name));
        }
        if let Some(named) = of {
            self.once.insert(*name, named);
            self.stale.insert((order(named.look), *name));
        }
        Ok(())
    }

    fn stale_once(&self, now: f64) -> Result<Option<(Once, Named)>> {
        let first = self.stale.range(..=(order(now), [u8::MAX; 16])).next();
        Ok(first.and_then(|(_, name)| Some((*name, *self.once.get(name)?))))
    }

    fn shift(&mut self, by: f64) -> Result<()> {
        self.taken.values_mut().for_each(|at| *at += by);
        for named in self.once.values_mut() {
            named.until += by;
            named.look += by;
        }
        self.stale = self.once.iter().map(|(name, named)| (order(named.look), *name)).collect();
        Ok(())
    }

    fn doc(&self, row: &Row) -> Result<Doc> {
        Ok(match self.docs.get(&row.number) {
            Some(doc) => Doc::Whole(Arc::clone(doc)),
            None => Doc::Damaged("a message has no content".to_owned()),
        })
    }

    fn note(&self, row: &Row) -> Result<Doc> {
        let note = self.notes.get(&row.number).map_or(Value::Null, |note| Value::from(note.as_str()));
        Ok(Doc::Whole(Arc::new(note)))
    }

    fn set_note(&mut self, row: &mut Row, note: Option<&str>) -> Result<()> {
        match note {
            Some(note) => drop(self.notes.insert(row.number, note.to_owned())),
            None => drop(self.notes.remove(&row.number)),
        }
        Ok(())
    }
}

struct MemoryHall<'a> {
    scope: Scope,
    tables: &'a mut Tables,
}

impl MemoryHall<'_> {
    fn bus(&mut self) -> &mut Bus {
        self.tables.buses.entry(self.scope.clone()).or_default()
    }
}

impl Hall for MemoryHall<'_> {
    fn last(&mut self) -> Result<u64> {
        Ok(self.bus().last)
    }

    fn record(&mut self, seq: u64, time: f64, parcel: &Parcel) -> Result<i64> {
        let bus = self.bus();
        bus.last = seq;
        bus.events.insert(seq, (time, Arc::clone(&parcel.doc)));
        Ok(0)
    }

    fn after(&mut self, seq: u64) -> Result<Option<Recorded>> {
        let from = (std::ops::Bound::Excluded(seq), std::ops::Bound::Unbounded);
        let first = self.bus().events.range(from).next();
        Ok(first.map(|(seq, (time, doc))| Recorded {
            seq: *seq,
            time: *time,
            body: 0,
            doc: Doc::Whole(Arc::clone(doc)),
        }))
    }

    fn forget(&mut self, seq: u64) -> Result<()> {
        self.bus().events.remove(&seq);
        Ok(())
    }

    fn subscriptions(&mut self) -> Result<Vec<(i64, Subscribed)>> {
        let ours = self.tables.cabinets.iter().filter(|(_, cabinet)| cabinet.at.0 == self.scope);
        Ok(ours.filter_map(|(n, cabinet)| Some((*n, cabinet.subscribed.clone()?))).collect())
    }

    fn shelf(&mut self, n: i64, work: &mut dyn FnMut(&mut dyn Shelf) -> Result<()>) -> Result<()> {
        let cabinet = self.tables.cabinets.get_mut(&n).ok_or_else(|| unknown(&n.to_string()))?;
        work(cabinet)
    }
}
