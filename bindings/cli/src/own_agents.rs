//! How are the experts kept that were added to those that ship?
//!
//! In a catalogue file beside the knowledge base, which any number of commands may read at once, and which people can read and edit too.
//! Whoever changes it holds a lock, and replaces it whole.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::agents::{Agent, AgentRegistry, Catalog};
use quorate::{Cancel, Code, Error, Result};

use crate::place::{AGENTS, Place};

/// The lock of who changes the file.
const LOCK: &str = "agents.lock";
/// How long who wants to change it waits for another.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// An agent's tenant and id.
type Key = (Option<String>, String);

/// The experts of a file become part of those of the place; the ids of those that changed. Errors: those of [`AgentRegistry::load`], `locked`,
/// `unsupported` for an object store, those of writing.
pub(crate) fn add(place: &Place, file: &Path, cancel: &Cancel) -> Result<Vec<String>> {
    change(place, cancel, |registry| {
        let before = definitions(registry)?;
        let scoped = scoped(place, registry)?;
        scoped.load(file)?;
        let changed = |agent: &&Arc<Agent>| before.get(&key(agent)) != Some(*agent);
        let after = definitions(registry)?;
        let mut ids: Vec<String> = after.values().filter(changed).map(|agent| agent.id.clone()).collect();
        ids.sort();
        Ok(ids)
    })
}

/// Removes an expert that was added. Errors: `unknown_id`, also for one that ships; otherwise as [`add`].
pub(crate) fn remove(place: &Place, id: &str, cancel: &Cancel) -> Result<()> {
    change(place, cancel, |registry| {
        let scoped = scoped(place, registry)?;
        let agent = scoped.get(id)?;
        if place.tenant.is_none() && agent.tenant.is_some() {
            let message = format!("there is no expert '{}'", quorate::core::shorten(id));
            return Err(Error::new(Code::UnknownId, message));
        }
        if shipped(place)?.get(&key(&agent)) == Some(&agent) {
            let shown = quorate::core::shorten(id);
            let message = format!(
                "expert '{shown}' comes with the catalogue; add one of that id with `available: false` instead"
            );
            return Err(Error::new(Code::ReadOnly, message));
        }
        scoped.remove(id)
    })
}

fn scoped(place: &Place, registry: &AgentRegistry) -> Result<AgentRegistry> {
    match &place.tenant {
        Some(tenant) => registry.tenant(tenant),
        None => Ok(registry.clone()),
    }
}

fn key(agent: &Agent) -> Key {
    (agent.tenant.clone(), agent.id.clone())
}

fn definitions(registry: &AgentRegistry) -> Result<HashMap<Key, Arc<Agent>>> {
    Ok(registry.list(None)?.into_iter().map(|agent| (key(&agent), agent)).collect())
}

/// The experts that ship with the catalogue of the place.
fn shipped(place: &Place) -> Result<HashMap<Key, Arc<Agent>>> {
    let Some(name) = place.catalog()? else { return Ok(HashMap::new()) };
    let catalog = Catalog::named(&name)?;
    Ok(catalog.agents.into_iter().map(|agent| (key(&agent), Arc::new(agent))).collect())
}

/// Changes all experts, and keeps what ships no more as it did.
fn change<T>(place: &Place, cancel: &Cancel, work: impl FnOnce(&AgentRegistry) -> Result<T>) -> Result<T> {
    let Some(folder) = place.folder() else {
        let message = "a knowledge base in an object store has no experts of its own";
        return Err(Error::new(Code::Unsupported, message));
    };
    if !folder.is_dir() {
        let shown = folder.display();
        let message = format!("there is no knowledge base at {shown}; make one with `quorate init`");
        return Err(Error::new(Code::NotFound, message));
    }
    let _lock = lock(&folder.join(LOCK), cancel)?;
    let registry = place.all_agents()?;
    let given = work(&registry)?;
    keep(place, &registry, folder)?;
    Ok(given)
}

/// Writes those that do not ship as they are.
fn keep(place: &Place, registry: &AgentRegistry, folder: &Path) -> Result<()> {
    let ships = shipped(place)?;
    let whole = Whole(folder.join(format!(".agents.{}.json", std::process::id())));
    registry.save(&whole.0)?;
    let mut own = Catalog::load(&whole.0)?;
    own.agents.retain(|agent| ships.get(&key(agent)).is_none_or(|shipped| **shipped != *agent));
    own.out_of_scope.clear();
    own.save(folder.join(AGENTS))?;
    // What was written can be read again, with those that ship.
    let _ = place.all_agents()?;
    Ok(())
}

/// A file that is there for a moment.
struct Whole(PathBuf);

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn lock(path: &Path, cancel: &Cancel) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|e| Error::io(path, e))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                cancel.check()?;
                std::thread::sleep(LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another process is changing the experts", path.display());
                return Err(Error::new(Code::Locked, message));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(path, e)),
        }
    }
}
