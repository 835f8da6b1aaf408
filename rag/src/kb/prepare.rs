//! How does a document become a record: checked, cut, embedded?

use std::collections::HashSet;

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use super::Settings;
use super::options::{OnError, Skipped, WriteOptions};
use crate::document::{Chunk, Document, Record, Span};

/// Documents are embedded in groups of about this many chunks, between which progress is told.
const GROUP_CHUNKS: usize = 256;

/// Makes records of documents; what cannot become one is listed or, with [`OnError::Stop`], is an error.
/// `exists` says whether an id is taken.
pub(crate) fn prepare(
    documents: Vec<Document>,
    dim: usize,
    embedder: Option<&dyn Embed>,
    settings: &Settings,
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
        let cut = check(&document, &mut seen, &exists).and_then(|()| cut(&document, dim, embedder));
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
            embed(std::mem::take(&mut group), dim, embedder, settings, options, &mut records)?;
            group_chunks = 0;
            tell(options, index + 1, total);
        }
    }
    embed(group, dim, embedder, settings, options, &mut records)?;
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
    Error::new(Code::DuplicateId, format!("document '{}' {why}", crate::document::shorten(id)))
}

fn cut(document: &Document, dim: usize, embedder: Option<&dyn Embed>) -> Result<Vec<Chunk>> {
    let chunks = match &document.chunks {
        Some(chunks) => chunks.clone(),
        None => vec![Chunk { range: 0..document.text.len(), ..Chunk::default() }],
    };
    for (i, chunk) in chunks.iter().enumerate() {
        match &chunk.vector {
            Some(vector) if vector.len() != dim => {
                return Err(Error::new(
                    Code::InvalidShape,
                    format!(
                        "document '{}': the vector of chunk {i} has {} components, the knowledge base has {dim}",
                        document.id,
                        vector.len()
                    ),
                ));
            }
            None if embedder.is_none() => {
                return Err(Error::new(
                    Code::Unsupported,
                    "the knowledge base was opened without an embedder; give one, or give each chunk its vector",
                ));
            }
            _ => {}
        }
    }
    Ok(chunks)
}

/// What is embedded of a chunk: its text, after the title and the headings if these are wanted.
fn text_to_embed(document: &Document, chunk: &Chunk, settings: &Settings) -> String {
    let text = document.text.get(chunk.range.clone()).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + document.title.len() + 2);
    if settings.contextual_headers || text.trim().is_empty() {
        for heading in std::iter::once(&document.title).chain(&chunk.headings) {
            if !heading.trim().is_empty() {
                out.push_str(heading.trim());
                out.push('\n');
            }
        }
    }
    out.push_str(text);
    out
}

fn embed(
    group: Vec<(usize, Document, Vec<Chunk>)>,
    dim: usize,
    embedder: Option<&dyn Embed>,
    settings: &Settings,
    options: &WriteOptions,
    records: &mut Vec<Record>,
) -> Result<()> {
    options.cancel.check()?;
    let texts: Vec<String> = group
        .iter()
        .flat_map(|(_, document, chunks)| {
            chunks
                .iter()
                .filter(|chunk| chunk.vector.is_none())
                .map(move |chunk| text_to_embed(document, chunk, settings))
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedded = match embedder {
        Some(embedder) if !texts.is_empty() => Some(embedder.embed(&texts, &options.cancel)?),
        _ => None,
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
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}
