//! Do two passages say nearly the same words?

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_segmentation::UnicodeSegmentation;

/// Words to a shingle.
const WORDS: usize = 3;

/// The overlapping word triples of a text, without case and punctuation (Broder 1997, On the resemblance and
/// containment of documents).
pub(super) struct Shingles(HashSet<u64>);

impl Shingles {
    pub(super) fn new(text: &str) -> Self {
        let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
        let hash = |words: &[String]| {
            let mut hasher = DefaultHasher::new();
            words.hash(&mut hasher);
            hasher.finish()
        };
        // A text of fewer words is one shingle.
        Shingles(words.windows(WORDS.min(words.len().max(1))).map(hash).collect())
    }

    /// Jaccard similarity: shared triples among all; 0 where either text has no word.
    pub(super) fn similarity(&self, other: &Shingles) -> f32 {
        let shared = self.0.intersection(&other.0).count();
        let all = self.0.len() + other.0.len() - shared;
        if all == 0 { 0.0 } else { shared as f32 / all as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        Shingles::new(a).similarity(&Shingles::new(b))
    }

    #[test]
    fn the_same_words_are_alike_and_another_number_is_not() {
        assert_eq!(similarity("Take it with food!", "take it - WITH food"), 1.0);
        assert_eq!(similarity("a b c d e", "a b c x y"), 1.0 / 5.0);
        assert_eq!(similarity("yes", "Yes."), 1.0);
        assert_eq!(similarity("yes", "no"), 0.0);
        assert_eq!(similarity("", "..."), 0.0);
        let dose = |n: &str| {
            format!("Metformin is contraindicated in patients with an eGFR below {n} ml per minute")
        };
        assert!(similarity(&dose("30"), &dose("45")) < 0.85);
    }
}
