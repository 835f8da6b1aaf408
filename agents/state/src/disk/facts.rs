//! How are small values kept?

use std::sync::Arc;

use quorate_core::{Code, Error, Result};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use super::local::Local;
use super::payload::{self, Body};
use super::{Disk, blank, checksum, digest};

const ROW: &str = "SELECT key, data, payload, sum FROM facts";

fn space_of(tenant: Option<&str>, space: &str) -> [u8; 16] {
    digest("quorate-state space by tenant", &[tenant, Some(space)])
}

fn name_of(tenant: Option<&str>, space: &str, key: &str) -> [u8; 16] {
    digest("quorate-state value by tenant, space and key", &[tenant, Some(space), Some(key)])
}

fn sum_of(space: &[u8; 16], key: &str, text: &str, payload: Option<&str>) -> i64 {
    checksum(&[space, key.as_bytes(), text.as_bytes(), payload.unwrap_or_default().as_bytes()])
}

/// A value as it was read, before its payload.
struct Found {
    key: String,
    body: Body,
    sum: i64,
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found { key: row.get(0)?, body: Body::stored(row.get(1)?, row.get(2)?), sum: row.get(3)? })
}

impl Disk {
    pub(crate) fn put(&self, tenant: Option<&str>, space: &str, key: &str, value: &Value) -> Result<()> {
        let local = self.local()?;
        let (space, name) = (space_of(tenant, space), name_of(tenant, space, key));
        let body = Body::of(value);
        body.write(&local.paths.payloads)?;
        let payloads = body.file.is_some();
        let job = {
            let (local, key) = (Arc::clone(&local), key.to_owned());
            move |connection: &Connection| {
                let replaced = local.blank(connection, &name)?;
                body.ensure(&local.paths.payloads)?;
                let sum = sum_of(&space, &key, &body.text, body.name());
                let sql = "INSERT INTO facts (name, space, key, data, payload, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let insert = connection.prepare_cached(sql);
                insert
                    .and_then(|mut insert| insert.execute((name, space, key, &body.text, body.name(), sum)))
                    .map_err(|e| local.failed(e))?;
                Ok(replaced)
            }
        };
        let replaced = local.tidy(payloads, local.write(true, job))?;
        if let Some(payload) = replaced {
            // The value is written; what it replaced can also be removed by the next who opens the folder.
            let _ = local.collect(payload.as_slice());
            let _ = local.compact();
        }
        Ok(())
    }

    pub(crate) fn get(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<Option<Value>> {
        let local = self.local()?;
        let (space, name) = (space_of(tenant, space), name_of(tenant, space, key));
        let read = |connection: &Connection| {
            let sql = format!("{ROW} WHERE name = ?1");
            let one = connection.prepare_cached(&sql).and_then(|mut q| q.query_row([name], found).optional());
            Ok(one.map_err(|e| local.failed(e))?.into_iter().collect())
        };
        Ok(local.values(&space, read)?.pop().map(|(_, value)| value))
    }

    pub(crate) fn remove(&self, tenant: Option<&str>, space: &str, key: &str) -> Result<bool> {
        let local = self.local()?;
        let name = name_of(tenant, space, key);
        let inside = Arc::clone(&local);
        let removed = local.write(true, move |connection| inside.blank(connection, &name))?;
        let Some(payload) = removed else { return Ok(false) };
        local.collect(payload.as_slice())?;
        local.scrub()?;
        Ok(true)
    }

    pub(crate) fn list(&self, tenant: Option<&str>, space: &str) -> Result<Vec<(String, Value)>> {
        let local = self.local()?;
        let space = space_of(tenant, space);
        let mut all = local.values(&space, |connection| {
            let sql = format!("{ROW} WHERE space = ?1");
            let mut query = connection.prepare_cached(&sql).map_err(|e| local.failed(e))?;
            query.query_map([space], found).and_then(Iterator::collect).map_err(|e| local.failed(e))
        })?;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }
}

impl Local {
    /// Overwrites a value; none where there is no such one, else the name of its payload where it has one.
    fn blank(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<Option<String>>> {
        let bad = |e| self.failed(e);
        let sql = "SELECT n, payload, length(CAST(data AS BLOB)) + 128 FROM facts WHERE name = ?1";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        let there = query.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional();
        let Some((n, payload, waste)) = there.map_err(bad)? else { return Ok(None) };
        let (n, waste): (i64, i64) = (n, waste);
        let sql = format!(
            "UPDATE facts SET gone = 1, name = randomblob(16), space = randomblob(16), {}, {}, {} WHERE n = ?1",
            blank("key"),
            blank("data"),
            blank("payload")
        );
        let update = connection.prepare_cached(&sql);
        update.and_then(|mut update| update.execute([n])).map_err(bad)?;
        self.add_waste(connection, waste)?;
        Ok(Some(payload))
    }

    /// Values with their payloads. Errors: `corrupt`, `io`.
    fn values(
        &self,
        space: &[u8; 16],
        read: impl Fn(&Connection) -> Result<Vec<Found>>,
    ) -> Result<Vec<(String, Value)>> {
        self.settled(read, |rows| self.whole(space, rows))
    }

    /// Rows with their payloads; or the error of a payload that is not there.
    fn whole(&self, space: &[u8; 16], rows: Vec<Found>) -> Result<Result<Vec<(String, Value)>>> {
        let payloads = &self.paths.payloads;
        let mut values = Vec::with_capacity(rows.len());
        for found in rows {
            let Found { key, body, sum } = &found;
            if sum_of(space, key, &body.text, body.name()) != *sum {
                return Err(self.damaged_value(key));
            }
            let Some(text) = body.read(payloads)? else {
                return Ok(Err(payload::missing(payloads, body.name().unwrap_or_default())));
            };
            let value = serde_json::from_str(&text).map_err(|_| self.damaged_value(&found.key))?;
            values.push((found.key, value));
        }
        Ok(Ok(values))
    }

    fn damaged_value(&self, key: &str) -> Error {
        let file = self.paths.database.display();
        Error::new(
            Code::Corrupt,
            format!("{file}: the value of '{key}' is not what was written; restore it from a copy"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::local::ATTEMPTS;
    use super::*;

    #[test]
    fn a_value_that_is_replaced_again_and_again_is_read_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        let put = |round: usize| {
            let value = Value::from(format!("{round} ").repeat(crate::MAX_INLINE_BYTES));
            disk.put(None, "s", "k", &value).unwrap();
        };
        put(0);
        let local = disk.local().unwrap();
        let (space, rounds) = (space_of(None, "s"), std::cell::Cell::new(0));
        let values = local.values(&space, |connection| {
            let sql = format!("{ROW} WHERE space = ?1");
            let mut query = connection.prepare_cached(&sql).unwrap();
            let rows = query.query_map([space], found).and_then(Iterator::collect).unwrap();
            // Between each row and its file another thread replaces the value, and takes the file away.
            rounds.set(rounds.get() + 1);
            if rounds.get() <= ATTEMPTS {
                put(rounds.get());
            }
            Ok(rows)
        });
        assert_eq!((values.unwrap().len(), rounds.get()), (1, ATTEMPTS + 1));
    }
}
