//! Can two ever write to one thread, whatever happened to it in between?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use quorate_core::Code;
use quorate_state::{Checkpoints, Guard, NewCheckpoint, NewWrite, NewWrites, StateStore};
use serde_json::json;
use support::is;

/// Does the same in memory, and in a folder that is opened again before each look.
fn both(test: impl Fn(&dyn Fn() -> Checkpoints)) {
    let memory = StateStore::memory();
    test(&|| memory.checkpoints(None).unwrap());
    let folder = tempfile::tempdir().unwrap();
    test(&|| StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap());
}

fn of_run<'a>(thread: &'a str, id: &'a str, run: &str) -> NewCheckpoint<'a> {
    let metadata = Arc::new(json!({"run_id": run}));
    NewCheckpoint { id: Some(id), metadata, durable: false, ..NewCheckpoint::new(thread) }
}

fn write<'a>(thread: &'a str, guard: Guard<'a>) -> NewWrites<'a> {
    NewWrites {
        thread,
        namespace: "",
        checkpoint: "c1",
        task: "task",
        path: "",
        writes: vec![NewWrite { index: 0, channel: "ch".into(), value: Arc::new(json!(1)) }],
        guard,
        claim: false,
        durable: false,
    }
}

#[test]
fn a_fence_outlives_its_thread() {
    both(|store| {
        let mut had = Vec::new();
        for round in 0..4_u64 {
            // In other rounds it is claimed more often, or less, than before.
            let claims = [3, 1, 2, 1][round as usize];
            let mut fence = 0;
            for _ in 0..claims {
                fence = store().claim("t", Guard::None).unwrap();
            }
            store().put(&NewCheckpoint { guard: Guard::Fence(fence), ..of_run("t", "c1", "r") }).unwrap();
            for older in &had {
                let guard = Guard::Fence(*older);
                is(store().put(&NewCheckpoint { guard, ..of_run("t", "c2", "r") }), Code::StaleWrite);
                is(store().put_writes(&write("t", guard)), Code::StaleWrite);
                is(store().claim("t", guard), Code::StaleWrite);
            }
            had.push(fence);
            assert!(store().delete("t").unwrap());
            assert!(!store().delete("t").unwrap(), "it is gone");
            assert!(store().threads().unwrap().is_empty());
            // Also while nobody has begun it again.
            for older in &had {
                let guard = Guard::Fence(*older);
                is(store().put(&NewCheckpoint { guard, ..of_run("t", "c2", "r") }), Code::StaleWrite);
                is(store().put_writes(&write("t", guard)), Code::StaleWrite);
                assert_ne!(store().fence("t").unwrap(), *older);
            }
            assert!(store().get("t", "", None).unwrap().is_none());
        }
        // A thread that another one's removal has nothing to do with keeps its own.
        let fence = store().claim("u", Guard::None).unwrap();
        store().claim("v", Guard::None).unwrap();
        assert!(store().delete("v").unwrap());
        store().put(&NewCheckpoint { guard: Guard::Fence(fence), ..of_run("u", "c1", "r") }).unwrap();
    });
}

#[test]
fn whoever_runs_a_thread_loses_it_when_checkpoints_of_a_run_are_removed() {
    both(|store| {
        let first = NewCheckpoint { claim: true, ..of_run("t", "c1", "one") };
        let fence = store().put(&first).unwrap().fence;
        let other = store().put(&NewCheckpoint { claim: true, ..of_run("u", "c1", "two") }).unwrap().fence;
        assert_eq!(store().delete_for_runs(&["one", "nobody's"]).unwrap(), 1);
        let guard = Guard::Fence(fence);
        is(store().put(&NewCheckpoint { guard, ..of_run("t", "c2", "one") }), Code::StaleWrite);
        is(store().put_writes(&write("t", guard)), Code::StaleWrite);
        // Of another thread nothing was removed.
        store().put_writes(&write("u", Guard::Fence(other))).unwrap();
        assert_eq!(store().delete_for_runs(&["one"]).unwrap(), 0);
        store().put_writes(&write("u", Guard::Fence(other))).unwrap();
    });
}

#[test]
fn whoever_has_claimed_an_empty_thread_loses_it_to_a_copy_or_a_fork() {
    both(|store| {
        store().put(&of_run("from", "c1", "r")).unwrap();
        for (to, fork) in [("a", false), ("b", true)] {
            let fence = store().claim(to, Guard::None).unwrap();
            if fork {
                store().fork("from", "", "c1", to).unwrap();
            } else {
                store().copy("from", to).unwrap();
            }
            is(store().put_writes(&write(to, Guard::Fence(fence))), Code::StaleWrite);
        }
    });
}

#[test]
fn ids_that_differ_by_the_case_of_their_letters_are_two() {
    let (lower, upper) = ("1f0c2c1e-0000-6000-8000-00000000000a", "1F0C2C1E-0000-6000-8000-00000000000A");
    both(|store| {
        for id in [lower, upper] {
            store().put(&NewCheckpoint { data: Arc::new(json!(id)), ..of_run("t", id, "r") }).unwrap();
        }
        for id in [lower, upper] {
            assert_eq!(store().get("t", "", Some(id)).unwrap().unwrap().data, json!(id));
        }
        // What tasks wrote stands in the order of bytes: upper case comes first.
        for task in ["b", "B", "a", "A", "\u{e9}", "E"] {
            let new = NewWrites { task, checkpoint: lower, ..write("t", Guard::None) };
            store().put_writes(&new).unwrap();
        }
        let found = store().get("t", "", Some(lower)).unwrap().unwrap();
        let tasks: Vec<&str> = found.writes.iter().map(|write| write.task.as_str()).collect();
        assert_eq!(tasks, ["A", "B", "E", "a", "b", "\u{e9}"]);
    });
}

#[test]
fn who_has_looked_before_a_claim_does_not_get_the_thread() {
    both(|store| {
        store().put(&of_run("t", "c1", "r")).unwrap();
        let looked = store().fence("t").unwrap();
        let same = Guard::Same(Some("c1"), looked);
        is(store().claim("t", Guard::Same(None, looked)), Code::StaleWrite);
        is(store().claim("t", Guard::Same(Some("c2"), looked)), Code::StaleWrite);
        let had = store().claim("t", same).unwrap();
        assert_eq!(had, looked + 1);
        is(store().claim("t", same), Code::StaleWrite);
        // What is written with a claim is a claim too.
        let again = Guard::Same(Some("c1"), had);
        store().put_writes(&NewWrites { claim: true, ..write("t", Guard::Fence(had)) }).unwrap();
        assert_eq!(store().fence("t").unwrap(), had + 1);
        is(store().claim("t", again), Code::StaleWrite);
        is(store().put_writes(&write("t", Guard::Fence(had))), Code::StaleWrite);
        store().put_writes(&write("t", Guard::Fence(had + 1))).unwrap();
    });
}
