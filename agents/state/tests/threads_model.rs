//! Do a store in memory and one in a folder give the same, whatever is done to their threads?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use proptest::prelude::*;
use quorate_state::{
    ChannelValue, CheckpointQuery, Checkpoints, Guard, NewCheckpoint, NewWrite, NewWrites, Prune, StateStore,
    nested,
};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Step {
    Put { thread: u8, inner: Option<u8>, id: u8, changed: Vec<u8>, guard: u8 },
    Writes { thread: u8, inner: Option<u8>, id: u8, task: u8, index: i8 },
    Claim { thread: u8 },
    Fork { thread: u8, inner: Option<u8>, id: u8, to: u8 },
    Copy { thread: u8, to: u8 },
    Prune { thread: Option<u8>, keep: u8, dry: bool },
    Trim { thread: u8, keep: u8 },
    Delete { thread: u8 },
    Runs { run: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let (thread, id) = (0..3_u8, 0..8_u8);
    let inner = || prop::option::weighted(0.3, 0..8_u8);
    let changed = prop::collection::vec(0..4_u8, 0..3);
    prop_oneof![
        12 => (thread.clone(), inner(), id.clone(), changed, 0..3_u8)
            .prop_map(|(thread, inner, id, changed, guard)| Step::Put { thread, inner, id, changed, guard }),
        5 => (thread.clone(), inner(), id.clone(), 0..3_u8, -2..3_i8)
            .prop_map(|(thread, inner, id, task, index)| Step::Writes { thread, inner, id, task, index }),
        1 => thread.clone().prop_map(|thread| Step::Claim { thread }),
        3 => (thread.clone(), inner(), id, 0..3_u8)
            .prop_map(|(thread, inner, id, to)| Step::Fork { thread, inner, id, to }),
        1 => (thread.clone(), 0..3_u8).prop_map(|(thread, to)| Step::Copy { thread, to }),
        2 => (prop::option::of(thread.clone()), 1..4_u8, any::<bool>())
            .prop_map(|(thread, keep, dry)| Step::Prune { thread, keep, dry }),
        1 => (thread.clone(), 1..4_u8).prop_map(|(thread, keep)| Step::Trim { thread, keep }),
        1 => thread.prop_map(|thread| Step::Delete { thread }),
        1 => (0..5_u8).prop_map(|run| Step::Runs { run }),
    ]
}

fn name(thread: u8) -> String {
    format!("t{thread}")
}

fn space(inner: Option<u8>) -> String {
    inner.map_or(String::new(), |inner| nested("", &format!("c{inner}"), "task#0"))
}

/// Does a step and says what came of it, without what a clock or chance has made.
fn apply(store: &Checkpoints, number: usize, step: &Step) -> String {
    let said = |result: quorate_core::Result<String>| match result {
        Ok(text) => text,
        Err(error) => error.code().as_str().to_owned(),
    };
    match step {
        Step::Put { thread, inner, id, changed, guard } => {
            let (thread, namespace, id) = (name(*thread), space(*inner), format!("c{id}"));
            let head = store.get(&thread, &namespace, None).unwrap();
            let mut versions: Vec<(Arc<str>, Arc<str>)> =
                head.as_ref().map_or_else(Vec::new, |head| head.versions.clone());
            let mut values = Vec::new();
            for channel in changed {
                let (channel, version): (Arc<str>, Arc<str>) =
                    (format!("ch{channel}").into(), number.to_string().into());
                versions.retain(|(other, _)| *other != channel);
                versions.push((Arc::clone(&channel), Arc::clone(&version)));
                values.retain(|other: &ChannelValue| other.channel != channel);
                let value = (!number.is_multiple_of(5)).then(|| Arc::new(json!({"at": number})));
                values.push(ChannelValue { channel, version, value });
            }
            let known = head.map(|head| head.id);
            let guard = match guard {
                0 => Guard::None,
                1 => Guard::Head(known.as_deref()),
                _ => Guard::Head(Some("c3")),
            };
            let new = NewCheckpoint {
                namespace: &namespace,
                id: Some(&id),
                parent: known.as_deref(),
                data: Arc::new(json!(number)),
                metadata: Arc::new(json!({"run_id": format!("r{}", number % 7)})),
                versions,
                values,
                guard,
                claim: number.is_multiple_of(4),
                durable: false,
                ..NewCheckpoint::new(&thread)
            };
            said(store.put(&new).map(|written| format!("{} {}", written.id, written.fence)))
        }
        Step::Writes { thread, inner, id, task, index } => {
            let (thread, namespace) = (name(*thread), space(*inner));
            let (checkpoint, task) = (format!("c{id}"), format!("task#{task}"));
            let write =
                NewWrite { index: (*index).into(), channel: "ch".into(), value: Arc::new(json!(number)) };
            let new = NewWrites {
                thread: &thread,
                namespace: &namespace,
                checkpoint: &checkpoint,
                task: &task,
                path: "",
                writes: vec![write],
                guard: Guard::None,
                claim: false,
                durable: false,
            };
            said(store.put_writes(&new).map(|()| String::new()))
        }
        Step::Claim { thread } => {
            said(store.claim(&name(*thread), Guard::None).map(|fence| fence.to_string()))
        }
        Step::Fork { thread, inner, id, to } => {
            let (from, to) = (name(*thread), name(*to));
            let forked = store.fork(&from, &space(*inner), &format!("c{id}"), &to);
            let same = from == to;
            let forked = forked.and_then(|written| {
                if same {
                    // The new id is another in each store.
                    let head = store.get(&from, "", Some(&written.id))?.unwrap();
                    let again = NewCheckpoint {
                        id: Some("again"),
                        parent: head.parent.as_deref(),
                        versions: head.versions,
                        ..NewCheckpoint::new(&from)
                    };
                    store.put(&again)?;
                    let gone = store.get(&from, "", Some(&written.id))?.unwrap();
                    return Ok(format!("{:?} {} {}", gone.values, gone.writes.len(), written.fence));
                }
                Ok(format!("{} {}", written.id, written.fence))
            });
            said(forked)
        }
        Step::Copy { thread, to } => {
            said(store.copy(&name(*thread), &name(*to)).map(|count| count.to_string()))
        }
        Step::Prune { thread, keep, dry } => {
            let threads = thread.map(|thread| vec![name(thread)]);
            let what = Prune { threads, keep: usize::from(*keep), older_than: None, dry_run: *dry };
            said(store.prune(&what).map(|p| format!("{} {} {}", p.checkpoints.len(), p.values, p.writes)))
        }
        Step::Trim { thread, keep } => {
            said(store.trim(&name(*thread), usize::from(*keep)).map(|()| String::new()))
        }
        Step::Delete { thread } => said(store.delete(&name(*thread)).map(|there| there.to_string())),
        Step::Runs { run } => {
            said(store.delete_for_runs(&[&format!("r{run}")]).map(|count| count.to_string()))
        }
    }
}

fn dump(store: &Checkpoints) -> Vec<Value> {
    let all = store.list(&CheckpointQuery::default()).unwrap();
    let made = |id: &str| if id.len() > 10 { "made".to_owned() } else { id.to_owned() };
    all.into_iter()
        .map(|one| {
            let values: Vec<Value> = one.values.iter().map(|(c, v)| json!([&**c, **v])).collect();
            let writes: Vec<Value> =
                one.writes.iter().map(|w| json!([w.task, w.index, w.channel, *w.value])).collect();
            let inner = one.namespace.split_once('/').map(|(at, rest)| (made(at), rest.to_owned()));
            json!([
                one.thread,
                inner,
                made(&one.id),
                one.parent.as_deref().map(made),
                one.data,
                one.metadata,
                values,
                writes
            ])
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_give_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let memory = StateStore::memory().checkpoints(Some("tenant")).unwrap();
        let mut disk = StateStore::open(folder.path()).unwrap().checkpoints(Some("tenant")).unwrap();
        for (number, step) in steps.iter().enumerate() {
            let (one, other) = (apply(&memory, number, step), apply(&disk, number, step));
            prop_assert_eq!(one, other, "{:?}", step);
            if number % 20 == 19 {
                disk = StateStore::open(folder.path()).unwrap().checkpoints(Some("tenant")).unwrap();
            }
        }
        prop_assert_eq!(dump(&memory), dump(&disk));
        let rows = |store: &Checkpoints| -> Vec<_> {
            let rows = store.threads().unwrap().into_iter();
            rows.map(|row| (row.thread, row.checkpoints, row.head.map(|head| head.len()))).collect()
        };
        prop_assert_eq!(rows(&memory), rows(&disk));
    }
}
