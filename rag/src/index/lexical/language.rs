//! Which languages have a stemmer and stop words?

use frostem::Algorithm;
use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tantivy::tokenizer::Language as Snowball;

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
    /// Neither stemming nor stop words nor folding.
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

    /// The list of stop words and the stemmer.
    pub(super) fn snowball(self) -> Option<(Snowball, Algorithm)> {
        macro_rules! of {
            ($($language:ident)*) => {
                match self {
                    $(Language::$language => Some((Snowball::$language, Algorithm::$language)),)*
                    Language::None => None,
                }
            };
        }
        of!(Arabic Danish Dutch English Finnish French German Greek Hungarian Italian Norwegian Portuguese
            Romanian Russian Spanish Swedish Tamil Turkish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_name() {
        for &language in Language::ALL {
            assert_eq!(Language::from_name(language.name()).unwrap(), language);
            assert!(language.code().is_none_or(|code| Language::from_name(code).unwrap() == language));
        }
        assert!(Language::from_name("klingon").is_err());
    }
}
