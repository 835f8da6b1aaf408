//! What does a PDF say, page by page?
//!
//! Text is that of pdf_oxide, which also mends what viewers mend: junk before the header, a wrong `startxref`, damaged
//! cross-reference tables. A page without text is shown to the caller's OCR, where there is one.

use pdf_oxide::document::PdfDocument;
use pdf_oxide::extractors::xmp::XmpExtractor;
use pdf_oxide::object::Object;
use pdf_oxide::rendering::{PageRenderer, RenderOptions};
use quorate_core::{Code, Error, Result};

use crate::Document;

use super::text::without_data_uris;
use super::{LoadOptions, failed, metadata, ocr, stem};

/// What recognition of characters is usually trained on.
const OCR_DPI: u32 = 300;
/// References to references are followed so far.
const MAX_REFERENCES: usize = 8;
/// More pages than this are no document; a file may claim any number.
const MAX_PAGES: usize = 100_000;

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Vec<Document>> {
    let told = |e: pdf_oxide::error::Error| failed(format!("PDF: {}", brief(&e.to_string())));
    let file = PdfDocument::from_bytes(bytes).map_err(told)?;
    let count = file.page_count().map_err(told)?;
    if count > MAX_PAGES {
        let message = format!("PDF: {count} pages, at most {MAX_PAGES} are read");
        return Err(Error::new(Code::TooLarge, message));
    }
    let info = Info::of(&file);
    let mut documents = Vec::new();
    let mut first_error = None;
    let mut left = options.max_bytes;
    for page in 0..count {
        let mut text = match page_text(&file, page) {
            Ok(text) => text,
            // One bad page does not take the others along.
            Err(e) => {
                first_error.get_or_insert(told(e));
                String::new()
            }
        };
        let mut recognised = false;
        if text.trim().is_empty()
            && let Some(hook) = &options.ocr
        {
            text = read_image(&file, page, hook)?;
            recognised = true;
        }
        let text = clean(&text);
        if text.is_empty() {
            continue;
        }
        left = left.checked_sub(text.len() as u64).ok_or_else(|| {
            let message = format!("PDF: its text is longer than {} bytes", options.max_bytes);
            Error::new(Code::TooLarge, message)
        })?;
        let number = page + 1;
        let known = metadata([("author", info.author.clone()), ("created", info.created.clone())]);
        let mut document = Document::new(format!("{name}#page={number}"), text)
            .title(info.title.clone().unwrap_or_else(|| stem(name)))
            .metadata(known)
            .metadata_field("page", number)
            .metadata_field("pages", count);
        if recognised {
            document = document.metadata_field("ocr", true);
        }
        documents.push(document);
    }
    match (documents.is_empty(), first_error) {
        (false, _) => Ok(documents),
        (true, Some(error)) => Err(error),
        (true, None) => {
            let hint = if options.ocr.is_some() { "OCR found none either" } else { "it needs OCR (ocr=)" };
            Err(failed(format!("PDF: none of its {count} pages has a text layer; {hint}")))
        }
    }
}

/// The text of a page in reading order.
fn page_text(file: &PdfDocument, page: usize) -> pdf_oxide::error::Result<String> {
    let text = file.extract_text(page)?;
    if reversed(&text) {
        let mut spans = file.extract_spans(page)?;
        spans.sort_by_key(|span| span.sequence);
        let mut lines = String::new();
        let mut line = None;
        for span in &spans {
            if line.is_some_and(|line: f32| (line - span.bbox.y).abs() > span.font_size / 2.0) {
                lines.push('\n');
            }
            line = Some(span.bbox.y);
            lines.push_str(&span.text);
        }
        if !reversed(&lines) {
            return Ok(lines);
        }
    }
    Ok(text)
}

/// Whether Hebrew stands in the order of its places on the page, last letter first: five letters have a form that ends
/// words, and here they begin them.
fn reversed(text: &str) -> bool {
    let ends_words = |c: Option<char>| matches!(c, Some('ך' | 'ם' | 'ן' | 'ף' | 'ץ'));
    let (mut begin, mut end) = (0_usize, 0_usize);
    for word in text
        .split(|c: char| !matches!(c, '\u{05D0}'..='\u{05EA}'))
        .filter(|word| word.chars().nth(1).is_some())
    {
        begin += usize::from(ends_words(word.chars().next()));
        end += usize::from(ends_words(word.chars().next_back()));
    }
    begin > end
}

/// Text without what is no part of it: soft hyphens, and the zero characters of broken fonts.
fn clean(text: &str) -> String {
    let text = text.replace(['\u{AD}', '\0'], "");
    without_data_uris(text.trim()).into_owned()
}

fn read_image(file: &PdfDocument, page: usize, hook: &ocr::Ocr) -> Result<String> {
    let told =
        |e: pdf_oxide::error::Error| failed(format!("PDF: page {}: {}", page + 1, brief(&e.to_string())));
    // PNG is what it gives unless told otherwise.
    let image = PageRenderer::new(RenderOptions::with_dpi(OCR_DPI)).render_page(file, page).map_err(told)?;
    hook.read(image.as_bytes()).map_err(|e| e.context(format_args!("page {}", page + 1)))
}

/// A message without the bytes that some of the library's carry.
fn brief(message: &str) -> String {
    message.chars().take(200).collect()
}

/// What the file tells about itself.
struct Info {
    title: Option<String>,
    author: Option<String>,
    created: Option<String>,
}

impl Info {
    /// From the information dictionary, else from the XMP packet (ISO 32000-1, 14.3).
    fn of(file: &PdfDocument) -> Self {
        let info = file.trailer().as_dict().and_then(|trailer| resolved(file, trailer.get("Info")?));
        let field = |key: &str| {
            let value = resolved(file, info.as_ref()?.as_dict()?.get(key)?)?;
            let text = text_string(value.as_string()?);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(text).filter(|text| !text.is_empty())
        };
        let (title, author) = (field("Title"), field("Author"));
        let created = field("CreationDate").and_then(|text| date(&text));
        if title.is_some() && author.is_some() {
            return Info { title, author, created };
        }
        let packet = XmpExtractor::extract(file).ok().flatten().unwrap_or_default();
        let filled =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Info {
            title: title.or_else(|| filled(packet.dc_title)),
            author: author.or_else(|| filled(Some(packet.dc_creator.join(", ")))),
            created,
        }
    }
}

fn resolved(file: &PdfDocument, object: &Object) -> Option<Object> {
    let mut object = object.clone();
    for _ in 0..MAX_REFERENCES {
        match object.as_reference() {
            Some(reference) => object = file.load_object(reference).ok()?,
            None => return Some(object),
        }
    }
    None
}

/// A text string (ISO 32000-2, 7.9.2.2): UTF-16 or UTF-8 by their marks, else PDFDocEncoding.
fn text_string(bytes: &[u8]) -> String {
    let text = match bytes {
        [0xFE, 0xFF, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // Not allowed, and written all the same.
        _ if !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok() => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => bytes.iter().map(|&byte| pdf_doc(byte)).collect(),
    };
    without_language(&text).replace('\0', "")
}

/// The text without the escapes that name its language (7.9.2.2: ESC, two or four letters, ESC).
fn without_language(text: &str) -> String {
    let mut parts = text.split('\u{1B}');
    let mut kept = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        let letters = matches!(code.len(), 2 | 4) && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        kept.push_str(if letters { "" } else { code });
        kept.push_str(parts.next().unwrap_or_default());
    }
    kept
}

/// PDFDocEncoding (ISO 32000-1, annex D.3).
fn pdf_doc(byte: u8) -> char {
    const LOW: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const HIGH: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ',
        'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{FFFD}', '€',
    ];
    match byte {
        0x18..=0x1F => LOW[usize::from(byte - 0x18)],
        0x80..=0xA0 => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// `D:YYYYMMDDHHmmSS...` as a date (ISO 32000-1, 7.9.4).
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

    // ISO 32000-2, 7.9.2.2 and annex D.3.
    #[test]
    fn text_strings_in_all_their_forms() {
        let wanted = "Größe €5 — A";
        let utf16: Vec<u16> = wanted.encode_utf16().collect();
        let be = [0xFE, 0xFF].into_iter().chain(utf16.iter().flat_map(|unit| unit.to_be_bytes()));
        let le = [0xFF, 0xFE].into_iter().chain(utf16.iter().flat_map(|unit| unit.to_le_bytes()));
        assert_eq!(text_string(&be.collect::<Vec<_>>()), wanted);
        assert_eq!(text_string(&le.collect::<Vec<_>>()), wanted);
        assert_eq!(text_string(format!("\u{FEFF}{wanted}").as_bytes()), wanted);
        assert_eq!(text_string(wanted.as_bytes()), wanted);
        assert_eq!(text_string(b"Gr\xF6\xDFe \xA05 \x84 A"), wanted);
        let marked = "\u{1B}deDE\u{1B}Größe \u{1B}en\u{1B}size";
        let marked =
            [0xFE, 0xFF].into_iter().chain(marked.encode_utf16().flat_map(|unit| unit.to_be_bytes()));
        assert_eq!(text_string(&marked.collect::<Vec<_>>()), "Größe size");
    }

    #[test]
    fn hebrew_is_told_from_its_reverse() {
        assert!(reversed("םלוכ םולש המ םלוע םולש"));
        assert!(!reversed("שלום עולם מה שלום כולם"));
        assert!(!reversed("plain text") && !reversed(""));
    }
}
