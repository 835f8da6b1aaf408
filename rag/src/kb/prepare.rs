//! How does a document become a record: checked, cut, embedded?

use std::collections::HashSet;

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use super::model::Model;
use super::options::{OnError, Skipped, WriteOptions};
use crate::chunk::{ChunkOptions, chunk, embed_late, with_header};
use crate::document::{Chunk, Document, Record, Span, shorten};

/// Documents are embedded in groups of about this many chunks, between which progress is told.
const GROUP_CHUNKS: usize = 256;

/// Makes records of documents; what cannot become one is listed or, with [`OnError::Stop`], is an error.
/// `exists` says whether an id is taken.
pub(crate) fn prepare(
    documents: Vec<Document>,
    dim: usize,
    model: &Model,
    chunking: &ChunkOptions,
    options: &WriteOptions,
    exists: impl Fn(&str) -> bool,
) -> Result<(Vec<Record>, Vec<Skipped>)> {
    let total = documents.len();
    let mut records = Vec::with_capacity(total);
    let mut skipped = Vec::new();
    let mut seen = HashSet::new();
    let mut group: Vec<(usize, Document, Vec<Chunk>)> = Vec::new();
    let mut group_chunks = 0;
    for (index, document) in documents.into_iter().enumerate() {
        let cut =
            check(&document, &mut seen, &exists).and_then(|()| cut(&document, dim, model, chunking, options));
        match cut {
            Ok(chunks) => {
                group_chunks += chunks.len();
                group.push((index, document, chunks));
            }
            Err(error) if options.on_error == OnError::Skip => {
                skipped.push(Skipped { index, id: document.id, error });
            }
            Err(error) => return Err(error),
        }
        if group_chunks >= GROUP_CHUNKS {
            embed(std::mem::take(&mut group), dim, model, chunking, options, &mut records)?;
            group_chunks = 0;
            tell(options, index + 1, total);
        }
    }
    embed(group, dim, model, chunking, options, &mut records)?;
    tell(options, total, total);
    Ok((records, skipped))
}

fn tell(options: &WriteOptions, done: usize, total: usize) {
    if let Some(progress) = &options.progress {
        progress(done, total);
    }
}

fn check(document: &Document, seen: &mut HashSet<String>, exists: impl Fn(&str) -> bool) -> Result<()> {
    document.validate()?;
    if exists(&document.id) {
        return Err(duplicate(&document.id, "exists already; use upsert to replace it"));
    }
    if !seen.insert(document.id.clone()) {
        return Err(duplicate(&document.id, "is in this batch twice"));
    }
    Ok(())
}

/// The error of an id that is taken.
pub(crate) fn duplicate(id: &str, why: &str) -> Error {
    Error::new(Code::DuplicateId, format!("document '{}' {why}", shorten(id)))
}

fn cut(
    document: &Document,
    dim: usize,
    model: &Model,
    chunking: &ChunkOptions,
    options: &WriteOptions,
) -> Result<Vec<Chunk>> {
    let Some(given) = &document.chunks else {
        let chunks = chunk(&document.text, chunking, model.get()?.as_ref(), &options.cancel)
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
    records: &mut Vec<Record>,
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
    for (_, document, chunks) in group {
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
        records.push(Record {
            id: document.id,
            title: document.title,
            source: document.source,
            metadata: serde_json::Value::Object(document.metadata).to_string(),
            text: document.text,
            chunks: spans,
            vectors,
        });
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
