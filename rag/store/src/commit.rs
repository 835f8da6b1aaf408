//! How does a commit reach the disk whole, and how is one refused that another writer has overtaken?
//!
//! Every commit of a table passes here, whoever makes it: what it names is on the disk before it is.
//!
//! Lance puts an append behind whatever was committed since its writer looked. Here the entries are numbered after
//! what their writer has seen, so such an append would give a number twice. The lock file keeps writers of one machine
//! apart; on an object store, or where a file system does not lock, this does: a commit becomes exactly the version
//! after the one that its writer saw, or fails. Each table has a handler of its own, so that writers of different tables
//! know nothing of each other.

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use lance::{Error, Result};
use lance_io::object_store::ObjectStore;
use lance_table::format::{IndexMetadata, Manifest, Transaction};
use lance_table::io::commit::{
    CommitError, CommitHandler, ManifestLocation, ManifestNamingScheme, ManifestWriter,
    commit_handler_from_url, write_version_hint,
};
use object_store::path::Path;
use quorate_core::files::{create_whole, make_folder, sync_folder};

/// Lance's own handler for the place of one table, which for a while lets one version through only.
#[derive(Debug)]
pub(super) struct InOrder {
    inner: Arc<dyn CommitHandler>,
    /// The version that may be made; 0 for any.
    only: AtomicU64,
    sync: Option<Sync>,
}

impl InOrder {
    /// The handler for the table at `uri`; with `folder` its commits are synchronised to the disk there.
    pub(super) async fn new(uri: &str, folder: Option<PathBuf>) -> Result<Arc<Self>> {
        let inner = commit_handler_from_url(uri, &None).await?;
        Ok(Arc::new(InOrder { inner, only: AtomicU64::new(0), sync: folder.map(Sync::new) }))
    }

    /// Why the newest commit, which was made, may not have reached the disk; said once.
    pub(super) fn unconfirmed(&self) -> Option<quorate_core::Error> {
        let sync = self.sync.as_ref()?;
        sync.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Until the guard is dropped, no other version than `version` is made.
    pub(super) fn only(&self, version: u64) -> Guard<'_> {
        self.only.store(version, Ordering::Release);
        Guard(self)
    }
}

/// See [`InOrder::only`].
pub(super) struct Guard<'a>(&'a InOrder);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.only.store(0, Ordering::Release);
    }
}

#[async_trait::async_trait]
impl CommitHandler for InOrder {
    fn is_version_not_found_definitive(&self) -> bool {
        self.inner.is_version_not_found_definitive()
    }

    fn propagate_commit_error_after_success(&self) -> bool {
        self.inner.propagate_commit_error_after_success()
    }

    async fn resolve_latest_location(
        &self,
        base_path: &Path,
        object_store: &ObjectStore,
    ) -> Result<ManifestLocation> {
        self.inner.resolve_latest_location(base_path, object_store).await
    }

    async fn resolve_version_location(
        &self,
        base_path: &Path,
        version: u64,
        object_store: &dyn object_store::ObjectStore,
    ) -> Result<ManifestLocation> {
        self.inner.resolve_version_location(base_path, version, object_store).await
    }

    async fn version_exists(
        &self,
        base_path: &Path,
        version: u64,
        object_store: &dyn object_store::ObjectStore,
        naming_scheme: ManifestNamingScheme,
    ) -> Result<bool> {
        self.inner.version_exists(base_path, version, object_store, naming_scheme).await
    }

    fn list_detached_manifest_locations<'a>(
        &self,
        base_path: &Path,
        object_store: &'a ObjectStore,
    ) -> BoxStream<'a, Result<ManifestLocation>> {
        self.inner.list_detached_manifest_locations(base_path, object_store)
    }

    fn list_manifest_locations<'a>(
        &self,
        base_path: &Path,
        object_store: &'a ObjectStore,
        sorted_descending: bool,
    ) -> BoxStream<'a, Result<ManifestLocation>> {
        self.inner.list_manifest_locations(base_path, object_store, sorted_descending)
    }

    fn list_manifest_locations_since<'a>(
        &self,
        base_path: &Path,
        object_store: &'a ObjectStore,
        since_version: u64,
    ) -> BoxStream<'a, Result<ManifestLocation>> {
        self.inner.list_manifest_locations_since(base_path, object_store, since_version)
    }

    async fn commit(
        &self,
        manifest: &mut Manifest,
        indices: Option<Vec<IndexMetadata>>,
        base_path: &Path,
        object_store: &ObjectStore,
        manifest_writer: ManifestWriter,
        naming_scheme: ManifestNamingScheme,
        transaction: Option<Transaction>,
    ) -> std::result::Result<ManifestLocation, CommitError> {
        let only = self.only.load(Ordering::Acquire);
        if only != 0 && manifest.version != only {
            let seen = manifest.version - 1;
            let why =
                format!("another writer has made version {seen}, after the one that this write builds on");
            return Err(CommitError::OtherError(Error::commit_conflict_source(only, why.into())));
        }
        let Some(sync) = &self.sync else {
            return self
                .inner
                .commit(
                    manifest,
                    indices,
                    base_path,
                    object_store,
                    manifest_writer,
                    naming_scheme,
                    transaction,
                )
                .await;
        };
        let failed = |e: quorate_core::Error| CommitError::OtherError(Error::io_source(Box::new(e)));
        sync.before(manifest).map_err(failed)?;
        let path = naming_scheme.manifest_path(base_path, manifest.version);
        let memory = ObjectStore::memory();
        let staged = Path::from("manifest");
        manifest_writer(&memory, manifest, indices, &staged, transaction).await?;
        let bytes = memory.read_one_all(&staged).await?;
        sync.make(path.filename().unwrap_or_default(), &bytes)?;
        write_version_hint(object_store, base_path, manifest.version).await;
        Ok(ManifestLocation {
            version: manifest.version,
            path,
            size: Some(bytes.len() as u64),
            naming_scheme,
            e_tag: None,
            identity: None,
        })
    }

    async fn delete(&self, base_path: &Path) -> Result<()> {
        self.inner.delete(base_path).await
    }
}

/// What has to be done with the disk around a commit.
#[derive(Debug)]
struct Sync {
    folder: PathBuf,
    /// The files of rows that are known to be on the disk.
    done: Mutex<HashSet<String>>,
    unconfirmed: Mutex<Option<quorate_core::Error>>,
}

impl Sync {
    fn new(folder: PathBuf) -> Self {
        Sync { folder, done: Mutex::default(), unconfirmed: Mutex::default() }
    }

    /// Brings everything to the disk that the commit will name. Errors: `io`, `disk_full`, `permission_denied`.
    fn before(&self, manifest: &Manifest) -> quorate_core::Result<()> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let named: HashSet<&str> =
            manifest.fragments.iter().flat_map(|f| f.files.iter().map(|file| file.path.as_str())).collect();
        let data = self.folder.join("data");
        let mut fresh = false;
        for name in &named {
            if !done.contains(*name) {
                sync_file(&data.join(name))?;
                fresh = true;
            }
        }
        if fresh {
            sync_folder(&data)?;
        }
        if let Some(name) = manifest.transaction_file.as_ref().filter(|name| !name.is_empty()) {
            let transactions = self.folder.join("_transactions");
            sync_file(&transactions.join(name))?;
            sync_folder(&transactions)?;
        }
        if done.is_empty() {
            // The folders of rows and transactions are made by the first append.
            sync_folder(&self.folder)?;
        }
        *done = named.into_iter().map(str::to_owned).collect();
        Ok(())
    }

    /// Makes the commit, which is on the disk before it has its name. What fails when it has one is kept for
    /// [`InOrder::unconfirmed`]: nothing can take the commit back.
    fn make(&self, name: &str, bytes: &[u8]) -> std::result::Result<(), CommitError> {
        let versions = self.folder.join("_versions");
        let failed = |e: quorate_core::Error| CommitError::OtherError(Error::io_source(Box::new(e)));
        if !versions.is_dir() {
            make_folder(&versions, true).map_err(failed)?;
        }
        let list = versions.join(name);
        match create_whole(&list, &self.folder, bytes) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(CommitError::CommitConflict);
            }
            Err(e) => return Err(failed(quorate_core::Error::io(list, e))),
        }
        let confirmed = || {
            fail::fail_point!("store-sync", |kind| Err(crate::failpoint::refused(kind)));
            sync_folder(&versions)
        };
        if let Err(error) = confirmed() {
            *self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        Ok(())
    }
}

/// What is not there is damage of before, which whoever reads it will tell.
fn sync_file(path: &FilePath) -> quorate_core::Result<()> {
    match std::fs::File::open(path).and_then(|file| file.sync_all()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(quorate_core::Error::io(path, e)),
        _ => Ok(()),
    }
}
