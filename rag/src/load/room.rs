//! How much may come out of a packed file?
//!
//! What is unpacked is bounded by its package (`package.rs`). What is made of it can still be more: a title that goes with
//! every slide, a list number that is written before every paragraph, an attachment that is a package itself.

use quorate_core::{Code, Error, Result};

use crate::Document;

/// What may yet come out of one file, in bytes.
pub(super) struct Room {
    limit: u64,
    left: u64,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Room { limit, left: limit }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Errors: `too_large` when there is less.
    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::new(
                Code::TooLarge,
                format!("more than {} bytes come out of the file", self.limit),
            )),
        }
    }

    /// Takes what a document holds. Errors: `too_large` when there is less.
    pub(super) fn document(&mut self, document: &Document) -> Result<()> {
        let metadata = serde_json::to_string(&document.metadata).map_or(0, |metadata| metadata.len());
        self.take(document.id.len() + document.text.len() + document.title.len() + metadata)
    }
}
