//! How do the texts of queues and events stand, and how are they overwritten?

use std::cell::RefCell;

use quorate_core::{Code, Error, Result};
use rusqlite::{Connection, OptionalExtension};

use super::super::local::Local;
use super::super::payload::Body;
use super::super::{blank, checksum};
use crate::queue::Doc;

/// What a text belongs to: a hash of its owner, what it is there, and the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) owner: &'a [u8; 16],
    pub(super) what: &'static str,
    pub(super) number: u64,
}

impl Of<'_> {
    fn sum(&self, text: &str, payload: Option<&str>) -> i64 {
        checksum(&[
            self.owner,
            self.what.as_bytes(),
            &self.number.to_le_bytes(),
            text.as_bytes(),
            payload.unwrap_or_default().as_bytes(),
        ])
    }
}

/// How many steps the database has made for statements of queues, in this process.
#[cfg(test)]
pub(crate) static STEPS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[cfg(test)]
fn count(statement: &rusqlite::Statement<'_>) {
    let steps = statement.reset_status(rusqlite::StatementStatus::VmStep);
    STEPS.fetch_add(u64::try_from(steps).unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(test))]
fn count(_: &rusqlite::Statement<'_>) {}

/// A transaction, with the payloads whose last row it has overwritten.
pub(super) struct Desk<'a> {
    pub(super) local: &'a Local,
    pub(super) connection: &'a Connection,
    pub(super) payloads: RefCell<Vec<String>>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(local: &'a Local, connection: &'a Connection) -> Desk<'a> {
        Desk { local, connection, payloads: RefCell::new(Vec::new()) }
    }

    pub(super) fn bad(&self, error: rusqlite::Error) -> Error {
        self.local.failed(error)
    }

    pub(super) fn do_with(&self, sql: &str, with: impl rusqlite::Params) -> Result<usize> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| {
            let done = statement.execute(with);
            count(&statement);
            done
        });
        done.map_err(|e| self.bad(e))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        with: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self.connection.prepare_cached(sql).and_then(|mut query| {
            let found = query.query_row(with, read).optional();
            count(&query);
            found
        });
        found.map_err(|e| self.bad(e))
    }

    pub(super) fn write(&self, of: Of<'_>, body: &Body) -> Result<i64> {
        body.ensure(&self.local.paths.payloads)?;
        let sql = "INSERT INTO bodies (data, payload, sum) VALUES (?1, ?2, ?3)";
        let insert = self.connection.prepare_cached(sql);
        let values = (&body.text, body.name(), of.sum(&body.text, body.name()));
        insert.and_then(|mut insert| insert.insert(values)).map_err(|e| self.bad(e))
    }

    pub(super) fn read(&self, of: Of<'_>, n: i64) -> Result<Doc> {
        let sql = "SELECT data, payload, sum FROM bodies WHERE n = ?1 AND gone = 0";
        let row = self.one(sql, [n], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?))
        })?;
        Ok(match row {
            Some((text, payload, sum)) if of.sum(&text, payload.as_deref()) == sum => match payload {
                Some(name) => Doc::File(name),
                None => Doc::Text(text),
            },
            _ => Doc::Damaged(format!(
                "{}: {} {} is not what was written; restore it from a copy",
                self.local.paths.database.display(),
                of.what,
                of.number
            )),
        })
    }

    /// Overwrites a text where it stands.
    pub(super) fn blank(&self, n: i64) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        let sql = "SELECT length(CAST(data AS BLOB)) + 64, payload FROM bodies WHERE n = ?1 AND gone = 0";
        let found =
            self.one(sql, [n], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?;
        let Some((waste, payload)) = found else { return Ok(()) };
        let sql = format!("UPDATE bodies SET gone = 1, {}, {} WHERE n = ?1", blank("data"), blank("payload"));
        self.do_with(&sql, [n])?;
        self.local.add_waste(self.connection, waste)?;
        self.payloads.borrow_mut().extend(payload);
        Ok(())
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        let file = self.local.paths.database.display();
        Error::new(Code::Corrupt, format!("{file}: {what} is not what was written; restore it from a copy"))
    }
}
