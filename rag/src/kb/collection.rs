//! How does one tenant's part of a knowledge base change, while others read it?

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};

use quorate_core::{Cancel, Code, Error, Hold, Result};

use super::base::{nonce, truth_id};
use super::options::Tuning;
use super::shadow::{self, Found, Known, Stored, Want};
use super::{Progress, Snapshot};
use crate::index::lexical::Analyzer;
use crate::index::{Segment, View};
use quorate_store::Record;
use quorate_store::{Entry, Numbered, Table};

/// How often a reader looks at the newest version again when the writer has stored indexes of a later one meanwhile.
const ATTEMPTS: usize = 20;

/// What a collection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Writing.
    Writer,
    /// Following a writer.
    Reader,
    /// One past version, which is shown or is an error.
    Past,
}

/// How a collection is opened.
pub(crate) struct Opening<'a> {
    /// The name of the table.
    pub(crate) name: String,
    /// The folder of the indexes; none when they stay in memory.
    pub(crate) home: Option<PathBuf>,
    pub(crate) role: Role,
    pub(crate) table: Option<Table>,
    pub(crate) dim: usize,
    pub(crate) analyzer: Analyzer,
    pub(crate) keep_versions: usize,
    pub(crate) tuning: Tuning,
    /// Told how many chunks of how many are indexed of those that no stored index has.
    pub(crate) progress: Option<&'a Progress>,
}

/// One tenant's table and indexes.
pub(crate) struct Collection {
    pub(crate) name: String,
    pub(crate) home: Option<PathBuf>,
    role: Role,
    pub(crate) analyzer: Analyzer,
    pub(crate) keep_versions: usize,
    pub(crate) tuning: Tuning,
    /// Held by who merges or stores segments.
    pub(crate) maintenance: Hold<()>,
    /// Whether the truth has become many small files or holds much that does not count any more.
    pub(crate) due: AtomicBool,
    /// Whether the background thread has been told and has not begun yet.
    pub(crate) told: AtomicBool,
    writer: Hold<Writer>,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// What only one thread at a time may touch.
pub(crate) struct Writer {
    /// None until something is written.
    pub(crate) table: Option<Table>,
    /// The files of stored segments.
    pub(crate) known: Known,
    /// The segments that are being merged into another one. Nobody else may merge them, or documents would be in two
    /// segments, of which the stored one would count them as dead.
    pub(crate) claimed: Vec<Arc<Segment>>,
    /// The list of segments on disk as it was last seen, and the first entry that it does not reflect.
    pub(crate) listed: Option<u32>,
    pub(crate) listed_seq: u64,
    /// How many files of rows remained when they were last merged.
    pub(crate) fragments_after_merge: usize,
}

impl Writer {
    /// What is known at first.
    fn new(table: Option<Table>) -> Self {
        Writer {
            table,
            known: Known::default(),
            claimed: Vec::new(),
            listed: None,
            listed_seq: 0,
            fragments_after_merge: 0,
        }
    }

    /// Forgets what was known of another table; what is being merged stays claimed.
    pub(crate) fn forget(&mut self) {
        let claimed = std::mem::take(&mut self.claimed);
        *self = Writer { claimed, ..Writer::new(self.table.take()) };
    }
}

impl Collection {
    /// Reads the table, if there is one, and makes it searchable. Errors: `corrupt`, `io`; `unknown_id` for a past version
    /// that has been pruned.
    pub(crate) fn open(opening: Opening<'_>) -> Result<Self> {
        let Opening { name, home, role, table, dim, analyzer, keep_versions, tuning, progress } = opening;
        let collection = Collection {
            name,
            home,
            role,
            analyzer,
            keep_versions,
            tuning,
            maintenance: Hold::new(()),
            due: AtomicBool::new(false),
            told: AtomicBool::new(false),
            writer: Hold::new(Writer::new(table)),
            snapshot: RwLock::new(Arc::new(Snapshot::empty(dim))),
        };
        let mut writer = collection.lock()?;
        if let Some(stored) = collection.stored(&mut writer)? {
            collection.publish(Snapshot::new(stored.views, dim, stored.version, stored.next_seq));
        }
        collection.catch_up_telling(&mut writer, progress)?;
        collection.look(&writer);
        drop(writer);
        Ok(collection)
    }

    /// What readers see now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the right to change something. Errors: `locked` in a forked child, when another thread of its parent had
    /// it at the fork: that thread is not here to give it back.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Writer>> {
        self.writer.take().ok_or_else(|| {
            Error::new(
                Code::Locked,
                "another thread of the parent process was using this handle when the process forked; open the knowledge \
                 base anew in the child",
            )
        })
    }

    /// The same, with the snapshot at the table's commit: what is written is numbered after it. Errors: as
    /// [`lock`](Collection::lock), and `corrupt`, `io` when what is new cannot be read; nothing may be written then.
    pub(crate) fn lock_current(&self) -> Result<MutexGuard<'_, Writer>> {
        let mut writer = self.lock()?;
        self.catch_up(&mut writer)?;
        Ok(writer)
    }

    /// A folder for a segment that is made of `views`, under a name that was never used.
    pub(crate) fn new_folder(&self, views: &[View]) -> PathBuf {
        let end = views.last().map_or(0, |view| view.segment.end_seq);
        let nonce = nonce();
        self.home.clone().unwrap_or_default().join(format!("segment-{end}-{nonce:016x}"))
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let mut fresh = Arc::new(snapshot);
        std::mem::swap(&mut *self.snapshot.write().unwrap_or_else(PoisonError::into_inner), &mut fresh);
        // What nobody sees any more is given back here, while readers go on.
        drop(fresh);
    }

    /// Lets go of all files; nothing is found from then on.
    pub(crate) fn forget(&self) {
        if let Ok(mut writer) = self.lock() {
            writer.table = None;
            self.publish(Snapshot::empty(self.snapshot().dim()));
        }
    }

    /// Takes a table that was made just now.
    pub(crate) fn adopt(&self, writer: &mut Writer, table: Table) {
        let now = self.snapshot();
        self.publish(Snapshot::new(now.views().to_vec(), now.dim(), table.version(), now.next_seq));
        writer.table = Some(table);
    }

    /// Brings the snapshot to the table's commit. Errors: `corrupt`, `io`.
    pub(crate) fn catch_up(&self, writer: &mut Writer) -> Result<()> {
        self.catch_up_telling(writer, None)
    }

    fn catch_up_telling(&self, writer: &mut Writer, progress: Option<&Progress>) -> Result<()> {
        loop {
            let now = self.snapshot();
            match &writer.table {
                Some(table) if table.version() != now.version => {}
                _ => return Ok(()),
            }
            let from = self.base_to_follow(writer, &now)?;
            let Some(table) = &mut writer.table else { return Ok(()) };
            let entries = match table.read(from.next_seq) {
                Ok(entries) => entries,
                Err(error) if self.role == Role::Past => {
                    return Err(match table.has(table.version()) {
                        Ok(false) => Error::with_source(
                            Code::UnknownId,
                            format!("version {} has been pruned", table.version()),
                            error,
                        ),
                        _ => error,
                    });
                }
                // Another process may have pruned the commit meanwhile; then there is a newer one.
                Err(error) => match table.refresh() {
                    Ok(true) => continue,
                    _ => return Err(error),
                },
            };
            let next = match entries.is_empty() {
                true => Snapshot::new(from.views().to_vec(), now.dim(), table.version(), from.next_seq),
                false => from.after(entries, table.version(), &self.analyzer, progress)?,
            };
            let base_seq = table.base_seq();
            self.publish(next.not_before(base_seq));
            self.tidy(writer);
            return Ok(());
        }
    }

    /// The snapshot from which the new entries follow: the present one, or what the writer has stored meanwhile.
    fn base_to_follow(&self, writer: &mut Writer, now: &Arc<Snapshot>) -> Result<Arc<Snapshot>> {
        // What was compacted away cannot be seen any more by who has not seen it before.
        let needed = |writer: &Writer| writer.table.as_ref().map_or(0, Table::base_seq);
        if (self.role == Role::Reader || now.next_seq < needed(writer))
            && let Some(stored) = self.stored(writer)?
            // Looking for it may have shown a later commit.
            && stored.next_seq >= needed(writer)
        {
            return Ok(Arc::new(Snapshot::new(stored.views, now.dim(), stored.version, stored.next_seq)));
        }
        match now.next_seq < needed(writer) {
            true => Ok(Arc::new(Snapshot::empty(now.dim()))),
            false => Ok(now.clone()),
        }
    }

    /// The segments on disk, where they are others than those that were seen last. They may be of a later commit than the
    /// table, which is then looked at anew. Errors: `corrupt`, `io`.
    fn stored(&self, writer: &mut Writer) -> Result<Option<Stored>> {
        let (Some(home), Some(table)) = (&self.home, &mut writer.table) else { return Ok(None) };
        let now = self.snapshot();
        for _ in 0..ATTEMPTS {
            let truth = truth_id(table);
            let want = Want {
                truth: &truth,
                version: table.version(),
                dim: now.dim(),
                analyzer: &self.analyzer,
                open: now.views(),
                known: writer.listed,
            };
            match shadow::load(home, &want) {
                Found::Nothing | Found::Same => return Ok(None),
                Found::Stored(stored) => {
                    writer.listed = Some(stored.stamp);
                    writer.listed_seq = stored.next_seq;
                    return Ok(Some(stored));
                }
                Found::Later(version) => {
                    if !table.refresh()? && table.version() < version {
                        tracing::warn!(
                            home = %home.display(),
                            version,
                            "an index is of a later version than the documents, and is built again"
                        );
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Stores records and deletions in one commit, and makes them searchable. Of each id there is one record at
    /// most. Errors: `io`, `disk_full`, `permission_denied`, `version_conflict`; then nothing has changed, unless the
    /// message says that the commit is there.
    pub(crate) fn write(
        &self,
        writer: &mut Writer,
        records: Vec<Record>,
        deleted: Vec<String>,
    ) -> Result<u64> {
        let now = self.snapshot();
        let table = writer
            .table
            .as_mut()
            .ok_or_else(|| Error::new(Code::Internal, "a table is written before it is there"))?;
        if table.version() != now.version {
            let (seen, there) = (now.version, table.version());
            return Err(Error::new(
                Code::VersionConflict,
                format!("'{}' is at version {there}, and this handle has seen {seen}; refresh it", self.name),
            ));
        }
        if records.is_empty() && deleted.is_empty() {
            return Ok(table.version());
        }
        // All that can fail without the store fails before the commit.
        let used: u64 = records.iter().map(|r| r.chunks.len() as u64).sum();
        let next_seq = now.next_seq + used + u64::from(!deleted.is_empty());
        let fresh = match records.is_empty() {
            true => None,
            false => Some(Segment::build(&records, now.dim(), next_seq, &self.analyzer, None)?),
        };
        let gone = records.iter().map(|r| r.id.as_str()).chain(deleted.iter().map(String::as_str));
        let mut views = now.without_ids(gone, &self.analyzer);
        let mut seq = now.next_seq;
        let mut entries = Vec::with_capacity(records.len() + 1);
        if !deleted.is_empty() {
            entries.push(Numbered { seq, entry: Entry::Delete(deleted) });
            seq += 1;
        }
        for record in records {
            let numbered = Numbered { seq, entry: Entry::Put(record) };
            seq += numbered.entry.rows();
            entries.push(numbered);
        }
        let appended = table.append(&entries);
        let version = table.version();
        if version == now.version
            && let Err(error) = appended
        {
            // Whether the commit happened is for the table to say.
            let _ = table.refresh();
            let seen = self.catch_up(writer);
            return Err(match seen {
                Ok(()) => error,
                Err(second) => error.context(format!("{second}; after that")),
            });
        }
        views.extend(fresh.map(View::whole));
        self.publish(Snapshot::new(views, now.dim(), version, next_seq));
        self.tidy(writer);
        self.look(writer);
        // A commit that the disk did not confirm is made all the same.
        appended.map(|()| version)
    }

    /// Whether the truth should be looked after.
    pub(crate) fn look(&self, writer: &Writer) {
        let Some(table) = &writer.table else { return };
        let many = table.fragments() >= writer.fragments_after_merge + self.tuning.commits;
        self.due.store(many || self.has_garbage(table), Ordering::Release);
    }

    /// Whether much of the truth does not count any more.
    pub(crate) fn has_garbage(&self, table: &Table) -> bool {
        let live = self.snapshot().chunks() as u64;
        table.rows() > 2 * live + self.tuning.garbage_rows
    }

    /// Rewrites the truth without what was deleted or replaced, and keeps `keep` versions of its past; `cancel` is looked
    /// at before the commit. Errors: `cancelled`, `corrupt`, `io`, `disk_full`, `permission_denied`; then nothing has
    /// changed.
    pub(crate) fn rewrite_truth(&self, writer: &mut Writer, keep: usize, cancel: &Cancel) -> Result<()> {
        self.catch_up(writer)?;
        let now = self.snapshot();
        let Some(table) = writer.table.as_mut() else { return Ok(()) };
        // Who has the stored segments, or has seen more, goes on from there. What came before them is needed by nobody.
        let base_seq = match self.home {
            Some(_) => writer.listed_seq.min(now.next_seq).max(table.base_seq()),
            None => now.next_seq,
        };
        let plan = table.plan_rewrite(base_seq)?;
        if plan.documents() != now.docs() {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "the truth of '{}' has {} documents, its indexes have {}; nothing was changed",
                    self.name,
                    plan.documents(),
                    now.docs()
                ),
            ));
        }
        if plan.rows() != table.rows() || table.fragments() > 1 {
            table.rewrite(&plan, cancel)?;
        }
        let version = table.version();
        self.publish(Snapshot::new(now.views().to_vec(), now.dim(), version, now.next_seq));
        writer.fragments_after_merge = 0;
        self.due.store(false, Ordering::Release);
        match writer.table.as_ref() {
            Some(table) => table.prune(keep),
            None => Ok(()),
        }
    }

    /// Merges the newest segments when there are many, so that each row takes part in few merges. What fails here costs
    /// nothing but time: the segments stay as they are.
    fn tidy(&self, writer: &Writer) {
        let now = self.snapshot();
        match self.merge_small(now.views(), &writer.claimed) {
            Ok(None) => {}
            Ok(Some(views)) => self.publish(Snapshot::new(views, now.dim(), now.version, now.next_seq)),
            Err(error) => tracing::warn!(%error, "small segments are not merged"),
        }
    }

    fn merge_small(&self, views: &[View], claimed: &[Arc<Segment>]) -> Result<Option<Vec<View>>> {
        let Tuning { small_segments, small_rows, .. } = self.tuning;
        // A writer's larger segments are merged when they are stored; nobody does it for a reader.
        let limit = if self.role == Role::Writer { small_rows } else { u32::MAX };
        let free = |view: &View| {
            view.segment.home.is_none()
                && view.live.row_count <= limit
                && !claimed.iter().any(|claimed| Arc::ptr_eq(claimed, &view.segment))
        };
        let start = views.len() - views.iter().rev().take_while(|view| free(view)).count();
        if views.len() - start <= small_segments {
            return Ok(None);
        }
        let mut from = views.len() - 1;
        let mut rows = views[from].live.row_count;
        while from > start {
            let next = views[from - 1].live.row_count;
            if next > rows.saturating_mul(2) || rows.saturating_add(next) > limit {
                break;
            }
            rows += next;
            from -= 1;
        }
        if views.len() - from < 2 {
            return Ok(None);
        }
        fail::fail_point!("shadow-small", |kind| Err(quorate_store::failpoint::refused(kind)));
        let merged = Segment::merge(&views[from..], None, &self.analyzer, &Cancel::new())?;
        Ok(Some(views[..from].iter().cloned().chain([View::whole(merged)]).collect()))
    }
}

/// The bytes of all files below a folder.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
