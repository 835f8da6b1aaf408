//! What can a host do with a knowledge base?

mod backup;
mod base;
pub(crate) mod beside;
mod browse;
mod collection;
mod copies;
mod files;
#[cfg(test)]
mod fuzz;
mod maintain;
mod model;
mod options;
mod prepare;
mod reembed;
mod search;
mod shadow;
mod snapshot;
mod sources;
mod tenants;
mod verify;
mod write;

use std::sync::{Arc, MutexGuard};

use quorate_core::embed::Embed;
use quorate_core::{Code, Error, Result};

use base::Base;
pub use browse::{DocumentPage, ListOptions};
use collection::{Collection, Opening, Role, Writer, folder_bytes};
pub use copies::{CopyOptions, CopyReport};
pub use files::{FileOptions, SyncOptions, SyncReport};
pub use model::ModelSource;
use options::check_tenant;
pub use options::{
    Durability, OnError, OpenOptions, Progress, Skipped, Stats, Tuning, WriteOptions, WriteReport,
};
pub use reembed::ReembedOptions;
pub(crate) use snapshot::Snapshot;
pub use verify::{Part, Problem, VerifyReport};

use crate::document::{Document, shorten};
use crate::filter::Filter;
use quorate_store::Record;
use quorate_store::Version;

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

impl KnowledgeBase {
    /// Opens the knowledge base at a folder or an object-store URI; creates it when it is not there (unless
    /// `read_only`).
    ///
    /// One handle may write at a time: a second one on the same machine is refused. Between machines that write to one
    /// object store no lock holds: each commit must follow the state that its writer has seen, or fails with
    /// `version_conflict` and changes nothing; the writer has then seen the other's documents and can try again.
    ///
    /// Errors: `locked` when another handle is writing there, `embedder_mismatch`, `not_found` (read-only and not
    /// there, or no such bucket), `format_version`, `corrupt`, `io`, `permission_denied`, `unsupported` (an object
    /// store that was not compiled in); of an object store `offline`, `timeout` and `remote_failed` too.
    pub fn open(place: impl AsRef<str>, options: OpenOptions) -> Result<Self> {
        KnowledgeBase::start(Some(place.as_ref()), options)
    }

    /// An empty knowledge base in memory, gone with its last handle; [`backup`](KnowledgeBase::backup) keeps a copy. It needs
    /// about three times the memory of its texts and vectors. Errors: `not_found` with `read_only`, and those of the embedder.
    ///
    /// ```
    /// use quorate_rag::{Document, KnowledgeBase, OpenOptions};
    /// let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    /// kb.add(vec![Document::new("a", "Metformin lowers glucose.")])?;
    /// assert_eq!(kb.count(None)?, 1);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn in_memory(options: OpenOptions) -> Result<Self> {
        KnowledgeBase::start(None, options)
    }

    fn start(place: Option<&str>, options: OpenOptions) -> Result<Self> {
        let (base, main) = Base::open(place, &options)?;
        let base = Arc::new(base);
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

    /// A document with its chunks and their vectors. Errors: `unknown_id`, `closed`.
    pub fn get(&self, id: &str) -> Result<Document> {
        let record = self.stored(id)?;
        let chunks = prepare::chunks_of(&record, self.base.dim);
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
        self.ids_of(None)
    }

    /// The ids of the documents that match, oldest first; all without a filter. Errors: `filter_type`, `closed`.
    pub fn ids_of(&self, filter: Option<&Filter>) -> Result<Vec<String>> {
        let snapshot = self.seen()?;
        let selected = filter.map(|filter| snapshot.select(filter, false)).transpose()?;
        let mut ids = Vec::new();
        for (i, view) in snapshot.views().iter().enumerate() {
            let docs = selected.as_ref().map_or(&view.live.docs, |selected| &selected[i]);
            ids.extend(docs.iter().map(|doc| view.segment.catalog.doc(doc).id.to_owned()));
        }
        Ok(ids)
    }

    /// How many documents match; all without a filter. Errors: `filter_type`, `closed`.
    pub fn count(&self, filter: Option<&Filter>) -> Result<usize> {
        let snapshot = self.seen()?;
        match filter {
            None => Ok(snapshot.docs()),
            Some(filter) => Ok(snapshot.select(filter, false)?.iter().map(crate::RowSet::count).sum()),
        }
    }

    /// What the knowledge base holds. Errors: `closed`.
    pub fn stats(&self) -> Result<Stats> {
        let snapshot = self.seen()?;
        let table = format!("{}.lance", self.collection.name);
        Ok(Stats {
            documents: snapshot.docs(),
            chunks: snapshot.chunks(),
            version: snapshot.version,
            embedder: self.base.model.id.clone(),
            dim: self.base.dim,
            language: self.base.settings.language,
            segments: snapshot.views().len(),
            truth_bytes: self.base.truth.as_ref().map_or(0, |truth| folder_bytes(&truth.join(table))),
            index_bytes: self.collection.home.as_deref().map_or(0, folder_bytes),
        })
    }

    /// The versions that [`at`](KnowledgeBase::at) can show, oldest first; a writer may prune some at any time. Errors:
    /// `closed`, `corrupt`, `io`.
    pub fn versions(&self) -> Result<Vec<Version>> {
        match &self.lock()?.table {
            Some(table) => table.versions(),
            None => Ok(Vec::new()),
        }
    }

    /// The knowledge base as it was at a version, for reading: that version, whole, or an error. Errors: `unknown_id` when
    /// it was never made or has been pruned, `closed`, `corrupt`, `io`.
    pub fn at(&self, version: u64) -> Result<Self> {
        let table = match &self.lock()?.table {
            Some(table) => table.at(version)?,
            None => {
                return Err(Error::new(
                    Code::UnknownId,
                    format!("version {version} is not there: nothing was ever written"),
                ));
            }
        };
        let collection = Collection::open(Opening {
            name: self.collection.name.clone(),
            home: None,
            role: Role::Past,
            table: Some(table),
            dim: self.base.dim,
            analyzer: self.collection.analyzer.clone(),
            keep_versions: self.base.keep_versions,
            tuning: self.base.tuning.clone(),
            progress: None,
        })?;
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
        let mut writer = self.lock()?;
        let before = self.collection.snapshot().version;
        let replaced = self.look_again(&mut writer)?;
        Ok(replaced || self.collection.snapshot().version != before)
    }

    /// Brings everything into its smallest and fastest form: one segment of indexes, no deleted or replaced documents
    /// and no past versions in the truth. Searching goes on meanwhile, writing waits while the truth is rewritten. Memory:
    /// the ids of all documents, and what an index takes while it is built. Errors: `read_only`, `closed`, `corrupt`,
    /// `io`, `disk_full`, `permission_denied`.
    pub fn compact(&self) -> Result<()> {
        let may = || self.base.check_writable(self.past);
        may()?;
        // Whoever closes meanwhile ends this.
        self.collection.compact(&self.base.maintainer.stop, may).or_else(|error| may().and(Err(error)))
    }

    /// Does at once what the background thread would do. Errors: as [`compact`](KnowledgeBase::compact).
    #[doc(hidden)]
    pub fn maintain(&self) -> Result<()> {
        self.base.check_writable(self.past)?;
        self.collection.maintain(&self.base.maintainer.stop)
    }

    /// Stores the indexes of what was added last, and lets go of the files and of the right to write, also where a forked
    /// child lives on; a long merge is given up. All handles of this opening fail with `closed` from then on. In a forked
    /// child nothing is stored, and the parent's handle stays open. Errors: `io`, `disk_full`, `permission_denied` (the documents are
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

    /// What there is now. Closing says so before it lets go of everything, so that nobody sees what is half let go.
    /// Errors: `closed`.
    fn seen(&self) -> Result<Arc<Snapshot>> {
        let snapshot = self.collection.snapshot();
        self.base.check_open()?;
        Ok(snapshot)
    }

    /// The table, for one thread at a time; whoever closes may have had it before. Errors: `closed`, `locked`.
    fn lock(&self) -> Result<MutexGuard<'_, Writer>> {
        self.base.check_open()?;
        let writer = self.collection.lock()?;
        self.base.check_open()?;
        Ok(writer)
    }

    fn stored(&self, id: &str) -> Result<Record> {
        let snapshot = self.seen()?;
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
