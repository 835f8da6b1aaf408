//! What does a plain file say?

use crate::Document;

use super::{metadata, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>) -> Document {
    let (text, encoding) = decode(bytes);
    Document::new(name, text).title(stem(name)).metadata(metadata([("encoding", encoding)]))
}

/// Text of bytes: by byte order mark, else UTF-8, else windows-1252 (which never fails). The encoding is named when
/// it is not UTF-8.
pub(super) fn decode(bytes: Vec<u8>) -> (String, Option<String>) {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(&bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        let named = (encoding != encoding_rs::UTF_8).then(|| encoding.name().to_owned());
        return (text.into_owned(), named);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let (text, _, _) = encoding_rs::WINDOWS_1252.decode(error.as_bytes());
            (text.into_owned(), Some(encoding_rs::WINDOWS_1252.name().to_owned()))
        }
    }
}
