//! How does a document cross between Python and Rust? Offsets are code points there and bytes here.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use quorate::rag::Skipped;
use quorate::{Chunk, Code, Document, Error};
use serde_json::Value;

use crate::convert::{array1, from_json, sequence, text, texts, vector, vectors};
use crate::door::breathe;
use crate::errors::{raise, refused, shape};
use crate::metadata::{dict, metadata, wrong};

/// After so many documents other threads get a turn, and signals are looked for.
const TURN: usize = 128;

/// What a caller gave to be written.
#[derive(Default)]
pub struct Parts {
    /// The documents.
    pub documents: Vec<Document>,
    /// The place of each in what was given.
    pub places: Vec<usize>,
    /// What was no document.
    pub skipped: Vec<Skipped>,
}

/// Documents from anything that yields dicts, with the embeddings that are given for them. With `skip`, what is no
/// document is listed rather than refused.
pub fn documents(value: &Bound<'_, PyAny>, given: Option<&Bound<'_, PyAny>>, skip: bool) -> PyResult<Parts> {
    let py = value.py();
    let mut out = Parts::default();
    let mut count = 0;
    for (i, one) in sequence(value, "documents")?.enumerate() {
        if i % TURN == TURN - 1 {
            breathe(py)?;
        }
        let one = one?;
        count += 1;
        match document(&one, &format!("documents[{i}]")) {
            Ok(document) => {
                out.documents.push(document);
                out.places.push(i);
            }
            Err(raised) => match refused(py, &raised).filter(|_| skip) {
                Some(error) => out.skipped.push(Skipped { index: i, id: id_of(&one), error }),
                None => return Err(raised),
            },
        }
    }
    let Some(given) = given else { return Ok(out) };
    let rows = vectors(given, "vectors")?;
    if rows.len() != count {
        return Err(shape(format!(
            "vectors has {} rows for {count} documents; one row for each is expected",
            rows.len()
        )));
    }
    let mut rows: Vec<Option<Vec<f32>>> = rows.into_iter().map(Some).collect();
    for (document, &place) in out.documents.iter_mut().zip(&out.places) {
        if let Some(vector) = rows[place].take() {
            *document = std::mem::take(document).vector(vector);
        }
    }
    Ok(out)
}

/// The id of what is no document, where it has one.
fn id_of(given: &Bound<'_, PyAny>) -> String {
    let id = dict(given).ok().flatten().and_then(|fields| fields.get_item("id").ok().flatten());
    id.and_then(|id| text(&id, "id").ok()).unwrap_or_default()
}

fn document(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Document> {
    let Some(fields) = dict(given)? else {
        return Err(wrong(Code::InvalidDocument, what, given, "a dict is expected"));
    };
    let mut document = Document::default();
    let (mut its_vector, mut its_chunks) = (None, None);
    for (name, value) in fields.iter() {
        if !name.is_instance_of::<PyString>() {
            return Err(wrong(
                Code::InvalidDocument,
                &format!("a key of {what}"),
                &name,
                "a string is expected",
            ));
        }
        let name = text(&name, &format!("a key of {what}"))?;
        let place = || format!("{what}['{name}']");
        if value.is_none() {
            match name.as_str() {
                "id" | "text" | "title" | "source" | "metadata" | "vector" | "chunks" => continue,
                _ => {}
            }
        }
        let slot = match name.as_str() {
            "id" => &mut document.id,
            "text" => &mut document.text,
            "title" => &mut document.title,
            "source" => &mut document.source,
            "metadata" => {
                document.metadata = metadata(&value, &place())?;
                continue;
            }
            "vector" => {
                its_vector = Some(vector(&value, &place())?);
                continue;
            }
            "chunks" => {
                its_chunks = Some(value);
                continue;
            }
            _ => {
                return Err(raise(Error::new(
                    Code::InvalidDocument,
                    format!("{what} has the unknown field '{name}'; further fields go into 'metadata'"),
                )));
            }
        };
        if !value.is_instance_of::<PyString>() {
            return Err(wrong(Code::InvalidDocument, &place(), &value, "a string is expected"));
        }
        *slot = text(&value, &place())?;
    }
    match (its_vector, its_chunks) {
        (None, None) => Ok(document),
        (Some(vector), None) => Ok(document.vector(vector)),
        (None, Some(given)) => {
            document.chunks = Some(chunks(&given, &document.text, &format!("{what}['chunks']"))?);
            Ok(document)
        }
        (Some(_), Some(_)) => Err(raise(Error::new(
            Code::InvalidDocument,
            format!("{what} has a 'vector' and 'chunks'; give each chunk its own vector"),
        ))),
    }
}

/// `{"start", "end", "headings", "vector"}` each, offsets in code points.
fn chunks(value: &Bound<'_, PyAny>, document: &str, what: &str) -> PyResult<Vec<Chunk>> {
    let bytes = Bytes::of(document);
    sequence(value, what)?
        .enumerate()
        .map(|(i, given)| {
            let (given, what) = (given?, format!("{what}[{i}]"));
            let Some(fields) = dict(&given)? else {
                return Err(wrong(Code::InvalidDocument, &what, &given, "a dict is expected"));
            };
            let mut chunk = Chunk::default();
            let (mut start, mut end) = (0, bytes.chars());
            for (name, value) in fields.iter() {
                let name = text(&name, &format!("a key of {what}"))?;
                let place = format!("{what}['{name}']");
                match name.as_str() {
                    "start" | "end" => {
                        let at = value.extract().map_err(|_| {
                            wrong(
                                Code::InvalidDocument,
                                &place,
                                &value,
                                "a number of code points is expected",
                            )
                        })?;
                        *(if name == "start" { &mut start } else { &mut end }) = at;
                    }
                    "headings" => chunk.headings = texts(&value, &place)?,
                    "vector" if value.is_none() => {}
                    "vector" => chunk.vector = Some(vector(&value, &place)?),
                    _ => {
                        return Err(raise(Error::new(
                            Code::InvalidDocument,
                            format!("{what} has the unknown field '{name}'"),
                        )));
                    }
                }
            }
            if start > end || end > bytes.chars() {
                return Err(raise(Error::new(
                    Code::InvalidDocument,
                    format!("{what} spans {start}..{end} of a text of {} code points", bytes.chars()),
                )));
            }
            chunk.range = bytes.at(start)..bytes.at(end);
            Ok(chunk)
        })
        .collect()
}

/// A stored document as a record; with its chunks if wanted.
pub fn from_document<'py>(
    py: Python<'py>,
    document: Document,
    with_chunks: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let out = PyDict::new(py);
    out.set_item("id", document.id)?;
    out.set_item("text", &document.text)?;
    out.set_item("title", document.title)?;
    out.set_item("source", document.source)?;
    out.set_item("metadata", from_json(py, &Value::Object(document.metadata))?)?;
    if with_chunks {
        let rows = PyList::empty(py);
        for chunk in document.chunks.unwrap_or_default() {
            let row = PyDict::new(py);
            row.set_item("start", code_points(&document.text, chunk.range.start))?;
            row.set_item("end", code_points(&document.text, chunk.range.end))?;
            row.set_item("headings", chunk.headings)?;
            let vector: Option<Bound<'_, PyArray1<f32>>> =
                chunk.vector.map(|vector| array1(py, vector)).transpose()?;
            row.set_item("vector", vector)?;
            rows.append(row)?;
        }
        out.set_item("chunks", rows)?;
    }
    py.import("quorate._record")?.getattr("record")?.call1((out,))
}

/// How many code points stand before this byte.
pub fn code_points(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}

/// Where code points stand in bytes.
enum Bytes {
    Ascii(usize),
    /// The byte of each code point, and the length.
    Other(Vec<usize>),
}

impl Bytes {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Bytes::Ascii(text.len());
        }
        Bytes::Other(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    fn chars(&self) -> usize {
        match self {
            Bytes::Ascii(length) => *length,
            Bytes::Other(places) => places.len() - 1,
        }
    }

    fn at(&self, char: usize) -> usize {
        match self {
            Bytes::Ascii(_) => char,
            Bytes::Other(places) => places[char],
        }
    }
}
