//! How are files of the host read within bounds, and replaced without losing who may read them?

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error, Result};

/// An error unless `path` leads to a regular file or to nothing yet: a device or a pipe has no end, and replacing one
/// breaks the machine. A folder is left to the operation itself to refuse. Errors: `load_failed`.
pub(crate) fn check_regular(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(Error::new(
            Code::LoadFailed,
            format!("{}: not a regular file, but a device, a pipe or a socket", path.display()),
        )),
        _ => Ok(()),
    }
}

/// The text of a regular file of at most `limit` bytes. Errors: `load_failed` for what is no regular file or not UTF-8,
/// `too_large`, `io` and its kin.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    check_regular(path)?;
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(Code::TooLarge, format!("{}: over {limit} bytes", path.display())));
    }
    String::from_utf8(bytes)
        .map_err(|e| Error::with_source(Code::LoadFailed, format!("{}: not UTF-8: {e}", path.display()), e))
}

/// Replaces the file at `path`, or makes it: all of it or nothing, and durably. A new file follows the umask, one that
/// is replaced keeps its mode, and a link stays one. Errors: `load_failed` for a device or pipe, `io` and its kin.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    check_regular(path)?;
    // Where a link leads; a file that is not there yet has no such place.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let failed = |e| Error::io(path, e);
    let mut new = tempfile::Builder::new();
    // The operating system takes the umask away from these.
    #[cfg(unix)]
    new.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = new.tempfile_in(&folder).map_err(failed)?;
    if let Ok(old) = fs::metadata(&target)
        && old.is_file()
    {
        fs::set_permissions(file.path(), old.permissions()).map_err(failed)?;
    }
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    // The new name must outlast a power cut too. Windows has no handle for folders.
    #[cfg(unix)]
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let code = |path: &Path, limit| read_text(path, limit).unwrap_err().code();
        assert_eq!(code(&path, 4), Code::TooLarge);
        assert_eq!(code(&folder.path().join("none"), 4), Code::NotFound);
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(code(&path, 5), Code::LoadFailed);
        assert_eq!(code(folder.path(), 5), Code::Io);
        #[cfg(unix)]
        assert_eq!(code(Path::new("/dev/zero"), 5), Code::LoadFailed);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        // What the operating system gives a new file here is the oracle.
        File::create(at("plain")).unwrap();
        replace(&at("new"), b"x").unwrap();
        assert_eq!(mode(&at("new")), mode(&at("plain")));
        fs::set_permissions(at("new"), PermissionsExt::from_mode(0o664)).unwrap();
        symlink(at("new"), at("link")).unwrap();
        replace(&at("link"), b"yy").unwrap();
        assert_eq!((mode(&at("new")), fs::read(at("new")).unwrap()), (0o664, b"yy".to_vec()));
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(replace(Path::new("/dev/null"), b"x").unwrap_err().code(), Code::LoadFailed);
        assert_eq!(replace(folder.path(), b"x").unwrap_err().code(), Code::Io);
        assert_eq!(replace(&at("none/x"), b"x").unwrap_err().code(), Code::NotFound);
    }
}
