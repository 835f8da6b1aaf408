//! When are segments merged, stored and given graphs, and the truth kept small, and by whom?
//!
//! One background thread per writing handle does the long work on snapshots; only the exchange of segments at its
//! end, and the rewriting of the truth, take the writer's lock. Nothing depends on it for correctness: what it has not
//! done yet is searched exactly, and what was not stored is read from the truth again.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use quorate_core::{Cancel, Code, Result, forks};

use super::base::truth_id;
use super::collection::{Collection, Writer};
use super::options::Tuning;
use super::shadow;
use super::snapshot::Snapshot;
use crate::index::{Segment, View};

/// A stored segment is merged with its successors when it has not this many times their rows.
const MERGE_RATIO: u32 = 4;
/// A stored segment is written again when it has lost more than one row in this many.
const DEAD_SHARE: u32 = 4;

/// The background thread.
pub(crate) struct Maintainer {
    thread: Mutex<Option<(Sender<Arc<Collection>>, JoinHandle<()>)>>,
    /// Raised when the knowledge base is closed; who works then gives up.
    pub(crate) stop: Cancel,
    forks: u64,
}

impl Maintainer {
    pub(crate) fn new() -> Self {
        Maintainer { thread: Mutex::new(None), stop: Cancel::new(), forks: forks() }
    }

    /// Has a collection looked after, unless there is nothing to do.
    pub(crate) fn notify(&self, collection: &Arc<Collection>) {
        let due = collection.due.load(Ordering::Acquire);
        if !collection.tuning.background
            || !due && plan(&collection.snapshot(), &collection.tuning, false).is_none()
            || collection.told.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() && !self.stop.is_cancelled() {
            let (sender, receiver) = channel();
            let stop = self.stop.clone();
            let spawned = std::thread::Builder::new()
                .name("quorate-index".to_owned())
                .spawn(move || work(&receiver, &stop));
            match spawned {
                Ok(handle) => *thread = Some((sender, handle)),
                Err(error) => tracing::warn!(%error, "the thread that stores indexes cannot start"),
            }
        }
        match thread.as_ref() {
            Some((sender, _)) => drop(sender.send(collection.clone())),
            None => collection.told.store(false, Ordering::Release),
        }
    }

    /// Ends the thread; what it is doing is given up. In a forked child there is none.
    pub(crate) fn stop(&self) {
        if self.forks != forks() {
            return;
        }
        self.stop.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, handle)) = thread {
            drop(sender);
            // The thread itself may let go of the last handle.
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join();
            }
        }
    }
}

impl Drop for Maintainer {
    fn drop(&mut self) {
        self.stop();
        // A forked child has neither the thread nor who would take what is sent.
        std::mem::forget(self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn work(receiver: &Receiver<Arc<Collection>>, stop: &Cancel) {
    while let Ok(collection) = receiver.recv() {
        if stop.is_cancelled() {
            return;
        }
        collection.told.store(false, Ordering::Release);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| collection.maintain(stop)));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.code() == Code::Cancelled => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "indexes cannot be stored; they stay in memory");
            }
            Err(_) => tracing::error!("storing indexes ended in a panic; they stay in memory"),
        }
    }
}

/// What is to be done next.
enum Step {
    /// These segments become one stored segment, with a graph if it is large.
    Merge(Range<usize>),
    /// This stored segment is given a graph.
    Graph(usize),
}

/// Whether large segments are given graphs at once, and with how many threads.
#[derive(Clone, Copy)]
enum Graphs {
    None,
    Threads(usize),
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn stored(snapshot: &Snapshot) -> usize {
    snapshot.views().iter().take_while(|view| view.is_settled()).count()
}

fn plan(snapshot: &Snapshot, tuning: &Tuning, everything: bool) -> Option<Step> {
    let views = snapshot.views();
    let rows = |view: &View| view.live.row_count;
    let stored = stored(snapshot);
    if everything {
        let whole = views.len() == 1 && stored == 1 && !views[0].has_dead();
        if !views.is_empty() && !whole {
            return Some(Step::Merge(0..views.len()));
        }
    }
    let in_memory: u32 = views[stored..].iter().map(rows).sum();
    if in_memory >= tuning.flush_rows {
        return Some(Step::Merge(with_smaller_ones(views, stored)..views.len()));
    }
    let from = with_smaller_ones(&views[..stored], stored);
    if stored > 1 && from < stored - 1 {
        return Some(Step::Merge(from..stored));
    }
    for (i, view) in views[..stored].iter().enumerate() {
        let all = view.segment.catalog.chunks();
        if all > tuning.flush_rows && (all - rows(view)) > all / DEAD_SHARE {
            return Some(Step::Merge(i..i + 1));
        }
    }
    let lacks_graph =
        |view: &View| view.segment.graph.is_none() && view.segment.catalog.chunks() >= tuning.graph_rows;
    views[..stored].iter().position(lacks_graph).map(Step::Graph)
}

/// What is in memory only becomes one stored segment.
fn plan_flush(snapshot: &Snapshot) -> Option<Step> {
    let stored = stored(snapshot);
    (stored < snapshot.views().len()).then(|| Step::Merge(stored..snapshot.views().len()))
}

/// Where a merge of the segments from `from` on begins, when it takes in older ones that are not much larger.
fn with_smaller_ones(views: &[View], mut from: usize) -> usize {
    let mut rows: u32 = views[from..].iter().map(|view| view.live.row_count).sum();
    while from > 0 && (rows == 0 || views[from - 1].live.row_count < MERGE_RATIO * rows) {
        from -= 1;
        rows += views[from].live.row_count;
    }
    from
}

impl Collection {
    /// Does what is to be done, until nothing is left or `stop` is raised (code `cancelled`). What fails does not keep the
    /// rest from being done.
    pub(crate) fn maintain(&self, stop: &Cancel) -> Result<()> {
        let _one_at_a_time = self.maintenance.take();
        let truth = self.merge_truth();
        let graphs = Graphs::Threads((cores() / 2).max(1));
        let indexes = self.steps(|snapshot| plan(snapshot, &self.tuning, false), graphs, stop);
        truth.and(indexes).and_then(|()| self.remove_garbage(stop))
    }

    /// Brings everything into its smallest form; `may` says whether this handle may still write. Errors: those of `may`,
    /// `cancelled`, `corrupt`, `io`, `disk_full`, `permission_denied`.
    pub(crate) fn compact(&self, stop: &Cancel, may: impl Fn() -> Result<()>) -> Result<()> {
        let _one_at_a_time = self.maintenance.take();
        may()?;
        drop(self.lock_current()?);
        self.steps(|snapshot| plan(snapshot, &self.tuning, true), Graphs::Threads(cores()), stop)?;
        let mut writer = self.lock()?;
        may()?;
        // The list comes first, so that who reads goes on from it, and again behind the commit, which it names.
        self.save(&mut writer)?;
        self.rewrite_truth(&mut writer, 1, stop)?;
        self.save(&mut writer)
    }

    /// Stores what is in memory, without building graphs. Errors: `io`, `disk_full`, `permission_denied`.
    pub(crate) fn flush(&self) -> Result<()> {
        if self.home.is_none() {
            return Ok(());
        }
        let _one_at_a_time = self.maintenance.take();
        self.steps(plan_flush, Graphs::None, &Cancel::new())?;
        let mut writer = self.lock()?;
        self.save(&mut writer)
    }

    fn steps(&self, next: impl Fn(&Snapshot) -> Option<Step>, graphs: Graphs, stop: &Cancel) -> Result<()> {
        while self.step(&next, graphs, stop)? {}
        Ok(())
    }

    /// Does the next step; whether there was one.
    fn step(&self, next: &impl Fn(&Snapshot) -> Option<Step>, graphs: Graphs, stop: &Cancel) -> Result<bool> {
        stop.check()?;
        let (old, renumbered) = {
            let mut writer = self.lock()?;
            let snapshot = self.snapshot();
            let (range, renumbered) = match next(&snapshot) {
                None => return Ok(false),
                Some(Step::Merge(range)) => (range, true),
                Some(Step::Graph(at)) => (at..at + 1, false),
            };
            let old = snapshot.views()[range].to_vec();
            writer.claimed = old.iter().map(|view| view.segment.clone()).collect();
            (old, renumbered)
        };
        self.tuning.at("claimed");
        let built = self.build(&old, renumbered, graphs, stop);
        self.tuning.at("built");
        let mut writer = self.lock()?;
        writer.claimed.clear();
        let Some((fresh, files)) = built? else { return Ok(true) };
        if let Some(folder) = &fresh.home {
            writer.known.learn(folder, files);
        }
        self.exchange(&old, fresh, renumbered);
        self.save(&mut writer)?;
        drop(writer);
        self.tuning.at("saved");
        Ok(true)
    }

    /// The segment that is to take the place of `old`, and the checksums of its files.
    fn build(
        &self,
        old: &[View],
        renumbered: bool,
        graphs: Graphs,
        stop: &Cancel,
    ) -> Result<Option<(Segment, Vec<shadow::File>)>> {
        let folder = self.home.is_some().then(|| self.new_folder(old));
        let build = || -> Result<Option<(Segment, Vec<shadow::File>)>> {
            let merged = match renumbered {
                true => {
                    let mut merged = Segment::merge(old, folder.as_deref(), &self.analyzer, stop)?;
                    merged.settled = folder.is_none();
                    Some(merged)
                }
                false => None,
            };
            let segment = merged.as_ref().unwrap_or(&old[0].segment);
            let with_graph = match graphs {
                Graphs::Threads(threads) if segment.catalog.chunks() >= self.tuning.graph_rows => {
                    Some(segment.with_graph(threads, stop)?)
                }
                _ => None,
            };
            let Some(fresh) = with_graph.or(merged) else { return Ok(None) };
            stop.check()?;
            let files = fresh.home.as_deref().map(shadow::checksums).transpose()?;
            Ok(Some((fresh, files.unwrap_or_default())))
        };
        // On a full disk what was begun takes room that others need.
        build().inspect_err(|_| {
            folder.iter().filter(|_| renumbered).for_each(|folder| drop(std::fs::remove_dir_all(folder)));
        })
    }

    /// Puts `fresh` in the place of the segments that it was made of. What has died of these meanwhile is dead in it: they
    /// were claimed, so that nothing of them can have moved to another segment.
    fn exchange(&self, old: &[View], fresh: Segment, renumbered: bool) {
        let now = self.snapshot();
        let mut views = Vec::with_capacity(now.views().len());
        let mut died = Vec::new();
        let mut position = 0u32;
        for before in old {
            let after = now.views().iter().find(|view| Arc::ptr_eq(&view.segment, &before.segment));
            for doc in before.live.docs.iter() {
                let at = if renumbered { position } else { doc };
                if after.is_none_or(|view| !view.live.docs.contains(doc)) {
                    died.push(at);
                }
                position += 1;
            }
        }
        let fresh = match renumbered {
            true => View::whole(fresh).without(&died, &self.analyzer),
            // Same documents: what is dead of the old one is dead of this one.
            false => {
                let live = now.views().iter().find(|view| Arc::ptr_eq(&view.segment, &old[0].segment));
                match live {
                    Some(view) => View { segment: Arc::new(fresh), live: view.live.clone() },
                    None => return,
                }
            }
        };
        let is_old = |view: &View| old.iter().any(|before| Arc::ptr_eq(&view.segment, &before.segment));
        let mut fresh = Some(fresh);
        for view in now.views() {
            if !is_old(view) {
                views.push(view.clone());
            } else if let Some(fresh) = fresh.take() {
                views.push(fresh);
            }
        }
        self.publish(Snapshot::new(views, now.dim(), now.version, now.next_seq));
    }

    /// Lists the stored segments on disk.
    fn save(&self, writer: &mut Writer) -> Result<()> {
        let snapshot = self.snapshot();
        let Some(truth) = writer.table.as_ref().map(truth_id) else { return Ok(()) };
        let (Some(home), known) = (&self.home, &mut writer.known) else { return Ok(()) };
        writer.listed_seq = shadow::save(home, &truth, &snapshot, known)?;
        Ok(())
    }

    /// Merges small files of the truth, and prunes its old versions.
    fn merge_truth(&self) -> Result<()> {
        if !self.due.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut writer = self.lock()?;
        let Some(table) = writer.table.as_mut() else { return Ok(()) };
        let merged = table.merge_fragments(self.tuning.fragment_rows);
        let pruned = table.prune(self.keep_versions);
        self.catch_up(&mut writer)?;
        writer.fragments_after_merge = writer.table.as_ref().map_or(0, |table| table.fragments());
        self.look(&writer);
        merged.and(pruned)
    }

    /// Rewrites the truth when most of it does not count any more.
    fn remove_garbage(&self, stop: &Cancel) -> Result<()> {
        {
            let writer = self.lock()?;
            if !writer.table.as_ref().is_some_and(|table| self.has_garbage(table)) {
                return Ok(());
            }
        }
        // Who reads goes on from what is stored, so everything is.
        self.steps(plan_flush, Graphs::None, stop)?;
        let mut writer = self.lock()?;
        self.save(&mut writer)?;
        self.rewrite_truth(&mut writer, self.keep_versions, stop)?;
        self.save(&mut writer)?;
        drop(writer);
        self.tuning.at("rewritten");
        Ok(())
    }
}
