//! How do documents come from Node?

use std::sync::{Mutex, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::rag::{OnError, Skipped, SyncReport, WriteReport};
use quorate::{Chunk, Code, Document, Error, Result};
use serde_json::{Value, json};

use crate::convert::{self, Out, count, floats32, list, texts};
use crate::errors::{OrThrow, Thrown};
use crate::value::{Given, read_items};

/// Documents on their way into a knowledge base, copied part by part.
#[napi(js_name = "Documents")]
pub struct NativeDocuments {
    skip: bool,
    parts: Mutex<Parts>,
}

/// What has been copied.
#[derive(Default)]
pub struct Parts {
    /// The documents.
    pub documents: Vec<Document>,
    /// The place of each in what was given.
    pub places: Vec<usize>,
    /// What was no document.
    pub skipped: Vec<Skipped>,
    given: usize,
}

impl Parts {
    /// Gives each document the vector of its place. Errors: `invalid_shape` unless there is one for each.
    pub fn embedded(&mut self, vectors: Vec<Vec<f32>>) -> Result<()> {
        if vectors.len() != self.given {
            let (rows, documents) = (vectors.len(), self.given);
            let message =
                format!("vectors has {rows} rows for {documents} documents; one row for each is expected");
            return Err(Error::new(Code::InvalidShape, message));
        }
        let mut vectors: Vec<Option<Vec<f32>>> = vectors.into_iter().map(Some).collect();
        for (document, &place) in self.documents.iter_mut().zip(&self.places) {
            if let Some(vector) = vectors[place].take() {
                *document = std::mem::take(document).vector(vector);
            }
        }
        Ok(())
    }
}

impl NativeDocuments {
    /// Takes the documents out, with what becomes of bad ones.
    pub fn take(&self) -> (Parts, OnError) {
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        (parts, if self.skip { OnError::Skip } else { OnError::Stop })
    }
}

#[napi]
impl NativeDocuments {
    /// None yet. `skip`: those that are no documents are reported rather than refused.
    #[napi(constructor)]
    pub fn new(skip: bool) -> Self {
        NativeDocuments { skip, parts: Mutex::default() }
    }

    /// Copies some more.
    #[napi]
    pub fn push(&self, env: Env, documents: Unknown<'_>) -> Result<(), Thrown> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let value = napi::JsValue::raw(&documents);
        let items = read_items(env.raw(), value, "documents", parts.given).or_throw()?;
        for given in items {
            let place = parts.given;
            parts.given += 1;
            let what = format!("documents[{place}]");
            let id = match &given {
                Ok(Given::Object(members)) => members.iter().find_map(|(name, value)| match value {
                    Given::Text(id) if name == "id" => Some(id.clone()),
                    _ => None,
                }),
                _ => None,
            };
            match given.and_then(|given| document(given, &what)) {
                Ok(document) => {
                    parts.documents.push(document);
                    parts.places.push(place);
                }
                Err(error) if self.skip => {
                    parts.skipped.push(Skipped { index: place, id: id.unwrap_or_default(), error });
                }
                Err(error) => return Err(crate::errors::throw(error)),
            }
        }
        Ok(())
    }
}

/// The report as JSON, with what was no document at all; `places` as in [`Parts`].
pub fn written(report: WriteReport, parts: (Vec<usize>, Vec<Skipped>)) -> Out {
    let (places, before) = parts;
    let place = |skipped: Skipped| Skipped {
        index: places.get(skipped.index).copied().unwrap_or(skipped.index),
        ..skipped
    };
    let mut skipped: Vec<Skipped> = report.skipped.into_iter().map(place).chain(before).collect();
    skipped.sort_by_key(|one| one.index);
    let out = json!({
        "added": report.added, "replaced": report.replaced, "unchanged": report.unchanged, "deleted": report.deleted,
        "chunks": report.chunks, "skipped": listed(&skipped), "version": report.version,
    });
    Out::Text(out.to_string())
}

/// The report of `sync_files` as JSON.
pub fn synced(report: SyncReport) -> Out {
    let out = json!({
        "added": report.added, "updated": report.updated, "unchanged": report.unchanged, "deleted": report.deleted,
        "chunks": report.chunks, "skipped": listed(&report.skipped), "version": report.version,
    });
    Out::Text(out.to_string())
}

fn listed(skipped: &[Skipped]) -> Vec<Value> {
    let row = |one: &Skipped| {
        let (code, message) = (one.error.code().as_str(), one.error.message());
        json!({ "index": one.index, "id": one.id, "code": code, "message": message })
    };
    skipped.iter().map(row).collect()
}

fn refuse(message: String) -> Error {
    Error::new(Code::InvalidDocument, message)
}

fn document(given: Given, what: &str) -> Result<Document> {
    let Given::Object(members) = given else {
        return Err(refuse(format!("{what} is {}; an object is expected", given.kind())));
    };
    let mut out = Document::default();
    let (mut chunks, mut vector) = (None, None);
    for (name, value) in members {
        let place = format!("{what}.{name}");
        if value.is_missing() {
            continue;
        }
        let slot = match name.as_str() {
            "metadata" => {
                out.metadata = metadata(value, &place)?;
                continue;
            }
            "chunks" => {
                chunks = Some(value);
                continue;
            }
            "vector" => {
                vector = Some(floats32(value, &place)?);
                continue;
            }
            "id" => &mut out.id,
            "text" => &mut out.text,
            "title" => &mut out.title,
            "source" => &mut out.source,
            _ => {
                return Err(refuse(format!(
                    "{what} has the unknown field '{name}'; further fields go into 'metadata'"
                )));
            }
        };
        *slot = match value {
            Given::Text(text) => text,
            other => return Err(refuse(format!("{place} is {}; a string is expected", other.kind()))),
        };
    }
    if let Some(vector) = vector {
        if chunks.is_some() {
            return Err(refuse(format!(
                "{what} has a 'vector' and 'chunks'; give each chunk its own vector"
            )));
        }
        out = out.vector(vector);
    }
    if let Some(chunks) = chunks {
        let cut = |(i, chunk)| self::chunk(chunk, &out.text, &format!("{what}.chunks[{i}]"));
        out.chunks = Some(list(chunks, what)?.into_iter().enumerate().map(cut).collect::<Result<_>>()?);
    }
    Ok(out)
}

/// A chunk that the caller has cut: `{start, end, headings, vector}` with UTF-16 offsets.
fn chunk(given: Given, text: &str, what: &str) -> Result<Chunk> {
    let Given::Object(members) = given else {
        return Err(refuse(format!("{what} is {}; an object is expected", given.kind())));
    };
    let mut out = Chunk { range: 0..text.len(), ..Chunk::default() };
    for (name, value) in members {
        let place = format!("{what}.{name}");
        if value.is_missing() {
            continue;
        }
        match name.as_str() {
            "start" => out.range.start = byte_at(text, count(value, &place)?, &place)?,
            "end" => out.range.end = byte_at(text, count(value, &place)?, &place)?,
            "headings" => out.headings = texts(value, &place)?,
            "vector" => out.vector = Some(floats32(value, &place)?),
            _ => return Err(refuse(format!("{what} has the unknown field '{name}'"))),
        }
    }
    Ok(out)
}

/// What is known about a document.
pub fn metadata(given: Given, what: &str) -> Result<quorate::rag::Metadata> {
    match given {
        Given::Object(members) => convert::object(members, what),
        other => Err(refuse(format!("{what} is {}; an object is expected", other.kind()))),
    }
}

/// The byte where a UTF-16 unit stands.
fn byte_at(text: &str, unit: usize, what: &str) -> Result<usize> {
    let mut seen = 0;
    for (byte, c) in text.char_indices() {
        if seen >= unit {
            return match seen == unit {
                true => Ok(byte),
                false => Err(refuse(format!("{what} is {unit}, in the middle of a character"))),
            };
        }
        seen += c.len_utf16();
    }
    match seen == unit {
        true => Ok(text.len()),
        false => Err(refuse(format!("{what} is {unit}, but the text has {seen} UTF-16 units"))),
    }
}
