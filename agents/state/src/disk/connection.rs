//! How is the database opened, and what do its errors mean?

use std::path::Path;
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// How long a call waits for another process that writes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(1);
/// How many statements stay prepared.
const STATEMENTS: usize = 128;

/// Opens the database, and makes or migrates it. Errors: `corrupt`, `format_version`, `locked`, `unsupported`, `io` and its
/// kin.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let begun = Instant::now();
    loop {
        match open_once(path, flags) {
            // Two who change the journal of a new database at once do not wait for each other.
            Err(error) if error.code() == Code::Locked && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

fn open_once(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let bad = |e| failed(path, e);
    let mut connection = Connection::open_with_flags(path, flags).map_err(bad)?;
    connection.busy_handler(Some(wait_again)).map_err(bad)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Before anything is written: what is no state of ours stays as it is.
    schema::check(&connection, path)?;
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(bad)?;
    if journal != "wal" {
        return Err(Error::new(
            Code::Unsupported,
            format!(
                "{}: this file system has no write-ahead log; give a folder on a local disk",
                path.display()
            ),
        ));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
             PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(bad)?;
    schema::migrate(&connection, path)?;
    Ok(connection)
}

/// Whether a call waits once more for another process. That one may write without a pause, and leaves the database free
/// for some microseconds in each of some milliseconds: who asks as rarely as SQLite does by itself might never get a turn.
fn wait_again(tries: i32) -> bool {
    std::thread::sleep(PAUSE);
    u32::try_from(tries).is_ok_and(|tries| PAUSE * tries < PATIENCE)
}

/// What went wrong with the database at `path`.
pub(crate) fn failed(path: &Path, source: rusqlite::Error) -> Error {
    let code = match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Code::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Code::PermissionDenied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Code::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Code::Corrupt,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed) => {
            Code::Io
        }
        Some(ErrorCode::TooBig) => Code::TooLarge,
        Some(_) => Code::Internal,
        // A column that is not of the type that was written.
        None => Code::Corrupt,
    };
    let what_to_do = match code {
        Code::Locked => "; another process is writing for too long",
        Code::PermissionDenied => "; the file or its folder may only be read",
        Code::Corrupt => "; restore the folder from a copy",
        _ => "",
    };
    Error::with_source(code, format!("{}: {source}{what_to_do}", path.display()), source)
}

/// Whether a connection cannot be trusted after this error: what its caches say may not be what is on the disk.
pub(crate) fn spoils(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Io | Code::DiskFull | Code::PermissionDenied | Code::Corrupt | Code::Internal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_codes() {
        let path = Path::new("/x/state.db");
        for (result, code) in [
            (rusqlite::ffi::SQLITE_FULL, Code::DiskFull),
            (rusqlite::ffi::SQLITE_READONLY, Code::PermissionDenied),
            (rusqlite::ffi::SQLITE_READONLY_DIRECTORY, Code::PermissionDenied),
            (rusqlite::ffi::SQLITE_PERM, Code::PermissionDenied),
            (rusqlite::ffi::SQLITE_BUSY, Code::Locked),
            (rusqlite::ffi::SQLITE_CORRUPT, Code::Corrupt),
            (rusqlite::ffi::SQLITE_NOTADB, Code::Corrupt),
            (rusqlite::ffi::SQLITE_IOERR_FSYNC, Code::Io),
            (rusqlite::ffi::SQLITE_CANTOPEN, Code::Io),
            (rusqlite::ffi::SQLITE_MISUSE, Code::Internal),
        ] {
            let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(result), None);
            let error = failed(path, source);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains("/x/state.db"), "{error}");
            assert_eq!(spoils(&error), code != Code::Locked);
        }
    }
}
