//! Which tenants are there, and how does one of them leave?

use std::path::Path;

use quorate_core::{Code, Error, Result, shorten};

use super::base::{table_name, tenant_of, truth_id};
use super::collection::Writer;
use super::options::check_tenant;
use super::{KnowledgeBase, Snapshot};

/// How often a table is opened anew that is dropped and made again meanwhile.
const ATTEMPTS: usize = 5;

impl KnowledgeBase {
    /// The names of the tenants that have written something, sorted. The tenant without a name is not among them.
    /// Errors: `tenant_violation` on a tenant's handle, `closed`, `io`, `permission_denied`, and those of an object store.
    ///
    /// ```
    /// use quorate_rag::{Document, KnowledgeBase, OpenOptions};
    /// let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    /// kb.tenant("acme")?.add(vec![Document::new("a", "Metformin lowers glucose.")])?;
    /// assert_eq!(kb.tenants()?, ["acme"]);
    /// kb.drop_tenant("acme")?;
    /// assert!(kb.tenants()?.is_empty());
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn tenants(&self) -> Result<Vec<String>> {
        self.base.check_open()?;
        self.check_all_tenants("the names of the tenants")?;
        let mut names: Vec<String> =
            self.base.database.names()?.iter().filter_map(|name| tenant_of(name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes a tenant: its documents with all their versions, and its indexes. This is durable on return, and cannot be
    /// undone. Handles of the tenant are empty from then on and may write again; readers in other processes see it when they
    /// refresh. It works for documents that cannot be read, too. Errors: `not_found` when there is no such tenant,
    /// `tenant_violation` on a tenant's handle, `invalid_argument` (name), `read_only`, `closed`, `locked`; `io` and
    /// `permission_denied`, also when the tenant is gone and some of its files could not be removed from the disk: the
    /// message says so, and the next opening for writing removes them.
    pub fn drop_tenant(&self, name: &str) -> Result<()> {
        self.base.check_writable(self.past)?;
        self.check_all_tenants("other tenants")?;
        check_tenant(name)?;
        let table = table_name(Some(name));
        if !self.base.database.names()?.contains(&table) {
            return Err(Error::new(
                Code::NotFound,
                format!("there is no tenant '{}', or it has never written anything", shorten(name)),
            ));
        }
        // One that cannot be read has no handles either.
        let collection = self.base.collection(Some(name), None).ok();
        let maintenance = collection.as_ref().map(|c| c.maintenance.take());
        let writer = collection.as_ref().map(|c| c.lock()).transpose()?;
        self.base.check_writable(self.past)?;
        let aside = self.base.database.remove(&table)?;
        if let (Some(collection), Some(mut writer)) = (&collection, writer) {
            writer.table = None;
            writer.forget();
            collection.publish(Snapshot::empty(self.base.dim));
        }
        drop(maintenance);
        let index = self.base.index.as_ref().map(|index| index.join(&table));
        // What cannot be removed now keeps nothing else.
        let left: Vec<Error> =
            aside.iter().chain(&index).filter_map(|folder| quorate_store::discard(folder).err()).collect();
        match left.into_iter().next() {
            None => Ok(()),
            Some(error) => Err(error.context(format_args!(
                "tenant '{}' is gone, but files of it stay on the disk until the next opening for writing",
                shorten(name)
            ))),
        }
    }

    /// Shows what others have written, also where they have dropped the table or made it anew; whether it is another one now.
    pub(super) fn look_again(&self, writer: &mut Writer) -> Result<bool> {
        let before = writer.table.as_ref().map(truth_id);
        let error = match self.follow(writer, before.as_deref()) {
            Err(error) => error,
            replaced => return replaced,
        };
        // It may have been dropped while it was read.
        for _ in 0..ATTEMPTS {
            let Ok(table) = self.base.database.open(&self.collection.name) else { continue };
            if table.as_ref().map(truth_id) == before {
                break;
            }
            writer.table = table;
            self.start_anew(writer);
            if self.collection.catch_up(writer).is_ok() {
                return Ok(true);
            }
        }
        Err(error)
    }

    fn follow(&self, writer: &mut Writer, before: Option<&str>) -> Result<bool> {
        let Some(table) = &mut writer.table else {
            writer.table = self.base.database.open(&self.collection.name)?;
            self.collection.catch_up(writer)?;
            return Ok(false);
        };
        table.refresh()?;
        let replaced = before != Some(truth_id(table).as_str());
        if replaced {
            self.start_anew(writer);
        }
        self.collection.catch_up(writer)?;
        Ok(replaced)
    }

    /// Forgets what was seen of another table.
    fn start_anew(&self, writer: &mut Writer) {
        writer.forget();
        self.collection.publish(Snapshot::empty(self.base.dim));
    }

    /// Fails on the handle of a tenant. Errors: `tenant_violation`.
    pub(super) fn check_all_tenants(&self, what: &str) -> Result<()> {
        match &self.tenant {
            None => Ok(()),
            Some(own) => Err(Error::new(
                Code::TenantViolation,
                format!(
                    "this handle belongs to tenant '{own}', which cannot see {what}; use the handle without a tenant"
                ),
            )),
        }
    }
}

/// Removes the indexes of tenants that are not there: their removal was interrupted. What cannot be removed now is removed
/// another time.
pub(super) fn sweep_indexes(truth: &Path, index: &Path) {
    for entry in std::fs::read_dir(index).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if let Some(table) = name.to_str().filter(|name| tenant_of(name).is_some())
            && !truth.join(format!("{table}.lance")).exists()
        {
            let _ = quorate_store::discard(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_tell_their_tenants() {
        for name in ["acme", "\u{e9}t\u{e9}", "a b/c", "x"] {
            assert_eq!(tenant_of(&table_name(Some(name))).as_deref(), Some(name));
        }
        for other in ["documents", "tenant_", "tenant_6", "tenant_zz", "tenant_ff", "tenant_4A", "other_61"] {
            assert_eq!(tenant_of(other), None, "{other}");
        }
    }
}
