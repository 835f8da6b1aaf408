//! How is a thread copied, and how does a checkpoint become the newest one again?

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quorate_core::Result;
use rusqlite::Connection;

use super::super::local::Local;
use super::super::new_id;
use super::super::payload::{self, Body};
use super::rows::{
    CheckpointRow, SpaceRow, ValueRow, WriteRow, checkpoint_name, space_name, thread_name, value_name,
    write_name,
};
use super::{Found, Place, Threads};
use crate::checkpoint::{
    Cut, Guard, Order, Passage, Written, order_of, taken, unknown_checkpoint, unknown_thread,
};
use crate::entry::now;

impl Threads<'_> {
    pub(crate) fn copy(&self, tenant: Option<&str>, from: &str, to: &str) -> Result<usize> {
        let local = self.0.local()?;
        let source = thread_name(tenant, from);
        let place = Place::of(tenant, to, "");
        let (inside, from) = (Arc::clone(&local), from.to_owned());
        local.write(true, move |connection| {
            let found = inside.find_thread(connection, &source)?.ok_or_else(|| unknown_thread(&from))?;
            inside.free(connection, &place)?;
            let (thread, _) = inside.guarded(connection, &place, Guard::None)?;
            let mut count = 0;
            for (n, space) in inside.spaces(connection, "WHERE thread = ?1", [found.n])? {
                let part = inside.part(connection, n)?;
                count += part.checkpoints.len();
                let target = inside.target(connection, thread, &place, &space.namespace)?;
                inside.paste(connection, &target, part)?;
            }
            // Somebody may have claimed the thread while it was empty.
            inside.touch(connection, thread, thread.fence + 1)?;
            Ok(count)
        })
    }

    pub(crate) fn fork(
        &self,
        tenant: Option<&str>,
        from: &str,
        namespace: &str,
        id: &str,
        to: &str,
    ) -> Result<Written> {
        let local = self.0.local()?;
        let source = thread_name(tenant, from);
        let place = Place::of(tenant, to, "");
        Cut::of(namespace, id)?;
        let inside = Arc::clone(&local);
        let (from, namespace, id, to) = (from.to_owned(), namespace.to_owned(), id.to_owned(), to.to_owned());
        local.write(true, move |connection| {
            let cut = Cut::of(&namespace, &id)?;
            let found = inside.find_thread(connection, &source)?;
            let found = found.ok_or_else(|| unknown_checkpoint(&from, &id))?;
            let same = from == to;
            let fresh = if same { new_id() } else { cut.root().to_owned() };
            let spaces = inside.spaces(connection, "WHERE thread = ?1", [found.n])?;
            let orders = inside.orders(connection, &spaces, &cut)?;
            let order = |namespace: &str, id: &str| orders.get(namespace)?.get(id).copied();
            if let Some((_, missing)) = cut.way().find(|(on, checkpoint)| order(on, checkpoint).is_none()) {
                return Err(unknown_checkpoint(&from, missing));
            }
            let newest = orders.get(cut.deepest()).and_then(|all| all.values().max()).copied();
            let newest = newest == order(cut.deepest(), &id);
            let cut = cut.newest(newest);
            if !same {
                inside.free(connection, &place)?;
            }
            let (thread, _) = inside.guarded(connection, &place, Guard::None)?;
            for (n, space) in &spaces {
                let Some(passage) = cut.passage(&space.namespace, &fresh, order) else { continue };
                let mut part = inside.part(connection, *n)?;
                inside.shorten(connection, *n, &mut part, &passage)?;
                if space.namespace.is_empty() {
                    for row in &mut part.checkpoints {
                        row.parent = same.then(|| row.id.clone());
                        row.id.clone_from(&fresh);
                        row.time = now();
                        row.place = order_of(&row.id, inside.next_checkpoint(connection)?);
                    }
                    for (_, id) in &mut part.writes {
                        id.clone_from(&fresh);
                    }
                }
                let target = inside.target(connection, thread, &place, &passage.namespace)?;
                inside.paste(connection, &target, part)?;
            }
            inside.touch(connection, thread, thread.fence + 1)?;
            Ok(Written { id: fresh, fence: (thread.fence + 1).unsigned_abs() })
        })
    }
}

/// What a namespace has.
struct Part {
    checkpoints: Vec<CheckpointRow>,
    values: Vec<ValueRow>,
    /// With the id of their checkpoint; those of a checkpoint that is not there are left behind.
    writes: Vec<(WriteRow, String)>,
}

/// Where it goes.
struct Target {
    n: i64,
    name: [u8; 16],
}

impl Local {
    /// Errors: `duplicate_id` when a thread has something.
    fn free(&self, connection: &Connection, place: &Place) -> Result<()> {
        let Some(found) = self.find_thread(connection, &place.thread)? else { return Ok(()) };
        let sql = "SELECT count(*) FROM spaces s WHERE s.thread = ?1 AND (
            EXISTS (SELECT 1 FROM checkpoints c WHERE c.space = s.n)
            OR EXISTS (SELECT 1 FROM writes w WHERE w.space = s.n))";
        let count: i64 =
            connection.query_row(sql, [found.n], |row| row.get(0)).map_err(|e| self.failed(e))?;
        if count == 0 { Ok(()) } else { Err(taken(&place.label)) }
    }

    fn target(
        &self,
        connection: &Connection,
        thread: Found,
        place: &Place,
        namespace: &str,
    ) -> Result<Target> {
        let name = space_name(&place.thread, namespace);
        let n = match self.find_space(connection, &name)? {
            Some(n) => n,
            None => {
                let (label, namespace) = (place.label.clone(), namespace.to_owned());
                self.insert_space(connection, &SpaceRow { name, thread: thread.n, label, namespace })?
            }
        };
        Ok(Target { n, name })
    }

    fn part(&self, connection: &Connection, n: i64) -> Result<Part> {
        let all = "WHERE space = ?1 ORDER BY n";
        let checkpoints: Vec<CheckpointRow> =
            self.checkpoint_rows(connection, all, [n])?.into_iter().map(|(_, row)| row).collect();
        let values = self.value_rows(connection, all, [n])?.into_iter().map(|(_, row)| row).collect();
        let ids: HashMap<[u8; 16], &String> = checkpoints.iter().map(|row| (row.name, &row.id)).collect();
        let writes = self.write_rows(connection, all, [n])?.into_iter().filter_map(|(_, row)| {
            let id = (*ids.get(&row.checkpoint)?).clone();
            Some((row, id))
        });
        let writes = writes.collect();
        Ok(Part { checkpoints, values, writes })
    }

    /// The places of the checkpoints of the namespaces on the way of a fork.
    fn orders(
        &self,
        connection: &Connection,
        spaces: &[(i64, SpaceRow)],
        cut: &Cut<'_>,
    ) -> Result<HashMap<String, HashMap<String, Order>>> {
        let mut orders = HashMap::new();
        for (n, space) in spaces.iter().filter(|(_, space)| cut.way().any(|(on, _)| on == space.namespace)) {
            let sql = "SELECT id, place FROM checkpoints WHERE space = ?1";
            let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
            let rows = query.query_map([n], |row| Ok((row.get(0)?, row.get(1)?)));
            let here = rows.and_then(Iterator::collect).map_err(|e| self.failed(e))?;
            orders.insert(space.namespace.clone(), here);
        }
        Ok(orders)
    }

    /// Leaves out what does not come along with a fork.
    fn shorten(&self, connection: &Connection, n: i64, part: &mut Part, passage: &Passage<'_>) -> Result<()> {
        part.checkpoints.retain(|row| passage.has(row.place));
        let kept: HashSet<&str> = part.checkpoints.iter().map(|row| row.id.as_str()).collect();
        part.writes.retain(|(row, id)| kept.contains(id.as_str()) && passage.has_write(id, &row.task));
        let used = self.in_use(connection, n, part.checkpoints.iter().map(|row| row.versions.as_str()))?;
        part.values.retain(|row| used.contains(&(row.channel.clone(), row.version.clone())));
        Ok(())
    }

    /// Writes rows again under the names that they have elsewhere.
    fn paste(&self, connection: &Connection, target: &Target, part: Part) -> Result<()> {
        for mut row in part.checkpoints {
            row.name = checkpoint_name(&target.name, &row.id);
            self.whole_body(&mut row.body)?;
            let mut replaced = Vec::new();
            let place = row.place;
            // The place of an id without a time is the one that it had: copies keep their order.
            self.put_copied(connection, target.n, row, place, &mut replaced)?;
        }
        for mut row in part.values {
            row.name = value_name(&target.name, &row.channel, &row.version);
            if let Some(body) = &mut row.body {
                self.whole_body(body)?;
            }
            self.put_value(connection, target.n, &row, &mut Vec::new())?;
        }
        for (mut row, id) in part.writes {
            row.checkpoint = checkpoint_name(&target.name, &id);
            row.name = write_name(&row.checkpoint, &row.task, row.index);
            self.whole_body(&mut row.body)?;
            self.put_write(connection, target.n, &row, &mut Vec::new())?;
        }
        Ok(())
    }

    fn put_copied(
        &self,
        connection: &Connection,
        space: i64,
        mut row: CheckpointRow,
        place: Order,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        replaced.extend(self.blank_where(connection, "checkpoints", "name", row.name)?);
        row.place = place;
        self.insert_checkpoint(connection, space, &row)
    }

    /// Reads the file of a body that has one, so that it is written again should somebody remove it.
    fn whole_body(&self, body: &mut Body) -> Result<()> {
        let Some((name, bytes)) = &mut body.file else { return Ok(()) };
        match payload::read(&self.paths.payloads, name)? {
            Some(text) => *bytes = text.into_bytes(),
            None => return Err(payload::missing(&self.paths.payloads, name)),
        }
        Ok(())
    }
}
