//! Are the lists of versions as they were written?
//!
//! Lance's manifests carry no checksum, and with one flipped bit a table can look whole and hold something else. So one
//! file beside them keeps the checksum of each. A line of it that is not whole itself counts as not there, and a
//! manifest without a line is not checked. A line is written when its manifest is where it belongs, so that a manifest
//! with a line was acknowledged: when the newest one is gone, that is damage, and not the version before.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::{Code, Error, Result, files};

const NAME: &str = "quorate.sums";
/// How often, and after how long, a folder is listed again that does not have what must be there.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// Notes the checksum of the manifest of `version`, which was written just now.
pub(super) fn note(folder: &Path, version: u64) {
    let noted = std::fs::read(manifest(folder, version)).and_then(|bytes| {
        let line = line(version, crc32fast::hash(&bytes));
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(NAME))?;
        file.write_all(line.as_bytes())
    });
    if let Err(error) = noted {
        tracing::debug!(folder = %folder.display(), version, %error, "the checksum of a version is not kept");
    }
}

/// Whether the manifest of `version` is as it was written, as far as that is known. Errors: `corrupt`.
pub(super) fn check(folder: &Path, version: u64) -> Result<()> {
    let Some(&sum) = known(folder).get(&version) else { return Ok(()) };
    let path = manifest(folder, version);
    match std::fs::read(&path) {
        Ok(bytes) if crc32fast::hash(&bytes) != sum => Err(Error::new(
            Code::Corrupt,
            format!(
                "{}: the list of version {version} is not as it was written; put a copy of the file in its place, or give \
                 that version up by moving the file away",
                path.display()
            ),
        )),
        // What cannot be read is for Lance to report.
        _ => Ok(()),
    }
}

/// The same for the newest version that was written, which must be there. Errors: `corrupt`.
pub(super) fn check_newest(folder: &Path) -> Result<()> {
    for attempt in 1.. {
        // What was noted before the folder is looked at is there then, or a later one is.
        let noted = known(folder).into_keys().max();
        match (noted, newest(folder)) {
            // A folder that changes while it is listed may hide what has just come; it does not do so for long.
            (Some(noted), there) if there.is_none_or(|there| there < noted) => {
                if attempt >= ATTEMPTS {
                    return Err(gone(folder, noted));
                }
                std::thread::sleep(PAUSE);
            }
            (_, Some(newest)) => return check(folder, newest),
            (_, None) => return Ok(()),
        }
    }
    Ok(())
}

fn gone(folder: &Path, version: u64) -> Error {
    Error::new(
        Code::Corrupt,
        format!(
            "{}: the list of version {version}, the newest that was written, is not there; put a copy of the file in its \
             place, or give up what was written with it by deleting {}",
            manifest(folder, version).display(),
            folder.join(NAME).display()
        ),
    )
}

/// The newest version whose list is there.
pub(super) fn newest(folder: &Path) -> Option<u64> {
    let version = |name: &str| {
        let digits = name.strip_suffix(".manifest").filter(|digits| digits.len() == 20)?;
        Some(u64::MAX - digits.parse::<u64>().ok()?)
    };
    let entries = std::fs::read_dir(folder.join("_versions")).ok()?;
    entries.flatten().filter_map(|entry| version(entry.file_name().to_str()?)).max()
}

/// Whether the list of `version` is there.
pub(super) fn is_there(folder: &Path, version: u64) -> bool {
    manifest(folder, version).exists()
}

/// Forgets the versions before `oldest`.
pub(super) fn prune(folder: &Path, oldest: u64) {
    let mut kept: Vec<(u64, u32)> =
        known(folder).into_iter().filter(|(version, _)| *version >= oldest).collect();
    kept.sort_unstable();
    let text: String = kept.into_iter().map(|(version, sum)| line(version, sum)).collect();
    let replaced = files::replace(&folder.join(NAME), false, |out| out.write_all(text.as_bytes()));
    if let Err(error) = replaced {
        tracing::debug!(folder = %folder.display(), %error, "the checksums of removed versions stay");
    }
}

/// Forgets what was noted of versions whose lists are not there: in a copy of the folder that was made while others wrote.
/// Errors: `io`, `disk_full`, `permission_denied`.
pub(super) fn settle(folder: &Path) -> Result<()> {
    let known = known(folder);
    let mut kept: Vec<(u64, u32)> =
        known.into_iter().filter(|&(version, _)| is_there(folder, version)).collect();
    kept.sort_unstable();
    let text: String = kept.into_iter().map(|(version, sum)| line(version, sum)).collect();
    files::replace(&folder.join(NAME), true, |out| out.write_all(text.as_bytes()))
}

/// Lance's name of a manifest: the number counts down, so that the newest comes first in a listing.
pub(super) fn manifest(folder: &Path, version: u64) -> PathBuf {
    folder.join("_versions").join(format!("{:020}.manifest", u64::MAX - version))
}

fn line(version: u64, sum: u32) -> String {
    let body = format!("{version} {sum:08x}");
    format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()))
}

fn known(folder: &Path) -> HashMap<u64, u32> {
    let text = std::fs::read(folder.join(NAME)).unwrap_or_default();
    let parse = |line: &str| {
        let (body, own) = line.rsplit_once(' ')?;
        if own != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
            return None;
        }
        let (version, sum) = body.split_once(' ')?;
        Some((version.parse().ok()?, u32::from_str_radix(sum, 16).ok()?))
    };
    String::from_utf8_lossy(&text).lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_checked_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir(folder.join("_versions")).unwrap();
        check_newest(folder).unwrap();
        for version in 1..5 {
            std::fs::write(manifest(folder, version), format!("list {version}")).unwrap();
            note(folder, version);
        }
        check_newest(folder).unwrap();
        // The newest one is gone.
        std::fs::rename(manifest(folder, 4), folder.join("away")).unwrap();
        let error = check_newest(folder).unwrap_err();
        assert!(error.code() == Code::Corrupt && error.message().contains("18446744073709551611.manifest"));
        std::fs::rename(folder.join("away"), manifest(folder, 4)).unwrap();
        // One that nobody has noted may be there.
        std::fs::write(manifest(folder, 5), "list 5").unwrap();
        check_newest(folder).unwrap();
        std::fs::remove_file(manifest(folder, 5)).unwrap();
        std::fs::write(manifest(folder, 4), "list 5").unwrap();
        let error = check_newest(folder).unwrap_err();
        assert!(error.code() == Code::Corrupt && error.message().contains("18446744073709551611.manifest"));
        check(folder, 3).unwrap();
        prune(folder, 3);
        assert_eq!(known(folder).len(), 2);
        assert!(check(folder, 4).is_err());
        // A line that is damaged or cut off says nothing.
        let sums = folder.join(NAME);
        let text = std::fs::read_to_string(&sums).unwrap();
        std::fs::write(&sums, text.replace("4 ", "5 ")).unwrap();
        check(folder, 4).unwrap();
        std::fs::write(&sums, &text[..text.len() - 3]).unwrap();
        check(folder, 4).unwrap();
        std::fs::write(&sums, [0xff; 40]).unwrap();
        check(folder, 4).unwrap();
        note(folder, 4);
        check(folder, 4).unwrap();
    }
}
