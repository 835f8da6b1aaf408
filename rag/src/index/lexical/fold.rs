//! Which letters are one letter to who searches in a language?
//!
//! In every language but `none` accents do not count: `résumé` and `resume`, `canción` and `cancion`, `Ελλάδα` and
//! `ελλαδα`, `ё` and `е`, Arabic and Hebrew with and without vowel signs find each other. What is a letter of its own
//! stays one:
//!
//! * Swedish and Finnish: å, ä and ö (æ counts as ä, ø as ö); Danish and Norwegian: å, æ and ø (ä counts as æ, ö as ø);
//! * Cyrillic й and others that Unicode takes apart, except ё;
//! * letters of scripts other than Latin, Greek, Cyrillic, Hebrew and Arabic.
//!
//! German ß is ss, and ä, ö, ü are found as ae, oe, ue and as a, o, u. Spanish ñ is found as n, Turkish ı as i.

use std::borrow::Cow;

use unicode_normalization::char::decompose_canonical;

use super::Language;

/// A word in lower case without what does not count in the language.
pub(super) fn fold(language: Language, word: &str) -> Cow<'_, str> {
    if word.is_ascii() || language == Language::None {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        fold_char(language, c, &mut out);
    }
    if out == word { Cow::Borrowed(word) } else { Cow::Owned(out) }
}

/// The same, with German digraphs as the letters that they stand for: what a prefix or a misspelling is compared with.
/// Terms of the index are stems, and the German stemmer does this itself.
pub(super) fn fold_plain(language: Language, word: &str) -> String {
    let folded = fold(language, word);
    if language != Language::German {
        return folded.into_owned();
    }
    let mut out = String::with_capacity(folded.len());
    for c in folded.chars() {
        let before = out.chars().nth_back(1);
        let digraph = c == 'e'
            && match out.chars().next_back() {
                Some('a' | 'o') => true,
                Some('u') => !before.is_some_and(|b| matches!(b, 'a' | 'e' | 'i' | 'o' | 'u' | 'q')),
                _ => false,
            };
        if !digraph {
            out.push(c);
        }
    }
    out
}

fn fold_char(language: Language, c: char, out: &mut String) {
    if c.is_ascii() {
        return out.push(c);
    }
    let own = match language {
        Language::Swedish | Language::Finnish => match c {
            'å' | 'ä' | 'ö' => Some(c),
            'æ' => Some('ä'),
            'ø' => Some('ö'),
            _ => None,
        },
        Language::Danish | Language::Norwegian => match c {
            'å' | 'æ' | 'ø' => Some(c),
            'ä' => Some('æ'),
            'ö' => Some('ø'),
            _ => None,
        },
        _ => None,
    };
    if let Some(letter) = own {
        return out.push(letter);
    }
    match c {
        'ß' => out.push_str("ss"),
        'æ' => out.push_str("ae"),
        'œ' => out.push_str("oe"),
        'þ' => out.push_str("th"),
        'ø' => out.push('o'),
        'đ' | 'ð' => out.push('d'),
        'ł' => out.push('l'),
        'ħ' => out.push('h'),
        'ı' => out.push('i'),
        'ŋ' => out.push('n'),
        'ŧ' => out.push('t'),
        'ё' => out.push('е'),
        // Alef with hamza or madda, alef maqsura, teh marbuta; Persian yeh and kaf.
        'أ' | 'إ' | 'آ' | 'ٱ' => out.push('ا'),
        'ى' | 'ی' => out.push('ي'),
        'ة' => out.push('ه'),
        'ک' => out.push('ك'),
        c if is_mark(c) => {}
        c if is_latin_or_greek(c) => decompose_canonical(c, |part| {
            if !is_mark(part) {
                out.push(part);
            }
        }),
        c => out.push(c),
    }
}

/// Accents, vowel signs of Hebrew and Arabic, and the stroke that lengthens Arabic words.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036F | 0x0591..=0x05BD | 0x05BF | 0x05C1..=0x05C2 | 0x05C4..=0x05C5 | 0x05C7
        | 0x0610..=0x061A | 0x0640 | 0x064B..=0x065F | 0x0670)
}

fn is_latin_or_greek(c: char) -> bool {
    matches!(u32::from(c), 0x00C0..=0x024F | 0x0370..=0x03FF | 0x1E00..=0x1FFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_do_not_count_and_letters_do() {
        for (language, word, want) in [
            (Language::English, "résumé", "resume"),
            (Language::English, "việt", "viet"),
            (Language::French, "œdème", "oedeme"),
            (Language::Spanish, "niño", "nino"),
            (Language::Greek, "ελληνικά", "ελληνικα"),
            (Language::Russian, "ёлкой", "елкой"),
            (Language::Russian, "за\u{301}мок", "замок"),
            (Language::Arabic, "مُحَمَّد", "محمد"),
            (Language::Swedish, "sömnapné", "sömnapne"),
            (Language::Finnish, "ærø", "ärö"),
            (Language::Danish, "blåbär", "blåbær"),
            (Language::Turkish, "ışık", "isik"),
            (Language::English, "ガイド", "ガイド"),
            (Language::None, "résumé", "résumé"),
        ] {
            assert_eq!(fold(language, word), want, "{language:?}");
        }
        assert_eq!(fold_plain(Language::German, "mueller"), "muller");
        assert_eq!(fold_plain(Language::German, "müller"), "muller");
        assert_eq!(fold_plain(Language::German, "neue quelle"), "neue quelle");
        assert_eq!(fold_plain(Language::German, "straße"), "strasse");
    }
}
