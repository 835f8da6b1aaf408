//! What does a table in text form say, row by row?

use quorate_core::Result;
use serde_json::{Map, Value as Json};

use crate::Document;

use super::text::decode;
use super::{failed, record};

pub(super) fn load(name: &str, bytes: Vec<u8>, delimiter: u8) -> Result<Vec<Document>> {
    let (text, _) = decode(bytes);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|e| failed(format!("CSV: {e}")))?.clone();
    let mut documents = Vec::new();
    for (row, cells) in (1..).zip(reader.records()) {
        let cells = cells.map_err(|e| failed(format!("CSV: {e}")))?;
        let members = headers.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
        let members: Map<String, Json> =
            members.map(|(header, cell)| (header.trim().to_owned(), value(header.trim(), cell))).collect();
        let document = record::document(members, format!("{name}#row={row}"));
        documents.push(document.map_err(|e| e.context(format_args!("row {row}")))?);
    }
    Ok(documents)
}

/// A cell as a number or bool where it is written as one without loss; ids stay strings ("007").
fn value(header: &str, cell: &str) -> Json {
    if header.to_ascii_lowercase().ends_with("id") {
        return cell.into();
    }
    if let Ok(int) = cell.parse::<i64>()
        && int.to_string() == cell
    {
        return int.into();
    }
    let decimal = cell.contains('.') && cell.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    if decimal
        && let Ok(float) = cell.parse::<f64>()
        && float.is_finite()
    {
        return float.into();
    }
    match cell {
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => cell.into(),
    }
}
