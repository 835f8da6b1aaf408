//! Where do agents live, who may change them, and who sees what when?

mod ask;
mod events;
mod scope;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use quorate_core::embed::Embed;
use quorate_core::filter::Filter;
use quorate_core::filter::RowSet;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result, forks};

use events::Listeners;
pub use events::{Event, EventKind, Events};
use scope::texts_of;
use store::{Batch, Meta, Store, key};

use crate::catalog::Base;
use crate::check::check_tenant;
use crate::matching::entry::{Entry, Vectors, description, description_of};
use crate::matching::index::Snapshot;
use crate::matching::{Arm, Projection};
use crate::taxonomies::Taxonomies;
use crate::text::shown;
use crate::{Agent, Calibration, Catalog, Policy, Taxonomy, TenantCatalog, Tuning};

/// How a registry is opened.
#[derive(Clone)]
pub struct RegistryOptions {
    /// The model that embeds agents and questions.
    pub embedder: Arc<dyn Embed>,
    /// `healthcare`, `service`, the path of a catalogue file, or none. A durable registry loads a catalogue once: what is
    /// changed or removed afterwards stays so.
    pub catalog: Option<String>,
    /// How scores are mixed.
    pub tuning: Tuning,
    /// How scores become confidence. None: what [`AgentRegistry::calibrate`] stored, or else
    /// [`Calibration::of`] the embedder, or else what is fitted on the catalogue when the registry is opened.
    pub calibration: Option<Calibration>,
    /// How outcomes are learnt from.
    pub policy: Policy,
    /// Raised by who no longer wants the registry to open.
    pub cancel: Cancel,
}

/// How far the default [`Policy`] explores: little, since a user waits for the answer.
pub const DEFAULT_EXPLORATION: f64 = 0.1;

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
            policy: Policy::LinUcb { alpha: DEFAULT_EXPLORATION },
            cancel: Cancel::new(),
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
    /// The definition; none where the agent was removed, or became private to another tenant.
    pub agent: Option<Agent>,
}

/// Agents, found by what they can do.
///
/// Any number of threads may read while one writes: a reader works on an immutable snapshot, and a change is visible
/// all at once after it is durable. A handle is cheap to clone; all clones see the same agents.
///
/// The handle from [`open`](AgentRegistry::open) administers every tenant. [`tenant`](AgentRegistry::tenant) gives a
/// handle that sees its own agents, shared ones (without a tenant) and public ones, and that can change only its own:
/// nothing that a tenant does changes what others see and may do, except through agents that it makes public (and
/// [`revision`](AgentRegistry::revision), which counts the changes of all). An id is unique within its tenant.
///
/// A process that is forked from one with an open registry may go on asking: what it sees stands still. It can change
/// a registry in memory, of which it has its own copy, but not a file: that is its parent's, and the code is `locked`.
#[derive(Clone)]
pub struct AgentRegistry {
    inner: Arc<Inner>,
    scope: Option<String>,
    cancel: Cancel,
}

/// How long a forked child waits for a change that may never end, because the thread that made it is not there.
const INHERITED_WAIT: Duration = Duration::from_secs(10);

struct Inner {
    options: RegistryOptions,
    /// The process that opened it, counted in forks.
    process: u64,
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
    tenants: BTreeMap<String, TenantCatalog>,
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
    /// file was made with another embedder, `invalid_argument` for an empty path, `load_failed` for a device or a pipe,
    /// those of [`Catalog::load`], and those of the embedder.
    pub fn open(path: Option<&Path>, options: RegistryOptions) -> Result<Self> {
        options.tuning.validate()?;
        if let Some(calibration) = &options.calibration {
            calibration.validate()?;
        }
        if path.is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(Error::invalid("the path of the registry is empty; leave it out for one in memory"));
        }
        // From here on the place does not depend on the working directory.
        let resolve = |path: &Path| std::path::absolute(path).map_err(|e| Error::io(path, e));
        let path = path.map(resolve).transpose()?;
        let path = path.as_deref();
        let catalog = match options.catalog.as_deref() {
            Some(name) if !Catalog::ships(name) => {
                Some((name.to_owned(), resolve(Path::new(name))?.display().to_string()))
            }
            other => other.map(|name| (name.to_owned(), name.to_owned())),
        };
        // A catalogue that cannot be read leaves no new file behind.
        let mut read = None;
        if let Some((name, _)) = &catalog
            && path.is_none_or(|path| !path.exists())
        {
            read = Some(Catalog::named(name)?);
        }
        let (store, mut contents) = Store::open(path)?;
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
        if contents.outdated && !contents.agents.is_empty() {
            let agents: Vec<Agent> = contents.agents.iter().map(|(agent, _)| agent.clone()).collect();
            let vectors =
                embed_agents(&options.embedder, &agents.iter().collect::<Vec<_>>(), &options.cancel)?;
            contents.agents = agents.into_iter().zip(vectors).collect();
            store.renew(&contents.meta, &contents.agents)?;
        }
        let taxonomies = contents.meta.taxonomies();
        let entries = contents
            .agents
            .into_iter()
            .map(|(agent, vectors)| {
                let taxonomy = taxonomies.of(agent.tenant.as_deref()).clone();
                Arc::new(Entry::new(Arc::new(agent), Arc::new(vectors), &taxonomy, &options.tuning))
            })
            .collect();
        let mut snapshot = Snapshot::default().changed(&[], entries, options.embedder.dim())?;
        snapshot.taxonomies = Arc::new(taxonomies);
        snapshot.outside = Arc::new(contents.outside);
        snapshot.revision = contents.meta.revision;
        let arms = contents
            .arms
            .into_iter()
            .filter(|(_, arm)| arm.dim() == CONTEXT)
            .map(|(key, arm)| (key, Arc::new(arm)))
            .collect();
        let known = options.calibration.or(contents.meta.calibration).or_else(|| Calibration::of(&embedder));
        let seeded = catalog
            .as_ref()
            .is_some_and(|(name, place)| contents.meta.catalogs.iter().any(|c| c == name || c == place));
        let registry = AgentRegistry {
            cancel: options.cancel.clone(),
            inner: Arc::new(Inner {
                projection: Projection::new(options.embedder.dim(), CONTEXT),
                process: forks(),
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
        if let Some((name, place)) = catalog
            && !seeded
        {
            let read = match read {
                Some(read) => read,
                None => Catalog::named(&name)?,
            };
            registry.absorb(read, Some(place))?;
        }
        if known.is_none() {
            registry.fit_on_catalog()?;
        }
        Ok(registry.cancelled_by(&Cancel::new()))
    }

    /// A handle for one tenant. Errors: `invalid_argument` for a name that is empty, holds a NUL or has more than 100
    /// bytes, `tenant_violation` when this handle belongs to another tenant.
    pub fn tenant(&self, tenant: &str) -> Result<Self> {
        check_tenant(tenant).map_err(Error::invalid)?;
        match &self.scope {
            Some(own) if own != tenant => Err(violation(format!("this handle belongs to tenant '{own}'"))),
            _ => Ok(AgentRegistry { scope: Some(tenant.to_owned()), ..self.clone() }),
        }
    }

    /// The same handle, whose calls end with code `cancelled` once the flag is raised. Nothing is changed by a call that
    /// ends so.
    pub fn cancelled_by(&self, cancel: &Cancel) -> Self {
        AgentRegistry { cancel: cancel.clone(), ..self.clone() }
    }

    /// Adds an agent. A tenant's handle makes it the tenant's. Errors: `duplicate_id`, `invalid_argument`, `too_large`,
    /// `unknown_capability`, `tenant_violation`, `locked` in a forked child, and those of the embedder; then nothing is
    /// changed.
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

    /// Removes an agent and what was learnt about it. Errors: `unknown_id`, `tenant_violation`, `locked` in a forked
    /// child.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut meta = self.inner.lock()?;
        let snapshot = self.inner.snapshot();
        let entry = self.resolve(&snapshot, id)?;
        let agent = entry.agent.clone();
        if let Some(own) = &self.scope
            && agent.tenant.as_ref() != Some(own)
        {
            return Err(violation(format!("agent '{}' is not tenant '{own}'s to remove", shown(id))));
        }
        let gone = vec![(agent.tenant.clone(), agent.id.clone())];
        let mut next = meta.clone();
        next.revision += 1;
        let changed = snapshot.changed(&gone, Vec::new(), self.inner.options.embedder.dim())?;
        self.inner.store.commit(&Batch { meta: &next, put: Vec::new(), remove: gone, outside: None })?;
        let removed = key(agent.tenant.as_deref(), &agent.id);
        self.inner.arms_mut().retain(|(_, agent), _| *agent != removed);
        self.inner.publish(&mut meta, next, changed);
        self.inner.announce(Some(&agent), None, meta.revision);
        Ok(())
    }

    /// The agent with this id: the tenant's own, or a shared one, or another tenant's public one. The administrator
    /// gets the shared one first, then that of the first tenant by name. Errors: `unknown_id`.
    pub fn get(&self, id: &str) -> Result<Arc<Agent>> {
        let snapshot = self.inner.snapshot();
        Ok(self.resolve(&snapshot, id)?.agent.clone())
    }

    /// The agents that this handle sees (drafts and deprecated ones too), by id, then by tenant, none first.
    /// Errors: `filter_type`.
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
        out.sort_by(|a, b| a.before(b));
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
    /// join the taxonomy: for a tenant's handle its own, which nobody else sees. Returns how many agents the file has.
    /// Errors: those of [`Catalog::load`], `tenant_violation`, `locked` in a forked child.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<usize> {
        let taxonomies = (*self.inner.snapshot().taxonomies).clone();
        let agents = self.list(None)?.iter().map(|agent| agent.id.clone()).collect();
        let base = Base { taxonomies, tenant: self.scope.clone(), agents };
        self.absorb(Catalog::load_onto(path.as_ref(), base)?, None)
    }

    /// Writes what this handle can load again to a catalogue file (JSON when its name ends in `.json`, else YAML): the
    /// administrator's everything, a tenant's its own agents and questions, with the capabilities that it may name.
    /// Partners ([`works_with`](Agent::works_with)) that are no longer there are left out.
    /// Errors: `io` and its kin, `load_failed` for a device or a pipe, `too_large` for over 256 MiB.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let snapshot = self.inner.snapshot();
        let scope = self.scope.as_deref();
        let mut agents: Vec<&Agent> = snapshot
            .entries()
            .map(|entry| &*entry.agent)
            .filter(|agent| scope.is_none() || agent.tenant.as_deref() == scope)
            .collect();
        agents.sort_by(|a, b| a.before(b));
        // A partner that is gone would be an unknown one when the file is read.
        let there: HashSet<String> = self.list(None)?.iter().map(|agent| agent.id.clone()).collect();
        let kept = |agent: &Agent| {
            let mut agent = agent.clone();
            agent.works_with.retain(|partner| there.contains(&partner.agent));
            agent
        };
        let stated =
            |tenant: &str| snapshot.outside.scopes.get(tenant).map(|s| s.texts.clone()).unwrap_or_default();
        let mut tenants: BTreeMap<String, TenantCatalog> = BTreeMap::new();
        if scope.is_none() {
            for (tenant, added) in snapshot.taxonomies.added() {
                let taxonomy = &mut tenants.entry(tenant.to_owned()).or_default().taxonomy;
                added.iter().for_each(|(name, title)| taxonomy.set(name, title));
            }
            for tenant in snapshot.outside.scopes.keys().filter(|tenant| !tenant.is_empty()) {
                let questions = stated(tenant);
                if !questions.is_empty() {
                    tenants.entry(tenant.clone()).or_default().out_of_scope = questions;
                }
            }
        }
        let catalog = Catalog {
            taxonomy: (**snapshot.taxonomies.of(scope)).clone(),
            agents: agents.into_iter().map(kept).collect(),
            out_of_scope: stated(scope.unwrap_or_default()),
            tenants,
        };
        catalog.save(path)
    }

    /// Every version of an agent, oldest first, also when it was removed: the tenant's own, or else a shared one. Of
    /// another tenant's agent, those versions that were public. Errors: `unknown_id`, `locked` in a forked child.
    pub fn versions(&self, id: &str) -> Result<Vec<AgentVersion>> {
        let snapshot = self.inner.snapshot();
        let owners = match self.resolve(&snapshot, id) {
            Ok(entry) => vec![entry.agent.tenant.clone()],
            Err(_) => vec![self.scope.clone(), None],
        };
        for owner in owners {
            let history = self.inner.store.history(owner.as_deref(), id)?;
            let foreign = owner.is_some() && self.scope.is_some() && owner != self.scope;
            let mut versions: Vec<AgentVersion> = Vec::with_capacity(history.len());
            for (revision, agent) in history {
                let agent = agent.filter(|a| !foreign || a.is_visible_to(self.scope.as_deref()));
                // What was not seen before cannot be seen to go.
                let unseen = foreign && versions.last().is_none_or(|last| last.agent.is_none());
                if agent.is_some() || !unseen {
                    versions.push(AgentVersion { revision, agent });
                }
            }
            if !versions.is_empty() {
                return Ok(versions);
            }
        }
        Err(unknown(id))
    }

    /// Changes from now on. A tenant's handle hears of its own, shared and public agents: one that becomes public is
    /// added for it, one that becomes private is removed; and of the outcomes that the tenant itself records.
    pub fn subscribe(&self) -> Events {
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

    /// The capabilities that agents may name: those of all, and for a tenant's handle its own beside them.
    pub fn taxonomy(&self) -> Arc<Taxonomy> {
        self.inner.snapshot().taxonomies.of(self.scope.as_deref()).clone()
    }

    fn absorb(&self, catalog: Catalog, name: Option<String>) -> Result<usize> {
        let Catalog { taxonomy, agents, out_of_scope, tenants } = catalog;
        let more = More { taxonomy, out_of_scope, tenants, name };
        let written = self.write(agents, Mode::Upsert, Some(more))?;
        Ok(written.len())
    }

    /// The taxonomies after a catalogue has joined this handle's. Errors: `tenant_violation`, those of the taxonomy.
    fn joined(&self, snapshot: &Snapshot, more: &More) -> Result<Taxonomies> {
        let before = &snapshot.taxonomies;
        let mut all = (**before).clone();
        if !more.taxonomy.is_empty() {
            all = all.with(self.scope.as_deref(), more.taxonomy.iter())?;
        }
        for (tenant, part) in &more.tenants {
            if self.scope.as_ref().is_some_and(|own| own != tenant) {
                return Err(violation(format!("the catalogue is also tenant '{tenant}'s")));
            }
            all = all.with(Some(tenant), part.taxonomy.iter())?;
        }
        let mut in_use: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
        for agent in snapshot.entries().map(|entry| &entry.agent) {
            let tenant = agent.tenant.as_deref();
            if before.of(tenant).is_empty() && !all.of(tenant).is_empty() {
                in_use.entry(tenant).or_default().extend(agent.capabilities.iter().map(|c| c.name.as_str()));
            }
        }
        for (tenant, names) in in_use {
            all = all.adopting(tenant, names);
        }
        Ok(all)
    }

    /// Checks, embeds, stores and publishes a batch of definitions.
    fn write(&self, mut agents: Vec<Agent>, mode: Mode, more: Option<More>) -> Result<Vec<Arc<Agent>>> {
        let mut meta = self.inner.lock()?;
        let snapshot = self.inner.snapshot();
        let taxonomies = match &more {
            Some(more) => Arc::new(self.joined(&snapshot, more)?),
            None => snapshot.taxonomies.clone(),
        };
        let mut seen = HashSet::new();
        for agent in &mut agents {
            if let Some(own) = &self.scope {
                match &agent.tenant {
                    None => agent.tenant = Some(own.clone()),
                    Some(tenant) if tenant == own => {}
                    Some(_) => {
                        return Err(violation(format!(
                            "agent '{}' belongs to another tenant than this handle's, '{own}'",
                            shown(&agent.id)
                        )));
                    }
                }
            }
            agent.validate()?;
            let taxonomy = taxonomies.of(agent.tenant.as_deref());
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
        let mut outside = None;
        if let Some(more) = more {
            next.set_taxonomies(&taxonomies);
            next.catalogs.extend(more.name);
            let scope = self.scope.clone().unwrap_or_default();
            let mut stated = (*snapshot.outside).clone();
            let parts = more.tenants.into_iter().map(|(tenant, part)| (tenant, part.out_of_scope));
            for (scope, questions) in std::iter::once((scope, more.out_of_scope)).chain(parts) {
                stated = self.with_stated(stated, &scope, questions)?;
            }
            next.out_of_scope = texts_of(&stated);
            outside = Some(Arc::new(stated));
        }
        let written: Vec<Arc<Agent>> = agents.into_iter().map(Arc::new).collect();
        let settings = &self.inner.options;
        let entry = |agent: &Arc<Agent>, vectors: &Arc<Vectors>| {
            let taxonomy = taxonomies.of(agent.tenant.as_deref());
            Arc::new(Entry::new(agent.clone(), vectors.clone(), taxonomy, &settings.tuning))
        };
        let mut entries: Vec<Arc<Entry>> =
            written.iter().zip(&vectors).map(|(agent, vectors)| entry(agent, vectors)).collect();
        let before: Vec<Option<Arc<Agent>>> = written
            .iter()
            .map(|agent| snapshot.find(agent.tenant.as_deref(), &agent.id).map(|entry| entry.agent.clone()))
            .collect();
        // Titles are words of the agents that have the capabilities.
        if !Arc::ptr_eq(&taxonomies, &snapshot.taxonomies) {
            for known in snapshot.entries() {
                let tenant = known.agent.tenant.as_deref();
                let (old, new) = (snapshot.taxonomies.of(tenant), taxonomies.of(tenant));
                let mut names = known.agent.capabilities.iter().map(|c| &c.name);
                if names.any(|name| old.title(name) != new.title(name))
                    && seen.insert((known.agent.tenant.clone(), known.agent.id.clone()))
                {
                    entries.push(entry(&known.agent, &known.vectors));
                }
            }
        }
        let gone: Vec<(Option<String>, String)> =
            seen.into_iter().filter(|(tenant, id)| snapshot.find(tenant.as_deref(), id).is_some()).collect();
        let mut changed = snapshot.changed(&gone, entries, settings.embedder.dim())?;
        changed.taxonomies = taxonomies.clone();
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
        for (agent, before) in written.iter().zip(&before) {
            self.inner.announce(before.as_deref(), Some(agent), meta.revision);
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
                    && entry.agent.examples().eq(agent.examples())
                    && entry.agent.topics == agent.topics;
                same.then(|| entry.vectors.clone())
            })
            .collect();
        let fresh: Vec<&Agent> =
            agents.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(agent, _)| agent).collect();
        let mut made = embed_agents(embedder, &fresh, &self.cancel)?.into_iter().map(Arc::new);
        let missing = || Error::new(Code::Internal, "an agent was not embedded");
        known.into_iter().map(|known| known.or_else(|| made.next()).ok_or_else(missing)).collect()
    }

    /// A finite vector for each text.
    fn embed_texts(&self, texts: &[String]) -> Result<Matrix> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        embed_texts(&self.inner.options.embedder, &texts, &self.cancel)
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
    /// The right to write. Errors: `locked` in a forked child.
    fn lock(&self) -> Result<MutexGuard<'_, Meta>> {
        self.store.check_writable()?;
        if forks() == self.process {
            return Ok(self.meta.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let until = Instant::now() + INHERITED_WAIT;
        loop {
            match self.meta.try_lock() {
                Ok(meta) => return Ok(meta),
                Err(TryLockError::Poisoned(meta)) => return Ok(meta.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(
                        Code::Locked,
                        "the registry was being changed when this process was forked; open it anew here",
                    ));
                }
            }
        }
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

    /// Tells each listener what a change of an agent is to it.
    fn announce(&self, before: Option<&Agent>, after: Option<&Agent>, revision: u64) {
        let Some(agent) = after.or(before) else { return };
        self.listeners.send(|tenant| {
            let sees = |agent: &&Agent| tenant.is_none() || agent.is_visible_to(tenant);
            let kind = match (before.filter(sees), after.filter(sees)) {
                (None, None) => return None,
                (None, Some(_)) => EventKind::Added,
                (Some(_), Some(_)) => EventKind::Updated,
                (Some(_), None) => EventKind::Removed,
            };
            Some(Event { revision, kind, tenant: agent.tenant.clone(), id: agent.id.clone() })
        });
    }

    /// Tells who recorded an outcome, and the administrator.
    fn announce_outcome(&self, agent: &Agent, revision: u64, by: Option<&str>) {
        self.listeners.send(|tenant| {
            (tenant.is_none() || tenant == by).then(|| Event {
                revision,
                kind: EventKind::Outcome,
                tenant: agent.tenant.clone(),
                id: agent.id.clone(),
            })
        });
    }
}

/// The vectors of each agent. A text that several have is embedded once.
fn embed_agents(embedder: &Arc<dyn Embed>, agents: &[&Agent], cancel: &Cancel) -> Result<Vec<Vectors>> {
    let described: Vec<[String; 2]> = agents.iter().map(|agent| description_of(agent)).collect();
    let mut texts: Vec<&str> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    // The place of each text among the different ones, in the order in which the vectors are taken.
    let mut order: Vec<usize> = Vec::new();
    for (agent, described) in agents.iter().zip(&described) {
        let described = described.iter().map(String::as_str);
        for text in described.chain(agent.examples()).chain(agent.topics.iter().map(String::as_str)) {
            order.push(*places.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            }));
        }
    }
    let matrix = embed_texts(embedder, &texts, cancel)?;
    let dim = embedder.dim();
    let mut rest = order.as_slice();
    let mut take = |count: usize| -> Vec<f32> {
        let (head, tail) = rest.split_at(count);
        rest = tail;
        head.iter().flat_map(|&place| matrix.row(place)).copied().collect()
    };
    let made = agents.iter().map(|agent| {
        let (summary, name) = (take(1), take(1));
        let description = description(&summary, &name);
        let examples = take(agent.examples().count());
        Vectors { dim, description, examples, topics: take(agent.topics.len()) }
    });
    Ok(made.collect())
}

/// A finite vector for each text.
fn embed_texts(embedder: &Arc<dyn Embed>, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
    cancel.check()?;
    let matrix = embedder.embed(texts, cancel)?;
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

fn only(mut agents: Vec<Arc<Agent>>) -> Result<Arc<Agent>> {
    agents.pop().ok_or_else(|| Error::new(Code::Internal, "a batch of one agent came back empty"))
}

fn unknown(id: &str) -> Error {
    Error::new(Code::UnknownId, format!("there is no agent '{}'", shown(id)))
}

fn violation(message: String) -> Error {
    Error::new(Code::TenantViolation, message)
}
