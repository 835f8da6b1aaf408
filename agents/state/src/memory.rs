//! How is state kept that need not survive the process?

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Result;
use serde_json::Value;

use crate::checkpoint::Threads;
use crate::entry::now;
use crate::kept::{Kept, kept};
use crate::queue::Queues;
use crate::run::Held;
use crate::{
    Advance, Begun, Enqueued, Entry, INTERRUPTED, Letter, Listed, NewRun, Posted, RUNNING, Run, RunRow,
    Start, Wake, Work, check, disk,
};

/// How many runs that have ended are known.
const MAX_FINISHED: usize = 1_000;

/// What one tenant has (none: what nobody has).
type Scope = Option<String>;

pub(crate) struct Memory(Mutex<Tables>, Threads, Queues);

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
    entries: Vec<Kept>,
    /// The lease, which grows with each taking; none: nobody holds it.
    lease: Option<u64>,
    leases: u64,
    deleted: bool,
    work: Option<Queued>,
}

/// How a run stands in a queue.
struct Queued {
    queue: String,
    priority: i64,
    slot: Option<(String, u32)>,
    wake: Option<f64>,
    letters: Vec<Letter>,
    names: HashSet<String>,
    /// Runs that have begun beneath this one.
    kin: HashSet<String>,
    /// Space, entry, label.
    listed: BTreeMap<(String, u64), String>,
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

    fn entries(&self, from_seq: u64) -> Result<Vec<Entry>> {
        let from = usize::try_from(from_seq.saturating_sub(1)).unwrap_or(usize::MAX);
        lock(&self.inner).entries.get(from..).unwrap_or_default().iter().map(Kept::entry).collect()
    }

    fn post(&self, run: &str, kind: &str, data: &Value, name: Option<&str>) -> Result<Posted> {
        let mut inner = lock(&self.inner);
        let ended = check::is_final(&inner.row.status);
        let Some(work) = &mut inner.work else { return Err(check::no_work(run)) };
        if name.is_some_and(|name| work.names.contains(name)) {
            return Ok(Posted::Known);
        }
        if ended {
            return Ok(Posted::Ended);
        }
        work.names.extend(name.map(str::to_owned));
        let number = work.letters.len() as u64 + 1;
        work.letters.push(Letter { number, time: now(), kind: kind.to_owned(), data: data.clone() });
        work.wake = Some(work.wake.unwrap_or(0.0).min(0.0));
        Ok(Posted::New(number))
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

    fn insert(&mut self, new: &NewRun<'_>, entries: &[Entry]) -> Result<Inserted> {
        let scope = scope(new.tenant);
        let key = new.key.map(|key| (scope.clone(), new.kind.to_owned(), key.to_owned()));
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key))
            && let Some(journal) = self.runs.get(known)
        {
            return Ok(Inserted::Known(Arc::clone(journal)));
        }
        let id = new.id.map_or_else(disk::new_id, str::to_owned);
        if self.ids.contains_key(&(scope.clone(), id.clone())) {
            return Err(check::duplicate(&id));
        }
        let number = self.next;
        self.next += 1;
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
        let inner = Inner { row, entries: kept(entries), lease: None, leases: 0, deleted: false, work: None };
        let cancelled = AtomicBool::new(false);
        let journal = Arc::new(Journal { number, id: id.clone(), cancelled, inner: Mutex::new(inner) });
        self.ids.insert((scope, id), number);
        if let Some(key) = key {
            self.keys.insert(key, number);
        }
        self.runs.insert(number, Arc::clone(&journal));
        Ok(Inserted::New(journal))
    }

    fn enqueue(
        &mut self,
        new: &NewRun<'_>,
        entries: &[Entry],
        status: &str,
        work: &Work<'_>,
    ) -> Result<Enqueued> {
        let journal = match self.insert(new, entries)? {
            Inserted::Known(journal) => return Ok(Enqueued::Known(journal.row())),
            Inserted::New(journal) => journal,
        };
        let mut inner = lock(&journal.inner);
        status.clone_into(&mut inner.row.status);
        inner.work = Some(Queued {
            queue: work.queue.to_owned(),
            priority: work.priority,
            slot: work.slot.map(|(key, slots)| (key.to_owned(), slots)),
            wake: Some(work.at),
            letters: Vec::new(),
            names: HashSet::new(),
            kin: HashSet::new(),
            listed: BTreeMap::new(),
        });
        Ok(Enqueued::New(journal.id.clone()))
    }

    /// Whether every run of these can begin. Errors: `duplicate_id`, `step_limit`.
    fn check(&self, tenant: Option<&str>, starts: &[Start<'_>]) -> Result<()> {
        for (i, start) in starts.iter().enumerate() {
            if let Some(id) = start.new.id {
                let twice = starts[..i].iter().any(|other| other.new.id == Some(id));
                if twice || self.find(tenant, id).is_ok() {
                    return Err(check::duplicate(id));
                }
            }
            let Some((root, most)) = start.within else { continue };
            let Ok(journal) = self.find(tenant, root) else { continue };
            let inner = lock(&journal.inner);
            let begun = inner.work.as_ref().map_or(0, |work| work.kin.len());
            if begun + i >= most as usize {
                return Err(check::too_many(start.new.id.unwrap_or_default(), root, most));
            }
        }
        Ok(())
    }

    /// Begins runs that were [checked](Tables::check), and posts words.
    fn send(&mut self, tenant: Option<&str>, step: &Advance<'_>) -> Result<()> {
        for start in step.starts {
            let new = NewRun { tenant, ..start.new };
            let begun = self.enqueue(&new, start.entries, start.status, &start.work)?;
            if let (Enqueued::New(id), Some((root, _))) = (begun, start.within)
                && let Ok(journal) = self.find(tenant, root)
                && let Some(work) = &mut lock(&journal.inner).work
            {
                work.kin.insert(id);
            }
        }
        for post in step.posts {
            if let Ok(journal) = self.find(tenant, post.run) {
                // To one that gets no letters nothing is said.
                let _ = journal.post(post.run, post.kind, post.data, post.name);
            }
        }
        Ok(())
    }
}

/// What came of adding a run.
enum Inserted {
    New(Arc<Journal>),
    /// The key was used before.
    Known(Arc<Journal>),
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory(Mutex::new(Tables::default()), Threads::default(), Queues::default())
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.2
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.1
    }

    pub(crate) fn begin(self: &Arc<Self>, new: &NewRun<'_>, entries: &[Entry]) -> Result<Begun> {
        let mut tables = lock(&self.0);
        match tables.insert(new, entries)? {
            Inserted::Known(journal) => Ok(Begun::Known(journal.row())),
            Inserted::New(journal) => Ok(Begun::New(Run(Held::Memory(Journal::lease(&journal, self)?)))),
        }
    }

    pub(crate) fn enqueue(
        &self,
        new: &NewRun<'_>,
        entries: &[Entry],
        status: &str,
        work: &Work<'_>,
    ) -> Result<Enqueued> {
        lock(&self.0).enqueue(new, entries, status, work)
    }

    pub(crate) fn claim(
        self: &Arc<Self>,
        tenant: Option<&str>,
        kind: &str,
        queues: Option<&[&str]>,
        now: f64,
        most: usize,
    ) -> Vec<Run> {
        let mut tables = lock(&self.0);
        let mut due: Vec<(std::cmp::Reverse<i64>, u64)> = Vec::new();
        let mut taken: HashMap<String, u32> = HashMap::new();
        for (number, journal) in &tables.runs {
            let inner = lock(&journal.inner);
            let Some(work) = &inner.work else { continue };
            if inner.row.kind != kind || inner.row.tenant.as_deref() != tenant {
                continue;
            }
            if let (Some((key, _)), Some(_)) = (&work.slot, inner.lease) {
                *taken.entry(key.clone()).or_default() += 1;
            }
            let here = queues.is_none_or(|queues| queues.contains(&work.queue.as_str()));
            let free = inner.lease.is_none() && !check::is_final(&inner.row.status);
            if here && free && work.wake.is_some_and(|wake| wake <= now) {
                due.push((std::cmp::Reverse(work.priority), *number));
            }
        }
        due.sort_unstable();
        let mut claimed = Vec::new();
        for (_, number) in due {
            if claimed.len() == most {
                break;
            }
            let Some(journal) = tables.runs.get(&number).map(Arc::clone) else { continue };
            let slot = lock(&journal.inner).work.as_ref().and_then(|work| work.slot.clone());
            if let Some((key, slots)) = slot {
                let held = taken.entry(key).or_default();
                if *held >= slots {
                    continue;
                }
                *held += 1;
            }
            if let Ok(run) = Journal::lease(&journal, self) {
                tables.finished.retain(|finished| *finished != number);
                claimed.push(Run(Held::Memory(run)));
            }
        }
        claimed
    }

    pub(crate) fn post(
        &self,
        tenant: Option<&str>,
        run: &str,
        kind: &str,
        data: &Value,
        name: Option<&str>,
    ) -> Result<Posted> {
        let journal = Arc::clone(lock(&self.0).find(tenant, run)?);
        journal.post(run, kind, data, name)
    }

    pub(crate) fn listed(
        &self,
        tenant: Option<&str>,
        space: &str,
        label: Option<&str>,
        run: Option<&str>,
    ) -> Result<Vec<Listed>> {
        let journals: Vec<Arc<Journal>> = match run {
            Some(id) => vec![Arc::clone(lock(&self.0).find(tenant, id)?)],
            None => lock(&self.0).runs.values().cloned().collect(),
        };
        let mut listed = Vec::new();
        for journal in journals {
            let inner = lock(&journal.inner);
            let Some(work) = inner.work.as_ref().filter(|_| inner.row.tenant.as_deref() == tenant) else {
                continue;
            };
            for ((_, seq), _) in work
                .listed
                .iter()
                .filter(|((of, _), under)| of == space && label.is_none_or(|label| under.as_str() == label))
            {
                let at = usize::try_from(seq - 1).unwrap_or(usize::MAX);
                if let Some(entry) = inner.entries.get(at) {
                    listed.push(Listed { run_id: journal.id.clone(), entry: entry.entry()? });
                }
            }
        }
        Ok(listed)
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
        journal.entries(from_seq)
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
        self.append_to(&mut lock(&self.journal.inner), entries, status)
    }

    fn append_to(&self, inner: &mut Inner, entries: &[Entry], status: Option<&str>) -> Result<()> {
        if inner.lease != Some(self.lease) || inner.deleted {
            return Err(check::lost(&self.journal.id));
        }
        let last = inner.entries.len() as u64;
        if let Some(first) = entries.first()
            && first.seq != last + 1
        {
            return Err(check::does_not_follow(first.seq, last));
        }
        inner.entries.extend(kept(entries));
        inner.row.updated = now();
        if let Some(status) = status {
            status.clone_into(&mut inner.row.status);
        }
        Ok(())
    }

    pub(crate) fn advance(&self, step: &Advance<'_>) -> Result<bool> {
        check::advance(step)?;
        // Others are only touched under this lock, which comes before that of a run.
        let others = !step.starts.is_empty() || !step.posts.is_empty();
        let mut tables = others.then(|| lock(&self.memory.0));
        let tenant = others.then(|| lock(&self.journal.inner).row.tenant.clone()).flatten();
        if let Some(tables) = &tables {
            // Before anything is written, and after it is known that this is the holder.
            self.append_to(&mut lock(&self.journal.inner), &[], None)?;
            tables.check(tenant.as_deref(), step.starts)?;
        }
        let mut inner = lock(&self.journal.inner);
        self.append_to(&mut inner, &[], None)?;
        match &inner.work {
            None => return Err(check::no_work(&self.journal.id)),
            Some(work) if work.letters.len() as u64 > step.read => return Ok(false),
            Some(_) => {}
        }
        self.append_to(&mut inner, step.entries, step.status)?;
        let ended = step.status.is_some_and(check::is_final);
        if let Some(work) = &mut inner.work {
            match step.wake {
                _ if ended => work.wake = None,
                Wake::Keep => {}
                Wake::At(at) => work.wake = Some(at),
                Wake::Never => work.wake = None,
            }
            for one in step.listings {
                let at = (one.space.to_owned(), one.seq);
                match one.listed {
                    true => drop(work.listed.insert(at, one.label.to_owned())),
                    false => drop(work.listed.remove(&at)),
                }
            }
            if ended {
                work.listed.clear();
            }
        }
        drop(inner);
        if let Some(tables) = &mut tables {
            tables.send(tenant.as_deref(), step)?;
        }
        Ok(true)
    }

    pub(crate) fn letters(&self, after: u64) -> Result<Vec<Letter>> {
        let inner = lock(&self.journal.inner);
        let letters = inner.work.iter().flat_map(|work| &work.letters);
        Ok(letters.filter(|letter| letter.number > after).cloned().collect())
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        self.journal.entries(1)
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
mod tests;
