//! How do files and folders become part of a knowledge base, and stay what they say?

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error, Result, parallel};

use super::KnowledgeBase;
use super::options::{Skipped, WriteOptions, WriteReport};
use super::prepare::{Batch, How, duplicate};
use super::sources::{Sources, is_gone, is_loaded, is_of_path, path, path_part};
use crate::Document;
use crate::document::Metadata;
use crate::load::{Found, LoadOptions, Meant, absolute, is_row_file, is_supported, load_each, name};

/// At most so many files are read at a time.
const GROUP_FILES: usize = 32;
/// A group of files ends when it has this many bytes. A table of more is read row by row.
const GROUP_BYTES: u64 = 8 << 20;
/// What is packed counts so many times its bytes.
const PACKED: u64 = 8;
/// Documents and vectors of this many bytes are committed, however few they are.
const COMMIT_BYTES: usize = 64 << 20;

/// How to add files. Fields have the defaults named.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// How one file is read, and what bounds it.
    pub load: LoadOptions,
    /// How the documents are written. `progress` is told how many files of how many are done, and an error that stops
    /// names its file.
    pub write: WriteOptions,
    /// The folder that ids begin below, so that they are the same wherever the folder lies. Files that are not in it keep
    /// their absolute paths. Default none: ids are made of absolute paths.
    pub root: Option<PathBuf>,
    /// What is known of all the documents; it counts more than what a file says itself. Default nothing.
    pub metadata: Metadata,
    /// Whether symbolic links in a folder lead on, also out of it. Default no: links to files in the folder are followed,
    /// and those out of it are listed with code `unsupported`.
    pub follow_links: bool,
    /// After so many documents there is a commit (and after about 64 MiB of texts and vectors). Default 1000.
    pub batch: usize,
}

impl Default for FileOptions {
    fn default() -> Self {
        FileOptions {
            load: LoadOptions::default(),
            write: WriteOptions::default(),
            root: None,
            metadata: Metadata::new(),
            follow_links: false,
            batch: 1000,
        }
    }
}

impl FileOptions {
    /// Whether the values make sense. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::invalid("batch is 0; a commit has 1 document or more"));
        }
        self.load.csv.validate()
    }
}

/// How to make a knowledge base say what files say. Fields have the defaults named.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// How the files are read and written.
    pub files: FileOptions,
    /// Whether documents are deleted whose files are gone. Default yes.
    pub delete_missing: bool,
}

impl Default for SyncOptions {
    fn default() -> Self {
        SyncOptions { files: FileOptions::default(), delete_missing: true }
    }
}

/// What [`sync_files`](KnowledgeBase::sync_files) did, in documents.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// Those that are new.
    pub added: usize,
    /// Those that say something else than before.
    pub updated: usize,
    /// Those that were not written again.
    pub unchanged: usize,
    /// Those whose files are gone, or no longer hold them.
    pub deleted: usize,
    /// Chunks that were stored.
    pub chunks: usize,
    /// What could not be read or stored.
    pub skipped: Vec<Skipped>,
    /// The version that says what the files say.
    pub version: u64,
}

impl KnowledgeBase {
    /// Adds the documents of files. Each pattern is a file, a folder (all files below it) or a glob, as for
    /// [`expand`](crate::load::expand); a file that several patterns mean is read once. What becomes of each kind of file is
    /// said at [`load_file`](crate::load::load_file).
    ///
    /// There is a commit after each [`batch`](FileOptions::batch) of documents, so that memory is bounded by a batch and the
    /// largest file, and what was done stays when the work is stopped: by an error, which discards the batch that it is in,
    /// or by the end of the process. Adding the same files again goes on: a document that is stored as its file says is
    /// `unchanged`, whenever the file was last touched. One that says something else is refused with `duplicate_id`;
    /// [`upsert_files`](KnowledgeBase::upsert_files) replaces it.
    ///
    /// A file or row that cannot be read or stored is an error that names it, or with
    /// [`OnError::Skip`](crate::OnError::Skip) is listed in the report: `index` is the place of the file, `id` its path, or
    /// the document's id when it is one document of a good file. Files in a folder or glob that no loader reads are listed in
    /// any case (code `unsupported`), and links that are not followed; a pattern that names such a file itself is an error
    /// like others.
    ///
    /// Errors: `not_found` when a pattern names nothing, `invalid_argument` for a malformed glob, those of
    /// [`load_file`](crate::load::load_file), and as [`add_with`](KnowledgeBase::add_with).
    ///
    /// ```
    /// use quorate_rag::{FileOptions, KnowledgeBase, OpenOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("kb").display().to_string();
    /// # let notes = folder.path().join("notes").display().to_string();
    /// std::fs::create_dir(&notes)?;
    /// std::fs::write(format!("{notes}/metformin.md"), "# Metformin\nContraindicated in renal failure.")?;
    /// std::fs::write(format!("{notes}/scan.png"), [0x89, b'P'])?;
    /// let kb = KnowledgeBase::open(place, OpenOptions::default())?;
    /// let report = kb.add_files(&[&notes], &FileOptions::default())?;
    /// assert_eq!((report.added, report.skipped.len()), (1, 1));
    /// assert_eq!(report.skipped[0].error.code().as_str(), "unsupported");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_files(&self, patterns: &[impl AsRef<Path>], options: &FileOptions) -> Result<WriteReport> {
        self.put_files(patterns, options, Task::Add)
    }

    /// Adds the documents of files, replacing those of the same ids; what has not changed is neither embedded nor written
    /// again. Documents of such a file that it no longer holds (rows, pages) are deleted, unless a row of it could not be
    /// read or stored. Documents whose files are gone as a whole stay; [`sync_files`](KnowledgeBase::sync_files) deletes
    /// them. Errors: as [`add_files`](KnowledgeBase::add_files) without `duplicate_id` for ids that are stored.
    pub fn upsert_files(&self, patterns: &[impl AsRef<Path>], options: &FileOptions) -> Result<WriteReport> {
        self.put_files(patterns, options, Task::Upsert)
    }

    /// Makes the knowledge base say what files say: as [`upsert_files`](KnowledgeBase::upsert_files), and documents whose
    /// files are gone are deleted, as far as a pattern means those files. A pattern may name a file that is gone, or a folder
    /// or glob without any left; the folder where the search begins must be there. Documents that did not come from files
    /// are left alone. Errors: as [`upsert_files`](KnowledgeBase::upsert_files).
    ///
    /// ```
    /// use quorate_rag::{KnowledgeBase, OpenOptions, SyncOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let place = folder.path().join("kb").display().to_string();
    /// # let notes = folder.path().join("notes");
    /// # let options = SyncOptions::default();
    /// std::fs::create_dir(&notes)?;
    /// std::fs::write(notes.join("a.txt"), "Metformin lowers glucose.")?;
    /// std::fs::write(notes.join("b.txt"), "Insulin too.")?;
    /// let kb = KnowledgeBase::open(place, OpenOptions::default())?;
    /// assert_eq!(kb.sync_files(&[&notes], &options)?.added, 2);
    /// std::fs::remove_file(notes.join("b.txt"))?;
    /// let report = kb.sync_files(&[&notes], &options)?;
    /// assert_eq!((report.unchanged, report.deleted, kb.count(None)?), (1, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_files(&self, patterns: &[impl AsRef<Path>], options: &SyncOptions) -> Result<SyncReport> {
        let task = Task::Sync { delete_missing: options.delete_missing };
        let WriteReport { added, replaced, unchanged, deleted, chunks, skipped, version } =
            self.put_files(patterns, &options.files, task)?;
        Ok(SyncReport { added, updated: replaced, unchanged, deleted, chunks, skipped, version })
    }

    fn put_files(
        &self,
        patterns: &[impl AsRef<Path>],
        options: &FileOptions,
        task: Task,
    ) -> Result<WriteReport> {
        self.base.check_writable(self.past)?;
        options.validate()?;
        let root = options.root.as_deref().map(absolute).transpose()?;
        let now = self.collection.snapshot();
        let sources = (task != Task::Add).then(|| Sources::new(now.clone()));
        let meant = patterns.iter().map(|given| Meant::new(given.as_ref())).collect::<Result<Vec<_>>>()?;
        let files = listed(&meant, options, task, sources.as_ref())?;
        let how = if task == Task::Add { How::Resume } else { How::Replace };
        let mut run = Run {
            kb: self,
            options,
            root: root.as_deref(),
            batch: Batch::new(&self.base, now, &options.write, how),
            sources: sources.as_ref(),
            report: WriteReport::default(),
            removed: Vec::new(),
            old: HashSet::new(),
            clean: true,
            total: files.len(),
        };
        let mut done = 0;
        while done < files.len() {
            let group = &files[done..done + group_len(&files[done..])];
            run.read(done, group)?;
            done += group.len();
        }
        if task == (Task::Sync { delete_missing: true }) {
            run.miss(&meant, &files)?;
        }
        run.commit()?;
        options.write.tell(files.len(), files.len());
        run.report.skipped.sort_by_key(|one| one.index);
        Ok(run.report)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Add,
    Upsert,
    Sync { delete_missing: bool },
}

/// Files on their way into a knowledge base.
struct Run<'a> {
    kb: &'a KnowledgeBase,
    options: &'a FileOptions,
    root: Option<&'a Path>,
    batch: Batch<'a>,
    /// What was there at first; none when nothing is replaced.
    sources: Option<&'a Sources>,
    report: WriteReport,
    /// What the next commit deletes.
    removed: Vec<String>,
    /// The stored ids of the file at hand that it has not given yet.
    old: HashSet<String>,
    /// Whether all of the file at hand could be read and stored so far.
    clean: bool,
    /// Files in all.
    total: usize,
}

impl<'a> Run<'a> {
    /// Reads a group of files, the first of which has the place `first`: several at a time, or a large one bit by bit.
    fn read(&mut self, first: usize, group: &[File]) -> Result<()> {
        let options: &'a FileOptions = self.options;
        let (root, load, write) = (self.root, &options.load, &options.write);
        write.cancel.check()?;
        let loaded: Vec<Loaded> = match group {
            [file] => vec![self.read_one(first, file)?],
            group => parallel::map(group, |file| {
                let mut documents = Vec::new();
                let ended = file.read(root, load, &mut |document| {
                    write.cancel.check()?;
                    documents.push(document);
                    Ok(())
                });
                Loaded { documents, ended }
            }),
        };
        for (i, (file, Loaded { documents, ended })) in group.iter().zip(loaded).enumerate() {
            let index = first + i;
            if group.len() > 1 {
                self.begin(file);
            }
            for document in documents {
                self.take(index, file, document)?;
            }
            match ended {
                Ok(()) => self.end(),
                Err(error) if file.is_unsupported(&error) => self.batch.skip(index, file.shown(), error),
                Err(error) => self.batch.refuse(index, file.shown(), error)?,
            }
            if index + 1 < self.total {
                write.tell(index + 1, self.total);
            }
        }
        Ok(())
    }

    fn read_one(&mut self, index: usize, file: &File) -> Result<Loaded> {
        self.begin(file);
        let options: &'a FileOptions = self.options;
        let (root, load) = (self.root, &options.load);
        let mut stopped = None;
        let ended = file.read(root, load, &mut |document| {
            let taken = self.take(index, file, document);
            taken.inspect_err(|error| stopped = Some(error.code()))
        });
        match (ended, stopped) {
            // Not the file is at fault.
            (Err(error), Some(_)) => Err(error),
            (ended, _) => Ok(Loaded { documents: Vec::new(), ended }),
        }
    }

    fn begin(&mut self, file: &File) {
        self.clean = true;
        let source = name(&file.path, None);
        self.old =
            self.sources.map(|all| all.ids_of(&source).map(str::to_owned).collect()).unwrap_or_default();
    }

    fn take(&mut self, index: usize, file: &File, document: Result<Document>) -> Result<()> {
        self.options.write.cancel.check()?;
        let mut document = match document {
            Ok(document) => document,
            Err(error) => {
                self.clean = false;
                return self.batch.refuse(index, file.shown(), error);
            }
        };
        self.old.remove(&document.id);
        document.metadata.extend(self.options.metadata.clone());
        if let Some(error) = self.of_another_file(&document) {
            self.clean = false;
            return self.batch.refuse(index, document.id, error);
        }
        let before = self.batch.refused();
        self.batch.push(index, document, Some(&file.path))?;
        self.clean &= self.batch.refused() == before;
        let (documents, bytes) = self.batch.waiting();
        if documents >= self.options.batch || bytes >= COMMIT_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    /// Why a document must not take the place of a stored one: because that came from the same path below another root,
    /// where its file still is.
    fn of_another_file(&self, document: &Document) -> Option<Error> {
        self.root?;
        let stored = self.batch.stored(&document.id)?;
        let other = stored.source != document.source && is_loaded(&stored) && is_of_path(&stored);
        let there = other && path(stored.source).is_some_and(|path| path.is_file());
        there.then(|| {
            let why = format!(
                "is that of {}; give files of several folders one root above them",
                crate::document::shorten(stored.source)
            );
            duplicate(&document.id, &why)
        })
    }

    fn end(&mut self) {
        let old = std::mem::take(&mut self.old);
        if self.clean {
            let batch = &self.batch;
            self.removed.extend(old.into_iter().filter(|id| !batch.has_seen(id)));
        }
    }

    /// Deletes documents whose files are meant and gone.
    fn miss(&mut self, meant: &[Meant], files: &[File]) -> Result<()> {
        let Some(sources) = self.sources else { return Ok(()) };
        let found: HashSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let is_missing = |path: &Path| {
            !found.contains(path) && meant.iter().any(|meant| meant.matches(path)) && is_gone(path)
        };
        let mut last: Option<(&str, bool)> = None;
        let mut gone = Vec::new();
        for doc in sources.docs() {
            self.options.write.cancel.check()?;
            let (source, missing) = match last {
                Some((source, missing)) if source == doc.source => (source, missing),
                _ => (doc.source, path(doc.source).is_some_and(|path| is_missing(&path))),
            };
            last = Some((source, missing));
            // A folder that was moved: its old place is gone, and from its root the file is too.
            let moved = || {
                let root = self.root?;
                let old = path(doc.source).filter(|old| is_gone(old))?;
                let here = root.join(path_part(&doc)?);
                (here != old && is_missing(&here)).then_some(())
            };
            if (missing || moved().is_some()) && !self.batch.has_seen(doc.id) {
                gone.push(doc.id.to_owned());
            }
        }
        for ids in gone.chunks(self.options.batch) {
            self.removed.extend_from_slice(ids);
            if ids.len() == self.options.batch {
                self.commit()?;
            }
        }
        Ok(())
    }

    /// Stores what is ready, in one commit.
    fn commit(&mut self) -> Result<()> {
        let mut prepared = self.batch.finish()?;
        prepared.removed = std::mem::take(&mut self.removed);
        let replace = self.sources.is_some();
        let done = self.kb.commit(prepared, &self.options.write, replace)?;
        self.batch.renew(self.kb.collection.snapshot());
        let report = &mut self.report;
        report.added += done.added;
        report.replaced += done.replaced;
        report.unchanged += done.unchanged;
        report.deleted += done.deleted;
        report.chunks += done.chunks;
        report.skipped.extend(done.skipped);
        report.version = done.version;
        Ok(())
    }
}

/// What was read of a file.
struct Loaded {
    documents: Vec<Result<Document>>,
    ended: Result<()>,
}

struct File {
    path: PathBuf,
    /// Whether a pattern is this path.
    named: bool,
    /// About how much memory its documents take.
    bytes: u64,
    /// Why it is not read.
    refused: Option<Error>,
}

impl File {
    fn shown(&self) -> String {
        name(&self.path, None)
    }

    /// Whether it is listed in any case, and not an error.
    fn is_unsupported(&self, error: &Error) -> bool {
        !self.named && error.code() == Code::Unsupported
    }

    fn read(
        &self,
        root: Option<&Path>,
        options: &LoadOptions,
        each: &mut dyn FnMut(Result<Document>) -> Result<()>,
    ) -> Result<()> {
        match &self.refused {
            Some(error) => Err(Error::new(error.code(), error.message())),
            None => load_each(&self.path, &name(&self.path, root), &self.path, options, each),
        }
    }
}

/// The files that the patterns mean, in the order of the patterns and each once. Errors: as [`Meant::find`].
fn listed(
    meant: &[Meant],
    options: &FileOptions,
    task: Task,
    sources: Option<&Sources>,
) -> Result<Vec<File>> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for meant in meant {
        let was_there = || {
            let mut paths = sources.into_iter().flat_map(Sources::docs).filter_map(|doc| path(doc.source));
            paths.any(|path| meant.matches(&path))
        };
        let found = match task {
            Task::Sync { .. } => {
                let found = meant.look(options.follow_links)?;
                match found.files.is_empty() && found.refused.is_empty() && !was_there() {
                    true => return Err(meant.nothing()),
                    false => found,
                }
            }
            Task::Add | Task::Upsert => meant.find(options.follow_links)?,
        };
        let Found { files: paths, refused } = found;
        let first = files.len();
        for path in paths {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if seen.insert(real) {
                let bytes = path.metadata().map_or(0, |meta| meta.len());
                let packed = if is_row_file(&path) || is_plain(&path) { 1 } else { PACKED };
                let bytes = bytes.saturating_mul(packed);
                files.push(File { named: meant.is_file(), path, bytes, refused: None });
            }
        }
        for (path, error) in refused {
            if seen.insert(path.clone()) {
                files.push(File { path, named: false, bytes: 0, refused: Some(error) });
            }
        }
        files[first..].sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(files)
}

fn is_plain(path: &Path) -> bool {
    !is_supported(path)
        || path.extension().is_some_and(|ending| {
            ["txt", "text", "md", "markdown", "html", "htm", "xhtml"]
                .iter()
                .any(|plain| ending.eq_ignore_ascii_case(plain))
        })
}

fn group_len(files: &[File]) -> usize {
    let mut bytes = 0u64;
    let small = files.iter().take(GROUP_FILES).take_while(|file| {
        bytes = bytes.saturating_add(file.bytes);
        bytes <= GROUP_BYTES
    });
    small.count().max(1)
}
