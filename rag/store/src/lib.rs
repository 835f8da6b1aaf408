//! Where does the one durable truth lie, and how is it written?
//!
//! Each tenant has one LanceDB table that is a log: rows are appended, never changed, and the state at a version is
//! what remains after all entries up to it. An append is one Lance commit, so that all documents of a call become
//! visible together or not at all. This is the only crate that names lancedb, lance and arrow.

#![warn(missing_docs)]

mod commit;
#[cfg(feature = "failpoints")]
pub mod failpoint;
mod failure;
mod lock;
mod memory;
mod record;
mod remove;
mod rewrite;
mod schema;
mod sums;
#[cfg(unix)]
mod threads;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::builder::DatasetBuilder;
use lance::dataset::cleanup::CleanupPolicy;
use lance::dataset::optimize::{CompactionOptions, compact_files};
use lance::dataset::transaction::Transaction;
use lance::dataset::{CommitBuilder, InsertBuilder, WriteMode, WriteParams};
use lance::session::Session;
use lancedb::Connection;
use quorate_core::runtime::block_on;
use quorate_core::{Code, Error, Result, files};

use commit::InOrder;
use failure::{opening, reading, writing, writing_db};
pub use lock::WriterLock;
pub use record::{Record, Span};
pub use remove::discard;
pub use rewrite::Rewrite;
pub use schema::{Entry, Numbered};

/// Bytes of Lance metadata kept in memory per knowledge base.
const METADATA_CACHE_BYTES: usize = 64 << 20;
/// Lance indexes are not used; their cache is kept near nothing.
const INDEX_CACHE_BYTES: usize = 1 << 20;
/// For how long a request to an object store is tried again, unless the caller says otherwise.
const RETRY_TIMEOUT: &str = "client_retry_timeout";
const RETRY_SECONDS: u64 = 30;
/// On an object store, files that no version names are left alone until they are so old, in days.
pub const STRAY_DAYS: u32 = 7;
/// Lists of versions that are read at a time.
const READ_AHEAD: usize = 16;
/// How often the newest version is looked at again when the writer replaces it meanwhile.
const ATTEMPTS: usize = 50;
/// The property that rewriting sets.
const BASE_SEQ: &str = "quorate.base_seq";

/// The URI of a database in memory. Each connection has its own.
pub const IN_MEMORY: &str = "memory://quorate";

/// A database: one table per tenant.
pub struct Database {
    connection: Connection,
    session: Arc<Session>,
    options: HashMap<String, String>,
    /// The folder, for a local database.
    folder: Option<PathBuf>,
    uri: String,
    fsync: bool,
}

/// One tenant's table.
pub struct Table {
    dataset: Arc<Dataset>,
    schema: Arc<arrow_schema::Schema>,
    dim: usize,
    folder: Option<PathBuf>,
    name: String,
    commits: Arc<InOrder>,
}

/// One commit of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number; later commits have larger ones.
    pub version: u64,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: i64,
}

/// Makes a copy of a table's folder whole that was made while others wrote: it forgets versions that were noted after the
/// lists were copied. Errors: `io`, `disk_full`, `permission_denied`.
pub fn settle_copy(folder: &Path) -> Result<()> {
    sums::settle(folder)
}

impl Database {
    /// Connects to a folder, given by its absolute path, or to an object-store URI; nothing is read yet. With `fsync`
    /// what is written to a folder is on its disk when a call returns. Errors: `io`, `unsupported`.
    pub fn connect(uri: &str, options: &HashMap<String, String>, fsync: bool) -> Result<Self> {
        #[cfg(unix)]
        threads::still_at_forks()?;
        let local = !uri.contains("://");
        let session = Arc::new(Session::new(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES, memory::registry()));
        let mut options = options.clone();
        if !local && !options.keys().any(|key| key.eq_ignore_ascii_case(RETRY_TIMEOUT)) {
            options.insert(RETRY_TIMEOUT.to_owned(), RETRY_SECONDS.to_string());
        }
        let builder = lancedb::connect(uri).session(session.clone()).storage_options(options.clone());
        let connection = block_on(async { builder.execute().await.map_err(|e| opening(e, uri)) })?;
        let folder = local.then(|| PathBuf::from(uri));
        Ok(Database { connection, session, options, folder, uri: uri.to_owned(), fsync: fsync && local })
    }

    /// The folder, for a database in one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The names of all tables, sorted. Errors: `io`, `permission_denied`, and those of an object store.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = block_on(async {
            let names = self.connection.table_names().execute().await;
            names.map_err(|e| opening(e, &self.uri))
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a table; `None` when there is none of this name. Errors: `corrupt`, `io`.
    pub fn open(&self, name: &str) -> Result<Option<Table>> {
        let folder = self.table_folder(name);
        let opened = while_it_changes(folder.as_deref(), || {
            if let Some(folder) = &folder {
                sums::check_newest(folder)?;
            }
            self.dataset(name)
        })?;
        if opened.is_none()
            && let Some(folder) = folder
            && has_files(&folder.join("data"))
        {
            return Err(Error::new(
                Code::Corrupt,
                format!("{}: there is data but no readable list of versions", folder.display()),
            ));
        }
        opened.map(|(dataset, commits)| self.table(name, dataset, commits)).transpose()
    }

    fn dataset(&self, name: &str) -> Result<Option<(Arc<Dataset>, Arc<InOrder>)>> {
        let place = self.table_place(name);
        contained(&place, async {
            let folder = self.table_folder(name).filter(|_| self.fsync);
            let commits = InOrder::new(&place, folder).await.map_err(|e| opening(e.into(), &place))?;
            let mut builder = DatasetBuilder::from_uri(&place)
                .with_session(self.session.clone())
                .with_commit_handler(commits.clone());
            if !self.options.is_empty() {
                builder = builder.with_storage_options(self.options.clone());
            }
            match builder.load().await {
                Ok(dataset) => Ok(Some((Arc::new(dataset), commits))),
                Err(lance::Error::DatasetNotFound { .. }) => Ok(None),
                Err(e) => Err(opening(e.into(), &place)),
            }
        })
    }

    /// Creates an empty table. Errors: `io`, `disk_full`, `permission_denied`.
    pub fn create(&self, name: &str, dim: usize, properties: HashMap<String, String>) -> Result<Table> {
        fail::fail_point!("store-create", |kind| Err(crate::failpoint::refused(kind)));
        let schema = schema::table_schema(dim, properties);
        let place = self.table_place(name);
        match self.table_folder(name) {
            Some(folder) => self.create_in(&folder, &place, schema)?,
            None => block_on(async {
                let made = self.connection.create_empty_table(name, schema).execute().await;
                made.map(|_| ()).map_err(|e| writing_db(e, &place))
            })?,
        }
        let (dataset, commits) = self.dataset(name)?.ok_or_else(|| {
            Error::new(Code::Io, format!("{place}: the table that was made just now is not there"))
        })?;
        let table = self.table(name, dataset, commits)?;
        if let Some(folder) = &table.folder {
            sums::note(folder, table.version());
        }
        Ok(table)
    }

    /// Creates a table in a folder, whose first commit is on the disk as any later one is.
    fn create_in(&self, folder: &Path, place: &str, schema: Arc<arrow_schema::Schema>) -> Result<()> {
        files::make_folder(folder, self.fsync)?;
        let commits = block_on(async {
            let synced = self.fsync.then(|| folder.to_owned());
            let commits = InOrder::new(place, synced).await.map_err(|e| opening(e.into(), place))?;
            let params = WriteParams {
                mode: WriteMode::Create,
                commit_handler: Some(commits.clone()),
                session: Some(self.session.clone()),
                ..WriteParams::default()
            };
            let made = InsertBuilder::new(place)
                .with_params(&params)
                .execute(vec![RecordBatch::new_empty(schema)])
                .await;
            match made {
                Ok(_) => Ok(commits),
                Err(e @ lance::Error::DatasetAlreadyExists { .. }) => Err(Error::with_source(
                    Code::VersionConflict,
                    format!("{place}: the table is there already"),
                    e,
                )),
                Err(e) => Err(writing(e, place)),
            }
        })?;
        match commits.unconfirmed() {
            Some(error) => Err(error),
            None if self.fsync => files::sync_folder(folder),
            None => Ok(()),
        }
    }

    fn table(&self, name: &str, dataset: Arc<Dataset>, commits: Arc<InOrder>) -> Result<Table> {
        let schema = Arc::new(arrow_schema::Schema::from(dataset.schema()));
        let dim = match schema.field_with_name("vector").map(|f| f.data_type().clone()) {
            Ok(arrow_schema::DataType::FixedSizeList(_, dim)) => dim as usize,
            _ => {
                return Err(Error::new(
                    Code::FormatVersion,
                    format!("{}: this is not a table of quorate", self.table_place(name)),
                ));
            }
        };
        let (folder, name) = (self.table_folder(name), self.table_place(name));
        Ok(Table { dataset, schema, dim, folder, name, commits })
    }

    fn table_folder(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{name}.lance")))
    }

    fn table_place(&self, name: &str) -> String {
        format!("{}/{name}.lance", self.uri.trim_end_matches('/'))
    }
}

impl Table {
    /// Components of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What was said when the table was created.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.schema.metadata().get(name).map(String::as_str)
    }

    /// The commit that is looked at.
    pub fn version(&self) -> u64 {
        self.dataset.version_id()
    }

    /// How many files of rows it has.
    pub fn fragments(&self) -> usize {
        self.dataset.count_fragments()
    }

    /// How many rows it has, with those that were replaced or deleted since.
    pub fn rows(&self) -> u64 {
        self.dataset.manifest().fragments.iter().filter_map(|f| f.physical_rows).sum::<usize>() as u64
    }

    /// Appends entries in one commit, which is durable on return (after a power cut too, with `fsync`).
    /// Errors: `io`, `disk_full`, `permission_denied`, `version_conflict`. The version then says whether the commit was
    /// made all the same: what is unknown is only whether it would outlast a power cut.
    pub fn append(&mut self, entries: &[Numbered]) -> Result<()> {
        fail::fail_point!("store-write", |kind| Err(crate::failpoint::refused(kind)));
        let batches = schema::encode(&self.schema, self.dim, entries)?;
        let transaction = block_on(async {
            InsertBuilder::new(self.dataset.clone())
                .with_params(&write_params(WriteMode::Append))
                .execute_uncommitted(batches)
                .await
                .map_err(|e| writing(e, &self.name))
        })?;
        self.commit(transaction)
    }

    /// Makes the version after the one that is looked at. Errors: as [`append`](Table::append).
    fn commit(&mut self, transaction: Transaction) -> Result<()> {
        fail::fail_point!("store-commit", |kind| Err(crate::failpoint::refused(kind)));
        let committed = block_on(async {
            let _in_order = self.commits.only(self.dataset.version_id() + 1);
            CommitBuilder::new(self.dataset.clone())
                .with_commit_handler(self.commits.clone())
                .with_skip_auto_cleanup(true)
                .execute(transaction)
                .await
                .map_err(|e| writing(e, &self.name))
        })?;
        self.show(Arc::new(committed));
        self.committed()
    }

    /// Looks at a version.
    fn show(&mut self, dataset: Arc<Dataset>) {
        self.schema = Arc::new(arrow_schema::Schema::from(dataset.schema()));
        self.dataset = dataset;
    }

    /// What is left to do behind a commit. Errors: `io`, when the disk did not confirm it.
    fn committed(&self) -> Result<()> {
        if let Some(folder) = &self.folder {
            sums::note(folder, self.version());
        }
        match self.commits.unconfirmed() {
            None => Ok(()),
            Some(error) => Err(error.context(format!(
                "{}: version {} is written and is there from now on, but the disk did not confirm it, and a power cut may \
                 lose it",
                self.name,
                self.version()
            ))),
        }
    }

    /// The number up to which entries may have been left out by [`rewrite`](Table::rewrite). Whoever has not seen
    /// all entries below it must read the whole table.
    pub fn base_seq(&self) -> u64 {
        self.property(BASE_SEQ).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Looks at the newest commit; whether that is another one. Errors: `corrupt`, `io`.
    pub fn refresh(&mut self) -> Result<bool> {
        let before = self.version();
        let newest = while_it_changes(self.folder.as_deref(), || {
            let mut dataset = Dataset::clone(&self.dataset);
            if let Some(folder) = &self.folder {
                sums::check_newest(folder)?;
            }
            contained(&self.name, async {
                dataset.checkout_latest().await.map_err(|e| reading(e, &self.name))?;
                Ok(Arc::new(dataset))
            })
        })?;
        self.show(newest);
        Ok(self.version() != before)
    }

    /// Whether a version can be given by [`at`](Table::at): it was made, and nobody has pruned it. Errors: as
    /// [`versions`](Table::versions).
    pub fn has(&self, version: u64) -> Result<bool> {
        match &self.folder {
            Some(folder) => Ok(sums::is_there(folder, version)),
            None => Ok(self.numbers()?.contains(&version)),
        }
    }

    /// The table as it was after commit `version`. Errors: `unknown_id` when it was never made or has been pruned,
    /// `corrupt`, `io`.
    pub fn at(&self, version: u64) -> Result<Table> {
        if let Some(folder) = &self.folder {
            sums::check(folder, version)?;
        }
        let dataset = contained(&self.name, async {
            self.dataset.checkout_version(version).await.map_err(|e| failure::version(e, version, &self.name))
        })?;
        Ok(Table {
            schema: Arc::new(arrow_schema::Schema::from(dataset.schema())),
            dataset: Arc::new(dataset),
            dim: self.dim,
            folder: self.folder.clone(),
            name: self.name.clone(),
            commits: self.commits.clone(),
        })
    }

    /// The same version with nothing of it remembered, so that all is read from the disk again; on an object store what
    /// was read before stays. Errors: as [`at`](Table::at).
    pub fn afresh(&self) -> Result<Table> {
        let dataset = match &self.folder {
            None => self.dataset.clone(),
            Some(_) => contained(&self.name, async {
                let session = Session::new(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES, Default::default());
                let opened = DatasetBuilder::from_uri(&self.name)
                    .with_session(Arc::new(session))
                    .with_commit_handler(self.commits.clone())
                    .with_version(self.version())
                    .load()
                    .await;
                opened.map(Arc::new).map_err(|e| failure::version(e, self.version(), &self.name))
            })?,
        };
        Ok(Table {
            schema: Arc::new(arrow_schema::Schema::from(dataset.schema())),
            dataset,
            dim: self.dim,
            folder: self.folder.clone(),
            name: self.name.clone(),
            commits: self.commits.clone(),
        })
    }

    /// All commits that can still be read, oldest first. Errors: `corrupt`, `io`.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let listed = self.numbers()?;
        let read = contained(&self.name, async {
            let one = |version: u64| async move { (version, self.dataset.checkout_version(version).await) };
            Ok(futures::stream::iter(listed).map(one).buffered(READ_AHEAD).collect::<Vec<_>>().await)
        })?;
        let mut left: Option<Vec<u64>> = None;
        let mut versions = Vec::with_capacity(read.len());
        for (version, dataset) in read {
            match dataset {
                Ok(dataset) => versions
                    .push(Version { version, timestamp_ms: dataset.version().timestamp.timestamp_millis() }),
                // The writer may have pruned it since it was listed.
                Err(error) => {
                    if left.is_none() {
                        left = Some(self.numbers()?);
                    }
                    if left.as_ref().is_some_and(|left| left.contains(&version)) {
                        return Err(reading(error, &self.name));
                    }
                }
            }
        }
        Ok(versions)
    }

    /// The numbers of all commits that are listed, oldest first.
    fn numbers(&self) -> Result<Vec<u64>> {
        contained(&self.name, async {
            let all = self.dataset.version_refs().await.map_err(|e| reading(e, &self.name))?;
            Ok(all.into_iter().map(|version| version.version).collect())
        })
    }

    /// The entries numbered `from` and later, in order. Errors: `corrupt` (naming the file), `io`.
    pub fn read(&self, from: u64) -> Result<Vec<Numbered>> {
        let scan = |fragments: Option<Vec<_>>| {
            contained(&self.name, async {
                let mut scanner = self.dataset.scan();
                if let Some(fragments) = fragments {
                    scanner.with_fragments(fragments);
                }
                if from > 0 {
                    scanner.filter(&format!("seq >= {from}")).map_err(|e| reading(e, &self.name))?;
                }
                let stream = scanner.try_into_stream().await.map_err(|e| reading(e, &self.name))?;
                stream.try_collect::<Vec<RecordBatch>>().await.map_err(|e| reading(e, &self.name))
            })
        };
        let whole = scan(None)
            .and_then(|batches| schema::decode(&batches, self.dim).map_err(|e| e.context(&self.name)));
        let Err(error) = whole else { return whole };
        if !matches!(error.code(), Code::Corrupt | Code::Io | Code::Internal) {
            return Err(error);
        }
        // Something is damaged: say which file.
        for fragment in self.dataset.fragments().iter() {
            let files: Vec<&str> = fragment.files.iter().map(|f| f.path.as_str()).collect();
            let broken = match scan(Some(vec![fragment.clone()])) {
                Err(e) => Some(e.message().to_owned()),
                Ok(batches) => schema::checksums(&batches, self.dim).err().map(|e| e.message().to_owned()),
            };
            if let Some(why) = broken {
                let place = format!("{}/data/{}", self.name, files.join(", "));
                let code = match error.code() {
                    Code::Internal => Code::Corrupt,
                    code => code,
                };
                return Err(Error::with_source(code, format!("{place}: {why}"), error));
            }
        }
        Err(error)
    }

    /// Merges files of fewer rows than `small`; the rows stay as they are. Errors: `io`, `corrupt`.
    pub fn merge_fragments(&mut self, small: usize) -> Result<()> {
        let mut dataset = Dataset::clone(&self.dataset);
        let options = CompactionOptions { target_rows_per_fragment: small, ..Default::default() };
        let merged = block_on(async {
            compact_files(&mut dataset, options, None).await.map_err(|e| writing(e, &self.name))?;
            Ok(Arc::new(dataset))
        })?;
        if merged.version_id() == self.version() {
            return Ok(());
        }
        self.show(merged);
        self.committed()
    }

    /// Removes all but the newest `keep` commits, and every file that no remaining one uses: in a folder at once, since
    /// nobody else writes there; on an object store only such files of which the removed commits say that they are
    /// theirs, and others when they are [`STRAY_DAYS`] days old, since another machine may have uploaded what it has not
    /// committed yet. Errors: `io`.
    pub fn prune(&self, keep: usize) -> Result<()> {
        fail::fail_point!("store-prune", |kind| Err(crate::failpoint::refused(kind)));
        let versions = self.numbers()?;
        let Some(&oldest) = versions.len().checked_sub(keep.max(1)).and_then(|i| versions.get(i)) else {
            return Ok(());
        };
        if let Some(folder) = &self.folder {
            // The lists go before what they list, so that a reader who finds one finds the rest, or sees that it is gone.
            for &version in versions.iter().take_while(|&&version| version < oldest) {
                let list = sums::manifest(folder, version);
                match std::fs::remove_file(&list) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(list, e)),
                    _ => {}
                }
            }
            files::sync_folder(&folder.join("_versions"))?;
        }
        let policy = CleanupPolicy {
            before_version: Some(oldest),
            delete_unverified: self.folder.is_some(),
            error_if_tagged_old_versions: false,
            ..CleanupPolicy::default()
        };
        block_on(async {
            self.dataset.cleanup_with_policy(policy).await.map_err(|e| writing(e, &self.name)).map(|_| ())
        })?;
        if let Some(folder) = &self.folder {
            sums::prune(folder, oldest);
            files::remove_leftovers(folder);
        }
        Ok(())
    }
}

fn write_params(mode: WriteMode) -> WriteParams {
    WriteParams { mode, skip_auto_cleanup: true, ..WriteParams::default() }
}

/// What comes of looking at the newest version of a table, while its writer makes and prunes some: a failure counts when
/// the newest version is still the same afterwards.
fn while_it_changes<T>(folder: Option<&Path>, look: impl Fn() -> Result<T>) -> Result<T> {
    let Some(folder) = folder else { return look() };
    let mut seen = sums::newest(folder);
    for _ in 0..ATTEMPTS {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(error) => {
                let now = sums::newest(folder);
                if now == seen {
                    return Err(error);
                }
                seen = now;
            }
        }
    }
    look()
}

/// What comes of reading. Lance panics on some damage; that is an error like other damage.
fn contained<T: Send>(place: &str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    block_on(work).map_err(|error| match error.code() {
        Code::Internal => {
            let message = format!("{place}: it cannot be read: {}", error.message());
            Error::with_source(Code::Corrupt, message, error)
        }
        _ => error,
    })
}

fn has_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests;
