//! Which stored documents came from which file?

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Snapshot;
use crate::index::DocView;
use crate::load::path_of;

/// The documents of one snapshot that loaders made, by their sources.
pub(super) struct Sources {
    snapshot: Arc<Snapshot>,
    /// Hash of the source, segment, document.
    places: Vec<(u64, u32, u32)>,
}

impl Sources {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        let mut places = Vec::new();
        for (segment, view) in snapshot.views().iter().enumerate() {
            for doc in view.live.docs.iter() {
                let stored = view.segment.catalog.doc(doc);
                if is_loaded(&stored) {
                    places.push((hash(stored.source), segment as u32, doc));
                }
            }
        }
        places.sort_unstable();
        Sources { snapshot, places }
    }

    /// The ids of the documents of a source.
    pub(super) fn ids_of(&self, source: &str) -> impl Iterator<Item = &str> {
        let hash = hash(source);
        let first = self.places.partition_point(|place| place.0 < hash);
        let same = self.places[first..].iter().take_while(move |place| place.0 == hash);
        same.map(|place| self.doc(place)).filter(move |doc| doc.source == source).map(|doc| doc.id)
    }

    /// All documents, those of one source beside each other as good as always.
    pub(super) fn docs(&self) -> impl Iterator<Item = DocView<'_>> {
        self.places.iter().map(|place| self.doc(place))
    }

    fn doc(&self, &(_, segment, doc): &(u64, u32, u32)) -> DocView<'_> {
        self.snapshot.segment(segment).catalog.doc(doc)
    }
}

fn hash(source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    hasher.finish()
}

/// Whether a loader made a document: it says its kind of file, or its id is made of its source. What a caller has stored
/// with a path for its source is no part of that file.
pub(super) fn is_loaded(doc: &DocView<'_>) -> bool {
    if doc.source.is_empty() {
        return false;
    }
    let says = || {
        doc.metadata.contains("\"file_type\"")
            && serde_json::from_str::<crate::Metadata>(doc.metadata)
                .is_ok_and(|members| members.contains_key("file_type"))
    };
    is_of_path(doc) || says()
}

/// Whether the id of a document is made of the path of its source, or of the end of it.
pub(super) fn is_of_path(doc: &DocView<'_>) -> bool {
    path_part(doc).is_some()
}

/// The id without what names a part of the file, where it is the path of the source or the end of it.
pub(super) fn path_part<'a>(doc: &DocView<'a>) -> Option<&'a str> {
    let ends = |part: &str| {
        doc.source == part || doc.source.strip_suffix(part).is_some_and(|rest| rest.ends_with('/'))
    };
    // A file may be called like a part of one.
    let marks = doc.id.rmatch_indices('#').filter(|(at, _)| is_part(&doc.id[at + 1..]));
    let mut parts = std::iter::once(doc.id.len()).chain(marks.map(|(at, _)| at)).map(|end| &doc.id[..end]);
    parts.find(|&part| ends(part))
}

/// Whether a loader calls a part of a file so: `page=3`, `sheet=Doses`, `attachment=1#page=2`.
fn is_part(mark: &str) -> bool {
    let Some((kind, which)) = mark.split_once('=') else { return false };
    let (number, inner) =
        which.split_once('#').map_or((which, None), |(number, inner)| (number, Some(inner)));
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    match kind {
        "page" | "row" | "slide" | "chapter" => numbered && inner.is_none(),
        "sheet" => !which.is_empty(),
        "attachment" => numbered && inner.is_none_or(|inner| inner.starts_with("id=") || is_part(inner)),
        _ => false,
    }
}

/// The path of a source; none for what is none.
pub(super) fn path(source: &str) -> Option<PathBuf> {
    path_of(source).filter(|path| path.is_absolute())
}

/// Whether there is surely nothing at a path: neither a file, nor one that cannot be looked at.
pub(super) fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| crate::load::is_absent(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part<'a>(id: &'a str, source: &'a str) -> Option<&'a str> {
        path_part(&DocView { id, source, title: "", metadata: "{}", text: "" })
    }

    #[test]
    fn ids_of_all_parts_are_those_of_their_file() {
        for mark in [
            "",
            "#page=2",
            "#row=10",
            "#slide=3",
            "#sheet=Doses #1",
            "#sheet=a#page=3",
            "#chapter=4",
            "#attachment=1",
            "#attachment=1#page=2",
            "#attachment=1#sheet=A",
            "#attachment=1#attachment=2#row=3",
            "#attachment=1#id=some row",
        ] {
            for (path, source) in
                [("/x/a.b", "/x/a.b"), ("a.b", "/x/a.b"), ("x#page=1.pdf", "/y/x#page=1.pdf")]
            {
                assert_eq!(part(&format!("{path}{mark}"), source), Some(path), "{mark}");
            }
            assert_eq!(part(&format!("other{mark}"), "/x/a.b"), None, "{mark}");
        }
        for own in ["a.b#row=x", "a.b#note", "a.b#page=", "a.b#page=1#page=2", "b"] {
            assert_eq!(part(own, "/x/a.b"), None, "{own}");
        }
    }
}
