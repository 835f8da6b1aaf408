//! How do files become one definition: references, fragments, overlays?

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};
use std::sync::Arc;

use quorate_agents::yaml::{Node, Value};
use quorate_core::{Error, Result};

use super::files::{Files, MAX_FILE};
use super::problem::Problem;

/// The most values of a file, and of a definition with all that it refers to.
const MAX_VALUES: usize = 200_000;
/// How deep references lead from file to file, and fragments extend one another.
const MAX_DEPTH: usize = 16;
/// The most values that are put together from fragments and overlays for one workflow.
const MAX_MERGED: usize = 1_000_000;
/// The most problems that are told of one load.
const MAX_PROBLEMS: usize = 1_000;

/// What a file is, by its `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Workflow,
    Fragment,
    Overlay,
    Other,
}

/// A fragment with all that it extends, how many values it has, and whether something was wrong with it.
#[derive(Clone)]
struct Made {
    node: Option<(Arc<Node>, usize)>,
    sound: bool,
}

/// The files of one load, read once each.
pub(crate) struct Reader {
    files: Files,
    /// Names by number, as nodes have them.
    names: Vec<String>,
    read: BTreeMap<String, Option<Arc<Node>>>,
    /// Fragments with all that they extend, and how many values each has.
    fragments: HashMap<String, Made>,
    /// The files that there are.
    listed: Option<Arc<Vec<String>>>,
    pub(crate) problems: Vec<Problem>,
    /// How often something was wrong, also what was told before or is not told any more.
    pub(crate) wrong: u64,
    left: usize,
    /// How many values may still be put together.
    merges: usize,
}

impl Reader {
    pub(crate) fn new(files: Files) -> Reader {
        Reader {
            files,
            names: Vec::new(),
            read: BTreeMap::new(),
            fragments: HashMap::new(),
            listed: None,
            problems: Vec::new(),
            wrong: 0,
            left: MAX_VALUES,
            merges: MAX_MERGED,
        }
    }

    pub(crate) fn shown(&self, file: usize) -> String {
        self.names.get(file).map_or_else(String::new, |name| self.files.shown(name))
    }

    pub(crate) fn problem(&mut self, file: usize, line: u64, at: &str, code: &'static str, message: String) {
        let problem = Problem { path: self.shown(file), line, at: at.to_owned(), code, message };
        self.wrong += 1;
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn number(&mut self, name: &str) -> usize {
        match self.names.iter().position(|known| known == name) {
            Some(number) => number,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        }
    }

    /// A file as it stands; none, and a problem, where it cannot be read.
    pub(crate) fn file(&mut self, name: &str) -> Option<Arc<Node>> {
        if let Some(known) = self.read.get(name) {
            self.wrong += u64::from(known.is_none());
            return known.clone();
        }
        let number = self.number(name);
        let node = match self.files.read(name) {
            Err(fault) => {
                self.problem(number, 0, "", "unreadable", fault);
                None
            }
            Ok(text) => match Node::parse(&text, number, MAX_VALUES, MAX_FILE as usize) {
                Ok(node) => Some(Arc::new(node)),
                Err(error) => {
                    let code = if error.too_large { "too_large" } else { "unreadable" };
                    self.problem(number, error.line, "", code, error.message);
                    None
                }
            },
        };
        self.read.insert(name.to_owned(), node.clone());
        node
    }

    /// A text file beside the definitions.
    pub(crate) fn text(&mut self, name: &str) -> std::result::Result<String, String> {
        let name = inside("", name)?;
        self.files.read(&name)
    }

    /// A file with what its references name in their places.
    pub(crate) fn whole(&mut self, name: &str) -> Option<Node> {
        let node = self.file(name)?;
        self.left = MAX_VALUES;
        Some(self.resolve(&node, &node, name, &mut Vec::new()))
    }

    fn resolve(&mut self, node: &Node, root: &Arc<Node>, name: &str, above: &mut Vec<String>) -> Node {
        if self.left == 0 {
            return Node { file: node.file, line: node.line, value: Value::Null };
        }
        self.left -= 1;
        if self.left == 0 {
            let message = format!("with what its references name it has over {MAX_VALUES} values");
            self.problem(node.file, node.line, "", "too_large", message);
        }
        let value = match &node.value {
            Value::Map(members) => {
                if let Some((_, Node { value: Value::Text(target), line, .. })) =
                    members.iter().find(|(key, _)| key == "$ref")
                {
                    let Some(found) = self.referred(target, root, name, above, (node.file, *line)) else {
                        return Node { file: node.file, line: node.line, value: Value::Null };
                    };
                    let others: Vec<(String, Node)> = members
                        .iter()
                        .filter(|(key, _)| key != "$ref")
                        .map(|(key, member)| (key.clone(), self.resolve(member, root, name, above)))
                        .collect();
                    if others.is_empty() {
                        return found;
                    }
                    let others = Node { file: node.file, line: node.line, value: Value::Map(others) };
                    return merge(found, others);
                }
                Value::Map(
                    members
                        .iter()
                        .map(|(key, member)| (key.clone(), self.resolve(member, root, name, above)))
                        .collect(),
                )
            }
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.resolve(item, root, name, above)).collect())
            }
            other => other.clone(),
        };
        Node { file: node.file, line: node.line, value }
    }

    fn referred(
        &mut self,
        target: &str,
        root: &Arc<Node>,
        name: &str,
        above: &mut Vec<String>,
        (file, line): (usize, u64),
    ) -> Option<Node> {
        let (other, pointer) = target.split_once('#').unwrap_or((target, ""));
        let bad = |reader: &mut Reader, code, message: String| {
            reader.problem(file, line, "", code, message);
            None
        };
        let (other, root) = if other.is_empty() {
            (name.to_owned(), Arc::clone(root))
        } else {
            let other = match inside(name, other) {
                Ok(other) => other,
                Err(fault) => return bad(self, "ref_outside", fault),
            };
            if !self.read.contains_key(&other)
                && let Err(fault) = self.files.read(&other)
            {
                return bad(self, "ref_missing", format!("$ref '{target}': {fault}"));
            }
            let root = self.file(&other)?;
            (other, root)
        };
        let mark = format!("{other}#{pointer}");
        if above.contains(&mark) || above.len() >= MAX_DEPTH {
            return bad(self, "ref_cycle", format!("$ref '{target}' leads back to itself"));
        }
        let Some(found) = pointed(&root, pointer) else {
            return bad(self, "ref_missing", format!("$ref '{target}': there is nothing at '{pointer}'"));
        };
        above.push(mark);
        let whole = self.resolve(found, &root, &other, above);
        above.pop();
        Some(whole)
    }

    /// A definition with its fragments below and the overlays that mean it on top.
    pub(crate) fn rendered(&mut self, name: &str, overlays: &[(String, Node)]) -> Option<Node> {
        let mut node = self.whole(name)?;
        self.merges = MAX_MERGED;
        if let Some(extends) = take(&mut node, "extends") {
            if !matches!(extends.value, Value::List(_)) {
                let message = format!("extends is {}, expected a list of fragments", extends.kind());
                self.problem(extends.file, extends.line, "extends", "wrong_type", message);
                return Some(node);
            }
            if let Some(below) = self.below(&extends, &mut Vec::new()) {
                node = merge(below, node);
            }
        }
        let id = node.get("id").and_then(text).unwrap_or_default().to_owned();
        for (_, overlay) in overlays {
            let means = match overlay.get("target").map(|target| &target.value) {
                None => true,
                Some(Value::Text(target)) => means(target, &id),
                Some(Value::List(targets)) => {
                    targets.iter().filter_map(text).any(|target| means(target, &id))
                }
                Some(_) => false,
            };
            if let Some(patch) = overlay.get("patch").filter(|_| means) {
                if !self.may_merge(count(&node) + count(patch), patch.file, patch.line, "patch") {
                    break;
                }
                node = merge(node, patch.clone());
            }
        }
        Some(node)
    }

    /// Whether so many values may be put together; a problem where they may not.
    fn may_merge(&mut self, values: usize, file: usize, line: u64, at: &str) -> bool {
        if values > self.merges {
            let message = format!("with what it is put together from it has over {MAX_MERGED} values");
            self.problem(file, line, at, "too_large", message);
            self.merges = 0;
            return false;
        }
        self.merges -= values;
        true
    }

    /// What a list of fragments comes to, the later ones over the earlier ones.
    fn below(&mut self, extends: &Node, above: &mut Vec<String>) -> Option<Node> {
        let Value::List(items) = &extends.value else { return None };
        let mut below: Option<(Node, usize)> = None;
        for item in items {
            let Some((fragment, values)) = self.fragment(item, above) else { continue };
            let before = below.as_ref().map_or(0, |(_, values)| *values);
            if !self.may_merge(before + values, item.file, item.line, "extends") {
                break;
            }
            let fragment = fragment.as_ref().clone();
            below = Some(match below {
                None => (fragment, values),
                Some((below, before)) => (merge(below, fragment), before + values),
            });
        }
        below.map(|(below, _)| below)
    }

    /// A fragment with all that it extends, made once, and how many values it has.
    fn fragment(&mut self, item: &Node, above: &mut Vec<String>) -> Option<(Arc<Node>, usize)> {
        let named = text(item).map(|named| named.strip_prefix("fragment:").unwrap_or(named).to_owned());
        let Some(id) = named else {
            let message = format!("a fragment is {}, expected 'fragment:NAME'", item.kind());
            self.problem(item.file, item.line, "extends", "wrong_type", message);
            return None;
        };
        if above.contains(&id) {
            let message = format!("fragment '{id}' extends itself");
            self.problem(item.file, item.line, "extends", "ref_cycle", message);
            return None;
        }
        if let Some(known) = self.fragments.get(&id) {
            self.wrong += u64::from(!known.sound);
            return known.node.clone();
        }
        if above.len() >= MAX_DEPTH {
            let message = format!("fragments extend one another deeper than {MAX_DEPTH}");
            self.problem(item.file, item.line, "extends", "too_large", message);
            return None;
        }
        let Some(name) = self.named(Kind::Fragment, "fragments", &id) else {
            let message = format!(
                "there is no fragment '{id}'; it is a file with kind: Fragment and this id, or fragments/{id}.yaml"
            );
            self.problem(item.file, item.line, "extends", "unknown_fragment", message);
            return None;
        };
        let before = self.wrong;
        let made = self.whole(&name).and_then(|mut node| {
            let extends = take(&mut node, "extends");
            above.push(id.clone());
            let below = extends.and_then(|extends| self.below(&extends, above));
            above.pop();
            for key in ["apiVersion", "kind", "id", "title", "description"] {
                take(&mut node, key);
            }
            let node = match below {
                None => node,
                Some(below) => merge(below, node),
            };
            let values = count(&node);
            self.may_merge(values, item.file, item.line, "extends").then(|| (Arc::new(node), values))
        });
        // What was cut off, by a cycle or a limit, has been told, and the workflow is not used.
        let sound = self.wrong == before;
        self.fragments.insert(id, Made { node: made.clone(), sound });
        made
    }

    /// The file with a fragment or an overlay.
    fn named(&mut self, kind: Kind, folder: &str, id: &str) -> Option<String> {
        let names = match &self.listed {
            Some(names) => Arc::clone(names),
            None => Arc::clone(self.listed.insert(Arc::new(self.files.names().ok()?.into_iter().collect()))),
        };
        let by_name = |prefix: &str| {
            [".yaml", ".yml", ".json"]
                .iter()
                .map(|end| format!("{prefix}{id}{end}"))
                .find(|name| names.contains(name))
        };
        if let Some(name) = by_name(&format!("{folder}/")).or_else(|| by_name("")) {
            return Some(name);
        }
        names.iter().find_map(|name| {
            let node = self.file(name)?;
            let meant = kind_of(&node) == kind && node.get("id").and_then(text) == Some(id);
            meant.then(|| name.clone())
        })
    }

    /// Overlays by name, whole. Errors: `not_found`.
    pub(crate) fn overlays(&mut self, ids: &[String]) -> Result<Vec<(String, Node)>> {
        let mut overlays = Vec::new();
        for id in ids {
            let Some(name) = self.named(Kind::Overlay, "overlays", id) else {
                return Err(Error::new(
                    quorate_core::Code::NotFound,
                    format!(
                        "there is no overlay '{id}'; it is a file with kind: Overlay and this id, or overlays/{id}.yaml"
                    ),
                ));
            };
            let Some(node) = self.whole(&name) else { continue };
            if kind_of(&node) != Kind::Overlay || node.get("patch").is_none() {
                let message = "an overlay has kind: Overlay and patch".to_owned();
                self.problem(node.file, node.line.max(1), "", "wrong_type", message);
                continue;
            }
            overlays.push((id.clone(), node));
        }
        Ok(overlays)
    }
}

pub(crate) fn kind_of(node: &Node) -> Kind {
    match node.get("kind").and_then(text) {
        Some("Workflow") => Kind::Workflow,
        Some("Fragment") => Kind::Fragment,
        Some("Overlay") => Kind::Overlay,
        _ => Kind::Other,
    }
}

pub(crate) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn means(target: &str, id: &str) -> bool {
    match target.strip_suffix('*') {
        Some(start) => id.starts_with(start),
        None => target == id,
    }
}

fn take(node: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(members) = &mut node.value else { return None };
    let at = members.iter().position(|(name, _)| name == key)?;
    Some(members.remove(at).1)
}

/// The name of a file that another one names, which must not lead out of the folder.
fn inside(from: &str, name: &str) -> std::result::Result<String, String> {
    if name.contains("://") || name.contains('\\') || Path::new(name).is_absolute() {
        return Err(format!("'{name}' is no file beside this one; only those are read"));
    }
    // From the root, as files name each other wherever they stand; `./` and `../` from the file itself.
    let start = if name.starts_with("./") || name.starts_with("../") {
        from.rsplit_once('/').map_or("", |(f, _)| f)
    } else {
        ""
    };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in Path::new(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if parts.pop().is_none() {
                    return Err(format!("'{name}' leads out of the folder"));
                }
            }
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::RootDir | Component::Prefix(_) => {
                return Err(format!("'{name}' is no file beside this one; only those are read"));
            }
        }
    }
    Ok(parts.join("/"))
}

/// What a JSON pointer (RFC 6901) leads to.
fn pointed<'a>(root: &'a Node, pointer: &str) -> Option<&'a Node> {
    let mut node = root;
    if pointer.is_empty() {
        return Some(node);
    }
    for step in pointer.strip_prefix('/')?.split('/') {
        let step = step.replace("~1", "/").replace("~0", "~");
        node = match &node.value {
            Value::List(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => node.get(&step)?,
        };
    }
    Some(node)
}

/// How many values there are in a node.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Map(members) => members.iter().map(|(_, member)| count(member)).sum(),
        Value::List(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// Whether a node says that what it stands for is removed.
fn deletes(node: &Node) -> bool {
    matches!(node.get("$delete"), Some(Node { value: Value::Bool(true), .. }))
}

/// `patch` over `base`: mappings member by member, lists of what has ids by id, all else in its place.
pub(crate) fn merge(base: Node, patch: Node) -> Node {
    let (file, line) = (patch.file, patch.line);
    match (base.value, patch.value) {
        (Value::Map(members), Value::Map(patches)) => {
            // What is removed leaves a hole until the end, so that places stay.
            let mut members: Vec<Option<(String, Node)>> = members.into_iter().map(Some).collect();
            let mut places: HashMap<String, usize> = HashMap::with_capacity(members.len());
            for (at, member) in members.iter().enumerate() {
                if let Some((name, _)) = member {
                    places.entry(name.clone()).or_insert(at);
                }
            }
            for (key, patch) in patches {
                if key == "$delete" {
                    let names: Vec<&str> = match &patch.value {
                        Value::List(items) => items.iter().filter_map(text).collect(),
                        Value::Text(name) => vec![name],
                        _ => Vec::new(),
                    };
                    for name in names {
                        if let Some(at) = places.remove(name) {
                            members[at] = None;
                        }
                    }
                    continue;
                }
                let at = places.get(&key).copied();
                match (at, deletes(&patch)) {
                    (Some(at), true) => {
                        members[at] = None;
                        places.remove(&key);
                    }
                    (None, true) => {}
                    (Some(at), false) => {
                        if let Some((_, old)) = members[at].take() {
                            members[at] = Some((key, merge(old, patch)));
                        }
                    }
                    (None, false) => {
                        places.insert(key.clone(), members.len());
                        members.push(Some((key, patch)));
                    }
                }
            }
            let members = members.into_iter().flatten().collect();
            Node { file: base.file, line: base.line, value: Value::Map(members) }
        }
        (Value::List(items), Value::List(patches))
            if !patches.is_empty() && items.iter().chain(&patches).all(|item| item.get("id").is_some()) =>
        {
            let id_of = |item: &Node| item.get("id").and_then(text).map(str::to_owned);
            let mut places: HashMap<Option<String>, usize> = HashMap::with_capacity(items.len());
            let mut items: Vec<Option<Node>> = items.into_iter().map(Some).collect();
            for (at, item) in items.iter().enumerate() {
                if let Some(item) = item {
                    places.entry(id_of(item)).or_insert(at);
                }
            }
            for patch in patches {
                let id = id_of(&patch);
                match (places.get(&id).copied(), deletes(&patch)) {
                    (Some(at), true) => {
                        items[at] = None;
                        places.remove(&id);
                    }
                    (None, true) => {}
                    (Some(at), false) => {
                        if let Some(old) = items[at].take() {
                            items[at] = Some(merge(old, patch));
                        }
                    }
                    (None, false) => {
                        places.insert(id, items.len());
                        items.push(Some(patch));
                    }
                }
            }
            let items = items.into_iter().flatten().collect();
            Node { file: base.file, line: base.line, value: Value::List(items) }
        }
        (_, value) => Node { file, line, value },
    }
}

#[cfg(test)]
mod tests;
