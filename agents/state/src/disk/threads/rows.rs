//! What does a row hold, by which hash is it found, and what shows that it is what was written?

use quorate_core::{Code, Error, Result};
use rusqlite::{Connection, Row};

use super::super::local::Local;
use super::super::payload::Body;
use super::super::{blank, checksum, digest};
use super::tables::nobody;
use crate::checkpoint::{Growth, Order};

pub(super) fn scope_of(tenant: Option<&str>) -> [u8; 16] {
    digest("quorate-state threads of a tenant", &[tenant])
}

pub(super) fn thread_name(tenant: Option<&str>, thread: &str) -> [u8; 16] {
    digest("quorate-state thread by tenant and name", &[tenant, Some(thread)])
}

pub(super) fn space_name(thread: &[u8; 16], namespace: &str) -> [u8; 16] {
    inside("quorate-state namespace", thread, &[namespace])
}

pub(super) fn checkpoint_name(space: &[u8; 16], id: &str) -> [u8; 16] {
    inside("quorate-state checkpoint", space, &[id])
}

pub(super) fn value_name(space: &[u8; 16], channel: &str, version: &str) -> [u8; 16] {
    inside("quorate-state value of a channel", space, &[channel, version])
}

pub(super) fn write_name(checkpoint: &[u8; 16], task: &str, index: i64) -> [u8; 16] {
    inside("quorate-state write of a task", checkpoint, &[task, &index.to_string()])
}

/// A hash of something that lies in what another hash names.
fn inside(of: &str, outer: &[u8; 16], parts: &[&str]) -> [u8; 16] {
    let outer = blake3::Hash::from_bytes({
        let mut wide = [0; 32];
        wide[..16].copy_from_slice(outer);
        wide
    });
    let outer = outer.to_hex();
    let mut all = vec![Some(outer.as_str())];
    all.extend(parts.iter().map(|part| Some(*part)));
    digest(of, &all)
}

#[derive(Clone, Debug)]
pub(super) struct SpaceRow {
    pub(super) name: [u8; 16],
    pub(super) thread: i64,
    pub(super) label: String,
    pub(super) namespace: String,
}

impl SpaceRow {
    fn sum(&self) -> i64 {
        checksum(&[&self.name, self.label.as_bytes(), self.namespace.as_bytes()])
    }
}

#[derive(Clone, Debug)]
pub(super) struct CheckpointRow {
    pub(super) name: [u8; 16],
    pub(super) place: Order,
    pub(super) time: f64,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) versions: String,
    pub(super) body: Body,
}

impl CheckpointRow {
    fn sum(&self) -> i64 {
        checksum(&[
            &self.name,
            &self.place,
            &self.time.to_bits().to_le_bytes(),
            self.id.as_bytes(),
            &[u8::from(self.parent.is_some())],
            self.parent.as_deref().unwrap_or_default().as_bytes(),
            self.versions.as_bytes(),
            self.body.text.as_bytes(),
            self.body.name().unwrap_or_default().as_bytes(),
        ])
    }
}

#[derive(Clone, Debug)]
pub(super) struct ValueRow {
    pub(super) name: [u8; 16],
    pub(super) channel: String,
    pub(super) version: String,
    /// None: there is no value.
    pub(super) body: Option<Body>,
    /// Where it lies in the channel's array; none: it is whole.
    pub(super) growth: Option<Growth>,
}

fn value_sum(row: &ValueRow, body: &Body, base: Option<&str>) -> i64 {
    let mut parts = vec![
        row.name.as_slice(),
        row.channel.as_bytes(),
        row.version.as_bytes(),
        body.text.as_bytes(),
        body.name().unwrap_or_default().as_bytes(),
    ];
    // Rows from before there were pieces have no part for it.
    parts.extend(base.map(str::as_bytes));
    checksum(&parts)
}

#[derive(Clone, Debug)]
pub(super) struct WriteRow {
    pub(super) name: [u8; 16],
    pub(super) checkpoint: [u8; 16],
    pub(super) task: String,
    pub(super) path: String,
    pub(super) index: i64,
    pub(super) channel: String,
    pub(super) body: Body,
}

impl WriteRow {
    fn sum(&self) -> i64 {
        checksum(&[
            &self.name,
            &self.checkpoint,
            self.task.as_bytes(),
            self.path.as_bytes(),
            &self.index.to_le_bytes(),
            self.channel.as_bytes(),
            self.body.text.as_bytes(),
            self.body.name().unwrap_or_default().as_bytes(),
        ])
    }
}

const SPACE: &str = "SELECT n, gone, sum, name, thread, label, namespace FROM spaces";
const CHECKPOINT: &str =
    "SELECT n, gone, sum, name, place, time, id, parent, versions, data, payload FROM checkpoints";
const VALUE: &str = "SELECT n, gone, sum, name, channel, version, data, payload, base FROM channels";
const WRITE: &str =
    "SELECT n, gone, sum, name, checkpoint, task, path, place, channel, data, payload FROM writes";

impl Local {
    pub(super) fn insert_space(&self, connection: &Connection, row: &SpaceRow) -> Result<i64> {
        let sql = "INSERT INTO spaces (name, thread, label, namespace, sum) VALUES (?1, ?2, ?3, ?4, ?5)";
        let insert = connection.prepare_cached(sql);
        let n = insert.and_then(|mut insert| {
            insert.insert((row.name, row.thread, &row.label, &row.namespace, row.sum()))
        });
        n.map_err(|e| self.failed(e))
    }

    pub(super) fn insert_checkpoint(
        &self,
        connection: &Connection,
        space: i64,
        row: &CheckpointRow,
    ) -> Result<()> {
        row.body.ensure(&self.paths.payloads)?;
        let sql =
            "INSERT INTO checkpoints (name, space, place, time, id, parent, versions, data, payload, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let insert = connection.prepare_cached(sql);
        let values = (
            row.name,
            space,
            row.place,
            row.time,
            &row.id,
            &row.parent,
            &row.versions,
            &row.body.text,
            row.body.name(),
            row.sum(),
        );
        insert.and_then(|mut insert| insert.execute(values)).map(drop).map_err(|e| self.failed(e))
    }

    pub(super) fn insert_value(
        &self,
        connection: &Connection,
        space: i64,
        row: &ValueRow,
        body: &Body,
    ) -> Result<()> {
        body.ensure(&self.paths.payloads)?;
        let sql = "INSERT INTO channels (name, space, channel, version, data, payload, sum, base)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let insert = connection.prepare_cached(sql);
        let base = row.growth.as_ref().map(Growth::to_text);
        let sum = value_sum(row, body, base.as_deref());
        let values = (row.name, space, &row.channel, &row.version, &body.text, body.name(), sum, base);
        insert.and_then(|mut insert| insert.execute(values)).map(drop).map_err(|e| self.failed(e))
    }

    pub(super) fn insert_write(&self, connection: &Connection, space: i64, row: &WriteRow) -> Result<()> {
        row.body.ensure(&self.paths.payloads)?;
        let sql =
            "INSERT INTO writes (name, space, checkpoint, task, path, place, channel, data, payload, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let insert = connection.prepare_cached(sql);
        let values = (
            row.name,
            space,
            row.checkpoint,
            &row.task,
            &row.path,
            row.index,
            &row.channel,
            &row.body.text,
            row.body.name(),
            row.sum(),
        );
        insert.and_then(|mut insert| insert.execute(values)).map(drop).map_err(|e| self.failed(e))
    }

    /// Namespaces with their numbers. Errors: `corrupt`.
    pub(super) fn spaces(
        &self,
        connection: &Connection,
        rest: &str,
        with: impl rusqlite::Params,
    ) -> Result<Vec<(i64, SpaceRow)>> {
        self.rows(connection, &format!("{SPACE} {rest}"), with, |row| {
            let found = SpaceRow {
                name: row.get(3)?,
                thread: row.get(4)?,
                label: row.get(5)?,
                namespace: row.get(6)?,
            };
            let sum = found.sum();
            Ok((found, sum))
        })
    }

    /// Checkpoints with their numbers; a body that has a file has only its name. Errors: `corrupt`.
    pub(super) fn checkpoint_rows(
        &self,
        connection: &Connection,
        rest: &str,
        with: impl rusqlite::Params,
    ) -> Result<Vec<(i64, CheckpointRow)>> {
        self.rows(connection, &format!("{CHECKPOINT} {rest}"), with, |row| {
            let found = CheckpointRow {
                name: row.get(3)?,
                place: row.get(4)?,
                time: row.get(5)?,
                id: row.get(6)?,
                parent: row.get(7)?,
                versions: row.get(8)?,
                body: Body::stored(row.get(9)?, row.get(10)?),
            };
            let sum = found.sum();
            Ok((found, sum))
        })
    }

    /// Values with their numbers, likewise. Errors: `corrupt`.
    pub(super) fn value_rows(
        &self,
        connection: &Connection,
        rest: &str,
        with: impl rusqlite::Params,
    ) -> Result<Vec<(i64, ValueRow)>> {
        self.rows(connection, &format!("{VALUE} {rest}"), with, |row| {
            let body = Body::stored(row.get(6)?, row.get(7)?);
            let base: Option<String> = row.get(8)?;
            let mut found = ValueRow {
                name: row.get(3)?,
                channel: row.get(4)?,
                version: row.get(5)?,
                body: None,
                growth: base.as_deref().and_then(Growth::parse),
            };
            let sum = value_sum(&found, &body, base.as_deref());
            found.body = Some(body);
            Ok((found, sum))
        })
    }

    /// Writes with their numbers, likewise. Errors: `corrupt`.
    pub(super) fn write_rows(
        &self,
        connection: &Connection,
        rest: &str,
        with: impl rusqlite::Params,
    ) -> Result<Vec<(i64, WriteRow)>> {
        self.rows(connection, &format!("{WRITE} {rest}"), with, |row| {
            let found = WriteRow {
                name: row.get(3)?,
                checkpoint: row.get(4)?,
                task: row.get(5)?,
                path: row.get(6)?,
                index: row.get(7)?,
                channel: row.get(8)?,
                body: Body::stored(row.get(9)?, row.get(10)?),
            };
            let sum = found.sum();
            Ok((found, sum))
        })
    }

    fn rows<T>(
        &self,
        connection: &Connection,
        sql: &str,
        with: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<(T, i64)>,
    ) -> Result<Vec<(i64, T)>> {
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let mut rows = query.query(with).map_err(|e| self.failed(e))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let (made, sum) = read(row).map_err(|e| self.failed(e))?;
            let stands =
                || Ok::<_, rusqlite::Error>((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
            let (n, gone, written) = stands().map_err(|e| self.failed(e))?;
            // A row that is left over belongs to nothing, and is not found.
            if sum != written || gone != 0 {
                return Err(self.damaged_row("a row of a thread"));
            }
            found.push((n, made));
        }
        Ok(found)
    }

    pub(super) fn damaged_row(&self, what: &str) -> Error {
        let file = self.paths.database.display();
        Error::new(Code::Corrupt, format!("{file}: {what} is not what was written; restore it from a copy"))
    }

    /// Overwrites the rows of one of the tables here where a column is so; gives the name of the payload of each, where it
    /// has one.
    pub(super) fn blank_where(
        &self,
        connection: &Connection,
        table: &str,
        column: &str,
        is: impl rusqlite::ToSql,
    ) -> Result<Vec<Option<String>>> {
        let bad = |e| self.failed(e);
        let (texts, hashes): (&[&str], &str) = match table {
            "spaces" => (&["label", "namespace"], ""),
            "checkpoints" => (&["id", "parent", "versions", "data", "payload"], ", place = randomblob(17)"),
            "channels" => (&["channel", "version", "data", "payload", "base"], ""),
            _ => (&["task", "path", "channel", "data", "payload"], ", checkpoint = randomblob(16)"),
        };
        let owner = nobody(if table == "spaces" { "thread" } else { "space" });
        let lengths: Vec<String> =
            texts.iter().map(|text| format!("coalesce(length(CAST({text} AS BLOB)), 0)")).collect();
        let payload = if table == "spaces" { "NULL" } else { "payload" };
        let sql =
            format!("SELECT n, {payload}, 128 + {} FROM {table} WHERE {column} = ?1", lengths.join(" + "));
        let mut query = connection.prepare_cached(&sql).map_err(bad)?;
        let found: Vec<(i64, Option<String>, i64)> = query
            .query_map([is], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .and_then(Iterator::collect)
            .map_err(bad)?;
        let columns: Vec<String> = texts.iter().map(|text| blank(text)).collect();
        let sql = format!(
            "UPDATE {table} SET gone = 1, {owner}, name = randomblob(16){hashes}, {} WHERE n = ?1",
            columns.join(", ")
        );
        let mut update = connection.prepare_cached(&sql).map_err(bad)?;
        let mut payloads = Vec::with_capacity(found.len());
        let mut waste = 0;
        for (n, payload, length) in found {
            update.execute([n]).map_err(bad)?;
            waste += length;
            payloads.push(payload);
        }
        if waste > 0 {
            self.add_waste(connection, waste)?;
        }
        Ok(payloads)
    }
}
