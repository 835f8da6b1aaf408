//! Where may the tokens of a text stand, for a model whose tokenizer is not known here?

use std::ops::Range;

/// Characters that a token is taken to hold at least, so that the estimate is not too low.
pub(super) const CHARS_PER_TOKEN: usize = 4;

/// A token is taken to be a run of at most four letters or digits, or any other character, which is more tokens than
/// byte-pair encodings make of ordinary text. Ranges in bytes.
pub(super) fn estimate(text: &str) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        if c.is_whitespace() {
            run = 0;
        } else if c.is_alphanumeric() && run > 0 && run < CHARS_PER_TOKEN {
            run += 1;
            if let Some(last) = tokens.last_mut() {
                last.end = end;
            }
        } else {
            run = usize::from(c.is_alphanumeric());
            tokens.push(at..end);
        }
    }
    tokens
}
