//! How do files, what they include and what overlays them become agents?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error};

use super::node::{Node, Value};
use super::{Catalog, Problem, schema};
use crate::agent::SCHEMA_VERSION;
use crate::{Agent, Taxonomy};

/// Where files are.
pub(super) enum Files {
    Disk,
    Embedded(&'static [(&'static str, &'static str)]),
}

/// Deepest accepted chain of includes.
const MAX_DEPTH: usize = 64;

/// The members of a catalogue file.
const MEMBERS: [&str; 7] =
    ["schema_version", "include", "capabilities", "defaults", "agents", "overlays", "out_of_scope"];

/// Reads a file with all that it includes, or says everything that is wrong.
pub(super) fn read(files: &Files, path: &Path, base: &Taxonomy) -> Result<Catalog, Vec<Problem>> {
    let mut reader = Reader::new(files, base);
    reader.file(path, None);
    reader.finish()
}

/// The same for a root that is given as text.
pub(super) fn read_text(text: &str, name: &Path, base: &Taxonomy) -> Result<Catalog, Vec<Problem>> {
    let mut reader = Reader::new(&Files::Disk, base);
    reader.enter(name.to_owned(), name.to_owned(), text);
    reader.finish()
}

struct Reader<'a> {
    files: &'a Files,
    /// Paths as shown, by index.
    paths: Vec<PathBuf>,
    /// Canonical paths that were read.
    seen: Vec<PathBuf>,
    /// The chain of files that are being read: canonical and shown paths.
    stack: Vec<(PathBuf, PathBuf)>,
    taxonomy: Taxonomy,
    agents: Vec<Node>,
    overlays: Vec<Node>,
    out_of_scope: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(files: &'a Files, base: &Taxonomy) -> Self {
        Reader {
            files,
            paths: Vec::new(),
            seen: Vec::new(),
            stack: Vec::new(),
            taxonomy: base.clone(),
            agents: Vec::new(),
            overlays: Vec::new(),
            out_of_scope: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Reads a file, named by an include at `from` or as the root.
    fn file(&mut self, path: &Path, from: Option<&Node>) {
        let canonical = match self.files {
            Files::Disk => std::fs::canonicalize(path).map_err(|e| Error::io(path, e)),
            Files::Embedded(_) => Ok(path.to_owned()),
        };
        let text = canonical.and_then(|canonical| {
            if let Some(at) = self.stack.iter().position(|(open, _)| *open == canonical) {
                let mut chain: Vec<String> =
                    self.stack[at..].iter().map(|(_, shown)| shown.display().to_string()).collect();
                chain.push(path.display().to_string());
                return Err(Error::new(
                    Code::IncludeCycle,
                    format!("the file includes itself: {}", chain.join(" -> ")),
                ));
            }
            if self.stack.len() >= MAX_DEPTH {
                return Err(Error::new(
                    Code::TooLarge,
                    format!("includes are nested deeper than {MAX_DEPTH}"),
                ));
            }
            let text = if self.seen.contains(&canonical) { None } else { Some(self.files.read(path)?) };
            Ok((canonical, text))
        });
        match text {
            Ok((canonical, Some(text))) => self.enter(canonical, path.to_owned(), &text),
            Ok((_, None)) => {}
            Err(error) => match from {
                Some(node) => self.report(node, error.code(), format!("include: {}", error.message())),
                None => self.problems.push(Problem {
                    file: path.to_owned(),
                    line: 0,
                    code: error.code(),
                    message: error.message().to_owned(),
                }),
            },
        }
    }

    fn enter(&mut self, canonical: PathBuf, shown: PathBuf, text: &str) {
        let index = self.paths.len();
        self.paths.push(shown.clone());
        self.seen.push(canonical.clone());
        match Node::parse(text, index) {
            Ok(root) => {
                self.stack.push((canonical, shown));
                self.document(root, index);
                self.stack.pop();
            }
            Err(error) => self.problems.push(Problem {
                file: shown,
                line: error.line,
                code: Code::LoadFailed,
                message: format!("cannot be read as YAML or JSON: {}", error.message),
            }),
        }
    }

    fn document(&mut self, root: Node, index: usize) {
        let members = match root.value {
            Value::Map(members) => members,
            Value::Null => return,
            _ => {
                let what =
                    format!("expected a mapping with any of {}, found {}", MEMBERS.join(", "), root.kind());
                return self.report(&root, Code::InvalidArgument, what);
            }
        };
        let mut defaults = Vec::new();
        let mut agents = Vec::new();
        for (name, node) in members {
            match (name.as_str(), node.value.clone()) {
                (_, Value::Null) if MEMBERS.contains(&name.as_str()) => {}
                ("schema_version", Value::Number(n)) => {
                    if n.as_u64() != Some(u64::from(SCHEMA_VERSION)) {
                        let what = format!(
                            "schema_version {n} is not one that this release reads ({SCHEMA_VERSION})"
                        );
                        self.report(&node, Code::FormatVersion, what);
                    }
                }
                ("include", Value::List(items)) => {
                    for item in items {
                        match item.text() {
                            Some(relative) => {
                                let folder = self.paths[index].parent().unwrap_or(Path::new(""));
                                let path = folder.join(relative);
                                self.file(&path, Some(&item));
                            }
                            None => self.expected("include", "a path", &item),
                        }
                    }
                }
                ("capabilities", Value::Map(titles)) => {
                    for (name, title) in titles {
                        match title.text() {
                            Some(text) => {
                                if let Err(error) = self.taxonomy.insert(name, text) {
                                    self.report(&title, error.code(), error.message().to_owned());
                                }
                            }
                            None => self.expected(&format!("capability '{name}'"), "a title", &title),
                        }
                    }
                }
                ("defaults", Value::Map(fields)) => defaults = fields,
                ("agents", Value::List(items)) => agents = items,
                ("overlays", Value::List(items)) => self.overlays.extend(items),
                ("out_of_scope", Value::List(items)) => {
                    for item in items {
                        match item.text() {
                            Some(text) if text.trim().is_empty() => {
                                self.report(
                                    &item,
                                    Code::InvalidArgument,
                                    "out_of_scope: a question is empty".into(),
                                );
                            }
                            Some(text) if self.out_of_scope.iter().any(|known| known == text) => {}
                            Some(text) => self.out_of_scope.push(text.to_owned()),
                            None => self.expected("out_of_scope", "a question", &item),
                        }
                    }
                }
                ("schema_version", _) => self.expected(&name, "a number", &node),
                ("include" | "agents" | "overlays" | "out_of_scope", _) => {
                    self.expected(&name, "a list", &node)
                }
                ("capabilities" | "defaults", _) => self.expected(&name, "a mapping", &node),
                _ => {
                    let what = format!("there is no member '{name}'; the members are {}", MEMBERS.join(", "));
                    self.report(&node, Code::InvalidArgument, what);
                }
            }
        }
        for mut agent in agents {
            if let Value::Map(own) = &mut agent.value {
                for (name, node) in &defaults {
                    if !own.iter().any(|(key, _)| key == name) {
                        own.push((name.clone(), node.clone()));
                    }
                }
            }
            self.agents.push(agent);
        }
    }

    fn finish(mut self) -> Result<Catalog, Vec<Problem>> {
        self.overlay();
        let mut agents = Vec::with_capacity(self.agents.len());
        let mut places: BTreeMap<(Option<String>, String), (usize, u64)> = BTreeMap::new();
        for mut node in std::mem::take(&mut self.agents) {
            let known = node.get("id").and_then(Node::text).unwrap_or("?").to_owned();
            let mut found: Vec<(usize, u64, String)> = Vec::new();
            schema::check(&mut node, schema::AGENT, &mut |at, what| found.push((at.file, at.line, what)));
            let wrong_form = !found.is_empty();
            for (file, line, what) in found {
                let message = format!("agent '{known}': {what}");
                self.problems.push(Problem {
                    file: self.paths[file].clone(),
                    line,
                    code: Code::InvalidArgument,
                    message,
                });
            }
            // What is missing has been reported; stand-ins let the rest be checked too.
            let nameless = node.get("id").is_none();
            node.fill(schema::AGENT.iter().filter(|f| f.required).map(|f| f.name), "unnamed");
            let agent = match agent_of(&node) {
                Ok(agent) => agent,
                Err(what) => {
                    if !wrong_form {
                        self.report(&node, Code::InvalidArgument, format!("agent '{known}': {what}"));
                    }
                    continue;
                }
            };
            for (path, what) in agent.problems() {
                let at = node.at(&path).clone();
                self.report(&at, Code::InvalidArgument, format!("agent '{known}': {path}: {what}"));
            }
            for (i, capability) in agent.capabilities.iter().enumerate() {
                if Taxonomy::check_name(&capability.name).is_ok()
                    && let Err(error) = self.taxonomy.check(&capability.name)
                {
                    let at = node.at(&format!("capabilities[{i}].name")).clone();
                    self.report(&at, error.code(), format!("agent '{known}': {}", error.message()));
                }
            }
            if nameless {
                continue;
            }
            let place = (node.file, node.line);
            match places.entry((agent.tenant.clone(), agent.id.clone())) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(place);
                    agents.push(agent);
                }
                std::collections::btree_map::Entry::Occupied(entry) => {
                    let (file, line) = *entry.get();
                    let first = format!("{}:{line}", self.paths[file].display());
                    self.report(
                        &node,
                        Code::DuplicateId,
                        format!("agent '{known}' is defined already at {first}"),
                    );
                }
            }
        }
        if self.problems.is_empty() {
            Ok(Catalog { taxonomy: self.taxonomy, agents, out_of_scope: self.out_of_scope })
        } else {
            Err(self.problems)
        }
    }

    /// Applies overlays to the agents that they name.
    fn overlay(&mut self) {
        for overlay in std::mem::take(&mut self.overlays) {
            let Value::Map(changes) = &overlay.value else {
                self.expected("overlays", "a mapping with an id", &overlay);
                continue;
            };
            let Some(id) = overlay.get("id").and_then(Node::text) else {
                self.report(&overlay, Code::InvalidArgument, "an overlay needs the id of its agent".into());
                continue;
            };
            let tenant = overlay.get("tenant").and_then(Node::text);
            let named = |agent: &Node| {
                agent.get("id").and_then(Node::text) == Some(id)
                    && agent.get("tenant").and_then(Node::text) == tenant
            };
            let Some(agent) = self.agents.iter_mut().find(|a| named(a)) else {
                let what = format!("overlay of the agent '{id}', which no file defines");
                self.report(&overlay, Code::UnknownId, what);
                continue;
            };
            if let Value::Map(members) = &mut agent.value {
                for (name, node) in changes {
                    members.retain(|(key, _)| key != name);
                    if !matches!(node.value, Value::Null) {
                        members.push((name.clone(), node.clone()));
                    }
                }
            }
        }
    }

    fn expected(&mut self, name: &str, what: &str, found: &Node) {
        let message = format!("{name}: expected {what}, found {}", found.kind());
        self.report(found, Code::InvalidArgument, message);
    }

    fn report(&mut self, at: &Node, code: Code, message: String) {
        self.problems.push(Problem { file: self.paths[at.file].clone(), line: at.line, code, message });
    }
}

/// The agent that a mapping of the right form describes.
fn agent_of(node: &Node) -> Result<Agent, String> {
    serde_json::from_value(node.to_json()).map_err(|e| e.to_string())
}

impl Files {
    fn read(&self, path: &Path) -> quorate_core::Result<String> {
        match self {
            Files::Disk => std::fs::read_to_string(path).map_err(|e| Error::io(path, e)),
            Files::Embedded(files) => files
                .iter()
                .find(|(name, _)| Path::new(name) == path)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| Error::new(Code::NotFound, format!("{}: not part of it", path.display()))),
        }
    }
}
