//! How does a document become a record: checked, cut, embedded?

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use super::Snapshot;
use super::base::Base;
use super::model::Model;
use super::options::{OnError, Skipped, WriteOptions};
use crate::chunk::{ChunkOptions, chunk, embed_late, with_header};
use crate::document::{Chunk, Document, shorten};
use quorate_store::{Record, Span};

/// Documents are embedded in groups of about this many chunks.
const GROUP_CHUNKS: usize = 256;

/// Documents on their way to one commit.
pub(super) struct Batch<'a> {
    base: &'a Base,
    options: &'a WriteOptions,
    /// What was there when the batch began.
    before: Arc<Snapshot>,
    /// Whether stored documents of the same ids are replaced.
    replace: bool,
    records: Vec<(usize, Record)>,
    skipped: Vec<Skipped>,
    seen: HashSet<String>,
    group: Vec<(usize, Document, Vec<Chunk>)>,
    group_chunks: usize,
}

/// What [`Batch`] made of its documents, each with its place.
pub(super) struct Prepared {
    pub(super) before: Arc<Snapshot>,
    pub(super) records: Vec<(usize, Record)>,
    pub(super) skipped: Vec<Skipped>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        base: &'a Base,
        before: Arc<Snapshot>,
        options: &'a WriteOptions,
        replace: bool,
    ) -> Self {
        Batch {
            base,
            options,
            before,
            replace,
            records: Vec::new(),
            skipped: Vec::new(),
            seen: HashSet::new(),
            group: Vec::new(),
            group_chunks: 0,
        }
    }

    /// Takes a document from place `index`, or from a `file` there. Whether a group was embedded. Errors: why the
    /// document cannot be stored, with [`OnError::Stop`]; `cancelled`, and those of the embedder.
    pub(super) fn push(&mut self, index: usize, document: Document, file: Option<&Path>) -> Result<bool> {
        let document = match self.replace && self.base.chunking == self.base.settings.chunking {
            true => reuse(document, &self.before, self.base.dim),
            false => document,
        };
        match self.check(&document).and_then(|()| self.cut(&document)) {
            Ok(chunks) => {
                self.group_chunks += chunks.len();
                self.group.push((index, document, chunks));
            }
            Err(error) => {
                let error = match file.map(|file| file.display().to_string()) {
                    Some(file) if !error.message().contains(&file) => error.context(file),
                    _ => error,
                };
                self.refuse(index, document.id, error)?;
            }
        }
        let full = self.group_chunks >= GROUP_CHUNKS;
        if full {
            self.embed()?;
        }
        Ok(full)
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

    /// Embeds what is left.
    pub(super) fn finish(mut self) -> Result<Prepared> {
        self.embed()?;
        self.options.cancel.check()?;
        Ok(Prepared { before: self.before, records: self.records, skipped: self.skipped })
    }

    fn check(&mut self, document: &Document) -> Result<()> {
        document.validate()?;
        if !self.replace && self.before.find(&document.id).is_some() {
            return Err(duplicate(&document.id, "exists already; use upsert to replace it"));
        }
        if !self.seen.insert(document.id.clone()) {
            return Err(duplicate(&document.id, "is in this batch twice"));
        }
        Ok(())
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
        embed(group, *dim, model, chunking, self.options, &mut self.records)
    }
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
    group: Vec<(usize, Document, Vec<Chunk>)>,
    dim: usize,
    model: &Model,
    chunking: &ChunkOptions,
    options: &WriteOptions,
    records: &mut Vec<(usize, Record)>,
) -> Result<()> {
    options.cancel.check()?;
    let lacks_vector = |chunk: &&Chunk| chunk.vector.is_none();
    let mut group = group;
    if chunking.late {
        for (_, document, chunks) in &mut group {
            if chunks.iter().any(|chunk| chunk.vector.is_none()) {
                let pooled = embed_late(&document.text, chunks, model.get()?.as_ref(), &options.cancel)?;
                for (chunk, vector) in chunks.iter_mut().zip(pooled.iter()) {
                    chunk.vector.get_or_insert_with(|| vector.to_vec());
                }
            }
        }
    }
    let mut texts = Vec::new();
    for (_, document, chunks) in &group {
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
    for (index, document, chunks) in group {
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
            let headings = match chunk.headings.is_empty() {
                true => String::new(),
                false => serde_json::Value::from(chunk.headings).to_string(),
            };
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

/// The document with the chunks and vectors that are stored for it, if its text and title are unchanged.
fn reuse(mut document: Document, snapshot: &Snapshot, dim: usize) -> Document {
    if document.chunks.is_none()
        && let Some((segment, doc)) = snapshot.find(&document.id)
    {
        let view = &snapshot.views()[segment];
        let stored = view.segment.catalog.doc(doc);
        if stored.text == document.text && stored.title == document.title {
            document.chunks = Some(chunks_of(&view.record(doc), dim));
        }
    }
    document
}

/// The chunks of a record with their vectors.
pub(super) fn chunks_of(record: &Record, dim: usize) -> Vec<Chunk> {
    let vectors = record.vectors.chunks_exact(dim.max(1));
    let chunk = |(span, vector): (&quorate_store::Span, &[f32])| Chunk {
        range: span.start as usize..span.end as usize,
        headings: serde_json::from_str(&span.headings).unwrap_or_default(),
        vector: Some(vector.to_vec()),
    };
    record.chunks.iter().zip(vectors).map(chunk).collect()
}
