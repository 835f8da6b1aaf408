//! How are the nearest of very many vectors found without looking at all of them?

use std::path::Path;
use std::sync::Arc;

use quorate_core::vector::{check_query, dot, quantize_int8};
use quorate_core::{Code, Error, Result};

use super::arena::{Arena, NONE, View};
use super::beam::{ByF32, ByInt8, Found, Scorer, Scratch};
use super::build::{grow, reachable, score_one};
use super::graph::{Graph, Links};
use super::snapshot::{self, Snapshot};
use super::{DenseIndex, Neighbor};
use crate::RowSet;

/// What the graph is walked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// One byte a component; what is found is put in order by f32. The faster, and at its default width as
    /// exact.
    #[default]
    Int8,
    /// f32 throughout.
    F32,
}

/// How an [`HnswIndex`] is built and searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HnswConfig {
    /// Links of a new node on each level; a node keeps at most `m` above level 0 and `2 m` on it. From 2 to 128.
    pub m: usize,
    /// Width of the search for a new node's neighbours. From 1 to 10,000.
    pub ef_construction: usize,
    /// Width of a search that asks for width 0. From 1 to 10,000.
    pub ef_search: usize,
    /// What the graph is walked with.
    pub precision: Precision,
    /// Seed of the levels of nodes.
    pub seed: u64,
    /// As many vectors may wait outside the graph, where every search scans them, before an insertion links them.
    pub max_pending: usize,
}

impl Default for HnswConfig {
    fn default() -> Self {
        HnswConfig {
            m: 16,
            ef_construction: 128,
            ef_search: 80,
            precision: Precision::Int8,
            seed: 0,
            max_pending: 1024,
        }
    }
}

impl HnswConfig {
    /// Whether each option is in its range. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(format!("{name} is {value}; it goes from {least} to {most}")))
            }
        };
        check("m", self.m, 2, 128)?;
        check("ef_construction", self.ef_construction, 1, 10_000)?;
        check("ef_search", self.ef_search, 1, 10_000)?;
        check("max_pending", self.max_pending, 0, 1 << 20)
    }
}

/// What an index holds in memory, in bytes. Vectors of a loaded index lie in the mapped file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HnswMemory {
    /// Vectors as bytes, with their scales.
    pub codes: usize,
    /// Links of the graph.
    pub graph: usize,
    /// Row numbers, both ways.
    pub rows: usize,
    /// f32 vectors, read to put the best in their exact order.
    pub vectors: usize,
}

/// A graph index for inner products of vectors of unit length (Malkov & Yashunin 2018, "Efficient and robust
/// approximate nearest neighbor search using hierarchical navigable small world graphs").
///
/// **Sharing.** An index is immutable to those who hold a clone of it: a clone shares vectors and links and costs
/// microseconds. The writer inserts into its own copy and publishes a clone: new vectors wait in a short list that
/// each search scans exactly (so that an insertion costs microseconds too), and are linked when
/// [`max_pending`](HnswConfig::max_pending) of them wait. To keep that work away from the writer, link a clone on
/// another thread and [`adopt`](HnswIndex::adopt) it:
///
/// ```
/// use quorate_rag::index::dense::{DenseIndex, HnswConfig, HnswIndex};
/// let mut index = HnswIndex::new(2, HnswConfig::default())?;
/// index.insert(&[1, 2], &[1.0, 0.0, 0.6, 0.8], 1)?;
/// let mut next = index.clone();
/// let linking = std::thread::spawn(move || next.link(2).map(|()| next));
/// index.insert(&[3], &[0.0, 1.0], 1)?;
/// index.adopt(linking.join().expect("no panic")?)?;
/// assert_eq!((index.len(), index.pending()), (3, 1));
/// assert_eq!(index.search(&[0.0, 1.0], 1, 0, None)?[0].row, 3);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// **Removal** takes effect at once: the node is still walked, but not found. [`compacted`](HnswIndex::compacted)
/// builds an index without the removed ones. Row numbers of removed vectors may be used again only after that.
///
/// Vectors of other lengths are found too, but the graph is at its best with unit length.
#[derive(Clone)]
pub struct HnswIndex {
    config: HnswConfig,
    arena: Arena,
    graph: Arc<Graph>,
}

impl HnswIndex {
    /// An empty index of vectors with `dim` components. Errors: `invalid_argument`.
    pub fn new(dim: usize, config: HnswConfig) -> Result<Self> {
        config.validate()?;
        super::check_dim(dim)?;
        let graph = Arc::new(Graph::new(config.m as u32, config.seed));
        Ok(HnswIndex { config, arena: Arena::new(dim), graph })
    }

    /// Reads a snapshot and the stamp that it was saved with. Links and bytes are read into memory; the f32
    /// vectors stay in the file, which is mapped. The index can be added to.
    /// Errors: `corrupt`, `format_version`, `not_found`, `io`.
    pub fn load(path: &Path) -> Result<(Self, u64)> {
        let read = snapshot::read(path)?;
        let stamp = read.stamp;
        let index = Self::of(read).map_err(|e| e.context(path.display()))?;
        Ok((index, stamp))
    }

    /// The same from bytes in memory.
    #[cfg(test)]
    pub(crate) fn load_bytes(bytes: &[u8]) -> Result<Self> {
        Self::of(snapshot::read_bytes(bytes)?)
    }

    fn of(read: Snapshot) -> Result<Self> {
        match read.graph {
            Some((graph, config)) => Ok(HnswIndex { config, arena: read.arena, graph: Arc::new(graph) }),
            None => Err(Error::new(Code::FormatVersion, "not the snapshot of a graph")),
        }
    }

    /// How the index was made.
    pub fn config(&self) -> &HnswConfig {
        &self.config
    }

    /// The rows that can be found.
    pub fn rows(&self) -> &RowSet {
        self.arena.live()
    }

    /// The vector of a row that can be found.
    pub fn vector(&self, row: u32) -> Option<&[f32]> {
        let node = self.arena.node(row).filter(|_| self.arena.live().contains(row))?;
        Some(self.arena.view().vector(node))
    }

    /// Vectors that wait outside the graph.
    pub fn pending(&self) -> usize {
        (self.arena.len() - self.graph.len()) as usize
    }

    /// Removed vectors that still take part in walks.
    pub fn removed(&self) -> usize {
        self.arena.len() as usize - self.arena.live_count()
    }

    /// What the index holds in memory.
    pub fn memory(&self) -> HnswMemory {
        let nodes = self.arena.len() as usize;
        HnswMemory {
            codes: nodes * (self.arena.dim() + 4),
            graph: self.graph.bytes(),
            rows: nodes * 4 + self.arena.live().universe() as usize * 4,
            vectors: nodes * self.arena.dim() * 4,
        }
    }

    /// Links all vectors that wait, with `threads` threads; 1 gives the same graph every time.
    pub fn link(&mut self, threads: usize) -> Result<()> {
        if self.pending() == 0 {
            return Ok(());
        }
        self.arena.merge();
        let (ef, precision) = (self.config.ef_construction, self.config.precision);
        let grown = grow(&self.graph, self.arena.view(), self.arena.len(), ef, precision, threads.max(1));
        self.graph = Arc::new(grown);
        Ok(())
    }

    /// Becomes `other`, a linked or compacted copy of an earlier state of this index, and makes up for what was
    /// inserted here or removed since. Errors: `invalid_shape` when `other` holds vectors of another dimension.
    pub fn adopt(&mut self, other: HnswIndex) -> Result<()> {
        if other.arena.dim() != self.arena.dim() {
            return Err(Error::new(Code::InvalidShape, "an index of another dimension cannot be adopted"));
        }
        let mut other = other;
        let mut gone = other.rows().clone();
        gone.subtract(self.rows());
        for row in gone.iter() {
            other.arena.remove(row);
        }
        let mut fresh = self.rows().clone();
        fresh.subtract(other.rows());
        let rows: Vec<u32> = fresh.iter().collect();
        let vectors: Vec<f32> = rows.iter().filter_map(|&row| self.vector(row)).flatten().copied().collect();
        other.arena.insert(&rows, &vectors)?;
        *self = other;
        Ok(())
    }

    /// An index of the rows that can be found, without the removed ones, built with `threads` threads.
    pub fn compacted(&self, threads: usize) -> Result<HnswIndex> {
        let mut index = HnswIndex::new(self.arena.dim(), self.config.clone())?;
        let view = self.arena.view();
        let nodes = self.arena.admitted(None);
        let rows: Vec<u32> = nodes.iter().map(|&node| view.row(node)).collect();
        let mut vectors = Vec::with_capacity(nodes.len() * self.arena.dim());
        nodes.iter().for_each(|&node| vectors.extend_from_slice(view.vector(node)));
        index.arena.insert(&rows, &vectors)?;
        index.link(threads)?;
        Ok(index)
    }

    /// Whether level 0 of the graph leads from its entry to every node; what searches rely on.
    pub fn is_connected(&self) -> bool {
        reachable(&self.graph) == self.graph.len() as usize
    }

    /// Candidates from the graph, best first by what the graph is walked with; `None` when the walk was given up.
    fn candidates(
        &self,
        view: View<'_>,
        query: &[f32],
        ef: usize,
        mask: Option<&RowSet>,
        budget: usize,
        scratch: &mut Scratch,
    ) -> Result<Option<f32>> {
        match self.config.precision {
            Precision::Int8 => {
                let mut codes = std::mem::take(&mut scratch.codes);
                codes.resize(query.len(), 0);
                let scale = quantize_int8(query, &mut codes)?;
                let done = self.walk(&ByInt8 { view, codes: &codes, scale }, view, ef, mask, budget, scratch);
                scratch.codes = codes;
                Ok(done.then_some(scale))
            }
            Precision::F32 => {
                let done = self.walk(&ByF32 { view, query }, view, ef, mask, budget, scratch);
                Ok(done.then_some(0.0))
            }
        }
    }

    fn walk<S: Scorer>(
        &self,
        scorer: &S,
        view: View<'_>,
        ef: usize,
        mask: Option<&RowSet>,
        budget: usize,
        scratch: &mut Scratch,
    ) -> bool {
        let links = self.graph.links();
        let entry = self.graph.entry;
        scratch.found.clear();
        if self.graph.len() > 0 {
            let mut here = Found { score: score_one(scorer, entry), node: entry };
            for level in (1..=self.graph.top).rev() {
                here = scratch.climb(&links, scorer, level, here);
            }
            match mask {
                None => scratch.walk(&links, scorer, 0, here, ef),
                Some(mask) => {
                    if !scratch.walk_filtered(
                        &links,
                        scorer,
                        here,
                        ef,
                        |n| mask.contains(view.row(n)),
                        budget,
                    ) {
                        return false;
                    }
                }
            }
        }
        let waiting: Vec<u32> = (self.graph.len()..self.arena.len())
            .filter(|&node| mask.is_none_or(|mask| mask.contains(view.row(node))))
            .collect();
        if !waiting.is_empty() {
            let mut scores = vec![0f32; waiting.len()];
            scorer.score(&waiting, &mut scores);
            scratch.found.extend(waiting.iter().zip(scores).map(|(&node, score)| Found { score, node }));
            scratch.found.sort_unstable_by(|a, b| b.cmp(a));
        }
        true
    }
}

/// A walk scores about `50 ef n / m` rows' worth of a scan's time when `m` of `n` rows are admitted: 0.75
/// microseconds for each of `ef / (m / n)` nodes against 15 nanoseconds for each scanned row, measured with 384
/// components on 40,000 and 100,000 texts.
const WALK: usize = 50;

impl DenseIndex for HnswIndex {
    fn dim(&self) -> usize {
        self.arena.dim()
    }

    fn len(&self) -> usize {
        self.arena.live_count()
    }

    fn insert(&mut self, rows: &[u32], vectors: &[f32], threads: usize) -> Result<()> {
        self.arena.insert(rows, vectors)?;
        if self.pending() > self.config.max_pending {
            self.link(threads)?;
        }
        Ok(())
    }

    fn remove(&mut self, row: u32) -> Result<bool> {
        Ok(self.arena.remove(row))
    }

    fn search(&self, query: &[f32], k: usize, ef: usize, admit: Option<&RowSet>) -> Result<Vec<Neighbor>> {
        check_query(query, self.arena.dim())?;
        let mask = match admit {
            None if self.removed() == 0 => None,
            None => Some(RowSet::clone(self.arena.live())),
            Some(admit) => {
                let mut both = admit.clone();
                both.intersect(self.arena.live());
                Some(both)
            }
        };
        let matches = mask.as_ref().map_or(self.arena.live_count(), RowSet::count);
        let want = k.min(matches);
        if want == 0 {
            return Ok(Vec::new());
        }
        let ef = if ef == 0 { self.config.ef_search } else { ef }.max(want);
        let scan = || self.arena.exact(query, k, &self.arena.admitted(mask.as_ref()));
        if matches.saturating_mul(matches) <= (WALK * ef).saturating_mul(self.arena.len() as usize) {
            return scan();
        }
        let view = self.arena.view();
        let best = Scratch::with(|scratch| -> Result<Option<Vec<Neighbor>>> {
            let Some(scale) = self.candidates(view, query, ef, mask.as_ref(), 2 * matches, scratch)? else {
                return Ok(None);
            };
            // A component's error is uniform over one step, so that a product's has a standard deviation of 0.29
            // scales times the other vector's length; five of them, for the query and for the row, are let in.
            let length = dot(query, query).sqrt();
            let least = |last: &Found| {
                last.score - 1.5 * (scale * self.arena.longest() + view.scale(last.node) * length)
            };
            let links = self.graph.links();
            let admits = |node: u32| mask.as_ref().is_none_or(|mask| mask.contains(view.row(node)));
            let mut nodes: Vec<u32> = Vec::with_capacity(2 * want);
            let mut bound = f32::NEG_INFINITY;
            for found in &scratch.found {
                if found.score < bound {
                    break;
                }
                let before = nodes.len();
                let mut node = found.node;
                while node != NONE {
                    if admits(node) {
                        view.prefetch_f32(node);
                        nodes.push(node);
                    }
                    // Vectors that wait outside the graph have no twins.
                    node = if node < self.graph.len() { links.twin(node) } else { NONE };
                }
                if before < want && nodes.len() >= want {
                    bound = least(found);
                }
            }
            Ok((nodes.len() >= want).then(|| view.rank(query, k, &nodes)))
        })?;
        match best {
            Some(best) => Ok(best),
            None => scan(),
        }
    }

    fn save(&self, path: &Path, stamp: u64) -> Result<()> {
        snapshot::write(path, &self.arena, Some((&self.graph, &self.config)), stamp)
    }
}
