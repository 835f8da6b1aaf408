//! How does a document become a record: checked, cut, embedded?

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use super::Snapshot;
use super::base::Base;
use super::beside;
use super::model::Model;
use super::options::{OnError, Skipped, WriteOptions};
use crate::chunk::{ChunkOptions, chunk, embed_late, with_header};
use crate::document::{Chunk, Document, Metadata, shorten};
use crate::index::DocView;
use quorate_store::{Record, Span};

/// Documents are embedded in groups of about this many chunks.
const GROUP_CHUNKS: usize = 256;

/// Documents on their way to one commit, or to several one after the other.
pub(super) struct Batch<'a> {
    base: &'a Base,
    options: &'a WriteOptions,
    /// What was there when the batch began.
    before: Arc<Snapshot>,
    how: How,
    /// What documents are marked with that are cut and embedded here.
    mark: String,
    records: Vec<(usize, Record)>,
    skipped: Vec<Skipped>,
    unchanged: Vec<Unchanged>,
    /// The hashes of the ids that were given so far, also for former commits.
    seen: HashSet<u128>,
    group: Vec<Waiting>,
    group_chunks: usize,
    bytes: usize,
}

/// What becomes of a document whose id is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is refused.
    Add,
    /// It is refused, unless it says what the stored one says: then it is unchanged.
    Resume,
    /// It replaces the stored one, unless that says the same.
    Replace,
}

/// A document that is cut and waits to be embedded.
struct Waiting {
    index: usize,
    document: Document,
    chunks: Vec<Chunk>,
    /// Whether the chunks and vectors are none of the caller's.
    ours: bool,
}

/// A document that says what the stored one of its id says: its place, and segment and number of the stored one.
pub(super) type Unchanged = (usize, usize, u32);

/// What [`Batch`] made of its documents, each with its place.
pub(super) struct Prepared {
    pub(super) before: Arc<Snapshot>,
    pub(super) records: Vec<(usize, Record)>,
    pub(super) skipped: Vec<Skipped>,
    /// Those that need not be written, by what there was before.
    pub(super) unchanged: Vec<Unchanged>,
    /// Ids of documents to be deleted in the same commit, unless they are stored in it.
    pub(super) removed: Vec<String>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(base: &'a Base, before: Arc<Snapshot>, options: &'a WriteOptions, how: How) -> Self {
        Batch {
            base,
            options,
            before,
            how,
            mark: beside::mark(&base.chunking),
            records: Vec::new(),
            skipped: Vec::new(),
            unchanged: Vec::new(),
            seen: HashSet::new(),
            group: Vec::new(),
            group_chunks: 0,
            bytes: 0,
        }
    }

    /// Takes a document from place `index`, or from a `file` there. Whether a group was embedded. Errors: why the
    /// document cannot be stored, with [`OnError::Stop`]; `cancelled`, and those of the embedder.
    pub(super) fn push(&mut self, index: usize, document: Document, file: Option<&Path>) -> Result<bool> {
        let named = |error: Error| match file.map(|file| file.display().to_string()) {
            Some(file) if !error.message().contains(&file) => error.context(file),
            _ => error,
        };
        let ours = document.chunks.is_none();
        match self.check(&document, file.is_some()) {
            Ok(true) => {}
            Ok(false) => {
                self.unchanged
                    .extend(self.before.find(&document.id).map(|(segment, doc)| (index, segment, doc)));
                return Ok(false);
            }
            Err(error) => {
                self.refuse(index, document.id, named(error))?;
                return Ok(false);
            }
        }
        let document = if self.how == How::Replace { self.reuse(document) } else { document };
        match self.cut(&document) {
            Ok(chunks) => {
                self.group_chunks += chunks.len();
                self.bytes += document.text.len() + chunks.len() * 4 * self.base.dim;
                self.group.push(Waiting { index, document, chunks, ours });
            }
            Err(error) => self.refuse(index, document.id, named(error))?,
        }
        let full = self.group_chunks >= GROUP_CHUNKS;
        if full {
            self.embed()?;
        }
        Ok(full)
    }

    /// How many documents wait for the next commit, and about how many bytes they have.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.records.len() + self.group.len(), self.bytes)
    }

    /// How many were refused since the last commit.
    pub(super) fn refused(&self) -> usize {
        self.skipped.len()
    }

    /// Whether a document of this id was given.
    pub(super) fn has_seen(&self, id: &str) -> bool {
        self.seen.contains(&key(id))
    }

    /// The document that is stored under an id.
    pub(super) fn stored(&self, id: &str) -> Option<DocView<'_>> {
        let (segment, doc) = self.before.find(id)?;
        Some(self.before.views()[segment].segment.catalog.doc(doc))
    }

    /// Leaves out what cannot be stored. Errors: the given one with [`OnError::Stop`], or when it says that the caller
    /// has cancelled.
    pub(super) fn refuse(&mut self, index: usize, id: String, error: Error) -> Result<()> {
        match self.options.on_error {
            OnError::Skip if error.code() != Code::Cancelled => self.skip(index, id, error),
            _ => return Err(error),
        }
        Ok(())
    }

    /// Lists what is left out in any case.
    pub(super) fn skip(&mut self, index: usize, id: String, error: Error) {
        self.skipped.push(Skipped { index, id, error });
    }

    /// Embeds what is left, for one commit; further documents are compared with what is there `after` it.
    pub(super) fn finish(&mut self) -> Result<Prepared> {
        self.embed()?;
        self.options.cancel.check()?;
        self.bytes = 0;
        Ok(Prepared {
            before: self.before.clone(),
            records: std::mem::take(&mut self.records),
            skipped: std::mem::take(&mut self.skipped),
            unchanged: std::mem::take(&mut self.unchanged),
            removed: Vec::new(),
        })
    }

    /// Goes on after a commit.
    pub(super) fn renew(&mut self, now: Arc<Snapshot>) {
        self.before = now;
    }

    /// Whether the document is to be stored; not where it is there already, as it is.
    fn check(&mut self, document: &Document, of_file: bool) -> Result<bool> {
        document.validate()?;
        if !self.seen.insert(key(&document.id)) {
            return Err(duplicate(&document.id, "is given twice"));
        }
        match self.how {
            How::Add if self.stored(&document.id).is_some() => Err(taken(&document.id)),
            How::Add => Ok(true),
            How::Resume | How::Replace if self.is_unchanged(document, of_file) => Ok(false),
            How::Resume if self.stored(&document.id).is_some() => Err(taken(&document.id)),
            How::Resume | How::Replace => Ok(true),
        }
    }

    /// Whether the same is stored, cut and embedded as it would be now. When a file was last touched is no part of what
    /// it says.
    fn is_unchanged(&self, document: &Document, of_file: bool) -> bool {
        let Some(stored) = self.stored(&document.id) else { return false };
        document.chunks.is_none()
            && (stored.text, stored.title, stored.source)
                == (&*document.text, &*document.title, &*document.source)
            && same_metadata(stored.metadata, &document.metadata, of_file)
            && self.is_ours(&document.id)
    }

    /// Whether what is stored of a document was cut and embedded as it would be now.
    fn is_ours(&self, id: &str) -> bool {
        self.before.find(id).is_some_and(|(segment, doc)| {
            let catalog = &self.before.views()[segment].segment.catalog;
            let first = catalog.rows_of(doc).start;
            beside::is_by(catalog.headings(first), &self.mark)
        })
    }

    /// The document with the chunks and vectors that are stored for it, if its text and title are unchanged and it would be
    /// cut and embedded in the same way.
    fn reuse(&self, mut document: Document) -> Document {
        if document.chunks.is_none()
            && let Some((segment, doc)) = self.before.find(&document.id)
        {
            let view = &self.before.views()[segment];
            let stored = view.segment.catalog.doc(doc);
            if (stored.text, stored.title) == (&*document.text, &*document.title)
                && self.is_ours(&document.id)
            {
                document.chunks = Some(chunks_of(&view.record(doc), self.base.dim));
            }
        }
        document
    }

    fn cut(&self, document: &Document) -> Result<Vec<Chunk>> {
        let (model, dim) = (&self.base.model, self.base.dim);
        let Some(given) = &document.chunks else {
            let embedder = model.get()?.as_ref();
            let Document { title, text, .. } = document;
            let chunks = chunk(title, text, &self.base.chunking, embedder, &self.options.cancel)
                .map_err(|e| e.context(format!("document '{}'", shorten(&document.id))))?;
            // A document without text is found by its title.
            return Ok(if chunks.is_empty() { vec![Chunk::default()] } else { chunks });
        };
        for (i, chunk) in given.iter().enumerate() {
            match &chunk.vector {
                Some(vector) if vector.len() != dim => {
                    return Err(Error::new(
                        Code::InvalidShape,
                        format!(
                            "document '{}': the vector of chunk {i} has {} components, the knowledge base has {dim}",
                            shorten(&document.id),
                            vector.len()
                        ),
                    ));
                }
                Some(_) => {}
                None => {
                    model.get()?;
                }
            }
        }
        Ok(given.clone())
    }

    fn embed(&mut self) -> Result<()> {
        self.group_chunks = 0;
        let group = std::mem::take(&mut self.group);
        let Base { dim, model, chunking, .. } = self.base;
        let first = self.records.len();
        embed(group, *dim, model, chunking, &self.mark, self.options, &mut self.records)?;
        if self.how == How::Replace {
            // What the caller has cut or embedded is only now known to be what is stored.
            let (before, unchanged) = (&self.before, &mut self.unchanged);
            let fresh = self.records.split_off(first);
            self.records.extend(fresh.into_iter().filter(|(index, record)| {
                let same = before.find(&record.id).filter(|&(segment, doc)| {
                    let view = &before.views()[segment];
                    view.segment.catalog.doc(doc).text == record.text && view.record(doc) == *record
                });
                unchanged.extend(same.map(|(segment, doc)| (*index, segment, doc)));
                same.is_none()
            }));
        }
        Ok(())
    }
}

/// What tells an id from any other one, in less memory than the id.
fn key(id: &str) -> u128 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().iter().take(16).fold(0, |key, &byte| key << 8 | u128::from(byte))
}

/// Whether metadata are those that are stored.
pub(super) fn same_metadata(stored: &str, given: &Metadata, of_file: bool) -> bool {
    let Ok(mut stored) = serde_json::from_str::<Metadata>(stored) else { return false };
    if !of_file {
        return stored == *given;
    }
    let given_touched = given.get(TOUCHED);
    stored.remove(TOUCHED);
    stored.len() + usize::from(given_touched.is_some()) == given.len()
        && given.iter().all(|(name, value)| name == TOUCHED || stored.get(name) == Some(value))
}

/// The member of the metadata that says when a file was written last.
const TOUCHED: &str = "modified";

fn taken(id: &str) -> Error {
    duplicate(id, "exists already; use upsert to replace it")
}

/// The error of an id that is taken.
pub(crate) fn duplicate(id: &str, why: &str) -> Error {
    Error::new(Code::DuplicateId, format!("document '{}' {why}", shorten(id)))
}

/// What is embedded of a chunk: its text, after the title and the headings if these are wanted.
fn text_to_embed(
    document: &Document,
    chunk: &Chunk,
    chunking: &ChunkOptions,
    embedder: &dyn Embed,
) -> Result<String> {
    let text = document.text.get(chunk.range.clone()).unwrap_or_default();
    match chunking.contextual_headers || text.trim().is_empty() {
        true => with_header(&document.title, &chunk.headings, text, embedder),
        false => Ok(text.to_owned()),
    }
}

fn embed(
    group: Vec<Waiting>,
    dim: usize,
    model: &Model,
    chunking: &ChunkOptions,
    mark: &str,
    options: &WriteOptions,
    records: &mut Vec<(usize, Record)>,
) -> Result<()> {
    options.cancel.check()?;
    let lacks_vector = |chunk: &&Chunk| chunk.vector.is_none();
    let mut group = group;
    if chunking.late {
        for Waiting { document, chunks, .. } in &mut group {
            if chunks.iter().any(|chunk| chunk.vector.is_none()) {
                let pooled = embed_late(&document.text, chunks, model.get()?.as_ref(), &options.cancel)?;
                for (chunk, vector) in chunks.iter_mut().zip(pooled.iter()) {
                    // A chunk without a token, such as that of a title without text, is embedded like any other.
                    if vector.iter().any(|&x| x != 0.0) {
                        chunk.vector.get_or_insert_with(|| vector.to_vec());
                    }
                }
            }
        }
    }
    let mut texts = Vec::new();
    for Waiting { document, chunks, .. } in &group {
        for chunk in chunks.iter().filter(lacks_vector) {
            texts.push(text_to_embed(document, chunk, chunking, model.get()?.as_ref())?);
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedded = match texts.is_empty() {
        true => None,
        false => Some(model.get()?.embed(&texts, &options.cancel)?),
    };
    let mut rows = embedded.iter().flat_map(|matrix| matrix.iter());
    for Waiting { index, document, chunks, ours } in group {
        let mut vectors = Vec::with_capacity(chunks.len() * dim);
        let mut spans = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            match chunk.vector {
                Some(mut vector) => {
                    normalize(&mut vector);
                    vectors.extend_from_slice(&vector);
                }
                None => {
                    let row = rows.next().filter(|row| row.len() == dim).ok_or_else(|| {
                        Error::new(
                            Code::InvalidShape,
                            "the embedder gave other vectors than it was asked for",
                        )
                    })?;
                    vectors.extend_from_slice(row);
                }
            }
            let first = spans.is_empty();
            let headings = beside::column(chunk.headings, (ours && first).then_some(mark));
            spans.push(Span { start: chunk.range.start as u32, end: chunk.range.end as u32, headings });
        }
        if let Some(bad) = vectors.iter().position(|x| !x.is_finite()) {
            return Err(Error::new(
                Code::NotFinite,
                format!(
                    "document '{}': component {} of a vector is not finite",
                    document.id,
                    bad % dim.max(1)
                ),
            ));
        }
        let record = Record {
            id: document.id,
            title: document.title,
            source: document.source,
            metadata: serde_json::Value::Object(document.metadata).to_string(),
            text: document.text,
            chunks: spans,
            vectors,
        };
        records.push((index, record));
    }
    Ok(())
}

/// Brings a vector to unit length; zero stays zero.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    // What has unit length already keeps its every bit.
    if length > 0.0 && (length - 1.0).abs() > 1e-6 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

/// The chunks of a record with their vectors.
pub(super) fn chunks_of(record: &Record, dim: usize) -> Vec<Chunk> {
    let vectors = record.vectors.chunks_exact(dim.max(1));
    let chunk = |(span, vector): (&quorate_store::Span, &[f32])| Chunk {
        range: span.start as usize..span.end as usize,
        headings: beside::headings(&span.headings),
        vector: Some(vector.to_vec()),
    };
    record.chunks.iter().zip(vectors).map(chunk).collect()
}
