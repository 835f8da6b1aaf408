//! Is what was deleted gone from the disk?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use quorate_state::{Begun, Entry, MAX_INLINE_BYTES, NewRun, StateStore};
use serde_json::json;

/// How many files of a folder have a text. By another process: one that closes a file of SQLite's loses its own locks.
fn files_with(folder: &Path, text: &str) -> usize {
    let out = Command::new("grep").args(["-r", "-a", "-l", "-F", text]).arg(folder).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().count()
}

fn payloads(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("payloads")).unwrap().count()
}

#[test]
fn a_deleted_run_leaves_no_byte_of_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = StateStore::open(path).unwrap();
    // Runs side by side, with entries of many lengths, so that every page has something of several runs.
    let ids: Vec<String> = (0..8).map(|i| format!("SECRET{i}ID")).collect();
    let runs: Vec<_> = (0..8)
        .map(|i| {
            let (title, key) = (format!("SECRET{i}TITLE"), format!("SECRET{i}KEY"));
            let (kind, parent) = (format!("SECRET{i}KIND"), format!("SECRET{i}PARENT"));
            let new = NewRun {
                id: Some(&ids[i]),
                kind: &kind,
                tenant: Some("t"),
                title: &title,
                parent: Some(&parent),
                key: Some(&key),
            };
            match store.begin(&new, &[]).unwrap() {
                Begun::New(run) => run,
                Begun::Known(_) => panic!(),
            }
        })
        .collect();
    for seq in 1..=60_u64 {
        for (i, run) in runs.iter().enumerate() {
            let length = (seq as usize * 37 + i * 101) % 900 * if seq % 9 == 0 { 30 } else { 1 };
            let text = format!("SECRET{i}BEGIN{}SECRET{i}END", "x".repeat(length));
            run.append(&[Entry::new(seq, format!("SECRET{i}STEP"), text)], None).unwrap();
        }
    }
    drop(runs);
    let expected: Vec<_> = ids.iter().map(|id| store.entries(Some("t"), id, 1).unwrap()).collect();
    for (i, id) in ids.iter().enumerate() {
        assert!(files_with(path, &format!("SECRET{i}")) > 0);
        store.delete(Some("t"), id).unwrap();
        assert_eq!(files_with(path, &format!("SECRET{i}")), 0, "run {i}, while the store is open");
        for (j, id) in ids.iter().enumerate().skip(i + 1) {
            assert_eq!(store.entries(Some("t"), id, 1).unwrap(), expected[j]);
        }
    }
    drop(store);
    assert_eq!(files_with(path, "SECRET"), 0);
}

#[test]
fn removed_and_replaced_values_leave_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    for i in 0..200 {
        store
            .put(None, "facts", &format!("KEY{i}K"), &json!(format!("SECRET{i}S{}", "x".repeat(i * 7))))
            .unwrap();
    }
    store.put(None, "facts", "KEY7K", &json!("SECRETNEW")).unwrap();
    for i in (0..200).step_by(3) {
        assert!(store.remove(None, "facts", &format!("KEY{i}K")).unwrap());
        assert_eq!(files_with(folder.path(), &format!("SECRET{i}S")), 0);
        assert_eq!(files_with(folder.path(), &format!("KEY{i}K")), 0);
    }
    assert_eq!(files_with(folder.path(), "SECRET7S"), 0, "it was replaced");
    assert_eq!(store.list(None, "facts").unwrap().len(), 133);
}

#[test]
fn payloads_are_shared_and_go_with_the_last_that_uses_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = StateStore::open(path).unwrap();
    let large = json!(format!("SECRET{}", "z".repeat(MAX_INLINE_BYTES)));
    for id in ["a", "b"] {
        let run = support::begin(&store, id);
        run.append(&[Entry::new(1, "k", large.clone()), Entry::new(2, "k", large.clone())], None).unwrap();
    }
    store.put(None, "s", "k", &large).unwrap();
    assert_eq!((payloads(path), files_with(path, "SECRET")), (1, 1));
    store.delete(None, "a").unwrap();
    assert_eq!(store.entries(None, "b", 1).unwrap()[1].data, large);
    store.delete(None, "b").unwrap();
    assert_eq!(store.get(None, "s", "k").unwrap(), Some(large));
    store.put(None, "s", "k", &json!(1)).unwrap();
    assert_eq!((payloads(path), files_with(path, "SECRET")), (0, 0));
}

#[test]
fn the_file_shrinks_when_half_of_it_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let text = "x".repeat(60_000);
    let kept = support::begin(&store, "kept");
    kept.append(&[Entry::new(1, "k", "KEPT")], None).unwrap();
    for i in 0..300 {
        store.put(None, "s", "k", &json!(format!("{i}{text}"))).unwrap();
    }
    let size = || std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(size() < 10 << 20, "{}", size());
    assert!(store.remove(None, "s", "k").unwrap());
    assert_eq!(kept.entries().unwrap()[0].data, "KEPT");
    kept.append(&[support::entry(2)], None).unwrap();
}

#[test]
fn threads_delete_and_write_shared_payloads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let large = json!("w".repeat(MAX_INLINE_BYTES));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, large) = (store.clone(), &large);
            scope.spawn(move || {
                for i in 0..15 {
                    let id = format!("r{thread}-{i}");
                    let run = support::begin(&store, &id);
                    run.append(&[Entry::new(1, "k", large.clone())], Some("done")).unwrap();
                    assert_eq!(run.entries().unwrap()[0].data, *large);
                    drop(run);
                    store.delete(None, &id).unwrap();
                }
            });
        }
    });
    assert_eq!(payloads(folder.path()), 0);
}

#[test]
fn what_a_crash_left_half_written_is_swept_up_when_it_is_old_enough() {
    let folder = tempfile::tempdir().unwrap();
    drop(StateStore::open(folder.path()).unwrap());
    let left = folder.path().join("payloads/0.1.tmp");
    std::fs::write(&left, "SECRET").unwrap();
    std::fs::write(folder.path().join("holders/0.lock"), "").unwrap();
    drop(StateStore::open(folder.path()).unwrap());
    assert!(left.exists(), "somebody may be writing it");
    let hour = std::time::Duration::from_secs(3600);
    let file = std::fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(std::time::SystemTime::now() - hour).unwrap();
    drop(StateStore::open(folder.path()).unwrap());
    assert!(!left.exists());
    assert_eq!(std::fs::read_dir(folder.path().join("holders")).unwrap().count(), 0);
}

#[test]
fn large_values_that_are_replaced_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let value = |i: usize, round: usize| json!(format!("{i} {round} ").repeat(MAX_INLINE_BYTES / 4));
    (0..20).for_each(|i| store.put(None, "s", &format!("k{i:02}"), &value(i, 0)).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                for round in (1..).take_while(|_| !done.load(std::sync::atomic::Ordering::Relaxed)) {
                    let i = round % 10 * 2 + thread;
                    store.put(None, "s", &format!("k{i:02}"), &value(i, round)).unwrap();
                }
            });
        }
        let read = (0..60).map(|_| store.list(None, "s")).collect::<Result<Vec<_>, _>>();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(read.unwrap().iter().all(|values| values.len() == 20));
    });
}
