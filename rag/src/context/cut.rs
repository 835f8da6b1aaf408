//! How much of a passage fits, without breaking a sentence or a word?

use quorate_core::Result;
use unicode_segmentation::UnicodeSegmentation;

/// The longest beginning of `text` for which `fits` holds and that ends with a sentence; with `words`, where no
/// sentence fits, the longest that ends with a word (or a run of other characters). Without white space at its end; 0
/// when nothing fits. `fits` holds for all beginnings shorter than one for which it holds, as good as.
pub(super) fn beginning(text: &str, words: bool, fits: impl Fn(usize) -> Result<bool>) -> Result<usize> {
    // A line break can be a sentence of its own; the text before it then ends where its last word does.
    let blank = |piece: &str| piece.trim().is_empty();
    let end_of = |(at, piece): (usize, &str)| at + piece.trim_end().len();
    let sentences = text.split_sentence_bound_indices().filter(|(_, piece)| !blank(piece));
    let ends: Vec<usize> = sentences.map(end_of).collect();
    let sentences = longest(&ends, &fits)?;
    if sentences > 0 || !words {
        return Ok(sentences);
    }
    let within = ends.first().copied().unwrap_or(text.len());
    let ends: Vec<usize> =
        text[..within].split_word_bound_indices().filter(|(_, piece)| !blank(piece)).map(end_of).collect();
    longest(&ends, &fits)
}

/// The largest of ascending ends that fits; 0 when none does.
fn longest(ends: &[usize], fits: &impl Fn(usize) -> Result<bool>) -> Result<usize> {
    let (mut low, mut high) = (0, ends.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        match fits(ends[middle - 1])? {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    Ok(if low == 0 { 0 } else { ends[low - 1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, words: bool, bytes: usize) -> &str {
        &text[..beginning(text, words, |end| Ok(end <= bytes)).unwrap()]
    }

    #[test]
    fn sentences_first_then_words() {
        let text = "First one. Second one is longer. Third.";
        assert_eq!(cut(text, true, 100), text);
        assert_eq!(cut(text, true, 38), "First one. Second one is longer.");
        assert_eq!(cut(text, true, 12), "First one.");
        assert_eq!(cut(text, true, 9), "First one");
        assert_eq!(cut(text, true, 7), "First");
        assert_eq!(cut(text, true, 4), "");
        assert_eq!(cut(text, false, 9), "");
        assert_eq!(cut("", true, 9), "");
        assert_eq!(cut("  \n", true, 9), "");
        let lines = "First one.\n\n \nSecond one.\r\n\r\n";
        for bytes in 0..=lines.len() {
            let cut = cut(lines, true, bytes);
            assert_eq!(cut, cut.trim_end(), "{bytes} bytes");
        }
        assert_eq!(cut(lines, true, 14), "First one.");
        assert_eq!(cut(lines, true, lines.len()), "First one.\n\n \nSecond one.");
        assert_eq!(cut("日本語の文。次の文。", true, 18), "日本語の文。");
    }
}
