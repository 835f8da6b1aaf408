//! How do tasks come out of a file, and what is wrong with it?

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;

use quorate_agents::Problem;
use quorate_agents::yaml::{Node, Value as Yaml};
use quorate_core::{Code, shorten};
use serde_json::Value;

use super::task::{AtPath, Expect, Fault, MAX_FILE_BYTES, Task};
use crate::fact::Status;

/// Most values of a file.
const MAX_VALUES: usize = 1_000_000;

/// The version of the form of files of tasks.
const SCHEMA_VERSION: u64 = 1;

const FILE_FIELDS: &[&str] = &["schema_version", "agent", "rubric", "tags", "tasks"];
const TASK_FIELDS: &[&str] =
    &["id", "question", "agent", "autonomous", "expect", "reference", "rubric", "tags"];
const EXPECT_FIELDS: &[&str] =
    &["exact", "regex", "json_path", "cited", "contains", "not_contains", "agent", "status"];
const STATUSES: &[Status] = &[
    Status::Done,
    Status::Partial,
    Status::Waiting,
    Status::Cancelled,
    Status::Refused,
    Status::Abstained,
    Status::Failed,
];

/// A mapping, its faults with their lines, and where its fields stand.
#[derive(Default)]
struct Reader {
    faults: Vec<(Fault, u64)>,
    lines: BTreeMap<String, u64>,
}

/// The tasks of a file, or every problem with it.
pub(super) fn tasks(text: &str, file: &FilePath) -> Result<Vec<Task>, Vec<Problem>> {
    let problem = |line: u64, code: Code, message: String| Problem { file: file.into(), line, code, message };
    if text.len() > MAX_FILE_BYTES {
        let message = format!("it has {} bytes, {MAX_FILE_BYTES} are read", text.len());
        return Err(vec![problem(0, Code::TooLarge, message)]);
    }
    let node = Node::parse(text, 0, MAX_VALUES, MAX_FILE_BYTES).map_err(|error| {
        let code = if error.too_large { Code::TooLarge } else { Code::LoadFailed };
        vec![problem(error.line, code, error.message)]
    })?;
    let mut problems = Vec::new();
    let mut common = Task::default();
    let listed = match &node.value {
        Yaml::List(_) => Some(&node),
        Yaml::Map(members) => {
            let mut reader = Reader::default();
            reader.known(members, FILE_FIELDS, "");
            common.agent = reader.text(members, "agent", "");
            common.rubric = reader.text(members, "rubric", "");
            common.tags = reader.texts(members, "tags", "");
            problems.extend(
                reader
                    .faults
                    .into_iter()
                    .map(|(fault, line)| problem(line, Code::InvalidArgument, fault.to_string())),
            );
            if let Some(version) = get(members, "schema_version")
                && version.to_json().as_u64() != Some(SCHEMA_VERSION)
            {
                let message = format!("schema_version is not {SCHEMA_VERSION}, the one that is read");
                problems.push(problem(version.line, Code::FormatVersion, message));
            }
            get(members, "tasks")
        }
        _ => {
            let message =
                format!("it is {}, expected a list of tasks or a mapping with 'tasks'", node.kind());
            return Err(vec![problem(node.line, Code::InvalidArgument, message)]);
        }
    };
    let items = match listed.map(|node| (&node.value, node.line)) {
        Some((Yaml::List(items), _)) => items.as_slice(),
        Some((_, line)) => {
            problems.push(problem(line, Code::InvalidArgument, "tasks: expected a list".to_owned()));
            &[]
        }
        None => &[],
    };
    if items.is_empty() && problems.is_empty() {
        problems.push(problem(node.line, Code::EmptyInput, "there is no task in it".to_owned()));
    }
    let mut found: Vec<Task> = Vec::new();
    let mut ids: HashSet<String> = HashSet::new();
    for (i, item) in items.iter().enumerate() {
        let (task, faults) = read_task(item, &common);
        let name =
            if task.id.is_empty() { format!("number {}", i + 1) } else { format!("'{}'", shorten(&task.id)) };
        for (fault, line) in faults {
            problems.push(problem(line, Code::InvalidArgument, format!("task {name}: {fault}")));
        }
        if !task.id.is_empty() && !ids.insert(task.id.clone()) {
            let message = format!("task {name}: another task has this id");
            problems.push(problem(item.line, Code::DuplicateId, message));
        }
        found.push(task);
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The task that a JSON value is.
pub(super) fn task(value: &Value) -> Result<Task, Vec<Fault>> {
    let (task, faults) = read_task(&Node::from_json(value), &Task::default());
    if faults.is_empty() { Ok(task) } else { Err(faults.into_iter().map(|(fault, _)| fault).collect()) }
}

fn read_task(node: &Node, common: &Task) -> (Task, Vec<(Fault, u64)>) {
    let Yaml::Map(members) = &node.value else {
        let message = format!("it is {}, expected a mapping", node.kind());
        return (Task::default(), vec![(Fault { path: String::new(), message }, node.line)]);
    };
    let mut reader = Reader::default();
    reader.known(members, TASK_FIELDS, "");
    let mut task = Task {
        id: reader.text(members, "id", "").unwrap_or_default(),
        question: reader.text(members, "question", "").unwrap_or_default(),
        agent: reader.text(members, "agent", "").or_else(|| common.agent.clone()),
        autonomous: reader.truth(members, "autonomous"),
        expect: Expect::default(),
        reference: reader.text(members, "reference", ""),
        rubric: reader.text(members, "rubric", "").or_else(|| common.rubric.clone()),
        tags: reader.texts(members, "tags", ""),
    };
    for tag in &common.tags {
        if !task.tags.contains(tag) {
            task.tags.push(tag.clone());
        }
    }
    match get(members, "expect").map(|node| (&node.value, node)) {
        None | Some((Yaml::Null, _)) => {}
        Some((Yaml::Map(members), _)) => task.expect = reader.expect(members),
        Some((_, node)) => {
            reader.fault("expect", node.line, format!("it is {}, expected a mapping", node.kind()));
        }
    }
    // A field that could not be read is named once.
    let named: HashSet<String> = reader.faults.iter().map(|(fault, _)| fault.path.clone()).collect();
    for fault in task.faults() {
        if !named.contains(&fault.path) {
            let line = reader.line(&fault.path).unwrap_or(node.line);
            reader.faults.push((fault, line));
        }
    }
    reader.faults.sort_by_key(|(_, line)| *line);
    (task, reader.faults)
}

fn get<'a>(members: &'a [(String, Node)], name: &str) -> Option<&'a Node> {
    members.iter().find(|(key, _)| key == name).map(|(_, node)| node)
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl Reader {
    fn fault(&mut self, path: &str, line: u64, message: String) {
        self.faults.push((Fault { path: path.to_owned(), message }, line));
    }

    /// The line of a field, or of the one that it is in.
    fn line(&self, path: &str) -> Option<u64> {
        let whole = path.split('[').next().unwrap_or(path);
        self.lines.get(path).or_else(|| self.lines.get(whole)).copied()
    }

    fn known(&mut self, members: &[(String, Node)], fields: &[&str], prefix: &str) {
        for (i, (key, node)) in members.iter().enumerate() {
            let path = format!("{prefix}{}", shorten(key));
            if !fields.contains(&key.as_str()) {
                self.fault(
                    &path,
                    node.line,
                    format!("there is no such field; there are {}", fields.join(", ")),
                );
            } else if members[..i].iter().any(|(other, _)| other == key) {
                self.fault(&path, node.line, "it is given twice".to_owned());
            }
            self.lines.insert(path, node.line);
        }
    }

    fn text(&mut self, members: &[(String, Node)], name: &str, prefix: &str) -> Option<String> {
        let node = get(members, name)?;
        match &node.value {
            Yaml::Null => None,
            Yaml::Text(text) => Some(text.clone()),
            _ => {
                let message = format!("it is {}, expected a text", node.kind());
                self.fault(&format!("{prefix}{name}"), node.line, message);
                None
            }
        }
    }

    fn truth(&mut self, members: &[(String, Node)], name: &str) -> bool {
        let Some(node) = get(members, name) else { return false };
        match node.value {
            Yaml::Bool(truth) => truth,
            _ => {
                self.fault(name, node.line, format!("it is {}, expected true or false", node.kind()));
                false
            }
        }
    }

    /// A list of texts, or one text.
    fn texts(&mut self, members: &[(String, Node)], name: &str, prefix: &str) -> Vec<String> {
        let Some(node) = get(members, name) else { return Vec::new() };
        let path = format!("{prefix}{name}");
        match &node.value {
            Yaml::Null => Vec::new(),
            Yaml::Text(text) => vec![text.clone()],
            Yaml::List(items) => {
                let mut texts = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    let place = format!("{path}[{i}]");
                    match &item.value {
                        Yaml::Text(text) => texts.push(text.clone()),
                        _ => {
                            let message = format!("it is {}, expected a text; put it in quotes", item.kind());
                            self.fault(&place, item.line, message);
                            texts.push("?".to_owned());
                        }
                    }
                    self.lines.insert(place, item.line);
                }
                texts
            }
            _ => {
                self.fault(&path, node.line, format!("it is {}, expected a list of texts", node.kind()));
                Vec::new()
            }
        }
    }

    fn expect(&mut self, members: &[(String, Node)]) -> Expect {
        let prefix = "expect.";
        self.known(members, EXPECT_FIELDS, prefix);
        let status = self.text(members, "status", prefix);
        let known = status.as_deref().and_then(|name| STATUSES.iter().find(|one| one.as_str() == name));
        if let (Some(name), None) = (&status, known) {
            let names: Vec<&str> = STATUSES.iter().map(|status| status.as_str()).collect();
            let line = self.line("expect.status").unwrap_or(0);
            let message = format!("it is '{}', expected one of {}", shorten(name), names.join(", "));
            self.fault("expect.status", line, message);
        }
        Expect {
            exact: self.texts(members, "exact", prefix),
            regex: self.texts(members, "regex", prefix),
            json_path: self.at_paths(members),
            cited: self.texts(members, "cited", prefix),
            contains: self.texts(members, "contains", prefix),
            not_contains: self.texts(members, "not_contains", prefix),
            agent: self.text(members, "agent", prefix),
            status: known.copied(),
        }
    }

    /// A mapping of paths to values, or a list of `{path, value}`.
    fn at_paths(&mut self, members: &[(String, Node)]) -> Vec<AtPath> {
        let Some(node) = get(members, "json_path") else { return Vec::new() };
        let mut paths = Vec::new();
        match &node.value {
            Yaml::Null => {}
            Yaml::Map(members) => {
                for (i, (path, value)) in members.iter().enumerate() {
                    self.lines.insert(format!("expect.json_path[{i}]"), value.line);
                    paths.push(AtPath { path: path.clone(), value: value.to_json() });
                }
            }
            Yaml::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    let place = format!("expect.json_path[{i}]");
                    let read: Result<Strict, _> = serde_json::from_value(item.to_json());
                    match read {
                        Ok(Strict { path, value }) => paths.push(AtPath { path, value }),
                        Err(said) => {
                            self.fault(&place, item.line, format!("expected {{path, value}}: {said}"));
                            paths.push(AtPath { path: "$".to_owned(), value: Value::Null });
                        }
                    }
                    self.lines.insert(place, item.line);
                }
            }
            _ => {
                let message = format!("it is {}, expected a mapping of paths to values", node.kind());
                self.fault("expect.json_path", node.line, message);
            }
        }
        paths
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    path: String,
    value: Value,
}
