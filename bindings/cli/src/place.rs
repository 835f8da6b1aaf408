//! Where is everything that the command line works on?
//!
//! All of it lies in one folder: the knowledge base as every language opens it, `runs/` with what experts, panels and workflows have
//! done, `agents.yaml` with the experts that were added, and `settings.json` with what was chosen by `quorate init`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate::agents::{AgentRegistry, Catalog, RegistryOptions};
use quorate::core::embed::StaticModel;
use quorate::rag::{KnowledgeBase, OpenOptions, Progress};
use quorate::runtime::{Runtime, RuntimeOptions};
use quorate::state::StateStore;
use quorate::{Cancel, Code, Error, Result, Sources};
use serde::{Deserialize, Serialize};

use crate::args::{Answering, Common};
use crate::console::Console;
use crate::failure::Failure;
use crate::model;

/// The file of what was chosen when the knowledge base was made.
const SETTINGS: &str = "settings.json";
/// The folder of runs.
pub(crate) const RUNS: &str = "runs";
/// The file of the experts that were added.
pub(crate) const AGENTS: &str = "agents.yaml";
/// The largest file of settings, in bytes.
const MAX_SETTINGS: u64 = 1 << 16;
/// The experts to begin with.
const CATALOG: &str = "healthcare";

/// The place of a knowledge base, and whose part of it is meant.
pub(crate) struct Place {
    /// As it was given.
    name: String,
    pub(crate) tenant: Option<String>,
    cancel: Cancel,
}

/// What was chosen when the knowledge base was made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The experts to begin with: `healthcare`, `service`, `none`, or a path.
    pub(crate) catalog: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { catalog: CATALOG.to_owned() }
    }
}

impl Place {
    /// Errors: `invalid_argument` for a path that is no Unicode.
    pub(crate) fn of(common: &Common, cancel: Cancel) -> Result<Place> {
        let Some(name) = common.kb.to_str() else {
            let shown = common.kb.display();
            return Err(Error::invalid(format!("--kb {shown}: the path of the folder is not valid Unicode")));
        };
        Ok(Place { name: name.to_owned(), tenant: common.tenant.clone(), cancel })
    }

    /// As it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder; none where the knowledge base is in an object store.
    pub(crate) fn folder(&self) -> Option<&Path> {
        (!self.name.contains("://")).then(|| Path::new(&self.name))
    }

    /// Whether there is a knowledge base in the folder.
    pub(crate) fn exists(&self) -> bool {
        self.folder().is_none_or(|folder| folder.join("truth").is_dir())
    }

    /// The knowledge base, to read it, whoever writes. Errors: those of [`KnowledgeBase::open`].
    pub(crate) fn read(&self, console: &Console) -> Result<KnowledgeBase> {
        let bar = console.progress("building indexes");
        let options = OpenOptions { read_only: true, ..self.options(bar.told()) };
        KnowledgeBase::open(&self.name, options).map_err(|error| match error.code() {
            Code::NotFound => Error::new(
                Code::NotFound,
                format!("there is no knowledge base at {}; make one with `quorate add FILES`", self.name),
            ),
            _ => error,
        })
    }

    /// The documents of every tenant, to read them. Errors: as of [`Place::read`].
    pub(crate) fn every(&self, console: &Console) -> Result<KnowledgeBase> {
        let all = Place { name: self.name.clone(), tenant: None, cancel: self.cancel.clone() };
        all.read(console)
    }

    /// How the knowledge base is opened.
    pub(crate) fn options(&self, progress: Option<Arc<Progress>>) -> OpenOptions {
        OpenOptions { tenant: self.tenant.clone(), progress, ..OpenOptions::default() }
    }

    /// What was chosen when the knowledge base was made. Errors: `corrupt`, those of reading.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let Some(path) = self.folder().map(|folder| folder.join(SETTINGS)) else {
            return Ok(Settings::default());
        };
        let bytes = match quorate::core::read_file(&path, MAX_SETTINGS) {
            Err(error) if error.code() == Code::NotFound => return Ok(Settings::default()),
            other => other?,
        };
        serde_json::from_slice(&bytes).map_err(|e| {
            let message = format!("{}: {e}; correct the file, or delete it", path.display());
            Error::with_source(Code::Corrupt, message, e)
        })
    }

    /// Keeps what was chosen. Errors: those of writing.
    pub(crate) fn keep(&self, settings: &Settings) -> Result<()> {
        let Some(path) = self.folder().map(|folder| folder.join(SETTINGS)) else {
            let message = "a knowledge base in an object store has no settings of its own";
            return Err(Error::new(Code::Unsupported, message));
        };
        let text = serde_json::to_string(settings)
            .map_err(|e| Error::new(Code::Internal, format!("the settings cannot be written: {e}")))?;
        quorate::core::files::replace(&path, true, |file| std::io::Write::write_all(file, text.as_bytes()))
    }

    /// The experts that ship, without those that were added; none where nothing was chosen.
    pub(crate) fn catalog(&self) -> Result<Option<String>> {
        let Settings { catalog } = self.settings()?;
        Ok((catalog != "none").then_some(catalog))
    }

    /// Where the experts that were added are kept; none where nobody was.
    pub(crate) fn added_agents(&self) -> Option<PathBuf> {
        self.folder().map(|folder| folder.join(AGENTS)).filter(|path| path.exists())
    }

    /// All experts, of all tenants. Errors: those of the catalogue, of the file of those that were added, and of the embedder.
    pub(crate) fn all_agents(&self) -> Result<AgentRegistry> {
        let catalog = self.catalog()?;
        let options = RegistryOptions {
            catalog,
            cancel: self.cancel.clone(),
            ..RegistryOptions::new(StaticModel::builtin()?)
        };
        let registry = AgentRegistry::open(None, options)?;
        if let Some(path) = self.added_agents() {
            registry.load(&path)?;
        }
        Ok(registry)
    }

    /// The experts that are meant: without a tenant those of none. Errors: as of [`Place::all_agents`].
    pub(crate) fn agents(&self) -> Result<AgentRegistry> {
        let all = self.all_agents()?;
        match &self.tenant {
            Some(tenant) => all.tenant(tenant),
            None => {
                // This registry is the command's own: nothing of it is written.
                for agent in all.list(None)? {
                    if let Some(tenant) = &agent.tenant {
                        all.tenant(tenant)?.remove(&agent.id)?;
                    }
                }
                Ok(all)
            }
        }
    }

    /// The runs. Without a folder that may be written they are kept in memory, as long as the command lasts. Errors: those of
    /// [`StateStore::open`].
    pub(crate) fn store(&self, console: &mut Console) -> Result<StateStore> {
        let Some(folder) = self.folder() else { return Ok(StateStore::memory()) };
        match StateStore::open(folder.join(RUNS)) {
            Err(error) if error.code() == Code::PermissionDenied => {
                console.warn(
                    error.code().as_str(),
                    "the runs cannot be kept, since the folder cannot be written",
                );
                Ok(StateStore::memory())
            }
            other => other,
        }
    }

    /// The runs that were kept, without making a place for them. Errors: `not_found`, those of [`StateStore::open`].
    pub(crate) fn kept_runs(&self) -> Result<StateStore> {
        match self.folder().map(|folder| folder.join(RUNS)) {
            Some(path) if path.is_dir() => StateStore::open(path),
            _ => Ok(StateStore::memory()),
        }
    }

    /// The documents; where there are none yet, an empty knowledge base in memory. Errors: as of [`Place::read`].
    pub(crate) fn read_or_empty(&self, console: &Console) -> Result<KnowledgeBase> {
        match self.exists() {
            true => self.read(console),
            false => KnowledgeBase::in_memory(self.options(None)),
        }
    }

    /// Who answers: the experts over the documents, with the model that was named. Errors: those of all parts.
    pub(crate) fn runtime(
        &self,
        console: &mut Console,
        kb: &KnowledgeBase,
        answering: &Answering,
        registry: Option<AgentRegistry>,
    ) -> Result<Runtime, Failure> {
        Ok(Runtime::new(self.runtime_options(console, kb, answering, registry)?)?)
    }

    /// What a runtime is made of. Errors: those of all parts.
    pub(crate) fn runtime_options(
        &self,
        console: &mut Console,
        kb: &KnowledgeBase,
        answering: &Answering,
        registry: Option<AgentRegistry>,
    ) -> Result<RuntimeOptions, Failure> {
        Ok(RuntimeOptions {
            registry,
            sources: Some(Sources::of(kb.clone())),
            model: model::open(answering)?,
            store: Some(self.store(console)?),
            tenant: self.tenant.clone(),
            budget: model::budget(answering)?.unwrap_or_default(),
            ..RuntimeOptions::default()
        })
    }
}

/// Whether experts can be begun with by this name. Errors: those of [`Catalog::named`].
pub(crate) fn check_catalog(name: &str) -> Result<()> {
    match name {
        "none" => Ok(()),
        name => Catalog::named(name).map(|_| ()),
    }
}
