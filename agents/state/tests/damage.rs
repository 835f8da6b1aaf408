//! What does a store say when its files are not what it wrote?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use quorate_core::Code;
use quorate_state::{Entry, MAX_INLINE_BYTES, StateStore};
use serde_json::json;
use support::{begin, entry, is};

fn written(folder: &std::path::Path) {
    let store = StateStore::open(folder).unwrap();
    let run = begin(&store, "r");
    for seq in 1..=200 {
        run.append(&[entry(seq)], None).unwrap();
    }
    let large = json!("p".repeat(MAX_INLINE_BYTES));
    run.append(&[Entry::new(201, "large", large)], None).unwrap();
    store.put(None, "s", "k", &json!("value")).unwrap();
}

#[test]
fn another_file_in_its_place_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let text = "this is no database ".repeat(500);
    std::fs::write(&path, &text).unwrap();
    let error = StateStore::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    assert!(error.message().contains("state.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    is(StateStore::open(folder.path()), Code::Corrupt);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let path = folder.path().join("state.db");
    let ours: i64 = {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let ours = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        connection.execute_batch("PRAGMA user_version = 1000").unwrap();
        ours
    };
    is(StateStore::open(folder.path()), Code::FormatVersion);
    let back = format!("PRAGMA user_version = {ours}");
    rusqlite::Connection::open(&path).unwrap().execute_batch(&back).unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    assert_eq!(store.entries(None, "r", 1).unwrap().len(), 201);
}

#[test]
fn a_lost_database_is_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    std::fs::remove_file(folder.path().join("state.db")).unwrap();
    is(StateStore::open(folder.path()), Code::Corrupt);
    assert!(!folder.path().join("state.db").exists());
    assert_eq!(std::fs::read_dir(folder.path().join("payloads")).unwrap().count(), 1);
}

#[test]
fn an_emptied_database_is_not_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    std::fs::File::create(folder.path().join("state.db")).unwrap();
    // A holder that has ended: whoever opens the folder would sweep up what no row names.
    std::fs::write(folder.path().join("holders/0.lock"), "").unwrap();
    is(StateStore::open(folder.path()), Code::Corrupt);
    assert_eq!(std::fs::read_dir(folder.path().join("payloads")).unwrap().count(), 1);
}

#[test]
fn a_damaged_payload_is_named() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let file = std::fs::read_dir(folder.path().join("payloads")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let error = store.entries(None, "r", 1).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    assert!(error.message().contains(file.file_name().unwrap().to_str().unwrap()), "{error}");
    std::fs::remove_file(&file).unwrap();
    is(store.entries(None, "r", 1), Code::Corrupt);
    // Who writes the same again makes it whole.
    let run = begin(&store, "again");
    run.append(&[Entry::new(1, "k", json!("p".repeat(MAX_INLINE_BYTES)))], None).unwrap();
    assert_eq!(store.entries(None, "r", 201).unwrap().len(), 1);
}

#[test]
fn a_flipped_byte_is_never_taken_for_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let path = folder.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let expected = store.entries(None, "r", 1).unwrap();
    drop(store);
    let mut refused = 0;
    for round in 0..150_usize {
        let mut bytes = whole.clone();
        let at = (round * 7919) % bytes.len();
        bytes[at] ^= 1 << (round % 8);
        std::fs::write(&path, &bytes).unwrap();
        let read = StateStore::open(folder.path()).and_then(|store| store.entries(None, "r", 1));
        match read {
            Ok(entries) => assert_eq!(entries, expected, "byte {at}"),
            Err(error) => {
                refused += 1;
                let known = [Code::Corrupt, Code::FormatVersion, Code::UnknownId, Code::Io, Code::Internal];
                assert!(known.contains(&error.code()), "byte {at}: {error}");
            }
        }
        for left in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(left));
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_truncated_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let path = folder.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let read = StateStore::open(folder.path()).and_then(|store| store.entries(None, "r", 1));
    is(read, Code::Corrupt);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_only_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let holders = folder.path().join("holders");
    std::fs::set_permissions(&holders, std::fs::Permissions::from_mode(0o555)).unwrap();
    let opened = StateStore::open(folder.path());
    std::fs::set_permissions(&holders, std::fs::Permissions::from_mode(0o755)).unwrap();
    // The superuser may write everywhere.
    if let Err(error) = opened {
        assert_eq!(error.code(), Code::PermissionDenied);
    }
}
