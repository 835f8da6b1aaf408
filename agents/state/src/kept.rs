//! As what are the entries of a journal kept in memory?
//!
//! As text: it takes a fraction of the memory of the values, and is let go of at once. Most entries are never read.

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use crate::Entry;

/// The deepest lists and objects within one another that are read back from a text.
const MOST_DEPTH: u32 = 100;

/// An entry as it is kept.
pub(crate) struct Kept {
    seq: u64,
    time: f64,
    kind: Box<str>,
    data: Data,
}

enum Data {
    Text(Box<str>),
    /// What no text is read back from.
    Tree(Value),
}

/// Entries as they are kept.
pub(crate) fn kept(entries: &[Entry]) -> Vec<Kept> {
    entries.iter().map(Kept::of).collect()
}

impl Kept {
    fn of(entry: &Entry) -> Kept {
        let text = match is_deeper(&entry.data, MOST_DEPTH) {
            true => None,
            false => serde_json::to_string(&entry.data).ok(),
        };
        let data = text.map_or_else(|| Data::Tree(entry.data.clone()), |text| Data::Text(text.into()));
        Kept { seq: entry.seq, time: entry.time, kind: entry.kind.as_str().into(), data }
    }

    /// The entry. Errors: `internal`, where its text is none that was written from a value.
    pub(crate) fn entry(&self) -> Result<Entry> {
        let data = match &self.data {
            Data::Text(text) => serde_json::from_str(text).map_err(|error| {
                let message = format!("entry {} ('{}') cannot be read back: {error}", self.seq, self.kind);
                Error::new(Code::Internal, message)
            })?,
            Data::Tree(tree) => tree.clone(),
        };
        Ok(Entry { seq: self.seq, time: self.time, kind: self.kind.to_string(), data })
    }
}

fn is_deeper(value: &Value, most: u32) -> bool {
    match value {
        Value::Array(items) => most == 0 || items.iter().any(|item| is_deeper(item, most - 1)),
        Value::Object(members) => most == 0 || members.values().any(|member| is_deeper(member, most - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_kept_is_what_comes_back() {
        let deep = |levels: u32| (0..levels).fold(json!({"in": 1}), |inner, _| json!([inner]));
        let values = [
            json!(null),
            json!({"b": [1, -1, u64::MAX, i64::MIN], "a": "\u{0}\"\\\u{1F600}\u{2028}", "": {}}),
            json!([0.1, -0.0, 1e-320, f64::MAX, f64::MIN_POSITIVE, 0.1 + 0.2, 123_456_789.123_456_79]),
            deep(99),
            deep(100),
            deep(126),
            deep(500),
        ];
        for (i, value) in values.into_iter().enumerate() {
            let entry = Entry { time: 0.1 + 0.2, ..Entry::new(i as u64, format!("kind {i}"), value) };
            let found = Kept::of(&entry).entry().unwrap();
            assert_eq!(found, entry);
            // To the last bit, and in the same order.
            assert_eq!(format!("{found:?}"), format!("{entry:?}"));
        }
    }
}
