//! How do agents, their versions and what was learnt survive a restart?
//!
//! One redb file: `meta` (format, embedder, revision, taxonomy, catalogues that were loaded), `agents` (current
//! definitions), `vectors`, `history` (every version) and `arms` (what was learnt). A registry in memory has the
//! history in RAM.

use std::collections::BTreeMap;
use std::path::Path;

use quorate_core::{Code, Error, Result, forks};
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::matching::Arm;
use crate::matching::entry::Vectors;
use crate::matching::index::{Outside, Stated};
use crate::taxonomies::Taxonomies;
use crate::{Agent, Calibration, files};

/// The version of the file's layout. Files of version 1 have no vectors of topics, and name and summary in one vector
/// that was made of both as one text; their vectors are made anew when they are opened.
const FORMAT: u32 = 2;

/// The oldest version that is read.
const OLDEST_FORMAT: u32 = 1;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const AGENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("agents");
const VECTORS: TableDefinition<&str, &[u8]> = TableDefinition::new("vectors");
const HISTORY: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("history");
const ARMS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("arms");

/// What `meta` holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    format: u32,
    pub(crate) revision: u64,
    /// The embedder's id; empty before the first agent.
    pub(crate) embedder: String,
    /// Names and titles that are common to all.
    pub(crate) taxonomy: Vec<(String, String)>,
    /// Those that tenants have beside them.
    #[serde(default)]
    pub(crate) taxonomies: BTreeMap<String, BTreeMap<String, String>>,
    /// Catalogues that were loaded when the registry was opened.
    pub(crate) catalogs: Vec<String>,
    /// Questions that are nobody's, by the tenant that says so; empty: for all.
    #[serde(default)]
    pub(crate) out_of_scope: BTreeMap<String, Vec<String>>,
    /// What was fitted here.
    #[serde(default)]
    pub(crate) calibration: Option<Calibration>,
}

/// A stored version: the agent, or nothing where it was removed.
#[derive(Serialize, Deserialize)]
struct Record {
    revision: u64,
    agent: Option<Agent>,
}

/// What a store holds when it is opened.
pub(crate) struct Contents {
    pub(crate) meta: Meta,
    /// Agents with their vectors.
    pub(crate) agents: Vec<(Agent, Vectors)>,
    /// By tenant and by agent.
    pub(crate) arms: Vec<((String, String), Arm)>,
    pub(crate) outside: Outside,
    /// Whether the vectors of the agents were made by an earlier release in another way.
    pub(crate) outdated: bool,
}

/// What one atomic change writes.
pub(crate) struct Batch<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) put: Vec<(&'a Agent, &'a Vectors)>,
    pub(crate) remove: Vec<(Option<String>, String)>,
    /// The vectors of the questions that are nobody's, where they changed.
    pub(crate) outside: Option<&'a Outside>,
}

pub(crate) struct Store {
    /// None only while it is dropped.
    database: Option<Database>,
    /// The process that opened it, counted in forks.
    process: u64,
    name: String,
    /// Whether it will be read again. In memory only the history is kept: the rest is in the snapshot.
    durable: bool,
}

impl Store {
    /// Opens or creates a file; without a path the store lives in memory. Errors: `locked`, `corrupt`,
    /// `format_version`, `load_failed` for a device or a pipe, `io` and its kin.
    pub(crate) fn open(path: Option<&Path>) -> Result<(Self, Contents)> {
        path.map_or(Ok(()), files::check_regular)?;
        let name = path.map_or_else(|| "registry in memory".to_owned(), |p| p.display().to_string());
        let database = match path {
            Some(path) => Database::create(path),
            None => Database::builder().create_with_backend(InMemoryBackend::new()),
        };
        let database = database.map_err(|e| match e {
            DatabaseError::DatabaseAlreadyOpen => {
                Error::new(Code::Locked, format!("{name}: another process or handle has the registry open"))
            }
            DatabaseError::UpgradeRequired(version) => Error::new(
                Code::FormatVersion,
                format!("{name}: the file has redb's format {version}, which is not read"),
            ),
            DatabaseError::Storage(redb::StorageError::Io(source)) if unlike_redb(&source) => {
                Error::with_source(Code::Corrupt, format!("{name}: not an agent registry"), source)
            }
            DatabaseError::Storage(redb::StorageError::Io(source)) => Error::io(&name, source),
            other => Error::with_source(Code::Corrupt, format!("{name}: {other}"), other),
        })?;
        let store = Store { database: Some(database), process: forks(), name, durable: path.is_some() };
        store.create_tables()?;
        let contents = store.read()?;
        Ok((store, contents))
    }

    /// Whether this process has the file of its parent, which alone may use it: the lock, the cache and the next free
    /// page are the parent's. What is in memory each process has for itself.
    pub(crate) fn is_inherited(&self) -> bool {
        self.durable && forks() != self.process
    }

    /// The database, where this process may use it. Errors: `locked`.
    fn database(&self) -> Result<&Database> {
        if self.is_inherited() {
            return Err(Error::new(
                Code::Locked,
                format!(
                    "{}: the process that this one was forked from has the registry open; match, list and get work \
                     here, and nothing else",
                    self.name
                ),
            ));
        }
        self.database.as_ref().ok_or_else(|| Error::new(Code::Closed, format!("{}: it is closed", self.name)))
    }

    /// Writes a batch durably: all of it or nothing. Errors: `locked` in a forked child, `io` and its kin.
    pub(crate) fn commit(&self, batch: &Batch<'_>) -> Result<()> {
        let meta = Meta { format: FORMAT, ..batch.meta.clone() };
        let write = self.database()?.begin_write().map_err(|e| self.failed(e))?;
        {
            let mut table = write.open_table(META).map_err(|e| self.failed(e))?;
            table.insert("meta", json(&meta)?.as_slice()).map_err(|e| self.failed(e))?;
            let mut agents = write.open_table(AGENTS).map_err(|e| self.failed(e))?;
            let mut vectors = write.open_table(VECTORS).map_err(|e| self.failed(e))?;
            let mut history = write.open_table(HISTORY).map_err(|e| self.failed(e))?;
            let mut arms = write.open_table(ARMS).map_err(|e| self.failed(e))?;
            for (tenant, stated) in batch.outside.iter().filter(|_| self.durable).flat_map(|o| &o.scopes) {
                let bytes: Vec<u8> = stated.vectors.iter().flat_map(|x| x.to_le_bytes()).collect();
                vectors.insert(outside_key(tenant).as_str(), bytes.as_slice()).map_err(|e| self.failed(e))?;
            }
            for (tenant, id) in &batch.remove {
                let key = key(tenant.as_deref(), id);
                agents.remove(key.as_str()).map_err(|e| self.failed(e))?;
                vectors.remove(key.as_str()).map_err(|e| self.failed(e))?;
                let record = json(&Record { revision: meta.revision, agent: None })?;
                history
                    .insert((key.as_str(), meta.revision), record.as_slice())
                    .map_err(|e| self.failed(e))?;
                arms.retain(|(_, agent), _| agent != key).map_err(|e| self.failed(e))?;
            }
            for (agent, vector) in &batch.put {
                let key = key(agent.tenant.as_deref(), &agent.id);
                let record = json(&Record { revision: meta.revision, agent: Some((*agent).clone()) })?;
                if self.durable {
                    agents.insert(key.as_str(), record.as_slice()).map_err(|e| self.failed(e))?;
                    vectors.insert(key.as_str(), pack(vector).as_slice()).map_err(|e| self.failed(e))?;
                }
                history
                    .insert((key.as_str(), meta.revision), record.as_slice())
                    .map_err(|e| self.failed(e))?;
            }
        }
        write.commit().map_err(|e| self.failed(e))
    }

    /// Replaces the vectors of all agents in a file of an earlier version, which it is no longer.
    /// Errors: `locked` in a forked child, `io` and its kin.
    pub(crate) fn renew(&self, meta: &Meta, agents: &[(Agent, Vectors)]) -> Result<()> {
        let meta = Meta { format: FORMAT, ..meta.clone() };
        let write = self.database()?.begin_write().map_err(|e| self.failed(e))?;
        {
            let mut table = write.open_table(META).map_err(|e| self.failed(e))?;
            table.insert("meta", json(&meta)?.as_slice()).map_err(|e| self.failed(e))?;
            let mut vectors = write.open_table(VECTORS).map_err(|e| self.failed(e))?;
            for (agent, own) in agents {
                let key = key(agent.tenant.as_deref(), &agent.id);
                vectors.insert(key.as_str(), pack(own).as_slice()).map_err(|e| self.failed(e))?;
            }
        }
        write.commit().map_err(|e| self.failed(e))
    }

    /// Writes what was learnt about an agent.
    pub(crate) fn commit_arm(&self, tenant: &str, agent: &str, arm: &Arm) -> Result<()> {
        let write = self.database()?.begin_write().map_err(|e| self.failed(e))?;
        {
            let mut arms = write.open_table(ARMS).map_err(|e| self.failed(e))?;
            arms.insert((tenant, agent), arm.to_bytes().as_slice()).map_err(|e| self.failed(e))?;
        }
        write.commit().map_err(|e| self.failed(e))
    }

    /// Every version of an agent, oldest first: revision and definition (none: removed). Errors: `locked` in a forked
    /// child, `io` and its kin, `corrupt`.
    pub(crate) fn history(&self, tenant: Option<&str>, id: &str) -> Result<Vec<(u64, Option<Agent>)>> {
        let key = key(tenant, id);
        let read = self.database()?.begin_read().map_err(|e| self.failed(e))?;
        let table = read.open_table(HISTORY).map_err(|e| self.failed(e))?;
        let mut out = Vec::new();
        let range = table.range((key.as_str(), 0)..=(key.as_str(), u64::MAX)).map_err(|e| self.failed(e))?;
        for item in range {
            let (_, value) = item.map_err(|e| self.failed(e))?;
            let record: Record = self.parse(value.value())?;
            out.push((record.revision, record.agent));
        }
        Ok(out)
    }

    fn create_tables(&self) -> Result<()> {
        let write = self.database()?.begin_write().map_err(|e| self.failed(e))?;
        {
            write.open_table(META).map_err(|e| self.failed(e))?;
            write.open_table(AGENTS).map_err(|e| self.failed(e))?;
            write.open_table(VECTORS).map_err(|e| self.failed(e))?;
            write.open_table(HISTORY).map_err(|e| self.failed(e))?;
            write.open_table(ARMS).map_err(|e| self.failed(e))?;
        }
        write.commit().map_err(|e| self.failed(e))
    }

    fn read(&self) -> Result<Contents> {
        let read = self.database()?.begin_read().map_err(|e| self.failed(e))?;
        let table = read.open_table(META).map_err(|e| self.failed(e))?;
        let meta: Meta = match table.get("meta").map_err(|e| self.failed(e))? {
            Some(bytes) => self.parse(bytes.value())?,
            None => Meta { format: FORMAT, ..Meta::default() },
        };
        if !(OLDEST_FORMAT..=FORMAT).contains(&meta.format) {
            return Err(Error::new(
                Code::FormatVersion,
                format!(
                    "{}: format {} is not one that this release reads ({OLDEST_FORMAT} to {FORMAT})",
                    self.name, meta.format
                ),
            ));
        }
        let outdated = meta.format < FORMAT;
        let vectors = read.open_table(VECTORS).map_err(|e| self.failed(e))?;
        let mut agents = Vec::new();
        for item in read.open_table(AGENTS).map_err(|e| self.failed(e))?.iter().map_err(|e| self.failed(e))? {
            let (key, value) = item.map_err(|e| self.failed(e))?;
            let record: Record = self.parse(value.value())?;
            let packed = vectors.get(key.value()).map_err(|e| self.failed(e))?;
            let unpack = if outdated { unpack_first } else { unpack };
            let unpacked = packed.and_then(|bytes| unpack(bytes.value()));
            match (record.agent, unpacked) {
                (Some(agent), Some(vectors)) if outdated || are_whole(&agent, &vectors) => {
                    agents.push((agent, vectors));
                }
                _ => {
                    return Err(Error::new(
                        Code::Corrupt,
                        format!(
                            "{}: the agent under '{}' is incomplete",
                            self.name,
                            key.value().escape_debug()
                        ),
                    ));
                }
            }
        }
        let mut arms = Vec::new();
        for item in read.open_table(ARMS).map_err(|e| self.failed(e))?.iter().map_err(|e| self.failed(e))? {
            let (key, value) = item.map_err(|e| self.failed(e))?;
            let (tenant, agent) = key.value();
            let arm = Arm::from_bytes(value.value()).ok_or_else(|| {
                Error::new(Code::Corrupt, format!("{}: what was learnt is damaged", self.name))
            })?;
            arms.push(((tenant.to_owned(), agent.to_owned()), arm));
        }
        let mut outside = Outside::default();
        for (tenant, texts) in &meta.out_of_scope {
            let bytes = vectors.get(outside_key(tenant).as_str()).map_err(|e| self.failed(e))?;
            let floats = bytes.map_or_else(Vec::new, |bytes| floats(bytes.value()));
            if floats.is_empty() != texts.is_empty() || !floats.len().is_multiple_of(texts.len().max(1)) {
                return Err(Error::new(
                    Code::Corrupt,
                    format!("{}: the questions out of scope are incomplete", self.name),
                ));
            }
            outside.scopes.insert(tenant.clone(), Stated { texts: texts.clone(), vectors: floats });
        }
        Ok(Contents { meta, agents, arms, outside, outdated })
    }

    /// An error where this process may not write.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.database().map(|_| ())
    }

    fn parse<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::with_source(Code::Corrupt, format!("{}: a record is damaged: {e}", self.name), e)
        })
    }

    fn failed(&self, error: impl Into<redb::Error>) -> Error {
        match error.into() {
            redb::Error::Io(source) => Error::io(&self.name, source),
            other => Error::with_source(Code::Corrupt, format!("{}: {other}", self.name), other),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing writes to the file and lets the lock go: neither is a child's to do.
        if self.is_inherited() {
            std::mem::forget(self.database.take());
        }
    }
}

/// Whether an open failed because the file holds something else.
fn unlike_redb(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

/// Tenant and id as one string; no tenant is empty, and neither part holds a NUL.
pub(crate) fn key(tenant: Option<&str>, id: &str) -> String {
    format!("{}\0{id}", tenant.unwrap_or(""))
}

/// Where the vectors of a tenant's questions out of scope are: no agent has such a key.
fn outside_key(tenant: &str) -> String {
    format!("\0\0{tenant}")
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

impl Meta {
    pub(crate) fn taxonomies(&self) -> Taxonomies {
        let common = self.taxonomy.iter().map(|(name, title)| (name.as_str(), title.as_str()));
        Taxonomies::stored(common, &self.taxonomies)
    }

    /// The same with these taxonomies.
    pub(crate) fn set_taxonomies(&mut self, all: &Taxonomies) {
        let owned = |(name, title): (&str, &str)| (name.to_owned(), title.to_owned());
        self.taxonomy = all.of(None).iter().map(owned).collect();
        self.taxonomies = all.added().map(|(tenant, added)| (tenant.to_owned(), added.clone())).collect();
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::with_source(Code::Internal, format!("registry record: {e}"), e))
}

/// Dimension and number of examples (u32 each), then description, examples and topics as f32, all little-endian.
fn pack(vectors: &Vectors) -> Vec<u8> {
    let parts = [&vectors.description, &vectors.examples, &vectors.topics];
    let mut out = Vec::with_capacity(8 + 4 * parts.iter().map(|part| part.len()).sum::<usize>());
    out.extend((vectors.dim as u32).to_le_bytes());
    out.extend((vectors.count() as u32).to_le_bytes());
    out.extend(parts.into_iter().flatten().flat_map(|x| x.to_le_bytes()));
    out
}

fn unpack(bytes: &[u8]) -> Option<Vectors> {
    let (dim, rest) = bytes.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let [dim, count] = [dim, count].map(|number| u32::from_le_bytes(*number) as usize);
    let (description, mut examples) = described(dim, rest)?;
    let length = count.checked_mul(dim).filter(|&length| length <= examples.len())?;
    let topics = examples.split_off(length);
    Some(Vectors { dim, description, examples, topics })
}

/// Whether each text of an agent has its vector: others are compared with topics and questions that are not theirs.
fn are_whole(agent: &Agent, vectors: &Vectors) -> bool {
    let dim = vectors.dim;
    vectors.description.len() == dim
        && vectors.examples.len() == agent.examples().count() * dim
        && vectors.topics.len() == agent.topics.len() * dim
}

/// As version 1 had it: dimension (u32), then description and examples as f32.
fn unpack_first(bytes: &[u8]) -> Option<Vectors> {
    let (dim, rest) = bytes.split_first_chunk::<4>()?;
    let dim = u32::from_le_bytes(*dim) as usize;
    let (description, examples) = described(dim, rest)?;
    Some(Vectors { dim, description, examples, topics: Vec::new() })
}

/// The first vector, and the rest.
fn described(dim: usize, bytes: &[u8]) -> Option<(Vec<f32>, Vec<f32>)> {
    let (chunks, tail) = bytes.as_chunks::<4>();
    if !tail.is_empty() || dim == 0 || chunks.len() < dim || !chunks.len().is_multiple_of(dim) {
        return None;
    }
    let mut all = floats(bytes);
    let rest = all.split_off(dim);
    Some((all, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_survive_packing() {
        for (examples, topics) in [(3, 2), (0, 2), (3, 0), (0, 0)] {
            let vectors = Vectors {
                dim: 2,
                description: vec![1.0, -0.5],
                examples: vec![0.25; 2 * examples],
                topics: vec![0.75; 2 * topics],
            };
            assert_eq!(unpack(&pack(&vectors)), Some(vectors.clone()));
            assert_eq!(unpack(&pack(&vectors)[..13]), None);
        }
        assert_eq!(unpack(&[]), None);
        let mut many = pack(&Vectors { dim: 2, description: vec![0.0; 2], examples: vec![], topics: vec![] });
        many[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(unpack(&many), None);
    }

    /// A file as version 1 wrote it, with vectors that no present release would make.
    #[test]
    fn a_file_of_version_1_gets_new_vectors() {
        use crate::{AgentRegistry, MatchOptions, RegistryOptions};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.redb");
        let model = quorate_core::embed::StaticModel::builtin().unwrap();
        let open = || AgentRegistry::open(Some(&path), RegistryOptions::empty(model.clone())).unwrap();
        let mut agent = Agent::new("kidney", "Nephrologist", "Treats diseases of the kidney.");
        agent.skills = vec![crate::Skill::new("dosing", ["Which drugs harm the kidney?"])];
        open().add(agent.clone()).unwrap();
        let fresh = open().match_agents("kidney", &MatchOptions::default()).unwrap();
        {
            let (store, contents) = Store::open(Some(&path)).unwrap();
            assert!(!contents.outdated);
            let write = store.database().unwrap().begin_write().unwrap();
            {
                let meta = Meta { format: 1, ..contents.meta.clone() };
                write.open_table(META).unwrap().insert("meta", json(&meta).unwrap().as_slice()).unwrap();
                let dim = contents.agents[0].1.dim;
                let mut old = (dim as u32).to_le_bytes().to_vec();
                old.extend((0..2 * dim).flat_map(|_| 0.05f32.to_le_bytes()));
                write
                    .open_table(VECTORS)
                    .unwrap()
                    .insert(key(None, "kidney").as_str(), old.as_slice())
                    .unwrap();
            }
            write.commit().unwrap();
        }
        assert_eq!(open().match_agents("kidney", &MatchOptions::default()).unwrap(), fresh);
        assert_eq!(open().versions("kidney").unwrap().len(), 1);
        assert!(!Store::open(Some(&path)).unwrap().1.outdated);
    }

    #[test]
    fn an_agent_without_all_of_its_vectors_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.redb");
        let mut agent = Agent::new("kidney", "Nephrologist", "Treats diseases of the kidney.");
        agent.topics = vec!["metformin".into(), "dialysis".into()];
        agent.skills = vec![crate::Skill::new("dosing", ["Which drugs harm the kidney?"])];
        let whole =
            Vectors { dim: 2, description: vec![1.0; 2], examples: vec![0.5; 2], topics: vec![0.25; 4] };
        let (store, contents) = Store::open(Some(&path)).unwrap();
        let read = |vectors: &Vectors| {
            let batch =
                Batch { meta: &contents.meta, put: vec![(&agent, vectors)], remove: vec![], outside: None };
            store.commit(&batch).unwrap();
            store.read().map(|contents| contents.agents.len()).map_err(|error| error.code())
        };
        assert_eq!(read(&whole), Ok(1));
        for damaged in [
            Vectors { topics: vec![0.25; 2], ..whole.clone() },
            Vectors { topics: vec![], ..whole.clone() },
            Vectors { examples: vec![0.5; 4], ..whole.clone() },
            Vectors { examples: vec![], ..whole.clone() },
        ] {
            assert_eq!(read(&damaged), Err(Code::Corrupt), "{damaged:?}");
        }
    }

    #[test]
    fn a_second_handle_is_told_that_the_file_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.redb");
        let (_store, contents) = Store::open(Some(&path)).unwrap();
        assert_eq!(contents.meta.revision, 0);
        assert_eq!(Store::open(Some(&path)).err().unwrap().code(), Code::Locked);
    }

    #[test]
    fn another_kind_of_file_is_corrupt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.redb");
        std::fs::write(&path, "this is no registry ".repeat(1000)).unwrap();
        assert_eq!(Store::open(Some(&path)).err().unwrap().code(), Code::Corrupt);
    }
}
