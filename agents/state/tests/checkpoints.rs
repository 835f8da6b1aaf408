//! Do checkpoints hold, in memory and in a folder alike?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use quorate_core::{Code, Result};
use quorate_state::{
    ChannelValue, Checkpoint, CheckpointQuery, Checkpoints, Guard, MAX_INLINE_BYTES, NewCheckpoint, NewWrite,
    NewWrites, Prune, StateStore, Written, nested,
};
use serde_json::{Value, json};
use support::is;

/// Does the same in a store in memory, and in one in a folder that is opened again before each look.
fn both(test: impl Fn(&dyn Fn() -> StateStore)) {
    let memory = StateStore::memory();
    test(&|| memory.clone());
    let folder = tempfile::tempdir().unwrap();
    test(&|| StateStore::open(folder.path()).unwrap());
}

fn of(store: &StateStore) -> Checkpoints {
    store.checkpoints(None).unwrap()
}

/// A checkpoint whose channels have these versions; those with a value are new.
fn new<'a>(thread: &'a str, id: &'a str, channels: &[(&str, &str, Option<Value>)]) -> NewCheckpoint<'a> {
    NewCheckpoint {
        id: Some(id),
        versions: channels.iter().map(|(c, v, _)| ((*c).into(), (*v).into())).collect(),
        values: channels
            .iter()
            .filter_map(|(c, v, value)| {
                let value = Some(Arc::new(value.clone()?));
                Some(ChannelValue { channel: (*c).into(), version: (*v).into(), value })
            })
            .collect(),
        durable: false,
        ..NewCheckpoint::new(thread)
    }
}

fn writes<'a>(
    thread: &'a str,
    checkpoint: &'a str,
    task: &'a str,
    what: &[(i64, &str, Value)],
) -> NewWrites<'a> {
    let write = |(index, channel, value): &(i64, &str, Value)| NewWrite {
        index: *index,
        channel: (*channel).to_owned(),
        value: Arc::new(value.clone()),
    };
    let (namespace, path, guard, durable) = ("", "", Guard::None, false);
    NewWrites {
        thread,
        namespace,
        checkpoint,
        task,
        path,
        writes: what.iter().map(write).collect(),
        guard,
        claim: false,
        durable,
    }
}

fn ids(found: &[Checkpoint]) -> Vec<&str> {
    found.iter().map(|one| one.id.as_str()).collect()
}

fn values(one: &Checkpoint) -> Value {
    one.values.iter().map(|(channel, value)| (channel.to_string(), (**value).clone())).collect()
}

fn list(store: &StateStore, query: CheckpointQuery) -> Result<Vec<String>> {
    Ok(of(store).list(&query)?.into_iter().map(|one| one.id).collect())
}

#[test]
fn what_is_put_is_read_again() {
    both(|open| {
        let checkpoints = of(&open());
        assert_eq!(checkpoints.get("t", "", None).unwrap(), None);
        let first = NewCheckpoint {
            data: Arc::new(json!({"next": ["a"]})),
            metadata: Arc::new(json!({"source": "input", "step": 0})),
            ..new("t", "c1", &[("a", "1", Some(json!({"x": [1, 2.5, "é"]}))), ("b", "1", Some(json!(null)))])
        };
        let written = checkpoints.put(&first).unwrap();
        assert_eq!(written, Written { id: "c1".into(), fence: 0 });
        let second = NewCheckpoint {
            parent: Some("c1"),
            ..new("t", "c2", &[("a", "1", None), ("b", "2", Some(json!(7)))])
        };
        checkpoints.put(&second).unwrap();
        let checkpoints = of(&open());
        let one = checkpoints.get("t", "", Some("c1")).unwrap().unwrap();
        assert_eq!((one.data, one.metadata), (json!({"next": ["a"]}), json!({"source": "input", "step": 0})));
        assert_eq!(one.versions, [("a".into(), "1".into()), ("b".into(), "1".into())]);
        assert_eq!(one.parent, None);
        let latest = checkpoints.get("t", "", None).unwrap().unwrap();
        assert_eq!((latest.id.as_str(), latest.parent.as_deref()), ("c2", Some("c1")));
        assert_eq!(values(&latest), json!({"a": {"x": [1, 2.5, "é"]}, "b": 7}));
        // The older one has what it had.
        let one = checkpoints.get("t", "", Some("c1")).unwrap().unwrap();
        assert_eq!(values(&one), json!({"a": {"x": [1, 2.5, "é"]}, "b": null}));
        assert_eq!(checkpoints.get("t", "", Some("c3")).unwrap(), None);
        assert_eq!(checkpoints.get("t", "child:1", None).unwrap(), None);
        // An id is made, and a channel that is empty is not there.
        let third = NewCheckpoint { id: None, ..new("t", "", &[("a", "3", None), ("b", "2", None)]) };
        let empty = ChannelValue { channel: "a".into(), version: "3".into(), value: None };
        let third = NewCheckpoint { values: vec![empty], ..third };
        let written = checkpoints.put(&third).unwrap();
        let latest = of(&open()).get("t", "", None).unwrap().unwrap();
        assert_eq!((&latest.id, values(&latest)), (&written.id, json!({"b": 7})));
    });
}

#[test]
fn a_checkpoint_that_is_put_again_is_replaced_in_its_place() {
    both(|open| {
        let checkpoints = of(&open());
        for id in ["b", "a", "c"] {
            checkpoints.put(&new("t", id, &[("x", "1", Some(json!(id)))])).unwrap();
        }
        checkpoints.put(&new("t", "b", &[("x", "2", Some(json!("again")))])).unwrap();
        let checkpoints = of(&open());
        let all = checkpoints.list(&CheckpointQuery::thread("t")).unwrap();
        assert_eq!(ids(&all), ["c", "a", "b"]);
        assert_eq!(values(&all[2]), json!({"x": "again"}));
        // A version that is given another value has the last one.
        assert_eq!(values(&all[0]), json!({"x": "c"}));
    });
}

#[test]
fn lists_are_newest_first_and_filtered() {
    both(|open| {
        let checkpoints = of(&open());
        for step in 0..150 {
            let source = if step % 2 == 0 { "input" } else { "loop" };
            let id = format!("c{step}");
            let metadata = json!({"source": source, "step": step, "run_id": format!("r{}", step % 3)});
            checkpoints.put(&NewCheckpoint { metadata: Arc::new(metadata), ..new("t", &id, &[]) }).unwrap();
        }
        checkpoints.put(&NewCheckpoint { namespace: "child:1", ..new("t", "n1", &[]) }).unwrap();
        checkpoints.put(&new("u", "u1", &[])).unwrap();
        let store = open();
        let root = || CheckpointQuery::thread("t");
        let all = list(&store, root()).unwrap();
        assert_eq!(all, (0..150).rev().map(|step| format!("c{step}")).collect::<Vec<_>>());
        let some = CheckpointQuery { before: Some("c100".into()), limit: Some(2), ..root() };
        assert_eq!(list(&store, some).unwrap(), ["c99", "c98"]);
        let filter = |value: Value| CheckpointQuery { filter: value.as_object().unwrap().clone(), ..root() };
        let loops = list(
            &store,
            CheckpointQuery { limit: Some(3), ..filter(json!({"source": "loop", "run_id": "r0"})) },
        );
        assert_eq!(loops.unwrap(), ["c147", "c141", "c135"]);
        assert_eq!(list(&store, filter(json!({"step": 3}))).unwrap(), ["c3"]);
        assert_eq!(list(&store, filter(json!({"step": "3"}))).unwrap(), [] as [&str; 0]);
        assert_eq!(list(&store, CheckpointQuery { id: Some("c7".into()), ..root() }).unwrap(), ["c7"]);
        assert_eq!(list(&store, CheckpointQuery { limit: Some(0), ..root() }).unwrap(), [] as [&str; 0]);
        is(list(&store, CheckpointQuery { before: Some("c999".into()), ..root() }), Code::UnknownId);
        let inner = CheckpointQuery { namespace: Some("child:1".into()), ..root() };
        assert_eq!(list(&store, inner).unwrap(), ["n1"]);
        // Over namespaces and threads too.
        let newest = list(&store, CheckpointQuery { limit: Some(3), ..CheckpointQuery::default() });
        assert_eq!(newest.unwrap(), ["u1", "n1", "c149"]);
        let threads = of(&store).threads().unwrap();
        let rows: Vec<_> =
            threads.iter().map(|row| (row.thread.as_str(), row.checkpoints, row.head.as_deref())).collect();
        assert_eq!(rows, [("t", 151, Some("c149")), ("u", 1, Some("u1"))]);
    });
}

#[test]
fn ids_with_a_time_are_ordered_by_it() {
    both(|open| {
        let checkpoints = of(&open());
        let id = |i: u32| format!("1f0c2c1e-0000-6{i:03x}-8000-000000000000");
        for i in [3, 1, 2] {
            checkpoints.put(&new("t", &id(i), &[])).unwrap();
        }
        let store = open();
        assert_eq!(list(&store, CheckpointQuery::thread("t")).unwrap(), [id(3), id(2), id(1)]);
        // It need not be there.
        let before = CheckpointQuery {
            before: Some("1f0c2c1e-0000-6002-8000-000000000001".into()),
            ..CheckpointQuery::thread("t")
        };
        assert_eq!(list(&store, before).unwrap(), [id(2), id(1)]);
    });
}

#[test]
fn writes_stand_beside_their_checkpoint() {
    both(|open| {
        let checkpoints = of(&open());
        // They may come before it.
        checkpoints.put_writes(&writes("t", "c1", "b", &[(0, "x", json!(1)), (1, "y", json!(2))])).unwrap();
        checkpoints.put(&new("t", "c1", &[])).unwrap();
        checkpoints
            .put_writes(&writes("t", "c1", "a", &[(0, "x", json!("a")), (-1, "error", json!("e1"))]))
            .unwrap();
        // Said again, the first stays; below zero the last.
        checkpoints
            .put_writes(&writes("t", "c1", "a", &[(0, "x", json!("other")), (-1, "error", json!("e2"))]))
            .unwrap();
        let later = NewWrites { path: "0", ..writes("t", "c1", "z", &[(0, "x", json!("by path"))]) };
        checkpoints.put_writes(&NewWrites { path: "1", ..later }).unwrap();
        let one = of(&open()).get("t", "", None).unwrap().unwrap();
        let found: Vec<_> = one
            .writes
            .iter()
            .map(|w| (w.task.as_str(), w.index, w.channel.as_str(), (*w.value).clone()))
            .collect();
        let expected = [
            ("a", -1, "error", json!("e2")),
            ("a", 0, "x", json!("a")),
            ("b", 0, "x", json!(1)),
            ("b", 1, "y", json!(2)),
            ("z", 0, "x", json!("by path")),
        ];
        assert_eq!(found, expected);
        of(&open()).put(&new("t", "c2", &[])).unwrap();
        assert_eq!(of(&open()).get("t", "", None).unwrap().unwrap().writes, []);
    });
}

#[test]
fn whoever_knows_an_older_state_does_not_write() {
    both(|open| {
        let (ours, theirs) = (of(&open()), of(&open()));
        let after = |id, head| NewCheckpoint { guard: Guard::Head(head), ..new("t", id, &[]) };
        is(ours.put(&after("c1", Some("c0"))), Code::StaleWrite);
        assert!(ours.threads().unwrap().is_empty(), "nothing was begun");
        ours.put(&after("c1", None)).unwrap();
        is(theirs.put(&after("c1", None)), Code::StaleWrite);
        theirs.put(&after("c2", Some("c1"))).unwrap();
        is(ours.put(&after("c3", Some("c1"))), Code::StaleWrite);
        assert_eq!(ours.list(&CheckpointQuery::thread("t")).unwrap().len(), 2);
        // A head is that of one namespace.
        ours.put(&NewCheckpoint { namespace: "inner", ..after("i1", None) }).unwrap();
        // A claim ends the one before it.
        let fence = ours.claim("t", Guard::Head(Some("c2"))).unwrap();
        let by = |fence| NewCheckpoint { guard: Guard::Fence(fence), ..new("t", "c3", &[]) };
        ours.put(&by(fence)).unwrap();
        let newer = theirs.put(&NewCheckpoint { claim: true, ..new("t", "c4", &[]) }).unwrap().fence;
        assert_eq!((newer, ours.fence("t").unwrap()), (fence + 1, fence + 1));
        is(ours.put(&by(fence)), Code::StaleWrite);
        let late = NewWrites { guard: Guard::Fence(fence), ..writes("t", "c4", "a", &[(0, "x", json!(1))]) };
        is(ours.put_writes(&late), Code::StaleWrite);
        theirs.put_writes(&NewWrites { guard: Guard::Fence(newer), ..late }).unwrap();
        assert_eq!(ours.fence("other").unwrap(), 0);
    });
}

#[test]
fn of_many_writers_that_know_the_same_state_one_writes() {
    both(|open| {
        let stores: Vec<_> = (0..4).map(|_| open()).collect();
        for round in 0..20 {
            let head = of(&stores[0]).get("t", "", None).unwrap().map(|one| one.id);
            let written: usize = std::thread::scope(|scope| {
                let writer = |(i, store)| {
                    let (head, id) = (head.as_deref(), format!("c{round}-{i}"));
                    scope.spawn(move || {
                        let new = NewCheckpoint { guard: Guard::Head(head), ..new("t", &id, &[]) };
                        match of(store).put(&new) {
                            Ok(_) => 1,
                            Err(error) => {
                                assert_eq!(error.code(), Code::StaleWrite, "{error}");
                                0
                            }
                        }
                    })
                };
                let all: Vec<_> = stores.iter().enumerate().map(writer).collect();
                all.into_iter().map(|one| one.join().unwrap()).sum()
            });
            assert_eq!(written, 1);
        }
    });
}

#[test]
fn what_a_tenant_has_no_other_tenant_sees() {
    both(|open| {
        let store = open();
        let a = store.checkpoints(Some("a")).unwrap();
        let b = store.checkpoints(Some("b")).unwrap();
        a.put(&new("t", "c1", &[("x", "1", Some(json!("of a")))])).unwrap();
        a.put_writes(&writes("t", "c1", "task", &[(0, "x", json!(1))])).unwrap();
        for other in [&b, &of(&store)] {
            assert_eq!(other.get("t", "", Some("c1")).unwrap(), None);
            assert_eq!(other.list(&CheckpointQuery::default()).unwrap(), []);
            assert_eq!(other.fence("t").unwrap(), 0);
            assert!(other.threads().unwrap().is_empty());
            assert!(!other.delete("t").unwrap());
            is(other.copy("t", "u"), Code::UnknownId);
            is(other.fork("t", "", "c1", "u"), Code::UnknownId);
            assert_eq!(other.prune(&Prune { keep: 1, ..Prune::default() }).unwrap().checkpoints, []);
            assert_eq!(other.delete_for_runs(&["r"]).unwrap(), 0);
            // The same names are others.
            other.put(&new("t", "c1", &[("x", "1", Some(json!("of another")))])).unwrap();
            assert!(other.delete("t").unwrap());
        }
        assert_eq!(values(&a.get("t", "", None).unwrap().unwrap()), json!({"x": "of a"}));
        is(store.checkpoints(Some("")), Code::InvalidArgument);
    });
}

/// Three checkpoints, the second with a nested namespace; large values among them.
fn story(store: &StateStore, thread: &str) {
    let checkpoints = of(store);
    let large = json!("large ".repeat(MAX_INLINE_BYTES));
    let put = |new: &NewCheckpoint<'_>| drop(checkpoints.put(new).unwrap());
    let run = |run: &str| Arc::new(json!({"run_id": run}));
    put(&NewCheckpoint {
        metadata: run("r1"),
        ..new(thread, "c1", &[("a", "1", Some(json!("one"))), ("b", "1", Some(large.clone()))])
    });
    put(&NewCheckpoint {
        metadata: run("r2"),
        ..new(thread, "c2", &[("a", "2", Some(json!("two"))), ("b", "1", None)])
    });
    let inner = nested("", "c2", "task#0");
    put(&NewCheckpoint {
        namespace: &inner,
        metadata: run("r2"),
        ..new(thread, "i1", &[("a", "1", Some(json!("inner")))])
    });
    put(&NewCheckpoint {
        namespace: &inner,
        metadata: run("r2"),
        ..new(thread, "i2", &[("a", "2", Some(json!("inner two")))])
    });
    checkpoints.put_writes(&writes(thread, "c2", "task#0", &[(0, "step", json!("done"))])).unwrap();
    checkpoints.put_writes(&writes(thread, "c2", "other#0", &[(0, "step", large)])).unwrap();
    put(&NewCheckpoint {
        metadata: run("r3"),
        ..new(thread, "c3", &[("a", "3", Some(json!("three"))), ("b", "1", None)])
    });
}

fn dump(store: &StateStore, thread: &str) -> Vec<(String, String, Value, Vec<String>)> {
    let all = CheckpointQuery { thread: Some(thread.to_owned()), ..CheckpointQuery::default() };
    let mut all: Vec<_> = of(store)
        .list(&all)
        .unwrap()
        .into_iter()
        .map(|one| {
            let writes =
                one.writes.iter().map(|w| format!("{} {} {}", w.task, w.channel, w.value.to_string().len()));
            (one.namespace.clone(), one.id.clone(), values(&one), writes.collect())
        })
        .collect();
    all.reverse();
    all
}

#[test]
fn a_copy_has_everything_and_leaves_everything() {
    both(|open| {
        story(&open(), "t");
        let before = dump(&open(), "t");
        assert_eq!(of(&open()).copy("t", "u").unwrap(), 5);
        assert_eq!((dump(&open(), "t"), dump(&open(), "u")), (before.clone(), before.clone()));
        is(of(&open()).copy("t", "u"), Code::DuplicateId);
        is(of(&open()).copy("none", "v"), Code::UnknownId);
        assert!(of(&open()).delete("t").unwrap());
        assert_eq!(dump(&open(), "u"), before);
        of(&open()).put(&new("u", "c4", &[("a", "3", None)])).unwrap();
        assert_eq!(
            of(&open()).get("u", "", None).unwrap().unwrap().id,
            "c4",
            "it goes on after what was copied"
        );
    });
}

#[test]
fn a_fork_of_the_newest_begins_with_what_has_ended() {
    both(|open| {
        story(&open(), "t");
        let large = json!("large ".repeat(MAX_INLINE_BYTES));
        of(&open()).put_writes(&writes("t", "c3", "task#0", &[(0, "step", large)])).unwrap();
        let inner = nested("", "c3", "task#0");
        let inside =
            NewCheckpoint { namespace: &inner, ..new("t", "j1", &[("a", "1", Some(json!("inner")))]) };
        of(&open()).put(&inside).unwrap();
        let before = dump(&open(), "t");
        let written = of(&open()).fork("t", "", "c3", "u").unwrap();
        assert_eq!(written.id, "c3");
        let expected: Vec<_> = before.iter().filter(|one| ["c3", "j1"].contains(&&*one.1)).cloned().collect();
        let sorted = |mut all: Vec<_>| {
            all.sort_by_key(|one: &(String, String, Value, Vec<String>)| one.1.clone());
            all
        };
        assert_eq!(sorted(dump(&open(), "u")), sorted(expected));
        assert_eq!(dump(&open(), "t"), before);
        // In its own thread it is the newest again, under another id.
        let again = of(&open()).fork("t", "", "c3", "t").unwrap();
        let head = of(&open()).get("t", "", None).unwrap().unwrap();
        assert_eq!((&head.id, head.parent.as_deref()), (&again.id, Some("c3")));
        assert_eq!((values(&head)["a"].clone(), head.writes.len()), (json!("three"), 1));
        let inner = of(&open()).get("t", &nested("", &again.id, "task#0"), None).unwrap().unwrap();
        assert_eq!((inner.id.as_str(), values(&inner)), ("j1", json!({"a": "inner"})));
        assert_eq!(of(&open()).fence("t").unwrap(), again.fence);
        assert!(again.fence > 0, "whoever was at the thread has lost it");
        is(of(&open()).fork("t", "", "c9", "v"), Code::UnknownId);
        is(of(&open()).fork("t", "", "c1", "u"), Code::DuplicateId);
        is(of(&open()).fork("t", "child:1", "c1", "v"), Code::InvalidArgument);
    });
}

#[test]
fn a_fork_of_an_older_one_does_again_what_came_after_it() {
    both(|open| {
        story(&open(), "t");
        of(&open()).fork("t", "", "c2", "u").unwrap();
        let head = of(&open()).get("u", "", None).unwrap().unwrap();
        assert_eq!((values(&head)["a"].clone(), head.writes.len()), (json!("two"), 0));
        assert_eq!(dump(&open(), "u").len(), 1);
    });
}

#[test]
fn a_nested_checkpoint_is_forked_with_those_around_it() {
    both(|open| {
        story(&open(), "t");
        let inner = nested("", "c2", "task#0");
        of(&open()).fork("t", &inner, "i1", "u").unwrap();
        let head = of(&open()).get("u", "", None).unwrap().unwrap();
        let writes: Vec<_> = head.writes.iter().map(|write| write.task.as_str()).collect();
        assert_eq!((head.id.as_str(), writes), ("c2", vec!["other#0"]), "the task goes on");
        let inside = of(&open())
            .list(&CheckpointQuery { namespace: Some(inner.clone()), ..CheckpointQuery::thread("u") });
        let inside = inside.unwrap();
        assert_eq!((ids(&inside), values(&inside[0])), (vec!["i1"], json!({"a": "inner"})));
        is(of(&open()).fork("t", &inner, "i9", "v"), Code::UnknownId);
        is(of(&open()).fork("t", &nested("", "c1", "task#0"), "i1", "v"), Code::UnknownId);
        assert_eq!(of(&open()).threads().unwrap().len(), 2, "what failed left nothing");
    });
}

#[test]
fn pruning_keeps_the_newest_and_says_what_goes() {
    both(|open| {
        story(&open(), "t");
        story(&open(), "u");
        let before = dump(&open(), "t");
        let rehearsal = Prune { keep: 1, dry_run: true, threads: Some(vec!["t".into()]), older_than: None };
        let would = of(&open()).prune(&rehearsal).unwrap();
        assert_eq!(dump(&open(), "t"), before);
        let did = of(&open()).prune(&Prune { dry_run: false, ..rehearsal.clone() }).unwrap();
        assert_eq!(would, did);
        let gone: Vec<_> = did.checkpoints.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((gone, did.values, did.writes), (vec!["c1", "c2", "i1", "i2"], 4, 2));
        let left = dump(&open(), "t");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].2["a"], json!("three"));
        assert_eq!(
            left[0].2["b"].as_str().unwrap().len(),
            6 * MAX_INLINE_BYTES,
            "an older value that is still used"
        );
        assert_eq!(dump(&open(), "u"), before);
        assert_eq!(
            of(&open())
                .prune(&Prune { keep: 1, older_than: Some(3600.0), ..Prune::default() })
                .unwrap()
                .checkpoints,
            []
        );
        of(&open()).trim("u", 2).unwrap();
        assert_eq!(dump(&open(), "u").len(), 4);
        is(of(&open()).prune(&Prune { keep: 0, ..Prune::default() }), Code::InvalidArgument);
        is(
            of(&open()).prune(&Prune { older_than: Some(f64::NAN), ..Prune::default() }),
            Code::InvalidArgument,
        );
    });
}

#[test]
fn checkpoints_of_runs_are_removed_wherever_they_are() {
    both(|open| {
        story(&open(), "t");
        story(&open(), "u");
        assert_eq!(of(&open()).delete_for_runs(&[]).unwrap(), 0);
        assert_eq!(of(&open()).delete_for_runs(&["r2", "none"]).unwrap(), 6);
        for thread in ["t", "u"] {
            let left = dump(&open(), thread);
            assert_eq!(left.iter().map(|one| one.1.as_str()).collect::<Vec<_>>(), ["c1", "c3"]);
            assert_eq!(left[0].2["a"], json!("one"));
        }
    });
}

#[test]
fn bad_names_are_refused() {
    both(|open| {
        let checkpoints = of(&open());
        let long = "x".repeat(600);
        is(checkpoints.put(&new("", "c", &[])), Code::InvalidArgument);
        is(checkpoints.put(&new("t", "", &[])), Code::InvalidArgument);
        is(checkpoints.put(&new(&long, "c", &[])), Code::TooLarge);
        is(checkpoints.put(&new("t", "c", &[("a", "1", None), ("a", "2", None)])), Code::InvalidArgument);
        is(checkpoints.put(&new("t", "c", &[("", "1", None)])), Code::InvalidArgument);
        is(
            checkpoints.put(&NewCheckpoint { metadata: Arc::new(json!([])), ..new("t", "c", &[]) }),
            Code::InvalidArgument,
        );
        is(
            checkpoints.put(&NewCheckpoint { namespace: &"n".repeat(10_000), ..new("t", "c", &[]) }),
            Code::TooLarge,
        );
        is(checkpoints.put_writes(&writes("t", "c", "", &[])), Code::InvalidArgument);
        is(checkpoints.claim("", Guard::None), Code::InvalidArgument);
        assert!(checkpoints.threads().unwrap().is_empty());
    });
}

/// How many files of a folder have a text. By another process: one that closes a file of SQLite's loses its own locks.
fn files_with(folder: &Path, text: &str) -> usize {
    let out = Command::new("grep").args(["-r", "-a", "-l", "-F", text]).arg(folder).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().count()
}

#[test]
fn what_was_removed_leaves_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let checkpoints = of(&store);
    for round in 0..40 {
        for n in 0..4 {
            let (thread, id) = (format!("SECRET{n}THREAD"), format!("SECRET{n}ID{round}R"));
            let text = format!("SECRET{n}TEXT{round}R")
                .repeat(1 + round * 37 % 90 * if round % 7 == 0 { 90 } else { 1 });
            let channel = format!("SECRET{n}CHANNEL");
            let new = NewCheckpoint {
                data: Arc::new(json!(text)),
                ..new(&thread, &id, &[(&channel, &id, Some(json!(text)))])
            };
            checkpoints.put(&new).unwrap();
            checkpoints
                .put_writes(&writes(
                    &thread,
                    &id,
                    "task",
                    &[(0, &channel, json!(text)), (-1, "e", json!(text))],
                ))
                .unwrap();
            // Replaced, its old text is nowhere.
            checkpoints
                .put_writes(&writes(&thread, &id, "task", &[(-1, "e", json!(format!("{text} again")))]))
                .unwrap();
        }
    }
    let only = |thread: usize, keep| Prune {
        keep,
        threads: Some(vec![format!("SECRET{thread}THREAD")]),
        ..Prune::default()
    };
    assert_eq!(checkpoints.prune(&only(1, 2)).unwrap().checkpoints.len(), 38);
    assert_eq!(files_with(folder.path(), "SECRET1TEXT37R"), 0);
    assert_eq!(checkpoints.list(&CheckpointQuery::thread("SECRET1THREAD")).unwrap().len(), 2);
    assert!(files_with(folder.path(), "SECRET1TEXT38R") > 0);
    assert!(files_with(folder.path(), "SECRET2TEXT37R") > 0);
    for thread in 0..4 {
        assert!(checkpoints.delete(&format!("SECRET{thread}THREAD")).unwrap());
        assert_eq!(
            files_with(folder.path(), &format!("SECRET{thread}")),
            0,
            "thread {thread}, while the store is open"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path().join("payloads")).unwrap().count(), 0);
}

#[test]
fn a_value_that_did_not_change_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let text = "y".repeat(50_000);
    let checkpoints = of(&store);
    checkpoints
        .put(&new("t", "c0", &[("large", "1", Some(json!(text))), ("n", "0", Some(json!(0)))]))
        .unwrap();
    for i in 1..200 {
        let (id, version) = (format!("c{i}"), i.to_string());
        checkpoints.put(&new("t", &id, &[("large", "1", None), ("n", &version, Some(json!(i)))])).unwrap();
        // Given again, it is not written either.
        checkpoints
            .put(&new("t", &id, &[("large", "1", Some(json!(text))), ("n", &version, Some(json!(i)))]))
            .unwrap();
    }
    drop(store);
    let size = |folder: &Path| std::fs::metadata(folder.join("state.db")).unwrap().len();
    let empty = tempfile::tempdir().unwrap();
    drop(StateStore::open(empty.path()).unwrap());
    let grown = size(folder.path()) - size(empty.path());
    assert!(grown < 215_000, "{grown}");
}

#[test]
fn what_is_damaged_is_corrupt_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = StateStore::open(folder.path()).unwrap();
        story(&store, "t");
        of(&store).put(&new("u", "c1", &[("a", "1", Some(json!("NEEDLE")))])).unwrap();
        of(&store).put_writes(&writes("u", "c1", "task", &[(0, "x", json!("WRITTEN"))])).unwrap();
        of(&store).put(&NewCheckpoint { data: Arc::new(json!("DATUM")), ..new("w", "c1", &[]) }).unwrap();
    }
    let damage = |file: &Path, from: &str, to: &str| {
        let bytes = std::fs::read(file).unwrap();
        let text: Vec<u8> = from.bytes().collect();
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        let mut bytes = bytes;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(file, bytes).unwrap();
    };
    let database = folder.path().join("state.db");
    damage(&database, "NEEDLE", "NOODLE");
    let store = StateStore::open(folder.path()).unwrap();
    let error = of(&store).get("u", "", None).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
    assert!(error.message().contains("state.db"), "{error}");
    is(of(&store).copy("u", "v"), Code::Corrupt);
    is(of(&store).fork("u", "", "c1", "v"), Code::Corrupt);
    assert_eq!(of(&store).threads().unwrap().len(), 3);
    assert_eq!(dump(&store, "t").len(), 5, "others are read");
    drop(store);
    damage(&database, "NOODLE", "NEEDLE");
    damage(&database, "WRITTEN", "WRITING");
    damage(&database, "DATUM", "DATES");
    let store = StateStore::open(folder.path()).unwrap();
    is(of(&store).get("u", "", None), Code::Corrupt);
    is(of(&store).get("w", "", None), Code::Corrupt);
    // Large values lie in files.
    for file in std::fs::read_dir(folder.path().join("payloads")).unwrap() {
        std::fs::write(file.unwrap().path(), "\"other\"").unwrap();
    }
    let error = of(&store).get("t", "", None).unwrap_err();
    assert!(error.code() == Code::Corrupt && error.message().contains("payloads"), "{error}");
    for file in std::fs::read_dir(folder.path().join("payloads")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    is(of(&store).get("t", "", None), Code::Corrupt);
    is(of(&store).copy("t", "v"), Code::Corrupt);
    // Written again, they are whole.
    let large = json!("large ".repeat(MAX_INLINE_BYTES));
    of(&store).put(&new("t", "c3", &[("a", "3", None), ("b", "1", Some(large))])).unwrap();
    of(&store).get("t", "", None).unwrap().unwrap();
}
