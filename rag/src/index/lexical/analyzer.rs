//! Which terms does a text consist of?
//!
//! Texts are brought to Unicode's normal form NFKC first (Standard Annex 15), without characters that are not to be
//! seen, such as soft hyphens and joiners (Annex 29 has them break no word). Runs of letters and digits are words, without
//! possessive endings, in lower case; Chinese, Japanese, Korean and Thai runs become overlapping pairs of characters, in
//! every language setting, and in documents each Chinese, Japanese or Korean character is a term too, so that a word of one
//! character is found. Stop words are dropped, and the rest is stemmed by the Snowball stemmer of the language (Porter
//! 2001) and folded (see `fold`).
//!
//! Stemmers read accents. A word with one is stemmed as it is and without it, and both stems are terms at its place where
//! they differ: `información` finds `informaciones` by the first and `informacion` by the second.

use std::borrow::Cow;
use std::sync::Arc;

use frostem::{Algorithm, Stemmer};
use tantivy::tokenizer::{StopWordFilter, TextAnalyzer, Token, TokenFilter, TokenStream, Tokenizer};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::Language;
use super::fold::{fold, fold_plain};
use super::small::is_small;

/// Words longer than this, in bytes, are not indexed: they are no words.
const MAX_WORD_BYTES: usize = 128;

/// Turns texts into terms, for documents and for queries. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Analyzer {
    inner: Arc<Inner>,
}

struct Inner {
    language: Language,
    document: TextAnalyzer,
    query: TextAnalyzer,
    /// Without stop words and stemming, for prefixes and fuzzy words.
    plain: TextAnalyzer,
}

impl Analyzer {
    pub(crate) fn new(language: Language) -> Self {
        let analyzer = |of| {
            let words = TextAnalyzer::builder(Words { language, of });
            let Some((stop, algorithm)) = language.snowball() else { return words.build() };
            let stems = Stems { language, algorithm };
            match StopWordFilter::new(stop) {
                Some(stop) => words.filter(stop).filter(stems).build(),
                None => words.filter(stems).build(),
            }
        };
        let inner = Inner {
            language,
            document: analyzer(Of::Document),
            query: analyzer(Of::Query),
            plain: TextAnalyzer::builder(Words { language, of: Of::Query }).build(),
        };
        Analyzer { inner: Arc::new(inner) }
    }

    pub(crate) fn for_index(&self) -> TextAnalyzer {
        self.inner.document.clone()
    }

    /// The terms of a document's text with their positions among its words.
    pub(crate) fn terms(&self, text: &str) -> Vec<(usize, String)> {
        collect(&self.inner.document, text)
    }

    /// The words of a query with their positions; of each the terms that it is found by.
    pub(crate) fn query_terms(&self, text: &str) -> Vec<(usize, Vec<String>)> {
        let mut out: Vec<(usize, Vec<String>)> = Vec::new();
        for (at, term) in collect(&self.inner.query, text) {
            match out.last_mut() {
                Some((last, terms)) if *last == at => terms.push(term),
                _ => out.push((at, vec![term])),
            }
        }
        out
    }

    /// The same for a question: without its words that say nothing about its matter, where there are others.
    pub(crate) fn asked_terms(&self, text: &str) -> Vec<(usize, Vec<String>)> {
        let all = self.query_terms(text);
        let text = normalized(text);
        let mut words = self.inner.plain.clone();
        let mut stream = words.token_stream(&text);
        let mut small = Vec::new();
        while stream.advance() {
            let token = stream.token();
            if is_small(self.inner.language, &text[token.offset_from..token.offset_to]) {
                small.push(token.position);
            }
        }
        match all.iter().all(|(at, _)| small.contains(at)) {
            true => all,
            false => all.into_iter().filter(|(at, _)| !small.contains(at)).collect(),
        }
    }

    /// The lower-case words of `text`, neither dropped nor stemmed, but folded.
    pub(crate) fn words(&self, text: &str) -> Vec<String> {
        let words = collect(&self.inner.plain, text);
        words.into_iter().map(|(_, word)| fold_plain(self.inner.language, &word)).collect()
    }
}

fn collect(analyzer: &TextAnalyzer, text: &str) -> Vec<(usize, String)> {
    let mut analyzer = analyzer.clone();
    let mut out = Vec::new();
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        let token = stream.token();
        out.push((token.position, token.text.clone()));
    }
    out
}

/// The text in normal form NFKC, without what is not to be seen.
fn normalized(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    if is_nfkc_quick(text.chars()) == IsNormalized::Yes && !text.chars().any(is_ignorable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|&c| !is_ignorable(c)).nfkc().collect())
}

/// The characters that Unicode calls default ignorable: soft hyphens, joiners, marks of direction, variation selectors.
/// A space without width is none of them; it parts words.
fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0x00AD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200C..=0x200F
        | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// What a text is: in documents single characters of unseparated scripts are terms too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Document,
    Query,
}

/// Words in lower case, and pairs of characters where words are not separated.
#[derive(Clone)]
struct Words {
    language: Language,
    of: Of,
}

struct WordStream<'a> {
    text: Cow<'a, str>,
    at: usize,
    language: Language,
    of: Of,
    /// Whether `at` stands within a run of unseparated characters, of which one has been taken.
    inside: bool,
    /// A pair that stands at the place of the character that was given last.
    pair: Option<(usize, usize)>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream {
            text: normalized(text),
            at: 0,
            language: self.language,
            of: self.of,
            inside: false,
            pair: None,
            token: Token::default(),
        }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            if let Some((from, to)) = self.pair.take() {
                self.emit(from, to);
                return true;
            }
            if self.inside
                && let Some(next) = self.text[self.at..].chars().next()
            {
                if self.take_unseparated(self.at, next, true) {
                    return true;
                }
                continue;
            }
            let rest = &self.text[self.at..];
            let Some((skip, first)) = rest.char_indices().find(|&(_, c)| c.is_alphanumeric()) else {
                return false;
            };
            let start = self.at + skip;
            if unseparated(first) {
                if self.take_unseparated(start, first, false) {
                    return true;
                }
                continue;
            }
            let end = self.word_end(start);
            self.at = end;
            let kept = start + possessive_stem(&self.text[start..end]).len();
            if kept - start > MAX_WORD_BYTES {
                continue;
            }
            self.step();
            self.emit(start, kept);
            return true;
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

impl WordStream<'_> {
    /// Takes one character of a run, each of which has a position of its own. Whether there is a term.
    fn take_unseparated(&mut self, start: usize, first: char, follows: bool) -> bool {
        let end = start + first.len_utf8();
        let second = self.text[end..].chars().next().filter(|&c| unseparated(c));
        self.at = end;
        self.inside = second.is_some();
        self.step();
        let alone = !follows && second.is_none();
        let single = alone || (self.of == Of::Document && has_words_of_one(first));
        match (single, second.map(|second| end + second.len_utf8())) {
            (true, pair) => {
                self.pair = pair.map(|to| (start, to));
                self.emit(start, end);
                true
            }
            (false, Some(to)) => {
                self.emit(start, to);
                true
            }
            (false, None) => false,
        }
    }

    /// Where the word that starts at `start` ends: letters, digits, combining marks, and apostrophes between letters.
    fn word_end(&self, start: usize) -> usize {
        let mut chars = self.text[start..].char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let inside = match c {
                '\'' | '\u{2019}' => {
                    i > 0 && chars.peek().is_some_and(|&(_, next)| next.is_alphabetic() && !unseparated(next))
                }
                c => (c.is_alphanumeric() || is_combining_mark(c)) && !unseparated(c),
            };
            if !inside {
                return start + i;
            }
        }
        self.text.len()
    }

    fn step(&mut self) {
        self.token.position = self.token.position.wrapping_add(1);
    }

    fn emit(&mut self, from: usize, to: usize) {
        let word = &self.text[from..to];
        let out = &mut self.token.text;
        out.clear();
        if word.is_ascii() && self.language != Language::Turkish {
            out.push_str(word);
            out.make_ascii_lowercase();
        } else {
            lower(self.language, word, out);
        }
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.position_length = 1;
    }
}

/// Appends a word in lower case, for English without accents: its stop words and stemmer know none.
fn lower(language: Language, word: &str, out: &mut String) {
    for c in word.chars() {
        match (c, language) {
            ('I', Language::Turkish) => out.push('ı'),
            ('İ', Language::Turkish) => out.push('i'),
            _ => out.extend(c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })),
        }
    }
    if language == Language::English
        && let Cow::Owned(folded) = fold(language, out)
    {
        *out = folded;
    }
}

/// Stems, of a word with accents both with and without them where they differ.
#[derive(Clone)]
struct Stems {
    language: Language,
    algorithm: Algorithm,
}

#[derive(Clone)]
struct Stemming<T> {
    of: Stems,
    inner: T,
}

struct StemStream<T> {
    language: Language,
    stemmer: Stemmer,
    tail: T,
    second: Option<String>,
    buffer: String,
}

impl TokenFilter for Stems {
    type Tokenizer<T: Tokenizer> = Stemming<T>;

    fn transform<T: Tokenizer>(self, inner: T) -> Stemming<T> {
        Stemming { of: self, inner }
    }
}

impl<T: Tokenizer> Tokenizer for Stemming<T> {
    type TokenStream<'a> = StemStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        StemStream {
            language: self.of.language,
            stemmer: Stemmer::new(self.of.algorithm),
            tail: self.inner.token_stream(text),
            second: None,
            buffer: String::new(),
        }
    }
}

impl<T: TokenStream> TokenStream for StemStream<T> {
    fn advance(&mut self) -> bool {
        if let Some(second) = self.second.take() {
            self.tail.token_mut().text = second;
            return true;
        }
        if !self.tail.advance() {
            return false;
        }
        let token = self.tail.token_mut();
        let stem = self.stemmer.stem(&token.text);
        if token.text.is_ascii() {
            self.buffer.clear();
            self.buffer.push_str(&stem);
            std::mem::swap(&mut token.text, &mut self.buffer);
            return true;
        }
        let stem = fold(self.language, &stem).into_owned();
        if let Cow::Owned(plain) = fold(self.language, &token.text) {
            let other = self.stemmer.stem(&plain);
            let other = fold(self.language, &other);
            self.second = (other != stem).then(|| other.into_owned());
        }
        token.text = stem;
        true
    }

    fn token(&self) -> &Token {
        self.tail.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.tail.token_mut()
    }
}

/// A word without `'s`.
fn possessive_stem(word: &str) -> &str {
    for ending in ["'s", "'S", "\u{2019}s", "\u{2019}S"] {
        if let Some(stem) = word.strip_suffix(ending) {
            return stem;
        }
    }
    word
}

/// Scripts that put no spaces between words.
fn unseparated(c: char) -> bool {
    has_words_of_one(c)
        || matches!(u32::from(c), 0x0E01..=0x0E4E | 0x0E81..=0x0EDF | 0x1000..=0x109F | 0x1780..=0x17FF) // Thai, Lao, Burmese, Khmer
}

/// Those in which one character may be a word.
fn has_words_of_one(c: char) -> bool {
    matches!(u32::from(c),
        0x3005..=0x3007 | 0x3040..=0x30FF | 0x31F0..=0x31FF | // Japanese
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF | // Han
        0xAC00..=0xD7AF | 0x1100..=0x11FF // Korean
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(language: Language, text: &str) -> Vec<String> {
        Analyzer::new(language).query_terms(text).into_iter().flat_map(|(_, terms)| terms).collect()
    }

    /// Whether a query of one word finds a document of one word.
    fn finds(language: Language, asked: &str, document: &str) -> bool {
        let analyzer = Analyzer::new(language);
        let there = analyzer.terms(document);
        let words = analyzer.query_terms(asked);
        !words.is_empty()
            && words.iter().all(|(_, terms)| terms.iter().any(|term| there.iter().any(|(_, t)| t == term)))
    }

    #[test]
    fn english_is_stemmed_without_stop_words_and_possessives() {
        assert_eq!(
            query(Language::English, "The patient's kidneys were failing, O'Brien"),
            ["patient", "kidney", "were", "fail", "o'brien"]
        );
        assert_eq!(query(Language::None, "The patients"), ["the", "patients"]);
        assert_eq!(query(Language::German, "die Untersuchungen"), ["untersuch"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(query(Language::English, "肝臓病 test 肝"), ["肝臓", "臓病", "test", "肝"]);
        let analyzer = Analyzer::new(Language::English);
        let at = |found: &[(usize, String)], term: &str| found.iter().find(|(_, t)| t == term).map(|f| f.0);
        let there = analyzer.terms("ab 肝臓病 cd");
        for (term, place) in [("ab", 0), ("肝", 1), ("肝臓", 1), ("臓", 2), ("臓病", 2), ("病", 3), ("cd", 4)]
        {
            assert_eq!(at(&there, term), Some(place), "{term}");
        }
        // Positions of a query are those of the same words in a document, so that phrases fit.
        let asked: Vec<(usize, Vec<String>)> = analyzer.query_terms("ab 肝臓病 cd");
        for (place, terms) in asked {
            assert_eq!(at(&there, &terms[0]), Some(place), "{terms:?}");
        }
        for word in ["肝", "臓", "病", "肝臓", "臓病"] {
            assert!(finds(Language::None, word, "肝臓病"), "{word}");
        }
        assert!(finds(Language::English, "간", "간경변") && finds(Language::English, "蚊", "蚊に刺された"));
    }

    #[test]
    fn canonical_and_invisible_differences_do_not_count() {
        let pairs = [
            ("résumé", "re\u{301}sume\u{301}"),
            ("Ångström", "A\u{30A}ngstro\u{308}m"),
            ("Việt", "Vie\u{323}\u{302}t"),
            ("ガイド", "カ\u{3099}イト\u{3099}"),
            ("한국어", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}\u{110B}\u{1165}"),
            ("photosynthesis", "photo\u{AD}syn\u{AD}thesis"),
            ("Auflage", "Auf\u{200C}lage"),
            ("insulin", "ins\u{2060}ulin\u{FEFF}"),
            ("efficacy", "e\u{FB03}cacy"),
            ("5μg", "5\u{B5}g"),
            ("İstanbul", "I\u{307}stanbul"),
        ];
        for &language in Language::ALL {
            for (a, b) in pairs {
                assert!(finds(language, a, b) && finds(language, b, a), "{language:?} {a}");
            }
        }
        assert_eq!(query(Language::None, "one\u{200B}two"), ["one", "two"]);
    }

    #[test]
    fn words_are_found_with_and_without_accents() {
        for (language, words) in [
            (Language::English, &["résumé", "resume"][..]),
            (Language::French, &["œdème", "oedeme", "œdèmes"]),
            (Language::French, &["opération", "operation", "opérations"]),
            (Language::Spanish, &["información", "informacion"]),
            (Language::Spanish, &["información", "informaciones"]),
            (Language::Portuguese, &["coração", "coracao"]),
            (Language::Italian, &["attività", "attivita"]),
            (Language::German, &["Müller", "Mueller", "Muller"]),
            (Language::German, &["Übergröße", "Uebergroesse", "Ubergrosse"]),
            (Language::German, &["Schädel", "Schaedel"]),
            (Language::Greek, &["ελληνικά", "ελληνικα", "ΕΛΛΗΝΙΚΆ"]),
            (Language::Russian, &["ёлка", "елка"]),
            (Language::Turkish, &["IŞIK", "ışık", "isik"]),
            (Language::Turkish, &["INSULIN", "insulin"]),
            (Language::Swedish, &["idé", "ide"]),
            (Language::Romanian, &["sănătate", "sanatate"]),
            (Language::Hungarian, &["szív", "sziv"]),
            (Language::Arabic, &["مُحَمَّد", "محمد"]),
        ] {
            for a in words {
                for b in words {
                    assert!(finds(language, a, b), "{language:?}: {a} does not find {b}");
                }
            }
        }
        assert!(!finds(Language::Swedish, "man", "män"));
        assert!(!finds(Language::None, "resume", "résumé"));
    }
}
