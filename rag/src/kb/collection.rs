//! How does one tenant's part of a knowledge base change, while others read it?

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use quorate_core::{Code, Error, Result};

use super::base::{nonce, truth_id};
use super::shadow::{self, Known};
use super::{Progress, Snapshot};
use crate::index::lexical::Analyzer;
use crate::index::{Segment, View};
use quorate_store::Record;
use quorate_store::{Entry, Numbered, Table};

/// So many segments in memory are searched one by one; more are merged.
const MAX_SMALL: usize = 8;
/// Merges of up to this many rows are done by the writer itself.
const SMALL_ROWS: u32 = 4096;

/// One tenant's table and indexes.
pub(crate) struct Collection {
    /// The name of the table.
    pub(crate) name: String,
    /// The folder of the indexes; none when they stay in memory.
    pub(crate) home: Option<PathBuf>,
    pub(crate) analyzer: Analyzer,
    pub(crate) keep_versions: usize,
    /// Held by who merges or stores segments.
    pub(crate) maintenance: Mutex<()>,
    writer: Mutex<Writer>,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// What only one thread at a time may touch.
pub(crate) struct Writer {
    /// None until something is written.
    pub(crate) table: Option<Table>,
    /// The files of stored segments.
    pub(crate) known: Known,
    /// How many files of rows remained when they were last merged.
    pub(crate) fragments_after_merge: usize,
}

impl Collection {
    /// Reads the table, if there is one, and makes it searchable; `progress` is told how many chunks of how many are
    /// indexed of those that no stored index has. Errors: `corrupt`, `io`.
    pub(crate) fn open(
        name: String,
        home: Option<PathBuf>,
        table: Option<Table>,
        dim: usize,
        analyzer: Analyzer,
        keep_versions: usize,
        progress: Option<&Progress>,
    ) -> Result<Self> {
        let stored = match (&home, &table) {
            (Some(home), Some(table)) => {
                shadow::load(home, &truth_id(table), table.version(), dim, &analyzer)
            }
            _ => None,
        };
        let snapshot = match stored {
            Some(stored) => Snapshot::new(stored.views, dim, stored.version, stored.next_seq),
            None => Snapshot::empty(dim),
        };
        let collection = Collection {
            name,
            home,
            analyzer,
            keep_versions,
            maintenance: Mutex::new(()),
            writer: Mutex::new(Writer { table, known: Known::default(), fragments_after_merge: 0 }),
            snapshot: RwLock::new(Arc::new(snapshot)),
        };
        collection.catch_up_telling(&mut collection.lock(), progress)?;
        Ok(collection)
    }

    /// What readers see now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the right to change something.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder for a segment that is made of `views`, under a name that was never used.
    pub(crate) fn new_folder(&self, views: &[View]) -> PathBuf {
        let end = views.last().map_or(0, |view| view.segment.end_seq);
        let nonce = nonce();
        self.home.clone().unwrap_or_default().join(format!("segment-{end}-{nonce:016x}"))
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Brings the snapshot to the table's commit. Errors: `corrupt`, `io`.
    pub(crate) fn catch_up(&self, writer: &mut Writer) -> Result<()> {
        self.catch_up_telling(writer, None)
    }

    fn catch_up_telling(&self, writer: &mut Writer, progress: Option<&Progress>) -> Result<()> {
        let Some(table) = &mut writer.table else { return Ok(()) };
        let now = self.snapshot();
        let empty = Arc::new(Snapshot::empty(now.dim()));
        loop {
            if now.version == table.version() {
                return Ok(());
            }
            // What was compacted away cannot be seen any more by who has not seen it before.
            let from = if now.next_seq < table.base_seq() { &empty } else { &now };
            let entries = match table.read(from.next_seq) {
                Ok(entries) => entries,
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
            self.publish(next.not_before(table.base_seq()));
            return Ok(());
        }
    }

    /// Stores records and deletions in one commit, and makes them searchable. Of each id there is one record at
    /// most. Errors: `io`, `disk_full`, `permission_denied`, `version_conflict`; then nothing has changed.
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
        if let Err(error) = table.append(&entries) {
            // Whether the commit happened is for the table to say.
            let _ = table.refresh();
            let seen = self.catch_up(writer);
            return Err(match seen {
                Ok(()) => error,
                Err(second) => error.context(format!("{second}; after that")),
            });
        }
        views.extend(fresh.map(View::whole));
        let version = table.version();
        let views = self.merge_small(views)?;
        self.publish(Snapshot::new(views, now.dim(), version, next_seq));
        Ok(version)
    }

    /// Rewrites the truth without what was deleted or replaced, and without its past. Errors: `corrupt`, `io`,
    /// `disk_full`, `permission_denied`; then nothing has changed.
    pub(crate) fn compact_truth(&self) -> Result<()> {
        let mut writer = self.lock();
        self.catch_up(&mut writer)?;
        let now = self.snapshot();
        let Some(table) = writer.table.as_mut() else { return Ok(()) };
        let mut entries = table.read(0)?;
        let before = entries.len();
        // Of each id the last entry counts, and the snapshot knows whether that is a document.
        let mut last = std::collections::HashMap::new();
        for numbered in &entries {
            if let Entry::Put(record) = &numbered.entry {
                last.insert(record.id.clone(), numbered.seq);
            }
        }
        entries.retain(|numbered| match &numbered.entry {
            Entry::Put(record) => {
                last.get(&record.id) == Some(&numbered.seq) && now.find(&record.id).is_some()
            }
            Entry::Delete(_) => false,
        });
        if entries.len() != now.docs() {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "the truth of '{}' has {} documents, its indexes have {}; nothing was changed",
                    self.name,
                    entries.len(),
                    now.docs()
                ),
            ));
        }
        if entries.len() != before || table.fragments() > 1 {
            table.overwrite(&entries, now.next_seq)?;
        }
        table.prune(1)?;
        let version = table.version();
        writer.fragments_after_merge = 0;
        self.publish(Snapshot::new(now.views().to_vec(), now.dim(), version, now.next_seq));
        Ok(())
    }

    /// Merges the newest segments when there are many, so that each row takes part in few merges.
    fn merge_small(&self, mut views: Vec<View>) -> Result<Vec<View>> {
        let small = |view: &View| view.segment.home.is_none() && view.live.row_count <= SMALL_ROWS;
        let start = views.len() - views.iter().rev().take_while(|view| small(view)).count();
        if views.len() - start <= MAX_SMALL {
            return Ok(views);
        }
        let mut from = views.len() - 1;
        let mut rows = views[from].live.row_count;
        while from > start {
            let next = views[from - 1].live.row_count;
            if next > 2 * rows || rows + next > SMALL_ROWS {
                break;
            }
            rows += next;
            from -= 1;
        }
        if views.len() - from < 2 {
            return Ok(views);
        }
        let merged = Segment::merge(&views[from..], None, &self.analyzer)?;
        views.truncate(from);
        views.push(View::whole(merged));
        Ok(views)
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
