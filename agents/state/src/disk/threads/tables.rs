//! Where do threads, their namespaces, checkpoints, values and writes stand?
//!
//! As in `schema`: texts stand in tables that grow at their end, and whatever is looked up by a text has a hash for it.

/// The tables of checkpoints.
pub(crate) const STEP: &str = "
    CREATE TABLE threads (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        name BLOB NOT NULL UNIQUE,
        scope BLOB NOT NULL,
        fence INTEGER NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL
    );
    CREATE INDEX threads_of ON threads (scope, n);

    CREATE TABLE spaces (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        name BLOB NOT NULL UNIQUE,
        thread INTEGER NOT NULL,
        label TEXT NOT NULL,
        namespace TEXT NOT NULL,
        sum INTEGER NOT NULL
    );
    CREATE INDEX spaces_of ON spaces (thread);

    CREATE TABLE checkpoints (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        name BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        place BLOB NOT NULL,
        time REAL NOT NULL,
        id TEXT NOT NULL,
        parent TEXT,
        versions TEXT NOT NULL,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX checkpoints_at ON checkpoints (space, place);
    CREATE INDEX checkpoints_payload ON checkpoints (payload) WHERE payload IS NOT NULL;

    CREATE TABLE channels (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        name BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        channel TEXT NOT NULL,
        version TEXT NOT NULL,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE INDEX channels_of ON channels (space);
    CREATE INDEX channels_payload ON channels (payload) WHERE payload IS NOT NULL;

    CREATE TABLE writes (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        name BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        checkpoint BLOB NOT NULL,
        task TEXT NOT NULL,
        path TEXT NOT NULL,
        place INTEGER NOT NULL,
        channel TEXT NOT NULL,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE INDEX writes_of ON writes (checkpoint);
    CREATE INDEX writes_in ON writes (space);
    CREATE INDEX writes_payload ON writes (payload) WHERE payload IS NOT NULL;
";

/// Threads get a checksum, values the version that they begin with; and a row that is left over belongs to nothing any more,
/// so that what is read does not hang on a flag that no checksum covers.
pub(crate) const OWNERS: &str = "
    ALTER TABLE threads ADD COLUMN sum INTEGER;
    ALTER TABLE channels ADD COLUMN base TEXT;
    UPDATE spaces SET thread = CASE thread WHEN 1 THEN 0 ELSE ~thread END WHERE gone = 1;
    UPDATE checkpoints SET space = CASE space WHEN 1 THEN 0 ELSE ~space END WHERE gone = 1;
    UPDATE channels SET space = CASE space WHEN 1 THEN 0 ELSE ~space END WHERE gone = 1;
    UPDATE writes SET space = CASE space WHEN 1 THEN 0 ELSE ~space END WHERE gone = 1;
";

/// SQL for what a row that is left over belongs to: nothing, in as many bytes, since a row must not change its length.
pub(super) fn nobody(column: &str) -> String {
    format!("{column} = CASE {column} WHEN 1 THEN 0 ELSE ~{column} END")
}

/// Which rows here are left over.
pub(crate) const LEFT_OVER: [&str; 4] = [
    "spaces WHERE gone = 1 AND thread <= 0",
    "checkpoints WHERE gone = 1 AND space <= 0",
    "channels WHERE gone = 1 AND space <= 0",
    "writes WHERE gone = 1 AND space <= 0",
];

/// The tables here whose rows may name payloads.
pub(crate) const NAMING: [&str; 3] = ["checkpoints", "channels", "writes"];
