//! How is a table rewritten without what was replaced or deleted, in bounded memory?
//!
//! First only the ids are read, and what each last entry says; then all rows pass by once, each with its checksum looked
//! at, and those that count go into new files. Memory: the ids of the documents, and a few batches of rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{BooleanArray, RecordBatch, RecordBatchIterator};
use arrow_schema::{ArrowError, Schema};
use arrow_select::filter::filter_record_batch;
use futures::TryStreamExt;
use lance::Dataset;
use lance::dataset::{InsertBuilder, WriteMode};
use quorate_core::runtime::block_on;
use quorate_core::{Cancel, Code, Error, Result};

use crate::failure::{reading, writing};
use crate::{BASE_SEQ, Table, schema, write_params};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1024;

/// What a rewriting would keep. It holds for the version that it was made of.
pub struct Rewrite {
    version: u64,
    /// Deletions from this number on are kept, for who has seen what came before.
    base_seq: u64,
    /// The first rows of the documents that are there, ascending, with how many rows each has.
    documents: Vec<(u64, u32)>,
    /// How many rows that is.
    rows_of_documents: u64,
    /// How many deletions are kept.
    deletions: u64,
}

impl Rewrite {
    /// How many documents there are.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// How many rows would remain.
    pub fn rows(&self) -> u64 {
        self.rows_of_documents + self.deletions
    }

    /// Whether row `seq` belongs to a document that is there.
    fn keeps(&self, seq: u64) -> bool {
        let after = self.documents.partition_point(|&(first, _)| first <= seq);
        after > 0 && seq < self.documents[after - 1].0 + u64::from(self.documents[after - 1].1)
    }
}

impl Table {
    /// What would remain without all that was replaced or deleted. Deletions numbered `base_seq` and later stay: whoever
    /// has seen all entries below it can still follow from there; anybody else has to read the whole table anew.
    /// Errors: `corrupt`, `io`.
    pub fn plan_rewrite(&self, base_seq: u64) -> Result<Rewrite> {
        let mut last: HashMap<String, (u64, u32)> = HashMap::new();
        self.each_batch(&["seq", "id", "chunks"], Some("kind = 0 AND chunk = 0"), |batch| {
            let seqs = column(&batch, "seq")?.as_primitive_opt::<UInt64Type>().ok_or_else(other_type)?;
            let ids = column(&batch, "id")?.as_string_opt::<i32>().ok_or_else(other_type)?;
            let chunks = column(&batch, "chunks")?.as_primitive_opt::<UInt32Type>().ok_or_else(other_type)?;
            for row in 0..batch.num_rows() {
                let this = (seqs.value(row), chunks.value(row));
                match last.get_mut(ids.value(row)) {
                    Some(known) => *known = this.max(*known),
                    None => drop(last.insert(ids.value(row).to_owned(), this)),
                }
            }
            Ok(())
        })?;
        let mut deletions = 0;
        self.each_batch(&["seq", "text"], Some("kind = 1"), |batch| {
            let seqs = column(&batch, "seq")?.as_primitive_opt::<UInt64Type>().ok_or_else(other_type)?;
            let lists = column(&batch, "text")?.as_string_opt::<i32>().ok_or_else(other_type)?;
            for row in 0..batch.num_rows() {
                let seq = seqs.value(row);
                deletions += u64::from(seq >= base_seq);
                let ids: Vec<String> = serde_json::from_str(lists.value(row)).map_err(|e| {
                    Error::new(Code::Corrupt, format!("{}: row {seq} is no list of ids: {e}", self.name))
                })?;
                for id in ids {
                    if last.get(&id).is_some_and(|&(put, _)| put < seq) {
                        last.remove(&id);
                    }
                }
            }
            Ok(())
        })?;
        let mut documents: Vec<(u64, u32)> = last.into_values().collect();
        documents.sort_unstable();
        let rows_of_documents = documents.iter().map(|&(_, chunks)| u64::from(chunks)).sum();
        Ok(Rewrite { version: self.version(), base_seq, documents, rows_of_documents, deletions })
    }

    /// Does it, in one commit. Errors: `cancelled`, `corrupt`, `io`, `disk_full`, `permission_denied`,
    /// `version_conflict`; then nothing has changed.
    pub fn rewrite(&mut self, plan: &Rewrite, cancel: &Cancel) -> Result<()> {
        if plan.version != self.version() {
            return Err(Error::new(Code::Internal, "a rewriting was planned for another version"));
        }
        fail::fail_point!("store-write", |kind| Err(crate::failpoint::refused(kind)));
        let mut properties = self.schema.metadata().clone();
        properties.insert(BASE_SEQ.to_owned(), plan.base_seq.to_string());
        let schema = schema::table_schema(self.dim, properties);
        let (send, receive) = sync_channel(2);
        let (read, written) = std::thread::scope(|scope| {
            let schema_of_rows = schema.clone();
            let table = &*self;
            let read = scope.spawn(move || table.send_kept(plan, schema_of_rows, cancel, send));
            let rows = RecordBatchIterator::new(receive, schema);
            let dataset: Arc<Dataset> = table.dataset.clone();
            let written = block_on(async move {
                InsertBuilder::new(dataset)
                    .with_params(&write_params(WriteMode::Overwrite))
                    .execute_uncommitted_stream(rows)
                    .await
                    .map_err(|e| writing(e, &table.name))
            });
            let stopped = || Err(Error::new(Code::Internal, "the thread that reads rows stopped"));
            (read.join().unwrap_or_else(|_| stopped()), written)
        });
        // What went wrong with reading is the reason of what went wrong with writing.
        read?;
        cancel.check()?;
        self.commit(written?)
    }

    /// Sends the rows that remain. Errors: as [`rewrite`](Table::rewrite).
    fn send_kept(
        &self,
        plan: &Rewrite,
        schema: Arc<Schema>,
        cancel: &Cancel,
        send: SyncSender<std::result::Result<RecordBatch, ArrowError>>,
    ) -> Result<()> {
        let mut kept = 0u64;
        let sent = self.each_batch::<&str>(&[], None, |batch| {
            cancel.check()?;
            schema::checksums(std::slice::from_ref(&batch), self.dim).map_err(|e| e.context(&self.name))?;
            let seqs = column(&batch, "seq")?.as_primitive_opt::<UInt64Type>().ok_or_else(other_type)?;
            let kinds = schema::kinds(&batch)?;
            let keep: BooleanArray = (0..batch.num_rows())
                .map(|row| {
                    let seq = seqs.value(row);
                    Some(if kinds[row] == schema::PUT { plan.keeps(seq) } else { seq >= plan.base_seq })
                })
                .collect();
            let rows = filter_record_batch(&batch, &keep)
                .and_then(|rows| RecordBatch::try_new(schema.clone(), rows.columns().to_vec()))
                .map_err(|e| Error::new(Code::Internal, format!("rows do not fit the table: {e}")))?;
            if rows.num_rows() > 0 {
                kept += rows.num_rows() as u64;
                // Nobody takes them when the writing has failed.
                let _ = send.send(Ok(rows));
            }
            Ok(())
        });
        let wanted = plan.rows();
        let sent = sent.and_then(|()| match kept == wanted {
            true => Ok(()),
            false => Err(Error::new(
                Code::Corrupt,
                format!("{}: {kept} rows that count were read, {wanted} must be there", self.name),
            )),
        });
        match &sent {
            Ok(()) => drop(send.send(Ok(RecordBatch::new_empty(schema)))),
            Err(error) => drop(send.send(Err(ArrowError::ExternalError(error.to_string().into())))),
        }
        sent
    }

    /// Calls `each` with the rows of the table, in order: all columns where none is named.
    fn each_batch<S>(
        &self,
        columns: &[S],
        filter: Option<&str>,
        mut each: impl FnMut(RecordBatch) -> Result<()> + Send,
    ) -> Result<()>
    where
        S: AsRef<str> + Sync,
    {
        let failed = |e| reading(e, &self.name);
        crate::contained(&self.name, async {
            let mut scanner = self.dataset.scan();
            scanner.batch_size(BATCH_ROWS).batch_readahead(4).scan_in_order(true);
            if !columns.is_empty() {
                scanner.project(columns).map_err(failed)?;
            }
            if let Some(filter) = filter {
                scanner.filter(filter).map_err(failed)?;
            }
            let mut stream = scanner.try_into_stream().await.map_err(failed)?;
            while let Some(batch) = stream.try_next().await.map_err(failed)? {
                each(batch)?;
            }
            Ok(())
        })
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow_array::ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::new(Code::Corrupt, format!("column '{name}' is not in the table")))
}

fn other_type() -> Error {
    Error::new(Code::Corrupt, "a column of the table has another type")
}
