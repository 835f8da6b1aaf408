//! Where is data kept that is too large for the database?
//!
//! In a file named by its content, `payloads/<blake3>.json`, which is on the disk before the transaction that names it.
//! Whoever writes checks again inside of the transaction that the file is there, and whoever removes one does so while it
//! holds the right to write: so no entry names a file that was just removed. What no row names is an orphan.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use quorate_core::files::sync_folder;
use quorate_core::{Code, Error, Result};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::connection::failed;
use super::holder::{hex, is_old, unique};
use super::{queues, threads};
use crate::MAX_INLINE_BYTES;

/// Data as it is stored: in the row, or in a file.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// The JSON in the row; empty where it has a file.
    pub(crate) text: String,
    /// The name of the file, without what follows it, and the bytes in it.
    pub(crate) file: Option<(String, Vec<u8>)>,
}

impl Body {
    pub(crate) fn of(value: &Value) -> Body {
        Body::of_text(value.to_string())
    }

    /// The body of an array of these.
    pub(crate) fn of_items(items: &[Value]) -> Body {
        let each: Vec<String> = items.iter().map(Value::to_string).collect();
        Body::of_text(format!("[{}]", each.join(",")))
    }

    fn of_text(text: String) -> Body {
        if text.len() <= MAX_INLINE_BYTES {
            return Body { text, file: None };
        }
        let bytes = text.into_bytes();
        Body { text: String::new(), file: Some((blake3::hash(&bytes).to_hex().to_string(), bytes)) }
    }

    /// What a row says of a body: the JSON, or the name of the file.
    pub(crate) fn stored(text: String, payload: Option<String>) -> Body {
        Body { text, file: payload.map(|name| (name, Vec::new())) }
    }

    /// The JSON as it is stored; none where its file is not there. Errors: those of [`read`].
    pub(crate) fn read(&self, folder: &Path) -> Result<Option<String>> {
        match self.name() {
            None => Ok(Some(self.text.clone())),
            Some(name) => read(folder, name),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.file.as_ref().map(|(name, _)| name.as_str())
    }

    /// Puts the file on the disk, where there is one and it is not there yet. Errors: `io`, `disk_full`,
    /// `permission_denied`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let Some((name, bytes)) = &self.file else { return Ok(()) };
        let path = path_of(folder, name);
        // A damaged one is replaced.
        if is_whole(&path, bytes.len()) && std::fs::read(&path).is_ok_and(|there| there == *bytes) {
            // Whoever made it may not have come to this.
            return sync_folder(folder);
        }
        let fresh = folder.join(format!("{name}.{}.tmp", hex(&unique())));
        let write = || {
            let mut file = OpenOptions::new().create_new(true).write(true).open(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().map_err(|e| {
            let _ = std::fs::remove_file(&fresh);
            Error::io(&path, e)
        })?;
        sync_folder(folder)
    }

    /// The same inside of the transaction that names the file: it may have been removed since.
    pub(crate) fn ensure(&self, folder: &Path) -> Result<()> {
        match &self.file {
            Some((name, bytes)) if !is_whole(&path_of(folder, name), bytes.len()) => self.write(folder),
            _ => Ok(()),
        }
    }
}

/// Whether a file is there with so many bytes. Its name is the checksum of its content, which whoever reads it verifies.
fn is_whole(path: &Path, bytes: usize) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() == bytes as u64)
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// The content of a file; none where it is not there. Errors: `corrupt` when it is not what its name says, `io`.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = path_of(folder, name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(&path, e)),
    };
    if blake3::hash(&bytes).to_hex().as_str() != name {
        return Err(damaged(&path, "its content is not what was written; restore it from a copy"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| damaged(&path, "it is no text"))
}

/// The error of a file that a row names and that is not there.
pub(crate) fn missing(folder: &Path, name: &str) -> Error {
    damaged(&path_of(folder, name), "an entry names it, and it is not there; restore it from a copy")
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("{}: {why}", path.display()))
}

/// Removes those of the files that no row names. The connection has the right to write.
/// Errors: `io`, `permission_denied`, `corrupt`.
pub(crate) fn collect(
    connection: &Connection,
    database: &Path,
    folder: &Path,
    names: &[String],
) -> Result<()> {
    let mut removed = false;
    for name in names.iter().filter(|name| name.len() == 64) {
        if is_named(connection, name).map_err(|e| failed(database, e))? {
            continue;
        }
        let path = path_of(folder, name);
        match std::fs::remove_file(&path) {
            Ok(()) => removed = true,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(&path, e)),
        }
    }
    if removed { sync_folder(folder) } else { Ok(()) }
}

fn is_named(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let tables =
        ["entries", "facts"].into_iter().chain(threads::tables::NAMING).chain(queues::tables::NAMING);
    let each: Vec<String> = tables.map(|table| format!("SELECT 1 FROM {table} WHERE payload = ?1")).collect();
    let sql = format!("{} LIMIT 1", each.join(" UNION ALL "));
    let found = connection.prepare_cached(&sql)?.query_row([name], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

/// Removes every file that no row names, and what was left half written; whether nothing of that may still be there, since
/// somebody may be writing it. The connection has the right to write. Errors: those of [`collect`].
pub(crate) fn sweep(connection: &Connection, database: &Path, folder: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let (mut names, mut clean) = (Vec::new(), true);
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => names.push(name.to_owned()),
            Some("tmp") => clean &= is_old(&path) && std::fs::remove_file(&path).is_ok(),
            _ => {}
        }
    }
    collect(connection, database, folder, &names).map(|()| clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_data_has_a_file_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let small = Body::of(&Value::from("a".repeat(MAX_INLINE_BYTES - 2)));
        assert!(small.file.is_none());
        let large = Body::of(&Value::from("a".repeat(MAX_INLINE_BYTES - 1)));
        let name = large.name().unwrap();
        assert_eq!(read(folder.path(), name).unwrap(), None);
        large.write(folder.path()).unwrap();
        large.write(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(read(folder.path(), name).unwrap().unwrap().len(), MAX_INLINE_BYTES + 1);
        std::fs::write(folder.path().join(format!("{name}.json")), "other").unwrap();
        let error = read(folder.path(), name).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.message().contains(name));
    }
}
