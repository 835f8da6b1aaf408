//! How does a file come to be so that nobody sees half of it, and everybody may read it whom the user lets?
//!
//! The umask of the process decides who may read what is written here, as for any file that a program makes.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// How the names begin of what is not finished.
const UNFINISHED: &str = ".quorate-";

/// Puts a file in the place of whatever is at `path`, at once: `write` fills it, under another name, before it gets this
/// one. With `sync` its bytes reach the disk before it does, and its name before this returns.
/// Errors: `io`, `disk_full`, `permission_denied`, `not_found` (no such folder); the former file then stays.
pub fn replace(
    path: &Path,
    sync: bool,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (file, beside) = create(folder).map_err(|e| Error::io(folder, e))?;
    let mut out = BufWriter::new(file);
    let done = write(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| if sync { out.get_ref().sync_all() } else { Ok(()) })
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = done {
        let _ = std::fs::remove_file(&beside);
        return Err(Error::io(path, error));
    }
    if sync { sync_folder(folder) } else { Ok(()) }
}

/// Makes the file at `path`, whole and on the disk before it has its name, unless there is one: then the error's kind is
/// `AlreadyExists`, and nothing has changed. What it is called meanwhile lies in `beside`, a folder of the same disk. The
/// name itself is on the disk when its folder has been synchronised.
pub fn create_whole(path: &Path, beside: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (mut file, fresh) = create(beside)?;
    let made = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        // Unlike renaming, linking takes nobody's place.
        .and_then(|()| std::fs::hard_link(&fresh, path));
    let _ = std::fs::remove_file(&fresh);
    made
}

/// Removes what processes have left behind in a folder that ended while they were writing here. Nobody else may be
/// writing there now.
pub fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(UNFINISHED) && name.ends_with(".tmp")) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes a folder and those above it that are not there. With `sync` their names reach the disk before this returns.
/// Errors: `io`, `disk_full`, `permission_denied`.
pub fn make_folder(path: &Path, sync: bool) -> Result<()> {
    let mut fresh: Vec<&Path> = Vec::new();
    let mut at = Some(path);
    while let Some(folder) = at.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        fresh.push(folder);
        at = folder.parent();
    }
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, e))?;
    if sync {
        for folder in fresh {
            match folder.parent() {
                Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new("."))?,
                Some(parent) => sync_folder(parent)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Brings the names in a folder to the disk. Errors: `io`, `not_found`, `permission_denied`.
pub fn sync_folder(path: &Path) -> Result<()> {
    // On Windows a folder cannot be opened for it; its files are synchronised, which has to do.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| Error::io(path, e))
}

/// A file that was not there before, with the rights that the umask gives, and its path.
fn create(folder: &Path) -> std::io::Result<(File, PathBuf)> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    loop {
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{UNFINISHED}{}-{n}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            // A process of the same number has left it behind.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for sync in [false, true] {
            replace(&path, sync, |out| out.write_all(b"first")).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"first");
            let failed = replace(&path, sync, |out| {
                out.write_all(b"second")?;
                Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
            });
            assert_eq!(failed.unwrap_err().code(), Code::DiskFull);
            assert_eq!(std::fs::read(&path).unwrap(), b"first");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        }
        let nowhere = folder.path().join("none/file");
        assert_eq!(replace(&nowhere, false, |_| Ok(())).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn a_file_is_made_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create_whole(&path, folder.path(), b"first").unwrap();
        let again = create_whole(&path, folder.path(), b"second").unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        std::fs::write(folder.path().join(".quorate-1-2.tmp"), b"half").unwrap();
        remove_leftovers(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_umask_decides_who_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        // What the standard library makes follows the umask.
        let usual = folder.path().join("usual");
        std::fs::write(&usual, b"x").unwrap();
        let path = folder.path().join("file");
        replace(&path, true, |out| out.write_all(b"x")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), mode(&usual));
    }

    #[test]
    fn folders_are_made_with_those_above() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folder(&deep, true).unwrap();
        make_folder(&deep, true).unwrap();
        assert!(deep.is_dir());
        std::fs::write(folder.path().join("file"), b"").unwrap();
        assert!(make_folder(&folder.path().join("file/x"), true).is_err());
    }
}
