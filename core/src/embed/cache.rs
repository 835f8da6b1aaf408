//! How are vectors kept, so that no text is embedded twice?
//!
//! The cache is a folder of segments, each an append-only list of records written by one process. A record is whole
//! or ignored (its checksum tells), so that a killed process costs at most its last vector; segments of other
//! processes are read as they grow; the oldest segments are deleted when the folder is over its size.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::traits::{Embed, TokenEmbeddings};
use crate::vector::Matrix;
use crate::{Cancel, Code, Error, Result, forks};

/// First bytes of each record; the last is the format's version.
const MAGIC: [u8; 4] = *b"qec\x01";

/// Magic, dimension, key, checksum.
const HEADER: usize = 4 + 4 + 32 + 16;

/// Largest dimension that a record may claim.
const MAX_DIM: usize = 1 << 16;

/// Parts of the size limit that a segment may fill, so that deleting the oldest frees a little at a time.
const SEGMENTS: u64 = 8;

/// How often segments of other processes are looked at, at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Vectors by model and text, on disk, shared by threads and processes.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let cache = quorate_core::embed::EmbeddingCache::open(folder.path(), 1 << 30).unwrap();
/// assert_eq!(cache.stats().entries, 0);
/// ```
#[derive(Clone)]
pub struct EmbeddingCache(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct State {
    places: HashMap<[u8; 32], Place>,
    segments: Vec<Option<Segment>>,
    by_name: HashMap<String, usize>,
    own: Option<usize>,
    looked: Option<Instant>,
    /// The number of forks before the process that opened the segments.
    process: u64,
}

struct Segment {
    name: String,
    file: File,
    /// Bytes that have been read as whole records.
    read: u64,
}

#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    at: u64,
    dim: usize,
}

/// What a cache holds and how often it helped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CacheStats {
    /// Vectors that can be found.
    pub entries: u64,
    /// Size of the folder's segments, in bytes.
    pub bytes: u64,
    /// Look-ups of this handle and its clones that found a vector.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// `hits / (hits + misses)`; 0 before the first look-up.
    pub hit_rate: f64,
}

impl EmbeddingCache {
    /// Opens the cache in `folder`, creating it when absent; at most about `max_bytes` are kept.
    /// Errors: `invalid_argument`, `io`, `permission_denied`.
    pub fn open(folder: impl AsRef<Path>, max_bytes: u64) -> Result<Self> {
        if max_bytes < 1 << 16 {
            return Err(Error::invalid(format!("the cache's limit of {max_bytes} bytes is below 65,536")));
        }
        let folder = folder.as_ref().to_owned();
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let cache =
            EmbeddingCache(Arc::new(Inner { folder, max_bytes, state: Mutex::default(), hits, misses }));
        cache.0.look(&mut cache.0.lock())?;
        Ok(cache)
    }

    /// What the cache holds and how often it helped.
    pub fn stats(&self) -> CacheStats {
        let state = self.0.lock();
        let (hits, misses) = (self.0.hits.load(Ordering::Relaxed), self.0.misses.load(Ordering::Relaxed));
        CacheStats {
            entries: state.places.len() as u64,
            bytes: state.segments.iter().flatten().map(|segment| segment.read).sum(),
            hits,
            misses,
            hit_rate: if hits + misses == 0 { 0.0 } else { hits as f64 / (hits + misses) as f64 },
        }
    }

    fn get(&self, key: &[u8; 32]) -> Option<Vec<f32>> {
        let mut state = self.0.lock();
        if !state.places.contains_key(key) && state.looked.is_none_or(|at| at.elapsed() > LOOK_AGAIN) {
            // An unreadable folder makes misses, not errors.
            let _ = self.0.look(&mut state);
        }
        let found = state.places.get(key).copied().and_then(|place| state.read(place, key));
        if found.is_none() {
            state.places.remove(key);
        }
        let counter = if found.is_some() { &self.0.hits } else { &self.0.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn put(&self, key: &[u8; 32], vector: &[f32]) -> Result<()> {
        self.0.append(&mut self.0.lock(), key, vector)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half-changed in a way that a checksum does not catch.
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.process != forks() {
            // A forked child writes a segment of its own, and reads its parent's as that grows.
            state.own = None;
            state.process = forks();
            state.looked = None;
        }
        state
    }

    /// Reads what other processes (or an earlier one) have written since the last look.
    fn look(&self, state: &mut State) -> Result<()> {
        state.looked = Some(Instant::now());
        let entries = fs::read_dir(&self.folder).map_err(|e| Error::io(&self.folder, e))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".vectors"))
            .collect();
        names.sort();
        for i in 0..state.segments.len() {
            let gone = state.segments[i].as_ref().is_some_and(|s| names.binary_search(&s.name).is_err());
            if gone {
                state.forget(i);
            }
        }
        for name in names {
            let segment = match state.by_name.get(&name) {
                Some(&segment) => segment,
                None => {
                    // Deleted by another process meanwhile.
                    let Ok(file) = File::open(self.folder.join(&name)) else { continue };
                    state.add(Segment { name, file, read: 0 })
                }
            };
            if state.own != Some(segment) {
                state.scan(segment);
            }
        }
        Ok(())
    }

    fn append(&self, state: &mut State, key: &[u8; 32], vector: &[f32]) -> Result<()> {
        let full = |segment: &Segment| segment.read >= self.max_bytes / SEGMENTS;
        if state.own.and_then(|own| state.segments[own].as_ref()).is_none_or(full) {
            state.own = Some(self.new_segment(state)?);
        }
        let Some((own, segment)) = state.own.and_then(|own| Some((own, state.segments[own].as_mut()?)))
        else {
            return Ok(());
        };
        let at = segment.read;
        let record = record(key, vector);
        write_at(&segment.file, &record, at).map_err(|e| Error::io(self.folder.join(&segment.name), e))?;
        segment.read += record.len() as u64;
        state.places.insert(*key, Place { segment: own, at, dim: vector.len() });
        Ok(())
    }

    fn new_segment(&self, state: &mut State) -> Result<usize> {
        self.make_room(state);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{:020}-{:08x}.vectors", now.as_nanos(), std::process::id());
        let path = self.folder.join(&name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        Ok(state.add(Segment { name, file: file.map_err(|e| Error::io(&path, e))?, read: 0 }))
    }

    /// Deletes the oldest segments until a new one fits.
    fn make_room(&self, state: &mut State) {
        let mut order: Vec<usize> =
            (0..state.segments.len()).filter(|&i| state.segments[i].is_some()).collect();
        order.sort_by(|&a, &b| {
            let name = |i: usize| state.segments[i].as_ref().map(|segment| segment.name.clone());
            name(a).cmp(&name(b))
        });
        let mut total: u64 = state.segments.iter().flatten().map(|segment| segment.read).sum();
        for i in order {
            if total + self.max_bytes / SEGMENTS <= self.max_bytes {
                break;
            }
            if let Some(segment) = &state.segments[i] {
                total -= segment.read;
                // Another process may have been faster.
                let _ = fs::remove_file(self.folder.join(&segment.name));
            }
            state.forget(i);
        }
    }
}

impl State {
    fn add(&mut self, segment: Segment) -> usize {
        self.by_name.insert(segment.name.clone(), self.segments.len());
        self.segments.push(Some(segment));
        self.segments.len() - 1
    }

    fn forget(&mut self, i: usize) {
        if let Some(segment) = self.segments[i].take() {
            self.by_name.remove(&segment.name);
        }
        self.places.retain(|_, place| place.segment != i);
        if self.own == Some(i) {
            self.own = None;
        }
    }

    /// Reads the whole records beyond what was read before; stops at the first that is not whole.
    fn scan(&mut self, i: usize) {
        let Some(segment) = self.segments[i].as_mut() else { return };
        let Ok(length) = segment.file.metadata().map(|meta| meta.len()) else { return };
        let mut rest = vec![0; length.saturating_sub(segment.read) as usize];
        if read_at(&segment.file, &mut rest, segment.read).is_err() {
            return;
        }
        let mut at = 0;
        while let Some((key, dim)) = whole_record(&rest[at..]) {
            self.places.insert(key, Place { segment: i, at: segment.read + at as u64, dim });
            at += HEADER + dim * 4;
        }
        segment.read += at as u64;
    }

    fn read(&mut self, place: Place, key: &[u8; 32]) -> Option<Vec<f32>> {
        let segment = self.segments[place.segment].as_mut()?;
        let mut record = vec![0; HEADER + place.dim * 4];
        read_at(&segment.file, &mut record, place.at).ok()?;
        let (found, dim) = whole_record(&record)?;
        let numbers = record[HEADER..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (found == *key && dim == place.dim).then(|| numbers.collect())
    }
}

/// Fills `bytes` from a place in the file. A forked child shares the parent's position in an open file, so that is not used.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Writes `bytes` at a place in the file.
#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Where there is no fork, the position may be used.
#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(bytes))
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes))
}

fn record(key: &[u8; 32], vector: &[f32]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER + vector.len() * 4);
    record.extend(MAGIC);
    record.extend((vector.len() as u32).to_le_bytes());
    record.extend(key);
    record.extend([0; 16]);
    vector.iter().for_each(|x| record.extend(x.to_le_bytes()));
    let sum = checksum(&record);
    record[HEADER - 16..HEADER].copy_from_slice(&sum);
    record
}

/// Key and dimension of the record at the start of `bytes`, if it is all there and undamaged.
fn whole_record(bytes: &[u8]) -> Option<([u8; 32], usize)> {
    let header = bytes.get(..HEADER)?;
    let dim = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    if header[..4] != MAGIC || dim > MAX_DIM {
        return None;
    }
    let record = bytes.get(..HEADER + dim * 4)?;
    (checksum(record) == header[HEADER - 16..]).then_some((header[8..40].try_into().ok()?, dim))
}

/// Over magic, dimension, key and vector.
fn checksum(record: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&record[..HEADER - 16]).update(&record[HEADER..]);
    let mut sum = [0; 16];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// An embedder that looks into a cache first. Token vectors are not cached.
pub struct CachedEmbedder {
    inner: Arc<dyn Embed>,
    cache: EmbeddingCache,
}

impl CachedEmbedder {
    /// `inner` behind `cache`; several embedders may share one cache.
    pub fn new(inner: Arc<dyn Embed>, cache: EmbeddingCache) -> Self {
        CachedEmbedder { inner, cache }
    }

    /// Vectors from the cache where it has them; the others from `embed`, each distinct text once, then kept.
    fn through(
        &self,
        role: &str,
        texts: &[&str],
        embed: impl FnOnce(&[&str]) -> Result<Matrix>,
    ) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.inner.dim());
        let mut missing: Vec<&str> = Vec::new();
        let mut wanted: HashMap<[u8; 32], (usize, Vec<usize>)> = HashMap::new();
        for (i, text) in texts.iter().enumerate() {
            let key = self.key(role, text);
            if let Some((_, places)) = wanted.get_mut(&key) {
                places.push(i);
                continue;
            }
            match self.cache.get(&key) {
                Some(vector) if vector.len() == self.inner.dim() => out.row_mut(i).copy_from_slice(&vector),
                _ => {
                    wanted.insert(key, (missing.len(), vec![i]));
                    missing.push(text);
                }
            }
        }
        if missing.is_empty() {
            return Ok(out);
        }
        let fresh = embed(&missing)?;
        if fresh.rows() != missing.len() {
            return Err(Error::new(Code::Internal, "the embedder gave another number of vectors than texts"));
        }
        for (key, (row, places)) in wanted {
            places.iter().for_each(|&i| out.row_mut(i).copy_from_slice(fresh.row(row)));
            if let Err(error) = self.cache.put(&key, fresh.row(row)) {
                // A full disk costs speed, not the answer.
                tracing::warn!(%error, "a vector could not be cached");
            }
        }
        Ok(out)
    }

    fn key(&self, role: &str, text: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for part in [self.inner.id(), role] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        *hasher.update(text.as_bytes()).finalize().as_bytes()
    }
}

impl Embed for CachedEmbedder {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.through("document", texts, |missing| self.inner.embed(missing, cancel))
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let one = |_: &[&str]| {
            let vector = self.inner.embed_query(text)?;
            let dim = vector.len();
            Matrix::new(vector, 1, dim)
        };
        Ok(self.through("query", &[text], one)?.into_vec())
    }

    fn embed_queries(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.through("query", texts, |missing| self.inner.embed_queries(missing, cancel))
    }

    fn embed_tokens(&self, text: &str) -> Result<TokenEmbeddings> {
        self.inner.embed_tokens(text)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<Range<usize>>> {
        self.inner.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        self.inner.special_tokens()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }
}

impl fmt::Debug for EmbeddingCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddingCache").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}
