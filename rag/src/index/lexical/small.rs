//! Which words of a question say how it is asked, and nothing about its matter?
//!
//! Stop words are never looked for, since nearly every text has them. Question words, auxiliary verbs and pronouns are rarer in texts than
//! in questions, so that BM25 takes "does" or "what" for a rare and telling word. They are left out of a question's words; in texts they
//! stay indexed, so that a phrase or a condition finds them. Words in capitals (IT, HAS) are names.

use super::Language;

/// For English. Not among them are those that are also something else when people type in lower case: WHO, US, CAN, AM, the month of May,
/// a mine.
const SMALL: [&str; 74] = [
    "are",
    "be",
    "been",
    "being",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "i",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "is",
    "it",
    "its",
    "itself",
    "me",
    "might",
    "must",
    "my",
    "myself",
    "our",
    "ours",
    "ourselves",
    "shall",
    "she",
    "should",
    "that",
    "their",
    "theirs",
    "them",
    "themselves",
    "there",
    "these",
    "they",
    "this",
    "those",
    "was",
    "we",
    "were",
    "what",
    "what's",
    "whatever",
    "when",
    "where",
    "whether",
    "which",
    "who's",
    "whom",
    "whose",
    "why",
    "will",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
    "ought",
];

/// Whether a word, as it was written, is one of those.
pub(super) fn is_small(language: Language, word: &str) -> bool {
    if language != Language::English || word.len() > 10 {
        return false;
    }
    let in_capitals = word.len() > 1 && word.chars().all(|c| !c.is_lowercase());
    if in_capitals {
        return false;
    }
    let plain = word.to_lowercase().replace('\u{2019}', "'");
    SMALL.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_capitals_and_other_languages_are_words() {
        for small in ["What", "does", "I", "i\u{2019}ve", "yourselves"] {
            assert!(is_small(Language::English, small), "{small}");
        }
        for word in ["WHO", "who", "IT", "us", "may", "HAS", "cancer", "whats", ""] {
            assert!(!is_small(Language::English, word), "{word}");
        }
        assert!(!is_small(Language::German, "was"));
    }
}
