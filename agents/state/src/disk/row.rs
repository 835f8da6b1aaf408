//! How do runs and their entries stand in the tables?

use quorate_core::{Code, Error, Result};
use rusqlite::Row;

use super::checksum;
use super::local::Holding;
use super::payload::Body;
use crate::{Entry, RunRow};

pub(super) const ROW: &str =
    "SELECT r.n, l.id, l.kind, l.tenant, l.title, l.parent, l.key, r.status, r.cancel, r.created,
    r.updated, r.entries, r.fence, r.holder, r.machine, r.beat FROM runs r JOIN labels l ON l.n = r.n";

/// A row with who holds it.
pub(super) struct Record {
    pub(super) row: RunRow,
    pub(super) holding: Holding,
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let holding = Holding {
        n: row.get(0)?,
        fence: row.get(12)?,
        holder: row.get(13)?,
        machine: row.get(14)?,
        beat: row.get(15)?,
    };
    let row = RunRow {
        id: row.get(1)?,
        kind: row.get(2)?,
        tenant: row.get(3)?,
        title: row.get(4)?,
        parent: row.get(5)?,
        key: row.get(6)?,
        status: row.get(7)?,
        cancelled: row.get(8)?,
        created: row.get(9)?,
        updated: row.get(10)?,
        entries: row.get::<_, i64>(11)?.unsigned_abs(),
    };
    Ok(Record { row, holding })
}

/// An entry as it is stored.
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) time: f64,
    pub(super) kind: String,
    pub(super) body: Body,
    pub(super) sum: i64,
}

impl Stored {
    pub(super) fn of(run: &[u8; 16], entry: &Entry) -> Result<Stored> {
        let seq = i64::try_from(entry.seq)
            .map_err(|_| Error::new(Code::StaleWrite, format!("no run has an entry {}", entry.seq)))?;
        Ok(Stored::at(run, seq, entry))
    }

    /// The same under another number.
    pub(super) fn at(run: &[u8; 16], seq: i64, entry: &Entry) -> Stored {
        let (body, kind) = (Body::of(&entry.data), entry.kind.clone());
        let sum = sum_of(run, seq, entry.time, &kind, &body.text, body.name());
        Stored { seq, time: entry.time, kind, body, sum }
    }
}

pub(super) fn sum_of(
    run: &[u8; 16],
    seq: i64,
    time: f64,
    kind: &str,
    text: &str,
    payload: Option<&str>,
) -> i64 {
    // SQLite has no negative zero.
    let time = (time + 0.0).to_bits().to_le_bytes();
    checksum(&[
        run,
        &seq.to_le_bytes(),
        &time,
        kind.as_bytes(),
        text.as_bytes(),
        payload.unwrap_or_default().as_bytes(),
    ])
}

/// An entry as it was read, before its payload.
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) time: f64,
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) payload: Option<String>,
}
