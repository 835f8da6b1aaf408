//! What do the handles of all tenants of one opening share, and how is it found again on disk?

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{Code, Error, Hold, Result, files, forks};

use super::collection::{Collection, Opening, Role};
use super::maintain::Maintainer;
use super::model::{Model, ModelSource, mismatch};
use super::options::{Durability, OpenOptions, Progress, Settings, Tuning};
use super::tenants::sweep_indexes;
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
    /// As it was given; for messages.
    pub(super) place: String,
    /// The folder of the tables, where they lie in one.
    pub(super) truth: Option<PathBuf>,
    pub(super) database: Database,
    /// The folder of all indexes; none when they stay in memory.
    pub(super) index: Option<PathBuf>,
    /// The right to write; let go by `close`.
    lock: Mutex<Option<WriterLock>>,
    read_only: bool,
    forks: u64,
    pub(super) model: Model,
    /// The model's source as it is stored in each table.
    pub(super) model_property: Option<String>,
    /// How this opening cuts texts.
    pub(super) chunking: ChunkOptions,
    pub(super) dim: usize,
    pub(super) settings: Settings,
    pub(super) keep_versions: usize,
    pub(super) tuning: Tuning,
    collections: Mutex<HashMap<String, Arc<Slot>>>,
    pub(super) maintainer: Maintainer,
    /// Told how far the indexes are, when they are built again.
    progress: Option<Arc<Progress>>,
    closed: AtomicBool,
    /// Whether closing is done; held by who closes.
    closing: Mutex<bool>,
}

/// One tenant's collection, or the place for it, held by who opens it: others are opened meanwhile.
type Slot = Hold<Option<Arc<Collection>>>;

impl Base {
    /// Opens or creates what all tenants share, and the table of the tenant without a name. Errors: as
    /// [`KnowledgeBase::open`](super::KnowledgeBase::open).
    pub(super) fn open(place: Option<&str>, options: &OpenOptions) -> Result<(Self, Table)> {
        options.validate()?;
        let memory = place.is_none();
        let place = place.unwrap_or("in memory");
        check_place(place)?;
        let remote = !memory && place.contains("://");
        if remote {
            check_scheme(place)?;
        }
        if place.is_empty() {
            return Err(Error::invalid("the place is empty; give a folder"));
        }
        // The working directory may be another one later; the place stays what it is now. A tilde is nothing special.
        let folder = match (&options.cache_folder, remote) {
            (Some(cache), true) => absolute(cache)?,
            (None, true) => absolute(&cache_root())?.join(remote_name(place, &options.storage_options)),
            (_, false) => absolute(Path::new(place))?,
        };
        let there = memory || remote || (is_folder(&folder)? && is_folder(&folder.join("truth"))?);
        if options.read_only && (memory || !there) {
            return Err(Error::new(
                Code::NotFound,
                format!("{place}: there is no knowledge base here, and read_only does not create one"),
            ));
        }
        let fsync = options.durability == Durability::PowerCut && !remote && !memory;
        if !options.read_only && !memory {
            files::make_folder(&folder, fsync)?;
        }
        let folder = if memory { folder } else { real(folder) };
        let lock = if options.read_only {
            None
        } else if memory {
            Some(WriterLock::in_memory())
        } else {
            let lock = WriterLock::take(&folder.join("lock"))?;
            Some(match remote {
                true => {
                    let name = remote_name(place, &options.storage_options);
                    lock.and(&std::env::temp_dir().join(format!("quorate-{name}.lock")))?
                }
                false => lock,
            })
        };
        let truth = (!memory && !remote).then(|| folder.join("truth"));
        if let Some(truth) = &truth
            && !options.read_only
        {
            files::make_folder(truth, fsync)?;
            if fsync {
                files::sync_folder(&folder)?;
            }
        }
        let uri = match &truth {
            None if memory => quorate_store::IN_MEMORY,
            None => place,
            Some(truth) => truth.to_str().ok_or_else(|| {
                Error::invalid(format!("{place}: the path of the folder is not valid Unicode"))
            })?,
        };
        let database = Database::connect(uri, &options.storage_options, fsync)?;
        if !options.read_only {
            database.sweep();
            if let Some(truth) = &truth {
                sweep_indexes(truth, &folder.join("index"));
            }
        }
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
            truth,
            dim: main.dim(),
            index: (!memory).then(|| folder.join("index")),
            database,
            lock: Mutex::new(lock),
            read_only: options.read_only,
            forks: forks(),
            model,
            model_property: main.property(PROPERTY_MODEL).map(str::to_owned),
            chunking: options.chunking.clone().unwrap_or_else(|| settings.chunking.clone()),
            settings,
            keep_versions: options.keep_versions,
            tuning: options.tuning.clone(),
            collections: Mutex::new(HashMap::new()),
            maintainer: Maintainer::new(),
            progress: options.progress.clone(),
            closed: AtomicBool::new(false),
            closing: Mutex::new(false),
        };
        Ok((base, main))
    }

    /// The collection of a tenant, opened when it is not open yet. Only who asks for the same one waits for that.
    pub(super) fn collection(&self, tenant: Option<&str>, main: Option<Table>) -> Result<Arc<Collection>> {
        let name = table_name(tenant);
        let slot = {
            let mut open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
            open.entry(name.clone()).or_insert_with(|| Arc::new(Hold::new(None))).clone()
        };
        // What a thread of the parent was opening at the fork, a child opens for itself.
        let Some(mut slot) = slot.take() else { return self.look_anew(tenant) };
        if let Some(collection) = slot.as_ref() {
            return Ok(collection.clone());
        }
        let table = match main {
            Some(main) if tenant.is_none() => Some(main),
            _ => self.database.open(&name)?,
        };
        let role = if self.read_only { Role::Reader } else { Role::Writer };
        let collection = Arc::new(self.open_collection(name, role, table, self.progress.as_deref())?);
        // Who has closed meanwhile did not wait for this one.
        self.check_open()?;
        if !self.read_only {
            self.maintainer.notify(&collection);
        }
        *slot = Some(collection.clone());
        Ok(collection)
    }

    /// A tenant's table and indexes, as they are open already or opened for the caller alone.
    pub(super) fn peek(&self, tenant: Option<&str>) -> Result<Arc<Collection>> {
        let name = table_name(tenant);
        let slot = self.collections.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(slot) = slot
            && let Some(slot) = slot.take()
            && let Some(collection) = slot.as_ref()
        {
            return Ok(collection.clone());
        }
        self.look_anew(tenant)
    }

    /// The same as it is stored now, for the caller alone.
    pub(super) fn look_anew(&self, tenant: Option<&str>) -> Result<Arc<Collection>> {
        let name = table_name(tenant);
        let table = self.database.open(&name)?;
        Ok(Arc::new(self.open_collection(name, Role::Reader, table, None)?))
    }

    fn open_collection(
        &self,
        name: String,
        role: Role,
        table: Option<Table>,
        progress: Option<&Progress>,
    ) -> Result<Collection> {
        Collection::open(Opening {
            home: self.index.as_ref().map(|index| index.join(&name)),
            name,
            role,
            table,
            dim: self.dim,
            analyzer: Analyzer::new(self.settings.language),
            keep_versions: self.keep_versions,
            tuning: self.tuning.clone(),
            progress,
        })
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
        if self.read_only {
            return refuse("the handle was opened for reading only");
        }
        if self.forks != forks() {
            let why =
                "this handle was opened before the process forked, and the parent keeps the right to write";
            return Err(Error::new(Code::Locked, format!("{}: {why}", self.place)));
        }
        Ok(())
    }

    pub(super) fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        // A forked child has neither the thread nor the right to write, and must not wait for threads of its parent.
        if self.forks != forks() {
            return Ok(());
        }
        let mut done = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        if *done {
            return Ok(());
        }
        self.maintainer.stop();
        let open: Vec<(String, Arc<Slot>)> = {
            let open = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
            open.iter().map(|(name, slot)| (name.clone(), slot.clone())).collect()
        };
        let mut collections: Vec<(String, Arc<Collection>)> = Vec::with_capacity(open.len());
        for (name, slot) in open {
            // Where it is being opened, its opener will see that the knowledge base is closed.
            let Some(slot) = slot.try_take() else { continue };
            collections.extend(slot.as_ref().map(|collection| (name, collection.clone())));
        }
        collections.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut result = Ok(());
        for (_, collection) in &collections {
            // Whoever is writing finishes first; who comes later sees that the handle is closed.
            if !self.read_only {
                result = result.and(collection.flush());
            }
            collection.forget();
        }
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *done = true;
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

/// The absolute path of a place. Errors: `invalid_argument`, `io`.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io(path, e))
}

/// The path without links and dots, which all parts of the library then read alike.
fn real(path: PathBuf) -> PathBuf {
    // On Windows such a path has a form of its own that not everything takes.
    match path.canonicalize() {
        Ok(real) if !cfg!(windows) && real.to_str().is_some() => real,
        _ => path,
    }
}

pub(super) fn table_name(tenant: Option<&str>) -> String {
    match tenant {
        None => MAIN.to_owned(),
        Some(tenant) => {
            let hex: String = tenant.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("tenant_{hex}")
        }
    }
}

/// The tenant whose table has this name; none for the tenant without a name, and for what is no table of ours.
pub(super) fn tenant_of(table: &str) -> Option<String> {
    let hex = table.strip_prefix("tenant_")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = hex
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect();
    String::from_utf8(bytes?).ok().filter(|name| !name.is_empty() && table_name(Some(name)) == table)
}

/// Whether text can be the name of a place at all. Errors: `invalid_argument`.
pub(super) fn check_place(place: &str) -> Result<()> {
    if place.is_empty() {
        return Err(Error::invalid(
            "the place is empty; give a folder, or nothing at all for a knowledge base in memory",
        ));
    }
    if place.contains('\0') {
        return Err(Error::invalid("the place has a NUL character, which no folder can have"));
    }
    Ok(())
}

/// Whether a folder is at a path; false when nothing is and a folder can be made. Errors: `invalid_argument` when something
/// else stands in the way, `permission_denied`, `io`.
pub(super) fn is_folder(path: &Path) -> Result<bool> {
    for part in path.ancestors() {
        let what = match std::fs::metadata(part) {
            Ok(meta) if meta.is_dir() => return Ok(part == path),
            Ok(_) => "is a file",
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Err(Error::io(part, e)),
            Err(e) => match std::fs::symlink_metadata(part) {
                Ok(meta) if meta.is_symlink() => "is a link that leads to nothing",
                Ok(_) => return Err(Error::io(part, e)),
                Err(_) if is_absence(&e) => continue,
                Err(_) => return Err(Error::io(part, e)),
            },
        };
        return Err(Error::invalid(format!("{} {what}; a folder is expected", part.display())));
    }
    Ok(false)
}

/// Whether nothing is there, or something above it is no folder, which is found out there.
fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
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
pub(super) fn check_scheme(place: &str) -> Result<()> {
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
