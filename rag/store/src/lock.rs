//! Who may write?
//!
//! One process of a machine at a time. The operating system releases the lock when its holder ends, however it ends.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;
use quorate_core::{Code, Error, Result};

use quorate_core::forks;

/// The right to write at a place, held until it is dropped.
#[derive(Debug)]
pub struct WriterLock {
    _files: Vec<File>,
    path: PathBuf,
    forks: u64,
}

impl WriterLock {
    /// Takes the lock file at `path`. Errors: `locked` when another handle has it, `io`, `permission_denied`.
    pub fn take(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| Error::io(path, e))?;
        take(&file, path)?;
        Ok(WriterLock { _files: vec![file], path: path.to_owned(), forks: forks() })
    }

    /// Takes a second lock file, where there is a place for it: two handles of one object store may keep their indexes
    /// in different folders. Errors: `locked`, `io`.
    pub fn and(mut self, path: &Path) -> Result<Self> {
        // Whoever made the file may be another user; reading is enough to lock it.
        let made = OpenOptions::new().create(true).append(true).open(path);
        if let Ok(file) = made.or_else(|_| File::open(path)) {
            take(&file, path)?;
            self._files.push(file);
        }
        Ok(self)
    }

    /// Whether this process may write. A forked child shares its parent's lock file and may not.
    /// Errors: `locked`.
    pub fn check(&self) -> Result<()> {
        if self.forks != forks() {
            return Err(locked(
                &self.path,
                "this handle was opened before the process forked, and the parent keeps the right to write",
            ));
        }
        Ok(())
    }
}

fn take(file: &File, path: &Path) -> Result<()> {
    match file.try_lock_exclusive() {
        Ok(true) => Ok(()),
        Ok(false) => Err(locked(path, "another handle, in this process or another one, is writing here")),
        Err(e) => Err(Error::io(path, e)),
    }
}

fn locked(path: &Path, who: &str) -> Error {
    Error::new(Code::Locked, format!("{}: {who}; close it first, or open with read_only", path.display()))
}
