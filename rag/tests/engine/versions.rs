//! Is a version shown as it was, or not at all, while a writer prunes?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{numbered, open, options, state};
use quorate_core::Code;
use quorate_rag::{Document, Durability, KnowledgeBase, OpenOptions};

fn one(id: usize, n: i64) -> Vec<Document> {
    vec![numbered(&format!("d{id}"), n)]
}

#[test]
fn each_version_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let mut seen = BTreeMap::new();
    for i in 0..12 {
        kb.upsert(one(i % 5, 2 * i as i64)).unwrap();
        if i % 4 == 3 {
            kb.delete(&["d0"]).unwrap();
        }
        seen.insert(kb.stats().unwrap().version, state(&kb));
    }
    for (&version, then) in &seen {
        let past = kb.at(version).unwrap();
        assert_eq!(past.stats().unwrap().version, version);
        assert_eq!(state(&past), *then);
    }
    kb.compact().unwrap();
    for &version in seen.keys() {
        assert_eq!(kb.at(version).unwrap_err().code(), Code::UnknownId);
    }
    assert_eq!(kb.at(1 << 40).unwrap_err().code(), Code::UnknownId);
}

/// The list of a version is there, its rows are not: that is damage, and no reason to show another version.
#[test]
fn a_version_without_its_files_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("truth/documents.lance/data");
    let files =
        || -> Vec<PathBuf> { std::fs::read_dir(&data).unwrap().flatten().map(|e| e.path()).collect() };
    let kb = open(folder.path());
    for i in 0..5 {
        kb.add(one(i, 0)).unwrap();
    }
    let version = kb.stats().unwrap().version;
    let old = files();
    // What is there now is no part of the newest version any more.
    for i in 0..80 {
        kb.add(one(5 + i, 0)).unwrap();
    }
    kb.maintain().unwrap();
    assert_eq!(kb.at(version).unwrap().count(None).unwrap(), 5);
    old.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    for read_only in [false, true] {
        let handle = match read_only {
            false => kb.clone(),
            true => {
                let options = OpenOptions { read_only, ..options() };
                KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap()
            }
        };
        let error = handle.at(version).unwrap_err();
        assert!(matches!(error.code(), Code::Corrupt | Code::Io | Code::NotFound), "{error}");
        assert_eq!(handle.count(None).unwrap(), 85);
    }
}

/// `QUORATE_TORTURE_SECONDS` sets how long.
#[test]
fn a_reader_beside_a_writer_that_prunes_sees_no_damage_and_no_other_version() {
    let seconds: u64 =
        std::env::var("QUORATE_TORTURE_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let fast = || OpenOptions { durability: Durability::Process, keep_versions: 2, ..options() };
    let kb = KnowledgeBase::open(place, fast()).unwrap();
    kb.add(one(0, 0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = KnowledgeBase::open(place, OpenOptions { read_only: true, ..fast() }).unwrap();
                let (mut rounds, mut shown) = (0, 0);
                while !done.load(Ordering::Acquire) {
                    reader.refresh().unwrap();
                    for version in reader.versions().unwrap().iter().take(2) {
                        match reader.at(version.version) {
                            Ok(past) => {
                                assert_eq!(past.stats().unwrap().version, version.version);
                                shown += 1;
                            }
                            Err(error) => assert_eq!(error.code(), Code::UnknownId, "{error}"),
                        }
                    }
                    let fresh =
                        KnowledgeBase::open(place, OpenOptions { read_only: true, ..fast() }).unwrap();
                    assert!(fresh.count(None).unwrap() >= 1);
                    rounds += 1;
                }
                assert!(rounds > 0 && shown > 0, "{rounds} rounds, {shown} versions shown");
            });
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut n = 0i64;
        while Instant::now() < until {
            n += 2;
            kb.upsert(
                vec![numbered("d0", n), numbered(&format!("d{}", n % 50), n)]
                    .into_iter()
                    .skip(usize::from(n % 50 == 0))
                    .collect(),
            )
            .unwrap();
            if n % 8 == 0 {
                kb.compact().unwrap();
            }
        }
        done.store(true, Ordering::Release);
    });
}
