//! What is there for each tenant?

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate::agents::{Agent, AgentRegistry};
use quorate::rag::KnowledgeBase;
use quorate::runtime::{Runtime, RuntimeOptions};
use quorate::{Code, Error, Result, Sources};

use crate::caller::Caller;

/// How many tenants are kept ready.
const KEPT: usize = 64;

/// How old what is shown may be, where another process writes.
const FRESH: Duration = Duration::from_secs(1);

/// The knowledge base, the experts and the runtime of one tenant.
pub(crate) struct Room {
    pub(crate) kb: KnowledgeBase,
    pub(crate) registry: Option<AgentRegistry>,
    pub(crate) runtime: Runtime,
    /// Whose it is; none: of no tenant.
    tenant: Option<String>,
    /// When was it last seen what other processes have written?
    looked: Mutex<Instant>,
}

impl Room {
    /// Shows what other processes have written, where that was not looked at for a second.
    fn follow(&self) {
        // Whoever comes while somebody looks gets what there is.
        let Ok(mut looked) = self.looked.try_lock() else { return };
        if looked.elapsed() < FRESH {
            return;
        }
        if let Err(error) = self.kb.refresh() {
            tracing::warn!("what other processes have written cannot be read: {error}");
        }
        *looked = Instant::now();
    }

    /// An expert, where it exists for the caller. Errors: `unknown_id`, `unsupported` without a registry.
    pub(crate) fn expert(&self, caller: &Caller, id: &str) -> Result<Arc<Agent>> {
        let unknown = || {
            Error::new(Code::UnknownId, format!("there is no expert '{}'; `match` finds experts", short(id)))
        };
        let agent = self.experts()?.get(id).map_err(|error| match error.code() {
            Code::UnknownId => unknown(),
            _ => error,
        })?;
        if self.has(caller, &agent) { Ok(agent) } else { Err(unknown()) }
    }

    /// Whether an expert exists for the caller: those of other tenants do not, also where the caller has none.
    pub(crate) fn has(&self, caller: &Caller, agent: &Agent) -> bool {
        (agent.tenant.is_none() || agent.tenant == self.tenant) && caller.holds(&agent.permissions)
    }

    /// The experts. Errors: `unsupported` where this server has none.
    pub(crate) fn experts(&self) -> Result<&AgentRegistry> {
        let none =
            || Error::new(Code::Unsupported, "this server has no experts; it was started without a registry");
        self.registry.as_ref().ok_or_else(none)
    }
}

fn short(text: &str) -> String {
    quorate::core::shorten(text)
}

/// The rooms of all tenants.
pub(crate) struct Rooms {
    kb: KnowledgeBase,
    registry: Option<AgentRegistry>,
    options: RuntimeOptions,
    follows: bool,
    kept: Mutex<VecDeque<(Option<String>, Arc<Room>)>>,
}

impl Rooms {
    /// Errors: `invalid_argument` for options that would show one tenant what belongs to another.
    pub(crate) fn new(
        kb: KnowledgeBase,
        registry: Option<AgentRegistry>,
        options: RuntimeOptions,
        follows: bool,
    ) -> Result<Self> {
        if options.sources.is_some() || options.tenant.is_some() {
            let message = "the runtime's sources and tenant are those of each caller; leave both out";
            return Err(Error::invalid(message));
        }
        let registry = registry.or_else(|| options.registry.clone());
        Ok(Rooms { kb, registry, options, follows, kept: Mutex::default() })
    }

    /// Whether answers come of a language model, and whether it may use tools.
    pub(crate) fn reaches(&self) -> (bool, bool) {
        (self.options.model.is_some(), !self.options.tools.is_empty())
    }

    /// What there is for a caller. Errors: those of [`KnowledgeBase::tenant`] and [`Runtime::new`].
    pub(crate) fn of(&self, caller: &Caller) -> Result<Arc<Room>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(tenant, _)| *tenant == caller.tenant)
            && let Some(entry) = kept.remove(at)
        {
            let room = Arc::clone(&entry.1);
            kept.push_back(entry);
            drop(kept);
            if self.follows {
                room.follow();
            }
            return Ok(room);
        }
        // Opened while nobody else opens one, so that a tenant has one runtime.
        let room = Arc::new(self.open(caller.tenant.as_deref())?);
        kept.push_back((caller.tenant.clone(), Arc::clone(&room)));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(room)
    }

    fn open(&self, tenant: Option<&str>) -> Result<Room> {
        let kb = match tenant {
            Some(name) => self.kb.tenant(name)?,
            None => self.kb.clone(),
        };
        let tenant = tenant.map(str::to_owned).or_else(|| kb.tenant_name().map(str::to_owned));
        let registry = match (&self.registry, &tenant) {
            (Some(registry), Some(tenant)) => Some(registry.tenant(tenant)?),
            (registry, _) => registry.clone(),
        };
        let runtime = Runtime::new(RuntimeOptions {
            registry: registry.clone(),
            sources: Some(Sources::of(kb.clone())),
            tenant: tenant.clone(),
            ..self.options.clone()
        })?;
        Ok(Room { kb, registry, runtime, tenant, looked: Mutex::new(Instant::now()) })
    }
}
