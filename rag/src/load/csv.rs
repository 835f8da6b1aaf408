//! What does a table in text form say, row by row?

use csv::{Reader, ReaderBuilder, StringRecord};
use quorate_core::Result;

use super::column::{Column, Kind};
use super::record::{Member, Roles};
use super::table::{CsvOptions, Header};
use super::{Each, failed};

/// Gives `each` the document of each row, or why the row cannot be read; other rows follow. The text is read twice: the
/// types of the columns are decided over all rows first. Errors: `invalid_argument`, `load_failed` (a column that is not
/// there), and those of `each`.
pub(super) fn load(
    name: &str,
    text: &str,
    tabs: bool,
    options: &CsvOptions,
    each: &mut Each<'_>,
) -> Result<()> {
    options.validate()?;
    let table = Table::new(text, tabs, options)?;
    let mut columns = vec![Column::default(); table.names.len()];
    table.rows(&mut |_, row| {
        if let Ok(cells) = row {
            columns.iter_mut().zip(cells.iter()).for_each(|(column, cell)| column.see(cell));
        }
        Ok(())
    })?;
    let kinds: Vec<Kind> = columns.iter().map(Column::kind).collect();
    let roles = Roles::new(table.names.iter().map(String::as_str), options);
    table.rows(&mut |number, row| {
        let document = row.and_then(|cells| {
            let cells = cells.iter().chain(std::iter::repeat(""));
            let members = table.names.iter().zip(&kinds).zip(cells).map(|((name, kind), cell)| Member {
                name: name.clone(),
                value: kind.value(cell),
                written: Some(cell.to_owned()),
            });
            let document = roles.document(members.collect(), format!("{name}#row={number}"));
            document.map_err(|e| e.context(format_args!("row {number}")))
        });
        each(document)
    })
}

/// A text with what is known of its form.
struct Table<'a> {
    text: &'a str,
    delimiter: u8,
    quote: u8,
    names: Vec<String>,
    /// Whether the first record is one of names.
    named: bool,
}

impl<'a> Table<'a> {
    fn new(text: &'a str, tabs: bool, options: &CsvOptions) -> Result<Self> {
        let quote = options.quote.unwrap_or('"') as u8;
        let delimiter = match options.delimiter {
            Some(mark) => mark as u8,
            None if tabs => b'\t',
            None => delimiter(text, quote),
        };
        let mut table = Table { text, delimiter, quote, names: Vec::new(), named: true };
        let mut first = StringRecord::new();
        table.reader().read_record(&mut first).map_err(|e| failed(format!("CSV: {e}")))?;
        let names: Vec<&str> = match &options.header {
            Header::First(true) => first.iter().collect(),
            Header::First(false) => vec![""; first.len()],
            Header::Names(names) => names.iter().map(String::as_str).collect(),
        };
        table.named = options.header == Header::First(true);
        table.names = distinct(&names);
        if let Some(lacking) = options.named().find(|name| !table.names.contains(name)) {
            let there = table.names.join("', '");
            return Err(failed(format!("CSV: there is no column '{lacking}'; the columns are '{there}'")));
        }
        Ok(table)
    }

    fn reader(&self) -> Reader<&'a [u8]> {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.delimiter).quote(self.quote).flexible(true).has_headers(false);
        builder.from_reader(self.text.as_bytes())
    }

    /// Each row with its number, from 1; cells that a row lacks at its end are missing values, and cells beyond the last
    /// column make it unreadable.
    fn rows(&self, each: &mut dyn FnMut(u64, Result<&StringRecord>) -> Result<()>) -> Result<()> {
        let mut reader = self.reader();
        let mut cells = StringRecord::new();
        let mut number = 0;
        let mut skip = self.named;
        loop {
            let more = reader.read_record(&mut cells).map_err(|e| failed(format!("CSV: {e}")))?;
            if !more {
                return Ok(());
            }
            if std::mem::take(&mut skip) {
                continue;
            }
            number += 1;
            let line = cells.position().map_or(0, csv::Position::line);
            let columns = self.names.len();
            let beyond = cells.iter().skip(columns).any(|cell| !cell.trim().is_empty());
            if beyond {
                let message = format!(
                    "row {number} (line {line}) has {} cells, there are {columns} columns",
                    cells.len()
                );
                each(number, Err(failed(message)))?;
            } else if self.is_open(&cells, &reader) {
                let message = format!("row {number} (line {line}) has a quotation mark that is never closed");
                each(number, Err(failed(message)))?;
            } else {
                each(number, Ok(&cells))?;
            }
        }
    }

    /// Whether the last record took in all lines that follow, because a quotation mark has no other.
    fn is_open(&self, cells: &StringRecord, reader: &Reader<&[u8]>) -> bool {
        let end = reader.position().byte();
        if end < self.text.len() as u64 || !cells.iter().any(|cell| cell.contains('\n')) {
            return false;
        }
        let start = cells.position().map_or(0, csv::Position::byte) as usize;
        let tail = &self.text.as_bytes()[start.min(self.text.len())..];
        tail.iter().filter(|&&byte| byte == self.quote).count() % 2 == 1
    }
}

/// A comma, or where the first line has none outside of quotes, what it has most of.
fn delimiter(text: &str, quote: u8) -> u8 {
    let line = text.trim_start_matches(['\r', '\n']).lines().next().unwrap_or_default();
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in line.bytes() {
        if byte == quote {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(mark, _)| *mark == byte) {
            *count += 1;
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    match counts[0].1 {
        0 => most.filter(|(_, count)| *count > 0).map_or(b',', |(mark, _)| *mark),
        _ => b',',
    }
}

/// Names that differ, for columns that may have none or the same.
fn distinct(names: &[&str]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut copies = std::collections::HashMap::new();
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let bare = match name.trim() {
            "" => format!("column{}", i + 1),
            bare => bare.to_owned(),
        };
        let mut name = bare.clone();
        let copy = copies.entry(bare.clone()).or_insert(1u32);
        while !seen.insert(name.clone()) {
            *copy += 1;
            name = format!("{bare}_{copy}");
        }
        out.push(name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_and_names() {
        assert_eq!(delimiter("a;b;c|d\n1,2", b'"'), b';');
        assert_eq!(delimiter("\"a,b\"\tc\n", b'"'), b'\t');
        assert_eq!(delimiter("a,b;c;d", b'"'), b',');
        assert_eq!(delimiter("text", b'"'), b',');
        assert_eq!(delimiter("", b'"'), b',');
        assert_eq!(distinct(&["a", " a ", "", "a_2", "a"]), ["a", "a_2", "column3", "a_2_2", "a_3"]);
    }
}
