//! Which pieces of at most `limit` tokens is a text made of?

use std::ops::Range;

use quorate_core::{Cancel, Result};
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

/// At the strongest break that fits: paragraph, line, sentence, word, character. Each piece but the first begins with the
/// last words of the one before it, as many as `overlap` tokens hold.
pub(super) fn recursive(
    text: &str,
    tokens: &Tokens<'_>,
    limit: usize,
    overlap: usize,
    cancel: &Cancel,
) -> Result<Vec<Range<usize>>> {
    let splitter = TextSplitter::new(ChunkConfig::new(limit - overlap).with_sizer(tokens));
    let mut ranges = windowed(text, tokens, limit - overlap, cancel, |window, ranges| {
        ranges.extend(splitter.chunk_indices(window).map(|(at, piece)| at..at + piece.len()));
    })?;
    if overlap > 0 {
        // The piece before has its own repetition already.
        for i in 1..ranges.len() {
            let before = ranges[i - 1].clone();
            let from = trim(text, tokens.start_before(ranges[i].start, overlap)..ranges[i].end).start;
            let start = word_start(text, from, before.end);
            // A piece that is repeated as a whole is no piece of its own.
            if start > before.start {
                ranges[i].start = start;
            } else if let Some(start) = second_word(text, &before) {
                ranges[i].start = start;
            }
        }
    }
    Ok(ranges)
}

/// The first start of a word at `from` or after it and before `to`; `from` itself where no word begins there.
fn word_start(text: &str, from: usize, to: usize) -> usize {
    if from >= to || text[..from].ends_with(char::is_whitespace) {
        return from;
    }
    let rest = &text[from..to];
    let space = rest.find(char::is_whitespace);
    let word = space.map(|at| at + (rest.len() - at - rest[at..].trim_start().len()));
    word.filter(|&at| at < rest.len()).map_or(from, |at| from + at)
}

/// Where the second word of a range begins; none where it is one word.
fn second_word(text: &str, range: &Range<usize>) -> Option<usize> {
    let piece = &text[range.clone()];
    let space = piece.find(char::is_whitespace)?;
    let word = space + (piece.len() - space - piece[space..].trim_start().len());
    (word < piece.len()).then_some(range.start + word)
}

/// The same with Markdown's structure as the strongest breaks.
pub(super) fn markdown(
    text: &str,
    tokens: &Tokens<'_>,
    limit: usize,
    cancel: &Cancel,
) -> Result<Vec<Range<usize>>> {
    let splitter = MarkdownSplitter::new(ChunkConfig::new(limit).with_sizer(tokens));
    windowed(text, tokens, limit, cancel, |window, ranges| {
        ranges.extend(splitter.chunk_indices(window).map(|(at, piece)| at..at + piece.len()));
    })
}

/// A splitter looks through all that is left of its text for each piece, so a long text is given to it in windows of this
/// many pieces.
const WINDOW_PIECES: usize = 32;

/// The pieces that `split` makes of windows of the text, which end at the strongest break of their last eighth.
fn windowed(
    text: &str,
    tokens: &Tokens<'_>,
    limit: usize,
    cancel: &Cancel,
    split: impl Fn(&str, &mut Vec<Range<usize>>),
) -> Result<Vec<Range<usize>>> {
    let size = limit.saturating_mul(WINDOW_PIECES);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    while start < text.len() {
        cancel.check()?;
        let most = tokens.end_after(start, size);
        let end = match most < text.len() {
            true => break_before(text, tokens.end_after(start, size - size / 8), most),
            false => text.len(),
        };
        // One character can have more tokens than a window holds.
        let end = end.max(text.ceil_char_boundary(start + 1));
        let mut pieces = Vec::new();
        split(&text[start..end], &mut pieces);
        ranges.extend(pieces.into_iter().map(|piece| trim(text, start + piece.start..start + piece.end)));
        start = end;
    }
    ranges.retain(|range| !range.is_empty());
    Ok(ranges)
}

/// The last strong break after `from` and not after `to`: behind a blank line, a line, a word, or `to` itself.
fn break_before(text: &str, from: usize, to: usize) -> usize {
    let tail = &text[from..to];
    let behind = |at: usize| {
        let rest = &tail[at..];
        from + at + (rest.len() - rest.trim_start().len())
    };
    let found = tail.rfind("\n\n").or_else(|| tail.rfind('\n')).or_else(|| tail.rfind(char::is_whitespace));
    found.map(behind).filter(|&at| from < at && at <= to).unwrap_or(to)
}
