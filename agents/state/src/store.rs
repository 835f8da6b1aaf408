//! How does a program open durable state, and what can it ask of it?

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use quorate_core::Result;
use serde_json::Value;

use crate::disk::Disk;
use crate::memory::Memory;
use crate::run::Held;
use crate::{Begun, Enqueued, Entry, Listed, NewRun, Posted, Run, RunRow, Work, check, gate};

/// Runs and small durable values, in a folder or in memory. Clones are the same store. It may be used from any thread,
/// and in the children of a fork.
///
/// Any number of processes may have one folder open. What a tenant has, no other tenant sees: every call names whose
/// things it means.
#[derive(Clone)]
pub struct StateStore(pub(crate) Place);

#[derive(Clone)]
pub(crate) enum Place {
    Disk(Arc<Disk>),
    Memory(Arc<Memory>),
}

impl fmt::Debug for StateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Disk(disk) => f.debug_tuple("StateStore").field(&disk.folder()).finish(),
            Place::Memory(_) => f.write_str("StateStore(in memory)"),
        }
    }
}

impl StateStore {
    /// Opens the folder at `path`, or makes it. What processes that have crashed left unfinished is swept up.
    ///
    /// Errors: `corrupt` when what lies there is damaged or no state of quorate (nothing is changed then);
    /// `format_version` when a newer release wrote it; `io`, `disk_full`, `permission_denied`; `locked` when another
    /// process writes for over ten seconds; `unsupported` on a file system without shared memory.
    pub fn open(path: impl AsRef<Path>) -> Result<StateStore> {
        let _section = gate::enter()?;
        Ok(StateStore(Place::Disk(Arc::new(Disk::open(path.as_ref())?))))
    }

    /// A store with nothing on the disk, which ends with its last clone. Of the runs that have ended it knows the newest
    /// 1,000. A forked child has its own copy of it.
    pub fn memory() -> StateStore {
        StateStore(Place::Memory(Arc::new(Memory::new())))
    }

    /// Begins a run with its first entries, whose numbers begin at 1, in one transaction. Its status is `running`. A process
    /// that ends leaves it there; against a power cut it is safe with what is appended first, since nothing has come of it
    /// before.
    ///
    /// Errors: `duplicate_id`; `stale_write` when the first entry is not number 1; `invalid_argument`, `not_finite`,
    /// `too_large`; and those of [`Run::append`].
    pub fn begin(&self, new: &NewRun<'_>, entries: &[Entry]) -> Result<Begun> {
        let _section = gate::enter()?;
        check::new_run(new)?;
        check::entries(entries)?;
        if let Some(first) = entries.first()
            && first.seq != 1
        {
            return Err(check::does_not_follow(first.seq, 0));
        }
        match &self.0 {
            Place::Disk(disk) => disk.begin(new, entries),
            Place::Memory(memory) => memory.begin(new, entries),
        }
    }

    /// Takes a run that nobody holds, to go on with it: one that was let go of, or whose holder's process has ended. Its
    /// former holder cannot write any more. Its status stays as it is until something is appended; a run that has ended can
    /// be taken too.
    ///
    /// Errors: `unknown_id`; `run_conflict` while somebody holds it, in this process or another one; `io`, `locked`.
    pub fn take(&self, tenant: Option<&str>, id: &str) -> Result<Run> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => Ok(Run(Held::Disk(disk.take(tenant, id)?))),
            Place::Memory(memory) => Ok(Run(Held::Memory(memory.take(tenant, id)?))),
        }
    }

    /// The entries of a run from number `from_seq` on, in their order.
    ///
    /// Errors: `unknown_id`; `corrupt` when an entry is not what was written, with the file's name; `io`.
    pub fn entries(&self, tenant: Option<&str>, id: &str, from_seq: u64) -> Result<Vec<Entry>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.entries(tenant, id, from_seq),
            Place::Memory(memory) => memory.entries(tenant, id, from_seq),
        }
    }

    /// What is known of a run. Errors: `unknown_id`, `corrupt`, `io`.
    pub fn run(&self, tenant: Option<&str>, id: &str) -> Result<RunRow> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.run(tenant, id),
            Place::Memory(memory) => memory.run(tenant, id),
        }
    }

    /// The run of this kind that a key has begun; none where it has begun none. Errors: `corrupt`, `io`.
    pub fn keyed(&self, tenant: Option<&str>, kind: &str, key: &str) -> Result<Option<RunRow>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.keyed(tenant, kind, key),
            Place::Memory(memory) => Ok(memory.keyed(tenant, kind, key)),
        }
    }

    /// The runs of a tenant, newest last; with `status`, those that are listed with it. Errors: `corrupt`, `io`.
    pub fn runs(&self, tenant: Option<&str>, status: Option<&str>) -> Result<Vec<RunRow>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.runs(tenant, status),
            Place::Memory(memory) => memory.runs(tenant, status),
        }
    }

    /// Asks whoever holds the run, or takes it next, to stop: [`Run::cancelled`] is true from then on. A run that has ended
    /// stays as it is. Errors: `unknown_id`, `io`, `locked`.
    pub fn cancel(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.cancel(tenant, id),
            Place::Memory(memory) => memory.cancel(tenant, id),
        }
    }

    /// Removes a run: its entries, its names, and those of its large payloads that nothing else uses. When this returns,
    /// no file of the store has a byte of their texts; where the process is killed before, the next to open the store takes
    /// them away.
    ///
    /// Errors: `unknown_id`; `run_conflict` while somebody holds it; `locked` when another process reads the store for over
    /// ten seconds (the run is gone then, and its bytes are at the next deletion); `io`.
    pub fn delete(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.delete(tenant, id),
            Place::Memory(memory) => memory.delete(tenant, id),
        }
    }

    /// Puts a run into a queue with its first entries, whose numbers begin at 1, in one transaction. Nobody holds it, and its
    /// status is `status`. It is on the disk when this returns.
    ///
    /// Errors: those of [`StateStore::begin`].
    pub fn enqueue(
        &self,
        new: &NewRun<'_>,
        entries: &[Entry],
        status: &str,
        work: &Work<'_>,
    ) -> Result<Enqueued> {
        let _section = gate::enter()?;
        check::new_run(new)?;
        check::entries(entries)?;
        check::status(Some(status))?;
        check::work(work)?;
        if let Some(first) = entries.first()
            && first.seq != 1
        {
            return Err(check::does_not_follow(first.seq, 0));
        }
        match &self.0 {
            Place::Disk(disk) => disk.enqueue(new, entries, status, work),
            Place::Memory(memory) => memory.enqueue(new, entries, status, work),
        }
    }

    /// Takes work of this kind that is due at `now` and that nobody holds, at most so much, the most urgent first; of the
    /// named queues, or of any. Limits of slots hold whoever claims. Errors: `corrupt`, `io`, `locked`.
    pub fn claim(
        &self,
        tenant: Option<&str>,
        kind: &str,
        queues: Option<&[&str]>,
        now: f64,
        most: usize,
    ) -> Result<Vec<Run>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.claim(tenant, kind, queues, now, most),
            Place::Memory(memory) => Ok(memory.claim(tenant, kind, queues, now, most)),
        }
    }

    /// Posts a letter to a run that was enqueued, and makes it due. Of letters with one `name`, the first counts.
    /// It is on the disk when this returns.
    ///
    /// Errors: `unknown_id`; `invalid_argument`, `too_large`; `locked`, `io`, `disk_full`.
    pub fn post(
        &self,
        tenant: Option<&str>,
        run: &str,
        kind: &str,
        data: &Value,
        name: Option<&str>,
    ) -> Result<Posted> {
        let _section = gate::enter()?;
        check::name("the kind of a letter", kind)?;
        name.map_or(Ok(()), |name| check::name("the name of a letter", name))?;
        match &self.0 {
            Place::Disk(disk) => disk.post(tenant, run, kind, data, name),
            Place::Memory(memory) => memory.post(tenant, run, kind, data, name),
        }
    }

    /// The entries that are listed in a space, under a label or under any, the oldest run first; of one run or of all.
    /// Errors: `unknown_id` for the run, `corrupt`, `io`.
    pub fn listed(
        &self,
        tenant: Option<&str>,
        space: &str,
        label: Option<&str>,
        run: Option<&str>,
    ) -> Result<Vec<Listed>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.listed(tenant, space, label, run),
            Place::Memory(memory) => memory.listed(tenant, space, label, run),
        }
    }

    /// Writes a value, in the place of the one that has this key in this space. It is on the disk when this returns.
    /// Errors: `invalid_argument` (an empty name), `too_large` (a name over 512 bytes), and those of [`Run::append`].
    pub fn put(&self, tenant: Option<&str>, space: &str, key: &str, value: &Value) -> Result<()> {
        let _section = gate::enter()?;
        tenant.map_or(Ok(()), |tenant| check::name("the tenant", tenant))?;
        check::name("the space", space)?;
        check::name("the key", key)?;
        match &self.0 {
            Place::Disk(disk) => disk.put(tenant, space, key, value),
            Place::Memory(memory) => memory.put(tenant, space, key, value),
        }
    }

    /// The value of a key. Errors: `corrupt`, `io`.
    pub fn get(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<Option<Value>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.get(tenant, space, key),
            Place::Memory(memory) => memory.get(tenant, space, key),
        }
    }

    /// Removes a key; says whether it was there. When this returns, no file of the store has a byte of its value.
    /// Errors: `locked` as for [`StateStore::delete`], `io`.
    pub fn remove(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<bool> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.remove(tenant, space, key),
            Place::Memory(memory) => memory.remove(tenant, space, key),
        }
    }

    /// The keys of a space with their values, in the order of the keys' bytes. Errors: `corrupt`, `io`.
    pub fn list(&self, tenant: Option<&str>, space: &str) -> Result<Vec<(String, Value)>> {
        let _section = gate::enter()?;
        match &self.0 {
            Place::Disk(disk) => disk.list(tenant, space),
            Place::Memory(memory) => memory.list(tenant, space),
        }
    }

    /// Whether nothing of it is on a disk.
    pub fn is_memory(&self) -> bool {
        matches!(self.0, Place::Memory(_))
    }

    /// How many transactions this process has written through this store; in memory none. Threads that write at the same
    /// time share one.
    pub fn commits(&self) -> u64 {
        let Ok(_section) = gate::enter() else { return 0 };
        match &self.0 {
            Place::Disk(disk) => disk.commits(),
            Place::Memory(_) => 0,
        }
    }
}
