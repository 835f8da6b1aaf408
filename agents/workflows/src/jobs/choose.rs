//! Which workflow does the job of a story, and how sure is that?
//!
//! Templates are matched as experts are: by description, example jobs, words (BM25) and topics, with a confidence that was fitted on
//! stories whose template is known (`tests/jobs/README.md` of this crate has the figures).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use quorate_agents::{Agent, AgentRegistry, Calibration, MatchOptions, RegistryOptions, Skill};
use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Code, Error, Result, shorten};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::story::JobStory;
use crate::flow::Definition;

/// Below this confidence no template is taken. On the half of the stories that is for choosing, the likeliest template of a story that
/// is nobody's has .26, and of those with a template all but one have .43 and more: this lies between.
pub const MIN_CONFIDENCE: f64 = 0.35;

/// How scores become confidence here, with the built-in model: fitted on the half of the stories that is for choosing, and on the
/// examples, each asked for while its template lacks it (`fit` in the tests below prints it).
const CALIBRATION: Calibration = Calibration {
    intercept: -16.041592,
    dense: 30.244514,
    lexical: 8.509402,
    few: 16.829702,
    few_dense: -28.998528,
    few_company: 31.47829,
    stated: 0.558408,
    outside: -9.631378,
    temperature: 0.024826,
    widening: 0.351256,
};

/// The most templates that are chosen from.
const MAX_TEMPLATES: usize = 10_000;
/// How many of a template's steps stand for what is not said of it.
const MAX_TOPICS: usize = 40;
/// The longest text of a template that is compared, in bytes.
const MAX_COMPARED: usize = 4 << 10;
/// How many candidates are told.
const TOLD: usize = 5;

/// A template that was compared with a story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its id.
    pub template: String,
    /// What people read.
    pub title: String,
    /// Probability, 0 to 1, that it does the job.
    pub confidence: f64,
    /// What the order goes by: comparable within one answer.
    pub score: f64,
    /// How near its description and examples come to the story: a weighted mean of cosines.
    pub meaning: f64,
    /// The words of the story that it has, each with its part of the story's BM25 weight.
    pub words: Vec<(String, f64)>,
    /// The example job that is nearest, and its cosine.
    pub nearest: Option<(String, f64)>,
    /// The topic that is nearest, and its cosine.
    pub topic: Option<(String, f64)>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.2}): meaning {:.2}", self.template, self.confidence, self.meaning)?;
        let words: Vec<&str> = self.words.iter().map(|(word, _)| word.as_str()).take(8).collect();
        if !words.is_empty() {
            write!(f, ", words {}", words.join(", "))?;
        }
        if let Some((example, cosine)) = &self.nearest {
            write!(f, ", nearest {cosine:.2} '{}'", shorten(example))?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    templates: BTreeMap<String, Known>,
    nobody: Vec<String>,
}

/// What is known of a template beside its file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    topics: Vec<String>,
    examples: Vec<String>,
}

static EXAMPLES: LazyLock<Option<Examples>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("examples.yaml")).ok());

/// Errors: `internal`.
fn examples() -> Result<&'static Examples> {
    EXAMPLES.as_ref().ok_or_else(|| Error::new(Code::Internal, "the examples of jobs cannot be read"))
}

/// What a story is compared by.
pub(super) fn question(story: &JobStory) -> String {
    let mut texts: Vec<&str> =
        vec![story.situation.trim(), story.motivation.trim(), story.expected_outcome.trim()];
    let title = story.title.trim();
    if !story.motivation.contains(title) {
        texts.insert(0, title);
    }
    texts.retain(|text| !text.is_empty());
    texts.join(". ")
}

/// The templates, the likeliest first; of equals the one that was named first. Errors: `too_large`, and those of matching.
pub(super) fn rank(story: &JobStory, templates: &[&Definition]) -> Result<Vec<Candidate>> {
    if templates.is_empty() {
        return Ok(Vec::new());
    }
    let registry = registry(templates, CALIBRATION)?;
    let options = MatchOptions { k: templates.len(), ..MatchOptions::default() };
    let found = registry.match_agents(&question(story), &options)?;
    let candidate = |one: quorate_agents::Match| {
        let template = one.agent.id.parse::<usize>().ok().and_then(|at| templates.get(at))?;
        let explained = one.explain();
        Some(Candidate {
            template: template.id().to_owned(),
            title: template.title().to_owned(),
            confidence: one.confidence,
            score: one.score,
            meaning: explained.dense,
            words: explained.words.clone(),
            nearest: explained.best_example.clone(),
            topic: explained.best_topic.clone(),
        })
    };
    Ok(found.into_iter().filter_map(candidate).collect())
}

/// The templates as a registry, each by its place.
fn registry(templates: &[&Definition], calibration: Calibration) -> Result<AgentRegistry> {
    if templates.len() > MAX_TEMPLATES {
        return Err(Error::new(
            Code::TooLarge,
            format!("there are {} templates, {MAX_TEMPLATES} can be chosen from", templates.len()),
        ));
    }
    let known = examples()?;
    let model: Arc<dyn Embed> = StaticModel::builtin()?;
    let options = RegistryOptions { calibration: Some(calibration), ..RegistryOptions::empty(model) };
    let registry = AgentRegistry::open(None, options)?;
    let agents = templates.iter().enumerate().map(|(at, template)| agent(at, template, known)).collect();
    registry.add_all(agents)?;
    registry.set_out_of_scope(known.nobody.clone())?;
    Ok(registry)
}

fn agent(at: usize, template: &Definition, known: &Examples) -> Agent {
    let form = template.rendered();
    let title = cut(template.title());
    let description = form.get("description").and_then(Value::as_str).map_or("", str::trim);
    let summary = if description.is_empty() { title.clone() } else { cut(description) };
    let (topics, examples) = match known.templates.get(template.id()) {
        Some(known) => (known.topics.clone(), known.examples.clone()),
        // Of others, what their steps are called.
        None => (titles(form), Vec::new()),
    };
    Agent {
        skills: if examples.is_empty() { Vec::new() } else { vec![Skill::new("jobs", examples)] },
        topics,
        // Ids of one length are in the order of their numbers.
        ..Agent::new(format!("{at:05}"), title, summary)
    }
}

/// What the steps of a workflow are called, each name once.
fn titles(form: &Value) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let steps = form.get("steps").and_then(Value::as_object);
    for (id, step) in steps.into_iter().flatten() {
        let title =
            step.get("title").and_then(Value::as_str).map_or_else(|| id.replace('_', " "), str::to_owned);
        let title = title[..title.floor_char_boundary(150)].trim().to_owned();
        let known = seen.iter().any(|other| other.to_lowercase() == title.to_lowercase());
        if !known && !title.is_empty() && seen.len() < MAX_TOPICS {
            seen.push(title);
        }
    }
    seen
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_COMPARED)].to_owned()
}

/// The error of a story that no template fits.
pub(super) fn none_fits(candidates: &[Candidate]) -> Error {
    let told: Vec<String> = candidates
        .iter()
        .take(TOLD)
        .map(|one| format!("'{}' ({}, {:.2})", one.title, one.template, one.confidence))
        .collect();
    let nearest = match told.is_empty() {
        true => "there is no template".to_owned(),
        false => format!("the nearest are {}", told.join(", ")),
    };
    Error::new(
        Code::NoTemplate,
        format!(
            "no template does this job with a confidence of {MIN_CONFIDENCE}: {nearest}; name one as the type, or write a workflow"
        ),
    )
}

#[cfg(test)]
mod tests;
