//! Which words of two texts are the same?
//!
//! Words are reduced to the hash of a light stem (in the spirit of Harman 1991), without accents; scripts without white
//! space give pairs of characters. Long words that share their beginning are half the same: `diagnosis` and `diagnostic`.

use super::sentences::is_dense;
use super::words::{FUNCTION, has};

/// Letters of a word that must agree for it to be half the same.
const BEGINNING: usize = 5;

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// The hash of its stem.
    pub(super) stem: u64,
    /// The hash of its beginning, 0 for a short word.
    pub(super) beginning: u64,
    /// Where it starts, in UTF-8 bytes.
    pub(super) start: usize,
    /// Where it ends, in UTF-8 bytes.
    pub(super) end: usize,
    /// Whether it ties others together and names nothing.
    pub(super) function: bool,
    /// Whether it has a digit.
    pub(super) number: bool,
}

/// Calls `emit` with each word of a text, in order.
pub(super) fn each_term(text: &str, mut emit: impl FnMut(Term)) {
    let mut lower = String::with_capacity(32);
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if is_dense(first) && first.is_alphanumeric() {
            // Pairs of characters; the last one of a run stands alone only when the run is one character long.
            let mut left = first;
            let (mut at, mut alone) = (start, true);
            while let Some(&(next, c)) = chars.peek().filter(|(_, c)| is_dense(*c) && c.is_alphanumeric()) {
                chars.next();
                let pair = hash_of([left, c].into_iter());
                emit(Term {
                    stem: pair,
                    beginning: 0,
                    start: at,
                    end: next + c.len_utf8(),
                    function: false,
                    number: false,
                });
                (left, at, alone) = (c, next, false);
            }
            if alone {
                let stem = hash_of([left].into_iter());
                emit(Term {
                    stem,
                    beginning: 0,
                    start: at,
                    end: at + left.len_utf8(),
                    function: false,
                    number: false,
                });
            }
            continue;
        }
        if !first.is_alphanumeric() {
            continue;
        }
        lower.clear();
        fold(first, &mut lower);
        let mut end = start + first.len_utf8();
        let mut number = first.is_numeric();
        while let Some(&(at, c)) = chars.peek() {
            if c.is_alphanumeric() && !is_dense(c) {
                number |= c.is_numeric();
                fold(c, &mut lower);
            } else if matches!(c, '.' | ',')
                && lower.ends_with(|c: char| c.is_ascii_digit())
                && text[at + 1..].starts_with(|c: char| c.is_ascii_digit())
            {
                if c == '.' || !is_thousands(&text[at + 1..]) {
                    lower.push('.');
                }
            } else if !is_invisible(c) {
                break;
            }
            end = at + c.len_utf8();
            chars.next();
        }
        let short = lower.len() == 1 && text[..start].ends_with(['\'', '’']);
        if short || lower.is_empty() {
            continue;
        }
        let stem = if number { lower.as_str() } else { stem(&lower) };
        let long = !number && lower.chars().nth(BEGINNING).is_some();
        emit(Term {
            stem: hash_of(stem.chars()),
            beginning: if long { hash_of(lower.chars().take(BEGINNING)) } else { 0 },
            start,
            end,
            function: has(FUNCTION, &lower) || has(FUNCTION, &text[start..end]),
            number,
        });
    }
}

/// The words of a text, in order.
pub(super) fn terms(text: &str) -> Vec<Term> {
    let mut out = Vec::new();
    each_term(text, |term| out.push(term));
    out
}

/// Marks that stand in a word and part nothing: accents, soft hyphens, joiners.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// The ASCII character for a full-width one, and the ASCII digit for that of another script.
pub(super) fn plain(c: char) -> char {
    /// The noughts of decimal digits, each with its nine followers.
    const NOUGHTS: &[u32] = &[0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1040];
    let at = u32::from(c);
    if (0xff01..=0xff5e).contains(&at) {
        return char::from_u32(at - 0xfee0).unwrap_or(c);
    }
    let digit = NOUGHTS.iter().find_map(|nought| at.checked_sub(*nought).filter(|digit| *digit < 10));
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// Whether what follows a comma are the three digits that a comma of thousands has behind it.
fn is_thousands(rest: &str) -> bool {
    rest.bytes().take(4).take_while(u8::is_ascii_digit).count() == 3
}

/// Writes a character in lower case and, where it is a Latin letter with an accent, without it.
fn fold(c: char, out: &mut String) {
    let c = plain(c);
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
        return;
    }
    for c in c.to_lowercase() {
        match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => out.push('a'),
            'ç' | 'ć' | 'č' => out.push('c'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => out.push('e'),
            'ì'..='ï' | 'ī' => out.push('i'),
            'ñ' | 'ń' | 'ň' => out.push('n'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => out.push('o'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' => out.push('u'),
            'ý' | 'ÿ' => out.push('y'),
            'š' | 'ś' => out.push('s'),
            'ž' | 'ź' | 'ż' => out.push('z'),
            'ł' => out.push('l'),
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'µ' => out.push('μ'),
            '\u{300}'..='\u{36f}' => {}
            other => out.push(other),
        }
    }
}

/// A word without the endings that English and German put on it.
fn stem(word: &str) -> &str {
    let n = word.len();
    // Roman numbers have no endings: `ii` is not `iii`.
    if word.bytes().all(|b| matches!(b, b'i' | b'v' | b'x')) {
        return word;
    }
    let cut = |k: usize| word.get(..n - k).unwrap_or(word);
    let base = if n > 4 && word.ends_with("ies") {
        cut(3)
    } else if n > 4 && ["ses", "xes", "zes"].iter().any(|s| word.ends_with(s))
        || n > 5 && (word.ends_with("ches") || word.ends_with("shes"))
    {
        cut(2)
    } else if n > 3 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|s| word.ends_with(s)) {
        cut(1)
    } else if n > 5 && word.ends_with("ing") {
        undoubled(cut(3))
    } else if n > 3 && word.ends_with("ed") {
        undoubled(cut(2))
    } else if n > 5 && word.ends_with("en") {
        cut(2)
    } else {
        word
    };
    if base.len() > 2 { base.strip_suffix(['e', 'y', 'i']).unwrap_or(base) } else { base }
}

/// `stopp` of `stopping` as `stop`.
fn undoubled(word: &str) -> &str {
    let bytes = word.as_bytes();
    match bytes {
        [.., a, b] if a == b && bytes.len() > 3 && !matches!(a, b'l' | b's' | b'z' | b'e' | b'o') => {
            &word[..word.len() - 1]
        }
        _ => word,
    }
}

/// FNV-1a with 64 bits (Fowler, Noll & Vo) over the characters.
fn hash_of(chars: impl Iterator<Item = char>) -> u64 {
    chars.fold(0xcbf2_9ce4_8422_2325, |h, c| (h ^ u64::from(u32::from(c))).wrapping_mul(0x0100_0000_01b3))
}

/// Sentences that are taken to stand beside those given, so that few sentences do not make every word rare.
const BACKGROUND: f64 = 20.0;

/// BM25's inverse document frequency (Robertson & Zaragoza 2009) for `df` of `n` sentences, beside
/// background sentences of which one has the word.
pub(super) fn idf(n: usize, df: usize) -> f64 {
    let (n, df) = (n as f64 + BACKGROUND, df as f64 + 1.0);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<u64> {
        terms(text).iter().map(|t| t.stem).collect()
    }

    #[test]
    fn words_meet_their_inflections() {
        for (a, b) in [
            ("diagnosed", "diagnose"),
            ("stopping", "stop"),
            ("therapies", "therapy"),
            ("Recalls, recalled; RECALLING", "recall recall recall"),
            ("Säugling", "Saugling"),
            ("élève", "eleve"),
            ("415,000 5,20", "415000 5.20"),
            ("patient's", "patient"),
            ("diseases", "disease"),
            ("died dies", "die die"),
        ] {
            assert_eq!(stems(a), stems(b), "{a} {b}");
        }
        assert_ne!(stems("status"), stems("stat"));
    }

    #[test]
    fn long_words_share_their_beginning() {
        let (a, b) = (terms("diagnostic")[0], terms("diagnosis")[0]);
        assert!(a.stem != b.stem && a.beginning == b.beginning && a.beginning != 0);
        assert_eq!(terms("dose")[0].beginning, 0);
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        let found = terms("糖尿病と IL-6");
        let text = |t: &Term| "糖尿病と IL-6"[t.start..t.end].to_owned();
        assert_eq!(found.iter().map(text).collect::<Vec<_>>(), ["糖尿", "尿病", "病と", "IL", "6"]);
        assert_eq!(terms("糖").len(), 1);
    }

    #[test]
    fn function_words_are_told() {
        let told: Vec<bool> = terms("What is the dose für Kinder?").iter().map(|t| t.function).collect();
        assert_eq!(told, [true, true, true, false, true, false]);
    }
}
