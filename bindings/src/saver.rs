//! How do checkpointers of other libraries keep what they write in a state store?
//!
//! Their payloads are bytes or JSON of their own making, and stay what they are: nothing is made of them here.

use std::sync::Arc;

use quorate_core::{Error, Result};
use quorate_state::{
    ChannelValue, Checkpoint, CheckpointQuery, Checkpoints, NewCheckpoint, NewWrite, NewWrites, Prune,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A checkpoint as a host gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    thread: String,
    namespace: String,
    id: String,
    parent: Option<String>,
    data: Value,
    metadata: Map<String, Value>,
    versions: Vec<(String, String)>,
    /// The channel, the version, and the value where there is one.
    values: Vec<(String, String, Option<Value>)>,
}

/// Writes of a task as a host gives them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutWrites {
    thread: String,
    namespace: String,
    checkpoint: String,
    task: String,
    path: String,
    /// The place, the channel and the value.
    writes: Vec<(i64, String, Value)>,
}

fn read<T: for<'a> Deserialize<'a>>(given: Value) -> Result<T> {
    serde_json::from_value(given).map_err(|e| Error::invalid(format!("what the checkpointer gave: {e}")))
}

/// Writes a checkpoint: `thread namespace id parent data metadata versions values`. Errors: `invalid_argument`, those of
/// [`Checkpoints::put`].
pub fn put(checkpoints: &Checkpoints, given: Value, durable: bool) -> Result<()> {
    let given: Put = read(given)?;
    let value = |(channel, version, value): (String, String, Option<Value>)| ChannelValue {
        channel: channel.into(),
        version: version.into(),
        value: value.map(Arc::new),
    };
    checkpoints.put(&NewCheckpoint {
        namespace: &given.namespace,
        id: Some(&given.id),
        parent: given.parent.as_deref(),
        data: Arc::new(given.data),
        metadata: Arc::new(Value::Object(given.metadata)),
        versions: given
            .versions
            .into_iter()
            .map(|(channel, version)| (channel.into(), version.into()))
            .collect(),
        values: given.values.into_iter().map(value).collect(),
        durable,
        ..NewCheckpoint::new(&given.thread)
    })?;
    Ok(())
}

/// Writes what a task has written: `thread namespace checkpoint task path writes`. Errors: as [`put`].
pub fn put_writes(checkpoints: &Checkpoints, given: Value, durable: bool) -> Result<()> {
    let given: PutWrites = read(given)?;
    let write =
        |(index, channel, value): (i64, String, Value)| NewWrite { index, channel, value: Arc::new(value) };
    checkpoints.put_writes(&NewWrites {
        thread: &given.thread,
        namespace: &given.namespace,
        checkpoint: &given.checkpoint,
        task: &given.task,
        path: &given.path,
        writes: given.writes.into_iter().map(write).collect(),
        guard: quorate_state::Guard::None,
        claim: false,
        durable,
    })
}

/// A checkpoint with all that stands in it and beside it.
fn whole(found: &Checkpoint) -> Value {
    let values: Map<String, Value> =
        found.values.iter().map(|(channel, value)| (channel.to_string(), (**value).clone())).collect();
    let writes = found.writes.iter().map(|write| json!([write.task, write.channel, *write.value]));
    json!({
        "thread": found.thread, "namespace": found.namespace, "id": found.id, "parent": found.parent,
        "data": found.data, "values": values, "writes": writes.collect::<Value>(),
    })
}

/// The checkpoint with this id, or the newest of the namespace. Errors: those of the store.
pub fn get(checkpoints: &Checkpoints, thread: &str, namespace: &str, id: Option<&str>) -> Result<Value> {
    Ok(checkpoints.get(thread, namespace, id)?.as_ref().map_or(Value::Null, whole))
}

/// Checkpoints, the newest first. Errors: those of the store.
pub fn list(checkpoints: &Checkpoints, query: &CheckpointQuery) -> Result<Value> {
    Ok(checkpoints.list(query)?.iter().map(whole).collect())
}

/// Keeps only the newest checkpoint of each namespace of these threads. Errors: those of the store.
pub fn keep_newest(checkpoints: &Checkpoints, threads: Vec<String>) -> Result<()> {
    checkpoints.prune(&Prune { threads: Some(threads), keep: 1, older_than: None, dry_run: false })?;
    Ok(())
}
