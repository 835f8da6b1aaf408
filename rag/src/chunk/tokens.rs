//! How many tokens does a piece of the text hold?

use std::ops::Range;

use quorate_core::Result;
use quorate_core::embed::Embed;

/// Where the tokens of a whole text begin, so that any piece is counted without tokenizing it again.
pub(super) struct Tokens<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, embedder: &dyn Embed) -> Result<Self> {
        let mut starts: Vec<usize> =
            embedder.tokenize(text)?.iter().map(|token| text.floor_char_boundary(token.start)).collect();
        // Byte-level tokenizers cut characters; overlapping offsets must not step back.
        starts.sort_unstable();
        Ok(Tokens { text, starts })
    }

    /// Where each token begins, ascending.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Tokens that begin within the range.
    pub(super) fn count(&self, range: &Range<usize>) -> usize {
        self.before(range.end) - self.before(range.start)
    }

    /// The end of a range from `start` that holds at most `limit` tokens.
    pub(super) fn end_after(&self, start: usize, limit: usize) -> usize {
        self.starts.get(self.before(start) + limit).copied().unwrap_or(self.text.len())
    }

    /// Where the last `count` tokens before `at` begin; `at` for none.
    pub(super) fn start_before(&self, at: usize, count: usize) -> usize {
        match count {
            0 => at,
            _ => self.starts.get(self.before(at).saturating_sub(count)).copied().unwrap_or(at),
        }
    }

    fn before(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start < at)
    }
}

/// Counts pieces of the same text by their address.
impl text_splitter::ChunkSizer for &Tokens<'_> {
    fn size(&self, chunk: &str) -> usize {
        let start = (chunk.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.count(&(start..start + chunk.len()))
    }
}
