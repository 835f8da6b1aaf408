//! Which words of a text mean much the same as those of a question?
//!
//! Words are compared one by one with the model that is inside the library, whatever embeds the sentences: that costs
//! well below a millisecond. Numbers mean nothing but themselves.

use std::collections::HashMap;

use quorate_core::embed::{Embed, StaticModel};
use quorate_core::vector::dot;
use quorate_core::{Cancel, Result};

use super::terms::Term;

/// The cosine from which on two words are taken to be related.
const RELATED: f64 = 0.4;

/// Most distinct words that are compared.
const MAX_WORDS: usize = 4000;

/// For each stem of the texts that is related to words of the question: their places, and how much, up to 1.
pub(super) type Related = HashMap<u64, Vec<(usize, f64)>>;

/// Compares the words of a question with those of texts, which are given by stem.
pub(super) fn related(
    question: &[(Term, &str)],
    words: &HashMap<u64, &str>,
    cancel: &Cancel,
) -> Result<Related> {
    let mut out = Related::new();
    let asked: Vec<usize> = (0..question.len()).filter(|i| !question[*i].0.number).collect();
    if asked.is_empty() || words.is_empty() {
        return Ok(out);
    }
    let model = StaticModel::builtin()?;
    let mut stems: Vec<u64> = words.keys().copied().collect();
    stems.sort_unstable();
    stems.truncate(MAX_WORDS);
    let texts: Vec<&str> = stems.iter().filter_map(|s| words.get(s).copied()).collect();
    let theirs = model.embed(&texts, cancel)?;
    let mine: Vec<&str> = asked.iter().map(|i| question[*i].1).collect();
    let mine = model.embed(&mine, cancel)?;
    for (row, stem) in stems.iter().enumerate() {
        for (at, i) in asked.iter().enumerate() {
            let cosine = f64::from(dot(mine.row(at), theirs.row(row)));
            if cosine > RELATED && question[*i].0.stem != *stem {
                let much = ((cosine - RELATED) / (1.0 - RELATED)).min(1.0);
                out.entry(*stem).or_default().push((*i, much));
            }
        }
    }
    Ok(out)
}
