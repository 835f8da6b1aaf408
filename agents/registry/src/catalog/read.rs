//! How do files, what they include and what overlays them become agents?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use quorate_core::{Code, Error};

use super::TenantCatalog;
use super::shared::Shared;
use super::{Catalog, Problem, schema};
use crate::agent::SCHEMA_VERSION;
use crate::check::{check_id, check_tenant};
use crate::files;
use crate::taxonomies::Taxonomies;
use crate::text::{cut, shown};
use crate::yaml::{Node, Value};
use crate::{Agent, Taxonomy};

/// Where files are.
pub(super) enum Files {
    Disk,
    Embedded(&'static [(&'static str, &'static str)]),
}

/// Deepest accepted chain of includes.
const MAX_DEPTH: usize = 64;

/// Most files of a catalogue.
const MAX_FILES: usize = 1000;

/// Largest catalogue, in bytes of all its files together.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// Most values (scalars, keys, lists and mappings) of one file.
const MAX_VALUES: usize = 20_000_000;

/// The members of a catalogue file.
const MEMBERS: [&str; 9] = [
    "schema_version",
    "include",
    "capabilities",
    "defaults",
    "agents",
    "overlays",
    "shared_topics",
    "out_of_scope",
    "tenants",
];

/// What is known before a catalogue is read, and who reads it.
#[derive(Clone, Default)]
pub(crate) struct Base {
    /// Capabilities that its agents may name too.
    pub(crate) taxonomies: Taxonomies,
    /// The tenant that agents without one, and capabilities, will belong to.
    pub(crate) tenant: Option<String>,
    /// Ids of agents that are there already: who reads may name them as partners.
    pub(crate) agents: HashSet<String>,
}

/// Reads a file with all that it includes, or says everything that is wrong.
pub(super) fn read(files: &Files, path: &Path, base: Base) -> Result<Catalog, Vec<Problem>> {
    let mut reader = Reader::new(files, base);
    reader.file(path, None);
    reader.finish()
}

/// The same for a root that is given as text.
pub(super) fn read_text(text: &str, name: &Path, base: Base) -> Result<Catalog, Vec<Problem>> {
    let mut reader = Reader::new(&Files::Disk, base);
    reader.enter(name.to_owned(), name.to_owned(), text);
    reader.finish()
}

/// A partner that an agent of the catalogue names.
struct Named {
    at: Node,
    /// Agent and field, for messages.
    place: String,
    tenant: Option<String>,
    partner: String,
}

/// Something wrong that is not yet a problem of a file.
pub(super) struct Found {
    pub(super) at: Node,
    pub(super) code: Code,
    pub(super) what: String,
}

struct Reader<'a> {
    files: &'a Files,
    /// Paths as shown, by index.
    paths: Vec<PathBuf>,
    /// Canonical paths that were read.
    seen: HashSet<PathBuf>,
    /// Bytes that may still be read.
    room: usize,
    /// The chain of files that are being read: canonical and shown paths.
    stack: Vec<(PathBuf, PathBuf)>,
    /// What is known by now.
    known: Taxonomies,
    tenant: Option<String>,
    present: HashSet<String>,
    /// What this catalogue brings.
    taxonomy: Taxonomy,
    tenants: BTreeMap<String, TenantCatalog>,
    agents: Vec<Node>,
    overlays: Vec<Node>,
    shared: Shared,
    out_of_scope: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(files: &'a Files, base: Base) -> Self {
        Reader {
            files,
            paths: Vec::new(),
            seen: HashSet::new(),
            room: MAX_BYTES,
            stack: Vec::new(),
            known: base.taxonomies,
            tenant: base.tenant,
            present: base.agents,
            taxonomy: Taxonomy::default(),
            tenants: BTreeMap::new(),
            agents: Vec::new(),
            overlays: Vec::new(),
            shared: Shared::default(),
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
            if self.seen.contains(&canonical) {
                return Ok((canonical, None));
            }
            if self.paths.len() >= MAX_FILES {
                return Err(Error::new(Code::TooLarge, format!("over {MAX_FILES} files are included")));
            }
            let text = self.files.read(path, self.room)?;
            Ok((canonical, Some(text)))
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
        self.seen.insert(canonical.clone());
        let Some(room) = self.room.checked_sub(text.len()) else {
            return self.problems.push(Problem {
                file: shown,
                line: 0,
                code: Code::TooLarge,
                message: format!("the text has {} bytes, {MAX_BYTES} are possible", text.len()),
            });
        };
        self.room = room;
        match Node::parse(text, index, MAX_VALUES, MAX_BYTES) {
            Ok(root) => {
                self.stack.push((canonical, shown));
                self.document(root, index);
                self.stack.pop();
            }
            Err(error) => self.problems.push(Problem {
                file: shown,
                line: error.line,
                code: if error.too_large { Code::TooLarge } else { Code::LoadFailed },
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
            let place = Node { file: node.file, line: node.line, value: Value::Null };
            let kind = node.kind();
            match (name.as_str(), node.value) {
                (_, Value::Null) if MEMBERS.contains(&name.as_str()) => {}
                ("schema_version", Value::Number(n)) => {
                    if n.as_u64() != Some(u64::from(SCHEMA_VERSION)) {
                        let what = format!(
                            "schema_version {n} is not one that this release reads ({SCHEMA_VERSION})"
                        );
                        self.report(&place, Code::FormatVersion, what);
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
                    let tenant = self.tenant.clone();
                    self.capabilities(tenant.as_deref(), titles);
                }
                ("tenants", Value::Map(tenants)) => {
                    tenants.into_iter().for_each(|(t, n)| self.of_tenant(t, n))
                }
                ("defaults", Value::Map(fields)) => defaults = fields,
                ("agents", Value::List(items)) => agents = items,
                ("overlays", Value::List(items)) => self.overlays.extend(items),
                ("shared_topics", Value::Map(topics)) => {
                    let mut found = Vec::new();
                    self.shared.read(topics, &mut found);
                    self.report_all(found);
                }
                ("out_of_scope", Value::List(items)) => {
                    let mut questions = std::mem::take(&mut self.out_of_scope);
                    self.questions(items, &mut questions);
                    self.out_of_scope = questions;
                }
                ("schema_version", _) => self.expected_kind(&name, "a number", &place, kind),
                ("include" | "agents" | "overlays" | "out_of_scope", _) => {
                    self.expected_kind(&name, "a list", &place, kind)
                }
                ("capabilities" | "defaults" | "tenants" | "shared_topics", _) => {
                    self.expected_kind(&name, "a mapping", &place, kind)
                }
                _ => {
                    let what = format!(
                        "there is no member '{}'; the members are {}",
                        shown(&name),
                        MEMBERS.join(", ")
                    );
                    self.report(&place, Code::InvalidArgument, what);
                }
            }
        }
        // Each agent gets a copy.
        if defaults
            .iter()
            .map(|(name, node)| name.len() + node.weight())
            .sum::<usize>()
            .saturating_mul(agents.len())
            > MAX_BYTES
        {
            let at = Node { file: index, line: 1, value: Value::Null };
            let what = format!("defaults: too large for {} agents", agents.len());
            return self.report(&at, Code::TooLarge, what);
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

    /// Names and titles of capabilities, in the order of their names: a parent may stand below its children.
    fn capabilities(&mut self, tenant: Option<&str>, mut titles: Vec<(String, Node)>) {
        titles.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut fresh: Vec<(String, String)> = Vec::with_capacity(titles.len());
        // The known ones and those before.
        let mut known = (**self.known.of(tenant)).clone();
        for (name, title) in titles {
            let Some(text) = title.text() else {
                self.expected(&format!("capability '{}'", shown(&name)), "a title", &title);
                continue;
            };
            match known.put(name.as_str(), text) {
                Ok(()) => fresh.push((name, text.to_owned())),
                Err(error) => self.report(&title, error.code(), error.message().to_owned()),
            }
        }
        let whose = match tenant {
            Some(tenant) if self.tenant.as_deref() != Some(tenant) => {
                &mut self.tenants.entry(tenant.to_owned()).or_default().taxonomy
            }
            _ => &mut self.taxonomy,
        };
        for (name, title) in &fresh {
            whose.set(name, title);
        }
        let pairs = fresh.iter().map(|(name, title)| (name.as_str(), title.as_str()));
        match std::mem::take(&mut self.known).with(tenant, pairs) {
            Ok(known) => self.known = known,
            // Each was checked above; here it is said that they are too many.
            Err(error) => self.problems.push(Problem {
                file: self.paths.last().cloned().unwrap_or_default(),
                line: 0,
                code: error.code(),
                message: error.message().to_owned(),
            }),
        }
    }

    /// What a file says of a tenant: its own capabilities and questions.
    fn of_tenant(&mut self, tenant: String, node: Node) {
        if let Err(what) = check_tenant(&tenant) {
            return self.report(&node, Code::InvalidArgument, format!("tenants: {what}"));
        }
        if self.tenant.as_ref().is_some_and(|own| *own != tenant) {
            let what = format!("tenants: '{tenant}' is another tenant than the one that reads this");
            return self.report(&node, Code::TenantViolation, what);
        }
        let Value::Map(members) = node.value else {
            return self.expected(&format!("tenant '{tenant}'"), "a mapping", &node);
        };
        for (name, node) in members {
            let place = Node { file: node.file, line: node.line, value: Value::Null };
            let kind = node.kind();
            match (name.as_str(), node.value) {
                ("capabilities" | "out_of_scope", Value::Null) => {}
                ("capabilities", Value::Map(titles)) => self.capabilities(Some(&tenant), titles),
                ("out_of_scope", Value::List(items)) => {
                    let mut questions =
                        std::mem::take(&mut self.tenants.entry(tenant.clone()).or_default().out_of_scope);
                    self.questions(items, &mut questions);
                    self.tenants.entry(tenant.clone()).or_default().out_of_scope = questions;
                }
                ("capabilities", _) => self.expected_kind(&name, "a mapping", &place, kind),
                ("out_of_scope", _) => self.expected_kind(&name, "a list", &place, kind),
                _ => {
                    let what =
                        format!("a tenant has no '{}', but capabilities and out_of_scope", shown(&name));
                    self.report(&place, Code::InvalidArgument, what);
                }
            }
        }
    }

    /// Adds questions that are nobody's to those before, each once.
    fn questions(&mut self, items: Vec<Node>, before: &mut Vec<String>) {
        let mut seen: HashSet<String> = before.iter().cloned().collect();
        for item in items {
            match item.text() {
                Some(text) if text.trim().is_empty() => {
                    let what = "out_of_scope: a question is empty".into();
                    self.report(&item, Code::InvalidArgument, what);
                }
                Some(text) => {
                    if seen.insert(text.to_owned()) {
                        before.push(text.to_owned());
                    }
                }
                None => self.expected("out_of_scope", "a question", &item),
            }
        }
    }

    fn finish(mut self) -> Result<Catalog, Vec<Problem>> {
        self.overlay();
        let mut agents = Vec::with_capacity(self.agents.len());
        let mut places: BTreeMap<(Option<String>, String), (usize, u64)> = BTreeMap::new();
        let mut named: Vec<Named> = Vec::new();
        let shared = std::mem::take(&mut self.shared);
        for mut node in std::mem::take(&mut self.agents) {
            let known = shown(node.get("id").and_then(Node::text).unwrap_or("?"));
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
            let mut agent = match agent_of(&node) {
                Ok(agent) => agent,
                Err(what) => {
                    if !wrong_form {
                        self.report(&node, Code::InvalidArgument, format!("agent '{known}': {what}"));
                    }
                    continue;
                }
            };
            if agent.tenant.is_none() || agent.tenant == self.tenant {
                shared.give(&mut agent);
            }
            if let Some(what) = agent.oversize() {
                self.report(&node, Code::TooLarge, format!("agent '{known}': {what}"));
            }
            for (path, what) in agent.problems() {
                let at = node.at(&path).clone();
                self.report(&at, Code::InvalidArgument, format!("agent '{known}': {path}: {what}"));
            }
            let owner = agent.tenant.as_deref().or(self.tenant.as_deref());
            let taxonomy = self.known.of(owner).clone();
            for (i, capability) in agent.capabilities.iter().enumerate() {
                if Taxonomy::check_name(&capability.name).is_ok()
                    && let Err(error) = taxonomy.check(&capability.name)
                {
                    let at = node.at(&format!("capabilities[{i}].name")).clone();
                    self.report(&at, error.code(), format!("agent '{known}': {}", error.message()));
                }
            }
            for (i, partner) in agent.works_with.iter().enumerate() {
                let field = format!("works_with[{i}].agent");
                named.push(Named {
                    at: node.at(&field).clone(),
                    place: format!("agent '{known}': {field}"),
                    tenant: agent.tenant.clone(),
                    partner: partner.agent.clone(),
                });
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
        self.check_partners(&named, &agents);
        let ids: HashSet<&str> = agents
            .iter()
            .filter(|agent| agent.tenant.is_none() || agent.tenant == self.tenant)
            .map(|agent| agent.id.as_str())
            .collect();
        let mut found = Vec::new();
        shared.unknown(|id| ids.contains(id), &mut found);
        self.report_all(found);
        if self.problems.is_empty() {
            let Reader { taxonomy, out_of_scope, tenants, .. } = self;
            Ok(Catalog { taxonomy, agents, out_of_scope, tenants })
        } else {
            Err(self.problems)
        }
    }

    /// Reports partners that neither this catalogue defines for who names them, nor are there already.
    fn check_partners(&mut self, named: &[Named], agents: &[Agent]) {
        let shared: HashSet<&str> =
            agents.iter().filter(|a| a.is_visible_to(None)).map(|a| a.id.as_str()).collect();
        let owned: HashSet<(Option<&str>, &str)> =
            agents.iter().map(|a| (a.tenant.as_deref(), a.id.as_str())).collect();
        for Named { at, place, tenant, partner } in named {
            if !shared.contains(partner.as_str())
                && !owned.contains(&(tenant.as_deref(), partner))
                && !self.present.contains(partner)
                && check_id(partner).is_ok()
            {
                self.report(at, Code::UnknownId, format!("{place}: there is no agent '{}'", shown(partner)));
            }
        }
    }

    /// Applies overlays to the agents that they name.
    fn overlay(&mut self) {
        let key = |node: &Node| {
            let text = |name| node.get(name).and_then(Node::text).map(str::to_owned);
            text("id").map(|id| (text("tenant"), id))
        };
        let mut places: HashMap<(Option<String>, String), usize> = HashMap::new();
        for (i, agent) in self.agents.iter().enumerate() {
            if let Some(key) = key(agent) {
                places.entry(key).or_insert(i);
            }
        }
        for overlay in std::mem::take(&mut self.overlays) {
            let Value::Map(changes) = &overlay.value else {
                self.expected("overlays", "a mapping with an id", &overlay);
                continue;
            };
            let Some(named) = key(&overlay) else {
                self.report(&overlay, Code::InvalidArgument, "an overlay needs the id of its agent".into());
                continue;
            };
            let Some(agent) = places.get(&named).and_then(|&i| self.agents.get_mut(i)) else {
                let what = format!("overlay of the agent '{}', which no file defines", shown(&named.1));
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
        self.expected_kind(name, what, found, found.kind());
    }

    fn expected_kind(&mut self, name: &str, what: &str, at: &Node, kind: &str) {
        self.report(at, Code::InvalidArgument, format!("{name}: expected {what}, found {kind}"));
    }

    fn report_all(&mut self, found: Vec<Found>) {
        found.into_iter().for_each(|Found { at, code, what }| self.report(&at, code, what));
    }

    fn report(&mut self, at: &Node, code: Code, message: String) {
        self.problems.push(Problem { file: self.paths[at.file].clone(), line: at.line, code, message });
    }
}

/// Characters of a message of the reader that are passed on.
const MAX_REASON: usize = 300;

/// The agent that a mapping of the right form describes.
fn agent_of(node: &Node) -> Result<Agent, String> {
    serde_json::from_value(node.to_json()).map_err(|e| cut(&e.to_string(), MAX_REASON))
}

impl Files {
    fn read(&self, path: &Path, room: usize) -> quorate_core::Result<String> {
        match self {
            Files::Disk => files::read_text(path, room as u64),
            Files::Embedded(files) => files
                .iter()
                .find(|(name, _)| Path::new(name) == path)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| Error::new(Code::NotFound, format!("{}: not part of it", path.display()))),
        }
    }
}
