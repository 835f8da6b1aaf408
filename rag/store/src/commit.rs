//! How is a commit refused that another writer has overtaken?
//!
//! Lance puts an append behind whatever was committed since its writer looked. Here the entries are numbered after
//! what their writer has seen, so such an append would give a number twice. The lock file keeps writers of one machine
//! apart; on an object store, or where a file system does not lock, this does: a commit becomes exactly the version
//! after the one that its writer saw, or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::BoxStream;
use lance::{Error, Result};
use lance_io::object_store::ObjectStore;
use lance_table::format::{IndexMetadata, Manifest, Transaction};
use lance_table::io::commit::{
    CommitError, CommitHandler, ManifestLocation, ManifestNamingScheme, ManifestWriter,
    commit_handler_from_url,
};
use object_store::path::Path;

/// Lance's own handler for the place, which for a while lets one version through only.
#[derive(Debug)]
pub(super) struct InOrder {
    inner: Arc<dyn CommitHandler>,
    /// The version that may be made; 0 for any.
    only: AtomicU64,
}

impl InOrder {
    /// The handler for tables at `uri`.
    pub(super) async fn new(uri: &str) -> Result<Arc<Self>> {
        let inner = commit_handler_from_url(uri, &None).await?;
        Ok(Arc::new(InOrder { inner, only: AtomicU64::new(0) }))
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
        self.inner
            .commit(manifest, indices, base_path, object_store, manifest_writer, naming_scheme, transaction)
            .await
    }

    async fn delete(&self, base_path: &Path) -> Result<()> {
        self.inner.delete(base_path).await
    }
}
