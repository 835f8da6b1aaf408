//! How is what happened kept, so that no finished step runs again?
//!
//! A [`StateStore`] keeps runs, each a journal of [`Entry`]s, and small durable values. Whoever goes on with a run holds
//! its lease: a [`Run`]. What [`Run::append`] has acknowledged is on the disk, and is read again by whoever takes the run
//! after a crash; a holder that has lost its lease cannot write any more.
//!
//! ```
//! use quorate_state::{Begun, Entry, NewRun, StateStore};
//! # fn main() -> quorate_core::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("quorate-state-doc-{}", std::process::id()));
//! let store = StateStore::open(&folder)?;
//! let new = NewRun { id: Some("triage-1"), kind: "agent", title: "Chest pain", ..NewRun::default() };
//! let Begun::New(run) = store.begin(&new, &[Entry::new(1, "asked", "since when?")])? else { unreachable!() };
//! run.append(&[Entry::new(2, "answered", "since yesterday")], Some("done"))?;
//! run.finish()?;
//!
//! let row = store.run(None, "triage-1")?;
//! assert_eq!((row.status.as_str(), row.entries), ("done", 2));
//! assert_eq!(store.entries(None, "triage-1", 2)?[0].data, "since yesterday");
//! # store.delete(None, "triage-1")?;
//! # drop(store);
//! # let _ = std::fs::remove_dir_all(&folder);
//! # Ok(()) }
//! ```
//!
//! A run that is [enqueued](StateStore::enqueue) is work: whoever has hands [claims](StateStore::claim) it when it is due,
//! hears the [letters](StateStore::post) that anybody has posted to it, and writes its steps with [`Run::advance`], which
//! writes nothing while there are letters that were not read.
//!
//! ```
//! use quorate_state::{Advance, Entry, NewRun, StateStore, Wake, Work};
//! # fn main() -> quorate_core::Result<()> {
//! let store = StateStore::memory();
//! let new = NewRun { id: Some("order-1"), kind: "order", title: "An order", ..NewRun::default() };
//! store.enqueue(&new, &[Entry::new(1, "placed", 1)], "pending", &Work { queue: "orders", ..Work::default() })?;
//! let run = store.claim(None, "order", None, 0.0, 1)?.remove(0);
//! store.post(None, "order-1", "cancel", &"changed my mind".into(), Some("once"))?;
//! let ship = [Entry::new(2, "shipped", 1)];
//! assert!(!run.advance(&Advance { entries: &ship, wake: Wake::Never, ..Advance::default() })?, "it was cancelled before");
//! assert_eq!(run.letters(0)?[0].kind, "cancel");
//! # Ok(()) }
//! ```
//!
//! Work that is no run waits in a [`Queue`]; whoever is subscribed hears of [`Events`]; a [`Saga`] does several steps, or undoes
//! them all. They lie in the same store.
//!
//! On the disk, a folder: `state.db` (SQLite), `payloads/` (what is too large for it, named by content) and `holders/` (a
//! lock file of each open store, by which others see at once that its process has ended). While a process has a store open,
//! nothing else in it may open `state.db`, not even to copy it: closing the file would let go of SQLite's locks. A backup is
//! made by another process, or while the store is closed.

#![warn(missing_docs)]

mod check;
mod checkpoint;
mod disk;
mod entry;
mod events;
mod gate;
mod kept;
mod memory;
mod queue;
mod run;
mod saga;
mod span;
mod store;
mod work;

pub use checkpoint::{
    ChannelValue, Checkpoint, CheckpointQuery, Checkpoints, Extension, Guard, NewCheckpoint, NewWrite,
    NewWrites, PendingWrite, Prune, Pruned, Removed, Render, ThreadRow, Written, nested,
};
pub use entry::Entry;
pub use events::{DeadEvent, Event, Events, PruneEvents, StartFrom, SubscribeOptions, Subscription};
pub use queue::{
    Clock, Dead, DeadMessage, Key, MAX_PRIORITY, Message, PerKey, Put, PutOptions, Queue, QueueOptions,
    QueueStats, Rate, Retry, WorkOptions, Workers,
};
pub use run::{Begun, NewRun, Run, RunRow};
pub use saga::{COMPENSATION_FAILED, Recover, SAGA, Saga, SagaOptions};
pub use span::{bounded_seconds, seconds};
pub use store::StateStore;
pub use work::{Advance, Enqueued, Letter, Listed, Listing, Post, Posted, Start, Wake, Work};

/// An id that nothing else has; later ones of a process sort after earlier ones.
///
/// ```
/// assert_ne!(quorate_state::fresh_id(), quorate_state::fresh_id());
/// ```
pub fn fresh_id() -> String {
    disk::new_id()
}

/// The largest data of an entry, or value, that stands in the database itself, in bytes of JSON (64 KiB). What is larger
/// has a file of its own.
pub const MAX_INLINE_BYTES: usize = 64 << 10;

/// Statuses of a run that has ended. Any other status is one of a run that somebody may go on with.
pub const FINAL: [&str; 8] =
    ["done", "partial", "cancelled", "refused", "abstained", "no_consensus", "failed", "completed"];

/// The status of a run that a holder is going on with.
pub const RUNNING: &str = "running";

/// The status of a run that waits for something (an approval, a time) before anybody goes on with it.
pub const WAITING: &str = "waiting";

/// What a run is listed as whose status is `running` although nobody holds it.
pub const INTERRUPTED: &str = "interrupted";
