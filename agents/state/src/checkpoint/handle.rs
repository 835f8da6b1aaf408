//! How are the checkpoints of a store written, read, copied and removed?

use quorate_core::{Error, Result};

use super::rules::{check_place, order_alone};
use super::{
    Checkpoint, CheckpointQuery, Guard, NewCheckpoint, NewWrites, Prune, Pruned, ThreadRow, Written,
    check_new, check_writes,
};
use crate::store::Place;
use crate::{StateStore, check, gate};

/// The checkpoints of one tenant's threads in a store.
///
/// ```
/// use std::sync::Arc;
/// use quorate_state::{ChannelValue, Guard, NewCheckpoint, StateStore};
/// use serde_json::json;
/// # fn main() -> quorate_core::Result<()> {
/// let store = StateStore::memory();
/// let checkpoints = store.checkpoints(None)?;
/// let version = |version: &str| vec![(Arc::from("answer"), Arc::from(version))];
/// let value = |version: &str, value| vec![ChannelValue {
///     channel: "answer".into(), version: version.into(), value: Some(Arc::new(value)),
/// }];
/// let first = NewCheckpoint {
///     versions: version("1"), values: value("1", json!("since yesterday")), ..NewCheckpoint::new("case-7")
/// };
/// let first = checkpoints.put(&first)?;
/// // Nothing is new in the second one, so that no value is written again.
/// let second = NewCheckpoint {
///     versions: version("1"), guard: Guard::Head(Some(&first.id)), ..NewCheckpoint::new("case-7")
/// };
/// checkpoints.put(&second)?;
/// let latest = checkpoints.get("case-7", "", None)?.unwrap();
/// assert_eq!(**latest.channel("answer").unwrap(), json!("since yesterday"));
/// // Whoever still knows the first one is told.
/// assert_eq!(checkpoints.put(&second).unwrap_err().code().as_str(), "stale_write");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    store: StateStore,
    tenant: Option<String>,
}

/// Does a call in the one place or the other.
macro_rules! either {
    ($self:ident, $name:ident ( $($arg:expr),* )) => {{
        let _section = gate::enter()?;
        let tenant = $self.tenant.as_deref();
        match &$self.store.0 {
            Place::Disk(disk) => disk.checkpoints().$name(tenant, $($arg),*),
            Place::Memory(memory) => memory.threads().$name(tenant, $($arg),*),
        }
    }};
}

impl StateStore {
    /// The checkpoints of a tenant's threads (none: of those that belong to nobody). Errors: `invalid_argument`,
    /// `too_large`.
    pub fn checkpoints(&self, tenant: Option<&str>) -> Result<Checkpoints> {
        tenant.map_or(Ok(()), |tenant| check::name("the tenant", tenant))?;
        Ok(Checkpoints { store: self.clone(), tenant: tenant.map(str::to_owned) })
    }
}

impl Checkpoints {
    /// The store.
    pub fn store(&self) -> &StateStore {
        &self.store
    }

    /// Whose threads these are.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Writes a checkpoint, with the values of versions that are new, in one transaction. One that has its id is replaced,
    /// and stays where it is in the order.
    ///
    /// Errors: `stale_write` when its guard says so; `invalid_argument`, `too_large`; `locked` when another process writes
    /// for over ten seconds; `io`, `disk_full`, `permission_denied`, `corrupt`.
    pub fn put(&self, new: &NewCheckpoint<'_>) -> Result<Written> {
        check_new(new)?;
        either!(self, put(new))
    }

    /// Writes what a task has written beside a checkpoint, in one transaction. Errors: those of [`Checkpoints::put`].
    pub fn put_writes(&self, new: &NewWrites<'_>) -> Result<()> {
        check_writes(new)?;
        either!(self, put_writes(new))
    }

    /// The checkpoint with this id, or the newest of the namespace; none where there is none.
    ///
    /// Errors: `corrupt` when something of it is not what was written, with the file's name; `io`.
    pub fn get(&self, thread: &str, namespace: &str, id: Option<&str>) -> Result<Option<Checkpoint>> {
        either!(self, get(thread, namespace, id))
    }

    /// Checkpoints, newest first. Errors: `unknown_id` when `before` names none and tells no time itself; those of
    /// [`Checkpoints::get`].
    pub fn list(&self, query: &CheckpointQuery) -> Result<Vec<Checkpoint>> {
        let before = query.before.as_deref().map(|id| order_alone(id).ok_or(id));
        either!(self, list(query, before))
    }

    /// Claims a thread: whoever claimed it before can write with [`Guard::Fence`] no more. Gives the fence. With the
    /// guard, only where it holds. A power cut may forget the claim; nothing was written with it then.
    ///
    /// Errors: `stale_write` when the guard says so; `locked`, `io` and its kin.
    pub fn claim(&self, thread: &str, guard: Guard<'_>) -> Result<u64> {
        check_place(thread, "")?;
        either!(self, claim(thread, guard))
    }

    /// The fence of the last claim; where the thread is not there, the one that it would begin with, which is 0 as long as no
    /// thread of the tenant was deleted: fences never come twice. Errors: `io`, `corrupt`.
    pub fn fence(&self, thread: &str) -> Result<u64> {
        either!(self, fence(thread))
    }

    /// The threads, in the order in which they were begun. Errors: `io`, `corrupt`.
    pub fn threads(&self) -> Result<Vec<ThreadRow>> {
        either!(self, threads())
    }

    /// Removes a thread with everything in it; says whether it was there. When this returns, no file of the store has a
    /// byte of its texts. Whoever had claimed it writes no more, also where it is begun again under its name.
    ///
    /// Errors: `locked` when another process reads the store for over ten seconds (the thread is gone then, and its bytes
    /// are at the next deletion); `io`.
    pub fn delete(&self, thread: &str) -> Result<bool> {
        either!(self, delete(thread))
    }

    /// Removes the checkpoints whose metadata have one of these `run_id`s, with their writes; gives how many. Whoever had
    /// claimed a thread of which something was removed has lost it.
    /// Errors: those of [`Checkpoints::delete`], `corrupt`.
    pub fn delete_for_runs(&self, runs: &[&str]) -> Result<usize> {
        either!(self, delete_for_runs(runs))
    }

    /// Copies everything of a thread to one that is not there yet; gives how many checkpoints.
    ///
    /// Errors: `unknown_id` when there is nothing to copy, `duplicate_id` when the other thread has checkpoints; those of
    /// [`Checkpoints::put`].
    pub fn copy(&self, from: &str, to: &str) -> Result<usize> {
        check_place(to, "")?;
        either!(self, copy(from, to))
    }

    /// Makes a checkpoint the beginning of a new thread, or, in its own thread, the newest one again, under a new id.
    ///
    /// Of the newest checkpoint of a namespace, what tasks have written beside it and the namespaces nested in it come along,
    /// so that what has ended has ended there too. Of an older one they do not: what came after it is done again. A
    /// checkpoint of a nested namespace is forked with those around it.
    ///
    /// Errors: `unknown_id`; `duplicate_id` when `to` is another thread that has checkpoints; `corrupt`; those of
    /// [`Checkpoints::put`].
    pub fn fork(&self, from: &str, namespace: &str, id: &str, to: &str) -> Result<Written> {
        check_place(to, namespace)?;
        check::name("the id of a checkpoint", id)?;
        either!(self, fork(from, namespace, id, to))
    }

    /// Removes all but the newest checkpoints of each namespace of a thread, as [`Checkpoints::prune`], except that their bytes
    /// may stay in the files until the next deletion: cheap enough for every few steps of a run that keeps only its last ones.
    ///
    /// Errors: `invalid_argument` when nothing would be kept; `corrupt`, `locked`, `io`.
    pub fn trim(&self, thread: &str, keep: usize) -> Result<()> {
        if keep == 0 {
            return Err(Error::invalid("at least 1 checkpoint is kept; delete the thread to remove all"));
        }
        either!(self, trim(thread, keep))
    }

    /// Removes the older checkpoints of each namespace, values that no other checkpoint has, and namespaces nested in what
    /// is removed. The newest one always stays.
    ///
    /// Errors: `invalid_argument` when nothing would be kept; those of [`Checkpoints::delete`], `corrupt`.
    pub fn prune(&self, what: &Prune) -> Result<Pruned> {
        if what.keep == 0 {
            return Err(Error::invalid(
                "a pruning keeps at least 1 checkpoint; delete the thread to remove all",
            ));
        }
        if what.older_than.is_some_and(|age| age.is_nan() || age < 0.0) {
            return Err(Error::invalid("older_than is no span; give seconds"));
        }
        either!(self, prune(what))
    }
}
