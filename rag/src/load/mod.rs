//! How do files become documents?
//!
//! Each file is read by a parser of its kind on a thread of its own, with a size limit and a time limit, so that a
//! hostile file is an error with its path and reason, never the end of the process.

mod contain;
mod csv;
mod docx;
mod files;
#[cfg(test)]
mod fuzz;
mod html;
mod jsonl;
mod markdown;
mod pdf;
mod record;
mod text;

pub use files::{expand, is_supported};

use std::path::Path;
use std::time::Duration;

use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value as Json};

use crate::Document;

/// What bounds the reading of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// The largest file, and the largest text that may come out of a packed one, in bytes.
    pub max_bytes: u64,
    /// The longest time for one file. A parser that is still at work then is left behind on its thread.
    pub timeout: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { max_bytes: 256 << 20, timeout: Duration::from_secs(60) }
    }
}

/// Reads one file by its ending: `.txt .md .markdown .html .htm .pdf .docx .csv .tsv .jsonl .ndjson`.
///
/// A PDF gives a document per page (id `PATH#page=N`), a CSV or JSONL file one per row (its own `id`, or
/// `PATH#row=N`), any other file one (id `PATH`). Metadata holds what the file tells: `file_type`, `language`
/// (ISO 639-3, when it can be told), `modified`, `page`, `pages`, `author`, `created`, and front matter.
///
/// Errors: `not_found`, `io`, `too_large`, `timeout`, `unsupported` (the ending), `load_failed` (the content); each
/// names the path.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("note.md");
/// std::fs::write(&path, "---\nyear: 2024\n---\n# Metformin\nTake with food.").unwrap();
/// let documents = quorate_rag::load::load_file(&path, &Default::default()).unwrap();
/// assert_eq!(documents[0].title, "Metformin");
/// assert_eq!(documents[0].metadata["year"], 2024);
/// ```
pub fn load_file(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Vec<Document>> {
    let path = path.as_ref();
    let kind = files::kind(path).ok_or_else(|| {
        let message =
            format!("{}: no loader reads this kind of file; known are {}", path.display(), files::KNOWN);
        Error::new(Code::Unsupported, message)
    })?;
    let meta = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if meta.len() > options.max_bytes {
        let message =
            format!("{}: {} bytes, at most {} are read", path.display(), meta.len(), options.max_bytes);
        return Err(Error::new(Code::TooLarge, message));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let name = path.to_string_lossy().into_owned();
    let limit = options.max_bytes;
    let parsed = contain::run(options.timeout, {
        let name = name.clone();
        move || {
            let mut documents = load_bytes(kind, &name, bytes, limit)?;
            for document in &mut documents {
                if let Some(language) = language(&document.text) {
                    document.metadata.entry("language").or_insert_with(|| language.into());
                }
            }
            Ok(documents)
        }
    });
    let mut documents = parsed.map_err(|e| e.context(path.display()))?;
    let modified = meta.modified().ok().map(rfc3339);
    for document in &mut documents {
        document.source = name.clone();
        let metadata = &mut document.metadata;
        metadata.entry("file_type").or_insert_with(|| kind.name().into());
        if let Some(modified) = &modified {
            metadata.entry("modified").or_insert_with(|| modified.clone().into());
        }
    }
    Ok(documents)
}

fn load_bytes(kind: files::Kind, name: &str, bytes: Vec<u8>, limit: u64) -> Result<Vec<Document>> {
    match kind {
        files::Kind::Text => Ok(vec![text::load(name, bytes)]),
        files::Kind::Markdown => Ok(vec![markdown::load(name, bytes)?]),
        files::Kind::Html => Ok(vec![html::load(name, bytes)?]),
        files::Kind::Pdf => pdf::load(name, &bytes),
        files::Kind::Docx => Ok(vec![docx::load(name, bytes, limit)?]),
        files::Kind::Csv => csv::load(name, bytes, b','),
        files::Kind::Tsv => csv::load(name, bytes, b'\t'),
        files::Kind::Jsonl => jsonl::load(name, bytes),
    }
}

/// The part of a path that names the file to a person.
fn stem(name: &str) -> String {
    Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn rfc3339(time: std::time::SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The language of a text, when a sample of it tells one reliably.
fn language(text: &str) -> Option<&'static str> {
    let sample = &text[..text.floor_char_boundary(4000)];
    let info = whatlang::detect(sample)?;
    info.is_reliable().then(|| info.lang().code())
}

fn failed(what: impl std::fmt::Display) -> Error {
    Error::new(Code::LoadFailed, what.to_string())
}

fn metadata(pairs: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Map<String, Json> {
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
