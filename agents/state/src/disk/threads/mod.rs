//! How are checkpoints kept in a folder?

mod copy;
mod growth;
mod read;
mod remove;
mod rows;
pub(crate) mod tables;

use std::sync::Arc;

use quorate_core::Result;
use rusqlite::{Connection, OptionalExtension};

use self::growth::Given;
use self::rows::{
    CheckpointRow, SpaceRow, WriteRow, checkpoint_name, scope_of, space_name, thread_name, write_name,
};
use super::checksum;
use super::holder::hex;
use super::local::Local;
use super::payload::Body;
use super::{Disk, new_id};
use crate::checkpoint::{
    Guard, NewCheckpoint, NewWrites, Order, Written, check_guard, fence_after, order_of, replaces,
};
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
    name: [u8; 16],
    scope: [u8; 16],
    created: f64,
    updated: f64,
}

impl Found {
    fn sum(&self) -> i64 {
        checksum(&[
            &self.name,
            &self.scope,
            &self.fence.to_le_bytes(),
            &self.created.to_bits().to_le_bytes(),
            &self.updated.to_bits().to_le_bytes(),
        ])
    }
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
    Same(Option<String>, u64),
}

impl Condition {
    fn of(guard: Guard<'_>) -> Condition {
        match guard {
            Guard::None => Condition::None,
            Guard::Head(id) => Condition::Head(id.map(str::to_owned)),
            Guard::Fence(fence) => Condition::Fence(fence),
            Guard::Same(id, fence) => Condition::Same(id.map(str::to_owned), fence),
        }
    }

    fn guard(&self) -> Guard<'_> {
        match self {
            Condition::None => Guard::None,
            Condition::Head(id) => Guard::Head(id.as_deref()),
            Condition::Fence(fence) => Guard::Fence(*fence),
            Condition::Same(id, fence) => Guard::Same(id.as_deref(), *fence),
        }
    }
}

/// Under which name the fence stands that threads of a tenant begin with.
fn fence_of(scope: &[u8; 16]) -> String {
    format!("fence {}", hex(scope))
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
        let values: Vec<Given> = new
            .values
            .iter()
            .map(|value| {
                Given::of(&place.space, value, new.extends.iter().find(|one| one.channel == value.channel))
            })
            .collect();
        let payloads = local.write_bodies(values.iter().filter_map(Given::body).chain([&row.body]))?;
        let (condition, claim) = (Condition::of(new.guard), new.claim);
        let job = {
            let local = Arc::clone(&local);
            move |connection: &Connection| {
                let (thread, space) = local.guarded(connection, &place, condition.guard())?;
                let mut replaced = Vec::new();
                for value in values {
                    local.put_given(connection, space, &place.space, value, &mut replaced)?;
                }
                local.put_checkpoint(connection, space, row, &mut replaced)?;
                let fence = thread.fence + i64::from(claim);
                local.touch(connection, thread, fence)?;
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
        let (condition, claim) = (Condition::of(new.guard), new.claim);
        let job = {
            let local = Arc::clone(&local);
            move |connection: &Connection| {
                let (thread, space) = local.guarded(connection, &place, condition.guard())?;
                let mut replaced = Vec::new();
                for row in &rows {
                    local.put_write(connection, space, row, &mut replaced)?;
                }
                local.touch(connection, thread, thread.fence + i64::from(claim))?;
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
            inside.touch(connection, thread, thread.fence + 1)?;
            Ok((thread.fence + 1).unsigned_abs())
        })
    }

    pub(crate) fn fence(&self, tenant: Option<&str>, thread: &str) -> Result<u64> {
        let local = self.0.local()?;
        let (name, scope) = (thread_name(tenant, thread), scope_of(tenant));
        local.read(|connection| {
            let fence = match local.find_thread(connection, &name)? {
                Some(found) => found.fence,
                None => local.first_fence(connection, &scope)?,
            };
            Ok(fence.unsigned_abs())
        })
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

    /// Errors: `corrupt`.
    fn find_thread(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<Found>> {
        Ok(self.found_threads(connection, "WHERE name = ?1", [name])?.pop())
    }

    fn found_threads(
        &self,
        connection: &Connection,
        rest: &str,
        with: impl rusqlite::Params,
    ) -> Result<Vec<Found>> {
        let bad = |e| self.failed(e);
        let sql = format!("SELECT n, fence, name, scope, created, updated, sum FROM threads {rest}");
        let mut query = connection.prepare_cached(&sql).map_err(bad)?;
        let mut rows = query.query(with).map_err(bad)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(bad)? {
            let read = || {
                let (n, fence, name) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let found =
                    Found { n, fence, name, scope: row.get(3)?, created: row.get(4)?, updated: row.get(5)? };
                Ok((found, row.get::<_, Option<i64>>(6)?))
            };
            let (found, sum) = read().map_err(bad)?;
            // Without one it is from before there were any, and has not been written since.
            if sum.is_some_and(|sum| sum != found.sum()) {
                return Err(self.damaged_row("a thread"));
            }
            all.push(found);
        }
        Ok(all)
    }

    /// The fence that threads of a tenant begin with.
    fn first_fence(&self, connection: &Connection, scope: &[u8; 16]) -> Result<i64> {
        let sql = "SELECT coalesce((SELECT value FROM meta WHERE name = ?1), 0)";
        let found = connection.prepare_cached(sql);
        let found = found.and_then(|mut query| query.query_row([fence_of(scope)], |row| row.get(0)));
        found.map_err(|e| self.failed(e))
    }

    /// Removes the row of a thread; its fence is outlived.
    fn forget_thread(&self, connection: &Connection, thread: Found) -> Result<()> {
        let first = fence_after(
            self.first_fence(connection, &thread.scope)?.unsigned_abs(),
            thread.fence.unsigned_abs(),
        );
        let run = |sql: &str, with: &[&dyn rusqlite::ToSql]| {
            let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(with));
            done.map(drop).map_err(|e| self.failed(e))
        };
        let first = i64::try_from(first).unwrap_or(i64::MAX);
        run(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
            &[&fence_of(&thread.scope), &first],
        )?;
        run("DELETE FROM threads WHERE n = ?1", &[&thread.n])
    }

    fn find_space(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<i64>> {
        let sql = "SELECT n FROM spaces WHERE name = ?1";
        let found = connection.prepare_cached(sql);
        let found = found.and_then(|mut query| query.query_row([name], |row| row.get(0)).optional());
        found.map_err(|e| self.failed(e))
    }

    /// The id of the newest checkpoint of a namespace.
    fn head(&self, connection: &Connection, space: i64) -> Result<Option<String>> {
        let newest = "WHERE space = ?1 ORDER BY place DESC LIMIT 1";
        Ok(self.checkpoint_rows(connection, newest, [space])?.pop().map(|(_, row)| row.id))
    }

    /// The thread and the namespace, made where they are not there and the guard allows it.
    fn guarded(&self, connection: &Connection, place: &Place, guard: Guard<'_>) -> Result<(Found, i64)> {
        let thread = self.find_thread(connection, &place.thread)?;
        let space = match thread {
            Some(_) => self.find_space(connection, &place.space)?,
            None => None,
        };
        let fence =
            thread.map_or_else(|| self.first_fence(connection, &place.scope), |thread| Ok(thread.fence))?;
        let head = || space.map_or(Ok(None), |space| self.head(connection, space));
        check_guard(guard, &place.label, fence.unsigned_abs(), head)?;
        let thread = match thread {
            Some(thread) => thread,
            None => {
                let time = now();
                let (name, scope) = (place.thread, place.scope);
                let fresh = Found { n: 0, fence, name, scope, created: time, updated: time };
                let sql = "INSERT INTO threads (name, scope, fence, created, updated, sum)
                    VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
                let insert = connection.prepare_cached(sql);
                let n = insert
                    .and_then(|mut insert| insert.insert((name, scope, fence, time, fresh.sum())))
                    .map_err(|e| self.failed(e))?;
                Found { n, ..fresh }
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

    fn touch(&self, connection: &Connection, thread: Found, fence: i64) -> Result<()> {
        let touched = Found { fence, updated: now(), ..thread };
        let sql = "UPDATE threads SET fence = ?2, updated = ?3, sum = ?4 WHERE n = ?1";
        let update = connection.prepare_cached(sql);
        let done =
            update.and_then(|mut update| update.execute((thread.n, fence, touched.updated, touched.sum())));
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
            if !replaces(row.index) {
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

    use crate::disk::schema::STEPS;
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
        // As the version before checkpoints wrote it: without any table that came later.
        let connection = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
        let tables = |connection: &rusqlite::Connection| -> Vec<String> {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
            let mut query = connection.prepare(sql).unwrap();
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let older = rusqlite::Connection::open_in_memory().unwrap();
        STEPS[..2].iter().for_each(|step| older.execute_batch(step).unwrap());
        let older = tables(&older);
        for table in tables(&connection).iter().filter(|table| !older.contains(table)) {
            connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        }
        connection.execute_batch("PRAGMA user_version = 2").unwrap();
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
