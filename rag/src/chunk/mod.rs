//! Where is a text cut, so that each piece can be embedded and cited?
//!
//! A chunk is a range of the source text, never a copy, so that a citation points back exactly. Together the chunks
//! of a text cover every character that is not white space.

mod code;
mod headings;
mod late;
mod pieces;
mod semantic;
mod tokens;

pub use late::embed_late;

use std::ops::Range;

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Error, Result};
use serde::{Deserialize, Serialize};

use crate::Chunk;

use headings::Headings;
pub(crate) use headings::{MAX_HEADING_BYTES, cut, first_title};
use tokens::Tokens;

/// Where texts are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkStrategy {
    /// `Markdown` for a text with Markdown headings, `Recursive` for any other.
    #[default]
    Auto,
    /// Every `max_tokens` tokens.
    Fixed,
    /// Between sentences (Unicode Standard Annex 29), as many to a chunk as fit.
    Sentence,
    /// At the strongest break that fits: paragraph, line, sentence, word.
    Recursive,
    /// At Markdown's own structure: heading, block, item, then as `Recursive`. HTML is read as Markdown.
    Markdown,
    /// Where the meaning moves: between the sentences whose embeddings differ most (Kamradt 2023).
    Semantic,
    /// Between definitions of program text: unindented lines after a blank one, then blank lines, then lines.
    Code,
}

/// How texts are cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkOptions {
    /// Where.
    pub strategy: ChunkStrategy,
    /// Longest chunk, in tokens of the embedder; the embedder's own limit counts when it is smaller.
    pub max_tokens: usize,
    /// Tokens that a chunk repeats of the one before it; less than half of `max_tokens`. `Semantic`, `Markdown` and
    /// `Code` cut at meaningful places and repeat nothing.
    pub overlap: usize,
    /// `Semantic` cuts where the distance of neighbouring sentences is above this percentile, 0 to 100.
    pub breakpoint_percentile: f64,
    /// Embed title and heading path before each chunk's text (never shown as text of the chunk). On by default: with the
    /// built-in model nDCG@10 on SciFact's test queries is .703 with them and .697 without (dense leg alone .580, .550).
    pub contextual_headers: bool,
    /// Pool the token vectors of one pass over the document instead of embedding each chunk alone
    /// (Günther et al. 2024); only for embedders with token vectors.
    pub late: bool,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        ChunkOptions {
            strategy: ChunkStrategy::Auto,
            max_tokens: 512,
            overlap: 0,
            breakpoint_percentile: 90.0,
            contextual_headers: true,
            late: false,
        }
    }
}

/// The most tokens that title and heading path may take of the embedder's limit.
pub const MAX_HEADER_TOKENS: usize = 48;

/// So many tokens have no more bytes in any text that is of use.
const MAX_HEADER_BYTES: usize = 4096;

impl ChunkOptions {
    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.max_tokens == 0 {
            return Err(Error::invalid("chunking: max_tokens is 0, expected 1 or more"));
        }
        if self.overlap * 2 >= self.max_tokens && self.overlap > 0 {
            return Err(Error::invalid(format!(
                "chunking: overlap {} is not below half of max_tokens {}",
                self.overlap, self.max_tokens
            )));
        }
        if !(0.0..=100.0).contains(&self.breakpoint_percentile) {
            return Err(Error::invalid(format!(
                "chunking: breakpoint_percentile {} is outside 0 to 100",
                self.breakpoint_percentile
            )));
        }
        Ok(())
    }

    /// The longest chunk for an embedder, in tokens without its special ones. Errors: `invalid_argument` where the
    /// embedder has no room for text at all.
    fn limit(&self, title: &str, headings: &Headings, embedder: &dyn Embed) -> Result<usize> {
        let room = embedder.max_tokens().saturating_sub(embedder.special_tokens());
        let most = MAX_HEADER_TOKENS.min(room / 4);
        let header = match self.contextual_headers && !self.late {
            true if !headings.is_empty() => most,
            true if title.trim().is_empty() => 0,
            // One for the end of its line.
            true => most.min(embedder.tokenize(cut(title.trim(), MAX_HEADER_BYTES))?.len() + 1),
            false => 0,
        };
        match self.max_tokens.min(room - header) {
            0 => {
                Err(Error::invalid(format!("embedder '{}' has no room for text in its limit", embedder.id())))
            }
            limit => Ok(limit),
        }
    }
}

/// Cuts a text into chunks without vectors; a chunk neither begins nor ends with white space. White space alone gives
/// no chunk. The title takes room where it is embedded with each chunk; it may be empty. Errors: `invalid_argument`,
/// `cancelled`, and what the embedder raises.
pub fn chunk(
    title: &str,
    text: &str,
    options: &ChunkOptions,
    embedder: &dyn Embed,
    cancel: &Cancel,
) -> Result<Vec<Chunk>> {
    options.validate()?;
    let headings = Headings::read(text);
    let limit = options.limit(title, &headings, embedder)?;
    let tokens = Tokens::new(text, embedder)?;
    let overlap = options.overlap.min((limit - 1) / 2);
    let strategy = match options.strategy {
        ChunkStrategy::Auto if headings.is_empty() => ChunkStrategy::Recursive,
        ChunkStrategy::Auto => ChunkStrategy::Markdown,
        other => other,
    };
    let whole = trim(text, 0..text.len());
    let ranges = if whole.is_empty() {
        Vec::new()
    } else if tokens.count(&whole) <= limit && strategy != ChunkStrategy::Semantic {
        vec![whole]
    } else {
        match strategy {
            ChunkStrategy::Fixed => pieces::fixed(text, &tokens, limit, overlap),
            ChunkStrategy::Sentence => pieces::sentences(text, &tokens, limit, overlap),
            ChunkStrategy::Auto | ChunkStrategy::Recursive => {
                pieces::recursive(text, &tokens, limit, overlap, cancel)?
            }
            ChunkStrategy::Markdown => pieces::markdown(text, &tokens, limit, cancel)?,
            ChunkStrategy::Code => code::definitions(text, &tokens, limit),
            ChunkStrategy::Semantic => {
                semantic::topics(text, &tokens, limit, options.breakpoint_percentile, embedder, cancel)?
            }
        }
    };
    let mut chunks = Vec::with_capacity(ranges.len());
    for range in ranges {
        cancel.check()?;
        for range in within_limit(text, range, limit, embedder)? {
            chunks.push(Chunk { headings: headings.above(range.start), range, vector: None });
        }
    }
    Ok(chunks)
}

/// The text that is embedded for a chunk: title and heading path, then the chunk itself.
pub fn with_header(title: &str, headings: &[String], text: &str, embedder: &dyn Embed) -> Result<String> {
    let path = std::iter::once(title).chain(headings.iter().map(String::as_str));
    let parts = path.map(|part| cut(part.trim(), MAX_HEADER_BYTES));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Ok(text.to_owned());
    }
    let mut header = parts.join(" > ");
    let room = MAX_HEADER_TOKENS.min(embedder.max_tokens().saturating_sub(embedder.special_tokens()) / 4);
    let tokens = embedder.tokenize(&header)?;
    if let Some(first_too_many) = tokens.get(room) {
        header.truncate(header.floor_char_boundary(first_too_many.start));
    }
    Ok(format!("{header}\n{text}"))
}

/// A chunk alone can have more tokens than within its text (a word cut in two, a tokenizer that marks the start of a
/// text); then it is halved until it fits, or is one character.
fn within_limit(
    text: &str,
    range: Range<usize>,
    limit: usize,
    embedder: &dyn Embed,
) -> Result<Vec<Range<usize>>> {
    let mut todo = vec![range];
    let mut done = Vec::new();
    while let Some(range) = todo.pop() {
        let inner = embedder.tokenize(&text[range.clone()])?;
        if inner.len() <= limit {
            done.push(range);
            continue;
        }
        let middle = range.start + inner[inner.len() / 2].start;
        let middle =
            word_start_before(text, range.start, middle).unwrap_or_else(|| text.floor_char_boundary(middle));
        let cut = middle.max(text.ceil_char_boundary(range.start + 1));
        if cut >= range.end {
            // One character that has too many tokens by itself.
            done.push(range);
            continue;
        }
        // Last in, first out: the right half waits below the left one.
        todo.extend(
            [trim(text, cut..range.end), trim(text, range.start..cut)].into_iter().filter(|r| !r.is_empty()),
        );
    }
    Ok(done)
}

/// The start of the last word before `at` that begins after `start`.
fn word_start_before(text: &str, start: usize, at: usize) -> Option<usize> {
    let head = &text[start..text.floor_char_boundary(at)];
    let space = head.rfind(char::is_whitespace)?;
    let after = space + head[space..].chars().next().map_or(0, char::len_utf8);
    (!head[..after].trim().is_empty()).then_some(start + after)
}

/// The range without white space at its ends; empty at its start where there is nothing else.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = range.start + piece.trim_end().len();
    if start >= end { range.start..range.start } else { start..end }
}

#[cfg(test)]
mod tests;
