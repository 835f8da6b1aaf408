//! What do lines of JSON say?

use quorate_core::Result;
use serde_json::Value as Json;

use crate::Document;

use super::text::decode;
use super::{failed, record};

pub(super) fn load(name: &str, bytes: Vec<u8>) -> Result<Vec<Document>> {
    let (text, _) = decode(bytes);
    let mut documents = Vec::new();
    for (row, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let value: Json = serde_json::from_str(line).map_err(|e| failed(format!("line {row}: {e}")))?;
        let Json::Object(members) = value else {
            return Err(failed(format!("line {row}: expected an object")));
        };
        let document = record::document(members, format!("{name}#row={row}"));
        documents.push(document.map_err(|e| e.context(format_args!("line {row}")))?);
    }
    Ok(documents)
}
