//! How is the graph walked towards a query?
//!
//! Best-first search with a bounded list (Malkov & Yashunin 2018, algorithm 2). The list is sorted and holds
//! both what was found and what is still to be expanded; with a filter the two are kept apart, because every node
//! is walked but only admitted ones are found.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::arena::{NONE, View};
use super::graph::Links;

/// A node and its inner product with the query, exact or by bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) score: f32,
    pub(super) node: u32,
}

impl Found {
    /// Best first, ties by node.
    #[inline]
    fn before(&self, other: &Found) -> bool {
        self.score > other.score || (self.score == other.score && self.node < other.node)
    }
}

impl Eq for Found {}

impl Ord for Found {
    /// The better one is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.node.cmp(&self.node))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A query, and what it is compared with.
pub(super) trait Scorer {
    /// Inner products with `nodes`.
    fn score(&self, nodes: &[u32], out: &mut [f32]);

    /// Asks for what [`score`](Scorer::score) reads of `node` to be brought into the cache.
    fn prefetch(&self, node: u32);
}

/// Compares bytes with bytes.
pub(super) struct ByInt8<'a> {
    pub(super) view: View<'a>,
    pub(super) codes: &'a [i8],
    pub(super) scale: f32,
}

impl Scorer for ByInt8<'_> {
    #[inline]
    fn score(&self, nodes: &[u32], out: &mut [f32]) {
        self.view.score_int8(self.codes, self.scale, nodes, out);
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        self.view.prefetch_int8(node);
    }
}

/// Compares f32 with f32.
pub(super) struct ByF32<'a> {
    pub(super) view: View<'a>,
    pub(super) query: &'a [f32],
}

impl Scorer for ByF32<'_> {
    #[inline]
    fn score(&self, nodes: &[u32], out: &mut [f32]) {
        self.view.score_f32(self.query, nodes, out);
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        self.view.prefetch_f32(node);
    }
}

/// Memory of a search, used again by the next one on the same thread.
#[derive(Default)]
pub(super) struct Scratch {
    /// One bit for each node that was seen. Clearing it costs one pass over nodes / 8 bytes, which is less than
    /// what stamps of a byte or more lose by leaving the first-level cache.
    visited: Vec<u64>,
    list: Vec<Entry>,
    open: BinaryHeap<Found>,
    ids: Vec<u32>,
    scores: Vec<f32>,
    /// What the last search found, best first.
    pub(super) found: Vec<Found>,
    /// A query as bytes.
    pub(super) codes: Vec<i8>,
}

#[derive(Clone, Copy)]
struct Entry {
    found: Found,
    expanded: bool,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// Runs `f` with this thread's memory.
    pub(super) fn with<T>(f: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let result = f(&mut scratch);
        SCRATCH.set(Some(scratch));
        result
    }

    fn forget(&mut self, nodes: usize) {
        self.visited.clear();
        self.visited.resize(nodes.div_ceil(64), 0);
        self.list.clear();
        self.open.clear();
    }

    /// Whether `node` is seen for the first time.
    #[inline]
    fn first_visit(visited: &mut [u64], node: u32) -> bool {
        let (word, bit) = (&mut visited[node as usize / 64], 1u64 << (node % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// The unseen neighbours of `node` in `ids`, with their scores in `scores`.
    #[inline]
    fn look_around<L: Links, S: Scorer>(&mut self, links: &L, scorer: &S, level: u8, node: u32) {
        self.ids.clear();
        let (ids, visited) = (&mut self.ids, &mut self.visited);
        links.each(level, node, |neighbour| {
            if Self::first_visit(visited, neighbour) {
                scorer.prefetch(neighbour);
                ids.push(neighbour);
            }
        });
        self.scores.resize(self.ids.len(), 0.0);
        scorer.score(&self.ids, &mut self.scores);
    }

    /// Walks uphill on `level` from `start` until no neighbour is better.
    pub(super) fn climb<L: Links, S: Scorer>(
        &mut self,
        links: &L,
        scorer: &S,
        level: u8,
        start: Found,
    ) -> Found {
        let mut best = start;
        loop {
            self.ids.clear();
            let ids = &mut self.ids;
            links.each(level, best.node, |neighbour| {
                scorer.prefetch(neighbour);
                ids.push(neighbour);
            });
            self.scores.resize(self.ids.len(), 0.0);
            scorer.score(&self.ids, &mut self.scores);
            let here = best;
            for (&node, &score) in self.ids.iter().zip(&self.scores) {
                if score > best.score {
                    best = Found { score, node };
                }
            }
            if best == here {
                return best;
            }
        }
    }

    /// Leaves the `ef` best linked nodes near `start` on `level` in [`found`](Scratch::found). Twins take no part: copies
    /// of what is near must not end a walk that has not seen what is nearer.
    pub(super) fn walk<L: Links, S: Scorer>(
        &mut self,
        links: &L,
        scorer: &S,
        level: u8,
        start: Found,
        ef: usize,
    ) {
        self.forget(links.nodes());
        Self::first_visit(&mut self.visited, start.node);
        self.list.push(Entry { found: start, expanded: false });
        let mut next = 0;
        while next < self.list.len() {
            if self.list[next].expanded {
                next += 1;
                continue;
            }
            self.list[next].expanded = true;
            let node = self.list[next].found.node;
            if let Some(after) = self.list.get(next + 1)
                && level == 0
            {
                links.prefetch(after.found.node);
            }
            self.look_around(links, scorer, level, node);
            for i in 0..self.ids.len() {
                let found = Found { score: self.scores[i], node: self.ids[i] };
                if let Some(at) = self.offer(found, ef, false) {
                    next = next.min(at);
                }
            }
        }
        self.found.clear();
        self.found.extend(self.list.iter().map(|entry| entry.found));
    }

    /// Puts a node in its place in the list of at most `ef`; where, if it got one.
    #[inline]
    fn offer(&mut self, found: Found, ef: usize, expanded: bool) -> Option<usize> {
        if self.list.len() >= ef {
            match self.list.last() {
                Some(last) if found.before(&last.found) => self.list.pop(),
                _ => return None,
            };
        }
        let at = self.list.partition_point(|entry| entry.found.before(&found));
        self.list.insert(at, Entry { found, expanded });
        Some(at)
    }

    /// Leaves the `ef` best linked nodes that `admits` accepts, or a twin of them, in [`found`](Scratch::found), walking
    /// all on level 0.
    /// False when more than `budget` nodes were scored before the end.
    pub(super) fn walk_filtered<L: Links, S: Scorer>(
        &mut self,
        links: &L,
        scorer: &S,
        start: Found,
        ef: usize,
        admits: impl Fn(u32) -> bool,
        budget: usize,
    ) -> bool {
        self.forget(links.nodes());
        Self::first_visit(&mut self.visited, start.node);
        self.open.push(start);
        self.admit(links, start, ef, &admits);
        let mut scored = 0;
        while let Some(node) = self.open.pop() {
            if self.list.len() >= ef && self.list.last().is_some_and(|last| last.found.before(&node)) {
                break;
            }
            if let Some(after) = self.open.peek() {
                links.prefetch(after.node);
            }
            self.look_around(links, scorer, 0, node.node);
            scored += self.ids.len();
            if scored > budget {
                return false;
            }
            for i in 0..self.ids.len() {
                let found = Found { score: self.scores[i], node: self.ids[i] };
                let near =
                    self.list.len() < ef || self.list.last().is_some_and(|last| found.before(&last.found));
                if near {
                    self.open.push(found);
                    self.admit(links, found, ef, &admits);
                }
            }
        }
        self.found.clear();
        self.found.extend(self.list.iter().map(|entry| entry.found));
        true
    }

    fn admit<L: Links>(&mut self, links: &L, found: Found, ef: usize, admits: impl Fn(u32) -> bool) {
        let mut node = found.node;
        while node != NONE {
            if admits(node) {
                self.offer(found, ef, true);
                return;
            }
            node = links.twin(node);
        }
    }
}
