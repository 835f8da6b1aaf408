//! Which encoding are these bytes in?
//!
//! In order: what the caller says, a byte order mark (which overrules even that, as the Encoding Standard has it), what
//! the file declares about itself (HTML and XML only), valid UTF-8, and else the guess of chardetng, the detector of
//! Firefox.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};
use quorate_core::{Error, Result};

/// The Encoding Standard's prescan reads so many bytes.
const PRESCAN_BYTES: usize = 1024;
/// So many bytes from the first one that is not ASCII on are enough for a guess.
const GUESS_BYTES: usize = 1 << 20;

/// A text and the name of the encoding that it was read from, as the Encoding Standard spells it.
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) encoding: &'static str,
}

/// The encoding that a caller names: a label of the Encoding Standard, in Python's spellings too (`latin-1`, `utf_8`).
/// Errors: `invalid_argument`.
pub(super) fn named(label: &str) -> Result<&'static Encoding> {
    let plain = |from: &str, to: &str| label.replace(['_', ' '], "-").replace(from, to);
    let spellings = [label.to_owned(), plain("-", "-"), plain("-", ""), plain("iso-8859", "iso8859")];
    let found = spellings.iter().find_map(|spelling| Encoding::for_label(spelling.as_bytes()));
    found.ok_or_else(|| {
        Error::invalid(format!(
            "encoding is '{}'; a label of the Encoding Standard is expected, such as utf-8, windows-1252, shift_jis",
            label.chars().take(40).collect::<String>()
        ))
    })
}

/// The text of a file that declares nothing about itself. Errors: as [`named`].
pub(super) fn decode(bytes: Vec<u8>, chosen: Option<&str>) -> Result<Decoded> {
    decode_as(bytes, chosen, |_| None)
}

/// The text of an HTML page. Errors: as [`named`].
pub(super) fn decode_html(bytes: Vec<u8>, chosen: Option<&str>) -> Result<Decoded> {
    decode_as(bytes, chosen, prescan)
}

/// The text of an XML part, which is UTF-8 unless it says otherwise.
pub(super) fn decode_xml(bytes: Vec<u8>) -> String {
    let declared = |bytes: &[u8]| Some(xml_declaration(bytes).unwrap_or(UTF_8));
    // No label is given, so none can be unknown.
    decode_as(bytes, None, declared).map(|decoded| decoded.text).unwrap_or_default()
}

fn decode_as(
    bytes: Vec<u8>,
    chosen: Option<&str>,
    declared: impl Fn(&[u8]) -> Option<&'static Encoding>,
) -> Result<Decoded> {
    let chosen = chosen.map(named).transpose()?;
    if let Some(text) = utf32(&bytes) {
        return Ok(Decoded { text, encoding: "UTF-32" });
    }
    let (encoding, body) = match Encoding::for_bom(&bytes) {
        Some((encoding, mark)) => (encoding, &bytes[mark..]),
        None => {
            let known = chosen.or_else(|| declared(&bytes));
            (known.unwrap_or_else(|| guess(&bytes)), bytes.as_slice())
        }
    };
    let text = match encoding.decode_without_bom_handling(body) {
        // The file's own bytes, without a copy.
        (Cow::Borrowed(text), _) if text.len() == bytes.len() => {
            String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
        }
        (text, _) => text.into_owned(),
    };
    Ok(Decoded { text, encoding: encoding.name() })
}

/// UTF-32 with its byte order mark, which the Encoding Standard does not know.
fn utf32(bytes: &[u8]) -> Option<String> {
    let read: fn([u8; 4]) -> u32 = match bytes.get(..4)? {
        [0xFF, 0xFE, 0, 0] => u32::from_le_bytes,
        [0, 0, 0xFE, 0xFF] => u32::from_be_bytes,
        _ => return None,
    };
    let (units, _) = bytes[4..].as_chunks::<4>();
    Some(units.iter().map(|&unit| char::from_u32(read(unit)).unwrap_or('\u{FFFD}')).collect())
}

/// The likeliest encoding of undeclared bytes.
fn guess(bytes: &[u8]) -> &'static Encoding {
    if let Some(utf16) = utf16_without_mark(bytes) {
        return utf16;
    }
    // ISO-2022-JP is 7-bit: it is valid UTF-8 that shifts by escapes.
    let shifts =
        bytes.windows(3).any(|three| matches!(three, [0x1B, b'$', b'@' | b'B'] | [0x1B, b'(', b'I' | b'J']));
    if !shifts && std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let first = bytes.iter().position(|byte| !byte.is_ascii() || *byte == 0x1B).unwrap_or(0);
    let sample = &bytes[first.saturating_sub(64)..bytes.len().min(first + GUESS_BYTES)];
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(sample, first + GUESS_BYTES >= bytes.len());
    let guessed = detector.guess(None, chardetng::Utf8Detection::Allow);
    if guessed == ISO_2022_JP || !shifts || std::str::from_utf8(bytes).is_err() { guessed } else { UTF_8 }
}

/// UTF-16 without a byte order mark: ASCII in it has a zero in every second byte, which no other text has.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(4096) & !1];
    if sample.len() < 4 {
        return None;
    }
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), sample.len() / 2);
    match () {
        () if even == 0 && odd * 10 >= half * 4 => Some(UTF_16LE),
        () if odd == 0 && even * 10 >= half * 4 => Some(UTF_16BE),
        () => None,
    }
}

/// The encoding that an HTML page declares in its first 1024 bytes (HTML Standard, "prescan a byte stream to determine
/// its encoding"): by `<meta charset>`, `<meta http-equiv>`, or an XML declaration.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let bytes = &bytes[..bytes.len().min(PRESCAN_BYTES)];
    if let Some(encoding) = xml_declaration(bytes) {
        return Some(encoding);
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"<!--") {
            // The end may share its dashes with the start: `<!-->`.
            at += rest[2..].windows(3).position(|end| end == b"-->").map_or(rest.len(), |end| end + 5);
        } else if is_meta(rest) {
            let mut tag = Attributes { bytes, at: at + 5 };
            if let Some(encoding) = meta_encoding(&mut tag) {
                return Some(encoding);
            }
            at = tag.at;
        } else if matches!(rest, [b'<', b'/', c, ..] | [b'<', c, ..] if c.is_ascii_alphabetic()) {
            let name = rest.iter().position(|&byte| is_space(byte) || byte == b'>').unwrap_or(rest.len());
            let mut tag = Attributes { bytes, at: at + name };
            while tag.next().is_some() {}
            at = tag.at;
        } else if matches!(rest, [b'<', b'!' | b'/' | b'?', ..]) {
            at += rest.iter().position(|&byte| byte == b'>').unwrap_or(rest.len());
        } else {
            at += 1;
        }
    }
    None
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

fn is_meta(bytes: &[u8]) -> bool {
    bytes.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<meta"))
        && bytes.get(5).is_some_and(|&byte| is_space(byte) || byte == b'/')
}

fn meta_encoding(tag: &mut Attributes<'_>) -> Option<&'static Encoding> {
    let (mut pragma, mut needs_pragma, mut label) = (false, false, None);
    let mut seen = Vec::new();
    while let Some((name, value)) = tag.next() {
        if seen.contains(&name) {
            continue;
        }
        match name.as_str() {
            "http-equiv" => pragma |= value.eq_ignore_ascii_case("content-type"),
            "content" if label.is_none() => {
                label = charset_of(&value);
                needs_pragma = label.is_some();
            }
            "charset" => (label, needs_pragma) = (Some(value), false),
            _ => {}
        }
        seen.push(name);
    }
    if needs_pragma && !pragma {
        return None;
    }
    for_page(label?.as_bytes())
}

/// What an encoding means that a page declares in bytes which could be read as ASCII.
fn for_page(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label)?;
    Some(match encoding {
        _ if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        _ if encoding == X_USER_DEFINED => encoding_rs::WINDOWS_1252,
        _ => encoding,
    })
}

/// The charset of a content type such as `text/html; charset=utf-8`.
fn charset_of(content: &str) -> Option<String> {
    let lower = content.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let at = from + lower.get(from..)?.find("charset")? + "charset".len();
        let rest = content[at..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            from = at;
            continue;
        };
        let value = value.trim_start();
        return match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote).map(|(label, _)| label.to_owned()),
            _ => value.split([';', ' ', '\t', '\n', '\r', '\x0C']).next().map(str::to_owned),
        };
    }
}

/// `<?xml version="1.0" encoding="..."?>`.
fn xml_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    if !bytes.starts_with(b"<?xml") {
        return None;
    }
    let end = bytes.iter().take(PRESCAN_BYTES).position(|&byte| byte == b'>')?;
    let mut tag = Attributes { bytes: &bytes[..end], at: 5 };
    while let Some((name, value)) = tag.next() {
        if name == "encoding" {
            return for_page(value.as_bytes());
        }
    }
    None
}

/// The attributes of one tag, in lower case (HTML Standard, "get an attribute").
struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Attributes<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    fn take_while(&mut self, taken: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        self.skip(taken);
        String::from_utf8_lossy(&self.bytes[start..self.at]).to_ascii_lowercase()
    }

    fn next(&mut self) -> Option<(String, String)> {
        self.skip(|byte| is_space(byte) || byte == b'/');
        match self.peek()? {
            b'>' => return None,
            b'=' => self.at += 1,
            _ => {}
        }
        let name = self.take_while(|byte| !(is_space(byte) || matches!(byte, b'=' | b'/' | b'>')));
        self.skip(is_space);
        if self.peek() != Some(b'=') {
            return Some((name, String::new()));
        }
        self.at += 1;
        self.skip(is_space);
        let value = match self.peek()? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let value = self.take_while(|byte| byte != quote);
                self.at += 1;
                value
            }
            _ => self.take_while(|byte| !is_space(byte) && byte != b'>'),
        };
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(head: &str) -> &'static str {
        prescan(head.as_bytes()).map_or("none", |encoding| encoding.name())
    }

    // The rows follow the steps of the HTML Standard, 13.2.3.2.
    #[test]
    fn prescan_finds_what_a_page_declares() {
        assert_eq!(page("<meta charset=windows-1251>"), "windows-1251");
        assert_eq!(page("<html><META Charset = 'Shift_JIS' />"), "Shift_JIS");
        let pragma = "<meta http-equiv='Content-Type' content=\"text/html; charset=ISO-8859-2\">";
        assert_eq!(page(pragma), "ISO-8859-2");
        assert_eq!(page("<meta content='text/html; charset=koi8-r'>"), "none", "without the pragma");
        assert_eq!(page("<meta content='a charset b charset=\"koi8-r\"' http-equiv=content-type>"), "KOI8-R");
        assert_eq!(page("<!-- <meta charset=koi8-r> --><meta charset=big5>"), "Big5");
        assert_eq!(page("<!--><meta charset=big5>"), "Big5");
        assert_eq!(page("<a title='<meta charset=koi8-r>'><meta charset=euc-kr>"), "EUC-KR");
        assert_eq!(page("<meta charset=utf-16>"), "UTF-8");
        assert_eq!(page("<meta charset=x-user-defined>"), "windows-1252");
        assert_eq!(page("<meta charset=nonsense>"), "none");
        assert_eq!(page("<metacharset=koi8-r>"), "none");
        assert_eq!(page("<?xml version='1.0' encoding='koi8-u'?><html>"), "KOI8-U");
        assert_eq!(page(&format!("{}<meta charset=big5>", " ".repeat(1024))), "none");
        for cut in 0..pragma.len() {
            prescan(&pragma.as_bytes()[..cut]);
        }
    }

    #[test]
    fn the_order_of_what_is_believed() {
        let of = |bytes: &[u8], chosen| {
            let decoded = decode(bytes.to_vec(), chosen).unwrap();
            (decoded.text, decoded.encoding)
        };
        assert_eq!(of("Größe".as_bytes(), None), ("Größe".into(), "UTF-8"));
        assert_eq!(of(b"Gr\xF6\xDFe", None), ("Größe".into(), "windows-1252"));
        assert_eq!(of(b"Gr\xF6\xDFe", Some("latin-1")), ("Größe".into(), "windows-1252"));
        assert_eq!(of(b"\xC1\xE2\xE2", Some("koi8_r")), ("аББ".into(), "KOI8-R"));
        assert_eq!(of(b"\xEF\xBB\xBFx", Some("koi8-r")), ("x".into(), "UTF-8"), "a mark overrules");
        assert_eq!(of(b"\xFF\xFEh\0i\0", None), ("hi".into(), "UTF-16LE"));
        assert_eq!(of(b"h\0i\0 \0x\0", None), ("hi x".into(), "UTF-16LE"), "without a mark");
        assert_eq!(of(b"\0h\0i\0 \0x", None).0, "hi x");
        assert_eq!(of(b"\xFF\xFE\0\0h\0\0\0", None), ("h".into(), "UTF-32"));
        let (japanese, _, _) = ISO_2022_JP.encode("腎機能が低下した患者");
        assert_eq!(of(&japanese, None), ("腎機能が低下した患者".into(), "ISO-2022-JP"));
        let terminal = "\u{1b}(B plain";
        assert_eq!(of(terminal.as_bytes(), None).0, terminal);
        assert_eq!(
            decode(vec![], Some("klingon")).err().map(|e| e.code().as_str()),
            Some("invalid_argument")
        );
    }

    #[test]
    fn russian_and_japanese_are_told_without_a_word() {
        let russian = "Метформин противопоказан при тяжёлой почечной недостаточности и ацидозе.";
        let japanese = "腎機能が低下した患者には投与しないこと。慎重に投与すること。";
        for (text, encoding) in [
            (russian, encoding_rs::WINDOWS_1251),
            (russian, encoding_rs::KOI8_R),
            (japanese, encoding_rs::SHIFT_JIS),
            (japanese, encoding_rs::EUC_JP),
        ] {
            let (bytes, _, _) = encoding.encode(text);
            let decoded = decode(bytes.into_owned(), None).unwrap();
            // KOI8-U has all that Russian has of KOI8-R, and more.
            let name = if encoding == encoding_rs::KOI8_R { "KOI8-U" } else { encoding.name() };
            assert_eq!((decoded.text.as_str(), decoded.encoding), (text, name));
        }
    }
}
