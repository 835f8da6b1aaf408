//! How does a database in memory lie there, in no more memory than its files have bytes?
//!
//! Lance fills a buffer of 5 MiB for each file, however small that is, which a store in memory would keep as it is. It reads
//! by slices, each of which would keep its whole file as long as it lies in a cache, also when the file is long removed.
//! So what is written is copied to its size, and what is read is a copy.

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use lance_io::object_store::providers::memory::MemoryStoreProvider;
use lance_io::object_store::{
    ObjectStore as LanceStore, ObjectStoreParams, ObjectStoreProvider, ObjectStoreRegistry,
};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

/// Lance's stores, of which those in memory are tight.
pub(super) fn registry() -> Arc<ObjectStoreRegistry> {
    let registry = ObjectStoreRegistry::default();
    registry.insert("memory", Arc::new(Provider));
    Arc::new(registry)
}

#[derive(Debug)]
struct Provider;

#[async_trait::async_trait]
impl ObjectStoreProvider for Provider {
    async fn new_store(&self, base_path: Url, params: &ObjectStoreParams) -> lance::Result<LanceStore> {
        let mut store = MemoryStoreProvider.new_store(base_path, params).await?;
        store.inner = Arc::new(Tight(store.inner.clone()));
        Ok(store)
    }

    fn extract_path(&self, url: &Url) -> lance::Result<Path> {
        MemoryStoreProvider.extract_path(url)
    }

    fn calculate_object_store_prefix(
        &self,
        url: &Url,
        storage_options: Option<&std::collections::HashMap<String, String>>,
    ) -> lance::Result<String> {
        MemoryStoreProvider.calculate_object_store_prefix(url, storage_options)
    }
}

/// A store in memory whose bytes nobody else holds.
#[derive(Debug)]
struct Tight(Arc<dyn ObjectStore>);

impl std::fmt::Display for Tight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tight({})", self.0)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Tight {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut bytes: Vec<u8> = Vec::with_capacity(payload.content_length());
        payload.iter().for_each(|part| bytes.extend_from_slice(part));
        drop(payload);
        self.0.put_opts(location, PutPayload::from(bytes), options).await
    }

    // The parts of a large file are put together in one piece of its size.
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.0.get_opts(location, options).await?;
        found.payload = match found.payload {
            GetResultPayload::Stream(bytes) => {
                GetResultPayload::Stream(bytes.map_ok(|bytes| bytes.to_vec().into()).boxed())
            }
            file => file,
        };
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use quorate_core::runtime::block_on;
    use quorate_core::{Code, Error};

    use super::*;

    #[test]
    fn nothing_keeps_more_than_its_bytes() {
        let inner = Arc::new(InMemory::new());
        let store = Tight(inner.clone());
        let mut buffer = Vec::with_capacity(5 << 20);
        buffer.extend_from_slice(b"0123456789");
        let given = buffer.as_ptr() as usize;
        let (kept, first, second) = block_on(async {
            let failed =
                |e: object_store::Error| Error::with_source(Code::Io, "the store in memory failed", e);
            let path = Path::from("a/b");
            store.put(&path, PutPayload::from(buffer)).await.map_err(failed)?;
            let kept = inner.get(&path).await.map_err(failed)?.bytes().await.map_err(failed)?;
            let first = store.get_range(&path, 2..5).await.map_err(failed)?;
            let second = store.get_range(&path, 2..5).await.map_err(failed)?;
            Ok((kept, first, second))
        })
        .unwrap();
        assert_eq!((&kept[..], &first[..], &second[..]), (&b"0123456789"[..], &b"234"[..], &b"234"[..]));
        assert_ne!(kept.as_ptr() as usize, given, "the buffer of the writer is not kept");
        let inside = |part: &[u8]| kept.as_ptr_range().contains(&part.as_ptr());
        assert!(!inside(&first[..]) && !inside(&second[..]), "what is read keeps nothing of the file");
    }
}
