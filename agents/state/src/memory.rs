//! How is state kept that need not survive the process?

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Result;
use serde_json::Value;

use crate::checkpoint::Threads;
use crate::entry::now;
use crate::run::Held;
use crate::{Begun, Entry, INTERRUPTED, NewRun, RUNNING, Run, RunRow, check, disk};

/// How many runs that have ended are known.
const MAX_FINISHED: usize = 1_000;

/// What one tenant has (none: what nobody has).
type Scope = Option<String>;

pub(crate) struct Memory(Mutex<Tables>, Threads);

#[derive(Default)]
struct Tables {
    /// The number of the next run.
    next: u64,
    /// Runs by their number, which is their order.
    runs: BTreeMap<u64, Arc<Journal>>,
    ids: HashMap<(Scope, String), u64>,
    /// By tenant, kind and key.
    keys: HashMap<(Scope, String, String), u64>,
    /// Runs that have ended and that nobody holds, in that order.
    finished: VecDeque<u64>,
    values: HashMap<(Scope, String), BTreeMap<String, Value>>,
}

/// One run.
struct Journal {
    number: u64,
    id: String,
    cancelled: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    row: RunRow,
    entries: Vec<Entry>,
    /// The lease, which grows with each taking; none: nobody holds it.
    lease: Option<u64>,
    leases: u64,
    deleted: bool,
}

/// Nothing panics while it holds a lock here, and a fork waits for whoever has one (see `gate`).
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scope(tenant: Option<&str>) -> Scope {
    tenant.map(str::to_owned)
}

impl Journal {
    fn row(&self) -> RunRow {
        let inner = lock(&self.inner);
        let mut row = inner.row.clone();
        row.entries = inner.entries.len() as u64;
        row.cancelled = self.cancelled.load(Ordering::Acquire);
        if row.status == RUNNING && inner.lease.is_none() {
            INTERRUPTED.clone_into(&mut row.status);
        }
        row
    }

    fn entries(&self, from_seq: u64) -> Vec<Entry> {
        let from = usize::try_from(from_seq.saturating_sub(1)).unwrap_or(usize::MAX);
        lock(&self.inner).entries.get(from..).unwrap_or_default().to_vec()
    }

    fn lease(journal: &Arc<Journal>, memory: &Arc<Memory>) -> Result<MemoryRun> {
        let mut inner = lock(&journal.inner);
        if inner.lease.is_some() {
            return Err(check::conflict(&journal.id, "this process"));
        }
        inner.leases += 1;
        inner.lease = Some(inner.leases);
        Ok(MemoryRun { memory: Arc::clone(memory), journal: Arc::clone(journal), lease: inner.leases })
    }
}

impl Tables {
    fn find(&self, tenant: Option<&str>, id: &str) -> Result<&Arc<Journal>> {
        let number = self.ids.get(&(scope(tenant), id.to_owned()));
        number.and_then(|number| self.runs.get(number)).ok_or_else(|| check::unknown(id))
    }

    fn forget(&mut self, number: u64) {
        let Some(journal) = self.runs.remove(&number) else { return };
        let mut inner = lock(&journal.inner);
        inner.deleted = true;
        let row = &inner.row;
        self.ids.remove(&(row.tenant.clone(), row.id.clone()));
        if let Some(key) = &row.key {
            self.keys.remove(&(row.tenant.clone(), row.kind.clone(), key.clone()));
        }
    }
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory(Mutex::new(Tables::default()), Threads::default())
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.1
    }

    pub(crate) fn begin(self: &Arc<Self>, new: &NewRun<'_>, entries: &[Entry]) -> Result<Begun> {
        let mut tables = lock(&self.0);
        let scope = scope(new.tenant);
        let key = new.key.map(|key| (scope.clone(), new.kind.to_owned(), key.to_owned()));
        if let Some(known) = key.as_ref().and_then(|key| tables.keys.get(key))
            && let Some(journal) = tables.runs.get(known)
        {
            return Ok(Begun::Known(journal.row()));
        }
        let id = new.id.map_or_else(disk::new_id, str::to_owned);
        if tables.ids.contains_key(&(scope.clone(), id.clone())) {
            return Err(check::duplicate(&id));
        }
        let number = tables.next;
        tables.next += 1;
        let created = now();
        let row = RunRow {
            id: id.clone(),
            kind: new.kind.to_owned(),
            tenant: scope.clone(),
            title: new.title.to_owned(),
            parent: new.parent.map(str::to_owned),
            key: new.key.map(str::to_owned),
            status: RUNNING.to_owned(),
            cancelled: false,
            created,
            updated: created,
            entries: 0,
        };
        let inner = Inner { row, entries: entries.to_vec(), lease: None, leases: 0, deleted: false };
        let cancelled = AtomicBool::new(false);
        let journal = Arc::new(Journal { number, id: id.clone(), cancelled, inner: Mutex::new(inner) });
        tables.ids.insert((scope, id), number);
        if let Some(key) = key {
            tables.keys.insert(key, number);
        }
        tables.runs.insert(number, Arc::clone(&journal));
        Ok(Begun::New(Run(Held::Memory(Journal::lease(&journal, self)?))))
    }

    pub(crate) fn keyed(&self, tenant: Option<&str>, kind: &str, key: &str) -> Option<RunRow> {
        let tables = lock(&self.0);
        let number = tables.keys.get(&(scope(tenant), kind.to_owned(), key.to_owned()));
        number.and_then(|number| tables.runs.get(number)).map(|journal| journal.row())
    }

    pub(crate) fn take(self: &Arc<Self>, tenant: Option<&str>, id: &str) -> Result<MemoryRun> {
        let mut tables = lock(&self.0);
        let journal = Arc::clone(tables.find(tenant, id)?);
        let run = Journal::lease(&journal, self)?;
        tables.finished.retain(|finished| *finished != journal.number);
        Ok(run)
    }

    pub(crate) fn entries(&self, tenant: Option<&str>, id: &str, from_seq: u64) -> Result<Vec<Entry>> {
        let journal = Arc::clone(lock(&self.0).find(tenant, id)?);
        Ok(journal.entries(from_seq))
    }

    pub(crate) fn run(&self, tenant: Option<&str>, id: &str) -> Result<RunRow> {
        let journal = Arc::clone(lock(&self.0).find(tenant, id)?);
        Ok(journal.row())
    }

    pub(crate) fn runs(&self, tenant: Option<&str>, status: Option<&str>) -> Result<Vec<RunRow>> {
        let all: Vec<Arc<Journal>> = lock(&self.0).runs.values().cloned().collect();
        let rows = all.iter().map(|journal| journal.row());
        let rows = rows.filter(|row| row.tenant.as_deref() == tenant);
        Ok(rows.filter(|row| status.is_none_or(|status| row.status == status)).collect())
    }

    pub(crate) fn cancel(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let journal = Arc::clone(lock(&self.0).find(tenant, id)?);
        let inner = lock(&journal.inner);
        if !check::is_final(&inner.row.status) {
            journal.cancelled.store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn delete(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let mut tables = lock(&self.0);
        let journal = Arc::clone(tables.find(tenant, id)?);
        if lock(&journal.inner).lease.is_some() {
            return Err(check::conflict(id, "this process"));
        }
        tables.finished.retain(|finished| *finished != journal.number);
        tables.forget(journal.number);
        Ok(())
    }

    pub(crate) fn put(&self, tenant: Option<&str>, space: &str, key: &str, value: &Value) -> Result<()> {
        let mut tables = lock(&self.0);
        let space = tables.values.entry((scope(tenant), space.to_owned())).or_default();
        space.insert(key.to_owned(), value.clone());
        Ok(())
    }

    pub(crate) fn get(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<Option<Value>> {
        let tables = lock(&self.0);
        let space = tables.values.get(&(scope(tenant), space.to_owned()));
        Ok(space.and_then(|space| space.get(key)).cloned())
    }

    pub(crate) fn remove(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<bool> {
        let mut tables = lock(&self.0);
        let at = (scope(tenant), space.to_owned());
        let Some(space) = tables.values.get_mut(&at) else { return Ok(false) };
        let removed = space.remove(key).is_some();
        if space.is_empty() {
            tables.values.remove(&at);
        }
        Ok(removed)
    }

    pub(crate) fn list(&self, tenant: Option<&str>, space: &str) -> Result<Vec<(String, Value)>> {
        let tables = lock(&self.0);
        let space = tables.values.get(&(scope(tenant), space.to_owned()));
        let pairs = space.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
        Ok(pairs.collect())
    }
}

/// The lease of a run in memory.
pub(crate) struct MemoryRun {
    memory: Arc<Memory>,
    journal: Arc<Journal>,
    lease: u64,
}

impl MemoryRun {
    pub(crate) fn id(&self) -> &str {
        &self.journal.id
    }

    pub(crate) fn append(&self, entries: &[Entry], status: Option<&str>) -> Result<()> {
        check::entries(entries)?;
        check::status(status)?;
        let mut inner = lock(&self.journal.inner);
        if inner.lease != Some(self.lease) || inner.deleted {
            return Err(check::lost(&self.journal.id));
        }
        let last = inner.entries.len() as u64;
        if let Some(first) = entries.first()
            && first.seq != last + 1
        {
            return Err(check::does_not_follow(first.seq, last));
        }
        inner.entries.extend_from_slice(entries);
        inner.row.updated = now();
        if let Some(status) = status {
            status.clone_into(&mut inner.row.status);
        }
        Ok(())
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.journal.entries(1))
    }

    pub(crate) fn cancelled(&self) -> Result<bool> {
        Ok(self.journal.cancelled.load(Ordering::Acquire))
    }

    pub(crate) fn release(&self) {
        let mut tables = lock(&self.memory.0);
        let ended = {
            let mut inner = lock(&self.journal.inner);
            if inner.lease != Some(self.lease) {
                return;
            }
            inner.lease = None;
            check::is_final(&inner.row.status)
        };
        if ended {
            tables.finished.push_back(self.journal.number);
        }
        while tables.finished.len() > MAX_FINISHED
            && let Some(oldest) = tables.finished.pop_front()
        {
            tables.forget(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_have_ended_are_forgotten_beyond_the_newest_thousand() {
        let memory = Arc::new(Memory::new());
        for i in 0..1_500 {
            let id = format!("r{i}");
            let new = NewRun { id: Some(&id), kind: "k", key: Some(&id), ..NewRun::default() };
            let Begun::New(run) = memory.begin(&new, &[Entry::new(1, "e", i)]).unwrap() else { panic!() };
            run.append(&[], Some("done")).unwrap();
        }
        let new = NewRun { id: Some("open"), kind: "k", ..NewRun::default() };
        drop(memory.begin(&new, &[]).unwrap());
        let runs = memory.runs(None, None).unwrap();
        assert_eq!((runs.len(), runs[0].id.as_str()), (1_001, "r500"));
        assert_eq!(runs[1_000].status, "interrupted");
        let tables = lock(&memory.0);
        assert_eq!((tables.ids.len(), tables.keys.len(), tables.runs.len()), (1_001, 1_000, 1_001));
    }
}
