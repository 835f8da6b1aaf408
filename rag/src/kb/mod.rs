//! What can a host do with a knowledge base?

mod collection;
mod maintain;
mod model;
mod options;
mod prepare;
mod shadow;
mod snapshot;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};
use rayon::prelude::*;

use collection::{Collection, folder_bytes};
use maintain::Maintainer;
pub use model::ModelSource;
use model::{Model, mismatch};
pub use options::{Durability, OnError, OpenOptions, Progress, Skipped, Stats, WriteOptions, WriteReport};
use options::{Settings, check_tenant};
use prepare::{duplicate, normalize, prepare};
pub(crate) use snapshot::Snapshot;

use crate::chunk::ChunkOptions;
use crate::document::{Chunk, Document, Metadata, Record, shorten};
use crate::filter::Filter;
use crate::index::lexical::Analyzer;
use crate::retrieve::{Hits, Mode, Query, SearchOptions, search};
use crate::store::{Database, Table, Version, WriterLock, forks};

/// The format of tables that this release writes and reads.
const FORMAT: &str = "1";
const PROPERTY_FORMAT: &str = "quorate.format";
const PROPERTY_MODEL: &str = "quorate.model";
const PROPERTY_EMBEDDER: &str = "quorate.embedder";
const PROPERTY_TENANT: &str = "quorate.tenant";
const PROPERTY_ID: &str = "quorate.id";
const PROPERTY_SETTINGS: &str = "quorate.settings";

/// The table of the tenant without a name.
const MAIN: &str = "documents";

/// Documents of one tenant, durable and searchable. Clones are the same handle; it may be used by many threads.
///
/// A handle sees one tenant: the one it was opened for, or got from [`tenant`](KnowledgeBase::tenant). Tenants share
/// nothing, neither tables nor indexes nor statistics, so nothing of one can show in another. The tenant without a
/// name is one of them; it does not see the others.
///
/// ```
/// use quorate_rag::{Document, Filter, KnowledgeBase, OpenOptions, SearchOptions};
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("kb");
/// # let place = place.to_str().ok_or("a path without Unicode")?;
/// let kb = KnowledgeBase::open(place, OpenOptions::default())?; // the built-in model; created when absent
/// kb.add(vec![
///     Document::new("label", "Metformin is contraindicated in renal failure.").metadata_field("year", 2024),
///     Document::new("note", "The ECG app may need a 510(k).").metadata_field("year", 2019),
/// ])?;
/// let options = SearchOptions { filter: Some(Filter::parse("year >= 2020")?), ..SearchOptions::default() };
/// let hits = kb.search("metformin and kidneys", &options)?;
/// assert_eq!(hits.len(), 1);
/// assert_eq!(hits[0].doc_id(), "label");
/// assert_eq!(&hits[0].document_text()[hits[0].range()], hits[0].text());
/// println!("{}", hits[0].explain()?);
/// kb.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KnowledgeBase {
    base: Arc<Base>,
    collection: Arc<Collection>,
    tenant: Option<String>,
    /// The handle shows a past version.
    past: bool,
}

/// What the handles of all tenants share.
struct Base {
    place: String,
    database: Database,
    /// The folder of all indexes.
    index: PathBuf,
    /// The right to write; let go by `close`.
    lock: Mutex<Option<WriterLock>>,
    read_only: bool,
    model: Model,
    /// The model's source as it is stored in each table.
    model_property: Option<String>,
    /// How this opening cuts texts.
    chunking: ChunkOptions,
    dim: usize,
    settings: Settings,
    keep_versions: usize,
    collections: Mutex<HashMap<String, Arc<Collection>>>,
    maintainer: Maintainer,
    closed: AtomicBool,
}

impl KnowledgeBase {
    /// Opens the knowledge base at a folder or an object-store URI; creates it when it is not there (unless
    /// `read_only`).
    ///
    /// Errors: `locked` when another handle is writing there, `embedder_mismatch`, `not_found` (read-only and not
    /// there), `format_version`, `corrupt`, `io`, `permission_denied`, `unsupported` (an object store that was not
    /// compiled in).
    pub fn open(place: impl AsRef<str>, options: OpenOptions) -> Result<Self> {
        options.validate()?;
        let place = place.as_ref();
        let remote = place.contains("://");
        if remote && place.starts_with("s3://") && !cfg!(feature = "aws") {
            return Err(Error::new(
                Code::Unsupported,
                format!("{place}: this build has no object stores; build with the feature 'aws'"),
            ));
        }
        let folder = match (&options.cache_folder, remote) {
            (Some(cache), true) => cache.clone(),
            (None, true) => cache_of(place),
            (_, false) => PathBuf::from(place),
        };
        let truth = match remote {
            true => place.to_owned(),
            false => folder.join("truth").display().to_string(),
        };
        if options.read_only && !remote && !Path::new(&truth).is_dir() {
            return Err(Error::new(
                Code::NotFound,
                format!("{place}: there is no knowledge base here, and read_only does not create one"),
            ));
        }
        let lock = if options.read_only {
            None
        } else {
            std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
            Some(WriterLock::take(&folder.join("lock"))?)
        };
        let fsync = options.durability == Durability::PowerCut;
        let database = Database::connect(&truth, &options.storage_options, fsync)?;
        let main = match database.open(MAIN)? {
            Some(table) => table,
            None if options.read_only => {
                return Err(Error::new(Code::NotFound, format!("{place}: there is no knowledge base here")));
            }
            None => create_main(&database, place, &options)?,
        };
        let (embedder_id, settings) = read_properties(&main, place)?;
        let given = match (&options.embedder, &options.model) {
            (Some(embedder), _) => Some(embedder.clone()),
            (None, Some(model)) => Some(model.open()?),
            (None, None) => None,
        };
        if let Some(embedder) = &given
            && (embedder.id() != embedder_id || embedder.dim() != main.dim())
        {
            return Err(mismatch(&embedder_id, embedder.id()));
        }
        let stored = main.property(PROPERTY_MODEL).and_then(ModelSource::from_json);
        let model = Model::new(embedder_id, given, options.model.clone().or(stored));
        if let Some(language) = options.language
            && language != settings.language
        {
            return Err(Error::invalid(format!(
                "{place} was made for language '{}', which cannot be changed to '{}'",
                settings.language.name(),
                language.name()
            )));
        }
        let base = Arc::new(Base {
            place: place.to_owned(),
            dim: main.dim(),
            index: folder.join("index"),
            database,
            lock: Mutex::new(lock),
            read_only: options.read_only,
            model,
            model_property: main.property(PROPERTY_MODEL).map(str::to_owned),
            chunking: options.chunking.unwrap_or_else(|| settings.chunking.clone()),
            settings,
            keep_versions: options.keep_versions,
            collections: Mutex::new(HashMap::new()),
            maintainer: Maintainer::default(),
            closed: AtomicBool::new(false),
        });
        let collection = base.collection(options.tenant.as_deref(), Some(main))?;
        Ok(KnowledgeBase { base, collection, tenant: options.tenant, past: false })
    }

    /// The same knowledge base as another tenant sees it. Errors: `invalid_argument` (name), `closed`, `corrupt`,
    /// `tenant_violation` when this handle belongs to a tenant itself.
    pub fn tenant(&self, name: &str) -> Result<Self> {
        self.base.check_open()?;
        check_tenant(name)?;
        if self.past {
            return Err(Error::new(
                Code::Unsupported,
                "a past version belongs to one tenant; call tenant first, then at",
            ));
        }
        match &self.tenant {
            Some(own) if own == name => return Ok(self.clone()),
            Some(own) => {
                return Err(Error::new(
                    Code::TenantViolation,
                    format!("this handle belongs to tenant '{own}' and cannot become that of '{name}'"),
                ));
            }
            None => {}
        }
        let collection = self.base.collection(Some(name), None)?;
        Ok(KnowledgeBase {
            base: self.base.clone(),
            collection,
            tenant: Some(name.to_owned()),
            past: self.past,
        })
    }

    /// Adds documents: all of them or, with an error, none. They are durable and searchable on return.
    ///
    /// Errors: `duplicate_id`, `invalid_document`, `not_finite`, `invalid_shape`, `too_large`, `read_only`, `closed`,
    /// `locked`, `disk_full`, `permission_denied`, `io`, and those of the embedder.
    pub fn add(&self, documents: Vec<Document>) -> Result<WriteReport> {
        self.add_with(documents, &WriteOptions::default())
    }

    /// Adds documents in the way described by `options`. Errors: as [`add`](KnowledgeBase::add), `cancelled`.
    pub fn add_with(&self, documents: Vec<Document>, options: &WriteOptions) -> Result<WriteReport> {
        self.put(documents, options, false)
    }

    /// Adds documents, replacing those of the same ids. Errors: as [`add`](KnowledgeBase::add) without `duplicate_id`
    /// for ids that are stored.
    pub fn upsert(&self, documents: Vec<Document>) -> Result<WriteReport> {
        self.upsert_with(documents, &WriteOptions::default())
    }

    /// Adds or replaces documents in the way described by `options`. A document whose text, title and chunks are
    /// unchanged is not embedded again. Errors: as [`upsert`](KnowledgeBase::upsert), `cancelled`.
    pub fn upsert_with(&self, documents: Vec<Document>, options: &WriteOptions) -> Result<WriteReport> {
        self.put(documents, options, true)
    }

    /// Replaces the metadata of a document; nothing is embedded again. Errors: `unknown_id`, `read_only`, `closed`,
    /// and those of the store.
    pub fn update_metadata(&self, id: &str, metadata: Metadata) -> Result<()> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let mut record = self.stored(id)?;
        record.metadata = serde_json::Value::Object(metadata).to_string();
        self.collection.write(&mut writer, vec![record], Vec::new())?;
        Ok(())
    }

    /// Deletes documents by id and returns how many were there. Errors: `read_only`, `closed`, and those of the store.
    pub fn delete(&self, ids: &[&str]) -> Result<usize> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let snapshot = self.collection.snapshot();
        let mut there: Vec<String> =
            ids.iter().filter(|id| snapshot.find(id).is_some()).map(|id| (*id).to_owned()).collect();
        there.sort_unstable();
        there.dedup();
        self.remove(&mut writer, there)
    }

    /// Deletes the documents that match and returns how many there were. Errors: `filter_type`, `read_only`,
    /// `closed`, and those of the store.
    pub fn delete_where(&self, filter: &Filter) -> Result<usize> {
        self.base.check_writable(self.past)?;
        let mut writer = self.collection.lock();
        let snapshot = self.collection.snapshot();
        let mut ids = Vec::new();
        for (view, docs) in snapshot.views().iter().zip(snapshot.select(filter, false)?) {
            ids.extend(docs.iter().map(|doc| view.segment.catalog.doc(doc).id.to_owned()));
        }
        self.remove(&mut writer, ids)
    }

    /// A document with its chunks and their vectors. Errors: `unknown_id`, `closed`.
    pub fn get(&self, id: &str) -> Result<Document> {
        self.base.check_open()?;
        let record = self.stored(id)?;
        let chunks = chunks_of(&record, self.base.dim);
        Ok(Document {
            metadata: serde_json::from_str(&record.metadata).unwrap_or_default(),
            id: record.id,
            text: record.text,
            title: record.title,
            source: record.source,
            chunks: Some(chunks),
        })
    }

    /// The ids of all documents, oldest first. Errors: `closed`.
    pub fn ids(&self) -> Result<Vec<String>> {
        self.base.check_open()?;
        let snapshot = self.collection.snapshot();
        let ids = snapshot
            .views()
            .iter()
            .flat_map(|view| view.live.docs.iter().map(|doc| view.segment.catalog.doc(doc).id.to_owned()));
        Ok(ids.collect())
    }

    /// How many documents match; all without a filter. Errors: `filter_type`, `closed`.
    pub fn count(&self, filter: Option<&Filter>) -> Result<usize> {
        self.base.check_open()?;
        let snapshot = self.collection.snapshot();
        match filter {
            None => Ok(snapshot.docs()),
            Some(filter) => Ok(snapshot.select(filter, false)?.iter().map(crate::RowSet::count).sum()),
        }
    }

    /// What the knowledge base holds. Errors: `closed`.
    pub fn stats(&self) -> Result<Stats> {
        self.base.check_open()?;
        let snapshot = self.collection.snapshot();
        let truth = Path::new(&self.base.place).join("truth").join(format!("{}.lance", self.collection.name));
        Ok(Stats {
            documents: snapshot.docs(),
            chunks: snapshot.chunks(),
            version: snapshot.version,
            embedder: self.base.model.id.clone(),
            dim: self.base.dim,
            language: self.base.settings.language,
            segments: snapshot.views().len(),
            truth_bytes: folder_bytes(&truth),
            index_bytes: self.collection.home.as_deref().map_or(0, folder_bytes),
        })
    }

    /// The versions that [`at`](KnowledgeBase::at) can show, oldest first. Errors: `closed`, `corrupt`, `io`.
    pub fn versions(&self) -> Result<Vec<Version>> {
        self.base.check_open()?;
        match &self.collection.lock().table {
            Some(table) => table.versions(),
            None => Ok(Vec::new()),
        }
    }

    /// The knowledge base as it was at a version, for reading. Errors: `unknown_id`, `closed`, `corrupt`.
    pub fn at(&self, version: u64) -> Result<Self> {
        self.base.check_open()?;
        let table = match &self.collection.lock().table {
            Some(table) => table.at(version)?,
            None => {
                return Err(Error::new(
                    Code::UnknownId,
                    format!("version {version} is not there: nothing was ever written"),
                ));
            }
        };
        let collection = Collection::open(
            self.collection.name.clone(),
            None,
            Some(table),
            self.base.dim,
            self.collection.analyzer.clone(),
            self.base.keep_versions,
        )?;
        Ok(KnowledgeBase {
            base: self.base.clone(),
            collection: Arc::new(collection),
            tenant: self.tenant.clone(),
            past: true,
        })
    }

    /// Shows what other processes have written since; whether there was anything. Errors: `closed`, `corrupt`, `io`.
    pub fn refresh(&self) -> Result<bool> {
        self.base.check_open()?;
        if self.past {
            return Ok(false);
        }
        let mut writer = self.collection.lock();
        let before = self.collection.snapshot().version;
        match &mut writer.table {
            Some(table) => {
                table.refresh()?;
            }
            None => writer.table = self.base.database.open(&self.collection.name)?,
        }
        self.collection.catch_up(&mut writer)?;
        Ok(self.collection.snapshot().version != before)
    }

    /// Brings everything into its smallest and fastest form: one segment of indexes, no deleted or replaced documents
    /// and no past versions in the truth. Searching goes on meanwhile. Errors: `read_only`, `closed`, `corrupt`, `io`,
    /// `disk_full`, `permission_denied`.
    pub fn compact(&self) -> Result<()> {
        self.base.check_writable(self.past)?;
        self.collection.compact_truth()?;
        self.collection.merge_all()
    }

    /// Stores the indexes of what was added last, and lets go of the files and of the right to write. All handles of
    /// this opening fail with `closed` from then on. Errors: `io`, `disk_full`, `permission_denied` (the documents are
    /// durable in any case).
    pub fn close(&self) -> Result<()> {
        self.base.close()
    }

    /// The tenant that the handle sees; none for the one without a name.
    pub fn tenant_name(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The model that embeds. Errors: `unsupported` when nothing says how to open it, `embedder_mismatch`, and those of
    /// opening.
    pub fn embedder(&self) -> Result<&Arc<dyn Embed>> {
        self.base.model.get()
    }

    /// The best chunks for a text. Errors: `invalid_argument`, `filter_type`, `filter_field`, `unsupported` (without an
    /// embedder, other than lexically), `cancelled`, `closed`, and those of the embedder.
    pub fn search(&self, query: &str, options: &SearchOptions) -> Result<Hits> {
        let vector = match options.mode {
            Mode::Lexical => Vec::new(),
            Mode::Dense | Mode::Hybrid => self.open_embedder()?.embed_query(query)?,
        };
        self.search_with_vector(query, &vector, options)
    }

    /// The best chunks for each text, in parallel. Errors: as [`search`](KnowledgeBase::search); one failure fails all.
    pub fn search_batch(&self, queries: &[&str], options: &SearchOptions) -> Result<Vec<Hits>> {
        self.base.check_open()?;
        let vectors = match options.mode {
            Mode::Lexical => None,
            Mode::Dense | Mode::Hybrid => {
                Some(self.open_embedder()?.embed_queries(queries, &options.cancel)?)
            }
        };
        let one = |i: usize| {
            let vector = vectors.as_ref().map_or(&[][..], |matrix| matrix.row(i));
            self.search_with_vector(queries[i], vector, options)
        };
        if forks() > 0 {
            return (0..queries.len()).map(one).collect();
        }
        (0..queries.len()).into_par_iter().map(one).collect()
    }

    /// The chunks nearest to a vector, which is brought to unit length. The mode in `options` is ignored.
    /// Errors: `invalid_shape`, `not_finite`, and as [`search`](KnowledgeBase::search).
    pub fn search_vector(&self, vector: &[f32], options: &SearchOptions) -> Result<Hits> {
        let options = SearchOptions { mode: Mode::Dense, ..options.clone() };
        self.search_with_vector("", vector, &options)
    }

    /// The best chunks for a text whose vector is given. Errors: as [`search_vector`](KnowledgeBase::search_vector).
    pub fn search_with_vector(&self, query: &str, vector: &[f32], options: &SearchOptions) -> Result<Hits> {
        self.base.check_open()?;
        if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::new(
                Code::NotFinite,
                format!("component {at} of the query vector is not finite"),
            ));
        }
        let mut unit = vector.to_vec();
        normalize(&mut unit);
        let query = Query { text: query, vector: &unit };
        search(&self.collection.snapshot(), &self.collection.analyzer, query, options)
    }

    fn open_embedder(&self) -> Result<&Arc<dyn Embed>> {
        self.base.check_open()?;
        self.base.model.get()
    }

    fn put(&self, documents: Vec<Document>, options: &WriteOptions, replace: bool) -> Result<WriteReport> {
        self.base.check_writable(self.past)?;
        let before = self.collection.snapshot();
        let documents = match replace && self.base.chunking == self.base.settings.chunking {
            true => documents.into_iter().map(|document| reuse(document, &before, self.base.dim)).collect(),
            false => documents,
        };
        let (mut records, mut skipped) =
            prepare(documents, self.base.dim, &self.base.model, &self.base.chunking, options, |id| {
                !replace && before.find(id).is_some()
            })?;
        options.cancel.check()?;
        let mut writer = self.collection.lock();
        self.base.check_writable(self.past)?;
        let now = self.collection.snapshot();
        if !replace && now.version != before.version {
            // Another thread has written meanwhile.
            for i in (0..records.len()).rev() {
                if now.find(&records[i].id).is_some() {
                    let error = duplicate(&records[i].id, "exists already; use upsert to replace it");
                    if options.on_error == OnError::Stop {
                        return Err(error);
                    }
                    let id = records.remove(i).id;
                    skipped.push(Skipped { index: i, id, error });
                }
            }
        }
        if records.is_empty() {
            return Ok(WriteReport { skipped, version: now.version, ..WriteReport::default() });
        }
        if writer.table.is_none() {
            writer.table = Some(self.base.create_table(&self.collection.name, self.tenant.as_deref())?);
        }
        let replaced = records.iter().filter(|r| now.find(&r.id).is_some()).count();
        let added = records.len() - replaced;
        let chunks = records.iter().map(|r| r.chunks.len()).sum();
        let version = self.collection.write(&mut writer, records, Vec::new())?;
        drop(writer);
        self.base.maintainer.notify(&self.collection);
        Ok(WriteReport { added, replaced, chunks, skipped, version })
    }

    fn remove(&self, writer: &mut collection::Writer, ids: Vec<String>) -> Result<usize> {
        let count = ids.len();
        if count > 0 {
            self.collection.write(writer, Vec::new(), ids)?;
        }
        Ok(count)
    }

    fn stored(&self, id: &str) -> Result<Record> {
        let snapshot = self.collection.snapshot();
        match snapshot.find(id) {
            Some((segment, doc)) => Ok(snapshot.views()[segment].record(doc)),
            None => Err(Error::new(Code::UnknownId, format!("there is no document '{}'", shorten(id)))),
        }
    }
}

impl std::fmt::Debug for KnowledgeBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeBase")
            .field("place", &self.base.place)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Base {
    fn collection(&self, tenant: Option<&str>, main: Option<Table>) -> Result<Arc<Collection>> {
        let name = table_name(tenant);
        let mut open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = open.get(&name) {
            return Ok(collection.clone());
        }
        let table = match main {
            Some(main) if tenant.is_none() => Some(main),
            _ => self.database.open(&name)?,
        };
        let collection = Arc::new(Collection::open(
            name.clone(),
            Some(self.index.join(&name)),
            table,
            self.dim,
            Analyzer::new(self.settings.language),
            self.keep_versions,
        )?);
        if !self.read_only {
            self.maintainer.notify(&collection);
        }
        open.insert(name, collection.clone());
        Ok(collection)
    }

    fn create_table(&self, name: &str, tenant: Option<&str>) -> Result<Table> {
        let model = self.model_property.as_deref();
        create_table(&self.database, name, tenant, self.dim, &self.model.id, model, &self.settings)
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(Code::Closed, format!("the handle of {} has been closed", self.place))),
        }
    }

    fn check_writable(&self, past: bool) -> Result<()> {
        self.check_open()?;
        let refuse = |why: &str| Err(Error::new(Code::ReadOnly, format!("{}: {why}", self.place)));
        if past {
            return refuse("a past version cannot be changed");
        }
        match self.lock.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(lock) => lock.check(),
            None => refuse("the handle was opened for reading only"),
        }
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.maintainer.stop();
        let mut result = Ok(());
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.as_ref().is_some_and(|lock| lock.check().is_ok()) {
            let open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names: Vec<&String> = open.keys().collect();
            names.sort_unstable();
            for name in names {
                result = result.and(open[name].flush());
            }
        }
        *lock = None;
        result
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(place = self.place, %error, "the indexes of the last documents were not stored");
        }
    }
}

/// The document with the chunks and vectors that are stored for it, if its text and title are unchanged.
fn reuse(mut document: Document, snapshot: &Snapshot, dim: usize) -> Document {
    if document.chunks.is_none()
        && let Some((segment, doc)) = snapshot.find(&document.id)
    {
        let view = &snapshot.views()[segment];
        let stored = view.segment.catalog.doc(doc);
        if stored.text == document.text && stored.title == document.title {
            document.chunks = Some(chunks_of(&view.record(doc), dim));
        }
    }
    document
}

fn chunks_of(record: &Record, dim: usize) -> Vec<Chunk> {
    let vectors = record.vectors.chunks_exact(dim.max(1));
    let chunk = |(span, vector): (&crate::document::Span, &[f32])| Chunk {
        range: span.start as usize..span.end as usize,
        headings: serde_json::from_str(&span.headings).unwrap_or_default(),
        vector: Some(vector.to_vec()),
    };
    record.chunks.iter().zip(vectors).map(chunk).collect()
}

fn table_name(tenant: Option<&str>) -> String {
    match tenant {
        None => MAIN.to_owned(),
        Some(tenant) => {
            let hex: String = tenant.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("tenant_{hex}")
        }
    }
}

fn create_main(database: &Database, place: &str, options: &OpenOptions) -> Result<Table> {
    let (embedder, source) = match (&options.embedder, &options.model) {
        (Some(embedder), source) => (embedder.clone(), source.clone()),
        (None, source) => {
            let source = source.clone().unwrap_or_else(ModelSource::builtin);
            (source.open().map_err(|e| e.context(place))?, Some(source))
        }
    };
    let settings = Settings {
        language: options.language.unwrap_or_default(),
        chunking: options.chunking.clone().unwrap_or_default(),
    };
    let source = source.map(|source| source.to_json()).transpose()?;
    create_table(database, MAIN, None, embedder.dim(), embedder.id(), source.as_deref(), &settings)
}

fn create_table(
    database: &Database,
    name: &str,
    tenant: Option<&str>,
    dim: usize,
    embedder: &str,
    model: Option<&str>,
    settings: &Settings,
) -> Result<Table> {
    let settings = serde_json::to_string(settings)
        .map_err(|e| Error::new(Code::Internal, format!("settings cannot be written: {e}")))?;
    let mut properties = HashMap::from([
        (PROPERTY_FORMAT.to_owned(), FORMAT.to_owned()),
        (PROPERTY_EMBEDDER.to_owned(), embedder.to_owned()),
        (PROPERTY_SETTINGS.to_owned(), settings),
        (PROPERTY_ID.to_owned(), format!("{:016x}{:016x}", nonce(), nonce())),
    ]);
    if let Some(model) = model {
        properties.insert(PROPERTY_MODEL.to_owned(), model.to_owned());
    }
    if let Some(tenant) = tenant {
        properties.insert(PROPERTY_TENANT.to_owned(), tenant.to_owned());
    }
    database.create(name, dim, properties)
}

/// A number that was never there before, from the randomness of the standard library's hash maps.
fn nonce() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.write_u128(now.map_or(0, |t| t.as_nanos()));
    hasher.finish()
}

/// What tells a truth from any other one.
fn truth_id(table: &Table) -> String {
    table.property(PROPERTY_ID).unwrap_or_default().to_owned()
}

fn read_properties(table: &Table, place: &str) -> Result<(String, Settings)> {
    let format = table.property(PROPERTY_FORMAT).unwrap_or("none");
    if format != FORMAT {
        return Err(Error::new(
            Code::FormatVersion,
            format!("{place} has format '{format}', this release reads '{FORMAT}'"),
        ));
    }
    let damaged =
        || Error::new(Code::Corrupt, format!("{place}: the settings of the knowledge base are not there"));
    let embedder = table.property(PROPERTY_EMBEDDER).ok_or_else(damaged)?;
    let settings = table.property(PROPERTY_SETTINGS).ok_or_else(damaged)?;
    Ok((embedder.to_owned(), serde_json::from_str(settings).map_err(|_| damaged())?))
}

/// Where the indexes of a remote knowledge base lie on this machine.
fn cache_of(place: &str) -> PathBuf {
    let root = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    root.join("quorate").join(&blake3::hash(place.as_bytes()).to_hex()[..32])
}
