//! How does an entry of the log become rows of a table, and back?
//!
//! A document of n chunks is n rows, the first of which carries the document itself. A deletion is one row that
//! lists the ids. Every row ends in a checksum of all its other columns, since Lance pages carry none.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::{
    FixedSizeListBuilder, Float32Builder, StringBuilder, UInt8Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_schema::{DataType, Field, Schema};
use quorate_core::{Code, Error, Result};

use crate::record::{Record, Span};

/// A change of the knowledge base. The state is what remains after all of them, in the order of their numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A document is there from now on, instead of any other of the same id.
    Put(Record),
    /// Documents are gone from now on.
    Delete(Vec<String>),
}

impl Entry {
    /// The rows that it takes, which is also the count of numbers that it uses up.
    pub fn rows(&self) -> u64 {
        match self {
            Entry::Put(record) => record.chunks.len() as u64,
            Entry::Delete(_) => 1,
        }
    }
}

/// An entry and the number of its first row.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered {
    /// Its place in the log.
    pub seq: u64,
    /// What happened.
    pub entry: Entry,
}

/// The kind of a row that belongs to a document.
pub const PUT: u8 = 0;
/// The kind of a row that lists ids that are gone.
const DELETE: u8 = 1;

/// Rows beyond this size start another record batch: 32-bit string offsets end at 2 GiB.
const BATCH_BYTES: usize = 64 << 20;

pub fn table_schema(dim: usize, properties: HashMap<String, String>) -> Arc<Schema> {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let columns = vec![
        Field::new("seq", DataType::UInt64, false),
        Field::new("kind", DataType::UInt8, false),
        Field::new("id", DataType::Utf8, false),
        Field::new("chunk", DataType::UInt32, false),
        Field::new("chunks", DataType::UInt32, false),
        Field::new("start", DataType::UInt32, false),
        Field::new("end", DataType::UInt32, false),
        Field::new("headings", DataType::Utf8, false),
        Field::new("title", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("metadata", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
        Field::new("vector", DataType::FixedSizeList(item, dim as i32), false),
        Field::new("checksum", DataType::UInt32, false),
    ];
    Arc::new(Schema::new_with_metadata(columns, properties))
}

/// The rows of `entries`, numbered from `first`, as batches of bounded size.
pub fn encode(schema: &Arc<Schema>, dim: usize, entries: &[Numbered]) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    let mut rows = Rows::new(dim);
    for Numbered { seq, entry } in entries {
        match entry {
            Entry::Put(record) => {
                for (i, span) in record.chunks.iter().enumerate() {
                    let first = i == 0;
                    let of_document = |text: &'_ str| if first { text.to_owned() } else { String::new() };
                    rows.push(Row {
                        seq: seq + i as u64,
                        kind: PUT,
                        id: &record.id,
                        chunk: i as u32,
                        chunks: record.chunks.len() as u32,
                        start: span.start,
                        end: span.end,
                        headings: &span.headings,
                        title: &of_document(&record.title),
                        source: &of_document(&record.source),
                        metadata: &of_document(&record.metadata),
                        text: if first { &record.text } else { "" },
                        vector: &record.vectors[i * dim..(i + 1) * dim],
                    });
                }
            }
            Entry::Delete(ids) => {
                let list = serde_json::to_string(ids)
                    .map_err(|e| Error::new(Code::Internal, format!("ids cannot be written: {e}")))?;
                rows.push(Row {
                    seq: *seq,
                    kind: DELETE,
                    id: "",
                    chunk: 0,
                    chunks: 1,
                    start: 0,
                    end: 0,
                    headings: "",
                    title: "",
                    source: "",
                    metadata: "",
                    text: &list,
                    vector: &vec![0.0; dim],
                });
            }
        }
        if rows.bytes > BATCH_BYTES {
            batches.push(rows.finish(schema)?);
        }
    }
    if rows.bytes > 0 {
        batches.push(rows.finish(schema)?);
    }
    Ok(batches)
}

/// The entries in `batches`, in the order of their numbers. Errors: `corrupt`.
pub fn decode(batches: &[RecordBatch], dim: usize) -> Result<Vec<Numbered>> {
    let views = batches.iter().map(|batch| View::new(batch, dim)).collect::<Result<Vec<_>>>()?;
    let mut order: Vec<(u64, u32, u32)> = Vec::with_capacity(batches.iter().map(|b| b.num_rows()).sum());
    for (b, (batch, view)) in batches.iter().zip(&views).enumerate() {
        order.extend((0..batch.num_rows()).map(|r| (view.seq(r), b as u32, r as u32)));
    }
    order.sort_unstable();
    let mut out: Vec<Numbered> = Vec::new();
    let mut missing = 0;
    for (i, &(seq, b, r)) in order.iter().enumerate() {
        if i > 0 && order[i - 1].0 == seq {
            return Err(damaged(format!("row {seq} is there twice")));
        }
        let row = views[b as usize].row(r as usize)?;
        if missing > 0 {
            let Some(Numbered { seq: first, entry: Entry::Put(record) }) = out.last_mut() else {
                return Err(damaged(format!("row {seq} follows no document")));
            };
            let i = record.chunks.len();
            if row.kind != PUT || row.id != record.id || row.chunk as usize != i || *first + i as u64 != seq {
                return Err(damaged(format!("row {seq} is not the next chunk of '{}'", record.id)));
            }
            record.chunks.push(row.span(&record.text)?);
            record.vectors.extend_from_slice(row.vector);
            missing -= 1;
            continue;
        }
        let entry = match row.kind {
            PUT if row.chunk == 0 => {
                missing = row.chunks.saturating_sub(1);
                let span = row.span(row.text)?;
                Entry::Put(Record {
                    id: row.id.to_owned(),
                    title: row.title.to_owned(),
                    source: row.source.to_owned(),
                    metadata: row.metadata.to_owned(),
                    text: row.text.to_owned(),
                    chunks: vec![span],
                    vectors: row.vector.to_vec(),
                })
            }
            DELETE => Entry::Delete(
                serde_json::from_str(row.text)
                    .map_err(|e| damaged(format!("row {seq} is no list of ids: {e}")))?,
            ),
            kind => return Err(damaged(format!("row {seq} has kind {kind} and chunk {}", row.chunk))),
        };
        out.push(Numbered { seq, entry });
    }
    match missing {
        0 => Ok(out),
        n => Err(damaged(format!("the last document lacks {n} chunks"))),
    }
}

/// The kind of each row. Errors: `corrupt`.
pub fn kinds(batch: &RecordBatch) -> Result<&[u8]> {
    batch
        .column_by_name("kind")
        .and_then(|column| column.as_primitive_opt::<UInt8Type>())
        .map(|kinds| &kinds.values()[..])
        .ok_or_else(|| damaged("column 'kind' is not in the table".to_owned()))
}

/// Whether each row is as it was written. Errors: `corrupt`.
pub fn checksums(batches: &[RecordBatch], dim: usize) -> Result<()> {
    for batch in batches {
        let view = View::new(batch, dim)?;
        for r in 0..batch.num_rows() {
            view.row(r)?;
        }
    }
    Ok(())
}

fn damaged(what: String) -> Error {
    Error::new(Code::Corrupt, what)
}

struct Row<'a> {
    seq: u64,
    kind: u8,
    id: &'a str,
    chunk: u32,
    chunks: u32,
    start: u32,
    end: u32,
    headings: &'a str,
    title: &'a str,
    source: &'a str,
    metadata: &'a str,
    text: &'a str,
    vector: &'a [f32],
}

impl Row<'_> {
    fn checksum(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&self.seq.to_le_bytes());
        for number in [u32::from(self.kind), self.chunk, self.chunks, self.start, self.end] {
            hash.update(&number.to_le_bytes());
        }
        for text in [self.id, self.headings, self.title, self.source, self.metadata, self.text] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(bytemuck::cast_slice(self.vector));
        hash.finalize()
    }

    fn span(&self, text: &str) -> Result<Span> {
        if text.get(self.start as usize..self.end as usize).is_none() {
            return Err(damaged(format!("row {} spans {}..{} of its text", self.seq, self.start, self.end)));
        }
        Ok(Span { start: self.start, end: self.end, headings: self.headings.to_owned() })
    }
}

struct Rows {
    seq: UInt64Builder,
    kind: UInt8Builder,
    numbers: [UInt32Builder; 4],
    texts: [StringBuilder; 6],
    vector: FixedSizeListBuilder<Float32Builder>,
    checksum: UInt32Builder,
    bytes: usize,
}

impl Rows {
    fn new(dim: usize) -> Self {
        Rows {
            seq: UInt64Builder::new(),
            kind: UInt8Builder::new(),
            numbers: std::array::from_fn(|_| UInt32Builder::new()),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            vector: FixedSizeListBuilder::new(Float32Builder::new(), dim as i32),
            checksum: UInt32Builder::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, row: Row<'_>) {
        self.seq.append_value(row.seq);
        self.kind.append_value(row.kind);
        for (column, number) in self.numbers.iter_mut().zip([row.chunk, row.chunks, row.start, row.end]) {
            column.append_value(number);
        }
        let texts = [row.id, row.headings, row.title, row.source, row.metadata, row.text];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
            self.bytes += text.len();
        }
        self.vector.values().append_slice(row.vector);
        self.vector.append(true);
        self.checksum.append_value(row.checksum());
        self.bytes += 64 + 4 * row.vector.len();
    }

    fn finish(&mut self, schema: &Arc<Schema>) -> Result<RecordBatch> {
        self.bytes = 0;
        let [chunk, chunks, start, end] = &mut self.numbers;
        let [id, headings, title, source, metadata, text] = &mut self.texts;
        RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(self.seq.finish()),
                Arc::new(self.kind.finish()),
                Arc::new(id.finish()),
                Arc::new(chunk.finish()),
                Arc::new(chunks.finish()),
                Arc::new(start.finish()),
                Arc::new(end.finish()),
                Arc::new(headings.finish()),
                Arc::new(title.finish()),
                Arc::new(source.finish()),
                Arc::new(metadata.finish()),
                Arc::new(text.finish()),
                Arc::new(self.vector.finish()),
                Arc::new(self.checksum.finish()),
            ],
        )
        .map_err(|e| Error::new(Code::Internal, format!("rows do not fit the table: {e}")))
    }
}

/// The columns of a batch, by name and type.
struct View<'a> {
    seq: &'a [u64],
    kind: &'a [u8],
    numbers: [&'a [u32]; 5],
    texts: [&'a arrow_array::StringArray; 6],
    vectors: &'a [f32],
    dim: usize,
}

impl<'a> View<'a> {
    fn new(batch: &'a RecordBatch, dim: usize) -> Result<Self> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| damaged(format!("column '{name}' is not in the table")))
        };
        let other_type = |name: &str| damaged(format!("column '{name}' has another type"));
        let number = |name: &str| {
            column(name)?
                .as_primitive_opt::<UInt32Type>()
                .map(|a| &a.values()[..])
                .ok_or_else(|| other_type(name))
        };
        let text = |name: &str| column(name)?.as_string_opt::<i32>().ok_or_else(|| other_type(name));
        let list = column("vector")?.as_fixed_size_list_opt().ok_or_else(|| other_type("vector"))?;
        let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(|| other_type("vector"))?;
        let first = list.value_offset(0) as usize;
        let vectors = values
            .values()
            .get(first..first + batch.num_rows() * dim)
            .filter(|_| list.value_length() as usize == dim)
            .ok_or_else(|| damaged(format!("vectors do not have {dim} components")))?;
        Ok(View {
            seq: column("seq")?
                .as_primitive_opt::<UInt64Type>()
                .map(|a| &a.values()[..])
                .ok_or_else(|| other_type("seq"))?,
            kind: column("kind")?
                .as_primitive_opt::<UInt8Type>()
                .map(|a| &a.values()[..])
                .ok_or_else(|| other_type("kind"))?,
            numbers: [
                number("chunk")?,
                number("chunks")?,
                number("start")?,
                number("end")?,
                number("checksum")?,
            ],
            texts: [
                text("id")?,
                text("headings")?,
                text("title")?,
                text("source")?,
                text("metadata")?,
                text("text")?,
            ],
            vectors,
            dim,
        })
    }

    fn seq(&self, r: usize) -> u64 {
        self.seq[r]
    }

    fn row(&self, r: usize) -> Result<Row<'a>> {
        let [chunk, chunks, start, end, checksum] = self.numbers.map(|column| column[r]);
        let [id, headings, title, source, metadata, text] = self.texts.map(|column| column.value(r));
        let row = Row {
            seq: self.seq[r],
            kind: self.kind[r],
            id,
            chunk,
            chunks,
            start,
            end,
            headings,
            title,
            source,
            metadata,
            text,
            vector: &self.vectors[r * self.dim..(r + 1) * self.dim],
        };
        if row.checksum() != checksum {
            return Err(damaged(format!("row {} does not have the checksum that was written", row.seq)));
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, chunks: usize) -> Record {
        let text = "0123456789".repeat(chunks);
        Record {
            id: id.into(),
            title: format!("title of {id}"),
            source: String::new(),
            metadata: "{\"a\":1}".into(),
            chunks: (0..chunks as u32)
                .map(|i| Span { start: i * 10, end: i * 10 + 10, headings: String::new() })
                .collect(),
            vectors: (0..chunks * 3).map(|i| i as f32).collect(),
            text,
        }
    }

    fn log() -> Vec<Numbered> {
        vec![
            Numbered { seq: 4, entry: Entry::Put(record("a", 3)) },
            Numbered { seq: 7, entry: Entry::Delete(vec!["a".into(), "\"é".into()]) },
            Numbered { seq: 8, entry: Entry::Put(record("b", 1)) },
        ]
    }

    #[test]
    fn entries_survive_the_way_through_arrow_in_any_order() {
        let schema = table_schema(3, HashMap::new());
        let whole = encode(&schema, 3, &log()).unwrap();
        assert_eq!(decode(&whole, 3).unwrap(), log());
        let pieces: Vec<RecordBatch> = (0..5).rev().map(|r| whole[0].slice(r, 1)).collect();
        assert_eq!(decode(&pieces, 3).unwrap(), log());
    }

    #[test]
    fn damage_is_seen() {
        let schema = table_schema(3, HashMap::new());
        let whole = encode(&schema, 3, &log()).unwrap();
        let lacking: Vec<RecordBatch> = [0, 1, 3, 4].iter().map(|&r| whole[0].slice(r, 1)).collect();
        assert_eq!(decode(&lacking, 3).unwrap_err().code(), Code::Corrupt);
        let doubled = vec![whole[0].clone(), whole[0].slice(4, 1)];
        assert_eq!(decode(&doubled, 3).unwrap_err().code(), Code::Corrupt);
        let mut columns = whole[0].columns().to_vec();
        columns[8] = Arc::new(arrow_array::StringArray::from(vec!["x"; 5]));
        let changed = RecordBatch::try_new(schema, columns).unwrap();
        assert_eq!(decode(&[changed], 3).unwrap_err().code(), Code::Corrupt);
    }
}
