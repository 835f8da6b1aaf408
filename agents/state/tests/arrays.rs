//! Is an array that grows written piece by piece, and read whole, whatever becomes of its checkpoints?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use quorate_core::Code;
use quorate_state::{
    ChannelValue, Checkpoints, Extension, MAX_INLINE_BYTES, NewCheckpoint, Prune, StateStore,
};
use serde_json::{Value, json};
use support::is;

/// Writes a checkpoint whose channel "log" has an array as version `id`; `base`: which version it extends, of what length.
fn put(
    store: &Checkpoints,
    thread: &str,
    id: &str,
    all: &[Value],
    base: Option<(&str, usize)>,
) -> quorate_core::Result<()> {
    let (channel, version): (Arc<str>, Arc<str>) = ("log".into(), id.into());
    let extends = base.map(|(base, length)| Extension { channel: "log".into(), base: base.into(), length });
    let value = Some(Arc::new(Value::from(all.to_vec())));
    let new = NewCheckpoint {
        id: Some(id),
        versions: vec![(Arc::clone(&channel), Arc::clone(&version))],
        values: vec![ChannelValue { channel, version, value }],
        extends: extends.into_iter().collect(),
        durable: false,
        ..NewCheckpoint::new(thread)
    };
    store.put(&new).map(drop)
}

fn read(store: &Checkpoints, thread: &str, id: &str) -> Option<Value> {
    let found = store.get(thread, "", Some(id)).unwrap()?;
    Some((**found.channel("log").unwrap()).clone())
}

fn both(test: impl Fn(&Checkpoints)) {
    test(&StateStore::memory().checkpoints(None).unwrap());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap());
}

/// How many bytes of values the rows of a folder have.
fn stored(folder: &std::path::Path) -> i64 {
    let connection = rusqlite::Connection::open(folder.join("state.db")).unwrap();
    connection.query_row("SELECT coalesce(sum(length(data)), 0) FROM channels", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_added_is_written_and_not_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap();
        let mut all = Vec::new();
        for n in 0..500_usize {
            all.push(json!(format!("{n:03} {}", "x".repeat(96))));
            let base = n.checked_sub(1).map(|before| (before.to_string(), n));
            put(&store, "t", &n.to_string(), &all, base.as_ref().map(|(base, n)| (base.as_str(), *n)))
                .unwrap();
        }
        for n in [0, 1, 2, 7, 8, 255, 256, 498, 499] {
            assert_eq!(read(&store, "t", &n.to_string()).unwrap(), Value::from(all[..=n].to_vec()), "{n}");
        }
    }
    // Whole arrays would be 500 * 250 * 103 bytes, which are 12 MB.
    let bytes = stored(folder.path());
    assert!(bytes < 500 * 103 * 6, "{bytes}");
}

#[test]
fn what_others_begin_with_stays_as_long_as_they_do() {
    both(|store| {
        let all: Vec<Value> = (0..40).map(|n| json!(n)).collect();
        for n in 0..40_usize {
            let base = n.saturating_sub(1).to_string();
            put(store, "t", &n.to_string(), &all[..=n], (n > 0).then_some((base.as_str(), n))).unwrap();
        }
        is(put(store, "t", "0", &[json!("another")], None), Code::InvalidArgument);
        store.prune(&Prune { keep: 3, ..Prune::default() }).unwrap();
        for n in 37..40_usize {
            assert_eq!(read(store, "t", &n.to_string()).unwrap(), Value::from(all[..=n].to_vec()));
        }
        store.copy("t", "copy").unwrap();
        store.fork("t", "", "38", "fork").unwrap();
        assert!(store.delete("t").unwrap());
        for n in 37..40_usize {
            assert_eq!(read(store, "copy", &n.to_string()).unwrap(), Value::from(all[..=n].to_vec()));
        }
        assert_eq!(read(store, "fork", "38").unwrap(), Value::from(all[..39].to_vec()));
        // They go on from there.
        put(store, "fork", "39", &all, Some(("38", 39))).unwrap();
        assert_eq!(read(store, "fork", "39").unwrap(), Value::from(all.clone()));
    });
}

#[test]
fn what_has_no_base_is_written_whole() {
    both(|store| {
        let all = [json!(1), json!(2), json!(3)];
        put(store, "t", "a", &all[..2], Some(("nothing", 1))).unwrap();
        // It has another length, or is no array.
        put(store, "t", "b", &all, Some(("a", 1))).unwrap();
        put(store, "t", "c", &all, Some(("c", 1))).unwrap();
        for id in ["b", "c"] {
            assert_eq!(read(store, "t", id).unwrap(), json!([1, 2, 3]));
        }
        is(put(store, "t", "d", &all, Some(("b", 4))), Code::InvalidArgument);
        // What is added may be nothing, or large.
        put(store, "t", "e", &all, Some(("b", 3))).unwrap();
        let mut more = all.to_vec();
        for (round, id) in ["f", "g", "h", "i"].iter().enumerate() {
            let base = ["e", "f", "g", "h"][round];
            more.push(json!(format!(
                "{round}{}",
                "x".repeat(if round % 2 == 0 { MAX_INLINE_BYTES } else { 9 })
            )));
            put(store, "t", id, &more, Some((base, more.len() - 1))).unwrap();
            assert_eq!(read(store, "t", id).unwrap(), Value::from(more.clone()));
        }
    });
}

#[test]
fn a_beginning_that_is_lost_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap();
        put(&store, "t", "a", &[json!(1)], None).unwrap();
        put(&store, "t", "b", &[json!(1), json!(2)], Some(("a", 1))).unwrap();
    }
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
    };
    let look = || {
        let store = StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap();
        store.get("t", "", Some("b"))
    };
    change("UPDATE channels SET base = '0 1 2 b' WHERE version = 'b'");
    is(look(), Code::Corrupt);
    change("UPDATE channels SET base = '0 1 2 a' WHERE version = 'b'");
    look().unwrap().unwrap();
    change("DELETE FROM channels WHERE version = 'a'");
    is(look(), Code::Corrupt);
}

#[derive(Clone, Debug)]
enum Step {
    /// Goes on from the checkpoint before, or from an older one, with so many elements more.
    Add {
        from: usize,
        more: usize,
    },
    Prune {
        keep: usize,
    },
    Fork {
        at: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 0..4_usize).prop_map(|(from, more)| Step::Add { from, more }),
        1 => (1..6_usize).prop_map(|keep| Step::Prune { keep }),
        1 => (0..8_usize).prop_map(|at| Step::Fork { at }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arrays_are_read_as_they_were_written(steps in prop::collection::vec(step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let memory = StateStore::memory().checkpoints(None).unwrap();
        let disk = StateStore::open(folder.path()).unwrap().checkpoints(None).unwrap();
        // The ids that are there, oldest first, with what they hold.
        let mut there: Vec<(String, Vec<Value>)> = Vec::new();
        let mut thread = "t".to_owned();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Add { from, more } => {
                    let base = there.len().checked_sub(1 + from).map(|at| there[at].clone());
                    let id = format!("c{number}");
                    let mut all = base.as_ref().map_or_else(Vec::new, |(_, all)| all.clone());
                    let length = all.len();
                    all.extend((0..*more).map(|n| json!([number, n])));
                    for store in [&memory, &disk] {
                        let base = base.as_ref().map(|(base, _)| (base.as_str(), length));
                        put(store, &thread, &id, &all, base).unwrap();
                    }
                    there.push((id, all));
                }
                Step::Prune { keep } => {
                    for store in [&memory, &disk] {
                        store.trim(&thread, *keep).unwrap();
                    }
                    there.drain(..there.len().saturating_sub(*keep));
                }
                Step::Fork { at } => {
                    let Some((id, all)) = there.get(*at).cloned() else { continue };
                    let to = format!("t{number}");
                    for store in [&memory, &disk] {
                        store.fork(&thread, "", &id, &to).unwrap();
                        store.delete(&thread).unwrap();
                    }
                    thread = to;
                    there = vec![(id, all)];
                }
            }
            for (id, all) in &there {
                for store in [&memory, &disk] {
                    prop_assert_eq!(read(store, &thread, id), Some(Value::from(all.clone())), "{} {:?}", id, step);
                }
            }
        }
    }
}
