//! Does a forked child search and write, while its parent's threads sleep?
//!
//! The test starts itself again as a process that forks, because threads of other tests would hold locks at the fork.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use crate::common::{open, options};
use quorate_rag::{Document, KnowledgeBase, OpenOptions, SearchOptions};

const FOLDER: &str = "QUORATE_FORK_FOLDER";

/// What the process does that forks.
#[test]
fn parent() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let writer = open(Path::new(&folder));
    let documents = (0..300).map(|i| Document::new(i.to_string(), format!("shared word{i}")));
    writer.add(documents.collect()).unwrap();
    writer.search("shared", &SearchOptions::default()).unwrap();
    writer.close().unwrap();
    let reader = KnowledgeBase::open(&folder, OpenOptions { read_only: true, ..options() }).unwrap();
    reader.versions().unwrap();
    for _ in 0..2 {
        // SAFETY: the child does no more than a host's child does: it calls the library, and leaves with `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let fine = catch_unwind(AssertUnwindSafe(|| child_of(&folder, &reader))).is_ok();
            // SAFETY: ends this process, which no test runner waits for.
            unsafe { libc::_exit(i32::from(!fine)) };
        }
        let mut status = -1;
        // SAFETY: waits for the child that was just made; `status` lives as long as the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
    assert_eq!(reader.search("word7", &SearchOptions::default()).unwrap()[0].doc_id(), "7");
}

fn child_of(folder: &str, reader: &KnowledgeBase) {
    assert_eq!(reader.search("word7", &SearchOptions::default()).unwrap()[0].doc_id(), "7");
    assert_eq!(reader.search_batch(&["word1", "word2"], &SearchOptions::default()).unwrap().len(), 2);
    assert!(!reader.versions().unwrap().is_empty());
    let id = std::process::id().to_string();
    let own = open(Path::new(folder));
    own.upsert(vec![Document::new(&id, "written after the fork")]).unwrap();
    assert_eq!(own.search("written fork", &SearchOptions::default()).unwrap()[0].doc_id(), id);
    own.delete(&[&id]).unwrap();
    own.close().unwrap();
}

#[test]
fn a_forked_child_works() {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["fork::parent", "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
