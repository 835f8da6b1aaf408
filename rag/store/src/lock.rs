//! Who may write?
//!
//! One process of a machine at a time. The operating system releases the lock when its holder ends, however it ends. A
//! lock belongs to the open file, which a forked child would share: so the child closes its copy at once, and closing a
//! handle lets go of the lock itself, whoever else has the file open.

use std::fs::{File, OpenOptions};
use std::mem::ManuallyDrop;
use std::path::Path;

use fs4::fs_std::FileExt;
use quorate_core::{Code, Error, Result, forks};

/// The right to write at a place, held until it is dropped.
#[derive(Debug)]
pub struct WriterLock {
    files: Vec<Held>,
}

impl WriterLock {
    /// Takes the lock file at `path`. Errors: `locked` when another handle has it, `io`, `permission_denied`.
    pub fn take(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| Error::io(path, e))?;
        Ok(WriterLock { files: vec![Held::take(file, path)?] })
    }

    /// The right to write where no other process can: in memory.
    pub fn in_memory() -> Self {
        WriterLock { files: Vec::new() }
    }

    /// Takes a second lock file, where there is a place for it: two handles of one object store may keep their indexes
    /// in different folders. Errors: `locked`, `io`.
    pub fn and(mut self, path: &Path) -> Result<Self> {
        // Whoever made the file may be another user; reading is enough to lock it.
        let made = OpenOptions::new().create(true).append(true).open(path);
        if let Ok(file) = made.or_else(|_| File::open(path)) {
            self.files.push(Held::take(file, path)?);
        }
        Ok(self)
    }
}

/// An open file that is locked. In a forked child its descriptor is closed already, and may be that of something else.
#[derive(Debug)]
struct Held {
    file: ManuallyDrop<File>,
    forks: u64,
}

impl Held {
    fn take(file: File, path: &Path) -> Result<Held> {
        match file.try_lock_exclusive() {
            Ok(true) => {}
            Ok(false) => {
                return Err(locked(path, "another handle, in this process or another one, is writing here"));
            }
            Err(e) => return Err(Error::io(path, e)),
        }
        inherited::close_in_children(&file);
        Ok(Held { file: ManuallyDrop::new(file), forks: forks() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.forks == forks() {
            inherited::keep_in_children(&self.file);
            let _ = FileExt::unlock(&*self.file);
            // SAFETY: the file is dropped here and nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Which descriptors does a forked child close?
#[cfg(unix)]
mod inherited {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::Once;
    use std::sync::atomic::{AtomicI32, Ordering};

    /// Locks beyond so many at a time are only let go by closing them, not by the end of a parent whose child lives on.
    const SLOTS: usize = 1024;
    const FREE: i32 = -1;
    static HELD: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];

    pub(super) fn close_in_children(file: &File) {
        static ONCE: Once = Once::new();
        extern "C" fn in_child() {
            for slot in &HELD {
                let held = slot.swap(FREE, Ordering::AcqRel);
                if held != FREE {
                    // SAFETY: `close` may be called between fork and exec; the descriptor is this process's copy of a
                    // lock file, which nothing here uses any more.
                    unsafe { libc::close(held) };
                }
            }
        }
        // SAFETY: the handler only reads and writes atomics and closes descriptors, as is allowed between fork and exec.
        ONCE.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        });
        let held = file.as_raw_fd();
        let take =
            |slot: &AtomicI32| slot.compare_exchange(FREE, held, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let _ = HELD.iter().any(take);
    }

    pub(super) fn keep_in_children(file: &File) {
        let held = file.as_raw_fd();
        let free =
            |slot: &AtomicI32| slot.compare_exchange(held, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let _ = HELD.iter().any(free);
    }
}

#[cfg(not(unix))]
mod inherited {
    pub(super) fn close_in_children(_: &std::fs::File) {}
    pub(super) fn keep_in_children(_: &std::fs::File) {}
}

fn locked(path: &Path, who: &str) -> Error {
    Error::new(Code::Locked, format!("{}: {who}; close it first, or open with read_only", path.display()))
}
