//! Which pieces of at most `limit` tokens is a text made of?

use std::ops::Range;

use quorate_core::{Code, Error, Result};
use text_splitter::{ChunkConfig, MarkdownSplitter, TextSplitter};
use unicode_segmentation::UnicodeSegmentation;

use super::tokens::Tokens;
use super::trim;

/// Every `limit` tokens; each piece begins `overlap` tokens before the end of the last.
pub(super) fn fixed(text: &str, tokens: &Tokens<'_>, limit: usize, overlap: usize) -> Vec<Range<usize>> {
    let starts = tokens.starts();
    let step = limit - overlap;
    let mut ranges = Vec::new();
    for first in (0..starts.len()).step_by(step) {
        let begin = if first == 0 { 0 } else { starts[first] };
        let end = starts.get(first + limit).copied().unwrap_or(text.len());
        ranges.push(trim(text, begin..end));
        if end == text.len() {
            break;
        }
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// As many whole sentences as fit; a sentence that is too long alone is cut by tokens.
pub(super) fn sentences(text: &str, tokens: &Tokens<'_>, limit: usize, overlap: usize) -> Vec<Range<usize>> {
    pack(text, &sentence_ranges(text), tokens, limit, overlap)
}

/// Sentences after Unicode Standard Annex 29, as ranges that join without gaps.
pub(super) fn sentence_ranges(text: &str) -> Vec<Range<usize>> {
    text.split_sentence_bound_indices().map(|(at, sentence)| at..at + sentence.len()).collect()
}

/// Joins neighbouring units to pieces of at most `limit` tokens. A piece repeats the last units of the one before it
/// as far as they fit `overlap`.
pub(super) fn pack(
    text: &str,
    units: &[Range<usize>],
    tokens: &Tokens<'_>,
    limit: usize,
    overlap: usize,
) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut first = 0;
    while first < units.len() {
        let start = units[first].start;
        let mut next = first + 1;
        while next < units.len() && tokens.count(&(start..units[next].end)) <= limit {
            next += 1;
        }
        let end = units[next - 1].end;
        if tokens.count(&(start..end)) > limit {
            // One unit too long for a piece.
            let mut at = start;
            while at < end {
                let cut = tokens.end_after(at, limit).clamp(at + 1, end);
                let cut = text.ceil_char_boundary(cut);
                ranges.push(trim(text, at..cut));
                at = cut;
            }
            first = next;
            continue;
        }
        ranges.push(trim(text, start..end));
        // The next piece starts at a later unit than this one, and adds at least one unit.
        let mut repeat = next;
        while next < units.len()
            && repeat > first + 1
            && tokens.count(&(units[repeat - 1].start..end)) <= overlap
            && tokens.count(&(units[repeat - 1].start..units[next].end)) <= limit
        {
            repeat -= 1;
        }
        first = repeat;
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// At the strongest break that fits: paragraph, line, sentence, word, character.
pub(super) fn recursive(
    text: &str,
    tokens: &Tokens<'_>,
    limit: usize,
    overlap: usize,
) -> Result<Vec<Range<usize>>> {
    let config = ChunkConfig::new(limit).with_sizer(tokens).with_overlap(overlap).map_err(unexpected)?;
    let splitter = TextSplitter::new(config);
    Ok(splitter.chunk_indices(text).map(|(at, piece)| trim(text, at..at + piece.len())).collect())
}

/// The same with Markdown's structure as the strongest breaks.
pub(super) fn markdown(text: &str, tokens: &Tokens<'_>, limit: usize) -> Result<Vec<Range<usize>>> {
    let splitter = MarkdownSplitter::new(ChunkConfig::new(limit).with_sizer(tokens));
    Ok(splitter.chunk_indices(text).map(|(at, piece)| trim(text, at..at + piece.len())).collect())
}

fn unexpected(error: text_splitter::ChunkConfigError) -> Error {
    Error::with_source(Code::Internal, format!("chunking: {error}"), error)
}
