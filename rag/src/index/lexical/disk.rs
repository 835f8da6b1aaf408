//! How does a tantivy index lie in a folder?
//!
//! As tantivy's own `MmapDirectory` has it, with two differences: the umask decides who may read the files that are
//! replaced at once, and whoever closes the knowledge base can end a merge that is still writing.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::{Cancel, Result, files};
use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

use super::broken;

#[derive(Clone, Debug)]
pub(super) struct Disk {
    inner: MmapDirectory,
    root: PathBuf,
    stop: Cancel,
}

impl Disk {
    /// The index in the folder `root`; writing to it fails once `stop` is raised. Errors: `corrupt`.
    pub(super) fn open(root: &Path, stop: Cancel) -> Result<Self> {
        let inner = MmapDirectory::open(root).map_err(|e| broken(root, e))?;
        Ok(Disk { inner, root: root.to_owned(), stop })
    }
}

impl Directory for Disk {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let inner = self.inner.open_write(path)?;
        Ok(BufWriter::new(Box::new(Stoppable { inner, stop: self.stop.clone() })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        files::replace(&self.root.join(path), false, |out| out.write_all(data)).map_err(io::Error::other)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

struct Stoppable {
    inner: WritePtr,
    stop: Cancel,
}

impl Stoppable {
    fn check(&self) -> io::Result<()> {
        self.stop.check().map_err(io::Error::other)
    }
}

impl Write for Stoppable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.inner.flush()
    }
}

impl TerminatingWrite for Stoppable {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.check()?;
        self.inner.terminate_ref(token)
    }
}
