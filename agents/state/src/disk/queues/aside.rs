//! What becomes of a message whose row is not what was written?
//!
//! What it holds by (its state, its places, its keeper) cannot be relied on. It is put aside as dead, with its number and content, and with
//! all that stands in its row in the reason: it keeps nobody from the others, and nothing of it is lost.

use quorate_core::Result;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use super::bodies::Of;
use super::shelf::{DiskShelf, ROW, read, sum_of};
use crate::disk::Body;
use crate::queue::{Row, State};

/// The columns of a row, as they are read.
const COLUMNS: [&str; 16] = [
    "number", "state", "place", "priority", "since", "due", "attempts", "fence", "keeper", "machine",
    "slots", "parked", "keeps", "body", "note", "sum",
];

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => {
            bytes.iter().fold(String::from("0x"), |text, byte| format!("{text}{byte:02x}")).into()
        }
    }
}

impl DiskShelf<'_> {
    /// Puts its messages aside that are not what was written; how many.
    pub(super) fn set_aside(&mut self, now: f64) -> Result<usize> {
        let bad = |e| self.desk.bad(e);
        let mut damaged = Vec::new();
        {
            let mut query = self.desk.connection.prepare(&format!("{ROW} 1 ORDER BY number")).map_err(bad)?;
            let mut rows = query.query([self.n]).map_err(bad)?;
            while let Some(found) = rows.next().map_err(bad)? {
                let whole = matches!(read(found), Ok((Some(row), sum)) if sum_of(&self.name, &row) == sum);
                let Ok(number) = found.get::<_, i64>(0) else { continue };
                if !whole {
                    let all = COLUMNS.iter().enumerate().map(|(i, name)| {
                        let value = found.get_ref(i).map(shown).unwrap_or_default();
                        ((*name).to_owned(), value)
                    });
                    let stood: serde_json::Map<String, Value> = all.collect();
                    let fence = found.get::<_, i64>(7).unwrap_or(0).unsigned_abs();
                    damaged.push((number, fence, found.get::<_, i64>(13).unwrap_or(0), Value::Object(stood)));
                }
            }
        }
        for (number, fence, body, stood) in &damaged {
            let mut row = Row {
                number: number.unsigned_abs(),
                state: State::Dead,
                place: 0.0,
                priority: 0,
                since: now,
                due: now,
                attempts: 0,
                // Whoever holds it does not any more.
                fence: (*fence).min(i64::MAX as u64 - 1) + 1,
                keeper: None,
                slots: Vec::new(),
                parked: None,
                keeps: false,
                body: *body,
                note: 0,
            };
            let why = format!(
                "corrupt: {}: the row of the message is not what was written, and was put aside: {stood}",
                self.desk.local.paths.database.display()
            );
            let of = Of { owner: &self.name, what: "note", number: row.number };
            row.note = self.desk.write(of, &Body::of(&json!(why)))?;
            let sql = "UPDATE messages SET state = ?3, place = ?4, priority = ?5, since = ?6, due = ?7, attempts = ?8,
                fence = ?9, keeper = NULL, machine = NULL, slots = ?10, parked = NULL, keeps = ?11, body = ?12, note = ?13,
                sum = ?14 WHERE queue = ?1 AND number = ?2";
            let values = rusqlite::params![
                self.n,
                number,
                row.state as i64,
                row.place,
                row.priority,
                row.since,
                row.due,
                row.attempts,
                i64::try_from(row.fence).unwrap_or(i64::MAX),
                row.slots.as_flattened(),
                row.keeps,
                row.body,
                row.note,
                sum_of(&self.name, &row),
            ];
            self.desk.do_with(sql, values)?;
            // Its places are free.
            self.desk.do_with("DELETE FROM uses WHERE queue = ?1 AND number = ?2", (self.n, number))?;
        }
        Ok(damaged.len())
    }
}
