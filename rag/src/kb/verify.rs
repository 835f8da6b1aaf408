//! Is everything that is stored as it was written?

use std::collections::HashMap;

use quorate_core::{Code, Error, Result, shorten};
use serde::Serialize;

use super::base::truth_id;
use super::collection::Collection;
use super::copies::CopyOptions;
use super::{KnowledgeBase, Snapshot, shadow};
use quorate_store::{Entry, Numbered, Table};

/// So many problems of a tenant are listed; the last one says when there are more.
const MAX_PROBLEMS: usize = 100;
/// How often what a writer has replaced meanwhile is read again.
const ATTEMPTS: usize = 5;

/// What was examined, and what is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Whether no problem was found.
    pub ok: bool,
    /// Tenants that were examined, the one without a name included.
    pub tenants: usize,
    /// Documents that are there.
    pub documents: usize,
    /// Their chunks.
    pub chunks: usize,
    /// Versions that can be shown.
    pub versions: usize,
    /// What is wrong; at most 100 a tenant.
    pub problems: Vec<Problem>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The tenant; none for the one without a name.
    pub tenant: Option<String>,
    /// What is damaged.
    pub part: Part,
    /// The code of the error that whoever uses it gets, `corrupt` most often.
    pub code: String,
    /// Which file or document, and what is wrong with it.
    pub message: String,
}

/// A part of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The documents as they are now: some may be lost. A backup has them.
    Documents,
    /// A past version, which cannot be shown.
    Version,
    /// An index: it is built again from the documents when the knowledge base is opened the next time, and nothing is lost.
    Index,
}

impl KnowledgeBase {
    /// Reads everything that is stored and compares it with its checksums, and the indexes with the documents. What is wrong is
    /// listed and not an error. On the handle without a tenant all tenants are examined, on a tenant's its own. Nothing is
    /// changed; searching and writing go on. It takes the time to read all files, and the memory of the documents and vectors
    /// of the largest tenant.
    ///
    /// Errors: `closed`, `cancelled`, `io` and `permission_denied` when the tenants cannot be listed.
    ///
    /// ```
    /// use quorate_rag::{CopyOptions, Document, KnowledgeBase, OpenOptions};
    /// let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    /// kb.add(vec![Document::new("a", "Metformin lowers glucose.")])?;
    /// let report = kb.verify(&CopyOptions::default())?;
    /// assert!(report.ok && report.documents == 1);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn verify(&self, options: &CopyOptions) -> Result<VerifyReport> {
        self.base.check_open()?;
        let mut tenants = vec![self.tenant.clone()];
        if self.tenant.is_none() && !self.past {
            tenants.extend(self.tenants()?.into_iter().map(Some));
        }
        let mut report = VerifyReport { tenants: tenants.len(), ..VerifyReport::default() };
        for (done, tenant) in tenants.iter().enumerate() {
            options.tell(done, tenants.len())?;
            let mut found = Found { tenant: tenant.clone(), ..Found::default() };
            match self.examine_still(options, &mut found) {
                Err(error) if matches!(error.code(), Code::Cancelled | Code::Closed) => return Err(error),
                Err(error) => found.add(Part::Documents, &error),
                Ok(()) => {}
            }
            report.documents += found.documents;
            report.chunks += found.chunks;
            report.versions += found.versions;
            report.problems.extend(found.all());
        }
        self.base.check_open()?;
        options.tell(tenants.len(), tenants.len())?;
        report.ok = report.problems.is_empty();
        Ok(report)
    }

    /// Examines a tenant. Where a writer prunes the version that is looked at, meanwhile or before, the present one is
    /// examined instead.
    fn examine_still(&self, options: &CopyOptions, found: &mut Found) -> Result<()> {
        let tenant = found.tenant.clone();
        let mut collection = match tenant == self.tenant {
            true => self.collection.clone(),
            false => self.base.peek(tenant.as_deref())?,
        };
        for _ in 0..ATTEMPTS {
            let examined = self.examine(&collection, options, found);
            let is_there = match &collection.lock()?.table {
                Some(table) => table.has(found.version)?,
                None => true,
            };
            if self.past || is_there {
                return examined;
            }
            let anew = self.base.look_anew(tenant.as_deref())?;
            if anew.lock()?.table.is_none() && tenant.is_some() {
                // The tenant was dropped.
                *found = Found { tenant, ..Found::default() };
                return Ok(());
            }
            if anew.snapshot().version <= found.version {
                let what = format!("the list of version {}, the newest, is not there", found.version);
                return Err(Error::new(Code::Corrupt, what));
            }
            if examined.is_ok() && found.problems.is_empty() {
                return Ok(());
            }
            *found = Found { tenant: tenant.clone(), ..Found::default() };
            collection = anew;
        }
        self.examine(&collection, options, found)
    }

    fn examine(&self, collection: &Collection, options: &CopyOptions, found: &mut Found) -> Result<()> {
        // Table and snapshot of one version.
        let (table, snapshot) = {
            let mut writer = collection.lock()?;
            collection.catch_up(&mut writer)?;
            let snapshot = collection.snapshot();
            let Some(table) = &writer.table else { return Ok(()) };
            found.version = snapshot.version;
            (table.at(snapshot.version)?.afresh()?, snapshot)
        };
        found.documents = snapshot.docs();
        found.chunks = snapshot.chunks();
        for version in table.versions()? {
            options.cancel.check()?;
            found.versions += 1;
            if let Err(error) = table.at(version.version)
                // What was pruned meanwhile is no damage.
                && error.code() != Code::UnknownId
            {
                found.add(Part::Version, &error);
            }
        }
        // The file that is damaged comes before what is found otherwise because of it.
        self.examine_index(collection, &table, found);
        options.cancel.check()?;
        match table.read(0) {
            Ok(entries) => compare(&entries, &snapshot, found, options)?,
            Err(error) => found.add(Part::Documents, &error),
        }
        Ok(())
    }

    /// Whether the stored indexes are as they were written.
    fn examine_index(&self, collection: &Collection, table: &Table, found: &mut Found) {
        let Some(home) = &collection.home else { return };
        let _still = collection.maintenance.take();
        let truth = truth_id(table);
        let want = shadow::Want {
            truth: &truth,
            version: u64::MAX,
            dim: self.base.dim,
            analyzer: &collection.analyzer,
            open: &[],
            known: None,
        };
        let look = || shadow::try_load(home, &want);
        for attempt in 1..=ATTEMPTS {
            match look() {
                Ok(_) => return,
                // Another process may replace them just now.
                Err(error) if error.code() == Code::NotFound && attempt < ATTEMPTS => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                Err(error) => return found.add(Part::Index, &error),
            }
        }
    }
}

/// Compares what the table says with what is searched.
fn compare(
    entries: &[Numbered],
    snapshot: &Snapshot,
    found: &mut Found,
    options: &CopyOptions,
) -> Result<()> {
    let damaged = |what: String| Error::new(Code::Corrupt, what);
    // The last word on each id counts.
    let mut last: HashMap<&str, Option<usize>> = HashMap::new();
    for (i, numbered) in entries.iter().enumerate() {
        match &numbered.entry {
            Entry::Put(record) => {
                last.insert(&record.id, Some(i));
            }
            Entry::Delete(ids) => ids.iter().for_each(|id| {
                last.insert(id, None);
            }),
        }
    }
    let mut there = 0;
    for (i, numbered) in entries.iter().enumerate() {
        if i % 1024 == 0 {
            options.cancel.check()?;
        }
        let Entry::Put(record) = &numbered.entry else { continue };
        if last.get(record.id.as_str()) != Some(&Some(i)) {
            continue;
        }
        there += 1;
        match snapshot.find(&record.id) {
            None => {
                let what = format!("document '{}' is stored and cannot be found", shorten(&record.id));
                found.add(Part::Index, &damaged(what));
            }
            Some((segment, doc)) if snapshot.views()[segment].record(doc) != *record => {
                let what = format!("document '{}' is stored otherwise than it is found", shorten(&record.id));
                found.add(Part::Index, &damaged(what));
            }
            Some(_) => {}
        }
    }
    if there != snapshot.docs() {
        let what = format!("{there} documents are stored and {} can be found", snapshot.docs());
        found.add(Part::Index, &damaged(what));
    }
    Ok(())
}

/// What was examined of one tenant, and its problems.
#[derive(Default)]
struct Found {
    tenant: Option<String>,
    documents: usize,
    chunks: usize,
    versions: usize,
    problems: Vec<Problem>,
    more: usize,
    /// The version that was looked at.
    version: u64,
}

impl Found {
    fn add(&mut self, part: Part, error: &Error) {
        if self.problems.len() == MAX_PROBLEMS - 1 {
            self.more += 1;
            return;
        }
        self.problems.push(Problem {
            tenant: self.tenant.clone(),
            part,
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
        });
    }

    fn all(mut self) -> Vec<Problem> {
        if self.more > 0 {
            self.problems.push(Problem {
                tenant: self.tenant,
                part: Part::Documents,
                code: Code::Corrupt.as_str().to_owned(),
                message: format!("{} more problems of this tenant are not listed", self.more),
            });
        }
        self.problems
    }
}
