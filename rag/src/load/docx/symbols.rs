//! Which characters do the symbol fonts show?
//!
//! Word stores characters of Symbol and Wingdings at their places in the font, moved to U+F000.

/// Adobe's Symbol encoding from 0x20 to 0xFE (ISO 32000-1, annex D.5).
const SYMBOL: &str = concat!(
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_",
    "‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼ ",
    "                                ",
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ 〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
);

/// The character that a reader sees for a character of a font; the same for most.
pub(super) fn readable(font: &str, c: char) -> char {
    let place = match c as u32 {
        place @ 0xF020..=0xF0FF => place - 0xF000,
        place @ 0x20..=0xFF if font.eq_ignore_ascii_case("symbol") => place,
        _ => return c,
    };
    let font = font.to_ascii_lowercase();
    if font.starts_with("wingdings") {
        return match place {
            0x6C | 0x9F | 0xA7 | 0xB7 => '•',
            0x71 | 0xA8 => '☐',
            0x78 | 0xFD => '☒',
            0xFB => '✗',
            0xFC => '✓',
            0xFE => '☑',
            0xE0 => '→',
            0xDF => '←',
            0x4A => '☺',
            _ => '▪',
        };
    }
    match font.as_str() {
        "" | "symbol" => SYMBOL.chars().nth(place as usize - 0x20).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_keep_their_signs() {
        let shown = |font: &str, places: &str| places.chars().map(|c| readable(font, c)).collect::<String>();
        assert_eq!(shown("Symbol", "\u{F0B3}\u{F0A3}\u{F06D}\u{F0B1}\u{F0B0}\u{F0AE}\u{F0B7}"), "≥≤μ±°→•");
        assert_eq!(shown("Symbol", "ab"), "αβ");
        assert_eq!(shown("Wingdings", "\u{F0FC}\u{F0A8}"), "✓☐");
        assert_eq!(shown("Calibri", "ab≥\u{F0B3}"), "ab≥\u{F0B3}");
    }
}
