//! What is packed in a ZIP container (DOCX, XLSX, PPTX, EPUB), and which part refers to which?
//!
//! Parts and relationships are those of the Open Packaging Conventions (ECMA-376, part 2).

use std::collections::HashMap;
use std::io::{Cursor, Read};

use quorate_core::{Code, Error, Result};
use zip::ZipArchive;
use zip::result::ZipError;

use super::{encoding, failed, xml};

/// More entries than this are no document.
const MAX_ENTRIES: usize = 100_000;

/// A container and how many bytes may yet be unpacked from it, whatever it claims.
pub(super) struct Package {
    archive: ZipArchive<Cursor<Vec<u8>>>,
    kind: &'static str,
    limit: u64,
    left: u64,
}

impl Package {
    /// `limit` bounds all that is ever unpacked, in bytes. Errors: `load_failed`, `too_large`.
    pub(super) fn open(kind: &'static str, bytes: Vec<u8>, limit: u64) -> Result<Self> {
        if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
            return Err(failed(format!("{kind}: the file is encrypted, or of Office's binary format")));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| failed(format!("{kind}: {e}")))?;
        if archive.len() > MAX_ENTRIES {
            let message = format!("{kind}: {} entries, at most {MAX_ENTRIES} are read", archive.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        Ok(Package { archive, kind, limit, left: limit })
    }

    /// The names of all parts, as they are written.
    pub(super) fn names(&self) -> Vec<String> {
        self.archive.file_names().flatten().map(|name| name.into_owned()).collect()
    }

    /// A part's bytes; none when there is no such part. Names are compared without regard to case when none is
    /// exact. Errors: `load_failed`, `too_large`.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.trim_start_matches('/');
        let exact = self.archive.index_for_name(name);
        let index = exact.or_else(|| {
            let same = |other: &str| other.replace('\\', "/").eq_ignore_ascii_case(name);
            let other = self.archive.file_names().flatten().find(|other| same(other))?.into_owned();
            self.archive.index_for_name(&other)
        });
        let Some(index) = index else { return Ok(None) };
        let kind = self.kind;
        let told = |e: String| failed(format!("{kind}: {name}: {e}"));
        let file = match self.archive.by_index(index) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(told(e.to_string())),
        };
        let mut bytes = Vec::new();
        file.take(self.left + 1).read_to_end(&mut bytes).map_err(|e| told(e.to_string()))?;
        if bytes.len() as u64 > self.left {
            let message = format!("{kind}: unpacks to more than {} bytes", self.limit);
            return Err(Error::new(Code::TooLarge, message));
        }
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// Reads a container within this one: what is unpacked from it counts as unpacked from this one. Errors: those of
    /// [`open`](Package::open) and of `read`.
    pub(super) fn within<T>(
        &mut self,
        bytes: Vec<u8>,
        read: impl FnOnce(&mut Package) -> Result<T>,
    ) -> Result<T> {
        let mut inner = Package::open(self.kind, bytes, self.left)?;
        let done = read(&mut inner);
        self.left = inner.left;
        done
    }

    /// Unpacks everything once and keeps nothing, for a reader that has no limit of its own. Errors: as
    /// [`part`](Package::part).
    pub(super) fn check(&mut self) -> Result<()> {
        for index in 0..self.archive.len() {
            let kind = self.kind;
            let told = |e: String| failed(format!("{kind}: {e}"));
            let file = self.archive.by_index(index).map_err(|e| told(e.to_string()))?;
            let read = std::io::copy(&mut file.take(self.left + 1), &mut std::io::sink());
            let read = read.map_err(|e| told(e.to_string()))?;
            if read > self.left {
                let message = format!("{kind}: unpacks to more than {} bytes", self.limit);
                return Err(Error::new(Code::TooLarge, message));
            }
            self.left -= read;
        }
        Ok(())
    }

    /// The container's own bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.archive.into_inner().into_inner()
    }

    /// An XML part as text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        Ok(self.part(name)?.map(encoding::decode_xml))
    }

    /// An XML part as a tree.
    pub(super) fn tree(&mut self, name: &str) -> Result<Option<xml::Node>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        xml::tree(&text).map(Some).map_err(|e| e.context(format_args!("{}: {name}", self.kind)))
    }

    /// What a part refers to; for `""` what the package itself does.
    pub(super) fn relations(&mut self, part: &str) -> Result<Relations> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let slash = if folder.is_empty() { "" } else { "/" };
        let mut relations = Relations::default();
        let Some(tree) = self.tree(&format!("{folder}{slash}_rels/{file}.rels"))? else {
            return Ok(relations);
        };
        for node in tree.children("Relationship") {
            let (Some(id), Some(target)) = (node.attribute("Id"), node.attribute("Target")) else { continue };
            if node.attribute("TargetMode").is_some_and(|mode| mode.eq_ignore_ascii_case("external")) {
                continue;
            }
            // Transitional and strict documents have different addresses before the last word.
            let kind = node.attribute("Type").and_then(|kind| kind.rsplit('/').next()).unwrap_or_default();
            let target = resolve(folder, target);
            relations.ids.insert(id.to_owned(), relations.all.len());
            relations.all.push((kind.to_owned(), target));
        }
        Ok(relations)
    }
}

/// What one part refers to.
#[derive(Default)]
pub(super) struct Relations {
    ids: HashMap<String, usize>,
    all: Vec<(String, String)>,
}

impl Relations {
    /// The part that a relationship id means.
    pub(super) fn by_id(&self, id: &str) -> Option<&str> {
        Some(self.all.get(*self.ids.get(id)?)?.1.as_str())
    }

    /// The first part of a kind, such as `styles`.
    pub(super) fn by_kind(&self, kind: &str) -> Option<&str> {
        self.all.iter().find(|(other, _)| other == kind).map(|(_, target)| target.as_str())
    }
}

/// A target relative to a folder, as a name within the package.
pub(super) fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut steps: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|step| !step.is_empty()).collect(),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => _ = steps.pop(),
            _ => steps.push(step),
        }
    }
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_to_their_part() {
        assert_eq!(resolve("word", "styles.xml"), "word/styles.xml");
        assert_eq!(resolve("word", "/word/media/../styles.xml"), "word/styles.xml");
        assert_eq!(resolve("ppt/slides", "../media/a.png"), "ppt/media/a.png");
        assert_eq!(resolve("", "..\\a.xml"), "a.xml");
    }
}
