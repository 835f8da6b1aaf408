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
mod record;
mod schema;
mod sums;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::TryStreamExt;
use lance::Dataset;
use lance::dataset::cleanup::CleanupPolicy;
use lance::dataset::optimize::{CompactionOptions, compact_files};
use lance::dataset::transaction::Operation;
use lance::dataset::{CommitBuilder, InsertBuilder, WriteMode, WriteParams};
use lance::session::Session;
use lancedb::Connection;
use quorate_core::runtime::block_on;
use quorate_core::{Code, Error, Result};

use commit::InOrder;
use failure::{opening, reading, writing, writing_db};
pub use lock::WriterLock;
pub use record::{Record, Span};
pub use schema::{Entry, Numbered};

/// Bytes of Lance metadata kept in memory per knowledge base.
const METADATA_CACHE_BYTES: usize = 64 << 20;
/// Lance indexes are not used; their cache is kept near nothing.
const INDEX_CACHE_BYTES: usize = 1 << 20;
/// For how long a request to an object store is tried again, unless the caller says otherwise.
const RETRY_TIMEOUT: &str = "client_retry_timeout";
const RETRY_SECONDS: u64 = 30;
/// The property that overwriting sets.
const BASE_SEQ: &str = "quorate.base_seq";
/// Fragments below this many rows are merged in the background.
const FRAGMENT_ROWS: usize = 8192;

/// A database: one table per tenant.
pub struct Database {
    connection: Connection,
    /// The folder, for a local database.
    folder: Option<PathBuf>,
    uri: String,
    fsync: bool,
    commits: Arc<InOrder>,
}

/// One tenant's table.
pub struct Table {
    dataset: Arc<Dataset>,
    schema: Arc<arrow_schema::Schema>,
    dim: usize,
    folder: Option<PathBuf>,
    fsync: bool,
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

impl Database {
    /// Connects to a folder or an object-store URI; nothing is read yet. Errors: `io`, `unsupported`.
    pub fn connect(uri: &str, options: &HashMap<String, String>, fsync: bool) -> Result<Self> {
        let local = !uri.contains("://");
        let session = Arc::new(Session::new(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES, Default::default()));
        let mut options = options.clone();
        if !local && !options.keys().any(|key| key.eq_ignore_ascii_case(RETRY_TIMEOUT)) {
            options.insert(RETRY_TIMEOUT.to_owned(), RETRY_SECONDS.to_string());
        }
        let builder = lancedb::connect(uri).session(session).storage_options(options);
        let (connection, commits) = block_on(async {
            let connection = builder.execute().await.map_err(|e| opening(e, uri))?;
            let commits = InOrder::new(uri).await.map_err(|e| opening(e.into(), uri))?;
            Ok((connection, commits))
        })?;
        let folder = local.then(|| PathBuf::from(uri));
        Ok(Database { connection, folder, uri: uri.to_owned(), fsync: fsync && local, commits })
    }

    /// Opens a table; `None` when there is none of this name. Errors: `corrupt`, `io`.
    pub fn open(&self, name: &str) -> Result<Option<Table>> {
        if let Some(folder) = self.table_folder(name) {
            sums::check_newest(&folder)?;
        }
        let dataset = contained(&self.table_place(name), async {
            let table = match self.connection.open_table(name).execute().await {
                Ok(table) => table,
                Err(lancedb::Error::TableNotFound { .. }) => return Ok(None),
                Err(e) => return Err(opening(e, &self.table_place(name))),
            };
            native(&table, &self.table_place(name)).await.map(Some)
        })?;
        if dataset.is_none()
            && let Some(folder) = self.table_folder(name)
            && has_files(&folder.join("data"))
        {
            return Err(Error::new(
                Code::Corrupt,
                format!("{}: there is data but no readable list of versions", folder.display()),
            ));
        }
        dataset.map(|dataset| self.table(name, dataset)).transpose()
    }

    /// Creates an empty table. Errors: `io`, `disk_full`, `permission_denied`.
    pub fn create(&self, name: &str, dim: usize, properties: HashMap<String, String>) -> Result<Table> {
        fail::fail_point!("store-create", |kind| Err(crate::failpoint::refused(kind)));
        let schema = schema::table_schema(dim, properties);
        let place = self.table_place(name);
        let dataset = block_on(async {
            let made = self.connection.create_empty_table(name, schema).execute().await;
            native(&made.map_err(|e| writing_db(e, &place))?, &place).await
        })?;
        let table = self.table(name, dataset)?;
        table.sync_commit()?;
        Ok(table)
    }

    fn table(&self, name: &str, dataset: Arc<Dataset>) -> Result<Table> {
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
        let folder = self.table_folder(name);
        let (name, commits) = (self.table_place(name), self.commits.clone());
        Ok(Table { dataset, schema, dim, folder, fsync: self.fsync, name, commits })
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

    /// Appends entries in one commit, which is durable on return (after a power cut too, with `fsync`).
    /// Errors: `io`, `disk_full`, `permission_denied`, `version_conflict`.
    pub fn append(&mut self, entries: &[Numbered]) -> Result<()> {
        let batches = schema::encode(&self.schema, self.dim, entries)?;
        self.write(batches, WriteMode::Append)
    }

    /// The number up to which entries may have been left out by [`overwrite`](Table::overwrite). Whoever has not seen
    /// all entries below it must read the whole table.
    pub fn base_seq(&self) -> u64 {
        self.property(BASE_SEQ).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Replaces all rows by those of `entries`, in one commit; they sum up all entries below `base_seq`.
    pub fn overwrite(&mut self, entries: &[Numbered], base_seq: u64) -> Result<()> {
        let mut properties = self.schema.metadata().clone();
        properties.insert(BASE_SEQ.to_owned(), base_seq.to_string());
        self.schema = schema::table_schema(self.dim, properties);
        let mut batches = schema::encode(&self.schema, self.dim, entries)?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(self.schema.clone()));
        }
        self.write(batches, WriteMode::Overwrite)
    }

    fn write(&mut self, batches: Vec<RecordBatch>, mode: WriteMode) -> Result<()> {
        fail::fail_point!("store-write", |kind| Err(crate::failpoint::refused(kind)));
        let dataset = self.dataset.clone();
        let params = WriteParams { mode, skip_auto_cleanup: true, ..WriteParams::default() };
        let transaction = block_on(async {
            InsertBuilder::new(dataset.clone())
                .with_params(&params)
                .execute_uncommitted(batches)
                .await
                .map_err(|e| writing(e, &self.name))
        })?;
        // The rows reach the disk before the commit that makes them part of the table does.
        let files: Vec<String> = match &transaction.operation {
            Operation::Append { fragments } | Operation::Overwrite { fragments, .. } => {
                fragments.iter().flat_map(|f| f.files.iter().map(|file| file.path.clone())).collect()
            }
            _ => Vec::new(),
        };
        self.sync_data(&files)?;
        fail::fail_point!("store-commit", |kind| Err(crate::failpoint::refused(kind)));
        let committed = block_on(async {
            let _in_order = self.commits.only(self.dataset.version_id() + 1);
            CommitBuilder::new(dataset)
                .with_commit_handler(self.commits.clone())
                .with_skip_auto_cleanup(true)
                .execute(transaction)
                .await
                .map_err(|e| writing(e, &self.name))
        })?;
        self.dataset = Arc::new(committed);
        self.sync_commit()
    }

    /// Looks at the newest commit; whether that is another one. Errors: `corrupt`, `io`.
    pub fn refresh(&mut self) -> Result<bool> {
        let mut dataset = Dataset::clone(&self.dataset);
        let before = self.version();
        if let Some(folder) = &self.folder {
            sums::check_newest(folder)?;
        }
        self.dataset = contained(&self.name, async {
            dataset.checkout_latest().await.map_err(|e| reading(e, &self.name))?;
            Ok(Arc::new(dataset))
        })?;
        self.schema = Arc::new(arrow_schema::Schema::from(self.dataset.schema()));
        Ok(self.version() != before)
    }

    /// The table as it was after commit `version`. Errors: `unknown_id`.
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
            fsync: self.fsync,
            name: self.name.clone(),
            commits: self.commits.clone(),
        })
    }

    /// All commits that can still be read, oldest first.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let mut versions: Vec<Version> = contained(&self.name, async {
            let all = self.dataset.versions().await.map_err(|e| reading(e, &self.name))?;
            Ok(all
                .into_iter()
                .map(|v| Version { version: v.version, timestamp_ms: v.timestamp.timestamp_millis() })
                .collect())
        })?;
        versions.sort_unstable_by_key(|v| v.version);
        Ok(versions)
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

    /// Merges small fragments; their rows stay as they are. Errors: `io`, `corrupt`.
    pub fn merge_fragments(&mut self) -> Result<()> {
        let mut dataset = Dataset::clone(&self.dataset);
        let options = CompactionOptions { target_rows_per_fragment: FRAGMENT_ROWS, ..Default::default() };
        self.dataset = block_on(async {
            compact_files(&mut dataset, options, None).await.map_err(|e| writing(e, &self.name))?;
            Ok(Arc::new(dataset))
        })?;
        let files: Vec<String> = self
            .dataset
            .fragments()
            .iter()
            .rev()
            .take(2)
            .flat_map(|f| f.files.iter().map(|file| file.path.clone()))
            .collect();
        self.sync_data(&files)?;
        self.sync_commit()
    }

    /// Removes all but the newest `keep` commits, and every file that no remaining one uses. Errors: `io`.
    pub fn prune(&self, keep: usize) -> Result<()> {
        fail::fail_point!("store-prune", |kind| Err(crate::failpoint::refused(kind)));
        let versions = self.versions()?;
        let Some(oldest) = versions.len().checked_sub(keep.max(1)).and_then(|i| versions.get(i)) else {
            return Ok(());
        };
        let policy = CleanupPolicy {
            before_version: Some(oldest.version),
            delete_unverified: true,
            error_if_tagged_old_versions: false,
            ..CleanupPolicy::default()
        };
        block_on(async {
            self.dataset.cleanup_with_policy(policy).await.map_err(|e| writing(e, &self.name)).map(|_| ())
        })?;
        if let Some(folder) = &self.folder {
            sums::prune(folder, oldest.version);
        }
        Ok(())
    }

    fn sync_data(&self, files: &[String]) -> Result<()> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.fsync) else { return Ok(()) };
        let data = folder.join("data");
        for file in files {
            sync_path(&data.join(file))?;
        }
        if files.is_empty() { Ok(()) } else { sync_path(&data) }
    }

    /// Brings the newest commit itself to the disk, and notes its checksum.
    fn sync_commit(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        sums::note(folder, self.version());
        if !self.fsync {
            return Ok(());
        }
        let versions = folder.join("_versions");
        if let Some(name) = self.dataset.manifest_location().path.filename() {
            sync_path(&versions.join(name))?;
        }
        sync_path(&versions)?;
        if let Some(name) = &self.dataset.manifest().transaction_file {
            let transactions = folder.join("_transactions");
            sync_path(&transactions.join(name))?;
            sync_path(&transactions)?;
        }
        Ok(())
    }
}

async fn native(table: &lancedb::Table, place: &str) -> Result<Arc<Dataset>> {
    match table.dataset() {
        Some(dataset) => dataset.get().await.map_err(|e| opening(e, place)),
        None => {
            Err(Error::new(Code::Unsupported, format!("{place}: only tables that Lance keeps can be used")))
        }
    }
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

fn sync_path(path: &Path) -> Result<()> {
    // A folder cannot be opened for synchronisation everywhere (not on Windows); its files are synchronised then.
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all().map_err(|e| Error::io(path, e)),
        Err(_) if cfg!(windows) && path.is_dir() => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(path, e)),
    }
}
