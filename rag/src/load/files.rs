//! Which files are meant, what is each called, and which loader reads it?

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use quorate_core::{Code, Error, Result};
use walkdir::WalkDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Markdown,
    Html,
    Pdf,
    Docx,
    Xlsx,
    Pptx,
    Epub,
    Rtf,
    Eml,
    Csv,
    Tsv,
    Jsonl,
}

pub(super) const KNOWN: &str = ".txt .md .markdown .html .htm .xhtml .pdf .docx .docm .xlsx .xlsm .pptx .pptm .ppsx .epub .rtf \
     .eml .csv .tsv .jsonl .ndjson";

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "txt",
            Kind::Markdown => "md",
            Kind::Html => "html",
            Kind::Pdf => "pdf",
            Kind::Docx => "docx",
            Kind::Xlsx => "xlsx",
            Kind::Pptx => "pptx",
            Kind::Epub => "epub",
            Kind::Rtf => "rtf",
            Kind::Eml => "eml",
            Kind::Csv => "csv",
            Kind::Tsv => "tsv",
            Kind::Jsonl => "jsonl",
        }
    }
}

pub(super) fn kind(path: &Path) -> Option<Kind> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "txt" | "text" => Kind::Text,
        "md" | "markdown" => Kind::Markdown,
        "html" | "htm" | "xhtml" => Kind::Html,
        "pdf" => Kind::Pdf,
        "docx" | "docm" => Kind::Docx,
        "xlsx" | "xlsm" => Kind::Xlsx,
        "pptx" | "pptm" | "ppsx" => Kind::Pptx,
        "epub" => Kind::Epub,
        "rtf" => Kind::Rtf,
        "eml" => Kind::Eml,
        "csv" => Kind::Csv,
        "tsv" => Kind::Tsv,
        "jsonl" | "ndjson" => Kind::Jsonl,
        _ => return None,
    })
}

/// Whether the documents of such a file are its rows.
pub(crate) fn is_row_file(path: &Path) -> bool {
    matches!(kind(path), Some(Kind::Csv | Kind::Tsv | Kind::Jsonl))
}

/// Whether a loader reads files with this ending.
pub fn is_supported(path: impl AsRef<Path>) -> bool {
    kind(path.as_ref()).is_some()
}

/// The files that a pattern means, as absolute paths in their order: a file, a folder (all files below it), or a glob with
/// `*`, `?`, `[...]` and `**`. What is there by exactly this name is meant before a glob is. Hidden files are left out
/// unless the pattern names them. Symbolic links are followed where the pattern names them, and otherwise to files in the
/// folder where the search begins. Errors: `not_found` when nothing is there, `permission_denied`, `invalid_argument` for a
/// malformed glob, `io`.
pub fn expand(pattern: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let found = Meant::new(pattern.as_ref())?.find(false)?;
    match found.refused.into_iter().find(|(_, error)| error.code() != Code::Unsupported) {
        Some((_, error)) => Err(error),
        None => Ok(found.files),
    }
}

/// What a pattern means, wherever it was typed.
#[derive(Debug)]
pub(crate) struct Meant {
    /// As it was given.
    given: PathBuf,
    /// A file, or the folder where the search begins.
    base: PathBuf,
    below: Below,
}

#[derive(Debug)]
enum Below {
    /// The base is the file itself.
    File,
    /// Everything below the base that is not hidden.
    All,
    /// What matches below the base.
    Glob(Pattern),
    /// There is nothing of this name, and it is no glob.
    Nothing,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Absolute paths, in order.
    pub(crate) files: Vec<PathBuf>,
    /// What could not be looked into, and links that are not followed (`unsupported`).
    pub(crate) refused: Vec<(PathBuf, Error)>,
}

impl Meant {
    /// Errors: `invalid_argument`, `permission_denied`, `io`.
    pub(crate) fn new(given: &Path) -> Result<Self> {
        if given.as_os_str().is_empty() {
            return Err(Error::invalid("a file pattern is empty; a file, a folder or a glob is expected"));
        }
        if given.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Error::invalid("a file pattern has a NUL, which no path can hold"));
        }
        let whole = absolute(given)?;
        let meant = |base, below| Ok(Meant { given: given.to_owned(), base, below });
        match std::fs::metadata(&whole) {
            Ok(meta) if meta.is_dir() => return meant(whole, Below::All),
            Ok(_) => return meant(whole, Below::File),
            Err(e) if is_absent(&e) => {}
            Err(e) => return Err(Error::io(given, e)),
        }
        let is_glob = |part: &std::ffi::OsStr| part.to_string_lossy().contains(['*', '?', '[']);
        let mut base = PathBuf::new();
        let mut rest = Vec::new();
        for part in whole.components() {
            let part = part.as_os_str();
            // A folder may be called like a glob.
            if rest.is_empty() && (!is_glob(part) || base.join(part).is_dir()) {
                base.push(part);
            } else {
                rest.push(part.to_string_lossy().into_owned());
            }
        }
        if rest.is_empty() {
            return meant(whole, Below::Nothing);
        }
        let pattern = Pattern::new(&rest.join("/")).map_err(|e| {
            Error::with_source(
                Code::InvalidArgument,
                format!("'{}' is no file pattern: {e}", given.display()),
                e,
            )
        })?;
        meant(base, Below::Glob(pattern))
    }

    /// The files. With `follow` symbolic links lead on, wherever they lead; a link to a folder above it ends there.
    /// Errors: `not_found` when there is nothing, `permission_denied`, `io`.
    pub(crate) fn find(&self, follow: bool) -> Result<Found> {
        let found = self.look(follow)?;
        match found.files.is_empty() && found.refused.is_empty() {
            true => Err(self.nothing()),
            false => Ok(found),
        }
    }

    /// Whether it is one file, named as such.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.below, Below::File)
    }

    /// The error that nothing is meant: `not_found`.
    pub(crate) fn nothing(&self) -> Error {
        Error::new(Code::NotFound, format!("'{}' names no file", self.given.display()))
    }

    /// The same where it may be that there is nothing any more. Errors: `not_found` when the folder where the search
    /// begins is not there, `permission_denied`, `io`.
    pub(crate) fn look(&self, follow: bool) -> Result<Found> {
        match &self.below {
            Below::File => return Ok(Found { files: vec![self.base.clone()], ..Found::default() }),
            Below::Nothing => return Ok(Found::default()),
            Below::All | Below::Glob(_) => {}
        }
        if let Err(error) = std::fs::read_dir(&self.base) {
            return Err(match is_absent(&error) {
                true => self.nothing(),
                false => Error::io(&self.base, error),
            });
        }
        let within = self.base.canonicalize().map_err(|e| Error::io(&self.base, e))?;
        let depth = match &self.below {
            Below::Glob(pattern) if !pattern.as_str().contains("**") => pattern.as_str().split('/').count(),
            _ => usize::MAX,
        };
        let shows_hidden = match &self.below {
            Below::Glob(pattern) => pattern.as_str().split('/').any(|part| part.starts_with(['.', '['])),
            _ => false,
        };
        let is_hidden = |entry: &walkdir::DirEntry| {
            entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        let walk = WalkDir::new(&self.base).min_depth(1).max_depth(depth).follow_links(follow);
        let entries = walk.into_iter().filter_entry(|entry| shows_hidden || !is_hidden(entry));
        let mut found = Found::default();
        let mut links = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // Where a link leads back to, all is found already.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(&self.base).to_owned();
                    let error = error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into());
                    // What has gone since, or a link to nothing, is not there.
                    if !is_absent(&error) {
                        found.refused.push((path.clone(), Error::io(&path, error)));
                    }
                    continue;
                }
            };
            if entry.path_is_symlink() && !follow {
                links.push(entry.into_path());
            } else if entry.file_type().is_dir() || !self.matches(entry.path()) {
                continue;
            } else if entry.file_type().is_file() {
                found.files.push(entry.into_path());
            } else {
                let path = entry.into_path();
                let message = format!("{}: it is a device, pipe or socket", path.display());
                found.refused.push((path, Error::new(Code::Unsupported, message)));
            }
        }
        for link in links {
            let Ok(target) = link.canonicalize() else { continue };
            let inside = target.starts_with(&within);
            if inside && target.is_file() && self.matches(&link) {
                found.files.push(link);
            } else if !inside && (target.is_dir() || self.matches(&link)) {
                let message = format!(
                    "{}: a symbolic link to {}, out of the folder; follow_links follows it",
                    link.display(),
                    target.display()
                );
                found.refused.push((link, Error::new(Code::Unsupported, message)));
            }
        }
        // One file of two names is the one that is no link.
        let mut seen = HashSet::new();
        found.files.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
        found.files.sort();
        found.refused.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Whether an absolute path is meant, should there be such a file.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let Ok(rest) = path.strip_prefix(&self.base) else { return false };
        match &self.below {
            Below::File | Below::Nothing => rest.as_os_str().is_empty(),
            Below::All => {
                rest.components().all(|part| !part.as_os_str().as_encoded_bytes().starts_with(b"."))
            }
            Below::Glob(pattern) => {
                let options = MatchOptions {
                    case_sensitive: true,
                    require_literal_separator: true,
                    require_literal_leading_dot: true,
                };
                pattern.matches_with(&rest.to_string_lossy(), options)
            }
        }
    }
}

/// The path from the root of the file system, without `.`, `..` and doubled separators, so that it does not depend on how
/// it was typed. Links stay as they are named, except before a `..`. Errors: `io`, `not_found` (the working folder).
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let mut out = PathBuf::new();
    if !path.is_absolute() {
        out = std::env::current_dir().map_err(|e| Error::io(path, e))?;
    }
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                // What lies above a link is what lies above its target.
                if out.is_symlink() {
                    out = out.canonicalize().map_err(|e| Error::io(&out, e))?;
                }
                out.pop();
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// What an absolute path is called in ids: itself, or where it is no Unicode its `file:` URI (RFC 8089), so that two names
/// that differ in a byte stay two. With `root`, the path from there.
pub(crate) fn name(path: &Path, root: Option<&Path>) -> String {
    let path = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
    if let Some(text) = path.to_str() {
        return text.to_owned();
    }
    let mut out = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte))
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The path that [`name`] gave such a name, without a root; none for what is no path.
pub(crate) fn path_of(name: &str) -> Option<PathBuf> {
    let Some(rest) = name.strip_prefix("file://") else {
        return Path::new(name).is_absolute().then(|| PathBuf::from(name));
    };
    let mut bytes = Vec::with_capacity(rest.len());
    let mut rest = rest.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    os_string(bytes).map(PathBuf::from)
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// Whether there is nothing of this name.
pub(crate) fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_however_it_is_typed() {
        let here = std::env::current_dir().unwrap();
        let want = here.join("a/b.txt");
        for typed in ["a/b.txt", "./a/b.txt", "a//b.txt", "a/./c/../b.txt", "x/../a/b.txt"] {
            assert_eq!(absolute(Path::new(typed)).unwrap(), want, "{typed}");
        }
        assert_eq!(absolute(&want).unwrap(), want);
        assert_eq!(absolute(Path::new("/..")).unwrap(), Path::new("/"));
    }

    #[cfg(unix)]
    #[test]
    fn names_of_bytes_that_differ_differ() {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let odd: [&[u8]; 4] =
            [b"/a/caf\xe9 %.txt", b"/a/caf\xe8 %.txt", "/a/café.txt".as_bytes(), b"/a/x\ny"];
        let names: HashSet<String> = odd.iter().map(|bytes| name(&path(bytes), None)).collect();
        assert_eq!(names.len(), odd.len());
        for bytes in odd {
            assert_eq!(path_of(&name(&path(bytes), None)), Some(path(bytes)));
        }
        assert_eq!(name(&path(odd[0]), None), "file:///a/caf%E9%20%25.txt");
        assert_eq!(name(&path(odd[0]), Some(Path::new("/a"))), "file:caf%E9%20%25.txt");
        assert_eq!(path_of("file://%zz"), None);
        assert_eq!(path_of("https://example.org/a"), None);
    }
}
