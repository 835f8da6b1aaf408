//! Which documents and chunks does a segment hold, and what do they say?
//!
//! One immutable block of bytes, the same in memory and in a mapped file: texts in a blob, fixed-size tables of
//! where they stand, and the documents in the order of their ids for lookup without a hash map.

use std::ops::Range;

use quorate_core::{Code, Error, Result};

use super::bytes::{Bytes, Numbers};
use quorate_store::{Record, Span};

const MAGIC: &[u8; 8] = b"QRCAT\0\0\x01";

/// The parts of a document in the blob.
const PARTS: usize = 5;

pub(crate) struct Catalog {
    bytes: Bytes,
    docs: usize,
    chunks: usize,
    /// Where each document's record starts in the blob, as two halves of a u64.
    offsets: Numbers,
    /// Lengths of id, title, source, metadata, text.
    lengths: Numbers,
    /// The first chunk of each document, and one more.
    first_chunk: Numbers,
    /// The documents in ascending order of their ids.
    by_id: Numbers,
    chunk_doc: Numbers,
    chunk_start: Numbers,
    chunk_end: Numbers,
    /// Where the headings of each chunk start behind the documents, and one more.
    headings: Numbers,
    blob: usize,
    headings_blob: usize,
}

/// What a document says.
#[derive(Clone, Copy)]
pub(crate) struct DocView<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) source: &'a str,
    /// A JSON object.
    pub(crate) metadata: &'a str,
    pub(crate) text: &'a str,
}

impl Catalog {
    /// The catalogue of `records`, in their order.
    pub(crate) fn build<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Result<Self> {
        let (mut docs, mut chunks) = (0usize, 0usize);
        for record in records.clone() {
            docs += 1;
            chunks += record.chunks.len();
        }
        if chunks > u32::MAX as usize / 2 {
            return Err(Error::new(Code::TooLarge, format!("{chunks} chunks are too many for one segment")));
        }
        let mut out = Vec::with_capacity(64 + docs * 40 + chunks * 16);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(docs as u64).to_le_bytes());
        out.extend_from_slice(&(chunks as u64).to_le_bytes());
        let put = |out: &mut Vec<u8>, n: u32| out.extend_from_slice(&n.to_le_bytes());
        let mut offset = 0u64;
        for record in records.clone() {
            put(&mut out, offset as u32);
            put(&mut out, (offset >> 32) as u32);
            offset += parts(record).iter().map(|p| p.len() as u64).sum::<u64>();
        }
        put(&mut out, offset as u32);
        put(&mut out, (offset >> 32) as u32);
        for record in records.clone() {
            for part in parts(record) {
                put(&mut out, part.len() as u32);
            }
        }
        let mut first = 0u32;
        for record in records.clone() {
            put(&mut out, first);
            first += record.chunks.len() as u32;
        }
        put(&mut out, first);
        let mut ids: Vec<(&str, u32)> =
            records.clone().enumerate().map(|(i, r)| (r.id.as_str(), i as u32)).collect();
        ids.sort_unstable();
        ids.iter().for_each(|&(_, i)| put(&mut out, i));
        let spans =
            || records.clone().enumerate().flat_map(|(doc, r)| r.chunks.iter().map(move |c| (doc as u32, c)));
        spans().for_each(|(doc, _)| put(&mut out, doc));
        spans().for_each(|(_, span)| put(&mut out, span.start));
        spans().for_each(|(_, span)| put(&mut out, span.end));
        let mut at = 0u32;
        for (_, span) in spans() {
            put(&mut out, at);
            at = at
                .checked_add(span.headings.len() as u32)
                .ok_or_else(|| Error::new(Code::TooLarge, "the headings of a segment exceed 4 GiB"))?;
        }
        put(&mut out, at);
        for record in records.clone() {
            for part in parts(record) {
                out.extend_from_slice(part.as_bytes());
            }
        }
        spans().for_each(|(_, span)| out.extend_from_slice(span.headings.as_bytes()));
        Catalog::open(Bytes::Owned(out))
    }

    /// Reads what [`as_bytes`](Catalog::as_bytes) gave. Errors: `corrupt`.
    pub(crate) fn open(bytes: Bytes) -> Result<Self> {
        let short = || Error::new(Code::Corrupt, "the catalogue of a segment is damaged");
        let number = |at: usize| {
            let eight: Option<[u8; 8]> = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
            eight.map(u64::from_le_bytes).and_then(|n| usize::try_from(n).ok()).ok_or_else(short)
        };
        if bytes.get(..8) != Some(MAGIC) {
            return Err(short());
        }
        let (docs, chunks) = (number(8)?, number(16)?);
        if docs > bytes.len() || chunks > bytes.len() {
            return Err(short());
        }
        let mut at = 24;
        let offsets = Numbers::open(&bytes, &mut at, 2 * (docs + 1))?;
        let lengths = Numbers::open(&bytes, &mut at, PARTS * docs)?;
        let first_chunk = Numbers::open(&bytes, &mut at, docs + 1)?;
        let by_id = Numbers::open(&bytes, &mut at, docs)?;
        let chunk_doc = Numbers::open(&bytes, &mut at, chunks)?;
        let chunk_start = Numbers::open(&bytes, &mut at, chunks)?;
        let chunk_end = Numbers::open(&bytes, &mut at, chunks)?;
        let headings = Numbers::open(&bytes, &mut at, chunks + 1)?;
        let mut catalog = Catalog {
            docs,
            chunks,
            offsets,
            lengths,
            first_chunk,
            by_id,
            chunk_doc,
            chunk_start,
            chunk_end,
            headings,
            blob: at,
            headings_blob: 0,
            bytes,
        };
        catalog.headings_blob = usize::try_from(catalog.offset(docs))
            .ok()
            .and_then(|n| at.checked_add(n))
            .filter(|&end| end <= catalog.bytes.len())
            .ok_or_else(short)?;
        if !catalog.is_sound() {
            return Err(short());
        }
        Ok(catalog)
    }

    /// Whether all numbers lie where they must, so that no reader runs out of its document or its table.
    fn is_sound(&self) -> bool {
        let docs_follow = (0..self.docs).all(|doc| {
            let lengths = (0..PARTS).map(|i| u64::from(self.lengths.get(&self.bytes, PARTS * doc + i)));
            let rows = self.rows_of(doc as u32);
            self.offset(doc).checked_add(lengths.sum()) == Some(self.offset(doc + 1))
                && rows.start <= rows.end
                && rows.end as usize <= self.chunks
                && (self.by_id.get(&self.bytes, doc) as usize) < self.docs
                && rows.into_iter().all(|row| self.doc_of(row) == doc as u32)
        });
        let headings = |row: usize| self.headings.get(&self.bytes, row);
        let first = |doc: usize| self.first_chunk.get(&self.bytes, doc) as usize;
        let room = self.bytes.len() - self.headings_blob;
        docs_follow
            && (self.offset(0), first(0), headings(0)) == (0, 0, 0)
            && first(self.docs) == self.chunks
            && headings(self.chunks) as usize <= room
            && (0..self.chunks).all(|row| {
                let span = self.span(row as u32);
                let text =
                    self.lengths.get(&self.bytes, PARTS * self.doc_of(row as u32) as usize + PARTS - 1);
                span.start <= span.end && span.end <= text as usize && headings(row) <= headings(row + 1)
            })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of documents.
    pub(crate) fn docs(&self) -> u32 {
        self.docs as u32
    }

    /// The number of chunks; a chunk's position is its row.
    pub(crate) fn chunks(&self) -> u32 {
        self.chunks as u32
    }

    /// The document of a row.
    #[inline]
    pub(crate) fn doc_of(&self, row: u32) -> u32 {
        self.chunk_doc.get(&self.bytes, row as usize)
    }

    /// The rows of a document.
    pub(crate) fn rows_of(&self, doc: u32) -> Range<u32> {
        let first = |i: u32| self.first_chunk.get(&self.bytes, i as usize);
        first(doc)..first(doc + 1)
    }

    /// Whether each document is one chunk, so that documents and rows have the same numbers.
    pub(crate) fn one_to_one(&self) -> bool {
        self.docs == self.chunks
    }

    /// What a document says. Damaged text reads as empty.
    pub(crate) fn doc(&self, doc: u32) -> DocView<'_> {
        let mut at = self.blob + self.offset(doc as usize) as usize;
        let mut part = |i: usize| {
            let len = self.lengths.get(&self.bytes, PARTS * doc as usize + i) as usize;
            let text = self.bytes.get(at..at + len).unwrap_or_default();
            at += len;
            std::str::from_utf8(text).unwrap_or_default()
        };
        DocView { id: part(0), title: part(1), source: part(2), metadata: part(3), text: part(4) }
    }

    fn id(&self, doc: u32) -> &[u8] {
        let at = self.blob + self.offset(doc as usize) as usize;
        let len = self.lengths.get(&self.bytes, PARTS * doc as usize) as usize;
        self.bytes.get(at..at + len).unwrap_or_default()
    }

    /// Where a chunk stands in its document's text, in bytes.
    pub(crate) fn span(&self, row: u32) -> Range<usize> {
        let row = row as usize;
        self.chunk_start.get(&self.bytes, row) as usize..self.chunk_end.get(&self.bytes, row) as usize
    }

    /// The headings above a chunk, as a JSON array, or empty.
    pub(crate) fn headings(&self, row: u32) -> &str {
        let at = |i: usize| self.headings_blob + self.headings.get(&self.bytes, i) as usize;
        let text = self.bytes.get(at(row as usize)..at(row as usize + 1)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The text of a chunk.
    pub(crate) fn chunk_text(&self, row: u32) -> &str {
        self.doc(self.doc_of(row)).text.get(self.span(row)).unwrap_or_default()
    }

    /// The document with an id.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.by_id.len());
        while low < high {
            let middle = (low + high) / 2;
            let doc = self.by_id.get(&self.bytes, middle);
            match self.id(doc).cmp(id.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(doc),
            }
        }
        None
    }

    /// The spans of a document.
    pub(crate) fn spans(&self, doc: u32) -> Vec<Span> {
        self.rows_of(doc)
            .map(|row| {
                let Range { start, end } = self.span(row);
                Span { start: start as u32, end: end as u32, headings: self.headings(row).to_owned() }
            })
            .collect()
    }

    fn offset(&self, doc: usize) -> u64 {
        let half = |i: usize| u64::from(self.offsets.get(&self.bytes, i));
        half(2 * doc) | half(2 * doc + 1) << 32
    }
}

fn parts(record: &Record) -> [&str; PARTS] {
    [&record.id, &record.title, &record.source, &record.metadata, &record.text]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(id: String, text: String, cuts: usize) -> Record {
        let boundaries: Vec<usize> =
            text.char_indices().map(|(i, _)| i).step_by(cuts.max(1)).chain([text.len()]).collect();
        let chunks = boundaries
            .windows(2)
            .enumerate()
            .map(|(i, w)| Span {
                start: w[0] as u32,
                end: w[1] as u32,
                headings: if i % 2 == 0 { String::new() } else { format!("[\"{i}\"]") },
            })
            .collect();
        Record {
            title: format!("t{id}"),
            source: String::new(),
            metadata: "{}".into(),
            vectors: vec![],
            id,
            text,
            chunks,
        }
    }

    proptest! {
        #[test]
        fn says_what_was_put_in(texts in prop::collection::btree_map("\\PC{1,6}", "\\PC{1,40}", 0..20), cuts in 1usize..9) {
            let records: Vec<Record> = texts.into_iter().rev().map(|(id, text)| record(id, text, cuts)).collect();
            let built = Catalog::build(records.iter()).unwrap();
            let read = Catalog::open(Bytes::Owned(built.as_bytes().to_vec())).unwrap();
            prop_assert_eq!(read.docs() as usize, records.len());
            let mut row = 0;
            for (i, want) in records.iter().enumerate() {
                let doc = read.find(&want.id).unwrap();
                prop_assert_eq!(doc as usize, i);
                let got = read.doc(doc);
                prop_assert_eq!((got.id, got.title, got.text, got.metadata), (&*want.id, &*want.title, &*want.text, "{}"));
                prop_assert_eq!(read.spans(doc), want.chunks.clone());
                for span in &want.chunks {
                    prop_assert_eq!(read.doc_of(row), doc);
                    prop_assert_eq!(read.chunk_text(row), &want.text[span.start as usize..span.end as usize]);
                    row += 1;
                }
            }
            prop_assert_eq!(read.find("no such id, surely"), None);
        }

        #[test]
        fn never_panics_on_damaged_bytes(flip in 0usize..400, value: u8, cut in 0usize..400) {
            let records: Vec<Record> = (0..5).map(|i| record(format!("id{i}"), "some text".into(), 4)).collect();
            let mut bytes = Catalog::build(records.iter()).unwrap().as_bytes().to_vec();
            let at = flip % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Ok(catalog) = Catalog::open(Bytes::Owned(bytes)) {
                for doc in 0..catalog.docs().min(100) {
                    let _ = (catalog.doc(doc), catalog.find("id3"));
                }
            }
        }
    }
}
