//! Which chunks contain the words of a query, and how much does each word count?
//!
//! A segment's inverted index is a tantivy segment that is never changed: its document numbers are the segment's
//! rows. Two fields are indexed: the title, and the title followed by the text, so that with a title boost of zero
//! the score is BM25 (Robertson & Zaragoza 2009) over both. Statistics are those of the live rows of all segments
//! together; nothing depends on how the rows are spread.

mod analyzer;
mod dead;
mod eval;
mod near;
mod query;
mod score;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use quorate_core::{Code, Error, Result};
use tantivy::directory::{MmapDirectory, RamDirectory};
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::indexer::merge_filtered_segments;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{BitSet, Directory, Index, IndexSettings, InvertedIndexReader, SegmentReader, TantivyDocument};

pub(crate) use analyzer::Analyzer;
pub use analyzer::Language;
pub(crate) use dead::DeadTerms;
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

/// The inverted index of one segment.
pub(crate) struct LexicalSegment {
    index: Index,
    fields: [FieldReader; FIELDS],
    rows: u32,
    /// What each row is to those beside it; computed at first use.
    places: OnceLock<Box<[Place]>>,
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
            .single_segment_index_writer(directory(home)?, budget)
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
        LexicalSegment::read(writer.finalize().map_err(failed)?)
    }

    /// Opens what [`build`](LexicalSegment::build) wrote into `home`. Errors: `corrupt`, `io`.
    pub(crate) fn open(home: &Path, analyzer: &Analyzer) -> Result<Self> {
        let index = Index::open(MmapDirectory::open(home).map_err(|e| broken(home, e))?)
            .map_err(|e| broken(home, e))?;
        index.tokenizers().register(TOKENIZER, analyzer.for_index());
        LexicalSegment::read(index).map_err(|e| e.context(home.display()))
    }

    /// One segment of the live rows of several, in their order. Errors: `io`, `disk_full`.
    pub(crate) fn merge(parts: &[(&LexicalSegment, &RowSet)], home: Option<&Path>) -> Result<Self> {
        let mut segments = Vec::new();
        let mut filters = Vec::new();
        for (part, alive) in parts {
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
        let merged = merge_filtered_segments(&segments, IndexSettings::default(), filters, directory(home)?)
            .map_err(failed)?;
        LexicalSegment::read(merged)
    }

    fn read(index: Index) -> Result<Self> {
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
        Ok(LexicalSegment { fields, rows: reader.max_doc(), index, places: OnceLock::new() })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    fn places(&self, catalog: &Catalog) -> &[Place] {
        self.places.get_or_init(|| Place::all(self, catalog))
    }

    fn tokens(&self, field: usize) -> u64 {
        self.fields[field].inverted.total_num_tokens()
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

fn directory(home: Option<&Path>) -> Result<Box<dyn Directory>> {
    match home {
        None => Ok(Box::new(RamDirectory::create())),
        Some(home) => {
            std::fs::create_dir_all(home).map_err(|e| Error::io(home, e))?;
            Ok(Box::new(MmapDirectory::open(home).map_err(|e| broken(home, e))?))
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
