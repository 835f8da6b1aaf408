//! What does the text layer of a PDF say, page by page?

use pdf_extract::{Dictionary, Object};
use quorate_core::Result;

use crate::Document;

use super::{failed, metadata, stem};

pub(super) fn load(name: &str, bytes: &[u8]) -> Result<Vec<Document>> {
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|e| failed(format!("PDF: {e}")))?;
    let file = pdf_extract::Document::load_mem(bytes).map_err(|e| failed(format!("PDF: {e}")))?;
    let info =
        file.trailer.get(b"Info").ok().and_then(|info| file.dereference(info).ok()).map(|(_, info)| info);
    let info = info.and_then(|info| info.as_dict().ok());
    let field = |key: &[u8]| info.and_then(|info| text_field(info, key));
    let title = field(b"Title").filter(|title| !title.trim().is_empty()).unwrap_or_else(|| stem(name));
    let count = pages.len();
    if pages.iter().all(|page| page.trim().is_empty()) {
        return Err(failed(format!("PDF: none of its {count} pages has a text layer; it needs OCR")));
    }
    let documents = (1..).zip(pages).filter(|(_, text)| !text.trim().is_empty()).map(|(number, text)| {
        let known = metadata([
            ("author", field(b"Author")),
            ("created", field(b"CreationDate").and_then(|d| date(&d))),
        ]);
        Document::new(format!("{name}#page={number}"), text.trim_matches('\n'))
            .title(title.clone())
            .metadata(known)
            .metadata_field("page", number)
            .metadata_field("pages", count)
    });
    Ok(documents.collect())
}

fn text_field(info: &Dictionary, key: &[u8]) -> Option<String> {
    match info.get(key).ok()? {
        Object::String(bytes, _) => Some(match bytes.strip_prefix(&[0xFE, 0xFF]) {
            Some(utf16) => encoding_rs::UTF_16BE.decode_without_bom_handling(utf16).0.into_owned(),
            None => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
        }),
        _ => None,
    }
}

/// `D:YYYYMMDDHHmmSS...` as RFC 3339; without a time zone as a date alone (ISO 32000-1, 7.9.4).
fn date(text: &str) -> Option<String> {
    let digits = text.strip_prefix("D:").unwrap_or(text);
    let date = chrono::NaiveDate::parse_from_str(digits.get(..8)?, "%Y%m%d").ok()?;
    Some(date.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date("D:20240229101500Z").as_deref(), Some("2024-02-29"));
        assert_eq!(date("D:20230229"), None);
        assert_eq!(date("ééé"), None);
    }
}
