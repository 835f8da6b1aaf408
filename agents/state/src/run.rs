//! What is a run, and who may go on with it?

use std::fmt;

use quorate_core::Result;
use serde::{Deserialize, Serialize};

use crate::disk::DiskRun;
use crate::memory::MemoryRun;
use crate::{Advance, Entry, Letter, gate};

/// What a run is begun with.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRun<'a> {
    /// Its id, unique within the tenant; none: one is made.
    pub id: Option<&'a str>,
    /// What kind of run it is; the runtime chooses the words.
    pub kind: &'a str,
    /// Whose run it is. Runs without a tenant and those of each tenant do not see each other.
    pub tenant: Option<&'a str>,
    /// What people read in a list.
    pub title: &'a str,
    /// The id of the run that began this one.
    pub parent: Option<&'a str>,
    /// An idempotency key: of those who begin a run of one tenant and kind with the same key, one does.
    pub key: Option<&'a str>,
}

/// What is known of a run without its entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Whose it is.
    pub tenant: Option<String>,
    /// What people read.
    pub title: String,
    /// The run that began it.
    pub parent: Option<String>,
    /// The idempotency key that it was begun with.
    pub key: Option<String>,
    /// `running`, `waiting`, a final status, or `interrupted`: its status is `running`, and nobody holds it.
    pub status: String,
    /// Whether it was asked to stop.
    pub cancelled: bool,
    /// When it was begun, in seconds since 1970.
    pub created: f64,
    /// When an entry or a status was last written, in seconds since 1970.
    pub updated: f64,
    /// How many entries it has, which is the number of the last one.
    pub entries: u64,
}

/// What came of beginning a run.
#[derive(Debug)]
pub enum Begun {
    /// It was begun, and this handle holds it.
    New(Run),
    /// The key was used before, by this run.
    Known(RunRow),
}

/// The lease of a run: the right to write its entries, until it is dropped.
///
/// In a forked child the lease stays the parent's: there the handle reads, and its writes are `stale_write`.
pub struct Run(pub(crate) Held);

pub(crate) enum Held {
    Disk(DiskRun),
    Memory(MemoryRun),
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Run {
    /// The run's id.
    pub fn id(&self) -> &str {
        match &self.0 {
            Held::Disk(run) => run.id(),
            Held::Memory(run) => run.id(),
        }
    }

    /// Writes entries after the last one, and `status` beside them where one is given: all of it or nothing. It is on the
    /// disk when this returns. Threads that append to the runs of one store at the same time share the wait for the disk.
    ///
    /// Errors: `stale_write` when the lease was lost or the first number does not follow the last one;
    /// `invalid_argument`, `not_finite`, `too_large`; `locked` when another process writes for over ten seconds; `io`,
    /// `disk_full` and `permission_denied`, after which [`Run::entries`] says what is stored.
    pub fn append(&self, entries: &[Entry], status: Option<&str>) -> Result<()> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.append(entries, status),
            Held::Memory(run) => run.append(entries, status),
        }
    }

    /// Writes a step of a run that was enqueued: entries, status, when somebody looks again, what is listed, which runs begin
    /// with it, and words to others: all of it or nothing. It is on the disk when this returns true; false: there are letters
    /// that were not read, and nothing was written.
    ///
    /// Errors: those of [`Run::append`]; `invalid_argument` for a run that was not enqueued; `duplicate_id` where a run that is
    /// to begin is there already, and `step_limit` where it is one too many.
    pub fn advance(&self, step: &Advance<'_>) -> Result<bool> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.advance(step),
            Held::Memory(run) => run.advance(step),
        }
    }

    /// The letters after number `after`, in their order. Errors: `unknown_id` when the run was deleted, `corrupt`, `io`.
    pub fn letters(&self, after: u64) -> Result<Vec<Letter>> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.letters(after),
            Held::Memory(run) => run.letters(after),
        }
    }

    /// All entries, in their order. Errors: `unknown_id` when the run was deleted, `corrupt`, `io`.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.entries(),
            Held::Memory(run) => run.entries(),
        }
    }

    /// Whether somebody, in this process or another one, has asked the run to stop. Cheap enough for every step: other
    /// processes are heard at most 50 ms late. Calling it, or appending, at least every ten seconds also keeps the lease
    /// where a file lock does not reach: against holders on other machines. Errors: `io`, `corrupt`.
    pub fn cancelled(&self) -> Result<bool> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.cancelled(),
            Held::Memory(run) => run.cancelled(),
        }
    }

    /// Lets go of the run, so that others may take it; dropping does the same without saying whether it could.
    /// A run that is let go of while its status is `running` is listed as `interrupted`. Errors: `io`, `locked`.
    pub fn finish(self) -> Result<()> {
        let _section = gate::enter()?;
        match &self.0 {
            Held::Disk(run) => run.release(),
            Held::Memory(run) => {
                run.release();
                Ok(())
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Ok(_section) = gate::enter() else { return };
        match &self.0 {
            // Whoever wants the run next sees that its holder has let go, or that its process has ended.
            Held::Disk(run) => drop(run.release()),
            Held::Memory(run) => run.release(),
        }
    }
}
