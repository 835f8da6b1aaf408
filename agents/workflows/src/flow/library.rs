//! Which definitions are there, in which versions, and what is wrong with the others?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_agents::yaml::{Node, Value as Written};
use quorate_core::{Code, Error, Result};
use semver::Version;
use serde_json::Value;

use super::files::Files;
use super::form::KINDS;
use super::plan::{Plan, Work, hash_of};
use super::problem::Problem;
use super::schema::{self, Fault};
use super::source::{Kind, Reader, kind_of, text};
use super::templates::shipped;

/// A definition that can be run: its rendered form and what follows from it.
#[derive(Clone, Debug)]
pub struct Definition {
    pub(crate) rendered: Arc<Value>,
    pub(crate) plan: Arc<Plan>,
}

impl Definition {
    /// By which name it is started.
    pub fn id(&self) -> &str {
        &self.plan.form.id
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.plan.form.version
    }

    /// What people read.
    pub fn title(&self) -> &str {
        self.plan.form.title.as_deref().unwrap_or(self.id())
    }

    /// The field that it belongs to.
    pub fn domain(&self) -> Option<&str> {
        self.plan.form.domain.as_deref()
    }

    /// The hash (blake3) of its canonical form, with fragments, overlays, references and texts in it.
    pub fn hash(&self) -> &str {
        &self.plan.hash
    }

    /// The form with everything in it that it refers to.
    pub fn rendered(&self) -> &Value {
        &self.rendered
    }

    /// A rendered form as a definition. Errors: `invalid_document` with every problem.
    pub fn from_json(rendered: &Value) -> Result<Definition> {
        let (definition, faults) = define(rendered.clone());
        match definition {
            Some(definition) => Ok(definition),
            None => {
                let told: Vec<String> = faults
                    .iter()
                    .map(|fault| format!("{}: {} [{}]", fault.at.join("."), fault.message, fault.code))
                    .collect();
                Err(Error::new(
                    Code::InvalidDocument,
                    format!("the workflow has problems: {}", told.join("; ")),
                ))
            }
        }
    }

    /// What a run of it is started with.
    pub(crate) fn given(&self, input: Value, offline: bool) -> Value {
        match &self.plan.form.example {
            Some(example) if offline && input.is_null() => example.clone(),
            _ => input,
        }
    }

    /// How far a run of it is that has just been asked for.
    pub(crate) fn first_status(&self) -> super::fact::Status {
        match self.plan.form.queue {
            Some(_) => super::fact::Status::Queued,
            None => super::fact::Status::Pending,
        }
    }

    /// A diagram of its steps, in the language of mermaid.js.
    pub fn mermaid(&self) -> String {
        super::mermaid::diagram(&self.plan, |_| None)
    }
}

/// What the host has, by which definitions are checked; `None`: it is not checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) tools: Option<BTreeSet<String>>,
    pub(crate) agents: Option<BTreeSet<String>>,
    pub(crate) kinds: BTreeMap<String, Option<Value>>,
}

impl Known {
    fn has_tool(tools: &BTreeSet<String>, name: &str) -> bool {
        tools.contains(name) || name.split_once('.').is_some_and(|(first, _)| tools.contains(first))
    }
}

/// What was found in a place.
pub(crate) struct Loaded {
    pub(crate) definitions: Vec<(Definition, Where)>,
    pub(crate) problems: Vec<Problem>,
}

/// Where a definition came from, for problems that are found later.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    names: Arc<Vec<String>>,
    node: Arc<Node>,
}

impl Where {
    fn problem(&self, fault: &Fault) -> Problem {
        let node = nearest(&self.node, &fault.at);
        let path = self.names.get(node.file).cloned().unwrap_or_default();
        Problem {
            path,
            line: node.line,
            at: dotted(&fault.at),
            code: fault.code,
            message: fault.message.clone(),
        }
    }
}

fn dotted(at: &[String]) -> String {
    let mut path = String::new();
    for step in at {
        if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format!("[{step}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(step);
        }
    }
    path
}

/// The node that a path leads to, or the nearest one above it.
fn nearest<'a>(root: &'a Node, at: &[String]) -> &'a Node {
    let mut node = root;
    for step in at {
        let next = match &node.value {
            Written::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => node.get(step),
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node
}

fn define(rendered: Value) -> (Option<Definition>, Vec<Fault>) {
    let (form, mut faults) = schema::read(&rendered);
    let Some(form) = form else { return (None, faults) };
    let damaged: Vec<Vec<String>> = faults.iter().map(|fault| fault.at.clone()).collect();
    match Plan::build(form, hash_of(&rendered), &damaged) {
        Ok(plan) if faults.is_empty() => {
            (Some(Definition { rendered: Arc::new(rendered), plan: Arc::new(plan) }), faults)
        }
        Ok(_) => (None, faults),
        Err(more) => {
            faults.extend(more);
            (None, faults)
        }
    }
}

/// Every workflow of a place, and everything that is wrong with any file. Errors: `not_found`, `io`.
pub(crate) fn load(files: Files, only: Option<&str>, overlays: &[String]) -> Result<Loaded> {
    let names = match only {
        Some(name) => vec![name.to_owned()],
        None => files.names()?,
    };
    let mut reader = Reader::new(files);
    let overlays = reader.overlays(overlays)?;
    let mut found: Vec<(Definition, Where)> = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        let Some(node) = reader.file(&name) else { continue };
        match kind_of(&node) {
            Kind::Workflow => {}
            Kind::Fragment | Kind::Overlay => continue,
            // Schemas and data stand beside workflows; what has steps, or was named, is meant as one.
            Kind::Other
                if node.get("steps").is_none() && node.get("apiVersion").is_none() && only.is_none() =>
            {
                continue;
            }
            Kind::Other => {}
        }
        let before = reader.wrong;
        let Some(mut node) = reader.rendered(&name, &overlays) else { continue };
        inline(&mut node, &mut reader);
        let sound = reader.wrong == before;
        let shown: Vec<String> = (0..=node_files(&node)).map(|file| reader.shown(file)).collect();
        let place = Where { names: Arc::new(shown), node: Arc::new(node.clone()) };
        let (definition, faults) = define(node.to_json());
        problems.extend(faults.iter().map(|fault| place.problem(fault)));
        let Some(definition) = definition.filter(|_| sound) else { continue };
        let twin = found
            .iter()
            .find(|(other, _)| other.id() == definition.id() && other.version() == definition.version());
        if let Some((other, _)) = twin {
            if other.hash() != definition.hash() {
                let message = format!(
                    "'{}' has version {} in two files that differ; give one another version",
                    definition.id(),
                    definition.version()
                );
                problems.push(place.problem(&Fault {
                    at: vec!["version".to_owned()],
                    code: "duplicate_version",
                    message,
                }));
            }
            continue;
        }
        found.push((definition, place));
    }
    problems.append(&mut reader.problems);
    sort(&mut problems);
    Ok(Loaded { definitions: found, problems })
}

pub(crate) fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (&a.path, a.line, &a.at, a.code).cmp(&(&b.path, b.line, &b.at, b.code)));
    problems.dedup();
}

fn node_files(node: &Node) -> usize {
    match &node.value {
        Written::List(items) => items.iter().map(node_files).max().unwrap_or(0).max(node.file),
        Written::Map(members) => members.iter().map(|(_, n)| node_files(n)).max().unwrap_or(0).max(node.file),
        _ => node.file,
    }
}

/// Puts the texts of files in the place of their names, where questions are.
fn inline(node: &mut Node, reader: &mut Reader) {
    let Written::Map(members) = &mut node.value else { return };
    let Some((_, steps)) = members.iter_mut().find(|(key, _)| key == "steps") else { return };
    let Written::Map(steps) = &mut steps.value else { return };
    for (id, step) in steps {
        let Written::Map(keys) = &mut step.value else { continue };
        for (kind, body) in keys {
            let key = match kind.as_str() {
                "agent_task" => "prompt",
                "panel_discussion" => "question",
                "parallel" => {
                    inline(body, reader);
                    continue;
                }
                _ => continue,
            };
            let Written::Map(fields) = &mut body.value else { continue };
            let Some((_, prompt)) = fields.iter_mut().find(|(name, _)| name == key) else { continue };
            let Some(name) = text(prompt).filter(|name| is_file(name)).map(str::to_owned) else { continue };
            match reader.text(&name) {
                Ok(found) => prompt.value = Written::Text(found),
                Err(fault) => {
                    let (file, line) = (prompt.file, prompt.line);
                    reader.problem(file, line, &format!("steps.{id}.{kind}.{key}"), "file_missing", fault);
                }
            }
        }
    }
}

/// Whether a text is the name of a file with a text.
fn is_file(text: &str) -> bool {
    (text.ends_with(".md") || text.ends_with(".txt"))
        && !text.contains(char::is_whitespace)
        && !text.contains("${")
}

/// Definitions by id and version.
#[derive(Default)]
pub(crate) struct Library {
    by_id: BTreeMap<String, BTreeMap<Version, (Definition, Where)>>,
    pub(crate) problems: Vec<Problem>,
}

impl Library {
    /// Adds what was loaded; a version that is there is replaced: runs keep what they began with.
    pub(crate) fn add(&mut self, loaded: Loaded) {
        self.problems.extend(loaded.problems);
        sort(&mut self.problems);
        for (definition, place) in loaded.definitions {
            if let Ok(version) = Version::parse(definition.version()) {
                self.by_id
                    .entry(definition.id().to_owned())
                    .or_default()
                    .insert(version, (definition, place));
            }
        }
    }

    /// One of these.
    pub(crate) fn own(&self, id: &str, version: Option<&str>) -> Option<Definition> {
        self.by_id.contains_key(id).then(|| self.get(id, version).ok()).flatten()
    }

    /// One of these, or of those that come with the library. Errors: `unknown_id` with what there is.
    pub(crate) fn get(&self, id: &str, version: Option<&str>) -> Result<Definition> {
        let Some(versions) = self.by_id.get(id) else {
            if let Some(shipped) = shipped().own(id, version) {
                return Ok(shipped);
            }
            let near: Vec<&str> =
                self.by_id.keys().chain(shipped().by_id.keys()).map(String::as_str).take(40).collect();
            let message = format!(
                "no workflow has the id '{}'; there are {}",
                quorate_core::shorten(id),
                near.join(", ")
            );
            return Err(Error::new(Code::UnknownId, message));
        };
        let found = match version {
            // The newest that is no pre-release, or the newest of those.
            None => {
                versions.iter().rev().find(|(v, _)| v.pre.is_empty()).or_else(|| versions.iter().next_back())
            }
            Some(version) => {
                let wanted = Version::parse(version).ok();
                versions.iter().find(|(v, _)| Some(*v) == wanted.as_ref())
            }
        };
        found.map(|(_, (definition, _))| definition.clone()).ok_or_else(|| {
            let known: Vec<String> = versions.keys().map(Version::to_string).collect();
            let message = format!(
                "workflow '{id}' has no version {}; there are {}",
                version.unwrap_or_default(),
                known.join(", ")
            );
            Error::new(Code::UnknownId, message)
        })
    }

    /// The newest of each id, with those that come with the library.
    pub(crate) fn list(&self) -> Vec<Definition> {
        let ids: BTreeSet<&String> = self.by_id.keys().chain(shipped().by_id.keys()).collect();
        ids.into_iter().filter_map(|id| self.get(id, None).ok()).collect()
    }

    pub(crate) fn versions(&self, id: &str) -> Vec<String> {
        // Those that come with the library give way to one of the same id.
        let versions = self.by_id.get(id).or_else(|| shipped().by_id.get(id));
        versions.map(|versions| versions.keys().map(Version::to_string).collect()).unwrap_or_default()
    }

    /// Everything that is wrong, also by what the host has.
    pub(crate) fn validate(&self, known: &Known) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        for (definition, place) in self.by_id.values().flat_map(BTreeMap::values) {
            let faults = self.faults(definition, known);
            problems.extend(faults.iter().map(|fault| place.problem(fault)));
        }
        sort(&mut problems);
        problems
    }

    fn faults(&self, definition: &Definition, known: &Known) -> Vec<Fault> {
        let mut faults = Vec::new();
        each_step(&definition.rendered, &mut Vec::new(), &mut |at, step| {
            let id = at.last().cloned().unwrap_or_default();
            let Some(planned) = definition.plan.find(&id).map(|i| &definition.plan.steps[i]) else { return };
            let mut fault = |keys: &[&str], code, message: String| {
                let at = at.iter().cloned().chain(keys.iter().map(|key| (*key).to_owned())).collect();
                faults.push(Fault { at, code, message });
            };
            let tool = |name: &str| match &known.tools {
                Some(tools) if !Known::has_tool(tools, name) => {
                    let there: Vec<&str> = tools.iter().map(String::as_str).collect();
                    Some(format!("the engine has no tool '{name}'; it has {}", there.join(", ")))
                }
                _ => None,
            };
            // What has a stand-in can at least run offline.
            let stands_in = step.get("offline").is_some();
            match &planned.work {
                Work::Tool { tool: name, .. } if !stands_in => {
                    if let Some(message) = tool(name) {
                        fault(&["integration", "tool"], "unknown_tool", message);
                    }
                }
                Work::Agent { form, .. } => {
                    if let (Some(agent), Some(agents)) = (&form.agent, &known.agents)
                        && !agents.contains(agent)
                    {
                        fault(
                            &["agent_task", "agent"],
                            "unknown_agent",
                            format!("no expert has the id '{agent}'"),
                        );
                    }
                }
                Work::Panel { form, .. } => {
                    if let Some(agents) = &known.agents {
                        for (i, member) in
                            form.members.iter().enumerate().filter(|(_, m)| !agents.contains(*m))
                        {
                            let message = format!("no expert has the id '{member}'");
                            fault(&["panel_discussion", "members", &i.to_string()], "unknown_agent", message);
                        }
                    }
                }
                Work::Sub { id, version, .. } => {
                    if let Err(error) = self.get(id, version.as_deref()) {
                        fault(&["workflow", "id"], "unknown_workflow", error.message().to_owned());
                    }
                }
                Work::Own { kind, .. } => match known.kinds.get(kind) {
                    None => {
                        let own: Vec<&str> = known.kinds.keys().map(String::as_str).collect();
                        let message = format!(
                            "'{kind}' is no kind of step; there are {}, {}",
                            KINDS.join(", "),
                            own.join(", ")
                        );
                        fault(&[kind], "unknown_key", message);
                    }
                    Some(Some(schema)) => {
                        if let (Ok(checker), Some(with)) = (schema::Checker::new(schema), step.get(kind)) {
                            for found in checker.faults(with) {
                                let mut keys: Vec<&str> = vec![kind];
                                keys.extend(found.at.iter().map(String::as_str));
                                fault(&keys, found.code, found.message.clone());
                            }
                        }
                    }
                    Some(None) => {}
                },
                _ => {}
            }
            if let Some(undo) = &planned.undo
                && !stands_in
                && let Some(message) = tool(&undo.tool)
            {
                fault(&["compensate", "tool"], "unknown_tool", message);
            }
        });
        faults
    }
}

fn each_step(form: &Value, at: &mut Vec<String>, seen: &mut dyn FnMut(&[String], &Value)) {
    let Some(steps) = form.get("steps").and_then(Value::as_object) else { return };
    for (id, step) in steps {
        at.extend(["steps".to_owned(), id.clone()]);
        seen(at, step);
        if let Some(parallel) = step.get("parallel") {
            at.push("parallel".to_owned());
            each_step(parallel, at, seen);
            at.pop();
        }
        at.truncate(at.len() - 2);
    }
}
