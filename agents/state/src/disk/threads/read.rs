//! How are checkpoints read, with their values and writes, from one moment?

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::super::local::Local;
use super::super::payload::{self, Body};
use super::Threads;
use super::rows::{
    CheckpointRow, SpaceRow, ValueRow, WriteRow, checkpoint_name, scope_of, space_name, thread_name,
};
use crate::checkpoint::{
    Checkpoint, CheckpointQuery, Order, PendingWrite, ThreadRow, matches, unknown_checkpoint,
};

/// How many checkpoints a list looks at in one go.
const PAGE: usize = 64;

/// A checkpoint as it stands in the rows.
struct Whole {
    space: SpaceRow,
    row: CheckpointRow,
    versions: Vec<(Arc<str>, Arc<str>)>,
    /// The pieces of each.
    values: Vec<Vec<ValueRow>>,
    writes: Vec<WriteRow>,
}

impl Threads<'_> {
    pub(crate) fn get(
        &self,
        tenant: Option<&str>,
        thread: &str,
        namespace: &str,
        id: Option<&str>,
    ) -> Result<Option<Checkpoint>> {
        let local = self.0.local()?;
        let space = space_name(&thread_name(tenant, thread), namespace);
        let found = local.checkpoints(|connection| {
            let Some((n, space)) = local.spaces(connection, "WHERE name = ?1", [space])?.pop() else {
                return Ok(Vec::new());
            };
            let rows = match id {
                Some(id) => local.checkpoint_rows(
                    connection,
                    "WHERE name = ?1",
                    [checkpoint_name(&space.name, id)],
                )?,
                None => {
                    let newest = "WHERE space = ?1 ORDER BY place DESC LIMIT 1";
                    local.checkpoint_rows(connection, newest, [n])?
                }
            };
            rows.into_iter().map(|(_, row)| local.gather(connection, &space, row)).collect()
        })?;
        Ok(found.into_iter().next())
    }

    pub(crate) fn list(
        &self,
        tenant: Option<&str>,
        query: &CheckpointQuery,
        before: Option<Result<Order, &str>>,
    ) -> Result<Vec<Checkpoint>> {
        let local = self.0.local()?;
        let payloads = &local.paths.payloads;
        local.checkpoints(|connection| {
            let mut spaces = Vec::new();
            for (n, space) in local.spaces_of(connection, tenant, query.thread.as_deref())? {
                if query.namespace.as_ref().is_none_or(|namespace| *namespace == space.namespace) {
                    spaces.push((n, space));
                }
            }
            let before = match before {
                None => None,
                Some(Ok(order)) => Some(order),
                Some(Err(id)) => Some(local.place_of(connection, &spaces, query.thread.as_deref(), id)?),
            };
            // Of each namespace the newest, page by page, until there are enough.
            let limit = query.limit.unwrap_or(usize::MAX);
            let mut found: Vec<(usize, CheckpointRow)> = Vec::new();
            for (at, (n, _)) in spaces.iter().enumerate() {
                let (mut last, mut here) = (before.unwrap_or([u8::MAX; 17]), 0);
                while here < limit {
                    let page = format!("WHERE space = ?1 AND place < ?2 ORDER BY place DESC LIMIT {PAGE}");
                    let rows = local.checkpoint_rows(connection, &page, (n, last))?;
                    let full = rows.len() == PAGE;
                    for (_, row) in rows {
                        last = row.place;
                        let fits = query.id.as_ref().is_none_or(|id| *id == row.id)
                            && (query.filter.is_empty() || {
                                let Some(text) = row.body.read(payloads)? else { continue };
                                matches(&query.filter, &local.json(&text)?["metadata"])
                            });
                        if fits && here < limit {
                            here += 1;
                            found.push((at, row));
                        }
                    }
                    if !full {
                        break;
                    }
                }
            }
            // Copies have the same place.
            let name = |at: usize| (&spaces[at].1.label, &spaces[at].1.namespace);
            found.sort_by(|a, b| b.1.place.cmp(&a.1.place).then_with(|| name(a.0).cmp(&name(b.0))));
            found.truncate(limit);
            found.into_iter().map(|(at, row)| local.gather(connection, &spaces[at].1, row)).collect()
        })
    }

    pub(crate) fn threads(&self, tenant: Option<&str>) -> Result<Vec<ThreadRow>> {
        let local = self.0.local()?;
        local.read(|connection| {
            let spaces = local.spaces_of(connection, tenant, None)?;
            let mut labels: HashMap<i64, String> = HashMap::new();
            let mut roots: HashMap<i64, i64> = HashMap::new();
            for (n, space) in spaces {
                if space.namespace.is_empty() {
                    roots.insert(space.thread, n);
                }
                labels.entry(space.thread).or_insert(space.label);
            }
            let mut threads = Vec::new();
            for found in local.found_threads(connection, "WHERE scope = ?1 ORDER BY n", [scope_of(tenant)])? {
                let Some(thread) = labels.remove(&found.n) else { continue };
                let sql =
                    "SELECT count(*) FROM spaces s JOIN checkpoints c ON c.space = s.n WHERE s.thread = ?1";
                let count = connection.prepare_cached(sql);
                let count =
                    count.and_then(|mut query| query.query_row([found.n], |row| row.get::<_, i64>(0)));
                let checkpoints = count.map_err(|e| local.failed(e))?.unsigned_abs();
                let head = roots.get(&found.n).map_or(Ok(None), |root| local.head(connection, *root))?;
                let (created, updated) = (found.created, found.updated);
                threads.push(ThreadRow { thread, checkpoints, head, created, updated });
            }
            Ok(threads)
        })
    }
}

impl Local {
    /// The namespaces of a thread, or of all that a tenant has.
    pub(super) fn spaces_of(
        &self,
        connection: &Connection,
        tenant: Option<&str>,
        thread: Option<&str>,
    ) -> Result<Vec<(i64, SpaceRow)>> {
        match thread {
            Some(thread) => {
                let Some(found) = self.find_thread(connection, &thread_name(tenant, thread))? else {
                    return Ok(Vec::new());
                };
                self.spaces(connection, "WHERE thread = ?1 ORDER BY n", [found.n])
            }
            None => {
                let all = "WHERE thread IN (SELECT n FROM threads WHERE scope = ?1) ORDER BY n";
                self.spaces(connection, all, [scope_of(tenant)])
            }
        }
    }

    /// The place of the checkpoint with this id in the first of these namespaces that has it. Errors: `unknown_id`.
    fn place_of(
        &self,
        connection: &Connection,
        spaces: &[(i64, SpaceRow)],
        thread: Option<&str>,
        id: &str,
    ) -> Result<Order> {
        let sql = "SELECT place FROM checkpoints WHERE name = ?1";
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        for (_, space) in spaces {
            let found = query.query_row([checkpoint_name(&space.name, id)], |row| row.get(0)).optional();
            if let Some(place) = found.map_err(|e| self.failed(e))? {
                return Ok(place);
            }
        }
        Err(unknown_checkpoint(thread.unwrap_or("*"), id))
    }

    pub(super) fn versions(&self, text: &str) -> Result<Vec<(Arc<str>, Arc<str>)>> {
        let read: Vec<(String, String)> =
            serde_json::from_str(text).map_err(|_| self.damaged_row("the versions of a checkpoint"))?;
        Ok(read.into_iter().map(|(channel, version)| (channel.into(), version.into())).collect())
    }

    fn json(&self, text: &str) -> Result<Value> {
        serde_json::from_str(text).map_err(|_| self.damaged_row("the data of a checkpoint"))
    }

    fn gather(&self, connection: &Connection, space: &SpaceRow, row: CheckpointRow) -> Result<Whole> {
        let versions = self.versions(&row.versions)?;
        let mut values = Vec::with_capacity(versions.len());
        for (channel, version) in &versions {
            let pieces = self.pieces(connection, &space.name, channel, version)?;
            if !pieces.is_empty() {
                values.push(pieces);
            }
        }
        let writes = self.write_rows(connection, "WHERE checkpoint = ?1", [row.name])?;
        let writes = writes.into_iter().map(|(_, row)| row).collect();
        Ok(Whole { space: space.clone(), row, versions, values, writes })
    }

    /// Checkpoints with their payloads. Errors: `corrupt`, `io`.
    fn checkpoints(&self, read: impl Fn(&Connection) -> Result<Vec<Whole>>) -> Result<Vec<Checkpoint>> {
        self.settled(read, |rows| self.filled(rows))
    }

    /// Rows with their payloads; or the error of a payload that is not there.
    fn filled(&self, rows: Vec<Whole>) -> Result<Result<Vec<Checkpoint>, Error>> {
        let payloads = &self.paths.payloads;
        let mut missing = None;
        let mut json = |body: &Body| -> Result<Value> {
            match body.read(payloads)? {
                Some(text) => self.json(&text),
                None => {
                    missing = body.name().map(|name| payload::missing(payloads, name));
                    Ok(Value::Null)
                }
            }
        };
        let mut found = Vec::with_capacity(rows.len());
        for Whole { space, row, versions, values, writes } in rows {
            let mut content = json(&row.body)?;
            let mut whole = Checkpoint {
                thread: space.label,
                namespace: space.namespace,
                id: row.id,
                parent: row.parent,
                time: row.time,
                data: content["data"].take(),
                metadata: content["metadata"].take(),
                versions,
                values: Vec::with_capacity(values.len()),
                writes: Vec::with_capacity(writes.len()),
            };
            for pieces in values {
                let mut channel: Arc<str> = "".into();
                let mut value = Value::Null;
                for row in pieces {
                    let Some(body) = &row.body else { continue };
                    channel = row.channel.into();
                    value = match (value, json(body)?, row.growth) {
                        (_, read, None) => read,
                        (Value::Array(mut all), Value::Array(more), Some(growth)) => {
                            let fits = all.len() == growth.from;
                            all.extend(more);
                            if !fits || all.len() != growth.to {
                                return Err(self.damaged_row("what a value begins with"));
                            }
                            Value::Array(all)
                        }
                        // Its file is not there; whoever reads begins again.
                        (value, Value::Null, Some(_)) | (value @ Value::Null, _, Some(_)) => value,
                        _ => return Err(self.damaged_row("what a value begins with")),
                    };
                }
                whole.values.push((channel, Arc::new(value)));
            }
            for write in writes {
                whole.writes.push(PendingWrite {
                    value: Arc::new(json(&write.body)?),
                    task: write.task,
                    path: write.path,
                    index: write.index,
                    channel: write.channel,
                });
            }
            whole.writes.sort_by(|a, b| (&a.path, &a.task, a.index).cmp(&(&b.path, &b.task, b.index)));
            found.push(whole);
        }
        Ok(missing.map_or(Ok(found), Err))
    }
}
