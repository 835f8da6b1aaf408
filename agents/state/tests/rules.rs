//! Does a store keep its rules, in a folder and in memory?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use quorate_core::Code;
use quorate_state::{Begun, Entry, MAX_INLINE_BYTES, NewRun, StateStore};
use serde_json::json;
use support::{begin, code, entry, is, named};

/// Runs a check with both kinds of store.
fn check(test: impl Fn(&StateStore)) {
    test(&StateStore::memory());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap());
}

#[test]
fn entries_are_read_as_they_were_written() {
    check(|store| {
        let data = [
            json!(null),
            json!({"z": [1, -2.5, 1e300, "\u{0}\u{1F600}"], "a": {}}),
            json!(u64::MAX),
            json!("x".repeat(3 * MAX_INLINE_BYTES)),
            json!(0.1 + 0.2),
        ];
        let run = begin(store, "r");
        let times = [0.0, -0.0, 1.5, 1_764_500_000.123_456_7, 1e15];
        let entries: Vec<Entry> = (1..)
            .zip(data.iter().zip(times))
            .map(|(seq, (data, time))| Entry { seq, time, kind: "k\u{e9}".into(), data: data.clone() })
            .collect();
        run.append(&entries[..2], None).unwrap();
        run.append(&entries[2..], Some("waiting")).unwrap();
        assert_eq!(run.entries().unwrap(), entries);
        assert_eq!(store.entries(None, "r", 0).unwrap(), entries);
        assert_eq!(store.entries(None, "r", 4).unwrap(), entries[3..]);
        assert_eq!(store.entries(None, "r", 6).unwrap(), []);
        assert_eq!(store.entries(None, "r", u64::MAX).unwrap(), []);
        let row = store.run(None, "r").unwrap();
        assert_eq!((row.status.as_str(), row.entries, row.cancelled), ("waiting", 5, false));
        assert!(row.updated >= row.created && row.created > 1.7e9);
    });
}

#[test]
fn numbers_follow_without_gaps() {
    check(|store| {
        is(store.begin(&named("x"), &[entry(2)]), Code::StaleWrite);
        let run = begin(store, "r");
        is(run.append(&[entry(2)], None), Code::StaleWrite);
        is(run.append(&[entry(0)], None), Code::StaleWrite);
        is(run.append(&[entry(1), entry(3)], None), Code::StaleWrite);
        run.append(&[entry(1), entry(2)], None).unwrap();
        is(run.append(&[entry(2)], None), Code::StaleWrite);
        is(run.append(&[Entry { time: f64::INFINITY, ..entry(3) }], None), Code::NotFinite);
        is(run.append(&[Entry { kind: String::new(), ..entry(3) }], None), Code::InvalidArgument);
        is(run.append(&[], Some("interrupted")), Code::InvalidArgument);
        run.append(&[entry(3)], None).unwrap();
        assert_eq!(store.entries(None, "r", 1).unwrap().len(), 3);
    });
}

#[test]
fn one_holds_a_run_at_a_time() {
    check(|store| {
        is(store.take(None, "r"), Code::UnknownId);
        let run = begin(store, "r");
        is(store.begin(&named("r"), &[]), Code::DuplicateId);
        is(store.take(None, "r"), Code::RunConflict);
        is(store.delete(None, "r"), Code::RunConflict);
        assert_eq!(store.run(None, "r").unwrap().status, "running");
        drop(run);
        assert_eq!(store.run(None, "r").unwrap().status, "interrupted");
        assert_eq!(store.runs(None, Some("interrupted")).unwrap().len(), 1);
        assert_eq!(store.runs(None, Some("running")).unwrap().len(), 0);
        let run = store.take(None, "r").unwrap();
        assert_eq!(run.id(), "r");
        is(store.take(None, "r"), Code::RunConflict);
        run.append(&[entry(1)], Some("done")).unwrap();
        run.finish().unwrap();
        assert_eq!(store.run(None, "r").unwrap().status, "done");
        store.delete(None, "r").unwrap();
        is(store.delete(None, "r"), Code::UnknownId);
        is(store.entries(None, "r", 1), Code::UnknownId);
        is(store.cancel(None, "r"), Code::UnknownId);
    });
}

#[test]
fn two_handles_of_a_folder_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (StateStore::open(folder.path()).unwrap(), StateStore::open(folder.path()).unwrap());
    let run = begin(&one, "r");
    is(two.take(None, "r"), Code::RunConflict);
    assert_eq!(two.run(None, "r").unwrap().status, "running");
    assert!(!run.cancelled().unwrap());
    two.cancel(None, "r").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert!(run.cancelled().unwrap());
    run.finish().unwrap();
    let taken = two.take(None, "r").unwrap();
    assert!(taken.cancelled().unwrap(), "whoever takes it is asked too");
    is(one.take(None, "r"), Code::RunConflict);
    taken.append(&[entry(1)], Some("cancelled")).unwrap();
}

#[test]
fn a_run_is_asked_to_stop() {
    check(|store| {
        let run = begin(store, "r");
        assert!(!run.cancelled().unwrap());
        store.cancel(None, "r").unwrap();
        assert!(run.cancelled().unwrap());
        assert!(store.run(None, "r").unwrap().cancelled);
        let other = begin(store, "o");
        other.append(&[], Some("done")).unwrap();
        store.cancel(None, "o").unwrap();
        assert!(!store.run(None, "o").unwrap().cancelled, "it has ended");
    });
}

#[test]
fn a_key_begins_one_run() {
    check(|store| {
        let new = NewRun { kind: "agent", key: Some("k"), tenant: Some("t"), ..NewRun::default() };
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| store.begin(&new, &[entry(1)]).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        let ids: std::collections::BTreeSet<&str> = made
            .iter()
            .map(|begun| match begun {
                Begun::New(run) => run.id(),
                Begun::Known(row) => row.id.as_str(),
            })
            .collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(made.iter().filter(|begun| matches!(begun, Begun::New(_))).count(), 1);
        assert_eq!(store.runs(Some("t"), None).unwrap().len(), 1);
        for other in [
            NewRun { tenant: None, ..new },
            NewRun { tenant: Some("u"), ..new },
            NewRun { kind: "panel", ..new },
            NewRun { key: Some("l"), ..new },
        ] {
            let kept = |new: &NewRun<'_>| store.keyed(new.tenant, new.kind, new.key.unwrap()).unwrap();
            assert!(kept(&other).is_none());
            assert!(matches!(store.begin(&other, &[]).unwrap(), Begun::New(_)));
            assert!(kept(&other).is_some_and(|row| row.id != *ids.first().unwrap()));
        }
        let known = store.keyed(Some("t"), "agent", "k").unwrap().unwrap();
        assert_eq!((known.id.as_str(), known.entries), (*ids.first().unwrap(), 1));
    });
}

#[test]
fn tenants_do_not_see_each_other() {
    check(|store| {
        let tenants = [None, Some("a"), Some("b"), Some("a b")];
        for tenant in tenants {
            let new = NewRun { tenant, ..named("same") };
            let Begun::New(run) = store.begin(&new, &[]).unwrap() else { panic!() };
            run.append(&[Entry::new(1, "whose", json!(tenant))], None).unwrap();
            store.put(tenant, "s", "k", &json!(tenant)).unwrap();
        }
        let Begun::New(_own) = store.begin(&NewRun { tenant: Some("a"), ..named("own") }, &[]).unwrap()
        else {
            panic!()
        };
        for tenant in tenants {
            assert_eq!(store.entries(tenant, "same", 1).unwrap()[0].data, json!(tenant));
            assert_eq!(store.get(tenant, "s", "k").unwrap(), Some(json!(tenant)));
            let rows = store.runs(tenant, None).unwrap();
            assert!(rows.iter().all(|row| row.tenant.as_deref() == tenant));
            assert_eq!(rows.len(), if tenant == Some("a") { 2 } else { 1 });
            if tenant != Some("a") {
                for result in [
                    store.run(tenant, "own").map(drop),
                    store.take(tenant, "own").map(drop),
                    store.entries(tenant, "own", 1).map(drop),
                    store.cancel(tenant, "own"),
                    store.delete(tenant, "own"),
                ] {
                    assert_eq!(code(result), "unknown_id");
                }
            }
        }
        store.delete(Some("b"), "same").unwrap();
        assert!(store.remove(Some("b"), "s", "k").unwrap());
        assert_eq!(store.entries(None, "same", 1).unwrap().len(), 1);
        assert_eq!(store.get(None, "s", "k").unwrap(), Some(json!(null)));
    });
}

#[test]
fn values_are_kept_by_space_and_key() {
    check(|store| {
        assert_eq!(store.get(None, "s", "k").unwrap(), None);
        assert!(!store.remove(None, "s", "k").unwrap());
        let large = json!("y".repeat(2 * MAX_INLINE_BYTES));
        store.put(None, "s", "b", &json!(1)).unwrap();
        store.put(None, "s", "a", &large).unwrap();
        store.put(None, "s", "b", &json!([2])).unwrap();
        store.put(None, "other", "b", &json!(3)).unwrap();
        let expected = [("a".to_owned(), large), ("b".to_owned(), json!([2]))];
        assert_eq!(store.list(None, "s").unwrap(), expected);
        assert!(store.remove(None, "s", "a").unwrap());
        assert_eq!(store.list(None, "s").unwrap(), expected[1..]);
        is(store.put(None, "", "k", &json!(1)), Code::InvalidArgument);
        is(store.put(None, "s", &"k".repeat(600), &json!(1)), Code::TooLarge);
    });
}

#[test]
fn threads_that_write_at_once_share_transactions() {
    const THREADS: u64 = 64;
    const EACH: u64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let runs: Vec<_> = (0..THREADS).map(|i| begin(&store, &format!("r{i}"))).collect();
    let before = store.commits();
    std::thread::scope(|scope| {
        for run in &runs {
            scope.spawn(move || (1..=EACH).for_each(|seq| run.append(&[entry(seq)], None).unwrap()));
        }
    });
    let commits = store.commits() - before;
    assert!(commits < THREADS * EACH, "{commits} transactions for {} appends", THREADS * EACH);
    drop(runs);
    drop(store);
    let store = StateStore::open(folder.path()).unwrap();
    let rows = store.runs(None, None).unwrap();
    assert_eq!(rows.len() as u64, THREADS);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row.id, format!("r{i}"), "newest last");
        let read = store.entries(None, &row.id, 1).unwrap();
        let seqs: Vec<u64> = read.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=EACH).collect::<Vec<_>>());
    }
}

#[test]
fn threads_of_one_run_do_not_write_a_number_twice() {
    check(|store| {
        let run = begin(store, "r");
        let won: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| (1..=20).filter(|seq| run.append(&[entry(*seq)], None).is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(store.entries(None, "r", 1).unwrap().len(), won);
        assert!(won <= 20);
    });
}
