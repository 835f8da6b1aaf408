//! Where are the files of definitions read from?

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use quorate_core::{Error, Result};

/// The longest file, in bytes.
pub(crate) const MAX_FILE: u64 = 4 << 20;
/// The most files of a folder.
const MAX_FILES: usize = 10_000;

/// Where files are read from.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// A folder.
    Folder(PathBuf),
    /// Files that came with the library, or were given as texts, by name.
    Pack(BTreeMap<String, String>),
}

impl Files {
    /// What a name leads to: a path below the folder, with `/` between its parts.
    pub(crate) fn read(&self, name: &str) -> std::result::Result<String, String> {
        match self {
            Files::Pack(files) => {
                files.get(name).cloned().ok_or_else(|| format!("there is no file '{name}'"))
            }
            Files::Folder(folder) => {
                let path = folder.join(name);
                let real = path.canonicalize().map_err(|e| format!("'{}': {e}", path.display()))?;
                let root = folder.canonicalize().map_err(|e| format!("'{}': {e}", folder.display()))?;
                if !real.starts_with(&root) {
                    return Err(format!("'{name}' leads out of '{}'", folder.display()));
                }
                bounded(&real).map_err(|wrong| format!("'{}' {wrong}", path.display()))
            }
        }
    }

    /// The names of all YAML and JSON files, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let is_form = |name: &str| [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
        let folder = match self {
            Files::Pack(files) => return Ok(files.keys().filter(|name| is_form(name)).cloned().collect()),
            Files::Folder(folder) => folder,
        };
        let (mut names, mut open) = (Vec::new(), vec![folder.clone()]);
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(&next).map_err(|e| Error::io(&next, e))? {
                let path = entry.map_err(|e| Error::io(&next, e))?.path();
                let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                // A link to a folder may lead in a circle.
                let link = path.is_symlink() && path.is_dir();
                if hidden || link {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(name) = path.strip_prefix(folder) {
                    let parts: Vec<String> = name
                        .components()
                        .map(|part| part.as_os_str().to_string_lossy().into_owned())
                        .collect();
                    let name = parts.join("/");
                    if is_form(&name) {
                        names.push(name);
                    }
                }
                if names.len() > MAX_FILES {
                    return Err(Error::invalid(format!("'{}' has over {MAX_FILES} files", folder.display())));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// How a file is called in messages.
    pub(crate) fn shown(&self, name: &str) -> String {
        match self {
            Files::Folder(folder) => folder.join(name).display().to_string(),
            Files::Pack(_) => name.to_owned(),
        }
    }
}

/// The text of a file. A pipe or a device has no end, and says nothing of its length.
fn bounded(path: &Path) -> std::result::Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no file".to_owned());
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    match text.len() as u64 > MAX_FILE {
        true => Err(format!("has over {MAX_FILE} bytes, which is all that is read")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("most.yaml"), "x".repeat(MAX_FILE as usize)).unwrap();
        std::fs::write(place("more.yaml"), "x".repeat(MAX_FILE as usize + 1)).unwrap();
        std::fs::create_dir(place("folder.yaml")).unwrap();
        assert_eq!(bounded(&place("most.yaml")).map(|text| text.len() as u64), Ok(MAX_FILE));
        for (name, wrong) in
            [("more.yaml", "over"), ("folder.yaml", "no file"), ("none.yaml", "cannot be read")]
        {
            assert!(bounded(&place(name)).unwrap_err().contains(wrong), "{name}");
        }
        #[cfg(unix)]
        assert!(bounded(Path::new("/dev/zero")).unwrap_err().contains("no file"));
    }
}
