//! How does a host change what a knowledge base holds?

use quorate_core::Result;

use super::KnowledgeBase;
use super::collection::Writer;
use super::options::{OnError, Skipped, WriteOptions, WriteReport};
use super::prepare::{Batch, Prepared, duplicate};
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

    /// Adds documents, replacing those of the same ids. Errors: as [`add`](KnowledgeBase::add) without `duplicate_id`
    /// for ids that are stored.
    pub fn upsert(&self, documents: Vec<Document>) -> Result<WriteReport> {
        self.upsert_with(documents, &WriteOptions::default())
    }

    /// Adds or replaces documents in the way described by `options`. A document whose text, title and chunks are
    /// unchanged is not embedded again. Errors: as [`upsert`](KnowledgeBase::upsert), `cancelled`.
    pub fn upsert_with(&self, documents: Vec<Document>, options: &WriteOptions) -> Result<WriteReport> {
        self.put(documents, options, true)
    }

    /// Replaces the metadata of a document; nothing is embedded again. Errors: `unknown_id`, `read_only`, `closed`,
    /// and those of the store.
    pub fn update_metadata(&self, id: &str, metadata: Metadata) -> Result<()> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let mut record = self.stored(id)?;
        record.metadata = serde_json::Value::Object(metadata).to_string();
        self.collection.write(&mut writer, vec![record], Vec::new())?;
        Ok(())
    }

    /// Deletes documents by id and returns how many were there. Errors: `read_only`, `closed`, and those of the store.
    pub fn delete(&self, ids: &[&str]) -> Result<usize> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let snapshot = self.collection.snapshot();
        let mut there: Vec<String> =
            ids.iter().filter(|id| snapshot.find(id).is_some()).map(|id| (*id).to_owned()).collect();
        there.sort_unstable();
        there.dedup();
        self.remove(&mut writer, there)
    }

    /// Deletes the documents that match and returns how many there were. Errors: `filter_type`, `read_only`,
    /// `closed`, and those of the store.
    pub fn delete_where(&self, filter: &Filter) -> Result<usize> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let snapshot = self.collection.snapshot();
        let mut ids = Vec::new();
        for (view, docs) in snapshot.views().iter().zip(snapshot.select(filter, false)?) {
            ids.extend(docs.iter().map(|doc| view.segment.catalog.doc(doc).id.to_owned()));
        }
        self.remove(&mut writer, ids)
    }

    fn put(&self, documents: Vec<Document>, options: &WriteOptions, replace: bool) -> Result<WriteReport> {
        self.base.check_writable(self.past)?;
        let total = documents.len();
        let mut batch = Batch::new(&self.base, self.collection.snapshot(), options, replace);
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
        let Prepared { before, mut records, mut skipped } = prepared;
        let mut writer = self.collection.lock();
        self.base.check_writable(self.past)?;
        let now = self.collection.snapshot();
        if !replace && now.version != before.version {
            // Another thread has written meanwhile.
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
        if records.is_empty() {
            return Ok(WriteReport { skipped, version: now.version, ..WriteReport::default() });
        }
        if writer.table.is_none() {
            writer.table = Some(self.base.create_table(&self.collection.name, self.tenant.as_deref())?);
        }
        let replaced = records.iter().filter(|r| now.find(&r.id).is_some()).count();
        let added = records.len() - replaced;
        let chunks = records.iter().map(|r| r.chunks.len()).sum();
        let version = self.collection.write(&mut writer, records, Vec::new())?;
        drop(writer);
        self.base.maintainer.notify(&self.collection);
        Ok(WriteReport { added, replaced, chunks, skipped, version })
    }

    fn remove(&self, writer: &mut Writer, ids: Vec<String>) -> Result<usize> {
        let count = ids.len();
        if count > 0 {
            self.collection.write(writer, Vec::new(), ids)?;
        }
        Ok(count)
    }
}
