//! Which members of a record are id, title, text, and metadata?

use quorate_core::Result;
use serde_json::{Map, Value as Json};

use crate::Document;

use super::failed;
use super::table::CsvOptions;

const IDS: [&str; 3] = ["id", "_id", "doc_id"];
const TITLES: [&str; 3] = ["title", "name", "headline"];
const TEXTS: [&str; 7] = ["text", "content", "body", "abstract", "passage", "document", "description"];

/// A member of a record.
pub(super) struct Member {
    pub(super) name: String,
    /// What it is as metadata; none for an empty cell.
    pub(super) value: Option<Json>,
    /// How it is written; none for a list or an object, and for null.
    pub(super) written: Option<String>,
}

/// What the members of records are, by their names.
pub(super) struct Roles {
    id: Option<String>,
    title: Option<String>,
    /// Empty when a text is made of all members.
    texts: Vec<String>,
    /// Those that are not repeated in the metadata.
    own: Vec<String>,
    metadata: Option<Vec<String>>,
}

impl Roles {
    /// Of records with such members: those that the caller names, and otherwise those with a usual name, the first of the
    /// list that is there.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str> + Clone, options: &CsvOptions) -> Self {
        let usual = |known: &[&str]| {
            let of = |known: &&str| names.clone().find(|name| name.eq_ignore_ascii_case(known));
            known.iter().find_map(of).map(str::to_owned)
        };
        let id = options.id.clone().or_else(|| usual(&IDS));
        let title = options.title.clone().or_else(|| usual(&TITLES));
        let texts = match &options.text {
            Some(names) => names.all().to_vec(),
            None => usual(&TEXTS).into_iter().collect(),
        };
        // A synonym that was taken for the title or the text is metadata too: what it is called may mean something.
        let is_own = |name: &&String| {
            IDS.iter().chain([&TITLES[0], &TEXTS[0]]).any(|own| own.eq_ignore_ascii_case(name))
                || options.title.as_ref() == Some(name)
                || options.text.as_ref().is_some_and(|names| names.all().contains(name))
        };
        let own = title.iter().chain(&texts).filter(is_own).chain(&id).cloned().collect();
        Roles { id, title, texts, own, metadata: options.metadata.clone() }
    }

    /// The document of a record. A member `metadata` that is an object is spread, but for what contradicts the record itself;
    /// a record without a text member becomes lines of `name: value`. `fallback_id` serves a record without an id, or with
    /// an empty one. Errors: `load_failed` for a record without text and title.
    pub(super) fn document(&self, members: Vec<Member>, fallback_id: String) -> Result<Document> {
        let written = |name: &String| {
            members.iter().find(|member| member.name == *name).and_then(|member| member.written.as_deref())
        };
        let id = self.id.as_ref().and_then(written).filter(|id| !id.trim().is_empty());
        let id = id.map_or(fallback_id, str::to_owned);
        let title = self.title.as_ref().and_then(written).unwrap_or_default().to_owned();
        let text = match self.texts.is_empty() {
            false => {
                let parts = self.texts.iter().filter_map(written).filter(|part| !part.trim().is_empty());
                parts.collect::<Vec<_>>().join("\n")
            }
            true => {
                let of_text = |member: &&Member| self.id.as_ref() != Some(&member.name);
                let line = |member: &Member| {
                    let written = member.written.as_deref().filter(|text| !text.trim().is_empty())?;
                    Some(format!("{}: {written}", member.name))
                };
                members.iter().filter(of_text).filter_map(line).collect::<Vec<_>>().join("\n")
            }
        };
        if text.trim().is_empty() && title.trim().is_empty() {
            return Err(failed(format!(
                "record '{}' has neither text nor title",
                crate::document::shorten(&id)
            )));
        }
        let mut metadata = Map::new();
        let mut spread = None;
        for Member { name, value, .. } in members {
            let wanted = match &self.metadata {
                Some(names) => names.contains(&name),
                None => !self.own.contains(&name),
            };
            match value {
                Some(Json::Object(inner)) if wanted && name == "metadata" => spread = Some(inner),
                Some(value) if wanted => {
                    metadata.insert(name, value);
                }
                _ => {}
            }
        }
        // What the record itself says stands; what is said again otherwise stays where it was.
        let mut again = Map::new();
        for (name, value) in spread.unwrap_or_default() {
            if metadata.get(&name).is_none_or(|own| *own == value) {
                metadata.insert(name, value);
            } else {
                again.insert(name, value);
            }
        }
        if !again.is_empty() {
            metadata.insert("metadata".to_owned(), Json::Object(again));
        }
        Ok(Document::new(id, text).title(title).metadata(metadata))
    }
}

/// A plain value as it is written.
pub(super) fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(bool) => Some(bool.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
