//! What do experts of an offline run read?

use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};
use quorate_runtime::{Passage, Retrieve, Wanted};
use serde_json::Value;

/// The case itself, as sentences: what the run was started with, and what its steps came to.
pub(crate) struct CaseFile(Vec<Passage>);

impl CaseFile {
    pub(crate) fn of(title: &str, parts: &[(&str, &Value)]) -> CaseFile {
        let passages = parts.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
            let mut text = String::new();
            sentences(name, value, &mut text);
            Passage {
                doc_id: (*name).to_owned(),
                chunk_id: (*name).to_owned(),
                title: title.to_owned(),
                end: text.len(),
                text,
                score: 1.0,
                ..Passage::default()
            }
        });
        CaseFile(passages.filter(|passage| !passage.text.is_empty()).collect())
    }
}

fn sentences(name: &str, value: &Value, text: &mut String) {
    let plain = |name: &str| name.replace(['_', '-', '.'], " ");
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                sentences(&format!("{} {}", plain(name), plain(field)), value, text);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for item in items {
                sentences(name, item, text);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(said).collect();
            text.push_str(&format!("The {} is {}. ", plain(name), items.join(", ")));
        }
        other => {
            let said = said(other);
            match said.contains(". ") || said.ends_with('.') {
                true => text.push_str(&format!("{said} ")),
                false => text.push_str(&format!("The {} is {said}. ", plain(name))),
            }
        }
    }
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

impl Retrieve for CaseFile {
    fn passages(&self, _: &str, _: &Wanted, _: &Cancel) -> Result<Vec<Passage>> {
        Ok(self.0.clone())
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}
