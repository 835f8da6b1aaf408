//! Where does the meaning of a text move?

use std::ops::Range;

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};

use super::pieces::{pack, sentence_ranges};
use super::tokens::Tokens;

/// Sentences on each side that lend context to a sentence's embedding.
const CONTEXT: usize = 1;

/// Cuts between the neighbouring sentences whose embeddings (each with its neighbours) are farther apart than the
/// given percentile of all neighbouring distances, then packs each topic into pieces (Kamradt 2023).
pub(super) fn topics(
    text: &str,
    tokens: &Tokens<'_>,
    limit: usize,
    percentile: f64,
    embedder: &dyn Embed,
    cancel: &Cancel,
) -> Result<Vec<Range<usize>>> {
    let sentences: Vec<Range<usize>> =
        sentence_ranges(text).into_iter().filter(|range| !text[range.clone()].trim().is_empty()).collect();
    if sentences.len() < 2 {
        return Ok(pack(text, &sentence_ranges(text), tokens, limit, 0));
    }
    let windows: Vec<&str> = (0..sentences.len())
        .map(|i| {
            let last = (i + CONTEXT).min(sentences.len() - 1);
            &text[sentences[i.saturating_sub(CONTEXT)].start..sentences[last].end]
        })
        .collect();
    let vectors = embedder.embed(&windows, cancel)?;
    let distances: Vec<f32> = (1..vectors.rows())
        .map(|i| 1.0 - vectors.row(i - 1).iter().zip(vectors.row(i)).map(|(a, b)| a * b).sum::<f32>())
        .collect();
    let mut sorted = distances.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let bound = sorted[((sorted.len() - 1) as f64 * percentile / 100.0).round() as usize];
    let mut ranges = Vec::new();
    let mut first = 0;
    for next in 1..=sentences.len() {
        if next < sentences.len() && distances[next - 1] <= bound {
            continue;
        }
        ranges.extend(pack(text, &sentences[first..next], tokens, limit, 0));
        first = next;
    }
    Ok(ranges)
}
