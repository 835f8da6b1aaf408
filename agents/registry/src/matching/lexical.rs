//! Which agents use the question's words?

/// Saturation of term frequency in BM25 (Robertson & Zaragoza 2009).
pub(crate) const K1: f32 = 1.2;

/// Length normalisation of BM25.
pub(crate) const B: f32 = 0.75;

/// Longest text that is looked at, in words; what lies beyond is ignored.
const MAX_WORDS: usize = 50_000;

/// Words that say nothing about a subject.
const STOP_WORDS: &[&str] = &[
    "a", "about", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "being",
    "but", "by", "can", "cannot", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he",
    "her", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "may", "me", "might",
    "must", "my", "no", "not", "of", "on", "or", "our", "ours", "shall", "she", "should", "since", "so",
    "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
    "too", "upon", "us", "very", "was", "we", "were", "what", "when", "where", "whether", "which", "while",
    "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// A word reduced to a number: the FNV-1a hash (Fowler, Noll & Vo) of its stem.
pub(crate) type Term = u64;

/// The terms of a text in order, stop words left out.
pub(crate) fn terms(text: &str) -> Vec<Term> {
    let mut out = Vec::new();
    each_term(text, |term, _| out.push(term));
    out
}

/// Calls `emit` with each term of a text in order and the words that it stands for.
///
/// Stop words, single letters and bare numbers are no terms: that two texts share them says nothing. But `510(k)` and
/// `505(b)(2)` are one word each, and a number counts together with the word before it: `ISO 13485`, `phase 2`.
pub(crate) fn each_term<'t>(text: &'t str, mut emit: impl FnMut(Term, &'t str)) {
    let mut lower = String::with_capacity(32);
    // Where the word before stood, for a number that follows it.
    let mut before: Option<(usize, usize)> = None;
    for (start, end) in words(text).take(MAX_WORDS) {
        let word = &text[start..end];
        fold(word, &mut lower);
        if lower.bytes().all(|b| b.is_ascii_digit()) {
            if let Some((first, last)) = before.take()
                && is_near(&text[last..start])
            {
                let number = lower.clone();
                fold(&text[first..last], &mut lower);
                lower.push_str(&number);
                emit(hash(&lower), &text[first..end]);
            }
            continue;
        }
        before = None;
        if STOP_WORDS.binary_search(&lower.as_str()).is_ok() {
            continue;
        }
        before = Some((start, end));
        // A letter alone: of ASCII, since in other scripts one character may be a word.
        if !(lower.len() == 1 && lower.is_ascii()) {
            emit(hash(stem(&lower)), word);
        }
    }
}

/// The letters and digits of a word in lower case.
fn fold(word: &str, into: &mut String) {
    into.clear();
    into.extend(word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
}

/// Whether what stands between a word and a number lets them belong together.
fn is_near(between: &str) -> bool {
    between.len() <= 2 && between.chars().all(|c| matches!(c, ' ' | '-' | '.' | '\u{a0}'))
}

/// Start and end of each word: a run of letters and digits. A number goes on over what stands in brackets behind it,
/// as in `510(k)`.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        let mut end = run(text, start);
        let section = text[start..end].bytes().all(|b| b.is_ascii_digit());
        while section && let Some(next) = bracketed(text, end) {
            end = next;
        }
        at = end;
        Some((start, end))
    })
}

/// The end of the run of letters and digits that starts at `start`.
fn run(text: &str, start: usize) -> usize {
    text[start..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |n| start + n)
}

/// The end of one or two letters or digits in brackets that start at `start`.
fn bracketed(text: &str, start: usize) -> Option<usize> {
    let inside = text[start..].strip_prefix('(')?;
    let length = inside.find(')')?;
    let short = (1..=2).contains(&length) && inside[..length].bytes().all(|b| b.is_ascii_alphanumeric());
    short.then_some(start + length + 2)
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
        assert_eq!(terms("510(k)"), [hash("510k")]);
        assert_eq!(terms("élèves"), [hash("élève")]);
        assert!(terms("what is it?").is_empty());
        assert_eq!(summed(vec![(3, 1.0), (1, 0.5), (3, 0.25)]), [(1, 0.5), (3, 1.25)]);
    }

    #[test]
    fn letters_and_numbers_alone_are_no_evidence() {
        assert_eq!(terms("510(k), 510k, 510 (k)"), [hash("510k"), hash("510k")]);
        assert_eq!(terms("351(k) and vitamin K"), [hash("351k"), hash("vitamin")]);
        assert_eq!(terms("505(b)(2) (c)"), [hash("505b2")]);
        assert_eq!(terms("ISO 13485:2016"), [hash("iso"), hash("iso13485")]);
        assert_eq!(terms("ISO13485"), [hash("iso13485")]);
        assert_eq!(
            terms("12 months, 80 percent; phase 2"),
            ["month", "percent", "phase", "phase2"].map(hash)
        );
        assert_eq!(terms("class C, 4"), [hash("class")]);
        assert!(terms("the 3 of 5").is_empty());
        assert_eq!(terms("肾 (x"), [hash("肾")]);
        let mut seen = Vec::new();
        each_term("Is a 510(k) due in Phase 2?", |_, word| seen.push(word));
        assert_eq!(seen, ["510(k)", "due", "Phase", "Phase 2"]);
    }

    #[test]
    fn rare_terms_weigh_more_and_frequency_saturates() {
        assert!(idf(100, 1) > idf(100, 50) && idf(100, 100) > 0.0);
        let share = |tf| saturation(tf, 10.0, 10.0);
        assert!(share(1.0) < share(2.0) && share(1e6) < 1.0);
        assert!((share(1.0) - 1.0 / 2.2).abs() < 1e-6);
    }
}
