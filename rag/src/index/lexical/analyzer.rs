//! Which terms does a text consist of?
//!
//! Runs of letters and digits are words, without possessive endings; Chinese, Japanese, Korean and Thai runs become
//! overlapping pairs of characters, in every language setting. Words are lower-cased, stop words are dropped, and
//! the rest is stemmed by the Snowball stemmer of the language (Porter 2001).

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language as Snowball, LowerCaser, Stemmer, StopWordFilter, TextAnalyzer, Token,
    TokenStream, Tokenizer,
};

/// The language whose stemmer and stop words are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Language {
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    /// Neither stemming nor stop words.
    None,
}

impl Language {
    /// Every language.
    pub const ALL: &'static [Language] = &[
        Language::Arabic,
        Language::Danish,
        Language::Dutch,
        Language::English,
        Language::Finnish,
        Language::French,
        Language::German,
        Language::Greek,
        Language::Hungarian,
        Language::Italian,
        Language::Norwegian,
        Language::Portuguese,
        Language::Romanian,
        Language::Russian,
        Language::Spanish,
        Language::Swedish,
        Language::Tamil,
        Language::Turkish,
        Language::None,
    ];

    /// The name in lower case, as in settings.
    pub fn name(self) -> &'static str {
        match self {
            Language::Arabic => "arabic",
            Language::Danish => "danish",
            Language::Dutch => "dutch",
            Language::English => "english",
            Language::Finnish => "finnish",
            Language::French => "french",
            Language::German => "german",
            Language::Greek => "greek",
            Language::Hungarian => "hungarian",
            Language::Italian => "italian",
            Language::Norwegian => "norwegian",
            Language::Portuguese => "portuguese",
            Language::Romanian => "romanian",
            Language::Russian => "russian",
            Language::Spanish => "spanish",
            Language::Swedish => "swedish",
            Language::Tamil => "tamil",
            Language::Turkish => "turkish",
            Language::None => "none",
        }
    }

    /// Its ISO 639-1 code; none for none.
    pub fn code(self) -> Option<&'static str> {
        Some(match self {
            Language::Arabic => "ar",
            Language::Danish => "da",
            Language::Dutch => "nl",
            Language::English => "en",
            Language::Finnish => "fi",
            Language::French => "fr",
            Language::German => "de",
            Language::Greek => "el",
            Language::Hungarian => "hu",
            Language::Italian => "it",
            Language::Norwegian => "no",
            Language::Portuguese => "pt",
            Language::Romanian => "ro",
            Language::Russian => "ru",
            Language::Spanish => "es",
            Language::Swedish => "sv",
            Language::Tamil => "ta",
            Language::Turkish => "tr",
            Language::None => return None,
        })
    }

    /// The language of a name or an ISO 639-1 code. Errors: `invalid_argument`, listing the names.
    pub fn from_name(name: &str) -> Result<Self> {
        let wanted = name.to_ascii_lowercase();
        Language::ALL.iter().copied().find(|l| l.name() == wanted || l.code() == Some(&wanted)).ok_or_else(|| {
            let names: Vec<&str> = Language::ALL.iter().map(|l| l.name()).collect();
            Error::invalid(format!(
                "language '{name}' is not known; use one of {}. Chinese, Japanese and Korean are found by pairs of characters \
                 whichever is chosen",
                names.join(", ")
            ))
        })
    }

    fn snowball(self) -> Option<Snowball> {
        Some(match self {
            Language::Arabic => Snowball::Arabic,
            Language::Danish => Snowball::Danish,
            Language::Dutch => Snowball::Dutch,
            Language::English => Snowball::English,
            Language::Finnish => Snowball::Finnish,
            Language::French => Snowball::French,
            Language::German => Snowball::German,
            Language::Greek => Snowball::Greek,
            Language::Hungarian => Snowball::Hungarian,
            Language::Italian => Snowball::Italian,
            Language::Norwegian => Snowball::Norwegian,
            Language::Portuguese => Snowball::Portuguese,
            Language::Romanian => Snowball::Romanian,
            Language::Russian => Snowball::Russian,
            Language::Spanish => Snowball::Spanish,
            Language::Swedish => Snowball::Swedish,
            Language::Tamil => Snowball::Tamil,
            Language::Turkish => Snowball::Turkish,
            Language::None => return None,
        })
    }
}

/// Words longer than this, in bytes, are not indexed: they are no words.
const MAX_WORD_BYTES: usize = 128;

/// Turns texts into terms, the same way for documents and queries.
#[derive(Clone)]
pub(crate) struct Analyzer {
    inner: TextAnalyzer,
    /// Without stop words and stemming, for prefixes and fuzzy words.
    plain: TextAnalyzer,
}

impl Analyzer {
    pub(crate) fn new(language: Language) -> Self {
        let base = || TextAnalyzer::builder(Words).filter(LowerCaser);
        let plain = match language {
            Language::English => base().filter(AsciiFoldingFilter).build(),
            _ => base().build(),
        };
        let Some(snowball) = language.snowball() else { return Analyzer { inner: plain.clone(), plain } };
        let stemmer = Stemmer::new(snowball);
        let inner = match (language, StopWordFilter::new(snowball)) {
            (Language::English, Some(stop)) => {
                base().filter(AsciiFoldingFilter).filter(stop).filter(stemmer).build()
            }
            (_, Some(stop)) => base().filter(stop).filter(stemmer).build(),
            (_, None) => base().filter(stemmer).build(),
        };
        Analyzer { inner, plain }
    }

    pub(crate) fn for_index(&self) -> TextAnalyzer {
        self.inner.clone()
    }

    /// The terms of `text` with their positions among its words.
    pub(crate) fn terms(&self, text: &str) -> Vec<(usize, String)> {
        collect(self.inner.clone(), text)
    }

    /// The lower-case words of `text`, neither dropped nor stemmed.
    pub(crate) fn words(&self, text: &str) -> Vec<String> {
        collect(self.plain.clone(), text).into_iter().map(|(_, word)| word).collect()
    }
}

fn collect(mut analyzer: TextAnalyzer, text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut stream = analyzer.token_stream(text);
    while stream.advance() {
        let token = stream.token();
        out.push((token.position, token.text.clone()));
    }
    out
}

/// Words, and pairs of characters where words are not separated.
#[derive(Clone)]
struct Words;

struct WordStream<'a> {
    text: &'a str,
    at: usize,
    /// The first character of the next pair, when inside a run of such characters.
    pair: Option<char>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { text, at: 0, pair: None, token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            if let Some(first) = self.pair.take() {
                // `at` stands behind `first`. A lone last character has been part of the pair before.
                let rest = &self.text[self.at..];
                if let Some(second) = rest.chars().next().filter(|&c| unseparated(c)) {
                    self.emit(self.at - first.len_utf8(), self.at + second.len_utf8());
                    self.at += second.len_utf8();
                    self.pair = Some(second);
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
                self.at = start + first.len_utf8();
                let second = self.text[self.at..].chars().next().filter(|&c| unseparated(c));
                match second {
                    Some(second) => {
                        self.emit(start, self.at + second.len_utf8());
                        self.at += second.len_utf8();
                        self.pair = Some(second);
                    }
                    None => self.emit(start, self.at),
                }
                return true;
            }
            let end = self.word_end(start);
            self.at = end;
            let word = &self.text[start..end];
            let kept = possessive_stem(word);
            if kept.len() > MAX_WORD_BYTES {
                continue;
            }
            self.emit(start, start + kept.len());
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
    /// Where the word that starts at `start` ends: letters, digits, combining marks, and apostrophes between letters.
    fn word_end(&self, start: usize) -> usize {
        let mut chars = self.text[start..].char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let inside = match c {
                '\'' | '\u{2019}' => {
                    i > 0 && chars.peek().is_some_and(|&(_, next)| next.is_alphabetic() && !unseparated(next))
                }
                c => (c.is_alphanumeric() || combining(c)) && !unseparated(c),
            };
            if !inside {
                return start + i;
            }
        }
        self.text.len()
    }

    fn emit(&mut self, from: usize, to: usize) {
        self.token.text.clear();
        self.token.text.push_str(&self.text[from..to]);
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.position_length = 1;
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
    matches!(u32::from(c),
        0x0E01..=0x0E4E | 0x0E81..=0x0EDF | 0x1000..=0x109F | 0x1780..=0x17FF | // Thai, Lao, Burmese, Khmer
        0x3005..=0x3007 | 0x3040..=0x30FF | 0x31F0..=0x31FF | // Japanese
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF | // Han
        0xAC00..=0xD7AF | 0x1100..=0x11FF // Korean
    )
}

fn combining(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x0483..=0x0487 | 0x0591..=0x05C7 | 0x0610..=0x061A
        | 0x064B..=0x065F | 0x0670 | 0x0900..=0x0903 | 0x093A..=0x094F | 0x0B82 | 0x0BBE..=0x0BCD | 0x200D)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        Analyzer::new(language).terms(text).into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn english_is_stemmed_without_stop_words_and_possessives() {
        assert_eq!(
            terms(Language::English, "The patient's kidneys were failing, O'Brien"),
            ["patient", "kidney", "were", "fail", "o'brien"]
        );
        assert_eq!(terms(Language::None, "The patients"), ["the", "patients"]);
        assert_eq!(terms(Language::German, "die Untersuchungen"), ["untersuch"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(terms(Language::English, "肝臓病 test 肝"), ["肝臓", "臓病", "test", "肝"]);
        assert_eq!(
            Analyzer::new(Language::English).terms("ab 肝臓"),
            [(0, "ab".to_owned()), (1, "肝臓".to_owned())]
        );
    }

    #[test]
    fn every_language_has_a_name() {
        for &language in Language::ALL {
            assert_eq!(Language::from_name(language.name()).unwrap(), language);
            assert!(language.code().is_none_or(|code| Language::from_name(code).unwrap() == language));
            let _ = terms(language, "one Two drei; ''' é 1.5");
        }
        assert!(Language::from_name("klingon").is_err());
    }
}
