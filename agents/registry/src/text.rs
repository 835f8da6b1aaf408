//! How much of what was given does a message repeat?

/// Characters of a value that a message shows.
const SHOWN: usize = 80;

/// The beginning of a text, with its size where something is left out.
pub(crate) fn shown(text: &str) -> String {
    cut(text, SHOWN)
}

/// At most `limit` characters of a text, with its size where something is left out.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        assert_eq!(cut("ääää", 2), "ää... (8 bytes)");
        assert!(shown(&"e\u{301}".repeat(5000)).chars().count() < 110);
    }
}
