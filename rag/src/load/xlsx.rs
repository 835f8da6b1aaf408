//! What do the sheets of a workbook say?
//!
//! Each sheet becomes a table in Markdown, a line for each row that has a value. Cells are read one by one: a sheet that
//! names its last row and column costs no more than the cells it has.

use std::io::Cursor;

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};
use quorate_core::{Code, Error, Result};

use crate::Document;

use super::package::Package;
use super::room::Room;
use super::{LoadOptions, failed, metadata, stem};

/// Empty cells between two that have values are kept up to so many, so that columns stay apart.
const MAX_COLUMNS: u32 = 16_384;

pub(super) fn load(name: &str, bytes: Vec<u8>, options: &LoadOptions) -> Result<Vec<Document>> {
    // The library unpacks without a limit.
    let mut package = Package::open("XLSX", bytes, options.max_bytes)?;
    package.check()?;
    let mut package = Package::open("XLSX", package.into_bytes(), options.max_bytes)?;
    let root = package.relations("")?;
    let core = root.by_kind("core-properties").unwrap_or("docProps/core.xml").to_owned();
    let core = package.tree(&core).ok().flatten();
    let property = |tag: &str| core.as_ref().and_then(|core| Some(core.find(tag)?.text().trim().to_owned()));
    let title = property("title").filter(|title| !title.is_empty()).unwrap_or_else(|| stem(name));
    let told = |e: calamine::XlsxError| failed(format!("XLSX: {e}"));
    let mut book = Xlsx::new(Cursor::new(package.into_bytes())).map_err(told)?;
    let sheets: Vec<(String, bool)> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible))
        .collect();
    let mut documents = Vec::new();
    let mut room = Room::new(options.max_bytes);
    // What is hidden is not what a reader sees.
    for (sheet, _) in sheets.iter().filter(|(_, visible)| *visible) {
        let text = table(&mut book, sheet, room.left() as usize);
        let text = text.map_err(|e| e.context(format_args!("sheet '{sheet}'")))?;
        if text.is_empty() {
            continue;
        }
        let known = metadata([("author", property("creator")), ("created", property("created"))]);
        let document = Document::new(format!("{name}#sheet={sheet}"), text)
            .title(if sheets.len() > 1 { format!("{title}: {sheet}") } else { title.clone() })
            .metadata(known)
            .metadata_field("sheet", sheet.as_str())
            .metadata_field("sheets", sheets.len());
        room.document(&document).map_err(|e| e.context("XLSX"))?;
        documents.push(document);
    }
    if documents.is_empty() {
        return Err(failed("XLSX: no sheet has a value"));
    }
    Ok(documents)
}

fn table(book: &mut Xlsx<Cursor<Vec<u8>>>, sheet: &str, limit: usize) -> Result<String> {
    let told = |e: calamine::XlsxError| failed(format!("XLSX: {e}"));
    let mut cells = book.worksheet_cells_reader(sheet).map_err(told)?;
    let mut text = String::new();
    let mut row: Option<u32> = None;
    let mut column = 0;
    while let Some(cell) = cells.next_cell().map_err(told)? {
        let value = shown(cell.get_value());
        if value.is_empty() {
            continue;
        }
        let (at_row, at_column) = cell.get_position();
        if row != Some(at_row) {
            text.push_str(if row.is_some() { " |\n| " } else { "| " });
            (row, column) = (Some(at_row), 0);
        }
        // Cells out of order would otherwise stand in the wrong column or be endless.
        while column < at_column.min(MAX_COLUMNS) {
            text.push_str(" | ");
            column += 1;
        }
        text.push_str(&value);
        if text.len() > limit {
            return Err(Error::new(Code::TooLarge, "XLSX: its text is longer than max_bytes".to_owned()));
        }
    }
    if row.is_some() {
        text.push_str(" |");
    }
    Ok(text)
}

/// A value as Excel would write it without a number format.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::Int(int) => int.to_string(),
        DataRef::Float(float) => rounded(*float),
        DataRef::Bool(true) => "TRUE".into(),
        DataRef::Bool(false) => "FALSE".into(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => one_line(text),
        DataRef::SharedString(text) => one_line(text),
        DataRef::Error(error) => error.to_string(),
        DataRef::DateTime(time) if time.is_duration() => match time.as_duration() {
            Some(time) => {
                let seconds = time.num_seconds();
                let (sign, seconds) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
                format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            None => rounded(time.as_f64()),
        },
        DataRef::DateTime(time) => match time.as_datetime() {
            // Days before the first are times alone.
            Some(at) if time.as_f64() < 1.0 => at.format("%H:%M:%S").to_string(),
            Some(at) if time.as_f64().fract() == 0.0 => at.format("%Y-%m-%d").to_string(),
            Some(at) => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            None => rounded(time.as_f64()),
        },
    }
}

/// Excel shows 15 significant digits, so that 0.1 + 0.2 is 0.3.
fn rounded(float: f64) -> String {
    let text = format!("{float:.14e}");
    text.parse::<f64>().unwrap_or(float).to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
