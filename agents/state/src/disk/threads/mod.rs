//! How are checkpoints kept in a folder?

mod copy;
mod read;
mod remove;
mod rows;
pub(crate) mod tables;

use std::sync::Arc;

use quorate_core::Result;
use rusqlite::{Connection, OptionalExtension};

use self::rows::{
    CheckpointRow, SpaceRow, ValueRow, WriteRow, checkpoint_name, scope_of, space_name, thread_name,
    value_name, write_name,
};
use super::local::Local;
use super::payload::Body;
use super::{Disk, new_id};
use crate::checkpoint::{Guard, NewCheckpoint, NewWrites, Order, Written, check_guard, order_of};
use crate::entry::now;

/// The threads of a store in a folder.
pub(crate) struct Threads<'a>(&'a Disk);

impl Disk {
    pub(crate) fn checkpoints(&self) -> Threads<'_> {
        Threads(self)
    }
}

/// A thread as it is found, or made.
#[derive(Clone, Copy, Debug)]
struct Found {
    n: i64,
    fence: i64,
}

/// Which thread and namespace a call means.
#[derive(Clone, Debug)]
struct Place {
    scope: [u8; 16],
    thread: [u8; 16],
    space: [u8; 16],
    label: String,
    namespace: String,
}

impl Place {
    fn of(tenant: Option<&str>, thread: &str, namespace: &str) -> Place {
        let name = thread_name(tenant, thread);
        Place {
            scope: scope_of(tenant),
            thread: name,
            space: space_name(&name, namespace),
            label: thread.to_owned(),
            namespace: namespace.to_owned(),
        }
    }
}

/// A guard that a job can keep.
#[derive(Clone, Debug)]
enum Condition {
    None,
    Head(Option<String>),
    Fence(u64),
}

impl Condition {
    fn of(guard: Guard<'_>) -> Condition {
        match guard {
            Guard::None => Condition::None,
            Guard::Head(id) => Condition::Head(id.map(str::to_owned)),
            Guard::Fence(fence) => Condition::Fence(fence),
        }
    }

    fn guard(&self) -> Guard<'_> {
        match self {
            Condition::None => Guard::None,
            Condition::Head(id) => Guard::Head(id.as_deref()),
            Condition::Fence(fence) => Guard::Fence(*fence),
        }
    }
}

impl Threads<'_> {
    pub(crate) fn put(&self, tenant: Option<&str>, new: &NewCheckpoint<'_>) -> Result<Written> {
        let local = self.0.local()?;
        let place = Place::of(tenant, new.thread, new.namespace);
        let id = new.id.map_or_else(new_id, str::to_owned);
        let versions: Vec<(&str, &str)> = new.versions.iter().map(|(c, v)| (&**c, &**v)).collect();
        let content = serde_json::json!({"metadata": new.metadata.render(), "data": new.data.render()});
        let row = CheckpointRow {
            name: checkpoint_name(&place.space, &id),
            place: Order::default(),
            time: now(),
            id: id.clone(),
            parent: new.parent.map(str::to_owned),
            versions: serde_json::json!(versions).to_string(),
            body: Body::of(&content),
        };
        let values: Vec<ValueRow> = new
            .values
            .iter()
            .map(|given| ValueRow {
                name: value_name(&place.space, &given.channel, &given.version),
                channel: given.channel.to_string(),
                version: given.version.to_string(),
                body: given.value.as_ref().map(|value| Body::of(value)),
            })
            .collect();
        let payloads =
            local.write_bodies(values.iter().filter_map(|v| v.body.as_ref()).chain([&row.body]))?;
        let (condition, claim) = (Condition::of(new.guard), new.claim);
        let job = {
            let local = Arc::clone(&local);
            move |connection: &Connection| {
                let (thread, space) = local.guarded(connection, &place, condition.guard())?;
                let mut replaced = Vec::new();
                for value in &values {
                    local.put_value(connection, space, value, &mut replaced)?;
                }
                local.put_checkpoint(connection, space, row, &mut replaced)?;
                let fence = thread.fence + i64::from(claim);
                local.touch(connection, thread.n, fence)?;
                Ok((fence.unsigned_abs(), replaced))
            }
        };
        let (fence, replaced) = local.tidy(payloads, local.write(new.durable, job))?;
        local.after_replacing(&replaced);
        Ok(Written { id, fence })
    }

    pub(crate) fn put_writes(&self, tenant: Option<&str>, new: &NewWrites<'_>) -> Result<()> {
        let local = self.0.local()?;
        let place = Place::of(tenant, new.thread, new.namespace);
        let checkpoint = checkpoint_name(&place.space, new.checkpoint);
        let rows: Vec<WriteRow> = new
            .writes
            .iter()
            .map(|write| WriteRow {
                name: write_name(&checkpoint, new.task, write.index),
                checkpoint,
                task: new.task.to_owned(),
                path: new.path.to_owned(),
                index: write.index,
                channel: write.channel.clone(),
                body: Body::of(&write.value),
            })
            .collect();
        let payloads = local.write_bodies(rows.iter().map(|row| &row.body))?;
        let condition = Condition::of(new.guard);
        let job = {
            let local = Arc::clone(&local);
            move |connection: &Connection| {
                let (thread, space) = local.guarded(connection, &place, condition.guard())?;
                let mut replaced = Vec::new();
                for row in &rows {
                    local.put_write(connection, space, row, &mut replaced)?;
                }
                local.touch(connection, thread.n, thread.fence)?;
                Ok(replaced)
            }
        };
        let replaced = local.tidy(payloads, local.write(new.durable, job))?;
        local.after_replacing(&replaced);
        Ok(())
    }

    pub(crate) fn claim(&self, tenant: Option<&str>, thread: &str, guard: Guard<'_>) -> Result<u64> {
        let local = self.0.local()?;
        let (place, condition) = (Place::of(tenant, thread, ""), Condition::of(guard));
        let inside = Arc::clone(&local);
        // Nothing has come of it yet: it is on the disk with what is written first.
        local.write(false, move |connection| {
            let (thread, _) = inside.guarded(connection, &place, condition.guard())?;
            inside.touch(connection, thread.n, thread.fence + 1)?;
            Ok((thread.fence + 1).unsigned_abs())
        })
    }

    pub(crate) fn fence(&self, tenant: Option<&str>, thread: &str) -> Result<u64> {
        let local = self.0.local()?;
        let name = thread_name(tenant, thread);
        let found = local.read(|connection| local.find_thread(connection, &name))?;
        Ok(found.map_or(0, |found| found.fence.unsigned_abs()))
    }
}

impl Local {
    /// Writes payload files, which nothing names yet; whether there are any.
    fn write_bodies<'a>(&self, bodies: impl IntoIterator<Item = &'a Body>) -> Result<bool> {
        let mut any = false;
        for body in bodies {
            body.write(&self.paths.payloads)?;
            any |= body.file.is_some();
        }
        Ok(any)
    }

    /// What was replaced can also be removed by the next who opens the folder.
    fn after_replacing(&self, payloads: &[Option<String>]) {
        if !payloads.is_empty() {
            let names: Vec<String> = payloads.iter().flatten().cloned().collect();
            let _ = self.collect(&names);
            let _ = self.compact();
        }
    }

    fn find_thread(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<Found>> {
        let sql = "SELECT n, fence FROM threads WHERE name = ?1";
        let found = connection.prepare_cached(sql).and_then(|mut query| {
            query.query_row([name], |row| Ok(Found { n: row.get(0)?, fence: row.get(1)? })).optional()
        });
        found.map_err(|e| self.failed(e))
    }

    fn find_space(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<i64>> {
        let sql = "SELECT n FROM spaces WHERE name = ?1";
        let found = connection.prepare_cached(sql);
        let found = found.and_then(|mut query| query.query_row([name], |row| row.get(0)).optional());
        found.map_err(|e| self.failed(e))
    }

    /// The id of the newest checkpoint of a namespace.
    fn head(&self, connection: &Connection, space: i64) -> Result<Option<String>> {
        let sql = "SELECT id FROM checkpoints WHERE space = ?1 AND gone = 0 ORDER BY place DESC LIMIT 1";
        let found = connection.prepare_cached(sql);
        let found = found.and_then(|mut query| query.query_row([space], |row| row.get(0)).optional());
        found.map_err(|e| self.failed(e))
    }

    /// The thread and the namespace, made where they are not there and the guard allows it.
    fn guarded(&self, connection: &Connection, place: &Place, guard: Guard<'_>) -> Result<(Found, i64)> {
        let thread = self.find_thread(connection, &place.thread)?;
        let space = match thread {
            Some(_) => self.find_space(connection, &place.space)?,
            None => None,
        };
        let fence = thread.map_or(0, |thread| thread.fence.unsigned_abs());
        let head = || space.map_or(Ok(None), |space| self.head(connection, space));
        check_guard(guard, &place.label, fence, head)?;
        let thread = match thread {
            Some(thread) => thread,
            None => {
                let sql =
                    "INSERT INTO threads (name, scope, fence, created, updated) VALUES (?1, ?2, 0, ?3, ?3)";
                let insert = connection.prepare_cached(sql);
                let n = insert.and_then(|mut insert| insert.insert((place.thread, place.scope, now())));
                Found { n: n.map_err(|e| self.failed(e))?, fence: 0 }
            }
        };
        let space = match space {
            Some(space) => space,
            None => {
                let row = SpaceRow {
                    name: place.space,
                    thread: thread.n,
                    label: place.label.clone(),
                    namespace: place.namespace.clone(),
                };
                self.insert_space(connection, &row)?
            }
        };
        Ok((thread, space))
    }

    fn touch(&self, connection: &Connection, thread: i64, fence: i64) -> Result<()> {
        let sql = "UPDATE threads SET fence = ?2, updated = ?3 WHERE n = ?1";
        let update = connection.prepare_cached(sql);
        let done = update.and_then(|mut update| update.execute((thread, fence, now())));
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// Writes a checkpoint, in the place of the one that has its name.
    fn put_checkpoint(
        &self,
        connection: &Connection,
        space: i64,
        mut row: CheckpointRow,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        let sql = "SELECT place FROM checkpoints WHERE name = ?1";
        let known = connection.prepare_cached(sql);
        let known =
            known.and_then(|mut query| query.query_row([row.name], |row| row.get::<_, Order>(0)).optional());
        match known.map_err(|e| self.failed(e))? {
            Some(place) => {
                row.place = place;
                replaced.extend(self.blank_where(connection, "checkpoints", "name", row.name)?);
            }
            None => row.place = order_of(&row.id, self.next_checkpoint(connection)?),
        }
        self.insert_checkpoint(connection, space, &row)
    }

    /// The number of the checkpoint that is written next.
    fn next_checkpoint(&self, connection: &Connection) -> Result<u64> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'checkpoints'), 0) + 1";
        let next = connection.prepare_cached(sql);
        let next = next.and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)));
        next.map(i64::unsigned_abs).map_err(|e| self.failed(e))
    }

    /// Writes a value, where it is not there.
    fn put_value(
        &self,
        connection: &Connection,
        space: i64,
        row: &ValueRow,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        let sql = "SELECT data, payload FROM channels WHERE name = ?1";
        let known = connection.prepare_cached(sql).and_then(|mut query| {
            let read =
                |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
            query.query_row([row.name], read).optional()
        });
        if let Some((text, payload)) = known.map_err(|e| self.failed(e))? {
            if row.body.as_ref().is_some_and(|body| body.text == text && body.name() == payload.as_deref()) {
                // Its file may have been damaged.
                return row.body.as_ref().map_or(Ok(()), |body| body.ensure(&self.paths.payloads));
            }
            replaced.extend(self.blank_where(connection, "channels", "name", row.name)?);
        }
        match &row.body {
            Some(body) => self.insert_value(connection, space, row, body),
            None => Ok(()),
        }
    }

    /// Writes what a task wrote: at a place of 0 and above the first one stays.
    fn put_write(
        &self,
        connection: &Connection,
        space: i64,
        row: &WriteRow,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        let sql = "SELECT 1 FROM writes WHERE name = ?1";
        let known = connection.prepare_cached(sql);
        let known = known.and_then(|mut query| query.query_row([row.name], |_| Ok(())).optional());
        if known.map_err(|e| self.failed(e))?.is_some() {
            if row.index >= 0 {
                return Ok(());
            }
            replaced.extend(self.blank_where(connection, "writes", "name", row.name)?);
        }
        self.insert_write(connection, space, row)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::{Begun, ChannelValue, Entry, NewCheckpoint, NewRun, StateStore};

    #[test]
    fn a_state_from_before_checkpoints_gets_them_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        {
            let store = StateStore::open(folder.path()).unwrap();
            let new = NewRun { id: Some("r"), kind: "agent", ..NewRun::default() };
            let Begun::New(run) = store.begin(&new, &[Entry::new(1, "k", "kept")]).unwrap() else { panic!() };
            run.append(&[], Some("done")).unwrap();
            store.put(None, "s", "k", &json!("kept too")).unwrap();
        }
        // As version 2 wrote it, which had neither checkpoints nor queues.
        let connection = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
        connection
            .execute_batch(
                "DROP TABLE threads; DROP TABLE spaces; DROP TABLE checkpoints; DROP TABLE channels;
                 DROP TABLE writes; DROP TABLE bodies; DROP TABLE queues; DROP TABLE messages; DROP TABLE uses;
                 DROP TABLE takes; DROP TABLE onces; DROP TABLE events; PRAGMA user_version = 2;",
            )
            .unwrap();
        drop(connection);
        let store = StateStore::open(folder.path()).unwrap();
        assert_eq!(store.entries(None, "r", 1).unwrap()[0].data, "kept");
        assert_eq!(store.get(None, "s", "k").unwrap(), Some(json!("kept too")));
        let checkpoints = store.checkpoints(None).unwrap();
        let value = Some(Arc::new(json!(1)));
        let new = NewCheckpoint {
            versions: vec![("a".into(), "1".into())],
            values: vec![ChannelValue { channel: "a".into(), version: "1".into(), value }],
            ..NewCheckpoint::new("t")
        };
        let written = checkpoints.put(&new).unwrap();
        assert_eq!(checkpoints.get("t", "", None).unwrap().unwrap().id, written.id);
        let queue = store.queue(None, "q", None).unwrap();
        queue.put(&json!(1), &crate::PutOptions::default()).unwrap();
        assert_eq!(queue.take(1).unwrap()[0].data, json!(1));
    }
}
