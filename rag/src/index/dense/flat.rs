//! How are few vectors searched exactly?

use std::path::Path;

use quorate_core::vector::check_query;
use quorate_core::{Code, Error, Result};

use super::arena::Arena;
use super::snapshot::{self, Snapshot};
use super::{DenseIndex, Neighbor};
use crate::RowSet;

/// An exact index: every search looks at every admitted vector.
///
/// Bytes (one a component) rule out what provably cannot be among the `k` best; the rest is compared in f32. The
/// answer is that of a full scan in f32. A clone shares the vectors and costs microseconds.
///
/// ```
/// use quorate_rag::index::dense::{DenseIndex, FlatIndex};
/// let mut index = FlatIndex::new(2)?;
/// index.insert(&[7, 9], &[1.0, 0.0, 0.6, 0.8], 1)?;
/// assert_eq!(index.search(&[0.0, 1.0], 1, 0, None)?[0].row, 9);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FlatIndex {
    arena: Arena,
}

impl FlatIndex {
    /// An empty index of vectors with `dim` components. Errors: `invalid_argument` for none or more than 65,536.
    pub fn new(dim: usize) -> Result<Self> {
        super::check_dim(dim)?;
        Ok(FlatIndex { arena: Arena::new(dim) })
    }

    /// Reads a snapshot and the stamp that it was saved with. The vectors stay in the file, which is mapped.
    /// Errors: `corrupt`, `format_version`, `not_found`, `io`.
    pub fn load(path: &Path) -> Result<(Self, u64)> {
        let Snapshot { arena, graph, stamp } = snapshot::read(path)?;
        if graph.is_some() {
            return Err(Error::new(
                Code::FormatVersion,
                format!("{}: the snapshot of a graph", path.display()),
            ));
        }
        Ok((FlatIndex { arena }, stamp))
    }
}

impl DenseIndex for FlatIndex {
    fn dim(&self) -> usize {
        self.arena.dim()
    }

    fn len(&self) -> usize {
        self.arena.live_count()
    }

    fn insert(&mut self, rows: &[u32], vectors: &[f32], _threads: usize) -> Result<()> {
        self.arena.insert(rows, vectors)?;
        self.arena.merge();
        Ok(())
    }

    fn remove(&mut self, row: u32) -> Result<bool> {
        Ok(self.arena.remove(row))
    }

    fn search(&self, query: &[f32], k: usize, _ef: usize, admit: Option<&RowSet>) -> Result<Vec<Neighbor>> {
        check_query(query, self.arena.dim())?;
        self.arena.exact(query, k, &self.arena.admitted(admit))
    }

    fn save(&self, path: &Path, stamp: u64) -> Result<()> {
        snapshot::write(path, &self.arena, None, stamp)
    }
}
