//! How is a file read that may be anything?

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Code, Error, Result};

/// Opens a regular file of at most `max_bytes` for reading. Devices, pipes and sockets, which may never end or never
/// begin, are refused before they are opened.
/// Errors: `not_found`, `permission_denied`, `io`, `unsupported` (no regular file), `too_large`.
pub fn open_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<File> {
    let path = path.as_ref();
    check(path, &std::fs::metadata(path).map_err(|e| Error::io(path, e))?, max_bytes)?;
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    // Another file may have taken the name meanwhile.
    check(path, &file.metadata().map_err(|e| Error::io(path, e))?, max_bytes)?;
    Ok(file)
}

/// The bytes of a regular file of at most `max_bytes`, also where it grows while it is read.
/// Errors: as [`open_file`].
///
/// ```
/// let error = quorate_core::read_file("/", 1000).unwrap_err();
/// assert_eq!(error.code().as_str(), "unsupported");
/// ```
pub fn read_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    let mut file = open_file(path, max_bytes)?.take(max_bytes.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    match bytes.len() as u64 > max_bytes {
        true => Err(too_large(path, bytes.len() as u64, max_bytes)),
        false => Ok(bytes),
    }
}

fn check(path: &Path, meta: &std::fs::Metadata, max_bytes: u64) -> Result<()> {
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a folder" } else { "a device, pipe or socket" };
        let message = format!("{}: it is {kind}; a regular file is expected", path.display());
        return Err(Error::new(Code::Unsupported, message));
    }
    match meta.len() > max_bytes {
        true => Err(too_large(path, meta.len(), max_bytes)),
        false => Ok(()),
    }
}

fn too_large(path: &Path, bytes: u64, max_bytes: u64) -> Error {
    Error::new(
        Code::TooLarge,
        format!("{}: {bytes} bytes or more, at most {max_bytes} are read", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_within_the_limit_alone() {
        let code = |path: &str, most: u64| read_file(path, most).unwrap_err().code();
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let whole = std::fs::read(here).unwrap();
        assert_eq!(read_file(here, whole.len() as u64).unwrap(), whole);
        assert_eq!(code(here, whole.len() as u64 - 1), Code::TooLarge);
        assert_eq!(code(concat!(env!("CARGO_MANIFEST_DIR"), "/src"), 10), Code::Unsupported);
        assert_eq!(code("/nothing/at/all", 10), Code::NotFound);
        #[cfg(unix)]
        for endless in ["/dev/zero", "/dev/null", "/dev/tty"] {
            if Path::new(endless).exists() {
                assert_eq!(code(endless, 10), Code::Unsupported, "{endless}");
            }
        }
    }
}
