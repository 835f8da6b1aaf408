//! How are threads and older checkpoints removed, so that nothing of them is left?

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use quorate_core::Result;
use rusqlite::Connection;
use serde_json::Value;

use super::super::local::Local;
use super::super::payload::{self, Body};
use super::Threads;
use super::rows::{SpaceRow, thread_name, value_name};
use crate::checkpoint::{Prune, Pruned, Removed, beyond, within};
use crate::entry::now;

/// What a transaction that removes something has done.
#[derive(Default)]
struct Done {
    pruned: Pruned,
    payloads: Vec<String>,
}

impl Done {
    fn add(&mut self, payloads: Vec<Option<String>>) {
        self.payloads.extend(payloads.into_iter().flatten());
    }
}

impl Threads<'_> {
    pub(crate) fn delete(&self, tenant: Option<&str>, thread: &str) -> Result<bool> {
        let local = self.0.local()?;
        let name = thread_name(tenant, thread);
        let inside = Arc::clone(&local);
        let removed = local.write(true, move |connection| {
            let Some(thread) = inside.find_thread(connection, &name)? else { return Ok(None) };
            let mut done = Done::default();
            for (n, space) in inside.spaces(connection, "WHERE thread = ?1", [thread.n])? {
                inside.remove_space(connection, n, &space, &mut done)?;
            }
            inside.forget_thread(connection, thread)?;
            Ok(Some(done.payloads))
        })?;
        let Some(payloads) = removed else { return Ok(false) };
        local.collect(&payloads)?;
        local.scrub()?;
        Ok(true)
    }

    pub(crate) fn delete_for_runs(&self, tenant: Option<&str>, runs: &[&str]) -> Result<usize> {
        if runs.is_empty() {
            return Ok(0);
        }
        let local = self.0.local()?;
        let runs: HashSet<String> = runs.iter().map(|run| (*run).to_owned()).collect();
        let (inside, tenant) = (Arc::clone(&local), tenant.map(str::to_owned));
        let done = local.write(true, move |connection| {
            let mut done = Done::default();
            let mut threads = BTreeSet::new();
            for (n, space) in inside.spaces_of(connection, tenant.as_deref(), None)? {
                let rows = inside.checkpoint_rows(connection, "WHERE space = ?1", [n])?;
                let mut gone = HashSet::new();
                for (_, row) in rows {
                    let metadata = inside.metadata(&row.body)?;
                    if metadata["run_id"].as_str().is_some_and(|run| runs.contains(run)) {
                        gone.insert(row.id);
                    }
                }
                if !gone.is_empty() {
                    inside.remove_checkpoints(connection, n, &space, &gone, &mut done)?;
                    threads.insert(space.thread);
                }
            }
            // Whoever runs one of the threads would go on from what is not there any more.
            for n in threads {
                for thread in inside.found_threads(connection, "WHERE n = ?1", [n])? {
                    inside.touch(connection, thread, thread.fence + 1)?;
                }
            }
            Ok(done)
        })?;
        if !done.pruned.checkpoints.is_empty() {
            local.collect(&done.payloads)?;
            local.scrub()?;
        }
        Ok(done.pruned.checkpoints.len())
    }

    pub(crate) fn prune(&self, tenant: Option<&str>, what: &Prune) -> Result<Pruned> {
        let local = self.0.local()?;
        let done = self.prune_in(&local, tenant, what)?;
        if !what.dry_run && !done.pruned.checkpoints.is_empty() {
            local.collect(&done.payloads)?;
            local.scrub()?;
        }
        Ok(done.pruned)
    }

    pub(crate) fn trim(&self, tenant: Option<&str>, thread: &str, keep: usize) -> Result<()> {
        let local = self.0.local()?;
        let what = Prune { threads: Some(vec![thread.to_owned()]), keep, ..Prune::default() };
        let done = self.prune_in(&local, tenant, &what)?;
        if !done.pruned.checkpoints.is_empty() {
            local.collect(&done.payloads)?;
            local.compact()?;
        }
        Ok(())
    }

    fn prune_in(&self, local: &Arc<Local>, tenant: Option<&str>, what: &Prune) -> Result<Done> {
        let (inside, tenant, what) = (Arc::clone(local), tenant.map(str::to_owned), what.clone());
        let before = what.older_than.map(|age| now() - age);
        let dry_run = what.dry_run;
        let job = move |connection: &Connection| {
            let mut done = Done::default();
            let threads: Vec<Option<&str>> = match &what.threads {
                Some(threads) => threads.iter().map(|thread| Some(thread.as_str())).collect(),
                None => vec![None],
            };
            for thread in threads {
                for (n, space) in inside.spaces_of(connection, tenant.as_deref(), thread)? {
                    let sql = "SELECT place, time, id FROM checkpoints WHERE space = ?1";
                    let mut query = connection.prepare_cached(sql).map_err(|e| inside.failed(e))?;
                    let rows = query
                        .query_map([n], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?)));
                    let rows: Vec<_> = rows.and_then(Iterator::collect).map_err(|e| inside.failed(e))?;
                    if rows.len() <= what.keep {
                        continue;
                    }
                    let (places, ids): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
                    let gone = beyond(&places, what.keep, before);
                    if !gone.is_empty() {
                        let gone = gone.into_iter().map(|i| ids[i].clone()).collect();
                        inside.remove_checkpoints(connection, n, &space, &gone, &mut done)?;
                    }
                }
            }
            done.pruned.checkpoints.sort();
            Ok(done)
        };
        if !dry_run {
            return local.write(true, job);
        }
        // What would be done is done, and taken back.
        local.rehearse(job)
    }
}

impl Local {
    /// The metadata of a checkpoint.
    fn metadata(&self, body: &Body) -> Result<Value> {
        let text = body.read(&self.paths.payloads)?;
        let missing = || payload::missing(&self.paths.payloads, body.name().unwrap_or_default());
        let text = text.ok_or_else(missing)?;
        let mut content: Value =
            serde_json::from_str(&text).map_err(|_| self.damaged_row("the data of a checkpoint"))?;
        Ok(content["metadata"].take())
    }

    /// Removes a namespace with all that it has.
    fn remove_space(&self, connection: &Connection, n: i64, space: &SpaceRow, done: &mut Done) -> Result<()> {
        let sql = "SELECT id FROM checkpoints WHERE space = ?1";
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let ids: Vec<String> =
            query.query_map([n], |row| row.get(0)).and_then(Iterator::collect).map_err(|e| self.failed(e))?;
        done.pruned.checkpoints.extend(ids.into_iter().map(|id| removed(space, id)));
        done.add(self.blank_where(connection, "checkpoints", "space", n)?);
        let values = self.blank_where(connection, "channels", "space", n)?;
        done.pruned.values += values.len();
        done.add(values);
        let writes = self.blank_where(connection, "writes", "space", n)?;
        done.pruned.writes += writes.len();
        done.add(writes);
        self.blank_where(connection, "spaces", "n", n)?;
        Ok(())
    }

    /// Removes checkpoints of a namespace, what is nested in them, and values that no other one has.
    fn remove_checkpoints(
        &self,
        connection: &Connection,
        n: i64,
        space: &SpaceRow,
        gone: &HashSet<String>,
        done: &mut Done,
    ) -> Result<()> {
        let inner: Vec<String> = gone.iter().map(|id| within(&space.namespace, id)).collect();
        for (n, other) in self.spaces(connection, "WHERE thread = ?1", [space.thread])? {
            if inner.iter().any(|inner| other.namespace.starts_with(inner)) {
                self.remove_space(connection, n, &other, done)?;
            }
        }
        let mut kept = Vec::new();
        for (n, row) in self.checkpoint_rows(connection, "WHERE space = ?1", [n])? {
            if !gone.contains(&row.id) {
                kept.push(row.versions);
                continue;
            }
            done.add(self.blank_where(connection, "checkpoints", "n", n)?);
            let writes = self.blank_where(connection, "writes", "checkpoint", row.name)?;
            done.pruned.writes += writes.len();
            done.add(writes);
            done.pruned.checkpoints.push(removed(space, row.id));
        }
        let used: HashSet<[u8; 16]> = self
            .in_use(connection, n, kept.iter().map(String::as_str))?
            .iter()
            .map(|(channel, version)| value_name(&space.name, channel, version))
            .collect();
        let sql = "SELECT name FROM channels WHERE space = ?1";
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let names = query.query_map([n], |row| row.get::<_, [u8; 16]>(0));
        let names: Vec<[u8; 16]> = names.and_then(Iterator::collect).map_err(|e| self.failed(e))?;
        for name in names.into_iter().filter(|name| !used.contains(name)) {
            let values = self.blank_where(connection, "channels", "name", name)?;
            done.pruned.values += values.len();
            done.add(values);
        }
        Ok(())
    }
}

fn removed(space: &SpaceRow, id: String) -> Removed {
    Removed { thread: space.label.clone(), namespace: space.namespace.clone(), id }
}
