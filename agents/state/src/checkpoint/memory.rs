//! How are checkpoints kept that need not survive the process?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::{Error, Result};
use serde_json::Value;

use super::fork::Cut;
use super::rules::{check_guard, taken, unknown_thread};
use super::{
    Checkpoint, CheckpointQuery, Guard, NewCheckpoint, NewWrites, Order, PendingWrite, Prune, Pruned,
    Removed, Render, ThreadRow, Written, beyond, matches, order_of, unknown_checkpoint, within,
};
use crate::disk::new_id;
use crate::entry::now;

/// The threads of a store in memory.
#[derive(Default)]
pub(crate) struct Threads(Mutex<All>);

#[derive(Default)]
struct All {
    /// How many checkpoints were written, which gives each its place.
    written: u64,
    /// How many threads were begun, likewise.
    begun: u64,
    /// By tenant (none: the empty name, which no tenant has).
    tenants: HashMap<String, HashMap<String, Thread>>,
}

struct Thread {
    number: u64,
    fence: u64,
    created: f64,
    updated: f64,
    spaces: BTreeMap<String, Space>,
}

#[derive(Clone, Default)]
struct Space {
    checkpoints: BTreeMap<Order, Arc<Kept>>,
    orders: HashMap<Arc<str>, Order>,
    /// By channel and version.
    values: HashMap<(Arc<str>, Arc<str>), Arc<Value>>,
    /// By checkpoint; then by task and index.
    writes: HashMap<String, BTreeMap<(String, i64), PendingWrite>>,
}

/// A checkpoint without its values.
#[derive(Debug)]
struct Kept {
    id: Arc<str>,
    parent: Option<String>,
    time: f64,
    data: Arc<dyn Render>,
    metadata: Arc<dyn Render>,
    versions: Vec<(Arc<str>, Arc<str>)>,
}

impl Space {
    fn head(&self) -> Option<&Arc<Kept>> {
        self.checkpoints.last_key_value().map(|(_, kept)| kept)
    }

    fn find(&self, id: &str) -> Option<&Arc<Kept>> {
        self.orders.get(id).and_then(|order| self.checkpoints.get(order))
    }

    fn read(&self, thread: &str, namespace: &str, kept: &Kept) -> Checkpoint {
        let value = |(channel, version): &(Arc<str>, Arc<str>)| {
            let value = self.values.get(&(Arc::clone(channel), Arc::clone(version)))?;
            Some((Arc::clone(channel), Arc::clone(value)))
        };
        let mut writes: Vec<PendingWrite> =
            self.writes.get(&*kept.id).into_iter().flat_map(BTreeMap::values).cloned().collect();
        writes.sort_by(|a, b| (&a.path, &a.task, a.index).cmp(&(&b.path, &b.task, b.index)));
        Checkpoint {
            thread: thread.to_owned(),
            namespace: namespace.to_owned(),
            id: kept.id.to_string(),
            parent: kept.parent.clone(),
            time: kept.time,
            data: kept.data.render(),
            metadata: kept.metadata.render(),
            versions: kept.versions.clone(),
            values: kept.versions.iter().filter_map(value).collect(),
            writes,
        }
    }

    /// Removes checkpoints with their writes; gives how many writes.
    fn remove(&mut self, ids: &HashSet<String>) -> usize {
        let mut writes = 0;
        for id in ids {
            if let Some(order) = self.orders.remove(id.as_str()) {
                self.checkpoints.remove(&order);
            }
            writes += self.writes.remove(id).map_or(0, |writes| writes.len());
        }
        writes
    }

    /// A copy, without the writes of checkpoints that are not there.
    fn copied(&self) -> Space {
        let mut copy = self.clone();
        copy.writes.retain(|id, _| self.orders.contains_key(id.as_str()));
        copy
    }

    /// Removes values that no checkpoint has; gives how many.
    fn tidy(&mut self) -> usize {
        let used: HashSet<&(Arc<str>, Arc<str>)> =
            self.checkpoints.values().flat_map(|kept| &kept.versions).collect();
        let before = self.values.len();
        self.values.retain(|at, _| used.contains(at));
        before - self.values.len()
    }
}

/// Nothing panics while it holds a lock here, and a fork waits for whoever has one (see `gate`).
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl All {
    fn thread(&self, tenant: Option<&str>, thread: &str) -> Option<&Thread> {
        self.tenants.get(tenant.unwrap_or_default())?.get(thread)
    }

    /// The thread, made where it is not there and the guard allows it.
    fn guarded(
        &mut self,
        tenant: Option<&str>,
        thread: &str,
        namespace: &str,
        guard: Guard<'_>,
    ) -> Result<&mut Thread> {
        let tenant = tenant.unwrap_or_default();
        let there = self.tenants.get(tenant).and_then(|threads| threads.get(thread));
        let head = || {
            let space = there.and_then(|there| there.spaces.get(namespace));
            Ok(space.and_then(Space::head).map(|kept| kept.id.to_string()))
        };
        check_guard(guard, thread, there.map_or(0, |there| there.fence), head)?;
        if there.is_none() {
            let time = now();
            let fresh = Thread {
                number: self.begun,
                fence: 0,
                created: time,
                updated: time,
                spaces: BTreeMap::new(),
            };
            self.begun += 1;
            self.tenants.entry(tenant.to_owned()).or_default().insert(thread.to_owned(), fresh);
        }
        let found = self.tenants.get_mut(tenant).and_then(|threads| threads.get_mut(thread));
        found.ok_or_else(|| unknown_thread(thread))
    }
}

impl Thread {
    fn space(&mut self, namespace: &str) -> &mut Space {
        self.spaces.entry(namespace.to_owned()).or_default()
    }

    /// Removes checkpoints of a namespace and what is nested in them.
    fn remove(&mut self, thread: &str, namespace: &str, ids: &HashSet<String>, pruned: &mut Pruned) {
        let inner: Vec<String> = ids.iter().map(|id| within(namespace, id)).collect();
        self.spaces.retain(|other, space| {
            if !inner.iter().any(|inner| other.starts_with(inner)) {
                return true;
            }
            let gone = space.checkpoints.values();
            pruned.checkpoints.extend(gone.map(|kept| removed(thread, other, &kept.id)));
            pruned.values += space.values.len();
            pruned.writes += space.writes.values().map(BTreeMap::len).sum::<usize>();
            false
        });
        if let Some(space) = self.spaces.get_mut(namespace) {
            pruned.writes += space.remove(ids);
            pruned.values += space.tidy();
            pruned.checkpoints.extend(ids.iter().map(|id| removed(thread, namespace, id)));
        }
    }
}

fn removed(thread: &str, namespace: &str, id: &str) -> Removed {
    Removed { thread: thread.to_owned(), namespace: namespace.to_owned(), id: id.to_owned() }
}

impl Threads {
    pub(crate) fn put(&self, tenant: Option<&str>, new: &NewCheckpoint<'_>) -> Result<Written> {
        let mut all = lock(&self.0);
        all.written += 1;
        let written = all.written;
        let thread = all.guarded(tenant, new.thread, new.namespace, new.guard)?;
        let id: Arc<str> = new.id.map_or_else(|| new_id().into(), Into::into);
        thread.updated = now();
        thread.fence += u64::from(new.claim);
        let (time, fence) = (thread.updated, thread.fence);
        let space = thread.space(new.namespace);
        for given in &new.values {
            let at = (Arc::clone(&given.channel), Arc::clone(&given.version));
            match &given.value {
                Some(value) => space.values.insert(at, Arc::clone(value)),
                None => space.values.remove(&at),
            };
        }
        let kept = Kept {
            id: Arc::clone(&id),
            parent: new.parent.map(str::to_owned),
            time,
            data: Arc::clone(&new.data),
            metadata: Arc::clone(&new.metadata),
            versions: new.versions.clone(),
        };
        let order = *space.orders.entry(Arc::clone(&id)).or_insert_with(|| order_of(&id, written));
        space.checkpoints.insert(order, Arc::new(kept));
        Ok(Written { id: id.as_ref().to_owned(), fence })
    }

    pub(crate) fn put_writes(&self, tenant: Option<&str>, new: &NewWrites<'_>) -> Result<()> {
        let mut all = lock(&self.0);
        let thread = all.guarded(tenant, new.thread, new.namespace, new.guard)?;
        thread.updated = now();
        let writes = thread.space(new.namespace).writes.entry(new.checkpoint.to_owned()).or_default();
        for write in &new.writes {
            let at = (new.task.to_owned(), write.index);
            if write.index >= 0 && writes.contains_key(&at) {
                continue;
            }
            let kept = PendingWrite {
                task: new.task.to_owned(),
                path: new.path.to_owned(),
                index: write.index,
                channel: write.channel.clone(),
                value: Arc::clone(&write.value),
            };
            writes.insert(at, kept);
        }
        Ok(())
    }

    pub(crate) fn get(
        &self,
        tenant: Option<&str>,
        thread: &str,
        namespace: &str,
        id: Option<&str>,
    ) -> Result<Option<Checkpoint>> {
        let all = lock(&self.0);
        let space = all.thread(tenant, thread).and_then(|there| there.spaces.get(namespace));
        let Some(space) = space else { return Ok(None) };
        let kept = id.map_or_else(|| space.head(), |id| space.find(id));
        Ok(kept.map(|kept| space.read(thread, namespace, kept)))
    }

    pub(crate) fn list(
        &self,
        tenant: Option<&str>,
        query: &CheckpointQuery,
        before: Option<Result<Order, &str>>,
    ) -> Result<Vec<Checkpoint>> {
        let all = lock(&self.0);
        let Some(threads) = all.tenants.get(tenant.unwrap_or_default()) else { return Ok(Vec::new()) };
        let wanted = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
        let mut spaces = Vec::new();
        for (name, thread) in threads.iter().filter(|(name, _)| wanted(&query.thread, name)) {
            let inside = thread.spaces.iter().filter(|(space, _)| wanted(&query.namespace, space));
            spaces.extend(inside.map(|(space, there)| (name, space, there)));
        }
        let before = match before {
            None => None,
            Some(Ok(order)) => Some(order),
            Some(Err(id)) => match spaces.iter().find_map(|(_, _, space)| space.orders.get(id)) {
                Some(order) => Some(*order),
                None => return Err(unknown_checkpoint(query.thread.as_deref().unwrap_or("*"), id)),
            },
        };
        let mut found = Vec::new();
        for (thread, namespace, space) in spaces {
            let older =
                space.checkpoints.iter().rev().filter(|(order, _)| before.is_none_or(|b| **order < b));
            for (order, kept) in older {
                let fits = query.id.as_deref().is_none_or(|id| id == &*kept.id)
                    && (query.filter.is_empty() || matches(&query.filter, &kept.metadata.render()));
                if fits {
                    found.push((*order, thread, namespace, space, kept));
                }
            }
        }
        // Copies have the same place.
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
        found.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, thread, name, space, kept)| space.read(thread, name, kept)).collect())
    }

    pub(crate) fn claim(&self, tenant: Option<&str>, thread: &str, guard: Guard<'_>) -> Result<u64> {
        let mut all = lock(&self.0);
        let thread = all.guarded(tenant, thread, "", guard)?;
        thread.fence += 1;
        Ok(thread.fence)
    }

    pub(crate) fn fence(&self, tenant: Option<&str>, thread: &str) -> Result<u64> {
        Ok(lock(&self.0).thread(tenant, thread).map_or(0, |thread| thread.fence))
    }

    pub(crate) fn threads(&self, tenant: Option<&str>) -> Result<Vec<ThreadRow>> {
        let all = lock(&self.0);
        let threads = all.tenants.get(tenant.unwrap_or_default());
        let mut threads: Vec<_> = threads.into_iter().flatten().collect();
        threads.sort_by_key(|(_, thread)| thread.number);
        let row = |(name, thread): (&String, &Thread)| ThreadRow {
            thread: name.clone(),
            checkpoints: thread.spaces.values().map(|space| space.checkpoints.len() as u64).sum(),
            head: thread.spaces.get("").and_then(Space::head).map(|kept| kept.id.to_string()),
            created: thread.created,
            updated: thread.updated,
        };
        Ok(threads.into_iter().map(row).collect())
    }

    pub(crate) fn delete(&self, tenant: Option<&str>, thread: &str) -> Result<bool> {
        let mut all = lock(&self.0);
        let threads = all.tenants.get_mut(tenant.unwrap_or_default());
        Ok(threads.is_some_and(|threads| threads.remove(thread).is_some()))
    }

    pub(crate) fn delete_for_runs(&self, tenant: Option<&str>, runs: &[&str]) -> Result<usize> {
        let mut all = lock(&self.0);
        let mut pruned = Pruned::default();
        let threads = all.tenants.get_mut(tenant.unwrap_or_default());
        for (name, thread) in threads.into_iter().flatten() {
            let spaces: Vec<String> = thread.spaces.keys().cloned().collect();
            for namespace in spaces {
                let Some(space) = thread.spaces.get(&namespace) else { continue };
                let of_run = |kept: &Kept| {
                    let metadata = kept.metadata.render();
                    metadata["run_id"].as_str().is_some_and(|run| runs.contains(&run))
                };
                let gone = space.checkpoints.values().filter(|kept| of_run(kept));
                let gone: HashSet<String> = gone.map(|kept| kept.id.to_string()).collect();
                if !gone.is_empty() {
                    thread.remove(name, &namespace, &gone, &mut pruned);
                }
            }
        }
        Ok(pruned.checkpoints.len())
    }

    pub(crate) fn copy(&self, tenant: Option<&str>, from: &str, to: &str) -> Result<usize> {
        let mut all = lock(&self.0);
        let source = all.thread(tenant, from).ok_or_else(|| unknown_thread(from))?;
        let spaces: BTreeMap<String, Space> =
            source.spaces.iter().map(|(name, space)| (name.clone(), space.copied())).collect();
        let target = free(&mut all, tenant, to)?;
        let count = spaces.values().map(|space| space.checkpoints.len()).sum();
        target.spaces = spaces;
        Ok(count)
    }

    pub(crate) fn fork(
        &self,
        tenant: Option<&str>,
        from: &str,
        namespace: &str,
        id: &str,
        to: &str,
    ) -> Result<Written> {
        let mut all = lock(&self.0);
        let source = all.thread(tenant, from).ok_or_else(|| unknown_checkpoint(from, id))?;
        let newest = source.spaces.get(namespace).and_then(Space::head).is_some_and(|head| *head.id == *id);
        let cut = Cut::of(namespace, id)?.newest(newest);
        for (on, checkpoint) in cut.way() {
            if source.spaces.get(on).and_then(|space| space.find(checkpoint)).is_none() {
                return Err(unknown_checkpoint(from, checkpoint));
            }
        }
        let fresh = new_id();
        let fresh = if from == to { &fresh } else { cut.root() };
        let mut spaces = BTreeMap::new();
        for (name, space) in &source.spaces {
            let Some(copied) = cut.renamed(name, fresh) else { continue };
            let known = |id: &str| space.orders.get(id);
            let Some(limit) = cut.limit(name) else {
                if cut.is_kept(name, |namespace, id| {
                    let there = source.spaces.get(namespace)?;
                    there.orders.get(id).copied()
                }) {
                    spaces.insert(copied, space.copied());
                }
                continue;
            };
            let last = *known(limit.checkpoint).ok_or_else(|| unknown_checkpoint(from, limit.checkpoint))?;
            let mut part = space.copied();
            let gone = part
                .checkpoints
                .iter()
                .filter(|(order, _)| if name.is_empty() { **order != last } else { **order > last });
            let gone: HashSet<String> = gone.map(|(_, kept)| kept.id.to_string()).collect();
            part.remove(&gone);
            part.tidy();
            if !cut.has_writes(name) {
                part.writes.remove(limit.checkpoint);
            }
            if let (Some(task), Some(writes)) = (limit.task, part.writes.get_mut(limit.checkpoint)) {
                writes.retain(|(of, _), _| of != task);
            }
            spaces.insert(copied, part);
        }
        let Some(root) = spaces.get_mut("") else { return Err(unknown_checkpoint(from, cut.root())) };
        // The root's only checkpoint gets the new id.
        let (old, writes) = (cut.root().to_owned(), root.writes.remove(cut.root()));
        let kept = root.find(&old).cloned().ok_or_else(|| unknown_checkpoint(from, &old))?;
        root.remove(&HashSet::from([old.clone()]));
        let time = now();
        let forked = Kept {
            id: fresh.into(),
            parent: (from == to).then_some(old),
            time,
            data: Arc::clone(&kept.data),
            metadata: Arc::clone(&kept.metadata),
            versions: kept.versions.clone(),
        };
        let written = all.written + 1;
        all.written = written;
        let target =
            if from == to { all.guarded(tenant, to, "", Guard::None)? } else { free(&mut all, tenant, to)? };
        for (name, part) in spaces {
            let space = target.space(&name);
            space.values.extend(part.values);
            space.writes.extend(part.writes);
            space.orders.extend(part.orders);
            space.checkpoints.extend(part.checkpoints);
        }
        target.fence += 1;
        target.updated = time;
        let fence = target.fence;
        let space = target.space("");
        let order = order_of(fresh, written);
        space.orders.insert(fresh.into(), order);
        space.checkpoints.insert(order, Arc::new(forked));
        if let Some(writes) = writes {
            space.writes.insert(fresh.to_owned(), writes);
        }
        Ok(Written { id: fresh.to_owned(), fence })
    }

    pub(crate) fn trim(&self, tenant: Option<&str>, thread: &str, keep: usize) -> Result<()> {
        let what = Prune { threads: Some(vec![thread.to_owned()]), keep, ..Prune::default() };
        self.prune(tenant, &what).map(drop)
    }

    pub(crate) fn prune(&self, tenant: Option<&str>, what: &Prune) -> Result<Pruned> {
        let mut all = lock(&self.0);
        let mut pruned = Pruned::default();
        let before = what.older_than.map(|age| now() - age);
        let threads = all.tenants.get_mut(tenant.unwrap_or_default());
        for (name, thread) in threads.into_iter().flatten() {
            if what.threads.as_ref().is_some_and(|asked| !asked.contains(name)) {
                continue;
            }
            let mut copy;
            let thread = if what.dry_run {
                copy = Thread { spaces: thread.spaces.clone(), ..*thread };
                &mut copy
            } else {
                thread
            };
            let spaces: Vec<String> = thread.spaces.keys().cloned().collect();
            for namespace in spaces {
                // It may have gone with the checkpoint that it belongs to.
                let Some(space) = thread.spaces.get(&namespace) else { continue };
                if space.checkpoints.len() <= what.keep {
                    continue;
                }
                let kept: Vec<_> = space.checkpoints.iter().collect();
                let places: Vec<_> = kept.iter().map(|(order, kept)| (**order, kept.time)).collect();
                let gone = beyond(&places, what.keep, before).into_iter();
                let gone: HashSet<String> = gone.map(|i| kept[i].1.id.to_string()).collect();
                thread.remove(name, &namespace, &gone, &mut pruned);
            }
        }
        pruned.checkpoints.sort();
        Ok(pruned)
    }
}

/// A thread that has nothing yet.
fn free<'a>(all: &'a mut All, tenant: Option<&str>, thread: &str) -> Result<&'a mut Thread> {
    let there = all.guarded(tenant, thread, "", Guard::None)?;
    let nothing = there.spaces.values().all(|space| space.checkpoints.is_empty() && space.writes.is_empty());
    let error: Error = taken(thread);
    if nothing { Ok(there) } else { Err(error) }
}
