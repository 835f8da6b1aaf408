//! How does a host change what a knowledge base holds?

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use quorate_core::{Error, Result};

use super::collection::Writer;
use super::options::{OnError, Skipped, WriteOptions, WriteReport};
use super::prepare::{Batch, How, Prepared, duplicate, same_metadata};
use super::{KnowledgeBase, Snapshot};
use crate::document::{Document, Metadata};
use crate::filter::Filter;
use quorate_store::Record;

impl KnowledgeBase {
    /// Adds documents: all of them or, with an error, none. They are durable and searchable on return.
    ///
    /// Errors: `duplicate_id`, `invalid_document`, `not_finite`, `invalid_shape`, `too_large`, `read_only`, `closed`,
    /// `locked`, `disk_full`, `permission_denied`, `io`, and those of the embedder.
    pub fn add(&self, documents: Vec<Document>) -> Result<WriteReport> {
        self.add_with(documents, &WriteOptions::default())
    }

    /// Adds documents in the way described by `options`. Errors: as [`add`](KnowledgeBase::add), `cancelled`.
    pub fn add_with(&self, documents: Vec<Document>, options: &WriteOptions) -> Result<WriteReport> {
        self.put(documents, options, false)
    }

    /// Adds documents, replacing those of the same ids; one that is stored as it is given is not written again. Errors: as [`add`](KnowledgeBase::add) without `duplicate_id`
    /// for ids that are stored.
    pub fn upsert(&self, documents: Vec<Document>) -> Result<WriteReport> {
        self.upsert_with(documents, &WriteOptions::default())
    }

    /// Adds or replaces documents in the way described by `options`. A document whose text, title and chunks are
    /// unchanged is not embedded again. Errors: as [`upsert`](KnowledgeBase::upsert), `cancelled`.
    pub fn upsert_with(&self, documents: Vec<Document>, options: &WriteOptions) -> Result<WriteReport> {
        self.put(documents, options, true)
    }

    /// Replaces the metadata of a document; nothing is embedded again, and nothing is written where they are the same. Errors: `unknown_id`, `read_only`, `closed`,
    /// and those of the store.
    pub fn update_metadata(&self, id: &str, metadata: Metadata) -> Result<()> {
        let writer = self.lock_for_writing()?;
        let mut record = self.stored(id)?;
        if same_metadata(&record.metadata, &metadata, false) {
            return Ok(());
        }
        record.metadata = serde_json::Value::Object(metadata).to_string();
        self.write(writer, vec![record], Vec::new())?;
        Ok(())
    }

    /// Deletes documents by id and returns how many were there. Errors: `read_only`, `closed`, and those of the store.
    pub fn delete(&self, ids: &[&str]) -> Result<usize> {
        let writer = self.lock_for_writing()?;
        let snapshot = self.collection.snapshot();
        let mut there: Vec<String> =
            ids.iter().filter(|id| snapshot.find(id).is_some()).map(|id| (*id).to_owned()).collect();
        there.sort_unstable();
        there.dedup();
        self.remove(writer, there)
    }

    /// Deletes the documents that match and returns how many there were. A filter that says nothing, as `{}`, is refused:
    /// one that was built and stayed empty must not empty the knowledge base; [`delete_all`](KnowledgeBase::delete_all)
    /// does. Errors: `invalid_argument` (such a filter), `filter_type`, `read_only`, `closed`, and those of the store.
    pub fn delete_where(&self, filter: &Filter) -> Result<usize> {
        if filter.is_empty() {
            return Err(Error::invalid(
                "where is a filter that says nothing, which every document matches; name a condition, or say all=True \
                 (delete_all) to delete every document",
            ));
        }
        self.delete_selected(Some(filter))
    }

    /// Deletes every document of the tenant and returns how many there were. Errors: `read_only`, `closed`, and those of
    /// the store.
    pub fn delete_all(&self) -> Result<usize> {
        self.delete_selected(None)
    }

    fn delete_selected(&self, filter: Option<&Filter>) -> Result<usize> {
        let writer = self.lock_for_writing()?;
        let snapshot = self.collection.snapshot();
        let selected = filter.map(|filter| snapshot.select(filter, false)).transpose()?;
        let mut ids = Vec::new();
        for (i, view) in snapshot.views().iter().enumerate() {
            let docs = selected.as_ref().map_or(&view.live.docs, |selected| &selected[i]);
            ids.extend(docs.iter().map(|doc| view.segment.catalog.doc(doc).id.to_owned()));
        }
        self.remove(writer, ids)
    }

    fn put(&self, documents: Vec<Document>, options: &WriteOptions, replace: bool) -> Result<WriteReport> {
        self.base.check_writable(self.past)?;
        let total = documents.len();
        let how = if replace { How::Replace } else { How::Add };
        let mut batch = Batch::new(&self.base, self.collection.snapshot(), options, how);
        for (index, document) in documents.into_iter().enumerate() {
            if batch.push(index, document, None)? {
                options.tell(index + 1, total);
            }
        }
        let prepared = batch.finish()?;
        options.tell(total, total);
        self.commit(prepared, options, replace)
    }

    /// Stores what was prepared, in one commit.
    pub(super) fn commit(
        &self,
        prepared: Prepared,
        options: &WriteOptions,
        replace: bool,
    ) -> Result<WriteReport> {
        // Whoever was told that all is done may still have said no.
        options.cancel.check()?;
        let Prepared { before, mut records, mut skipped, mut unchanged, mut removed } = prepared;
        let mut writer = self.lock_for_writing()?;
        let now = self.collection.snapshot();
        let meanwhile = !Arc::ptr_eq(&now, &before);
        if meanwhile {
            // What another thread has changed meanwhile came before this call, of which all is there afterwards.
            unchanged.retain(|&(index, segment, doc)| {
                let same = is_still(&before, segment, doc, &now);
                if !same {
                    records.push((index, before.views()[segment].record(doc)));
                }
                same
            });
        }
        let unchanged = unchanged.len();
        if !replace && meanwhile {
            for i in (0..records.len()).rev() {
                if now.find(&records[i].1.id).is_some() {
                    let error = duplicate(&records[i].1.id, "exists already; use upsert to replace it");
                    if options.on_error == OnError::Stop {
                        return Err(error);
                    }
                    let (index, record) = records.remove(i);
                    skipped.push(Skipped { index, id: record.id, error });
                }
            }
        }
        let records: Vec<Record> = records.into_iter().map(|(_, record)| record).collect();
        if !removed.is_empty() {
            let stored: HashSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
            removed.retain(|id| !stored.contains(id.as_str()) && now.find(id).is_some());
        }
        let deleted = removed.len();
        if records.is_empty() && removed.is_empty() {
            return Ok(WriteReport { unchanged, skipped, version: now.version, ..WriteReport::default() });
        }
        if writer.table.is_none() {
            let table = self.base.create_table(&self.collection.name, self.tenant.as_deref())?;
            self.collection.adopt(&mut writer, table);
        }
        let replaced = records.iter().filter(|r| now.find(&r.id).is_some()).count();
        let added = records.len() - replaced;
        let chunks = records.iter().map(|r| r.chunks.len()).sum();
        let version = self.write(writer, records, removed)?;
        Ok(WriteReport { added, replaced, unchanged, deleted, chunks, skipped, version })
    }

    fn remove(&self, writer: MutexGuard<'_, Writer>, ids: Vec<String>) -> Result<usize> {
        let count = ids.len();
        if count > 0 {
            self.write(writer, Vec::new(), ids)?;
        }
        Ok(count)
    }

    /// The right to write, with the snapshot at the newest commit. It is looked at again when it is there: whoever closes
    /// the knowledge base meanwhile has ended it.
    fn lock_for_writing(&self) -> Result<MutexGuard<'_, Writer>> {
        self.base.check_writable(self.past)?;
        let writer = self.collection.lock_current()?;
        self.base.check_writable(self.past)?;
        Ok(writer)
    }

    /// Makes the commit, after which the collection is looked after, whatever kind of change it is.
    fn write(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        records: Vec<Record>,
        deleted: Vec<String>,
    ) -> Result<u64> {
        let version = self.collection.write(&mut writer, records, deleted);
        drop(writer);
        self.base.maintainer.notify(&self.collection);
        version
    }
}

/// Whether a document of one snapshot is in a later one as it was.
fn is_still(before: &Snapshot, segment: usize, doc: u32, now: &Snapshot) -> bool {
    let old = &before.views()[segment];
    let Some((at, found)) = now.find(old.segment.catalog.doc(doc).id) else { return false };
    let new = &now.views()[at];
    (Arc::ptr_eq(&old.segment, &new.segment) && found == doc) || new.record(found) == old.record(doc)
}
