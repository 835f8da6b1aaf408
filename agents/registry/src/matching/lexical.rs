//! Which agents use the question's words?

/// Saturation of term frequency in BM25 (Robertson & Zaragoza 2009).
pub(crate) const K1: f32 = 1.2;

/// Length normalisation of BM25.
pub(crate) const B: f32 = 0.75;

/// Longest text that is looked at, in words; what lies beyond is ignored.
const MAX_WORDS: usize = 50_000;

/// Words that say nothing about a subject.
const STOP_WORDS: &[&str] = &[
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "being", "but", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "must", "my", "no", "not", "of", "on", "or", "our", "should", "so", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "to", "us", "was", "we", "were", "what",
    "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// A word reduced to a number: the FNV-1a hash (Fowler, Noll & Vo) of its stem.
pub(crate) type Term = u64;

/// The terms of a text in order, stop words left out.
pub(crate) fn terms(text: &str) -> Vec<Term> {
    let mut out = Vec::new();
    each_term(text, |term, _| out.push(term));
    out
}

/// Calls `emit` with each term of a text in order and the word that it stands for, stop words left out.
pub(crate) fn each_term<'t>(text: &'t str, mut emit: impl FnMut(Term, &'t str)) {
    let mut lower = String::with_capacity(32);
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    for word in words.take(MAX_WORDS) {
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        if STOP_WORDS.binary_search(&lower.as_str()).is_err() {
            emit(hash(stem(&lower)), word);
        }
    }
}

/// A hasher for terms, which are hashes already.
#[derive(Clone, Copy, Default)]
pub(crate) struct Already(u64);

impl std::hash::Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(b);
        }
    }

    fn write_u64(&mut self, term: u64) {
        // The upper bits of FNV-1a of a short word are its weakest; multiplying spreads the lower ones into them.
        self.0 = term.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// How terms are looked up.
pub(crate) type ByTerm<T> = std::collections::HashMap<Term, T, std::hash::BuildHasherDefault<Already>>;

/// Each distinct term with the sum of its weights, by term.
pub(crate) fn summed(mut terms: Vec<(Term, f32)>) -> Vec<(Term, f32)> {
    terms.sort_by_key(|(term, _)| *term);
    terms.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    terms
}

/// BM25's inverse document frequency for `df` of `n` documents.
pub(crate) fn idf(n: usize, df: usize) -> f32 {
    let (n, df) = (n as f32, df as f32);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

/// The saturated share, in [0, 1), that `tf` occurrences in a document of `length` terms earn of a term's idf.
pub(crate) fn saturation(tf: f32, length: f32, mean_length: f32) -> f32 {
    tf / (tf + K1 * (1.0 - B + B * length / mean_length.max(1.0)))
}

/// An English suffix stripper in the spirit of Harman's (1991) S stemmer, with -ing and -ed.
fn stem(word: &str) -> &str {
    let n = word.len();
    let cut = |k: usize| word.get(..n - k).unwrap_or(word);
    if n > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is")
    {
        return if n > 4 && ["ses", "xes", "zes", "ches", "shes"].iter().any(|s| word.ends_with(s)) {
            cut(2)
        } else {
            cut(1)
        };
    }
    if n > 5 && word.ends_with("ing") {
        return cut(3);
    }
    if n > 4 && word.ends_with("ed") {
        return cut(2);
    }
    word
}

/// FNV-1a with 64 bits.
pub(crate) fn hash(word: &str) -> Term {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_for_the_search() {
        assert!(STOP_WORDS.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn words_meet_their_inflections() {
        assert_eq!(terms("Recalls, recalled; RECALLING!"), vec![hash("recall"); 3]);
        assert_eq!(terms("the status of diabetes"), [hash("status"), hash("diabete")]);
        assert_eq!(terms("510(k)"), [hash("510"), hash("k")]);
        assert_eq!(terms("élèves"), [hash("élève")]);
        assert!(terms("what is it?").is_empty());
        assert_eq!(summed(vec![(3, 1.0), (1, 0.5), (3, 0.25)]), [(1, 0.5), (3, 1.25)]);
    }

    #[test]
    fn rare_terms_weigh_more_and_frequency_saturates() {
        assert!(idf(100, 1) > idf(100, 50) && idf(100, 100) > 0.0);
        let share = |tf| saturation(tf, 10.0, 10.0);
        assert!(share(1.0) < share(2.0) && share(1e6) < 1.0);
        assert!((share(1.0) - 1.0 / 2.2).abs() < 1e-6);
    }
}
