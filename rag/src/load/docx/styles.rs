//! Which styles of a Word document are headings, and which are numbered?

use std::collections::HashMap;

use super::super::xml::Node;
use super::numbering::{self, Reference};

/// Styles are based on each other at most so deep.
const MAX_BASES: usize = 20;

#[derive(Default)]
pub(super) struct Styles {
    known: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    /// The name in lower case; built-in ones are English in every language's Word (ECMA-376, part 1, 17.7.4.9).
    name: String,
    base: Option<String>,
    /// 0 for the highest level; 9 for body text.
    outline: Option<usize>,
    number: Option<Reference>,
}

impl Styles {
    pub(super) fn read(part: Option<&Node>) -> Self {
        let mut known = HashMap::new();
        for node in part.iter().flat_map(|part| part.children("style")) {
            if node.attribute("type").is_some_and(|kind| kind != "paragraph") {
                continue;
            }
            let Some(id) = node.attribute("styleId") else { continue };
            let properties = node.child("pPr");
            let style = Style {
                name: node.value_of("name").unwrap_or_default().trim().to_lowercase(),
                base: node.value_of("basedOn").map(str::to_owned),
                outline: properties.and_then(outline_level),
                number: properties.and_then(|properties| properties.child("numPr")).map(numbering::reference),
            };
            known.insert(id.to_owned(), style);
        }
        Styles { known }
    }

    /// The level of a heading, 0 for the highest; 9 for what is none by its own word.
    pub(super) fn heading(&self, id: &str) -> Option<usize> {
        if !self.known.contains_key(id) {
            return by_name(&id.to_lowercase());
        }
        self.bases(id).find_map(|style| style.outline.or_else(|| by_name(&style.name)))
    }

    /// The numbering that a style brings along. A level that the style does not name is that of its heading.
    pub(super) fn numbering(&self, id: &str) -> Option<Reference> {
        let numbers = || self.bases(id).filter_map(|style| style.number.clone());
        let mut number = numbers().next()?;
        if number.list.is_none() {
            number.list = numbers().find_map(|number| number.list);
        }
        Some(number)
    }

    /// Whether it is a style of list items, for documents that number nothing themselves.
    pub(super) fn is_list(&self, id: &str) -> bool {
        match self.known.contains_key(id) {
            true => self
                .bases(id)
                .any(|style| style.name.starts_with("list bullet") || style.name.starts_with("list number")),
            false => id.to_lowercase().starts_with("list"),
        }
    }

    fn bases<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Style> {
        let next = |style: &&'a Style| self.known.get(style.base.as_ref()?);
        std::iter::successors(self.known.get(id), next).take(MAX_BASES)
    }
}

/// `heading 2` and `Heading2` are of level 1, `title` of level 0.
fn by_name(name: &str) -> Option<usize> {
    if name == "title" {
        return Some(0);
    }
    let level: usize = name.strip_prefix("heading")?.trim().parse().ok()?;
    (1..=9).contains(&level).then(|| level - 1)
}

/// The outline level of paragraph properties (17.3.1.20).
pub(super) fn outline_level(properties: &Node) -> Option<usize> {
    properties.value_of("outlineLvl")?.parse().ok()
}

/// Whether a switch such as `w:vanish` is on (17.17.4).
pub(super) fn is_on(node: &Node) -> bool {
    !matches!(node.attribute("val"), Some("0" | "false" | "off" | "none"))
}
