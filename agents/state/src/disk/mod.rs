//! How is state kept in a folder?

mod connection;
mod facts;
mod group;
mod holder;
mod journal;
mod local;
mod payload;
mod queues;
mod row;
mod schema;
mod threads;
mod work;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use quorate_core::{Result, forks};

use self::local::{Local, Paths, lock};
use crate::{entry::now, gate};

pub(crate) use self::holder::close_inherited;
pub(crate) use self::journal::DiskRun;
pub(crate) use self::local::close_connections;
pub(crate) use self::payload::Body;
#[cfg(test)]
pub(crate) use self::queues::steps;

/// A store in a folder.
pub(crate) struct Disk {
    paths: Paths,
    /// What this process has open.
    local: Mutex<Option<Arc<Local>>>,
}

impl Disk {
    /// Errors: those of `StateStore::open`.
    pub(crate) fn open(folder: &Path) -> Result<Disk> {
        // The folder stays the same when the process changes its own.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let disk = Disk { paths: Paths::of(&folder), local: Mutex::new(None) };
        disk.local()?;
        Ok(disk)
    }

    pub(crate) fn folder(&self) -> &PathBuf {
        &self.paths.folder
    }

    pub(crate) fn commits(&self) -> u64 {
        lock(&self.local).as_ref().map_or(0, |local| local.commits.load(Ordering::Relaxed))
    }

    /// What this process has open; in a forked child, made there when it is first needed.
    pub(in crate::disk) fn local(&self) -> Result<Arc<Local>> {
        let mut slot = lock(&self.local);
        if let Some(local) = slot.as_ref().filter(|local| local.process == forks()) {
            return Ok(Arc::clone(local));
        }
        let fresh = Local::open(&self.paths)?;
        *slot = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let section = gate::enter();
        let local = lock(&self.local).take();
        match section {
            Ok(_section) => drop(local),
            // The connections may be in use by threads of the parent; closing them is not this process's to do.
            Err(_) => std::mem::forget(local),
        }
    }
}

/// An id that no other run has; later ones sort after earlier ones.
pub(crate) fn new_id() -> String {
    let millis = (now() * 1000.0) as u64;
    format!("{millis:012x}{}", holder::hex(&holder::unique()[..7]))
}

/// What a text, or several, is looked up by: the first 16 bytes of blake3 over the parts, each with its length.
fn digest(of: &str, parts: &[Option<&str>]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(of);
    for part in parts {
        hasher.update(&[u8::from(part.is_some())]);
        let bytes = part.unwrap_or_default().as_bytes();
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// What stands beside a row to see that it is what was written.
fn checksum(parts: &[&[u8]]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut out = [0; 8];
    hasher.finalize_xof().fill(&mut out);
    i64::from_le_bytes(out)
}

/// SQL for as many bytes of nothing as a column has, to overwrite it where it stands.
fn blank(column: &str) -> String {
    format!("{column} = replace(hex(zeroblob(length(CAST({column} AS BLOB)))), '00', '0')")
}
