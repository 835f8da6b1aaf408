//! What is an agent given, and what must a right answer be like?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

use quorate_agents::Problem;
use quorate_core::{Code, Error, Result, shorten};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;
use super::read;
use crate::fact::Status;

/// Largest file of tasks, in bytes.
pub(super) const MAX_FILE_BYTES: usize = 16 << 20;

/// Bytes that a compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 4 << 20;

/// A question with what a right answer to it must be like.
///
/// ```
/// use quorate_runtime::{Expect, Task};
/// let expect = Expect { contains: vec!["2 years".into()], ..Expect::default() };
/// let task = Task { expect, ..Task::new("warranty", "How long is the warranty?") };
/// assert!(task.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Task {
    /// Its name, which no other task of an evaluation has.
    pub id: String,
    /// What is asked, at most 1 MiB.
    pub question: String,
    /// The id of the agent that is asked; `None`: the one that fits best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether it plans, acts and checks by itself.
    pub autonomous: bool,
    /// What a right answer must be like.
    pub expect: Expect,
    /// A good answer, which judges compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What judges go by, in the place of their own rubric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rubric: Option<String>,
    /// Words to group it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What a right answer must be like. What is empty expects nothing; of what is not, all must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expect {
    /// It is one of these texts; spaces and markers of sources (`[1]`) do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<String>,
    /// Each of these regular expressions is found in it, curved quotes and special hyphens taken as plain ones. `(?i)` in
    /// front: upper and lower case are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regex: Vec<String>,
    /// Each of these values stands at its path in the answer's data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json_path: Vec<AtPath>,
    /// Each of these documents, by id, is cited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cited: Vec<String>,
    /// Each of these stands in it; upper and lower case are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// None of these stands in it; upper and lower case are the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_contains: Vec<String>,
    /// The id of the agent that answers, after routing and handing over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How the run ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// A value that is expected at a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtPath {
    /// Such as `$.items[0].code`; of several values that it names one must be `value`.
    pub path: String,
    /// The value; numbers are compared by size.
    pub value: Value,
}

impl Task {
    /// A question that expects nothing yet.
    pub fn new(id: impl Into<String>, question: impl Into<String>) -> Self {
        Task { id: id.into(), question: question.into(), ..Task::default() }
    }

    /// Reads the JSON form. Errors: `invalid_argument`, which lists every problem.
    ///
    /// ```
    /// use quorate_runtime::Task;
    /// let json = serde_json::json!({"id": "a", "question": "How much?", "expect": {"regex": "[0-9]+ EUR"}});
    /// assert_eq!(Task::from_json(&json)?.expect.regex, ["[0-9]+ EUR"]);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn from_json(value: &Value) -> Result<Self> {
        read::task(value).map_err(|faults| {
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
            Error::invalid(format!("a task: {}", faults.join("; ")))
        })
    }

    /// Errors: `invalid_argument`, which lists every problem.
    pub fn validate(&self) -> Result<()> {
        let faults = self.faults();
        if faults.is_empty() {
            return Ok(());
        }
        let faults: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
        Err(Error::invalid(format!("task '{}': {}", shorten(&self.id), faults.join("; "))))
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |path: String, message: String| faults.push(Fault { path, message });
        if self.id.trim().is_empty() || self.id.chars().count() > MAX_ID_CHARS {
            fault("id".to_owned(), format!("expected 1 to {MAX_ID_CHARS} characters"));
        }
        if self.question.trim().is_empty() {
            fault("question".to_owned(), "it is empty".to_owned());
        }
        if self.question.len() > crate::runtime::MAX_QUESTION_BYTES {
            fault("question".to_owned(), "it is longer than 1 MiB".to_owned());
        }
        let expect = &self.expect;
        for (i, pattern) in expect.regex.iter().enumerate() {
            if let Err(error) = compiled(pattern) {
                fault(format!("expect.regex[{i}]"), error.message().to_owned());
            }
        }
        for (i, at) in expect.json_path.iter().enumerate() {
            if let Err(error) = Path::parse(&at.path) {
                fault(format!("expect.json_path[{i}]"), error.message().to_owned());
            }
        }
        let lists = [
            ("exact", &expect.exact),
            ("contains", &expect.contains),
            ("not_contains", &expect.not_contains),
            ("cited", &expect.cited),
        ];
        for (name, list) in lists {
            for (i, _) in list.iter().enumerate().filter(|(_, text)| text.trim().is_empty()) {
                fault(format!("expect.{name}[{i}]"), "an empty text expects nothing".to_owned());
            }
        }
        faults
    }
}

/// Characters of a task's name.
const MAX_ID_CHARS: usize = 200;

/// Something wrong with a task.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// The field.
    pub(super) path: String,
    pub(super) message: String,
}

/// A regular expression. Errors: `invalid_argument`.
pub(super) fn compiled(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build().map_err(|e| {
        let said = e.to_string();
        let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Error::invalid(format!("'{}' is no regular expression: {said}", shorten(pattern)))
    })
}

/// Reads a file of tasks, YAML or JSON:
///
/// ```yaml
/// schema_version: 1
/// agent: orders            # for each task that names none; so also rubric and tags
/// tasks:
///   - id: late-parcel
///     question: Where is my parcel?
///     expect: {contains: [order number], not_contains: [guarantee], status: done}
/// ```
///
/// or a list of tasks alone. A list of one text may be written as the text.
///
/// Errors carry the code of the first problem and list every problem with its file and line: `load_failed` (no YAML),
/// `invalid_argument` (a field), `duplicate_id`, `empty_input`, `format_version`, `too_large`; those of reading a file.
pub fn load_tasks(path: impl AsRef<FilePath>) -> Result<Vec<Task>> {
    let path = path.as_ref();
    let name = path.display().to_string();
    parse_tasks(&String::from_utf8_lossy(&quorate_core::read_file(path, MAX_FILE_BYTES as u64)?), &name)
}

/// Reads tasks from text; `name` stands for the file in messages. Errors: as [`load_tasks`].
pub fn parse_tasks(text: &str, name: &str) -> Result<Vec<Task>> {
    read::tasks(text, FilePath::new(name)).map_err(|problems| {
        let code = problems.first().map_or(Code::Internal, |problem| problem.code);
        let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
        Error::new(code, all.join("\n"))
    })
}

/// Every problem of tasks given as text; empty where [`parse_tasks`] succeeds.
///
/// ```
/// let problems = quorate_runtime::task_problems("[{id: a, question: '?', expects: {}}]", "my.yaml");
/// assert!(problems[0].to_string().starts_with("my.yaml:1: task 'a': expects: there is no such field"));
/// ```
pub fn task_problems(text: &str, name: &str) -> Vec<Problem> {
    read::tasks(text, FilePath::new(name)).err().unwrap_or_default()
}

/// Errors: `empty_input`, `duplicate_id`, those of [`Task::validate`].
pub(super) fn check(tasks: &[Task]) -> Result<()> {
    if tasks.is_empty() {
        return Err(Error::new(Code::EmptyInput, "there is no task"));
    }
    let mut ids = BTreeSet::new();
    for task in tasks {
        task.validate()?;
        if !ids.insert(task.id.as_str()) {
            return Err(Error::new(Code::DuplicateId, format!("two tasks have the id '{}'", task.id)));
        }
    }
    Ok(())
}

/// The golden tasks that ship with quorate, eight for each of these agents.
const GOLDEN: &[(&str, &str)] = &[
    ("clinical-researcher", include_str!("../../golden/clinical-researcher.yaml")),
    ("customer-support", include_str!("../../golden/customer-support.yaml")),
    ("faq", include_str!("../../golden/faq.yaml")),
    ("leads", include_str!("../../golden/leads.yaml")),
    ("medical-specialist", include_str!("../../golden/medical-specialist.yaml")),
    ("orders", include_str!("../../golden/orders.yaml")),
    ("quality-assurance-expert", include_str!("../../golden/quality-assurance-expert.yaml")),
    ("regulatory-expert", include_str!("../../golden/regulatory-expert.yaml")),
    ("reimbursement-strategist", include_str!("../../golden/reimbursement-strategist.yaml")),
];

/// The golden tasks that ship with quorate, by the id of the agent that they are for. Errors: `internal`.
///
/// ```
/// let golden = quorate_runtime::golden_tasks()?;
/// assert_eq!(golden["regulatory-expert"].len(), 8);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn golden_tasks() -> Result<BTreeMap<String, Vec<Task>>> {
    let mut golden = BTreeMap::new();
    for (agent, text) in GOLDEN {
        let tasks = parse_tasks(text, agent);
        let tasks =
            tasks.map_err(|e| Error::new(Code::Internal, format!("golden tasks: {}", e.message())))?;
        golden.insert((*agent).to_owned(), tasks);
    }
    Ok(golden)
}
