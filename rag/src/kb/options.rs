//! How is a knowledge base opened, and how is it written to?

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Error, Result};
use serde::{Deserialize, Serialize};

use super::model::ModelSource;
use crate::chunk::ChunkOptions;
use crate::index::lexical::Language;

/// What a write has survived when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The end of the process and of the machine: files and folders are synchronised to the disk (fsync). The default.
    #[default]
    PowerCut,
    /// The end of the process, however it ends. A power cut may lose the last seconds; where the list of their versions is
    /// half there, opening says `corrupt`, and how to give them up.
    Process,
}

/// How to open a knowledge base. Fields have the defaults named.
#[derive(Clone)]
pub struct OpenOptions {
    /// The model that embeds. Default: what `model` names.
    pub embedder: Option<Arc<dyn Embed>>,
    /// How the model is opened: now when `embedder` is not given, and again when the knowledge base is opened without
    /// one. Default: what the knowledge base was made with; the built-in model for a new one.
    pub model: Option<ModelSource>,
    /// The tenant that the handle sees. Default the tenant without a name, whose documents no other tenant sees either.
    pub tenant: Option<String>,
    /// Whether the handle only reads; any number of processes may. Default no.
    pub read_only: bool,
    /// What a write survives. Default [`Durability::PowerCut`]. Without effect on an object store.
    pub durability: Durability,
    /// The language of stemmer and stop words, fixed when the knowledge base is created. Default English.
    pub language: Option<Language>,
    /// How texts are cut. Default: as when the knowledge base was created; [`ChunkOptions::default`] for a new one.
    pub chunking: Option<ChunkOptions>,
    /// How many past versions are kept for [`at`](crate::KnowledgeBase::at); up to 68 more until the next pruning. Default
    /// 100. On the disk lie at most the rows that are there twice over, 8,192 more, and those that these versions show.
    pub keep_versions: usize,
    /// Where the indexes of a knowledge base on an object store lie. Default a folder in the user's cache, another one
    /// for each URI and endpoint.
    pub cache_folder: Option<PathBuf>,
    /// Told how many chunks of how many are indexed while indexes are built again from the documents: when their folder
    /// was deleted or damaged, or the last writer did not come to store them. Called on the opening thread, and on that
    /// of [`tenant`](crate::KnowledgeBase::tenant) for a tenant's own indexes. Default nobody.
    pub progress: Option<Arc<Progress>>,
    /// Settings of the object store, by the names that Lance gives them (`aws_endpoint`, `aws_region`,
    /// `aws_access_key_id`, `aws_secret_access_key`, `allow_http`; `timeout` of one request, `client_max_retries`, and
    /// `client_retry_timeout`, the seconds for which a request is tried again, by default 30).
    pub storage_options: HashMap<String, String>,
    #[doc(hidden)]
    pub tuning: Tuning,
}

/// When the engine does its own work. The defaults are measured; tests let everything happen early, and look in between.
#[doc(hidden)]
#[derive(Clone)]
pub struct Tuning {
    /// Rows in memory from which on they are stored.
    pub flush_rows: u32,
    /// Merges of up to this many rows are done by the writer itself.
    pub small_rows: u32,
    /// So many segments in memory are searched one by one; more are merged.
    pub small_segments: usize,
    /// Rows from which on a graph is worth it; fewer are scanned.
    pub graph_rows: u32,
    /// So many commits after the last time, the small files of the truth are merged and its past is pruned.
    pub commits: usize,
    /// Files of the truth with fewer rows are small.
    pub fragment_rows: usize,
    /// The truth is rewritten when it has this many rows, and more than the half, that do not count any more.
    pub garbage_rows: u64,
    /// Whether a thread does it, or only [`maintain`](crate::KnowledgeBase::maintain).
    pub background: bool,
    /// Called between the steps of that work, with the name of the place.
    pub hook: Option<Arc<dyn Fn(&'static str) + Send + Sync>>,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            flush_rows: 4096,
            small_rows: 4096,
            small_segments: 8,
            graph_rows: 4096,
            commits: 64,
            fragment_rows: 8192,
            garbage_rows: 8192,
            background: true,
            hook: None,
        }
    }
}

impl Tuning {
    pub(super) fn at(&self, place: &'static str) {
        if let Some(hook) = &self.hook {
            hook(place);
        }
    }
}

impl OpenOptions {
    /// Defaults, with an embedder.
    pub fn with_embedder(embedder: Arc<dyn Embed>) -> Self {
        OpenOptions { embedder: Some(embedder), ..OpenOptions::default() }
    }

    /// Whether the values make sense. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.keep_versions == 0 {
            return Err(Error::invalid(
                "keep_versions is 0; the present version is always kept, so use 1 or more",
            ));
        }
        if let Some(tenant) = &self.tenant {
            check_tenant(tenant)?;
        }
        if let Some(chunking) = &self.chunking {
            chunking.validate()?;
        }
        Ok(())
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            embedder: None,
            model: None,
            tenant: None,
            read_only: false,
            durability: Durability::default(),
            language: None,
            chunking: None,
            keep_versions: 100,
            cache_folder: None,
            progress: None,
            storage_options: HashMap::new(),
            tuning: Tuning::default(),
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("embedder", &self.embedder.as_ref().map(|e| e.id().to_owned()))
            .field("tenant", &self.tenant)
            .field("read_only", &self.read_only)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// A tenant's name has 1 to 100 bytes.
pub(crate) fn check_tenant(name: &str) -> Result<()> {
    match name.len() {
        1..=100 => Ok(()),
        n => Err(Error::invalid(format!("a tenant's name has {n} bytes; 1 to 100 are possible"))),
    }
}

/// What is decided when a knowledge base is created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) language: Language,
    pub(crate) chunking: ChunkOptions,
}

/// What becomes of the good documents of a batch that has a bad one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Nothing of the batch is stored.
    #[default]
    Stop,
    /// They are stored, and the report lists the bad ones with their reasons.
    Skip,
}

/// Told how many of how many are done: documents of a write, files of
/// [`add_files`](crate::KnowledgeBase::add_files), chunks of indexes that are built again.
pub type Progress = dyn Fn(usize, usize) + Send + Sync;

/// How to write documents. Fields have the defaults named.
#[derive(Clone, Default)]
pub struct WriteOptions {
    /// Default stop.
    pub on_error: OnError,
    /// Called after each group of documents, on the calling thread. Default nobody.
    pub progress: Option<Arc<Progress>>,
    /// Stops the work before anything is stored; of files, before the next batch is. Default never.
    pub cancel: Cancel,
}

impl WriteOptions {
    pub(super) fn tell(&self, done: usize, total: usize) {
        if let Some(progress) = &self.progress {
            progress(done, total);
        }
    }
}

impl std::fmt::Debug for WriteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteOptions").field("on_error", &self.on_error).finish_non_exhaustive()
    }
}

/// What a write did.
#[derive(Debug, Default)]
pub struct WriteReport {
    /// Documents that are new.
    pub added: usize,
    /// Documents that replaced others of their ids.
    pub replaced: usize,
    /// Documents that are stored as they were given already; they were not written again. Of
    /// [`upsert`](crate::KnowledgeBase::upsert) and of files.
    pub unchanged: usize,
    /// Documents that were deleted because their file no longer holds them.
    pub deleted: usize,
    /// Chunks that were stored.
    pub chunks: usize,
    /// Documents that were not stored.
    pub skipped: Vec<Skipped>,
    /// The version that has the documents.
    pub version: u64,
}

/// A document that was not stored.
#[derive(Debug)]
pub struct Skipped {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Its id; may be empty.
    pub id: String,
    /// Why.
    pub error: Error,
}

/// What a knowledge base holds, of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Documents.
    pub documents: usize,
    /// Chunks.
    pub chunks: usize,
    /// The newest version that this handle sees.
    pub version: u64,
    /// The fingerprint of the embedder.
    pub embedder: String,
    /// Components of a vector.
    pub dim: usize,
    /// The language of stemmer and stop words.
    pub language: Language,
    /// Pieces that the indexes consist of.
    pub segments: usize,
    /// Bytes on disk of the tenant's documents; 0 on an object store.
    pub truth_bytes: u64,
    /// Bytes on disk of the tenant's indexes.
    pub index_bytes: u64,
}
