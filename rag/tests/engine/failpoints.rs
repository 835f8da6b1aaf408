//! What does a write leave behind when the disk fails at its worst moment? Failpoints hold for the whole process, so this runs alone:
//! `cargo test --release -p quorate-rag --features failpoints --test engine failpoints`.

use crate::common::open;
use quorate_core::Code;
use quorate_rag::{Document, Mode, SearchOptions};

fn docs(from: usize, to: usize) -> Vec<Document> {
    (from..to).map(|i| Document::new(format!("{i}"), format!("number{i} of many"))).collect()
}

#[test]
fn a_failed_write_changes_nothing_and_the_next_one_works() {
    let scenario = fail::FailScenario::setup();
    for (point, code) in [("store-write", Code::DiskFull), ("store-commit", Code::Io)] {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        kb.add(docs(0, 5)).unwrap();
        fail::cfg(point, "return").unwrap();
        assert_eq!(kb.add(docs(5, 9)).unwrap_err().code(), code);
        assert_eq!(kb.upsert(docs(3, 7)).unwrap_err().code(), code);
        assert_eq!(kb.delete(&["1"]).unwrap_err().code(), code);
        assert_eq!(kb.count(None).unwrap(), 5);
        fail::cfg(point, "off").unwrap();
        kb.add(docs(5, 9)).unwrap();
        assert_eq!(kb.count(None).unwrap(), 9);
        drop(kb);
        assert_eq!(open(folder.path()).count(None).unwrap(), 9);
    }
    // A shadow that cannot be stored costs nothing but the next opening's time.
    for point in ["shadow-write", "shadow-manifest"] {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        kb.add(docs(0, 50)).unwrap();
        fail::cfg(point, "return").unwrap();
        assert_eq!(kb.compact().unwrap_err().code(), Code::DiskFull);
        kb.add(docs(50, 60)).unwrap();
        let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
        assert_eq!(kb.search("number55", &lexical).unwrap().len(), 1);
        assert!(kb.close().is_err());
        fail::cfg(point, "off").unwrap();
        let kb = open(folder.path());
        assert_eq!(kb.count(None).unwrap(), 60);
        assert_eq!(kb.search("number55", &lexical).unwrap().len(), 1);
    }
    scenario.teardown();
}
