//! How does a copy of a knowledge base come to its place whole, or not at all?

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::{Cancel, Code, Error, Result};
use serde::Serialize;

use super::base::{is_folder, nonce};
use super::collection::Collection;
use super::{KnowledgeBase, Progress};
use quorate_store::Record;

/// How to copy or to examine a knowledge base. Fields have the defaults named.
#[derive(Clone, Default)]
pub struct CopyOptions {
    /// Told how many files or documents of how many are done. Default nobody.
    pub progress: Option<Arc<Progress>>,
    /// Stops the work; then there is no copy. Default never.
    pub cancel: Cancel,
}

impl CopyOptions {
    /// Tells how far it is. Errors: `cancelled`.
    pub(super) fn tell(&self, done: usize, total: usize) -> Result<()> {
        if let Some(progress) = &self.progress {
            progress(done, total);
        }
        self.cancel.check()
    }
}

impl std::fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOptions").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Tenants with a name that have documents or had some.
    pub tenants: usize,
    /// Documents of all tenants.
    pub documents: usize,
    /// Their chunks.
    pub chunks: usize,
}

impl CopyReport {
    pub(super) fn count(&mut self, collection: &Collection) {
        let snapshot = collection.snapshot();
        self.documents += snapshot.docs();
        self.chunks += snapshot.chunks();
    }
}

/// A place for a copy. In a folder it is made beside the place and moved there when it is whole; dropped before, it leaves
/// nothing.
pub(super) struct Fresh {
    place: String,
    /// Where it is made, and where it goes; none on an object store.
    folders: Option<(PathBuf, PathBuf)>,
}

impl Fresh {
    /// A place where nothing is, apart from the knowledge base that is copied. Errors: `invalid_argument` when something is
    /// there, `permission_denied`, `io`.
    pub(super) fn new(to: &str, source: &KnowledgeBase) -> Result<Self> {
        super::base::check_place(to)?;
        if to.contains("://") {
            super::base::check_scheme(to)?;
            let there = quorate_store::Database::connect(to, &HashMap::new(), false)?.names()?;
            return match there.is_empty() {
                true => Ok(Fresh { place: to.to_owned(), folders: None }),
                false => Err(occupied(to)),
            };
        }
        let home = resolved(&std::path::absolute(to).map_err(|e| Error::io(to, e))?);
        if is_folder(&home)? {
            let mut entries = std::fs::read_dir(&home).map_err(|e| Error::io(&home, e))?;
            if entries.next().is_some() {
                return Err(occupied(to));
            }
        }
        let own = source.base.database.folder().and_then(Path::parent);
        if own.is_some_and(|own| home.starts_with(resolved(own))) {
            return Err(Error::invalid(format!(
                "{to} is inside of the knowledge base; a place beside it is expected"
            )));
        }
        let Some(parent) = home.parent().filter(|_| home.file_name().is_some()).map(Path::to_owned) else {
            return Err(Error::invalid(format!("{to}: this names no new folder")));
        };
        std::fs::create_dir_all(&parent).map_err(|e| Error::io(&parent, e))?;
        let name = home.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let partial = parent.join(format!(".{name}.partial-{:016x}", nonce()));
        std::fs::create_dir(&partial).map_err(|e| Error::io(&partial, e))?;
        Ok(Fresh { place: partial.display().to_string(), folders: Some((partial, home)) })
    }

    /// Where the copy is made.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The folder where it is made, for a copy in one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folders.as_ref().map(|(partial, _)| partial.as_path())
    }

    /// Moves the copy, which is closed, to its place. Errors: `invalid_argument` when something has come there meanwhile,
    /// `io`, `permission_denied`.
    pub(super) fn finish(mut self) -> Result<()> {
        let Some((partial, home)) = self.folders.take() else { return Ok(()) };
        let moved = std::fs::rename(&partial, &home).map_err(|e| match e.kind() {
            std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists => {
                occupied(&home.display().to_string())
            }
            _ => Error::io(&home, e),
        });
        if moved.is_err() {
            self.folders = Some((partial, home));
            return moved;
        }
        sync(home.parent().unwrap_or(&home))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.folders
            && let Err(error) = std::fs::remove_dir_all(partial)
        {
            tracing::warn!(folder = %partial.display(), %error, "a copy that was given up could not be removed");
        }
    }
}

/// The path without links and dots, as far as it is there already.
fn resolved(path: &Path) -> PathBuf {
    // On Windows such a path has a form of its own that not everything takes.
    if cfg!(windows) {
        return path.to_owned();
    }
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

fn occupied(place: &str) -> Error {
    Error::invalid(format!(
        "{place}: something is there; a place where nothing is, or an empty folder, is expected"
    ))
}

/// Brings a file or folder to the disk.
pub(super) fn sync(path: &Path) -> Result<()> {
    // A folder cannot be opened for synchronisation everywhere (not on Windows); its files are synchronised then.
    match std::fs::File::open(path) {
        Ok(file) => file.sync_all().map_err(|e| Error::io(path, e)),
        Err(_) if cfg!(windows) && path.is_dir() => Ok(()),
        Err(e) => Err(Error::io(path, e)),
    }
}

impl KnowledgeBase {
    /// The tenants of a copy: the one without a name first. Of a past version there is only that of the handle.
    pub(super) fn copied_tenants(&self) -> Result<Vec<Option<String>>> {
        let mut tenants = vec![None];
        if !self.past {
            tenants.extend(self.tenants()?.into_iter().map(Some));
        }
        Ok(tenants)
    }

    /// What a tenant has stored, opened already or for this alone.
    pub(super) fn look_at(&self, tenant: Option<&str>) -> Result<Arc<Collection>> {
        match tenant {
            None => Ok(self.collection.clone()),
            Some(_) => self.base.peek(tenant),
        }
    }

    /// Writes the documents of all tenants to another knowledge base, in groups of at most `GROUP`: `write` is given the
    /// handle of the tenant there.
    pub(super) fn pour(
        &self,
        target: &KnowledgeBase,
        options: &CopyOptions,
        write: impl Fn(&KnowledgeBase, Vec<Record>) -> Result<()>,
    ) -> Result<CopyReport> {
        /// So many documents are read and written at a time; this and the target bound the memory.
        const GROUP: usize = 256;
        let tenants = self.copied_tenants()?;
        let mut report = CopyReport { tenants: tenants.len() - 1, ..CopyReport::default() };
        let mut done = 0;
        let mut total = 0;
        for tenant in &tenants {
            total += self.look_at(tenant.as_deref())?.snapshot().docs();
        }
        for tenant in &tenants {
            let from = self.look_at(tenant.as_deref())?.snapshot();
            let to = match tenant {
                Some(name) => target.tenant(name)?,
                None => target.clone(),
            };
            let mut group = Vec::with_capacity(GROUP);
            for view in from.views() {
                for doc in view.live.docs.iter() {
                    group.push(view.record(doc));
                    if group.len() == GROUP {
                        done += group.len();
                        write(&to, std::mem::take(&mut group))?;
                        // Others may have written since the total was counted.
                        options.tell(done, total.max(done))?;
                    }
                }
            }
            if !group.is_empty() {
                done += group.len();
                write(&to, group)?;
                options.tell(done, total.max(done))?;
            }
            report.count(&to.collection);
        }
        if !self.copied_tenants()?.iter().all(|tenant| tenants.contains(tenant)) {
            return Err(Error::new(
                Code::VersionConflict,
                "a tenant has come while the copy was made, and is not in it; copy again",
            ));
        }
        Ok(report)
    }
}
