//! Is a flag or a number that was turned over in a row of a thread ever taken for what was written?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;

use quorate_core::{Code, Result};
use quorate_state::{
    ChannelValue, Checkpoint, CheckpointQuery, NewCheckpoint, NewWrite, NewWrites, StateStore,
};
use serde_json::json;

fn written(folder: &Path) {
    let store = StateStore::open(folder).unwrap().checkpoints(None).unwrap();
    for thread in ["gone", "t", "gone too"] {
        for step in 0..3 {
            let id = format!("c{step}");
            let value = ChannelValue {
                channel: "log".into(),
                version: id.as_str().into(),
                value: Some(Arc::new(json!([step]))),
            };
            let new = NewCheckpoint {
                id: Some(&id),
                versions: vec![("log".into(), id.as_str().into())],
                values: vec![value],
                claim: true,
                ..NewCheckpoint::new(thread)
            };
            store.put(&new).unwrap();
            let writes = NewWrites {
                thread,
                namespace: "",
                checkpoint: &id,
                task: "task",
                path: "",
                writes: vec![NewWrite { index: 0, channel: "result".into(), value: Arc::new(json!(step)) }],
                guard: quorate_state::Guard::None,
                claim: false,
                durable: true,
            };
            store.put_writes(&writes).unwrap();
        }
    }
    assert!(store.delete("gone").unwrap() && store.delete("gone too").unwrap());
}

type Seen = (Option<Checkpoint>, Vec<Checkpoint>, u64, usize);

fn look(folder: &Path) -> Result<Seen> {
    let store = StateStore::open(folder)?.checkpoints(None)?;
    let head = store.get("t", "", None)?;
    let all = store.list(&CheckpointQuery::thread("t"))?;
    Ok((head, all, store.fence("t")?, store.threads()?.len()))
}

#[test]
fn what_was_turned_over_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let expected = look(folder.path()).unwrap();
    assert_eq!((expected.1.len(), expected.3), (3, 1));
    let connection = || rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    let mut refused = 0;
    for (table, column) in [
        ("threads", "fence"),
        ("threads", "created"),
        ("threads", "updated"),
        ("spaces", "gone"),
        ("checkpoints", "gone"),
        ("checkpoints", "time"),
        ("channels", "gone"),
        ("writes", "gone"),
        ("writes", "place"),
    ] {
        let rows: Vec<i64> = {
            let connection = connection();
            let mut query = connection.prepare(&format!("SELECT n FROM {table}")).unwrap();
            query.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
        };
        for n in rows {
            for bit in [0, 1, 5] {
                let turn = || {
                    // Exclusive or, which SQLite lacks.
                    let whole = format!("CAST({column} AS INTEGER)");
                    let sql = format!(
                        "UPDATE {table} SET {column} = ({whole} | {m}) - ({whole} & {m}) + ({column} - {whole})
                         WHERE n = ?1",
                        m = 1_i64 << bit
                    );
                    assert_eq!(connection().execute(&sql, [n]).unwrap(), 1);
                };
                turn();
                match look(folder.path()) {
                    Ok(seen) => assert_eq!(seen, expected, "{table}.{column} of {n}, bit {bit}"),
                    Err(error) => {
                        assert_eq!(error.code(), Code::Corrupt, "{error}");
                        refused += 1;
                    }
                }
                turn();
            }
        }
    }
    // Each bit of each flag of what is there.
    assert!(refused >= 3 * (3 + 1 + 2 * 3 + 3 + 2 * 3), "{refused}");
    assert_eq!(look(folder.path()).unwrap(), expected);
}
