//! How does a text of others come to a terminal, and how much of it?
//!
//! What stands in documents, ids and answers may hold characters that a terminal obeys. None of them is written as it is.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Whether a terminal may obey the character, or show it in another place than it stands.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let obeyed = |c: char| is_obeyed(c) && !kept(c);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !obeyed(c) => out.push(c),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// A text of several lines: ends of lines and tabulators stay.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    match text.contains("\r\n") {
        true => Cow::Owned(escaped(&text.replace("\r\n", "\n"), |c| matches!(c, '\n' | '\t')).into_owned()),
        false => escaped(text, |c| matches!(c, '\n' | '\t')),
    }
}

/// A text in one line: white space becomes one space.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    escaped(&words.join(" "), |_| false).into_owned()
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The start of a line that fits into so many columns, with an ellipsis where something is left out.
pub(crate) fn cut(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    let Some(columns) = columns else { return Cow::Borrowed(text) };
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut taken = 0;
    for piece in text.graphemes(true) {
        let wide = width(piece);
        if taken + wide + 1 > columns {
            break;
        }
        taken += wide;
        out.push_str(piece);
    }
    let whole = out.trim_end().len();
    out.truncate(whole);
    if columns > 0 {
        out.push('\u{2026}');
    }
    Cow::Owned(out)
}

/// JSON that holds no character which a terminal obeys: what JSON itself lets stand is written as an escape, which is the same text.
pub(crate) fn json(text: String) -> String {
    if !text.contains(|c: char| is_obeyed(c) && c != '\n') {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut units = [0; 2];
    for c in text.chars() {
        match c {
            // Ends of lines stand between members only.
            '\n' => out.push(c),
            c if is_obeyed(c) => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_written() {
        let evil = "a\u{1b}[31mred\u{7}\u{9b}1m\u{202e}back\r\u{0}\u{e0041}";
        for shown in [line(evil), lines(evil).into_owned(), json(serde_json::json!(evil).to_string())] {
            assert!(!shown.chars().any(is_obeyed), "{shown:?}");
        }
        assert_eq!(serde_json::from_str::<String>(&json(serde_json::json!(evil).to_string())).unwrap(), evil);
        assert_eq!(lines("a\r\nb\tc"), "a\nb\tc");
        assert_eq!(lines("over\rwritten"), "over\\rwritten");
        assert_eq!(line(" a\n\n b\u{1b} "), "a b\\u{1b}");
    }

    #[test]
    fn a_cut_text_fits() {
        let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        for text in ["plain words", "日本語のテキスト", "e\u{301}e\u{301}e\u{301}e\u{301}", family] {
            for columns in 0..14 {
                let shown = cut(text, Some(columns));
                assert!(width(&shown) <= columns, "{shown:?} in {columns}");
                assert!(shown == text || columns == 0 || shown.ends_with('\u{2026}'));
            }
            assert_eq!(cut(text, None), text);
        }
        assert_eq!(cut("日本語", Some(4)), "日\u{2026}");
    }
}
