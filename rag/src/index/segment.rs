//! How do documents, words and vectors of one segment belong together?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::{Cancel, Code, Error, Lazy, Result};

use super::bytes::Bytes;
use super::dense::{DenseIndex, HnswConfig, HnswIndex};
use super::lexical::{Analyzer, DeadTerms, LexicalSegment};
use super::{Catalog, Vectors};
use crate::RowSet;
use crate::chunk::{MAX_HEADING_BYTES, cut};
use crate::filter::Columns;
use crate::kb::Progress;
use quorate_store::Record;

/// Documents that were added one after the other, searchable. Never changed once made.
pub(crate) struct Segment {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) lexical: Arc<LexicalSegment>,
    pub(crate) vectors: Arc<Vectors>,
    /// A graph over the vectors, where they are many; otherwise they are scanned.
    pub(crate) graph: Option<Arc<HnswIndex>>,
    /// A graph over the first rows, to be extended.
    seed: Option<Arc<HnswIndex>>,
    columns: Arc<Lazy<Columns>>,
    /// The number of the first entry of the truth behind it.
    pub(crate) end_seq: u64,
    /// The folder that it is stored in.
    pub(crate) home: Option<PathBuf>,
    /// Made to stay, by maintenance, of a knowledge base that has no folder.
    pub(crate) settled: bool,
}

/// A segment as one snapshot sees it.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) segment: Arc<Segment>,
    pub(crate) live: Arc<Live>,
}

/// What is still there of a segment.
#[derive(Clone)]
pub(crate) struct Live {
    /// Live documents.
    pub(crate) docs: RowSet,
    /// Live rows.
    pub(crate) rows: RowSet,
    pub(crate) doc_count: u32,
    pub(crate) row_count: u32,
    pub(crate) dead_terms: DeadTerms,
}

impl Segment {
    /// A segment of `records`, in memory; `progress` is told how many chunks of how many are indexed.
    pub(crate) fn build(
        records: &[Record],
        dim: usize,
        end_seq: u64,
        analyzer: &Analyzer,
        progress: Option<&Progress>,
    ) -> Result<Self> {
        let catalog = Catalog::build(records.iter())?;
        let mut vectors = Vec::with_capacity(catalog.chunks() as usize * dim);
        let mut rows = Vec::with_capacity(catalog.chunks() as usize);
        for record in records {
            vectors.extend_from_slice(&record.vectors);
            for (i, span) in record.chunks.iter().enumerate() {
                let text = record.text.get(span.start as usize..span.end as usize).unwrap_or_default();
                rows.push((title_at(&record.title, i == 0), text));
            }
        }
        if vectors.len() != rows.len() * dim {
            return Err(Error::new(Code::Internal, "a segment has another number of vectors than of chunks"));
        }
        let total = rows.len();
        let told = rows.into_iter().enumerate().map(|(row, texts)| {
            if let Some(progress) = progress
                && row % TELL_ROWS == 0
            {
                progress(row, total);
            }
            texts
        });
        let lexical = LexicalSegment::build(None, analyzer, told)?;
        if let Some(progress) = progress {
            progress(total, total);
        }
        Segment::assemble(catalog, lexical, Vectors::new(vectors, dim), end_seq, None)
    }

    fn assemble(
        catalog: Catalog,
        lexical: LexicalSegment,
        vectors: Vectors,
        end_seq: u64,
        home: Option<PathBuf>,
    ) -> Result<Self> {
        if catalog.chunks() != lexical.rows() {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "{} chunks in the catalogue, {} in the lexical index",
                    catalog.chunks(),
                    lexical.rows()
                ),
            ));
        }
        Ok(Segment {
            catalog: Arc::new(catalog),
            lexical: Arc::new(lexical),
            vectors: Arc::new(vectors),
            graph: None,
            seed: None,
            columns: Arc::default(),
            end_seq,
            home,
            settled: false,
        })
    }

    /// One segment of what is live in `views`, in their order; in memory, or stored in the new folder `home`. Given up
    /// when `stop` is raised. Errors: `cancelled`, `io`, `disk_full`.
    pub(crate) fn merge(
        views: &[View],
        home: Option<&Path>,
        analyzer: &Analyzer,
        stop: &Cancel,
    ) -> Result<Self> {
        let mut merged = Segment::merge_without_graph(views, home, analyzer, stop)?;
        // The first rows of the new segment are all those of the first old one.
        merged.seed =
            views.first().filter(|view| !view.has_dead()).and_then(|view| view.segment.graph.clone());
        Ok(merged)
    }

    fn merge_without_graph(
        views: &[View],
        home: Option<&Path>,
        analyzer: &Analyzer,
        stop: &Cancel,
    ) -> Result<Self> {
        let mut records: Vec<Record> = Vec::new();
        for record in views.iter().flat_map(|view| view.records()) {
            if records.len().is_multiple_of(STOP_ROWS) {
                stop.check()?;
            }
            records.push(record);
        }
        let catalog = Catalog::build(records.iter())?;
        drop(records);
        let dim = views.first().map_or(0, |view| view.segment.vectors.dim());
        let end_seq = views.last().map_or(0, |view| view.segment.end_seq);
        let mut floats = Vec::with_capacity(catalog.chunks() as usize * dim);
        for view in views {
            stop.check()?;
            for row in view.live.rows.iter() {
                floats.extend_from_slice(view.segment.vectors.row(row));
            }
        }
        let Some(home) = home else {
            let lexical = merge_lexical(views, None, analyzer, stop)?;
            return Segment::assemble(catalog, lexical, Vectors::new(floats, dim), end_seq, None);
        };
        stop.check()?;
        std::fs::create_dir_all(home).map_err(|e| Error::io(home, e))?;
        let rows = catalog.chunks() as usize;
        write(&home.join(CATALOG), catalog.as_bytes())?;
        write(&home.join(VECTORS), bytemuck::cast_slice(&floats))?;
        drop((catalog, floats));
        fail::fail_point!("shadow-lexical", |kind| Err(quorate_store::failpoint::refused(kind)));
        let lexical = merge_lexical(views, Some(&home.join(LEXICAL)), analyzer, stop)?;
        let catalog = Catalog::open(Bytes::map(&home.join(CATALOG))?)?;
        let vectors = Vectors::open(Bytes::map(&home.join(VECTORS))?, dim, rows)?;
        Segment::assemble(catalog, lexical, vectors, end_seq, Some(home.to_owned()))
    }

    /// Opens what [`merge`](Segment::merge) stored in `home`, `with_graph` if it has one that is whole. Errors: `corrupt`,
    /// `io`.
    pub(crate) fn open(
        home: &Path,
        dim: usize,
        end_seq: u64,
        analyzer: &Analyzer,
        with_graph: bool,
    ) -> Result<Self> {
        let catalog = Catalog::open(Bytes::map(&home.join(CATALOG))?)?;
        let vectors = Vectors::open(Bytes::map(&home.join(VECTORS))?, dim, catalog.chunks() as usize)?;
        let lexical = LexicalSegment::open(&home.join(LEXICAL), analyzer)?;
        let mut segment = Segment::assemble(catalog, lexical, vectors, end_seq, Some(home.to_owned()))?;
        if with_graph {
            let (graph, _) = HnswIndex::load(&home.join(GRAPH))?;
            if graph.dim() != dim || graph.len() as u32 != segment.catalog.chunks() {
                return Err(Error::new(
                    Code::Corrupt,
                    "the graph of a segment has other rows than its catalogue",
                ));
            }
            segment.graph = Some(Arc::new(graph));
        }
        Ok(segment)
    }

    /// The same segment with a graph over its vectors, which is stored beside them. Built with `threads` threads in
    /// steps, between which `stop` is looked at. Errors: `cancelled`, `io`, `disk_full`.
    pub(crate) fn with_graph(&self, threads: usize, stop: &Cancel) -> Result<Segment> {
        let rows = self.catalog.chunks();
        let mut graph = match &self.seed {
            Some(seed) => HnswIndex::clone(seed),
            None => HnswIndex::new(self.vectors.dim(), HnswConfig::default())?,
        };
        let mut from = graph.len() as u32;
        while from < rows {
            stop.check()?;
            let numbers: Vec<u32> = (from..rows.min(from + GRAPH_STEP)).collect();
            let dim = self.vectors.dim();
            let floats = &self.vectors.as_slice()[from as usize * dim..(from as usize + numbers.len()) * dim];
            graph.insert(&numbers, floats, threads)?;
            from += numbers.len() as u32;
        }
        graph.link(threads)?;
        if let Some(home) = &self.home {
            fail::fail_point!("shadow-graph", |kind| Err(quorate_store::failpoint::refused(kind)));
            graph.save(&home.join(GRAPH), self.end_seq)?;
        }
        Ok(Segment {
            catalog: self.catalog.clone(),
            lexical: self.lexical.clone(),
            vectors: self.vectors.clone(),
            graph: Some(Arc::new(graph)),
            seed: None,
            columns: self.columns.clone(),
            end_seq: self.end_seq,
            home: self.home.clone(),
            settled: self.settled,
        })
    }

    /// The documents by field, for filters; computed at first use.
    pub(crate) fn columns(&self) -> &Columns {
        self.columns.get(|| {
            let mut columns = Columns::default();
            for doc in 0..self.catalog.docs() {
                let view = self.catalog.doc(doc);
                let metadata = serde_json::from_str(view.metadata).unwrap_or_default();
                let own = [("id", view.id), ("title", view.title), ("source", view.source)];
                columns.push(doc, own.into_iter().filter(|(_, value)| !value.is_empty()), &metadata);
            }
            columns
        })
    }

    /// The rows of a set of documents.
    pub(crate) fn rows_of_docs(&self, docs: &RowSet) -> RowSet {
        if self.catalog.one_to_one() {
            return docs.clone();
        }
        let mut rows = RowSet::empty(self.catalog.chunks());
        for doc in docs.iter() {
            self.catalog.rows_of(doc).for_each(|row| rows.insert(row));
        }
        rows
    }
}

/// So many chunks are indexed between two words on how far it is.
const TELL_ROWS: usize = 1000;
/// So many documents are copied between looks at whether to stop.
const STOP_ROWS: usize = 4096;
/// So many vectors are linked between looks at whether to stop.
const GRAPH_STEP: u32 = 2048;

/// The files of a stored segment.
pub(crate) const GRAPH: &str = "dense.hnsw";
const CATALOG: &str = "catalog.bin";
const VECTORS: &str = "vectors.f32";
const LEXICAL: &str = "lexical";

/// One lexical index of what is live. Those on disk are read by their paths, and are made anew from the texts, which are
/// mapped, when their folder has been deleted meanwhile.
fn merge_lexical(
    views: &[View],
    home: Option<&Path>,
    analyzer: &Analyzer,
    stop: &Cancel,
) -> Result<LexicalSegment> {
    if views.iter().all(|view| view.segment.home.is_none() || view.is_stored()) {
        let parts: Vec<_> =
            views.iter().map(|v| (v.segment.lexical.as_ref(), &v.live.rows, &v.live.dead_terms)).collect();
        return LexicalSegment::merge(&parts, home, stop);
    }
    let rows: Vec<(&str, &str)> = views
        .iter()
        .flat_map(|view| {
            let catalog = &view.segment.catalog;
            view.live.rows.iter().map(move |row| row_texts(catalog, row))
        })
        .collect();
    LexicalSegment::build(home, analyzer, rows.into_iter())
}

/// What is indexed of a title with a chunk: all of it with the first one, and with others no more than is of use, so that a
/// title as long as its text does not multiply it.
fn title_at(title: &str, first: bool) -> &str {
    if first { title } else { cut(title, MAX_HEADING_BYTES) }
}

/// What is indexed of a row: title and text.
fn row_texts(catalog: &Catalog, row: u32) -> (&str, &str) {
    let doc = catalog.doc_of(row);
    (title_at(catalog.doc(doc).title, catalog.rows_of(doc).start == row), catalog.chunk_text(row))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fail::fail_point!("shadow-write", |kind| Err(quorate_store::failpoint::refused(kind)));
    std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
}

impl View {
    /// A segment of which everything is live.
    pub(crate) fn whole(segment: impl Into<Arc<Segment>>) -> Self {
        let segment = segment.into();
        let (docs, rows) = (segment.catalog.docs(), segment.catalog.chunks());
        let live = Live {
            docs: RowSet::full(docs),
            rows: RowSet::full(rows),
            doc_count: docs,
            row_count: rows,
            dead_terms: DeadTerms::default(),
        };
        View { segment, live: Arc::new(live) }
    }

    /// The same without some documents.
    pub(crate) fn without(&self, docs: &[u32], analyzer: &Analyzer) -> Self {
        let catalog = &self.segment.catalog;
        let mut live = Live::clone(&self.live);
        let gone: Vec<u32> = docs.iter().copied().filter(|&doc| live.docs.contains(doc)).collect();
        if gone.is_empty() {
            return self.clone();
        }
        let mut rows = Vec::new();
        for &doc in &gone {
            live.docs.remove(doc);
            rows.extend(catalog.rows_of(doc));
        }
        rows.iter().for_each(|&row| live.rows.remove(row));
        live.doc_count -= gone.len() as u32;
        live.row_count -= rows.len() as u32;
        let texts = rows.iter().map(|&row| row_texts(catalog, row));
        live.dead_terms = live.dead_terms.with(analyzer, texts);
        View { segment: self.segment.clone(), live: Arc::new(live) }
    }

    /// Whether it lies on disk, from where its folder may have been deleted meanwhile.
    pub(crate) fn is_stored(&self) -> bool {
        self.segment
            .home
            .as_ref()
            .is_some_and(|home| home.join(CATALOG).exists() && home.join(LEXICAL).exists())
    }

    /// Whether it is done with: it lies on disk, or was made to stay in memory.
    pub(crate) fn is_settled(&self) -> bool {
        self.segment.settled || self.is_stored()
    }

    /// Whether anything is dead.
    pub(crate) fn has_dead(&self) -> bool {
        self.live.row_count != self.segment.catalog.chunks()
    }

    /// The live document with an id.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.segment.catalog.find(id).filter(|&doc| self.live.docs.contains(doc))
    }

    /// A document as it was stored.
    pub(crate) fn record(&self, doc: u32) -> Record {
        let rows = self.segment.catalog.rows_of(doc);
        let vectors = rows.flat_map(|row| self.segment.vectors.row(row)).copied().collect();
        Record { vectors, ..self.record_without_vectors(doc) }
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        self.live.docs.iter().map(|doc| self.record_without_vectors(doc))
    }

    fn record_without_vectors(&self, doc: u32) -> Record {
        let catalog = &self.segment.catalog;
        let view = catalog.doc(doc);
        Record {
            id: view.id.to_owned(),
            title: view.title.to_owned(),
            source: view.source.to_owned(),
            metadata: view.metadata.to_owned(),
            text: view.text.to_owned(),
            chunks: catalog.spans(doc),
            vectors: Vec::new(),
        }
    }
}
