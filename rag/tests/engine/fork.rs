//! Does a forked child search and write, while its parent's threads sleep, and does it leave its parent's handles alone?
//!
//! The test starts itself again as a process that forks, because threads of other tests would hold locks at the fork.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, open, options};
use quorate_core::Code;
use quorate_rag::{CopyOptions, Document, KnowledgeBase, OpenOptions, SearchOptions, Tuning};

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
    // The child's own threads wait for each other.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert!(!reader.versions().unwrap().is_empty());
                    reader.refresh().unwrap();
                }
            });
        }
    });
    let id = std::process::id().to_string();
    let own = open(Path::new(folder));
    own.upsert(vec![Document::new(&id, "written after the fork")]).unwrap();
    assert_eq!(own.search("written fork", &SearchOptions::default()).unwrap()[0].doc_id(), id);
    own.delete(&[&id]).unwrap();
    own.close().unwrap();
}

fn alone(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args([&format!("fork::{name}"), "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_forked_child_works() {
    alone("parent");
}

#[test]
fn a_handle_that_a_child_has_inherited_is_its_parents() {
    alone("owner");
}

#[test]
fn what_a_thread_of_the_parent_was_doing_holds_up_no_child() {
    alone("busy");
}

/// Forks; the child does `work` and leaves.
fn fork(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child does no more than a host's child does: it calls the library, and leaves with `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let fine = catch_unwind(AssertUnwindSafe(work)).is_ok();
        // SAFETY: ends this process, which no test runner waits for.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    child
}

/// How a child ended; it is killed when it has not within a minute.
fn ended(child: libc::pid_t) -> Option<i32> {
    for _ in 0..1200 {
        let mut status = 0;
        // SAFETY: waits for a child of this process; `status` lives as long as the call.
        if unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // SAFETY: it is this process's own child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    None
}

/// What the process does that has a writing handle and forks.
#[test]
fn owner() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let place = Path::new(&folder).join("kb");
    let tuning = common::early();
    let with_thread =
        || KnowledgeBase::open(place.to_str().unwrap(), OpenOptions { tuning: tuning.clone(), ..options() });
    let kb = with_thread().unwrap();
    for i in 0..30 {
        kb.add(vec![Document::new(i.to_string(), "shared")]).unwrap();
    }
    // The child has neither the thread nor the right to write, and closing says nothing to the parent. What a thread of
    // the parent held at the fork, here the one that stores segments, stays `locked`; nothing waits for it.
    let child = fork(|| {
        assert_eq!(kb.add(vec![Document::new("child", "shared")]).unwrap_err().code(), Code::Locked);
        assert_eq!(kb.count(None).unwrap(), 30);
        assert!(kb.refresh().map_or_else(|e| e.code() == Code::Locked, |changed| !changed));
        assert_eq!(with_thread().unwrap_err().code(), Code::Locked);
        kb.close().unwrap();
        kb.close().unwrap();
        assert_eq!(kb.count(None).unwrap_err().code(), Code::Closed);
        assert_eq!(with_thread().unwrap_err().code(), Code::Locked);
    });
    assert_eq!(ended(child), Some(0));
    // Dropping the last handle in a child is no more than closing it.
    let held = std::mem::ManuallyDrop::new(kb.clone());
    let child = fork(|| drop(std::mem::ManuallyDrop::into_inner(held)));
    assert_eq!(ended(child), Some(0));
    kb.add(vec![Document::new("after", "shared")]).unwrap();
    assert_eq!(kb.count(None).unwrap(), 31);

    // Children that are made while other threads of the parent write and search.
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for round in 0..40 {
                let documents = (0..50).map(|i| Document::new(i.to_string(), format!("shared again{round}")));
                kb.upsert(documents.collect()).unwrap();
                kb.search("shared", &SearchOptions::default()).unwrap();
            }
        });
        while !busy.is_finished() {
            let child = fork(|| {
                assert_eq!(kb.delete(&["1"]).unwrap_err().code(), Code::Locked);
                assert!(kb.refresh().is_ok() || kb.refresh().unwrap_err().code() == Code::Locked);
                let found = kb.search("shared", &SearchOptions { k: 100, ..SearchOptions::default() });
                assert!(found.unwrap().len() >= 31);
                let reader = OpenOptions { read_only: true, ..options() };
                let reader = KnowledgeBase::open(place.to_str().unwrap(), reader).unwrap();
                assert!(reader.count(None).unwrap() >= 31);
            });
            assert_eq!(ended(child), Some(0));
        }
    });
    kb.delete(
        &(30..50).map(|i| i.to_string()).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .unwrap();
    assert_eq!(kb.count(None).unwrap(), 31);

    // A child that lives on keeps no lock, neither when the parent closes
    let sleeping = fork(|| std::thread::sleep(Duration::from_secs(300)));
    kb.close().unwrap();
    let again = with_thread().unwrap();
    again.add(vec![Document::new("again", "shared")]).unwrap();
    again.close().unwrap();
    // nor when the parent is killed.
    let middle = fork(|| {
        let kb = with_thread().unwrap();
        let child = fork(|| std::thread::sleep(Duration::from_secs(300)));
        std::fs::write(place.join("../child"), child.to_string()).unwrap();
        std::mem::forget(kb);
        // SAFETY: ends this process at once, as a kill would.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    });
    assert_eq!(ended(middle).map(|status| libc::WTERMSIG(status)), Some(libc::SIGKILL));
    let orphan: libc::pid_t = std::fs::read_to_string(place.join("../child")).unwrap().parse().unwrap();
    // SAFETY: asks whether the process is there.
    assert_eq!(unsafe { libc::kill(orphan, 0) }, 0);
    let next = with_thread();
    for child in [sleeping, orphan] {
        // SAFETY: both are processes that this test has made.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    assert_eq!(next.unwrap().count(None).unwrap(), 32);
}

/// What the process does that forks while a thread of it stores segments, and while one opens a tenant.
#[test]
fn busy() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let place = Path::new(&folder).join("kb");
    let (entered, inside) = channel();
    let (let_go, gate) = channel::<()>();
    let (entered, gate) = (Mutex::new(entered), Mutex::new(gate));
    let armed = Arc::new(AtomicBool::new(false));
    let pause = {
        let armed = armed.clone();
        Arc::new(move || {
            if armed.swap(false, Ordering::SeqCst) {
                entered.lock().unwrap().send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
            }
        })
    };
    let paused = pause.clone();
    let hook = move |at: &'static str| {
        if at == "built" {
            paused();
        }
    };
    let tuning = Tuning { background: false, hook: Some(Arc::new(hook)), ..common::early() };
    let with = || {
        let pause = pause.clone();
        let progress: Arc<quorate_rag::Progress> = Arc::new(move |_, _| pause());
        let open = OpenOptions { tuning: tuning.clone(), progress: Some(progress), ..options() };
        KnowledgeBase::open(place.to_str().unwrap(), open).unwrap()
    };
    let documents = |n: usize| {
        (0..n).map(|i| Document::new(i.to_string(), format!("shared word{i}"))).collect::<Vec<_>>()
    };
    let looks_around = |kb: &KnowledgeBase, to: &str| {
        let report = kb.verify(&CopyOptions::default()).unwrap();
        assert!(report.ok && report.documents == 30, "{report:?}");
        let to = Path::new(&folder).join(to);
        let copied = kb.backup(to.to_str().unwrap(), &CopyOptions::default()).unwrap();
        assert_eq!((copied.tenants, copied.documents), (1, 30));
        assert_eq!(kb.tenant("acme").unwrap().count(None).unwrap(), 10);
    };

    let kb = with();
    kb.add(documents(20)).unwrap();
    kb.tenant("acme").unwrap().add(documents(10)).unwrap();
    armed.store(true, Ordering::SeqCst);
    let storing = std::thread::spawn({
        let kb = kb.clone();
        move || kb.maintain().unwrap()
    });
    inside.recv().unwrap();
    let child = ended(fork(|| looks_around(&kb, "first")));
    let_go.send(()).unwrap();
    storing.join().unwrap();
    assert_eq!(child, Some(0));

    kb.close().unwrap();
    std::fs::remove_dir_all(place.join("index")).unwrap();
    let kb = with();
    armed.store(true, Ordering::SeqCst);
    let opening = std::thread::spawn({
        let kb = kb.clone();
        move || kb.tenant("acme").unwrap().count(None).unwrap()
    });
    inside.recv().unwrap();
    let child = ended(fork(|| looks_around(&kb, "second")));
    let_go.send(()).unwrap();
    assert_eq!(opening.join().unwrap(), 10);
    assert_eq!(child, Some(0));
}
