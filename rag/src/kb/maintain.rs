//! When are segments merged, stored and given graphs, and by whom?
//!
//! One background thread per writing handle does the long work on snapshots; only the exchange of segments at its
//! end takes the writer's lock. Nothing depends on it for correctness: what it has not done yet is searched exactly,
//! and what was not stored is read from the truth again.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use quorate_core::{Code, Error, Result};

use super::base::truth_id;
use super::collection::{Collection, Writer};
use super::shadow;
use super::snapshot::Snapshot;
use crate::index::{Segment, View};

/// Rows in memory from which on they are stored.
const FLUSH_ROWS: u32 = 4096;
/// A stored segment is merged with its successors when it has not this many times their rows.
const MERGE_RATIO: u32 = 4;
/// Rows from which on a graph is worth it; fewer are scanned.
const GRAPH_ROWS: u32 = 4096;
/// A stored segment is written again when it has lost more than one row in this many.
const DEAD_SHARE: u32 = 4;
/// Files of rows from which on the small ones are merged.
const MAX_FRAGMENTS: usize = 64;

/// The background thread.
#[derive(Default)]
pub(crate) struct Maintainer {
    thread: Mutex<Option<(Sender<Arc<Collection>>, JoinHandle<()>)>>,
    stop: Arc<AtomicBool>,
}

impl Maintainer {
    /// Has a collection looked after, unless there is nothing to do.
    pub(crate) fn notify(&self, collection: &Arc<Collection>) {
        let snapshot = collection.snapshot();
        if plan(&snapshot, false).is_none() && !collection.wants_merge() {
            return;
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() && !self.stop.load(Ordering::Acquire) {
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
        if let Some((sender, _)) = thread.as_ref() {
            let _ = sender.send(collection.clone());
        }
    }

    /// Ends the thread; what it is doing is given up.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, handle)) = thread {
            drop(sender);
            let _ = handle.join();
        }
    }
}

fn work(receiver: &Receiver<Arc<Collection>>, stop: &AtomicBool) {
    while let Ok(collection) = receiver.recv() {
        if stop.load(Ordering::Acquire) {
            return;
        }
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
enum Graphs {
    None,
    Threads(usize),
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn plan(snapshot: &Snapshot, everything: bool) -> Option<Step> {
    let views = snapshot.views();
    let rows = |view: &View| view.live.row_count;
    let stored = views.iter().take_while(|view| view.is_stored()).count();
    if everything {
        let whole = views.len() == 1 && stored == 1 && !views[0].has_dead();
        if !views.is_empty() && !whole {
            return Some(Step::Merge(0..views.len()));
        }
    }
    let in_memory: u32 = views[stored..].iter().map(rows).sum();
    if in_memory >= FLUSH_ROWS {
        return Some(Step::Merge(with_smaller_ones(views, stored)..views.len()));
    }
    let from = with_smaller_ones(&views[..stored], stored);
    if stored > 1 && from < stored - 1 {
        return Some(Step::Merge(from..stored));
    }
    for (i, view) in views[..stored].iter().enumerate() {
        let all = view.segment.catalog.chunks();
        if all > FLUSH_ROWS && (all - rows(view)) > all / DEAD_SHARE {
            return Some(Step::Merge(i..i + 1));
        }
    }
    let lacks_graph =
        |view: &View| view.segment.graph.is_none() && view.segment.catalog.chunks() >= GRAPH_ROWS;
    views[..stored].iter().position(lacks_graph).map(Step::Graph)
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
    /// Does what is to be done, until nothing is left or `stop` is raised (code `cancelled`).
    pub(crate) fn maintain(&self, stop: &AtomicBool) -> Result<()> {
        let _one_at_a_time = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        self.merge_truth()?;
        let threads = (cores() / 2).max(1);
        while let Some(step) = plan(&self.snapshot(), false) {
            self.step(step, Graphs::Threads(threads), stop)?;
        }
        Ok(())
    }

    /// Makes one stored segment of everything. Errors: `io`, `disk_full`, `permission_denied`.
    pub(crate) fn merge_all(&self) -> Result<()> {
        let _one_at_a_time = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let never = AtomicBool::new(false);
        while let Some(step) = plan(&self.snapshot(), true) {
            self.step(step, Graphs::Threads(cores()), &never)?;
        }
        let mut writer = self.lock();
        self.save(&mut writer)
    }

    /// Stores what is in memory, without building graphs. Errors: `io`, `disk_full`, `permission_denied`.
    pub(crate) fn flush(&self) -> Result<()> {
        let _one_at_a_time = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.snapshot();
        let stored = snapshot.views().iter().take_while(|view| view.is_stored()).count();
        if stored < snapshot.views().len() {
            let never = AtomicBool::new(false);
            self.step(Step::Merge(stored..snapshot.views().len()), Graphs::None, &never)?;
        }
        let mut writer = self.lock();
        self.save(&mut writer)
    }

    fn step(&self, step: Step, graphs: Graphs, stop: &AtomicBool) -> Result<()> {
        if stop.load(Ordering::Acquire) {
            return Err(Error::new(Code::Cancelled, "the knowledge base is being closed"));
        }
        let snapshot = self.snapshot();
        let (old, renumbered) = match step {
            Step::Merge(range) => (&snapshot.views()[range], true),
            Step::Graph(at) => (&snapshot.views()[at..at + 1], false),
        };
        let merged = match renumbered {
            true => {
                let folder = self.new_folder(old);
                let merged = Segment::merge(old, Some(&folder), &self.analyzer);
                // On a full disk what was begun takes room that others need.
                Some(merged.inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))?)
            }
            false => None,
        };
        let segment = merged.as_ref().unwrap_or(&old[0].segment);
        let with_graph = match graphs {
            Graphs::Threads(threads) if segment.catalog.chunks() >= GRAPH_ROWS => {
                Some(segment.with_graph(threads, stop)?)
            }
            _ => None,
        };
        let Some(fresh) = with_graph.or(merged) else { return Ok(()) };
        let mut writer = self.lock();
        self.exchange(old, fresh, renumbered);
        self.save(&mut writer)
    }

    /// Puts `fresh` in the place of the segments that it was made of. What has died of these meanwhile is dead in it.
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
        shadow::save(home, &truth, &snapshot, known)
    }

    /// Merges small files of the truth, and prunes its old versions.
    fn merge_truth(&self) -> Result<()> {
        if !self.wants_merge() {
            return Ok(());
        }
        let mut writer = self.lock();
        let Some(table) = writer.table.as_mut() else { return Ok(()) };
        table.merge_fragments()?;
        table.prune(self.keep_versions)?;
        self.catch_up(&mut writer)?;
        writer.fragments_after_merge = writer.table.as_ref().map_or(0, |table| table.fragments());
        Ok(())
    }

    /// Whether the truth has become many small files.
    pub(crate) fn wants_merge(&self) -> bool {
        let writer = self.lock();
        writer.table.as_ref().is_some_and(|t| t.fragments() >= writer.fragments_after_merge + MAX_FRAGMENTS)
    }
}
