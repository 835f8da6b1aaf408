//! What do the handles of all tenants of one opening share, and how is it found again on disk?

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{Code, Error, Result};

use super::collection::Collection;
use super::maintain::Maintainer;
use super::model::{Model, ModelSource, mismatch};
use super::options::{Durability, OpenOptions, Progress, Settings};
use crate::chunk::ChunkOptions;
use crate::index::lexical::Analyzer;
use quorate_store::{Database, Table, WriterLock};

/// The format of tables that this release writes and reads.
const FORMAT: &str = "1";
const PROPERTY_FORMAT: &str = "quorate.format";
const PROPERTY_MODEL: &str = "quorate.model";
const PROPERTY_EMBEDDER: &str = "quorate.embedder";
const PROPERTY_TENANT: &str = "quorate.tenant";
const PROPERTY_ID: &str = "quorate.id";
const PROPERTY_SETTINGS: &str = "quorate.settings";

/// The table of the tenant without a name.
const MAIN: &str = "documents";

/// What the handles of all tenants share.
pub(super) struct Base {
    pub(super) place: String,
    pub(super) database: Database,
    /// The folder of all indexes.
    index: PathBuf,
    /// The right to write; let go by `close`.
    lock: Mutex<Option<WriterLock>>,
    read_only: bool,
    pub(super) model: Model,
    /// The model's source as it is stored in each table.
    model_property: Option<String>,
    /// How this opening cuts texts.
    pub(super) chunking: ChunkOptions,
    pub(super) dim: usize,
    pub(super) settings: Settings,
    pub(super) keep_versions: usize,
    collections: Mutex<HashMap<String, Arc<Collection>>>,
    pub(super) maintainer: Maintainer,
    /// Told how far the indexes are, when they are built again.
    progress: Option<Arc<Progress>>,
    closed: AtomicBool,
}

impl Base {
    /// Opens or creates what all tenants share, and the table of the tenant without a name. Errors: as
    /// [`KnowledgeBase::open`](super::KnowledgeBase::open).
    pub(super) fn open(place: &str, options: &OpenOptions) -> Result<(Self, Table)> {
        options.validate()?;
        let remote = place.contains("://");
        if remote {
            check_scheme(place)?;
        }
        let folder = match (&options.cache_folder, remote) {
            (Some(cache), true) => cache.clone(),
            (None, true) => cache_root().join(remote_name(place, &options.storage_options)),
            (_, false) => PathBuf::from(place),
        };
        let truth = match remote {
            true => place.to_owned(),
            false => folder.join("truth").display().to_string(),
        };
        if options.read_only && !remote && !Path::new(&truth).is_dir() {
            return Err(Error::new(
                Code::NotFound,
                format!("{place}: there is no knowledge base here, and read_only does not create one"),
            ));
        }
        let lock = if options.read_only {
            None
        } else {
            std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
            let lock = WriterLock::take(&folder.join("lock"))?;
            Some(match remote {
                true => {
                    let name = remote_name(place, &options.storage_options);
                    lock.and(&std::env::temp_dir().join(format!("quorate-{name}.lock")))?
                }
                false => lock,
            })
        };
        let fsync = options.durability == Durability::PowerCut;
        let database = Database::connect(&truth, &options.storage_options, fsync)?;
        let main = match database.open(MAIN)? {
            Some(table) => table,
            None if options.read_only => {
                return Err(Error::new(Code::NotFound, format!("{place}: there is no knowledge base here")));
            }
            None => create_main(&database, place, options)?,
        };
        let (embedder_id, settings) = read_properties(&main, place)?;
        let given = match (&options.embedder, &options.model) {
            (Some(embedder), _) => Some(embedder.clone()),
            (None, Some(model)) => Some(model.open()?),
            (None, None) => None,
        };
        if let Some(embedder) = &given
            && (embedder.id() != embedder_id || embedder.dim() != main.dim())
        {
            return Err(mismatch(&embedder_id, embedder.id()));
        }
        let stored = main.property(PROPERTY_MODEL).and_then(ModelSource::from_json);
        let model = Model::new(embedder_id, given, options.model.clone().or(stored));
        if let Some(language) = options.language
            && language != settings.language
        {
            return Err(Error::invalid(format!(
                "{place} was made for language '{}', which cannot be changed to '{}'",
                settings.language.name(),
                language.name()
            )));
        }
        let base = Base {
            place: place.to_owned(),
            dim: main.dim(),
            index: folder.join("index"),
            database,
            lock: Mutex::new(lock),
            read_only: options.read_only,
            model,
            model_property: main.property(PROPERTY_MODEL).map(str::to_owned),
            chunking: options.chunking.clone().unwrap_or_else(|| settings.chunking.clone()),
            settings,
            keep_versions: options.keep_versions,
            collections: Mutex::new(HashMap::new()),
            maintainer: Maintainer::default(),
            progress: options.progress.clone(),
            closed: AtomicBool::new(false),
        };
        Ok((base, main))
    }

    pub(super) fn collection(&self, tenant: Option<&str>, main: Option<Table>) -> Result<Arc<Collection>> {
        let name = table_name(tenant);
        let mut open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = open.get(&name) {
            return Ok(collection.clone());
        }
        let table = match main {
            Some(main) if tenant.is_none() => Some(main),
            _ => self.database.open(&name)?,
        };
        let collection = Arc::new(Collection::open(
            name.clone(),
            Some(self.index.join(&name)),
            table,
            self.dim,
            Analyzer::new(self.settings.language),
            self.keep_versions,
            self.progress.as_deref(),
        )?);
        if !self.read_only {
            self.maintainer.notify(&collection);
        }
        open.insert(name, collection.clone());
        Ok(collection)
    }

    pub(super) fn create_table(&self, name: &str, tenant: Option<&str>) -> Result<Table> {
        let model = self.model_property.as_deref();
        create_table(&self.database, name, tenant, self.dim, &self.model.id, model, &self.settings)
    }

    pub(super) fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(Code::Closed, format!("the handle of {} has been closed", self.place))),
        }
    }

    pub(super) fn check_writable(&self, past: bool) -> Result<()> {
        self.check_open()?;
        let refuse = |why: &str| Err(Error::new(Code::ReadOnly, format!("{}: {why}", self.place)));
        if past {
            return refuse("a past version cannot be changed");
        }
        match self.lock.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(lock) => lock.check(),
            None => refuse("the handle was opened for reading only"),
        }
    }

    pub(super) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.maintainer.stop();
        let mut result = Ok(());
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.as_ref().is_some_and(|lock| lock.check().is_ok()) {
            let open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
            let mut names: Vec<&String> = open.keys().collect();
            names.sort_unstable();
            for name in names {
                result = result.and(open[name].flush());
            }
        }
        *lock = None;
        result
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(place = self.place, %error, "the indexes of the last documents were not stored");
        }
    }
}

fn table_name(tenant: Option<&str>) -> String {
    match tenant {
        None => MAIN.to_owned(),
        Some(tenant) => {
            let hex: String = tenant.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("tenant_{hex}")
        }
    }
}

fn create_main(database: &Database, place: &str, options: &OpenOptions) -> Result<Table> {
    let (embedder, source) = match (&options.embedder, &options.model) {
        (Some(embedder), source) => (embedder.clone(), source.clone()),
        (None, source) => {
            let source = source.clone().unwrap_or_else(ModelSource::builtin);
            (source.open().map_err(|e| e.context(place))?, Some(source))
        }
    };
    let settings = Settings {
        language: options.language.unwrap_or_default(),
        chunking: options.chunking.clone().unwrap_or_default(),
    };
    let source = source.map(|source| source.to_json()).transpose()?;
    create_table(database, MAIN, None, embedder.dim(), embedder.id(), source.as_deref(), &settings)
}

fn create_table(
    database: &Database,
    name: &str,
    tenant: Option<&str>,
    dim: usize,
    embedder: &str,
    model: Option<&str>,
    settings: &Settings,
) -> Result<Table> {
    let settings = serde_json::to_string(settings)
        .map_err(|e| Error::new(Code::Internal, format!("settings cannot be written: {e}")))?;
    let mut properties = HashMap::from([
        (PROPERTY_FORMAT.to_owned(), FORMAT.to_owned()),
        (PROPERTY_EMBEDDER.to_owned(), embedder.to_owned()),
        (PROPERTY_SETTINGS.to_owned(), settings),
        (PROPERTY_ID.to_owned(), format!("{:016x}{:016x}", nonce(), nonce())),
    ]);
    if let Some(model) = model {
        properties.insert(PROPERTY_MODEL.to_owned(), model.to_owned());
    }
    if let Some(tenant) = tenant {
        properties.insert(PROPERTY_TENANT.to_owned(), tenant.to_owned());
    }
    database.create(name, dim, properties)
}

/// A number that was never there before, from the randomness of the standard library's hash maps.
pub(super) fn nonce() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.write_u128(now.map_or(0, |t| t.as_nanos()));
    hasher.finish()
}

/// What tells a truth from any other one.
pub(super) fn truth_id(table: &Table) -> String {
    table.property(PROPERTY_ID).unwrap_or_default().to_owned()
}

fn read_properties(table: &Table, place: &str) -> Result<(String, Settings)> {
    let format = table.property(PROPERTY_FORMAT).unwrap_or("none");
    if format != FORMAT {
        return Err(Error::new(
            Code::FormatVersion,
            format!("{place} has format '{format}', this release reads '{FORMAT}'"),
        ));
    }
    let damaged =
        || Error::new(Code::Corrupt, format!("{place}: the settings of the knowledge base are not there"));
    let embedder = table.property(PROPERTY_EMBEDDER).ok_or_else(damaged)?;
    let settings = table.property(PROPERTY_SETTINGS).ok_or_else(damaged)?;
    Ok((embedder.to_owned(), serde_json::from_str(settings).map_err(|_| damaged())?))
}

/// Whether knowledge bases can be at such a place. Errors: `unsupported`.
fn check_scheme(place: &str) -> Result<()> {
    if cfg!(feature = "aws") && place.starts_with("s3://") {
        return Ok(());
    }
    let why = match (place.starts_with("s3://"), cfg!(feature = "aws")) {
        (true, _) => "this build has no object stores; build with the feature 'aws', or give a folder",
        (false, true) => "a knowledge base is in a folder, given as a path, or at an s3:// URI",
        (false, false) => "a knowledge base is in a folder, given as a path",
    };
    Err(Error::new(Code::Unsupported, format!("{place}: {why}")))
}

/// Where the indexes of remote knowledge bases lie on this machine.
fn cache_root() -> PathBuf {
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("quorate")
}

/// What tells a remote place from any other one: its URI and the endpoint that serves it.
fn remote_name(place: &str, options: &HashMap<String, String>) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(place.trim_end_matches('/').as_bytes());
    let mut endpoints: Vec<&str> = options
        .iter()
        .filter(|(key, _)| key.to_ascii_lowercase().contains("endpoint"))
        .map(|(_, value)| value.trim_end_matches('/'))
        .collect();
    endpoints.sort_unstable();
    for endpoint in endpoints {
        hash.update(b"\0").update(endpoint.as_bytes());
    }
    hash.finalize().to_hex()[..32].to_owned()
}
