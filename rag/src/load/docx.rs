//! What does a Word document say?
//!
//! Paragraphs, headings, lists and tables become Markdown (ECMA-376, part 1, section 17).

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use quorate_core::{Code, Error, Result};
use zip::ZipArchive;

use crate::Document;

use super::markdown::first_heading;
use super::{failed, metadata, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>, limit: u64) -> Result<Document> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| failed(format!("DOCX: {e}")))?;
    let body = part(&mut archive, "word/document.xml", limit)?
        .ok_or_else(|| failed("DOCX: the part word/document.xml is missing"))?;
    let text = markdown_of(&body)?;
    let core = part(&mut archive, "docProps/core.xml", limit)?.unwrap_or_default();
    let property = |tag: &str| element_text(&core, tag);
    let title = property("title").filter(|title| !title.trim().is_empty());
    let title = title.or_else(|| first_heading(&text)).unwrap_or_else(|| stem(name));
    let known = metadata([
        ("author", property("creator")),
        ("created", property("created")),
        ("last_modified", property("modified")),
    ]);
    Ok(Document::new(name, text).title(title).metadata(known))
}

/// A part of the package as text; at most `limit` bytes, whatever the archive claims.
fn part(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str, limit: u64) -> Result<Option<String>> {
    let file = match archive.by_name(name) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(e) => return Err(failed(format!("DOCX: {name}: {e}"))),
    };
    let mut text = Vec::new();
    let read =
        file.take(limit + 1).read_to_end(&mut text).map_err(|e| failed(format!("DOCX: {name}: {e}")))?;
    if read as u64 > limit {
        return Err(Error::new(Code::TooLarge, format!("DOCX: {name} unpacks to more than {limit} bytes")));
    }
    String::from_utf8(text).map(Some).map_err(|e| failed(format!("DOCX: {name}: {e}")))
}

#[derive(Default)]
struct Writer {
    out: String,
    paragraph: String,
    prefix: String,
    /// Cells of the current row, for each table that is open.
    rows: Vec<Vec<String>>,
    in_text: bool,
}

fn markdown_of(xml: &str) -> Result<String> {
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::default();
    loop {
        let event = reader.read_event().map_err(|e| failed(format!("DOCX: word/document.xml: {e}")))?;
        match event {
            Event::Start(tag) => writer.open(&tag),
            Event::Empty(tag) => {
                writer.open(&tag);
                writer.close(tag.local_name().as_ref());
            }
            Event::End(tag) => writer.close(tag.local_name().as_ref()),
            Event::Text(text) if writer.in_text => writer.paragraph.push_str(&text.xml10_content()),
            Event::CData(text) if writer.in_text => writer.paragraph.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) if writer.in_text => match entity.resolve_char_ref() {
                Ok(Some(c)) => writer.paragraph.push(c),
                _ => writer.paragraph.push_str(match entity.xml10_content().as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    _ => "",
                }),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(writer.out.trim_end().to_owned())
}

impl Writer {
    fn open(&mut self, tag: &BytesStart<'_>) {
        match tag.local_name().as_ref() {
            "t" => self.in_text = true,
            "tab" => self.paragraph.push('\t'),
            "br" | "cr" => self.paragraph.push('\n'),
            "noBreakHyphen" => self.paragraph.push('-'),
            "pStyle" => self.prefix = style_prefix(tag),
            "numPr" if self.prefix.is_empty() => self.prefix = "- ".into(),
            "tbl" => self.rows.push(Vec::new()),
            "tc" => {
                if let Some(row) = self.rows.last_mut() {
                    row.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: &str) {
        match tag {
            "t" => self.in_text = false,
            "p" => {
                let text = std::mem::take(&mut self.paragraph);
                let prefix = std::mem::take(&mut self.prefix);
                match self.rows.last_mut().and_then(|row| row.last_mut()) {
                    Some(cell) => {
                        if !cell.is_empty() {
                            cell.push(' ');
                        }
                        cell.push_str(text.trim());
                    }
                    None if text.trim().is_empty() => {}
                    None => {
                        self.out.push_str(&prefix);
                        self.out.push_str(text.trim());
                        self.out.push_str("\n\n");
                    }
                }
            }
            "tr" => {
                if let Some(row) = self.rows.last_mut() {
                    let cells = std::mem::take(row);
                    self.out.push_str(&format!("| {} |\n", cells.join(" | ")));
                }
            }
            "tbl" => {
                self.rows.pop();
                self.out.push('\n');
            }
            _ => {}
        }
    }
}

/// `Heading2` becomes `## `, `Title` becomes `# `, list styles become `- `.
fn style_prefix(tag: &BytesStart<'_>) -> String {
    let style = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == "val");
    let style = style
        .and_then(|a| a.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(|v| v.to_lowercase()))
        .unwrap_or_default();
    if style == "title" {
        return "# ".into();
    }
    if let Some(level) = style.strip_prefix("heading").and_then(|n| n.trim().parse::<usize>().ok()) {
        return format!("{} ", "#".repeat(level.clamp(1, 6)));
    }
    if style.starts_with("list") { "- ".into() } else { String::new() }
}

/// The text of the first element with this local name.
fn element_text(xml: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut inside = false;
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) if tag.local_name().as_ref() == name => inside = true,
            Event::Text(part) if inside => text.push_str(&part.xml10_content()),
            Event::End(tag) if inside && tag.local_name().as_ref() == name => return Some(text),
            Event::Eof => return None,
            _ => {}
        }
    }
}
