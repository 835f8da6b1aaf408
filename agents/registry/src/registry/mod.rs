//! Where do agents live, who may change them, and who sees what when?

mod ask;
mod events;
mod scope;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use quorate_core::embed::Embed;
use quorate_core::filter::Filter;
use quorate_core::filter::RowSet;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};

use events::Listeners;
pub use events::{Event, EventKind};
use store::{Batch, Meta, Store, key};

use crate::matching::index::{Entry, Snapshot, Vectors, description_of};
use crate::matching::{Arm, Projection};
use crate::{Agent, Calibration, Catalog, Policy, Taxonomy, Tuning, Visibility};

/// How a registry is opened.
#[derive(Clone)]
pub struct RegistryOptions {
    /// The model that embeds agents and questions.
    pub embedder: Arc<dyn Embed>,
    /// `healthcare`, the path of a catalogue file, or none. A durable registry loads a catalogue once: what is
    /// changed or removed afterwards stays so.
    pub catalog: Option<String>,
    /// How scores are mixed.
    pub tuning: Tuning,
    /// How scores become confidence. None: what [`AgentRegistry::calibrate`] stored, or else
    /// [`Calibration::of`] the embedder, or else what is fitted on the catalogue when the registry is opened.
    pub calibration: Option<Calibration>,
    /// How outcomes are learnt from.
    pub policy: Policy,
}

/// Exploration of the default policy: small, since a user waits for the answer.
const DEFAULT_ALPHA: f64 = 0.1;

/// Components of the context that outcomes are learnt in: a constant and a projection of the question's vector.
const CONTEXT: usize = 33;

/// Ridge penalty of the learning.
const LAMBDA: f64 = 1.0;

impl RegistryOptions {
    /// The healthcare catalogue and default settings.
    pub fn new(embedder: Arc<dyn Embed>) -> Self {
        RegistryOptions {
            embedder,
            catalog: Some("healthcare".into()),
            tuning: Tuning::default(),
            calibration: None,
            policy: Policy::LinUcb { alpha: DEFAULT_ALPHA },
        }
    }

    /// The same without a catalogue.
    pub fn empty(embedder: Arc<dyn Embed>) -> Self {
        RegistryOptions { catalog: None, ..RegistryOptions::new(embedder) }
    }
}

/// A version of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentVersion {
    /// The registry's revision that made it.
    pub revision: u64,
    /// The definition; none where the agent was removed.
    pub agent: Option<Agent>,
}

/// Agents, found by what they can do.
///
/// Any number of threads may read while one writes: a reader works on an immutable snapshot, and a change is visible
/// all at once after it is durable. A handle is cheap to clone; all clones see the same agents.
///
/// The handle from [`open`](AgentRegistry::open) administers every tenant. [`tenant`](AgentRegistry::tenant) gives a
/// handle that sees its own agents, shared ones (without a tenant) and public ones, and that can change only its own.
/// An id is unique within its tenant.
#[derive(Clone)]
pub struct AgentRegistry {
    inner: Arc<Inner>,
    scope: Option<String>,
}

struct Inner {
    options: RegistryOptions,
    projection: Projection,
    store: Store,
    /// Held by the one writer.
    meta: Mutex<Meta>,
    snapshot: RwLock<Arc<Snapshot>>,
    calibration: RwLock<Calibration>,
    /// By caller's tenant (empty: none) and agent's key.
    arms: RwLock<HashMap<(String, String), Arc<Arm>>>,
    listeners: Listeners,
}

/// What a catalogue brings beside agents.
struct More {
    taxonomy: Taxonomy,
    out_of_scope: Vec<String>,
    /// Its name, when it was loaded on opening.
    name: Option<String>,
}

/// What a batch does with a definition whose key is there already, or is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Add,
    Update,
    Upsert,
}

impl AgentRegistry {
    /// Opens the registry in the file `path`, creating it when absent; without a path it lives in memory.
    ///
    /// Errors: `locked` when another process has the file, `corrupt`, `format_version`, `embedder_mismatch` when the
    /// file was made with another embedder, those of [`Catalog::load`], and those of the embedder.
    pub fn open(path: Option<&Path>, options: RegistryOptions) -> Result<Self> {
        options.tuning.validate()?;
        if let Some(calibration) = &options.calibration {
            calibration.validate()?;
        }
        let (store, contents) = Store::open(path)?;
        let embedder = options.embedder.id().to_owned();
        if !contents.meta.embedder.is_empty() && contents.meta.embedder != embedder {
            return Err(Error::new(
                Code::EmbedderMismatch,
                format!(
                    "the registry was made with the embedder '{}' and is opened with '{embedder}'; open it with the \
                     first, save its agents to a file, and load that into a new registry",
                    contents.meta.embedder
                ),
            ));
        }
        let taxonomy = contents.meta.taxonomy()?;
        let entries = contents
            .agents
            .into_iter()
            .map(|(agent, vectors)| {
                Arc::new(Entry::new(Arc::new(agent), Arc::new(vectors), &taxonomy, &options.tuning))
            })
            .collect();
        let mut snapshot = Snapshot::default().changed(&[], entries, options.embedder.dim())?;
        snapshot.taxonomy = Arc::new(taxonomy);
        snapshot.outside = Arc::new(contents.outside);
        snapshot.revision = contents.meta.revision;
        let arms = contents
            .arms
            .into_iter()
            .filter(|(_, arm)| arm.dim() == CONTEXT)
            .map(|(key, arm)| (key, Arc::new(arm)))
            .collect();
        let catalog = options.catalog.clone();
        let known = options.calibration.or(contents.meta.calibration).or_else(|| Calibration::of(&embedder));
        let seeded = catalog.as_ref().is_some_and(|c| contents.meta.catalogs.contains(c));
        let registry = AgentRegistry {
            inner: Arc::new(Inner {
                projection: Projection::new(options.embedder.dim(), CONTEXT),
                options,
                store,
                meta: Mutex::new(contents.meta),
                snapshot: RwLock::new(Arc::new(snapshot)),
                calibration: RwLock::new(known.unwrap_or(Calibration::MINILM)),
                arms: RwLock::new(arms),
                listeners: Listeners::default(),
            }),
            scope: None,
        };
        if let Some(name) = catalog
            && !seeded
        {
            registry.absorb(Catalog::named(&name)?, Some(name))?;
        }
        if known.is_none() {
            registry.fit_on_catalog()?;
        }
        Ok(registry)
    }

    /// A handle for one tenant. Errors: `invalid_argument` for an empty name, `tenant_violation` when this handle
    /// belongs to another tenant.
    pub fn tenant(&self, tenant: &str) -> Result<Self> {
        if tenant.trim().is_empty() || tenant.contains('\0') {
            return Err(Error::invalid("the tenant's name is empty or holds a NUL"));
        }
        match &self.scope {
            Some(own) if own != tenant => Err(violation(format!("this handle belongs to tenant '{own}'"))),
            _ => Ok(AgentRegistry { inner: self.inner.clone(), scope: Some(tenant.to_owned()) }),
        }
    }

    /// Adds an agent. A tenant's handle makes it the tenant's. Errors: `duplicate_id`, `invalid_argument`,
    /// `unknown_capability`, `tenant_violation`, and those of the embedder; then nothing is changed.
    pub fn add(&self, agent: Agent) -> Result<Arc<Agent>> {
        self.write(vec![agent], Mode::Add, None).and_then(only)
    }

    /// Adds many agents at once: all or none. Errors: as [`add`](AgentRegistry::add).
    pub fn add_all(&self, agents: Vec<Agent>) -> Result<Vec<Arc<Agent>>> {
        self.write(agents, Mode::Add, None)
    }

    /// Replaces the definition of an agent; the old one stays among its [`versions`](AgentRegistry::versions).
    /// Errors: `unknown_id`, `tenant_violation`, otherwise as [`add`](AgentRegistry::add).
    pub fn update(&self, agent: Agent) -> Result<Arc<Agent>> {
        self.write(vec![agent], Mode::Update, None).and_then(only)
    }

    /// Removes an agent and what was learnt about it. Errors: `unknown_id`, `tenant_violation`.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut meta = self.inner.lock();
        let snapshot = self.inner.snapshot();
        let entry = self.resolve(&snapshot, id)?;
        let agent = entry.agent.clone();
        if let Some(own) = &self.scope
            && agent.tenant.as_ref() != Some(own)
        {
            return Err(violation(format!("agent '{id}' is not tenant '{own}'s to remove")));
        }
        let gone = vec![(agent.tenant.clone(), agent.id.clone())];
        let mut next = meta.clone();
        next.revision += 1;
        let changed = snapshot.changed(&gone, Vec::new(), self.inner.options.embedder.dim())?;
        self.inner.store.commit(&Batch { meta: &next, put: Vec::new(), remove: gone, outside: None })?;
        let removed = key(agent.tenant.as_deref(), &agent.id);
        self.inner.arms_mut().retain(|(_, agent), _| *agent != removed);
        self.inner.publish(&mut meta, next, changed);
        self.inner.announce(&agent, meta.revision, EventKind::Removed);
        Ok(())
    }

    /// The agent with this id: the tenant's own, or a shared one, or another tenant's public one. The administrator
    /// gets the shared one first, then that of the first tenant by name. Errors: `unknown_id`.
    pub fn get(&self, id: &str) -> Result<Arc<Agent>> {
        let snapshot = self.inner.snapshot();
        Ok(self.resolve(&snapshot, id)?.agent.clone())
    }

    /// The agents that this handle sees (drafts and deprecated ones too), by id. Errors: `filter_type`.
    pub fn list(&self, filter: Option<&Filter>) -> Result<Vec<Arc<Agent>>> {
        let snapshot = self.inner.snapshot();
        let mut out = Vec::new();
        for slot in &snapshot.slots {
            let scope = slot.segment.visible(&slot.live, self.scope.as_deref(), self.scope.is_none());
            let rows: RowSet = match filter {
                Some(filter) => slot.segment.columns().select(filter, &scope, false)?,
                None => scope,
            };
            out.extend(rows.iter().map(|row| slot.segment.entries[row as usize].agent.clone()));
        }
        out.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| a.tenant.cmp(&b.tenant)));
        Ok(out)
    }

    /// Adds the agent that an A2A card describes. Errors: those of [`Agent::from_card`] and
    /// [`add`](AgentRegistry::add).
    pub fn import_card(&self, card: &serde_json::Value) -> Result<Arc<Agent>> {
        self.add(Agent::from_card(card)?)
    }

    /// The A2A card of an agent. Errors: `unknown_id`.
    pub fn export_card(&self, id: &str) -> Result<serde_json::Value> {
        Ok(self.get(id)?.to_card())
    }

    /// Adds the agents of a catalogue file, replacing those that are there already: all or none. Its capabilities
    /// join the taxonomy. Returns how many agents it has. Errors: those of [`Catalog::load`], `tenant_violation`.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<usize> {
        let base = self.inner.snapshot().taxonomy.clone();
        self.absorb(Catalog::load_onto(path.as_ref(), &base)?, None)
    }

    /// Writes the agents that this handle sees, and the taxonomy, to a catalogue file (JSON when its name ends in
    /// `.json`, else YAML). Errors: `io` and its kin.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let agents = self.list(None)?.iter().map(|a| (**a).clone()).collect();
        let taxonomy = (*self.inner.snapshot().taxonomy).clone();
        Catalog { taxonomy, agents, out_of_scope: self.out_of_scope() }.save(path)
    }

    /// Every version of an agent, oldest first, also when it was removed. Errors: `unknown_id`.
    pub fn versions(&self, id: &str) -> Result<Vec<AgentVersion>> {
        let snapshot = self.inner.snapshot();
        let tenant = match self.resolve(&snapshot, id) {
            Ok(entry) => entry.agent.tenant.clone(),
            Err(_) => self.scope.clone(),
        };
        let history = self.inner.store.history(tenant.as_deref(), id)?;
        if history.is_empty() {
            return Err(unknown(id));
        }
        Ok(history.into_iter().map(|(revision, agent)| AgentVersion { revision, agent }).collect())
    }

    /// Changes from now on. A tenant's handle hears of its own, shared and public agents.
    pub fn subscribe(&self) -> Receiver<Event> {
        self.inner.listeners.subscribe(self.scope.clone())
    }

    /// The number of agents that this handle sees.
    pub fn len(&self) -> usize {
        let snapshot = self.inner.snapshot();
        match &self.scope {
            None => snapshot.len(),
            Some(own) => {
                snapshot.slots.iter().map(|s| s.segment.visible(&s.live, Some(own), false).count()).sum()
            }
        }
    }

    /// Whether this handle sees no agent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grows by one with each change.
    pub fn revision(&self) -> u64 {
        self.inner.snapshot().revision
    }

    /// The capabilities that agents may name.
    pub fn taxonomy(&self) -> Arc<Taxonomy> {
        self.inner.snapshot().taxonomy.clone()
    }

    fn absorb(&self, catalog: Catalog, name: Option<String>) -> Result<usize> {
        let Catalog { taxonomy, agents, out_of_scope } = catalog;
        let more = More { taxonomy, out_of_scope, name };
        let written = self.write(agents, Mode::Upsert, Some(more))?;
        Ok(written.len())
    }

    /// Checks, embeds, stores and publishes a batch of definitions.
    fn write(&self, mut agents: Vec<Agent>, mode: Mode, more: Option<More>) -> Result<Vec<Arc<Agent>>> {
        let mut meta = self.inner.lock();
        let snapshot = self.inner.snapshot();
        let mut taxonomy = (*snapshot.taxonomy).clone();
        for (name, title) in more.iter().flat_map(|m| m.taxonomy.iter()) {
            taxonomy.insert(name, title)?;
        }
        let mut seen = std::collections::HashSet::new();
        for agent in &mut agents {
            if let Some(own) = &self.scope {
                match &agent.tenant {
                    None => agent.tenant = Some(own.clone()),
                    Some(tenant) if tenant == own => {}
                    Some(_) => {
                        return Err(violation(format!(
                            "agent '{}' belongs to another tenant than this handle's, '{own}'",
                            agent.id
                        )));
                    }
                }
            }
            agent.validate()?;
            for capability in &agent.capabilities {
                taxonomy.check(&capability.name).map_err(|e| e.context(format!("agent '{}'", agent.id)))?;
            }
            if !seen.insert((agent.tenant.clone(), agent.id.clone())) {
                return Err(Error::new(
                    Code::DuplicateId,
                    format!("agent '{}' is given twice in one batch", agent.id),
                ));
            }
            let there = snapshot.find(agent.tenant.as_deref(), &agent.id).is_some();
            match mode {
                Mode::Add if there => {
                    return Err(Error::new(
                        Code::DuplicateId,
                        format!("agent '{}' exists already; use update to replace it", agent.id),
                    ));
                }
                Mode::Update if !there => {
                    return Err(match self.resolve(&snapshot, &agent.id) {
                        Ok(_) => violation(format!("agent '{}' belongs to somebody else", agent.id)),
                        Err(error) => error,
                    });
                }
                _ => {}
            }
        }

        let vectors = self.embed(&snapshot, &agents)?;
        let mut next = meta.clone();
        next.revision += 1;
        next.embedder = self.inner.options.embedder.id().to_owned();
        next.taxonomy = taxonomy.iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect();
        let outside = match more {
            Some(more) => {
                next.catalogs.extend(more.name);
                self.with_stated(&snapshot.outside, more.out_of_scope, &mut next)?
            }
            None => None,
        };
        let written: Vec<Arc<Agent>> = agents.into_iter().map(Arc::new).collect();
        let entries: Vec<Arc<Entry>> = written
            .iter()
            .zip(&vectors)
            .map(|(agent, vectors)| {
                Arc::new(Entry::new(agent.clone(), vectors.clone(), &taxonomy, &self.inner.options.tuning))
            })
            .collect();
        let gone: Vec<(Option<String>, String)> =
            seen.into_iter().filter(|(tenant, id)| snapshot.find(tenant.as_deref(), id).is_some()).collect();
        let settings = &self.inner.options;
        let mut changed = snapshot.changed(&gone, entries, settings.embedder.dim())?;
        changed.taxonomy = Arc::new(taxonomy);
        let put = written.iter().zip(&vectors).map(|(agent, vectors)| (&**agent, &**vectors)).collect();
        if let Some(outside) = &outside {
            changed.outside = outside.clone();
        }
        self.inner.store.commit(&Batch {
            meta: &next,
            put,
            remove: Vec::new(),
            outside: outside.as_deref(),
        })?;
        self.inner.publish(&mut meta, next, changed);
        for agent in &written {
            let known = gone.iter().any(|(tenant, id)| *tenant == agent.tenant && *id == agent.id);
            let kind = if known { EventKind::Updated } else { EventKind::Added };
            self.inner.announce(agent, meta.revision, kind);
        }
        Ok(written)
    }

    /// The vectors of each agent; those whose texts have not changed are kept.
    fn embed(&self, snapshot: &Snapshot, agents: &[Agent]) -> Result<Vec<Arc<Vectors>>> {
        let embedder = &self.inner.options.embedder;
        let known: Vec<Option<Arc<Vectors>>> = agents
            .iter()
            .map(|agent| {
                let entry = snapshot.find(agent.tenant.as_deref(), &agent.id)?;
                let same = description_of(&entry.agent) == description_of(agent)
                    && entry.agent.examples().eq(agent.examples());
                same.then(|| entry.vectors.clone())
            })
            .collect();
        let mut texts: Vec<String> = Vec::new();
        for (agent, _) in agents.iter().zip(&known).filter(|(_, known)| known.is_none()) {
            texts.push(description_of(agent));
            texts.extend(agent.examples().map(str::to_owned));
        }
        let matrix = self.embed_texts(&texts)?;
        let dim = embedder.dim();
        let mut rest = matrix.as_slice();
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at(count * dim);
            rest = tail;
            head.to_vec()
        };
        Ok(agents
            .iter()
            .zip(known)
            .map(|(agent, known)| match known {
                Some(vectors) => vectors,
                None => {
                    let description = take(1);
                    let examples = take(agent.examples().count());
                    Arc::new(Vectors { dim, description, examples })
                }
            })
            .collect())
    }

    /// A finite vector for each text.
    fn embed_texts(&self, texts: &[String]) -> Result<Matrix> {
        let embedder = &self.inner.options.embedder;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let matrix = embedder.embed(&texts, &Cancel::new())?;
        let dim = embedder.dim();
        if matrix.rows() != texts.len() || (matrix.cols() != dim && !texts.is_empty()) {
            return Err(Error::new(
                Code::InvalidShape,
                format!(
                    "the embedder gave {} x {} for {} texts of {dim}",
                    matrix.rows(),
                    matrix.cols(),
                    texts.len()
                ),
            ));
        }
        if matrix.as_slice().iter().any(|x| !x.is_finite()) {
            return Err(Error::new(Code::NotFinite, "the embedder gave a vector that is not finite"));
        }
        Ok(matrix)
    }

    /// The entry that an id means to this handle.
    fn resolve<'a>(&self, snapshot: &'a Snapshot, id: &str) -> Result<&'a Arc<Entry>> {
        if let Some(own) = &self.scope
            && let Some(entry) = snapshot.find(Some(own), id)
        {
            return Ok(entry);
        }
        if let Some(entry) = snapshot.find(None, id) {
            return Ok(entry);
        }
        let foreign = |entry: &&Arc<Entry>| {
            entry.agent.id == id && (self.scope.is_none() || entry.agent.is_visible_to(self.scope.as_deref()))
        };
        let mut found: Vec<&Arc<Entry>> = snapshot.entries().filter(foreign).collect();
        found.sort_by(|a, b| a.agent.tenant.cmp(&b.agent.tenant));
        found.first().copied().ok_or_else(|| unknown(id))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Meta> {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn arms(&self) -> std::sync::RwLockReadGuard<'_, HashMap<(String, String), Arc<Arm>>> {
        self.arms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn arms_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<(String, String), Arc<Arm>>> {
        self.arms.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, meta: &mut Meta, next: Meta, mut snapshot: Snapshot) {
        snapshot.revision = next.revision;
        *meta = next;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    fn announce(&self, agent: &Agent, revision: u64, kind: EventKind) {
        let event = Event { revision, kind, tenant: agent.tenant.clone(), id: agent.id.clone() };
        let outcome = kind == EventKind::Outcome;
        let public = !outcome && (agent.tenant.is_none() || agent.visibility == Visibility::Public);
        self.listeners.send(&event, public);
    }
}

fn only(mut agents: Vec<Arc<Agent>>) -> Result<Arc<Agent>> {
    agents.pop().ok_or_else(|| Error::new(Code::Internal, "a batch of one agent came back empty"))
}

fn unknown(id: &str) -> Error {
    Error::new(Code::UnknownId, format!("there is no agent '{id}'"))
}

fn violation(message: String) -> Error {
    Error::new(Code::TenantViolation, message)
}
