//! Where do queues, subscriptions, messages and events stand?
//!
//! As in `schema`: all texts stand in one table that grows at its end; everything else is numbers and hashes.

/// The tables of queues and events.
pub(crate) const STEP: &str = "
    CREATE TABLE bodies (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        gone INTEGER NOT NULL DEFAULT 0,
        data TEXT NOT NULL,
        payload TEXT,
        sum INTEGER NOT NULL
    );
    CREATE INDEX bodies_payload ON bodies (payload) WHERE payload IS NOT NULL;

    CREATE TABLE queues (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        name BLOB NOT NULL UNIQUE,
        owner BLOB NOT NULL,
        scope BLOB NOT NULL,
        kind INTEGER NOT NULL,
        body INTEGER NOT NULL,
        last INTEGER NOT NULL,
        taken INTEGER NOT NULL,
        clock REAL NOT NULL,
        done INTEGER NOT NULL
    );
    CREATE INDEX queues_of ON queues (scope, kind, n);

    CREATE TABLE messages (
        queue INTEGER NOT NULL,
        number INTEGER NOT NULL,
        state INTEGER NOT NULL,
        place REAL NOT NULL,
        priority INTEGER NOT NULL,
        since REAL NOT NULL,
        due REAL NOT NULL,
        attempts INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        keeper TEXT,
        machine TEXT,
        slots BLOB NOT NULL,
        parked BLOB,
        keeps INTEGER NOT NULL,
        body INTEGER NOT NULL,
        note INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (queue, number)
    ) WITHOUT ROWID;
    CREATE INDEX messages_delayed ON messages (queue, due, number) WHERE state = 0;
    CREATE INDEX messages_ready ON messages (queue, place, number) WHERE state = 1;
    CREATE INDEX messages_held ON messages (queue, due, number) WHERE state = 2;
    CREATE INDEX messages_kept ON messages (queue, keeper, number) WHERE state = 2;
    CREATE INDEX messages_dead ON messages (queue, number) WHERE state = 3;
    CREATE INDEX messages_parked ON messages (queue, parked, place, number) WHERE state = 4;

    CREATE TABLE uses (
        queue INTEGER NOT NULL, slot BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (queue, slot, number)
    ) WITHOUT ROWID;
    CREATE TABLE takes (
        queue INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (queue, number)
    ) WITHOUT ROWID;
    CREATE TABLE onces (
        queue INTEGER NOT NULL, name BLOB NOT NULL, number INTEGER NOT NULL, until REAL NOT NULL,
        look REAL NOT NULL, PRIMARY KEY (queue, name)
    ) WITHOUT ROWID;
    CREATE INDEX onces_look ON onces (queue, look, name);

    CREATE TABLE events (
        bus INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL, body INTEGER NOT NULL,
        PRIMARY KEY (bus, seq)
    ) WITHOUT ROWID;
";

/// The tables here whose rows may be left over.
pub(crate) const LEFT_OVER: [&str; 1] = ["bodies WHERE gone = 1"];

/// The tables here whose rows may name payloads.
pub(crate) const NAMING: [&str; 1] = ["bodies"];
