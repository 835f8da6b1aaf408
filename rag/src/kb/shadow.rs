//! How do the indexes of one tenant lie on disk, and which of them can be trusted?
//!
//! Each stored segment is a folder that is written once. `MANIFEST` lists the segments with the lengths and
//! checksums of their files, what is dead of them, and up to which entry of the truth they go. It is replaced
//! atomically. Whatever is not as listed is built again from the truth; that is a warning in the log, not an error.

use std::collections::HashSet;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::{Code, Error, Result, files, parallel};
use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::index::lexical::Analyzer;
use crate::index::{GRAPH, Segment, View};

const MANIFEST: &str = "MANIFEST";
/// The format of stored segments that this release writes and reads.
const FORMAT: u32 = 2;
/// How often a reader looks again when the writer replaces the segments meanwhile.
const ATTEMPTS: usize = 20;

/// Segments as they were stored.
pub(crate) struct Stored {
    pub(crate) views: Vec<View>,
    /// The commit of the truth that they reflect as a whole; 0 when there was more in memory.
    pub(crate) version: u64,
    /// The first entry that they do not reflect.
    pub(crate) next_seq: u64,
    /// What tells this list from others.
    pub(crate) stamp: u32,
}

/// What lies on disk.
pub(crate) enum Found {
    Nothing,
    Stored(Stored),
    /// The list is the one that was known already.
    Same,
    /// The list was made at this version, which is later than the one that is looked at. Its segments may lack what has
    /// been replaced since.
    Later(u64),
}

/// What segments are loaded for.
pub(crate) struct Want<'a> {
    /// What tells the truth from any other.
    pub(crate) truth: &'a str,
    /// The commit of the truth that is looked at.
    pub(crate) version: u64,
    pub(crate) dim: usize,
    pub(crate) analyzer: &'a Analyzer,
    /// Segments that are open already.
    pub(crate) open: &'a [View],
    /// The list that is known already.
    pub(crate) known: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Which truth they are a shadow of.
    truth: String,
    /// 0 when more was in memory than is listed.
    version: u64,
    /// The commit of the truth at which it was written: up to it, what was deleted or replaced is listed as dead. Missing
    /// where a release wrote the list that did not know of this.
    #[serde(default)]
    seen: u64,
    next_seq: u64,
    segments: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    folder: String,
    end_seq: u64,
    files: Vec<File>,
    /// The documents that are no longer there.
    dead: Vec<u32>,
}

/// A file of a segment, as it was written.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct File {
    path: String,
    bytes: u64,
    crc32: u32,
}

/// Reads the segments below `home`. Nothing when there are none that can be used; the log says why.
pub(crate) fn load(home: &Path, want: &Want<'_>) -> Found {
    for attempt in 1..=ATTEMPTS {
        match try_load(home, want) {
            Ok(found) => return found,
            Err(error) if error.code() == Code::NotFound && attempt < ATTEMPTS => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) => {
                tracing::warn!(home = %home.display(), %error, "an index cannot be used and is built again");
                return Found::Nothing;
            }
        }
    }
    Found::Nothing
}

/// The same, once, with the reason. Errors: `corrupt`, `not_found`, `io`, `permission_denied`.
pub(super) fn try_load(home: &Path, want: &Want<'_>) -> Result<Found> {
    let path = home.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(corrupt(&path, &e.to_string())),
    };
    let manifest = parse(&path, &text)?;
    if manifest.truth != want.truth {
        return Err(corrupt(&path, "it belongs to another truth"));
    }
    let seen = manifest.seen.max(manifest.version);
    if seen > want.version {
        return Ok(Found::Later(seen));
    }
    let stamp = crc32fast::hash(text.as_bytes());
    if want.known == Some(stamp) {
        return Ok(Found::Same);
    }
    let open = |listed: &Listed| {
        let folder = home.join(&listed.folder);
        let with_graph = listed.files.iter().any(|file| file.path == GRAPH);
        let is_it = |segment: &Segment| {
            segment.home.as_ref() == Some(&folder) && segment.graph.is_some() == with_graph
        };
        let view = match want.open.iter().find(|view| is_it(&view.segment)) {
            Some(view) => View::whole(view.segment.clone()),
            None => {
                listed.files.iter().try_for_each(|file| verify(&folder, file))?;
                // What passes its checksum can only trip a parser when it was written wrongly; that too ends in a
                // rebuild.
                let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    Segment::open(&folder, want.dim, listed.end_seq, want.analyzer, with_graph)
                }));
                View::whole(Arc::new(opened.map_err(|_| corrupt(&folder, "it cannot be read"))??))
            }
        };
        Ok(view.without(&listed.dead, want.analyzer))
    };
    let views = parallel::try_map(&manifest.segments, open)?;
    Ok(Found::Stored(Stored { views, version: manifest.version, next_seq: manifest.next_seq, stamp }))
}

/// What a list of segments says. Errors: `corrupt`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Manifest> {
    let (crc, body) = text.split_once('\n').ok_or_else(|| corrupt(path, "it has no checksum"))?;
    if crc != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
        return Err(corrupt(path, "it does not have the checksum that was written"));
    }
    let manifest: Manifest = serde_json::from_str(body).map_err(|e| corrupt(path, &e.to_string()))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        other => Err(corrupt(path, &format!("it has format {other}, this release reads {FORMAT}"))),
    }
}

fn verify(folder: &Path, file: &File) -> Result<()> {
    let path = folder.join(&file.path);
    let bytes = crate::index::map_file(&path)?;
    if bytes.len() as u64 != file.bytes || checksum(&bytes) != file.crc32 {
        return Err(corrupt(&path, "it is not as it was written"));
    }
    Ok(())
}

/// CRC-32 of large files, in parallel pieces.
fn checksum(bytes: &[u8]) -> u32 {
    const PIECE: usize = 8 << 20;
    if bytes.len() <= PIECE {
        return crc32fast::hash(bytes);
    }
    let pieces = parallel::map_chunks(bytes, PIECE, |piece| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(piece);
        hasher
    });
    let mut whole = crc32fast::Hasher::new();
    pieces.iter().for_each(|piece| whole.combine(piece));
    whole.finalize()
}

/// Lists the stored segments that a snapshot begins with, replacing the former list, and removes folders that are no
/// longer listed. Gives the number of the first entry that they do not reflect. Errors: `io`, `disk_full`,
/// `permission_denied`; the former list then stays.
pub(crate) fn save(home: &Path, truth: &str, snapshot: &Snapshot, known: &mut Known) -> Result<u64> {
    let views = snapshot.views();
    let stored: Vec<&View> = views.iter().take_while(|view| view.is_stored()).collect();
    let mut segments = Vec::with_capacity(stored.len());
    for view in &stored {
        let Some(folder) = &view.segment.home else { continue };
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut dead = crate::RowSet::full(view.segment.catalog.docs());
        dead.subtract(&view.live.docs);
        segments.push(Listed {
            files: known.files(folder)?,
            folder: name,
            end_seq: view.segment.end_seq,
            dead: dead.iter().collect(),
        });
    }
    let complete = stored.len() == views.len();
    let next_seq = match complete {
        true => snapshot.next_seq,
        false => stored.last().map_or(0, |view| view.segment.end_seq),
    };
    let manifest = Manifest {
        format: FORMAT,
        truth: truth.to_owned(),
        version: if complete { snapshot.version } else { 0 },
        seen: snapshot.version,
        next_seq,
        segments,
    };
    let body = serde_json::to_string(&manifest)
        .map_err(|e| Error::new(Code::Internal, format!("the list of segments cannot be written: {e}")))?;
    let text = format!("{:08x}\n{body}", crc32fast::hash(body.as_bytes()));
    std::fs::create_dir_all(home).map_err(|e| Error::io(home, e))?;
    fail::fail_point!("shadow-manifest", |kind| Err(quorate_store::failpoint::refused(kind)));
    files::replace(&home.join(MANIFEST), false, |out| out.write_all(text.as_bytes()))?;
    let listed: HashSet<&str> = manifest.segments.iter().map(|s| s.folder.as_str()).collect();
    known.retain(home, &listed);
    sweep(home, &listed);
    files::remove_leftovers(home);
    Ok(next_seq)
}

/// Removes what is not listed. What cannot be removed now is removed another time.
fn sweep(home: &Path, listed: &HashSet<&str>) {
    let Ok(entries) = std::fs::read_dir(home) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if entry.path().is_dir() && !name.to_str().is_some_and(|name| listed.contains(name)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The checksums of the files of stored segments, which never change.
#[derive(Default)]
pub(crate) struct Known {
    folders: std::collections::HashMap<PathBuf, Vec<File>>,
}

impl Known {
    /// Remembers what [`checksums`] has found.
    pub(crate) fn learn(&mut self, folder: &Path, files: Vec<File>) {
        self.folders.insert(folder.to_owned(), files);
    }

    fn files(&mut self, folder: &Path) -> Result<Vec<File>> {
        let paths = paths(folder)?;
        if let Some(files) = self.folders.get(folder)
            && files.iter().map(|f| &f.path).eq(&paths)
        {
            return Ok(files.clone());
        }
        let files = checksums(folder)?;
        self.folders.insert(folder.to_owned(), files.clone());
        Ok(files)
    }

    fn retain(&mut self, home: &Path, listed: &HashSet<&str>) {
        self.folders.retain(|folder, _| {
            folder.strip_prefix(home).ok().and_then(Path::to_str).is_some_and(|name| listed.contains(name))
        });
    }
}

/// The files of a segment with their checksums. Errors: `io`, `not_found`, `permission_denied`.
pub(crate) fn checksums(folder: &Path) -> Result<Vec<File>> {
    let one = |path: String| {
        let bytes = crate::index::map_file(&folder.join(&path))?;
        Ok(File { bytes: bytes.len() as u64, crc32: checksum(&bytes), path })
    };
    paths(folder)?.into_iter().map(one).collect()
}

fn paths(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    list(folder, folder, &mut paths)?;
    paths.sort_unstable();
    Ok(paths)
}

/// The files below `folder`, relative to `root`, except lock files.
fn list(root: &Path, folder: &Path, out: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if path.is_dir() {
            list(root, &path, out)?;
        } else if path.extension().is_none_or(|e| e != "lock")
            && let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
        {
            out.push(name.to_owned());
        }
    }
    Ok(())
}

fn corrupt(path: &Path, why: &str) -> Error {
    Error::new(Code::Corrupt, format!("{}: {why}", path.display()))
}
