//! Which chunks contain the words of a query, and how much does each word count?
//!
//! A segment's inverted index is a tantivy segment that is never changed: its document numbers are the segment's
//! rows. Two fields are indexed: the title, and the title followed by the text, so that with a title boost of zero
//! the score is BM25 (Robertson & Zaragoza 2009) over both. Statistics are those of the live rows of all segments
//! together; nothing depends on how the rows are spread.

mod analyzer;
mod ask;
mod coverage;
mod dead;
mod disk;
mod eval;
mod fold;
mod language;
mod near;
mod query;
mod score;
mod small;

use std::path::Path;
use std::sync::Arc;

use quorate_core::{Cancel, Code, Error, Lazy, Result};
use tantivy::directory::RamDirectory;
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::indexer::merge_filtered_segments;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{BitSet, Directory, Index, IndexSettings, InvertedIndexReader, SegmentReader, TantivyDocument};

pub(crate) use analyzer::Analyzer;
pub use ask::{Asking, FuzzyAsked, Lexical, PhraseAsked};
pub(crate) use coverage::Asked;
pub(crate) use dead::DeadTerms;
use disk::Disk;
pub use language::Language;
use near::Place;
pub use query::LexicalQuery;
pub use score::TermScore;
pub(crate) use score::{LexicalView, Plan, Scores};

use crate::RowSet;
use crate::index::Catalog;

/// Title followed by text.
pub(crate) const CONTENT: usize = 0;
/// Title alone.
pub(crate) const TITLE: usize = 1;
pub(crate) const FIELDS: usize = 2;

const TOKENIZER: &str = "quorate";
/// Bytes for which tantivy sizes its term table at first; it grows as needed.
const SMALL_BUDGET: usize = 1 << 20;
const LARGE_BUDGET: usize = 64 << 20;
/// From this many rows on the larger budget is worth its allocation.
const LARGE_ROWS: usize = 4096;

/// The file of a stored segment that says how many words its rows have, by field: 64-bit little-endian numbers.
const WORDS: &str = "words.bin";

/// A segment to be merged: its index, its live rows, and what is dead of it.
pub(crate) type Part<'a> = (&'a LexicalSegment, &'a RowSet, &'a DeadTerms);

/// The inverted index of one segment.
pub(crate) struct LexicalSegment {
    index: Index,
    fields: [FieldReader; FIELDS],
    rows: u32,
    /// Words of all rows, by field. Tantivy only estimates them when it merges segments of which rows are dead.
    tokens: [u64; FIELDS],
    /// What each row is to those beside it; computed at first use.
    places: Lazy<Box<[Place]>>,
}

struct FieldReader {
    field: Field,
    inverted: Arc<InvertedIndexReader>,
    norms: FieldNormReader,
}

impl LexicalSegment {
    /// Indexes rows of (title, text), in memory or in the folder `home`. Errors: `io`, `disk_full`.
    pub(crate) fn build<'a>(
        home: Option<&Path>,
        analyzer: &Analyzer,
        rows: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let (schema, [content, title]) = schema();
        let budget = if rows.len() < LARGE_ROWS { SMALL_BUDGET } else { LARGE_BUDGET };
        let tokenizers = tantivy::tokenizer::TokenizerManager::default();
        tokenizers.register(TOKENIZER, analyzer.for_index());
        let mut writer = Index::builder()
            .schema(schema)
            .tokenizers(tokenizers)
            .single_segment_index_writer(directory(home, &Cancel::new())?, budget)
            .map_err(failed)?;
        for (heading, text) in rows {
            let mut document = TantivyDocument::new();
            if !heading.is_empty() {
                document.add_text(content, heading);
                document.add_text(title, heading);
            }
            document.add_text(content, text);
            writer.add_document(document).map_err(failed)?;
        }
        let segment = LexicalSegment::read(writer.finalize().map_err(failed)?, None)?;
        segment.write_tokens(home)?;
        Ok(segment)
    }

    /// Opens what [`build`](LexicalSegment::build) wrote into `home`. Errors: `corrupt`, `io`.
    pub(crate) fn open(home: &Path, analyzer: &Analyzer) -> Result<Self> {
        let index = Index::open(Disk::open(home, Cancel::new())?).map_err(|e| broken(home, e))?;
        index.tokenizers().register(TOKENIZER, analyzer.for_index());
        let path = home.join(WORDS);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let mut tokens = [0; FIELDS];
        if bytes.len() != 8 * FIELDS {
            return Err(Error::new(
                Code::Corrupt,
                format!("{}: it is not as it was written", path.display()),
            ));
        }
        for (count, bytes) in tokens.iter_mut().zip(bytes.chunks_exact(8)) {
            *count = bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
        }
        LexicalSegment::read(index, Some(tokens)).map_err(|e| e.context(home.display()))
    }

    /// One segment of the live rows of several, in their order; given up when `stop` is raised. Errors: `cancelled`, `io`,
    /// `disk_full`.
    pub(crate) fn merge(parts: &[Part<'_>], home: Option<&Path>, stop: &Cancel) -> Result<Self> {
        let mut segments = Vec::new();
        let mut filters = Vec::new();
        let mut tokens = [0; FIELDS];
        for (part, alive, dead) in parts {
            for (field, count) in tokens.iter_mut().enumerate() {
                *count += part.tokens[field].saturating_sub(dead.tokens(field));
            }
            segments.extend(part.index.searchable_segments().map_err(failed)?);
            filters.push(if alive.count() == part.rows as usize {
                None
            } else {
                let mut bits = BitSet::with_max_value(part.rows);
                for row in alive.iter() {
                    bits.insert(row);
                }
                let mut bytes = Vec::new();
                write_alive_bitset(&bits, &mut bytes)
                    .map_err(|e| Error::new(Code::Internal, format!("live rows cannot be listed: {e}")))?;
                Some(AliveBitSet::open(tantivy::directory::OwnedBytes::new(bytes)))
            });
        }
        let merged =
            merge_filtered_segments(&segments, IndexSettings::default(), filters, directory(home, stop)?);
        stop.check()?;
        let segment = LexicalSegment::read(merged.map_err(failed)?, Some(tokens))?;
        segment.write_tokens(home)?;
        Ok(segment)
    }

    fn write_tokens(&self, home: Option<&Path>) -> Result<()> {
        let Some(home) = home else { return Ok(()) };
        let path = home.join(WORDS);
        let bytes: Vec<u8> = self.tokens.iter().flat_map(|count| count.to_le_bytes()).collect();
        std::fs::write(&path, bytes).map_err(|e| Error::io(&path, e))
    }

    /// `tokens`: the words of the rows, by field; none where the index has counted them itself.
    fn read(index: Index, tokens: Option<[u64; FIELDS]>) -> Result<Self> {
        let segments = index.searchable_segments().map_err(failed)?;
        let [segment] = segments.as_slice() else {
            return Err(Error::new(
                Code::Corrupt,
                format!("{} segments where one was written", segments.len()),
            ));
        };
        let reader = SegmentReader::open(segment).map_err(failed)?;
        let open = |name: &str| {
            let field = index.schema().get_field(name).map_err(failed)?;
            let inverted = reader.inverted_index(field).map_err(failed)?;
            let norms = reader.get_fieldnorms_reader(field).map_err(failed)?;
            Ok::<_, Error>(FieldReader { field, inverted, norms })
        };
        let fields = [open("content")?, open("title")?];
        let tokens =
            tokens.unwrap_or_else(|| fields.each_ref().map(|field| field.inverted.total_num_tokens()));
        Ok(LexicalSegment { fields, rows: reader.max_doc(), tokens, index, places: Lazy::new() })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    fn places(&self, catalog: &Catalog) -> &[Place] {
        self.places.get(|| Place::all(self, catalog))
    }

    fn tokens(&self, field: usize) -> u64 {
        self.tokens[field]
    }
}

fn schema() -> (Schema, [Field; FIELDS]) {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let options = TextOptions::default().set_indexing_options(indexing);
    let mut builder = Schema::builder();
    let content = builder.add_text_field("content", options.clone());
    let title = builder.add_text_field("title", options);
    (builder.build(), [content, title])
}

fn directory(home: Option<&Path>, stop: &Cancel) -> Result<Box<dyn Directory>> {
    match home {
        None => Ok(Box::new(RamDirectory::create())),
        Some(home) => {
            std::fs::create_dir_all(home).map_err(|e| Error::io(home, e))?;
            Ok(Box::new(Disk::open(home, stop.clone())?))
        }
    }
}

fn failed(error: tantivy::TantivyError) -> Error {
    let code = match &error {
        tantivy::TantivyError::IoError(io) => match io.kind() {
            std::io::ErrorKind::StorageFull => Code::DiskFull,
            std::io::ErrorKind::PermissionDenied => Code::PermissionDenied,
            _ => Code::Io,
        },
        tantivy::TantivyError::DataCorruption(_) => Code::Corrupt,
        _ => Code::Io,
    };
    Error::with_source(code, format!("the lexical index failed: {error}"), error)
}

fn broken(home: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(Code::Corrupt, format!("{}: {error}", home.display()), error)
}
