//! How does a table leave?

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_core::runtime::block_on;
use quorate_core::{Error, Result, files};

use crate::Database;
use crate::failure::writing_db;

/// How the folders of removed tables begin; Lance's end in `.lance`.
const REMOVED: &str = "removed-";

impl Database {
    /// Takes a table out of sight, readable or not. In a folder that is one step, which is durable on return; its files lie
    /// where the answer says until they are [discarded](discard), and [`sweep`](Database::sweep) does that otherwise. On an
    /// object store all is removed on return, and a removal that is interrupted has to be repeated.
    /// Errors: `not_found`, `io`, `permission_denied`.
    pub fn remove(&self, name: &str) -> Result<Option<PathBuf>> {
        let place = self.table_place(name);
        let (Some(folder), Some(table)) = (&self.folder, self.table_folder(name)) else {
            block_on(async {
                self.connection.drop_table(name, &[]).await.map_err(|e| writing_db(e, &place))
            })?;
            return Ok(None);
        };
        // Other tables may be on their way out just now.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = || folder.join(format!("{REMOVED}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut aside = next();
        while aside.exists() {
            aside = next();
        }
        std::fs::rename(&table, &aside).map_err(|e| Error::io(&table, e))?;
        if self.fsync {
            files::sync_folder(folder)?;
        }
        Ok(Some(aside))
    }

    /// Finishes removals that the end of a process has interrupted. What cannot be removed now is removed another time.
    pub fn sweep(&self) {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(REMOVED)) {
                let _ = discard(&entry.path());
            }
        }
    }
}

/// Removes a folder with all that is in it, if it is there. Errors: `io`, `permission_denied`.
pub fn discard(folder: &Path) -> Result<()> {
    fail::fail_point!("store-remove", |kind| Err(crate::failpoint::refused(kind)));
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, error)),
        _ => Ok(()),
    }
}
