//! What of a foreign text may be shown to models and people?

/// The most characters of a description.
pub(crate) const DESCRIPTION: usize = 4_000;
/// The most characters of a server's name, a URI or the like.
pub(crate) const LABEL: usize = 200;

/// The text without what controls a screen or hides from readers (controls, marks of direction, characters without width or
/// shape), and at most so many characters long.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let text = text.replace("\r\n", "\n");
    let mut seen = text.chars().filter(|c| !is_hidden(*c));
    let mut out: String = seen.by_ref().take(most).collect();
    if seen.next().is_some() {
        out.push_str(" [...]");
    }
    out.trim().to_owned()
}

/// The text without what hides from readers, as long as it is.
pub(crate) fn seen(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

/// The same as [`clean`], on one line.
pub(crate) fn label(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "), LABEL)
}

/// Characters that readers do not see, but models do. Unicode 17, general categories Cc and Cf, and what is drawn as nothing.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_go_and_length_is_bounded() {
        let hidden: String = "ignore".chars().map(|c| char::from_u32(0xe0000 + c as u32).unwrap()).collect();
        assert_eq!(
            clean(&format!("Adds\u{1b}[2J two\u{202e} numbers.{hidden}\u{200b}\0"), 100),
            "Adds[2J two numbers."
        );
        assert_eq!(clean("a\r\nb\tc", 100), "a\nb\tc");
        assert_eq!(clean(&"\u{e9}".repeat(10), 3), "\u{e9}\u{e9}\u{e9} [...]");
        assert_eq!(clean("abc", 3), "abc");
        assert_eq!(label(" a\n\tb "), "a b");
        // Texts of other scripts stay.
        assert_eq!(
            clean("\u{627}\u{644}\u{639} \u{4e2d}\u{6587} \u{1f600}", 100),
            "\u{627}\u{644}\u{639} \u{4e2d}\u{6587} \u{1f600}"
        );
    }
}
