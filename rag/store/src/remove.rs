//! How does a table leave?

use std::sync::atomic::{AtomicU64, Ordering};

use quorate_core::runtime::block_on;
use quorate_core::{Error, Result, files};

use crate::Database;
use crate::failure::writing_db;

/// How the folders of removed tables begin; Lance's end in `.lance`.
const REMOVED: &str = "removed-";

impl Database {
    /// Removes a table with all that it holds, readable or not. In a folder it is out of sight in one step, which is durable
    /// on return, and files that cannot be removed now are removed by [`sweep`](Database::sweep); on an object store a
    /// removal that is interrupted has to be repeated.
    /// Errors: `not_found`, `io`, `permission_denied`.
    pub fn remove(&self, name: &str) -> Result<()> {
        let place = self.table_place(name);
        let (Some(folder), Some(table)) = (&self.folder, self.table_folder(name)) else {
            return block_on(async {
                self.connection.drop_table(name, &[]).await.map_err(|e| writing_db(e, &place))
            });
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
        let removed = || {
            fail::fail_point!("store-remove", |kind| Err(crate::failpoint::refused(kind)));
            std::fs::remove_dir_all(&aside).map_err(|e| Error::io(&aside, e))
        };
        if let Err(error) = removed() {
            tracing::warn!(table = place, %error, "files of a table that was removed stay until the next opening");
        }
        Ok(())
    }

    /// Finishes removals that the end of a process has interrupted. What cannot be removed now is removed another time.
    pub fn sweep(&self) {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(REMOVED)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}
