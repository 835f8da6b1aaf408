//! What does a plain file say?

use std::borrow::Cow;

use quorate_core::Result;

use crate::Document;

use super::{encoding, stem};

/// Shorter data URIs are examples in a text about them.
const MIN_PAYLOAD: usize = 64;

/// `chosen` overrules the guess of the encoding. Errors: `invalid_argument` for an unknown one.
pub(super) fn load(name: &str, bytes: Vec<u8>, chosen: Option<&str>) -> Result<Document> {
    let decoded = encoding::decode(bytes, chosen)?;
    let document = Document::new(name, without_data_uris(&decoded.text)).title(stem(name));
    Ok(document.metadata_field("encoding", decoded.encoding))
}

/// The text without the payload of its data URIs (RFC 2397): the bytes of an image are no words. What remains of one is
/// nothing; short ones stay.
pub(super) fn without_data_uris(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(found) = find_scheme(&bytes[at..]) {
        let start = at + found;
        at = start + "data:".len();
        let Some(end) = data_uri_end(bytes, start) else { continue };
        kept.push_str(&text[done..start]);
        (done, at) = (end, end);
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[done..]);
    Cow::Owned(kept)
}

fn find_scheme(bytes: &[u8]) -> Option<usize> {
    bytes.windows(5).position(|five| five[4] == b':' && five.eq_ignore_ascii_case(b"data:"))
}

/// Where the data URI that begins here ends, when it is a long one.
fn data_uri_end(bytes: &[u8], start: usize) -> Option<usize> {
    let before = start.checked_sub(1).map(|at| bytes[at]);
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let head = |byte: &u8| byte.is_ascii_alphanumeric() || b"/+.-_;=%\"'".contains(byte);
    let from = start + "data:".len();
    let comma = from + bytes[from..].iter().take(256).position(|byte| !head(byte))?;
    if bytes[comma] != b',' {
        return None;
    }
    let base64 = bytes[from..comma].to_ascii_lowercase().ends_with(b";base64");
    let payload = &bytes[comma + 1..];
    let quoted = before.filter(|byte| matches!(byte, b'"' | b'\''));
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'<>()[]".contains(byte);
    let len = match quoted {
        // Within quotes a payload may be wrapped.
        Some(quote) if base64 => payload.iter().position(|&byte| byte == quote),
        _ => None,
    };
    let letter =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_%".contains(byte) || byte.is_ascii_whitespace();
    let len = len.filter(|&len| payload[..len].iter().all(letter));
    let len = len.or_else(|| payload.iter().position(|byte| !plain(byte))).unwrap_or(payload.len());
    // A payload is ASCII, so the text is cut between characters.
    (len >= MIN_PAYLOAD).then_some(comma + 1 + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_go_and_words_stay() {
        let payload = "iVBORw0KGgoAAAANSUhEUgAA".repeat(5);
        let uri = format!("data:image/png;base64,{payload}");
        let gone = |text: String| without_data_uris(&text).into_owned();
        assert_eq!(gone(format!("![chart]({uri}) after")), "![chart]() after");
        assert_eq!(gone(format!("[i]: <{uri}>\nnext")), "[i]: <>\nnext");
        let wrapped = format!("<img src=\"data:image/png;base64,{payload}\n  {payload}\" alt='x'>");
        assert_eq!(gone(wrapped), "<img src=\"\" alt='x'>");
        assert_eq!(gone(format!("é {uri}")), "é ");
        assert_eq!(gone(format!("{uri} {uri}é{uri}")), " é");
        let svg = format!("data:image/svg+xml;charset=utf-8,%3Csvg{}", "%20".repeat(40));
        assert_eq!(gone(format!("url({svg})")), "url()");
        for kept in ["data:text/plain,hello", "the data: 5, 6", "metadata:x,y", "DATA:", "data:;,"] {
            assert!(matches!(without_data_uris(kept), Cow::Borrowed(text) if text == kept));
        }
    }
}
