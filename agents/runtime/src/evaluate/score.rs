//! Is an answer what was expected?

use std::sync::Arc;

use quorate_core::{Cancel, Error, Result, shorten};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::judge::{Judge, Judged};
use super::path::{Path, same};
use super::task::{Expect, Task, compiled};
use crate::answer::Answer;

/// What looks at an answer. One that a task gives nothing to look for says nothing about it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Scorer {
    /// The answer is one of the texts of `expect.exact`.
    Exact,
    /// The regular expressions of `expect.regex` are found in it.
    Regex,
    /// Its data have the values of `expect.json_path`.
    JsonPath,
    /// It cites the documents of `expect.cited`.
    Cited,
    /// It contains those of `expect.contains` and none of `expect.not_contains`.
    Contains,
    /// The agent of `expect.agent` has answered.
    Agent,
    /// Its run has ended as `expect.status` says.
    Status,
    /// A model judges it by a rubric.
    Judge(Arc<Judge>),
    /// Code of somebody's own looks at it.
    Custom(Arc<dyn CustomScorer>),
}

/// Code of somebody's own that looks at answers. It is asked about every task.
pub trait CustomScorer: Send + Sync {
    /// The name in reports, which no other scorer of an evaluation has.
    fn name(&self) -> &str;

    /// Whether the answer passes, `None` where that cannot be said, and why. An error, and a panic, says nothing about the answer:
    /// the trial is undecided, and the report has the reason. It is called from as many threads as there are trials at once, and
    /// not waited for beyond [`scorer_seconds`](crate::EvaluateOptions::scorer_seconds): then `cancel` is raised.
    fn score(&self, task: &Task, answer: &Answer, cancel: &Cancel) -> Result<(Option<bool>, String)>;
}

/// What a scorer says about an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The scorer's name.
    pub scorer: String,
    /// Whether it is as expected; `None` where that could not be found out.
    pub passed: Option<bool>,
    /// What is missing or wrong; what a judge says.
    pub detail: String,
    /// The verdicts of a judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

impl Scorer {
    /// All that need no model.
    pub const PLAIN: [Scorer; 7] = [
        Scorer::Exact,
        Scorer::Regex,
        Scorer::JsonPath,
        Scorer::Cited,
        Scorer::Contains,
        Scorer::Agent,
        Scorer::Status,
    ];

    /// `exact`, `regex`, `json_path`, `cited`, `contains`, `agent`, `status`; of others the one that they were given.
    pub fn name(&self) -> &str {
        match self {
            Scorer::Exact => "exact",
            Scorer::Regex => "regex",
            Scorer::JsonPath => "json_path",
            Scorer::Cited => "cited",
            Scorer::Contains => "contains",
            Scorer::Agent => "agent",
            Scorer::Status => "status",
            Scorer::Judge(judge) => &judge.name,
            Scorer::Custom(own) => own.name(),
        }
    }

    /// The scorer with this name, of those that need no model. Errors: `invalid_argument`.
    ///
    /// ```
    /// use quorate_runtime::Scorer;
    /// assert_eq!(Scorer::named("cited")?.name(), "cited");
    /// assert!(Scorer::named("nice").is_err());
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Scorer> {
        let found = Scorer::PLAIN.into_iter().find(|scorer| scorer.name() == name);
        found.ok_or_else(|| {
            let names: Vec<String> = Scorer::PLAIN.iter().map(|scorer| scorer.name().to_owned()).collect();
            Error::invalid(format!("there is no scorer '{}'; there are {}", shorten(name), names.join(", ")))
        })
    }

    /// Whether the task gives it something to look for.
    pub fn applies(&self, task: &Task) -> bool {
        let expect = &task.expect;
        match self {
            Scorer::Exact => !expect.exact.is_empty(),
            Scorer::Regex => !expect.regex.is_empty(),
            Scorer::JsonPath => !expect.json_path.is_empty(),
            Scorer::Cited => !expect.cited.is_empty(),
            Scorer::Contains => !expect.contains.is_empty() || !expect.not_contains.is_empty(),
            Scorer::Agent => expect.agent.is_some(),
            Scorer::Status => expect.status.is_some(),
            Scorer::Judge(judge) => judge.rubric_for(task).is_some(),
            Scorer::Custom(_) => true,
        }
    }

    /// What a scorer that needs no model says; `Ok` where all is as expected, else what is not.
    pub(super) fn look(&self, expect: &Expect, answer: &Answer) -> Result<(), String> {
        match self {
            Scorer::Exact => exact(&expect.exact, answer),
            Scorer::Regex => {
                let text = untypeset(&answer.text);
                all(&expect.regex, |pattern| compiled(pattern).is_ok_and(|regex| regex.is_match(&text)))
            }
            Scorer::JsonPath => json_path(expect, answer),
            Scorer::Cited => {
                all(&expect.cited, |id| answer.citations.iter().any(|citation| citation.doc_id == id))
            }
            Scorer::Contains => contains(expect, &answer.text),
            Scorer::Agent => {
                let (expected, given) = (expect.agent.as_deref(), answer.agent.as_deref());
                let said = || format!("'{}' answered", given.unwrap_or("nobody"));
                (expected == given).then_some(()).ok_or_else(said)
            }
            Scorer::Status => {
                let said = || match &answer.stopped_by {
                    Some(by) => format!("it is '{}', stopped by '{by}'", answer.status.as_str()),
                    None => format!("it is '{}'", answer.status.as_str()),
                };
                (expect.status == Some(answer.status)).then_some(()).ok_or_else(said)
            }
            Scorer::Judge(_) | Scorer::Custom(_) => Err("it is asked otherwise".to_owned()),
        }
    }
}

/// Each of `wanted` is there, or which are missing.
fn all(wanted: &[String], there: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing: Vec<String> =
        wanted.iter().filter(|one| !there(one)).map(|one| format!("'{}'", shorten(one))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing: {}", missing.join(", "))) }
}

fn exact(wanted: &[String], answer: &Answer) -> Result<(), String> {
    let mut text = answer.text.clone();
    for citation in &answer.citations {
        text = text.replace(&citation.marker, "");
    }
    let said = plain(&text);
    // A space that stood before a marker stands before what follows it.
    let tight = said.replace(" .", ".").replace(" ,", ",");
    let same = |one: &String| plain(one) == said || (!answer.citations.is_empty() && plain(one) == tight);
    if wanted.iter().any(same) { Ok(()) } else { Err(format!("it is '{}'", shorten(&said))) }
}

/// The words with one space between them.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contains(expect: &Expect, text: &str) -> Result<(), String> {
    let text = folded(text);
    let there = |one: &str| text.contains(&folded(one));
    all(&expect.contains, there)?;
    let wrong: Vec<String> = expect
        .not_contains
        .iter()
        .filter(|one| there(one))
        .map(|one| format!("'{}'", shorten(one)))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("must not be there: {}", wrong.join(", "))) }
}

/// With plain quotes and hyphens, whatever a model has typeset, and without marks that nobody sees: what must not be
/// said is said with a soft hyphen in it too.
fn untypeset(text: &str) -> String {
    let same = |c: char| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2010}' | '\u{2011}' => '-',
        other => other,
    };
    let seen = |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    text.chars().filter(seen).map(same).collect()
}

/// Without what does not count when something is looked for.
fn folded(text: &str) -> String {
    plain(&untypeset(text)).to_lowercase()
}

fn json_path(expect: &Expect, answer: &Answer) -> Result<(), String> {
    let parsed: Value;
    let document = match &answer.output {
        Some(output) => output,
        None => {
            parsed = serde_json::from_str(unfenced(&answer.text))
                .map_err(|_| "the answer is no JSON, and has no data".to_owned())?;
            &parsed
        }
    };
    let mut wrong = Vec::new();
    for at in &expect.json_path {
        let found = Path::parse(&at.path).map(|path| path.find(document)).unwrap_or_default();
        if !found.iter().any(|value| same(value, &at.value)) {
            let found = found.first().map_or("nothing".to_owned(), |value| shorten(&value.to_string()));
            wrong.push(format!("{} is {found}, expected {}", at.path, shorten(&at.value.to_string())));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The inside of a text that is one fenced block of Markdown.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    inner.split_once('\n').map_or(inner, |(_, body)| body).trim()
}
