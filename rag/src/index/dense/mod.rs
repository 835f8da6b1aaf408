//! How are the nearest vectors found?

mod arena;
mod beam;
mod build;
mod flat;
mod graph;
mod hnsw;
#[cfg(feature = "hnsw-rs")]
mod hnsw_rs;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;

use quorate_core::{Error, Result};

pub use self::flat::FlatIndex;
pub use self::hnsw::{HnswConfig, HnswIndex, HnswMemory, Precision};
#[cfg(feature = "hnsw-rs")]
pub use self::hnsw_rs::HnswRsIndex;
use crate::RowSet;

/// Beyond so many components a sum of products of bytes might overflow.
const MAX_DIM: usize = 65_536;

fn check_dim(dim: usize) -> Result<()> {
    if (1..=MAX_DIM).contains(&dim) {
        Ok(())
    } else {
        Err(Error::invalid(format!("vectors of {dim} components; they may have 1 to {MAX_DIM}")))
    }
}

/// A row and its similarity to the query: the inner product, which is the cosine for vectors of unit length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// The row number that the vector was inserted under.
    pub row: u32,
    /// Inner product with the query; larger is nearer.
    pub similarity: f32,
}

/// What every dense backend does. Rows are small integers chosen by the caller, each used once.
pub trait DenseIndex: Send + Sync {
    /// Components of each vector.
    fn dim(&self) -> usize;

    /// Rows that can be found (removed ones not counted).
    fn len(&self) -> usize;

    /// Whether no row can be found.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds vectors (row-major, one per row number), using `threads` threads; 1 is deterministic.
    /// Errors: `invalid_shape`, `not_finite`, `duplicate_id`.
    fn insert(&mut self, rows: &[u32], vectors: &[f32], threads: usize) -> Result<()>;

    /// Makes a row unfindable; false when it was not there. Errors: `unsupported`.
    fn remove(&mut self, row: u32) -> Result<bool>;

    /// The `k` nearest rows, nearest first, ties by row number. With `admit`, exactly
    /// `min(k, admitted rows)` come back, all of them admitted. `ef` is the width of a graph search (0: the index's
    /// default; ignored by exact backends). Errors: `invalid_shape`, `not_finite`.
    fn search(&self, query: &[f32], k: usize, ef: usize, admit: Option<&RowSet>) -> Result<Vec<Neighbor>>;

    /// Writes a snapshot, checksummed and stamped, replacing the file atomically. Errors: `io`, `unsupported`.
    fn save(&self, path: &Path, stamp: u64) -> Result<()>;
}
