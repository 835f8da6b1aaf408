//! How near is each row's vector to a query, exactly?

use quorate_core::vector::{dot, dot_rows};
use quorate_core::{Code, Error, Result};

use super::TopRows;
use super::bytes::Bytes;
use crate::RowSet;

/// Rows scored at a time.
const BLOCK: usize = 256;

/// The unit vectors of a segment, one per row, in memory or in a mapped file.
pub(crate) struct Vectors {
    data: Data,
    dim: usize,
    rows: usize,
}

enum Data {
    Owned(Vec<f32>),
    Mapped(Bytes),
}

impl Vectors {
    pub(crate) fn new(data: Vec<f32>, dim: usize) -> Self {
        let rows = if dim == 0 { 0 } else { data.len() / dim };
        Vectors { data: Data::Owned(data), dim, rows }
    }

    /// Vectors from a file of `rows * dim` floats in the machine's order. Errors: `corrupt`.
    pub(crate) fn open(bytes: Bytes, dim: usize, rows: usize) -> Result<Self> {
        let whole = rows.checked_mul(dim).and_then(|n| n.checked_mul(4)) == Some(bytes.len());
        if !whole || bytemuck::try_cast_slice::<u8, f32>(&bytes).is_err() {
            return Err(Error::new(
                Code::Corrupt,
                format!("{} bytes are not {rows} vectors of {dim} components", bytes.len()),
            ));
        }
        Ok(Vectors { data: Data::Mapped(bytes), dim, rows })
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        match &self.data {
            Data::Owned(floats) => floats,
            Data::Mapped(bytes) => bytemuck::try_cast_slice(bytes).unwrap_or_default(),
        }
    }

    /// The vector of a row.
    pub(crate) fn row(&self, row: u32) -> &[f32] {
        let at = row as usize * self.dim;
        self.as_slice().get(at..at + self.dim).unwrap_or_default()
    }

    /// Offers every admitted row of segment `at` to `top`, with its inner product with the query.
    pub(crate) fn scan(&self, query: &[f32], at: u32, admit: Option<&RowSet>, top: &mut TopRows) {
        match admit {
            None => {
                let mut scores = [0f32; BLOCK];
                for (block, rows) in self.as_slice().chunks(BLOCK * self.dim.max(1)).enumerate() {
                    let scores = &mut scores[..rows.len() / self.dim.max(1)];
                    dot_rows(query, rows, scores);
                    for (i, &similarity) in scores.iter().enumerate() {
                        if similarity > top.threshold() {
                            top.offer(at, (block * BLOCK + i) as u32, similarity);
                        }
                    }
                }
            }
            Some(set) => {
                for row in set.iter().take_while(|&row| (row as usize) < self.rows) {
                    top.offer(at, row, dot(query, self.row(row)));
                }
            }
        }
    }
}
