//! Where may the tokens of a text stand, for a model whose tokenizer is not known here?

use std::ops::Range;

/// Bytes that a token is taken to hold at least, so that the estimate is not too low.
pub(super) const BYTES_PER_TOKEN: usize = 4;

/// A token is taken to be a run of letters or digits of at most four bytes, or any other character, which is more tokens
/// than byte-pair encodings make of ordinary text: four Latin letters, two Cyrillic or Arabic ones, one Chinese character.
/// Ranges in bytes.
pub(super) fn estimate(text: &str) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    // Bytes that the last token may yet take.
    let mut room = 0;
    for (at, c) in text.char_indices() {
        let bytes = c.len_utf8();
        if c.is_whitespace() {
            room = 0;
        } else if c.is_alphanumeric()
            && bytes <= room
            && let Some(last) = tokens.last_mut()
        {
            room -= bytes;
            last.end = at + bytes;
        } else {
            room = if c.is_alphanumeric() { BYTES_PER_TOKEN.saturating_sub(bytes) } else { 0 };
            tokens.push(at..at + bytes);
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_is_counted_too_low() {
        let cut = |text: &str| -> Vec<String> {
            estimate(text).into_iter().map(|range| text[range].to_owned()).collect()
        };
        assert_eq!(cut("Dose: 500mg daily."), ["Dose", ":", "500m", "g", "dail", "y", "."]);
        assert_eq!(cut("почки"), ["по", "чк", "и"]);
        assert_eq!(cut("腎機能 低下"), ["腎", "機", "能", "低", "下"]);
        assert_eq!(cut("résumé"), ["rés", "umé"]);
        assert!(cut(" \n").is_empty());
    }
}
