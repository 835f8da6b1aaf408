//! How are many vectors of one dimension held?

use super::pages::prefer_large;
use crate::{Code, Error, Result};

/// Row-major f32 vectors: `rows` of them, `cols` components each.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matrix {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Matrix {
    /// A matrix over `data`, which holds `rows * cols` components. Errors: `invalid_shape`.
    pub fn new(data: Vec<f32>, rows: usize, cols: usize) -> Result<Self> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::new(
                Code::InvalidShape,
                format!("{} components do not make a matrix of {rows} x {cols}", data.len()),
            ));
        }
        Ok(Matrix { data, rows, cols })
    }

    /// A matrix of zeros. A large one is laid on large pages where the system has them, so that it is scanned faster.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        let mut data = vec![0.0; rows * cols];
        prefer_large(&mut data);
        Matrix { data, rows, cols }
    }

    /// The number of vectors.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of components of each vector.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Vector `i`. Panics when `i` is not below [`rows`](Matrix::rows), as slices do.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Vector `i`, to be written.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The vectors one after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        (0..self.rows).map(|i| self.row(i))
    }

    /// All components, row after row.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// All components, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// All components, row after row, without a copy.
    pub fn into_vec(self) -> Vec<f32> {
        self.data
    }
}
