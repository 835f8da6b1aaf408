//! How do new nodes come into the graph?
//!
//! Insertion after Malkov & Yashunin 2018 (algorithms 1 and 4): find the nearest nodes, keep those that are
//! nearer to the new node than to one another, link both ways, and choose again by the same rule where a node has
//! too many links. Several threads may insert: links are atomic words, a writer of a node's list holds its lock,
//! and readers need none, since each word they see names a node whose vector is there. One thread gives the
//! same graph every time.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::arena::{NONE, Store, View};
use super::beam::{ByF32, ByInt8, Found, Scorer, Scratch};
use super::graph::{Frozen, Graph, Links, extend_levels};
use super::hnsw::Precision;

/// Locks for all nodes together; two nodes may share one.
const LOCKS: usize = 4096;
/// How often unreachable nodes are linked again before the rest is left to the exact fallback.
const REPAIRS: usize = 12;

/// Links under construction.
struct Growing<'a> {
    view: View<'a>,
    precision: Precision,
    m: usize,
    ef: usize,
    entry: AtomicU64,
    level0: Vec<AtomicU32>,
    upper: Vec<AtomicU32>,
    upper_at: Vec<u32>,
    twins: Vec<AtomicU32>,
    /// The node that stands for all vectors of zeros, which no search by similarity would find.
    zero: AtomicU32,
    locks: Vec<Mutex<()>>,
}

/// The graph over the first `len` nodes of `view`, of which `old` holds some already.
pub(super) fn grow(
    old: &Graph,
    view: View<'_>,
    len: u32,
    ef: usize,
    precision: Precision,
    threads: usize,
) -> Graph {
    let m = old.m as usize;
    let mut upper_at = old.upper_at.clone();
    extend_levels(&mut upper_at, len, old.m, old.seed);
    let growing = Growing {
        view,
        precision,
        m,
        ef,
        entry: AtomicU64::new(pack(old.entry, old.top)),
        level0: atomic(old.level0.as_slice(), len as usize * 2 * m),
        upper: atomic(old.upper.as_slice(), upper_at.last().map_or(0, |&n| n as usize) * m),
        upper_at,
        twins: atomic(old.twins.as_slice(), len as usize),
        zero: AtomicU32::new((0..old.len()).find(|&node| view.scale(node) == 0.0).unwrap_or(NONE)),
        locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
    };
    // The first few are inserted one after the other: they are the skeleton that the others hang on.
    let alone = if threads > 1 { len.min(old.len().max(512)) } else { len };
    Scratch::with(|scratch| (old.len()..alone).for_each(|node| growing.insert(node, scratch)));
    let next = AtomicU32::new(alone.max(old.len()));
    if next.load(Relaxed) < len {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    Scratch::with(|scratch| {
                        loop {
                            let node = next.fetch_add(1, Relaxed);
                            if node >= len {
                                break;
                            }
                            growing.insert(node, scratch);
                        }
                    });
                });
            }
        });
    }
    Scratch::with(|scratch| growing.reconnect(scratch));
    growing.finish(old)
}

/// An entry point as one word, ordered by level; a lower node goes first on one level.
fn pack(node: u32, level: u8) -> u64 {
    if node == NONE { 0 } else { (u64::from(level) + 1) << 32 | u64::from(!node) }
}

fn unpack(word: u64) -> Option<(u32, u8)> {
    (word != 0).then(|| (!(word as u32), ((word >> 32) - 1) as u8))
}

fn atomic(old: &[u32], len: usize) -> Vec<AtomicU32> {
    let mut all = Vec::with_capacity(len);
    all.extend(old.iter().map(|&x| AtomicU32::new(x)));
    all.resize_with(len, || AtomicU32::new(NONE));
    all
}

impl Links for Growing<'_> {
    #[inline]
    fn each(&self, level: u8, node: u32, mut f: impl FnMut(u32)) {
        for slot in self.slots(level, node) {
            match slot.load(Relaxed) {
                NONE => break,
                neighbour => f(neighbour),
            }
        }
    }

    fn twin(&self, node: u32) -> u32 {
        self.twins[node as usize].load(Relaxed)
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        quorate_core::vector::prefetch(self.slots(0, node));
    }

    fn nodes(&self) -> usize {
        self.twins.len()
    }
}

impl<'a> Growing<'a> {
    #[inline]
    fn slots(&self, level: u8, node: u32) -> &[AtomicU32] {
        if level == 0 {
            &self.level0[node as usize * 2 * self.m..][..2 * self.m]
        } else {
            let at = self.upper_at[node as usize] as usize + level as usize - 1;
            &self.upper[at * self.m..][..self.m]
        }
    }

    fn level_of(&self, node: u32) -> u8 {
        (self.upper_at[node as usize + 1] - self.upper_at[node as usize]) as u8
    }

    fn insert(&self, node: u32, scratch: &mut Scratch) {
        match self.precision {
            Precision::Int8 => self.insert_as(node, &self.int8(node), scratch),
            Precision::F32 => self.insert_as(node, &self.f32(node), scratch),
        }
    }

    fn int8(&self, node: u32) -> ByInt8<'a> {
        ByInt8 { view: self.view, codes: self.view.codes(node), scale: self.view.scale(node) }
    }

    fn f32(&self, node: u32) -> ByF32<'a> {
        ByF32 { view: self.view, query: self.view.vector(node) }
    }

    fn insert_as<S: Scorer>(&self, node: u32, scorer: &S, scratch: &mut Scratch) {
        let top_of_node = self.level_of(node);
        if self.view.scale(node) == 0.0
            && let Err(zero) = self.zero.compare_exchange(NONE, node, Relaxed, Relaxed)
        {
            return self.hang(node, zero);
        }
        let Some((entry, top)) = unpack(self.entry.load(Relaxed)) else {
            self.entry.fetch_max(pack(node, top_of_node), Relaxed);
            return;
        };
        // Down to level 1, with the place where each level was entered.
        let mut starts = [Found { score: 0.0, node: NONE }; 64];
        let mut here = Found { score: score_one(scorer, entry), node: entry };
        for level in (1..=top).rev() {
            starts[level as usize] = here;
            here = scratch.climb(self, scorer, level, here);
        }
        scratch.walk(self, scorer, 0, here, self.ef);
        if let Some(twin) = self.twin_among(node, &scratch.found) {
            return self.hang(node, twin);
        }
        self.connect(0, node, scratch);
        for level in 1..=top_of_node.min(top) {
            scratch.walk(self, scorer, level, starts[level as usize], self.ef);
            self.connect(level, node, scratch);
        }
        if top_of_node > top {
            self.entry.fetch_max(pack(node, top_of_node), Relaxed);
        }
    }

    /// A node in `found` with the same bytes (in f32, the same components).
    fn twin_among(&self, node: u32, found: &[Found]) -> Option<u32> {
        let same = |other: u32| match self.precision {
            Precision::Int8 => {
                self.view.scale(node) == self.view.scale(other)
                    && self.view.codes(node) == self.view.codes(other)
            }
            Precision::F32 => self.view.vector(node) == self.view.vector(other),
        };
        // Equal vectors are as near as can be, so that they are among the first.
        found.iter().take(4).map(|f| f.node).find(|&other| other != node && same(other))
    }

    /// Puts `node` into the chain of twins behind `of`.
    fn hang(&self, node: u32, of: u32) {
        let _guard = self.lock(of);
        let next = self.twins[of as usize].load(Relaxed);
        self.twins[node as usize].store(next, Relaxed);
        self.twins[of as usize].store(node, Relaxed);
    }

    fn lock(&self, node: u32) -> std::sync::MutexGuard<'_, ()> {
        self.locks[node as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links `node` with the best of what the walk found, both ways.
    fn connect(&self, level: u8, node: u32, scratch: &mut Scratch) {
        scratch.found.retain(|f| f.node != node);
        let chosen = self.choose(&scratch.found, self.m);
        {
            let _guard = self.lock(node);
            // Another thread may have linked to this node by now; such links go first and are not lost.
            let mut all: Vec<u32> = Vec::with_capacity(2 * self.m);
            self.each(level, node, |neighbour| all.push(neighbour));
            for f in &chosen {
                if !all.contains(&f.node) {
                    all.push(f.node);
                }
            }
            for (slot, neighbour) in self.slots(level, node).iter().zip(all) {
                slot.store(neighbour, Relaxed);
            }
        }
        for f in chosen {
            self.link_back(level, f.node, Found { score: f.score, node });
        }
    }

    /// Adds `new` to the links of `node`; when they are too many, chooses among them again.
    fn link_back(&self, level: u8, node: u32, new: Found) {
        let slots = self.slots(level, node);
        let _guard = self.lock(node);
        let mut all: Vec<u32> = Vec::with_capacity(slots.len());
        for slot in slots {
            match slot.load(Relaxed) {
                NONE => return slot.store(new.node, Relaxed),
                neighbour if neighbour == new.node => return,
                neighbour => all.push(neighbour),
            }
        }
        let mut scores = vec![0f32; all.len()];
        match self.precision {
            Precision::Int8 => self.int8(node).score(&all, &mut scores),
            Precision::F32 => self.f32(node).score(&all, &mut scores),
        }
        let mut candidates: Vec<Found> =
            all.into_iter().zip(scores).map(|(node, score)| Found { score, node }).collect();
        candidates.push(new);
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        let kept = self.choose(&candidates, slots.len());
        let kept = kept.iter().map(|f| f.node).chain(std::iter::repeat(NONE));
        slots.iter().zip(kept).for_each(|(slot, neighbour)| slot.store(neighbour, Relaxed));
    }

    /// The neighbour-selection heuristic: of `candidates`, best first, those that are nearer to the node at hand
    /// than to any that was chosen before them, at most `most`.
    fn choose(&self, candidates: &[Found], most: usize) -> Vec<Found> {
        let mut chosen: Vec<Found> = Vec::with_capacity(most);
        let mut nodes: Vec<u32> = Vec::with_capacity(most);
        let mut scores = [0f32; 4];
        for &candidate in candidates {
            if chosen.len() >= most {
                break;
            }
            let covered = nodes.chunks(4).any(|four| {
                let scores = &mut scores[..four.len()];
                match self.precision {
                    Precision::Int8 => self.int8(candidate.node).score(four, scores),
                    Precision::F32 => self.f32(candidate.node).score(four, scores),
                }
                scores.iter().any(|&score| score > candidate.score)
            });
            if !covered {
                chosen.push(candidate);
                nodes.push(candidate.node);
            }
        }
        chosen
    }

    /// Gives every node that level 0 does not lead to from the entry a link from one that is led to.
    fn reconnect(&self, scratch: &mut Scratch) {
        let Some((entry, _)) = unpack(self.entry.load(Relaxed)) else { return };
        let mut chained = vec![false; self.nodes()];
        for twin in &self.twins {
            if let Some(flag) = chained.get_mut(twin.load(Relaxed) as usize) {
                *flag = true;
            }
        }
        for _ in 0..REPAIRS {
            let mut reached = vec![false; self.nodes()];
            let mut links_to = vec![0u32; self.nodes()];
            let mut stack = vec![entry];
            reached[entry as usize] = true;
            while let Some(node) = stack.pop() {
                self.each(0, node, |neighbour| {
                    links_to[neighbour as usize] += 1;
                    if !std::mem::replace(&mut reached[neighbour as usize], true) {
                        stack.push(neighbour);
                    }
                });
            }
            let lost: Vec<u32> = (0..self.nodes() as u32)
                .filter(|&node| !reached[node as usize] && !chained[node as usize])
                .collect();
            if lost.is_empty() {
                return;
            }
            for node in lost {
                match self.precision {
                    Precision::Int8 => self.descend(&self.int8(node), scratch),
                    Precision::F32 => self.descend(&self.f32(node), scratch),
                }
                self.adopt(node, &scratch.found, &reached, &mut links_to);
            }
        }
    }

    /// Searches from the entry; what is found is reachable.
    fn descend<S: Scorer>(&self, scorer: &S, scratch: &mut Scratch) {
        let Some((entry, top)) = unpack(self.entry.load(Relaxed)) else { return };
        let mut here = Found { score: score_one(scorer, entry), node: entry };
        for level in (1..=top).rev() {
            here = scratch.climb(self, scorer, level, here);
        }
        scratch.walk(self, scorer, 0, here, self.ef);
    }

    /// Links the first of `parents` that can spare a slot to `node`: a free one, or one of a neighbour that
    /// others lead to as well.
    fn adopt(&self, node: u32, parents: &[Found], reached: &[bool], links_to: &mut [u32]) {
        let usable = || parents.iter().map(|f| f.node).filter(|&p| p != node && reached[p as usize]);
        for parent in usable() {
            if let Some(free) = self.slots(0, parent).iter().find(|slot| slot.load(Relaxed) == NONE) {
                free.store(node, Relaxed);
                links_to[node as usize] += 1;
                return;
            }
        }
        for parent in usable() {
            for slot in self.slots(0, parent).iter().rev() {
                let spared = slot.load(Relaxed);
                if links_to[spared as usize] > 1 {
                    links_to[spared as usize] -= 1;
                    links_to[node as usize] += 1;
                    slot.store(node, Relaxed);
                    return;
                }
            }
        }
    }

    fn finish(self, old: &Graph) -> Graph {
        let (entry, top) = unpack(self.entry.into_inner()).unwrap_or((NONE, 0));
        let plain = |atomic: Vec<AtomicU32>| {
            let words: Vec<u32> = atomic.into_iter().map(AtomicU32::into_inner).collect();
            Store::compact(std::iter::once(&words[..]))
        };
        Graph {
            m: old.m,
            seed: old.seed,
            entry,
            top,
            level0: plain(self.level0),
            upper: plain(self.upper),
            twins: plain(self.twins),
            upper_at: self.upper_at,
        }
    }
}

pub(super) fn score_one<S: Scorer>(scorer: &S, node: u32) -> f32 {
    let mut score = [0f32];
    scorer.score(&[node], &mut score);
    score[0]
}

/// Nodes that level 0 leads to from the entry, twins with those they hang on; for tests and statistics.
pub(super) fn reachable(graph: &Graph) -> usize {
    if graph.entry == NONE {
        return 0;
    }
    let links: Frozen<'_> = graph.links();
    let mut reached = vec![false; graph.len() as usize];
    let mut stack = vec![graph.entry];
    reached[graph.entry as usize] = true;
    let mut count = 0;
    while let Some(node) = stack.pop() {
        count += 1;
        let mut visit = |other: u32| {
            if !std::mem::replace(&mut reached[other as usize], true) {
                stack.push(other);
            }
        };
        links.each(0, node, &mut visit);
        if links.twin(node) != NONE {
            visit(links.twin(node));
        }
    }
    count
}
