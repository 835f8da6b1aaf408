//! What tables does the database have, and how does an older one get them?
//!
//! A deleted text must not stay in the file. SQLite overwrites a row that is deleted, but when it moves rows from one page
//! to another it leaves copies in the gaps. So texts stand only in tables that grow at their end and whose rows never
//! change their length or place: deleting one is overwriting it where it stands. Everything that is looked up by a text
//! has a hash for it. The rows that are left over are removed when they make up half of the file, which is then rewritten.

use std::path::Path;

use quorate_core::{Code, Error, Result};
use rusqlite::Connection;

use super::connection::failed;
use super::{queues, threads};

/// Says that a database is a state of quorate: "qrst".
const APPLICATION: i64 = 0x7172_7374;

/// What brings a database of each version to the next one, from nothing on. A step that was published never changes.
pub(super) const STEPS: [&str; 5] = [
    "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('waste', 0);

    CREATE TABLE runs (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        name BLOB NOT NULL UNIQUE,
        keyed BLOB UNIQUE,
        scope BLOB NOT NULL,
        status TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        entries INTEGER NOT NULL,
        cancel INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL,
        holder TEXT,
        machine TEXT,
        beat REAL
    );
    CREATE INDEX runs_of ON runs (scope, n);
    CREATE INDEX runs_cancelled ON runs (holder) WHERE cancel = 1;
    CREATE INDEX runs_held ON runs (holder) WHERE holder IS NOT NULL;

    CREATE TABLE labels (
        n INTEGER PRIMARY KEY,
        gone INTEGER NOT NULL DEFAULT 0,
        id TEXT NOT NULL, kind TEXT NOT NULL, tenant TEXT, title TEXT NOT NULL, parent TEXT, key TEXT
    );

    CREATE TABLE entries (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        run INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX entries_at ON entries (run, seq);
    CREATE INDEX entries_payload ON entries (payload) WHERE payload IS NOT NULL;

    CREATE TABLE facts (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        name BLOB NOT NULL UNIQUE,
        space BLOB NOT NULL,
        key TEXT NOT NULL,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE INDEX facts_of ON facts (space);
    CREATE INDEX facts_payload ON facts (payload) WHERE payload IS NOT NULL;
",
    WORKS,
    threads::tables::STEP,
    threads::tables::OWNERS,
    queues::tables::STEP,
];

/// Runs that wait in queues. Letters stand among the entries of their run, under negative numbers.
const WORKS: &str = "
    CREATE TABLE works (
        run INTEGER PRIMARY KEY,
        scope BLOB NOT NULL,
        kind BLOB NOT NULL,
        queue BLOB NOT NULL,
        priority INTEGER NOT NULL,
        slot BLOB,
        slots INTEGER,
        wake REAL,
        letters INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX works_due ON works (scope, kind, wake) WHERE wake IS NOT NULL;
    CREATE INDEX works_slot ON works (slot) WHERE slot IS NOT NULL;
    CREATE TABLE letters (run INTEGER NOT NULL, name BLOB NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID;
    CREATE TABLE listed (
        space BLOB NOT NULL, label BLOB NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (space, run, seq)
    ) WITHOUT ROWID;
    CREATE INDEX listed_by ON listed (space, label, run, seq);
    CREATE INDEX listed_run ON listed (run);
";

/// The version of the tables here.
const VERSION: usize = STEPS.len();

/// Reads what kind of database this is and of which version; nothing is written. Errors: `corrupt`, `format_version`,
/// `locked`, `io`.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<usize> {
    let number =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| failed(path, e));
    let tables = number("SELECT count(*) FROM sqlite_master")?;
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    if tables == 0 && application == 0 && version == 0 {
        return Ok(0);
    }
    if application != APPLICATION {
        return Err(Error::new(
            Code::Corrupt,
            format!("{}: this is a database of another program; give another folder", path.display()),
        ));
    }
    match usize::try_from(version) {
        Ok(version) if (1..=VERSION).contains(&version) => Ok(version),
        _ => Err(Error::new(
            Code::FormatVersion,
            format!(
                "{}: the state has version {version}, and this release reads those up to {VERSION}; use the release \
                 that wrote it",
                path.display()
            ),
        )),
    }
}

/// Brings the tables to the newest version, in one transaction. Errors: those of [`check`], `disk_full`.
pub(crate) fn migrate(connection: &Connection, path: &Path) -> Result<()> {
    if check(connection, path)? == VERSION {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| failed(path, e))?;
    let step = || {
        // Another process may have been here meanwhile.
        for step in &STEPS[check(connection, path)?..] {
            connection.execute_batch(step).map_err(|e| failed(path, e))?;
        }
        let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT");
        connection.execute_batch(&stamp).map_err(|e| failed(path, e))
    };
    step().inspect_err(|_| {
        let _ = connection.execute_batch("ROLLBACK");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_gets_its_tables_once() {
        let connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x");
        assert_eq!(check(&connection, path).unwrap(), 0);
        migrate(&connection, path).unwrap();
        migrate(&connection, path).unwrap();
        assert_eq!(check(&connection, path).unwrap(), VERSION);
    }

    #[test]
    fn a_database_of_each_older_version_gets_what_it_lacks() {
        for older in 1..VERSION {
            let connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..older] {
                connection.execute_batch(step).unwrap();
            }
            connection
                .execute_batch(&format!(
                    "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {older}"
                ))
                .unwrap();
            migrate(&connection, Path::new("x")).unwrap();
            assert_eq!(check(&connection, Path::new("x")).unwrap(), VERSION);
            connection.execute_batch("INSERT INTO letters VALUES (1, x'00')").unwrap();
        }
    }

    #[test]
    fn newer_and_other_databases_are_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x");
        migrate(&connection, path).unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        assert_eq!(migrate(&connection, path).unwrap_err().code(), Code::FormatVersion);
        connection.execute_batch("PRAGMA application_id = 7").unwrap();
        assert_eq!(migrate(&connection, path).unwrap_err().code(), Code::Corrupt);
    }
}
