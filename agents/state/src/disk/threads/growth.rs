//! How are arrays that grow kept in rows, piece by piece?

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quorate_core::Result;
use rusqlite::Connection;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::local::Local;
use super::super::payload::Body;
use super::rows::{ValueRow, value_name};
use crate::MAX_INLINE_BYTES;
use crate::checkpoint::{ChannelValue, Extension, Growth, built_upon, grown, with_beginnings};

/// A value as it was given, with its text; of one that extends another, the text of what follows.
pub(super) struct Given {
    row: ValueRow,
    /// What it extends, with the whole of it, should that not be there.
    extends: Option<(Growth, Arc<Value>)>,
}

impl Given {
    pub(super) fn of(space: &[u8; 16], given: &ChannelValue, extends: Option<&Extension>) -> Given {
        let extends = extends.filter(|extends| extends.base != given.version);
        let extends = extends.zip(given.value.as_ref()).and_then(|(extends, whole)| {
            let length = whole.as_array()?.len();
            Some((Growth::new(&extends.base, extends.length, length), Arc::clone(whole)))
        });
        let body = match &extends {
            Some((growth, whole)) => {
                let more = whole.as_array().and_then(|all| all.get(growth.from..)).unwrap_or_default();
                Some(Body::of_items(more))
            }
            None => given.value.as_ref().map(|value| Body::of(value)),
        };
        let row = ValueRow {
            name: value_name(space, &given.channel, &given.version),
            channel: given.channel.to_string(),
            version: given.version.to_string(),
            body,
            growth: None,
        };
        Given { row, extends }
    }

    /// What must be on the disk before the transaction.
    pub(super) fn body(&self) -> Option<&Body> {
        self.row.body.as_ref()
    }
}

impl Local {
    /// Writes a value, where it is not there.
    pub(super) fn put_given(
        &self,
        connection: &Connection,
        space: i64,
        space_name: &[u8; 16],
        given: Given,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        let Given { mut row, extends } = given;
        if let Some((growth, whole)) = extends {
            row.growth = self.piece(connection, space_name, growth, &mut row)?;
            if row.growth.is_none() {
                let piece = row.body.replace(Body::of(&whole));
                // A file of the piece is nobody's now.
                replaced.extend(piece.and_then(|body| body.name().map(|name| Some(name.to_owned()))));
            }
        }
        self.put_value(connection, space, &row, replaced)
    }

    /// Writes a row of a value, where it is not there. Errors: `invalid_argument` when it would take the place of one that
    /// others begin with.
    pub(super) fn put_value(
        &self,
        connection: &Connection,
        space: i64,
        row: &ValueRow,
        replaced: &mut Vec<Option<String>>,
    ) -> Result<()> {
        if let Some((_, there)) = self.value_rows(connection, "WHERE name = ?1", [row.name])?.pop() {
            let same = |a: &Body, b: &Body| a.text == b.text && a.name() == b.name();
            if let (Some(body), Some(known)) = (&row.body, &there.body)
                && same(body, known)
                && row.growth == there.growth
            {
                // Its file may have been damaged.
                return body.ensure(&self.paths.payloads);
            }
            let bases = self.bases(connection, space, &|channel| channel == row.channel)?;
            if bases.values().any(|base| *base == (row.channel.clone(), row.version.clone())) {
                return Err(built_upon(&row.channel, &row.version));
            }
            replaced.extend(self.blank_where(connection, "channels", "name", row.name)?);
        }
        match &row.body {
            Some(body) => self.insert_value(connection, space, row, body),
            None => Ok(()),
        }
    }

    /// Where what follows an older version lies, with the text of what it is put together with; none where that version is not
    /// there.
    fn piece(
        &self,
        connection: &Connection,
        space_name: &[u8; 16],
        growth: Growth,
        row: &mut ValueRow,
    ) -> Result<Option<Growth>> {
        let Some(mut text) = row.body.as_ref().map(|body| body.text.clone()) else { return Ok(None) };
        let large = row.body.as_ref().is_some_and(|body| body.name().is_some());
        let channel = row.channel.clone();
        let growth = grown(
            growth,
            |base| {
                let name = value_name(space_name, &channel, base);
                Ok(self.value_rows(connection, "WHERE name = ?1", [name])?.pop().map(|(_, row)| row))
            },
            length_of,
            |older| {
                let Some(body) = older.body.as_ref().filter(|body| body.name().is_none()) else {
                    return false;
                };
                if large || body.text.len() + text.len() > MAX_INLINE_BYTES {
                    return false;
                }
                text = joined(&body.text, &text);
                true
            },
        )?;
        if growth.is_some() && !large {
            row.body = Some(Body { text, file: None });
        }
        Ok(growth)
    }

    /// A value with all that it begins with, the oldest piece first; empty where it is not there. Errors: `corrupt`.
    pub(super) fn pieces(
        &self,
        connection: &Connection,
        space_name: &[u8; 16],
        channel: &str,
        version: &str,
    ) -> Result<Vec<ValueRow>> {
        let mut pieces: Vec<ValueRow> = Vec::new();
        let mut version: Arc<str> = version.into();
        loop {
            let name = value_name(space_name, channel, &version);
            let row = self.value_rows(connection, "WHERE name = ?1", [name])?.pop().map(|(_, row)| row);
            let later = pieces.last().and_then(|later| later.growth.as_ref());
            let fits = match (&row, later) {
                (Some(row), Some(later)) => length_of(row).0.is_none_or(|length| length == later.from),
                (None, Some(_)) => false,
                _ => true,
            };
            if !fits || pieces.len() > usize::from(u16::MAX) {
                return Err(self.damaged_row("what a value begins with"));
            }
            let Some(row) = row else { return Ok(pieces) };
            let base = row.growth.as_ref().map(|growth| Arc::clone(&growth.base));
            pieces.push(row);
            match base {
                Some(base) => version = base,
                None => break,
            }
        }
        pieces.reverse();
        Ok(pieces)
    }

    /// The channel and version of each value of some channels that begins with another, and those of that one.
    fn bases(
        &self,
        connection: &Connection,
        space: i64,
        of: &dyn Fn(&str) -> bool,
    ) -> Result<HashMap<(String, String), (String, String)>> {
        let sql = "SELECT channel, version, base FROM channels WHERE space = ?1 AND base IS NOT NULL";
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let rows = query.query_map([space], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(String, String, String)> =
            rows.and_then(Iterator::collect).map_err(|e| self.failed(e))?;
        let mut bases = HashMap::new();
        for (channel, version, base) in rows.into_iter().filter(|(channel, _, _)| of(channel)) {
            let growth = Growth::parse(&base).ok_or_else(|| self.damaged_row("what a value begins with"))?;
            bases.insert((channel.clone(), version), (channel, growth.base.to_string()));
        }
        Ok(bases)
    }

    /// The channels and versions that checkpoints have, with what these begin with.
    pub(super) fn in_use<'a>(
        &self,
        connection: &Connection,
        space: i64,
        versions: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashSet<(String, String)>> {
        let mut used = HashSet::new();
        for versions in versions {
            let versions = self.versions(versions)?.into_iter();
            used.extend(versions.map(|(channel, version)| (channel.to_string(), version.to_string())));
        }
        with_beginnings(&mut used, &self.bases(connection, space, &|_| true)?);
        Ok(used)
    }
}

/// How many elements a value has, where that is known without reading a file, and where it lies.
fn length_of(row: &ValueRow) -> (Option<usize>, Option<Growth>) {
    if let Some(growth) = &row.growth {
        return (Some(growth.to), row.growth.clone());
    }
    let Some(body) = row.body.as_ref().filter(|body| body.name().is_none()) else { return (None, None) };
    // What is no array has no elements to go on from.
    let count = serde_json::from_str::<Vec<IgnoredAny>>(&body.text).map_or(usize::MAX, |all| all.len());
    (Some(count), None)
}

/// The texts of two arrays as one.
fn joined(first: &str, second: &str) -> String {
    match (first, second) {
        ("[]", _) => second.to_owned(),
        (_, "[]") => first.to_owned(),
        _ => format!("{},{}", &first[..first.len() - 1], &second[1..]),
    }
}
