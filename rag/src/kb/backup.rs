//! How is a knowledge base copied while it is used?

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};

use super::base::{table_name, truth_id};
use super::copies::{CopyOptions, CopyReport, Fresh, sync};
use super::model::ModelSource;
use super::options::{OpenOptions, WriteOptions};
use super::prepare::Prepared;
use super::{KnowledgeBase, Snapshot};
use quorate_store::{Database, Record};

/// The folder of a table's list of versions, and how each of them ends.
const VERSIONS: &str = "_versions";
const MANIFEST: &str = ".manifest";

impl KnowledgeBase {
    /// Copies the knowledge base to `to`, where nothing may be, or an empty folder. Writers and readers go on meanwhile; the
    /// copy has, of each tenant, what was acknowledged when the call began, and is durable and whole when it returns: before,
    /// nothing is at `to`.
    ///
    /// From folder to folder files are copied, past versions and indexes too, which takes as much room as the original and
    /// no memory to speak of. From memory, from and to an object store, and of a past version, the documents with their
    /// vectors are written anew; the copy then has no past versions, and what is written to an object store is not there all at
    /// once. No model is needed.
    ///
    /// Errors: `invalid_argument` (something is at `to`, or it is inside of the knowledge base), `tenant_violation` on a tenant's
    /// handle, `closed`, `cancelled`, `corrupt`, `disk_full`, `permission_denied`, `io`, `version_conflict` (a tenant has
    /// come meanwhile).
    pub fn backup(&self, to: &str, options: &CopyOptions) -> Result<CopyReport> {
        self.base.check_open()?;
        self.check_all_tenants("what a backup has")?;
        let fresh = Fresh::new(to, self)?;
        let report = match (self.base.database.folder(), fresh.folder()) {
            (Some(truth), Some(folder)) if !self.past => self.copy_files(truth, folder, options)?,
            _ => self.copy_documents(fresh.place(), options)?,
        };
        options.cancel.check()?;
        fresh.finish()?;
        Ok(report)
    }

    /// Copies files, in an order that makes each listed version whole: the indexes, the rows, then the lists of versions that
    /// were there before the rows were looked at.
    fn copy_files(&self, truth: &Path, to: &Path, options: &CopyOptions) -> Result<CopyReport> {
        let tenants = self.copied_tenants()?;
        let mut report = CopyReport { tenants: tenants.len() - 1, ..CopyReport::default() };
        let mut opened = Vec::new();
        for tenant in &tenants {
            opened.push(self.look_at(tenant.as_deref())?);
        }
        // No merge of this process removes files meanwhile; one of another process may, and is seen below.
        let _still: Vec<Option<MutexGuard<'_, ()>>> = opened.iter().map(|c| c.maintenance.take()).collect();
        let (mut jobs, mut seen) = (Vec::new(), Vec::new());
        for (tenant, collection) in tenants.iter().zip(&opened) {
            let table = table_name(tenant.as_deref());
            // What is committed from here on need not be in the copy.
            seen.push(collection.lock()?.table.as_ref().map(|table| (truth_id(table), table.version())));
            let (from, name) = (truth.join(format!("{table}.lance")), format!("truth/{table}.lance"));
            let versions = names(&from.join(VERSIONS))?;
            if let Some(index) = &self.base.index {
                list(&index.join(&table), &to.join("index").join(&table), &mut jobs)?;
            }
            list(&from, &to.join(&name), &mut jobs)?;
            let listed = from.join(VERSIONS);
            jobs.retain(|(file, _)| file.parent() != Some(listed.as_path()));
            jobs.extend(versions.into_iter().filter(is_manifest).map(|version| {
                let path = Path::new(VERSIONS).join(version);
                (from.join(&path), to.join(&name).join(&path))
            }));
            report.count(collection);
        }
        let total = jobs.len();
        let mut folders = BTreeSet::new();
        for (done, (from, to)) in jobs.iter().enumerate() {
            copy(from, to, &mut folders)?;
            options.tell(done + 1, total)?;
        }
        for (tenant, seen) in tenants.iter().zip(&seen) {
            let table = table_name(tenant.as_deref());
            let copied = to.join("truth").join(format!("{table}.lance")).join(VERSIONS);
            // What was pruned while it was copied may lack rows.
            let there = names(&truth.join(format!("{table}.lance")).join(VERSIONS))?;
            for version in names(&copied)?.difference(&there) {
                let path = copied.join(version);
                std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
            }
            quorate_store::settle_copy(&to.join("truth").join(format!("{table}.lance")))?;
            if let Some((id, version)) = seen {
                check_copy(&to.join("truth"), &table, id, *version)?;
            }
        }
        folders.iter().rev().try_for_each(|folder| sync(folder))?;
        sync(to)?;
        Ok(report)
    }

    fn copy_documents(&self, to: &str, options: &CopyOptions) -> Result<CopyReport> {
        let base = &self.base;
        let named = Named { id: base.model.id.clone(), dim: base.dim };
        let open = OpenOptions {
            embedder: Some(Arc::new(named)),
            model: base.model_property.as_deref().and_then(ModelSource::from_json),
            language: Some(base.settings.language),
            chunking: Some(base.settings.chunking.clone()),
            ..OpenOptions::default()
        };
        let target = KnowledgeBase::open(to, open)?;
        let report = self.pour(&target, options, |tenant, records| {
            let prepared = Prepared {
                before: Arc::new(Snapshot::empty(self.base.dim)),
                records: records.into_iter().enumerate().collect::<Vec<(usize, Record)>>(),
                skipped: Vec::new(),
                unchanged: Vec::new(),
                removed: Vec::new(),
            };
            tenant.commit(prepared, &WriteOptions::default(), true).map(drop)
        })?;
        target.close()?;
        Ok(report)
    }
}

/// Whether the copy of a table has at least the version that was seen when it began. Errors: `corrupt`.
fn check_copy(truth: &Path, table: &str, id: &str, version: u64) -> Result<()> {
    let copy = Database::connect(&truth.display().to_string(), &HashMap::new(), false)?.open(table)?;
    if copy.is_some_and(|copy| truth_id(&copy) == id && copy.version() >= version) {
        return Ok(());
    }
    Err(Error::new(
        Code::Corrupt,
        format!(
            "{}/{table}.lance: the copy lacks version {version}, of which files have vanished; copy again",
            truth.display()
        ),
    ))
}

fn is_manifest(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(MANIFEST))
}

/// The names of what is in a folder; none without the folder.
fn names(folder: &Path) -> Result<BTreeSet<OsString>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|e| e.file_name()).map_err(|e| Error::io(folder, e))).collect()
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(e) => Err(Error::io(folder, e)),
    }
}

/// The files below a folder, each with where it goes. What vanishes meanwhile is not listed.
fn list(from: &Path, to: &Path, out: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(from, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(from, e))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list(&from, &to, out)?,
            Ok(_) => out.push((from, to)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(from, e)),
        }
    }
    Ok(())
}

/// Copies a file and brings it to the disk; what has vanished is left out.
fn copy(from: &Path, to: &Path, folders: &mut BTreeSet<PathBuf>) -> Result<()> {
    let mut source = match std::fs::File::open(from) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(from, e)),
    };
    if let Some(folder) = to.parent()
        && folders.insert(folder.to_owned())
    {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        folders.extend(folder.ancestors().take(3).map(Path::to_owned));
    }
    let mut target = std::fs::File::create(to).map_err(|e| Error::io(to, e))?;
    std::io::copy(&mut source, &mut target).map_err(|e| Error::io(to, e))?;
    target.sync_all().map_err(|e| Error::io(to, e))
}

/// A model that is known by name and not needed.
struct Named {
    id: String,
    dim: usize,
}

impl Named {
    fn refuse<T>(&self) -> Result<T> {
        Err(Error::new(Code::Unsupported, format!("embedder '{}' is only named here", self.id)))
    }
}

impl Embed for Named {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }

    fn embed(&self, _: &[&str], _: &Cancel) -> Result<Matrix> {
        self.refuse()
    }

    fn embed_query(&self, _: &str) -> Result<Vec<f32>> {
        self.refuse()
    }

    fn tokenize(&self, _: &str) -> Result<Vec<std::ops::Range<usize>>> {
        self.refuse()
    }

    fn special_tokens(&self) -> usize {
        0
    }
}
