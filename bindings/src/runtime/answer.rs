//! How do answers, events and runs look to hosts?

use quorate_core::{Error, Result};
use quorate_models::Message;
use quorate_runtime::{Answer, Citation, Event, Pending};
use quorate_state::RunRow;
use serde_json::{Value, json};

use super::renamed;
use crate::Host;

/// An answer. Places in documents are in the host's units. Errors: `internal`.
pub fn answer(host: Host, answer: &Answer) -> Result<Value> {
    let mut out = answer.to_json()?;
    place_all(host, &mut out);
    Ok(renamed(host, out))
}

/// Brings every citation in a value to the host's units.
pub(super) fn place_all(host: Host, value: &mut Value) {
    match value {
        Value::Object(members) => {
            // Only what has a citation's own fields is tried as one.
            let may_be = members.contains_key("marker") && members.contains_key("before");
            if may_be && let Ok(citation) = serde_json::from_value::<Citation>(Value::Object(members.clone()))
            {
                let before = match host {
                    Host::Python => citation.before.chars,
                    Host::Node => citation.before.utf16,
                };
                members.insert("start".to_owned(), json!(before));
                members.insert("end".to_owned(), json!(before + host.length(&citation.text)));
                members.remove("before");
                return;
            }
            for (name, member) in members.iter_mut() {
                if matches!(name.as_str(), "citations" | "checks" | "evidence" | "result" | "partial") {
                    place_all(host, member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| place_all(host, item)),
        _ => {}
    }
}

/// An event.
pub fn event(host: Host, event: &Event) -> Value {
    let mut out = serde_json::to_value(event).unwrap_or_default();
    place_all(host, &mut out);
    renamed(host, out)
}

/// The last event of a stream that could not be read.
pub fn failed(error: &Error) -> Value {
    json!({"type": "error", "code": error.code().as_str(), "message": error.message(), "partial": null})
}

/// A run as lists show it.
pub fn row(host: Host, row: &RunRow) -> Value {
    renamed(
        host,
        json!({
            "run_id": row.id, "kind": row.kind, "title": row.title, "status": row.status, "parent": row.parent,
            "created": row.created, "updated": row.updated, "entries": row.entries,
        }),
    )
}

/// What waits for a decision.
pub fn pending(host: Host, pending: &Pending) -> Value {
    renamed(host, json!(pending))
}

/// Messages as the models' calls take them.
pub fn messages(messages: &[Message]) -> Value {
    messages.iter().map(Message::to_json).collect()
}
