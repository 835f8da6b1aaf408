//! What does a write leave behind when the disk fails at its worst moment? Failpoints hold for the whole process, so this runs alone:
//! `cargo test --release --workspace --features quorate-rag/failpoints --test engine failpoints:: -- --test-threads 1`.

use crate::common::open;
use quorate_core::Code;
use quorate_rag::{Document, Filter, KnowledgeBase, Mode, SearchOptions};

/// What a failpoint is set to, and the code that its failure has.
const KINDS: [(&str, Code); 2] = [("return", Code::DiskFull), ("return(permission)", Code::PermissionDenied)];

fn docs(from: usize, to: usize) -> Vec<Document> {
    (from..to)
        .map(|i| Document::new(format!("{i}"), format!("number{i} of many")).metadata_field("n", i as i64))
        .collect()
}

/// Whether exactly the documents of these numbers are there and found, by words and by vectors.
fn holds(kb: &KnowledgeBase, numbers: impl Iterator<Item = usize>) {
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(kb.count(None).unwrap(), numbers.len());
    assert_eq!(kb.count(Some(&Filter::parse("n >= 0").unwrap())).unwrap(), numbers.len());
    for mode in [Mode::Lexical, Mode::Dense] {
        for &n in numbers.iter().step_by(numbers.len().div_ceil(7)) {
            let options = SearchOptions { mode, k: 1, ..SearchOptions::default() };
            assert_eq!(
                kb.search(&format!("number{n} of many"), &options).unwrap()[0].doc_id(),
                n.to_string()
            );
        }
    }
}

#[test]
fn a_failed_write_changes_nothing_and_the_next_one_works() {
    let scenario = fail::FailScenario::setup();
    for point in ["store-write", "store-commit"] {
        for (kind, code) in KINDS {
            let folder = tempfile::tempdir().unwrap();
            let kb = open(folder.path());
            kb.add(docs(0, 5)).unwrap();
            kb.delete(&["4"]).unwrap();
            let versions = kb.versions().unwrap();
            fail::cfg(point, kind).unwrap();
            assert_eq!(kb.add(docs(5, 9)).unwrap_err().code(), code);
            assert_eq!(kb.upsert(docs(3, 7)).unwrap_err().code(), code);
            assert_eq!(kb.delete(&["1"]).unwrap_err().code(), code);
            assert_eq!(kb.delete_where(&Filter::parse("n < 3").unwrap()).unwrap_err().code(), code);
            assert_eq!(kb.update_metadata("1", docs(9, 10)[0].metadata.clone()).unwrap_err().code(), code);
            assert_eq!(kb.compact().unwrap_err().code(), code);
            holds(&kb, 0..4);
            assert_eq!(kb.versions().unwrap(), versions);
            fail::cfg(point, "off").unwrap();
            kb.add(docs(5, 9)).unwrap();
            holds(&kb, (0..4).chain(5..9));
            kb.compact().unwrap();
            drop(kb);
            holds(&open(folder.path()), (0..4).chain(5..9));
        }
    }
    scenario.teardown();
}

#[test]
fn a_tenant_that_cannot_be_created_can_be_later() {
    let scenario = fail::FailScenario::setup();
    for (kind, code) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        let acme = kb.tenant("acme").unwrap();
        fail::cfg("store-create", kind).unwrap();
        assert_eq!(acme.add(docs(0, 3)).unwrap_err().code(), code);
        assert_eq!(acme.count(None).unwrap(), 0);
        fail::cfg("store-create", "off").unwrap();
        acme.add(docs(0, 3)).unwrap();
        holds(&acme, 0..3);
        kb.close().unwrap();
        holds(&open(folder.path()).tenant("acme").unwrap(), 0..3);
    }
    scenario.teardown();
}

#[test]
fn versions_that_cannot_be_removed_harm_nothing() {
    let scenario = fail::FailScenario::setup();
    for (kind, code) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        kb.add(docs(0, 5)).unwrap();
        kb.delete(&["2"]).unwrap();
        fail::cfg("store-prune", kind).unwrap();
        assert_eq!(kb.compact().unwrap_err().code(), code);
        holds(&kb, [0, 1, 3, 4].into_iter());
        kb.add(docs(5, 6)).unwrap();
        fail::cfg("store-prune", "off").unwrap();
        kb.compact().unwrap();
        assert_eq!(kb.versions().unwrap().len(), 1);
        kb.close().unwrap();
        holds(&open(folder.path()), [0, 1, 3, 4, 5].into_iter());
    }
    scenario.teardown();
}

/// A shadow that cannot be stored costs nothing but the next opening's time.
#[test]
fn indexes_that_cannot_be_stored_stay_in_memory() {
    let scenario = fail::FailScenario::setup();
    for point in ["shadow-write", "shadow-lexical", "shadow-manifest"] {
        for (kind, code) in KINDS {
            let folder = tempfile::tempdir().unwrap();
            let kb = open(folder.path());
            kb.add(docs(0, 50)).unwrap();
            fail::cfg(point, kind).unwrap();
            assert_eq!(kb.compact().unwrap_err().code(), code);
            kb.add(docs(50, 60)).unwrap();
            holds(&kb, 0..60);
            assert_eq!(kb.close().unwrap_err().code(), code);
            fail::cfg(point, "off").unwrap();
            let kb = open(folder.path());
            holds(&kb, 0..60);
            kb.close().unwrap();
            assert!(folder.path().join("index/documents/MANIFEST").exists());
            holds(&open(folder.path()), 0..60);
        }
    }
    scenario.teardown();
}

#[test]
fn a_graph_that_cannot_be_stored_is_built_later() {
    let scenario = fail::FailScenario::setup();
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    for (kind, code) in KINDS {
        fail::cfg("shadow-graph", kind).unwrap();
        let n = kb.count(None).unwrap();
        kb.add(docs(n, n + 4500)).unwrap();
        assert_eq!(kb.compact().unwrap_err().code(), code);
        let options = SearchOptions { mode: Mode::Lexical, k: 1, ..SearchOptions::default() };
        assert_eq!(kb.search("number4321", &options).unwrap()[0].doc_id(), "4321");
    }
    fail::cfg("shadow-graph", "off").unwrap();
    kb.compact().unwrap();
    kb.close().unwrap();
    let mut graphs = 0;
    for entry in std::fs::read_dir(folder.path().join("index/documents")).unwrap().flatten() {
        graphs += usize::from(entry.path().join("dense.hnsw").exists());
    }
    assert_eq!(graphs, 1);
    assert_eq!(open(folder.path()).count(None).unwrap(), 9000);
    scenario.teardown();
}

/// The commit is made, and the disk does not confirm it: what is there is shown, and the error says so.
#[test]
fn a_commit_that_the_disk_does_not_confirm_is_there_and_said_to_be() {
    let scenario = fail::FailScenario::setup();
    for (kind, code) in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        kb.add(docs(0, 5)).unwrap();
        fail::cfg("store-sync", kind).unwrap();
        let error = kb.add(docs(5, 9)).unwrap_err();
        assert!(error.code() == code && error.message().contains("is there from now on"), "{error}");
        holds(&kb, 0..9);
        assert_eq!(kb.add(docs(8, 10)).unwrap_err().code(), Code::DuplicateId);
        assert!(kb.delete(&["0"]).unwrap_err().message().contains("is there from now on"));
        holds(&kb, 1..9);
        assert!(kb.compact().unwrap_err().message().contains("is there from now on"));
        fail::cfg("store-sync", "off").unwrap();
        kb.add(docs(9, 12)).unwrap();
        holds(&kb, 1..12);
        kb.close().unwrap();
        holds(&open(folder.path()), 1..12);
    }
    scenario.teardown();
}

/// What is only tidying fails behind the commit, and costs nothing.
#[test]
fn small_segments_that_cannot_be_merged_stay_as_they_are() {
    let scenario = fail::FailScenario::setup();
    fail::cfg("shadow-small", "return").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    for i in 0..30 {
        kb.add(docs(i, i + 1)).unwrap();
    }
    holds(&kb, 0..30);
    fail::cfg("shadow-small", "off").unwrap();
    kb.add(docs(30, 31)).unwrap();
    assert!(kb.stats().unwrap().segments < 20);
    drop(kb);
    holds(&open(folder.path()), 0..31);
    scenario.teardown();
}

#[test]
fn a_tenant_is_dropped_and_who_drops_it_is_told_that_files_of_it_stay() {
    let scenario = fail::FailScenario::setup();
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let acme = kb.tenant("acme").unwrap();
    acme.add(docs(0, 5)).unwrap();
    fail::cfg("store-remove", "return(permission)").unwrap();
    let error = kb.drop_tenant("acme").unwrap_err();
    assert!(error.code() == Code::PermissionDenied && error.message().contains("is gone"), "{error}");
    fail::cfg("store-remove", "off").unwrap();
    assert_eq!((acme.count(None).unwrap(), kb.tenants().unwrap().len()), (0, 0));
    acme.add(docs(7, 9)).unwrap();
    kb.close().unwrap();
    holds(&open(folder.path()).tenant("acme").unwrap(), 7..9);
    let left = std::fs::read_dir(folder.path().join("truth")).unwrap().flatten();
    let left: Vec<_> = left.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.starts_with("removed-")), "{left:?}");
    scenario.teardown();
}
