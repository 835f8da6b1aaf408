//! How do others see at once that whoever held a run has ended?
//!
//! Each open store has a lock file in `holders/`, locked for as long as its process lives: the operating system lets go of
//! it however the process ends. A lock belongs to the open file, which a forked child would share; so the child closes its
//! copy at once. Whoever looks whether a holder lives asks for a shared lock, so that two who look do not see each other.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use quorate_core::{Error, Result, forks};

use crate::entry::now;

/// How long a file may lie here unfinished before it is taken for what a crash has left.
const UNFINISHED: Duration = Duration::from_secs(60);

/// A text that nobody else has: what distinguishes processes, moments and calls, and randomness of the system, hashed.
pub(crate) fn unique() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    static MADE: AtomicU64 = AtomicU64::new(0);
    let random = RandomState::new().hash_one(MADE.fetch_add(1, Ordering::Relaxed));
    let mut hasher = blake3::Hasher::new();
    for part in [random, u64::from(std::process::id()), forks(), now().to_bits()] {
        hasher.update(&part.to_le_bytes());
    }
    let mut out = [0; 16];
    hasher.finalize_xof().fill(&mut out);
    out
}

/// Bytes as a text of hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// The machine, for as long as it is up; the same in all containers on one kernel.
pub(crate) fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let name = boot.or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_else(|_| std::env::var("COMPUTERNAME").unwrap_or_default());
    name.trim().to_owned()
}

/// A lock file of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) id: String,
    path: PathBuf,
    /// In a forked child its descriptor is closed already, and may be that of something else.
    file: ManuallyDrop<File>,
    process: u64,
    /// Whether something unfinished was left, which the next to open the folder sweeps up when it finds the file.
    pub(crate) untidy: AtomicBool,
}

impl Holder {
    /// Makes a lock file in `folder`. Errors: `io`, `permission_denied`, `disk_full`.
    pub(crate) fn new(folder: &Path) -> Result<Holder> {
        let id = hex(&unique());
        let (fresh, path) = (folder.join(format!("{id}.new")), path_of(folder, &id));
        let open = OpenOptions::new().create_new(true).write(true).open(&fresh);
        let file = open.map_err(|e| Error::io(&fresh, e))?;
        // It gets its name when it is locked, so that nobody takes it for a dead one.
        let locked = file.try_lock().map_err(std::io::Error::from);
        locked.and_then(|()| std::fs::rename(&fresh, &path)).map_err(|e| {
            let _ = std::fs::remove_file(&fresh);
            Error::io(&fresh, e)
        })?;
        inherited::close_in_children(&file);
        let (file, process) = (ManuallyDrop::new(file), forks());
        Ok(Holder { id, path, file, process, untidy: AtomicBool::new(false) })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.process == forks() {
            inherited::keep_in_children(&self.file);
            if !self.untidy.load(Ordering::Acquire) {
                let _ = std::fs::remove_file(&self.path);
            }
            let _ = self.file.unlock();
            // SAFETY: the file is dropped here and nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

fn path_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.lock"))
}

/// Whether a process of this machine has the lock file of `id` locked. Where that cannot be told (no file descriptor is
/// left, no right to look, an error of the file system), it may have: a holder is not taken for dead on a guess.
pub(crate) fn is_locked(folder: &Path, id: &str) -> bool {
    match File::open(path_of(folder, id)) {
        Ok(file) => is_taken(&file),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

fn is_taken(file: &File) -> bool {
    file.try_lock_shared().is_err()
}

/// The lock files of holders that have ended, and those that crashes have left half made.
pub(crate) fn dead(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let dead = |path: &PathBuf| match path.extension().and_then(|e| e.to_str()) {
        Some("lock") => File::open(path).is_ok_and(|file| !is_taken(&file)),
        Some("new") => is_old(path),
        _ => false,
    };
    entries.flatten().map(|entry| entry.path()).filter(dead).collect()
}

/// Whether a file was last written a while ago, or when the clock was ahead.
pub(crate) fn is_old(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    written.is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_else(|e| e.duration()) > UNFINISHED)
}

/// Closes what this process has inherited from its parent. Called between fork and exec.
pub(crate) fn close_inherited() {
    inherited::close();
}

/// How many lock files a forked child closes. Of more, the end of a parent whose child lives on is only seen by its
/// heartbeat.
const SLOTS: usize = 1024;
const FREE: i32 = -1;
static HELD: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];

#[cfg(unix)]
mod inherited {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::atomic::Ordering::{AcqRel, Relaxed};

    use super::{FREE, HELD};

    pub(super) fn close_in_children(file: &File) {
        let held = file.as_raw_fd();
        let _ = HELD.iter().any(|slot| slot.compare_exchange(FREE, held, AcqRel, Relaxed).is_ok());
    }

    pub(super) fn keep_in_children(file: &File) {
        let held = file.as_raw_fd();
        let _ = HELD.iter().any(|slot| slot.compare_exchange(held, FREE, AcqRel, Relaxed).is_ok());
    }

    pub(super) fn close() {
        for slot in &HELD {
            let held = slot.swap(FREE, AcqRel);
            if held != FREE {
                // SAFETY: `close` may be called between fork and exec; the descriptor is this process's copy of a lock
                // file, which nothing here uses any more.
                unsafe { libc::close(held) };
            }
        }
    }
}

#[cfg(not(unix))]
mod inherited {
    pub(super) fn close_in_children(_: &std::fs::File) {}
    pub(super) fn keep_in_children(_: &std::fs::File) {}
    pub(super) fn close() {
        let _ = (super::FREE, &super::HELD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_seen_while_it_lives_and_not_after() {
        let folder = tempfile::tempdir().unwrap();
        let holder = Holder::new(folder.path()).unwrap();
        let id = holder.id.clone();
        assert!(is_locked(folder.path(), &id));
        assert!(dead(folder.path()).is_empty());
        drop(holder);
        assert!(!is_locked(folder.path(), &id));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let holder = Holder::new(folder.path()).unwrap();
        holder.untidy.store(true, Ordering::Release);
        drop(holder);
        assert_eq!(dead(folder.path()).len(), 1);
    }

    #[test]
    fn names_are_unique() {
        let made: std::collections::HashSet<_> = (0..1000).map(|_| hex(&unique())).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|name| name.len() == 32));
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
    }
}
