//! Which capabilities are there, and which one includes which?

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};

use crate::text::shown;

/// Longest name of a capability, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// Longest title of a capability, in bytes.
const MAX_TITLE_BYTES: usize = 1000;

/// Most capabilities of a taxonomy.
pub(crate) const MAX_CAPABILITIES: usize = 100_000;

/// Capability names with their titles. Names are dotted paths; `a.b` is the parent of `a.b.c`, and whoever requires
/// `a.b` is satisfied by `a.b` and by everything below it.
///
/// ```
/// use quorate_agents::Taxonomy;
/// let mut taxonomy = Taxonomy::default();
/// taxonomy.insert("regulatory", "Regulatory affairs").unwrap();
/// taxonomy.insert("regulatory.fda", "United States FDA").unwrap();
/// assert!(Taxonomy::covers("regulatory", "regulatory.fda"));
/// assert!(!Taxonomy::covers("regulatory.fda", "regulatory"));
/// assert_eq!(taxonomy.check("regulatory.ema").unwrap_err().code().as_str(), "unknown_capability");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taxonomy {
    titles: BTreeMap<String, String>,
}

impl Taxonomy {
    /// Adds a capability or renames it. Its parent must be there. Errors: `invalid_argument`, `unknown_capability`,
    /// `too_large` for a title of more than 1,000 bytes or more than 100,000 capabilities.
    pub fn insert(&mut self, name: impl Into<String>, title: impl Into<String>) -> Result<()> {
        let (name, title) = (name.into(), title.into());
        if self.len() >= MAX_CAPABILITIES && !self.contains(&name) {
            return Err(too_many(self.len() + 1));
        }
        self.put(name, title)
    }

    /// The same however many there are.
    pub(crate) fn put(&mut self, name: impl Into<String>, title: impl Into<String>) -> Result<()> {
        let (name, title) = (name.into(), title.into());
        Self::check_name(&name).map_err(Error::invalid)?;
        if title.len() > MAX_TITLE_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "capability '{name}': a title of {} bytes; {MAX_TITLE_BYTES} are possible",
                    title.len()
                ),
            ));
        }
        if let Some(parent) = Self::parent(&name)
            && !self.contains(parent)
        {
            return Err(Error::new(
                Code::UnknownCapability,
                format!("capability '{name}' has no parent: add '{parent}' first"),
            ));
        }
        self.titles.insert(name, title);
        Ok(())
    }

    /// The same without a look at the name, for a part of a taxonomy whose parents are elsewhere.
    pub(crate) fn set(&mut self, name: &str, title: &str) {
        self.titles.insert(name.to_owned(), title.to_owned());
    }

    /// Whether the name is known.
    pub fn contains(&self, name: &str) -> bool {
        self.titles.contains_key(name)
    }

    /// What the name stands for.
    pub fn title(&self, name: &str) -> Option<&str> {
        self.titles.get(name).map(String::as_str)
    }

    /// Names and titles in alphabetical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.titles.iter().map(|(name, title)| (name.as_str(), title.as_str()))
    }

    /// The number of capabilities.
    pub fn len(&self) -> usize {
        self.titles.len()
    }

    /// Whether there is none. An empty taxonomy accepts every well-formed name.
    pub fn is_empty(&self) -> bool {
        self.titles.is_empty()
    }

    /// An error unless the name is known, with the most similar known names. An empty taxonomy knows every
    /// well-formed name. Errors: `unknown_capability`.
    pub fn check(&self, name: &str) -> Result<()> {
        if self.contains(name) || (self.is_empty() && Self::check_name(name).is_ok()) {
            return Ok(());
        }
        let mut message = format!("capability '{}' is not in the taxonomy", shown(name));
        // A longer one is no slip of the pen, and comparing it would take its length times that of each name.
        let near = if name.len() <= MAX_NAME_BYTES { self.similar(name) } else { Vec::new() };
        if !near.is_empty() {
            message.push_str(&format!("; did you mean {}?", near.join(", ")));
        }
        Err(Error::new(Code::UnknownCapability, message))
    }

    /// Whether having `held` satisfies a requirement of `required`: the same name, or one below it.
    pub fn covers(required: &str, held: &str) -> bool {
        held.strip_prefix(required).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The name above, if any.
    pub fn parent(name: &str) -> Option<&str> {
        name.rsplit_once('.').map(|(parent, _)| parent)
    }

    /// The name itself and all above it, nearest first.
    pub fn ancestors(name: &str) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(name), |n| Self::parent(n))
    }

    /// What is wrong with the form of a name, if anything.
    pub(crate) fn check_name(name: &str) -> std::result::Result<(), String> {
        let part = |p: &str| {
            !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if name.len() <= MAX_NAME_BYTES && name.split('.').all(part) {
            return Ok(());
        }
        Err(format!(
            "'{}' is not a capability; use lower-case words with dots, such as 'regulatory.fda.510k'",
            shown(name)
        ))
    }

    fn similar(&self, name: &str) -> Vec<String> {
        let last = name.rsplit('.').next().unwrap_or(name);
        let parent = Self::parent(name);
        let mut near: Vec<(usize, &str)> = self
            .titles
            .keys()
            .filter_map(|known| {
                let tail = known.rsplit('.').next().unwrap_or(known);
                let distance = edits(last, tail).min(edits(name, known));
                let sibling = parent.is_some() && Self::parent(known) == parent;
                (distance <= 2 || (sibling && distance <= last.len() / 2))
                    .then_some((distance, known.as_str()))
            })
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, known)| format!("'{known}'")).collect()
    }
}

/// That there cannot be so many capabilities.
pub(crate) fn too_many(count: usize) -> Error {
    Error::new(Code::TooLarge, format!("{count} capabilities; {MAX_CAPABILITIES} are possible"))
}

/// Levenshtein's (1966) edit distance, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_met_by_itself_or_a_descendant_only() {
        assert!(Taxonomy::covers("regulatory.fda", "regulatory.fda.510k"));
        assert!(Taxonomy::covers("regulatory.fda", "regulatory.fda"));
        assert!(!Taxonomy::covers("regulatory.fda", "regulatory.fdax"));
        assert!(!Taxonomy::covers("regulatory.fda.510k", "regulatory.fda"));
    }

    #[test]
    fn names_need_their_parents_and_a_good_form() {
        let mut taxonomy = Taxonomy::default();
        assert!(taxonomy.check("any.thing").is_ok());
        assert_eq!(taxonomy.insert("a.b", "B").unwrap_err().code(), Code::UnknownCapability);
        taxonomy.insert("a", "A").unwrap();
        taxonomy.insert("a.bcde", "B").unwrap();
        assert_eq!(taxonomy.insert("A", "").unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(taxonomy.insert("a..c", "").unwrap_err().code(), Code::InvalidArgument);
        let error = taxonomy.check("a.bcdf").unwrap_err();
        assert_eq!(error.code(), Code::UnknownCapability);
        assert!(error.message().contains("'a.bcde'"), "{}", error.message());
        assert_eq!(Taxonomy::ancestors("a.b.c").collect::<Vec<_>>(), ["a.b.c", "a.b", "a"]);
    }

    #[test]
    fn distances() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
