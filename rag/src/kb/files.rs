//! How do files and folders become part of a knowledge base?

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error, Result};

use super::KnowledgeBase;
use super::options::{WriteOptions, WriteReport};
use super::prepare::Batch;
use crate::Document;
use crate::load::{LoadOptions, expand, is_supported, load_file};
use quorate_core::parallel;

/// At most so many files are read at a time.
const GROUP_FILES: usize = 32;
/// A group of files ends when it has this many bytes.
const GROUP_BYTES: u64 = 32 << 20;

/// How to add files. Fields have the defaults of their types.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// What bounds the reading of one file.
    pub load: LoadOptions,
    /// How the documents are written. `progress` is told how many files of how many are done, and an error that stops
    /// names its file.
    pub write: WriteOptions,
}

impl KnowledgeBase {
    /// Adds the documents of files: all of them or, with an error, none. Each pattern is a file, a folder (all files
    /// below it) or a glob, as for [`expand`](crate::load::expand); a file that several patterns mean is read once.
    /// What becomes of each kind of file is said at [`load_file`](crate::load::load_file).
    ///
    /// A file that cannot be read or stored is an error that names it, or with [`OnError::Skip`](crate::OnError::Skip)
    /// is listed in the report: `index` is its place among the files, `id` its path, or the document's id when it is
    /// one document of a good file. Files in a folder or glob that no loader reads are listed in any case (code
    /// `unsupported`); a pattern that names such a file itself is an error like others.
    ///
    /// Files are read in small groups. Until the one commit at the end the texts and vectors of all documents are in
    /// memory, and nothing else of the files is.
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
    pub fn add_files(&self, patterns: &[&str], options: &FileOptions) -> Result<WriteReport> {
        self.put_files(patterns, options, false)
    }

    /// Adds the documents of files, replacing those of the same ids; what has not changed is not embedded again.
    /// Documents whose files are gone stay. Errors: as [`add_files`](KnowledgeBase::add_files) without `duplicate_id`
    /// for ids that are stored.
    pub fn upsert_files(&self, patterns: &[&str], options: &FileOptions) -> Result<WriteReport> {
        self.put_files(patterns, options, true)
    }

    fn put_files(&self, patterns: &[&str], options: &FileOptions, replace: bool) -> Result<WriteReport> {
        self.base.check_writable(self.past)?;
        let files = listed(patterns)?;
        let write = &options.write;
        let mut batch = Batch::new(&self.base, self.collection.snapshot(), write, replace);
        let mut done = 0;
        while done < files.len() {
            write.cancel.check()?;
            let group = &files[done..done + group_len(&files[done..])];
            for (file, loaded) in group.iter().zip(load_group(group, &options.load)) {
                match loaded {
                    Some(Ok(documents)) => {
                        for document in documents {
                            batch.push(done, document, Some(&file.path))?;
                        }
                    }
                    Some(Err(error)) => batch.refuse(done, file.name(), error)?,
                    None => batch.skip(done, file.name(), unsupported(&file.path)),
                }
                done += 1;
                if done < files.len() {
                    write.tell(done, files.len());
                }
            }
        }
        let prepared = batch.finish()?;
        write.tell(files.len(), files.len());
        self.commit(prepared, write, replace)
    }
}

struct File {
    path: PathBuf,
    /// Whether a pattern is this path.
    named: bool,
    bytes: u64,
}

impl File {
    fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// The files that the patterns mean, in the order of the patterns and each once.
fn listed(patterns: &[&str]) -> Result<Vec<File>> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for pattern in patterns {
        let named = Path::new(pattern).is_file();
        for path in expand(pattern)? {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if seen.insert(real) {
                let bytes = path.metadata().map_or(0, |meta| meta.len());
                files.push(File { path, named, bytes });
            }
        }
    }
    Ok(files)
}

fn group_len(files: &[File]) -> usize {
    let mut bytes = 0;
    let small = files.iter().take(GROUP_FILES).take_while(|file| {
        bytes += file.bytes;
        bytes <= GROUP_BYTES
    });
    small.count().max(1)
}

/// The documents of each file; none for a file that was found and that no loader reads.
fn load_group(files: &[File], options: &LoadOptions) -> Vec<Option<Result<Vec<Document>>>> {
    let load = |file: &File| {
        let read = file.named || is_supported(&file.path);
        read.then(|| load_file(&file.path, options))
    };
    parallel::map(files, load)
}

fn unsupported(path: &Path) -> Error {
    Error::new(Code::Unsupported, format!("{}: no loader reads this kind of file", path.display()))
}
