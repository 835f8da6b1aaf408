//! How are the bytes of a snapshot held, in memory or on disk, without the reader noticing?

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;
use quorate_core::{Code, Error, Result};

/// Immutable bytes.
pub(crate) enum Bytes {
    /// In memory.
    Owned(Vec<u8>),
    /// In a file.
    Mapped(Mmap),
    /// None at all (an empty file cannot be mapped).
    Empty,
}

impl Bytes {
    /// Maps the file at `path`. Errors: `io`, `not_found`, `permission_denied`.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        if file.metadata().map_err(|e| Error::io(path, e))?.len() == 0 {
            return Ok(Bytes::Empty);
        }
        // SAFETY: snapshot files are written once, under a name that is never used again, and are only ever
        // unlinked afterwards, so the mapped bytes do not change while they are mapped.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Bytes::Mapped(map))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
            Bytes::Empty => &[],
        }
    }
}

/// A list of little-endian u32 inside other bytes.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    at: usize,
    len: usize,
}

impl Numbers {
    /// `len` numbers at byte `at` of `bytes`; moves `at` behind them. Errors: `corrupt`.
    pub(crate) fn open(bytes: &[u8], at: &mut usize, len: usize) -> Result<Self> {
        let numbers = Numbers { at: *at, len };
        *at = len
            .checked_mul(4)
            .and_then(|n| at.checked_add(n))
            .filter(|&end| end <= bytes.len())
            .ok_or_else(|| Error::new(Code::Corrupt, "a snapshot is shorter than it says"))?;
        Ok(numbers)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Number `i`; 0 beyond the end.
    #[inline]
    pub(crate) fn get(&self, bytes: &[u8], i: usize) -> u32 {
        debug_assert!(i < self.len);
        let at = self.at + 4 * i;
        match bytes.get(at..at + 4) {
            Some(four) => u32::from_le_bytes([four[0], four[1], four[2], four[3]]),
            None => 0,
        }
    }
}
