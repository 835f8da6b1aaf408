//! Where do the vectors of a dense index lie?
//!
//! A node is a vector's number in order of insertion; a row is the caller's number for it. Vectors never change
//! and nodes are only added, so the arena is a list of shared segments: cloning it copies pointers, and an
//! insertion copies at most the last small segment. The first segment holds nearly everything; small ones behind
//! it are merged into it once they hold an eighth as much.

use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use quorate_core::vector::{
    Scored, TopK, check_query, dot, dot_i8, dot_rows, dot_subset, dot_subset_scaled, int8_error, prefetch,
    quantize_int8,
};
use quorate_core::{Code, Error, Result};

use super::Neighbor;
use crate::RowSet;

/// No node, no row.
pub(super) const NONE: u32 = u32::MAX;
/// The largest row number: the table from rows to nodes is as long as the largest row in use.
pub(super) const MAX_ROW: u32 = 1 << 28;
/// Vectors that a segment takes before the next one is begun; also what an insertion copies at most.
const SEGMENT: usize = 512;
/// The small segments are merged into the first one when they hold more than one vector for so many of its.
const MERGE: usize = 8;

/// Plain numbers, owned or in a mapped file.
#[derive(Clone)]
pub(super) enum Store<T: bytemuck::Pod> {
    Heap(Vec<T>),
    /// A map, the first byte, and the number of elements. The range is aligned and inside the map.
    Map(Arc<Mmap>, usize, usize),
}

impl<T: bytemuck::Pod> Store<T> {
    /// Elements at `start` of a map. Errors: `corrupt` when they are not aligned or not inside it.
    pub(super) fn mapped(map: &Arc<Mmap>, start: usize, len: usize) -> Result<Self> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .and_then(|n| n.checked_add(start))
            .and_then(|end| map.get(start..end));
        match bytes.map(bytemuck::try_cast_slice::<u8, T>) {
            Some(Ok(_)) => Ok(Store::Map(Arc::clone(map), start, len)),
            _ => Err(Error::new(Code::Corrupt, "a section lies outside the file")),
        }
    }

    /// The same numbers in memory that the kernel may back with huge pages, where random access is cheaper.
    pub(super) fn compact<'a>(parts: impl Iterator<Item = &'a [T]> + Clone) -> Self {
        /// Below this many bytes a copy on the heap is as good.
        const LARGE: usize = 4 << 20;
        let len: usize = parts.clone().map(<[T]>::len).sum();
        if len * size_of::<T>() >= LARGE
            && let Ok(mut map) = MmapMut::map_anon(len * size_of::<T>())
        {
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            let mut at = 0;
            for part in parts.clone() {
                let bytes: &[u8] = bytemuck::cast_slice(part);
                map[at..at + bytes.len()].copy_from_slice(bytes);
                at += bytes.len();
            }
            if let Ok(map) = map.make_read_only() {
                return Store::Map(Arc::new(map), 0, len);
            }
        }
        Store::Heap(parts.flatten().copied().collect())
    }

    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Store::Heap(data) => data,
            Store::Map(map, start, len) => bytemuck::cast_slice(&map[*start..*start + *len * size_of::<T>()]),
        }
    }

    fn extend(&mut self, more: &[T]) {
        match self {
            Store::Heap(data) => data.extend_from_slice(more),
            Store::Map(..) => *self = Store::Heap([self.as_slice(), more].concat()),
        }
    }
}

impl<T: bytemuck::Pod> Default for Store<T> {
    fn default() -> Self {
        Store::Heap(Vec::new())
    }
}

/// Consecutive nodes: for each its row, its vector, and the vector as bytes with a scale.
#[derive(Clone, Default)]
pub(super) struct Segment {
    pub(super) rows: Store<u32>,
    pub(super) scales: Store<f32>,
    pub(super) codes: Store<i8>,
    pub(super) vectors: Store<f32>,
}

/// All nodes of an index, and which of them are live.
#[derive(Clone)]
pub(super) struct Arena {
    dim: usize,
    segments: Vec<Arc<Segment>>,
    /// The first node of each segment.
    starts: Vec<u32>,
    len: u32,
    /// One more than the node of each row, or 0: a table of zeros takes memory only where it is written, however large
    /// the numbers are that a snapshot gives to its rows.
    nodes: Arc<Vec<u32>>,
    /// Rows that were inserted and not removed.
    live: Arc<RowSet>,
    live_count: usize,
    /// The largest length of any vector.
    longest: f32,
}

impl Arena {
    pub(super) fn new(dim: usize) -> Self {
        Arena {
            dim,
            segments: Vec::new(),
            starts: Vec::new(),
            len: 0,
            nodes: Arc::default(),
            live: Arc::default(),
            live_count: 0,
            longest: 0.0,
        }
    }

    /// An arena over one segment read from a snapshot; `live` has a bit for each node that was not removed, and
    /// `longest` is the length of the longest vector.
    /// Errors: `corrupt` when lengths do not fit, rows repeat or numbers are not finite.
    pub(super) fn from_segment(dim: usize, segment: Segment, live: &[u64], longest: f32) -> Result<Self> {
        let corrupt = |what: &str| Error::new(Code::Corrupt, what.to_string());
        let rows = segment.rows.as_slice();
        let n = rows.len();
        let fits = segment.scales.as_slice().len() == n
            && n.checked_mul(dim).is_some_and(|c| {
                segment.codes.as_slice().len() == c && segment.vectors.as_slice().len() == c
            })
            && live.len() == n.div_ceil(64);
        if !fits {
            return Err(corrupt("sections of different lengths"));
        }
        let mut arena = Arena::new(dim);
        let mut nodes = vec![0; rows.iter().max().map_or(0, |&max| max.min(MAX_ROW) as usize + 1)];
        let mut live_rows = RowSet::empty(nodes.len() as u32);
        for (node, &row) in rows.iter().enumerate() {
            match nodes.get_mut(row as usize) {
                Some(slot) if *slot == 0 => *slot = node as u32 + 1,
                _ => return Err(corrupt("a row number that is too large or appears twice")),
            }
            if live[node / 64] >> (node % 64) & 1 == 1 {
                live_rows.insert(row);
                arena.live_count += 1;
            }
        }
        arena.longest = longest;
        if !longest.is_finite() || !segment.scales.as_slice().iter().all(|s| s.is_finite() && *s >= 0.0) {
            return Err(corrupt("a vector that is not finite"));
        }
        arena.len = n as u32;
        arena.nodes = Arc::new(nodes);
        arena.live = Arc::new(live_rows);
        arena.segments.push(Arc::new(segment));
        arena.starts.push(0);
        Ok(arena)
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Nodes, live or not.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn live(&self) -> &Arc<RowSet> {
        &self.live
    }

    pub(super) fn live_count(&self) -> usize {
        self.live_count
    }

    /// The length of the longest vector.
    pub(super) fn longest(&self) -> f32 {
        self.longest
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Adds vectors. Nothing is added when there is an error: `invalid_shape`, `not_finite`, `duplicate_id`,
    /// `too_large`.
    pub(super) fn insert(&mut self, rows: &[u32], vectors: &[f32]) -> Result<()> {
        if rows.len().checked_mul(self.dim) != Some(vectors.len()) {
            return Err(Error::new(
                Code::InvalidShape,
                format!("{} components for {} vectors of {}", vectors.len(), rows.len(), self.dim),
            ));
        }
        if rows.is_empty() {
            return Ok(());
        }
        if self.len as usize + rows.len() >= MAX_ROW as usize {
            return Err(Error::new(Code::TooLarge, format!("more than {MAX_ROW} vectors")));
        }
        let mut codes = vec![0; vectors.len()];
        let mut scales = Vec::with_capacity(rows.len());
        let mut longest = self.longest;
        let mut fresh = RowSet::default();
        for (i, &row) in rows.iter().enumerate() {
            if row > MAX_ROW {
                return Err(Error::new(Code::TooLarge, format!("row {row}; the largest is {MAX_ROW}")));
            }
            if self.node(row).is_some() || fresh.contains(row) {
                return Err(Error::new(Code::DuplicateId, format!("row {row} was inserted before")));
            }
            fresh.insert(row);
            let vector = &vectors[i * self.dim..(i + 1) * self.dim];
            check_query(vector, self.dim).map_err(|e| e.context(format!("row {row}")))?;
            scales.push(quantize_int8(vector, &mut codes[i * self.dim..(i + 1) * self.dim])?);
            let norm = dot(vector, vector).sqrt();
            if !norm.is_finite() {
                return Err(Error::new(Code::NotFinite, format!("row {row}: the vector's length overflows")));
            }
            longest = longest.max(norm);
        }
        let nodes = Arc::make_mut(&mut self.nodes);
        let live = Arc::make_mut(&mut self.live);
        for (i, &row) in rows.iter().enumerate() {
            if row as usize >= nodes.len() {
                nodes.resize(row as usize + 1, 0);
            }
            nodes[row as usize] = self.len + i as u32 + 1;
            live.insert(row);
        }
        self.live_count += rows.len();
        self.longest = longest;
        let room = self.segments.last().map_or(0, |last| SEGMENT.saturating_sub(last.rows.as_slice().len()));
        match self.segments.last_mut() {
            Some(last) if room >= rows.len() && self.starts.len() > 1 => {
                let last = Arc::make_mut(last);
                last.rows.extend(rows);
                last.scales.extend(&scales);
                last.codes.extend(&codes);
                last.vectors.extend(vectors);
            }
            _ => {
                self.starts.push(self.len);
                self.segments.push(Arc::new(Segment {
                    rows: Store::compact(std::iter::once(rows)),
                    scales: Store::compact(std::iter::once(&scales[..])),
                    codes: Store::compact(std::iter::once(&codes[..])),
                    vectors: Store::compact(std::iter::once(vectors)),
                }));
            }
        }
        self.len += rows.len() as u32;
        Ok(())
    }

    /// Makes a row unfindable; false when it was not live.
    pub(super) fn remove(&mut self, row: u32) -> bool {
        if !self.live.contains(row) {
            return false;
        }
        Arc::make_mut(&mut self.live).remove(row);
        self.live_count -= 1;
        true
    }

    /// Merges small segments into the first when they have become many.
    pub(super) fn merge(&mut self) {
        let first = self.segments.first().map_or(0, |s| s.rows.as_slice().len());
        if (self.len as usize - first) * MERGE <= first {
            return;
        }
        let all = &self.segments;
        let merged = Segment {
            rows: Store::compact(all.iter().map(|s| s.rows.as_slice())),
            scales: Store::compact(all.iter().map(|s| s.scales.as_slice())),
            codes: Store::compact(all.iter().map(|s| s.codes.as_slice())),
            vectors: Store::compact(all.iter().map(|s| s.vectors.as_slice())),
        };
        self.segments = vec![Arc::new(merged)];
        self.starts = vec![0];
    }

    /// The node of a row, removed or not.
    pub(super) fn node(&self, row: u32) -> Option<u32> {
        self.nodes.get(row as usize)?.checked_sub(1)
    }

    /// Live nodes in the order of their rows, those outside `admit` left out.
    pub(super) fn admitted(&self, admit: Option<&RowSet>) -> Vec<u32> {
        let nodes = |rows: &RowSet| rows.iter().filter_map(|row| self.node(row)).collect();
        match admit {
            None => nodes(&self.live),
            Some(admit) => {
                let mut both = admit.clone();
                both.intersect(&self.live);
                nodes(&both)
            }
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        let first = self.segments.first();
        View {
            arena: self,
            dim: self.dim,
            base: first.map_or(0, |s| s.rows.as_slice().len() as u32),
            rows: first.map_or(&[], |s| s.rows.as_slice()),
            scales: first.map_or(&[], |s| s.scales.as_slice()),
            codes: first.map_or(&[], |s| s.codes.as_slice()),
            vectors: first.map_or(&[], |s| s.vectors.as_slice()),
        }
    }

    /// The `k` best of `nodes` by the inner product with a checked query, in exact order: bytes rule out what
    /// provably cannot be among them, and the rest is computed in f32.
    pub(super) fn exact(&self, query: &[f32], k: usize, nodes: &[u32]) -> Result<Vec<Neighbor>> {
        /// Below this many vectors a second pass costs more than it saves.
        const FEW: usize = 48;
        let view = self.view();
        if k == 0 || nodes.is_empty() {
            return Ok(Vec::new());
        }
        if nodes.len() <= FEW.max(2 * k) {
            return Ok(view.rank(query, k, nodes));
        }
        let mut codes = vec![0; self.dim];
        let scale = quantize_int8(query, &mut codes)?;
        let mut scores = vec![0f32; nodes.len()];
        view.score_int8(&codes, scale, nodes, &mut scores);
        // |q.x - q'.x'| <= |q| |x - x'| + |q - q'| |x'|, where x' and q' are what the bytes stand for; each
        // component of x - x' is at most `int8_error` of the scale. A little more covers the rounding of f32.
        let width = (self.dim as f32).sqrt();
        let length = dot(query, query).sqrt();
        let coarse: f32 = query
            .iter()
            .zip(&codes)
            .map(|(&x, &code)| {
                let d = x - scale * f32::from(code);
                d * d
            })
            .sum::<f32>()
            .sqrt();
        let rounding = 1e-5 * length * self.longest;
        let by_query = coarse * (self.longest * 1.01 + f32::MIN_POSITIVE) + rounding;
        let slack = |node: u32| length * int8_error(view.scale(node)) * width + by_query;
        let mut top = TopK::new(k);
        for (&node, &score) in nodes.iter().zip(&scores) {
            if score >= top.threshold() {
                top.push(node, score - slack(node));
            }
        }
        let bound = top.threshold();
        let survivors: Vec<u32> = nodes
            .iter()
            .zip(&scores)
            .filter(|&(&node, &score)| score + slack(node) >= bound)
            .map(|(&node, _)| node)
            .collect();
        Ok(view.rank(query, k, &survivors))
    }
}

/// The arena as a search sees it: the first segment without a detour.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    arena: &'a Arena,
    pub(super) dim: usize,
    base: u32,
    rows: &'a [u32],
    scales: &'a [f32],
    codes: &'a [i8],
    vectors: &'a [f32],
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn row(&self, node: u32) -> u32 {
        match self.rows.get(node as usize) {
            Some(&row) => row,
            None => self.elsewhere(node, |s, i| s.rows.as_slice()[i]),
        }
    }

    #[inline]
    pub(super) fn scale(&self, node: u32) -> f32 {
        match self.scales.get(node as usize) {
            Some(&scale) => scale,
            None => self.elsewhere(node, |s, i| s.scales.as_slice()[i]),
        }
    }

    #[inline]
    pub(super) fn codes(&self, node: u32) -> &'a [i8] {
        if node < self.base {
            &self.codes[node as usize * self.dim..][..self.dim]
        } else {
            self.elsewhere(node, |s, i| &s.codes.as_slice()[i * self.dim..][..self.dim])
        }
    }

    #[inline]
    pub(super) fn vector(&self, node: u32) -> &'a [f32] {
        if node < self.base {
            &self.vectors[node as usize * self.dim..][..self.dim]
        } else {
            self.elsewhere(node, |s, i| &s.vectors.as_slice()[i * self.dim..][..self.dim])
        }
    }

    #[cold]
    fn elsewhere<T>(&self, node: u32, get: impl FnOnce(&'a Segment, usize) -> T) -> T {
        let at = self.arena.starts.partition_point(|&start| start <= node) - 1;
        get(&self.arena.segments[at], (node - self.arena.starts[at]) as usize)
    }

    /// Inner products of a query of bytes with the bytes of `nodes`.
    #[inline]
    pub(super) fn score_int8(&self, query: &[i8], scale: f32, nodes: &[u32], out: &mut [f32]) {
        if nodes.iter().all(|&node| node < self.base) {
            dot_subset_scaled(query, scale, self.codes, self.scales, nodes, out);
        } else {
            for (&node, score) in nodes.iter().zip(out) {
                *score = dot_i8(query, self.codes(node)) as f32 * (scale * self.scale(node));
            }
        }
    }

    /// Inner products of a query with the vectors of `nodes`.
    #[inline]
    pub(super) fn score_f32(&self, query: &[f32], nodes: &[u32], out: &mut [f32]) {
        if nodes.iter().all(|&node| node < self.base) {
            dot_subset(query, self.vectors, nodes, out);
        } else {
            // The batch kernel for one row, so that a product has the same bits wherever the row lies.
            for (&node, score) in nodes.iter().zip(out) {
                dot_rows(query, self.vector(node), std::slice::from_mut(score));
            }
        }
    }

    /// The `k` best of `nodes` by the inner product in f32, ties by row.
    pub(super) fn rank(&self, query: &[f32], k: usize, nodes: &[u32]) -> Vec<Neighbor> {
        let mut scores = vec![0f32; nodes.len()];
        self.score_f32(query, nodes, &mut scores);
        let mut best: Vec<Scored> =
            nodes.iter().zip(scores).map(|(&node, score)| Scored { index: self.row(node), score }).collect();
        if best.len() > k {
            best.select_nth_unstable_by(k, Scored::order);
            best.truncate(k);
        }
        best.sort_unstable_by(Scored::order);
        best.into_iter().map(|s| Neighbor { row: s.index, similarity: s.score }).collect()
    }

    #[inline]
    pub(super) fn prefetch_int8(&self, node: u32) {
        prefetch(self.codes(node));
    }

    #[inline]
    pub(super) fn prefetch_f32(&self, node: u32) {
        prefetch(self.vector(node));
    }
}
