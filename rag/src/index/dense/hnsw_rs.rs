//! How does the `hnsw_rs` crate serve as a backend?
//!
//! It keeps its own copy of the vectors and can neither forget nor be written to a file that it is safe to read
//! back (a bad file ends the process), so that `remove` and `save` are `unsupported`. Its levels are drawn at
//! random: two builds differ.

use std::path::Path;

use ::hnsw_rs::prelude::{Distance, Hnsw};
use quorate_core::parallel::Workers;
use quorate_core::vector::{check_query, dot};
use quorate_core::{Code, Error, Result};

use super::arena::Arena;
use super::{DenseIndex, HnswConfig, Neighbor};
use crate::RowSet;

/// Layers that the crate is given; more it does not take.
const LAYERS: usize = 16;
/// Vectors that the crate is told to expect; only a hint.
const EXPECTED: usize = 100_000;

/// A graph index by the `hnsw_rs` crate (feature `hnsw-rs`), for comparison. [`HnswIndex`](super::HnswIndex) does
/// more and is faster.
pub struct HnswRsIndex {
    config: HnswConfig,
    graph: Hnsw<'static, f32, OneMinusDot>,
    arena: Arena,
}

/// The distance that the crate asks for: never negative, and 0 for equal vectors of unit length.
#[derive(Clone, Copy, Default)]
struct OneMinusDot;

impl Distance<f32> for OneMinusDot {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

impl HnswRsIndex {
    /// An empty index of vectors with `dim` components; of the options, `m` and the two widths count.
    /// Errors: `invalid_argument`.
    pub fn new(dim: usize, config: HnswConfig) -> Result<Self> {
        config.validate()?;
        super::check_dim(dim)?;
        let graph = Hnsw::new(config.m, EXPECTED, LAYERS, config.ef_construction, OneMinusDot);
        Ok(HnswRsIndex { config, graph, arena: Arena::new(dim) })
    }
}

impl DenseIndex for HnswRsIndex {
    fn dim(&self) -> usize {
        self.arena.dim()
    }

    fn len(&self) -> usize {
        self.arena.live_count()
    }

    fn insert(&mut self, rows: &[u32], vectors: &[f32], threads: usize) -> Result<()> {
        self.arena.insert(rows, vectors)?;
        let data: Vec<(&[f32], usize)> =
            vectors.chunks_exact(self.arena.dim()).zip(rows).map(|(v, &row)| (v, row as usize)).collect();
        if threads <= 1 {
            data.iter().for_each(|&one| self.graph.insert_slice(one));
            return Ok(());
        }
        Workers::new(Some(threads)).run(|| self.graph.parallel_insert_slice(&data))
    }

    /// Errors: always `unsupported`.
    fn remove(&mut self, _row: u32) -> Result<bool> {
        Err(Error::new(Code::Unsupported, "hnsw_rs cannot remove; use the built-in graph"))
    }

    fn search(&self, query: &[f32], k: usize, ef: usize, admit: Option<&RowSet>) -> Result<Vec<Neighbor>> {
        check_query(query, self.arena.dim())?;
        let nodes = self.arena.admitted(admit);
        let want = k.min(nodes.len());
        let ef = if ef == 0 { self.config.ef_search } else { ef }.max(want);
        if nodes.len() <= 8 * ef || nodes.len() <= self.arena.len() as usize / 8 {
            return self.arena.exact(query, k, &nodes);
        }
        let found = match admit {
            None => self.graph.search(query, ef, ef),
            Some(admit) => {
                let admits = |row: &usize| admit.contains(*row as u32);
                self.graph.search_filter(query, ef, ef, Some(&admits))
            }
        };
        let mut near: Vec<u32> = found.iter().filter_map(|f| self.arena.node(f.d_id as u32)).collect();
        near.sort_unstable();
        near.dedup();
        if near.len() < want {
            return self.arena.exact(query, k, &nodes);
        }
        Ok(self.arena.view().rank(query, k, &near))
    }

    /// Errors: always `unsupported`.
    fn save(&self, _path: &Path, _stamp: u64) -> Result<()> {
        Err(Error::new(
            Code::Unsupported,
            "hnsw_rs has no snapshot that is safe to read; use the built-in graph",
        ))
    }
}
