//! How are checkpoints kept that need not survive the process?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::{Error, Result};
use serde_json::Value;

use super::fork::Cut;
use super::{
    Checkpoint, CheckpointQuery, Extension, Growth, Guard, NewCheckpoint, NewWrites, Order, PendingWrite,
    Prune, Pruned, Removed, Render, ThreadRow, Written, beyond, built_upon, check_guard, fence_after, grown,
    matches, order_of, replaces, taken, unknown_checkpoint, unknown_thread, with_beginnings, within,
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
    /// The fence that a tenant's threads begin with, where one was removed.
    first_fences: HashMap<String, u64>,
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
    values: HashMap<At, Held>,
    /// By checkpoint; then by task and index.
    writes: HashMap<String, BTreeMap<(String, i64), PendingWrite>>,
}

/// A channel and its version.
type At = (Arc<str>, Arc<str>);

/// A value, or what follows an older one.
#[derive(Clone, Debug)]
struct Held {
    value: Arc<Value>,
    growth: Option<Growth>,
}

impl Held {
    fn items(&self) -> &[Value] {
        self.value.as_array().map_or(&[], Vec::as_slice)
    }

    /// How many elements there are, where it is an array, and where it lies.
    fn length(&self) -> (Option<usize>, Option<Growth>) {
        let count = self.growth.as_ref().map_or_else(|| self.items().len(), |growth| growth.to);
        (Some(count), self.growth.clone())
    }
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
        let value = |at: &At| Some((Arc::clone(&at.0), self.value(at)?));
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

    /// A value, put together from its pieces.
    fn value(&self, at: &At) -> Option<Arc<Value>> {
        let mut held = self.values.get(at)?;
        if held.growth.is_none() {
            return Some(Arc::clone(&held.value));
        }
        let mut pieces = vec![held.items()];
        while let Some(growth) = &held.growth {
            held = self.values.get(&(Arc::clone(&at.0), Arc::clone(&growth.base)))?;
            pieces.push(held.items());
        }
        Some(Arc::new(pieces.into_iter().rev().flatten().cloned().collect()))
    }

    /// Errors: `invalid_argument` when another value would take the place of one that others begin with.
    fn check_value(&self, at: &At, value: Option<&Arc<Value>>) -> Result<()> {
        let begins = |(other, held): (&At, &Held)| {
            other.0 == at.0 && held.growth.as_ref().is_some_and(|growth| growth.base == at.1)
        };
        let another = self.values.contains_key(at) && self.value(at).as_ref() != value;
        if another && self.values.iter().any(begins) { Err(built_upon(&at.0, &at.1)) } else { Ok(()) }
    }

    /// Sets or removes a value.
    fn put_value(&mut self, at: At, value: Option<&Arc<Value>>, extends: Option<&Extension>) -> Result<()> {
        let Some(value) = value else {
            self.values.remove(&at);
            return Ok(());
        };
        if self.values.contains_key(&at) && self.value(&at).as_ref() == Some(value) {
            return Ok(());
        }
        let held = match extends.zip(value.as_array()).filter(|(extends, _)| extends.base != at.1) {
            Some((extends, all)) => self.piece(&at.0, extends, all)?,
            None => None,
        };
        let whole = || Held { value: Arc::clone(value), growth: None };
        self.values.insert(at, held.unwrap_or_else(whole));
        Ok(())
    }

    /// What follows an older version; none where it is not there.
    fn piece(&self, channel: &Arc<str>, extends: &Extension, all: &[Value]) -> Result<Option<Held>> {
        let mut items = all[extends.length..].to_vec();
        let growth = grown(
            Growth::new(&extends.base, extends.length, all.len()),
            |base| Ok(self.values.get(&(Arc::clone(channel), base.into()))),
            |held| held.length(),
            |held| {
                items.splice(0..0, held.items().iter().cloned());
                true
            },
        )?;
        Ok(growth.map(|growth| Held { value: Arc::new(Value::Array(items)), growth: Some(growth) }))
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
        let mut used: HashSet<At> =
            self.checkpoints.values().flat_map(|kept| kept.versions.iter().cloned()).collect();
        let base = |(at, held): (&At, &Held)| {
            let growth = held.growth.as_ref()?;
            Some((at.clone(), (Arc::clone(&at.0), Arc::clone(&growth.base))))
        };
        with_beginnings(&mut used, &self.values.iter().filter_map(base).collect());
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

    /// The fence that threads of a tenant begin with.
    fn first_fence(&self, tenant: Option<&str>) -> u64 {
        self.first_fences.get(tenant.unwrap_or_default()).copied().unwrap_or_default()
    }

    /// The thread, made where it is not there and the guard allows it.
    fn guarded(
        &mut self,
        tenant: Option<&str>,
        thread: &str,
        namespace: &str,
        guard: Guard<'_>,
    ) -> Result<&mut Thread> {
        let first = self.first_fence(tenant);
        let tenant = tenant.unwrap_or_default();
        let there = self.tenants.get(tenant).and_then(|threads| threads.get(thread));
        let head = || {
            let space = there.and_then(|there| there.spaces.get(namespace));
            Ok(space.and_then(Space::head).map(|kept| kept.id.to_string()))
        };
        check_guard(guard, thread, there.map_or(first, |there| there.fence), head)?;
        if there.is_none() {
            let time = now();
            let fresh = Thread {
                number: self.begun,
                fence: first,
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
        let space = thread.space(new.namespace);
        for given in &new.values {
            space.check_value(
                &(Arc::clone(&given.channel), Arc::clone(&given.version)),
                given.value.as_ref(),
            )?;
        }
        for given in &new.values {
            let at = (Arc::clone(&given.channel), Arc::clone(&given.version));
            let extends = new.extends.iter().find(|extends| extends.channel == given.channel);
            space.put_value(at, given.value.as_ref(), extends)?;
        }
        thread.updated = now();
        thread.fence += u64::from(new.claim);
        let (time, fence) = (thread.updated, thread.fence);
        let space = thread.space(new.namespace);
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
        thread.fence += u64::from(new.claim);
        let writes = thread.space(new.namespace).writes.entry(new.checkpoint.to_owned()).or_default();
        for write in &new.writes {
            let at = (new.task.to_owned(), write.index);
            if !replaces(write.index) && writes.contains_key(&at) {
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
        let all = lock(&self.0);
        Ok(all.thread(tenant, thread).map_or_else(|| all.first_fence(tenant), |thread| thread.fence))
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
        let Some(removed) = threads.and_then(|threads| threads.remove(thread)) else { return Ok(false) };
        let first = fence_after(all.first_fence(tenant), removed.fence);
        all.first_fences.insert(tenant.unwrap_or_default().to_owned(), first);
        Ok(true)
    }

    pub(crate) fn delete_for_runs(&self, tenant: Option<&str>, runs: &[&str]) -> Result<usize> {
        let mut all = lock(&self.0);
        let mut pruned = Pruned::default();
        let threads = all.tenants.get_mut(tenant.unwrap_or_default());
        for (name, thread) in threads.into_iter().flatten() {
            let spaces: Vec<String> = thread.spaces.keys().cloned().collect();
            let before = pruned.checkpoints.len();
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
            // Whoever runs the thread would go on from what is not there any more.
            thread.fence += u64::from(pruned.checkpoints.len() > before);
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
        // Somebody may have claimed the thread while it was empty.
        target.fence += 1;
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
            let order = |namespace: &str, id: &str| source.spaces.get(namespace)?.orders.get(id).copied();
            let Some(passage) = cut.passage(name, fresh, order) else { continue };
            let mut part = space.copied();
            let gone = part.checkpoints.iter().filter(|(order, _)| !passage.has(**order));
            let gone: HashSet<String> = gone.map(|(_, kept)| kept.id.to_string()).collect();
            part.remove(&gone);
            part.tidy();
            for (checkpoint, writes) in &mut part.writes {
                writes.retain(|(task, _), _| passage.has_write(checkpoint, task));
            }
            part.writes.retain(|_, writes| !writes.is_empty());
            spaces.insert(passage.namespace, part);
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
