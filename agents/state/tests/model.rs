//! Does a store, in a folder or in memory, do what plain maps do?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorate_state::{Begun, Entry, FINAL, MAX_INLINE_BYTES, NewRun, Run, StateStore};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Op {
    Begin { tenant: usize, id: usize, key: Option<usize>, entries: u64 },
    Append { tenant: usize, id: usize, from: i64, entries: u64, status: Option<usize>, large: bool },
    Release { tenant: usize, id: usize },
    Take { tenant: usize, id: usize },
    Cancel { tenant: usize, id: usize },
    Delete { tenant: usize, id: usize },
    Put { tenant: usize, key: usize, value: u64, large: bool },
    Remove { tenant: usize, key: usize },
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let (tenant, id) = (0..2_usize, 0..4_usize);
    let place = (tenant.clone(), id);
    let append =
        (place.clone(), -1..2_i64, 0..4_u64, prop::option::of(0..STATUSES.len()), prop::bool::weighted(0.1));
    prop_oneof![
        3 => (place.clone(), prop::option::of(0..3_usize), 0..3_u64)
            .prop_map(|((tenant, id), key, entries)| Op::Begin { tenant, id, key, entries }),
        6 => append.prop_map(|((tenant, id), from, entries, status, large)| Op::Append {
            tenant, id, from, entries, status, large
        }),
        1 => place.clone().prop_map(|(tenant, id)| Op::Release { tenant, id }),
        2 => place.clone().prop_map(|(tenant, id)| Op::Take { tenant, id }),
        1 => place.clone().prop_map(|(tenant, id)| Op::Cancel { tenant, id }),
        1 => place.prop_map(|(tenant, id)| Op::Delete { tenant, id }),
        2 => (tenant.clone(), 0..3_usize, 0..9_u64, prop::bool::weighted(0.1))
            .prop_map(|(tenant, key, value, large)| Op::Put { tenant, key, value, large }),
        1 => (tenant, 0..3_usize).prop_map(|(tenant, key)| Op::Remove { tenant, key }),
        1 => Just(Op::Reopen),
    ]
}

const STATUSES: [&str; 4] = ["running", "waiting", "done", "failed"];
const TENANTS: [Option<&str>; 2] = [None, Some("t")];

#[derive(Default)]
struct Model {
    /// What runs have, in the order of their beginning.
    runs: Vec<Known>,
    values: BTreeMap<(usize, String), Value>,
}

struct Known {
    tenant: usize,
    id: usize,
    key: Option<usize>,
    status: String,
    entries: Vec<Entry>,
    cancelled: bool,
    held: bool,
}

impl Model {
    fn at(&mut self, tenant: usize, id: usize) -> Option<&mut Known> {
        self.runs.iter_mut().find(|run| (run.tenant, run.id) == (tenant, id))
    }
}

fn data(seq: u64, large: bool) -> Value {
    if large { json!(seq.to_string().repeat(MAX_INLINE_BYTES + 1)) } else { json!({ "seq": seq }) }
}

fn entries(from: i64, count: u64, large: bool) -> Vec<Entry> {
    let from = from.max(0) as u64;
    (from..from + count)
        .map(|seq| Entry { seq, time: seq as f64, kind: "k".into(), data: data(seq, large) })
        .collect()
}

fn check(ops: Vec<Op>, open: impl Fn() -> Option<StateStore>, mut store: StateStore) {
    let mut model = Model::default();
    let mut held: BTreeMap<(usize, usize), Run> = BTreeMap::new();
    for op in ops {
        let shown = format!("{op:?}");
        let (expected, got) = match op {
            Op::Begin { tenant, id, key, entries: count } => {
                let (name, keys) = (format!("r{id}"), ["a", "b", "c"]);
                let new = NewRun {
                    id: Some(&name),
                    kind: "k",
                    tenant: TENANTS[tenant],
                    key: key.map(|key| keys[key]),
                    ..NewRun::default()
                };
                let made = entries(1, count, false);
                let known =
                    model.runs.iter().find(|run| key.is_some() && (run.tenant, run.key) == (tenant, key));
                let known = known.map(|run| run.id);
                let expected = match known {
                    Some(known) => format!("known r{known}"),
                    None if model.at(tenant, id).is_some() => "duplicate_id".to_owned(),
                    None => {
                        let status = "running".to_owned();
                        let entries = made.clone();
                        let run = Known { tenant, id, key, status, entries, cancelled: false, held: true };
                        model.runs.push(run);
                        "new".to_owned()
                    }
                };
                let got = match store.begin(&new, &made) {
                    Ok(Begun::New(run)) => {
                        held.insert((tenant, id), run);
                        "new".to_owned()
                    }
                    Ok(Begun::Known(row)) => format!("known {}", row.id),
                    Err(error) => error.code().as_str().to_owned(),
                };
                (expected, got)
            }
            Op::Append { tenant, id, from, entries: count, status, large } => {
                let Some(run) = held.get(&(tenant, id)) else { continue };
                let known = model.at(tenant, id).unwrap();
                let made = entries(known.entries.len() as i64 + 1 + from, count, large);
                let follows = made.first().is_none_or(|first| first.seq == known.entries.len() as u64 + 1);
                let status = status.map(|status| STATUSES[status]);
                if follows {
                    known.entries.extend_from_slice(&made);
                    if let Some(status) = status {
                        known.status = status.to_owned();
                    }
                }
                let expected = if follows { "ok" } else { "stale_write" };
                (expected.to_owned(), support::code(run.append(&made, status)).to_owned())
            }
            Op::Release { tenant, id } => {
                let Some(run) = held.remove(&(tenant, id)) else { continue };
                model.at(tenant, id).unwrap().held = false;
                ("ok".to_owned(), support::code(run.finish()).to_owned())
            }
            Op::Take { tenant, id } => {
                let expected = match model.at(tenant, id) {
                    None => "unknown_id",
                    Some(run) if run.held => "run_conflict",
                    Some(run) => {
                        run.held = true;
                        "ok"
                    }
                };
                let taken = store.take(TENANTS[tenant], &format!("r{id}"));
                let got = match taken {
                    Ok(run) => {
                        held.insert((tenant, id), run);
                        "ok"
                    }
                    Err(error) => error.code().as_str(),
                };
                (expected.to_owned(), got.to_owned())
            }
            Op::Cancel { tenant, id } => {
                let expected = match model.at(tenant, id) {
                    None => "unknown_id",
                    Some(run) => {
                        run.cancelled |= !FINAL.contains(&run.status.as_str());
                        "ok"
                    }
                };
                let got = support::code(store.cancel(TENANTS[tenant], &format!("r{id}")));
                (expected.to_owned(), got.to_owned())
            }
            Op::Delete { tenant, id } => {
                let expected = match model.at(tenant, id) {
                    None => "unknown_id",
                    Some(run) if run.held => "run_conflict",
                    Some(_) => {
                        model.runs.retain(|run| (run.tenant, run.id) != (tenant, id));
                        "ok"
                    }
                };
                let got = support::code(store.delete(TENANTS[tenant], &format!("r{id}")));
                (expected.to_owned(), got.to_owned())
            }
            Op::Put { tenant, key, value, large } => {
                model.values.insert((tenant, format!("k{key}")), data(value, large));
                let put = store.put(TENANTS[tenant], "s", &format!("k{key}"), &data(value, large));
                ("ok".to_owned(), support::code(put).to_owned())
            }
            Op::Remove { tenant, key } => {
                let there = model.values.remove(&(tenant, format!("k{key}"))).is_some();
                let removed = store.remove(TENANTS[tenant], "s", &format!("k{key}")).unwrap();
                (there.to_string(), removed.to_string())
            }
            Op::Reopen => {
                held.clear();
                model.runs.iter_mut().for_each(|run| run.held = false);
                if let Some(fresh) = open() {
                    store = fresh;
                }
                continue;
            }
        };
        assert_eq!(got, expected, "{shown}");
        agrees(&model, &store, &held);
    }
}

fn agrees(model: &Model, store: &StateStore, held: &BTreeMap<(usize, usize), Run>) {
    for (tenant, name) in TENANTS.into_iter().enumerate() {
        let rows = store.runs(name, None).unwrap();
        let known: Vec<&Known> = model.runs.iter().filter(|run| run.tenant == tenant).collect();
        assert_eq!(rows.len(), known.len());
        for (row, known) in rows.iter().zip(known) {
            let status = if known.status == "running" && !known.held { "interrupted" } else { &known.status };
            assert_eq!(
                (row.id.as_str(), row.status.as_str(), row.entries, row.cancelled),
                (format!("r{}", known.id).as_str(), status, known.entries.len() as u64, known.cancelled)
            );
            assert_eq!(store.entries(name, &row.id, 1).unwrap(), known.entries);
            assert_eq!(store.run(name, &row.id).unwrap(), *row);
            if let Some(run) = held.get(&(tenant, known.id)) {
                assert_eq!(run.cancelled().unwrap(), known.cancelled);
            }
        }
        for status in ["running", "interrupted", "waiting", "done"] {
            let listed = store.runs(name, Some(status)).unwrap();
            let expected: Vec<_> = rows.iter().filter(|row| row.status == status).cloned().collect();
            assert_eq!(listed, expected);
        }
        let values: Vec<_> = store.list(name, "s").unwrap();
        let expected = model.values.iter().filter(|((of, _), _)| *of == tenant);
        assert_eq!(
            values,
            expected.map(|((_, key), value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_does_what_maps_do(ops in prop::collection::vec(op(), 1..50)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || Some(StateStore::open(folder.path()).unwrap());
        check(ops, open, open().unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_maps_do(ops in prop::collection::vec(op(), 1..80)) {
        check(ops, || None, StateStore::memory());
    }
}
